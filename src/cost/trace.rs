//! Expected cold starts from a trace of calls, through a keep-alive model.
//!
//! Formats, told apart by their column names (columns may come in any order, and more may be there):
//! - `function,count`: calls in the period. Arrivals are taken as Poisson: a call is cold when no other came within the
//!   keep-alive before it, so of `n` calls in a period `P` about `1 + (n − 1)·exp(−n·K/P)` are cold.
//! - Azure Functions 2019 (`HashFunction,…,1,2,…,1440`): calls a minute. A minute with calls is a cold start when none
//!   of the `K` minutes before it had any.
//! - Azure Functions 2021 (`app,func,end_timestamp,duration`, seconds): a call is cold when it starts more than `K`
//!   after the end of every earlier call of its function.

use std::collections::BTreeMap;

use csv::StringRecord;

use super::sheet::{Names, Sheet, report, text};
use crate::model::units::round;
use crate::model::{Diagnostic, Inventory};

/// How long an idle instance is kept, and how long the trace is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeepAlive {
    /// Seconds that an idle instance stays warm.
    pub idle_s: f64,
    /// Seconds that a `function,count` trace covers; the other formats say it themselves.
    pub period_s: f64,
}

impl Default for KeepAlive {
    /// Ten minutes, as providers do by default, over one day.
    fn default() -> Self {
        Self { idle_s: 600.0, period_s: 86_400.0 }
    }
}

/// Expected cold starts by function name as the trace writes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// Cold starts by name.
    pub cold_starts: BTreeMap<String, f64>,
    /// Which format was read, for the plan's `weights` field.
    pub describes: String,
}

/// Reads a trace in any of the formats above.
pub fn read(file: &str, bytes: &[u8], keep: KeepAlive) -> Result<Weights, Diagnostic> {
    let sheet = Sheet::read(file, bytes)?;
    let (column, rows) = (|name: &str| sheet.column(name), &sheet.rows);
    let number = |row: &StringRecord, at: usize| sheet.number(row, at);
    let mut cold: BTreeMap<String, f64> = BTreeMap::new();
    if let (Some(func), Some(end), Some(duration)) = (column("func"), column("end_timestamp"), column("duration")) {
        // A function's name is its own within its application only.
        let app = column("app");
        let mut calls: BTreeMap<(String, String), Vec<(f64, f64)>> = BTreeMap::new();
        for row in rows {
            let (end, duration) = (number(row, end)?, number(row, duration)?);
            let whose = (text(row, func), app.map(|at| text(row, at)).unwrap_or_default());
            calls.entry(whose).or_default().push((end - duration, end));
        }
        for ((function, _), mut calls) in calls {
            calls.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
            *cold.entry(function).or_default() += cold_by_times(&calls, keep.idle_s);
        }
        return Ok(Weights { cold_starts: cold, describes: describe("azure-2021", keep) });
    }
    if let (Some(func), Some(_)) = (column("HashFunction"), column("1")) {
        let minutes: Vec<usize> = (1..=1440).map_while(|m| column(&m.to_string())).collect();
        for row in rows {
            let counts = minutes.iter().map(|&at| number(row, at)).collect::<Result<Vec<f64>, _>>()?;
            *cold.entry(text(row, func)).or_default() += cold_by_minutes(&counts, keep.idle_s / 60.0);
        }
        return Ok(Weights { cold_starts: cold, describes: describe("azure-2019", keep) });
    }
    if let (Some(func), Some(count)) = (column("function"), column("count")) {
        let mut calls: BTreeMap<String, f64> = BTreeMap::new();
        for row in rows {
            *calls.entry(text(row, func)).or_default() += number(row, count)?;
        }
        cold.extend(calls.into_iter().map(|(f, n)| (f, cold_by_count(n, keep))));
        let days = keep.period_s / 86_400.0;
        return Ok(Weights { cold_starts: cold, describes: format!("{} over {days} days", describe("counts", keep)) });
    }
    Err(sheet.unknown())
}

fn describe(format: &str, keep: KeepAlive) -> String {
    format!("{format} trace, idle instances kept {} s", keep.idle_s)
}

/// `1 + (n − 1)·exp(−n·K/P)`: the first call is cold, each later one with the chance that the gap before it exceeds `K`.
fn cold_by_count(calls: f64, keep: KeepAlive) -> f64 {
    if calls <= 0.0 {
        return 0.0;
    }
    // Rounded, as the last digits of `exp` differ between systems.
    let chance = round((-calls * keep.idle_s / keep.period_s).exp(), 9);
    calls.min(1.0) + (calls - 1.0).max(0.0) * chance
}

fn cold_by_minutes(counts: &[f64], keep_minutes: f64) -> f64 {
    let mut last: Option<usize> = None;
    let mut cold = 0.0;
    for (minute, _) in counts.iter().enumerate().filter(|(_, count)| **count > 0.0) {
        if last.is_none_or(|l| (minute - l) as f64 > keep_minutes) {
            cold += 1.0;
        }
        last = Some(minute);
    }
    cold
}

/// Calls as (start, end), sorted by start. Calls that overlap a running one would need a second instance; they are
/// counted as warm, as the trace's own authors do, so this is a lower estimate.
fn cold_by_times(calls: &[(f64, f64)], idle_s: f64) -> f64 {
    let mut latest_end = f64::NEG_INFINITY;
    let mut cold = 0.0;
    for &(start, end) in calls {
        if start > latest_end + idle_s {
            cold += 1.0;
        }
        latest_end = latest_end.max(end);
    }
    cold
}

/// Puts the weights into the inventory. A name matches a function's id, or the last part of it when that is unique.
///
/// A function that the trace does not name was not called: it weighs 0. Names that match nothing are reported.
pub fn apply(inventory: &mut Inventory, weights: &Weights, file: &str) -> Vec<Diagnostic> {
    let names = Names::new(inventory.functions.iter().map(|f| f.id.as_str()));
    let mut found = vec![0.0; inventory.functions.len()];
    let mut named = vec![false; inventory.functions.len()];
    let mut strangers = Vec::new();
    for (name, cold) in &weights.cold_starts {
        match names.get(name) {
            Some(at) => {
                found[at] += cold;
                named[at] = true;
            }
            None => strangers.push(name.as_str()),
        }
    }
    let silent: Vec<&str> =
        inventory.functions.iter().zip(&named).filter(|(_, n)| !**n).map(|(f, _)| f.id.as_str()).collect();
    let diagnostics = [
        report(file, &strangers, "names in the trace match no function, or more than one"),
        report(file, &silent, "functions are not in the trace and weigh nothing"),
    ];
    let diagnostics = diagnostics.into_iter().flatten().collect();
    for (function, weight) in inventory.functions.iter_mut().zip(found) {
        function.weight = weight;
    }
    diagnostics
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cold(text: &str, idle_s: f64) -> BTreeMap<String, f64> {
        read("t.csv", text.as_bytes(), KeepAlive { idle_s, period_s: 86_400.0 }).unwrap().cold_starts
    }

    #[test]
    fn minutes_are_cold_after_a_gap_longer_than_the_keep_alive() {
        let head: Vec<String> = (1..=6).map(|m| m.to_string()).collect();
        // Calls in minutes 1, 2, 5 with two minutes of keep-alive: minute 1 is cold, 2 warm, 5 comes three later: cold.
        let text = format!("HashOwner,HashApp,HashFunction,Trigger,{}\no,a,f,http,3,1,0,0,9,0\n", head.join(","));
        assert_eq!(cold(&text, 120.0)["f"], 2.0);
        assert_eq!(cold(&text, 180.0)["f"], 1.0);
    }

    #[test]
    fn calls_are_cold_when_they_start_after_the_last_end_plus_keep_alive() {
        // Starts 0, 10, 100; ends 5, 30, 101. With 60 s: 100 > 30 + 60, so two are cold. Columns in another order.
        let text = "duration,func,app,end_timestamp\n5,f,a,5\n1,f,a,101\n20,f,a,30\n";
        assert_eq!(cold(text, 60.0)["f"], 2.0);
        assert_eq!(cold(text, 71.0)["f"], 1.0);
    }

    #[test]
    fn functions_of_one_name_in_two_applications_keep_instances_of_their_own() {
        // Both first calls are cold: the instance of a is none of b's.
        let text = "app,func,end_timestamp,duration\na,f,1,1\nb,f,3,1\na,f,5,1\n";
        assert_eq!(cold(text, 60.0), BTreeMap::from([("f".to_string(), 2.0)]));
    }

    #[test]
    fn rare_calls_are_all_cold_and_frequent_ones_hardly_ever() {
        let keep = KeepAlive { idle_s: 600.0, period_s: 86_400.0 };
        assert_eq!(cold_by_count(0.0, keep), 0.0);
        assert_eq!(cold_by_count(1.0, keep), 1.0);
        // 2 calls a day: 1 + exp(−2·600/86400) = 1.98621…
        assert!((cold_by_count(2.0, keep) - 1.986_21).abs() < 1e-4);
        assert!((cold_by_count(100_000.0, keep) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_trace_that_is_none_is_refused_with_its_line() {
        let keep = KeepAlive::default();
        let bad = read("t.csv", b"function,count\na,3\nb,many\n", keep).unwrap_err();
        assert_eq!((bad.code.as_str(), bad.place.line), ("trace-invalid", 3));
        assert_eq!(read("t.csv", b"x,y\n1,2\n", keep).unwrap_err().code, "trace-invalid");
        assert_eq!(read("t.csv", b"", keep).unwrap_err().code, "trace-invalid");
    }
}
