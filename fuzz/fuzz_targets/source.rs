//! Every reader of source code, notebooks among it. The first line of the input is the file's name, for JavaScript and
//! TypeScript with a number after it whose bits are compiler options; the rest may be any bytes.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use warmset::source;
use warmset::source::javascript::{Compile, Jsx};

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((head, bytes)) = warmset_fuzz::head(input) else { return Corpus::Reject };
    let (file, bits) = head.split_once(' ').unwrap_or((head, "0"));
    let (true, Ok(bits)) = (source::is_source(file) || source::is_notebook(file), bits.parse::<u8>()) else {
        return Corpus::Reject;
    };
    let bit = |n: u8| bits >> n & 1 == 1;
    let options = Compile {
        verbatim: bit(0),
        keep_names: bit(1),
        keep_statements: bit(2),
        decorator_metadata: bit(3),
        jsx: [Jsx::Classic, Jsx::Automatic, Jsx::AutomaticDev, Jsx::Classic][usize::from(bits >> 4 & 3)],
        jsx_source: bit(6).then(|| "preact".to_string()),
        jsx_factory: bit(7).then(|| "h".to_string()),
    };
    let found = source::imports_with(file, bytes, &options);
    // The lines of a notebook's cells are strings in its JSON.
    let lines = if source::is_notebook(file) { u32::MAX } else { warmset_fuzz::lines(bytes) + 1 };
    warmset_fuzz::check_diagnostics(&found.diagnostics, file, lines);
    for import in &found.imports {
        assert!(import.line <= lines, "{import:?} of {lines}");
    }
    for (import, (from, below)) in &found.only_on {
        assert!(*import < found.imports.len() && from <= below, "{import} of {found:?}");
    }
    if bytes.len().is_multiple_of(8) {
        assert_eq!(found, source::imports_with(file, bytes, &options));
    }
    Corpus::Keep
});
