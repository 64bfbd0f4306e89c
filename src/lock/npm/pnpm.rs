//! pnpm-lock.yaml, lockfile versions 5 to 9.
//!
//! Version 9 splits `packages` (what a package is) from `snapshots` (what it depends on, once for every set of peers);
//! earlier versions hold both in `packages`, under keys `/name@1.0.0(peers)` (6) or `/name/1.0.0_peers` (5). Every
//! snapshot is an entry; snapshots that differ in their peers share an id. Dependencies name snapshots outright, peers
//! among them, so nothing has to be looked up by range.
//!
//! Read: importers, dependencies, optional and dev dependencies, aliases, `link:` to workspace members and to folders
//! outside, git, tarball and directory resolutions, patches, `os`, `cpu`, `libc`. `overrides` and catalogs pnpm has
//! applied already; the names that it overrides are kept. Not read: settings. Where a file holds two documents, the first is pnpm's own environment.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::npm_json::{Key, Pairs, as_version, source_of};
use super::{npm_yaml, overrides};
use crate::lock::positions::Slices;
use crate::lock::{Edge, Entry, Kind, Lock, Scope, When};
use crate::model::{Diagnostic, PackageId, Place, codes};

use crate::model::support::{Area, Extent, Support};

/// What is read of it.
pub const SUPPORT: Support = Support {
    area: Area::Lock,
    what: "pnpm",
    files: "pnpm-lock.yaml",
    extent: Extent::Full,
    note: "lockfile versions 5 to 9",
};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct File<'a> {
    #[serde(borrow)]
    lockfile_version: Option<Key<'a>>,
    overrides: Pairs<'a, Key<'a>>,
    importers: Pairs<'a, Importer<'a>>,
    packages: Pairs<'a, Option<Package<'a>>>,
    snapshots: Pairs<'a, Option<Package<'a>>>,
    // A project outside any workspace, before version 9.
    specifiers: Pairs<'a, Key<'a>>,
    dependencies: Pairs<'a, Direct<'a>>,
    optional_dependencies: Pairs<'a, Direct<'a>>,
    dev_dependencies: Pairs<'a, Direct<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Importer<'a> {
    #[serde(borrow)]
    specifiers: Pairs<'a, Key<'a>>,
    dependencies: Pairs<'a, Direct<'a>>,
    optional_dependencies: Pairs<'a, Direct<'a>>,
    dev_dependencies: Pairs<'a, Direct<'a>>,
}

/// A direct dependency: `{specifier, version}` since version 6, the version alone before.
#[derive(Default)]
struct Direct<'a> {
    specifier: Cow<'a, str>,
    version: Cow<'a, str>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Package<'a> {
    #[serde(borrow)]
    name: Option<Key<'a>>,
    version: Option<Key<'a>>,
    resolution: Option<Resolution<'a>>,
    dependencies: Pairs<'a, Key<'a>>,
    optional_dependencies: Pairs<'a, Key<'a>>,
    os: Vec<String>,
    cpu: Vec<String>,
    libc: Vec<String>,
    patched: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Resolution<'a> {
    #[serde(borrow)]
    integrity: Option<Key<'a>>,
    tarball: Option<Key<'a>>,
    directory: Option<Key<'a>>,
    repo: Option<Key<'a>>,
}

struct DirectVisitor;

impl<'de> Visitor<'de> for DirectVisitor {
    type Value = Direct<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a version, or a specifier with a version")
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Direct { specifier: Cow::Borrowed(""), version: Cow::Owned(value.to_string()) })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut direct = Direct::default();
        while let Some(Key(key)) = map.next_key()? {
            match key.as_ref() {
                "specifier" => direct.specifier = map.next_value::<Key<'de>>()?.0,
                "version" => direct.version = map.next_value::<Key<'de>>()?.0,
                _ => drop(map.next_value::<serde::de::IgnoredAny>()?),
            }
        }
        Ok(direct)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Direct<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DirectVisitor)
    }
}

/// Reads a pnpm-lock.yaml. Whatever the text is, the result is a lock: what could not be read is in its diagnostics.
pub fn read(file: &str, text: &str) -> Lock {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lock = Lock { complete: true, ..Lock::empty(Kind::Pnpm, file) };
    let documents: Vec<Option<File<'_>>> = match serde_saphyr::from_multiple_with_options(text, npm_yaml::options(text))
    {
        Ok(documents) => documents,
        Err(error) => {
            let (line, reason) = npm_yaml::reason(&error, text);
            lock.diagnostics.push(Diagnostic::new(
                codes::LOCK_INVALID,
                Place::at(file, line),
                format!("the file is no pnpm lock: {reason}"),
            ));
            return lock;
        }
    };
    let Some(parsed) = documents.into_iter().next_back().flatten() else {
        lock.importers.insert(".".to_string(), Vec::new());
        return lock;
    };
    let version = parsed.lockfile_version.as_ref().map(|version| version.0.as_ref());
    let major = version.and_then(|v| v.split('.').next()).and_then(|major| major.parse::<u32>().ok());
    if !major.is_some_and(|major| (5..=9).contains(&major)) {
        let reason = match version {
            Some(version) => format!("lockfileVersion {version} is not one of 5 to 9"),
            None => "the file has no lockfileVersion".to_string(),
        };
        lock.diagnostics.push(Diagnostic::new(codes::LOCK_UNSUPPORTED, Place::file(file), reason));
        return lock;
    }
    let reader = Reader { lines: Slices::new(text), keys: HashMap::new(), folders: BTreeMap::new(), lock };
    reader.run(&parsed)
}

struct Reader<'t> {
    lines: Slices<'t>,
    /// Snapshot key → entry.
    keys: HashMap<&'t str, usize>,
    /// (name used, folder) of `link:` targets → entry.
    folders: BTreeMap<(String, String), usize>,
    lock: Lock,
}

/// Dependencies of an importer, before anything is looked up: name, version, specifier, scope.
type Wanted<'t> = Vec<(&'t Cow<'t, str>, &'t str, &'t str, Scope)>;

impl<'t> Reader<'t> {
    fn run(mut self, file: &'t File<'t>) -> Lock {
        self.lock.overrides = overrides::replaced(file.overrides.0.iter().map(|(key, _)| key.as_ref()));
        // Version 9: what a package is stands under the snapshot's key without its peers.
        let about: HashMap<&str, &Package<'_>> =
            file.packages.0.iter().filter_map(|(key, package)| Some((key.as_ref(), package.as_ref()?))).collect();
        let mut nodes: Vec<&Package<'_>> = Vec::new();
        let empty: &'static Package<'static> = &EMPTY;
        for (key, snapshot) in &file.snapshots.0 {
            let snapshot = snapshot.as_ref().unwrap_or(empty);
            let package = about.get(without_peers(key)).copied().unwrap_or(snapshot);
            if self.entry(key, package) {
                nodes.push(snapshot);
            }
        }
        // Earlier versions, and packages that no snapshot mentions.
        let covered: std::collections::HashSet<&str> =
            file.snapshots.0.iter().map(|(key, _)| without_peers(key)).collect();
        for (key, package) in file.packages.0.iter().filter(|(key, _)| !covered.contains(key.as_ref())) {
            let package = package.as_ref().unwrap_or(empty);
            if self.entry(key, package) {
                nodes.push(package);
            }
        }
        let mut importers: BTreeMap<String, Wanted<'t>> = BTreeMap::new();
        for (folder, importer) in &file.importers.0 {
            let sections = [
                (&importer.dependencies, Scope::Production),
                (&importer.optional_dependencies, Scope::Optional),
                (&importer.dev_dependencies, Scope::Dev),
            ];
            importers.insert(normalise(folder), wanted(&importer.specifiers, sections));
        }
        let sections = [
            (&file.dependencies, Scope::Production),
            (&file.optional_dependencies, Scope::Optional),
            (&file.dev_dependencies, Scope::Dev),
        ];
        let root = wanted(&file.specifiers, sections);
        if importers.is_empty() || !root.is_empty() {
            importers.entry(".".to_string()).or_default().extend(root);
        }
        for (index, node) in nodes.into_iter().enumerate() {
            let mut edges: BTreeMap<&str, Edge> = BTreeMap::new();
            let sections = [(&node.dependencies, Scope::Production), (&node.optional_dependencies, Scope::Optional)];
            for (section, scope) in sections {
                for (name, Key(version)) in &section.0 {
                    // Links inside packages are relative to the lock.
                    edges.insert(name, self.edge(name, version, version, scope.clone(), "", &importers));
                }
            }
            if let Some(entry) = self.lock.entries.get_mut(index) {
                entry.requires = Some(edges.into_values().collect());
            }
        }
        for (folder, wanted) in &importers {
            let edges = self.edges(folder, wanted, &importers);
            self.lock.importers.insert(folder.clone(), edges);
        }
        // Workspace members that something links to need what they need themselves in production.
        for ((_, folder), &entry) in &self.folders {
            if let (Some(edges), Some(entry)) = (self.lock.importers.get(folder), self.lock.entries.get_mut(entry)) {
                entry.requires = Some(edges.iter().filter(|edge| edge.scope != Scope::Dev).cloned().collect());
            }
        }
        self.lock
    }

    /// Adds the entry of a snapshot, unless its key is none.
    fn entry(&mut self, key: &'t str, package: &Package<'_>) -> bool {
        let line = self.lines.of(key);
        let text = |key: &Option<Key<'_>>| key.as_ref().map(|key| key.0.to_string()).filter(|text| !text.is_empty());
        let from_key = split_key(key);
        let name = text(&package.name).or_else(|| from_key.map(|(name, _)| name.to_string()));
        let version = text(&package.version).or_else(|| from_key.map(|(_, version)| version.to_string()));
        let (Some(name), Some(version)) = (name, version) else {
            self.lock.diagnostics.push(Diagnostic::new(
                codes::LOCK_INVALID,
                Place::at(&self.lock.file, line),
                format!("`{key}` names no package at a version"),
            ));
            return false;
        };
        let resolution = package.resolution.as_ref();
        let field = |pick: fn(&Resolution<'_>) -> Option<String>| resolution.and_then(pick);
        let owned = |key: &Option<Key<'_>>| key.as_ref().map(|key| key.0.to_string());
        let source = if package.patched || key.contains("(patch_hash=") {
            // Not what the registry holds: never to be shared as if it were.
            Some("patch")
        } else if resolution.is_some_and(|r| r.repo.is_some()) {
            Some("git")
        } else if resolution.is_some_and(|r| r.directory.is_some()) {
            Some("path")
        } else if let Some(tarball) = resolution.and_then(|r| owned(&r.tarball)) {
            source_of(&tarball)
        } else {
            source_of(&version).or_else(|| source_of(key))
        };
        let hashes = field(|r| r.integrity.as_ref().map(|key| key.0.to_string())).unwrap_or_default();
        self.keys.insert(key, self.lock.entries.len());
        self.lock.entries.push(Entry {
            id: PackageId::npm(&name, &as_version(&version)),
            line,
            hashes: hashes.split_whitespace().map(str::to_string).collect(),
            source: source.map(str::to_string),
            size: None,
            requires: None,
            when: When { marker: None, os: package.os.clone(), cpu: package.cpu.clone(), libc: package.libc.clone() },
        });
        true
    }

    fn edges(&mut self, folder: &str, wanted: &Wanted<'t>, importers: &BTreeMap<String, Wanted<'t>>) -> Vec<Edge> {
        let mut edges: BTreeMap<&str, Edge> = BTreeMap::new();
        for (name, version, specifier, scope) in wanted {
            // What pnpm needs in production it installs, also where it is a development dependency as well.
            if *scope == Scope::Dev && edges.contains_key(name.as_ref()) {
                continue;
            }
            edges.insert(name, self.edge(name, version, specifier, scope.clone(), folder, importers));
        }
        edges.into_values().collect()
    }

    fn edge(
        &mut self,
        name: &'t str,
        version: &str,
        text: &str,
        scope: Scope,
        folder: &str,
        importers: &BTreeMap<String, Wanted<'t>>,
    ) -> Edge {
        let line = self.lines.of(name);
        let to = match version.strip_prefix("link:") {
            Some(path) => Some(self.linked(name, &join(folder, path), line, importers)),
            None => [format!("{name}@{version}"), format!("/{name}@{version}"), format!("/{name}/{version}")]
                .iter()
                .map(String::as_str)
                .chain([version])
                .find_map(|key| self.keys.get(key).copied()),
        };
        Edge {
            name: name.to_string(),
            text: without_peers(text).to_string(),
            line,
            to: to.into_iter().collect(),
            extras: Vec::new(),
            marker: None,
            scope,
        }
    }

    /// The entry of a linked folder. The lock does not say what a folder outside the workspace needs.
    fn linked(&mut self, name: &str, folder: &str, line: u32, importers: &BTreeMap<String, Wanted<'t>>) -> usize {
        let next = self.lock.entries.len();
        let index = *self.folders.entry((name.to_string(), folder.to_string())).or_insert(next);
        if index == next {
            let source = if importers.contains_key(folder) { "workspace" } else { "path" };
            self.lock.entries.push(Entry {
                id: PackageId::npm(name, &as_version(&format!("link:{folder}"))),
                line,
                hashes: Vec::new(),
                source: Some(source.to_string()),
                size: None,
                requires: None,
                when: When::default(),
            });
        }
        index
    }
}

static EMPTY: Package<'static> = Package {
    name: None,
    version: None,
    resolution: None,
    dependencies: Pairs(Vec::new()),
    optional_dependencies: Pairs(Vec::new()),
    os: Vec::new(),
    cpu: Vec::new(),
    libc: Vec::new(),
    patched: false,
};

fn wanted<'t>(specifiers: &'t Pairs<'t, Key<'t>>, sections: [(&'t Pairs<'t, Direct<'t>>, Scope); 3]) -> Wanted<'t> {
    let specifiers: HashMap<&str, &str> =
        specifiers.0.iter().map(|(name, Key(text))| (name.as_ref(), text.as_ref())).collect();
    let mut wanted = Vec::new();
    for (section, scope) in sections {
        for (name, direct) in &section.0 {
            let specifier = if direct.specifier.is_empty() {
                specifiers.get(name.as_ref()).copied().unwrap_or_default()
            } else {
                direct.specifier.as_ref()
            };
            wanted.push((name, direct.version.as_ref(), specifier, scope.clone()));
        }
    }
    wanted
}

/// A key or version without its peers: `x@1.0.0(react@18.2.0)(y@1.0.0(z@2.0.0))` is `x@1.0.0`. Paths may hold
/// parentheses of their own, so only groups at the end count.
fn without_peers(key: &str) -> &str {
    let mut rest = key;
    while rest.ends_with(')') {
        let mut depth = 0usize;
        let open = rest.bytes().rposition(|byte| {
            match byte {
                b')' => depth += 1,
                b'(' => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        match open {
            Some(open) if open > 0 => rest = &rest[..open],
            _ => break,
        }
    }
    rest
}

/// Name and version in a snapshot's key of any lockfile version; the version of a package that is not from a registry
/// is its address.
fn split_key(key: &str) -> Option<(&str, &str)> {
    let base = without_peers(key);
    // Versions 6 and 9: `name@version`, before 9 with a leading slash.
    let plain = base.strip_prefix('/').unwrap_or(base);
    if let Some(at) = plain.char_indices().skip(1).find(|&(_, c)| c == '@').map(|(i, _)| i) {
        let (name, version) = (&plain[..at], &plain[at + 1..]);
        let scoped = name.starts_with('@');
        if !version.is_empty() && name.split('/').count() == 1 + usize::from(scoped) && !name.contains(':') {
            return (version.starts_with(|c: char| c.is_ascii_digit()) || version.contains(':'))
                .then_some((name, version));
        }
    }
    // Version 5: `/name/version_peers`, or with the registry's host in front.
    let path = match base.strip_prefix('/') {
        Some(path) => path,
        None => base.split_once('/').filter(|(host, _)| host.contains('.') && !host.contains(':'))?.1,
    };
    let name_end = if path.starts_with('@') { path.match_indices('/').nth(1)?.0 } else { path.find('/')? };
    let version = path[name_end + 1..].split(['_', '/']).next().unwrap_or_default();
    semver::Version::parse(version).ok()?;
    Some((&path[..name_end], version))
}

/// A folder relative to another one, both relative to the lock: `..` is resolved where it can be.
fn join(folder: &str, path: &str) -> String {
    normalise(&format!("{folder}/{path}"))
}

fn normalise(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    if parts.is_empty() { ".".to_string() } else { parts.join("/") }
}

#[cfg(test)]
mod tests;
