//! Every lock reader, and the walk to a closure. The first line of the input names the kind: `poetry`, `pnpm` …

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use warmset::lock::{self, Kind, closure};
use warmset::model::{Language, Platform};

fuzz_target!(|input: &str| -> Corpus {
    let Some((kind, text)) = input.split_once('\n') else { return Corpus::Reject };
    let Some(kind) = Kind::parse(kind) else { return Corpus::Reject };
    // A file that includes itself is the shortest circle.
    let read = lock::read(kind, "lock", text, &mut |_| Ok(text.to_string()));
    // YAML ends lines at carriage returns too.
    let lines = u32::try_from(text.matches(['\n', '\r']).count()).unwrap_or(u32::MAX) + 1;
    for entry in &read.entries {
        assert!(entry.line <= lines, "{} at line {} of {lines}", entry.id, entry.line);
        for edge in entry.requires.iter().flatten() {
            assert!(edge.to.iter().all(|to| *to < read.entries.len()), "an edge of {} leads nowhere", entry.id);
        }
    }
    for diagnostic in &read.diagnostics {
        assert!(diagnostic.place.line <= lines, "{diagnostic:?}");
    }
    let version = if kind.language() == Language::Python { "3.12" } else { "20" };
    let platform = Platform::linux(kind.language(), version);
    for roots in read.importers.values() {
        let closure = closure::closure(&read, roots, &[], &platform);
        for (id, reached) in &closure.packages {
            assert_eq!(&read.entries[reached.entry].id, id);
        }
    }
    Corpus::Keep
});
