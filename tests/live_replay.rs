//! `warmset replay` as its users have it: a tiny fleet of packages made here, three arrangements, a trace. Without isolation,
//! on any user's machine; in full isolation `tests/live_runtime.rs` tries what a replay is made of.

#![cfg(target_os = "linux")]

mod common;
mod runtime_support;

use std::process::{Command, Output};

use runtime_support::{Fleet, warmset};
use serde_json::{Value, json};
use warmset::model::Language;

/// Slow to load, so that what is warm can be told from what is not.
const SLOW: (&str, &str) = ("slow.py", "import time\ntime.sleep(0.2)\n");
/// A function that needs it, with an event of its own, and one that needs an event that is not there.
const APP: &str = "import slow\ndef handler(event, context):\n    return event['n']\n";
const PLAIN: &str = "import slow\ndef handler(event, context):\n    return event\n";

/// A plan with one image that two of three functions share, as a replay wants it.
fn fleet() -> Option<Fleet> {
    let mut fleet = Fleet::new(Language::Python)?;
    fleet.write("fleet/shop/app.py", APP);
    fleet.write("fleet/shop/app.event.json", r#"{"n": 7}"#);
    fleet.write("fleet/plain/app.py", PLAIN);
    fleet.image("slow", None, &["slow"], &[SLOW]);
    fleet.closure("slow", &[SLOW]);
    fleet.function("shop", "shop", "app.handler", Some("slow"), Some("slow"));
    fleet.function("plain", "plain", "app.handler", Some("slow"), Some("slow"));
    fleet.function("alone", "plain", "app.handler", None, Some("slow"));
    for closure in fleet.manifest["closures"].as_array_mut().expect("closures") {
        closure["preload"] = json!(["slow"]);
    }
    fleet.save();
    let assigned = |function: &str| {
        json!({"function": function, "image": "slow", "class": "c", "weight": 1.0, "saved_ms": 150.0,
            "remaining_ms": 0.0})
    };
    // Of a plan the promises are read, and the manifest is what is run.
    let golden = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/plans/fleet/plan.json")).expect("the golden plan");
    let mut plan: Value = serde_json::from_slice(&golden).expect("JSON");
    plan["budget_mb"] = json!(100.0);
    plan["memory_mb"] = json!(50.0);
    plan["images"].as_array_mut().expect("images").truncate(1);
    (plan["images"][0]["id"], plan["images"][0]["parent"]) = (json!("slow"), Value::Null);
    plan["assignments"] = json!([assigned("shop"), assigned("plain")]);
    fleet.write("plan/plan.json", &plan.to_string());
    Some(fleet)
}

fn replay(fleet: &Fleet, options: &[&str]) -> Output {
    let mut command = Command::new(warmset());
    command.arg("replay").arg(fleet.path("plan")).arg("--code").arg(fleet.path("fleet"));
    command.arg("--cache").arg(fleet.path("cache")).args(["--isolation", "none"]).args(options);
    command.output().expect("replay")
}

fn report(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {said}"))
}

fn arrangement<'a>(report: &'a Value, name: &str) -> &'a Value {
    let all = report["arrangements"].as_array().expect("arrangements");
    all.iter().find(|of| of["arrangement"] == json!(name)).unwrap_or_else(|| panic!("no {name}: {report:#}"))
}

#[test]
fn three_arrangements_run_the_same_calls_and_the_promise_is_held_against_them() {
    let Some(fleet) = fleet() else { return };
    let output =
        replay(&fleet, &["--calls", "2", "--format", "json", "--out", &fleet.path("r.json").display().to_string()]);
    let report = report(&output);
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert_eq!(std::fs::read(fleet.path("r.json")).expect("the report"), output.stdout);
    assert_eq!((&report["isolation"], &report["left_out"]), (&json!("none"), &json!({})));
    let calls: Vec<(u64, u64)> = ["none", "one-each", "plan"]
        .map(|name| arrangement(&report, name))
        .map(|of| (of["calls"].as_u64().expect("calls"), of["ok"].as_u64().expect("ok")))
        .to_vec();
    // Three functions twice: the event file of one has what its handler asks for, the others are called with null.
    assert_eq!(calls, [(6, 6); 3]);
    assert_eq!(arrangement(&report, "none")["cold_share"], json!(1.0));
    assert_eq!(arrangement(&report, "none")["memory_mb_max"], json!(0.0));
    // One of three functions has no image.
    assert_eq!(arrangement(&report, "plan")["cold_share"], json!(0.333333));
    assert!(arrangement(&report, "plan")["memory_mb_max"].as_f64() > Some(1.0), "{report:#}");
    let promise = &report["promise"];
    let names: Vec<&Value> =
        promise["functions"].as_array().expect("functions").iter().map(|f| &f["function"]).collect();
    assert_eq!(names, ["shop", "plain"]);
    assert_eq!(promise["promised_ms"], json!(300.0));
    for of in promise["functions"].as_array().expect("functions") {
        // What sleeps 200 ms when it is loaded slept in the cold starts, and not on the image.
        assert!(of["cold_ready_ms"].as_f64() > Some(200.0), "{of:#}");
        assert!(of["saved_ms"].as_f64() > Some(0.0), "{of:#}");
        assert_eq!((&of["calls"], &of["image"]), (&json!(2), &json!("slow")));
    }
    assert_eq!((&promise["budget_mb"], &promise["expected_mb"]), (&json!(100.0), &json!(50.0)));
}

/// With the columns that Azure published in 2021, ids made up.
#[test]
fn a_trace_of_strangers_stands_for_the_fleet_by_rank_and_is_made_to_fit() {
    let Some(fleet) = fleet() else { return };
    let mut trace = "app,func,end_timestamp,duration\n".to_string();
    for (app, func, end) in [
        ("aaaa0001", "f0f0f0f0", 5160.5),
        ("bbbb0002", "f0f0f0f0", 5161.3),
        ("bbbb0002", "f0f0f0f0", 5241.5),
        ("bbbb0002", "e1e1e1e1", 5219.5),
    ] {
        trace.push_str(&format!("{app},{func},{end},0.134\n"));
    }
    fleet.write("trace.csv", &trace);
    let trace = fleet.path("trace.csv").display().to_string();
    let output = replay(&fleet, &["--trace", &trace, "--duration", "1s", "--format", "json"]);
    let report = report(&output);
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert_eq!(
        report["trace"],
        json!("azure-2021 trace, its functions by number of calls in place of the fleet's, 81 s in 1 s")
    );
    for name in ["none", "one-each", "plan"] {
        assert_eq!(arrangement(&report, name)["ok"], json!(4), "{name}: {report:#}");
    }
    // By rank: `alone` is called twice (the function of one application), `plain` and `shop` once. The first has no image.
    assert_eq!(arrangement(&report, "plan")["cold_share"], json!(0.5));
}

#[test]
fn what_cannot_be_replayed_is_said() {
    let Some(fleet) = fleet() else { return };
    let output = replay(&fleet, &["--only", "nobody"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the plan has no function nobody"));
    // A function that fails makes the replay end with findings, and its words are there.
    fleet.write("fleet/plain/app.py", "raise OSError('no shop here')\n");
    let output = replay(&fleet, &["--only", "plain", "--calls", "1"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("plain failed (plan): OSError: no shop here"), "{said}");
}
