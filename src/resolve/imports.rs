//! What a function's sources import, and what each import refers to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::discover::{Site, Tree};
use crate::model::codes;
use crate::model::inventory::Target;
use crate::model::{Diagnostic, Import, ImportKind, Language, Place, Platform};
use crate::source::{self, FileImports, RawImport};

use super::memo::Memo;
use super::names::{self, Match, Specifier};
use super::{local, provided, stdlib};

/// Parsed sources, shared by the functions of a fleet.
#[derive(Debug)]
pub struct Sources<'a> {
    tree: &'a Tree,
    files: Memo<String, FileImports>,
}

/// What a function may mean by a name.
#[derive(Debug, Default)]
pub struct Known {
    /// Names that it declares.
    pub declared: BTreeSet<String>,
    /// Names that it declares or locks.
    pub locked: BTreeSet<String>,
}

/// A function's imports.
#[derive(Debug, Default)]
pub struct Found {
    /// Each with what it refers to.
    pub imports: Vec<Import>,
    /// What could not be read or explained.
    pub diagnostics: Vec<Diagnostic>,
}

impl<'a> Sources<'a> {
    /// Nothing is parsed yet.
    pub fn new(tree: &'a Tree) -> Self {
        Self { tree, files: Memo::new() }
    }

    /// Number of files parsed so far.
    pub fn parsed(self) -> BTreeSet<String> {
        self.files.into_values().into_iter().map(|(file, _)| file).collect()
    }

    fn parse(&self, file: &str) -> Arc<FileImports> {
        self.files.get(&file.to_string(), || match self.tree.read(file) {
            Ok(bytes) => source::imports(file, &bytes),
            Err(diagnostic) => FileImports { imports: Vec::new(), diagnostics: vec![diagnostic] },
        })
    }

    /// Follows local imports from the handler's file; without one, reads every source in the folder that no other
    /// function claims.
    pub fn of(&self, site: &Site, nested: &[&str], known: &Known) -> Found {
        let Some(platform) = &site.platform else { return Found::default() };
        let mut queue: VecDeque<String> = match &site.handler_file {
            Some(file) => VecDeque::from([file.clone()]),
            None => self.all_sources(site, nested, platform.language).into(),
        };
        let mut seen: BTreeSet<String> = queue.iter().cloned().collect();
        let mut found = Found::default();
        let mut missing: BTreeMap<String, Place> = BTreeMap::new();
        let mut ambiguous: BTreeMap<String, (Place, Vec<String>)> = BTreeMap::new();
        while let Some(file) = queue.pop_front() {
            let parsed = self.parse(&file);
            found.diagnostics.extend(parsed.diagnostics.iter().cloned());
            for raw in &parsed.imports {
                let (targets, files) = self.resolve(site, platform, &file, raw, known);
                for file in files {
                    if source::is_source(&file) && seen.insert(file.clone()) {
                        queue.push_back(file);
                    }
                }
                for target in targets {
                    let place = Place::at(&file, raw.line);
                    match &target {
                        Target::Missing if is_needed(raw.kind) => {
                            missing.entry(raw.module.clone()).or_insert(place);
                        }
                        Target::Ambiguous { candidates } => {
                            ambiguous.entry(raw.module.clone()).or_insert((place, candidates.clone()));
                        }
                        _ => {}
                    }
                    found.imports.push(Import {
                        file: file.clone(),
                        line: raw.line,
                        module: raw.module.clone(),
                        names: raw.names.clone(),
                        kind: raw.kind,
                        target,
                    });
                }
            }
        }
        for (module, place) in missing {
            found.diagnostics.push(
                Diagnostic::new(
                    codes::IMPORT_MISSING,
                    place,
                    format!("nothing that is declared, locked, local or provided explains the import of `{module}`"),
                )
                .for_function(&site.id),
            );
        }
        for (module, (place, candidates)) in ambiguous {
            found.diagnostics.push(
                Diagnostic::new(
                    codes::IMPORT_AMBIGUOUS,
                    place,
                    format!("`{module}` may come from {}", candidates.join(" or ")),
                )
                .for_function(&site.id),
            );
        }
        found
    }

    fn all_sources(&self, site: &Site, nested: &[&str], language: Language) -> Vec<String> {
        let inside = |file: &str, dir: &str| file.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'));
        self.tree
            .under(&site.root)
            .filter(|file| source::is_source(file) && source::language_of(file) == Some(language))
            .filter(|file| !nested.iter().any(|dir| inside(file, dir)))
            .filter(|file| !is_test(file.strip_prefix(&site.root).unwrap_or(file)))
            .map(str::to_string)
            .collect()
    }

    /// What an import refers to, and the files of the function that it loads.
    fn resolve(
        &self,
        site: &Site,
        platform: &Platform,
        file: &str,
        raw: &RawImport,
        known: &Known,
    ) -> (Vec<Target>, Vec<String>) {
        if raw.kind == ImportKind::DynamicUnknown || raw.module.is_empty() {
            return (vec![Target::Unknown], Vec::new());
        }
        let contains = |path: &str| match path.strip_suffix('/') {
            Some(dir) => self.tree.has_dir(dir),
            None => self.tree.contains(path),
        };
        match platform.language {
            Language::Python => {
                if let Some(files) = local::python_local(&site.root, file, raw, &contains) {
                    return (vec![Target::Local], files);
                }
                let top = raw.module.split('.').next().unwrap_or("");
                if raw.module.starts_with('.') {
                    return (vec![Target::Missing], Vec::new());
                }
                if stdlib::is_python_stdlib(top, platform.version_pair().1) {
                    return (vec![Target::Stdlib], Vec::new());
                }
                let found = names::distributions_for(&raw.module, &raw.names, &known.locked, &known.declared);
                let targets = match found {
                    Match::One(package) => vec![Target::Package { package }],
                    Match::Several(packages) => {
                        packages.into_iter().map(|(package, _)| Target::Package { package }).collect()
                    }
                    Match::Ambiguous(candidates) => vec![Target::Ambiguous { candidates }],
                    Match::None => vec![provided_or_missing(platform, site.aws_lambda, &raw.module)],
                };
                (targets, Vec::new())
            }
            Language::Node => match names::package_of_specifier(&raw.module) {
                Specifier::Relative | Specifier::Absolute => {
                    match local::javascript_local(file, &raw.module, &contains) {
                        Some(path) => (vec![Target::Local], vec![path]),
                        None => (vec![Target::Missing], Vec::new()),
                    }
                }
                Specifier::Builtin => (vec![Target::Stdlib], Vec::new()),
                Specifier::SubpathImport | Specifier::Url | Specifier::Invalid => (vec![Target::Unknown], Vec::new()),
                Specifier::Package { name, .. } => {
                    if known.locked.contains(&name) || known.declared.contains(&name) {
                        (vec![Target::Package { package: name }], Vec::new())
                    } else {
                        (vec![provided_or_missing(platform, site.aws_lambda, &raw.module)], Vec::new())
                    }
                }
            },
        }
    }
}

/// Whether the function fails without it: types are erased, and optional imports have another way.
pub(super) fn is_needed(kind: ImportKind) -> bool {
    matches!(kind, ImportKind::Runtime | ImportKind::Lazy | ImportKind::Dynamic)
}

fn provided_or_missing(platform: &Platform, aws_lambda: bool, module: &str) -> Target {
    match provided::provided_by_platform(platform, aws_lambda, module) {
        Some(_) => Target::Platform,
        None => Target::Missing,
    }
}

/// Tests lie beside the code in many repositories, and are not what a handler loads.
fn is_test(relative: &str) -> bool {
    let mut parts: Vec<&str> = relative.trim_start_matches('/').split('/').collect();
    let name = parts.pop().unwrap_or("");
    parts.iter().any(|dir| matches!(*dir, "test" | "tests" | "__tests__" | "__mocks__"))
        || name.starts_with("test_")
        || name == "conftest.py"
        || name
            .rsplit_once('.')
            .is_some_and(|(stem, _)| stem.ends_with("_test") || stem.ends_with(".test") || stem.ends_with(".spec"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_told_from_code() {
        for file in ["tests/unit/a.py", "/test_app.py", "src/app.test.ts", "a/__tests__/b.js", "conftest.py"] {
            assert!(is_test(file), "{file}");
        }
        for file in ["app.py", "src/testimonials.py", "latest.js", "contest/entry.ts"] {
            assert!(!is_test(file), "{file}");
        }
    }
}
