//! Streams of records, one inventory a line: what they come to does not depend on their order or on how they are spread.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use warmset::emit::json;
use warmset::model::read;
use warmset::resolve::Merger;

fuzz_target!(|input: &str| -> Corpus {
    let mut merger = Merger::default();
    if merger.read("records", input.as_bytes()).is_err() {
        return Corpus::Keep;
    }
    let whole = text(merger, false);
    read::inventory("merged", &whole).expect("it was written by warmset");
    let records: Vec<&str> = input.lines().filter(|line| !line.trim().is_empty()).collect();
    // One document over several lines is no stream.
    let mut spread = Merger::default();
    if !records.iter().rev().all(|record| spread.read("record", record.as_bytes()).is_ok()) {
        return Corpus::Keep;
    }
    assert_eq!(whole, text(spread, false), "backwards");
    let mut twice = Merger::default();
    for _ in 0..2 {
        records.iter().for_each(|record| twice.read("record", record.as_bytes()).expect("it was read before"));
    }
    assert_eq!(whole, text(twice, false), "twice");
    let (left, right) = records.split_at(records.len() / 2);
    let mut joined = Merger::default();
    for half in [right, left] {
        let mut part = Merger::default();
        half.iter().for_each(|record| part.read("record", record.as_bytes()).expect("it was read before"));
        joined.read("part", text(part, true).as_bytes()).expect("it was written by warmset");
    }
    assert_eq!(whole, text(joined, false), "in two steps");
    Corpus::Keep
});

fn text(merger: Merger, partial: bool) -> String {
    let merged = merger.finish(partial);
    let (functions, rest) = (merged.functions, merged.rest);
    let mut out = Vec::new();
    json::inventory(&mut out, functions, || rest).expect("memory does not fail");
    String::from_utf8(out).expect("JSON is text")
}
