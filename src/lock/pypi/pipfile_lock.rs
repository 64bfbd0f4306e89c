//! Pipfile.lock, pipfile-spec up to 6.
//!
//! Supported: `default`, `develop` and named categories; exact versions, markers (also in the keys `sys_platform`,
//! `python_version` …), extras, hashes, index; git, file, path and editable sources; `_meta.requires`.
//! Everything in `default` is installed, so each is a root; a category is asked for by its name, like an extra. The format
//! records no edges, and does not name the files that its hashes belong to.

use std::collections::BTreeMap;

use pep508_rs::MarkerTree;

use super::pep508;
use crate::lock::npm::npm_json::{Value, parse_object};
use crate::lock::positions::Slices;
use crate::lock::{Edge, Entry, Kind, Lock, MadeFor, Scope, UNKNOWN_VERSION, When};
use crate::model::{Area, Code, Diagnostic, Extent, PackageId, Place, Support, codes, normalise_pypi};

/// What is read of it.
pub const SUPPORT: Support = Support {
    area: Area::Lock,
    what: "Pipfile.lock",
    files: "Pipfile.lock",
    extent: Extent::Full,
    note: "every category; the format records no edges and no file names",
};

/// Variables of PEP 508 that Pipfiles write as keys: `sys_platform = "== 'win32'"`.
const VARIABLES: [&str; 11] = [
    "os_name",
    "sys_platform",
    "platform_machine",
    "platform_python_implementation",
    "platform_release",
    "platform_system",
    "platform_version",
    "python_version",
    "python_full_version",
    "implementation_name",
    "implementation_version",
];

/// Reads a Pipfile.lock.
pub fn read(file: &str, text: &str) -> Lock {
    let mut lock = Lock::empty(Kind::Pipfile, file);
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let value: Value = match parse_object(text) {
        Ok(value) => value,
        Err((line, reason)) => {
            lock.diagnostics.push(Diagnostic::new(codes::LOCK_INVALID, Place::at(file, line), reason));
            return lock;
        }
    };
    let Value::Map(sections) = &value else {
        lock.diagnostics.push(Diagnostic::new(codes::LOCK_INVALID, Place::at(file, 1), "it is no JSON object"));
        return lock;
    };
    let meta = value.get("_meta");
    if let Some(Value::Number(spec)) = meta.and_then(|m| m.get("pipfile-spec"))
        && *spec > 6.0
    {
        let reason = format!("pipfile-spec {spec} is newer than 6");
        lock.diagnostics.push(Diagnostic::new(codes::LOCK_UNSUPPORTED, Place::file(file), reason));
        return lock;
    }
    lock.complete = true;
    let mut reader = Reader { lines: Slices::new(text), seen: BTreeMap::new(), roots: Vec::new(), lock: &mut lock };
    reader.made_for(meta);
    for (section, packages) in sections.iter().filter(|(name, _)| name != "_meta") {
        let scope = match section.as_ref() {
            "default" => Scope::Production,
            "develop" => Scope::Dev,
            category => Scope::Extra(normalise_pypi(category)),
        };
        for (name, package) in packages.pairs() {
            reader.package(name, package, &scope);
        }
    }
    let roots = reader.roots;
    lock.importers.insert(".".into(), roots);
    lock
}

struct Reader<'a, 't> {
    lock: &'a mut Lock,
    lines: Slices<'t>,
    /// Entries by package and source: sections repeat packages.
    seen: BTreeMap<(PackageId, Option<String>), usize>,
    roots: Vec<Edge>,
}

impl Reader<'_, '_> {
    fn say(&mut self, code: Code, line: u32, reason: String) {
        let place = Place::at(&self.lock.file, line);
        self.lock.diagnostics.push(Diagnostic::new(code, place, reason));
    }

    fn made_for(&mut self, meta: Option<&Value>) {
        let requires = meta.and_then(|m| m.get("requires"));
        let of = |key: &str| requires.and_then(|r| r.get(key)).and_then(Value::text);
        // A patch release is a matter of the machine that made the lock.
        let Some(version) = of("python_version").or(of("python_full_version")) else { return };
        let mut numbers = version.split('.');
        let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) else { return };
        let range = format!("=={major}.{minor}.*");
        let text = format!("Python {}", pep508::shorten(version));
        let line = self.lines.of(version);
        self.lock.made_for = pep508::python_marker(&range).map(|marker| MadeFor { marker, text, line });
    }

    fn package(&mut self, name: &str, package: &Value, scope: &Scope) {
        let line = self.lines.of(name);
        if name.trim().is_empty() || !matches!(package, Value::Map(_)) {
            return self.say(codes::LOCK_INVALID, line, format!("`{}` is no package", pep508::shorten(name)));
        }
        let marker = match marker(package) {
            Ok(marker) => marker,
            Err(reason) => {
                self.say(codes::LOCK_INVALID, line, reason);
                None
            }
        };
        let source = source(package);
        let written = package.get("version").and_then(Value::text).unwrap_or_default().trim();
        let exact = pep508::exact(written);
        let extras = package.get("extras").map(Value::texts).unwrap_or_default();
        let extras = pep508::extras(extras.iter().map(String::as_str)).unwrap_or_default();
        let to = match (exact, &source) {
            // pipenv locks no version of what its own platform does not need; where it is needed, it is missing.
            (None, None) => {
                if marker.is_none() {
                    self.say(codes::LOCK_INCOMPLETE, line, format!("{} has no exact version", pep508::shorten(name)));
                }
                Vec::new()
            }
            (version, source) => {
                let id = PackageId::pypi(name, version.as_deref().unwrap_or(UNKNOWN_VERSION));
                let key = (id.clone(), source.clone());
                let at = *self.seen.entry(key).or_insert(self.lock.entries.len());
                if at == self.lock.entries.len() {
                    let hashes = package.get("hashes").map(Value::texts).unwrap_or_default();
                    let when = When { marker: marker.clone(), ..When::default() };
                    self.lock.entries.push(Entry { hashes, source: source.clone(), when, ..Entry::pin(id, line) });
                } else {
                    // In two sections, under two markers: the edges say when each section wants it.
                    let entry = &mut self.lock.entries[at].when.marker;
                    *entry = match (entry.take(), &marker) {
                        (Some(mut own), Some(other)) => {
                            own.or(other.clone());
                            Some(own)
                        }
                        _ => None,
                    };
                }
                vec![at]
            }
        };
        let name = normalise_pypi(name);
        self.roots.push(Edge { name, text: written.into(), line, to, extras, marker, scope: scope.clone() });
    }
}

/// `markers`, and the variables of markers that are keys of their own.
pub(super) fn marker_of<'v>(field: &dyn Fn(&str) -> Option<&'v str>) -> Result<Option<MarkerTree>, String> {
    let mut out = None;
    if let Some(text) = field("markers").filter(|m| !m.trim().is_empty()) {
        out = Some(pep508::marker(text)?);
    }
    for variable in VARIABLES {
        if let Some(test) = field(variable).filter(|t| !t.trim().is_empty() && t.trim() != "*") {
            // `"win32"` alone means equality.
            let bare = !test.contains(['\'', '"']);
            let text = if bare { format!("{variable} == '{test}'") } else { format!("{variable} {test}") };
            out = pep508::and(out, Some(pep508::marker(&text)?));
        }
    }
    Ok(out)
}

fn marker(package: &Value) -> Result<Option<MarkerTree>, String> {
    marker_of(&|key| package.get(key).and_then(Value::text))
}

fn source(package: &Value) -> Option<String> {
    let has = |key: &&str| package.get(key).and_then(Value::text).is_some();
    if ["git", "hg", "svn", "bzr"].iter().any(has) {
        return Some("git".into());
    }
    let file = package.get("file").and_then(Value::text);
    match file {
        Some(file) => Some(pep508::url_kind(file).into()),
        None => has(&"path").then(|| "path".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::closure::closure;

    const LOCK: &str = r#"{
  "_meta": {"pipfile-spec": 6, "requires": {"python_version": "3.11"}},
  "default": {
    "Requests": {"hashes": ["sha256:aa"], "index": "pypi", "version": "==2.31.0", "extras": ["Socks"], "markers": "python_version >= '3.7'"},
    "colorama": {"version": "==0.4.6", "sys_platform": "== 'win32'"},
    "tomli": {"version": "==2.0.1", "markers": "python_version < '3.11'"},
    "six": {"git": "https://host/six", "ref": "abc", "editable": true},
    "lib": {"path": "./lib", "editable": true},
    "wheel": {"file": "https://host/wheel-1.whl"},
    "open": {"version": "*"},
    "backport": {"version": "*", "markers": "python_version < '3.10'"},
    "arm": {"version": "==1", "markers": "platform_machine == 'aarch64'"}
  },
  "develop": {"pytest": {"version": "==8.0"}, "requests": {"version": "==2.31.0"}},
  "docs": {"sphinx": {"version": "==7.0"}}
}"#;

    #[test]
    fn sections_markers_and_sources() {
        let lock = read("Pipfile.lock", LOCK);
        let said: Vec<_> = lock.diagnostics.iter().map(|d| (d.code.as_str(), d.place.line)).collect();
        assert_eq!(said, [("lock-incomplete", 10)]);
        let on = |platform: &str, extras: &[String]| {
            let found = closure(&lock, &lock.importers["."], extras, &platform.parse().unwrap());
            found.packages.keys().map(PackageId::spec).collect::<Vec<_>>()
        };
        let own = ["lib==unknown", "requests==2.31.0", "six==unknown", "wheel==unknown"];
        assert_eq!(on("python3.11-linux-x86_64-glibc", &[]), own);
        assert!(on("python3.10-linux-x86_64-glibc", &[]).contains(&"tomli==2.0.1".to_string()));
        assert!(on("python3.11-linux-aarch64-glibc", &[]).contains(&"arm==1".to_string()));
        assert!(on("python3.11-windows-x86_64-none", &[]).contains(&"colorama==0.4.6".to_string()));
        assert!(on("python3.11-linux-x86_64-glibc", &["docs".into()]).contains(&"sphinx==7.0".to_string()));
        let old = closure(&lock, &lock.importers["."], &[], &"python3.9-linux-x86_64-glibc".parse().unwrap());
        let missing: Vec<_> = old.missing.iter().map(|(_, name, _)| name.as_str()).collect();
        assert_eq!(missing, ["backport", "open"]);
        let requests = lock.entries.iter().find(|e| e.id.name == "requests").unwrap();
        assert_eq!((requests.hashes.as_slice(), requests.line), (&["sha256:aa".to_string()][..], 4));
        assert_eq!(lock.importers["."][0].extras, ["socks"]);
        let sources: Vec<_> = lock.entries.iter().filter_map(|e| e.source.as_deref()).collect();
        assert_eq!(sources, ["git", "path", "url"]);
        assert_eq!(lock.made_for.as_ref().unwrap().text, "Python 3.11");
    }

    #[test]
    fn broken_locks_are_told() {
        let deep = format!("{{\"default\": {}1", "[".repeat(100_000));
        for (text, code) in [
            ("{", "lock-invalid"),
            ("[]", "lock-invalid"),
            ("3", "lock-invalid"),
            (r#"{"_meta": {"pipfile-spec": 7}}"#, "lock-unsupported"),
            (r#"{"default": {"a": 1}}"#, "lock-invalid"),
            (r#"{"default": {"a": {"version": "==1", "markers": "x"}}}"#, "lock-invalid"),
            (deep.as_str(), "lock-invalid"),
        ] {
            assert_eq!(read("Pipfile.lock", text).diagnostics[0].code, code, "{}", &text[..text.len().min(40)]);
        }
    }
}
