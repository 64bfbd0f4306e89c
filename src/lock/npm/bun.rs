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
        files: "bun.lock",
        extent: Extent::Full,
        note: "lockfile versions 0 to 2; aliases, workspaces, git, file and tarball sources, patches, `os`, `cpu`, `libc`",
    },
    Support {
        area: Area::Lock,
        what: "bun.lockb",
        files: "bun.lockb",
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
        // Bun takes an empty object for a lock of nothing.
        Value::Null if plain.split_whitespace().collect::<String>() == "{}" => {}
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
    let owners: Vec<(&str, &Value<'_>)> = parsed
        .packages
        .0
        .iter()
        .filter_map(|(path, tuple)| Some((path.as_ref(), reader.entry(path, tuple)?)))
        .collect();
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
            _ => source_of(resolution).or_else(|| elsewhere(resolution)),
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
        let mut ends: Vec<usize> = Vec::new();
        for (at, (path, info)) in owners.iter().enumerate() {
            let edges = self.of(path, info, false, &mut ends);
            let linked = self.lock.entries[at].source.as_deref() == Some("path") && edges.is_empty();
            self.lock.entries[at].requires = (!linked).then_some(edges);
        }
        for (folder, workspace) in &workspaces.0 {
            // What is placed inside a member stands under its name.
            let path = if folder.is_empty() { "" } else { workspace.get("name").and_then(Value::text).unwrap_or("") };
            let importer = if folder.is_empty() { "." } else { folder.as_ref() };
            let edges = self.of(path, workspace, true, &mut ends);
            self.lock.importers.insert(importer.to_string(), edges);
        }
        self.lock.importers.entry(".".to_string()).or_default();
    }

    fn of(&self, path: &str, info: &Value<'_>, importer: bool, ends: &mut Vec<usize>) -> Vec<Edge> {
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
        package_ends(path, ends);
        let edge = |(name, (scope, text, line)): (&str, (Scope, &str, u32))| Edge {
            name: name.to_string(),
            text: text.to_string(),
            line,
            to: self.find(path, name, ends).into_iter().collect(),
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
fn package_ends(path: &str, ends: &mut Vec<usize>) {
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

/// What the registry resolved is a version. An address is one that somebody wrote, in a registry too; anything else is
/// a tarball's path.
fn elsewhere(resolution: &str) -> Option<&'static str> {
    let version = resolution.starts_with(|c: char| c.is_ascii_digit()) && !resolution.contains('/');
    (!version).then(|| if resolution.contains("://") { "url" } else { "path" })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::closure::closure;
    use crate::model::Platform;

    /// Shortened from what Bun 1.4.5 wrote.
    const LOCK: &str = r#"{
  "lockfileVersion": 2,
  "configVersion": 1,
  "workspaces": {
    "": {
      "name": "root",
      "dependencies": {
        "accepts": "^1.3.0",
        "cjs": "npm:string-width@^4.2.0",
        "isnum": "https://registry.example/is-number/-/is-number-7.0.0.tgz",
        "left-pad": "1.3.0",
        "linked": "link:./linked",
        "local": "file:./local",
        "m": "workspace:*",
        "tar": "./x.tgz",
      },
      "devDependencies": {
        "rimraf": "^3.0.2", // not in production
      },
    },
    "packages/m": {
      "name": "m",
      "version": "1.1.0",
      "dependencies": {
        "debug": "catalog:old",
        "drop": "github:o/drop",
        "sharp": "0.33.4",
      },
      "devDependencies": {
        "mkdirp": "^1.0.4",
      },
      "peerDependencies": {
        "react-is": "*",
        "vue": "*",
      },
      "optionalPeers": [
        "vue",
      ],
    },
  },
  "patchedDependencies": {
    "left-pad@1.3.0": "patches/lp.patch",
  },
  "overrides": {
    "accepts": "1.3.7",
  },
  /* ranges for catalog: */
  "catalogs": { "old": { "debug": "^2.6.0", }, },
  "packages": {
    "@img/sharp-linux-x64": ["@img/sharp-linux-x64@0.33.4", "", { "os": "linux", "cpu": "x64", "libc": "glibc" }, "sha512-ccc=="],

    "@img/sharp-linuxmusl-arm64": ["@img/sharp-linuxmusl-arm64@0.33.4", "", { "os": "linux", "cpu": "arm64", "libc": "musl" }, "sha512-mmm=="],

    "@img/sharp-wasm32": ["@img/sharp-wasm32@0.33.4", "", { "cpu": "none" }, "sha512-www=="],

    "accepts": ["accepts@1.3.7", "", {}, "sha512-aaa=="],

    "cjs": ["string-width@4.2.3", "", { "dependencies": { "strip-ansi": "^6.0.1" } }, "sha512-sss=="],

    "debug": ["debug@4.4.3", "", { "dependencies": { "ms": "^2.1.3" } }, "sha512-ddd=="],

    "drop": ["drop@github:o/drop#538b112", {}, "o-drop-538b112"],

    "isnum": ["is-number@https://registry.example/is-number/-/is-number-7.0.0.tgz", {}, "sha512-iii=="],

    "left-pad": ["left-pad@1.3.0", "", {}, "sha512-lll=="],

    "linked": ["linked@link:./linked", {}],

    "local": ["local@file:local", { "dependencies": { "ms": "^1" } }],

    "m": ["m@workspace:packages/m"],

    "mkdirp": ["mkdirp@1.0.4", "", {}, "sha512-kkk=="],

    "ms": ["ms@2.1.3", "", {}, "sha512-222=="],

    "react-is": ["react-is@19.3.1", "", {}, "sha512-rrr=="],

    "rimraf": ["rimraf@3.0.2", "", {}, "sha512-fff=="],

    "sharp": ["sharp@0.33.4", "", { "optionalDependencies": { "@img/sharp-linux-x64": "0.33.4", "@img/sharp-linuxmusl-arm64": "0.33.4", "@img/sharp-wasm32": "0.33.4" } }, "sha512-hhh=="],

    "strip-ansi": ["strip-ansi@6.0.1", "", {}, "sha512-ttt=="],

    "tar": ["tar@./x.tgz", {}, "sha512-xxx=="],

    "local/ms": ["ms@1.0.0", "", {}, "sha512-111=="],

    "m/debug": ["debug@2.6.9", "", { "dependencies": { "ms": "2.0.0" } }, "sha512-eee=="],

    "m/debug/ms": ["ms@2.0.0", "", {}, "sha512-000=="],
  }
}
"#;

    fn production(lock: &Lock, importer: &str, platform: &str) -> Vec<String> {
        let platform: Platform = platform.parse().unwrap();
        let walked = closure(lock, &lock.importers[importer], &[], &platform);
        assert!(walked.missing.is_empty(), "{:?}", walked.missing);
        let source = |entry: usize| lock.entries[entry].source.as_deref().map_or(String::new(), |s| format!(" {s}"));
        walked.packages.iter().map(|(id, reached)| format!("{}{}", id.spec(), source(reached.entry))).collect()
    }

    #[test]
    fn tuples_of_every_source_are_read() {
        let lock = read("bun.lock", LOCK);
        assert!(lock.diagnostics.is_empty(), "{:?}", lock.diagnostics);
        assert_eq!(
            production(&lock, ".", "node20-linux-x86_64-glibc"),
            [
                "@img/sharp-linux-x64@0.33.4",
                "accepts@1.3.7",
                "debug@2.6.9",
                "drop@github:o/drop#538b112 git",
                "is-number@https://registry.example/is-number/-/is-number-7.0.0.tgz url",
                "left-pad@1.3.0 patch",
                "linked@link:./linked path",
                "local@file:local path",
                "ms@1.0.0",
                "ms@2.0.0",
                "react-is@19.3.1",
                "sharp@0.33.4",
                "string-width@4.2.3",
                "strip-ansi@6.0.1",
                "tar@./x.tgz path",
            ]
        );
        let entry = |spec: &str| lock.entries.iter().find(|e| e.id.spec() == spec).unwrap();
        assert_eq!((entry("m@1.1.0").source.as_deref(), entry("accepts@1.3.7").line), (Some("workspace"), 56));
        assert_eq!(entry("drop@github:o/drop#538b112").hashes, Vec::<String>::new());
        assert_eq!(entry("tar@./x.tgz").hashes, ["sha512-xxx=="]);
        assert_eq!(lock.overrides.iter().collect::<Vec<_>>(), ["accepts"]);
        assert_eq!(lock.importers["packages/m"][0].line, 25);
    }

    #[test]
    fn platforms_differ() {
        let lock = read("bun.lock", LOCK);
        let native = |platform: &str| -> Vec<String> {
            let all = production(&lock, "packages/m", platform);
            all.into_iter().filter(|name| name.starts_with("@img")).collect()
        };
        assert_eq!(native("node20-linux-x86_64-glibc"), ["@img/sharp-linux-x64@0.33.4"]);
        assert_eq!(native("node20-linux-aarch64-musl"), ["@img/sharp-linuxmusl-arm64@0.33.4"]);
        assert!(native("node20-linux-x86_64-musl").is_empty() && native("node20-linux-aarch64-glibc").is_empty());
    }

    #[test]
    fn comments_and_commas_become_blanks() {
        for (text, plain) in [
            ("{\"a\": [1, 2, ], }", "{\"a\": [1, 2  ]  }"),
            ("{} // x, ]\n,", "{}        \n,"),
            ("[1, /* , */ ]", "[1          ]"),
            ("[\"a\\\", // ]\"]", "[\"a\\\", // ]\"]"),
            ("/* é", "     "),
            ("\"a\\", "\"a\\"),
            ("/", "/"),
        ] {
            assert_eq!(plain_json(text), plain, "{text}");
        }
    }

    #[test]
    fn paths_end_where_packages_do() {
        let mut ends = Vec::new();
        for (path, expected) in
            [("", &[][..]), ("a", &[1]), ("@s/b", &[4]), ("a/@s/b/c", &[1, 6, 8]), ("@s", &[]), ("@s/b/@t/c", &[4, 9])]
        {
            package_ends(path, &mut ends);
            assert_eq!(ends, expected, "{path}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for (text, code) in [
            ("", "lock-invalid"),
            ("[]", "lock-invalid"),
            ("{\"lockfileVersion\": \"x\"}", "lock-invalid"),
            ("{\"a\": 1}", "lock-invalid"),
            ("{\"lockfileVersion\": 3}", "lock-unsupported"),
            ("{\"packages\": {\"a\": [\"a@1.0.0\"]}}", "lock-invalid"),
            ("{\"lockfileVersion\": 1, \"packages\": {\"a\": 1}}", "lock-invalid"),
            ("{\"lockfileVersion\": 1, \"packages\": {\"a\": [\"a\"]}}", "lock-invalid"),
        ] {
            let lock = read("bun.lock", text);
            assert_eq!(lock.diagnostics.first().map(|d| d.code.as_str()), Some(code), "{text}");
            assert!(lock.entries.is_empty());
        }
        assert!(read("bun.lock", "{}").diagnostics.is_empty());
    }
}
