//! What `npm ci` makes of the locks that warmset writes. Needs npm and a registry: with `WARMSET_OFFLINE` set, without
//! npm or without network the tests say so and pass, unless `WARMSET_REQUIRE_TOOLS=1`.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use warmset::lock::npm::npm_layout::{LayoutPackage, layout, write};
use warmset::lock::npm::package_lock;
use warmset::lock::{Edge, Lock, Scope};
use warmset::model::PackageId;

/// Runs a command; `None` (and a word why) where there is no npm or no network.
fn run(folder: &Path, program: &str, arguments: &[&str]) -> Option<String> {
    if std::env::var_os("WARMSET_OFFLINE").is_some() {
        common::skip("WARMSET_OFFLINE is set");
        return None;
    }
    let Ok(output) = Command::new(program).args(arguments).current_dir(folder).output() else {
        common::skip(&format!("{program} is not installed"));
        return None;
    };
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    if ["ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "ENETUNREACH"].iter().any(|code| error.contains(code)) {
        common::skip("the npm registry cannot be reached");
        return None;
    }
    assert!(output.status.success(), "{program} {arguments:?}: {error}");
    Some(String::from_utf8_lossy(&output.stdout).trim().to_string())
}

/// npm's rule for `os`, `cpu` and `libc`: no list, or named, or only others are excluded.
fn allows(list: &[String], value: &str) -> bool {
    let (excluded, named): (Vec<&String>, Vec<&String>) = list.iter().partition(|item| item.starts_with('!'));
    !excluded.iter().any(|item| item[1..] == *value) && (named.is_empty() || named.iter().any(|item| *item == value))
}

/// The production closure of a lock's root on this machine, as packages to place.
fn closure(
    lock: &Lock,
    [os, cpu, libc]: [&str; 3],
) -> (BTreeMap<String, PackageId>, BTreeMap<PackageId, LayoutPackage>) {
    let here = |index: usize| {
        let when = &lock.entries[index].when;
        allows(&when.os, os) && allows(&when.cpu, cpu) && allows(&when.libc, libc)
    };
    let follow = |edges: &[Edge]| -> BTreeMap<String, usize> {
        let edges = edges.iter().filter(|edge| edge.scope != Scope::Dev && edge.scope != Scope::OptionalPeer);
        edges.filter_map(|edge| Some((edge.name.clone(), *edge.to.first()?))).filter(|(_, to)| here(*to)).collect()
    };
    let ids = |edges: &BTreeMap<String, usize>| -> BTreeMap<String, PackageId> {
        edges.iter().map(|(name, &to)| (name.clone(), lock.entries[to].id.clone())).collect()
    };
    let roots = follow(&lock.importers["."]);
    let mut packages = BTreeMap::new();
    let mut todo: Vec<usize> = roots.values().copied().collect();
    while let Some(index) = todo.pop() {
        let entry = &lock.entries[index];
        let requires = follow(entry.requires.as_deref().unwrap());
        let package = LayoutPackage {
            id: entry.id.clone(),
            integrity: entry.hashes.clone(),
            requires: ids(&requires),
            os: entry.when.os.clone(),
            cpu: entry.when.cpu.clone(),
            libc: entry.when.libc.clone(),
        };
        if packages.insert(entry.id.clone(), package).is_none() {
            todo.extend(requires.values());
        }
    }
    (ids(&roots), packages)
}

/// `name@version` of every package below a `node_modules`, links not followed.
fn installed(node_modules: &Path, found: &mut BTreeSet<String>) {
    let Ok(folder) = std::fs::read_dir(node_modules) else { return };
    for entry in folder.map(Result::unwrap).filter(|entry| entry.file_type().unwrap().is_dir()) {
        let (name, path) = (entry.file_name().into_string().unwrap(), entry.path());
        if name.starts_with('@') {
            installed(&path, found);
        } else if !name.starts_with('.') {
            let text = std::fs::read_to_string(path.join("package.json")).unwrap();
            let manifest: Value = serde_json::from_str(&text).unwrap();
            found.insert(format!("{}@{}", manifest["name"].as_str().unwrap(), manifest["version"].as_str().unwrap()));
            installed(&path.join("node_modules"), found);
        }
    }
}

/// Resolves `dependencies` with npm, writes the lock of their closure anew, installs it, compares, and runs `script`.
fn round_trip(dependencies: &str, script: &str) -> Option<BTreeSet<String>> {
    let scratch = tempfile::tempdir().unwrap();
    let (asked, made) = (scratch.path().join("asked"), scratch.path().join("made"));
    std::fs::create_dir_all(&asked).unwrap();
    std::fs::create_dir_all(&made).unwrap();
    let quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"];
    std::fs::write(asked.join("package.json"), format!("{{\"dependencies\": {dependencies}}}")).unwrap();
    run(&asked, "npm", &[&["install", "--package-lock-only"], &quiet[..]].concat())?;
    let libc = "process.report.getReport().header.glibcVersionRuntime ? 'glibc' : 'musl'";
    let platform = run(&asked, "node", &["-p", &format!("[process.platform, process.arch, {libc}].join(' ')")])?;
    let platform: Vec<&str> = platform.split(' ').collect();

    let lock =
        package_lock::read("package-lock.json", &std::fs::read_to_string(asked.join("package-lock.json")).unwrap());
    assert!(lock.diagnostics.is_empty(), "{:?}", lock.diagnostics);
    let (roots, packages) = closure(&lock, [platform[0], platform[1], platform[2]]);
    let placement = layout(&roots, &packages);
    assert!(placement.unplaced.is_empty() && placement.missing.is_empty(), "{placement:?}");
    let (manifest, lock) = write("warmset-test", &placement);
    std::fs::write(made.join("package.json"), manifest).unwrap();
    std::fs::write(made.join("package-lock.json"), lock).unwrap();
    run(&made, "npm", &[&["ci", "--omit=dev"], &quiet[..]].concat())?;

    let mut found = BTreeSet::new();
    installed(&made.join("node_modules"), &mut found);
    assert_eq!(found, packages.keys().map(PackageId::spec).collect());
    run(&made, "npm", &["ls", "--all"])?;
    run(&made, "node", &["-e", script])?;
    println!("{dependencies}: {} packages at {} places", packages.len(), placement.nodes.len());
    Some(found)
}

#[test]
fn a_plain_closure() {
    round_trip(r#"{"express": "4.19.2"}"#, "require('express')().use(() => {})");
}

#[test]
fn aliases() {
    let script = "require('@isaacs/cliui'); require('string-width-cjs')('a')";
    let Some(found) = round_trip(r#"{"@isaacs/cliui": "8.0.2"}"#, script) else { return };
    assert!(found.iter().filter(|spec| spec.starts_with("string-width@")).count() == 2, "{found:?}");
}

#[test]
fn two_versions_of_one_name() {
    let script = "
        const version = (from) => require(require.resolve('debug/package.json', {paths: [from]})).version;
        if (version('.') !== '4.3.4' || version(require.resolve('express')) !== '2.6.9') throw new Error('wrong debug');
        require('debug')('x'); require('express')()";
    round_trip(r#"{"express": "4.19.2", "debug": "4.3.4", "follow-redirects": "1.15.6", "send": "0.18.0"}"#, script);
}

#[test]
fn platform_binaries() {
    let Some(found) = round_trip(r#"{"sharp": "0.33.5"}"#, "require('sharp').versions.vips") else { return };
    assert!(found.iter().any(|spec| spec.starts_with("@img/sharp-")), "{found:?}");
}
