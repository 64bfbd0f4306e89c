//! package-lock.json and npm-shrinkwrap.json, lockfile versions 1, 2 and 3.
//!
//! Versions 2 and 3 (`packages`) record where every package is placed, with its dependencies as ranges; which placed
//! package a range means is found as Node.js finds modules: `node_modules` of the requirer's folder, then of every
//! folder above. Version 1 (`dependencies`) is a tree of the same placements, and is turned into them.
//!
//! Read: dependencies, optional, peer, optional peer and dev dependencies; aliases; workspaces and links; git, tarball
//! and path sources; `os`, `cpu`, `libc`; bundled packages (their content comes with the bundler's archive, so they have
//! no hash). Not read: engines, licences, funding, bins, `overrides` (npm has applied them already).
//!
//! Version 1 records neither the project's direct dependencies nor optional edges. Every package at the top counts as
//! direct then (closures come out right, since what is not for development only is all there for production), and an
//! edge counts as optional where its target is marked so.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;

use super::npm_json::{Pairs, Value, as_version, parse_object, source_of};
use super::npm_range;
use crate::lock::positions::Slices;
use crate::lock::{Edge, Entry, Kind, Lock, Scope, When};
use crate::model::{Diagnostic, PackageId, Place, codes};

use crate::model::support::{Area, Extent, Support};

/// What is read of it.
pub const SUPPORT: Support = Support {
    area: Area::Lock,
    what: "npm",
    files: "package-lock.json, npm-shrinkwrap.json",
    extent: Extent::Full,
    note: "lockfile versions 1, 2 and 3",
};

const FOLDER: &str = "node_modules/";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File<'a> {
    #[serde(default, borrow)]
    lockfile_version: Value<'a>,
    #[serde(borrow)]
    packages: Option<Pairs<'a, Node<'a>>>,
    #[serde(borrow)]
    dependencies: Option<Pairs<'a, Old<'a>>>,
}

/// An entry of `packages`.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Node<'a> {
    #[serde(borrow)]
    name: Value<'a>,
    version: Value<'a>,
    resolved: Value<'a>,
    integrity: Value<'a>,
    link: Value<'a>,
    dependencies: Value<'a>,
    optional_dependencies: Value<'a>,
    dev_dependencies: Value<'a>,
    peer_dependencies: Value<'a>,
    peer_dependencies_meta: Value<'a>,
    workspaces: Value<'a>,
    os: Value<'a>,
    cpu: Value<'a>,
    libc: Value<'a>,
}

/// An entry of version 1's `dependencies`.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Old<'a> {
    #[serde(borrow)]
    version: Value<'a>,
    resolved: Value<'a>,
    integrity: Value<'a>,
    dev: Value<'a>,
    optional: Value<'a>,
    requires: Value<'a>,
    dependencies: Pairs<'a, Old<'a>>,
}

/// Reads a package-lock.json or npm-shrinkwrap.json. Whatever the text is, the result is a lock: what could not be
/// read is in its diagnostics.
pub fn read(file: &str, text: &str) -> Lock {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lock = Lock { complete: true, ..Lock::empty(Kind::PackageLock, file) };
    let parsed: File<'_> = match parse_object(text) {
        Ok(parsed) => parsed,
        Err((line, error)) => {
            lock.diagnostics.push(Diagnostic::new(
                codes::LOCK_INVALID,
                Place::at(file, line),
                format!("the file is no npm lock: {error}"),
            ));
            return lock;
        }
    };
    if let Value::Number(version) = parsed.lockfile_version
        && !(1.0..4.0).contains(&version)
    {
        lock.diagnostics.push(Diagnostic::new(
            codes::LOCK_UNSUPPORTED,
            Place::file(file),
            format!("lockfileVersion {version} is not one of 1, 2 and 3"),
        ));
        return lock;
    }
    let lines = Slices::new(text);
    match (parsed.packages, parsed.dependencies) {
        (Some(packages), _) => read_packages(&mut lock, &lines, packages.0),
        (None, Some(tree)) => read_tree(&mut lock, &lines, tree.0),
        (None, None) if matches!(parsed.lockfile_version, Value::Number(_)) => {
            lock.importers.insert(".".to_string(), Vec::new());
        }
        (None, None) => lock.diagnostics.push(Diagnostic::new(
            codes::LOCK_INVALID,
            Place::file(file),
            "the file has neither `packages` nor `dependencies`",
        )),
    }
    lock
}

/// Which entry stands at which path; links stand for their targets.
#[derive(Default)]
struct Placed<'a> {
    at: HashMap<Cow<'a, str>, usize>,
}

impl Placed<'_> {
    /// What Node.js finds for `name` from the folder `from`, below the lock's folder (`""`).
    fn resolve(&self, from: &str, name: &str, key: &mut String) -> Option<usize> {
        let mut folder = from;
        loop {
            // Node.js does not look into node_modules/node_modules.
            if folder != "node_modules" && !folder.ends_with("/node_modules") && !folder.ends_with("..") {
                key.clear();
                if !folder.is_empty() {
                    key.push_str(folder);
                    key.push('/');
                }
                key.push_str(FOLDER);
                key.push_str(name);
                if let Some(&found) = self.at.get(key.as_str()) {
                    return Some(found);
                }
            }
            if folder.is_empty() {
                return None;
            }
            folder = folder.rfind('/').map_or("", |slash| &folder[..slash]);
        }
    }
}

/// The name in a path: what follows its last `node_modules/`.
fn name_in_path(path: &str) -> Option<&str> {
    let start = path.rfind(FOLDER)?;
    (start == 0 || path[..start].ends_with('/')).then(|| &path[start + FOLDER.len()..]).filter(|name| !name.is_empty())
}

/// Whether a path is a folder of the project's own, not below any `node_modules`.
fn is_project_folder(path: &str) -> bool {
    !path.split('/').any(|part| part == "node_modules")
}

fn hashes(integrity: &Value<'_>) -> Vec<String> {
    integrity.text().unwrap_or_default().split_whitespace().map(str::to_string).collect()
}

fn read_packages(lock: &mut Lock, lines: &Slices<'_>, packages: Vec<(Cow<'_, str>, Node<'_>)>) {
    let mut placed = Placed { at: HashMap::with_capacity(packages.len()) };
    let mut owners: Vec<usize> = Vec::with_capacity(packages.len());
    let workspaces = packages.iter().any(|(path, node)| path.is_empty() && node.workspaces != Value::Null);
    let mut links: Vec<(&Cow<'_, str>, &str)> = Vec::new();
    let mut link_names: HashMap<&str, &str> = HashMap::new();
    // Names whose link says nowhere to: a folder that only such a link could lead to is not installed.
    let mut lost: HashSet<&str> = HashSet::new();
    for (path, node) in &packages {
        if node.link.is_true() {
            let target = node.resolved.text().unwrap_or_default();
            let target = target.strip_prefix("file:").unwrap_or(target).trim_end_matches('/');
            links.push((path, target));
            if let Some(name) = name_in_path(path) {
                link_names.entry(target).or_insert(name);
                if target.is_empty() {
                    lost.insert(name);
                }
            }
        }
    }
    for (index, (path, node)) in packages.iter().enumerate() {
        if path.is_empty() || node.link.is_true() {
            continue;
        }
        let line = lines.of(path);
        let folder = is_project_folder(path);
        let name = node.name.text().or_else(|| name_in_path(path)).or_else(|| link_names.get(path.as_ref()).copied());
        let name = name.unwrap_or_else(|| path.rsplit('/').next().unwrap_or(path));
        if folder && lost.contains(name) && !link_names.contains_key(path.as_ref()) {
            continue;
        }
        let version = match node.version.text() {
            Some(version) => as_version(version),
            None if folder => as_version(&format!("link:{path}")),
            None => {
                lock.diagnostics.push(Diagnostic::new(
                    codes::LOCK_INCOMPLETE,
                    Place::at(&lock.file, line),
                    format!("`{path}` has no version"),
                ));
                continue;
            }
        };
        // A folder of a project without workspaces is linked to by a `file:` requirement.
        let source = match folder {
            true if !workspaces && link_names.contains_key(path.as_ref()) => Some("path"),
            true => Some("workspace"),
            false => node.resolved.text().and_then(source_of),
        };
        placed.at.insert(path.clone(), lock.entries.len());
        owners.push(index);
        lock.entries.push(Entry {
            id: PackageId::npm(name, &version),
            line,
            hashes: hashes(&node.integrity),
            source: source.map(str::to_string),
            size: None,
            requires: None,
            when: When { marker: None, os: node.os.texts(), cpu: node.cpu.texts(), libc: node.libc.texts() },
        });
    }
    for (path, target) in links {
        match placed.at.get(target).copied() {
            Some(entry) => {
                placed.at.insert(path.clone(), entry);
            }
            None => lock.diagnostics.push(Diagnostic::new(
                codes::LOCK_INCOMPLETE,
                Place::at(&lock.file, lines.of(path)),
                format!("`{path}` links to `{target}`, which the lock does not describe"),
            )),
        }
    }
    let mut key = String::new();
    for (entry, &index) in owners.iter().enumerate() {
        let (path, node) = &packages[index];
        let edges = edges_of(&placed, lines, path, node, false, &mut key);
        if let Some(entry) = lock.entries.get_mut(entry) {
            entry.requires = Some(edges);
        }
    }
    for (path, node) in packages.iter().filter(|(path, node)| is_project_folder(path) && !node.link.is_true()) {
        let importer = if path.is_empty() { "." } else { path };
        lock.importers.insert(importer.to_string(), edges_of(&placed, lines, path, node, true, &mut key));
    }
    lock.importers.entry(".".to_string()).or_default();
}

/// One edge a name. Where sections overlap, npm takes the last of: peer, production, optional, development.
fn edges_of(
    placed: &Placed<'_>,
    lines: &Slices<'_>,
    path: &str,
    node: &Node<'_>,
    importer: bool,
    key: &mut String,
) -> Vec<Edge> {
    let optional_peer = |name: &str| {
        node.peer_dependencies_meta.get(name).and_then(|meta| meta.get("optional")).is_some_and(Value::is_true)
    };
    let mut edges: BTreeMap<&str, (Scope, &str, u32)> = BTreeMap::new();
    let sections = [
        (&node.peer_dependencies, Scope::Peer),
        (&node.dependencies, Scope::Production),
        (&node.optional_dependencies, Scope::Optional),
        (&node.dev_dependencies, Scope::Dev),
    ];
    for (section, scope) in sections {
        if scope == Scope::Dev && !importer {
            continue;
        }
        for (name, text) in section.pairs() {
            let scope = if scope == Scope::Peer && optional_peer(name) { Scope::OptionalPeer } else { scope.clone() };
            edges.insert(name.as_ref(), (scope, text.text().unwrap_or_default(), lines.of(name)));
        }
    }
    let edge = |(name, (scope, text, line)): (&str, (Scope, &str, u32))| Edge {
        name: name.to_string(),
        text: text.to_string(),
        line,
        to: placed.resolve(path, name, key).into_iter().collect(),
        extras: Vec::new(),
        marker: None,
        scope,
    };
    edges.into_iter().map(edge).collect()
}

/// Version 1: the tree becomes placements.
fn read_tree(lock: &mut Lock, lines: &Slices<'_>, tree: Vec<(Cow<'_, str>, Old<'_>)>) {
    let mut nodes: Vec<(String, &Cow<'_, str>, &Old<'_>)> = Vec::new();
    flatten("", &tree, &mut nodes);
    let mut placed = Placed { at: HashMap::with_capacity(nodes.len()) };
    let mut owners = Vec::with_capacity(nodes.len());
    for (path, used_name, node) in &nodes {
        let line = lines.of(used_name);
        let Some(version) = node.version.text() else {
            lock.diagnostics.push(Diagnostic::new(
                codes::LOCK_INCOMPLETE,
                Place::at(&lock.file, line),
                format!("`{path}` has no version"),
            ));
            continue;
        };
        let (name, version) = npm_range::alias(version).unwrap_or((used_name.as_ref(), version));
        let source = source_of(version).or_else(|| node.resolved.text().and_then(source_of));
        placed.at.insert(Cow::Borrowed(path.as_str()), lock.entries.len());
        owners.push((path, *node));
        lock.entries.push(Entry {
            id: PackageId::npm(name, &as_version(version)),
            line,
            hashes: hashes(&node.integrity),
            source: source.map(str::to_string),
            size: None,
            requires: None,
            when: When::default(),
        });
    }
    let mut key = String::new();
    let scope_to = |to: Option<usize>| match to.and_then(|to| owners.get(to)) {
        Some((_, target)) if target.optional.is_true() => Scope::Optional,
        _ => Scope::Production,
    };
    for (entry, (path, node)) in lock.entries.iter_mut().zip(&owners) {
        let edge = |(name, text): &(Cow<'_, str>, Value<'_>)| {
            let to = placed.resolve(path, name, &mut key);
            Edge {
                name: name.to_string(),
                text: text.text().unwrap_or_default().to_string(),
                line: lines.of(name),
                to: to.into_iter().collect(),
                extras: Vec::new(),
                marker: None,
                scope: scope_to(to),
            }
        };
        let mut edges: Vec<Edge> = node.requires.pairs().iter().map(edge).collect();
        edges.sort_by(|a, b| a.name.cmp(&b.name));
        entry.requires = Some(edges);
    }
    let direct = |(name, node): &(Cow<'_, str>, Old<'_>)| {
        let to = placed.resolve("", name, &mut key)?;
        let scope = if node.dev.is_true() { Scope::Dev } else { scope_to(Some(to)) };
        Some(Edge {
            name: name.to_string(),
            text: String::new(),
            line: lines.of(name),
            to: vec![to],
            extras: Vec::new(),
            marker: None,
            scope,
        })
    };
    let mut edges: Vec<Edge> = tree.iter().filter_map(direct).collect();
    edges.sort_by(|a, b| a.name.cmp(&b.name));
    lock.importers.insert(".".to_string(), edges);
}

/// Paths of a tree, parents before children. The JSON parser's limit bounds the recursion.
fn flatten<'t, 'a>(
    parent: &str,
    tree: &'t [(Cow<'a, str>, Old<'a>)],
    out: &mut Vec<(String, &'t Cow<'a, str>, &'t Old<'a>)>,
) {
    for (name, node) in tree {
        let path = if parent.is_empty() { format!("{FOLDER}{name}") } else { format!("{parent}/{FOLDER}{name}") };
        out.push((path.clone(), name, node));
        flatten(&path, &node.dependencies.0, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `(name used, scope, id)` of every edge of an entry or importer.
    fn edges(lock: &Lock, edges: &[Edge]) -> Vec<(String, Scope, Vec<String>)> {
        let ids = |edge: &Edge| edge.to.iter().map(|&to| lock.entries[to].id.spec()).collect();
        edges.iter().map(|edge| (edge.name.clone(), edge.scope.clone(), ids(edge))).collect()
    }

    fn edge(name: &str, scope: Scope, to: &[&str]) -> (String, Scope, Vec<String>) {
        (name.to_string(), scope, to.iter().map(ToString::to_string).collect())
    }

    const V3: &str = r#"{
  "lockfileVersion": 3,
  "packages": {
    "": {
      "workspaces": ["packages/*"],
      "dependencies": { "a": "^1.0.0", "both": "^1.0.0" },
      "optionalDependencies": { "both": "^1.0.0" },
      "devDependencies": { "b": "^2.0.0" }
    },
    "packages/w": {
      "name": "@s/w",
      "dependencies": { "b": "^1.0.0" },
      "devDependencies": { "a": "^1.0.0" }
    },
    "node_modules/@s/w": { "resolved": "packages/w", "link": true },
    "packages/w/node_modules/b": { "version": "1.0.0" },
    "node_modules/a": {
      "version": "1.2.0",
      "resolved": "https://registry.example/a/-/a-1.2.0.tgz",
      "integrity": "sha512-aaa sha1-bbb",
      "license": { "type": "MIT" },
      "engines": ["node >= 0.6"],
      "dependencies": { "b-cjs": "npm:b@^1.0.0", "b": "^2.0.0" },
      "peerDependencies": { "p": "*", "q": "*" },
      "peerDependenciesMeta": { "q": { "optional": true } }
    },
    "node_modules/a/node_modules/b-cjs": { "name": "b", "version": "1.0.1" },
    "node_modules/b": { "version": "2.0.0", "dependencies": { "a": "^1.0.0" } },
    "node_modules/both": {
      "version": "1.0.0", "os": "linux", "cpu": ["x64"], "libc": ["glibc"], "resolved": "git+ssh://git@host.example/o/r.git#1"
    },
    "node_modules/empty": { "optional": true }
  }
}"#;

    #[test]
    fn placements_are_resolved_as_node_does() {
        let lock = read("package-lock.json", V3);
        let by = |spec: &str| lock.entries.iter().find(|entry| entry.id.spec() == spec).unwrap();
        assert_eq!(
            edges(&lock, &lock.importers["."]),
            [
                edge("a", Scope::Production, &["a@1.2.0"]),
                edge("b", Scope::Dev, &["b@2.0.0"]),
                edge("both", Scope::Optional, &["both@1.0.0"])
            ]
        );
        assert_eq!(
            edges(&lock, &lock.importers["packages/w"]),
            [edge("a", Scope::Dev, &["a@1.2.0"]), edge("b", Scope::Production, &["b@1.0.0"])]
        );
        let a = by("a@1.2.0");
        assert_eq!(
            edges(&lock, a.requires.as_deref().unwrap()),
            [
                edge("b", Scope::Production, &["b@2.0.0"]),
                edge("b-cjs", Scope::Production, &["b@1.0.1"]),
                edge("p", Scope::Peer, &[]),
                edge("q", Scope::OptionalPeer, &[])
            ]
        );
        assert_eq!((a.line, a.hashes.len(), a.source.as_deref()), (17, 2, None));
        let workspace = by("@s/w@link:packages/w");
        assert_eq!(workspace.source.as_deref(), Some("workspace"));
        assert_eq!(edges(&lock, workspace.requires.as_deref().unwrap()), [edge("b", Scope::Production, &["b@1.0.0"])]);
        let both = by("both@1.0.0");
        assert_eq!(both.source.as_deref(), Some("git"));
        assert_eq!(
            (both.when.os.clone(), both.when.cpu.len(), both.when.libc.len()),
            (vec!["linux".to_string()], 1, 1)
        );
        assert_eq!(lock.importers["."][0].line, 6);
        let [diagnostic] = &lock.diagnostics[..] else { panic!("{:?}", lock.diagnostics) };
        assert_eq!((diagnostic.code.as_str(), diagnostic.place.line), ("lock-incomplete", 32));
    }

    #[test]
    fn the_tree_of_version_1_becomes_placements() {
        let lock = read(
            "package-lock.json",
            r#"{"lockfileVersion": 1, "requires": true, "dependencies": {
              "a": {"version": "1.0.0", "requires": {"b": "^1.0.0", "c": "*", "gone": "*"},
                    "dependencies": {"b": {"version": "1.0.0", "requires": {"c": "*"}}}},
              "b": {"version": "2.0.0", "dev": true},
              "c": {"version": "npm:real@3.0.0", "optional": true},
              "g": {"version": "github:o/r#0a1b"}}}"#,
        );
        assert_eq!(
            edges(&lock, lock.entries[0].requires.as_deref().unwrap()),
            [
                edge("b", Scope::Production, &["b@1.0.0"]),
                edge("c", Scope::Optional, &["real@3.0.0"]),
                edge("gone", Scope::Production, &[])
            ]
        );
        let direct: Vec<_> = lock.importers["."].iter().map(|e| (e.name.as_str(), e.scope.clone())).collect();
        assert_eq!(
            direct,
            [("a", Scope::Production), ("b", Scope::Dev), ("c", Scope::Optional), ("g", Scope::Production)]
        );
        let git = lock.entries.last().unwrap();
        assert_eq!((git.id.spec().as_str(), git.source.as_deref()), ("g@github:o/r#0a1b", Some("git")));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for (text, code) in [
            ("", "lock-invalid"),
            ("null", "lock-invalid"),
            ("[]", "lock-invalid"),
            ("{}", "lock-invalid"),
            (r#"{"lockfileVersion": 3, "packages": {"x""#, "lock-invalid"),
            (r#"{"lockfileVersion": 4, "packages": {}}"#, "lock-unsupported"),
            (
                r#"{"lockfileVersion": 3, "packages": {"node_modules/x": {"resolved": "", "link": true}}}"#,
                "lock-incomplete",
            ),
            (nested.as_str(), "lock-invalid"),
        ] {
            let lock = read("package-lock.json", text);
            assert_eq!(lock.diagnostics.first().map(|d| d.code.as_str()), Some(code), "{:.80}", text);
            assert!(lock.entries.is_empty());
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_error() {
        let lock = read("package-lock.json", "\u{feff}{\"lockfileVersion\": 3, \"packages\": {}}");
        assert!(lock.diagnostics.is_empty() && lock.importers["."].is_empty());
    }

    #[test]
    fn lookup_ends_at_the_lock_and_skips_nested_node_modules() {
        let mut placed = Placed::default();
        for (index, path) in ["node_modules/x", "a/node_modules/x", "../l/node_modules/y"].into_iter().enumerate() {
            placed.at.insert(path.into(), index);
        }
        let mut key = String::new();
        assert_eq!(placed.resolve("a/b/node_modules/@s/z", "x", &mut key), Some(1));
        assert_eq!(placed.resolve("node_modules/z", "x", &mut key), Some(0));
        assert_eq!(placed.resolve("../l", "y", &mut key), Some(2));
        assert_eq!(placed.resolve("", "y", &mut key), None);
    }

    #[test]
    fn a_folder_that_only_a_broken_link_leads_to_is_not_installed() {
        let lock = read(
            "package-lock.json",
            r#"{"lockfileVersion": 3, "packages": {"": {}, "fns/a": {"version": "1.0.0"}, "fns/b": {"version": "1.0.0"},
               "node_modules/a": {"resolved": "", "link": true}, "node_modules/b": {"resolved": "fns/b", "link": true}}}"#,
        );
        assert_eq!(lock.entries.iter().map(|e| e.id.spec()).collect::<Vec<_>>(), ["b@1.0.0"]);
        assert_eq!(lock.diagnostics[0].code, "lock-incomplete");
        assert!(lock.importers.contains_key("fns/a"));
    }

    #[test]
    fn platforms_differ() {
        let lock = read(
            "package-lock.json",
            r#"{"lockfileVersion": 3, "packages": {"": {"optionalDependencies": {"x": "1", "y": "1"}},
               "node_modules/x": {"version": "1.0.0", "os": ["linux"], "cpu": ["x64"], "libc": ["glibc"]},
               "node_modules/y": {"version": "1.0.0", "os": ["!win32"], "cpu": ["arm64"], "libc": ["musl"]}}}"#,
        );
        let on = |platform: &str| -> Vec<String> {
            let platform = platform.parse().unwrap();
            let walked = crate::lock::closure::closure(&lock, &lock.importers["."], &[], &platform);
            walked.packages.keys().map(PackageId::spec).collect()
        };
        assert_eq!(on("node20-linux-x86_64-glibc"), ["x@1.0.0"]);
        assert_eq!(on("node20-linux-aarch64-musl"), ["y@1.0.0"]);
        assert!(on("node20-linux-x86_64-musl").is_empty() && on("node20-linux-aarch64-glibc").is_empty());
    }
}
