//! Artefacts that other tools may write: inventories, plans, costs, traces, pins, resolved locks. What is read can be
//! written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use warmset::cost::{self, trace};
use warmset::model::read;
use warmset::resolve::Pins;
use warmset::resolve::relock::Locks;

fuzz_target!(|input: &str| {
    let lines = warmset_fuzz::lines(input.as_bytes());
    let check = |diagnostic: warmset::model::Diagnostic| warmset_fuzz::check_diagnostics(&[diagnostic], "f", lines);
    match read::inventory("f", input) {
        Ok(inventory) => {
            let text = warmset::emit::json::text(&inventory);
            let again = read::inventory("f", &text).expect("it was written by warmset");
            assert_eq!((&again.functions, &again.packages), (&inventory.functions, &inventory.packages));
            let (costs, _) = cost::resolve(&inventory, None, None);
            let text = warmset::emit::json::text(&costs);
            cost::read("f", &text).expect("it was written by warmset");
        }
        Err(diagnostic) => check(diagnostic),
    }
    match read::plan("f", input) {
        Ok(plan) => {
            let text = warmset::emit::json::text(&plan);
            let again = read::plan("f", &text).expect("it was written by warmset");
            assert_eq!(warmset::emit::json::text(&again), text);
        }
        Err(diagnostic) => check(diagnostic),
    }
    match cost::read("f", input) {
        Ok(costs) => {
            let text = warmset::emit::json::text(&costs);
            let again = cost::read("f", &text).expect("it was written by warmset");
            assert_eq!(warmset::emit::json::text(&again), text);
        }
        Err(diagnostic) => check(diagnostic),
    }
    match trace::read("f", input.as_bytes(), trace::KeepAlive::default()) {
        Ok(_) => {}
        Err(diagnostic) => check(diagnostic),
    }
    warmset_fuzz::check_diagnostics(&Pins::default().add("f", input), "f", lines);
    let (record, text) = input.split_once("\n@@\n").unwrap_or((input, ""));
    let _ = Locks::default().add("f", record, text);
});
