//! Where the functions of a fleet are.
pub mod doc;
pub mod paths;
pub mod tree;
