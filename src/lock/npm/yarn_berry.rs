//! yarn.lock of Yarn 2 to 4 (`__metadata` versions 3 and later): YAML, one entry for each package, under the
//! *descriptors* (`name@protocol:range`) that lead to it; `resolution` is its *locator* (`name@protocol:reference`).
//!
//! A requirement leads to the entry that has it as a descriptor, once the root's `resolutions` and catalogs have replaced
//! it, `npm:` has been added to a bare range, Yarn's built-in patch of the package has been put before it, and a path has
//! been bound to the locator of whoever asks (`::locator=…`).
//!
//! Peers are what the requirer's requirers hold: Yarn installs none for them. So such an edge names all that may be meant
//! and counts only where one of those is there anyway (`Kind::installs_peers`).

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::npm_json::{Key, Pairs, as_version, source_of};
use super::npm_range;
use super::npm_yaml;
use super::overrides::{self, ByName};
use super::yarn_project::Project;
use crate::lock::positions::Slices;
use crate::lock::{Edge, Entry, Kind, Lock, Manifest, Scope, When, indices_by_name};
use crate::model::{Diagnostic, PackageId, Place, codes};

/// Peers of one package that are looked for among its requirers' requirements, and packages that one peer may be.
const MAX_PEERS: usize = 64;
const MAX_PROVIDERS: usize = 16;

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Package<'a> {
    #[serde(borrow)]
    version: Option<Key<'a>>,
    resolution: Option<Key<'a>>,
    dependencies: Pairs<'a, Key<'a>>,
    dependencies_meta: Pairs<'a, Meta<'a>>,
    peer_dependencies: Pairs<'a, Key<'a>>,
    peer_dependencies_meta: Pairs<'a, Meta<'a>>,
    conditions: Option<Key<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Meta<'a> {
    #[serde(borrow)]
    optional: Option<Key<'a>>,
}

/// The part of .yarnrc.yml that a lock's ranges refer to.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Settings<'a> {
    #[serde(borrow)]
    catalog: Pairs<'a, Key<'a>>,
    catalogs: Pairs<'a, Pairs<'a, Key<'a>>>,
}

/// Reads the text of a berry lock.
pub(super) fn read(file: &str, text: &str, project: &mut Project<'_>) -> Lock {
    let mut lock = Lock { complete: true, ..Lock::empty(Kind::Yarn, file) };
    let parsed: Pairs<'_, Option<Package<'_>>> =
        match serde_saphyr::from_str_with_options(text, npm_yaml::options(text)) {
            Ok(parsed) => parsed,
            Err(error) => {
                let (line, reason) = npm_yaml::reason(&error, text);
                let reason = format!("the file is no yarn lock: {reason}");
                lock.diagnostics.push(Diagnostic::new(codes::LOCK_INVALID, Place::at(file, line), reason));
                return lock;
            }
        };
    let lines = Slices::new(text);
    let mut reader = Reader { lines, lock, owners: Vec::new(), root: None, index: Index::default() };
    for (key, package) in &parsed.0 {
        if let (Some(package), false) = (package, key == "__metadata") {
            reader.entry(key, package);
        }
    }
    reader.index.by_name = indices_by_name(&reader.lock.entries);
    reader.index.overrides = ByName::new(project.overrides());
    if parsed.0.iter().flat_map(|(_, p)| p).any(|p| p.dependencies.0.iter().any(|(_, r)| r.0.starts_with("catalog:"))) {
        reader.index.catalogs = catalogs(project);
    }
    reader.edges(project);
    reader.lock
}

struct Reader<'t> {
    lines: Slices<'t>,
    lock: Lock,
    /// What the entries were read from.
    owners: Vec<&'t Package<'t>>,
    /// The root project: an entry only where something requires it.
    root: Option<&'t Package<'t>>,
    index: Index,
}

/// Ways to find an entry.
#[derive(Default)]
struct Index {
    /// Descriptor → entry.
    exact: HashMap<String, usize>,
    /// Descriptor without its binding (`::locator=…`) → entry, the first one.
    unbound: HashMap<String, usize>,
    /// Descriptor of what a built-in patch is put on → the patched entry.
    built_in: HashMap<String, usize>,
    by_name: BTreeMap<String, Vec<usize>>,
    overrides: ByName,
    /// (catalog, name) → range; the default catalog is called "".
    catalogs: HashMap<(String, String), String>,
}

/// Where the root project stands in [`Index`] until something requires it.
const ROOT: usize = usize::MAX;

impl<'t> Reader<'t> {
    fn entry(&mut self, key: &'t str, package: &'t Package<'t>) {
        let line = self.lines.of(key);
        let locator = package.resolution.as_ref().map_or("", |r| r.0.as_ref());
        let (name, reference) = overrides::split(locator);
        let version = package.version.as_ref().map(|v| v.0.as_ref()).filter(|v| !v.is_empty());
        let (Some(reference), Some(version)) = (reference, version) else {
            let reason = format!("`{key}` has no version or no resolution");
            self.lock.diagnostics.push(Diagnostic::new(codes::LOCK_INVALID, Place::at(&self.lock.file, line), reason));
            return;
        };
        let root = reference == "workspace:.";
        let at = if root { ROOT } else { self.lock.entries.len() };
        for descriptor in key.split(',').map(str::trim).filter(|d| !d.is_empty()) {
            self.index.add(descriptor, at);
        }
        if root {
            self.root = Some(package);
            return;
        }
        let when = conditions(package.conditions.as_ref().map_or("", |c| c.0.as_ref())).unwrap_or_else(|part| {
            let reason = format!("the condition `{part}` is none of os, cpu and libc");
            self.lock.diagnostics.push(Diagnostic::new(codes::LOCK_INVALID, Place::at(&self.lock.file, line), reason));
            When::default()
        });
        self.owners.push(package);
        self.lock.entries.push(Entry {
            source: source(reference).map(str::to_string),
            when,
            ..Entry::pin(PackageId::npm(name, &as_version(version)), line)
        });
    }

    fn edges(&mut self, project: &mut Project<'_>) {
        let mut all: Vec<Vec<Edge>> = Vec::with_capacity(self.owners.len());
        let mut importers: Vec<(String, Option<usize>)> = Vec::new();
        for (at, owner) in self.owners.iter().enumerate() {
            all.push(self.of(owner));
            let locator = owner.resolution.as_ref().map_or("", |r| r.0.as_ref());
            if let Some(folder) = overrides::split(locator).1.and_then(|r| r.strip_prefix("workspace:")) {
                importers.push((folder.to_string(), Some(at)));
            }
        }
        importers.push((".".to_string(), None));
        let mut root = self.root.map(|root| self.of(root)).unwrap_or_default();
        // The lock mixes development dependencies into the others; only the manifests tell.
        for (folder, at) in &importers {
            let edges = at.map_or(&mut root, |at| &mut all[at]);
            if let Some(manifest) = project.manifest(folder) {
                set_scopes(edges, &manifest);
            }
        }
        if root.iter().chain(all.iter().flatten()).any(|edge| edge.to.contains(&ROOT)) {
            let name = self.root.and_then(|r| r.resolution.as_ref()).map_or("", |r| overrides::split(&r.0).0);
            let at = self.lock.entries.len();
            root.iter_mut().chain(all.iter_mut().flatten()).flat_map(|edge| &mut edge.to).for_each(|to| {
                *to = if *to == ROOT { at } else { *to };
            });
            let pin = Entry::pin(PackageId::npm(name, "0.0.0-use.local"), 0);
            self.lock.entries.push(Entry { source: Some("workspace".to_string()), ..pin });
            all.push(root.clone());
        }
        provide(&self.lock.entries, &self.index.by_name, &mut root, &mut all);
        for (folder, at) in importers {
            let edges = at.map_or_else(|| std::mem::take(&mut root), |at| all[at].clone());
            self.lock.importers.insert(folder, edges);
        }
        for (entry, edges) in self.lock.entries.iter_mut().zip(all) {
            let workspace = entry.source.as_deref() == Some("workspace");
            // Nobody records what a linked folder needs.
            let linked = entry.source.as_deref() == Some("path") && edges.is_empty();
            let kept = edges.into_iter().filter(|edge| !workspace || edge.scope != Scope::Dev);
            entry.requires = (!linked).then(|| kept.collect());
        }
    }

    /// What a package asks for: dependencies with what they lead to, and peers that still lead nowhere.
    fn of(&self, package: &Package<'t>) -> Vec<Edge> {
        let locator = package.resolution.as_ref().map_or("", |r| r.0.as_ref());
        let is_true = |meta: &Meta<'_>| meta.optional.as_ref().is_some_and(|o| o.0 == "true");
        let among = |list: &Pairs<'_, Meta<'_>>| -> std::collections::BTreeSet<String> {
            list.0.iter().filter(|(_, meta)| is_true(meta)).map(|(name, _)| name.to_string()).collect()
        };
        let (optional, optional_peers) = (among(&package.dependencies_meta), among(&package.peer_dependencies_meta));
        let edge = |name: &Cow<'_, str>, text: &str, scope: Scope, to: Option<usize>| Edge {
            name: name.to_string(),
            text: text.to_string(),
            line: self.lines.of(name),
            to: to.into_iter().collect(),
            extras: Vec::new(),
            marker: None,
            scope,
        };
        let mut edges: BTreeMap<&str, Edge> = BTreeMap::new();
        for (name, Key(text)) in &package.peer_dependencies.0 {
            let scope = if optional_peers.contains(name.as_ref()) { Scope::OptionalPeer } else { Scope::Peer };
            edges.insert(name, edge(name, text, scope, None));
        }
        // A peer may be declared optional without being declared at all.
        for (name, _) in package.peer_dependencies_meta.0.iter().filter(|(_, meta)| is_true(meta)) {
            edges.entry(name).or_insert_with(|| edge(name, "*", Scope::OptionalPeer, None));
        }
        for (name, Key(text)) in &package.dependencies.0 {
            let scope = if optional.contains(name.as_ref()) { Scope::Optional } else { Scope::Production };
            edges.insert(name, edge(name, text, scope, self.index.find(locator, name, text)));
        }
        edges.into_values().collect()
    }
}

impl Index {
    fn add(&mut self, descriptor: &str, at: usize) {
        let (name, range) = overrides::split(descriptor);
        let Some(range) = range else { return };
        self.exact.insert(descriptor.to_string(), at);
        if let Some((plain, _)) = range.split_once("::") {
            self.unbound.entry(format!("{name}@{plain}")).or_insert(at);
        }
        if let Some((of, _)) =
            range.strip_prefix("patch:").and_then(|r| r.split_once('#')).filter(|(_, by)| by.contains("builtin<"))
        {
            let of = percent_decoded(of);
            let (name, range) = overrides::split(&of);
            self.built_in.insert(format!("{name}@{}", with_protocol(range.unwrap_or_default())), at);
        }
    }

    fn find(&self, locator: &str, name: &str, range: &str) -> Option<usize> {
        let mut range = Cow::Borrowed(range);
        if let Some(catalog) = range.strip_prefix("catalog:")
            && let Some(meant) = self.catalogs.get(&(catalog.to_string(), name.to_string()))
        {
            range = Cow::Owned(meant.clone());
        }
        let (by, reference) = overrides::split(locator);
        let same = |a: &str, b: &str| a == b || with_protocol(a) == with_protocol(b);
        let replaced = self.overrides.of(name).iter().find(|o| {
            let requirer = o.requirer.as_ref().is_none_or(|(name, version)| {
                name == by && version.as_ref().is_none_or(|v| same(v, reference.unwrap_or_default()))
            });
            requirer && o.range.as_ref().is_none_or(|wanted| same(wanted, &range))
        });
        if let Some(replaced) = replaced {
            range = Cow::Borrowed(&replaced.to);
        }
        let plain = format!("{name}@{}", with_protocol(&range));
        let written = format!("{name}@{range}");
        let bound = || format!("{written}::locator={}", percent_encoded(locator));
        let found = self.built_in.get(&plain).or_else(|| self.exact.get(&plain)).or_else(|| self.exact.get(&written));
        let found = found.or_else(|| self.exact.get(&bound())).or_else(|| self.unbound.get(&written));
        found.copied().or_else(|| {
            // Replaced where the root's manifest cannot be seen: no other entry can be meant then.
            self.by_name.get(name).filter(|of_name| of_name.len() == 1).map(|of_name| of_name[0])
        })
    }
}

/// Development dependencies of a project folder.
fn set_scopes(edges: &mut [Edge], manifest: &Manifest) {
    let mut scopes: BTreeMap<&str, &Scope> = BTreeMap::new();
    for r in manifest.requires.iter().filter(|r| !matches!(r.scope, Scope::Peer | Scope::OptionalPeer)) {
        // What is needed in production is installed, also where it is a development dependency as well.
        if r.scope != Scope::Dev || !scopes.contains_key(r.name.as_str()) {
            scopes.insert(&r.name, &r.scope);
        }
    }
    for edge in edges.iter_mut().filter(|edge| matches!(edge.scope, Scope::Production | Scope::Optional)) {
        if let Some(scope) = scopes.get(edge.name.as_str()) {
            edge.scope = (*scope).clone();
        }
    }
}

/// Fills in what peers may lead to: what the requirers of their package hold under the name, else what the lock holds
/// that the range allows.
fn provide(entries: &[Entry], by_name: &BTreeMap<String, Vec<usize>>, root: &mut [Edge], all: &mut [Vec<Edge>]) {
    let is_peer = |edge: &Edge| matches!(edge.scope, Scope::Peer | Scope::OptionalPeer);
    let peers: Vec<Vec<(usize, String)>> = all
        .iter()
        .map(|edges| {
            let peers = edges.iter().enumerate().filter(|(_, edge)| is_peer(edge)).take(MAX_PEERS);
            peers.map(|(at, edge)| (at, edge.name.clone())).collect()
        })
        .collect();
    let mut found: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    for (own, edges) in
        std::iter::once((None, &*root)).chain(all.iter().enumerate().map(|(i, e)| (Some(i), e.as_slice())))
    {
        let held: HashMap<&str, usize> = edges
            .iter()
            .filter(|edge| !is_peer(edge))
            .filter_map(|edge| Some((edge.name.as_str(), *edge.to.first()?)))
            .collect();
        for &package in held.values() {
            for (edge, name) in peers.get(package).into_iter().flatten() {
                let itself = own.filter(|own| entries.get(*own).is_some_and(|entry| entry.id.name == *name));
                if let Some(provider) = held.get(name.as_str()).copied().or(itself) {
                    let of_edge = found.entry((package, *edge)).or_default();
                    if of_edge.len() < MAX_PROVIDERS && !of_edge.contains(&provider) {
                        of_edge.push(provider);
                    }
                }
            }
        }
    }
    for (package, edges) in all.iter_mut().enumerate() {
        for (at, edge) in edges.iter_mut().enumerate().filter(|(_, edge)| is_peer(edge)) {
            edge.to = found.remove(&(package, at)).unwrap_or_else(|| {
                let of_name = by_name.get(&edge.name).map_or(&[][..], Vec::as_slice);
                let fits = |i: &&usize| npm_range::satisfies(&edge.text, &entries[**i].id.version) != Some(false);
                of_name.iter().take(MAX_PROVIDERS * 4).filter(fits).take(MAX_PROVIDERS).copied().collect()
            });
            // The order of a file decides nothing.
            edge.to.sort_unstable_by(|a, b| npm_range::compare(&entries[*b].id.version, &entries[*a].id.version));
        }
    }
}

/// Where a locator's reference points: `None` for a registry.
fn source(reference: &str) -> Option<&'static str> {
    match reference.split_once(':') {
        // `npm:1.0.0::__archiveUrl=…` is from a registry too, one with addresses of its own.
        Some(("npm", _)) => None,
        Some(("workspace", _)) => Some("workspace"),
        Some(("patch", _)) => Some("patch"),
        Some(("portal" | "link" | "file" | "exec", _)) => Some("path"),
        _ => source_of(reference).or(Some("url")),
    }
}

/// `npm:` in front of a range or tag that has no protocol.
fn with_protocol(range: &str) -> Cow<'_, str> {
    let bare = !range.contains(':') && !range.contains('/') && !range.starts_with('.');
    if bare { Cow::Owned(format!("npm:{range}")) } else { Cow::Borrowed(range) }
}

/// `os=linux & cpu=x64 & (libc=glibc | libc=musl)`; the part that is none of these is the error.
fn conditions(text: &str) -> Result<When, String> {
    let mut when = When::default();
    for part in text.split('&').map(|part| part.trim().trim_start_matches('(').trim_end_matches(')')) {
        for token in part.split('|').map(str::trim).filter(|token| !token.is_empty()) {
            let (negated, plain) = match token.strip_prefix('!') {
                Some(plain) => ("!", plain),
                None => ("", token),
            };
            let list = match plain.split_once('=') {
                Some(("os", _)) => &mut when.os,
                Some(("cpu", _)) => &mut when.cpu,
                Some(("libc", _)) => &mut when.libc,
                _ => return Err(token.to_string()),
            };
            list.extend(plain.split_once('=').map(|(_, value)| format!("{negated}{value}")));
        }
    }
    Ok(when)
}

fn catalogs(project: &mut Project<'_>) -> HashMap<(String, String), String> {
    let Some(text) = project.text(".yarnrc.yml") else { return HashMap::new() };
    let settings: Settings<'_> =
        serde_saphyr::from_str_with_options(&text, npm_yaml::options(&text)).unwrap_or_default();
    let plain = std::iter::once((Cow::Borrowed(""), settings.catalog));
    let all = plain.chain(settings.catalogs.0);
    all.flat_map(|(catalog, ranges)| {
        ranges.0.into_iter().map(move |(name, Key(range))| ((catalog.to_string(), name.to_string()), range.to_string()))
    })
    .collect()
}

fn percent_decoded(text: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|b| char::from(*b).to_digit(16));
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let value = digit(bytes.get(at + 1)).zip(digit(bytes.get(at + 2))).filter(|_| byte == b'%');
        match value.and_then(|(high, low)| u8::try_from(high * 16 + low).ok()) {
            Some(value) => {
                out.push(value);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// JavaScript's `encodeURIComponent`.
fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => out.push(char::from(byte)),
            _ if b"-_.!~*'()".contains(&byte) => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::result_large_err)]
mod tests;
