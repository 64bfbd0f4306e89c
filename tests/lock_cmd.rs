//! `warmset lock` with a tool that the test writes: what a tool may do wrong, and that nothing is left behind.
#![cfg(unix)]

mod common;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A fleet with one Python function that asks for `a`, a program called `uv`, and a folder for scratch folders.
struct Bench {
    dir: tempfile::TempDir,
}

/// What a `uv` does that works: the answer goes to the file after `--output-file`.
const WORKS: &str = r#"out=$(echo "$@" | sed 's/.*--output-file \([^ ]*\).*/\1/')
echo run >> "$COUNT"
printf 'a==1.0 \\\n    --hash=sha256:00\n    # via -r requirements.in\nb==2.0 \\\n    --hash=sha256:01\n    # via a\n' > "$out"
"#;

impl Bench {
    fn new(body: &str) -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap() };
        for folder in ["fleet/f", "bin", "tmp"] {
            std::fs::create_dir_all(bench.path(folder)).unwrap();
        }
        bench.write("fleet/f/requirements.txt", "a>=1\n");
        bench.write("fleet/f/lambda_function.py", "import a\ndef lambda_handler(event, context): pass\n");
        let script = format!("#!/bin/sh\nif [ \"$1\" = --version ]; then echo uv 9.9.9; exit 0; fi\n{body}");
        bench.write("bin/uv", &script);
        std::fs::set_permissions(bench.path("bin/uv"), std::fs::Permissions::from_mode(0o755)).unwrap();
        bench
    }

    fn path(&self, rel: &str) -> PathBuf {
        self.dir.path().join(rel)
    }

    fn write(&self, rel: &str, text: &str) {
        std::fs::create_dir_all(self.path(rel).parent().unwrap()).unwrap();
        std::fs::write(self.path(rel), text).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_warmset"));
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        command.env("PATH", path).env("TMPDIR", self.path("tmp")).env("COUNT", self.path("count"));
        // 2026-11-23T00:00:00Z
        command.env("SOURCE_DATE_EPOCH", "1795392000");
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// `warmset lock fleet --out out` with more options.
    fn lock(&self, more: &[&str]) -> (i32, Value, String) {
        let mut args = vec!["lock", "fleet", "--out", "out", "--format", "json"];
        args.extend(more);
        let output = self.run(&args);
        let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        (output.status.code().unwrap(), report, String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn calls(&self) -> usize {
        std::fs::read_to_string(self.path("count")).map_or(0, |text| text.lines().count())
    }

    fn scratch_is_empty(&self) -> bool {
        std::fs::read_dir(self.path("tmp")).unwrap().count() == 0
    }
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap)
        .filter(|e| e.file_type().is_file())
        .map(|e| (e.path().strip_prefix(folder).unwrap().to_path_buf(), std::fs::read(e.path()).unwrap()))
        .collect()
}

#[test]
fn what_is_resolved_is_used_and_says_where_it_comes_from() {
    let bench = Bench::new(WORKS);
    let before = files(&bench.path("fleet"));
    let (status, report, stderr) = bench.lock(&["--cache", "cache"]);
    assert_eq!(status, 0, "{stderr}");
    assert_eq!(report["resolved"][0]["packages"], 2);
    assert_eq!(report["resolved"][0]["functions"][0], "f");
    assert_eq!(files(&bench.path("fleet")), before, "the fleet stays as it is");
    assert!(bench.scratch_is_empty());

    let first = files(&bench.path("out"));
    let (_, report, _) = bench.lock(&["--cache", "cache"]);
    assert_eq!(report["resolved"][0]["from_cache"], true);
    assert_eq!((bench.calls(), files(&bench.path("out"))), (1, first), "the second run asks nobody");
    // What is broken in the cache is made again.
    for path in files(&bench.path("cache")).keys() {
        bench.write(&format!("cache/{}", path.display()), "2026-11-23 3\nx=");
    }
    bench.lock(&["--cache", "cache"]);
    assert_eq!(bench.calls(), 2);

    let scan = bench.run(&["scan", "fleet", "--locks", "out", "--format", "json"]);
    let inventory: Value = serde_json::from_slice(&scan.stdout).unwrap();
    let f = &inventory["functions"][0];
    assert_eq!(f["state"], "locked", "{f}");
    assert_eq!(f["closure"], serde_json::json!(["pypi:a==1.0", "pypi:b==2.0"]));
    assert_eq!((&f["lock"]["kind"], &f["lock"]["resolved_on"]), (&"resolved".into(), &"2026-11-23".into()));
    let text = String::from_utf8(bench.run(&["scan", "fleet", "--locks", "out"]).stdout).unwrap();
    assert!(text.contains("(resolved 2026-11-23)") && text.contains("1 of them resolved by warmset"), "{text}");
    let why = bench.run(&["explain", "fleet", "f", "b", "--locks", "out"]);
    let why = String::from_utf8(why.stdout).unwrap();
    assert!(why.contains("resolved by `warmset lock` on 2026-11-23"), "{why}");

    // The function asks for something else now.
    bench.write("fleet/f/requirements.txt", "a>=2\n");
    let scan = bench.run(&["scan", "fleet", "--locks", "out", "--format", "json"]);
    let inventory: Value = serde_json::from_slice(&scan.stdout).unwrap();
    assert_eq!(inventory["functions"][0]["state"], "unresolved");
    assert!(inventory["diagnostics"].to_string().contains("lock-stale"), "{inventory}");
    let (status, _, _) = bench.lock(&[]);
    assert_eq!((status, std::fs::read_dir(bench.path("out")).unwrap().count()), (0, 1), "the stale lock goes");
}

#[test]
fn functions_that_ask_for_the_same_are_resolved_once() {
    let bench = Bench::new(WORKS);
    for name in ["g", "h"] {
        bench.write(&format!("fleet/{name}/requirements.txt"), "a>=1\n");
        bench.write(&format!("fleet/{name}/lambda_function.py"), "def lambda_handler(event, context): pass\n");
    }
    bench.write("fleet/h/requirements.txt", "a>=1,<9\n");
    let (status, report, stderr) = bench.lock(&["--jobs", "2"]);
    assert_eq!(status, 0, "{stderr}");
    assert_eq!((bench.calls(), report["resolved"].as_array().unwrap().len()), (2, 2), "{report}");
    let (_, report, _) = bench.lock(&["--only", "h"]);
    assert_eq!(report["resolved"].as_array().unwrap().len(), 1);
    assert_eq!(std::fs::read_dir(bench.path("out")).unwrap().count(), 2, "what was resolved for others stays");
    assert_eq!(bench.lock(&["--only", "nobody"]).0, 2);
}

#[test]
fn a_tool_that_fails_is_quoted_without_secrets_and_others_go_on() {
    let body = format!(
        "if grep -q '^bad' requirements.in; then echo 'error: No solution: see https://user:hunter2@registry.example/simple' >&2; exit 1; fi\n{WORKS}"
    );
    let bench = Bench::new(&body);
    bench.write("fleet/g/requirements.txt", "bad\n");
    bench.write("fleet/g/lambda_function.py", "def lambda_handler(event, context): pass\n");
    let (status, report, stderr) = bench.lock(&[]);
    assert_eq!(status, 1);
    assert!(report["failed"]["g"].as_str().unwrap().contains("error: No solution: see <address>"), "{report}");
    assert_eq!(report["resolved"][0]["functions"][0], "f");
    assert!(
        !format!("{report}{stderr}").contains("hunter2") && !format!("{report}{stderr}").contains("registry.example")
    );
    assert!(bench.scratch_is_empty());
}

#[test]
fn garbage_and_silence_are_failures() {
    for (body, said) in [
        ("echo '<html>' > resolved.txt", "cannot be read"),
        ("echo 'b==1 --hash=sha256:00' > resolved.txt", "without a"),
        ("exit 0", "gave no resolved.txt"),
        ("head -c 100000 /dev/zero > resolved.txt", "cannot be read"),
        ("exit 7", "it said nothing"),
    ] {
        let bench = Bench::new(body);
        let (status, report, _) = bench.lock(&[]);
        let reason = report["failed"]["f"].as_str().unwrap_or_default().to_string();
        assert!(
            status == 1 && (reason.contains(said) || said == "cannot be read" && reason.contains("without a")),
            "{body}: {status} {reason}"
        );
        assert!(!bench.path("out").exists(), "nothing is written for what failed");
    }
}

#[test]
fn a_tool_that_hangs_is_ended_with_its_children() {
    let bench = Bench::new("sleep 300 & echo $! > \"$COUNT\"; sleep 300");
    let start = Instant::now();
    let (status, report, _) = bench.lock(&["--timeout", "1s"]);
    assert_eq!(status, 1);
    assert!(report["failed"]["f"].as_str().unwrap().contains("longer than 1 s"), "{report}");
    assert!(start.elapsed() < Duration::from_secs(60));
    assert!(bench.scratch_is_empty());
    assert!(is_gone(&bench.path("count")), "its child was ended too");
}

/// Whether the process whose id a file holds has ended (or is a zombie that nobody has waited for).
fn is_gone(file: &Path) -> bool {
    let id = std::fs::read_to_string(file).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", id.trim())).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z ")
}

#[test]
fn a_run_that_is_stopped_leaves_nothing_behind() {
    let bench = Bench::new("echo $$ > \"$COUNT\"; sleep 300");
    let mut child =
        bench.command(&["lock", "fleet", "--out", "out"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while !bench.path("count").exists() && start.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!bench.scratch_is_empty(), "it works in a scratch folder");
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2));
    assert!(bench.scratch_is_empty() && !bench.path("out").exists());
    assert!(is_gone(&bench.path("count")));
}

#[test]
fn a_tool_that_is_absent_is_named() {
    let bench = Bench::new(WORKS);
    std::fs::remove_file(bench.path("bin/uv")).unwrap();
    let mut command = bench.command(&["lock", "fleet", "--out", "out", "--tool", "uv"]);
    let output = command.env("PATH", bench.path("bin")).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("python functions need uv"), "{stderr}");
}

#[test]
fn what_could_run_code_or_change_the_answer_is_left_and_said() {
    let bench = Bench::new(WORKS);
    bench.write("fleet/f/requirements.txt", "a>=1\nc @ git+https://registry.example/c\n");
    let (status, report, _) = bench.lock(&[]);
    assert_eq!(status, 1);
    assert!(report["diagnostics"].to_string().contains("requirement-left-out"), "{report}");
    assert!(!report.to_string().contains("registry.example"), "{report}");
    let scan = bench.run(&["scan", "fleet", "--locks", "out", "--format", "json"]);
    let inventory: Value = serde_json::from_slice(&scan.stdout).unwrap();
    assert_eq!(inventory["functions"][0]["state"], "partial");

    bench.write("fleet/f/requirements.txt", "a>=1\n-c limits.txt\n");
    bench.write("fleet/f/limits.txt", "b<2\n");
    let calls = bench.calls();
    let (status, report, _) = bench.lock(&[]);
    assert!(status == 1 && bench.calls() == calls && report.to_string().contains("it has constraints"), "{report}");
}

#[test]
fn the_plan_says_how_much_it_could_not_place() {
    let bench = Bench::new(WORKS);
    let plan = |args: &[&str]| {
        let mut all = vec!["plan", "fleet", "--budget", "64MiB"];
        all.extend(args);
        String::from_utf8(bench.run(&all).stdout).unwrap()
    };
    let text = plan(&[]);
    assert!(text.contains("100.0 % of the weight has no known version (1 function)"), "{text}");
    let json: Value = serde_json::from_str(&plan(&["--format", "json"])).unwrap();
    assert_eq!(json["open"], serde_json::json!([{"state": "unresolved", "functions": 1, "weight_share": 1.0}]));
    bench.lock(&[]);
    let text = plan(&["--locks", "out"]);
    assert!(!text.contains("`warmset lock` would") && text.contains("resolved by warmset on 2026-11-23"), "{text}");
}

/// The real tools, where they run and reach an index.
#[test]
fn real_tools_resolve() {
    if !common::tool("uv") || !common::tool("npm") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("fleet/p/requirements.txt", "six\n"),
        ("fleet/p/lambda_function.py", "import six\ndef lambda_handler(event, context): pass\n"),
        ("fleet/n/package.json", r#"{"dependencies": {"ms": "^2.1.0"}}"#),
        ("fleet/n/index.js", "const ms = require('ms');\nexports.handler = async (event) => ms;\n"),
    ] {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let run = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_warmset")).args(args).current_dir(dir.path()).output().unwrap()
    };
    let output = run(&["lock", "fleet", "--out", "out"]);
    if output.status.code() == Some(1) {
        common::skip(&format!("no index is reached: {}", String::from_utf8_lossy(&output.stderr)));
        return;
    }
    let scan = run(&["scan", "fleet", "--locks", "out", "--format", "json"]);
    let inventory: Value = serde_json::from_slice(&scan.stdout).unwrap();
    for function in inventory["functions"].as_array().unwrap() {
        assert_eq!(function["state"], "locked", "{function}");
        assert_eq!(function["closure"].as_array().unwrap().len(), 1, "{function}");
    }
}
