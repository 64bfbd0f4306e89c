//! What an importer loads in production on a platform: one walk for every format of both ecosystems.
//!
//! The walk follows an edge when its scope counts, its PEP 508 marker holds on the platform with the extras asked of the
//! requirer, and the entry that it leads to can be installed there. Nothing depends on the order of a file: where the
//! markers leave a choice between versions (Poetry's locks of several Python versions), what other edges have settled
//! decides first, and the highest version after that.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::str::FromStr;

use pep440_rs::Version;
use pep508_rs::{ExtraName, MarkerEnvironment};

use super::environment::marker_environment;
use super::npm::npm_range;
use super::pypi::{pep508, wheel};
use super::{
    Closure, Edge, Entry, Kind, Lock, Manifest, ManifestRequirement, Reached, Scope, When, candidates, indices_by_name,
};
use crate::discover::paths;
use crate::model::{Diagnostic, Ecosystem, PackageId, Place, Platform, codes, normalise_pypi};

/// Open choices that are settled one by one; beyond, all at once, in the order of the walk.
const MAX_OPEN: usize = 1_000;

/// The production closure of edges: an importer's, or [`roots_from_manifest`]'s.
///
/// `extras` are those asked of the importer itself, however they are spelt. Entries with source `workspace` are walked through but not listed:
/// they are code of the fleet, not packages. An edge to nothing is `missing` unless its absence is allowed; an entry whose
/// own marker fails is not for this platform, silently; one whose os, cpu or libc does not fit is missing unless optional.
pub fn closure(lock: &Lock, roots: &[Edge], extras: &[String], platform: &Platform) -> Closure {
    let extras: &Vec<String> = &extras.iter().map(|e| normalise_pypi(e)).collect();
    let mut walk = Walk {
        lock,
        environment: marker_environment(platform),
        system: System::of(platform),
        extras: names(extras.iter().map(String::as_str)),
        conflicts: conflict_names(lock, extras),
        reached: BTreeMap::new(),
        versions: BTreeMap::new(),
        queue: VecDeque::new(),
        undecided: Vec::new(),
        peers: Vec::new(),
        missing: BTreeSet::new(),
        records_ranges: lock.records_ranges(),
    };
    let asked: BTreeSet<&str> = extras.iter().map(String::as_str).collect();
    walk.edges(None, roots, &asked);
    walk.run();
    walk.meet_peers();
    walk.finish()
}

/// Why a closure cannot be installed on a platform although the lock holds it: the lock is made for others, or has neither
/// a wheel that fits nor a source archive.
pub fn incompatible(lock: &Lock, closure: &Closure, platform: &Platform) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    if lock.kind.ecosystem() != Ecosystem::Pypi {
        return out;
    }
    if let Some(made_for) = &lock.made_for
        && !made_for.marker.evaluate(&marker_environment(platform), &[])
    {
        let reason = format!("the lock is made for {}, and the function runs on {platform}", made_for.text);
        out.push(Diagnostic::new(codes::PLATFORM_INCOMPATIBLE, Place::at(&lock.file, made_for.line), reason));
    }
    for (id, reached) in &closure.packages {
        if let Some(lack) = lock.wheels.get(&reached.entry).and_then(|tags| wheel::lack(tags, platform)) {
            let line = lock.entries.get(reached.entry).map_or(0, |e| e.line);
            let reason = format!("{}: {lack}", id.spec());
            out.push(Diagnostic::new(codes::PLATFORM_INCOMPATIBLE, Place::at(&lock.file, line), reason));
        }
    }
    out
}

/// Whether an importer asks for an edge's target in production on a platform: its scope counts and its marker holds.
pub fn is_wanted(edge: &Edge, platform: &Platform) -> bool {
    let counts = !matches!(edge.scope, Scope::Dev | Scope::Extra(_));
    counts && edge.marker.as_ref().is_none_or(|m| m.evaluate(&marker_environment(platform), &[]))
}

/// Whether a version is in a range of an ecosystem; `None` when that cannot be told.
pub fn satisfies(ecosystem: Ecosystem, range: &str, version: &str) -> Option<bool> {
    match ecosystem {
        Ecosystem::Pypi => pep508::satisfies(range, version),
        Ecosystem::Npm => npm_range::satisfies(range, version),
    }
}

/// An entry that the walk has reached.
#[derive(Default)]
struct Node<'a> {
    extras: BTreeSet<&'a str>,
    requires: BTreeSet<usize>,
    ranges: BTreeMap<&'a str, BTreeSet<&'a str>>,
    aliases: BTreeMap<&'a str, usize>,
}

struct Walk<'a> {
    lock: &'a Lock,
    environment: MarkerEnvironment,
    system: System<'a>,
    /// Extras of the importer: markers of entries may ask for them.
    extras: Vec<ExtraName>,
    /// The same as uv's markers of conflicts write them.
    conflicts: Vec<ExtraName>,
    reached: BTreeMap<usize, Node<'a>>,
    /// One version of a name, in Python.
    versions: BTreeMap<&'a str, usize>,
    queue: VecDeque<usize>,
    /// Edges that lead to several entries which the platform allows.
    undecided: Vec<(Option<usize>, &'a Edge)>,
    /// Peers that count only where something else brings them, by requirer.
    peers: Vec<(usize, &'a Edge)>,
    missing: BTreeSet<(Option<PackageId>, String, String)>,
    records_ranges: bool,
}

impl<'a> Walk<'a> {
    fn run(&mut self) {
        loop {
            while let Some(at) = self.queue.pop_front() {
                let entry = &self.lock.entries[at];
                let extras = self.reached.get(&at).map(|n| n.extras.clone()).unwrap_or_default();
                self.edges(Some(at), entry.requires.as_deref().unwrap_or_default(), &extras);
            }
            if self.undecided.is_empty() {
                return;
            }
            // All that is settled first: a choice may follow from another.
            let (settled, open): (Vec<_>, Vec<_>) =
                std::mem::take(&mut self.undecided).into_iter().partition(|(_, edge)| self.settled(edge).is_some());
            // Otherwise one at a time, as what it brings may settle others; no real lock leaves many open.
            let (now, later) = match (settled.is_empty(), open.len()) {
                (false, _) => (settled, open),
                (true, ..=MAX_OPEN) => (open[..1].to_vec(), open[1..].to_vec()),
                (true, _) => (open, Vec::new()),
            };
            self.undecided = later;
            for (requirer, edge) in now {
                if let Some(target) = self.settled(edge).or_else(|| self.highest(edge)) {
                    self.take(requirer, edge, target);
                }
            }
        }
    }

    fn edges(&mut self, requirer: Option<usize>, edges: &'a [Edge], active: &BTreeSet<&str>) {
        let mut extras = names(active.iter().copied());
        extras.extend(self.conflicts.iter().cloned());
        for edge in edges {
            let counts = match &edge.scope {
                Scope::Production | Scope::Optional | Scope::Peer | Scope::OptionalPeer => true,
                Scope::Extra(extra) => active.contains(extra.as_str()),
                Scope::Dev => false,
            };
            if matches!(edge.scope, Scope::Peer | Scope::OptionalPeer) && !self.lock.kind.installs_peers() {
                self.peers.extend(requirer.map(|requirer| (requirer, edge)));
                continue;
            }
            if counts && edge.marker.as_ref().is_none_or(|m| m.evaluate(&self.environment, &extras)) {
                self.follow(requirer, edge);
            }
        }
    }

    fn follow(&mut self, requirer: Option<usize>, edge: &'a Edge) {
        let may_be_absent = matches!(edge.scope, Scope::Optional | Scope::OptionalPeer);
        let targets: Vec<usize> = edge.to.iter().copied().filter(|i| *i < self.lock.entries.len()).collect();
        let mut allowed = targets.iter().copied().filter(|i| self.allows(*i));
        match (allowed.next(), allowed.next()) {
            (Some(target), None) => self.take(requirer, edge, target),
            // Node resolves a name to one place: the first that the lock names.
            (Some(target), Some(_)) if self.lock.kind.ecosystem() == Ecosystem::Npm => {
                self.take(requirer, edge, target)
            }
            (Some(_), Some(_)) => self.undecided.push((requirer, edge)),
            (None, _) => {
                // A marker that fails says that the package is not needed; a system that does not fit, that it cannot be had.
                let unfit = |i: &usize| self.marker_allows(&self.lock.entries[*i].when);
                if !may_be_absent && (targets.is_empty() || targets.iter().any(unfit)) {
                    self.miss(requirer, edge);
                }
            }
        }
    }

    /// Of what a peer may be, the first that is there.
    fn meet_peers(&mut self) {
        for (requirer, edge) in std::mem::take(&mut self.peers) {
            if let Some(there) = self.settled(edge) {
                self.take(Some(requirer), edge, there);
            }
        }
    }

    fn miss(&mut self, requirer: Option<usize>, edge: &Edge) {
        let requirer = requirer.map(|i| self.lock.entries[i].id.clone());
        self.missing.insert((requirer, edge.name.clone(), edge.text.clone()));
    }

    fn take(&mut self, requirer: Option<usize>, edge: &'a Edge, target: usize) {
        let entry = &self.lock.entries[target];
        if self.lock.kind.ecosystem() == Ecosystem::Pypi {
            let known = *self.versions.entry(&entry.id.name).or_insert(target);
            if self.lock.entries[known].id != entry.id {
                return self.miss(requirer, edge);
            }
        }
        let new = !self.reached.contains_key(&target);
        let node = self.reached.entry(target).or_default();
        let before = node.extras.len();
        node.extras.extend(edge.extras.iter().map(String::as_str));
        if new || node.extras.len() > before {
            self.queue.push_back(target);
        }
        let Some(requirer) = requirer.filter(|r| *r != target) else { return };
        if let Some(node) = self.reached.get_mut(&requirer) {
            node.requires.insert(target);
            if self.lock.kind.ecosystem() == Ecosystem::Npm && edge.name != entry.id.name {
                node.aliases.insert(&edge.name, target);
            } else if self.records_ranges && !edge.text.is_empty() && entry.source.is_none() {
                node.ranges.entry(&entry.id.name).or_default().insert(&edge.text);
            }
        }
    }

    fn settled(&self, edge: &Edge) -> Option<usize> {
        edge.to.iter().copied().find(|i| self.reached.contains_key(i))
    }

    fn highest(&self, edge: &Edge) -> Option<usize> {
        let version = |i: &usize| Version::from_str(&self.lock.entries[*i].id.version).ok();
        edge.to.iter().copied().filter(|i| *i < self.lock.entries.len() && self.allows(*i)).max_by_key(version)
    }

    fn allows(&self, entry: usize) -> bool {
        let when = &self.lock.entries[entry].when;
        self.marker_allows(when) && self.system.allows(when)
    }

    fn marker_allows(&self, when: &When) -> bool {
        when.marker.as_ref().is_none_or(|marker| {
            let extras: Vec<ExtraName> = self.extras.iter().chain(&self.conflicts).cloned().collect();
            marker.evaluate(&self.environment, &extras)
        })
    }

    fn finish(self) -> Closure {
        let listed = |i: &usize| -> Option<&PackageId> {
            let entry = &self.lock.entries[*i];
            (entry.source.as_deref() != Some("workspace")).then_some(&entry.id)
        };
        let mut out = Closure { missing: self.missing.into_iter().collect(), ..Closure::default() };
        for (at, node) in &self.reached {
            let Some(id) = listed(at) else { continue };
            // npm keeps the same package in several places of the tree, each with its own surroundings.
            let reached =
                out.packages.entry(id.clone()).or_insert_with(|| Reached { entry: *at, ..Reached::default() });
            if self.lock.entries[*at].requires.is_some() {
                let requires = reached.requires.get_or_insert_default();
                requires.extend(node.requires.iter().filter_map(listed).filter(|r| *r != id).cloned());
            }
            for (name, texts) in &node.ranges {
                let known = reached.ranges.entry((*name).to_string()).or_default();
                known.extend(texts.iter().map(|text| (*text).to_string()));
            }
            let aliases = node.aliases.iter().filter_map(|(alias, i)| Some(((*alias).to_string(), listed(i)?.clone())));
            reached.aliases.extend(aliases);
        }
        out
    }
}

fn names<'n>(extras: impl Iterator<Item = &'n str>) -> Vec<ExtraName> {
    extras.filter_map(|e| ExtraName::new(e.to_string()).ok()).collect()
}

/// uv writes an extra that excludes another as `extra-LENGTH-PACKAGE-EXTRA`, the length being that of the package's name.
fn conflict_names(lock: &Lock, extras: &[String]) -> Vec<ExtraName> {
    if lock.kind != Kind::Uv || extras.is_empty() {
        return Vec::new();
    }
    let members = lock.entries.iter().filter(|e| e.source.as_deref() == Some("workspace"));
    let of = |e: &Entry| {
        let name = e.id.name.clone();
        extras.iter().map(move |extra| format!("extra-{}-{name}-{extra}", name.len())).collect::<Vec<_>>()
    };
    members.flat_map(of).filter_map(|name| ExtraName::new(name).ok()).collect()
}

/// A platform in npm's words.
struct System<'a> {
    os: &'a str,
    cpu: &'a str,
    libc: Option<&'a str>,
}

impl<'a> System<'a> {
    fn of(platform: &'a Platform) -> Self {
        let os = if platform.os == "windows" { "win32" } else { &platform.os };
        let cpu = match platform.arch.as_str() {
            "x86_64" => "x64",
            "aarch64" => "arm64",
            arch => arch,
        };
        // npm knows a libc on Linux only.
        Self { os, cpu, libc: (os == "linux").then_some(platform.libc.as_str()) }
    }

    fn allows(&self, when: &When) -> bool {
        let libc = when.libc.is_empty() || self.libc.is_some_and(|libc| listed(libc, &when.libc));
        listed(self.os, &when.os) && listed(self.cpu, &when.cpu) && libc
    }
}

/// npm's rule for `os`, `cpu` and `libc` (package.json documentation): a value must not be negated, and must be named
/// unless the list only negates. `any` alone allows all.
fn listed(value: &str, list: &[String]) -> bool {
    if list.is_empty() || (list.len() == 1 && list[0] == "any") {
        return true;
    }
    let negated = list.iter().filter_map(|l| l.strip_prefix('!'));
    let (mut all_negate, mut named) = (true, false);
    for item in list.iter().filter(|l| !l.starts_with('!')) {
        all_negate = false;
        named |= item == value;
    }
    !negated.clone().any(|l| l == value) && (named || all_negate)
}

/// A manifest's requirements as edges into a lock that does not record what the project asks for (poetry.lock).
pub fn roots_from_manifest(lock: &Lock, manifest: &Manifest) -> Vec<Edge> {
    let index = indices_by_name(&lock.entries);
    let edge = |r: &ManifestRequirement| {
        let of_name = index.get(&r.name).map_or(&[][..], Vec::as_slice);
        let to = match (lock.kind.ecosystem(), &r.exact) {
            (Ecosystem::Pypi, _) if r.source.is_none() => candidates(&lock.entries, of_name, &r.text),
            (Ecosystem::Npm, Some(version)) => {
                of_name.iter().copied().filter(|i| lock.entries[*i].id.version == *version).collect()
            }
            _ => of_name.to_vec(),
        };
        Edge {
            name: r.name.clone(),
            text: r.text.clone(),
            line: r.line,
            to,
            extras: r.extras.clone(),
            marker: r.marker.clone(),
            scope: r.scope.clone(),
        }
    };
    manifest.requires.iter().map(edge).collect()
}

/// Where a lock does not satisfy the manifest beside it: a declared name that it lacks, or only versions of it that are
/// outside the declared range.
///
/// `satisfies` says whether a version is in a range of the ecosystem, `None` when it cannot tell:
/// [`super::pypi::pep508::satisfies`] for Python. Requirements under a marker may be rightly absent, and a requirements file
/// that does not promise to be complete contradicts nothing.
pub fn contradictions(
    lock: &Lock,
    manifest: &Manifest,
    satisfies: &dyn Fn(&str, &str) -> Option<bool>,
) -> Vec<Diagnostic> {
    let index = indices_by_name(&lock.entries);
    let mut by_edge: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut texts: BTreeSet<(&str, &str)> = BTreeSet::new();
    // The folder of the manifest as the lock calls it.
    let importer = paths::relative_to(paths::parent(&manifest.file), paths::parent(&lock.file));
    let importer = importer.filter(|folder| lock.importers.contains_key(*folder)).unwrap_or(".");
    for edge in lock.importers.get(importer).into_iter().flatten().filter(|edge| !edge.to.is_empty()) {
        by_edge.entry(&edge.name).or_default().extend(&edge.to);
        texts.insert((&edge.name, edge.text.strip_prefix("npm:").unwrap_or(&edge.text)));
    }
    // An npm lock that was made for this very text agrees with it: what it leads to may be overridden. So is what the
    // lock itself names as overridden.
    let agreed = |r: &ManifestRequirement| {
        let text = r.text.strip_prefix("npm:").unwrap_or(&r.text);
        let same = lock.kind.ecosystem() == Ecosystem::Npm && texts.contains(&(r.name.as_str(), text));
        same || lock.overrides.contains(&r.name)
    };
    let exported = lock.kind == Kind::Requirements;
    let mut out = Vec::new();
    let mut say = |r: &ManifestRequirement, reason: String| {
        let place = Place::at(&manifest.file, r.line);
        let diagnostic = Diagnostic::new(codes::LOCK_CONTRADICTS_MANIFEST, place, reason);
        if !out.contains(&diagnostic) {
            out.push(diagnostic);
        }
    };
    for r in &manifest.requires {
        let apart = exported && matches!(r.scope, Scope::Dev | Scope::Extra(_));
        if apart || r.source.is_some() || agreed(r) || manifest.name.as_ref() == Some(&r.name) {
            continue;
        }
        let locked = by_edge.get(r.name.as_str()).or_else(|| index.get(&r.name));
        let Some(locked) = locked else {
            let needed = matches!(r.scope, Scope::Production | Scope::Dev | Scope::Extra(_)) && r.marker.is_none();
            if needed && lock.complete {
                say(r, format!("{} is declared, and {} does not lock it", r.name, lock.file));
            }
            continue;
        };
        let registry = locked.iter().filter_map(|i| lock.entries.get(*i)).filter(|e| e.source.is_none());
        let versions: BTreeSet<&str> = registry.map(|e| e.id.version.as_str()).collect();
        if !versions.is_empty() && versions.iter().all(|v| satisfies(&r.text, v) == Some(false)) {
            let versions: Vec<&str> = versions.into_iter().collect();
            say(r, format!("{} {} is declared, and {} locks {}", r.name, r.text, lock.file, versions.join(", ")));
        }
    }
    out
}

#[cfg(test)]
// A closure that gives `Result<String, Diagnostic>` is what the requirements reader takes.
#[allow(clippy::result_large_err)]
mod tests;
