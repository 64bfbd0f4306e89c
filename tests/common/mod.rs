//! What several test targets share: what they do where a tool or a set of cases is absent.

// Every target compiles this module for itself and uses a part of it.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Says why a test cannot run on this machine and lets it pass. With `WARMSET_REQUIRE_TOOLS=1`, as in CI, it fails:
/// there a test that is skipped is a test that nobody runs.
pub fn skip(reason: &str) {
    let required = std::env::var_os("WARMSET_REQUIRE_TOOLS").is_some_and(|value| !value.is_empty() && value != "0");
    assert!(!required, "WARMSET_REQUIRE_TOOLS is set, and this test would be skipped: {reason}");
    println!("skipped: {reason}");
}

/// Whether a program runs here; where it does not, the test is skipped as [`skip`] says.
pub fn tool(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let runs = command.status().is_ok_and(|status| status.success());
    if !runs {
        skip(&format!("{program} is not installed"));
    }
    runs
}

/// The folder of cases beside the checkout (`../shared/cases`, or `WARMSET_CASES`). It is no part of the repository, so
/// that a test may lack it anywhere.
pub fn cases() -> Option<PathBuf> {
    let folder = std::env::var_os("WARMSET_CASES").map_or_else(|| PathBuf::from("../shared/cases"), PathBuf::from);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no cases in ../shared/cases or $WARMSET_CASES");
    None
}
