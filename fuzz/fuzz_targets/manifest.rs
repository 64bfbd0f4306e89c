//! Every manifest reader. The first line of the input is the file's name.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use warmset::lock::npm::overrides;
use warmset::lock::{self, Kind, Lock, closure};
use warmset::model::{Diagnostic, Place, codes};

fuzz_target!(|input: &str| -> Corpus {
    let Some((file, text)) = input.split_once('\n') else { return Corpus::Reject };
    if !lock::is_manifest(file) {
        return Corpus::Reject;
    }
    // A file that includes itself is the shortest circle.
    let read = || {
        let mut left = 8;
        let mut include = |path: &str| {
            left -= 1;
            if left > 0 { Ok(text.to_string()) } else { Err(Diagnostic::new(codes::INCLUDE_MISSING, Place::file(path), "absent")) }
        };
        lock::read_manifest_with(file, text, &mut include).expect("it is one by its name")
    };
    let manifest = read();
    let lines = warmset_fuzz::lines(text.as_bytes());
    warmset_fuzz::check_diagnostics(&manifest.diagnostics, file, lines);
    for requirement in &manifest.requires {
        assert!(requirement.line <= lines, "{requirement:?} of {lines}");
    }
    for kind in [Kind::Poetry, Kind::PackageLock, Kind::Requirements] {
        closure::roots_from_manifest(&Lock::empty(kind, "lock"), &manifest);
    }
    if file == "package.json" {
        overrides::read(text);
    }
    if text.len().is_multiple_of(8) {
        assert_eq!(format!("{manifest:?}"), format!("{:?}", read()));
    }
    Corpus::Keep
});
