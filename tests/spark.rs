//! The Spark job of `deploy/spark`, run for real: the same bytes as on one machine, also when workers are lost.
//!
//! `.ci/run` does the same with an optimised build and 10,000 functions.

#[path = "../examples/support/fleet.rs"]
mod fleet;

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fleet::{Shape, write_fleet};

/// A Python that has PySpark: `WARMSET_SPARK_PYTHON`, or the one that CI made.
fn python() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let made = cache.map(|cache| cache.join("warmset-ci/spark/bin/python"));
    let python = std::env::var_os("WARMSET_SPARK_PYTHON").map(PathBuf::from).or(made)?;
    let mut import = Command::new(&python);
    import.args(["-c", "import pyspark"]).stdout(Stdio::null()).stderr(Stdio::null());
    import.status().is_ok_and(|status| status.success()).then_some(python)
}

#[test]
fn spark_makes_the_same_inventory_as_one_machine_and_lost_workers_change_nothing() {
    let Some(python) = python() else {
        common::skip("no Python with PySpark: see the stage of .ci/run that makes one");
        return;
    };
    if !common::tool("java") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let fleet = dir.path().join("fleet");
    let shape = Shape { functions: 120, seed: 7, alone: true, only: None, flaws: true };
    let paths = write_fleet(&fleet, shape).unwrap();
    std::fs::write(dir.path().join("fleet.txt"), paths.join("\n")).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/spark_test.py");
    let run = Command::new(python)
        .arg(script)
        .args(["--warmset", env!("CARGO_BIN_EXE_warmset"), "--functions", "120", "--fleet"])
        .arg(&fleet)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    let said: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!((&said["functions"], &said["same_bytes"]), (&120.into(), &true.into()));
    assert_eq!(said["killed"], serde_json::json!(["process", "worker"]));
}
