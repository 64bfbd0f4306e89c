//! Classes, and which packages occur together.
//!
//! Invariant: counts come from closures alone; prices are handed in, so that the graph does not depend on where they
//! come from.

pub mod bundles;
pub mod classes;
pub mod communities;
pub mod cooccurrence;

use crate::model::{PackageId, Platform};

/// What a package costs: load milliseconds and resident MB, both exclusive.
pub type PriceOf<'a> = dyn Fn(&PackageId, &Platform) -> Option<(f64, f64)> + 'a;
