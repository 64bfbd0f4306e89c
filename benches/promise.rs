//! Promise against reality: what a plan says a start is spared and its images take, and what a replay sees of it. The
//! fixture fleet is planned with the prices that ship with warmset, replayed, measured (`warmset measure`), planned again
//! with what was measured, and replayed again. Savings are wall time: compare the two at the same low load only.
//!
//! `cargo bench --bench promise [-- CALLS]` (9 calls of each function unless stated); `--test` takes four functions. As
//! root in full isolation, else with what the user is permitted. Installs packages on the first run. Ends with 1 where a
//! plan's images took more than the budget.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, ExitCode};

use serde_json::Value;

/// Of `--test`: two languages, with and without much to load.
const FEW: [&str; 4] = ["functionbench/matmul", "py-rates-client", "web-catalog", "web-search"];
const BUDGET: &str = "1GiB";

/// Runs warmset and takes what it prints; findings are no failure.
fn warmset(args: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO_BIN_EXE_warmset")).args(args).output().expect("warmset runs");
    assert!(output.status.code().is_some_and(|c| c < 2), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("?").to_string()
}

/// A plan's promise as a replay saw it.
struct Kept {
    /// Promised and saved milliseconds of a start, by function.
    functions: BTreeMap<String, (f64, f64)>,
    promised_ms: f64,
    saved_ms: f64,
    expected_mb: f64,
    most_mb: f64,
    budget_mb: f64,
}

impl Kept {
    fn of(replay: &Value) -> Self {
        let promise = &replay["promise"];
        let number = |of: &Value, key: &str| of[key].as_f64().unwrap_or(f64::NAN);
        let functions = promise["functions"].as_array().into_iter().flatten();
        let one = |f: &Value| {
            (f["function"].as_str().unwrap_or("").to_string(), (number(f, "promised_ms"), number(f, "saved_ms")))
        };
        Self {
            functions: functions.map(one).collect(),
            promised_ms: number(promise, "promised_ms"),
            saved_ms: number(promise, "saved_ms"),
            expected_mb: number(promise, "expected_mb"),
            most_mb: number(promise, "memory_mb"),
            budget_mb: number(promise, "budget_mb"),
        }
    }

    /// `saved / promised - 1`, in per cent.
    fn error(promised: f64, saved: f64) -> f64 {
        100.0 * (saved / promised - 1.0)
    }

    /// Median over functions, without sign.
    fn median_error(&self) -> f64 {
        let mut all: Vec<f64> = self.functions.values().map(|(p, s)| Self::error(*p, *s).abs()).collect();
        all.sort_by(f64::total_cmp);
        let middle = all.len() / 2;
        match all.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => all[middle],
            _ => f64::midpoint(all[middle - 1], all[middle]),
        }
    }

    fn print(&self, name: &str) {
        println!(
            "{name}: {:.1} ms promised for one start of each of {} functions, {:.1} ms saved ({:+.1} %); median error of a \
             function {:.1} %\n        memory {:.0} MB at most, {:.0} MB expected, {:.0} MB budget",
            self.promised_ms,
            self.functions.len(),
            self.saved_ms,
            Self::error(self.promised_ms, self.saved_ms),
            self.median_error(),
            self.most_mb,
            self.expected_mb,
            self.budget_mb
        );
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let is_test = args.iter().any(|a| a == "--test");
    let calls = args.iter().find(|a| a.parse::<u32>().is_ok()).cloned();
    let calls = calls.unwrap_or_else(|| if is_test { "1" } else { "9" }.to_string());

    let fleet = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/fleet").display().to_string();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let mut inventory = json(&warmset(&["scan", &fleet, "--format", "json"]));
    if is_test {
        let functions = inventory["functions"].as_array_mut().expect("functions");
        functions.retain(|f| f["id"].as_str().is_some_and(|id| FEW.contains(&id)));
        inventory["diagnostics"] = Value::Array(Vec::new());
    }
    std::fs::write(path("inventory.json"), inventory.to_string()).expect("a written file");
    let replay = |plan: &str| {
        let args =
            ["replay", plan, "--code", &fleet, "--calls", &calls, "--allow-missing-isolation", "--format", "json"];
        let before = load();
        let report = json(&warmset(&args));
        println!(
            "replayed {calls} calls of each function, isolation {}, load average {before} before and {} after",
            report["isolation"].as_str().unwrap_or(""),
            load()
        );
        Kept::of(&report)
    };

    warmset(&["plan", &path("inventory.json"), "--budget", BUDGET, "--out", &path("first")]);
    let first = replay(&path("first"));
    let (inventory, costs) = (path("inventory.json"), path("costs.json"));
    let before = load();
    let repetitions = if is_test { "5" } else { "7" };
    let measure = ["measure", &inventory, "--code", &fleet, "--repetitions", repetitions, "--out", &costs];
    let measured = json(&warmset(&[measure.as_slice(), &["--format", "json"]].concat()));
    println!(
        "measured: {} repetitions run and {} kept from before, load average {before} before and {} after",
        measured["repetitions_run"],
        measured["repetitions_kept"],
        load()
    );
    for (language, costs) in measured["costs"]["languages"].as_object().into_iter().flatten() {
        println!(
            "  {language}: a warm host takes {} MB, a swap {} ms and {} ms for each MB",
            costs["image_overhead_mb"], costs["swap_base_ms"], costs["swap_ms_per_mb"]
        );
    }
    warmset(&["plan", &inventory, "--budget", BUDGET, "--costs", &costs, "--out", &path("second")]);
    let second = replay(&path("second"));

    println!("\n{:32} {:>26}   {:>26}", "", "shipped prices", "measured prices");
    println!(
        "{:32} {:>9} {:>7} {:>8}   {:>9} {:>7} {:>8}",
        "function", "promised", "saved", "", "promised", "saved", ""
    );
    let names: BTreeSet<&String> = first.functions.keys().chain(second.functions.keys()).collect();
    for name in names {
        let cells = |kept: &Kept| match kept.functions.get(name) {
            Some((p, s)) => format!("{p:9.1} {s:7.1} {:+7.1} %", Kept::error(*p, *s)),
            None => format!("{:>9} {:>7} {:>9}", "-", "-", ""),
        };
        println!("{name:32} {}  {}", cells(&first), cells(&second));
    }
    println!();
    first.print("first ");
    second.print("second");
    let above = [&first, &second].into_iter().filter(|kept| kept.most_mb > kept.budget_mb).count();
    if above > 0 {
        println!("the images of {above} plans took more than their budget");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
