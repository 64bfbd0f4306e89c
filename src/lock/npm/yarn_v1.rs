//! yarn.lock of Yarn 1.
//!
//! ```text
//! file     := (comment | blank | entry)*
//! entry    := pattern (", " pattern)* ":" NEWLINE property*
//! pattern  := name "@" range, quoted like a JSON string where it holds more than plain characters
//! property := "  " key " " value NEWLINE | "  " ("dependencies" | "optionalDependencies") ":" NEWLINE ("    " name " " range NEWLINE)*
//! ```
//!
//! Every requirement in the tree is a pattern of some entry, so an edge is found by its very text.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::npm_json::{as_version, source_of};
use super::npm_range;
use super::overrides::{self, ByName, Override};
use super::yarn::Project;
use crate::lock::{Edge, Entry, Kind, Lock, Manifest, ManifestRequirement, Scope, indices_by_name};
use crate::model::{Diagnostic, PackageId, Place, codes};

/// Lines that could not be read and are told one by one.
const MAX_TOLD: usize = 20;

#[derive(Default)]
struct Raw<'t> {
    line: u32,
    patterns: Vec<Cow<'t, str>>,
    name: Option<Cow<'t, str>>,
    version: Option<Cow<'t, str>>,
    resolved: Option<Cow<'t, str>>,
    integrity: Option<Cow<'t, str>>,
    dependencies: Vec<(Cow<'t, str>, Cow<'t, str>, Scope, u32)>,
}

/// Reads the text of a Yarn 1 lock.
pub(super) fn read(file: &str, text: &str, project: &mut Project<'_>) -> Lock {
    let mut lock = Lock { complete: true, ..Lock::empty(Kind::Yarn, file) };
    let raw = parse(text, &mut lock);
    let mut patterns: HashMap<&str, usize> = HashMap::with_capacity(raw.len());
    let mut owners: Vec<&Raw<'_>> = Vec::with_capacity(raw.len());
    for entry in &raw {
        let at = lock.entries.len();
        match self::entry(entry) {
            Some(read) => lock.entries.push(read),
            None => {
                let reason = format!("`{}` has no version", entry.patterns.first().map_or("", |p| p.as_ref()));
                lock.diagnostics.push(Diagnostic::new(codes::LOCK_INVALID, Place::at(file, entry.line), reason));
                continue;
            }
        }
        owners.push(entry);
        patterns.extend(entry.patterns.iter().map(|pattern| (pattern.as_ref(), at)));
    }
    if raw.is_empty() && !lock.diagnostics.is_empty() {
        return lock;
    }
    let overrides = ByName::new(project.overrides());
    let by_name = indices_by_name(&lock.entries);
    let finder = Finder { patterns, by_name, overrides, members: BTreeMap::new() };
    let edges: Vec<Vec<Edge>> = owners.iter().map(|owner| finder.of_entry(owner)).collect();
    for (entry, edges) in lock.entries.iter_mut().zip(edges) {
        // Nobody records what a linked folder needs.
        let linked = entry.source.as_deref() == Some("path") && edges.is_empty();
        entry.requires = (!linked).then_some(edges);
    }
    project_edges(&mut lock, finder, project);
    lock
}

/// Roots of the project and of its workspace members, from their manifests.
fn project_edges(lock: &mut Lock, mut finder: Finder<'_>, project: &mut Project<'_>) {
    let mut manifests: Vec<(String, Manifest)> = Vec::new();
    manifests.extend(project.manifest(".").map(|manifest| (".".to_string(), manifest)));
    for folder in project.members.iter().filter(|folder| *folder != ".") {
        manifests.extend(project.manifest(folder).map(|manifest| (folder.clone(), manifest)));
    }
    for (folder, manifest) in manifests.iter().filter(|(folder, _)| folder != ".") {
        if let Some(name) = &manifest.name {
            finder.members.insert(name.clone(), lock.entries.len());
            lock.entries.push(Entry {
                source: Some("workspace".to_string()),
                ..Entry::pin(PackageId::npm(name, &as_version(&format!("link:{folder}"))), 0)
            });
        }
    }
    for (folder, manifest) in &manifests {
        let edges = finder.of_manifest(manifest);
        let member = manifest.name.as_ref().and_then(|name| finder.members.get(name)).filter(|_| folder != ".");
        if let Some(entry) = member.and_then(|&at| lock.entries.get_mut(at)) {
            entry.requires = Some(edges.iter().filter(|edge| edge.scope != Scope::Dev).cloned().collect());
        }
        lock.importers.insert(folder.clone(), edges);
    }
}

fn entry(raw: &Raw<'_>) -> Option<Entry> {
    let version = raw.version.as_ref().filter(|version| !version.is_empty())?;
    let pattern = raw.patterns.first()?;
    let (used, range) = overrides::split(pattern);
    let real = npm_range::alias(range.unwrap_or_default()).map(|(name, _)| name);
    let name = raw.name.as_deref().or(real).unwrap_or(used);
    let source = match &raw.resolved {
        Some(resolved) => source_of(resolved),
        None => range.and_then(source_of),
    };
    let hashes = raw.integrity.as_deref().unwrap_or_default().split_whitespace().map(str::to_string).collect();
    Some(Entry {
        hashes,
        source: source.map(str::to_string),
        ..Entry::pin(PackageId::npm(name, &as_version(version)), raw.line)
    })
}

/// Finds what a requirement leads to.
struct Finder<'r> {
    patterns: HashMap<&'r str, usize>,
    by_name: BTreeMap<String, Vec<usize>>,
    overrides: ByName,
    /// Workspace members by name.
    members: BTreeMap<String, usize>,
}

impl Finder<'_> {
    fn of_entry(&self, raw: &Raw<'_>) -> Vec<Edge> {
        let requirer = raw.patterns.first().map(|pattern| overrides::split(pattern).0);
        let mut edges: BTreeMap<&str, Edge> = BTreeMap::new();
        for (name, range, scope, line) in &raw.dependencies {
            edges.insert(name, edge(name, range, *line, scope.clone(), self.find(requirer, name, range)));
        }
        edges.into_values().collect()
    }

    /// Edges of a project; its own peer dependencies are for others to provide.
    fn of_manifest(&self, manifest: &Manifest) -> Vec<Edge> {
        let wanted = |r: &&ManifestRequirement| !matches!(r.scope, Scope::Peer | Scope::OptionalPeer);
        let mut edges: BTreeMap<&str, Edge> = BTreeMap::new();
        for r in manifest.requires.iter().filter(wanted) {
            // What is needed in production is installed, also where it is a development dependency as well.
            if r.scope == Scope::Dev && edges.contains_key(r.name.as_str()) {
                continue;
            }
            let to = self.find(None, &r.name, &r.text).or_else(|| self.members.get(&r.name).copied());
            edges.insert(&r.name, edge(&r.name, &r.text, r.line, r.scope.clone(), to));
        }
        edges.into_values().collect()
    }

    fn find(&self, requirer: Option<&str>, name: &str, range: &str) -> Option<usize> {
        let of = |range: &str| {
            let key = if range.is_empty() { Cow::Borrowed(name) } else { Cow::Owned(format!("{name}@{range}")) };
            self.patterns.get(key.as_ref()).or_else(|| self.patterns.get(format!("{name}@{range}").as_str())).copied()
        };
        if let Some(found) = of(range) {
            return Some(found);
        }
        let all = self.overrides.of(name);
        let by = |o: &&Override| o.requirer.as_ref().is_none_or(|(by, _)| Some(by.as_str()) == requirer);
        all.iter().find(by).and_then(|o| of(&o.to)).or_else(|| {
            // Replaced on a path that starts further up: then one entry of the name is left.
            let only = self.by_name.get(name).filter(|of_name| of_name.len() == 1)?;
            (!all.is_empty()).then(|| only[0])
        })
    }
}

fn edge(name: &str, text: &str, line: u32, scope: Scope, to: Option<usize>) -> Edge {
    Edge {
        name: name.to_string(),
        text: text.to_string(),
        line,
        to: to.into_iter().collect(),
        extras: Vec::new(),
        marker: None,
        scope,
    }
}

/// The lines of a lock as entries.
fn parse<'t>(text: &'t str, lock: &mut Lock) -> Vec<Raw<'t>> {
    let mut entries: Vec<Raw<'t>> = Vec::new();
    let mut section = None;
    let mut unread = 0usize;
    for (index, full) in text.lines().enumerate() {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let line = full.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let indent = full.len() - full.trim_start_matches(' ').len();
        let read = match (indent, entries.last_mut()) {
            (0, _) => header(line).map(|patterns| {
                section = None;
                entries.push(Raw { line: number, patterns, ..Raw::default() });
            }),
            (2, Some(entry)) => match line.strip_suffix(':') {
                Some(block) => {
                    section = match block {
                        "dependencies" => Some(Scope::Production),
                        "optionalDependencies" => Some(Scope::Optional),
                        _ => None,
                    };
                    Some(())
                }
                None => pair(line).map(|(key, value)| {
                    section = None;
                    match key.as_ref() {
                        "name" => entry.name = Some(value),
                        "version" => entry.version = Some(value),
                        "resolved" => entry.resolved = Some(value),
                        "integrity" => entry.integrity = Some(value),
                        _ => {}
                    }
                }),
            },
            (4.., Some(entry)) => match &section {
                Some(scope) => pair(line)
                    .map(|(name, range)| entry.dependencies.push((name, range, scope.clone(), number))),
                None => Some(()),
            },
            _ => None,
        };
        if read.is_none() {
            unread += 1;
            if unread <= MAX_TOLD {
                let what = if line.starts_with("<<<<<<<") || line.starts_with("=======") || line.starts_with(">>>>>>>") {
                    "a mark of a merge that was not finished"
                } else {
                    "the line is none of a yarn lock"
                };
                lock.diagnostics.push(Diagnostic::new(codes::LOCK_INVALID, Place::at(&lock.file, number), what));
            }
        }
    }
    if unread > MAX_TOLD {
        let reason = format!("{} more lines are none of a yarn lock", unread - MAX_TOLD);
        lock.diagnostics.push(Diagnostic::new(codes::LOCK_INVALID, Place::file(&lock.file), reason));
    }
    entries
}

/// `pattern, "pattern two":`.
fn header(line: &str) -> Option<Vec<Cow<'_, str>>> {
    let mut rest = line.strip_suffix(':')?;
    let mut patterns = Vec::new();
    loop {
        let (pattern, after) = if rest.starts_with('"') {
            quoted(rest)?
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            (Cow::Borrowed(rest[..end].trim_end()), &rest[end..])
        };
        if pattern.is_empty() {
            return None;
        }
        patterns.push(pattern);
        match after.trim_start().strip_prefix(',') {
            Some(next) => rest = next.trim_start(),
            None if after.trim().is_empty() => return Some(patterns),
            None => return None,
        }
    }
}

/// `key value`, each quoted where needed.
fn pair(line: &str) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    let (key, rest) = match line.starts_with('"') {
        true => quoted(line)?,
        false => {
            let (key, rest) = line.split_once(' ')?;
            (Cow::Borrowed(key), rest)
        }
    };
    let rest = rest.trim();
    let (value, rest) = if rest.starts_with('"') { quoted(rest)? } else { (Cow::Borrowed(rest), "") };
    rest.trim().is_empty().then_some((key, value))
}

/// A JSON string at the start of a text, and what follows it.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let bytes = text.as_bytes();
    let mut at = 1;
    let mut escaped = false;
    while *bytes.get(at)? != b'"' {
        if bytes[at] == b'\\' {
            escaped = true;
            at += 1;
        }
        at += 1;
    }
    let value = match escaped {
        true => Cow::Owned(serde_json::from_str(&text[..=at]).ok()?),
        false => Cow::Borrowed(&text[1..at]),
    };
    Some((value, &text[at + 1..]))
}
