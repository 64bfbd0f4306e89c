//! A trace as single calls in time, for replaying it, scaled to what a machine carries.
//!
//! Formats, told apart by their column names:
//! - `function,time`: one call a row, seconds from any zero;
//! - Azure Functions 2021 (`app,func,end_timestamp,duration`): a call starts `duration` before its end;
//! - Azure Functions 2019 (`HashFunction,…,1,2,…,1440`): the calls of a minute are spread evenly over it.

use std::collections::{BTreeMap, BTreeSet};

use super::sheet::{Names, Sheet, report, text};
use crate::model::Diagnostic;

/// More calls than a day of all of Azure Functions 2021 has, by ten times.
const MOST_CALLS: usize = 20_000_000;

/// One call.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Seconds from the first call of the trace.
    pub at_s: f64,
    /// The function, by its place among those of the fleet.
    pub function: usize,
}

/// Calls in the order in which they come.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Sorted by time.
    pub calls: Vec<Call>,
    /// Seconds from the first to the last.
    pub span_s: f64,
    /// Where it comes from and how it was scaled, in words.
    pub describes: String,
}

/// How a trace is made to fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// Seconds that the whole is to take; its own time otherwise.
    pub span_s: Option<f64>,
    /// Most calls to make: evenly chosen among all.
    pub most: Option<usize>,
    /// Seconds of the trace's own time that an instance stays warm after a call: calls that it would serve are left out,
    /// as they load nothing. `None` makes every call a start.
    pub keep_alive_s: Option<f64>,
}

/// A call as the trace has it: start in seconds, and name.
type Raw = (f64, String);

/// The calls, and which format they are in.
fn calls(file: &str, bytes: &[u8], names: &Names<'_>) -> Result<(Vec<Raw>, &'static str), Diagnostic> {
    let sheet = Sheet::read(file, bytes)?;
    let column = |name: &str| sheet.column(name);
    let mut calls = Vec::new();
    if let (Some(func), Some(end), Some(duration)) = (column("func"), column("end_timestamp"), column("duration")) {
        let app = column("app");
        for row in &sheet.rows {
            // A function's name is its own within its application only; the fleet's names are the fleet's.
            let name = match (text(row, func), app) {
                (name, Some(app)) if names.get(&name).is_none() => format!("{}/{name}", text(row, app)),
                (name, _) => name,
            };
            calls.push((sheet.number(row, end)? - sheet.number(row, duration)?, name));
        }
        return Ok((calls, "azure-2021"));
    }
    if let (Some(func), Some(_)) = (column("HashFunction"), column("1")) {
        let minutes: Vec<usize> = (1..=1440).map_while(|m| column(&m.to_string())).collect();
        for row in &sheet.rows {
            for (minute, &at) in minutes.iter().enumerate() {
                let count = sheet.number(row, at)? as usize;
                if calls.len().saturating_add(count) > MOST_CALLS {
                    return Err(sheet.invalid(row, format!("the trace has more than {MOST_CALLS} calls")));
                }
                let start = |k: usize| 60.0 * (minute as f64 + (k as f64 + 0.5) / count as f64);
                calls.extend((0..count).map(|k| (start(k), text(row, func))));
            }
        }
        return Ok((calls, "azure-2019"));
    }
    if let (Some(func), Some(time)) = (column("function"), column("time")) {
        for row in &sheet.rows {
            calls.push((sheet.number(row, time)?, text(row, func)));
        }
        return Ok((calls, "times"));
    }
    Err(sheet.unknown())
}

/// Reads a trace and makes it fit a fleet whose functions have these ids, sorted.
///
/// Names match as in [`super::trace::apply`]. Where none does, as in published traces, the function that the trace calls
/// most stands for the first of the fleet, and so on in turn; `describes` says so.
///
/// # Errors
/// When the file is no trace.
pub fn read(file: &str, bytes: &[u8], ids: &[&str], fit: Fit) -> Result<(Schedule, Vec<Diagnostic>), Diagnostic> {
    let names = Names::new(ids.iter().copied());
    let (mut calls, format) = calls(file, bytes, &names)?;
    calls.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
    let mut describes = format!("{format} trace");
    let strangers: BTreeSet<&str> = calls.iter().map(|c| c.1.as_str()).filter(|n| names.get(n).is_none()).collect();
    let mut diagnostics = Vec::new();
    let none_is_known = calls.iter().all(|c| strangers.contains(c.1.as_str())) && !calls.is_empty() && !ids.is_empty();
    let whose: BTreeMap<String, usize> = if none_is_known {
        describes.push_str(", its functions by number of calls in place of the fleet's");
        by_rank(&calls, ids.len())
    } else {
        let unknown: Vec<&str> = strangers.iter().copied().collect();
        diagnostics.extend(report(file, &unknown, "names in the trace match no function, or more than one"));
        calls.iter().filter_map(|c| Some((c.1.clone(), names.get(&c.1)?))).collect()
    };
    let mut kept: Vec<Call> =
        calls.iter().filter_map(|(at, name)| whose.get(name).map(|&function| Call { at_s: *at, function })).collect();
    if let Some(idle) = fit.keep_alive_s {
        kept = starts(kept, idle);
        describes.push_str(&format!(", instances kept {idle} s"));
    }
    if let Some(most) = fit.most.filter(|most| *most < kept.len()) {
        describes.push_str(&format!(", {most} of {} calls", kept.len()));
        let all = kept.len();
        // Evenly, so that bursts and quiet hours keep their share.
        kept = (0..most).map(|k| kept[k * all / most].clone()).collect();
    }
    let first = kept.first().map_or(0.0, |c| c.at_s);
    let span = kept.last().map_or(0.0, |c| c.at_s - first);
    let factor = fit.span_s.filter(|_| span > 0.0).map_or(1.0, |wanted| wanted / span);
    if factor != 1.0 {
        describes.push_str(&format!(", {span:.0} s in {:.0} s", span * factor));
    }
    kept.iter_mut().for_each(|call| call.at_s = (call.at_s - first) * factor);
    Ok((Schedule { calls: kept, span_s: span * factor, describes }, diagnostics))
}

fn by_rank(calls: &[Raw], functions: usize) -> BTreeMap<String, usize> {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    calls.iter().for_each(|(_, name)| *count.entry(name).or_default() += 1);
    let mut ranked: Vec<(&str, usize)> = count.into_iter().collect();
    ranked.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    ranked.into_iter().enumerate().map(|(rank, (name, _))| (name.to_string(), rank % functions)).collect()
}

/// The calls that find no idle instance: each call keeps its function's warm for a while.
fn starts(calls: Vec<Call>, idle_s: f64) -> Vec<Call> {
    let mut last: BTreeMap<usize, f64> = BTreeMap::new();
    calls
        .into_iter()
        .filter(|call| last.insert(call.function, call.at_s).is_none_or(|l| call.at_s > l + idle_s))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Fit = Fit { span_s: None, most: None, keep_alive_s: None };

    fn schedule(text: &str, ids: &[&str], fit: Fit) -> Vec<(f64, usize)> {
        read("t.csv", text.as_bytes(), ids, fit).unwrap().0.calls.iter().map(|c| (c.at_s, c.function)).collect()
    }

    #[test]
    fn calls_come_in_order_and_count_from_the_first() {
        let text = "time,function\n12,api\n10,shop/cart\n11.5,cart\n";
        assert_eq!(schedule(text, &["api", "shop/cart"], ALL), [(0.0, 1), (1.5, 1), (2.0, 0)]);
    }

    #[test]
    fn a_call_of_2021_starts_before_its_end_and_a_minute_of_2019_is_spread() {
        let text = "app,func,end_timestamp,duration\na,f,10,4\na,g,8,1\n";
        assert_eq!(schedule(text, &["f", "g"], ALL), [(0.0, 0), (1.0, 1)]);
        // Two calls in minute 1 stand at 15 s and 45 s, one in minute 2 at 90 s.
        let text = "HashOwner,HashApp,HashFunction,Trigger,1,2\no,a,f,http,2,1\n";
        assert_eq!(schedule(text, &["f"], ALL), [(0.0, 0), (30.0, 0), (75.0, 0)]);
    }

    #[test]
    fn strangers_stand_for_the_fleets_functions_by_rank_only_where_all_are_strangers() {
        let text = "function,time\nx,0\ny,1\ny,2\nz,3\n";
        // y is called most, then x and z by name; with two functions z is the first again.
        assert_eq!(schedule(text, &["a", "b"], ALL), [(0.0, 1), (1.0, 0), (2.0, 0), (3.0, 0)]);
        let (kept, said) = read("t.csv", text.as_bytes(), &["x", "b"], ALL).unwrap();
        assert_eq!(kept.calls.len(), 1);
        assert!(said[0].reason.starts_with("2 names in the trace match no function"), "{said:?}");
    }

    #[test]
    fn functions_of_two_applications_are_two_whatever_they_are_called() {
        // The names repeat in other applications: f of a is called twice, f of b and g of a once.
        let text = "app,func,end_timestamp,duration\na,f,1,1\nb,f,2,1\na,f,3,1\na,g,4,1\n";
        assert_eq!(schedule(text, &["x", "y", "z"], ALL), [(0.0, 0), (1.0, 2), (2.0, 0), (3.0, 1)]);
        assert_eq!(schedule(text, &["f", "g"], ALL), [(0.0, 0), (1.0, 0), (2.0, 0), (3.0, 1)]);
    }

    #[test]
    fn scaling_keeps_the_pattern() {
        let text = "function,time\nf,100\nf,110\nf,120\nf,140\n";
        let half = schedule(text, &["f"], Fit { span_s: Some(20.0), ..ALL });
        assert_eq!(half, [(0.0, 0), (5.0, 0), (10.0, 0), (20.0, 0)]);
        // Every second call: the first and the third.
        assert_eq!(schedule(text, &["f"], Fit { most: Some(2), ..ALL }), [(0.0, 0), (20.0, 0)]);
        // Ten seconds later an instance is still there, twenty seconds later it is not.
        assert_eq!(schedule(text, &["f"], Fit { keep_alive_s: Some(15.0), ..ALL }), [(0.0, 0), (40.0, 0)]);
    }

    #[test]
    fn what_is_no_trace_is_refused() {
        assert_eq!(read("t.csv", b"a,b\n1,2\n", &["f"], ALL).unwrap_err().code, "trace-invalid");
        assert_eq!(read("t.csv", b"function,time\nf,soon\n", &["f"], ALL).unwrap_err().place.line, 2);
        let text = b"HashFunction,1\nf,3\nf,99999999999999999999\n";
        let endless = read("t.csv", text, &["f"], ALL).unwrap_err();
        assert!(endless.place.line == 3 && endless.reason.contains("more than 20000000 calls"), "{endless:?}");
        assert!(read("t.csv", b"function,time\n", &["f"], ALL).unwrap().0.calls.is_empty());
    }
}
