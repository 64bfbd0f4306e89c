//! A kept result that was changed: a scan that finds it comes to an inventory all the same, and to the right one where
//! nothing was changed after all. The input is a list of changes: place (two bytes), length, new bytes.

#![no_main]

use std::sync::{Arc, Mutex, OnceLock};

use libfuzzer_sys::{Corpus, fuzz_target};
use warmset::discover::Tree;
use warmset::model::Inventory;
use warmset::resolve::{Key, ScanOptions, Store, scan_tree};

const FLEET: &[(&str, &[u8])] = &[
    ("f/app.py", b"import six\nimport helper\n\ndef lambda_handler(event, context):\n    return 1\n"),
    ("f/helper.py", b"import missing\n"),
    ("f/requirements.txt", b"six==1.16.0\n"),
];

/// Whatever is asked for, this is it.
#[derive(Debug)]
struct Held(Mutex<Vec<u8>>);

impl Store for Held {
    fn get(&self, _: &Key) -> Option<Vec<u8>> {
        let bytes = self.0.lock().expect("nobody panics with it");
        (!bytes.is_empty()).then(|| bytes.clone())
    }

    fn put(&self, _: Key, bytes: &[u8]) {
        *self.0.lock().expect("nobody panics with it") = bytes.to_vec();
    }
}

fn scan(held: &Arc<Held>) -> Inventory {
    let options = ScanOptions { cache: Some(Arc::clone(held) as Arc<dyn Store>), ..ScanOptions::default() };
    scan_tree(&Tree::in_memory(FLEET), &options, &|_| {})
}

fuzz_target!(|input: &[u8]| -> Corpus {
    static RIGHT: OnceLock<(Vec<u8>, Inventory)> = OnceLock::new();
    let (kept, right) = RIGHT.get_or_init(|| {
        let held = Arc::new(Held(Mutex::default()));
        let right = scan(&held);
        let kept = held.0.lock().expect("nobody panics with it").clone();
        assert!(!kept.is_empty());
        (kept, right)
    });
    let mut bytes = kept.clone();
    let mut rest = input;
    while let [a, b, length, new @ ..] = rest {
        let at = usize::from(u16::from_le_bytes([*a, *b])) % (bytes.len() + 1);
        let new = &new[..new.len().min(usize::from(*length))];
        let end = bytes.len().min(at + new.len());
        bytes.splice(at..end, new.iter().copied());
        rest = &rest[3 + new.len()..];
    }
    let same = bytes == *kept;
    let inventory = scan(&Arc::new(Held(Mutex::new(bytes))));
    assert_eq!(inventory.functions.len(), right.functions.len());
    assert!(!same || inventory == *right);
    Corpus::Keep
});
