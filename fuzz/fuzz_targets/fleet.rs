//! A whole fleet, from declarations to the inventory. Lines that start with `@@ ` name a file; what follows is its text.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use warmset::discover::Tree;
use warmset::resolve::{ScanOptions, scan_tree};

const MARK: &str = "@@ ";

fuzz_target!(|input: &str| -> Corpus {
    let mut files: Vec<(&str, &[u8])> = Vec::new();
    for part in input.split("\n@@ ") {
        let (path, text) = part.split_once('\n').unwrap_or((part, ""));
        let path = path.strip_prefix(MARK).unwrap_or(path);
        let plain = path.split('/').all(|p| !p.is_empty() && p != "." && p != ".." && !p.contains(['\0', '\\']));
        if !plain || files.iter().any(|(other, _)| *other == path || nested(other, path) || nested(path, other)) {
            return Corpus::Reject;
        }
        files.push((path, text.as_bytes()));
    }
    let inventory = scan_tree(&Tree::in_memory(&files), &ScanOptions::default(), &|_| {});
    let mut ids: Vec<&str> = inventory.functions.iter().map(|f| f.id.as_str()).collect();
    ids.dedup();
    assert_eq!(ids.len(), inventory.functions.len(), "two functions of one name");
    let again = scan_tree(&Tree::in_memory(&files), &ScanOptions::default(), &|_| {});
    assert_eq!(inventory, again);
    Corpus::Keep
});

/// Whether one path would have to be a file and a folder at once.
fn nested(file: &str, path: &str) -> bool {
    path.strip_prefix(file).is_some_and(|rest| rest.starts_with('/'))
}
