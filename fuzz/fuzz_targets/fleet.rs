//! A whole fleet, from declarations to the inventory. Lines that start with `@@ ` name a file; what follows is its text.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use warmset::resolve::{ScanOptions, scan_tree};

const MARK: &str = "@@ ";

fuzz_target!(|input: &str| -> Corpus {
    let mut files: Vec<(&str, &[u8])> = Vec::new();
    for part in input.split("\n@@ ") {
        let (path, text) = part.split_once('\n').unwrap_or((part, ""));
        files.push((path.strip_prefix(MARK).unwrap_or(path), text.as_bytes()));
    }
    let Some(tree) = warmset_fuzz::tree(&files) else { return Corpus::Reject };
    let inventory = scan_tree(&tree, &ScanOptions::default(), &|_| {});
    warmset_fuzz::check_inventory(&inventory);
    for (file, text) in &files {
        let lines = if file.ends_with(".ipynb") { u32::MAX } else { warmset_fuzz::lines(text) + 1 };
        warmset_fuzz::check_diagnostics(&inventory.diagnostics, file, lines);
    }
    if input.len().is_multiple_of(4) {
        assert_eq!(inventory, scan_tree(&tree, &ScanOptions::default(), &|_| {}));
    }
    Corpus::Keep
});
