//! pylock.toml and pylock.NAME.toml (PEP 751), lock-version 1.x.
//!
//! Supported: `environments` and `requires-python` as the platforms that the lock is made for; markers with `extras` and
//! `dependency_groups`; `default-groups`; packages from an index, `vcs`, `directory`, `archive`, `sdist`, `wheels`, their
//! `dependencies` where a tool records them.
//! An installer takes every package whose marker holds, with the default groups and no extras: so every package is a root.
//! A group is in production exactly when `default-groups` names it. Without `dependencies` what a package needs is unknown.

use std::collections::BTreeMap;

use pep508_rs::MarkerTree;
use toml::de::{DeTable, DeValue};

use super::toml_doc as doc;
use super::{pep508, wheel};
use crate::discover::paths;
use crate::lock::{Edge, Entry, Kind, Lock, MadeFor, Scope, UNKNOWN_VERSION, When, python_index};
use crate::model::{Area, Diagnostic, Extent, Lines, PackageId, Place, Support, codes, normalise_pypi};

/// What is read of it.
pub const SUPPORT: Support = Support {
    area: Area::Lock,
    what: "pylock.toml (PEP 751)",
    files: "pylock.toml, pylock.NAME.toml",
    extent: Extent::Full,
    note: "default groups, no extras; edges where the tool that wrote it records them",
};

/// Whether a file's name is one that PEP 751 gives to locks: `pylock.toml`, `pylock.NAME.toml`, NAME without a dot.
pub fn is_name(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("pylock.").and_then(|rest| rest.strip_suffix("toml")) else { return false };
    rest.is_empty() || rest.strip_suffix('.').is_some_and(|name| !name.is_empty() && !name.contains('.'))
}

/// Reads a pylock.toml.
pub fn read(file: &str, text: &str) -> Lock {
    let mut lock = Lock::empty(Kind::Pylock, file);
    let (table, lines) = match doc::parse(codes::LOCK_INVALID, file, text) {
        Ok(parsed) => parsed,
        Err(diagnostic) => {
            lock.diagnostics.push(*diagnostic);
            return lock;
        }
    };
    let version = table.get("lock-version");
    let written = version.and_then(|v| doc::as_string(v.get_ref()));
    if written.and_then(|v| v.split('.').next()) != Some("1") {
        let reason = match written {
            Some(written) => format!("lock-version {} is not 1.x", pep508::shorten(written)),
            None => "it has no lock-version".into(),
        };
        let line = version.map_or(0, |v| lines.of(v.span().start));
        lock.diagnostics.push(Diagnostic::new(codes::LOCK_UNSUPPORTED, Place::at(file, line), reason));
        return lock;
    }
    lock.complete = true;
    let groups = doc::strings(&table, "default-groups").iter().map(|g| normalise_pypi(g)).collect();
    let mut reader = Reader { lock: &mut lock, lines: &lines, groups };
    reader.made_for(&table);
    reader.packages(&table);
    lock
}

struct Reader<'a> {
    lock: &'a mut Lock,
    lines: &'a Lines,
    /// `default-groups`
    groups: Vec<String>,
}

impl Reader<'_> {
    fn invalid(&mut self, line: u32, reason: String) {
        let place = Place::at(&self.lock.file, line);
        self.lock.diagnostics.push(Diagnostic::new(codes::LOCK_INVALID, place, reason));
    }

    fn made_for(&mut self, table: &DeTable) {
        let mut marker = None;
        let (mut texts, mut line) = (Vec::new(), 0);
        if let Some(value) = table.get("requires-python")
            && let Some(python) = doc::as_string(value.get_ref())
        {
            marker = pep508::python_marker(python);
            texts.push(format!("Python {python}"));
            line = self.lines.of(value.span().start);
        }
        let mut any: Option<MarkerTree> = None;
        for (at, value) in doc::array(table, "environments") {
            match doc::as_string(value).map(pep508::marker) {
                Some(Ok(environment)) => {
                    texts.extend(doc::as_string(value).map(pep508::shorten));
                    match &mut any {
                        Some(any) => any.or(environment),
                        None => any = Some(environment),
                    }
                }
                Some(Err(reason)) => self.invalid(self.lines.of(at), reason),
                None => {}
            }
            line = if line == 0 { self.lines.of(at) } else { line };
        }
        self.lock.made_for = pep508::and(marker, any).map(|marker| MadeFor { marker, text: texts.join("; "), line });
    }

    fn packages(&mut self, table: &DeTable) {
        let mut tables = Vec::new();
        let mut roots = Vec::new();
        for (at, value) in doc::array(table, "packages") {
            let line = self.lines.of(at);
            let named = doc::as_table(value).and_then(|t| Some((t, doc::string(t, "name")?)));
            let Some((package, name)) = named.filter(|(_, name)| !name.trim().is_empty()) else {
                self.invalid(line, "a package has no name".into());
                continue;
            };
            let source = source(package);
            let version = doc::string(package, "version").map(str::trim).filter(|v| !v.is_empty());
            if version.is_none() && source.is_none() {
                self.invalid(line, format!("{name} has no version"));
                continue;
            }
            let marker = match doc::string(package, "marker").map(|m| self.marker(m)).transpose() {
                Ok(marker) => marker,
                Err(reason) => {
                    self.invalid(line, reason);
                    None
                }
            };
            let id = PackageId::pypi(name, version.unwrap_or(UNKNOWN_VERSION));
            let at = self.lock.entries.len();
            roots.push(Edge {
                name: id.name.clone(),
                text: if version.is_some() { format!("=={}", id.version) } else { String::new() },
                line,
                to: vec![at],
                extras: Vec::new(),
                marker: marker.clone(),
                scope: Scope::Production,
            });
            let wheels = wheel::only_wheels(files(package).filter_map(file_name));
            if !wheels.is_empty() {
                self.lock.wheels.insert(at, wheels);
            }
            self.lock.entries.push(Entry {
                hashes: files(package).flat_map(hashes).collect(),
                source,
                size: size(package),
                when: When { marker, ..When::default() },
                ..Entry::pin(id, line)
            });
            tables.push(package);
        }
        self.lock.importers.insert(".".into(), roots);
        let index = python_index(self.lock);
        for (at, package) in tables.into_iter().enumerate() {
            if package.get("dependencies").is_some() {
                self.lock.entries[at].requires = Some(self.edges(at, package, &index));
            }
        }
    }

    fn edges(&mut self, entry: usize, package: &DeTable, index: &BTreeMap<String, Vec<usize>>) -> Vec<Edge> {
        let mut out = Vec::new();
        for (at, value) in doc::array(package, "dependencies") {
            let line = self.lines.of(at);
            let Some((table, name)) = doc::as_table(value).and_then(|t| Some((t, doc::string(t, "name")?))) else {
                self.invalid(line, "a dependency has no name".into());
                continue;
            };
            let (name, version) = (normalise_pypi(name), doc::string(table, "version"));
            let fits = |i: &&usize| version.is_none_or(|v| self.lock.entries[**i].id.version == v);
            let to: Vec<usize> = index.get(&name).into_iter().flatten().filter(fits).copied().collect();
            if to.is_empty() {
                let reason = format!("{} needs {name}, which is not locked", self.lock.entries[entry].id.spec());
                let place = Place::at(&self.lock.file, line);
                self.lock.diagnostics.push(Diagnostic::new(codes::LOCK_INCOMPLETE, place, reason));
            }
            // Dependencies are for information: a target whose own marker fails is not installed, and not missed.
            let text = version.map(|v| format!("=={v}")).unwrap_or_default();
            out.push(Edge { name, text, line, to, extras: Vec::new(), marker: None, scope: Scope::Production });
        }
        out
    }

    /// A marker in the words of PEP 508: `"x" in extras` is `extra == "x"`, and which groups are installed is known.
    fn marker(&self, text: &str) -> Result<MarkerTree, String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some(start) = rest.find(['"', '\'']) {
            let quote = &rest[start..=start];
            let Some(len) = rest[start + 1..].find(quote) else { break };
            let end = start + 1 + len + 1;
            let (name, after) = (&rest[start + 1..end - 1], rest[end..].trim_start());
            let (not, operator) = match after.strip_prefix("not").filter(|a| a.starts_with(char::is_whitespace)) {
                Some(after) => (true, after.trim_start()),
                None => (false, after),
            };
            let set = operator.strip_prefix("in").filter(|a| a.starts_with(char::is_whitespace)).map(str::trim_start);
            let is = |word: &str| {
                let after = set?.strip_prefix(word)?;
                (!after.starts_with(|c: char| c.is_alphanumeric() || c == '_')).then_some(after)
            };
            out.push_str(&rest[..start]);
            if let Some(after) = is("extras") {
                out.push_str(&format!(
                    "extra {} {quote}{}{quote}",
                    if not { "!=" } else { "==" },
                    normalise_pypi(name)
                ));
                rest = after;
            } else if let Some(after) = is("dependency_groups") {
                let installed = self.groups.contains(&normalise_pypi(name)) != not;
                // No constants in PEP 508: a comparison that always or never holds.
                out.push_str(if installed { "python_full_version >= '0'" } else { "python_full_version < '0'" });
                rest = after;
            } else {
                out.push_str(&rest[start..end]);
                rest = &rest[end..];
            }
        }
        out.push_str(rest);
        pep508::marker(&out)
    }
}

/// Where a package comes from: `None` = an index.
fn source(package: &DeTable) -> Option<String> {
    if package.get("vcs").is_some() {
        return Some("git".into());
    }
    if let Some(archive) = doc::table(package, "archive") {
        return Some(if archive.get("url").is_some() { "url" } else { "path" }.into());
    }
    let directory = doc::table(package, "directory")?;
    let inside = paths::join(".", doc::string(directory, "path").unwrap_or_default());
    // An editable folder of the repository, or the project itself, is code of the fleet.
    let own = doc::boolean(directory, "editable") == Some(true) || inside.as_deref() == Some(".");
    Some(if own && inside.is_some() { "workspace" } else { "path" }.into())
}

fn files<'a>(package: &'a DeTable) -> impl Iterator<Item = &'a DeTable<'a>> {
    let one = ["sdist", "archive"].into_iter().filter_map(|key| doc::table(package, key));
    one.chain(doc::array(package, "wheels").filter_map(|(_, wheel)| doc::as_table(wheel)))
}

fn file_name<'a>(file: &'a DeTable) -> Option<&'a str> {
    doc::string(file, "name").or(doc::string(file, "url").or(doc::string(file, "path")).map(wheel::file_name))
}

fn hashes(file: &DeTable) -> Vec<String> {
    let of = |(_, algorithm, digest): (usize, &str, &DeValue)| Some(format!("{algorithm}:{}", doc::as_string(digest)?));
    doc::table(file, "hashes").map(doc::fields).unwrap_or_default().into_iter().filter_map(of).collect()
}

/// Bytes of the wheel for any platform, else of the first for Linux on x86-64, else on Linux.
fn size(package: &DeTable) -> Option<u64> {
    let wheels = || files(package).filter_map(|f| Some((file_name(f).filter(|n| n.ends_with(".whl"))?, f)));
    let find = |wanted: &[&str]| wheels().find(|(name, _)| wanted.iter().all(|w| name.contains(w)));
    let (_, file) =
        find(&["-none-any.whl"]).or_else(|| find(&["manylinux", "x86_64"])).or_else(|| find(&["manylinux"]))?;
    doc::number(file, "size")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::closure::{closure, incompatible};

    const LOCK: &str = r#"lock-version = "1.0"
requires-python = ">=3.9"
environments = ["sys_platform == 'linux'", "sys_platform == 'darwin'"]
extras = ["Web_UI"]
dependency-groups = ["default", "dev"]
default-groups = ["default"]
created-by = "x"

[[packages]]
name = "Attrs"
version = "25.1"
wheels = [{ name = "attrs-25.1-py3-none-any.whl", size = 7, hashes = { sha256 = "aa", sha512 = "bb" } }]

[[packages]]
name = "numpy"
version = "1.26.4"
marker = "python_version < '3.12' and 'default' in dependency_groups"
dependencies = [{ name = "attrs" }, { name = "gone" }]
[[packages.wheels]]
url = "https://registry.example/numpy-1.26.4-cp311-cp311-manylinux_2_17_x86_64.whl"
hashes = { sha256 = "cc" }

[[packages]]
name = "numpy"
version = "2.0"
marker = "python_version >= '3.12'"
sdist = { name = "numpy-2.0.tar.gz", hashes = { sha256 = "dd" } }

[[packages]]
name = "pytest"
version = "8"
marker = "'dev' in dependency_groups"

[[packages]]
name = "flask"
version = "2"
marker = '"web-ui" in extras and "dev" not in dependency_groups'

[[packages]]
name = "tool"
vcs = { type = "git", url = "https://host/tool", commit-id = "abc" }

[[packages]]
name = "app"
directory = { path = ".", editable = true }

[[packages]]
name = "zip"
archive = { url = "https://host/zip-1.zip", hashes = { sha256 = "ee" } }
"#;

    fn on(lock: &Lock, platform: &str, extras: &[&str]) -> Vec<String> {
        let extras: Vec<String> = extras.iter().map(|e| (*e).to_string()).collect();
        let found = closure(lock, &lock.importers["."], &extras, &platform.parse().unwrap());
        found.packages.keys().map(PackageId::spec).collect()
    }

    #[test]
    fn markers_groups_and_extras_choose() {
        let lock = read("pylock.toml", LOCK);
        let old = on(&lock, "python3.11-linux-x86_64-glibc", &[]);
        assert_eq!(old, ["attrs==25.1", "numpy==1.26.4", "tool==unknown", "zip==unknown"]);
        let new = on(&lock, "python3.13-linux-x86_64-glibc", &["Web-UI"]);
        assert_eq!(new, ["attrs==25.1", "flask==2", "numpy==2.0", "tool==unknown", "zip==unknown"]);
        let said: Vec<_> = lock.diagnostics.iter().map(|d| (d.code.as_str(), d.place.line)).collect();
        assert_eq!(said, [("lock-incomplete", 18)]);
    }

    #[test]
    fn sources_hashes_sizes_and_edges() {
        let lock = read("pylock.toml", LOCK);
        let sources: Vec<_> = lock.entries.iter().map(|e| e.source.as_deref()).collect();
        assert_eq!(sources, [None, None, None, None, None, Some("git"), Some("workspace"), Some("url")]);
        assert_eq!(lock.entries[0].hashes, ["sha256:aa", "sha512:bb"]);
        assert_eq!((lock.entries[0].size, lock.entries[0].requires.is_none()), (Some(7), true));
        assert_eq!(lock.entries[1].requires.as_ref().unwrap()[0].to, [0]);
    }

    #[test]
    fn wheels_and_environments_say_where_it_cannot_be_installed() {
        let lock = read("pylock.toml", LOCK);
        let said = |platform: &str| {
            let platform = platform.parse().unwrap();
            let found = closure(&lock, &lock.importers["."], &[], &platform);
            incompatible(&lock, &found, &platform).into_iter().map(|d| (d.place.line, d.reason)).collect::<Vec<_>>()
        };
        assert_eq!(said("python3.11-linux-x86_64-glibc"), []);
        let want = "numpy==1.26.4: the lock has no wheel for musllinux on x86_64, and no source archive";
        assert_eq!(said("python3.11-linux-x86_64-musl"), [(14, want.to_string())]);
        assert!(said("python3.11-linux-aarch64-glibc")[0].1.contains("no wheel for aarch64"));
        // A source archive can be built.
        assert_eq!(said("python3.12-linux-aarch64-musl"), []);
        assert_eq!(said("python3.8-linux-x86_64-glibc")[0].0, 2);
        assert_eq!(said("python3.12-windows-x86_64-none").len(), 1);
    }

    #[test]
    fn what_is_no_such_lock_is_told() {
        let said = |text: &str| {
            read("pylock.toml", text).diagnostics.into_iter().map(|d| (d.code, d.place.line)).collect::<Vec<_>>()
        };
        let head = "lock-version = '1.0'\n[[packages]]\n";
        for (text, code, line) in [
            ("[".to_string(), "lock-invalid", 1),
            (String::new(), "lock-unsupported", 0),
            ("x = 1\nlock-version = '2.0'\n".into(), "lock-unsupported", 2),
            (format!("{head}version = '1'\n"), "lock-invalid", 2),
            (format!("{head}name = 'a'\n"), "lock-invalid", 2),
            (format!("{head}name = 'a'\nversion = '1'\nmarker = \"'x\"\n"), "lock-invalid", 2),
        ] {
            assert_eq!(said(&text), [(code.to_string(), line)], "{text}");
        }
    }
}
