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

/// Three functions: two that differ in one package each, one that has nothing in common with them. Every package has the
/// same cost, so that the plan for little memory is known.
fn fleet(folder: &Path) -> String {
    let hash = "0".repeat(64);
    for (name, packages) in [("a", &["idna", "attrs"][..]), ("b", &["idna", "toml"]), ("c", &["flask"])] {
        let dir = folder.join("fleet").join(name);
        std::fs::create_dir_all(&dir).unwrap();
        let imports: String = packages.iter().map(|p| format!("import {}\n", p.replace("attrs", "attr"))).collect();
        let lock: String = packages.iter().map(|p| format!("{p}==1.0 --hash=sha256:{hash}\n")).collect();
        std::fs::write(dir.join("app.py"), format!("{imports}\n\ndef handler(event, context):\n    return 1\n"))
            .unwrap();
        std::fs::write(dir.join("requirements.txt"), lock).unwrap();
        std::fs::write(dir.join(".python-version"), "3.11\n").unwrap();
    }
    let costs = folder.join("costs.json");
    let entry = |name: &str| {
        format!(r#"{{"package": "pypi:{name}==1.0", "load_ms": 100.0, "resident_mb": 10.0, "source": "measured"}}"#)
    };
    let entries: Vec<String> = ["idna", "attrs", "toml", "flask"].map(entry).to_vec();
    let language = r#""python": {"image_overhead_mb": 5.0, "swap_base_ms": 2.0, "swap_ms_per_mb": 0.1}"#;
    let text =
        format!(r#"{{"schema": "warmset.costs/1", "languages": {{{language}}}, "entries": [{}]}}"#, entries.join(", "));
    std::fs::write(&costs, text).unwrap();
    folder.join("fleet").to_str().unwrap().to_string()
}

fn plan(folder: &Path, more: &[&str]) -> Output {
    let fleet = fleet(folder);
    let costs = folder.join("costs.json");
    warmset(&[&["plan", &fleet, "--costs", costs.to_str().unwrap()], more].concat())
}

fn holds(value: &Value, schema: &str) {
    let dir = tempfile::tempdir().unwrap();
    warmset(&["schema", "--out", dir.path().to_str().unwrap()]);
    let schema = read(&dir.path().join(format!("{schema}.schema.json")));
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(validator.is_valid(value), "{:?}", validator.iter_errors(value).next());
}

#[test]
fn a_curve_is_the_same_with_any_number_of_threads_and_keeps_its_schema() {
    let dir = tempfile::tempdir().unwrap();
    let of = |threads| {
        plan(
            dir.path(),
            &["--sweep", "10MB..80MB", "--aim", "known", "--budget", "34MB", "--format", "json", "--threads", threads],
        )
    };
    let one = of("1");
    assert_eq!(one.stdout, of("3").stdout);
    let curve = parsed(&one);
    holds(&curve, "sweep");
    assert_eq!(curve["schema"], "warmset.sweep/1");
    let points = curve["points"].as_array().unwrap();
    // 17 of the range, and the budget that was asked about.
    assert_eq!((points.len(), &curve["marked_mb"]), (18, &Value::from(34.0)));
    let of = |p: &Value, what: &str| p[what].as_f64().unwrap();
    for pair in points.windows(2) {
        assert!(of(&pair[0], "objective") <= of(&pair[1], "objective"));
        assert!(of(&pair[0], "bound") <= of(&pair[1], "bound") + 1e-6);
    }
    // 10 MB hold nothing. 34 MB: idna (15 MB) for b, 97 ms, and forked from it idna with attrs (15 MB) for a, 196 ms.
    // 80 MB: all, that is 196 ms each for a and b, and 97 for flask.
    assert_eq!(of(&points[0], "objective"), 0.0);
    let at = |mb: f64| points.iter().find(|p| of(p, "budget_mb") == mb).map(|p| of(p, "objective"));
    assert_eq!(at(34.0), Some(97.0 + 196.0));
    assert_eq!(at(80.0), Some(2.0 * 196.0 + 97.0));
    let alone = parsed(&plan(dir.path(), &["--budget", "34MB", "--aim", "known", "--format", "json"]));
    assert_eq!(of(&alone, "objective"), 293.0);
}

#[test]
fn a_curve_is_written_as_json_and_as_a_picture() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("curve");
    let said = plan(dir.path(), &["--sweep", "--budget", "34MB", "--out", out.to_str().unwrap()]);
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains(" knee") && said.contains("asked for\n") && said.contains('█'), "{said}");
    holds(&read(&out.join("sweep.json")), "sweep");
    let svg = std::fs::read_to_string(out.join("sweep.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.contains("class=\"knee\"") && svg.contains("asked for"));
    assert_eq!(svg.matches("http:").count(), 1, "only the namespace");
}

#[test]
fn without_a_budget_or_a_range_there_is_nothing_to_plan_for() {
    let fails = |args: &[&str], said: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_warmset")).args(args).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && err.contains(said), "{err}");
    };
    fails(&["plan", "."], "--budget");
    fails(&["plan", "--sweep", "fleet"], "expected auto, a range");
    fails(&["plan", ".", "--sweep", "2GB..1GB"], "it does not grow");
    fails(&["plan", ".", "--budget", "1GB", "--waste-ms-per-mb", "1"], "--share");
}

#[test]
fn a_superset_plan_says_what_functions_see_that_they_did_not_ask_for() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("plan");
    let folder = out.to_str().unwrap();
    // 35 MB hold idna, attrs and toml: 200 − 2 − 3 ms for a and b each. The subset rule saves 293.
    let said = plan(dir.path(), &["--budget", "35MB", "--share", "superset", "--out", folder]);
    assert!(String::from_utf8_lossy(&said.stdout).contains("they see"), "{}", String::from_utf8_lossy(&said.stdout));
    let made = read(&out.join("plan.json"));
    holds(&made, "plan");
    assert_eq!((&made["share"], &made["objective"]), (&Value::from("superset"), &Value::from(390.0)));
    let assignments = made["assignments"].as_array().unwrap();
    assert_eq!(assignments.iter().map(|a| a["unneeded"].as_u64()).collect::<Vec<_>>(), [Some(1), Some(1)]);

    let manifest = read(&out.join("swap-manifest.json"));
    holds(&manifest, "swap-manifest");
    let told: Vec<&Value> = manifest["functions"].as_array().unwrap().iter().map(|f| &f["unneeded"]).collect();
    assert_eq!(told, [&serde_json::json!(["toml==1.0"]), &serde_json::json!(["attrs==1.0"]), &Value::Null]);
    // OpenLambda asks for the subset rule.
    assert!(!out.join("openlambda").exists());
    let report = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(report.contains("that it does not load") && report.contains("export-left-out"));
    let function = assignments[0]["function"].as_str().unwrap();
    let explained = warmset(&["explain", folder, function]);
    let explained = String::from_utf8_lossy(&explained.stdout);
    assert!(explained.contains("1 package that it does not load") && explained.contains("(2 of 2)"), "{explained}");

    // The plan's own rule is the one that it is checked by.
    let fleet = dir.path().join("fleet");
    let check = || parsed(&warmset(&["check", fleet.to_str().unwrap(), "--plan", folder, "--format", "json"]));
    let same = check();
    assert_eq!((&same["fits"], &same["saved_share"]), (&Value::from(true), &made["saved_share"]), "{same}");
    // A file of its own called toml.py, which the image's toml would hide.
    std::fs::write(fleet.join("a/toml.py"), "x = 1\n").unwrap();
    let app = std::fs::read_to_string(fleet.join("a/app.py")).unwrap();
    std::fs::write(fleet.join("a/app.py"), format!("import toml\n{app}")).unwrap();
    let hidden = check();
    let codes: Vec<&str> = hidden["findings"].as_array().unwrap().iter().filter_map(|f| f["code"].as_str()).collect();
    assert!(codes.contains(&"image-lost"), "{hidden}");

    // Dearer than it is worth: 20 ms for each of 10 MB.
    let dear =
        plan(dir.path(), &["--budget", "35MB", "--share", "superset", "--waste-ms-per-mb", "20", "--format", "json"]);
    assert_eq!(parsed(&dear)["objective"], 293.0);
}
