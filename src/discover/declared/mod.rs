//! Functions that a file declares: one reader a kind of declaration.

pub mod serverless;
pub mod template;
