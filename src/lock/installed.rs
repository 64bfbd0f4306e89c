//! What is installed: the metadata that installers leave beside packages, as a lock.
//!
//! A built function carries its packages unpacked, and their metadata tells names, versions and requirements:
//! `*.dist-info/METADATA` (core metadata, PEP 566 and later) and `node_modules/**/package.json`. What lies there is what
//! is loaded, so that everything is a root, and a requirement that is not there is none (the platform may provide it).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::npm::package_lock;
use super::pypi::pep508;
use super::{Edge, Entry, Kind, Lock, Scope, indices_by_name};
use crate::discover::paths;
use crate::model::support::{Area, Extent, Support};
use crate::model::{Diagnostic, PackageId, Place, codes, normalise_pypi};

/// What is read of it.
pub const SUPPORT: Support = Support {
    area: Area::Lock,
    what: "installed packages",
    files: "*.dist-info/METADATA, node_modules/**/package.json beside the code, in a layer or in an archive",
    extent: Extent::Partly,
    note: "the truth for built artefacts; `egg-info` folders and packages without metadata are not known",
};

/// Name of this kind of lock in artefacts.
pub const KIND: &str = "installed";

/// Distributions from their metadata: path below the folder, and text of each.
pub fn python(folder: &str, metadata: &[(String, String)]) -> Lock {
    let mut lock = Lock { complete: true, ..Lock::empty(Kind::Requirements, folder) };
    let mut asked: Vec<Vec<pep508::Specifier>> = Vec::new();
    for (file, text) in metadata {
        let mut fields = headers(text);
        let mut field =
            |name: &str| fields.remove(name).and_then(|mut all| (!all.is_empty()).then(|| all.swap_remove(0)));
        // What is stripped of its fields still has the name of its folder: `name-version.dist-info` (PEP 427).
        let info = file.strip_suffix(".dist-info/METADATA").unwrap_or_default();
        let named = info.rsplit('/').next().unwrap_or_default().split_once('-');
        let Some((name, version)) = field("name").zip(field("version")).or(named) else {
            let place = Place::file(paths::join(folder, file).unwrap_or_default());
            lock.diagnostics.push(Diagnostic::new(
                codes::LOCK_INCOMPLETE,
                place,
                "it names no distribution and version",
            ));
            continue;
        };
        // A requirement that cannot be read leads nowhere; what it means lies in the folder or does not.
        let requires = fields.remove("requires-dist").unwrap_or_default();
        asked.push(requires.iter().filter_map(|r| pep508::parse(r).ok()).collect());
        lock.entries.push(Entry::pin(PackageId::pypi(&normalise_pypi(name), version), 0));
    }
    let by_name = indices_by_name(&lock.entries);
    for (entry, asked) in lock.entries.iter_mut().zip(asked) {
        let edges = asked.into_iter().filter_map(|spec| {
            let to = by_name.get(&spec.name)?.clone();
            let Specified { name, text, extras, marker } = spec.into();
            Some(Edge { name, text, line: 0, to, extras, marker, scope: Scope::Optional })
        });
        entry.requires = Some(edges.collect());
    }
    lock.importers.insert(".".into(), everything(&lock));
    lock
}

/// The part of a specifier that an edge keeps.
struct Specified {
    name: String,
    text: String,
    extras: Vec<String>,
    marker: Option<pep508_rs::MarkerTree>,
}

impl From<pep508::Specifier> for Specified {
    fn from(spec: pep508::Specifier) -> Self {
        Self { name: spec.name, text: spec.text, extras: spec.extras, marker: spec.marker }
    }
}

/// Every entry as a root.
fn everything(lock: &Lock) -> Vec<Edge> {
    let root = |(at, entry): (usize, &Entry)| Edge {
        name: entry.id.name.clone(),
        text: String::new(),
        line: 0,
        to: vec![at],
        extras: Vec::new(),
        marker: None,
        scope: Scope::Production,
    };
    lock.entries.iter().enumerate().map(root).collect()
}

/// The header fields of a METADATA file by lower-case name; its body is a description.
fn headers(text: &str) -> BTreeMap<String, Vec<&str>> {
    let mut out: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for line in text.lines().take_while(|line| !line.trim().is_empty()) {
        // Continued lines belong to fields that are not read.
        if let Some((name, value)) = line.split_once(':').filter(|_| !line.starts_with([' ', '\t'])) {
            out.entry(name.trim().to_ascii_lowercase()).or_default().push(value.trim());
        }
    }
    out
}

/// Packages below a folder that holds `node_modules`: the path of each `package.json` from there, and its text.
///
/// Node finds them as it finds those of a package-lock, so that they are read as one.
pub fn node(folder: &str, manifests: &[(String, String)]) -> Lock {
    let mut packages = Map::new();
    let mut top = Map::new();
    let mut unread = Vec::new();
    for (path, text) in manifests {
        let Some(place) = path.strip_suffix("/package.json") else { continue };
        let manifest: Option<Value> = serde_json::from_str(text.trim_start_matches('\u{feff}')).ok();
        let Some(version) = manifest.as_ref().and_then(|m| m.get("version")).and_then(Value::as_str) else {
            let reason = format!("`{path}` names no version");
            unread.push(Diagnostic::new(codes::LOCK_INCOMPLETE, Place::file(folder), reason));
            continue;
        };
        let mut wants = Map::new();
        for field in ["peerDependencies", "optionalDependencies", "dependencies"] {
            let all = manifest.as_ref().and_then(|m| m.get(field)).and_then(Value::as_object);
            wants
                .extend(all.into_iter().flatten().filter(|(_, r)| r.is_string()).map(|(n, _)| (n.clone(), json!("*"))));
        }
        let mut package = json!({ "version": version, "optionalDependencies": wants });
        let name = place.rsplit_once("node_modules/").map_or(place, |(_, name)| name);
        let own = manifest.as_ref().and_then(|m| m.get("name")).and_then(Value::as_str);
        if let Some(own) = own.filter(|own| *own != name) {
            // An alias: the folder's name is not the package's.
            package["name"] = json!(own);
        }
        packages.insert(place.to_string(), package);
        if place.matches("node_modules/").count() == 1 {
            top.insert(name.to_string(), json!("*"));
        }
    }
    packages.insert(String::new(), json!({ "optionalDependencies": top }));
    let text = json!({ "lockfileVersion": 3, "packages": packages }).to_string();
    let mut lock = package_lock::read(folder, &text);
    lock.complete = true;
    for entry in &mut lock.entries {
        // Lines of a text that nobody sees.
        entry.line = 0;
    }
    lock.diagnostics.extend(unread);
    lock
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::closure::closure;
    use crate::model::{Language, Platform};

    fn specs(lock: &Lock, language: Language, version: &str) -> Vec<String> {
        let platform = Platform::linux(language, version);
        let roots = &lock.importers["."];
        let closure = closure(lock, roots, &[], &platform);
        assert!(closure.missing.is_empty(), "{:?}", closure.missing);
        closure.packages.keys().map(PackageId::spec).collect()
    }

    #[test]
    fn python_metadata_is_a_lock_in_which_what_is_absent_is_not_missed() {
        let metadata = |name: &str, rest: &str| {
            (
                format!("f/{name}.dist-info/METADATA"),
                format!("Metadata-Version: 2.1\nName: {name}\n{rest}\n\nName: no\n"),
            )
        };
        let lock = python(
            "f",
            &[
                metadata(
                    "Flask_X",
                    "Version: 2.0\nRequires-Dist: click (>=7)\nRequires-Dist: boto3\nRequires-Dist: six ; extra == 'old'",
                ),
                metadata("click", "Version: 8.1.0\nLicense: long\n  more: text"),
                metadata("six", "Version: 1.17"),
                ("bad.dist-info/METADATA".into(), "Name: bad\n".into()),
                ("Bare_Name-1.5.dist-info/METADATA".into(), String::new()),
            ],
        );
        assert_eq!(
            specs(&lock, Language::Python, "3.11"),
            ["bare-name==1.5", "click==8.1.0", "flask-x==2.0", "six==1.17"]
        );
        let places: Vec<&str> = lock.diagnostics.iter().map(|d| d.place.file.as_str()).collect();
        assert_eq!(places, ["f/bad.dist-info/METADATA"]);
        let platform = Platform::linux(Language::Python, "3.11");
        let all = closure(&lock, &lock.importers["."], &[], &platform);
        let flask = &all.packages[&PackageId::pypi("flask-x", "2.0")];
        let requires: Vec<String> = flask.requires.iter().flatten().map(PackageId::spec).collect();
        assert_eq!(requires, ["click==8.1.0"], "an extra that nobody asks for is no edge");
    }

    #[test]
    fn node_packages_are_found_as_node_finds_them() {
        let manifest = |path: &str, text: &str| (format!("{path}/package.json"), text.to_string());
        let lock = node(
            "f.zip",
            &[
                manifest(
                    "node_modules/a",
                    r#"{"name": "a", "version": "1.0.0", "dependencies": {"b": "^1", "gone": "1"}}"#,
                ),
                manifest("node_modules/a/node_modules/b", r#"{"name": "b", "version": "1.5.0"}"#),
                manifest("node_modules/b", r#"{"name": "b", "version": "2.0.0"}"#),
                manifest("node_modules/@s/c", r#"{"name": "@s/c", "version": "3.0.0"}"#),
                manifest("node_modules/broken", "{"),
            ],
        );
        assert_eq!(specs(&lock, Language::Node, "20"), ["@s/c@3.0.0", "a@1.0.0", "b@1.5.0", "b@2.0.0"]);
        let all = closure(&lock, &lock.importers["."], &[], &Platform::linux(Language::Node, "20"));
        let a = &all.packages[&PackageId::npm("a", "1.0.0")];
        let requires: Vec<String> = a.requires.iter().flatten().map(PackageId::spec).collect();
        assert_eq!(requires, ["b@1.5.0"]);
        assert!(lock.diagnostics.iter().any(|d| d.reason.contains("broken")), "{:?}", lock.diagnostics);
    }
}
