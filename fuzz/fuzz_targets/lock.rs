//! Every lock reader, and the walk to a closure. The first line of the input names the kind: `poetry`, `pnpm` …

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use warmset::lock::{self, Kind, UNKNOWN_VERSION, closure};
use warmset::model::{Diagnostic, Place, Platform, codes};

fuzz_target!(|input: &str| -> Corpus {
    let Some((kind, text)) = input.split_once('\n') else { return Corpus::Reject };
    let Some(kind) = Kind::parse(kind) else { return Corpus::Reject };
    // A file that includes itself is the shortest circle. Yarn 1 asks for the manifests of its members.
    let members = [".".to_string(), "a".to_string(), "packages/b".to_string()];
    let read = || {
        let mut left = 8;
        lock::read_workspace(kind, "lock", text, &mut |path| {
            left -= 1;
            if left > 0 { Ok(text.to_string()) } else { Err(Diagnostic::new(codes::INCLUDE_MISSING, Place::file(path), "absent")) }
        }, &members)
    };
    let lock = read();
    let lines = warmset_fuzz::lines(text.as_bytes());
    warmset_fuzz::check_diagnostics(&lock.diagnostics, "lock", lines);
    // What can be written in another way than it is meant: escapes and folded lines. What comes from no registry may have a
    // path as its version.
    let literal = !text.contains(['\\', '%']);
    let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    for entry in &lock.entries {
        assert!(entry.id.is_sound(), "{:?}", entry.id);
        assert!(entry.line <= lines, "{} at line {} of {lines}", entry.id, entry.line);
        // npm readers write a space as an address does.
        let version: String = entry.id.version.replace("%20", "").chars().filter(|c| !c.is_whitespace()).collect();
        let written = !literal || entry.source.is_some() || version == UNKNOWN_VERSION || plain.contains(&version);
        assert!(written, "{} has a version that nobody wrote", entry.id);
        for edge in entry.requires.iter().flatten() {
            assert!(edge.line <= lines, "{edge:?}");
            assert!(edge.to.iter().all(|to| *to < lock.entries.len()), "an edge of {} leads nowhere", entry.id);
        }
    }
    let versions: [&str; 2] = if kind.language() == warmset::model::Language::Python { ["3.9", "3.12"] } else { ["20", "22"] };
    let glibc = Platform::linux(kind.language(), versions[0]);
    let musl = Platform { arch: "aarch64".into(), libc: "musl".into(), ..Platform::linux(kind.language(), versions[1]) };
    for platform in [glibc, musl] {
        for roots in lock.importers.values() {
            let closure = closure::closure(&lock, roots, &["dev".to_string()], &platform);
            for (id, reached) in &closure.packages {
                assert_eq!(&lock.entries[reached.entry].id, id);
                for required in reached.requires.iter().flatten() {
                    assert!(closure.packages.contains_key(required), "{id} requires {required}, which is not reached");
                }
            }
            closure::incompatible(&lock, &closure, &platform);
        }
    }
    // Not every time: it halves the speed.
    if text.len().is_multiple_of(8) {
        assert_eq!(format!("{lock:?}"), format!("{:?}", read()));
    }
    Corpus::Keep
});
