//! Names, versions, functions, packages, plans, diagnostics: what every other layer speaks about.
//!
//! Invariant: nothing here reads, writes or solves. Every artefact type serialises to the same bytes for the same value.

pub mod advice;
pub mod codes;
pub mod costs;
pub mod curve;
pub mod diagnostic;
pub mod inventory;
pub mod lines;
pub mod manifest;
pub mod name;
pub(crate) mod nesting;
pub mod plan;
pub mod platform;
pub mod read;
pub mod schema;
pub mod severity;
pub mod support;
pub mod units;
pub mod wishes;

pub use advice::Advice;
pub use codes::Code;
pub use costs::{Cost, CostSource, Costs, How, LanguageCosts, MeasuredWarmup};
pub use diagnostic::{Diagnostic, Place};
pub use inventory::{Function, Import, ImportKind, Inventory, Package, State};
pub use lines::Lines;
pub use name::{Ecosystem, PackageId, ParsePackageIdError, normalise_pypi};
pub use plan::{Assignment, Image, Plan};
pub use platform::{Language, Platform};
pub use schema::check_schema;
pub use severity::Severity;
pub use support::{Area, Extent, Support};

/// What wrote an artefact, for its `generator` field.
pub const GENERATOR: &str = concat!("warmset ", env!("CARGO_PKG_VERSION"));
