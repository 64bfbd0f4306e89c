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
mod tests {
    use super::*;
    use crate::lock::{Manifest, pep508, poetry, requirements, uv};

    mod pyproject {
        pub fn read(file: &str, text: &str) -> super::Manifest {
            crate::lock::pypi::pyproject::read(file, text, &mut |_| unreachable!())
        }
    }

    fn python(version: &str) -> Platform {
        format!("python{version}-linux-x86_64-glibc").parse().unwrap()
    }

    fn specs(closure: &Closure) -> Vec<String> {
        closure.packages.keys().map(PackageId::spec).collect()
    }

    fn missing(closure: &Closure) -> Vec<String> {
        let of = |(by, name, text): &(Option<PackageId>, String, String)| {
            format!("{} -> {name} {text}", by.as_ref().map_or(".".into(), PackageId::spec))
        };
        closure.missing.iter().map(of).collect()
    }

    /// An npm lock from `name@version` and edges `(from, to, scope)`; from `.` is the importer, to `-` is nothing.
    fn npm(entries: &[(&str, When)], edges: &[(&str, &str, Scope)]) -> Lock {
        let mut lock = Lock::empty(Kind::PackageLock, "package-lock.json");
        let at = |spec: &str| entries.iter().position(|(s, _)| *s == spec);
        let of = |from: &str| -> Vec<Edge> {
            let out = edges.iter().filter(|(f, ..)| *f == from);
            out.map(|(_, to, scope)| Edge {
                name: to.split('@').next().unwrap().into(),
                text: "*".into(),
                line: 0,
                to: at(to).into_iter().collect(),
                extras: vec![],
                marker: None,
                scope: scope.clone(),
            })
            .collect()
        };
        for (spec, when) in entries {
            lock.entries.push(Entry {
                id: PackageId::from_spec(Ecosystem::Npm, spec).unwrap(),
                line: 0,
                hashes: vec![],
                source: None,
                size: None,
                requires: Some(of(spec)),
                when: when.clone(),
            });
        }
        lock.importers.insert(".".into(), of("."));
        lock
    }

    fn walked(lock: &Lock, platform: &str) -> Closure {
        closure(lock, &lock.importers["."], &[], &platform.parse().unwrap())
    }

    #[test]
    fn scopes_decide_what_counts() {
        let any = When::default;
        let lock = npm(
            &[("a@1.0.0", any()), ("b@1.0.0", any()), ("dev@1.0.0", any()), ("peer@1.0.0", any()), ("c@1.0.0", any())],
            &[
                (".", "a@1.0.0", Scope::Production),
                (".", "dev@1.0.0", Scope::Dev),
                ("a@1.0.0", "b@1.0.0", Scope::Optional),
                ("a@1.0.0", "peer@1.0.0", Scope::Peer),
                ("a@1.0.0", "gone@1", Scope::OptionalPeer),
                ("a@1.0.0", "lost@1", Scope::Peer),
                ("a@1.0.0", "off@1", Scope::Optional),
                // A circle ends.
                ("b@1.0.0", "a@1.0.0", Scope::Production),
                ("b@1.0.0", "c@1.0.0", Scope::Extra("x".into())),
            ],
        );
        let found = walked(&lock, "node20-linux-x86_64-glibc");
        assert_eq!(specs(&found), ["a@1.0.0", "b@1.0.0", "peer@1.0.0"]);
        assert_eq!(missing(&found), ["a@1.0.0 -> lost *"]);
        let requires = found.packages[&PackageId::npm("a", "1.0.0")].requires.clone().unwrap();
        assert_eq!(requires.into_iter().map(|r| r.name).collect::<Vec<_>>(), ["b", "peer"]);
    }

    #[test]
    fn systems_decide_what_can_be_installed() {
        let when = |os: &[&str], cpu: &[&str], libc: &[&str]| {
            let own = |list: &[&str]| list.iter().map(|s| (*s).to_string()).collect();
            When { marker: None, os: own(os), cpu: own(cpu), libc: own(libc) }
        };
        let entries = [
            ("gnu-x64@1.0.0", when(&["linux"], &["x64"], &["glibc"])),
            ("musl-arm@1.0.0", when(&["linux"], &["arm64"], &["musl"])),
            ("mac@1.0.0", when(&["darwin"], &[], &[])),
            ("not-win@1.0.0", when(&["!win32"], &["any"], &[])),
            ("not-arm@1.0.0", when(&[], &["!arm64", "!arm"], &[])),
        ];
        let names: Vec<String> = entries.iter().map(|(s, _)| (*s).to_string()).collect();
        let optional: Vec<_> = names.iter().map(|n| (".", n.as_str(), Scope::Optional)).collect();
        let lock = npm(&entries, &optional);
        let on = |platform: &str| specs(&walked(&lock, platform));
        assert_eq!(on("node20-linux-x86_64-glibc"), ["gnu-x64@1.0.0", "not-arm@1.0.0", "not-win@1.0.0"]);
        assert_eq!(on("node20-linux-aarch64-musl"), ["musl-arm@1.0.0", "not-win@1.0.0"]);
        assert_eq!(on("node20-windows-x86_64-none"), ["not-arm@1.0.0"]);
        // Needed, but not to be had here.
        let lock = npm(&entries, &[(".", "mac@1.0.0", Scope::Production)]);
        assert_eq!(missing(&walked(&lock, "node20-linux-x86_64-glibc")), [". -> mac *"]);
    }

    #[test]
    fn aliases_and_repeated_packages_are_kept() {
        let any = When::default;
        let mut lock = npm(
            &[("a@1.0.0", any()), ("real@2.0.0", any()), ("real@2.0.0", any())],
            &[(".", "a@1.0.0", Scope::Production), ("a@1.0.0", "real@2.0.0", Scope::Production)],
        );
        lock.entries[0].requires.as_mut().unwrap()[0].name = "alias".into();
        let found = walked(&lock, "node20-linux-x86_64-glibc");
        let a = &found.packages[&PackageId::npm("a", "1.0.0")];
        assert_eq!(a.aliases, BTreeMap::from([("alias".to_string(), PackageId::npm("real", "2.0.0"))]));
    }

    const UV: &str = r#"version = 1
[[package]]
name = "app"
version = "0.1.0"
source = { virtual = "." }
dependencies = [
    { name = "lib" },
    { name = "numpy", version = "1.26.4", marker = "python_full_version < '3.12'" },
    { name = "numpy", version = "2.0.0", marker = "python_full_version >= '3.12'" },
    { name = "torch", version = "2.0", marker = "extra == 'extra-3-app-cpu'" },
    { name = "httpx", extra = ["all"] },
]
[package.optional-dependencies]
web = [{ name = "six" }]
[package.dev-dependencies]
dev = [{ name = "pytest" }]
[[package]]
name = "lib"
version = "0.2.0"
source = { editable = "lib" }
dependencies = [{ name = "idna" }]
[[package]]
name = "httpx"
version = "0.28.1"
source = { registry = "https://r" }
[package.optional-dependencies]
all = [{ name = "httpx", extra = ["socks"] }]
socks = [{ name = "socksio" }, { name = "gone" }]
[[package]]
name = "numpy"
version = "1.26.4"
source = { registry = "https://r" }
[[package]]
name = "numpy"
version = "2.0.0"
source = { registry = "https://r" }
[[package]]
name = "torch"
version = "2.0"
source = { registry = "https://r" }
[[package]]
name = "idna"
version = "3.4"
source = { registry = "https://r" }
[[package]]
name = "six"
version = "1.16.0"
source = { registry = "https://r" }
[[package]]
name = "socksio"
version = "1.0.0"
source = { registry = "https://r" }
[[package]]
name = "pytest"
version = "8"
source = { registry = "https://r" }
"#;

    #[test]
    fn forks_extras_members_and_conflicts_of_uv() {
        let lock = uv::read("uv.lock", UV);
        let of = |extras: &[&str], version: &str| {
            let extras: Vec<String> = extras.iter().map(|e| (*e).to_string()).collect();
            closure(&lock, &lock.importers["."], &extras, &python(version))
        };
        // The member is walked through, not listed; the extra of an extra is asked for.
        assert_eq!(specs(&of(&[], "3.11")), ["httpx==0.28.1", "idna==3.4", "numpy==1.26.4", "socksio==1.0.0"]);
        assert_eq!(specs(&of(&[], "3.12"))[2], "numpy==2.0.0");
        assert_eq!(missing(&of(&[], "3.12")), ["httpx==0.28.1 -> gone "]);
        let with = of(&["Web", "cpu"], "3.12");
        assert!(specs(&with).contains(&"six==1.16.0".into()) && specs(&with).contains(&"torch==2.0".into()));
        assert_eq!(specs(&closure(&lock, &lock.importers["lib"], &[], &python("3.12"))), ["idna==3.4"]);
    }

    #[test]
    fn one_version_of_a_name_is_chosen_whatever_the_order() {
        let lock = |first: &str, second: &str| {
            let pin = "c = {version = \"<2\"}";
            poetry::read("poetry.lock", &format!("[[package]]\nname='a'\nversion='1'\n[package.dependencies]\n{first}\n[[package]]\nname='b'\nversion='1'\n[package.dependencies]\n{second}\n[[package]]\nname='c'\nversion='1.5'\n[[package]]\nname='c'\nversion='2.5'\n[metadata]\nlock-version='2.0'\n").replace("PIN", pin))
        };
        let manifest = pyproject::read("pyproject.toml", "[tool.poetry.dependencies]\na='*'\nb='*'\n");
        let on = |lock: &Lock| specs(&closure(lock, &roots_from_manifest(lock, &manifest), &[], &python("3.12")));
        assert_eq!(on(&lock("PIN", "c = '*'")), ["a==1", "b==1", "c==1.5"]);
        assert_eq!(on(&lock("c = '*'", "PIN")), ["a==1", "b==1", "c==1.5"]);
        assert_eq!(on(&lock("c = '*'", "c = '>=1'")), ["a==1", "b==1", "c==2.5"]);
    }

    #[test]
    fn requirements_files_without_edges_say_so() {
        let lock = requirements::read("r.txt", "a==1\nb==2 ; python_version < '3.8'\nc>=3\n", &mut |_| unreachable!());
        let found = closure(&lock, &lock.importers["."], &[], &python("3.12"));
        assert_eq!((specs(&found), missing(&found)), (vec!["a==1".to_string()], vec![". -> c >=3".to_string()]));
        assert!(found.packages.values().all(|r| r.requires.is_none()));
    }

    #[test]
    fn an_entry_whose_marker_fails_is_not_missing() {
        let text = "click==8.0\n    # via -r x.in\ncolorama==0.4 ; sys_platform == 'win32'\n    # via click\n";
        let lock = requirements::read("r.txt", text, &mut |_| unreachable!());
        let found = closure(&lock, &lock.importers["."], &[], &python("3.12"));
        assert_eq!((specs(&found), missing(&found)), (vec!["click==8.0".to_string()], vec![]));
    }

    #[test]
    fn many_versions_and_many_packages_end() {
        let same: String = (0..2_000)
            .map(|i| format!("[[package]]\nname='a'\nversion='{i}'\n[package.dependencies]\na='*'\n"))
            .collect();
        let lock = poetry::read("poetry.lock", &same);
        assert_eq!(lock.diagnostics.iter().map(|d| d.code.as_str()).collect::<Vec<_>>(), ["lock-invalid"]);
        let manifest = pyproject::read("pyproject.toml", "[tool.poetry.dependencies]\na='*'\n");
        assert_eq!(closure(&lock, &roots_from_manifest(&lock, &manifest), &[], &python("3.12")).packages.len(), 1);
        let lines: String = (0..2_000).map(|i| format!("a=={i}  # via a\n")).collect();
        let lock = requirements::read("r.txt", &lines, &mut |_| unreachable!());
        assert_eq!((lock.entries.len(), lock.diagnostics.len()), (2_000, 1_999));
        let chain: String = (0..20_000).map(|i| format!("p{}==1\n    # via p{i}\n", i + 1)).collect();
        let lock = requirements::read("r.txt", &chain, &mut |_| unreachable!());
        assert_eq!(closure(&lock, &lock.importers["."], &[], &python("3.12")).packages.len(), 20_000);
    }

    proptest::proptest! {
        /// Lines of real forms in any order, repeated and left out, never panic, and what is reached is an entry.
        #[test]
        fn shuffled_locks_are_walked(order in proptest::collection::vec(0usize..80, 0..60)) {
            let lines: Vec<&str> = UV.lines().collect();
            let text: String = order.iter().filter_map(|i| lines.get(*i)).map(|l| format!("{l}\n")).collect();
            for lock in [uv::read("uv.lock", &text), uv::read("uv.lock", &format!("version = 1\n{text}")), poetry::read("poetry.lock", &text)] {
                let manifest = pyproject::read("pyproject.toml", &text);
                let roots = roots_from_manifest(&lock, &manifest);
                let importers = lock.importers.values().chain([&roots]);
                for edges in importers {
                    let found = closure(&lock, edges, &["web".into()], &python("3.12"));
                    proptest::prop_assert!(found.packages.iter().all(|(id, r)| lock.entries[r.entry].id == *id));
                }
                contradictions(&lock, &manifest, &pep508::satisfies);
            }
        }
    }

    #[test]
    fn a_lock_that_does_not_fit_its_manifest_is_told() {
        let lock = poetry::read(
            "poetry.lock",
            "[[package]]\nname='a'\nversion='1.5'\n[[package]]\nname='b'\nversion='3.0'\n[metadata]\nlock-version='2.0'\n",
        );
        let manifest = pyproject::read(
            "pyproject.toml",
            "[tool.poetry.dependencies]\na='^1.2'\nb='^2.0'\nc='*'\nd={version='*', markers=\"sys_platform == 'win32'\"}\ne={git='https://h/e'}\n",
        );
        let found = contradictions(&lock, &manifest, &pep508::satisfies);
        let said: Vec<_> = found.iter().map(|d| (d.place.line, d.reason.as_str())).collect();
        assert_eq!(
            said,
            [
                (3, "b ^2.0 is declared, and poetry.lock locks 3.0"),
                (4, "c is declared, and poetry.lock does not lock it")
            ]
        );
        // A requirements file that promises nothing may lack what it likes, but not hold what is excluded.
        let partial = requirements::read("r.txt", "b==3.0\n", &mut |_| unreachable!());
        assert_eq!(contradictions(&partial, &manifest, &pep508::satisfies).len(), 1);
    }

    #[test]
    fn a_requirement_that_the_lock_was_made_for_or_overrides_contradicts_nothing() {
        use crate::lock::package_json;
        let any = When::default;
        let mut lock = npm(
            &[("a@2.0.0", any()), ("b@2.0.0", any()), ("c@2.0.0", any()), ("a@1.0.0", any())],
            &[
                (".", "a@2.0.0", Scope::Production),
                (".", "b@2.0.0", Scope::Production),
                (".", "c@2.0.0", Scope::Production),
            ],
        );
        let manifest = |file: &str, text: &str| package_json::read(file, text);
        let satisfies = |range: &str, version: &str| satisfies(Ecosystem::Npm, range, version);
        let asks = r#"{"dependencies": {"a": "^1", "b": "^1", "c": "^1"}}"#;
        let said = |lock: &Lock, manifest: &Manifest| contradictions(lock, manifest, &satisfies).len();
        assert_eq!(said(&lock, &manifest("package.json", asks)), 3);
        lock.overrides.insert("a".into());
        assert_eq!(said(&lock, &manifest("package.json", asks)), 2);
        for edge in lock.importers.get_mut(".").unwrap().iter_mut().filter(|e| e.name == "b") {
            edge.text = "npm:^1".into();
        }
        assert_eq!(said(&lock, &manifest("package.json", asks)), 1);
        let replaced = r#"{"dependencies": {"c": "^1"}, "resolutions": {"c": "2.0.0"}}"#;
        assert_eq!(said(&lock, &manifest("package.json", replaced)), 0);
        // A member is compared with what the lock says of it, not of the root.
        let mut edge = lock.importers["."][0].clone();
        edge.to = vec![3];
        lock.overrides.clear();
        lock.importers.insert("m".into(), vec![edge]);
        assert_eq!(said(&lock, &manifest("m/package.json", r#"{"dependencies": {"a": "^1"}}"#)), 0);
        assert_eq!(said(&lock, &manifest("m/package.json", r#"{"dependencies": {"a": "^2"}}"#)), 1);
    }
}
