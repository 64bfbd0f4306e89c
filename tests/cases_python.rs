//! The Python lock cases beside the project: what two independent readers and uv itself say about real locks.
//!
//! The cases are not part of the repository. They are looked for in `$WARMSET_CASES` and in `../shared/cases`; where they
//! are not, the test says so and passes. One function a kind; each prints `kind: exact/total`.

// A closure that gives `Result<String, Diagnostic>` is what `lock::read` takes.
#![allow(clippy::result_large_err)]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use warmset::lock::{self, Kind, Lock, closure};
use warmset::model::{Diagnostic, Place, codes};

/// The cases of a kind in a list, with the folder that holds them.
fn cases(list: &str, kind: &str) -> Vec<(PathBuf, Value)> {
    let Some(folder) = common::cases() else { return Vec::new() };
    let text = std::fs::read_to_string(folder.join(list)).unwrap();
    let all = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|case| case["kind"] == kind).map(|case| (folder.clone(), case)).collect()
}

fn strings(value: &Value) -> BTreeSet<String> {
    value.as_array().into_iter().flatten().filter_map(|v| v.as_str()).map(String::from).collect()
}

fn read(kind: Kind, path: &Path) -> Lock {
    let folder = path.parent().unwrap();
    let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    let file = path.file_name().unwrap().to_str().unwrap();
    lock::read(kind, file, &text, &mut |name| {
        let missing = |e: std::io::Error| Diagnostic::new(codes::FILE_UNREADABLE, Place::file(name), e.to_string());
        std::fs::read_to_string(folder.join(name)).map_err(missing)
    })
}

/// `name@version` of everything that is not the fleet's own code.
fn packages(lock: &Lock) -> BTreeSet<String> {
    let entries = lock.entries.iter().filter(|e| e.source.as_deref() != Some("workspace"));
    entries.map(|e| format!("{}@{}", e.id.name, e.id.version)).collect()
}

/// Checks every case where two readers agree, and that broken files are told; contested ones are printed.
fn check(kind: Kind, right: impl Fn(&Lock, &Value) -> bool) {
    let (mut exact, mut total, mut wrong) = (0, 0, Vec::new());
    for (folder, case) in cases("locks.jsonl", kind.as_str()) {
        let lock = read(kind, &folder.join(case["path"].as_str().unwrap()));
        let broken = case["expect"]["error"] == true;
        let agreed = case["consensus"] == true;
        let ok = if broken { !lock.diagnostics.is_empty() } else { right(&lock, &case["expect"]) };
        if agreed || broken {
            total += 1;
            exact += u32::from(ok);
            if !ok {
                wrong.push(format!("{}: {:?} {:?}", case["case"], packages(&lock), lock.diagnostics));
            }
        } else if !ok {
            println!("contested {}: {:?}", case["case"], packages(&lock));
        }
    }
    println!("{}: {exact}/{total}", kind.as_str());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn requirements() {
    check(Kind::Requirements, |lock, expect| {
        let named: BTreeSet<String> = lock.importers["."].iter().map(|e| e.name.clone()).collect();
        named == strings(&expect["packages"]) && packages(lock) == strings(&expect["pinned"])
    });
}

#[test]
fn poetry() {
    check(Kind::Poetry, |lock, expect| packages(lock) == strings(&expect["packages"]));
}

#[test]
fn uv() {
    check(Kind::Uv, |lock, expect| packages(lock) == strings(&expect["packages"]));
}

#[test]
fn pdm() {
    check(Kind::Pdm, |lock, expect| packages(lock) == strings(&expect["packages"]));
}

#[test]
fn pipfile() {
    check(Kind::Pipfile, |lock, expect| packages(lock) == strings(&expect["packages"]));
}

#[test]
fn pylock() {
    check(Kind::Pylock, |lock, expect| packages(lock) == strings(&expect["packages"]));
}

/// The command itself, since what people see is what it prints: agreed cases exact, broken files told, never a crash.
#[test]
fn inspect_prints_what_two_readers_agree_on() {
    let (mut exact, mut total, mut wrong) = (0, 0, Vec::new());
    for kind in ["pdm", "pipfile", "poetry", "pylock", "requirements", "uv", "npm", "pnpm", "yarn", "bun"] {
        let named = if kind == "npm" { "package-lock" } else { kind };
        for (folder, case) in cases("locks.jsonl", kind) {
            let path = folder.join(case["path"].as_str().unwrap());
            let out = std::process::Command::new(env!("CARGO_BIN_EXE_warmset"))
                .args(["inspect", "--format", "json", "--as", named])
                .arg(path)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&out.stderr);
            let broken = case["expect"]["error"] == true;
            if !broken && case["consensus"] != true {
                // Contested: whatever it answers, it answers.
                assert!(matches!(out.status.code(), Some(0 | 1)), "{}: {said}", case["case"]);
                continue;
            }
            total += 1;
            let shown: Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
            let key = if kind == "requirements" { "pinned" } else { "packages" };
            let ok = match broken {
                true => out.status.code() == Some(1) && said.contains("lock-"),
                false => strings(&shown["packages"]) == strings(&case["expect"][key]),
            };
            exact += u32::from(ok);
            if !ok {
                wrong.push(format!("{}: {:?} {shown} {said}", case["case"], out.status.code()));
            }
        }
    }
    println!("inspect: {exact}/{total}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn uv_closures_are_what_uv_exports() {
    let platform = "python3.12-linux-x86_64-glibc".parse().unwrap();
    let (mut exact, mut total, mut wrong) = (0, 0, Vec::new());
    for (folder, case) in cases("closure.jsonl", "closure-uv") {
        let lock = read(Kind::Uv, &folder.join(case["path"].as_str().unwrap()).join("uv.lock"));
        let found = closure::closure(&lock, &lock.importers["."], &[], &platform);
        // uv prints a repository where a version would stand: its name and kind must agree.
        let got: BTreeSet<String> = found
            .packages
            .iter()
            .map(|(id, reached)| match lock.entries[reached.entry].source.as_deref() {
                Some("git") => format!("{} @ git", id.name),
                _ => format!("{}@{}", id.name, id.version),
            })
            .collect();
        let want = strings(&case["expect"]["prod_linux_x86_64_cp312"]);
        let want: BTreeSet<String> = want
            .into_iter()
            .map(|w| w.split('+').next().filter(|w| w.ends_with(" @ git")).map(String::from).unwrap_or(w))
            .collect();
        total += 1;
        if got == want && found.missing.is_empty() {
            exact += 1;
        } else {
            let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>();
            wrong.push(format!(
                "{}: extra {:?}, lacking {:?}, missing {:?}",
                case["case"],
                only(&got, &want),
                only(&want, &got),
                found.missing
            ));
        }
    }
    println!("closure-uv: {exact}/{total}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
