//! The bytes of a zip archive: its listing, every file in it, and the fleet that it is.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::{Corpus, fuzz_target};
use warmset::discover::Tree;
use warmset::discover::archive::{Archive, Bytes};
use warmset::resolve::{ScanOptions, scan_tree};

const LIMIT: u64 = 100_000;

fuzz_target!(|input: &[u8]| -> Corpus {
    let Ok((archive, complaints)) = Archive::open(Bytes::Memory(Arc::from(input))) else { return Corpus::Keep };
    assert!(complaints.iter().all(|(_, reason)| !reason.is_empty() && reason.len() < 500));
    let files: Vec<(String, u64)> = archive.files().map(|(path, size)| (path.to_string(), size)).collect();
    for (path, size) in &files {
        let inside = path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
        assert!(inside && !path.contains(['\0', '\n', '\\']), "{path:?}");
        if let Ok(bytes) = archive.read(path, LIMIT) {
            assert!(bytes.len() as u64 == *size && *size <= LIMIT, "{path} has {} bytes and says {size}", bytes.len());
        }
    }
    let template: &[u8] = b"Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties: {CodeUri: a.zip, Handler: app.handler, Runtime: python3.12}\n";
    let tree = Tree::in_memory(&[("a.zip", input), ("template.yaml", template)]);
    let inventory = scan_tree(&tree, &ScanOptions::default(), &|_| {});
    warmset_fuzz::check_inventory(&inventory);
    assert!(inventory.functions.iter().any(|f| f.id == "F"), "the declared function is gone");
    if input.len().is_multiple_of(8) {
        assert_eq!(inventory, scan_tree(&tree, &ScanOptions::default(), &|_| {}));
    }
    Corpus::Keep
});
