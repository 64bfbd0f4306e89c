//! Which functions could share more if they moved to versions that other functions have, inside their own ranges.
//!
//! 1. Every version that some locked function has, and others of its platform and trust domain do not, is a target;
//!    targets are ordered by what the others load of it and of what it requires ([`candidates`]).
//! 2. For the heaviest, [`moves`] says for each lock what moving changes, and what forbids it.
//! 3. The plan is recomputed for the heaviest moves, alone and then one after another, each time taking the one that adds
//!    most ([`search`]). What is advised has been planned with the same effort as the plan of the fleet as it is.
//!
//! No registry is asked and no version is invented. All of it is a pure function of its input.

mod candidates;
mod change;
mod fleet;
mod moves;
pub mod ranges;
mod search;

use crate::model::inventory::Inventory;
use crate::model::plan::Plan;
use crate::model::{PackageId, Platform};

use crate::model::advice::Effect;

pub use search::advise;

/// How hard a plan is searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// To compare moves: without a proof.
    Quick,
    /// As the plan that is built.
    Full,
}

/// Plans a fleet that differs from the given one only in closures and in what packages require.
pub type Planner<'p> = dyn Fn(&Inventory, Effort) -> Result<Plan, String> + 'p;

/// What loading a package costs: milliseconds and MB; `None` where that is not known.
pub type Cost<'p> = dyn Fn(&PackageId, &Platform) -> Option<(f64, f64)> + 'p;

/// What to advise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Most pieces of advice.
    pub max_advice: usize,
    /// Least share of all load time, or of the images' memory, that a piece must save.
    pub min_gain: f64,
    /// Targets whose ranges are checked.
    pub max_checked: usize,
    /// Quick plans to compare moves.
    pub max_plans: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_advice: 10, min_gain: 0.001, max_checked: 400, max_plans: 160 }
    }
}

/// What a plan comes to.
pub fn effect(plan: &Plan) -> Effect {
    Effect {
        objective: plan.objective,
        total_ms: plan.total_ms,
        remaining_ms: crate::model::units::round(plan.total_ms - plan.objective, 6),
        memory_mb: plan.memory_mb,
        images: plan.images.len(),
    }
}

#[cfg(test)]
mod tests;
