//! Scanning in parts, by lists of paths and with a cache comes to the same bytes as scanning at once.

#[path = "../examples/support/fleet.rs"]
mod fleet;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use fleet::{Shape, write_fleet};
use serde_json::Value;

fn warmset(args: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_warmset"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let stdin = stdin.to_string();
    let writer = std::thread::spawn(move || drop(input.write_all(stdin.as_bytes())));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.code().is_some_and(|c| c < 2), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn scan(root: &Path, more: &[&str], stdin: &str) -> Vec<u8> {
    let mut args = vec!["scan", text(root), "--format", "json"];
    args.extend(more);
    warmset(&args, stdin).stdout
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn same(a: &[u8], b: &[u8], what: &str) {
    assert!(!a.is_empty());
    if a != b {
        let (a, b) = (String::from_utf8_lossy(a), String::from_utf8_lossy(b));
        let at = a.lines().zip(b.lines()).position(|(x, y)| x != y);
        panic!("{what}: they differ from line {at:?} on, {} and {} lines", a.lines().count(), b.lines().count());
    }
}

fn made(folder: &Path, alone: bool) -> Vec<String> {
    write_fleet(folder, Shape { functions: 40, seed: 11, alone, only: None, flaws: true }).unwrap()
}

#[test]
fn what_is_streamed_is_what_the_library_says() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path(), false);
    let inventory = warmset::resolve::scan(dir.path(), &Default::default(), &|_| {}).unwrap();
    assert_eq!(inventory.functions.len(), 40);
    let expected = serde_json::to_string_pretty(&inventory).unwrap() + "\n";
    same(&scan(dir.path(), &[], ""), expected.as_bytes(), "printed");
    let out = dir.path().join("inventory.json");
    scan(dir.path(), &["--out", text(&out)], "");
    same(&fs::read(&out).unwrap(), expected.as_bytes(), "written");
}

#[test]
fn shards_of_a_fleet_merge_to_the_whole_in_any_order() {
    let dir = tempfile::tempdir().unwrap();
    let made_fleet = dir.path().join("fleet");
    made(&made_fleet, false);
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/fleet");
    for root in [made_fleet, fixtures] {
        let whole = scan(&root, &[], "");
        for count in [1, 2, 5] {
            let mut files: Vec<String> = Vec::new();
            for at in (0..count).rev() {
                let file = dir.path().join(format!("part-{at}.json"));
                scan(&root, &["--shard", &format!("{at}/{count}"), "--out", text(&file)], "");
                files.push(text(&file).to_string());
            }
            files.push(files[0].clone());
            let mut args = vec!["merge"];
            args.extend(files.iter().map(String::as_str));
            same(&warmset(&args, "").stdout, &whole, &format!("{} in {count} shards", root.display()));
        }
    }
}

#[test]
fn packages_that_hold_all_that_is_said_of_them_are_the_same_by_path_and_by_folder() {
    let dir = tempfile::tempdir().unwrap();
    let paths = made(dir.path(), true);
    let list = paths.join("\n");
    let whole = scan(dir.path(), &[], "");
    let by_path = scan(dir.path(), &["--stdin"], &list);
    let parsed = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    for field in ["functions", "packages", "files"] {
        assert_eq!(parsed(&by_path)[field], parsed(&whole)[field], "{field}");
    }
    same(&by_path, &whole, "by path");

    // As a stream, with repeats and with NULs; merged, it is the same.
    let again = format!("{list}\n{}\n./{}/\n", paths[3], paths[4]);
    let records = warmset(&["scan", text(dir.path()), "--stdin", "--format", "jsonl"], &again).stdout;
    assert_eq!(String::from_utf8_lossy(&records).lines().count(), paths.len() + 2);
    let first: Value = serde_json::from_slice(records.split(|b| *b == b'\n').next().unwrap()).unwrap();
    assert_eq!(first["parts"][0]["part"], format!("path {}", paths[0]), "in the order of the input");
    let merged = warmset(&["merge", "-"], &String::from_utf8(records).unwrap()).stdout;
    same(&merged, &by_path, "merged records");
    same(&scan(dir.path(), &["--stdin", "-0"], &paths.join("\0")), &by_path, "paths that end with NULs");

    // In shards, each with its own list of all paths.
    let mut all = String::new();
    for at in 0..3 {
        let shard = format!("{at}/3");
        let args = ["scan", text(dir.path()), "--stdin", "--format", "jsonl", "--shard", &shard];
        all.push_str(&String::from_utf8(warmset(&args, &list).stdout).unwrap());
    }
    assert_eq!(all.lines().count(), paths.len());
    same(&warmset(&["merge", "-"], &all).stdout, &by_path, "shards of the list");
}

#[test]
fn a_path_that_cannot_be_read_is_a_record_with_a_diagnostic() {
    let dir = tempfile::tempdir().unwrap();
    let paths = made(dir.path(), true);
    let list = format!("gone\n../etc\n/etc\n{}\n{}/handler.py\n", paths[0], paths[0]);
    let args = ["scan", text(dir.path()), "--stdin", "--format", "jsonl"];
    let output = warmset(&args, &list);
    assert_eq!(output.status.code(), Some(1));
    let records: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let codes: Vec<&str> = records.iter().map(|r| r["diagnostics"][0]["code"].as_str().unwrap_or("")).collect();
    assert_eq!(records.len(), 5);
    assert_eq!([codes[0], codes[1], codes[2], codes[4]], ["path-unreadable"; 4]);
    assert_eq!(records[3]["functions"][0]["path"], paths[0]);
}

#[test]
fn merging_refuses_what_it_cannot_read_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (bad, out) = (dir.path().join("bad.jsonl"), dir.path().join("out.json"));
    fs::write(&bad, "{\"schema\":\"warmset.inventory/1\",\"functions\":[]}\n{\"schema\":\"warmset.inv").unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_warmset"))
        .args(["merge", text(&bad), "--out", text(&out)])
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert_eq!((status.code(), out.exists()), (Some(2), false));
}

#[test]
fn a_cache_changes_nothing_but_the_time() {
    let dir = tempfile::tempdir().unwrap();
    let (root, cache) = (dir.path().join("fleet"), dir.path().join("cache"));
    let paths = made(&root, false);
    let with = |more: &[&str]| {
        let mut args = vec!["--cache", text(&cache)];
        args.extend(more);
        scan(&root, &args, "")
    };
    let touch = |rel: &str, bytes: &[u8]| fs::write(root.join(rel), bytes).unwrap();
    same(&with(&[]), &scan(&root, &[], ""), "cold");
    same(&with(&[]), &scan(&root, &[], ""), "warm");
    same(&with(&["--python", "3.9"]), &scan(&root, &["--python", "3.9"], ""), "other options");

    // Whatever a result rests on may change: a source, a lock, a file that was looked for and absent, one that goes.
    let python = &paths[10];
    let node = &paths[31];
    assert!(root.join(python).join("handler.py").exists() && root.join(node).join("part_1.mjs").exists());
    let changes: [&dyn Fn(); 6] = [
        &|| touch(&format!("{python}/part_1.py"), b"import lib_390, not_there\n"),
        &|| touch(&format!("{python}/json.py"), b"import another\n"),
        &|| fs::remove_file(root.join(python).join("requirements.txt")).unwrap(),
        &|| touch(&format!("{node}/part_1.mjs"), b"import x from 'gone'; import './later.mjs';"),
        &|| touch(&format!("{node}/later.mjs"), b"import y from 'also-gone';"),
        &|| fs::remove_dir_all(root.join(node)).unwrap(),
    ];
    let mut before = scan(&root, &[], "");
    for (at, change) in changes.iter().enumerate() {
        change();
        let plain = scan(&root, &[], "");
        assert_ne!(plain, before, "change {at} is one");
        same(&with(&[]), &plain, &format!("after change {at}"));
        same(&with(&[]), &plain, &format!("after change {at}, again"));
        before = plain;
    }

    // Packs that are torn, and a folder that is none.
    for pack in fs::read_dir(&cache).unwrap() {
        let pack = pack.unwrap().path();
        let bytes = fs::read(&pack).unwrap();
        fs::write(&pack, &bytes[..bytes.len() * 2 / 3]).unwrap();
    }
    same(&with(&[]), &before, "torn packs");
    fs::remove_dir_all(&cache).unwrap();
    fs::write(&cache, "a file").unwrap();
    same(&with(&[]), &before, "no folder");
}

/// The number of shards stands in three places, and the arguments are what the program takes.
#[test]
fn the_kubernetes_jobs_agree_with_each_other_and_with_the_command_line() {
    use clap::Parser;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kubernetes");
    let job =
        |name: &str| -> Value { serde_saphyr::from_str(&fs::read_to_string(folder.join(name)).unwrap()).unwrap() };
    let container = |job: &Value| job["spec"]["template"]["spec"]["containers"][0].clone();
    let args = |container: &Value| -> Vec<String> {
        container["args"].as_array().unwrap().iter().map(|a| a.as_str().unwrap().to_string()).collect()
    };
    let (scan, merge) = (job("scan.yaml"), job("merge.yaml"));
    let shards = scan["spec"]["completions"].as_u64().unwrap();
    let scan = container(&scan);
    assert_eq!(scan["env"][0], serde_json::json!({"name": "WARMSET_SHARDS", "value": shards.to_string()}));

    let mut written = Vec::new();
    for index in 0..shards {
        let pod = args(&scan)
            .into_iter()
            .map(|a| a.replace("$(JOB_COMPLETION_INDEX)", &index.to_string()))
            .map(|a| a.replace("$(WARMSET_SHARDS)", &shards.to_string()));
        let cli = warmset::cli::args::Cli::try_parse_from(std::iter::once("warmset".to_string()).chain(pod)).unwrap();
        let warmset::cli::args::Command::Scan(scan) = cli.command else { panic!("it scans") };
        assert_eq!(scan.shard.unwrap().to_string(), format!("{index}/{shards}"));
        written.push(scan.out.unwrap());
    }
    let merge = args(&container(&merge));
    let cli =
        warmset::cli::args::Cli::try_parse_from(std::iter::once("warmset").chain(merge.iter().map(String::as_str)));
    let warmset::cli::args::Command::Merge(merge) = cli.unwrap().command else { panic!("it merges") };
    assert_eq!(merge.inputs, written);
}
