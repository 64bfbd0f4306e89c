//! warmset reads a fleet of serverless function packages, finds what they load in common, and chooses the shared warm
//! images that save the most cold-start time within a memory budget, with a bound on how much better any choice could be.
//!
//! Data flows one way through the modules, and imports point only to what stands earlier in this list:
//! `model`, `discover`, `source`, `lock`, `resolve`, `graph`, `cost`, `solve`, `emit`, `live`,
//! `cli`.

pub mod cli;
pub mod cost;
pub mod discover;
pub mod emit;
pub mod graph;
pub mod live;
pub mod lock;
pub mod model;
pub mod resolve;
pub mod solve;
pub mod source;
