//! The whole way from a folder to an inventory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::discover::{self, Defaults, Limits, OpenError, Site, Tree};
use crate::model::codes;
use crate::model::inventory::{DEFAULT_TRUST_DOMAIN, FileCounts, Target, Unreached};
use crate::model::{Diagnostic, Function, ImportKind, Inventory, Language, PackageId, Place, State};
use crate::source;

use super::dependencies::{Dependencies, Shelf, narrow};
use super::imports::{Found, Known, Sources, is_needed};
use super::packages::Gathered;
use super::pins::Pins;
use super::relock::Locks;

/// How a fleet is read.
#[derive(Debug, Default)]
pub struct ScanOptions {
    /// What functions run on that do not say so themselves.
    pub defaults: Defaults,
    /// Versions for functions without a lock.
    pub pins: Pins,
    /// What `warmset lock` resolved.
    pub locks: Locks,
    /// Bounds on what is read.
    pub limits: Limits,
}

/// How far the scan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Functions done.
    pub done: usize,
    /// Functions found.
    pub total: usize,
}

/// Reads every function below a folder. Only a folder that cannot be opened is an error; everything else that is wrong
/// becomes a diagnostic of the inventory.
pub fn scan(root: &Path, options: &ScanOptions, progress: &(dyn Fn(Progress) + Sync)) -> Result<Inventory, OpenError> {
    let tree = Tree::open(root, options.limits.clone())?;
    Ok(scan_tree(&tree, options, progress))
}

/// The same for a tree that is already open. The result does not depend on the number of threads.
pub fn scan_tree(tree: &Tree, options: &ScanOptions, progress: &(dyn Fn(Progress) + Sync)) -> Inventory {
    let discovery = discover::discover(tree, &options.defaults);
    let roots: BTreeSet<&str> = discovery.sites.iter().map(|s| s.root.as_str()).collect();
    let shelf = Shelf::new(tree, &options.pins);
    let sources = Sources::new(tree);
    let done = AtomicUsize::new(0);
    let total = discovery.sites.len();
    let mut read: Vec<(&Site, Dependencies, Found)> = discovery
        .sites
        .par_iter()
        .map(|site| {
            let dependencies = shelf.dependencies(site);
            let found = sources.of(site, &roots, &known(&dependencies));
            progress(Progress { done: done.fetch_add(1, Ordering::Relaxed) + 1, total });
            (site, dependencies, found)
        })
        .collect();
    for (site, dependencies, found) in &mut read {
        if let (true, Some(platform)) = (dependencies.only_imported, &site.platform) {
            dependencies.keep_imported(&imported(found), platform);
        }
        if let Some(platform) = &site.platform {
            options.locks.apply(&site.id, &site.declared_at, platform, dependencies);
        }
    }
    let unreached = unreached(&sources, &roots, &read);
    let installed_only = narrow_shared(&mut read);

    let mut inventory = Inventory::empty();
    let mut gathered = Gathered::default();
    inventory.diagnostics.extend(tree.diagnostics().iter().cloned());
    inventory.diagnostics.extend(discovery.diagnostics.iter().cloned());
    let mut reached: BTreeSet<String> = BTreeSet::new();
    let apart = installed_only.into_iter().zip(unreached);
    for ((site, mut dependencies, found), (installed_only, unreached)) in read.into_iter().zip(apart) {
        if dependencies.is_empty() && found.lacks_packages() {
            // It loads something, and nothing says what: not the same as loading nothing.
            dependencies.state = State::Unresolved;
        }
        if !found.elsewhere.is_empty() && matches!(dependencies.state, State::Locked | State::Pinned) {
            dependencies.state = if dependencies.is_empty() { State::Unresolved } else { State::Partial };
        }
        let Found { imports, diagnostics, reached: read_files, elsewhere, .. } = found;
        dependencies.unresolved.extend(elsewhere.into_values());
        reached.extend(read_files);
        let function = Function { installed_only, unreached, ..function(site, &dependencies, imports) };
        if let Some(platform) = &function.platform {
            for (lock, closure) in &dependencies.closure {
                gathered.add(lock, closure, platform);
            }
        }
        inventory.diagnostics.extend(dependencies.diagnostics);
        inventory.diagnostics.extend(diagnostics);
        inventory.functions.push(function);
    }
    inventory.packages = gathered.into_packages();
    inventory.files = FileCounts {
        seen: tree.files().count(),
        sources: tree.files().filter(|f| source::is_source(f)).count(),
        read: reached.len(),
    };
    if inventory.functions.is_empty() {
        inventory.diagnostics.push(Diagnostic::new(
            codes::NO_FUNCTIONS,
            Place::file("."),
            format!("none of {} files declares a function or looks like a handler", inventory.files.seen),
        ));
    }
    inventory.sort();
    inventory
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

/// By function, what of its code folder no handler reaches. Functions with one folder are asked together.
fn unreached(
    sources: &Sources<'_>,
    roots: &BTreeSet<&str>,
    read: &[(&Site, Dependencies, Found)],
) -> Vec<Vec<Unreached>> {
    let mut sharing: BTreeMap<(&str, Language), Vec<usize>> = BTreeMap::new();
    for (at, (site, _, _)) in read.iter().enumerate() {
        if let Some(platform) = &site.platform {
            sharing.entry((&site.root, platform.language)).or_default().push(at);
        }
    }
    let lists: Vec<(Vec<usize>, Vec<Unreached>)> = sharing
        .into_values()
        .collect::<Vec<_>>()
        .into_par_iter()
        .map(|members| {
            let reached = members.iter().flat_map(|&at| read[at].2.reached.iter().map(String::as_str)).collect();
            let (site, dependencies, _) = &read[members[0]];
            let list = sources.unreached(site, roots, &known(dependencies), &reached);
            (members, list)
        })
        .collect();
    let mut out = vec![Vec::new(); read.len()];
    for (members, list) in lists {
        let all = members.len().saturating_mul(list.len()) <= MAX_UNREACHED;
        for &at in members.iter().skip(1).filter(|_| all) {
            out[at] = list.clone();
        }
        out[members[0]] = list;
    }
    out
}

/// Entries of `unreached` that functions with one folder may repeat.
const MAX_UNREACHED: usize = 100_000;

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
