//! Chooses the images: candidates, greedy, local search, an exact model where it is small enough, a bound always.
//!
//! The way through: [`problem()`] → [`plan()`] → [`to_plan()`] → [`verify::verify`]. All of it is a pure function of its
//! input: no clock, no thread and no hash order decides how a plan turns out (but a time limit that the caller asks for).

pub mod bound;
pub mod candidates;
pub mod greedy;
pub mod instance;
pub mod local_search;
pub mod problem;
pub mod state;

use std::time::Duration;

pub use greedy::Limits;
pub use instance::Instance;
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
}

impl Default for Options {
    fn default() -> Self {
        Self { budget_mb: 1024.0, max_images: None, exact: Exact::Auto, time_limit: None, max_candidates: 5_000 }
    }
}

impl Options {
    fn limits(&self) -> Limits {
        Limits { budget_mb: self.budget_mb, max_images: self.max_images.unwrap_or(usize::MAX) }
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
    let families: Vec<_> = problem.groups.iter().map(|g| candidates::candidates(g, max_candidates)).collect();
    Instance::new(problem, &families)
}
