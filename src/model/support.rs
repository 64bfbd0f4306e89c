//! What warmset reads, said once: each reader states its own row, `warmset formats` prints them, and the README's
//! table is that output.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One kind of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Support {
    /// Which part of a scan it belongs to.
    pub area: Area,
    /// Name for people: `yarn.lock (berry)`, `Terraform`.
    pub what: &'static str,
    /// Files it is recognised by, in the words of a README: `yarn.lock`, `*.tf`.
    pub files: &'static str,
    /// How much of it is read.
    pub extent: Extent,
    /// What is and what is not, in a few words; may be empty where everything is.
    pub note: &'static str,
}

/// Part of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Area {
    /// Where functions are declared.
    Declaration,
    /// What is pinned.
    Lock,
    /// What is asked for.
    Manifest,
    /// What code imports.
    Source,
}

/// How much of a kind of input is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Extent {
    /// All that bears on functions, dependencies and imports.
    Full,
    /// The note says what is not.
    Partly,
    /// Recognised, and named as not read.
    Named,
}
