//! Imports + declarations + lock + platform → closure, with the reason for every package.
//!
//! Invariant: a version enters a closure only from a file that names it; everything else stays `unresolved`.

mod dependencies;
pub mod explain;
mod imports;
pub mod local;
mod memo;
pub mod names;
mod node;
mod packages;
pub mod pins;
pub mod provided;
pub mod relock;
mod scan;
pub mod stdlib;
#[cfg(test)]
mod tests;
mod tsconfig;

pub use pins::Pins;
pub use scan::{Progress, ScanOptions, scan, scan_tree};
