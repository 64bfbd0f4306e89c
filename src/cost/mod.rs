//! What loading a package costs, where that figure comes from, and how often each function starts cold.
//!
//! Invariant: a cost is never invented. Each figure names its source; a package without one has none.

mod estimate;
mod prices;
pub mod schedule;
mod sheet;
pub mod trace;

pub use prices::{AssumedCost, Price, Prices, prior, read, resolve};
