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
use super::tsconfig::Aliases;
use super::{local, provided, stdlib};

/// Parsed sources, shared by the functions of a fleet.
#[derive(Debug)]
pub struct Sources<'a> {
    tree: &'a Tree,
    files: Memo<String, FileImports>,
    aliases: Aliases<'a>,
    installed: Memo<String, bool>,
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
    /// The sources that were read for it.
    pub read: BTreeSet<String>,
}

impl Found {
    /// Whether it needs a package that nothing explains.
    pub fn lacks_packages(&self) -> bool {
        let lacks = |i: &Import| i.target == Target::Missing && is_needed(i.kind) && !i.module.starts_with(['.', '/']);
        self.imports.iter().any(lacks)
    }
}

impl<'a> Sources<'a> {
    /// Nothing is parsed yet.
    pub fn new(tree: &'a Tree) -> Self {
        Self { tree, files: Memo::new(), aliases: Aliases::new(tree), installed: Memo::new() }
    }

    /// Forgets what was not asked for since the last call.
    pub fn turn(&self) {
        self.files.turn();
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
        // By package or top-level module: the place and the name of its first import, and whether there are others.
        let mut missing: BTreeMap<String, (Place, String, bool)> = BTreeMap::new();
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
                            missing
                                .entry(family(platform.language, &raw.module))
                                .and_modify(|(_, first, others)| *others |= *first != raw.module)
                                .or_insert((place, raw.module.clone(), false));
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
        found.read = seen;
        let unread: Vec<&str> = site.layers.iter().filter(|l| l.folder.is_none()).map(|l| l.text.as_str()).collect();
        for (family, (place, module, others)) in missing {
            let module = if others { family } else { module };
            let in_layer = !unread.is_empty() && !module.starts_with('.');
            let (code, reason) = if in_layer {
                (codes::LAYER_UNREAD, format!("`{module}` may come from the layer {}", unread.join(" or ")))
            } else {
                let reason =
                    format!("nothing that is declared, locked, local or provided explains the import of `{module}`");
                (codes::IMPORT_MISSING, reason)
            };
            found.diagnostics.push(Diagnostic::new(code, place, reason).for_function(&site.id));
        }
        if !unread.is_empty() {
            // Only the deployed layer tells.
            for import in found.imports.iter_mut().filter(|i| i.target == Target::Missing && !i.module.starts_with('.'))
            {
                import.target = Target::Unknown;
            }
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

    /// Whether an installer wrote the folder (a `.dist-info` folder lies in it): what its packages import is not the
    /// function's to declare.
    fn is_installed(&self, folder: &str) -> bool {
        self.tree.under(folder).any(|file| {
            let inner = file.strip_prefix(folder).unwrap_or(file).trim_start_matches('/');
            inner.split('/').next().is_some_and(|first| first.ends_with(".dist-info"))
        })
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
                let found = names::distributions_for(&raw.module, &raw.names, &known.locked, &known.declared);
                for root in python_roots(site, file) {
                    let Some(files) = local::python_local(&root, file, raw, &contains) else { continue };
                    let layer = root != site.root;
                    if layer && found != Match::None {
                        // The layer's own list says what lies installed in it.
                        break;
                    }
                    let installed = layer && *self.installed.get(&root, || self.is_installed(&root));
                    return (vec![Target::Local], if installed { Vec::new() } else { files });
                }
                let top = raw.module.split('.').next().unwrap_or("");
                if raw.module.starts_with('.') {
                    return (vec![Target::Missing], Vec::new());
                }
                if stdlib::is_python_stdlib(top, platform.version_pair().1) {
                    return (vec![Target::Stdlib], Vec::new());
                }
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
                Specifier::Relative => match local::javascript_local(file, &raw.module, &contains) {
                    Some(path) => (vec![Target::Local], vec![path]),
                    None => (vec![Target::Missing], Vec::new()),
                },
                Specifier::Absolute => {
                    let in_layer = raw.module.strip_prefix("/opt/").and_then(|rest| {
                        let folders = site.layers.iter().filter_map(|l| l.folder.as_deref());
                        let mut beside = folders.map(|folder| format!("{folder}/layer.js"));
                        beside.find_map(|file| local::javascript_local(&file, &format!("./{rest}"), &contains))
                    });
                    match in_layer {
                        Some(path) => (vec![Target::Local], vec![path]),
                        // Where the machine has it, only the deployment knows.
                        None => (vec![Target::Unknown], Vec::new()),
                    }
                }
                Specifier::Builtin => (vec![Target::Stdlib], Vec::new()),
                other => {
                    let name = if let Specifier::Package { name, .. } = other { Some(name) } else { None };
                    if let Some(name) =
                        name.as_ref().filter(|n| known.locked.contains(*n) || known.declared.contains(*n))
                    {
                        return (vec![Target::Package { package: name.clone() }], Vec::new());
                    }
                    let aliased = self.aliases.of(file, &raw.module).into_iter();
                    let path = aliased
                        .map(|path| format!("./{path}"))
                        .find_map(|path| local::javascript_local("tsconfig.json", &path, &contains));
                    match (path, name) {
                        (Some(path), _) => (vec![Target::Local], vec![path]),
                        (None, Some(_)) => {
                            (vec![provided_or_missing(platform, site.aws_lambda, &raw.module)], Vec::new())
                        }
                        (None, None) => (vec![Target::Unknown], Vec::new()),
                    }
                }
            },
        }
    }
}

/// Where Python looks for the modules of a file: in the function's folder, then in its layers, whose modules lie in
/// `python` (`sam build` puts them there where a layer is built from sources). A layer's own files look there first.
fn python_roots(site: &Site, file: &str) -> Vec<String> {
    let inside = |root: &str| file.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
    let layers = site.layers.iter().filter_map(|l| l.folder.as_deref()).filter(|folder| *folder != site.root);
    let mut roots = vec![site.root.clone()];
    roots.extend(layers.flat_map(|folder| [format!("{folder}/python"), folder.to_string()]));
    if site.root != "." && !inside(&site.root) {
        roots.sort_by_key(|root| !inside(root));
    }
    roots
}

/// What a missing import is counted under, so that ten modules of one package are one finding: the package of a JS
/// specifier, the top-level module of a Python one (below `google` and `azure`, which many packages share, three levels).
fn family(language: Language, module: &str) -> String {
    match language {
        _ if module.starts_with(['.', '/']) => module.to_string(),
        Language::Node => match names::package_of_specifier(module) {
            Specifier::Package { name, .. } => name,
            _ => module.to_string(),
        },
        Language::Python => {
            let levels = if module.starts_with("google.") || module.starts_with("azure.") { 3 } else { 1 };
            module.split('.').take(levels).collect::<Vec<_>>().join(".")
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
