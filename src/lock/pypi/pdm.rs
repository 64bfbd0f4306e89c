//! pdm.lock, lock versions 2 to 4.
//!
//! Supported: every strategy. Entries that differ in their extras are one package with edges for those extras; groups and
//! markers of `inherit_metadata`; files with names or static URLs, in `files` or `[metadata.files]`; git, url, path and
//! editable sources; `[[metadata.targets]]` as the platforms that the lock is made for.
//! The format does not say what is direct. With `inherit_metadata` the importer holds all that the groups install: `default`
//! in production, any other group as an extra of its name. Without it the roots are the manifest's alone.

use std::collections::{BTreeMap, BTreeSet};

use pep508_rs::MarkerTree;
use toml::de::DeTable;

use super::toml_doc as doc;
use super::{pep508, wheel};
use crate::lock::{Edge, Entry, Kind, Lock, MadeFor, Scope, UNKNOWN_VERSION, candidates, python_index};
use crate::model::{Area, Diagnostic, Extent, Lines, PackageId, Place, Support, codes, normalise_pypi};

/// What is read of it.
pub const SUPPORT: Support = Support {
    area: Area::Lock,
    what: "pdm",
    files: "pdm.lock",
    extent: Extent::Full,
    note: "lock versions 2 to 4, every strategy, targets; direct dependencies from pyproject.toml",
};

/// Reads a pdm.lock.
pub fn read(file: &str, text: &str) -> Lock {
    let mut lock = Lock::empty(Kind::Pdm, file);
    let (table, lines) = match doc::parse(codes::LOCK_INVALID, file, text) {
        Ok(parsed) => parsed,
        Err(diagnostic) => {
            lock.diagnostics.push(*diagnostic);
            return lock;
        }
    };
    let metadata = doc::table(&table, "metadata");
    let version = metadata.and_then(|m| m.get("lock_version"));
    let written = version.and_then(|v| doc::as_string(v.get_ref()));
    let known = matches!(written.and_then(|v| v.split('.').next()), Some("2" | "3" | "4"));
    // An empty lock has no version and no packages.
    if !known && (version.is_some() || table.get("package").is_some()) {
        let reason = match written {
            Some(written) => format!("lock_version {} is not one of 2.x to 4.x", pep508::shorten(written)),
            None => "it has no lock_version".into(),
        };
        let line = version.map_or(0, |v| lines.of(v.span().start));
        lock.diagnostics.push(Diagnostic::new(codes::LOCK_UNSUPPORTED, Place::at(file, line), reason));
        return lock;
    }
    lock.complete = true;
    lock.made_for = metadata.and_then(|m| targets(m, &lines));
    Reader { lock: &mut lock, lines: &lines, rows: Vec::new(), seen: BTreeMap::new(), open: BTreeSet::new() }
        .read(&table, metadata);
    lock
}

/// One `[[package]]`: a package as it is with certain extras.
struct Row<'a, 't> {
    table: &'a DeTable<'t>,
    line: u32,
    entry: usize,
    extras: Vec<String>,
    marker: Option<MarkerTree>,
}

struct Reader<'a, 'b, 't> {
    lock: &'a mut Lock,
    lines: &'a Lines,
    rows: Vec<Row<'b, 't>>,
    /// Entries by package and source.
    seen: BTreeMap<(PackageId, String), usize>,
    /// Entries that some row asks for under no marker.
    open: BTreeSet<usize>,
}

impl<'b, 't> Reader<'_, 'b, 't> {
    fn say(&mut self, code: crate::model::Code, line: u32, reason: String) {
        let place = Place::at(&self.lock.file, line);
        self.lock.diagnostics.push(Diagnostic::new(code, place, reason));
    }

    fn read(mut self, table: &'b DeTable<'t>, metadata: Option<&'b DeTable<'t>>) {
        for (at, value) in doc::array(table, "package") {
            self.row(doc::as_table(value), self.lines.of(at), metadata);
        }
        let index = python_index(self.lock);
        let rows = std::mem::take(&mut self.rows);
        for row in &rows {
            let edges = self.edges(row, &index);
            self.lock.entries[row.entry].requires.get_or_insert_default().extend(edges);
        }
        let roots: Vec<Edge> = rows.iter().flat_map(|row| self.roots(row)).collect();
        if !roots.is_empty() {
            self.lock.importers.insert(".".into(), roots);
        }
    }

    fn row(&mut self, table: Option<&'b DeTable<'t>>, line: u32, metadata: Option<&'b DeTable<'t>>) {
        let named = table.and_then(|t| Some((t, doc::string(t, "name").filter(|n| !n.trim().is_empty())?)));
        let Some((table, name)) = named else {
            return self.say(codes::LOCK_INVALID, line, "a package has no name".into());
        };
        let (source, address) = source(table);
        let version = doc::string(table, "version").map(str::trim).filter(|v| !v.is_empty());
        if version.is_none() && source.is_none() {
            return self.say(codes::LOCK_INVALID, line, format!("{name} has no version"));
        }
        let marker = match doc::string(table, "marker").filter(|m| !m.trim().is_empty()).map(pep508::marker).transpose()
        {
            Ok(marker) => marker,
            Err(reason) => {
                self.say(codes::LOCK_INVALID, line, reason);
                None
            }
        };
        let extras = doc::strings(table, "extras");
        let extras = pep508::extras(extras.iter().map(String::as_str)).unwrap_or_default();
        let id = PackageId::pypi(name, version.unwrap_or(UNKNOWN_VERSION));
        let key = (id.clone(), address.to_string());
        let entry = match self.seen.get(&key) {
            Some(&entry) => entry,
            None => {
                let entry = self.lock.entries.len();
                self.lock.entries.push(Entry { source, ..Entry::pin(id, line) });
                self.seen.insert(key, entry);
                entry
            }
        };
        self.files(entry, table, metadata, name);
        // Several rows of one package: it is there when one of them is.
        let when = &mut self.lock.entries[entry].when.marker;
        match (&marker, when.as_mut()) {
            (None, _) => {
                self.open.insert(entry);
                *when = None;
            }
            (Some(_), _) if self.open.contains(&entry) => {}
            (Some(marker), Some(when)) => when.or(marker.clone()),
            (Some(marker), None) => *when = Some(marker.clone()),
        }
        self.rows.push(Row { table, line, entry, extras, marker });
    }

    fn files(&mut self, at: usize, table: &DeTable, metadata: Option<&DeTable>, name: &str) {
        let entry = &mut self.lock.entries[at];
        if !entry.hashes.is_empty() {
            return;
        }
        let by_version = format!("{name} {}", entry.id.version);
        // Lock versions below 4 list files apart.
        let apart = metadata.and_then(|m| doc::table(m, "files")).filter(|_| table.get("files").is_none());
        let (table, key) = apart.map_or((table, "files"), |files| (files, by_version.as_str()));
        let files = || doc::array(table, key).filter_map(|(_, file)| doc::as_table(file));
        entry.hashes = files().filter_map(|f| doc::string(f, "hash")).map(str::to_string).collect();
        let names = files().filter_map(|f| doc::string(f, "file").or(doc::string(f, "url").map(wheel::file_name)));
        let wheels = wheel::only_wheels(names);
        if !wheels.is_empty() && entry.source.is_none() {
            self.lock.wheels.insert(at, wheels);
        }
    }

    fn edges(&mut self, row: &Row, index: &BTreeMap<String, Vec<usize>>) -> Vec<Edge> {
        let mut out = Vec::new();
        let own = self.lock.entries[row.entry].id.clone();
        for (at, value) in doc::array(row.table, "dependencies") {
            let line = self.lines.of(at);
            let text = doc::as_string(value).ok_or_else(|| "a dependency is not a string".to_string());
            let spec = match text.and_then(pep508::parse) {
                Ok(spec) => spec,
                Err(reason) => {
                    self.say(codes::LOCK_INVALID, line, reason);
                    continue;
                }
            };
            // `httpx[socks]` depends on `httpx` itself.
            if spec.name == own.name && spec.extras.is_empty() {
                continue;
            }
            let all = index.get(&spec.name).map_or(&[][..], Vec::as_slice);
            let to = if spec.source.is_some() { all.to_vec() } else { candidates(&self.lock.entries, all, &spec.text) };
            if to.is_empty() && spec.marker.is_none() {
                let reason = format!("{} needs {}, which is not locked", own.spec(), spec.name);
                self.say(codes::LOCK_INCOMPLETE, line, reason);
            }
            let (scope, marker) = match row.extras.as_slice() {
                [] => (Scope::Production, spec.marker),
                [extra] => (Scope::Extra(extra.clone()), spec.marker),
                // What belongs to which of several extras is not said: they count together.
                extras => {
                    let all: Vec<String> = extras.iter().map(|e| format!("extra == '{e}'")).collect();
                    (Scope::Production, pep508::and(spec.marker, pep508::marker(&all.join(" and ")).ok()))
                }
            };
            out.push(Edge { name: spec.name, text: spec.text, line, to, extras: spec.extras, marker, scope });
        }
        out
    }

    /// What the groups of a row install; nothing where the lock does not keep groups.
    fn roots(&self, row: &Row) -> Vec<Edge> {
        let groups = doc::strings(row.table, "groups");
        let id = &self.lock.entries[row.entry].id;
        let edge = |scope: Scope| Edge {
            name: id.name.clone(),
            text: format!("=={}", id.version),
            line: row.line,
            to: vec![row.entry],
            extras: row.extras.clone(),
            marker: row.marker.clone(),
            scope,
        };
        if groups.iter().any(|g| g == "default") {
            return vec![edge(Scope::Production)];
        }
        groups.iter().map(|group| edge(Scope::Extra(normalise_pypi(group)))).collect()
    }
}

/// The kind of a source, and what tells it from others.
fn source<'a>(package: &'a DeTable) -> (Option<String>, &'a str) {
    let of = ["git", "hg", "svn", "bzr", "url", "path"].iter().find_map(|key| Some((*key, doc::string(package, key)?)));
    match of {
        Some(("url", address)) => (Some("url".into()), address),
        Some(("path", address)) => (Some("path".into()), address),
        Some((_, address)) => (Some("git".into()), address),
        None => (None, ""),
    }
}

/// The platforms that the lock was resolved for.
fn targets(metadata: &DeTable, lines: &Lines) -> Option<MadeFor> {
    let (mut any, mut texts, mut line) = (MarkerTree::FALSE, Vec::new(), 0);
    for (at, value) in doc::array(metadata, "targets") {
        let target = doc::as_table(value)?;
        let python = doc::string(target, "requires_python").unwrap_or_default();
        let system = doc::string(target, "platform").unwrap_or_default();
        let mut marker = pep508::python_marker(python).unwrap_or(MarkerTree::TRUE);
        if let Some(system) = system_marker(system) {
            marker.and(system);
        }
        any.or(marker);
        texts.push([python, system].iter().filter(|t| !t.is_empty()).copied().collect::<Vec<_>>().join(" on "));
        line = if line == 0 { lines.of(at) } else { line };
    }
    (!texts.is_empty() && !any.is_true()).then(|| MadeFor { marker: any, text: texts.join(", or "), line })
}

/// PDM's names of platforms: `manylinux_2_17_x86_64`, `musllinux_1_1_aarch64`, `linux`, `macos_arm64`, `windows_amd64` …
fn system_marker(name: &str) -> Option<MarkerTree> {
    let system = if name.contains("linux") || name == "alpine" {
        "linux"
    } else if name.starts_with("mac") {
        "darwin"
    } else if name.starts_with("win") {
        "win32"
    } else {
        return None;
    };
    let machines: &[&str] = if name.ends_with("x86_64") || name.ends_with("amd64") {
        &["x86_64", "AMD64"]
    } else if name.ends_with("aarch64") || name.ends_with("arm64") {
        &["aarch64", "arm64", "ARM64"]
    } else {
        &[]
    };
    let machine: Vec<String> = machines.iter().map(|m| format!("platform_machine == '{m}'")).collect();
    let machine = if machine.is_empty() { String::new() } else { format!(" and ({})", machine.join(" or ")) };
    pep508::marker(&format!("sys_platform == '{system}'{machine}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::closure::closure;

    const LOCK: &str = r#"# This file is @generated by PDM.
[metadata]
groups = ["default", "dev", "Web"]
strategy = ["inherit_metadata"]
lock_version = "4.5.0"

[[metadata.targets]]
requires_python = ">=3.9,<3.13"

[[metadata.targets]]
requires_python = ">=3.13"
platform = "musllinux_1_1_aarch64"

[[package]]
name = "httpx"
version = "0.28.1"
requires_python = ">=3.8"
groups = ["default"]
dependencies = [
    "idna",
    "tomli>=1; python_version < \"3.11\"",
]
files = [
    {file = "httpx-0.28.1-py3-none-any.whl", hash = "sha256:aa"},
]

[[package]]
name = "httpx"
version = "0.28.1"
extras = ["Socks"]
groups = ["default"]
dependencies = [
    "httpx==0.28.1",
    "socksio==1.*",
]
files = [
    {file = "httpx-0.28.1-py3-none-any.whl", hash = "sha256:aa"},
]

[[package]]
name = "httpx"
version = "0.28.1"
extras = ["brotli", "http2"]
groups = ["dev"]
dependencies = ["httpx==0.28.1", "h2<5,>=3"]

[[package]]
name = "idna"
version = "3.4"
groups = ["default", "dev"]
marker = "python_version < \"3.12\""
files = [{url = "https://registry.example/idna-3.4-cp311-cp311-manylinux2014_x86_64.whl", hash = "sha256:bb"}]

[[package]]
name = "idna"
version = "3.6"
groups = ["default"]
marker = "python_version >= \"3.12\""

[[package]]
name = "tomli"
version = "2.0.1"
groups = ["default"]
marker = "python_version < \"3.11\""

[[package]]
name = "socksio"
version = "1.0.0"
groups = ["default"]

[[package]]
name = "h2"
version = "4.1.0"
groups = ["dev"]

[[package]]
name = "flask"
version = "2.0"
groups = ["Web"]

[[package]]
name = "lib"
version = "0.1"
git = "https://host/lib"
revision = "abc"
groups = ["default"]
"#;

    fn on(lock: &Lock, platform: &str, extras: &[&str]) -> Vec<String> {
        let extras: Vec<String> = extras.iter().map(|e| (*e).to_string()).collect();
        let found = closure(lock, &lock.importers["."], &extras, &platform.parse().unwrap());
        assert_eq!(found.missing, []);
        found.packages.keys().map(PackageId::spec).collect()
    }

    #[test]
    fn rows_of_one_package_are_one_entry() {
        let lock = read("pdm.lock", LOCK);
        assert_eq!(lock.diagnostics, []);
        let specs: Vec<_> = lock.entries.iter().map(|e| (e.id.spec(), e.line)).collect();
        assert_eq!((specs.len(), specs[0].clone()), (8, ("httpx==0.28.1".to_string(), 14)));
        let edges = lock.entries[0].requires.as_ref().unwrap();
        let shown: Vec<_> = edges.iter().map(|e| (e.name.as_str(), e.scope.clone(), e.marker.is_some())).collect();
        assert_eq!(
            shown,
            [
                ("idna", Scope::Production, false),
                ("tomli", Scope::Production, true),
                ("socksio", Scope::Extra("socks".into()), false),
                ("h2", Scope::Production, true),
            ]
        );
        assert_eq!((lock.entries[0].hashes.as_slice(), lock.wheels.len()), (&["sha256:aa".to_string()][..], 1));
        assert_eq!(lock.entries[7].source.as_deref(), Some("git"));
    }

    #[test]
    fn groups_and_markers_decide() {
        let lock = read("pdm.lock", LOCK);
        let old = on(&lock, "python3.10-linux-x86_64-glibc", &[]);
        assert_eq!(old, ["httpx==0.28.1", "idna==3.4", "lib==0.1", "socksio==1.0.0", "tomli==2.0.1"]);
        let new = on(&lock, "python3.12-linux-x86_64-glibc", &["web"]);
        assert_eq!(new, ["flask==2.0", "httpx==0.28.1", "idna==3.6", "lib==0.1", "socksio==1.0.0"]);
    }

    #[test]
    fn targets_are_what_it_is_made_for() {
        let made_for = read("pdm.lock", LOCK).made_for.unwrap();
        let holds = |platform: &str| {
            made_for.marker.evaluate(&crate::lock::environment::marker_environment(&platform.parse().unwrap()), &[])
        };
        assert_eq!((made_for.line, made_for.text.as_str()), (7, ">=3.9,<3.13, or >=3.13 on musllinux_1_1_aarch64"));
        assert!(holds("python3.9-linux-x86_64-glibc") && holds("python3.13-linux-aarch64-musl"));
        assert!(!holds("python3.8-linux-x86_64-glibc") && !holds("python3.13-linux-x86_64-musl"));
    }

    #[test]
    fn older_locks_list_files_apart_and_know_no_groups() {
        let lock = read(
            "pdm.lock",
            "[[package]]\nname = 'a'\nversion = '1'\ndependencies = ['b>=1', 'c', 'B; extra']\n[[package]]\nname = 'b'\nversion = '1'\n[metadata]\nlock_version = '3.1'\n[metadata.files]\n'a 1' = [{file = 'a-1.tar.gz', hash = 'sha256:aa'}]\n",
        );
        assert_eq!(lock.entries[0].hashes, ["sha256:aa"]);
        assert!(lock.importers.is_empty());
        let said: Vec<_> = lock.diagnostics.iter().map(|d| (d.code.as_str(), d.place.line)).collect();
        assert_eq!(said, [("lock-incomplete", 4), ("lock-invalid", 4)]);
        for (text, code) in [
            ("[metadata]\nlock_version = '9'\n", "lock-unsupported"),
            ("[[package]]\nname='a'\n", "lock-unsupported"),
            ("[[", "lock-invalid"),
        ] {
            assert_eq!(read("pdm.lock", text).diagnostics[0].code, code, "{text}");
        }
        assert_eq!(read("pdm.lock", "").diagnostics, []);
    }
}
