//! Every folder in `fixtures/invalid` is one way in which an input can be wrong, with what warmset must say of it.
//!
//! `expect.json` names the command line, the exit status, the diagnostics (code and place), the functions that must
//! still be there and, where it matters, their states: what could not be read is never `locked`. Nothing but the named
//! findings may be reported, and each only once. People read the same on stderr.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/invalid");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.join("expect.json").is_file())
        .collect();
    cases.sort();
    cases
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    value[key].as_array().into_iter().flatten().map(|v| v.as_str().unwrap().to_string()).collect()
}

#[test]
fn every_way_to_be_wrong_is_said_and_the_rest_still_works() {
    let cases = cases();
    assert!(cases.len() >= 18, "only {} cases", cases.len());
    let mut failures = Vec::new();
    for case in &cases {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(case.join("expect.json")).unwrap();
        let expect: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        if let Err(reason) = run(case, &expect) {
            failures.push(format!("{name}: {reason}"));
        }
    }
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

fn run(case: &Path, expect: &Value) -> Result<(), String> {
    let mut args = texts(expect, "args");
    let json = matches!(args.first().map(String::as_str), Some("scan" | "plan"));
    if json {
        args.extend(["--format".into(), "json".into()]);
    }
    let output = Command::new(env!("CARGO_BIN_EXE_warmset"))
        .args(&args)
        .current_dir(case)
        .env("NO_COLOR", "1")
        .output()
        .map_err(|e| e.to_string())?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let exit = output.status.code();
    if exit != expect["exit"].as_i64().and_then(|e| i32::try_from(e).ok()) {
        return Err(format!("exit status {exit:?}, expected {}\n{stderr}", expect["exit"]));
    }
    let wanted: BTreeSet<(String, String)> = expect["expect"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|d| (d["code"].as_str().unwrap().to_string(), d["place"].as_str().unwrap_or("").to_string()))
        .collect();
    let functions = texts(expect, "functions");

    if exit == Some(2) || !json {
        for (code, place) in &wanted {
            if !stderr.contains(code.as_str()) || !stderr.contains(place.as_str()) {
                return Err(format!("stderr names neither {code} at {place}:\n{stderr}"));
            }
        }
        for text in texts(expect, "stderr") {
            if !stderr.contains(&text) {
                return Err(format!("stderr does not say `{text}`:\n{stderr}"));
            }
        }
        return Ok(());
    }

    let result: Value =
        serde_json::from_slice(&output.stdout).map_err(|e| format!("stdout is no JSON: {e}\n{stderr}"))?;
    let inventory = if args[0] == "scan" { result.clone() } else { scan(case)? };
    let mut found = BTreeSet::new();
    let sources = if args[0] == "scan" { vec![&inventory] } else { vec![&inventory, &result] };
    for source in sources {
        for d in source["diagnostics"].as_array().into_iter().flatten() {
            if d["reason"].as_str().is_none_or(str::is_empty) || d["next_step"].as_str().is_none_or(str::is_empty) {
                return Err(format!("no reason or next step: {d}"));
            }
            let line = d["line"].as_u64().unwrap_or(0);
            let file = d["file"].as_str().unwrap_or("");
            let place = if line == 0 { file.to_string() } else { format!("{file}:{line}") };
            let note = d["severity"] == "note";
            if !note && !place.is_empty() && stderr.matches(&format!("--> {place}")).count() != 1 {
                return Err(format!("stderr does not name {place} once:\n{stderr}"));
            }
            if !note && !stderr.contains(&format!("[{}]", d["code"].as_str().unwrap_or(""))) {
                return Err(format!("stderr does not say {}:\n{stderr}", d["code"]));
            }
            found.insert((d["code"].as_str().unwrap_or("").to_string(), place, note));
        }
    }
    for (code, place) in &wanted {
        if !found.iter().any(|(c, p, _)| c == code && (place.is_empty() || p == place)) {
            return Err(format!("nothing says {code} at {place}; found {found:?}"));
        }
    }
    for (code, place, note) in &found {
        if !note && !wanted.iter().any(|(c, p)| c == code && (p.is_empty() || p == place)) {
            return Err(format!("unexpected {code} at {place}"));
        }
    }
    let ids: BTreeSet<&str> = match args[0].as_str() {
        "scan" => inventory["functions"].as_array().into_iter().flatten().filter_map(|f| f["id"].as_str()).collect(),
        _ => ["assignments", "unserved"]
            .iter()
            .flat_map(|list| result[*list].as_array().into_iter().flatten())
            .filter_map(|f| f["function"].as_str())
            .collect(),
    };
    for (id, state) in expect["states"].as_object().into_iter().flatten() {
        let function = inventory["functions"].as_array().into_iter().flatten().find(|f| f["id"] == id.as_str());
        if function.is_none_or(|f| &f["state"] != state) {
            return Err(format!("`{id}` is not {state}: {}", function.map_or(&Value::Null, |f| &f["state"])));
        }
    }
    match functions.iter().find(|f| !ids.contains(f.as_str())) {
        Some(missing) => Err(format!("`{missing}` is gone; there are {ids:?}")),
        None => Ok(()),
    }
}

fn scan(case: &Path) -> Result<Value, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_warmset"))
        .args(["scan", ".", "--format", "json"])
        .current_dir(case)
        .output()
        .map_err(|e| e.to_string())?;
    serde_json::from_slice(&output.stdout).map_err(|e| e.to_string())
}
