//! `plan.json`: which images to keep, which function each serves, and how good that is.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::costs::CostSource;
use super::diagnostic::Diagnostic;
use super::inventory::State;
use super::name::PackageId;
use super::platform::Platform;

/// Value of the `schema` field.
pub const SCHEMA: &str = "warmset.plan/1";

/// Chosen images, their parents, who is served by which, with bound and gap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// [`SCHEMA`].
    pub schema: String,
    /// What wrote it.
    #[serde(default)]
    pub generator: String,
    /// Memory that may be used, MB.
    pub budget_mb: f64,
    /// Most images that may be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_images: Option<usize>,
    /// `subset`: an image serves only functions whose closure holds all of it.
    pub share: Share,
    /// Memory that the chosen images take together, MB.
    pub memory_mb: f64,
    /// Milliseconds saved in the planning period: Σ weight × (load of the image − swap).
    pub objective: f64,
    /// No plan made of the candidates that `bound_covers` names saves more than this, ms.
    pub bound: f64,
    /// `(bound − objective) / bound`, 0 when the bound is 0.
    pub gap: f64,
    /// `optimal` only when the gap is closed over the candidates named.
    pub status: Status,
    /// How plan and bound were found: `greedy+local-search`, `milp (microlp)` …; `lagrangian`.
    pub method: Method,
    /// What the bound is relative to.
    pub bound_covers: String,
    /// Milliseconds that all planned functions load in the period without any image (known costs only).
    pub total_ms: f64,
    /// `objective / total_ms`, 0 when nothing is loaded.
    pub saved_share: f64,
    /// `uniform` (every function weighs 1) or the trace's description.
    pub weights: String,
    /// Share of `objective` that rests on each source of cost; keys are sources.
    pub value_by_source: BTreeMap<CostSource, f64>,
    /// Numbers of the problem that was solved.
    pub size: Size,
    /// How the memory is divided between platforms and trust domains, which share nothing but the budget; sorted by these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupShare>,
    /// Chosen images, parents before children, then by id.
    pub images: Vec<Image>,
    /// Served functions, by id.
    pub assignments: Vec<Assignment>,
    /// Functions without an image, by id.
    pub unserved: Vec<Unserved>,
    /// Functions whose closure is not known as a whole, by state: what of the weight could not be placed, or in part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<Open>,
    /// What the planner had to leave out or assume.
    #[serde(default)]
    pub diagnostics: Vec<Diagnostic>,
}

/// Which functions an image may serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Share {
    /// Those whose closure holds every package of the image.
    Subset,
}

/// How far the search got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// No plan from the candidates covered is better (relative gap at most 1e-6).
    Optimal,
    /// The plan keeps every rule; the gap says how far from the best it can be.
    Feasible,
    /// There is nothing to choose: no function has anything that can be shared.
    Empty,
}

/// How plan and bound were found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Method {
    /// `greedy`, `greedy+local-search`, `greedy+local-search+branch-and-bound`, `milp (microlp)`, `milp (highs)`.
    pub plan: String,
    /// `lagrangian`, `lagrangian+branch-and-bound`, `milp (microlp)`, `milp (highs)`.
    pub bound: String,
}

/// Numbers of the problem that was solved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Size {
    /// Functions with a known platform.
    pub functions: usize,
    /// Functions merged by platform, trust domain and closure.
    pub classes: usize,
    /// Candidate images.
    pub candidates: usize,
    /// Possible parent → child pairs.
    pub parent_pairs: usize,
}

/// What one platform and trust domain has of the plan. The division is by value: as far as whole images allow, no group's
/// `most_out` is above another's `least_in`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GroupShare {
    /// The platform.
    pub platform: Platform,
    /// The trust domain.
    pub trust_domain: String,
    /// Functions that have something to share.
    pub functions: usize,
    /// Their classes.
    pub classes: usize,
    /// Images chosen for them.
    pub images: usize,
    /// What these take of the budget, MB.
    pub memory_mb: f64,
    /// What they save in the planning period, ms.
    pub objective: f64,
    /// The least that a chosen image saves for each MB which it alone takes, ms: what would be lost without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_in: Option<f64>,
    /// The most that a candidate which was left out would save for each MB more, ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_out: Option<f64>,
}

/// A shared warm image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Image {
    /// Content hash with a readable prefix: the same set has the same id in every plan.
    pub id: String,
    /// The image that it is forked from.
    pub parent: Option<String>,
    /// Where it runs.
    pub platform: Platform,
    /// Whose functions it may serve.
    pub trust_domain: String,
    /// `name==version` or `name@version`, the parent's included; sorted.
    pub packages: Vec<String>,
    /// Modules to load, in order: what its functions really import.
    pub preload: Vec<String>,
    /// CPU milliseconds that loading all of it takes.
    pub load_ms: f64,
    /// Resident MB of everything it holds, the warm host included.
    pub resident_mb: f64,
    /// Resident MB that it adds to what its parent holds: what it takes from the budget.
    pub added_mb: f64,
    /// Milliseconds to swap a function onto it.
    pub swap_ms: f64,
    /// Functions assigned to it.
    pub serves: usize,
    /// Milliseconds that it saves them in the planning period.
    pub saved_ms: f64,
}

impl Image {
    /// The packages as ids.
    pub fn package_ids(&self) -> Vec<PackageId> {
        let ecosystem = self.platform.language.ecosystem();
        self.packages.iter().filter_map(|spec| PackageId::from_spec(ecosystem, spec).ok()).collect()
    }
}

/// Which image serves a function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Assignment {
    /// Function id.
    pub function: String,
    /// Image id.
    pub image: String,
    /// Digest of platform, trust domain and closure: functions that share it are one class.
    pub class: String,
    /// Cold starts counted.
    pub weight: f64,
    /// Milliseconds saved per cold start.
    pub saved_ms: f64,
    /// Milliseconds that the function still loads itself per start.
    pub remaining_ms: f64,
    /// The image it would get without this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_best: Option<NextBest>,
}

/// The second choice for a function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NextBest {
    /// Image id.
    pub image: String,
    /// Milliseconds saved per cold start.
    pub saved_ms: f64,
}

/// A function that starts cold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Unserved {
    /// Function id.
    pub function: String,
    /// As in [`Assignment`]; absent when the platform is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Cold starts counted.
    pub weight: f64,
    /// Milliseconds that it loads per cold start, as far as costs are known.
    pub load_ms: f64,
    /// Why no image serves it.
    pub why: WhyUnserved,
}

/// Functions in one state other than `locked`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Open {
    /// What is known of their closures.
    pub state: State,
    /// How many they are.
    pub functions: usize,
    /// Their part of the weight of all functions, from 0 to 1.
    pub weight_share: f64,
}

/// Why no image serves a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WhyUnserved {
    /// It loads nothing that an image could hold.
    NothingToShare,
    /// None of its packages has a known version.
    Unresolved,
    /// Its platform is not known.
    UnknownPlatform,
    /// An image would cost more memory than it is worth under this budget.
    NotWorthIt,
    /// No image that could serve it fits the budget at all.
    TooLarge,
    /// Its packages have no known cost.
    UnknownCost,
}
