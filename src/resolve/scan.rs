//! The whole way from a folder to an inventory.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::discover::trace::{self, Trace};
use crate::discover::{self, OpenError, Site, Tree, paths};
use crate::model::codes;
use crate::model::inventory::{DEFAULT_TRUST_DOMAIN, FileCounts, Part, Target, Unreached};
use crate::model::{Diagnostic, Function, ImportKind, Inventory, Language, PackageId, Place, State};
use crate::source;

use super::cache;
use super::dependencies::{Dependencies, Shelf, narrow};
use super::group::{Group, ScanOptions, Store};
use super::imports::{Found, Known, Sources, is_needed};
use super::packages::{Gathered, Packages};
use super::relock::Locks;
use super::shard::Shard;

/// How far the scan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Functions done.
    pub done: usize,
    /// Functions found.
    pub total: usize,
}

/// Functions read at once. Enough that no thread waits for another for long; what was read for them is forgotten after.
const BATCH: usize = 128;

/// Reads every function below a folder. Only a folder that cannot be opened is an error; everything else that is wrong
/// becomes a diagnostic of the inventory.
pub fn scan(root: &Path, options: &ScanOptions, progress: &(dyn Fn(Progress) + Sync)) -> Result<Inventory, OpenError> {
    let tree = Tree::open(root, options.limits.clone())?;
    Ok(scan_tree(&tree, options, progress))
}

/// The same for a tree that is already open. The result does not depend on the number of threads.
pub fn scan_tree(tree: &Tree, options: &ScanOptions, progress: &(dyn Fn(Progress) + Sync)) -> Inventory {
    Scanner::new(tree, options, None, progress).into_inventory()
}

/// Reads one function package by itself: a folder below the fleet's, named by its path there. What lies beside and above
/// it is not looked at; ids and places are relative to the fleet. A path that cannot be read is a record all the same,
/// with a diagnostic and without functions.
pub fn scan_path(fleet: &Path, path: &str, options: &ScanOptions) -> Inventory {
    let Some(inside) = paths::join(".", path) else {
        return unreadable(path, "it leads out of the fleet's folder");
    };
    match Tree::open_within(fleet, &inside, options.limits.clone()) {
        Ok(tree) => {
            let mut scanner = Scanner::new(&tree, options, None, &|_| {});
            scanner.base.clone_from(&inside);
            let mut record = scanner.into_inventory();
            record.parts = vec![Part { part: format!("path {inside}"), files: record.files, sources_read: Vec::new() }];
            record
        }
        Err(reason) => unreadable(&inside, &reason),
    }
}

fn unreadable(path: &str, reason: &str) -> Inventory {
    let mut record = Inventory::empty();
    record.diagnostics.push(Diagnostic::new(codes::PATH_UNREADABLE, Place::file(path), reason));
    record.parts = vec![Part { part: format!("path {path}"), ..Part::default() }];
    record
}

/// A scan under way: an iterator over the functions, sorted by id, that holds in memory what the functions at hand need.
pub struct Scanner<'a> {
    tree: &'a Tree,
    shard: Option<Shard>,
    locks: &'a Locks,
    progress: &'a (dyn Fn(Progress) + Sync),
    /// Where a fleet without functions is said to have none.
    base: String,
    /// Those of the shard, sorted by id.
    sites: Vec<Site>,
    /// Code folders of all functions of the fleet.
    roots: BTreeSet<String>,
    /// Functions that share a code folder or may share an importer, by their numbers in `sites`; the group with the first
    /// function first.
    groups: VecDeque<Vec<usize>>,
    shelf: Shelf<'a>,
    sources: Sources<'a>,
    /// Where results are kept, and what all keys begin with.
    cache: Option<(&'a dyn Store, Vec<u8>)>,
    /// Read, but others come before them.
    waiting: BTreeMap<usize, Function>,
    next: usize,
    done: AtomicUsize,
    gathered: Gathered,
    diagnostics: BTreeSet<Diagnostic>,
    parsed: BTreeSet<String>,
}

/// What a fleet holds beside its functions.
#[derive(Debug)]
pub struct Rest {
    /// Sorted by id.
    pub packages: Packages,
    /// How much was read.
    pub files: FileCounts,
    /// Where it is not all of the fleet.
    pub parts: Vec<Part>,
    /// Sorted.
    pub diagnostics: Vec<Diagnostic>,
}

impl<'a> Scanner<'a> {
    /// Finds the functions, and reads nothing of them yet.
    pub fn new(
        tree: &'a Tree,
        options: &'a ScanOptions,
        shard: Option<Shard>,
        progress: &'a (dyn Fn(Progress) + Sync),
    ) -> Self {
        let discovery = discover::discover(tree, &options.defaults);
        let roots: BTreeSet<String> = discovery.sites.iter().map(|s| s.root.clone()).collect();
        let shelf = Shelf::new(tree, &options.pins);
        let mut anchors: Vec<String> = Vec::with_capacity(discovery.sites.len());
        for sites in discovery.sites.chunks(BATCH * 4) {
            // Traced, because locks that are read on the way are used by groups.
            anchors.par_extend(sites.par_iter().map(|site| match &options.cache {
                Some(_) => trace::of(|| shelf.anchor(site)).0,
                None => shelf.anchor(site),
            }));
            shelf.turn();
        }
        join_by_folder(&discovery.sites, &mut anchors);
        let all: BTreeSet<String> = discovery.sites.iter().map(|s| s.id.clone()).collect();
        let mine = |anchor: &str| shard.is_none_or(|shard| shard.holds(anchor));
        let (sites, anchors): (Vec<Site>, Vec<String>) =
            discovery.sites.into_iter().zip(anchors).filter(|(_, anchor)| mine(anchor)).unzip();
        let ids: BTreeSet<&str> = sites.iter().map(|s| s.id.as_str()).collect();
        let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, anchor) in anchors.iter().enumerate() {
            groups.entry(anchor).or_default().push(at);
        }
        let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
        groups.sort();
        // What concerns no function that was found is said once: by the first shard.
        let first = shard.is_none_or(|shard| shard.index() == 0);
        let concerns = |d: &Diagnostic| match &d.function {
            Some(id) if all.contains(id) => ids.contains(id.as_str()),
            _ => first,
        };
        let whole = tree.diagnostics().iter().chain(&discovery.diagnostics);
        let diagnostics = whole.filter(|d| concerns(d)).cloned().collect();
        Self {
            tree,
            shard,
            locks: &options.locks,
            progress,
            base: ".".into(),
            roots,
            groups: groups.into(),
            shelf,
            sources: Sources::new(tree),
            cache: options.cache.as_deref().map(|store| (store, cache::salt(tree, options))),
            waiting: BTreeMap::new(),
            next: 0,
            done: AtomicUsize::new(0),
            gathered: Gathered::default(),
            diagnostics,
            parsed: BTreeSet::new(),
            sites,
        }
    }

    /// Everything at once.
    pub fn into_inventory(mut self) -> Inventory {
        let functions: Vec<Function> = self.by_ref().collect();
        let rest = self.rest();
        let mut inventory = Inventory {
            functions,
            packages: rest.packages.collect(),
            files: rest.files,
            parts: rest.parts,
            diagnostics: rest.diagnostics,
            ..Inventory::empty()
        };
        inventory.sort();
        inventory
    }

    /// What there is beside the functions, once all of them were asked for.
    pub fn rest(mut self) -> Rest {
        while self.next().is_some() {}
        let files = FileCounts {
            seen: self.tree.files().count(),
            sources: self.tree.files().filter(|f| source::is_source(f)).count(),
            read: self.parsed.len(),
        };
        if self.sites.is_empty() && self.shard.is_none() {
            self.diagnostics.insert(no_functions(&self.base, files.seen));
        }
        let part = |shard: Shard| Part {
            part: format!("shard {shard}"),
            files,
            sources_read: self.parsed.into_iter().collect(),
        };
        Rest {
            packages: self.gathered.into_packages(),
            files,
            parts: self.shard.map(part).into_iter().collect(),
            diagnostics: self.diagnostics.into_iter().collect(),
        }
    }

    /// Reads the next groups.
    fn read(&mut self) {
        let mut groups = Vec::new();
        let mut functions = 0;
        while functions < BATCH
            && let Some(group) = self.groups.pop_front()
        {
            functions += group.len();
            groups.push(group);
        }
        let this: &Self = self;
        let read: Vec<Group> = groups.par_iter().map(|group| trace::apart(|| this.kept(group))).collect();
        for group in read {
            self.waiting.extend(group.functions);
            self.gathered.join(group.gathered);
            self.diagnostics.extend(group.diagnostics);
            self.parsed.extend(group.parsed);
        }
        self.shelf.turn();
        self.sources.turn();
    }

    /// A group from the cache, or read and put there.
    fn kept(&self, members: &[usize]) -> Group {
        let Some((store, salt)) = &self.cache else { return self.group(members).0 };
        let sites = members.iter().filter_map(|&at| self.sites.get(at));
        let key = cache::key(salt, sites.map(|site| (site, self.nested(&site.root))));
        if let Some(group) = store.get(&key).and_then(|bytes| cache::unpack(self.tree, &self.sources, &bytes, members))
        {
            members.iter().for_each(|_| self.count());
            return group;
        }
        let (mut group, trace) = self.group(members);
        if let Some(bytes) = cache::pack(&mut group, &trace) {
            store.put(key, &bytes);
        }
        group
    }

    fn count(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        (self.progress)(Progress { done, total: self.sites.len() });
    }

    fn group(&self, members: &[usize]) -> (Group, Trace) {
        let one = |site: &'_ Site| {
            let dependencies = self.shelf.dependencies(site);
            let found = self.sources.of(site, &self.roots, &known(&dependencies));
            (dependencies, found)
        };
        let read: Vec<((&Site, Dependencies, Found), Trace)> = members
            .par_iter()
            .filter_map(|&at| self.sites.get(at))
            .map(|site| {
                let ((dependencies, found), trace) = self.traced(|| one(site));
                self.count();
                ((site, dependencies, found), trace)
            })
            .collect();
        let mut trace = Trace::default();
        read.iter().for_each(|(_, asked)| trace.join(asked));
        let mut read: Vec<(&Site, Dependencies, Found)> = read.into_iter().map(|(read, _)| read).collect();
        for (site, dependencies, found) in &mut read {
            if let (true, Some(platform)) = (dependencies.only_imported, &site.platform) {
                dependencies.keep_imported(&imported(found), platform);
            }
            if let Some(platform) = &site.platform {
                self.locks.apply(&site.id, &site.declared_at, platform, dependencies);
            }
        }
        let unreached = self.unreached(&read, &mut trace);
        let installed_only = narrow_shared(&mut read);
        let mut group = Group {
            functions: Vec::with_capacity(read.len()),
            gathered: Gathered::default(),
            diagnostics: BTreeSet::new(),
            parsed: read.iter_mut().flat_map(|(_, _, found)| std::mem::take(&mut found.reached)).collect(),
        };
        let apart = installed_only.into_iter().zip(unreached);
        // Closures whose addresses are taken stay alive, so that no other gets the same one.
        let (mut gathered, mut alive) = (BTreeSet::new(), Vec::new());
        for (((site, mut dependencies, found), (installed_only, unreached)), &at) in
            read.into_iter().zip(apart).zip(members)
        {
            if dependencies.is_empty() && found.lacks_packages() {
                // It loads something, and nothing says what: not the same as loading nothing.
                dependencies.state = State::Unresolved;
            }
            if !found.elsewhere.is_empty() && matches!(dependencies.state, State::Locked | State::Pinned) {
                dependencies.state = if dependencies.is_empty() { State::Unresolved } else { State::Partial };
            }
            let Found { imports, diagnostics, elsewhere, .. } = found;
            dependencies.unresolved.extend(elsewhere.into_values());
            let mut function = Function { installed_only, unreached, ..function(site, &dependencies, imports) };
            function.sort();
            if let Some(platform) = &function.platform {
                for (lock, closure) in &dependencies.closure {
                    // Most functions that share a lock share what it comes to.
                    if gathered.insert((Arc::as_ptr(closure), Arc::as_ptr(lock), platform.clone())) {
                        group.gathered.add(lock, closure, platform);
                        alive.push(Arc::clone(closure));
                    }
                }
            }
            group.diagnostics.extend(dependencies.diagnostics);
            group.diagnostics.extend(diagnostics);
            group.functions.push((at, function));
        }
        (group, trace)
    }

    /// Some work, with what it asked of the tree where results are kept.
    fn traced<T>(&self, work: impl FnOnce() -> T) -> (T, Trace) {
        if self.cache.is_some() { trace::of(work) } else { (work(), Trace::default()) }
    }

    /// By function, what of its code folder no handler reaches. Functions with one folder are asked together.
    fn unreached(&self, read: &[(&Site, Dependencies, Found)], trace: &mut Trace) -> Vec<Vec<Unreached>> {
        let mut sharing: BTreeMap<(&str, Language), Vec<usize>> = BTreeMap::new();
        for (at, (site, _, _)) in read.iter().enumerate() {
            if let Some(platform) = &site.platform {
                sharing.entry((&site.root, platform.language)).or_default().push(at);
            }
        }
        let sharing: Vec<Vec<usize>> = sharing.into_values().collect();
        let lists: Vec<(Vec<Unreached>, Trace)> = sharing
            .par_iter()
            .map(|members| {
                let reached = members.iter().flat_map(|&at| read[at].2.reached.iter().map(String::as_str)).collect();
                let (site, dependencies, _) = &read[members[0]];
                self.traced(|| self.sources.unreached(site, &self.roots, &known(dependencies), &reached))
            })
            .collect();
        let mut out = vec![Vec::new(); read.len()];
        for (members, (list, asked)) in sharing.into_iter().zip(lists) {
            trace.join(&asked);
            let all = members.len().saturating_mul(list.len()) <= MAX_UNREACHED;
            for &at in members.iter().skip(1).filter(|_| all) {
                out[at] = list.clone();
            }
            out[members[0]] = list;
        }
        out
    }

    /// Code folders of other functions inside this one.
    fn nested(&self, root: &str) -> Vec<&str> {
        let below = if root == "." {
            (Bound::Unbounded, Bound::Unbounded)
        } else {
            // `0` is the character after `/`.
            (Bound::Included(format!("{root}/")), Bound::Excluded(format!("{root}0")))
        };
        self.roots.range::<String, _>(below).map(String::as_str).filter(|other| *other != root).collect()
    }
}

impl Iterator for Scanner<'_> {
    type Item = Function;

    fn next(&mut self) -> Option<Function> {
        loop {
            if let Some(function) = self.waiting.remove(&self.next) {
                self.next += 1;
                return Some(function);
            }
            if self.groups.is_empty() {
                return None;
            }
            self.read();
        }
    }
}

/// Entries of `unreached` that functions with one folder may repeat.
const MAX_UNREACHED: usize = 100_000;

/// Gives functions with one code folder and language one anchor, with all that have either of theirs: what no handler
/// reaches is asked of all of them together.
fn join_by_folder(sites: &[Site], anchors: &mut [String]) {
    let mut least: BTreeMap<String, String> = BTreeMap::new();
    fn top(least: &BTreeMap<String, String>, anchor: &str) -> String {
        let mut at = anchor;
        while let Some(next) = least.get(at) {
            at = next;
        }
        at.to_string()
    }
    let mut by_folder: BTreeMap<(&str, Option<Language>), String> = BTreeMap::new();
    for (site, anchor) in sites.iter().zip(anchors.iter()) {
        let language = site.platform.as_ref().map(|p| p.language);
        match by_folder.get(&(site.root.as_str(), language)) {
            Some(other) => {
                let (mine, theirs) = (top(&least, anchor), top(&least, other));
                match mine.cmp(&theirs) {
                    std::cmp::Ordering::Less => drop(least.insert(theirs, mine)),
                    std::cmp::Ordering::Greater => drop(least.insert(mine, theirs)),
                    std::cmp::Ordering::Equal => {}
                }
            }
            None => drop(by_folder.insert((&site.root, language), anchor.clone())),
        }
    }
    for anchor in anchors.iter_mut() {
        *anchor = top(&least, anchor);
    }
}

/// A fleet, or a part of one, in which nothing is a function.
pub(super) fn no_functions(base: &str, seen: usize) -> Diagnostic {
    let reason = format!("none of {seen} files declares a function or looks like a handler");
    Diagnostic::new(codes::NO_FUNCTIONS, Place::file(base), reason)
}

/// Takes out of each function's closure what only other functions with the same importer import, and returns it by
/// function. A function with an import that only running would tell keeps everything.
fn narrow_shared(read: &mut [(&Site, Dependencies, Found)]) -> Vec<Vec<PackageId>> {
    let mut sharing: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
    for (at, (_, dependencies, _)) in read.iter().enumerate() {
        if let Some(importer) = &dependencies.importer {
            sharing.entry((importer.lock.file.clone(), importer.folder.clone())).or_default().push(at);
        }
    }
    let mut installed_only = vec![Vec::new(); read.len()];
    for members in sharing.into_values().filter(|m| m.len() > 1) {
        let imported: Vec<BTreeSet<String>> = members.iter().map(|&at| imported(&read[at].2)).collect();
        let all: BTreeSet<String> = imported.iter().flatten().cloned().collect();
        for (mine, &at) in imported.iter().zip(&members) {
            let (site, dependencies, found) = &mut read[at];
            if let (Some(platform), false) = (&site.platform, found.opaque) {
                installed_only[at] = narrow(dependencies, mine, &all, platform);
            }
        }
    }
    installed_only
}

/// Names of the packages that a function's imports may refer to at run time.
fn imported(found: &Found) -> BTreeSet<String> {
    let mut names = found.linked.clone();
    for import in found.imports.iter().filter(|i| i.kind != ImportKind::TypeOnly) {
        match &import.target {
            Target::Package { package } => {
                names.insert(package.clone());
            }
            Target::Ambiguous { candidates } => names.extend(candidates.iter().cloned()),
            _ => {}
        }
    }
    names
}

fn known(dependencies: &Dependencies) -> Known {
    let declared: BTreeSet<String> = dependencies.declared.iter().map(|r| r.name.clone()).collect();
    let mut locked = declared.clone();
    for (_, closure) in &dependencies.closure {
        locked.extend(closure.packages.keys().map(|id| id.name.clone()));
    }
    Known { declared, locked }
}

fn function(site: &Site, dependencies: &Dependencies, imports: Vec<crate::model::Import>) -> Function {
    let mut closure: Vec<_> =
        dependencies.closure.iter().flat_map(|(_, closure)| closure.packages.keys().cloned()).collect();
    closure.sort();
    closure.dedup();
    // Declaring nothing is a complete answer only when nothing is needed.
    let silent = dependencies.lock.is_none() && dependencies.declared.is_empty();
    let missing = imports.iter().any(|i| i.target == Target::Missing && is_needed(i.kind));
    let state = if silent && missing { State::Unresolved } else { dependencies.state };
    Function {
        id: site.id.clone(),
        path: site.root.clone(),
        platform: site.platform.clone(),
        platform_source: site.platform_source,
        handler: site.handler.clone(),
        declared_at: Some(site.declared_at.clone()),
        declared_as: Some(site.declared_as.to_string()),
        trust_domain: site.trust_domain.clone().unwrap_or_else(|| DEFAULT_TRUST_DOMAIN.to_string()),
        weight: site.weight.unwrap_or(1.0),
        state,
        lock: dependencies.lock.clone(),
        environment: site.environment.clone(),
        imports,
        declared: dependencies.declared.clone(),
        closure,
        installed_only: Vec::new(),
        unresolved: dependencies.unresolved.clone(),
        unreached: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two functions of one service: `a` imports axios, `b` imports pg, nobody imports the plugin.
    fn shared(a_source: &[u8]) -> Inventory {
        let lock: &[u8] = br#"{"name": "s", "lockfileVersion": 3, "packages": {
            "": {"dependencies": {"axios": "1.0.0", "pg": "8.0.0", "plugin": "2.0.0"}},
            "node_modules/axios": {"version": "1.0.0", "dependencies": {"ms": "^2.0.0"}},
            "node_modules/ms": {"version": "2.1.0"},
            "node_modules/pg": {"version": "8.0.0"},
            "node_modules/plugin": {"version": "2.0.0"}}}"#;
        let tree = Tree::in_memory(&[
            (
                "serverless.yml",
                b"service: s\nprovider:\n  name: aws\n  runtime: nodejs20.x\nfunctions:\n  a:\n    handler: a.handler\n  b:\n    handler: b.handler\n",
            ),
            ("package.json", br#"{"dependencies": {"axios": "1.0.0", "pg": "8.0.0", "plugin": "2.0.0"}}"#),
            ("package-lock.json", lock),
            ("a.js", a_source),
            ("b.js", b"const pg = require('pg'); exports.handler = () => pg;"),
        ]);
        scan_tree(&tree, &ScanOptions::default(), &|_| {})
    }

    fn names(ids: &[PackageId]) -> Vec<&str> {
        ids.iter().map(|id| id.name.as_str()).collect()
    }

    #[test]
    fn functions_that_share_a_lock_load_what_they_import_and_what_nobody_imports() {
        let inventory = shared(b"const axios = require('axios'); exports.handler = () => axios;");
        let [a, b] = &inventory.functions[..] else { panic!("{:?}", inventory.functions) };
        assert_eq!(names(&a.closure), ["axios", "ms", "plugin"]);
        assert_eq!(names(&a.installed_only), ["pg"]);
        assert_eq!(names(&b.closure), ["pg", "plugin"]);
        assert_eq!(names(&b.installed_only), ["axios", "ms"]);
    }

    #[test]
    fn what_is_imported_through_another_package_stays() {
        let inventory = shared(b"const ms = require('ms'); exports.handler = () => ms;");
        assert_eq!(names(&inventory.functions[0].closure), ["axios", "ms", "plugin"], "nobody imports axios now");
        let inventory = shared(b"exports.handler = () => require('ms');");
        assert!(names(&inventory.functions[0].closure).contains(&"ms"));
    }

    #[test]
    fn a_function_whose_imports_only_running_would_tell_keeps_everything() {
        let inventory = shared(b"const axios = require('axios'); exports.handler = (e) => require(e.name);");
        assert_eq!(names(&inventory.functions[0].closure), ["axios", "ms", "pg", "plugin"]);
        assert!(inventory.functions[0].installed_only.is_empty());
    }
}
