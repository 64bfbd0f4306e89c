//! `plan.json`: which images to keep, which function each serves, and how good that is.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::costs::CostSource;
use super::diagnostic::Diagnostic;
use super::inventory::{Function, State};
use super::manifest::Warmup;
use super::name::PackageId;
use super::platform::Platform;
use super::wishes::{PoolOf, REST, Wish, Wished};

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
    /// Which functions an image may serve.
    pub share: Share,
    /// Memory that the chosen images take together, MB.
    pub memory_mb: f64,
    /// Which functions `objective`, `bound`, `gap` and `status` are about. Plans of earlier versions aim at the known ones.
    #[serde(default)]
    pub aim: Aim,
    /// Milliseconds saved in the planning period, which the planner makes as large as it can: Σ weight × (load of the
    /// image − swap) over the functions that are aimed at.
    pub objective: f64,
    /// No plan made of the candidates that `bound_covers` names saves more than this, ms.
    pub bound: f64,
    /// `(bound − objective) / bound`, 0 when the bound is 0.
    pub gap: f64,
    /// `optimal` only when the gap is closed over the candidates named.
    pub status: Status,
    /// How plan and bound were found: `greedy+local-search`, `milp (microlp)` …; `lagrangian`.
    pub method: Method,
    /// What else is known of the bound.
    #[serde(default, skip_serializing_if = "Proof::is_empty")]
    pub proof: Proof,
    /// What the bound is relative to.
    pub bound_covers: String,
    /// Milliseconds that all planned functions load in the period without any image (known costs only).
    pub total_ms: f64,
    /// What of `total_ms` the plan saves the functions that there are, as a share: that of `known`, whatever the aim.
    pub saved_share: f64,
    /// What the plan saves the functions that there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<Known>,
    /// With the aim `expected`: what was planned for besides the functions that there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expected>,
    /// `uniform` (every function weighs 1) or the trace's description.
    pub weights: String,
    /// Share of `known.objective` that rests on each source of cost; keys are sources.
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
    /// Pools with budgets of their own, in the order in which functions are given to them; the last, `default`, is that of
    /// all other functions. None when there is only that one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<PoolPlan>,
    /// What was asked of the plan besides its budget, and how it is met.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub demands: Vec<Demanded>,
    /// Functions whose closure is not known as a whole, by state: what of the weight could not be placed, or in part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<Open>,
    /// What became of the images of the plan that this one was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    /// What the calls in `images[].warmup` take and save, besides all other figures. Absent when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmups: Option<Warmups>,
    /// What the planner had to leave out or assume.
    #[serde(default)]
    pub diagnostics: Vec<Diagnostic>,
}

/// Calls that images make before they serve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Warmups {
    /// MB that they add to the images: with `memory_mb` of the plan at most the budget.
    pub memory_mb: f64,
    /// Milliseconds that they save in the planning period: what first calls are spared, less what the added memory takes of
    /// swaps.
    pub saved_ms: f64,
}

/// How a plan differs from the one before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Changes {
    /// Most images that might be built, or built anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_changes: Option<usize>,
    /// Share of `best_objective` that might be given up for fewer changes.
    pub max_loss: f64,
    /// What the best plan saves that was found without regard to the one before, ms.
    pub best_objective: f64,
    /// `1 − objective / best_objective`, at least 0: what keeping images costs.
    pub loss: f64,
    /// Images that stay as they are.
    pub kept: usize,
    /// Images that have to be built; sorted.
    pub built: Vec<String>,
    /// Images that stay but have to be built on another parent; sorted.
    pub reparented: Vec<String>,
    /// Images of the plan before that are not in this one; sorted.
    pub removed: Vec<Removed>,
}

/// An image that left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Removed {
    /// Its id in the plan before.
    pub image: String,
    /// Why it had to leave; none when others are worth more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Plan {
    /// Milliseconds that the plan saves the functions that there are.
    pub fn known_ms(&self) -> f64 {
        // Plans of earlier versions have no other objective.
        self.known.map_or(self.objective, |known| known.objective)
    }
}

/// For which functions a plan is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Aim {
    /// Those that there are, and nothing else.
    #[default]
    Known,
    /// Those that will come, as far as the known ones tell: a part of each known closure's weight goes to parts of it
    /// that a new function may have. The weights add up to those of the known functions.
    Expected,
}

/// What a plan saves the functions that there are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Known {
    /// Milliseconds saved in the planning period: Σ weight × (load of the image − swap).
    pub objective: f64,
    /// `objective / total_ms`, 0 when nothing is loaded.
    pub saved_share: f64,
}

/// What a plan is made for besides the functions that there are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Expected {
    /// Closures that no known function has.
    pub closures: usize,
    /// Share of the weight that was moved from known closures to parts of them.
    pub weight_share: f64,
}

/// Which functions an image may serve.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Share {
    /// Those whose closure holds every package of the image.
    #[default]
    Subset,
    /// Besides those, locked functions that what the image holds beyond their closure cannot disturb: no package of it
    /// has the name or a module of one that they load, or a module that they look for themselves.
    Superset,
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Share::Subset => "subset",
            Share::Superset => "superset",
        })
    }
}

impl Share {
    /// Whether it is the rule that holds where none is named.
    pub fn is_subset(&self) -> bool {
        *self == Share::Subset
    }
}

/// A pool's part of the plan. All figures are those of one host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PoolPlan {
    /// Whose functions its images serve.
    #[serde(flatten)]
    pub of: PoolOf,
    /// Memory that its images may use, MB.
    pub budget_mb: f64,
    /// Memory that they take together, MB.
    pub memory_mb: f64,
    /// How many they are.
    pub images: usize,
    /// Milliseconds that they save in the planning period.
    pub objective: f64,
    /// No images within its limits save more, ms; relative to what the plan's `bound_covers` names.
    pub bound: f64,
    /// `(bound − objective) / bound`, 0 when the bound is 0.
    pub gap: f64,
}

/// Something that was asked of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Demanded {
    /// In words: `floor payments-* = 80 %`.
    pub text: String,
    /// What, for whom, and where it was said.
    #[serde(flatten)]
    pub wished: Wished,
    /// Whether the plan does it.
    pub met: bool,
    /// What the plan reaches; absent when the fleet has nothing that this could be said of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has: Option<f64>,
    /// What is asked for: for a floor at least so much, for all else at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// Of `has` and `limit`: `MB`, `images`, `share`, `packages`, `functions`.
    pub unit: String,
    /// The function or image that comes nearest to the limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
}

impl Plan {
    /// The pool that a function belongs to; none for that of all functions that no other takes.
    pub fn pool_of(&self, function: &Function) -> Option<&str> {
        self.pools.iter().map(|p| &p.of).find(|p| p.name == REST || p.holds(function)).and_then(|p| match &p.name {
            name if name == REST => None,
            name => Some(name.as_str()),
        })
    }

    /// Whether it is asked for that a function starts cold.
    pub fn is_cold(&self, function: &Function) -> bool {
        self.demands.iter().any(|d| matches!(d.wished.wish, Wish::Cold { .. }) && d.wished.wish.names(&function.id))
    }

    /// Whether a function may be put onto an image as far as platform, trust domain, pool and demands go.
    pub fn admits(&self, image: &Image, function: &Function) -> bool {
        function.platform.as_ref() == Some(&image.platform)
            && function.trust_domain == image.trust_domain
            && (self.pools.is_empty() || self.pool_of(function) == image.pool.as_deref())
            && !self.is_cold(function)
    }
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Method {
    /// `greedy`, `greedy+local-search`, `greedy+local-search+branch-and-bound`, `milp (microlp)`, `milp (highs)`.
    pub plan: String,
    /// `lagrangian`, `lagrangian+paths`, `lagrangian+paths+branch-and-bound`, `milp (microlp)`, `milp (highs)`.
    pub bound: String,
}

/// How `bound` was proven, and what another method says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Proof {
    /// That of `bound`: `method.bound`.
    pub method: String,
    /// The next best bound, by another method: no plan saves more than this either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_bound: Option<OtherBound>,
    /// Seconds that a proof might take. Absent when none was asked for: the plan is then the same on every machine, and
    /// says nothing of time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_allowed: Option<f64>,
    /// Seconds that it took, wall clock; with `seconds_allowed` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

impl Proof {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A bound by another method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OtherBound {
    /// As in [`Method::bound`].
    pub method: String,
    /// ms.
    pub value: f64,
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
    /// The pool, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
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
    /// Whose pool it is; absent for that of all functions that no other takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// `name==version` or `name@version`, the parent's included; sorted.
    pub packages: Vec<String>,
    /// Modules to load, in order: what its functions really import. `module:name` is what `from module import name` loads.
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
    /// Calls to make after loading and before serving. Their memory and what they save is in no other figure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warmup: Vec<Warmup>,
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
    /// Packages of the image that the function does not load: none under the subset rule.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unneeded: usize,
    /// Their resident MB.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub unneeded_mb: f64,
    /// The image it would get without this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_best: Option<NextBest>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_nothing(mb: &f64) -> bool {
    *mb == 0.0
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
    /// It is asked for that it starts cold.
    Asked,
    /// It is asked for that no image holds what it loads.
    Excluded,
}
