//! What a project asks for, in neutral form.

use pep508_rs::MarkerTree;

use super::Scope;
use crate::model::Diagnostic;

/// One manifest.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Format.
    pub kind: &'static str,
    /// Path relative to the fleet's root.
    pub file: String,
    /// The project's own name.
    pub name: Option<String>,
    /// Direct requirements.
    pub requires: Vec<ManifestRequirement>,
    /// Versions of the runtime that it asks for, as written.
    pub runtime: Option<String>,
    /// Patterns of workspace members' folders.
    pub workspaces: Vec<String>,
    /// What could not be read.
    pub diagnostics: Vec<Diagnostic>,
}

/// One direct requirement.
#[derive(Debug, Clone)]
pub struct ManifestRequirement {
    /// The name that the project uses.
    pub name: String,
    /// As written.
    pub text: String,
    /// Line from 1, 0 when unknown.
    pub line: u32,
    /// Extras asked for.
    pub extras: Vec<String>,
    /// PEP 508 marker.
    pub marker: Option<MarkerTree>,
    /// When it counts.
    pub scope: Scope,
    /// The version, where exactly one is asked for.
    pub exact: Option<String>,
    /// `None` = registry; else `git`, `url`, `path`, `workspace`.
    pub source: Option<String>,
}
