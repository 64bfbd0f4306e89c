//! Artefacts that other tools may write: inventories, plans, traces. What is read can be written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use warmset::cost::trace;
use warmset::model::read;

fuzz_target!(|input: &str| {
    if let Ok(inventory) = read::inventory("i.json", input) {
        let text = warmset::emit::json::text(&inventory);
        assert_eq!(read::inventory("i.json", &text).expect("it was written by warmset").functions, inventory.functions);
    }
    if let Ok(plan) = read::plan("p.json", input) {
        let text = warmset::emit::json::text(&plan);
        read::plan("p.json", &text).expect("it was written by warmset");
    }
    let _ = trace::read("t.csv", input.as_bytes(), trace::KeepAlive::default());
});
