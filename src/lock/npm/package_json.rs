//! package.json: what a Node.js project asks for.
//!
//! Read: dependencies, optional, peer and dev dependencies, `engines.node`, `workspaces`, `packageManager`, and what
//! `overrides`, `resolutions` and `pnpm.overrides` replace. A requirement keeps its text; an alias keeps
//! `npm:real@range` ([`super::npm_range::alias`] splits it) and counts as a registry requirement. One that is replaced has
//! the source `override`: its own range no longer says which version is installed.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::npm_json::{Value, parse_object, source_of};
use super::npm_range;
use super::overrides;
use crate::lock::Scope;
use crate::lock::positions::Slices;
use crate::lock::{Manifest, ManifestRequirement};
use crate::model::{Diagnostic, Place, codes};

use crate::model::support::{Area, Extent, Support};

/// What is read of it.
pub const SUPPORT: Support = Support {
    area: Area::Manifest,
    what: "package.json",
    files: "package.json",
    extent: Extent::Partly,
    note: "dependencies of every kind, aliases, `engines.node`, `workspaces`, `overrides` and `resolutions`",
};

/// The `kind` of its manifests.
pub const KIND: &str = "package-json";

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct File<'a> {
    #[serde(borrow)]
    name: Value<'a>,
    dependencies: Value<'a>,
    optional_dependencies: Value<'a>,
    dev_dependencies: Value<'a>,
    peer_dependencies: Value<'a>,
    peer_dependencies_meta: Value<'a>,
    engines: Value<'a>,
    workspaces: Value<'a>,
    overrides: Value<'a>,
    resolutions: Value<'a>,
    pnpm: Value<'a>,
    package_manager: Value<'a>,
    dev_engines: Value<'a>,
}

/// The package manager that a package.json names (`packageManager`, `devEngines.packageManager`): `npm`, `pnpm` …
pub fn package_manager(text: &str) -> Option<String> {
    let parsed: File<'_> = parse_object(text.strip_prefix('\u{feff}').unwrap_or(text)).ok()?;
    let engine = parsed.dev_engines.get("packageManager").and_then(|m| m.get("name")).and_then(Value::text);
    let named = parsed.package_manager.text().or(engine)?;
    Some(named.split('@').next().unwrap_or(named).to_string())
}

/// Reads a package.json. Whatever the text is, the result is a manifest: what could not be read is in its diagnostics.
/// Requirements are in file order, section by section: production, optional, peer, development.
pub fn read(file: &str, text: &str) -> Manifest {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut manifest = Manifest { kind: KIND, file: file.to_string(), ..Manifest::default() };
    let parsed: File<'_> = match parse_object(text) {
        Ok(parsed) => parsed,
        Err((line, error)) => {
            manifest.diagnostics.push(Diagnostic::new(
                codes::MANIFEST_INVALID,
                Place::at(file, line),
                format!("the file is no package.json: {error}"),
            ));
            return manifest;
        }
    };
    let lines = Slices::new(text);
    manifest.name = parsed.name.text().map(str::to_string);
    manifest.runtime = parsed.engines.get("node").and_then(Value::text).map(str::to_string);
    manifest.workspaces = parsed.workspaces.get("packages").unwrap_or(&parsed.workspaces).texts();
    let optional_peer = |name: &str| {
        parsed.peer_dependencies_meta.get(name).and_then(|meta| meta.get("optional")).is_some_and(Value::is_true)
    };
    let sections = [
        (&parsed.dependencies, Scope::Production),
        (&parsed.optional_dependencies, Scope::Optional),
        (&parsed.peer_dependencies, Scope::Peer),
        (&parsed.dev_dependencies, Scope::Dev),
    ];
    for (section, scope) in sections {
        // The last of repeated keys counts, as in JavaScript.
        let last: BTreeMap<&str, usize> =
            section.pairs().iter().enumerate().map(|(index, (name, _))| (name.as_ref(), index)).collect();
        for (index, (name, value)) in section.pairs().iter().enumerate() {
            // npm: an optional dependency overrides a production one of the same name.
            let overridden = scope == Scope::Production && parsed.optional_dependencies.get(name).is_some();
            if overridden || last.get(name.as_ref()) != Some(&index) {
                continue;
            }
            let scope = if scope == Scope::Peer && optional_peer(name) { Scope::OptionalPeer } else { scope.clone() };
            add(&mut manifest, lines.of(name), name, value, scope);
        }
    }
    let replaced = overrides::everywhere(&overrides::of(&parsed.overrides, &parsed.resolutions, &parsed.pnpm));
    for requirement in manifest.requires.iter_mut().filter(|r| r.source.is_none() && replaced.contains(&r.name)) {
        requirement.source = Some("override".to_string());
    }
    manifest
}

fn add(manifest: &mut Manifest, line: u32, name: &str, value: &Value<'_>, scope: Scope) {
    let Value::Text(text) = value else {
        manifest.diagnostics.push(Diagnostic::new(
            codes::REQUIREMENT_INVALID,
            Place::at(&manifest.file, line),
            format!("the requirement of `{name}` is no string"),
        ));
        return;
    };
    manifest.requires.push(ManifestRequirement {
        name: name.to_string(),
        text: text.to_string(),
        line,
        extras: Vec::new(),
        marker: None,
        scope,
        exact: npm_range::exact(text),
        source: requirement_source(text.trim()).map(str::to_string),
    });
}

/// `None` for a range, tag or alias of the registry's; else `git`, `url`, `path`, `workspace` or `catalog` (pnpm keeps
/// the range in pnpm-workspace.yaml).
fn requirement_source(text: &str) -> Option<&'static str> {
    if text.starts_with("catalog:") {
        return Some("catalog");
    }
    if let Some(source) = source_of(text) {
        return Some(source);
    }
    if text.starts_with("http:") || text.starts_with("https:") {
        return Some("url");
    }
    // `owner/repository`, possibly with `#commit`: ranges and tags hold no slash, scoped aliases start with `npm:`.
    let path = text.split('#').next().unwrap_or(text);
    let shorthand = path.split_once('/').is_some_and(|(owner, repository)| {
        let plain = |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || "/:@".contains(c));
        plain(owner) && plain(repository)
    });
    if text.starts_with("~/") {
        Some("path")
    } else if shorthand {
        Some("git")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{
  "name": "@s/f",
  "engines": { "node": ">=18 <21" },
  "workspaces": { "packages": ["packages/*"] },
  "dependencies": {
    "express": "4.19.2",
    "range": "^1.0.0",
    "cjs": "npm:string-width@4.2.3",
    "overridden": "1.0.0",
    "number": 1
  },
  "optionalDependencies": { "overridden": "^2.0.0" },
  "peerDependencies": { "react": "*", "vue": "*" },
  "peerDependenciesMeta": { "vue": { "optional": true } },
  "devDependencies": { "jest": "v29.7.0" }
}"#;

    #[test]
    fn requirements_have_scope_line_and_exact_version() {
        let manifest = read("package.json", FILE);
        let got: Vec<_> = manifest
            .requires
            .iter()
            .map(|r| (r.name.as_str(), r.text.as_str(), r.line, r.scope.clone(), r.exact.as_deref()))
            .collect();
        assert_eq!(
            got,
            [
                ("express", "4.19.2", 6, Scope::Production, Some("4.19.2")),
                ("range", "^1.0.0", 7, Scope::Production, None),
                ("cjs", "npm:string-width@4.2.3", 8, Scope::Production, Some("4.2.3")),
                ("overridden", "^2.0.0", 12, Scope::Optional, None),
                ("react", "*", 13, Scope::Peer, None),
                ("vue", "*", 13, Scope::OptionalPeer, None),
                ("jest", "v29.7.0", 15, Scope::Dev, Some("29.7.0")),
            ]
        );
        assert_eq!(manifest.name.as_deref(), Some("@s/f"));
        assert_eq!(manifest.runtime.as_deref(), Some(">=18 <21"));
        assert_eq!(manifest.workspaces, ["packages/*"]);
        let [diagnostic] = &manifest.diagnostics[..] else { panic!("{:?}", manifest.diagnostics) };
        assert_eq!((diagnostic.code.as_str(), diagnostic.place.line), ("requirement-invalid", 10));
    }

    #[test]
    fn sources_are_told_from_ranges() {
        for (text, source) in [
            ("^1.0.0", None),
            ("1.0.0 - 2.0.0", None),
            ("latest", None),
            ("", None),
            ("npm:@s/x@1.0.0", None),
            ("file:../x", Some("path")),
            ("link:../x", Some("path")),
            ("~/x", Some("path")),
            ("../x", Some("path")),
            ("workspace:^", Some("workspace")),
            ("catalog:", Some("catalog")),
            ("git+https://host.example/o/r.git#v1", Some("git")),
            ("o/r", Some("git")),
            ("o/r#semver:^1", Some("git")),
            ("https://host.example/x.tgz", Some("url")),
            ("https://registry.example/x/-/x-1.0.0.tgz", Some("url")),
        ] {
            assert_eq!(requirement_source(text), source, "{text}");
        }
    }

    #[test]
    fn broken_files_are_said_with_their_line() {
        let manifest = read("f/package.json", "{\n  \"name\": \"x\",\n}");
        assert_eq!(manifest.diagnostics[0].code, "manifest-invalid");
        assert_eq!(manifest.diagnostics[0].place, Place::at("f/package.json", 3));
        assert!(read("package.json", "").diagnostics.len() == 1 && read("package.json", "[1]").diagnostics.len() == 1);
    }

    #[test]
    fn odd_but_valid_files_are_read() {
        let manifest = read(
            "package.json",
            "\u{feff}{\"name\": null, \"workspaces\": [\"a\"], \"engines\": [\"node\"], \"dependencies\": []}",
        );
        assert!(manifest.diagnostics.is_empty() && manifest.requires.is_empty() && manifest.runtime.is_none());
        assert_eq!(manifest.workspaces, ["a"]);
    }

    #[test]
    fn requirements_that_are_replaced_say_so() {
        let manifest = read(
            "package.json",
            r#"{"dependencies": {"a": "^1", "b": "1.0.0", "c": "^1", "d": "^1", "e": "git+https://host.example/e.git"},
                "overrides": {"a": "2.0.0", "x": {"c": "1"}}, "resolutions": {"**/b": "2.0.0", "y/d": "1", "e": "1"},
                "packageManager": "yarn@4.1.0+sha224.00"}"#,
        );
        let sources: Vec<_> = manifest.requires.iter().map(|r| (r.name.as_str(), r.source.as_deref())).collect();
        let replaced = Some("override");
        assert_eq!(sources, [("a", replaced), ("b", replaced), ("c", None), ("d", None), ("e", Some("git"))]);
    }

    #[test]
    fn the_package_manager_is_named_in_two_ways() {
        let engines = r#"{"devEngines": {"packageManager": {"name": "bun", "version": "1"}}}"#;
        assert_eq!(package_manager(r#"{"packageManager": "pnpm@9.1.0"}"#).as_deref(), Some("pnpm"));
        assert_eq!(package_manager(engines).as_deref(), Some("bun"));
        assert_eq!(package_manager("{}"), None);
    }
}
