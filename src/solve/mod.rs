//! Chooses the images: candidates, greedy, local search, an exact model where it is small enough, a bound always.
//!
//! The way through: [`problem()`] → [`plan()`] (which may add what is expected, [`prior`]) → [`to_plan()`] →
//! [`verify::verify`]. All of it is a pure function of its
//! input: no clock, no thread and no hash order decides how a plan turns out (but a time limit that the caller asks for).

pub mod advise;
pub mod backend;
pub mod bound;
pub mod candidates;
pub mod check;
pub mod contradictions;
pub mod decomposed;
pub mod division;
pub mod feasible;
pub mod greedy;
pub mod instance;
mod lazy;
pub mod local_search;
pub mod model;
pub mod pools;
pub mod prior;
pub mod problem;
pub mod prove;
pub mod required;
pub mod stable;
pub mod state;
mod subsets;
pub mod superset;
pub mod sweep;
mod to_plan;
pub mod tree;
mod trim;
pub mod usable;
pub mod verify;
pub mod warmup;
pub mod wishes;

use std::borrow::Cow;
use std::time::Duration;

use rayon::prelude::*;

use crate::model::plan::{Expected, Method, Proof, Share, Size, Status};
use state::State;

pub use crate::model::plan::Aim;
pub use division::Portion;
pub use greedy::Limits;
pub use instance::Instance;
pub use to_plan::{Context, to_plan};

pub use problem::{Demand, Group, Item, Old, Price, Problem, Set, problem};
pub use stable::Stable;

/// When the exact model is solved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Exact {
    /// When it is so small that solving it takes a moment.
    #[default]
    Auto,
    /// Not at all.
    Never,
    /// Whatever its size.
    Always,
}

/// What a plan must keep to, and how hard to search.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Memory for all images together, MB.
    pub budget_mb: f64,
    /// Most images.
    pub max_images: Option<usize>,
    /// Disk for the packages of all images together, MB.
    pub disk_mb: Option<f64>,
    /// Which functions an image may serve. [`Share::Superset`] needs a problem that [`superset::widen`] has gone over.
    pub share: Share,
    /// When the exact model is solved.
    pub exact: Exact,
    /// For the exact model only. Without one the result is the same on every machine.
    pub time_limit: Option<Duration>,
    /// Candidates for each platform and trust domain.
    pub max_candidates: usize,
    /// How much is done to tighten the bound: terms of the relaxation that branch and bound may add up, in millions. The
    /// result is the same on every machine. 0: the plain Lagrangian bound.
    pub effort: u32,
    /// Time to spend on a proof once the plan is made, which may still improve the plan. With it the result depends on the
    /// machine.
    pub prove: Option<Duration>,
    /// For which functions to plan; but see [`Options::aim`].
    pub aim: Aim,
    /// Keeps the images that there are (see [`stable::note`]) as far as that is worth it.
    pub stable: Option<Stable>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            budget_mb: 1024.0,
            max_images: None,
            disk_mb: None,
            share: Share::Subset,
            exact: Exact::Auto,
            time_limit: None,
            max_candidates: 50_000,
            effort: EFFORT,
            prove: None,
            aim: Aim::Expected,
            stable: None,
        }
    }
}

impl Options {
    /// For which functions a plan is made. Under the superset rule those that there are: what would disturb a function
    /// that nobody has seen is not known.
    pub fn aim(&self) -> Aim {
        if self.share == Share::Superset { Aim::Known } else { self.aim }
    }

    fn limits(&self) -> Limits {
        Limits {
            max_images: self.max_images.unwrap_or(usize::MAX),
            disk_mb: self.disk_mb.unwrap_or(f64::INFINITY),
            max_new: self.stable.and_then(|s| s.max_changes).unwrap_or(usize::MAX),
            ..Limits::memory(self.budget_mb)
        }
    }
}

/// How far the planner has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Progress {
    /// The candidates are known.
    Candidates {
        /// How many.
        candidates: usize,
        /// Possible parent → child pairs.
        parent_pairs: usize,
    },
    /// A plan is known that saves so many ms.
    Incumbent(f64),
    /// No plan saves more than so many ms.
    Bound {
        /// That.
        ms: f64,
        /// By which method: as in [`Proof::method`].
        by: &'static str,
    },
    /// The exact model is being solved.
    Exact {
        /// Its columns.
        variables: usize,
        /// Its rows.
        constraints: usize,
    },
}

/// Builds the instance that [`plan`] solves: for benchmarks and tests that look inside.
pub fn instance(problem: &Problem, max_candidates: usize) -> Instance {
    instance_above(problem, max_candidates, 0.0)
}

/// The instance, where groups are large without what could not save `floor` ms for each MB of a bare host.
fn instance_above(problem: &Problem, max_candidates: usize, floor: f64) -> Instance {
    let families: Vec<_> =
        problem.groups.par_iter().map(|g| candidates::candidates_above(g, max_candidates, floor)).collect();
    Instance { floor, ..Instance::new(problem, families) }
}

/// [`Options::effort`] unless stated: about 0.15 s.
pub const EFFORT: u32 = 80;
/// Relative gap below which a plan counts as optimal.
const OPTIMAL: f64 = 1e-6;

/// A chosen image.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// Index into [`Problem::groups`].
    pub group: usize,
    /// Its packages.
    pub set: Set,
    /// Index of its parent among the chosen images.
    pub parent: Option<usize>,
}

/// The images that were chosen, and how good that is.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// Sorted by group and set.
    pub chosen: Vec<Chosen>,
    /// Σ weight × (load − swap), ms, over the functions that are aimed at.
    pub objective: f64,
    /// Σ weight × (load − swap), ms, over the functions that there are.
    pub known_objective: f64,
    /// What was planned for besides the functions that there are.
    pub expected: Option<Expected>,
    /// No plan made of the candidates saves more, ms.
    pub bound: f64,
    /// MB that the images take.
    pub memory_mb: f64,
    /// Whether the plan does all that is required of it within its limits. One that does not is the best attempt, and is
    /// not to be used.
    pub met: bool,
    /// How far the search got.
    pub status: Status,
    /// How plan and bound were found.
    pub method: Method,
    /// What else is known of the bound.
    pub proof: Proof,
    /// What the bound is relative to.
    pub bound_covers: String,
    /// The budget of each pool, MB; empty when there is only one.
    pub budgets_mb: Vec<f64>,
    /// For each class, the MB of the smallest image that could save its functions anything.
    pub smallest_mb: Vec<Option<f64>>,
    /// For each group, what it has of the plan.
    pub portions: Vec<Portion>,
    /// Numbers of the problem.
    pub size: Size,
    /// What the best plan found without regard to the images that there are saves, ms; none when nothing was to be kept.
    pub unsettled: Option<f64>,
}

impl Solution {
    /// `(bound − objective) / bound`, 0 when the bound is 0.
    pub fn gap(&self) -> f64 {
        if self.bound > 0.0 { ((self.bound - self.objective) / self.bound).max(0.0) } else { 0.0 }
    }
}

/// The problem that [`plan`] solves: with what is expected, if that is aimed at.
pub fn aimed<'a>(problem: &'a Problem, options: &Options) -> Cow<'a, Problem> {
    match options.aim() {
        Aim::Known => Cow::Borrowed(problem),
        Aim::Expected => Cow::Owned(prior::expected(problem)),
    }
}

/// Chooses images: greedy, local search, a Lagrangian bound, and the exact model where the options say so.
pub fn plan(problem: &Problem, options: &Options, progress: &dyn Fn(Progress)) -> Solution {
    plan_aimed(&aimed(problem, options), options, progress)
}

/// [`plan`] for a problem that says already what is expected.
fn plan_aimed(problem: &Problem, options: &Options, progress: &dyn Fn(Progress)) -> Solution {
    let floor = division::floor(problem, &options.limits());
    let instance = instance_above(problem, options.max_candidates, floor);
    progress(Progress::Candidates { candidates: instance.candidates.len(), parent_pairs: instance.parent_pairs() });
    plan_instance(problem, &instance, options, progress)
}

/// [`plan`] for an instance that is there already; it must be that of the problem, and that what [`aimed`] gives.
pub fn plan_instance(
    problem: &Problem,
    instance: &Instance,
    options: &Options,
    progress: &dyn Fn(Progress),
) -> Solution {
    let limits = options.limits();
    // With images that there are: the best plan without regard to them first, then one near them.
    let free = Limits { max_new: usize::MAX, ..limits };
    let mut search = greedy::greedy(instance, &free);
    if !is_met(&search.state, &free) {
        let feasible::Verdict::Possible(start) = feasible::possible(instance, &free) else {
            let nothing = prove::Proven {
                best: search.state,
                bound: f64::INFINITY,
                method: Method::default(),
                proof: Proof::default(),
            };
            return solution(problem, instance, nothing, options);
        };
        search = greedy::Search::new(instance);
        start.into_iter().for_each(|i| search.add(i));
    }
    progress(Progress::Incumbent(search.state.objective()));
    let mut search = division::improve(search, &free);
    required::improve(&mut search, &free);
    let mut best = search.state;
    if options.share == Share::Superset {
        // A plan under the subset rule is one under this rule too, and what is worth more by it may be out of reach for
        // single exchanges.
        let narrow = instance.narrow(problem);
        let mut search = greedy::greedy(&narrow, &free);
        local_search::local_search(&mut search, &free);
        best = better(best, improved(instance, &free, search.state.members()));
    }
    let settled =
        options.stable.map(|stable| stable::settle(&free, &best, &stable::old_parents(problem, instance), stable));
    if let Some(settled) = &settled {
        best = settled.state.clone();
    }
    progress(Progress::Incumbent(best.objective()));
    let proven = prove::prove(instance, &limits, best, settled.is_none(), options, progress);
    let mut solution = solution(problem, instance, proven, options);
    if let Some(settled) = settled {
        solution.keep(instance, &settled);
    }
    solution
}

impl Solution {
    /// Leaves old images on their old parents.
    fn keep(&mut self, instance: &Instance, settled: &stable::Settled) {
        let members: Vec<usize> = settled.state.members().collect();
        for (&i, &parent) in &settled.parents {
            let place = |i: usize| members.binary_search(&i).ok();
            let Some(k) = place(i) else { continue };
            let more = instance.added_mb(i, parent) - instance.added_mb(i, settled.state.parent(i));
            self.memory_mb += more;
            self.portions[instance.candidates[i].group].memory_mb += more;
            self.chosen[k].parent = parent.and_then(place);
        }
        self.unsettled = Some(settled.best);
    }
}

/// What local search makes of a choice; nothing chosen where it does not keep to the limits.
fn improved<'a>(instance: &'a Instance, limits: &Limits, start: impl Iterator<Item = usize>) -> State<'a> {
    let mut search = greedy::Search::new(instance);
    start.for_each(|i| search.add(i));
    if search.state.missing > 0 || !limits.keeps(&search.state) {
        return State::new(instance);
    }
    local_search::local_search(&mut search, limits);
    search.state
}

/// The one that saves more; the first where both save the same.
fn better<'a>(a: State<'a>, b: State<'a>) -> State<'a> {
    if b.missing == 0 && b.objective() > a.objective() { b } else { a }
}

/// Whether a choice is a plan.
fn is_met(state: &State, limits: &Limits) -> bool {
    state.missing == 0 && limits.keeps(state)
}

/// Whether more can be hoped for.
fn is_open(objective: f64, bound: f64) -> bool {
    bound - objective > OPTIMAL * bound
}

fn solution(problem: &Problem, instance: &Instance, proven: prove::Proven, options: &Options) -> Solution {
    let prove::Proven { best, bound, method, proof } = proven;
    let members: Vec<usize> = best.members().collect();
    let chosen = members
        .iter()
        .map(|&i| Chosen {
            group: instance.candidates[i].group,
            set: instance.candidates[i].set.clone(),
            parent: best.parent(i).and_then(|p| members.binary_search(&p).ok()),
        })
        .collect();
    let objective = best.objective();
    let demands = problem.groups.iter().flat_map(|g| &g.demands);
    let known_objective = demands.zip(&best.best).map(|(demand, best)| demand.known * best).sum();
    let expected = (options.aim() == Aim::Expected).then(|| prior::extent(problem));
    let count = instance.candidates.len();
    let status = if count == 0 {
        Status::Empty
    } else if is_open(objective, bound) {
        Status::Feasible
    } else {
        Status::Optimal
    };
    let mut family =
        "closures, their intersections and what single packages need, each cut to its dependency-closed core \
                      and trimmed of what saves nothing"
            .to_string();
    if options.aim() == Aim::Expected {
        family.push_str(", and closures that are expected");
    }
    if options.share == Share::Superset {
        family.push_str(", and unions of closures as clustering joins them, which are not all unions");
    }
    let bound_covers = if instance.complete {
        format!("every plan made of the {count} candidates: {family}")
    } else if problem.groups.iter().any(candidates::is_large) {
        format!(
            "every plan made of {count} candidates: the first by weight × load of {family}; where there are many closures \
             of their intersections only those of closures alike, and only what could save {:.3} ms for each MB of a bare \
             host",
            instance.floor
        )
    } else {
        let limit = options.max_candidates;
        format!("every plan made of {count} candidates: the first by weight × load of {family}; limit {limit} reached")
    };
    Solution {
        chosen,
        objective,
        known_objective,
        expected,
        bound: if bound.is_finite() { bound.max(objective) } else { objective },
        memory_mb: best.memory(),
        // Too few images to build are told when it is known how many it takes.
        met: is_met(&best, &Limits { max_new: usize::MAX, ..options.limits() }),
        status,
        method,
        proof,
        bound_covers,
        budgets_mb: Vec::new(),
        smallest_mb: smallest_mb(problem, instance),
        portions: division::portions(&best),
        size: Size {
            functions: problem.functions,
            classes: problem.class_weight.len(),
            candidates: count,
            parent_pairs: instance.parent_pairs(),
        },
        unsettled: None,
    }
}

/// For each class, the MB of the smallest candidate that could save its functions anything.
fn smallest_mb(problem: &Problem, instance: &Instance) -> Vec<Option<f64>> {
    let mut smallest = vec![None; problem.class_weight.len()];
    let demands = problem.groups.iter().flat_map(|g| &g.demands);
    for (demand, servers) in demands.zip(&instance.servers) {
        let least = servers.iter().map(|s| instance.added_mb(s.candidate as usize, None)).min_by(f64::total_cmp);
        demand.classes.iter().for_each(|&c| smallest[c] = least);
    }
    smallest
}
