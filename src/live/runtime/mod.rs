//! The reference runtime: acts on a swap manifest and the folders that it names.

pub mod provision;
