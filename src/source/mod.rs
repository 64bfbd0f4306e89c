//! What code imports: one reader a language, the same answer from both.
//!
//! Invariant: pure functions of a file's bytes. Nothing is looked up, nothing is run.
//!
//! Where several things are true of one import, the kind that says most about whether it is loaded wins:
//! type-only, then optional, then dynamic, then lazy, then runtime. A lazy import inside a `try` that catches its
//! absence is optional; anything under `if TYPE_CHECKING` is type-only.

pub mod javascript;
pub mod python;

use std::collections::BTreeMap;

use crate::model::{Diagnostic, ImportKind, Language, Support, nesting};

use javascript::Compile;

/// What one source file imports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileImports {
    /// In source order.
    pub imports: Vec<RawImport>,
    /// What could not be read, and imports that only running would tell.
    pub diagnostics: Vec<Diagnostic>,
    /// Imports (by their place in `imports`) that only some minor versions of Python 3 come to: from the first, below
    /// the second.
    pub only_on: BTreeMap<usize, (u32, u32)>,
    /// Folders that the file adds to where Python looks for modules, in order.
    pub search: Vec<SearchFolder>,
}

/// A folder that code adds to `sys.path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchFolder {
    /// Relative to the file that adds it; otherwise to the folder in which Python is started.
    pub beside_file: bool,
    /// May hold `..`.
    pub path: String,
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
    /// By which rules the module is looked up. Python has one way.
    pub how: How,
}

/// By which rules a module is looked up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum How {
    /// `import`, `export … from`, `import()`; Python's statements and functions.
    #[default]
    Import,
    /// `require()`, `require.resolve()`, `import x = require()`.
    Require,
    /// The same, with a `require` that `createRequire` made: there in ES modules too.
    Created,
    /// A path beside the file, to which nothing is added: `new URL("./x.js", import.meta.url)`.
    Path,
    /// A path from where the program was started: `fork("./x.js")`.
    Start,
    /// Every local file that matches: `*` stands for what has no `/`, `**` for anything.
    Pattern,
}

/// The language that a file's extension says; declaration files (`.d.ts`) hold types only and have none.
pub fn language_of(file: &str) -> Option<Language> {
    let name = file.rsplit('/').next().unwrap_or(file);
    let (stem, extension) = name.rsplit_once('.')?;
    match extension {
        "py" => Some(Language::Python),
        // A declaration file holds types only: `.d.ts`, and `.d.css.ts` for a stylesheet's types.
        "ts" | "mts" | "cts" if stem.ends_with(".d") || stem.contains(".d.") => None,
        "js" | "mjs" | "cjs" | "jsx" | "ts" | "mts" | "cts" | "tsx" => Some(Language::Node),
        _ => None,
    }
}

/// Whether [`imports`] reads files of this name: `.py`, `.js .mjs .cjs .jsx .ts .mts .cts .tsx`, but no `.d.ts`.
pub fn is_source(file: &str) -> bool {
    language_of(file).is_some()
}

/// Whether [`imports`] reads a file of this name as a notebook. A folder's notebooks are no sources of its functions.
pub fn is_notebook(file: &str) -> bool {
    file.ends_with(".ipynb")
}

/// What is read of sources: a row for each reader.
pub fn support() -> Vec<Support> {
    python::SUPPORT.into_iter().chain(javascript::SUPPORT).collect()
}

/// Reads the imports of a source file by the extension of its name; a file of another kind has none.
///
/// `file` is the path that diagnostics name.
pub fn imports(file: &str, bytes: &[u8]) -> FileImports {
    imports_with(file, bytes, &Compile::default())
}

/// The same for a file of a project that says how it is compiled.
pub fn imports_with(file: &str, bytes: &[u8], options: &Compile) -> FileImports {
    if is_notebook(file) {
        return python::notebook::imports(file, bytes);
    }
    match language_of(file) {
        Some(Language::Python) => python::imports(file, bytes),
        Some(Language::Node) => javascript::imports(file, bytes, options),
        None => FileImports::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_says_who_reads_a_file() {
        for file in ["a.py", "b/c.mjs", "d.tsx", "e.test.ts", "f.cts", "x.d/y.ts"] {
            assert!(is_source(file), "{file}");
        }
        for file in ["a.pyi", "a.pyc", "index.d.ts", "index.d.mts", "style.d.css.ts", "readme.md", "py", ".py.swp"] {
            assert!(!is_source(file), "{file}");
        }
    }

    #[test]
    fn a_file_of_another_kind_has_no_imports() {
        assert_eq!(imports("a.txt", b"import os"), FileImports::default());
        assert_eq!(imports("a.py", b"import os").imports.len(), 1);
        assert_eq!(imports("a.ts", b"import 'os'").imports.len(), 1);
    }
}
