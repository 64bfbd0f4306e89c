use proptest::prelude::*;
use proptest::sample::Index;

use crate::discover::Tree;
use crate::model::inventory::RequiresOn;
use crate::model::{Language, PackageId, Platform};
use crate::resolve::{Progress, ScanOptions, Scanner};

use super::*;

fn id(n: usize) -> PackageId {
    PackageId::pypi(&format!("p{n}"), "1")
}

fn on(n: usize) -> Platform {
    Platform::linux(Language::Python, ["3.11", "3.12", "3.13"][n % 3])
}

/// What a lock says that a package needs: nothing is known of it, or one of two sets.
fn said(package: usize, lock: usize) -> Option<Vec<PackageId>> {
    match (package + lock) % 3 {
        0 => None,
        n => Some(vec![id(package + n)]),
    }
}

/// A record as a scan of one package makes it: one function, its closure, what its lock says.
fn record(function: usize) -> Inventory {
    let platform = on(function);
    let mut out = Inventory::empty();
    let mut record = Function::new(format!("f{function}"));
    record.platform = Some(platform.clone());
    record.state = State::Locked;
    for package in (0..6).filter(|p| (function + p).is_multiple_of(2)) {
        record.closure.push(id(package));
        let requires = said(package, function / 2);
        out.packages.push(Package {
            requires,
            hashes: vec![format!("sha256:{package}{}", function % 2)],
            size: (!function.is_multiple_of(3)).then_some(function as u64),
            source: function.is_multiple_of(4).then(|| "git".to_string()),
            reason: vec![Place::at(format!("f{function}/uv.lock"), 1)],
            aliases: BTreeMap::from([("alias".to_string(), id(function % 3))]),
            ..Package::new(id(package))
        });
    }
    out.functions.push(record);
    out.files = FileCounts { seen: function + 2, sources: 2, read: 1 };
    out.parts = vec![Part { part: format!("path f{function}"), files: out.files, ..Part::default() }];
    out.diagnostics = vec![
        Diagnostic::new(codes::IMPORT_MISSING, Place::at(format!("f{function}/a.py"), 3), "x").for_function("f"),
        Diagnostic::new(codes::PINS_INVALID, Place::file("pins"), "the same for all"),
    ];
    out.sort();
    out
}

fn inventory(merged: Merged) -> Inventory {
    Inventory {
        functions: merged.functions.collect(),
        packages: merged.rest.packages.collect(),
        files: merged.rest.files,
        parts: merged.rest.parts,
        diagnostics: merged.rest.diagnostics,
        ..Inventory::empty()
    }
}

fn merge<'a>(records: impl IntoIterator<Item = &'a Inventory>, partial: bool) -> String {
    let mut merger = Merger::default();
    for record in records {
        merger.add(record.clone()).unwrap();
    }
    serde_json::to_string_pretty(&inventory(merger.finish(partial))).unwrap()
}

fn parse(text: &str) -> Inventory {
    serde_json::from_str(text).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any order, any repeats, any way of merging parts first: the same bytes.
    #[test]
    fn how_records_are_split_ordered_and_repeated_does_not_matter(
        order in Just((0..9usize).collect::<Vec<_>>()).prop_shuffle(),
        again in prop::collection::vec(any::<Index>(), 0..5),
        cuts in prop::collection::vec(any::<Index>(), 0..4),
    ) {
        let records: Vec<Inventory> = (0..9).map(record).collect();
        let whole = merge(&records, false);
        let mut given: Vec<&Inventory> = order.iter().map(|at| &records[*at]).collect();
        given.extend(again.iter().map(|at| at.get(&records)));
        prop_assert_eq!(&merge(given.iter().copied(), false), &whole);

        let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(given.len())).collect();
        cuts.extend([0, given.len()]);
        cuts.sort_unstable();
        let parts: Vec<Inventory> =
            cuts.windows(2).map(|w| parse(&merge(given[w[0]..w[1]].iter().copied(), true))).collect();
        prop_assert_eq!(&merge(&parts, false), &whole);
        // A part that is merged once more changes nothing.
        let twice = parts.iter().chain(&parts[..1]).chain(given.iter().copied().take(2));
        prop_assert_eq!(&merge(twice, false), &whole);
    }
}

#[test]
fn requirements_are_told_apart_by_platform_as_a_whole_scan_does() {
    let mut parts = Vec::new();
    for (function, requires) in [(0, Some(1)), (1, Some(2)), (2, None)] {
        let mut one = record(function);
        one.functions[0].closure = vec![id(0)];
        one.packages = vec![Package { requires: requires.map(|n| vec![id(n)]), ..Package::new(id(0)) }];
        parts.push(one);
    }
    let merged = parse(&merge(&parts, false));
    let package = &merged.packages[0];
    assert_eq!(package.requires, Some(vec![id(1), id(2)]));
    let expected = [(0, 1), (1, 2)].map(|(p, n)| RequiresOn { platform: on(p), requires: vec![id(n)] });
    assert_eq!(package.requires_on, expected);
    // Of the third platform nothing is said, and what is said of the first does not become true of it by merging.
    let merged = parse(&merge([&parts[0], &parts[2]], true));
    assert_eq!(merged.packages[0].stated_on, [on(0)]);
    assert_eq!(parse(&merge([&merged, &parts[1]], false)).packages[0].requires_on, expected);
}

#[test]
fn two_records_of_one_function_are_a_finding_and_one_choice() {
    let old = record(1);
    let mut new = record(1);
    new.functions[0].state = State::Pinned;
    let merged = merge([&old, &new], false);
    assert_eq!(merged, merge([&new, &old, &new], false));
    let merged = parse(&merged);
    assert_eq!(merged.functions[0].state, State::Locked, "the one that knows more");
    assert!(merged.diagnostics.iter().any(|d| d.code == "function-differs" && d.function.as_deref() == Some("f1")));
}

#[test]
fn an_inventory_that_is_given_twice_counts_once_and_two_are_added_up() {
    let whole = |n| {
        let one = Inventory { parts: Vec::new(), ..record(n) };
        serde_json::to_string_pretty(&one).unwrap()
    };
    let read = |texts: &[String]| {
        let mut merger = Merger::default();
        for text in texts {
            merger.read("i.json", text.as_bytes()).unwrap();
        }
        inventory(merger.finish(false)).files.seen
    };
    assert_eq!(read(&[whole(1)]), 3);
    assert_eq!(read(&[whole(1), whole(1)]), 3);
    assert_eq!(read(&[whole(1), whole(2)]), 7);
}

#[test]
fn streams_and_inventories_are_told_apart_and_a_broken_line_is_an_error() {
    let lines: Vec<String> = (0..200).map(|n| serde_json::to_string(&record(n)).unwrap()).collect();
    let read = |text: &str| {
        let mut merger = Merger::default();
        merger.read("r.jsonl", text.as_bytes()).map(|()| inventory(merger.finish(false)))
    };
    let stream = read(&lines.join("\n")).unwrap();
    assert_eq!(stream.functions.len(), 200);
    let pretty = serde_json::to_string_pretty(&stream).unwrap();
    assert_eq!(read(&pretty).unwrap().functions, stream.functions);
    assert_eq!(read(&format!("\n{}\n\n", lines[7])).unwrap().functions.len(), 1);
    assert!(read("").unwrap().functions.is_empty());

    let torn = format!("{}\n{}\n{}", lines[0], &lines[1][..90], lines[2]);
    let MergeError::Invalid(diagnostic) = read(&torn).unwrap_err() else { panic!("not read") };
    assert_eq!((diagnostic.code.as_str(), diagnostic.place.to_string()), ("artefact-invalid", "r.jsonl:2".into()));
    for text in ["{}", "[]", "nothing", "{\"schema\": \"warmset.inventory/2\", \"functions\": []}", "{\"schema\": 3}"] {
        assert!(matches!(read(text), Err(MergeError::Invalid(_))), "{text}");
    }
}

/// A fleet in which functions share locks and sources across folders.
fn tangled() -> Tree {
    let lock: &[u8] = br#"{"name": "s", "lockfileVersion": 3, "packages": {
        "": {"dependencies": {"axios": "1.0.0", "pg": "8.0.0"}},
        "node_modules/axios": {"version": "1.0.0", "dependencies": {"ms": "^2.0.0"}},
        "node_modules/ms": {"version": "2.1.0"},
        "node_modules/pg": {"version": "8.0.0"}}}"#;
    let mut files: Vec<(String, Vec<u8>)> =
        vec![("shared/util.js".into(), b"module.exports = require('gone');".to_vec())];
    for service in ["a", "b", "c", "d"] {
        files.push((
            format!("{service}/serverless.yml"),
            b"service: s\nprovider:\n  name: aws\n  runtime: nodejs20.x\nfunctions:\n  one:\n    handler: one.handler\n  two:\n    handler: two.handler\n  gone:\n    handler: gone.handler\n".to_vec(),
        ));
        files.push((
            format!("{service}/package.json"),
            br#"{"dependencies": {"axios": "1.0.0", "pg": "8.0.0"}}"#.to_vec(),
        ));
        files.push((format!("{service}/package-lock.json"), lock.to_vec()));
        let one = "const a = require('axios'); require('../shared/util'); exports.handler = () => a;";
        files.push((format!("{service}/one.js"), one.into()));
        files.push((format!("{service}/two.js"), b"const pg = require('pg'); exports.handler = () => pg;".to_vec()));
        files.push((
            format!("{service}-py/lambda_function.py"),
            b"import six\ndef lambda_handler(event, context): pass\n".to_vec(),
        ));
        files
            .push((format!("{service}-py/requirements.txt"), format!("six==1.1{}\nx>1\n", service.len()).into_bytes()));
    }
    files.push(("broken/template.yaml".into(), b"Resources: [".to_vec()));
    let files: Vec<(&str, &[u8])> = files.iter().map(|(p, b)| (p.as_str(), b.as_slice())).collect();
    Tree::in_memory(&files)
}

#[test]
fn any_number_of_shards_comes_to_the_whole_scan() {
    let options = ScanOptions::default();
    let quiet: &(dyn Fn(Progress) + Sync) = &|_| {};
    for tree in [tangled(), Tree::in_memory(&[("readme.md", b"x"), ("a.py", b"x = 1")])] {
        let whole = serde_json::to_string_pretty(&crate::resolve::scan_tree(&tree, &options, quiet)).unwrap();
        for count in [1, 2, 3, 5, 16] {
            let shards: Vec<Inventory> = (0..count)
                .map(|at| Scanner::new(&tree, &options, Shard::new(at, count), quiet).into_inventory())
                .collect();
            assert_eq!(merge(&shards, false), whole, "{count} shards");
            assert_eq!(merge(shards.iter().rev().chain(&shards[..1]), false), whole, "{count} shards");
            let halves = shards.chunks(2).map(|pair| parse(&merge(pair, true))).collect::<Vec<_>>();
            assert_eq!(merge(&halves, false), whole, "{count} shards in pairs");
        }
        let some = Scanner::new(&tree, &options, Shard::new(1, 3), quiet).into_inventory();
        let some = parse(&merge([&some], false));
        assert!(some.diagnostics.iter().any(|d| d.code == "shard-missing" && d.reason.contains("2 are missing: 0, 2")));
    }
}
