//! An upper bound on what any plan made of the candidates can save, by Lagrangian relaxation.
//!
//! With v_fi what image i saves demand f, a_i what it takes by itself (memory, disk, 1 where images are counted), s_i what
//! a child saves that is forked from it, and caps B_b, the problem is
//!
//! ```text
//! max Σ_f w_f Σ_i v_fi y_fi
//!     Σ_i y_fi ≤ 1                                       for each demand f          price u_f ≥ 0
//!     Σ_{j ⊂ i} z_ji ≤ x_i                               for each image i           price d_i ≥ 0
//!     Σ_i a_bi x_i − Σ_{i ⊂ k} s_bi z_ik ≤ B_b           for each budget b          price β_b ≥ 0
//!     Σ_{i ∈ S} y_fi ≤ Σ_{i ∈ S} (x_i − Σ_{j ∈ S} z_ji)  for some f, S (see paths)  price m_fS ≥ 0
//!     y_fi ≤ x_i,  z_ij ≤ x_i,  x, y, z ∈ {0, 1}
//! ```
//!
//! z_ji says that image i is forked from image j; an image without a parent is forked from the bare host. The last rows
//! follow from the others when all is whole: they are what makes the relaxation tight.
//!
//! Paying the prices instead of keeping the priced constraints leaves one question for each image, whether to open it:
//!
//! ```text
//! L = Σ_f u_f + Σ_b β_b B_b
//!   + Σ_i max(0, Σ_f (w_f v_fi − u_f − Σ_{S ∋ i} m_fS)⁺ + Σ_{k ⊃ i} (Σ_b β_b s_bi − d_k − Σ_{f, S ∋ i,k} m_fS)⁺
//!                + d_i + Σ_{f, S ∋ i} m_fS − Σ_b β_b a_bi)
//! ```
//!
//! which no feasible plan exceeds, whatever the prices. They are improved by subgradient steps: with a rate of its own
//! for each price from afar (Adam: Kingma and Ba, ICLR 2015), by the volume algorithm (Barahona and Anbil, Mathematical
//! Programming 87, 2000) close by. The result is only as tight as the prices are good, never wrong. The question for an
//! image has an integral answer, so the best L is the bound of the linear relaxation.
//!
//! Fixing: where opening (or closing) image i would take L below what a known plan saves, no better plan opens (closes)
//! it. What remains is bounded by max(L over the remaining images, what the known plan saves).

mod paths;
mod relaxation;
mod rows;
#[cfg(test)]
mod tests;
mod walk;

use super::greedy::Limits;
use super::instance::Instance;
use super::state::State;
pub(super) use paths::Networks;
pub(super) use relaxation::{Part, Prices, Relaxation};
pub use rows::PathRow;
pub(super) use walk::{Pace, Rule, Walk};

/// Evaluations of L.
const STEPS: usize = 1_500;
/// Terms of L that are added up in all.
const WORK: usize = 100_000_000;
/// Steps without a gain worth having after which no more are taken.
const PATIENCE: usize = 300;
/// Steps after which images are fixed.
const FIX_EVERY: usize = 100;
/// Share of the known plan's prices to start from.
const START: f64 = 0.7;
/// Relative room for the rounding errors of one evaluation of L.
pub(super) const SLACK: f64 = 1e-9;

/// An upper bound and how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    /// No plan made of the candidates saves more, ms.
    pub value: f64,
    /// Evaluations of L.
    pub steps: usize,
    /// Candidates that a plan better than the known one may hold: the others are excluded by the bound.
    pub open: Vec<bool>,
    /// Candidates that every better plan holds.
    pub forced: Vec<bool>,
    /// The best prices that were found.
    pub(super) prices: Prices,
}

/// Bounds what plans made of the instance's candidates can save, starting from the prices that a known plan suggests.
pub fn lagrangian(instance: &Instance, limits: &Limits, known: &State) -> Bound {
    let relaxation = Relaxation::new(instance, limits, known);
    let mut part = relaxation.whole(instance, limits);
    let incumbent = known.objective();
    let scale = relaxation.scale();
    // Free memory: every demand gets the best that there is for it. Hard to beat once nearly all are served.
    let mut free = relaxation.nothing();
    free.u.clone_from(&scale.u);
    relaxation.trim(&part, &mut free);
    let mut at = relaxation.blank();
    relaxation.evaluate(&part, &free, &mut at);
    let bound = at.value;
    // What the known plan pays, less what competition would take off.
    let mut start = scale.clone();
    start.u.iter_mut().zip(&known.best).zip(&instance.weights).for_each(|((u, best), w)| *u = best * w * START);
    start.d.iter_mut().for_each(|d| *d *= 1.0 - START);
    // Large instances get fewer steps, but never too few to learn from.
    let steps = (WORK / relaxation.terms()).clamp(200, STEPS);
    let rule = Rule::Adaptive { first: 0.05, last: 0.0005 };
    let pace = Pace { steps, patience: PATIENCE, fix_every: FIX_EVERY, rule, until: None };
    let walk = relaxation.walk(&mut part, start, &scale, incumbent, pace);
    relaxation.fix(&mut part, &walk.prices, &walk.at, incumbent);
    let value = bound.min(walk.best).max(incumbent) * (1.0 + SLACK);
    Bound { value, steps: walk.steps + 1, open: part.open, forced: part.forced, prices: walk.prices }
}
