//! What functions have in common.

pub mod classes;
