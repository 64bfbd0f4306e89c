//! Chooses the images: candidates, greedy, local search, an exact model where it is small enough, a bound always.
//!
//! The way through: [`problem()`] → [`plan()`] → [`to_plan()`] → [`verify::verify`]. All of it is a pure function of its
//! input: no clock, no thread and no hash order decides how a plan turns out (but a time limit that the caller asks for).

pub mod backend;
pub mod bound;
pub mod candidates;
pub mod check;
pub mod decomposed;
pub mod division;
pub mod greedy;
pub mod instance;
mod lazy;
pub mod local_search;
pub mod model;
pub mod problem;
pub mod state;
mod subsets;
mod to_plan;
pub mod tree;
pub mod verify;

use std::time::Duration;

use rayon::prelude::*;

use crate::model::plan::{Method, Size, Status};
use state::State;

use backend::Effort;
pub use division::Share;
pub use greedy::Limits;
pub use instance::Instance;
pub use to_plan::{Context, to_plan};

pub use problem::{Demand, Group, Item, Price, Problem, Set, problem};

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
    /// When the exact model is solved.
    pub exact: Exact,
    /// For the exact model only. Without one the result is the same on every machine.
    pub time_limit: Option<Duration>,
    /// Candidates for each platform and trust domain.
    pub max_candidates: usize,
    /// How much is done to tighten the bound: terms of the relaxation that branch and bound may add up, in millions. The
    /// result is the same on every machine. 0: the plain Lagrangian bound.
    pub effort: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            budget_mb: 1024.0,
            max_images: None,
            exact: Exact::Auto,
            time_limit: None,
            max_candidates: 50_000,
            effort: EFFORT,
        }
    }
}

impl Options {
    fn limits(&self) -> Limits {
        Limits { max_images: self.max_images.unwrap_or(usize::MAX), ..Limits::memory(self.budget_mb) }
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
    Bound(f64),
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
    Instance::new(problem, &families)
}

/// Columns up to which the exact model is solved without being asked for: on parts of ReqBench microlp took at most 0.25 s
/// there, up to 2.3 s below 2,000, and beyond that sometimes no end was seen.
const AUTO_COLUMNS: usize = 1_000;
/// Branch-and-bound nodes that it may then take. A number of nodes and not of seconds: the plan must be the same on every
/// machine.
const AUTO_NODES: u32 = 5_000;
/// [`Options::effort`] unless stated: 0.15 to 0.25 s.
pub const EFFORT: u32 = 250;
/// Pairs of candidates, and of candidates and demands, beyond which groups are bounded each by itself at a common price of
/// memory, and neither branch and bound nor the exact model is tried.
const LARGE: usize = 400_000;
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
    /// Σ weight × (load − swap), ms.
    pub objective: f64,
    /// No plan made of the candidates saves more, ms.
    pub bound: f64,
    /// MB that the images take.
    pub memory_mb: f64,
    /// How far the search got.
    pub status: Status,
    /// How plan and bound were found.
    pub method: Method,
    /// What the bound is relative to.
    pub bound_covers: String,
    /// For each class, the MB of the smallest image that could save its functions anything.
    pub smallest_mb: Vec<Option<f64>>,
    /// For each group, what it has of the plan.
    pub shares: Vec<Share>,
    /// Numbers of the problem.
    pub size: Size,
}

impl Solution {
    /// `(bound − objective) / bound`, 0 when the bound is 0.
    pub fn gap(&self) -> f64 {
        if self.bound > 0.0 { ((self.bound - self.objective) / self.bound).max(0.0) } else { 0.0 }
    }
}

/// Chooses images: greedy, local search, a Lagrangian bound, and the exact model where the options say so.
pub fn plan(problem: &Problem, options: &Options, progress: &dyn Fn(Progress)) -> Solution {
    let limits = options.limits();
    let floor = division::floor(problem, &limits);
    let instance = instance_above(problem, options.max_candidates, floor);
    let (candidates, parent_pairs) = (instance.candidates.len(), instance.parent_pairs());
    progress(Progress::Candidates { candidates, parent_pairs });

    let search = greedy::greedy(&instance, &limits);
    progress(Progress::Incumbent(search.state.objective()));
    let mut best = division::improve(search, &limits).state;
    progress(Progress::Incumbent(best.objective()));
    if instance.parent_pairs() + instance.service_pairs() > LARGE {
        let price = division::margin(&best);
        let bound = decomposed::bound(&instance, &limits, &best, price, &|bound| progress(Progress::Bound(bound)));
        let method = Method { plan: "greedy+local-search".into(), bound: "lagrangian".into() };
        return solution(problem, &instance, &best, bound, method, options, floor);
    }

    let lagrangian = bound::lagrangian(&instance, &limits, &best);
    let mut bound = lagrangian.value;
    progress(Progress::Bound(bound));
    let mut method = Method { plan: "greedy+local-search".into(), bound: "lagrangian".into() };

    let mut open = lagrangian.open.clone();
    if is_open(best.objective(), bound) && options.effort > 0 {
        let work = u64::from(options.effort) * 1_000_000;
        let found = tree::search(&instance, &limits, &lagrangian, &best, work, &|known, bound| {
            progress(Progress::Incumbent(known));
            progress(Progress::Bound(bound));
        });
        if let Some(better) = found.better {
            best = State::with(&instance, better);
            method.plan = "greedy+local-search+branch-and-bound".into();
            progress(Progress::Incumbent(best.objective()));
        }
        if found.value < bound {
            bound = found.value;
            method.bound = "lagrangian+branch-and-bound".into();
            progress(Progress::Bound(bound));
        }
        open = found.open;
    }

    if is_open(best.objective(), bound) && options.exact != Exact::Never {
        // What the bound excludes cannot be part of a better plan.
        let (small, old) = instance.restrict(&open);
        let columns = model::columns(&small);
        if options.exact == Exact::Always || columns <= AUTO_COLUMNS {
            let start = restricted(&small, &old, &best);
            let model = model::model(&small, &limits, &start);
            progress(Progress::Exact { variables: model.columns.len(), constraints: model.rows.len() });
            let effort = match options.exact {
                Exact::Always => Effort { time: options.time_limit, nodes: None },
                _ => Effort { time: options.time_limit, nodes: Some(AUTO_NODES) },
            };
            let answer = backend::solve(&model, effort);
            take_exact(&instance, &limits, &old, answer, &mut best, &mut bound, &mut method);
            progress(Progress::Incumbent(best.objective()));
            progress(Progress::Bound(bound));
        }
    }
    solution(problem, &instance, &best, bound, method, options, floor)
}

/// Whether more can be hoped for.
fn is_open(objective: f64, bound: f64) -> bool {
    bound - objective > OPTIMAL * bound
}

/// The part of a choice that a restricted instance knows.
fn restricted<'a>(small: &'a Instance, old: &[usize], choice: &State) -> State<'a> {
    State::with(small, (0..old.len()).filter(|&k| choice.chosen[old[k]]))
}

/// Takes what the exact model adds: a better plan when it holds, a lower bound when one is proven.
fn take_exact<'a>(
    instance: &'a Instance,
    limits: &Limits,
    old: &[usize],
    answer: backend::Answer,
    best: &mut State<'a>,
    bound: &mut f64,
    method: &mut Method,
) {
    let name = format!("milp ({})", backend::NAME);
    let known = best.objective();
    let mut reached = known;
    if let Some(values) = &answer.values {
        let mut search = greedy::Search::new(instance);
        (0..old.len()).filter(|&k| values[k] > 0.5).for_each(|k| search.add(old[k]));
        let within = |s: &State| s.missing == 0 && limits.keeps(s);
        if within(&search.state) {
            local_search::tidy(&mut search);
            reached = search.state.objective();
            if reached > known * (1.0 + 1e-12) && within(&search.state) {
                *best = search.state;
                method.plan.clone_from(&name);
            }
        }
    }
    // A solver that claims less than what is known to be possible has erred: its bound proves nothing.
    if let Some(proven) = answer.bound.filter(|proven| *proven >= known.max(reached) * (1.0 - OPTIMAL)) {
        let proven = proven.max(best.objective()) * (1.0 + 1e-9);
        if proven < *bound {
            *bound = proven;
            method.bound = name;
        }
    }
}

fn solution(
    problem: &Problem,
    instance: &Instance,
    best: &State,
    bound: f64,
    method: Method,
    options: &Options,
    floor: f64,
) -> Solution {
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
    let count = instance.candidates.len();
    let status = if count == 0 {
        Status::Empty
    } else if is_open(objective, bound) {
        Status::Feasible
    } else {
        Status::Optimal
    };
    let family = "closures, their intersections and what single packages need, each cut to its dependency-closed core \
                  and trimmed of what saves nothing";
    let bound_covers = if instance.complete {
        format!("every plan made of the {count} candidates: {family}")
    } else if problem.groups.iter().any(candidates::is_large) {
        format!(
            "every plan made of {count} candidates: closures, intersections of those alike and what single packages need, \
             as far as all their starts could save {floor:.3} ms for each MB of a bare host; at most {} for each platform \
             and trust domain",
            options.max_candidates
        )
    } else {
        let limit = options.max_candidates;
        format!("every plan made of {count} candidates: the first by weight × load of {family}; limit {limit} reached")
    };
    Solution {
        chosen,
        objective,
        bound: bound.max(objective),
        memory_mb: best.memory(),
        status,
        method,
        bound_covers,
        smallest_mb: smallest_mb(problem, instance),
        shares: division::shares(best),
        size: Size {
            functions: problem.functions,
            classes: problem.class_weight.len(),
            candidates: count,
            parent_pairs: instance.parent_pairs(),
        },
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
