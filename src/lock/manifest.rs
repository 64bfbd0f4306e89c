//! What a manifest declares, in a form that has no ecosystem: pyproject.toml and package.json fill the same struct.

use pep508_rs::MarkerTree;

use super::Scope;
use crate::model::{Diagnostic, Severity};

/// A manifest in neutral form.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    /// `pyproject`, `setup-cfg`, `setup-py`, `pipfile`, `conda`, `requirements-in` or `package-json`.
    pub kind: &'static str,
    /// Path relative to the fleet's root.
    pub file: String,
    /// The project's own name: normalised for PyPI, verbatim for npm.
    pub name: Option<String>,
    /// Declared requirements, in file order.
    pub requires: Vec<ManifestRequirement>,
    /// `requires-python`, Poetry's `python`, or `engines.node`, as written.
    pub runtime: Option<String>,
    /// Globs of the folders of workspace members.
    pub workspaces: Vec<String>,
    /// Whether it requires more in production than `requires` holds: something in it would have to run, or is lost.
    pub partial: bool,
    /// What could not be read.
    pub diagnostics: Vec<Diagnostic>,
}

/// A declared requirement.
#[derive(Debug, Clone)]
pub struct ManifestRequirement {
    /// The name that code and locks use: normalised for PyPI, the alias for npm.
    pub name: String,
    /// The range as written: `>=1.2`, `^4.17.1`; empty = any version.
    pub text: String,
    /// Line in the manifest, from 1.
    pub line: u32,
    /// Extras asked of it.
    pub extras: Vec<String>,
    /// PEP 508 marker.
    pub marker: Option<MarkerTree>,
    /// When it counts.
    pub scope: Scope,
    /// The one version that the range allows, as written.
    pub exact: Option<String>,
    /// `None` = registry; else `git`, `url`, `path`, `workspace`, `catalog`, `conda`, or `override` (npm: another requirement
    /// counts instead).
    pub source: Option<String>,
}

impl Manifest {
    /// A manifest whose text could not even be had.
    pub fn unreadable(file: &str, diagnostic: Diagnostic) -> Self {
        Self { file: file.to_string(), diagnostics: vec![diagnostic], ..Self::default() }
    }

    /// Whether it could not be read at all: then it says nothing, not even that nothing is required.
    pub fn is_broken(&self) -> bool {
        self.diagnostics.iter().any(|d| d.severity == Severity::Error)
    }
}
