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
use super::yarn_project::Project;
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
                Some(scope) => {
                    pair(line).map(|(name, range)| entry.dependencies.push((name, range, scope.clone(), number)))
                }
                None => Some(()),
            },
            _ => None,
        };
        if read.is_none() {
            unread += 1;
            if unread <= MAX_TOLD {
                let what = if line.starts_with("<<<<<<<") || line.starts_with("=======") || line.starts_with(">>>>>>>")
                {
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

#[cfg(test)]
#[allow(clippy::result_large_err)]
mod tests {
    use super::super::yarn;
    use super::*;
    use crate::lock::closure::closure;
    use crate::model::{Language, Platform};

    /// Yarn 1.22.22 wrote it (shortened) for the manifests below.
    const LOCK: &str = r#"# THIS IS AN AUTOGENERATED FILE. DO NOT EDIT THIS FILE DIRECTLY.
# yarn lockfile v1


"@s/tool@^1.0.0":
  version "1.0.3"
  resolved "https://registry.example/@s/tool/-/tool-1.0.3.tgz#aa"
  integrity sha512-ttt==

"cjs@npm:string-width@^4.2.0":
  version "4.2.3"
  resolved "https://registry.example/string-width/-/string-width-4.2.3.tgz#269c"
  integrity sha512-sss==
  dependencies:
    strip-ansi "^6.0.1"

debug@2.6.9:
  version "2.6.9"
  resolved "https://registry.example/debug/-/debug-2.6.9.tgz#5d12"
  integrity sha512-bbb==
  dependencies:
    ms "2.0.0"
  optionalDependencies:
    "@s/tool" "^1.0.0"

"drop@git+https://host.example/jrd/drop.git":
  version "1.1.1"
  resolved "git+https://host.example/jrd/drop.git#538b1126"

"linked@link:./linked":
  version "0.0.0"
  uid ""

"local@file:./local":
  version "0.1.0"
  dependencies:
    once "^1.4.0"

ms@2.0.0, ms@2.1.2, ms@^2.1.3:
  version "2.1.2"
  resolved "https://registry.example/ms/-/ms-2.1.2.tgz#d09d"
  integrity sha512-mmm==

once@^1.4.0:
  version "1.4.0"
  resolved "https://registry.example/once/-/once-1.4.0.tgz#583b"
  integrity sha1-WDsap3WWHUsROsF9nFC6753Xa9E=

rimraf@^3.0.2:
  version "3.0.2"
  resolved "https://registry.example/rimraf/-/rimraf-3.0.2.tgz#f1a5"

"strip-ansi@^5.0.0 || ^6.0.0", strip-ansi@^6.0.1:
  version "6.0.1"
  resolved "https://registry.example/strip-ansi/-/strip-ansi-6.0.1.tgz#9e26"

strip-ansi@^4.0.0:
  version "4.0.0"
  resolved "https://registry.example/strip-ansi/-/strip-ansi-4.0.0.tgz#a847"

uuid@9.0.1:
  version "9.0.1"
  resolved "https://registry.example/uuid/-/uuid-9.0.1.tgz#e188"
"#;

    const ROOT: &str = r#"{"name": "root", "workspaces": ["packages/*"],
      "dependencies": {"cjs": "npm:string-width@^4.2.0", "debug": "2.6.9", "linked": "link:./linked", "b": "^1.0.0",
        "strip-ansi": "^5.0.0 || ^6.0.0", "drop": "git+https://host.example/jrd/drop.git"},
      "devDependencies": {"rimraf": "^3.0.2", "debug": "2.6.9"}, "peerDependencies": {"react": "*"},
      "resolutions": {"ms": "2.1.2", "b/uuid": "9.0.1"}}"#;
    const B: &str = r#"{"name": "b", "version": "1.2.0",
      "dependencies": {"local": "file:./local", "strip-ansi": "^4.0.0", "uuid": "^8.0.0"}, "devDependencies": {"ms": "^2.1.3"}}"#;

    fn read(text: &str, files: &[(&str, &str)], members: &[&str]) -> Lock {
        let mut include = |path: &str| {
            let found = files.iter().find(|(name, _)| *name == path);
            found
                .map(|(_, text)| text.to_string())
                .ok_or_else(|| Diagnostic::new(codes::INCLUDE_MISSING, Place::file(path), "absent"))
        };
        let members: Vec<String> = members.iter().map(ToString::to_string).collect();
        yarn::read("f/yarn.lock", text, &mut include, &members)
    }

    fn project() -> Lock {
        read(LOCK, &[("f/package.json", ROOT), ("f/packages/b/package.json", B)], &["packages/b"])
    }

    fn production(lock: &Lock, importer: &str) -> Vec<String> {
        let walked = closure(lock, &lock.importers[importer], &[], &Platform::linux(Language::Node, "20"));
        assert!(walked.missing.is_empty(), "{:?}", walked.missing);
        walked.packages.keys().map(PackageId::spec).collect()
    }

    #[test]
    fn entries_are_read_with_source_and_hash() {
        let lock = project();
        assert!(lock.diagnostics.is_empty(), "{:?}", lock.diagnostics);
        let got: Vec<_> = lock
            .entries
            .iter()
            .map(|e| (e.id.spec(), e.line, e.source.as_deref().unwrap_or(""), e.hashes.join(" ")))
            .collect();
        let expected = [
            ("@s/tool@1.0.3", 5, "", "sha512-ttt=="),
            ("string-width@4.2.3", 10, "", "sha512-sss=="),
            ("debug@2.6.9", 17, "", "sha512-bbb=="),
            ("drop@1.1.1", 26, "git", ""),
            ("linked@0.0.0", 30, "path", ""),
            ("local@0.1.0", 34, "path", ""),
            ("ms@2.1.2", 39, "", "sha512-mmm=="),
            ("once@1.4.0", 44, "", "sha1-WDsap3WWHUsROsF9nFC6753Xa9E="),
            ("rimraf@3.0.2", 49, "", ""),
            ("strip-ansi@6.0.1", 53, "", ""),
            ("strip-ansi@4.0.0", 57, "", ""),
            ("uuid@9.0.1", 61, "", ""),
            ("b@link:packages/b", 0, "workspace", ""),
        ];
        assert_eq!(got, expected.map(|(spec, line, source, hash)| (spec.to_string(), line, source, hash.to_string())));
        let optional = lock.entries[2].requires.as_ref().unwrap().iter().find(|e| e.name == "@s/tool").unwrap();
        assert_eq!((optional.scope.clone(), optional.line), (Scope::Optional, 24));
    }

    #[test]
    fn manifests_say_what_is_asked_for() {
        let lock = project();
        // rimraf is for development; b is a member, walked through; its uuid is replaced below b only.
        assert_eq!(
            production(&lock, "."),
            [
                "@s/tool@1.0.3",
                "debug@2.6.9",
                "drop@1.1.1",
                "linked@0.0.0",
                "local@0.1.0",
                "ms@2.1.2",
                "once@1.4.0",
                "string-width@4.2.3",
                "strip-ansi@4.0.0",
                "strip-ansi@6.0.1",
                "uuid@9.0.1"
            ]
        );
        assert_eq!(production(&lock, "packages/b"), ["local@0.1.0", "once@1.4.0", "strip-ansi@4.0.0", "uuid@9.0.1"]);
        let scopes: Vec<_> = lock.importers["."].iter().map(|e| (e.name.as_str(), e.scope.clone())).collect();
        assert!(
            scopes.contains(&("debug", Scope::Production)) && scopes.contains(&("rimraf", Scope::Dev)),
            "{scopes:?}"
        );
        assert!(!scopes.iter().any(|(name, _)| *name == "react"));
    }

    #[test]
    fn without_a_manifest_nothing_is_asked_for() {
        let lock = read(LOCK, &[], &[]);
        assert!(lock.importers.is_empty() && lock.diagnostics.is_empty());
        assert_eq!(lock.entries.len(), 12);
    }

    #[test]
    fn lines_that_are_none_of_a_lock_are_said() {
        let text = "a@1:\n  version \"1.0.0\"\n<<<<<<< HEAD\nb@1:\n  version \"1.0.0\n   odd\nc@1:\n  resolved \"x\"\n";
        let lock = read(text, &[], &[]);
        let said: Vec<_> = lock.diagnostics.iter().map(|d| (d.place.line, d.code.as_str())).collect();
        let invalid = "lock-invalid";
        assert_eq!(said, [(3, invalid), (5, invalid), (6, invalid), (4, invalid), (7, invalid)]);
        assert_eq!(lock.entries.iter().map(|e| e.id.spec()).collect::<Vec<_>>(), ["a@1.0.0"]);
        let many = read(&"?\n".repeat(100_000), &[], &[]);
        assert_eq!(many.diagnostics.len(), MAX_TOLD + 1);
    }

    #[test]
    fn quotes_are_those_of_json() {
        assert_eq!(header(r#""a@>= 1, < 2", b@1:"#).unwrap(), ["a@>= 1, < 2", "b@1"]);
        assert_eq!(header(r#""\u0061@1":"#).unwrap(), ["a@1"]);
        assert_eq!(pair(r#""@s/x" "^1""#).unwrap(), ("@s/x".into(), "^1".into()));
        for broken in ["\"a@1:", "a@1", "a@1,:", "\"a\" b:", "\"\\\":", ":", "\"é"] {
            assert_eq!(header(broken), None, "{broken}");
        }
    }
}
