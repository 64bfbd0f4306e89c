//! What was lost, doubled or failed without a cause: what callers heard beside what was seen of executions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::fleet::Does;
use crate::kill::Kill;

/// How long before a call begins a kill may be to which it falls victim: until the runtime has seen the end.
const SHADOW: Duration = Duration::from_millis(500);

/// What a caller knows of its call.
pub struct Heard {
    pub id: u64,
    pub function: &'static str,
    pub does: Does,
    pub sent: Instant,
    pub ended: Instant,
    /// After its time, by how much it was sent.
    pub late: Duration,
    /// All that came on the connection: status and body, or why there is none.
    pub answer: Result<(u16, Value), String>,
}

/// What was written to the FIFO for a call: who began, and who ended.
#[derive(Debug, Default, Clone)]
pub struct Executions {
    pub begun: Vec<String>,
    pub ended: Vec<String>,
}

/// Findings by kind, the first few in words.
#[derive(Debug, Default)]
pub struct Findings(BTreeMap<&'static str, (usize, Vec<String>)>);

impl Findings {
    pub fn add(&mut self, kind: &'static str, what: String) {
        let of = self.0.entry(kind).or_default();
        of.0 += 1;
        if of.1.len() < 8 {
            of.1.push(what);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn print(&self) {
        for (kind, (count, examples)) in &self.0 {
            println!("FOUND {kind}: {count}");
            examples.iter().for_each(|example| println!("  {example}"));
        }
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or("")
}

/// The outcome that a function has when nothing happens to it.
fn intended(does: Does) -> &'static str {
    match does {
        Does::Returns | Does::Waits | Does::Litters => "ok",
        Does::Raises => "error",
        Does::Exits => "no-answer",
    }
}

/// Holds every call against what was seen of it.
pub fn judge(
    calls: &[Heard],
    seen: &BTreeMap<u64, Executions>,
    kills: &[Kill],
    retries: usize,
    findings: &mut Findings,
) {
    let nothing = Executions::default();
    let mut ids = BTreeSet::new();
    for call in calls {
        let of = seen.get(&call.id).unwrap_or(&nothing);
        let told = match &call.answer {
            Ok((_, told)) => told,
            Err(why) => {
                findings.add("lost: no answer", format!("{} of {}: {why}, {of:?}", call.id, call.function));
                continue;
            }
        };
        let outcome = text(told, "outcome");
        let words = || format!("{} of {}: {of:?} {told}", call.id, call.function);
        if text(told, "function") != call.function || !ids.insert(text(told, "id")) {
            findings.add("answer of another call", words());
        }
        // An attempt that was given up because its host had gone may have begun; so may one that ends so.
        let because = told["because"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let given_up = because.filter(|why| why.contains("the host is gone")).count();
        if given_up > retries {
            findings.add("made again unasked", words());
        }
        let (begun, ended) = (of.begun.len(), of.ended.len());
        let last_may_begin = !matches!(outcome, "setup" | "threads" | "isolation" | "not-deployed");
        if begun > given_up + usize::from(last_may_begin) {
            findings.add("doubled", words());
        }
        // One that has returned, raised or left has begun, and come to its end.
        let is_killed = kills.iter().any(|kill| kill.at + SHADOW >= call.sent && kill.at <= call.ended);
        let is_whole = matches!(outcome, "ok" | "error") || outcome == intended(call.does) && !is_killed;
        if is_whole && (begun == 0 || ended == 0) {
            findings.add("lost: answered without an execution", words());
        }
        if ended > begun || of.ended.iter().any(|nonce| !of.begun.contains(nonce)) {
            findings.add("executions that end without a beginning", words());
        }
        if outcome == "ok" {
            let result = &told["result"];
            if result["id"].as_u64() != Some(call.id) {
                findings.add("answer of another call", words());
            }
            if result["calls"].as_u64() != Some(1) {
                findings.add("state of another call", words());
            }
        }
        if outcome != intended(call.does) && !is_killed {
            findings.add("failed without a kill", words());
        }
    }
    let asked: BTreeSet<u64> = calls.iter().map(|call| call.id).collect();
    for (id, of) in seen {
        if !asked.contains(id) {
            findings.add("execution that nobody asked for", format!("{id}: {of:?}"));
        }
    }
}
