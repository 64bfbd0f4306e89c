//! Terraform's language, as far as a reader of declarations needs it: blocks with the lines of their attributes, and
//! expressions worked out where literals, variables' defaults and locals decide them.
//!
//! Read by `hcl-edit`, which refuses what is nested deeper than 64 levels; the JSON syntax becomes the same blocks.
//! What only a run of Terraform tells (attributes of resources, data sources) is [`Value::Of`] or [`Value::Unknown`].
//! <https://developer.hashicorp.com/terraform/language/syntax/configuration>

mod blocks;
mod operations;
mod scope;
#[cfg(test)]
mod tests;
mod value;

pub use blocks::{Attribute, Block, Given, parse, parse_json};
pub use scope::Scope;
pub use value::Value;
