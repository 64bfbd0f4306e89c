//! From the request until dependencies are ready: a cold start against a swap onto the function's image, sandbox included
//! in both. Ratios of one run, for the seven FunctionBench kinds of the fixture fleet and three Node functions.
//!
//! `ready` is when the handler's module has been imported, which its own code is part of. Of CommonJS it is known when
//! the last package was there, before that code went on: `packages`.
//!
//! `cargo bench --bench swap [-- CALLS]`; `--test` makes one call of two functions. As root in full isolation, else with
//! what the user is permitted, which is said. Installs packages on the first run.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

const KINDS: [&str; 10] = [
    "functionbench/chameleon",
    "functionbench/image-processing",
    "functionbench/lr-prediction",
    "functionbench/matmul",
    "functionbench/model-training",
    "functionbench/pyaes",
    "functionbench/video-processing",
    "checkout/receipts",
    "node-jobs/digest",
    "web-catalog",
];

/// Seconds from one call to the next.
const PAUSE_S: f64 = 1.2;

/// Runs warmset and takes what it prints; findings are no failure.
fn warmset(args: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO_BIN_EXE_warmset")).args(args).output().expect("warmset runs");
    assert!(output.status.code().is_some_and(|c| c < 2), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let is_test = args.iter().any(|a| a == "--test");
    let calls = args.iter().find(|a| a.parse::<u32>().is_ok()).cloned();
    let calls = calls.unwrap_or_else(|| if is_test { "1" } else { "15" }.to_string());
    let kinds: &[&str] = if is_test { &["functionbench/matmul", "web-catalog"] } else { &KINDS };

    let fleet = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/fleet").display().to_string();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let mut inventory: Value = serde_json::from_slice(&warmset(&["scan", &fleet, "--format", "json"])).expect("JSON");
    let functions = inventory["functions"].as_array_mut().expect("functions");
    functions.retain(|f| f["id"].as_str().is_some_and(|id| kinds.contains(&id)));
    assert_eq!(functions.len(), kinds.len(), "the fixture fleet has them all");
    inventory["diagnostics"] = Value::Array(Vec::new());
    // It requires nothing, by its own metadata; the fixture's requirements file does not say so, and what is not known to
    // be whole gets no image.
    let pyaes = inventory["packages"].as_array_mut().into_iter().flatten().find(|p| p["id"] == "pypi:pyaes==1.6.1");
    pyaes.expect("the fixture fleet has it")["requires"] = Value::Array(Vec::new());
    std::fs::write(path("inventory.json"), inventory.to_string()).expect("a written file");
    // Memory for all: what is timed is the swap. pyaes loads so fast that it gets no image unless one is asked for.
    let plan = ["plan", &path("inventory.json"), "--budget", "4GiB", "--aim", "known", "--out", &path("plan")];
    let pin: &[&str] = if is_test { &[] } else { &["--pin", "python3.11 pyaes==1.6.1"] };
    warmset(&[plan.as_slice(), pin].concat());
    // Calls with pauses between them: what a call leaves to be done after it (its sandbox is taken apart, the next process
    // loads) is not the next one's. One process stands by for each image, as Node's pool has it too.
    let rounds: usize = calls.parse().expect("digits");
    let all = (0..rounds).flat_map(|_| kinds.iter()).enumerate();
    let rows: String = all.map(|(at, kind)| format!("{kind},{:.1}\n", at as f64 * PAUSE_S)).collect();
    std::fs::write(path("calls.csv"), format!("function,time\n{rows}")).expect("a written file");
    let replay = ["replay", &path("plan"), "--code", &fleet, "--trace", &path("calls.csv"), "--standby", "1"];
    let replay = [replay.as_slice(), &["--allow-missing-isolation", "--format", "json"]].concat();
    let report: Value = serde_json::from_slice(&warmset(&replay)).expect("JSON");

    println!("isolation {}, {}", report["isolation"].as_str().unwrap_or(""), report["trace"].as_str().unwrap_or(""));
    println!("{:32} {:^27} | {:^27}", "", "ready", "packages");
    let head = ["cold ms", "swap ms", "times"];
    println!(
        "{:32} {:>9} {:>9} {:>7} | {:>9} {:>9} {:>7}",
        "function", head[0], head[1], head[2], head[0], head[1], head[2]
    );
    let mut logs: [(f64, u32); 3] = [(0.0, 0); 3];
    let mut add = |at: usize, times: f64| logs[at] = (logs[at].0 + times.ln(), logs[at].1 + 1);
    for of in report["promise"]["functions"].as_array().into_iter().flatten() {
        let (function, cold, swap) =
            (of["function"].as_str().unwrap_or(""), &of["cold_ready_ms"], &of["swap_ready_ms"]);
        let (cold, swap) = (cold.as_f64().unwrap_or(f64::NAN), swap.as_f64().unwrap_or(f64::NAN));
        print!("{function:32} {cold:9.1} {swap:9.1} {:7.1} |", cold / swap);
        let is_node = !function.starts_with("functionbench/");
        add(usize::from(is_node), cold / swap);
        match (of["cold_packages_ms"].as_f64(), of["swap_packages_ms"].as_f64()) {
            (Some(cold), Some(swap)) => {
                println!(" {cold:9.1} {swap:9.1} {:7.1}", cold / swap);
                add(2, cold / swap);
            }
            _ => println!(),
        }
    }
    for (what, (sum, count)) in ["Python, ready", "Node, ready", "Node, packages"].into_iter().zip(logs) {
        if count > 0 {
            println!("{what}: {:.1} times (geometric mean of {count})", (sum / f64::from(count)).exp());
        }
    }
    for arrangement in report["arrangements"].as_array().into_iter().flatten() {
        for (function, why) in arrangement["failures"].as_object().into_iter().flatten() {
            println!("failed: {function} ({}): {why}", arrangement["arrangement"]);
        }
    }
}
