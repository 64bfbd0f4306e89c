//! Functions that a file declares: one reader a kind of declaration.

pub mod cdk;
mod expand;
mod hcl;
pub mod lambda;
mod program;
pub mod serverless;
pub mod template;
pub mod terraform;

#[cfg(test)]
mod tests;
