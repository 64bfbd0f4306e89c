//! Warm hosts under the runtime's own interface, without isolation: what any user's machine can run.

#![cfg(target_os = "linux")]

mod common;
mod live_support;

use std::collections::BTreeMap;
use std::time::Duration;

use live_support::{Bench, limits, request};
use serde_json::json;
use warmset::live::host::{CallLimits, ChildSpec, ForkServer, HostError, NodeProcess, WarmCall};
use warmset::live::sandbox::Isolation;
use warmset::model::Language;
use warmset::model::manifest::Warmup;

const FUNCTION: &str = r#"
import json, os, sys, time, random
count = 0
def handler(event, context):
    global count
    count += 1
    json.leak = getattr(json, "leak", 0) + 1
    seen = os.environ.get("LEFT_BEHIND")
    os.environ["LEFT_BEHIND"] = "1"
    here = os.getcwd()
    os.chdir("/")
    print("said so")
    return {"count": count, "leak": json.leak, "env": seen, "cwd": os.path.basename(here), "event": event,
            "greeting": os.environ["GREETING"], "id": context.aws_request_id, "random": random.random(),
            "left": context.get_remaining_time_in_millis()}
def fails(event, context): raise KeyError("no such order")
def dies(event, context): os._exit(7)
def sleeps(event, context): time.sleep(60)
def spins(event, context):
    while True: pass
def prints(event, context):
    while True: print("x" * 1000)
def large(event, context): return "x" * event
def floods(event, context):
    for number in range(3, 30):
        try:
            while True: os.write(number, b"x" * 65536)
        except OSError: pass
def says(event, context): print("y" * event)
def fds(event, context): return sorted(int(n) for n in os.listdir("/proc/self/fd"))
def stdin(event, context): return sys.stdin.read()
def background(event, context):
    import subprocess
    return subprocess.Popen(["sleep", "60"]).pid
def reads(event, context):
    import keeps
    return [keeps.file.read(), keeps.file.fileno() > 2]
"#;

fn python() -> Option<Bench> {
    let bench = Bench::new(Language::Python, Isolation::None)?;
    bench.write("one/app.py", FUNCTION);
    Some(bench)
}

#[test]
fn python_keeps_no_state_and_answers_many_at_once() {
    let Some(bench) = python() else { return };
    let host = bench.host(&["json", "http.client"]);
    assert_eq!(host.report().loaded, ["json", "http.client"]);
    assert_eq!(host.report().names.len(), 1);
    let results: Vec<_> = std::thread::scope(|scope| {
        let call = || bench.ok(&host, "one/app.handler", json!({"n": "é"}));
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(call)).collect();
        threads.into_iter().map(|t| t.join().expect("a result")).collect()
    });
    for result in &results {
        assert_eq!((&result["count"], &result["leak"], &result["env"]), (&json!(1), &json!(1), &json!(null)));
        assert_eq!(
            (&result["cwd"], &result["greeting"], &result["id"]),
            (&json!("one"), &json!("hello"), &json!("r-1"))
        );
        assert_eq!(result["event"], json!({"n": "é"}));
        assert!(result["left"].as_u64().expect("a time") > 1000);
    }
    let mut random: Vec<String> = results.iter().map(|r| r["random"].to_string()).collect();
    random.sort();
    random.dedup();
    assert_eq!(random.len(), results.len(), "forks repeat each other's random numbers");
}

#[test]
fn python_answers_carry_times_logs_and_the_functions_own_error() {
    let Some(bench) = python() else { return };
    let host = bench.host(&["json"]);
    let answer = bench.call(&host, "one/app.handler", json!(1)).expect("an answer");
    assert_eq!(answer.logs, "said so\n");
    assert!(answer.load_ms.expect("a time") >= answer.import_ms.expect("a time"), "{answer:?}");
    assert!(answer.answered_ms <= answer.total_ms, "{answer:?}");
    assert!(answer.peak_mb.expect("an amount") > 1.0);
    let failed = bench.call(&host, "one/app.fails", json!(1)).expect("an answer");
    assert_eq!((failed.ok, failed.error.as_deref()), (false, Some("KeyError: 'no such order'")));
    assert!(failed.traceback.expect("a stack").contains("app.py"));
    let absent = bench.call(&host, "one/absent.handler", json!(1)).expect("an answer");
    assert!(absent.error.expect("a reason").starts_with("ModuleNotFoundError"));
    assert_eq!(bench.ok(&host, "one/app.stdin", json!(1)), json!(""));
    // Streams, the channel, and that of the listing.
    assert_eq!(bench.ok(&host, "one/app.fds", json!(1)), json!([0, 1, 2, 3, 4]));
}

#[test]
fn python_limits_end_a_function_and_not_its_host() {
    let Some(bench) = python() else { return };
    let host = bench.host(&["json"]);
    let short = CallLimits { time: Duration::from_millis(300), ..limits() };
    for handler in ["one/app.sleeps", "one/app.spins"] {
        let error = bench.call_in(&host, handler, json!(1), &short, None).expect_err(handler);
        assert_eq!(error, HostError::TimeLimit { limit_ms: 300, logs: String::new() }, "{handler}");
    }
    let small = CallLimits { output_bytes: 10_000, log_bytes: 100, ..limits() };
    let error = bench.call_in(&host, "one/app.large", json!(20_000), &small, None).expect_err("large");
    assert!(matches!(error, HostError::OutputLimit { limit_bytes: 10_000, .. }), "{error:?}");
    let error = bench.call_in(&host, "one/app.floods", json!(1), &small, None).expect_err("floods");
    assert!(matches!(error, HostError::OutputLimit { .. }), "{error:?}");
    let said = bench.call_in(&host, "one/app.says", json!(1000), &small, None).expect("an answer").logs;
    assert_eq!(said, format!("{}\n[901 bytes more]\n", "y".repeat(100)));
    let loud = CallLimits { time: Duration::from_millis(300), log_bytes: 1000, ..limits() };
    match bench.call_in(&host, "one/app.prints", json!(1), &loud, None) {
        Err(HostError::TimeLimit { logs, .. }) => assert!(logs.len() < 1100, "{}", logs.len()),
        other => panic!("{other:?}"),
    }
    let died = bench.call(&host, "one/app.dies", json!(1)).expect_err("dies");
    assert_eq!(died, HostError::NoAnswer { how: "status 7".to_string(), logs: String::new() });
    assert_eq!(bench.ok(&host, "one/app.large", json!(5_000_000)).as_str().map(str::len), Some(5_000_000));
    assert_eq!(bench.ok(&host, "one/app.handler", json!("z".repeat(3_000_000)))["count"], json!(1));
}

#[test]
fn python_what_a_function_leaves_running_ends_with_it() {
    let Some(bench) = python() else { return };
    let host = bench.host(&["json", "subprocess"]);
    let pid = bench.ok(&host, "one/app.background", json!(1));
    // It has been killed, and is at most waiting to be reaped.
    let alive = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    };
    let start = std::time::Instant::now();
    while alive() {
        assert!(start.elapsed() < Duration::from_secs(20), "it runs on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn python_a_killed_host_is_gone_and_says_so() {
    let Some(bench) = python() else { return };
    let host = bench.host(&["json"]);
    let waiting = std::thread::scope(|scope| {
        let call = scope.spawn(|| bench.call(&host, "one/app.sleeps", json!(1)));
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(host.pids().len(), 2, "the host and a function");
        let pid = i32::try_from(host.pid()).ok().and_then(rustix::process::Pid::from_raw).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
        call.join().expect("joined")
    });
    assert!(matches!(waiting, Err(HostError::Gone(_))), "{waiting:?}");
    // It is known to have had no part in this one.
    assert!(bench.call(&host, "one/app.handler", json!(1)).is_err_and(|e| e.is_untouched()));
    assert!(!host.alive());
}

#[test]
fn python_refuses_threads_unless_allowed() {
    let Some(bench) = python() else { return };
    bench.write(
        "lib/starts_threads.py",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(30,), daemon=True).start()\n",
    );
    let mut spec = bench.spec(&["starts_threads"]);
    spec.packages = Some(bench.path("lib"));
    let host = ForkServer::start(&spec).expect("a host");
    assert_eq!(host.report().names.len(), 2);
    let refused = bench.call(&host, "one/app.handler", json!(1)).expect_err("refused");
    assert!(matches!(&refused, HostError::Refused(why) if why.starts_with("1 threads besides")), "{refused:?}");
    spec.allow_threads = true;
    let host = ForkServer::start(&spec).expect("a host");
    assert_eq!(bench.ok(&host, "one/app.handler", json!(1))["count"], json!(1));
}

#[test]
fn python_says_what_could_not_be_loaded() {
    let Some(bench) = python() else { return };
    let error = ForkServer::start(&bench.spec(&["json", "warmset_absent"])).expect_err("nothing");
    assert!(error.to_string().contains("warmset_absent"), "{error}");
    assert!(error.is_untouched());
}

#[test]
fn python_a_child_image_shares_its_parents_modules_and_adds_its_own() {
    let Some(bench) = python() else { return };
    bench.write("lib/base.py", "import os\nloaded_by = os.getpid()\nbig = [0] * 1_000_000\n");
    bench.write("more/base.py", "loaded_by = 'not the parent'\n");
    bench.write("more/added.py", "import base, os\nloaded_by = os.getpid()\n");
    bench.write("two/app.py", "import base, added\ndef handler(e, c): return [base.loaded_by, added.loaded_by]\n");
    let mut spec = bench.spec(&["base"]);
    spec.packages = Some(bench.path("lib"));
    let parent = ForkServer::start(&spec).expect("a host");
    let child = ChildSpec {
        packages: Some(bench.path("more")),
        modules: vec!["added".to_string()],
        warmup: Vec::new(),
        standby: 0,
        start_limit: Duration::from_secs(20),
    };
    let child = parent.child(&child).expect("a child");
    assert_eq!(bench.ok(&child, "two/app.handler", json!(1)), json!([parent.pid(), child.pid()]));
    assert_eq!((parent.pids(), child.pids()), (vec![parent.pid()], vec![child.pid()]));
    // The list is the parent's: the child's own part is small beside it.
    assert!(child.memory().private_mb < parent.memory().rss_mb / 2.0, "{:?}", child.memory());
    // The child ends alone.
    child.kill();
    assert!(!child.alive() && parent.alive());
    assert_eq!(bench.ok(&parent, "one/app.handler", json!(1))["count"], json!(1));
}

#[test]
fn python_a_warm_up_by_a_handler_leaves_only_what_its_packages_keep() {
    let Some(bench) = python() else { return };
    bench.write(
        "lib/template.py",
        "compiled = []\ndef render():\n    first = not compiled\n    compiled.append(1)\n    return first\n",
    );
    bench.write(
        "three/app.py",
        "import os, helper, template\ncalls = 0\ndef handler(event, context):\n    global calls\n    calls += 1\n    \
         os.environ['WARMED'] = '1'\n    return [calls, template.render(), event, os.environ.get('OWN')]\n",
    );
    bench.write("three/helper.py", "");
    bench.write("four/app.py", "import os, sys\ndef handler(e, c): return ['helper' in sys.modules, os.getcwd().rsplit('/')[-1], os.environ.get('WARMED')]\n");
    bench.write("five/app.py", "def handler(e, c): raise SystemExit(3)\n");
    let mut spec = bench.spec(&["template"]);
    spec.packages = Some(bench.path("lib"));
    let warm = |folder: &str| WarmCall {
        warmup: Warmup {
            module: "app".to_string(),
            call: "handler".to_string(),
            function: Some(folder.to_string()),
            event: Some(json!({"n": 1})),
            saved_ms: None,
            added_mb: None,
        },
        code: Some(bench.path(folder)),
        environment: BTreeMap::from([("OWN".to_string(), "yes".to_string())]),
    };
    spec.warmup = vec![warm("three"), warm("five")];
    let host = ForkServer::start(&spec).expect("a host");
    assert!(host.said().iter().any(|l| l.contains("warning") && l.contains("SystemExit: 3")), "{:?}", host.said());
    assert_eq!(bench.ok(&host, "three/app.handler", json!(2)), json!([1, false, 2, null]));
    assert_eq!(bench.ok(&host, "four/app.handler", json!(2)), json!([false, "four", null]));
}

#[test]
fn python_files_that_modules_hold_open_are_read_by_each_call_from_the_same_place() {
    let Some(bench) = python() else { return };
    bench.write("lib/data.txt", "first second");
    bench.write("lib/keeps.py", "import os\nfile = open(os.path.join(os.path.dirname(__file__), 'data.txt'))\n");
    let mut spec = bench.spec(&["keeps"]);
    spec.packages = Some(bench.path("lib"));
    let host = ForkServer::start(&spec).expect("a host");
    for _ in 0..2 {
        assert_eq!(bench.ok(&host, "one/app.reads", json!(1)), json!(["first second", true]));
    }
}

#[test]
fn python_processes_that_stand_by_serve_once_and_are_replaced() {
    let Some(bench) = python() else { return };
    let mut spec = bench.spec(&["json"]);
    spec.standby = 2;
    let host = ForkServer::start(&spec).expect("a host");
    for _ in 0..10 {
        let result = bench.ok(&host, "one/app.handler", json!(1));
        assert_eq!((&result["count"], &result["env"]), (&json!(1), &json!(null)));
    }
    assert_eq!(bench.ok(&host, "one/app.fds", json!(1)), json!([0, 1, 2, 3, 4]));
    // The answer does not wait for the next to stand by.
    let start = std::time::Instant::now();
    while host.pids().len() != 3 {
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", host.pids());
        std::thread::sleep(Duration::from_millis(5));
    }
}

const NODE: &str = r#"
const dep = require("dep");
let count = 0;
exports.handler = async (event, context) => {
  count += 1;
  console.log("said so");
  return { count, dep: dep.name, loads: globalThis.depLoads, event, greeting: process.env.GREETING, id: context.awsRequestId,
    control: process.env.WARMSET_CONTROL };
};
exports.fails = async () => { throw new RangeError("no such order"); };
exports.spins = () => { for (;;); };
exports.dies = () => process.exit(7);
exports.large = (n) => "x".repeat(n);
exports.timer = async () => { setInterval(() => {}, 1000); return "timer left"; };
exports.own = async () => require("own").name;
"#;

fn node() -> Option<Bench> {
    let bench = Bench::new(Language::Node, Isolation::None)?;
    node_files(&bench);
    Some(bench)
}

fn node_files(bench: &Bench) {
    bench.write("image/node_modules/dep/package.json", r#"{"name": "dep", "version": "1.0.0", "main": "main.js"}"#);
    bench.write(
        "image/node_modules/dep/main.js",
        "globalThis.depLoads = (globalThis.depLoads ?? 0) + 1; exports.name = 'dep';",
    );
    bench.write("closure/node_modules/own/index.js", "exports.name = 'own';");
    bench.write("one/index.js", NODE);
    bench.write("one/src/orders.mjs", "import dep from 'dep';\nexport const create = async () => dep.name;\n");
}

fn node_call(
    bench: &Bench,
    handler: &str,
    event: serde_json::Value,
    limits: &CallLimits,
) -> Result<warmset::live::host::Answer, HostError> {
    let mut spec = bench.spec(&["dep"]);
    spec.packages = Some(bench.path("image"));
    let process = NodeProcess::start(&spec).expect("a process");
    assert_eq!(process.report().loaded, ["dep"]);
    assert!(process.alive() && process.memory().pss_mb > 1.0);
    let (code, closure) = (bench.path("one"), bench.path("closure"));
    let environment = BTreeMap::from([("GREETING".to_string(), "hello".to_string())]);
    let mut call = request(&code, handler, &event, &environment, limits, None);
    call.closure = Some(&closure);
    process.invoke(&call)
}

#[test]
fn node_serves_once_with_the_images_packages_and_the_functions_own() {
    let Some(bench) = node() else { return };
    let answer = node_call(&bench, "index.handler", json!({"n": 1}), &limits()).expect("an answer");
    assert!(answer.ok, "{answer:?}");
    assert_eq!(
        answer.result,
        json!({"count": 1, "dep": "dep", "loads": 1, "event": {"n": 1}, "greeting": "hello", "id": "r-1"})
    );
    assert_eq!(answer.logs, "said so");
    assert!(answer.load_ms.expect("a time") >= answer.import_ms.expect("a time"));
    for (handler, result) in [("src/orders.create", "dep"), ("index.timer", "timer left"), ("index.own", "own")] {
        assert_eq!(node_call(&bench, handler, json!(1), &limits()).expect(handler).result, json!(result), "{handler}");
    }
    let failed = node_call(&bench, "index.fails", json!(1), &limits()).expect("an answer");
    assert_eq!(failed.error.as_deref(), Some("RangeError: no such order"));
}

#[test]
fn node_limits_end_it() {
    let Some(bench) = node() else { return };
    let short = CallLimits { time: Duration::from_millis(500), output_bytes: 10_000, ..limits() };
    let error = node_call(&bench, "index.spins", json!(1), &short).expect_err("spins");
    assert!(matches!(error, HostError::TimeLimit { limit_ms: 500, .. }), "{error:?}");
    let error = node_call(&bench, "index.large", json!(100_000), &limits_of(10_000)).expect_err("large");
    assert!(matches!(error, HostError::OutputLimit { limit_bytes: 10_000, .. }), "{error:?}");
    let error = node_call(&bench, "index.dies", json!(1), &limits()).expect_err("dies");
    assert!(matches!(&error, HostError::NoAnswer { how, .. } if how == "status 7"), "{error:?}");
}

fn limits_of(output_bytes: usize) -> CallLimits {
    CallLimits { output_bytes, ..limits() }
}

#[test]
fn node_says_what_could_not_be_loaded() {
    let Some(bench) = node() else { return };
    let error = NodeProcess::start(&bench.spec(&["absent"])).expect_err("nothing");
    assert!(error.to_string().contains("absent"), "{error}");
}
