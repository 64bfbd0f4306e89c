//! YAML, JSON and TOML as one kind of tree. What serde_json reads means the same here.

#![no_main]

use libfuzzer_sys::fuzz_target;
use warmset::discover::doc::{self, Node, Value};

fuzz_target!(|input: &str| {
    let lines = warmset_fuzz::lines(input.as_bytes());
    let parsed = doc::parse(input);
    for result in [parsed.clone().map(|node| vec![node]), doc::parse_all(input), doc::parse_toml(input).map(|node| vec![node])] {
        match result {
            Ok(nodes) => nodes.iter().for_each(|node| check(node, lines, 0)),
            Err(error) => {
                assert!(error.line <= lines, "{error:?} of {lines}");
                assert!(!error.reason.is_empty() && error.reason.len() < 1_000);
            }
        }
    }
    if !input.trim_start().starts_with('{') {
        return;
    }
    let Ok(json) = serde_json::from_str::<serde_json::Value>(input) else { return };
    match parsed {
        Ok(node) => assert!(same(&node, &json), "{node:?}\n{json:?}"),
        Err(error) => panic!("{error:?} in {json}"),
    }
});

fn check(node: &Node, lines: u32, depth: usize) {
    assert!((1..=lines).contains(&node.line), "line {} of {lines}", node.line);
    assert!(depth <= 130, "{depth} levels");
    node.items().iter().for_each(|item| check(item, lines, depth + 1));
    for entry in node.entries() {
        assert!((1..=lines).contains(&entry.line), "line {} of {lines}", entry.line);
        check(&entry.value, lines, depth + 1);
        node.get(&entry.key).expect("it is there");
    }
}

/// Whether a tree says what JSON says; of equal keys the last one counts in both.
fn same(node: &Node, json: &serde_json::Value) -> bool {
    use serde_json::Value as Json;
    match (&node.value, json) {
        (Value::Null, Json::Null) => true,
        (Value::Text(text), Json::String(other)) => text == other,
        (Value::Text(text), Json::Bool(flag)) => *text == flag.to_string(),
        (Value::Text(text), Json::Number(number)) => text.parse::<f64>().ok() == number.as_f64(),
        (Value::List(items), Json::Array(others)) => {
            items.len() == others.len() && items.iter().zip(others).all(|(a, b)| same(a, b))
        }
        (Value::Map(entries), Json::Object(others)) => {
            entries.iter().all(|e| others.contains_key(&e.key))
                && others.iter().all(|(key, value)| {
                    entries.iter().rev().find(|e| e.key == *key).is_some_and(|e| same(&e.value, value))
                })
        }
        _ => false,
    }
}
