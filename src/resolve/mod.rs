//! Imports + declarations + lock + platform → closure, with the reason for every package.
//!
//! Invariant: a version enters a closure only from a file that names it; everything else stays `unresolved`.

mod cache;
mod dependencies;
pub mod explain;
mod group;
mod imports;
pub mod local;
mod memo;
mod merge;
pub mod names;
mod node;
mod packages;
pub mod pins;
pub mod provided;
pub mod relock;
mod scan;
mod shard;
pub mod stdlib;
#[cfg(test)]
mod tests;
mod tsconfig;

pub use group::{Key, ScanOptions, Store};
pub use merge::{MergeError, Merged, Merger};
pub use packages::Packages;
pub use pins::Pins;
pub use scan::{Progress, Rest, Scanner, scan, scan_path, scan_tree};
pub use shard::Shard;
