//! From imports, declarations and locks to closures.

pub mod local;
pub mod names;
pub mod provided;
pub mod stdlib;
