//! What code imports: one reader a language, the same answer from both.
//!
//! Invariant: pure functions of a file's bytes. Nothing is looked up, nothing is run.

use crate::model::{Diagnostic, ImportKind};

/// What one source file imports.
#[derive(Debug, Clone, Default)]
pub struct FileImports {
    /// In source order.
    pub imports: Vec<RawImport>,
    /// What could not be read, and imports that only running would tell.
    pub diagnostics: Vec<Diagnostic>,
}

/// An import as written, before anyone asks what it refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawImport {
    /// From 1.
    pub line: u32,
    /// Dotted module or JS specifier; relative Python imports keep their leading dots; empty when only running would tell.
    pub module: String,
    /// Names taken from it (`from a import b, c`), `*` for all.
    pub names: Vec<String>,
    /// When it takes effect.
    pub kind: ImportKind,
}
