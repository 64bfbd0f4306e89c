//! What loading a package costs, where that figure comes from, and how often each function starts cold.
//!
//! Invariant: a cost is never invented. Each figure names its source; a package without one has none.

pub mod attribution;
pub mod cover;
mod estimate;
pub mod loads;
pub mod modules;
mod prices;
pub mod schedule;
mod sheet;
pub mod stats;
pub mod trace;

pub use prices::{AssumedCost, Price, Prices, prior, read, resolve};
