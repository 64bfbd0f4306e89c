//! Functions that a file declares: one reader a kind of declaration.

pub mod cdk;
mod expand;
pub mod lambda;
pub mod serverless;
pub mod template;
pub mod terraform;
