//! Every manifest reader. The first line of the input is the file's name.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use warmset::lock::{self, Kind, Lock, closure};

fuzz_target!(|input: &str| -> Corpus {
    let Some((file, text)) = input.split_once('\n') else { return Corpus::Reject };
    let Some(manifest) = lock::read_manifest(file, text) else { return Corpus::Reject };
    // YAML ends lines at carriage returns too.
    let lines = u32::try_from(text.matches(['\n', '\r']).count()).unwrap_or(u32::MAX) + 1;
    for diagnostic in &manifest.diagnostics {
        assert!(diagnostic.place.line <= lines, "{diagnostic:?}");
    }
    for kind in [Kind::Poetry, Kind::PackageLock] {
        closure::roots_from_manifest(&Lock::empty(kind, "lock"), &manifest);
    }
    Corpus::Keep
});
