//! bun.lock, the text lock of Bun (lockfile versions 0 to 2): JSON with trailing commas and comments.
//!
//! `workspaces` records what every member asks for. `packages` is a `node_modules` tree by path (`a/b` = `b` inside `a`),
//! each a tuple that begins with `name@resolution`; which package a requirement leads to is found as Node.js finds
//! modules, from the requirer's path outwards:
//!
//! ```text
//! registry    ["name@1.0.0", "registry or empty", {info}, "sha512-…"]
//! workspace   ["name@workspace:folder"]
//! folder      ["name@file:folder", {info}]        link  ["name@link:folder", {info}]
//! tarball     ["name@https://…", {info}, "sha512-…"]
//! git         ["name@git+ssh://…#commit", {info}, "tag"]        ["name@github:owner/repository#commit", {info}, "tag"]
//! ```
//!
//! Bun has applied `overrides` and catalogs already. What `patchedDependencies` names is not what the registry holds.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;

use super::npm_json::{Pairs, Value, as_version, parse_object, source_of};
use super::overrides;
use crate::lock::positions::Slices;
use crate::lock::{Edge, Entry, Kind, Lock, Scope, When};
use crate::model::support::{Area, Extent, Support};
use crate::model::{Diagnostic, PackageId, Place, codes};

/// What is read of both of Bun's locks.
pub const SUPPORT: [Support; 2] = [
    Support {
        area: Area::Lock,
        what: "bun.lock",
        files: "`bun.lock`",
        extent: Extent::Full,
        note: "lockfile versions 0 to 2; aliases, workspaces, git, file and tarball sources, patches, `os`, `cpu`, `libc`",
    },
    Support {
        area: Area::Lock,
        what: "bun.lockb",
        files: "`bun.lockb`",
        extent: Extent::Named,
        note: "binary; `bun install --save-text-lockfile --frozen-lockfile --lockfile-only` makes bun.lock of it",
    },
];

/// The name of Bun's binary lock.
pub const BINARY: &str = "bun.lockb";

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct File<'a> {
    #[serde(borrow)]
    lockfile_version: Value<'a>,
    workspaces: Pairs<'a, Value<'a>>,
    overrides: Value<'a>,
    patched_dependencies: Value<'a>,
    packages: Pairs<'a, Value<'a>>,
}

/// That a binary lock is not read, and how to make one that is.
pub fn binary(file: &str) -> Diagnostic {
    let reason = "the file is Bun's binary lock, which only Bun reads";
    Diagnostic::new(codes::LOCK_UNSUPPORTED, Place::file(file), reason)
        .next("run `bun install --save-text-lockfile --frozen-lockfile --lockfile-only` and commit bun.lock instead")
}

/// Reads a bun.lock. Whatever the text is, the result is a lock: what could not be read is in its diagnostics.
pub fn read(file: &str, text: &str) -> Lock {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lock = Lock { complete: true, ..Lock::empty(Kind::Bun, file) };
    let plain = plain_json(text);
    let parsed: File<'_> = match parse_object(&plain) {
        Ok(parsed) => parsed,
        Err((line, error)) => {
            let reason = format!("the file is no bun lock: {error}");
            lock.diagnostics.push(Diagnostic::new(codes::LOCK_INVALID, Place::at(file, line), reason));
            return lock;
        }
    };
    match parsed.lockfile_version {
        Value::Number(version) if (0.0..3.0).contains(&version) => {}
        Value::Number(version) => {
            let reason = format!("lockfileVersion {version} is not one of 0, 1 and 2");
            lock.diagnostics.push(Diagnostic::new(codes::LOCK_UNSUPPORTED, Place::file(file), reason));
            return lock;
        }
        Value::Null if parsed.packages.0.is_empty() => {}
        _ => {
            let reason = "lockfileVersion is no number";
            lock.diagnostics.push(Diagnostic::new(codes::LOCK_INVALID, Place::file(file), reason));
            return lock;
        }
    }
    lock.overrides = overrides::replaced(parsed.overrides.pairs().iter().map(|(name, _)| name.as_ref()));
    let patched = parsed.patched_dependencies.pairs().iter().map(|(spec, _)| spec.as_ref()).collect();
    let mut reader =
        Reader { lines: Slices::new(&plain), lock, paths: HashMap::new(), folders: HashMap::new(), patched };
    for (folder, workspace) in &parsed.workspaces.0 {
        reader.folders.insert(folder, workspace);
    }
    let owners: Vec<(&str, &Value<'_>)> =
        parsed.packages.0.iter().filter_map(|(path, tuple)| Some((path.as_ref(), reader.entry(path, tuple)?))).collect();
    reader.edges(&owners, &parsed.workspaces);
    reader.lock
}

struct Reader<'t> {
    lines: Slices<'t>,
    lock: Lock,
    /// Path in the tree → entry.
    paths: HashMap<&'t str, usize>,
    /// Folder → workspace member.
    folders: HashMap<&'t str, &'t Value<'t>>,
    /// `name@version` of patched packages.
    patched: HashSet<&'t str>,
}

static NOTHING: Value<'static> = Value::Null;

impl<'t> Reader<'t> {
    /// Adds the entry of a tuple; gives what the tuple says of its dependencies.
    fn entry(&mut self, path: &'t str, tuple: &'t Value<'t>) -> Option<&'t Value<'t>> {
        let line = self.lines.of(path);
        let items: &[Value<'_>] = match tuple {
            Value::List(items) => items,
            _ => &[],
        };
        let locator = items.first().and_then(Value::text).unwrap_or_default();
        let (name, resolution) = overrides::split(locator);
        let Some(resolution) = resolution.filter(|r| !name.is_empty() && !r.is_empty()) else {
            let reason = format!("`{path}` names no package at a version");
            self.lock.diagnostics.push(Diagnostic::new(codes::LOCK_INVALID, Place::at(&self.lock.file, line), reason));
            return None;
        };
        let mut info = items.iter().find(|item| matches!(item, Value::Map(_))).unwrap_or(&NOTHING);
        let hash = items.iter().skip(1).rev().find_map(Value::text).filter(|h| h.starts_with("sha") && h.contains('-'));
        let folder = resolution.strip_prefix("workspace:");
        let mut version = as_version(resolution);
        if let Some(folder) = folder {
            let member = self.folders.get(folder).copied().unwrap_or(&NOTHING);
            info = member;
            version = as_version(member.get("version").and_then(Value::text).unwrap_or(&format!("link:{folder}")));
        }
        let source = match resolution {
            _ if self.patched.contains(locator) => Some("patch"),
            _ if folder.is_some() => Some("workspace"),
            // The project itself, where a member asks for it.
            "root:" => Some("workspace"),
            _ => source_of(resolution).or_else(|| unlike_a_version(resolution)),
        };
        let list = |key: &str| info.get(key).map(Value::texts).unwrap_or_default();
        self.paths.insert(path, self.lock.entries.len());
        self.lock.entries.push(Entry {
            hashes: hash.map(str::to_string).into_iter().collect(),
            source: source.map(str::to_string),
            when: When { marker: None, os: list("os"), cpu: list("cpu"), libc: list("libc") },
            ..Entry::pin(PackageId::npm(name, &version), line)
        });
        Some(info)
    }

    fn edges(&mut self, owners: &[(&str, &Value<'_>)], workspaces: &Pairs<'_, Value<'_>>) {
        let mut starts: Vec<usize> = Vec::new();
        for (at, (path, info)) in owners.iter().enumerate() {
            let edges = self.of(path, info, false, &mut starts);
            let linked = self.lock.entries[at].source.as_deref() == Some("path") && edges.is_empty();
            self.lock.entries[at].requires = (!linked).then_some(edges);
        }
        for (folder, workspace) in &workspaces.0 {
            // What is placed inside a member stands under its name.
            let path = if folder.is_empty() { "" } else { workspace.get("name").and_then(Value::text).unwrap_or("") };
            let importer = if folder.is_empty() { "." } else { folder.as_ref() };
            let edges = self.of(path, workspace, true, &mut starts);
            self.lock.importers.insert(importer.to_string(), edges);
        }
        self.lock.importers.entry(".".to_string()).or_default();
    }

    fn of(&self, path: &str, info: &Value<'_>, importer: bool, starts: &mut Vec<usize>) -> Vec<Edge> {
        let optional_peers: HashSet<String> =
            info.get("optionalPeers").map(Value::texts).unwrap_or_default().into_iter().collect();
        let mut edges: BTreeMap<&str, (Scope, &str, u32)> = BTreeMap::new();
        for (section, scope) in [
            ("devDependencies", Scope::Dev),
            ("peerDependencies", Scope::Peer),
            ("dependencies", Scope::Production),
            ("optionalDependencies", Scope::Optional),
        ] {
            if scope == Scope::Dev && !importer {
                continue;
            }
            for (name, text) in info.get(section).unwrap_or(&NOTHING).pairs() {
                let optional = scope == Scope::Peer && optional_peers.contains(name.as_ref());
                let scope = if optional { Scope::OptionalPeer } else { scope.clone() };
                edges.insert(name, (scope, text.text().unwrap_or_default(), self.lines.of(name)));
            }
        }
        package_starts(path, starts);
        let edge = |(name, (scope, text, line)): (&str, (Scope, &str, u32))| Edge {
            name: name.to_string(),
            text: text.to_string(),
            line,
            to: self.find(path, name, starts).into_iter().collect(),
            extras: Vec::new(),
            marker: None,
            scope,
        };
        edges.into_iter().map(edge).collect()
    }

    /// The nearest package of a name from a path outwards. `ends`: where the packages of the path end.
    fn find(&self, path: &str, name: &str, ends: &[usize]) -> Option<usize> {
        let mut key = String::with_capacity(path.len() + name.len() + 1);
        for &end in ends.iter().rev() {
            key.clear();
            key.push_str(&path[..end]);
            key.push('/');
            key.push_str(name);
            if let Some(&found) = self.paths.get(key.as_str()) {
                return Some(found);
            }
        }
        self.paths.get(name).copied()
    }
}

/// Where the packages of a path end: `a/@s/b/c` has three.
fn package_starts(path: &str, ends: &mut Vec<usize>) {
    ends.clear();
    if path.is_empty() {
        return;
    }
    let mut start = 0;
    for end in path.match_indices('/').map(|(at, _)| at).chain([path.len()]) {
        let part = &path[start..end];
        // A scope is one name with what follows it.
        if !part.starts_with('@') || part.contains('/') {
            ends.push(end);
            start = end + 1;
        }
    }
}

/// A resolution that is neither an address nor a version is a local tarball.
fn unlike_a_version(resolution: &str) -> Option<&'static str> {
    (!resolution.starts_with(|c: char| c.is_ascii_digit())).then_some("path")
}

/// The same text as plain JSON: comments and trailing commas become blanks, so that every place stays where it is.
fn plain_json(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut out: Vec<u8> = Vec::new();
    let blank = |out: &mut Vec<u8>, from: usize, to: usize| {
        if out.is_empty() {
            out.extend_from_slice(bytes);
        }
        out[from..to].iter_mut().filter(|byte| !matches!(**byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    };
    let mut comma: Option<usize> = None;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                comma = None;
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
            }
            b'/' if matches!(bytes.get(at + 1), Some(b'/' | b'*')) => {
                let line = bytes[at + 1] == b'/';
                let rest = &bytes[at + 2..];
                let length = match line {
                    true => rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
                    false => rest.windows(2).position(|pair| pair == b"*/").map_or(rest.len(), |end| end + 2),
                };
                blank(&mut out, at, at + 2 + length);
                at += 1 + length;
            }
            b',' => comma = Some(at),
            b'}' | b']' => {
                if let Some(comma) = comma.take() {
                    blank(&mut out, comma, comma + 1);
                }
            }
            byte if byte.is_ascii_whitespace() => {}
            _ => comma = None,
        }
        at += 1;
    }
    if out.is_empty() { Cow::Borrowed(text) } else { String::from_utf8(out).map_or(Cow::Borrowed(text), Cow::Owned) }
}
