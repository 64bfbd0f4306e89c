//! `advice.json`: functions that could share more if they moved to versions that others have, inside their own ranges.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::inventory::Requirement;
use super::name::PackageId;
use super::platform::Platform;

/// Value of the `schema` field.
pub const SCHEMA: &str = "warmset.advice/1";

/// Pieces of advice in the order in which to follow them, each with the plan recomputed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Advice {
    /// [`SCHEMA`].
    pub schema: String,
    /// What wrote it.
    #[serde(default)]
    pub generator: String,
    /// Memory that the plans may use, MB.
    pub budget_mb: f64,
    /// `uniform` (every function weighs 1) or the trace's description.
    pub weights: String,
    /// The plan of the fleet as it is.
    pub before: Effect,
    /// The plan once all advice is followed.
    pub after: Effect,
    /// In the order in which to follow it: each adds most to those before it.
    pub advice: Vec<Piece>,
    /// Moves that only a declared range forbids, those that would save most first: whether to loosen it is for its owner
    /// to decide.
    pub held_back: Vec<HeldBack>,
    /// How much was looked at.
    pub looked_at: LookedAt,
}

/// What a plan comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Effect {
    /// Milliseconds that its images save in the planning period.
    pub objective: f64,
    /// Milliseconds that all functions load without any image.
    pub total_ms: f64,
    /// Milliseconds that they still load with them: `total_ms − objective`.
    pub remaining_ms: f64,
    /// MB that its images take.
    pub memory_mb: f64,
    /// Number of its images.
    pub images: usize,
}

/// One alignment: functions that move to a version which others have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Piece {
    /// What they move to.
    pub to: PackageId,
    /// The versions that they move from, sorted.
    pub from: Vec<String>,
    /// `downgrade` where any of them is later than `to`.
    pub direction: Direction,
    /// Where the functions run that have `to` already.
    pub platform: Platform,
    /// Whose they are.
    pub trust_domain: String,
    /// How many functions have `to` already, there.
    pub shared_with: usize,
    /// The functions that move, sorted.
    pub functions: Vec<String>,
    /// What to change: one entry for each lock.
    pub changes: Vec<Change>,
    /// What no lock says, and only locking again can confirm; empty where every range is known to allow the move.
    pub to_confirm: Vec<String>,
    /// The plan when only this is followed.
    pub alone: Effect,
    /// Milliseconds that sharing saves when this alone is followed: what images save more, or what functions still load
    /// less, whichever is less. A version that merely loads faster counts for nothing.
    pub saved_ms: f64,
    /// MB that this alone takes from the images; negative where they take more.
    pub saved_mb: f64,
    /// The plan when this and all before it are followed.
    pub cumulative: Effect,
    /// The same after all before it.
    pub adds_ms: f64,
    /// MB that this takes from the images after all before it.
    pub adds_mb: f64,
}

/// Whether a version rises or falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To a later version.
    Upgrade,
    /// To an earlier version.
    Downgrade,
}

/// What changes in one lock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// The lock that all these functions share.
    pub lock: String,
    /// Its kind: `uv`, `package-lock` …
    pub kind: String,
    /// The functions, sorted.
    pub functions: Vec<String>,
    /// Versions that change in it, the advised one first, then by name.
    pub moves: Vec<Move>,
    /// Steps that make the change, in order, in the lock's folder.
    pub steps: Vec<String>,
}

/// One package that changes its version in one lock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Move {
    /// Its name.
    pub package: String,
    /// Versions that go; empty where it comes in.
    pub from: Vec<String>,
    /// Versions that come; empty where nothing asks for it any more.
    pub to: Vec<String>,
    /// Other versions that stay beside it (npm).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<String>,
    /// Absent where it comes in or goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Where the functions declare it, if they do: the ranges that allow the move.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub declared: Vec<Requirement>,
}

/// A move that would make sharing possible, and that a declaration forbids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HeldBack {
    /// What functions would have to move to.
    pub to: PackageId,
    /// The versions that they have, sorted.
    pub from: Vec<String>,
    /// The functions, sorted.
    pub functions: Vec<String>,
    /// Their lock.
    pub lock: String,
    /// What forbids it.
    pub declared: Requirement,
    /// As `saved_ms` of a piece of advice, compared without a proof.
    pub saved_ms: f64,
    /// MB that it would take from the images.
    pub saved_mb: f64,
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LookedAt {
    /// Names and versions that some functions have and others could move to, by platform and trust domain.
    pub versions: usize,
    /// Those whose ranges were checked: the heaviest.
    pub checked: usize,
    /// Moves that the ranges allow.
    pub allowed: usize,
    /// Plans recomputed to compare moves.
    pub plans: usize,
    /// Functions whose closure is not locked: they are left as they are.
    pub not_locked: usize,
}
