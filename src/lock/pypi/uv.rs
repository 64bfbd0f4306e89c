//! uv.lock, version 1 in all its revisions.
//!
//! Supported: `[[package]]` (and `[[distribution]]`, its first name) with registry, git, url, path, directory, editable
//! and virtual sources; dependencies with version, source, marker and extras; optional-dependencies; dev-dependencies;
//! forks (`resolution-markers`); conflicting extras in markers; workspaces, and `[manifest]` requirements of scripts.
//! The project and the members of its workspace are importers by their folder, and entries with source `workspace`: what
//! they require is walked through them, but they are code of the fleet, not packages.

use std::collections::BTreeMap;

use toml::de::DeTable;

use super::pep508;
use super::toml_doc as doc;
use crate::discover::paths;
use crate::lock::{Edge, Entry, Kind, Lock, Scope, UNKNOWN_VERSION, When, python_index};
use crate::model::{Diagnostic, Lines, PackageId, Place, codes, normalise_pypi};

use crate::model::support::{Area, Extent, Support};

/// What is read of it.
pub const SUPPORT: Support = Support {
    area: Area::Lock,
    what: "uv",
    files: "`uv.lock`",
    extent: Extent::Full,
    note: "version 1 in all revisions, workspaces, forks, conflicting extras",
};

/// Reads a uv.lock.
pub fn read(file: &str, text: &str) -> Lock {
    let mut lock = Lock::empty(Kind::Uv, file);
    let (table, lines) = match doc::parse(codes::LOCK_INVALID, file, text) {
        Ok(parsed) => parsed,
        Err(diagnostic) => {
            lock.diagnostics.push(*diagnostic);
            return lock;
        }
    };
    let key = if table.get("package").is_none() { "distribution" } else { "package" };
    let version = doc::number(&table, "version");
    if version.is_some_and(|v| v != 1) || (version.is_none() && doc::array(&table, key).next().is_some()) {
        let at = table.get("version").map_or(0, |v| lines.of(v.span().start));
        let reason = match version {
            Some(version) => format!("version {version} is not 1"),
            None => "it has no version".into(),
        };
        lock.diagnostics.push(Diagnostic::new(codes::LOCK_UNSUPPORTED, Place::at(file, at), reason));
        return lock;
    }
    lock.complete = true;
    Reader { lock: &mut lock, lines: &lines, index: BTreeMap::new(), packages: Vec::new() }.read(&table, key);
    lock
}

/// A package's table, with what its source says.
struct Package<'a, 't> {
    table: &'a DeTable<'t>,
    source: String,
    /// Folder relative to the lock's own, of a member of the workspace.
    folder: Option<String>,
}

struct Reader<'a, 'b, 't> {
    lock: &'a mut Lock,
    lines: &'a Lines,
    index: BTreeMap<String, Vec<usize>>,
    packages: Vec<Package<'b, 't>>,
}

impl<'b, 't> Reader<'_, 'b, 't> {
    fn read(&mut self, table: &'b DeTable<'t>, key: &str) {
        for (at, value) in doc::array(table, key) {
            let line = self.lines.of(at);
            match doc::as_table(value) {
                Some(package) => self.entry(package, line),
                None => self.invalid(line, "a package is no table".into()),
            }
        }
        self.index = python_index(self.lock);
        for i in 0..self.packages.len() {
            let package = self.packages[i].table;
            let edges = self.edges_of(package);
            let spec = self.lock.entries[i].id.spec();
            for edge in edges.iter().filter(|e| e.to.is_empty()) {
                self.incomplete(edge.line, format!("{spec} needs {}, which is not locked", edge.name));
            }
            if let Some(folder) = self.packages[i].folder.clone() {
                self.lock.importers.insert(folder, edges.clone());
            }
            self.lock.entries[i].requires = Some(edges);
        }
        self.manifest(table);
        if self.lock.importers.is_empty() && !self.lock.entries.is_empty() {
            self.incomplete(0, "no package is the project itself, so nothing says what it asks for".into());
        }
    }

    fn invalid(&mut self, line: u32, reason: String) {
        let place = Place::at(&self.lock.file, line);
        self.lock.diagnostics.push(Diagnostic::new(codes::LOCK_INVALID, place, reason));
    }

    fn incomplete(&mut self, line: u32, reason: String) {
        let place = Place::at(&self.lock.file, line);
        self.lock.diagnostics.push(Diagnostic::new(codes::LOCK_INCOMPLETE, place, reason));
    }

    fn entry(&mut self, package: &'b DeTable<'t>, line: u32) {
        let Some(name) = doc::string(package, "name").filter(|n| !n.trim().is_empty()) else {
            return self.invalid(line, "a package has no name".into());
        };
        let written = source_text(package);
        let (source, folder) = source(&written);
        // A version that the build computes is not locked; such packages never come from an index.
        let version = doc::string(package, "version").map(str::trim).filter(|v| !v.is_empty());
        if version.is_none() && source.is_none() {
            return self.invalid(line, format!("{name} has no version"));
        }
        let mut marker = None;
        for fork in doc::strings(package, "resolution-markers") {
            match (pep508::marker(&fork), &mut marker) {
                (Ok(fork), None) => marker = Some(fork),
                (Ok(fork), Some(marker)) => marker.or(fork),
                (Err(reason), _) => self.invalid(line, reason),
            }
        }
        self.lock.entries.push(Entry {
            id: PackageId::pypi(name, version.unwrap_or(UNKNOWN_VERSION)),
            line,
            hashes: hashes(package),
            source,
            size: size(package),
            requires: None,
            when: When { marker, ..When::default() },
        });
        self.packages.push(Package { table: package, source: written, folder });
    }

    /// Everything that a package may require, by scope.
    fn edges_of(&mut self, package: &DeTable) -> Vec<Edge> {
        let specifiers = doc::table(package, "metadata").map(specifiers).unwrap_or_default();
        let mut out = self.edges(package, "dependencies", &Scope::Production, &specifiers);
        if let Some(extras) = doc::table(package, "optional-dependencies") {
            for (_, extra, _) in doc::fields(extras) {
                out.extend(self.edges(extras, extra, &Scope::Extra(normalise_pypi(extra)), &specifiers));
            }
        }
        for key in ["dev-dependencies", "dependency-groups"] {
            if let Some(groups) = doc::table(package, key) {
                for (_, group, _) in doc::fields(groups) {
                    out.extend(self.edges(groups, group, &Scope::Dev, &specifiers));
                }
            }
        }
        out
    }

    fn edges(&mut self, table: &DeTable, key: &str, scope: &Scope, specifiers: &BTreeMap<String, String>) -> Vec<Edge> {
        let mut out = Vec::new();
        for (at, value) in doc::array(table, key) {
            let line = self.lines.of(at);
            let Some((dependency, name)) = doc::as_table(value).and_then(|d| Some((d, doc::string(d, "name")?))) else {
                self.invalid(line, "a dependency has no name".into());
                continue;
            };
            let name = normalise_pypi(name);
            let marker = match doc::string(dependency, "marker").map(pep508::marker).transpose() {
                Ok(marker) => marker,
                Err(reason) => {
                    self.invalid(line, reason);
                    None
                }
            };
            let mut extras = doc::strings(dependency, "extra");
            extras.extend(doc::strings(dependency, "extras"));
            let version = doc::string(dependency, "version");
            let source = source_text(dependency);
            let fits = |i: &&usize| {
                version.is_none_or(|v| self.lock.entries[**i].id.version == v)
                    && (source.is_empty() || self.packages[**i].source == source)
            };
            out.push(Edge {
                to: self.index.get(&name).into_iter().flatten().filter(fits).copied().collect(),
                text: specifiers
                    .get(&name)
                    .cloned()
                    .or(doc::string(dependency, "specifier").map(Into::into))
                    .unwrap_or_default(),
                name,
                line,
                extras: pep508::extras(extras.iter().map(String::as_str)).unwrap_or_default(),
                marker,
                scope: scope.clone(),
            });
        }
        out
    }

    /// `[manifest]`: requirements of a script, groups of a workspace whose root is no project.
    fn manifest(&mut self, table: &DeTable) {
        let Some(manifest) = doc::table(table, "manifest") else { return };
        let mut edges = self.edges(manifest, "requirements", &Scope::Production, &BTreeMap::new());
        for edge in edges.iter().filter(|e| e.to.is_empty()) {
            self.incomplete(edge.line, format!("{} is asked for, but not locked", edge.name));
        }
        if let Some(groups) = doc::table(manifest, "dependency-groups") {
            for (_, group, _) in doc::fields(groups) {
                edges.extend(self.edges(groups, group, &Scope::Dev, &BTreeMap::new()));
            }
        }
        if !edges.is_empty() {
            self.lock.importers.entry(".".into()).or_default().extend(edges);
        }
    }
}

/// What the member wrote, by name: locks keep it only there.
fn specifiers(metadata: &DeTable) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let mut list = |table: &DeTable, key: &str| {
        for (_, value) in doc::array(table, key) {
            let dist = doc::as_table(value);
            if let Some((name, text)) = dist.and_then(|d| Some((doc::string(d, "name")?, doc::string(d, "specifier")?)))
            {
                out.entry(normalise_pypi(name)).or_insert_with(|| text.to_string());
            }
        }
    };
    list(metadata, "requires-dist");
    if let Some(groups) = doc::table(metadata, "requires-dev") {
        for (_, group, _) in doc::fields(groups) {
            list(groups, group);
        }
    }
    out
}

/// A source in one line, to compare by: `registry+URL`, `git+URL#commit`, `virtual+.`.
fn source_text(package: &DeTable) -> String {
    let Some(value) = package.get("source") else { return String::new() };
    if let Some(text) = doc::as_string(value.get_ref()) {
        return text.to_string();
    }
    let fields = doc::as_table(value.get_ref()).map(doc::fields).unwrap_or_default();
    let of = |(_, key, value): &(usize, &str, &toml::de::DeValue)| Some(format!("{key}+{}", doc::as_string(value)?));
    fields.iter().filter_map(of).collect::<Vec<_>>().join(" ")
}

/// The kind of a source, and the folder of a member of the workspace.
fn source(written: &str) -> (Option<String>, Option<String>) {
    let (kind, place) = written.split_once('+').unwrap_or((written, ""));
    let kind = match kind {
        // A folder of archives serves as a registry too, but nobody else has it.
        "registry" => return ((!place.contains("://")).then(|| "path".to_string()), None),
        "git" => "git",
        "direct" | "url" => "url",
        "virtual" | "editable" => match paths::join(".", place.split(' ').next().unwrap_or_default()) {
            Some(folder) => return (Some("workspace".into()), Some(folder)),
            None => "path",
        },
        _ => "path",
    };
    (Some(kind.into()), None)
}

fn files<'a>(package: &'a DeTable) -> impl Iterator<Item = &'a DeTable<'a>> {
    let sdist = doc::table(package, "sdist").into_iter();
    sdist.chain(doc::array(package, "wheels").filter_map(|(_, wheel)| doc::as_table(wheel)))
}

fn hashes(package: &DeTable) -> Vec<String> {
    files(package).filter_map(|f| doc::string(f, "hash")).map(str::to_string).collect()
}

/// Bytes of the wheel that Linux would take: one for any platform, else the first for manylinux, x86-64 before others.
fn size(package: &DeTable) -> Option<u64> {
    let wheels = || {
        files(package).filter_map(|f| {
            let file = ["url", "path", "filename"].iter().find_map(|key| doc::string(f, key))?;
            file.ends_with(".whl").then(|| (file, doc::number(f, "size")))
        })
    };
    let find = |wanted: &[&str]| wheels().find(|(file, _)| wanted.iter().all(|w| file.contains(w)));
    find(&["-none-any.whl"]).or_else(|| find(&["manylinux", "x86_64"])).or_else(|| find(&["manylinux"]))?.1
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"version = 1
requires-python = ">=3.9"

[manifest]
members = ["app", "lib"]

[[package]]
name = "app"
version = "0.1.0"
source = { virtual = "." }
dependencies = [
    { name = "lib" },
    { name = "numpy", version = "1.26.4", source = { registry = "https://registry.example/simple" }, marker = "python_full_version < '3.12'" },
    { name = "numpy", version = "2.0.0", source = { registry = "https://registry.example/simple" }, marker = "python_full_version >= '3.12'" },
    { name = "httpx", extra = ["Socks"] },
]

[package.optional-dependencies]
web_ui = [{ name = "six" }]

[package.dev-dependencies]
dev = [{ name = "six" }]

[package.metadata]
requires-dist = [{ name = "httpx", extras = ["socks"], specifier = "==0.28.1" }]

[[package]]
name = "httpx"
version = "0.28.1"
source = { registry = "https://registry.example/simple" }
sdist = { url = "https://registry.example/httpx-0.28.1.tar.gz", hash = "sha256:aa", size = 10 }
wheels = [{ url = "https://registry.example/httpx-0.28.1-py3-none-any.whl", hash = "sha256:bb", size = 20 }]

[package.optional-dependencies]
socks = [{ name = "six" }]

[[package]]
name = "lib"
source = { editable = "packages/lib" }
dependencies = [{ name = "six" }, { name = "tool" }]

[[package]]
name = "numpy"
version = "1.26.4"
source = { registry = "https://registry.example/simple" }
resolution-markers = ["python_full_version < '3.11'", "python_full_version == '3.11.*'"]
wheels = [
    { url = "https://registry.example/numpy-1.26.4-cp311-cp311-macosx_11_0_arm64.whl", hash = "sha256:c1", size = 1 },
    { url = "https://registry.example/numpy-1.26.4-cp311-cp311-manylinux_2_17_aarch64.whl", hash = "sha256:c2", size = 2 },
    { url = "https://registry.example/numpy-1.26.4-cp311-cp311-manylinux_2_17_x86_64.whl", hash = "sha256:c3", size = 3 },
]

[[package]]
name = "numpy"
version = "2.0.0"
source = { registry = "https://registry.example/simple" }
resolution-markers = ["python_full_version >= '3.12'"]

[[package]]
name = "six"
version = "1.16.0"
source = { registry = "https://registry.example/simple" }

[[package]]
name = "tool"
version = "0.8.1"
source = { git = "https://host/tool#84748be" }
"#;

    fn entry<'a>(lock: &'a Lock, spec: &str) -> &'a Entry {
        lock.entries.iter().find(|e| e.id.spec() == spec).unwrap()
    }

    #[test]
    fn packages_sources_sizes_and_lines() {
        let lock = read("uv.lock", LOCK);
        assert_eq!(lock.diagnostics, []);
        assert_eq!(entry(&lock, "httpx==0.28.1").line, 27);
        assert_eq!(entry(&lock, "httpx==0.28.1").hashes, ["sha256:aa", "sha256:bb"]);
        assert_eq!(entry(&lock, "httpx==0.28.1").size, Some(20));
        assert_eq!(entry(&lock, "numpy==1.26.4").size, Some(3));
        assert_eq!(entry(&lock, "numpy==2.0.0").size, None);
        assert_eq!(entry(&lock, "tool==0.8.1").source.as_deref(), Some("git"));
        // The build computes the member's version.
        assert_eq!(entry(&lock, "lib==unknown").source.as_deref(), Some("workspace"));
        assert!(lock.complete);
    }

    #[test]
    fn importers_are_the_members_of_the_workspace() {
        let lock = read("uv.lock", LOCK);
        assert_eq!(lock.importers.keys().collect::<Vec<_>>(), [".", "packages/lib"]);
        let edges: Vec<_> = lock.importers["."]
            .iter()
            .map(|e| {
                (
                    e.name.as_str(),
                    e.text.as_str(),
                    e.line,
                    e.to.iter().map(|i| lock.entries[*i].id.version.as_str()).collect(),
                    e.scope.clone(),
                )
            })
            .collect::<Vec<(_, _, _, Vec<_>, _)>>();
        assert_eq!(edges[0], ("lib", "", 12, vec!["unknown"], Scope::Production));
        assert_eq!(edges[1], ("numpy", "", 13, vec!["1.26.4"], Scope::Production));
        assert_eq!(edges[2], ("numpy", "", 14, vec!["2.0.0"], Scope::Production));
        assert_eq!(edges[3], ("httpx", "==0.28.1", 15, vec!["0.28.1"], Scope::Production));
        assert_eq!(edges[4].4, Scope::Extra("web-ui".into()));
        assert_eq!(edges[5].4, Scope::Dev);
        assert_eq!(lock.importers["."][3].extras, ["socks"]);
    }

    #[test]
    fn what_a_lock_lacks_is_told() {
        let said = |text: &str| -> Vec<(String, u32)> {
            read("uv.lock", text).diagnostics.into_iter().map(|d| (d.code, d.place.line)).collect()
        };
        let codes = |list: &[(&str, u32)]| list.iter().map(|(c, l)| ((*c).to_string(), *l)).collect::<Vec<_>>();
        let project = "version = 1\n[[package]]\nname = 'app'\nversion = '1'\nsource = { virtual = '.' }\n";
        assert_eq!(
            said(&format!("{project}dependencies = [\n  {{ name = 'gone' }},\n]\n")),
            codes(&[("lock-incomplete", 7)])
        );
        assert_eq!(
            said("version = 1\n[[package]]\nname = 'a'\nversion = '1'\nsource = { registry = 'https://r' }\n"),
            codes(&[("lock-incomplete", 0)])
        );
        assert_eq!(
            said(&format!("{project}[[package]]\nname = 'b'\nsource = {{ registry = 'https://r' }}\n")),
            codes(&[("lock-invalid", 6)])
        );
        assert_eq!(said("version = 2\n"), codes(&[("lock-unsupported", 1)]));
        assert_eq!(said("version = 1\n[[package\n"), codes(&[("lock-invalid", 2)]));
        assert_eq!(said(""), []);
    }

    #[test]
    fn scripts_and_first_names_are_read() {
        let lock = read(
            "x.lock",
            "version = 1\n[manifest]\nrequirements = [{ name = 'six', specifier = '>=1' }]\n[[distribution]]\nname = 'six'\nversion = '1.16.0'\nsource = 'registry+https://registry.example/simple'\n",
        );
        assert_eq!(lock.diagnostics, []);
        assert_eq!((lock.importers["."][0].to.clone(), lock.importers["."][0].text.as_str()), (vec![0], ">=1"));
        assert_eq!(lock.entries[0].source, None);
    }
}
