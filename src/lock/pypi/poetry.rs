//! poetry.lock, lock-version 1.0 to 2.1.
//!
//! Supported: `[[package]]` with category or groups, optional, markers (one, or one by group), dependencies as a range, a
//! table or several alternatives, extras, sources; hashes in `files`, `[metadata.files]` or `[metadata.hashes]`.
//! The format does not say what the project itself asks for: `importers` is empty, and the roots are the manifest's.
//! It keeps dependencies that its Python range rules out, without locking them: only an unconditional one that is absent
//! makes the lock incomplete.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::pep508;
use super::toml_doc as doc;
use crate::lock::{Edge, Entry, Kind, Lock, Scope, UNKNOWN_VERSION, When, candidates, python_index};
use crate::model::{Diagnostic, Lines, PackageId, Place, codes, normalise_pypi};

use crate::model::support::{Area, Extent, Support};

/// What is read of it.
pub const SUPPORT: Support = Support {
    area: Area::Lock,
    what: "Poetry",
    files: "`poetry.lock`",
    extent: Extent::Full,
    note: "lock versions 1.0 to 2.1",
};

/// Reads a poetry.lock.
pub fn read(file: &str, text: &str) -> Lock {
    let mut lock = Lock::empty(Kind::Poetry, file);
    let (table, lines) = match doc::parse(codes::LOCK_INVALID, file, text) {
        Ok(parsed) => parsed,
        Err(diagnostic) => {
            lock.diagnostics.push(*diagnostic);
            return lock;
        }
    };
    let metadata = doc::table(&table, "metadata");
    // Locks of Poetry before 1.0 have no version, and the same packages.
    let version = metadata.and_then(|m| doc::string(m, "lock-version")).unwrap_or("1.0");
    if !matches!(version.split('.').next(), Some("1" | "2")) {
        let at = metadata.and_then(|m| m.get("lock-version")).map_or(0, |v| lines.of(v.span().start));
        let reason = format!("lock-version {} is not one of 1.x and 2.x", pep508::shorten(version));
        lock.diagnostics.push(Diagnostic::new(codes::LOCK_UNSUPPORTED, Place::at(file, at), reason));
        return lock;
    }
    lock.complete = true;
    let mut packages: Vec<&DeTable> = Vec::new();
    for (at, value) in doc::array(&table, "package") {
        let line = lines.of(at);
        let package = doc::as_table(value);
        let named = package.and_then(|p| Some((p, doc::string(p, "name")?, doc::string(p, "version")?)));
        let Some((package, name, version)) = named.filter(|(_, name, _)| !name.trim().is_empty()) else {
            let reason = "a package has no name or no version";
            lock.diagnostics.push(Diagnostic::new(codes::LOCK_INVALID, Place::at(file, line), reason));
            continue;
        };
        let version = if version.trim().is_empty() { UNKNOWN_VERSION } else { version.trim() };
        let marker = entry_marker(package).unwrap_or_else(|reason| {
            lock.diagnostics.push(Diagnostic::new(codes::LOCK_INVALID, Place::at(file, line), reason));
            None
        });
        lock.entries.push(Entry {
            id: PackageId::pypi(name, version),
            line,
            hashes: hashes(package, metadata, name),
            source: source(package),
            size: None,
            requires: None,
            when: When { marker, ..When::default() },
        });
        packages.push(package);
    }
    let index = python_index(&mut lock);
    // Two versions of one package: what Python each is for tells them apart where nothing else does.
    for indices in index.values().filter(|i| i.len() > 1) {
        for &i in indices {
            let python = doc::string(packages[i], "python-versions").and_then(pep508::python_marker);
            let when = &mut lock.entries[i].when;
            when.marker = pep508::and(when.marker.take(), python);
        }
    }
    for (i, package) in packages.iter().enumerate() {
        let edges = Reader { lock: &mut lock, lines: &lines, index: &index }.edges(package);
        for edge in edges.iter().filter(|e| e.to.is_empty() && e.marker.is_none() && e.scope == Scope::Production) {
            let reason = format!("{} needs {}, which is not locked", lock.entries[i].id.spec(), edge.name);
            lock.diagnostics.push(Diagnostic::new(codes::LOCK_INCOMPLETE, Place::at(file, edge.line), reason));
        }
        lock.entries[i].requires = Some(edges);
    }
    lock
}

struct Reader<'a> {
    lock: &'a mut Lock,
    lines: &'a Lines,
    index: &'a BTreeMap<String, Vec<usize>>,
}

impl Reader<'_> {
    fn edges(&mut self, package: &DeTable) -> Vec<Edge> {
        let Some(table) = doc::table(package, "dependencies") else { return Vec::new() };
        let extras = extras_by_name(package);
        let mut out = Vec::new();
        for (at, name, value) in doc::fields(table) {
            let alternatives: Vec<&DeValue> = match value {
                DeValue::Array(array) => array.iter().map(|v| v.get_ref()).collect(),
                value => vec![value],
            };
            for value in alternatives {
                self.alternative(at, &normalise_pypi(name), value, &extras, &mut out);
            }
        }
        out
    }

    fn alternative(
        &mut self,
        at: usize,
        name: &str,
        value: &DeValue,
        extras: &BTreeMap<String, Vec<String>>,
        out: &mut Vec<Edge>,
    ) {
        let line = self.lines.of(at);
        let empty = DeTable::new();
        let table = doc::as_table(value).unwrap_or(&empty);
        let text = doc::as_string(value).or(doc::string(table, "version")).unwrap_or_default();
        let written = doc::string(table, "markers").filter(|m| !m.trim().is_empty());
        let marker = written.map(pep508::marker).transpose().unwrap_or_else(|reason| {
            self.lock.diagnostics.push(Diagnostic::new(codes::LOCK_INVALID, Place::at(&self.lock.file, line), reason));
            None
        });
        let all = self.index.get(name).map_or(&[][..], Vec::as_slice);
        let asked = doc::strings(table, "extras");
        let edge = Edge {
            name: name.to_string(),
            text: text.to_string(),
            line,
            to: candidates(&self.lock.entries, all, text),
            extras: pep508::extras(asked.iter().map(String::as_str)).unwrap_or_default(),
            marker,
            scope: Scope::Production,
        };
        if !doc::boolean(table, "optional").unwrap_or(false) {
            return out.push(edge);
        }
        match extras.get(name) {
            Some(extras) => {
                out.extend(extras.iter().map(|e| Edge { scope: Scope::Extra(e.clone()), ..edge.clone() }));
            }
            // Lock-version 2 writes `extra == "…"` into the marker, which then decides.
            None if written.is_some_and(|m| m.contains("extra")) => out.push(edge),
            // In no extra: nothing can ask for it.
            None => out.push(Edge { scope: Scope::Dev, ..edge }),
        }
    }
}

/// Which extras of a package ask for a name: `[package.extras]` holds lists of `name[extra] (range)`.
fn extras_by_name(package: &DeTable) -> BTreeMap<String, Vec<String>> {
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let Some(extras) = doc::table(package, "extras") else { return out };
    for (_, extra, _) in doc::fields(extras) {
        for requirement in doc::strings(extras, extra) {
            let end = requirement.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)));
            let name = normalise_pypi(&requirement[..end.unwrap_or(requirement.len())]);
            let listed = out.entry(name).or_default();
            let extra = normalise_pypi(extra);
            if !listed.contains(&extra) {
                listed.push(extra);
            }
        }
    }
    out
}

/// The marker of a package in production: lock-version 2.1 may give one by group.
fn entry_marker(package: &DeTable) -> Result<Option<pep508_rs::MarkerTree>, String> {
    if let Some(marker) = doc::string(package, "markers") {
        return if marker.trim().is_empty() { Ok(None) } else { pep508::marker(marker).map(Some) };
    }
    let Some(by_group) = doc::table(package, "markers") else { return Ok(None) };
    if let Some(main) = doc::string(by_group, "main") {
        return pep508::marker(main).map(Some);
    }
    let groups = doc::strings(package, "groups");
    if groups.iter().any(|g| g == "main" || by_group.get(g.as_str()).is_none()) {
        return Ok(None);
    }
    let mut any = pep508_rs::MarkerTree::FALSE;
    for (_, _, marker) in doc::fields(by_group) {
        any.or(pep508::marker(doc::as_string(marker).unwrap_or_default())?);
    }
    Ok(Some(any))
}

fn source(package: &DeTable) -> Option<String> {
    match doc::table(package, "source").and_then(|s| doc::string(s, "type"))? {
        "git" => Some("git".into()),
        "url" => Some("url".into()),
        "file" | "directory" => Some("path".into()),
        // `legacy` and `pypi` are indices.
        _ => None,
    }
}

fn hashes(package: &DeTable, metadata: Option<&DeTable>, name: &str) -> Vec<String> {
    let of_files = |table: &DeTable, key: &str| -> Vec<String> {
        let files = doc::array(table, key).filter_map(|(_, v)| doc::string(doc::as_table(v)?, "hash"));
        files.map(str::to_string).collect()
    };
    let own = of_files(package, "files");
    if !own.is_empty() {
        return own;
    }
    let Some(metadata) = metadata else { return Vec::new() };
    let by_file = doc::table(metadata, "files").map(|files| of_files(files, name)).unwrap_or_default();
    if !by_file.is_empty() {
        return by_file;
    }
    // Poetry before 1.0 wrote bare SHA-256 digests.
    let bare = doc::table(metadata, "hashes").map(|hashes| doc::strings(hashes, name)).unwrap_or_default();
    bare.into_iter().map(|digest| format!("sha256:{digest}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
[[package]]
name = "Flask_Login"
version = "1.0.3"
category = "main"
optional = false
python-versions = "*"

[package.dependencies]
Jinja2 = ">=2.10"
colorama = {version = "*", markers = "platform_system == \"Windows\""}
numpy = [
    {version = ">=1.20,<2", markers = "python_version < \"3.10\""},
    {version = ">=2", markers = "python_version >= \"3.10\""},
]
python-dotenv = {version = "*", optional = true}
never = {version = "*", optional = true}

[package.extras]
dotenv = ["python-dotenv (>=1)", "absent[x]"]
all = ["python-dotenv"]

[[package]]
name = "jinja2"
version = "3.1.5"
optional = false
python-versions = ">=3.7"
groups = ["main", "dev"]
markers = {main = "python_version < \"3.11\"", dev = "python_version > \"3\""}
files = [{file = "jinja2-3.1.5-py3-none-any.whl", hash = "sha256:aa"}]

[package.source]
type = "legacy"
url = "https://registry.example/simple"

[[package]]
name = "numpy"
version = "1.26.4"
python-versions = ">=3.9,<3.12"

[[package]]
name = "numpy"
version = "2.0.0"
python-versions = "^3.10"

[[package]]
name = "python-dotenv"
version = "1.0.0"
groups = ["dev"]
markers = "python_version > \"3\""

[package.source]
type = "git"
url = "https://host/x"

[metadata]
lock-version = "2.1"

[metadata.files]
numpy = [{file = "x", hash = "sha256:bb"}]

[metadata.hashes]
python-dotenv = ["cc"]
"#;

    #[test]
    fn packages_hashes_sources_and_lines() {
        let lock = read("poetry.lock", LOCK);
        assert_eq!(lock.diagnostics, []);
        let specs: Vec<_> = lock.entries.iter().map(|e| (e.id.spec(), e.line)).collect();
        let want = [
            ("flask-login==1.0.3", 2),
            ("jinja2==3.1.5", 23),
            ("numpy==1.26.4", 36),
            ("numpy==2.0.0", 41),
            ("python-dotenv==1.0.0", 46),
        ];
        assert_eq!(specs, want.map(|(s, l)| (s.to_string(), l)));
        assert_eq!(lock.entries[1].hashes, ["sha256:aa"]);
        assert_eq!(lock.entries[2].hashes, ["sha256:bb"]);
        assert_eq!(lock.entries[4].hashes, ["sha256:cc"]);
        assert_eq!((lock.entries[1].source.as_deref(), lock.entries[4].source.as_deref()), (None, Some("git")));
        assert!(lock.importers.is_empty() && lock.complete);
    }

    #[test]
    fn edges_of_every_form() {
        let lock = read("poetry.lock", LOCK);
        let edges: Vec<_> = lock.entries[0]
            .requires
            .as_ref()
            .unwrap()
            .iter()
            .map(|e| (e.name.as_str(), e.line, e.to.clone(), e.scope.clone()))
            .collect();
        let extra = |name: &str| Scope::Extra(name.into());
        assert_eq!(
            edges,
            [
                ("jinja2", 10, vec![1], Scope::Production),
                ("colorama", 11, vec![], Scope::Production),
                ("numpy", 12, vec![2], Scope::Production),
                ("numpy", 12, vec![3], Scope::Production),
                ("python-dotenv", 16, vec![4], extra("dotenv")),
                ("python-dotenv", 16, vec![4], extra("all")),
                ("never", 17, vec![], Scope::Dev),
            ]
        );
    }

    #[test]
    fn markers_of_the_main_group_count_and_python_ranges_tell_versions_apart() {
        let lock = read("poetry.lock", LOCK);
        let holds = |i: usize, python: &str| {
            let environment = crate::lock::environment::marker_environment(
                &format!("python{python}-linux-x86_64-glibc").parse().unwrap(),
            );
            lock.entries[i].when.marker.as_ref().is_none_or(|m| m.evaluate(&environment, &[]))
        };
        assert_eq!((holds(1, "3.10"), holds(1, "3.11")), (true, false));
        assert_eq!((holds(2, "3.9"), holds(2, "3.12"), holds(3, "3.9"), holds(3, "3.12")), (true, false, false, true));
    }

    #[test]
    fn broken_and_foreign_locks_are_told() {
        let said = |text: &str| -> Vec<(String, u32)> {
            read("poetry.lock", text).diagnostics.into_iter().map(|d| (d.code, d.place.line)).collect()
        };
        assert_eq!(said("x = 1\n[[package]\n"), [("lock-invalid".to_string(), 2)]);
        assert_eq!(said("[metadata]\nlock-version = '3.0'\n"), [("lock-unsupported".to_string(), 2)]);
        assert_eq!(said("[[package]]\nname = 'a'\n"), [("lock-invalid".to_string(), 1)]);
        assert_eq!(
            said("[[package]]\nname = 'a'\nversion = '1'\n[package.dependencies]\nb = '*'\n"),
            [("lock-incomplete".to_string(), 5)]
        );
        assert_eq!(said(""), []);
    }
}
