//! Classes, and which packages occur together.
//!
//! Invariant: counts come from closures alone; prices are handed in, so that the graph does not depend on where they
//! come from.

pub mod bundles;
pub mod classes;
pub mod communities;
pub mod cooccurrence;
