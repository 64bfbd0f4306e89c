//! Every reader of source code. The first line of the input is the file's name; the rest may be any bytes.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use warmset::source;

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some(end) = input.iter().take(64).position(|b| *b == b'\n') else { return Corpus::Reject };
    let Ok(file) = std::str::from_utf8(&input[..end]) else { return Corpus::Reject };
    if !source::is_source(file) {
        return Corpus::Reject;
    }
    let bytes = &input[end + 1..];
    let found = source::imports(file, bytes);
    // Carriage returns end lines too, and a notebook's cells are lines of their own.
    let most = bytes.iter().filter(|b| matches!(b, b'\n' | b'\r')).count()
        + String::from_utf8_lossy(bytes).matches(['\u{2028}', '\u{2029}']).count()
        + 2;
    for import in &found.imports {
        assert!(import.line as usize <= most, "{import:?}");
    }
    Corpus::Keep
});
