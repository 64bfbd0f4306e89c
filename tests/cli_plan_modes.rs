//! `plan --share superset` and `plan --sweep` as their users meet them.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn warmset(args: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_warmset"))
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    assert!(output.status.code() <= Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn parsed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

const FLEET: &str = "fixtures/fleet";

fn holds(value: &Value, schema: &str) {
    let dir = tempfile::tempdir().unwrap();
    warmset(&["schema", "--out", dir.path().to_str().unwrap()]);
    let schema = read(&dir.path().join(format!("{schema}.schema.json")));
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(validator.is_valid(value), "{:?}", validator.iter_errors(value).next());
}

#[test]
fn a_curve_is_the_same_with_any_number_of_threads_and_keeps_its_schema() {
    let of = |threads: &str, more: &[&str]| {
        warmset(&[&["plan", FLEET, "--sweep", "64MB..512MB", "--format", "json", "--threads", threads], more].concat())
    };
    let one = of("1", &["--budget", "100MB"]);
    assert_eq!(one.stdout, of("3", &["--budget", "100MB"]).stdout);
    let curve = parsed(&one);
    holds(&curve, "sweep");
    assert_eq!(curve["schema"], "warmset.sweep/1");
    let points = curve["points"].as_array().unwrap();
    // 17 of the range, and the budget that was asked about.
    assert_eq!(points.len(), 18);
    let of = |p: &Value, what: &str| p[what].as_f64().unwrap();
    assert_eq!((of(&points[0], "budget_mb"), of(&points[17], "budget_mb")), (64.0, 512.0));
    for pair in points.windows(2) {
        assert!(of(&pair[0], "objective") <= of(&pair[1], "objective"));
        assert!(of(&pair[0], "bound") <= of(&pair[1], "bound") + 1e-6);
    }
    // A plan for one of the budgets alone saves as much or less, and never more than the bound.
    let alone = parsed(&warmset(&["plan", FLEET, "--budget", "100MB", "--format", "json"]));
    let there = points.iter().find(|p| p["budget_mb"] == 100.0).unwrap();
    assert!(of(&alone, "objective") <= of(there, "objective") + 1e-6);
    assert!(of(&alone, "objective") <= of(there, "bound") + 1e-6);
}

#[test]
fn a_curve_is_written_as_json_and_as_a_picture() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("curve");
    let said = warmset(&["plan", FLEET, "--sweep", "--budget", "300MB", "--out", out.to_str().unwrap()]);
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains(" knee\n") && said.contains("asked for\n") && said.contains('█'), "{said}");
    holds(&read(&out.join("sweep.json")), "sweep");
    let svg = std::fs::read_to_string(out.join("sweep.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.contains("class=\"knee\"") && svg.contains("asked for"));
    assert!(!svg.contains("http:") || svg.matches("http:").count() == 1, "only the namespace");
}

#[test]
fn without_a_budget_or_a_range_there_is_nothing_to_plan_for() {
    let fails = |args: &[&str], said: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_warmset")).args(args).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && err.contains(said), "{err}");
    };
    fails(&["plan", FLEET], "--budget");
    fails(&["plan", "--sweep", FLEET], "expected auto, a range");
    fails(&["plan", FLEET, "--sweep", "2GB..1GB"], "it does not grow");
    fails(&["plan", FLEET, "--budget", "1GB", "--waste-ms-per-mb", "1"], "--share");
}

#[test]
fn a_superset_plan_says_what_functions_see_that_they_did_not_ask_for() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("plan");
    let folder = out.to_str().unwrap();
    let share = ["--share", "superset"];
    let said = warmset(&[&["plan", FLEET, "--budget", "128MB", "--out", folder], &share[..]].concat());
    assert!(String::from_utf8_lossy(&said.stdout).contains("they see"), "{}", String::from_utf8_lossy(&said.stdout));
    let plan = read(&out.join("plan.json"));
    holds(&plan, "plan");
    assert_eq!(plan["share"], "superset");
    let subset = parsed(&warmset(&["plan", FLEET, "--budget", "128MB", "--format", "json"]));
    assert!(plan["objective"].as_f64() > subset["objective"].as_f64());
    let wide: Vec<&Value> =
        plan["assignments"].as_array().unwrap().iter().filter(|a| a["unneeded"].as_u64() > Some(0)).collect();
    assert!(!wide.is_empty());

    let manifest = read(&out.join("swap-manifest.json"));
    holds(&manifest, "swap-manifest");
    let function = |id: &Value| {
        let all = manifest["functions"].as_array().unwrap();
        all.iter().find(|f| f["id"] == *id).unwrap().clone()
    };
    for assignment in &wide {
        let told = function(&assignment["function"]);
        assert_eq!(told["unneeded"].as_array().unwrap().len() as u64, assignment["unneeded"].as_u64().unwrap());
        let next = assignment.get("next_best").map(|n| n["image"].clone());
        let fallback = told["fallback"].as_array().unwrap();
        assert_eq!(fallback.first().and_then(|f| f.get("id")).cloned(), next);
    }
    // OpenLambda asks for the subset rule.
    assert!(!out.join("openlambda").exists());
    let report = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(report.contains("that it does not load") && report.contains("export-left-out"));
    let explained = warmset(&["explain", folder, wide[0]["function"].as_str().unwrap()]);
    assert!(String::from_utf8_lossy(&explained.stdout).contains("the image also holds"));

    // The plan's own rule is the one that it is checked by.
    let checked = parsed(&warmset(&["check", FLEET, "--plan", folder, "--format", "json"]));
    assert_eq!(checked["fits"], true, "{checked}");
    assert!((checked["saved_share"].as_f64().unwrap() - plan["saved_share"].as_f64().unwrap()).abs() < 1e-5);
}
