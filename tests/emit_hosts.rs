//! The warm hosts are run for real, by whatever python3 and node this machine has; a test says so where one is absent.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

const HOST_PY: &str = include_str!("../src/emit/host/host.py");
const HOST_MJS: &str = include_str!("../src/emit/host/host.mjs");

/// A folder laid out as an image is, with a function in it.
struct Bench {
    dir: TempDir,
    command: &'static str,
    host: &'static str,
}

impl Bench {
    /// `None` when the language is not installed.
    fn new(command: &'static str, modules: Value) -> Option<Self> {
        if !common::tool(command) {
            return None;
        }
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (host, text, language) = match command {
            "node" => ("host.mjs", HOST_MJS, "node"),
            _ => ("host.py", HOST_PY, "python"),
        };
        let bench = Self { dir, command, host };
        bench.write(host, text);
        let preload = json!({"schema": "warmset.preload/1", "image": "test", "language": language, "modules": modules});
        bench.write("preload.json", &preload.to_string());
        Some(bench)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a written file");
    }

    fn host(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.command);
        command.arg(self.path(self.host)).arg(self.path("preload.json")).args(arguments);
        command.env("WARMSET_SOCKET", self.path("host.sock")).env_remove("PYTHONPATH").env_remove("NODE_PATH");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Exit status, standard output, standard error.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.host(arguments).output().expect("the host ran");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }

    /// Starts the host and waits until it says that it is ready.
    fn serve(&self) -> Server {
        let mut child = self.host(&[]).spawn().expect("the host started");
        let mut errors = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut line = String::new();
        errors.read_line(&mut line).expect("a line");
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("the host said {line:?}"));
        assert_eq!(said["ready"], json!(self.path("host.sock")), "{said}");
        // Somebody has to read what the host says, or it would wait for it.
        std::thread::spawn(move || std::io::copy(&mut errors, &mut std::io::sink()));
        Server { child, socket: self.path("host.sock") }
    }

    fn request(&self, handler: &str, event: Value) -> Value {
        json!({"id": "r-1", "path": self.path("function"), "handler": handler, "event": event,
            "environment": {"GREETING": "hello"}, "function": "f", "timeout_ms": 5000})
    }
}

struct Server {
    child: Child,
    socket: PathBuf,
}

impl Server {
    fn send(&self, bytes: &[u8]) -> UnixStream {
        let mut stream = UnixStream::connect(&self.socket).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
        stream.write_all(bytes).expect("a sent request");
        stream
    }

    fn call(&self, request: &Value) -> Value {
        read_answer(self.send(format!("{request}\n").as_bytes()))
    }

    fn terminate(mut self) -> i32 {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().expect("kill ran");
        wait(&mut self.child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait(child: &mut Child) -> i32 {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(20) {
        if let Some(status) = child.try_wait().expect("a child") {
            return status.code().unwrap_or(-1);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the host did not end");
}

fn read_answer(stream: UnixStream) -> Value {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("an answer");
    serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line:?}"))
}

const FUNCTION_PY: &str = r#"
import json, os, random
count = 0
def handler(event, context):
    global count
    count += 1
    json.leak = getattr(json, "leak", 0) + 1
    seen = os.environ.get("LEFT_BEHIND")
    os.environ["LEFT_BEHIND"] = "1"
    left = os.path.exists("/nonexistent")
    here = os.getcwd()
    os.chdir("/")
    return {"count": count, "leak": json.leak, "env": seen, "cwd": here, "greeting": os.environ["GREETING"],
            "event": event, "id": context.aws_request_id, "random": random.random(), "pid": os.getpid()}
def fails(event, context):
    raise KeyError("no such order")
def exits(event, context):
    raise SystemExit(3)
def dies(event, context):
    os._exit(7)
def unserialisable(event, context):
    return object()
"#;

fn python() -> Option<Bench> {
    let bench = Bench::new("python3", json!(["json", "http.client"]))?;
    bench.write("function/app.py", FUNCTION_PY);
    Some(bench)
}

#[test]
fn python_loads_checks_and_reports() {
    let Some(bench) = python() else { return };
    let (status, out, errors) = bench.run(&["--check"]);
    assert_eq!(status, 0, "{errors}");
    let report: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(report["loaded"], json!(["json", "http.client"]));
    assert!(report["ms"].as_f64().expect("a time") > 0.0);
    assert!(report["rss_mb"].as_f64().expect("an amount") > 1.0);
}

#[test]
fn python_answers_one_request_from_a_file() {
    let Some(bench) = python() else { return };
    bench.write("request.json", &bench.request("app.handler", json!([1, 2])).to_string());
    let (status, out, errors) = bench.run(&["--once", &bench.path("request.json").display().to_string()]);
    assert_eq!(status, 0, "{errors}");
    let answer: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(answer["result"]["event"], json!([1, 2]));
    bench.write("request.json", &bench.request("app.fails", json!(null)).to_string());
    assert_eq!(bench.run(&["--once", &bench.path("request.json").display().to_string()]).0, 1);
}

#[test]
fn python_keeps_no_state_between_calls() {
    let Some(bench) = python() else { return };
    let server = bench.serve();
    let request = bench.request("app.handler", json!({"n": "é"}));
    let (first, second) = (server.call(&request), server.call(&request));
    for answer in [&first, &second] {
        assert_eq!(answer["ok"], json!(true), "{answer}");
        let result = &answer["result"];
        assert_eq!((&result["count"], &result["leak"], &result["env"]), (&json!(1), &json!(1), &json!(null)));
        assert_eq!(Path::new(result["cwd"].as_str().expect("a path")).file_name().expect("a name"), "function");
        assert_eq!(result["greeting"], json!("hello"));
        assert_eq!(result["event"], json!({"n": "é"}));
        assert_eq!(result["id"], json!("r-1"));
    }
    assert_ne!(first["result"]["pid"], second["result"]["pid"]);
    assert_ne!(first["result"]["random"], second["result"]["random"], "forks repeat each other's random numbers");
}

#[test]
fn python_reports_every_kind_of_failure_and_goes_on() {
    let Some(bench) = python() else { return };
    let server = bench.serve();
    let cases = [
        ("app.fails", "KeyError: 'no such order'"),
        ("app.exits", "SystemExit: 3"),
        ("app.dies", "the function's process ended with status 7"),
        ("app.unserialisable", "TypeError: "),
        ("app.absent", "AttributeError: "),
        ("absent.handler", "ModuleNotFoundError: "),
        ("handler", "a handler is written module.attribute"),
    ];
    for (handler, error) in cases {
        let answer = server.call(&bench.request(handler, json!(null)));
        assert_eq!(answer["ok"], json!(false), "{handler}: {answer}");
        assert!(answer["error"].as_str().expect("a reason").contains(error), "{handler}: {answer}");
    }
    let failed = server.call(&bench.request("app.fails", json!(null)));
    assert!(failed["traceback"].as_str().expect("text").contains("app.py\", line"), "{failed}");
    for line in ["not json\n", "[1]\n", "{}\n", "{\"op\": \"dance\"}\n"] {
        let answer = read_answer(server.send(line.as_bytes()));
        assert_eq!(answer["ok"], json!(false), "{line}");
    }
    assert_eq!(server.call(&bench.request("app.handler", json!(null)))["ok"], json!(true));
}

#[test]
fn python_survives_probes_and_stops_cleanly() {
    let Some(bench) = python() else { return };
    let server = bench.serve();
    for _ in 0..20 {
        drop(server.send(b""));
    }
    let mut half = server.send(b"{\"id\"");
    half.shutdown(std::net::Shutdown::Write).expect("a closed half");
    let mut rest = String::new();
    half.read_to_string(&mut rest).expect("the end");
    assert_eq!(rest, "");
    let slow = server.send(b"");
    assert_eq!(
        server.call(&bench.request("app.handler", json!(null)))["ok"],
        json!(true),
        "a slow caller blocks others"
    );
    drop(slow);
    assert_eq!(server.terminate(), 0);
    assert!(!bench.path("host.sock").exists());
}

#[test]
fn python_replaces_a_dead_hosts_socket_and_respects_a_living_ones() {
    let Some(bench) = python() else { return };
    let mut killed = bench.serve();
    killed.child.kill().expect("killed");
    killed.child.wait().expect("ended");
    assert!(bench.path("host.sock").exists());
    let _living = bench.serve();
    let (status, _, errors) = bench.run(&[]);
    assert_eq!(status, 1);
    assert!(errors.contains("another host already listens"), "{errors}");
}

/// `from shapes import circle, area`: one is a module of its own, one a name, and one needs what this image lacks.
#[test]
fn python_loads_what_an_import_takes_from_a_module() {
    let Some(bench) = Bench::new("python3", json!(["shapes", "shapes:circle", "shapes:area", "shapes:plot"])) else {
        return;
    };
    bench.write("warm/shapes/__init__.py", "area = 1\n");
    bench.write("warm/shapes/circle.py", "import sys\nsys.stderr.write('circle is loaded\\n')\n");
    bench.write("warm/shapes/plot.py", "import matplotlib_is_not_here\n");
    let output = bench.host(&["--check"]).env("PYTHONPATH", bench.path("warm")).output().expect("the host ran");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("circle is loaded") && said.contains("shapes:plot"), "{said}");
}

#[test]
fn python_says_which_module_failed() {
    let Some(bench) = python() else { return };
    let list =
        |modules: Value| json!({"schema": "warmset.preload/1", "language": "python", "modules": modules}).to_string();
    bench.write("preload.json", &list(json!(["json", "warmset_absent"])));
    let (status, out, errors) = bench.run(&["--check"]);
    assert_eq!((status, out.as_str()), (1, ""));
    let said: Value = serde_json::from_str(errors.trim()).expect("a JSON line");
    assert_eq!((&said["level"], &said["module"]), (&json!("error"), &json!("warmset_absent")));
    bench.write("preload.json", &list(json!(["json", {"module": "warmset_absent", "optional": true}])));
    let (status, out, errors) = bench.run(&["--check"]);
    assert_eq!(status, 0);
    assert!(errors.contains("\"warning\""), "{errors}");
    assert_eq!(serde_json::from_str::<Value>(&out).expect("JSON")["loaded"], json!(["json"]));
    bench.write("preload.json", "{\"schema\": \"other/1\"}");
    assert_eq!(bench.run(&["--check"]).0, 2);
}

#[test]
fn python_refuses_to_fork_with_threads() {
    let Some(bench) = Bench::new("python3", json!(["starts_threads"])) else { return };
    bench.write(
        "lib/starts_threads.py",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(30,), daemon=True).start()\n",
    );
    let output = bench.host(&[]).env("PYTHONPATH", bench.path("lib")).output().expect("the host ran");
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 threads"), "{output:?}");
}

#[test]
fn python_prefers_the_functions_own_module_to_a_preloaded_namesake() {
    let Some(bench) = Bench::new("python3", json!(["app"])) else { return };
    bench.write("lib/app.py", "def handler(event, context):\n    return 'the package'\n");
    bench.write("function/app.py", "def handler(event, context):\n    return 'the function'\n");
    bench.write("request.json", &bench.request("app.handler", json!(null)).to_string());
    let mut command = bench.host(&["--once", &bench.path("request.json").display().to_string()]);
    let output = command.env("PYTHONPATH", bench.path("lib")).output().expect("the host ran");
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(answer["result"], json!("the function"));
}

const FUNCTION_JS: &str = r#"
const http = require("node:http");
const dep = require("dep");
let count = 0;
exports.handler = async (event, context) => {
  count += 1;
  http.leak = (http.leak ?? 0) + 1;
  return { count, leak: http.leak, dep: dep.name, event, greeting: process.env.GREETING, id: context.awsRequestId, cwd: process.cwd() };
};
exports.callback = (event, context, done) => setTimeout(() => done(null, "called back"), 5);
exports.fails = async () => { throw new RangeError("no such order"); };
exports.later = () => new Promise(() => setTimeout(() => { throw new Error("out of the blue"); }, 5));
exports.circular = () => { const a = {}; a.a = a; return a; };
exports.timer = async () => { setInterval(() => {}, 1000); return "timer left"; };
"#;

fn node() -> Option<Bench> {
    let bench = Bench::new("node", json!(["node:http", "dep", "esm-only"]))?;
    // As in an image: packages beside the host, the function below it.
    bench.write("node_modules/dep/package.json", r#"{"name": "dep", "version": "1.0.0", "main": "main.js"}"#);
    bench.write(
        "node_modules/dep/main.js",
        "globalThis.depLoads = (globalThis.depLoads ?? 0) + 1; exports.name = 'dep';",
    );
    bench.write(
        "node_modules/esm-only/package.json",
        r#"{"name": "esm-only", "version": "1.0.0", "type": "module", "exports": {"import": "./main.js"}}"#,
    );
    bench.write("node_modules/esm-only/main.js", "export const name = await Promise.resolve('esm-only');");
    bench.write("function/index.js", FUNCTION_JS);
    bench.write(
        "function/src/orders.mjs",
        "import { name } from 'esm-only'; import dep from 'dep';\n\
         export const create = async () => ({ name, dep: dep.name, loads: globalThis.depLoads });\n",
    );
    Some(bench)
}

#[test]
fn node_loads_checks_and_reports() {
    let Some(bench) = node() else { return };
    let (status, out, errors) = bench.run(&["--check"]);
    assert_eq!(status, 0, "{errors}");
    let report: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(report["loaded"], json!(["node:http", "dep", "esm-only"]));
    assert!(report["rss_mb"].as_f64().expect("an amount") > 1.0);
    let (status, out, errors) = {
        bench.write("preload.json", r#"{"schema": "warmset.preload/1", "language": "node", "modules": ["absent"]}"#);
        bench.run(&["--check"])
    };
    assert_eq!((status, out.as_str()), (1, ""));
    assert_eq!(serde_json::from_str::<Value>(errors.trim()).expect("a JSON line")["module"], json!("absent"));
}

#[test]
fn node_code_finds_the_images_packages_by_require_and_by_import() {
    let Some(bench) = node() else { return };
    bench.write("request.json", &bench.request("src/orders.create", json!(null)).to_string());
    let (status, out, errors) = bench.run(&["--once", &bench.path("request.json").display().to_string()]);
    assert_eq!(status, 0, "{errors}{out}");
    let answer: Value = serde_json::from_str(&out).expect("JSON");
    // Loaded once: what the function imports is what the host has loaded.
    assert_eq!(answer["result"], json!({"name": "esm-only", "dep": "dep", "loads": 1}));
}

#[test]
fn node_loads_for_require_and_for_import() {
    let Some(bench) = node() else { return };
    let note = |what: &str| format!("(globalThis.order ??= []).push('{what}');");
    bench.write(
        "node_modules/dual/package.json",
        r#"{"name": "dual", "version": "1.0.0", "exports": {"import": "./main.mjs", "require": "./main.cjs"}}"#,
    );
    bench.write("node_modules/dual/main.mjs", &(note("import") + "export const kind = 'import';"));
    bench.write("node_modules/dual/main.cjs", &(note("require") + "exports.kind = 'require';"));
    // Without its ending only `require` finds it, which is no reason to warn.
    bench.write("node_modules/dep/part.js", "exports.part = 1;");
    let modules = r#"{"schema": "warmset.preload/1", "language": "node", "modules": ["dep/part", "dual"]}"#;
    bench.write("preload.json", modules);
    let (status, out, errors) = bench.run(&["--check"]);
    assert_eq!((status, errors.as_str()), (0, ""), "{out}");
    bench.write("function/first.mjs", &note("function"));
    bench.write(
        "function/both.mjs",
        "import './first.mjs'; import { createRequire } from 'node:module'; import { kind } from 'dual';\n\
         export const handler = () => [kind, createRequire(import.meta.url)('dual').kind, globalThis.order];\n",
    );
    bench.write("request.json", &bench.request("both.handler", json!(null)).to_string());
    let (_, out, errors) = bench.run(&["--once", &bench.path("request.json").display().to_string()]);
    let answer: Value = serde_json::from_str(&out).expect("JSON");
    // Each build once and before the function is.
    let order = json!(["require", "import", "function"]);
    assert_eq!(answer["result"], json!(["import", "require", order]), "{errors}{out}");
}

#[test]
fn node_serves_once_and_a_fresh_process_knows_nothing_of_it() {
    let Some(bench) = node() else { return };
    for _ in 0..2 {
        let mut server = bench.serve();
        let answer = server.call(&bench.request("index.handler", json!({"n": 1})));
        assert_eq!(answer["ok"], json!(true), "{answer}");
        let result = &answer["result"];
        assert_eq!((&result["count"], &result["leak"], &result["dep"]), (&json!(1), &json!(1), &json!("dep")));
        assert_eq!((&result["greeting"], &result["id"]), (&json!("hello"), &json!("r-1")));
        assert_eq!(wait(&mut server.child), 0);
        assert!(!bench.path("host.sock").exists());
    }
}

#[test]
fn node_reports_every_kind_of_failure_and_ends() {
    let Some(bench) = node() else { return };
    let cases = [
        ("index.fails", "RangeError: no such order"),
        ("index.later", "Error: out of the blue"),
        ("index.circular", "circular structure"),
        ("index.absent", "has no function absent"),
        ("absent.handler", "no file absent.js"),
        ("handler", "a handler is written file.export"),
    ];
    for (handler, error) in cases {
        let mut server = bench.serve();
        let answer = server.call(&bench.request(handler, json!(null)));
        assert_eq!(answer["ok"], json!(false), "{handler}: {answer}");
        assert!(answer["error"].as_str().expect("a reason").contains(error), "{handler}: {answer}");
        assert_eq!(wait(&mut server.child), 0, "{handler}");
    }
}

#[test]
fn node_survives_probes_calls_back_and_leaves_timers_behind() {
    let Some(bench) = node() else { return };
    for (handler, result) in [("index.callback", "called back"), ("index.timer", "timer left")] {
        let mut server = bench.serve();
        for _ in 0..10 {
            drop(server.send(b""));
        }
        let slow = server.send(b"");
        let answer = server.call(&bench.request(handler, json!(null)));
        assert_eq!(answer["result"], json!(result), "{answer}");
        assert_eq!(wait(&mut server.child), 0);
        drop(slow);
    }
    assert_eq!(bench.serve().terminate(), 0);
    assert!(!bench.path("host.sock").exists());
}
