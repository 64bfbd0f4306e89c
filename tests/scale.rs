//! Scanning in parts, by lists of paths and with a cache comes to the same bytes as scanning at once.

#[path = "../examples/support/fleet.rs"]
mod fleet;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fleet::{Shape, write_fleet};
use serde_json::Value;
use warmset::discover::Tree;
use warmset::model::Inventory;
use warmset::resolve::{Key, Merged, Merger, ScanOptions, Scanner, Shard, Store};

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

/// One function of every kind that reads beyond its own folder: archives with and without installed packages, layers, Terraform
/// modules, CDK, members of yarn and npm workspaces that import each other by name, several functions with one code folder, files
/// that no handler reaches, and a `warmset.toml`.
fn varied(root: &Path) {
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(
        "warmset.toml",
        "[defaults]\npython = \"3.12\"\n[[function]]\nname = \"said\"\npath = \"said\"\nhandler = \"main.run\"\nruntime = \"python3.13\"\nweight = 3\n",
    );
    write("said/main.py", "import boto3, helper\ndef run(event, context): pass\n");
    write("said/helper.py", "import yaml\n");
    write("said/unused.py", "import numpy\nfrom . import nothing\n");
    write(
        "said/pylock.prod.toml",
        "lock-version = \"1.0\"\ncreated-by = \"x\"\n[[packages]]\nname = \"pyyaml\"\nversion = \"6.0\"\n",
    );
    for name in ["a", "b"] {
        write(&format!("tf/{name}/handler.py"), "import requests\ndef handler(event, context): pass\n");
    }
    write("tf/a/requirements.txt", "requests==2.0\n");
    write(
        "tf/main.tf",
        "resource \"aws_lambda_function\" \"a\" {\n  function_name = \"a\"\n  filename = \"a.zip\"\n  runtime = \"python3.11\"\n  handler = \"handler.handler\"\n}\n",
    );
    write(
        "sam/template.yaml",
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  Lib:\n    Type: AWS::Serverless::LayerVersion\n    Properties:\n      ContentUri: layer/\n  One:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: code/\n      Handler: one.handler\n      Runtime: python3.12\n      Layers: [!Ref Lib]\n  Two:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: code/\n      Handler: two.handler\n      Runtime: python3.9\n",
    );
    write("sam/code/one.py", "import shared, requests\ndef handler(event, context): pass\n");
    write("sam/code/two.py", "import redis\ndef handler(event, context): pass\n");
    write("sam/code/neither.py", "import redis, flask\n");
    write("sam/code/requirements.txt", "redis==5.0.0\nflask>=2\n");
    write("sam/layer/python/shared.py", "import attr\n");
    write("sam/layer/requirements.txt", "attrs==23.1.0\nrequests==2.31.0\n");
    write("cdk/cdk.json", "{\"app\": \"node app.js\"}");
    write("cdk/package.json", "{\"dependencies\": {\"aws-cdk-lib\": \"2.1.0\", \"axios\": \"1.0.0\"}}");
    write(
        "cdk/app.ts",
        "import * as lambda from 'aws-cdk-lib/aws-lambda';\nnew lambda.Function(this, 'F', { runtime: lambda.Runtime.NODEJS_20_X, handler: 'index.handler', code: lambda.Code.fromAsset('fn') });\n",
    );
    write("cdk/fn/index.js", "const axios = require('axios'); exports.handler = async (event) => axios;");
    write("yarn/package.json", "{\"private\": true, \"workspaces\": [\"packages/*\"]}");
    write(
        "yarn/yarn.lock",
        "# yarn lockfile v1\n\n\n\"ms@^2.0.0\":\n  version \"2.1.3\"\n\n\"left@1.0.0\":\n  version \"1.0.0\"\n  dependencies:\n    ms \"^2.0.0\"\n",
    );
    write(
        "yarn/packages/fn/package.json",
        "{\"name\": \"fn\", \"dependencies\": {\"lib\": \"1.0.0\", \"left\": \"1.0.0\"}}",
    );
    write("yarn/packages/fn/index.js", "const lib = require('lib');\nexports.handler = async (event) => lib;");
    write(
        "yarn/packages/lib/package.json",
        "{\"name\": \"lib\", \"version\": \"1.0.0\", \"main\": \"main.js\", \"dependencies\": {\"ms\": \"^2.0.0\"}}",
    );
    write("yarn/packages/lib/main.js", "module.exports = require('ms');");
    write("yarn/packages/lib/old.js", "module.exports = require('gone');");
    write("ts/tsconfig.json", "{\"compilerOptions\": {\"baseUrl\": \".\", \"paths\": {\"@/*\": [\"lib/*\"]}}}");
    write(
        "ts/serverless.yml",
        "service: s\nprovider:\n  name: aws\n  runtime: nodejs20.x\nfunctions:\n  a:\n    handler: a.handler\n  b:\n    handler: b.handler\n",
    );
    write(
        "ts/a.ts",
        "import { x } from '@/x';\nimport axios from 'axios';\nexport const handler = async () => [x, axios];\n",
    );
    write("ts/b.ts", "import pg from 'pg';\nexport const handler = async () => pg;\n");
    write("ts/lib/x.ts", "export const x = 1;\n");
    write("ts/package.json", "{\"dependencies\": {\"axios\": \"1.0.0\", \"pg\": \"8.0.0\"}}");
    write(
        "ts/package-lock.json",
        "{\"lockfileVersion\": 3, \"packages\": {\"\": {\"dependencies\": {\"axios\": \"1.0.0\", \"pg\": \"8.0.0\"}}, \"node_modules/axios\": {\"version\": \"1.0.0\"}, \"node_modules/pg\": {\"version\": \"8.0.0\"}}}",
    );
    archive(
        &root.join("packed/orders.zip"),
        &[
            ("lambda_function.py", "import requests\ndef lambda_handler(event, context): pass\n"),
            ("requests/__init__.py", "import urllib3\n"),
            ("requests-2.31.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: requests\nVersion: 2.31.0\n"),
            ("requests-2.31.0.dist-info/RECORD", "requests/__init__.py,,\nrequests-2.31.0.dist-info/METADATA,,\n"),
        ],
    );
    archive(
        &root.join("packed/mail.zip"),
        &[
            ("index.js", "const ms = require('ms');\nexports.handler = async (event) => ms;"),
            ("package.json", "{\"dependencies\": {\"ms\": \"^2.0.0\"}}"),
            ("node_modules/ms/package.json", "{\"name\": \"ms\", \"version\": \"2.1.3\"}"),
            ("template.yaml", "Transform: AWS::Serverless-2016-10-31\nResources: {}\n"),
        ],
    );
}

fn archive(path: &Path, files: &[(&str, &str)]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut zip = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for (name, text) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
}

/// A folder with the fixture fleet, a generated one and one function of every kind.
fn everything(root: &Path) {
    varied(&root.join("varied"));
    write_fleet(&root.join("made"), Shape { functions: 20, seed: 5, alone: false, only: None, flaws: true }).unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/fleet"), &root.join("fixtures"));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() { copy(&entry.path(), &to) } else { drop(fs::copy(entry.path(), to)) }
    }
}

fn bytes(inventory: &Inventory) -> Vec<u8> {
    serde_json::to_vec_pretty(inventory).unwrap()
}

fn by_library(root: &Path, shard: Option<Shard>, options: &ScanOptions) -> Inventory {
    let tree = Tree::open(root, options.limits.clone()).unwrap();
    Scanner::new(&tree, options, shard, &|_| {}).into_inventory()
}

/// Results in memory, of which some may be lost.
#[derive(Debug, Default)]
struct Shelf {
    kept: Mutex<BTreeMap<Key, Vec<u8>>>,
    hits: AtomicUsize,
}

impl Store for Shelf {
    fn get(&self, key: &Key) -> Option<Vec<u8>> {
        let found = self.kept.lock().unwrap().get(key).cloned();
        self.hits.fetch_add(usize::from(found.is_some()), Ordering::Relaxed);
        found
    }

    fn put(&self, key: Key, bytes: &[u8]) {
        self.kept.lock().unwrap().insert(key, bytes.to_vec());
    }
}

#[test]
fn shards_of_every_kind_of_function_merge_to_the_whole_in_any_order_and_with_repeats() {
    let dir = tempfile::tempdir().unwrap();
    everything(dir.path());
    let options = ScanOptions::default();
    let whole = by_library(dir.path(), None, &options);
    for part in
        ["varied/packed/orders.zip", "varied/yarn/packages/fn", "varied/sam/code", "varied/ts", "made/", "fixtures/"]
    {
        assert!(whole.functions.iter().any(|f| f.path.starts_with(part)), "{part}");
    }
    assert!(whole.functions.iter().any(|f| !f.unreached.is_empty()));
    let mut random = Random(3);
    for count in [1, 2, 3, 7] {
        let cache: Arc<dyn Store> = Arc::new(Shelf::default());
        let cached = ScanOptions { cache: Some(cache), ..ScanOptions::default() };
        let mut parts: Vec<Inventory> = (0..count)
            .map(|index| {
                by_library(dir.path(), Shard::new(index, count), if index % 2 == 0 { &options } else { &cached })
            })
            .collect();
        assert!(parts.iter().filter(|p| !p.functions.is_empty()).count() as u32 >= count.min(3));
        for _ in 0..3 {
            parts.push(parts[random.below(parts.len())].clone());
        }
        for at in (1..parts.len()).rev() {
            parts.swap(at, random.below(at + 1));
        }
        // Two by two, as a tree of merges would, or all at once.
        let (left, right) = parts.split_at(parts.len() / 2);
        let mut merger = Merger::default();
        if count % 2 == 1 {
            for part in [left, right] {
                merger.add(merged(part, true)).unwrap();
            }
        } else {
            parts.iter().for_each(|part| merger.add(part.clone()).unwrap());
        }
        same(&bytes(&inventory(merger.finish(false))), &bytes(&whole), &format!("{count} shards"));
    }
}

fn merged(parts: &[Inventory], partial: bool) -> Inventory {
    let mut merger = Merger::default();
    parts.iter().for_each(|part| merger.add(part.clone()).unwrap());
    inventory(merger.finish(partial))
}

fn inventory(merged: Merged) -> Inventory {
    let mut inventory = Inventory {
        functions: merged.functions.collect(),
        packages: merged.rest.packages.collect(),
        files: merged.rest.files,
        parts: merged.rest.parts,
        diagnostics: merged.rest.diagnostics,
        ..Inventory::empty()
    };
    inventory.sort();
    inventory
}

/// What may happen to a fleet between two scans: a file changes, comes, goes, or moves. Names are those that somebody looks for.
fn mutate(root: &Path, random: &mut Random) -> String {
    let mut files: Vec<PathBuf> = Vec::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    let file = files[random.below(files.len())].clone();
    let other = &files[random.below(files.len())];
    let beside = |name: &str| file.parent().unwrap().join(name);
    let says = match random.below(9) {
        0 => {
            let more = match file.extension().and_then(|e| e.to_str()) {
                Some("py") => "\nimport yaml, not_there, part_1\n",
                Some("js" | "ts" | "mjs") => "\nimport 'lib'; import './later'; import axios from 'axios'; axios();\n",
                Some("txt") => "\nredis==5.0.1\n",
                _ => "\n",
            };
            let text = [fs::read(&file).unwrap(), more.as_bytes().to_vec()].concat();
            fs::write(&file, text).unwrap();
            "longer"
        }
        1 => {
            let text = fs::read(&file).unwrap();
            fs::write(&file, &text[..text.len() * 2 / 3]).unwrap();
            "cut off"
        }
        2 => {
            fs::remove_file(&file).unwrap();
            "gone"
        }
        3 => {
            fs::rename(&file, beside(&format!("old-{}", file.file_name().unwrap().to_string_lossy()))).unwrap();
            "moved"
        }
        4 => {
            fs::copy(other, beside(&other.file_name().unwrap().to_string_lossy())).unwrap();
            "beside it a copy of another"
        }
        5 => {
            let text = fs::read(other).unwrap();
            if other.extension() == file.extension() {
                fs::write(&file, text).unwrap();
            }
            "as another"
        }
        6 => {
            let new = [
                ("json.py", "import another\n"),
                ("__init__.py", ""),
                ("requirements.txt", "requests==2.31.0\nflask>=2\n"),
                ("pylock.dev.toml", "lock-version = \"1.0\"\ncreated-by = \"x\"\npackages = []\n"),
                ("package.json", "{\"name\": \"lib\", \"dependencies\": {\"axios\": \"1.0.0\"}}"),
                ("tsconfig.json", "{\"compilerOptions\": {\"baseUrl\": \".\"}}"),
                ("later.js", "require('ms');"),
                ("lambda_function.py", "import json\ndef lambda_handler(event, context): pass\n"),
                (
                    "warmset.toml",
                    "[[function]]\nname = \"new\"\npath = \".\"\nruntime = \"python3.10\"\nhandler = \"x.y\"\n",
                ),
                ("cdk.json", "{}"),
            ];
            let (name, text) = new[random.below(new.len())];
            fs::write(beside(name), text).unwrap();
            name
        }
        7 => {
            archive(
                &beside("extra.zip"),
                &[("index.js", "exports.handler = async () => require('axios');"), ("more.js", "require('ms')")],
            );
            "extra.zip"
        }
        _ => {
            let dir = file.parent().unwrap();
            if dir != root && dir.parent() != Some(root) {
                fs::rename(dir, dir.with_file_name("elsewhere")).ok();
            }
            "its folder elsewhere"
        }
    };
    format!("{}: {says}", file.strip_prefix(root).unwrap().display())
}

/// xorshift64*, as in the generated fleets.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n as u64).unwrap()
    }
}

/// `WARMSET_TEST_STEPS` asks for more steps than CI takes, `WARMSET_TEST_SEED` for others.
#[test]
fn whatever_changes_between_scans_a_cache_changes_nothing() {
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    let mut random = Random(number("WARMSET_TEST_SEED", 17));
    let dir = tempfile::tempdir().unwrap();
    everything(dir.path());
    let shelf = Arc::new(Shelf::default());
    let cache: Arc<dyn Store> = Arc::<Shelf>::clone(&shelf);
    let (plain, cached) = (ScanOptions::default(), ScanOptions { cache: Some(cache), ..ScanOptions::default() });
    let mut what = "at first".to_string();
    for step in 0..number("WARMSET_TEST_STEPS", 20) {
        let expected = by_library(dir.path(), None, &plain);
        let expected = bytes(&expected);
        same(&bytes(&by_library(dir.path(), None, &cached)), &expected, &format!("step {step}: {what}"));
        let (before, groups) = (shelf.hits.load(Ordering::Relaxed), shelf.kept.lock().unwrap().len());
        same(&bytes(&by_library(dir.path(), None, &cached)), &expected, &format!("step {step}, again: {what}"));
        assert!(shelf.hits.load(Ordering::Relaxed) > before && groups > 0, "the cache serves");
        assert_eq!(shelf.kept.lock().unwrap().len(), groups, "nothing new: {what}");
        // Some of it gets lost.
        shelf.kept.lock().unwrap().retain(|_, _| random.below(10) > 0);
        what = mutate(dir.path(), &mut random);
    }
}

#[test]
fn two_runs_at_once_with_one_cache_come_to_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (root, cache) = (dir.path().join("fleet"), dir.path().join("cache"));
    everything(&root);
    let expected = scan(&root, &[], "");
    for round in ["cold", "warm"] {
        std::thread::scope(|scope| {
            let runs: Vec<_> = (0..3).map(|_| scope.spawn(|| scan(&root, &["--cache", text(&cache)], ""))).collect();
            runs.into_iter().for_each(|run| same(&run.join().unwrap(), &expected, round));
        });
        // One of the packs goes while others stay.
        let mut packs: Vec<PathBuf> = fs::read_dir(&cache).unwrap().map(|e| e.unwrap().path()).collect();
        packs.sort();
        fs::remove_file(&packs[0]).unwrap();
    }
    same(&scan(&root, &["--cache", text(&cache)], ""), &expected, "a part of the cache is gone");
    fs::write(root.join("new_function.py"), "").unwrap();
    fs::create_dir_all(root.join("added")).unwrap();
    fs::write(root.join("added/lambda_function.py"), "import json\ndef lambda_handler(e, c): pass\n").unwrap();
    let added = scan(&root, &[], "");
    assert_ne!(added, expected);
    same(&scan(&root, &["--cache", text(&cache)], ""), &added, "with a function more");
}

#[test]
fn resolved_locks_and_pins_do_not_depend_on_shards_either() {
    let dir = tempfile::tempdir().unwrap();
    everything(&dir.path().join("fleet"));
    let (root, pins) = (dir.path().join("fleet"), dir.path().join("requirements.txt"));
    fs::write(&pins, "flask==2.3.0\nredis==5.0.0\nlib-1==1.1.0\nwerkzeug==3.0.0\n").unwrap();
    let more = ["--pins", text(&pins), "--python", "3.10"];
    let whole = scan(&root, &more, "");
    assert_ne!(whole, scan(&root, &["--python", "3.10"], ""), "the pins are used");
    let mut all = Vec::new();
    for shard in ["2/3", "0/3", "1/3"] {
        let part = scan(&root, &[&more[..], &["--shard", shard]].concat(), "");
        let file = dir.path().join(shard.replace('/', "-"));
        fs::write(&file, part).unwrap();
        all.push(text(&file).to_string());
    }
    let args: Vec<&str> = ["merge"].into_iter().chain(all.iter().map(String::as_str)).collect();
    same(&warmset(&args, "").stdout, &whole, "shards with pins");
}

#[test]
fn archives_by_path_are_what_they_are_in_the_fleet() {
    let dir = tempfile::tempdir().unwrap();
    varied(&dir.path().join("all"));
    let root = dir.path().join("fleet");
    fs::create_dir_all(&root).unwrap();
    fs::rename(dir.path().join("all/packed"), root.join("packed")).unwrap();
    let whole = scan(&root, &[], "");
    let parsed: Value = serde_json::from_slice(&whole).unwrap();
    let states: Vec<&str> =
        parsed["functions"].as_array().unwrap().iter().map(|f| f["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["locked", "locked"]);
    let list = "packed/orders.zip\npacked/mail.zip\n";
    same(&scan(&root, &["--stdin"], list), &whole, "archives by path");
    let records = warmset(&["scan", text(&root), "--stdin", "--format", "jsonl"], list).stdout;
    same(&warmset(&["merge", "-"], &String::from_utf8(records).unwrap()).stdout, &whole, "as a stream");
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
