//! What a function's sources import, and what each import refers to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use rayon::prelude::*;

use crate::discover::trace::{self, Trace};
use crate::discover::{Inline, Provider, Site, Tree, paths};
use crate::model::codes;
use crate::model::inventory::{Requirement, Target, Unreached};
use crate::model::{Diagnostic, Import, ImportKind, Language, Place, Platform};
use crate::source::{self, FileImports, How, RawImport};

use super::memo::Memo;
use super::names::{self, Match, Specifier};
use super::node::{Declared, Meaning, Modules};
use super::{local, provided, stdlib};

/// Parsed sources, shared by the functions of a fleet.
#[derive(Debug)]
pub struct Sources<'a> {
    tree: &'a Tree,
    files: Memo<String, FileImports>,
    modules: Modules<'a>,
    installed: Memo<String, bool>,
    /// Hashes of files that kept results rest on.
    hashes: Memo<String, String>,
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
    /// Source files that were read for them, from the handler's on.
    pub reached: Vec<String>,
    /// Packages of the tree itself that it loads, by name.
    pub linked: BTreeSet<String>,
    /// Packages that only the manifest of another folder asks for (a package of the tree, a folder in between), by name:
    /// no lock of the function's tells their version.
    pub elsewhere: BTreeMap<String, Requirement>,
    /// Something that it loads is not read, or only running would tell: it may need more than its imports say.
    pub opaque: bool,
    /// What is said about missing modules that more is known of than that they are missing.
    reasons: BTreeMap<String, String>,
    /// One of a kind: by code, and by what they are about.
    notes: BTreeMap<(&'static str, String), Diagnostic>,
}

impl Found {
    /// Whether it needs a package that nothing explains.
    pub fn lacks_packages(&self) -> bool {
        let lacks = |i: &Import| i.target == Target::Missing && is_needed(i.kind) && !i.module.starts_with(['.', '/']);
        self.imports.iter().any(lacks)
    }
}

/// Who asks what an import means.
#[derive(Clone, Copy)]
struct Asker<'s> {
    site: &'s Site,
    platform: &'s Platform,
    known: &'s Known,
    /// Folders that its code adds to where Python looks.
    searched: &'s [String],
}

impl<'a> Sources<'a> {
    /// Nothing is parsed yet.
    pub fn new(tree: &'a Tree) -> Self {
        Self { tree, files: Memo::new(), modules: Modules::new(tree), installed: Memo::new(), hashes: Memo::new() }
    }

    /// Forgets what was not asked for since the last call.
    pub fn turn(&self) {
        self.files.turn();
        self.modules.turn();
        self.installed.turn();
        self.hashes.turn();
    }

    /// Folders of the packages of the tree that have this name, sorted.
    pub fn folders_named(&self, name: &str) -> Vec<String> {
        self.modules.folders_named(name)
    }

    /// [`Tree::hash_of`] a file, which is read once for the functions that share it.
    pub(super) fn hash_of(&self, file: &str) -> String {
        self.hashes.get(&file.to_string(), || self.tree.hash_of(file)).to_string()
    }

    fn parse(&self, file: &str) -> Arc<FileImports> {
        self.files.get(&file.to_string(), || match self.tree.read(file) {
            Ok(bytes) => match source::language_of(file) {
                Some(Language::Node) => source::imports_with(file, &bytes, &self.modules.compile(file)),
                _ => source::imports(file, &bytes),
            },
            Err(diagnostic) => FileImports { diagnostics: vec![diagnostic], ..FileImports::default() },
        })
    }

    /// Follows local imports from the handler's file; without one, reads every source in the folder that no other
    /// function claims.
    pub fn of(&self, site: &Site, roots: &BTreeSet<String>, known: &Known) -> Found {
        let Some(platform) = &site.platform else { return Found::default() };
        let mut queue: VecDeque<String> = match &site.handler_file {
            Some(file) => VecDeque::from([file.clone()]),
            None => self.all_sources(site, roots, platform.language).into(),
        };
        queue.extend(site.also_loads.iter().filter(|file| site.handler_file.as_ref() != Some(file)).cloned());
        let mut seen: BTreeSet<String> = queue.iter().cloned().collect();
        let mut found = Found::default();
        // By package or top-level module: the place and the name of its first import, and whether there are others.
        let mut missing: BTreeMap<String, (Place, String, Vec<String>, bool)> = BTreeMap::new();
        let mut ambiguous: BTreeMap<String, (Place, Vec<String>)> = BTreeMap::new();
        // Folders that the code itself adds to where Python looks, as far as they are the function's.
        let mut searched: Vec<String> = Vec::new();
        let mut compiled: BTreeSet<String> = BTreeSet::new();
        if site.inline.is_some() {
            queue = VecDeque::from([site.root.clone()]);
        }
        while let Some(file) = queue.pop_front() {
            let parsed = match &site.inline {
                Some(inline) if file == site.root => Arc::new(written_inside(&file, inline, platform.language)),
                _ => self.parse(&file),
            };
            for folder in search_folders(site, &file, &parsed) {
                if !searched.contains(&folder) {
                    searched.push(folder);
                }
            }
            found.diagnostics.extend(parsed.diagnostics.iter().cloned());
            for (at, raw) in parsed.imports.iter().enumerate() {
                let other_version = |&(from, below): &(u32, u32)| !(from..below).contains(&platform.version_pair().1);
                // What is written for other versions is not loaded, as what is written for the type checker is not.
                let kind =
                    if parsed.only_on.get(&at).is_some_and(other_version) { ImportKind::TypeOnly } else { raw.kind };
                let (targets, files) =
                    self.resolve(Asker { site, platform, known, searched: &searched }, &file, raw, &mut found);
                for loaded in files.into_iter().filter(|_| kind != ImportKind::TypeOnly) {
                    if local::is_compiled(&loaded) && compiled.insert(loaded.clone()) {
                        let reason = format!("`{}` is the compiled file {loaded}", raw.module);
                        let place = Place::at(&file, raw.line);
                        found.diagnostics.push(Diagnostic::new(codes::COMPILED_MODULE, place, reason));
                    }
                    if source::language_of(&loaded) == Some(platform.language) && seen.insert(loaded.clone()) {
                        queue.push_back(loaded);
                    }
                }
                for target in targets {
                    let place = Place::at(&file, raw.line);
                    match &target {
                        Target::Missing if is_needed(kind) => {
                            missing
                                .entry(family(platform.language, &raw.module))
                                .and_modify(|(_, first, _, others)| *others |= *first != raw.module)
                                .or_insert((place, raw.module.clone(), raw.names.clone(), false));
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
                        kind,
                        target,
                    });
                }
            }
        }
        let layers = site.layers.iter().filter(|l| l.folder.is_none()).map(|l| format!("the layer {}", l.text));
        let unread: Vec<String> = layers.chain(site.beneath.clone()).collect();
        for (family, (place, module, names, others)) in missing {
            let advice = advice(platform.language, &module, &names);
            let module = if others { family } else { module };
            let in_layer = !unread.is_empty() && !module.starts_with('.');
            let (code, reason) = if in_layer {
                (codes::LAYER_UNREAD, format!("`{module}` may come from {}", unread.join(" or ")))
            } else if let Some(reason) = found.reasons.remove(&module) {
                (codes::IMPORT_MISSING, reason)
            } else if module.starts_with("..") && platform.language == Language::Python {
                (codes::IMPORT_MISSING, format!("the relative import of `{module}` leads out of the function's folder"))
            } else {
                let reason = format!(
                    "nothing that is declared, locked, local or provided explains the import of `{module}`{advice}"
                );
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
        let notes = std::mem::take(&mut found.notes).into_values();
        found.diagnostics.extend(notes.map(|note| note.for_function(&site.id)));
        found.opaque |= found.imports.iter().any(|i| i.kind == ImportKind::DynamicUnknown);
        found.reached = seen.into_iter().collect();
        found
    }

    /// The sources in a function's code folder that are not among those `reached`, with the packages that they import.
    /// What is wrong in them is not said: nothing loads them.
    pub fn unreached(
        &self,
        site: &Site,
        roots: &BTreeSet<String>,
        known: &Known,
        reached: &BTreeSet<&str>,
    ) -> Vec<Unreached> {
        let Some(platform) = &site.platform else { return Vec::new() };
        let own = self.own_sources(site, roots, platform.language);
        let rest: Vec<&str> = own.filter(|file| !reached.contains(file)).collect();
        let asker = Asker { site, platform, known, searched: &[] };
        let one = |file: &str| {
            let (mut packages, mut unused) = (BTreeSet::new(), Found::default());
            for raw in self.parse(file).imports.iter().filter(|raw| raw.kind != ImportKind::TypeOnly) {
                for target in self.resolve(asker, file, raw, &mut unused).0 {
                    match target {
                        Target::Package { package } => packages.insert(package),
                        Target::Missing | Target::Platform if !raw.module.starts_with(['.', '/', '#']) => {
                            packages.insert(family(platform.language, &raw.module))
                        }
                        Target::Ambiguous { candidates } => {
                            packages.extend(candidates);
                            true
                        }
                        _ => false,
                    };
                }
            }
            Unreached { file: file.to_string(), packages: packages.into_iter().collect() }
        };
        // A folder may hold thousands of files and one function.
        let on = trace::is_on();
        let read: Vec<(Unreached, Trace)> = rest
            .par_iter()
            .map(|file| if on { trace::of(|| one(file)) } else { (one(file), Trace::default()) })
            .collect();
        let noted = |(unreached, asked): (Unreached, Trace)| {
            trace::join(&asked);
            unreached
        };
        read.into_iter().map(noted).collect()
    }

    /// Whether an installer wrote the folder (a `.dist-info` folder lies in it): what its packages import is not the
    /// function's to declare.
    fn is_installed(&self, folder: &str) -> bool {
        self.tree.under(folder).any(|file| {
            let inner = file.strip_prefix(folder).unwrap_or(file).trim_start_matches('/');
            inner.split('/').next().is_some_and(|first| first.ends_with(".dist-info"))
        })
    }

    /// Sources of a language in a function's code folder, without those in the code folders of others.
    fn own_sources<'s>(
        &'s self,
        site: &'s Site,
        roots: &'s BTreeSet<String>,
        language: Language,
    ) -> impl Iterator<Item = &'s str> {
        // What lies in an archive beside the code is another function's, or a copy of this one.
        let home = self.tree.archive_of(&format!("{}/_", site.root));
        self.tree
            .under(&site.root)
            .filter(move |file| self.tree.archive_of(file) == home)
            .filter(move |file| source::language_of(file) == Some(language))
            .filter(move |file| {
                let nearest = paths::ancestors(paths::parent(file)).find(|dir| roots.contains(*dir));
                nearest.is_none_or(|root| root == site.root || !paths::is_within(root, &site.root))
            })
    }

    fn all_sources(&self, site: &Site, roots: &BTreeSet<String>, language: Language) -> Vec<String> {
        self.own_sources(site, roots, language)
            .filter(|file| !local::is_test(file.strip_prefix(&site.root).unwrap_or(file)))
            .map(str::to_string)
            .collect()
    }

    /// What an import refers to, and the files of the function that it loads.
    fn resolve(&self, asker: Asker<'_>, file: &str, raw: &RawImport, so_far: &mut Found) -> (Vec<Target>, Vec<String>) {
        let Asker { site, platform, known, searched } = asker;
        if raw.kind == ImportKind::DynamicUnknown || raw.module.is_empty() {
            return (vec![Target::Unknown], Vec::new());
        }
        let contains = |path: &str| match path.strip_suffix('/') {
            _ if !is_deployed(site, path) => false,
            Some(dir) => self.tree.has_dir(dir),
            None => self.tree.contains(path),
        };
        match platform.language {
            Language::Python => {
                let distributions =
                    || names::distributions_for(&raw.module, &raw.names, &known.locked, &known.declared);
                for root in python_roots(site, file).into_iter().chain(searched.iter().cloned()) {
                    let Some(files) = local::python_local(&root, file, raw, &contains) else { continue };
                    let layer = root != site.root && !searched.contains(&root);
                    if layer && distributions() != Match::None {
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
                let targets = match distributions() {
                    Match::One(package) => vec![Target::Package { package }],
                    Match::Several(packages) => {
                        packages.into_iter().map(|(package, _)| Target::Package { package }).collect()
                    }
                    Match::Ambiguous(candidates) => vec![Target::Ambiguous { candidates }],
                    Match::None => vec![provided_or_missing(platform, site.provider, &raw.module)],
                };
                (targets, Vec::new())
            }
            Language::Node => {
                let (target, files) = self.script(asker, file, raw, so_far);
                (vec![target], files)
            }
        }
    }

    /// The same for JavaScript and TypeScript.
    fn script(&self, asker: Asker<'_>, file: &str, raw: &RawImport, found: &mut Found) -> (Target, Vec<String>) {
        let Asker { site, platform, known, .. } = asker;
        let place = || Place::at(file, raw.line);
        let needed = raw.kind != ImportKind::TypeOnly;
        if let Some(reason) = self.modules.refused(file, raw) {
            let note = Diagnostic::new(codes::MODULE_KIND, place(), reason);
            found.notes.entry((codes::MODULE_KIND.id, file.to_string())).or_insert(note);
        }
        match self.modules.meaning(site, platform, file, raw) {
            Meaning::Local(files) | Meaning::Linked(_, files) if files.iter().any(|file| !is_deployed(site, file)) => {
                (Target::Missing, Vec::new())
            }
            Meaning::Local(files) => {
                if let Some(component) = files.iter().find(|file| needed && is_component(file)) {
                    let reason = format!("what `{component}` imports is not read");
                    found.unread(component, Diagnostic::new(codes::SOURCE_UNREAD, place(), reason));
                }
                (Target::Local, files)
            }
            Meaning::Linked(name, files) => {
                if needed {
                    if files.is_empty() {
                        let reason =
                            format!("the files that the package `{name}` of this folder is entered by are not there");
                        let note = Diagnostic::new(codes::SOURCE_UNREAD, place(), reason);
                        found.unread(
                            &name,
                            note.next("build the package before the scan, or let its package.json name its sources"),
                        );
                    }
                    found.linked.insert(name);
                }
                (Target::Local, files)
            }
            Meaning::Builtin => (Target::Stdlib, Vec::new()),
            Meaning::NoBuiltin => {
                let reason = format!("Node.js {} has no module `{}`", platform.version, raw.module);
                found.reasons.insert(raw.module.clone(), reason);
                (Target::Missing, Vec::new())
            }
            Meaning::NotFound => (Target::Missing, Vec::new()),
            Meaning::Alias => {
                let family = raw.module.split('/').next().unwrap_or_default().to_string();
                let reason =
                    format!("`{}` is an alias that neither a tsconfig.json nor a package.json explains", raw.module);
                found.unread(&family, Diagnostic::new(codes::ALIAS_UNREAD, place(), reason));
                (Target::Unknown, Vec::new())
            }
            Meaning::Unknown => {
                found.opaque |= raw.how == How::Pattern;
                (Target::Unknown, Vec::new())
            }
            Meaning::Package(package) if known.locked.contains(&package) || known.declared.contains(&package) => {
                (Target::Package { package }, Vec::new())
            }
            // What the platform provides is there whatever another folder's manifest asks for.
            Meaning::Package(_) if provided_or_missing(platform, site.provider, &raw.module) == Target::Platform => {
                (Target::Platform, Vec::new())
            }
            Meaning::Package(package) => match self.modules.declared(file, &package) {
                Some(Declared::By(manifest, text)) => {
                    if is_needed(raw.kind) {
                        let requirement = Requirement {
                            name: package.clone(),
                            text: format!("{package}@{text}"),
                            place: Place::file(manifest),
                            package: None,
                        };
                        found.elsewhere.insert(package.clone(), requirement);
                    }
                    (Target::Package { package }, Vec::new())
                }
                declared => {
                    if declared == Some(Declared::ForDevelopment) {
                        let reason = format!("`{package}` is declared for development only, and `{file}` imports it");
                        found.reasons.insert(raw.module.clone(), reason);
                    }
                    (Target::Missing, Vec::new())
                }
            },
        }
    }
}

/// Whether what lies at a path is deployed with a function as far as its code folder goes: beside code that is written inside
/// its declaration nothing is, but for its layers.
fn is_deployed(site: &Site, path: &str) -> bool {
    let mut layers = site.layers.iter().filter_map(|l| l.folder.as_deref());
    site.inline.is_none() || layers.any(|folder| paths::is_within(path, folder))
}

/// The imports of code that is written inside its declaration, with the lines of the declaring file.
fn written_inside(file: &str, inline: &Inline, language: Language) -> FileImports {
    let skipped = if inline.by_line { inline.line.saturating_sub(1) as usize } else { 0 };
    let text = "\n".repeat(skipped) + &inline.text;
    let mut found = match language {
        Language::Python => source::python::imports(file, text.as_bytes()),
        Language::Node => source::javascript::imports(file, text.as_bytes(), &source::javascript::Compile::default()),
    };
    if !inline.by_line {
        found.imports.iter_mut().for_each(|import| import.line = inline.line);
        found.diagnostics.iter_mut().for_each(|diagnostic| diagnostic.place.line = inline.line);
    }
    found
}

impl Found {
    /// Notes something that is loaded and not read.
    fn unread(&mut self, what: &str, note: Diagnostic) {
        self.opaque = true;
        self.notes.entry((codes::SOURCE_UNREAD.id, what.to_string())).or_insert(note);
    }
}

/// Components of web frameworks: scripts inside another language.
fn is_component(file: &str) -> bool {
    matches!(paths::extension(file), "vue" | "svelte" | "astro")
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

/// The folders of the function that a file adds to `sys.path`.
fn search_folders(site: &Site, file: &str, parsed: &FileImports) -> Vec<String> {
    let Some(root) = local::join(&site.root, "") else { return Vec::new() };
    let folders = parsed.search.iter().filter_map(|folder| {
        let from = if folder.beside_file { local::folder_of(file) } else { &site.root };
        local::join(from, &folder.path)
    });
    folders.filter(|folder| *folder != root && local::within(folder, &root)).collect()
}

/// What to declare for an import that is missing, where that is usually the same.
fn advice(language: Language, module: &str, names: &[String]) -> String {
    if language != Language::Python || module.starts_with('.') {
        return String::new();
    }
    let usual = names::usual_distributions(module, names);
    match usual.get(..usual.len().min(3)).unwrap_or_default() {
        [] => String::new(),
        some => {
            let some: Vec<String> = some.iter().map(|name| format!("`{name}`")).collect();
            format!("; it usually comes from {}", some.join(" or "))
        }
    }
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

fn provided_or_missing(platform: &Platform, provider: Provider, module: &str) -> Target {
    match provided::provided_by_platform(platform, provider, module) {
        Some(_) => Target::Platform,
        None => Target::Missing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares with other tools by hand. `WARMSET_TEST_FOLDER=FOLDER cargo test -- --ignored --nocapture listed`
    /// prints `imports`, path and the specifiers that are left at run time for every source below the folder; and for
    /// each line of the file `WARMSET_TEST_ENTRIES` (paths in the folder) `reached`, the entry, and what it reaches.
    #[test]
    #[ignore = "prints for a comparison by hand"]
    fn listed() {
        let Ok(folder) = std::env::var("WARMSET_TEST_FOLDER") else { return };
        let tree = Tree::open(std::path::Path::new(&folder), crate::discover::Limits::default()).unwrap();
        let sources = Sources::new(&tree);
        let entries = std::env::var("WARMSET_TEST_ENTRIES").map(|path| std::fs::read_to_string(path).unwrap());
        let Ok(entries) = entries else {
            for file in tree.files().filter(|file| source::language_of(file) == Some(Language::Node)) {
                let parsed = sources.parse(file);
                let left: BTreeSet<&str> = parsed
                    .imports
                    .iter()
                    .filter(|i| i.kind != ImportKind::TypeOnly)
                    .map(|i| i.module.as_str())
                    .collect();
                println!("imports\t{file}\t{}", left.into_iter().collect::<Vec<_>>().join(" "));
            }
            return;
        };
        for entry in entries.lines() {
            let root = paths::parent(entry).to_string();
            let site = Site {
                handler_file: Some(entry.into()),
                platform: Some(Platform::linux(Language::Node, "20")),
                ..Site::new("folder", Place::file(entry), "f".into(), "f".into(), root)
            };
            let found = sources.of(&site, &BTreeSet::from([site.root.clone()]), &Known::default());
            println!("reached\t{entry}\t{}", found.reached.join(" "));
        }
    }
}
