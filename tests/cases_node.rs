//! Locks of npm, pnpm, Yarn and Bun against what other readers, npm and pnpm say they hold. The cases lie beside the project
//! (`../shared/cases`, or the folder in `WARMSET_CASES`); without them the test says so and passes.

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use warmset::lock::closure::closure;
use warmset::lock::{self, Kind, Lock, When};
use warmset::model::{Diagnostic, Language, PackageId, Place, Platform, codes};

fn cases() -> Option<PathBuf> {
    common::cases().filter(|folder| folder.join("locks.jsonl").is_file())
}

fn lines(folder: &Path, file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What `warmset inspect` reads: the file, and the manifest beside it where the format needs one.
fn read(path: &Path) -> Lock {
    let text = std::fs::read_to_string(path).unwrap();
    let file = path.file_name().unwrap().to_str().unwrap();
    let absent = |file: &str| Diagnostic::new(codes::INCLUDE_MISSING, Place::file(file), "absent");
    let mut include = |file: &str| std::fs::read_to_string(path.with_file_name(file)).map_err(|_| absent(file));
    lock::read(Kind::of(file).unwrap(), file, &text, &mut include)
}

fn set(value: &Value) -> BTreeSet<String> {
    value.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_string()).collect()
}

fn held(lock: &Lock) -> BTreeSet<String> {
    lock.entries.iter().map(|entry| entry.id.spec()).collect()
}

/// What no importer needs in production.
fn development(lock: &Lock) -> BTreeSet<String> {
    let mut out = held(lock);
    for roots in lock.importers.values() {
        for id in closure(lock, roots, &[], &Platform::linux(Language::Node, "20")).packages.keys() {
            out.remove(&id.spec());
        }
    }
    out
}

/// Everything that production can load, under the names that requirers use too: pnpm prints `string-width-cjs@4.2.3`
/// for an alias of `string-width@4.2.3`. Neither prints folders that have no version.
fn production(lock: &Lock, platform: &Platform) -> BTreeSet<String> {
    let closure = closure(lock, &lock.importers["."], &[], platform);
    assert!(closure.missing.is_empty(), "{:?}", closure.missing);
    let aliases = closure.packages.values().flat_map(|reached| &reached.aliases);
    let names = aliases.map(|(alias, id)| format!("{alias}@{}", id.version));
    names.chain(closure.packages.keys().map(PackageId::spec)).filter(|name| !name.contains("@link:")).collect()
}

#[test]
fn locks_hold_what_two_other_readers_agree_on() {
    let Some(folder) = cases() else { return };
    let (mut exact, mut agreed, mut wrong) = (0, 0, Vec::new());
    for case in lines(&folder, "locks.jsonl") {
        if !matches!(case["kind"].as_str(), Some("npm" | "pnpm" | "yarn" | "bun")) {
            continue;
        }
        let name = case["case"].as_str().unwrap();
        let lock = read(&folder.join(case["path"].as_str().unwrap()));
        let (held, expected) = (held(&lock), set(&case["expect"]["packages"]));
        if case["expect"]["error"] == true {
            assert!(!lock.diagnostics.is_empty(), "{name}: an error, and nothing said");
            assert!(lock.diagnostics.iter().all(|d| !d.reason.contains('\n')), "{name}");
            assert_eq!(held, expected, "{name}");
            continue;
        }
        if case["consensus"] != true {
            println!("contested: {name}: {held:?} {:?}", lock.diagnostics);
            continue;
        }
        agreed += 1;
        let mut right = held == expected;
        if let Some(edges) = case["expect"]["edges"].as_array() {
            let expected: BTreeSet<(String, String)> =
                edges.iter().map(|e| (e[0].as_str().unwrap().into(), e[1].as_str().unwrap().into())).collect();
            let mut ours = BTreeSet::new();
            for entry in &lock.entries {
                for edge in entry.requires.iter().flatten() {
                    ours.extend(edge.to.iter().map(|&to| (entry.id.spec(), lock.entries[to].id.spec())));
                }
            }
            if ours != expected {
                right = false;
                println!("{name}: edges more {:?} less {:?}", ours.difference(&expected), expected.difference(&ours));
            }
        }
        if case["expect"]["dev"].is_array() && development(&lock) != set(&case["expect"]["dev"]) {
            right = false;
            println!("{name}: for development {:?}", development(&lock));
        }
        if right {
            exact += 1;
        } else {
            wrong.push(format!("{name}: {held:?} instead of {expected:?}"));
        }
    }
    println!("{exact} of {agreed} exact");
    assert!(agreed >= 54, "only {agreed} cases");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn closures_are_what_npm_and_pnpm_print() {
    let Some(folder) = cases() else { return };
    let mut exact = [0, 0];
    let mut wrong = Vec::new();
    for case in lines(&folder, "closure.jsonl") {
        let (which, file) = match case["kind"].as_str() {
            Some("closure-npm") => (0, "package-lock.json"),
            Some("closure-pnpm") => (1, "pnpm-lock.yaml"),
            _ => continue,
        };
        let mut lock = read(&folder.join(case["path"].as_str().unwrap()).join(file));
        assert!(lock.diagnostics.is_empty(), "{:?}", lock.diagnostics);
        let linux = Platform::linux(Language::Node, "20");
        let here = production(&lock, &linux);
        // npm and pnpm list the binaries of every platform, also of those they would not install.
        // Most of these locks record no libc, so that the musl builds are installed beside the others.
        let foreign = |name: &String| ["darwin", "win32", "arm64", "riscv64"].iter().any(|p| name.contains(p));
        assert!(!here.iter().any(|name| name.starts_with("@img/sharp") && foreign(name)), "{here:?}");
        lock.entries.iter_mut().for_each(|entry| entry.when = When::default());
        let (ours, expected) = (production(&lock, &linux), set(&case["expect"]["prod"]));
        assert!(here.is_subset(&ours));
        if ours == expected {
            exact[which] += 1;
        } else {
            let more: Vec<_> = ours.difference(&expected).collect();
            let less: Vec<_> = expected.difference(&ours).collect();
            wrong.push(format!("{}: more {more:?} less {less:?}", case["case"]));
        }
    }
    println!("npm {} pnpm {} exact", exact[0], exact[1]);
    assert!(wrong.is_empty(), "{wrong:#?}");
}
