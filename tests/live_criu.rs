//! `warmset serve` with CRIU: images whose hosts cannot be forked, and pools that are empty, are thawed from checkpoints,
//! shut in as everything else. Without CRIU 4.2 or newer, or without the rights, it is skipped by name and with the reason.

#![cfg(target_os = "linux")]

mod common;
mod runtime_support;

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

use runtime_support::{FIRST_ID, Fleet, Served, all_end, until, warmset};
use rustix::process::Signal;
use serde_json::{Value, json};
use warmset::live::criu::{Criu, OLDEST};
use warmset::model::Language;

const FULL: [&str; 2] = ["--first-id", FIRST_ID];

/// The processes of the whole machine are looked at, so the tests go one after another.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn has_criu() -> bool {
    use warmset::live::sandbox::probe;
    let lacks = probe(&warmset(), FIRST_ID.parse().expect("a number")).expect("a trial").lacks;
    let required = std::env::var_os("WARMSET_REQUIRE_ROOT").is_some_and(|v| v == "1");
    assert!(lacks.is_empty() || !required, "WARMSET_REQUIRE_ROOT is set, and isolation is lacking: {lacks:?}");
    if !lacks.is_empty() {
        println!("skipped: {lacks:?}");
        return false;
    }
    match Criu::find(OLDEST) {
        Ok(criu) => println!("criu {}", criu.version),
        Err(why) => {
            println!("skipped: criu: {why}");
            return false;
        }
    }
    true
}

fn criu(fleet: &mut Fleet, oldest: &str) {
    for image in fleet.manifest["images"].as_array_mut().expect("images") {
        image["swap"].as_array_mut().expect("methods").push(json!({"method": "criu", "minimum_version": oldest}));
    }
}

/// Takes its time to load, so that to thaw it is faster on any machine, and leaves a thread that works.
const BASE: (&str, &str) = (
    "base.py",
    "import os, random, ssl, threading, time\ntime.sleep(6)\nloaded_by = os.getpid()\nticks = 0\n\
     random.random(), ssl.RAND_bytes(1)\n\
     def tick():\n    global ticks\n    while True:\n        ticks += 1\n        time.sleep(0.01)\n\
     threading.Thread(target=tick, daemon=True).start()\n",
);

const APP: &str = r#"
import os, random, socket, ssl, sys, time
early = "base" in sys.modules
import base
count = 0
def handler(event, context):
    global count
    count += 1
    base.count = getattr(base, "count", 0) + 1
    before = os.environ.get("LEFT"), os.path.exists("/tmp/left"), os.getcwd()
    os.environ["LEFT"] = "1"
    open("/tmp/left", "w").close()
    os.chdir("/tmp")
    ticks = base.ticks
    time.sleep(0.2)
    status = dict(l.split(":\t") for l in open("/proc/self/status").read().splitlines() if ":\t" in l)
    one = dict(l.split(":\t") for l in open("/proc/1/status").read().splitlines() if ":\t" in l)
    def refused(what):
        try: what()
        except OSError as problem: return problem.strerror
    print("said so")
    return {"early": early, "counts": [count, base.count], "before": before, "alive": base.ticks > ticks,
            "uid": [os.getuid(), os.geteuid(), os.getgid()], "groups": os.getgroups(), "nnp": status["NoNewPrivs"],
            "caps": [status[k] for k in ("CapPrm", "CapEff", "CapInh", "CapAmb")], "pids": sorted(int(p) for p in os.listdir("/proc") if p.isdigit()),
            "one": one["Uid"].split() + [one["CapEff"]], "random": [random.random(), ssl.RAND_bytes(8).hex()],
            "ids": open("/proc/self/uid_map").read().split(), "names": [name for _, name in socket.if_nameindex()], "code": sorted(os.listdir("/opt/function")),
            "shared": os.path.isdir("/opt/warmset/shared") and os.listdir("/opt/warmset/shared"), "fds": sorted(int(n) for n in os.listdir("/proc/self/fd")),
            "write": [refused(lambda: open(f + "/x", "w")) for f in ("/opt/function", "/opt/warm", "/usr", "/run", "/")],
            "loopback": socket.create_server(("127.0.0.1", 0)).getsockname()[0], "read": open("/opt/function/app.py").read(3)}
def raises(event, context): raise KeyError("no such order")
def spins(event, context):
    while True: pass
def dies(event, context): os._exit(7)
def forks(event, context):
    if os.fork() == 0:
        os.setsid()
        time.sleep(600)
    return os.listdir("/proc") and "left"
"#;

fn python() -> Option<Fleet> {
    let mut fleet = Fleet::new(Language::Python)?;
    fleet.write("fleet/app/app.py", APP);
    fleet.write("fleet/other/secret.py", "def handler(event, context): pass\n");
    fleet.image("threads", None, &["base"], &[BASE]);
    fleet.image("child", Some("threads"), &["base", "json"], &[BASE]);
    fleet.closure("all", &[BASE]);
    for (id, handler, image) in [
        ("handler", "app.handler", "threads"),
        ("on-child", "app.handler", "child"),
        ("raises", "app.raises", "threads"),
        ("spins", "app.spins", "threads"),
        ("dies", "app.dies", "threads"),
        ("forks", "app.forks", "threads"),
    ] {
        fleet.function(id, "app", handler, Some(image), Some("all"));
    }
    fleet.function("other", "other", "secret.handler", Some("threads"), Some("all"));
    criu(&mut fleet, OLDEST);
    Some(fleet)
}

/// Waits until it is known what becomes of an image's checkpoint.
fn checkpoint(served: &Served<'_>, image: &str) -> Value {
    until("the checkpoint", || Some(served.image(image)["checkpoint"].clone()).filter(|c| !c.is_null()))
}

#[test]
fn a_python_image_with_threads_is_thawed_for_each_call() {
    let _one = alone();
    let Some(fleet) = python().filter(|_| has_criu()) else { return };
    let mut served = fleet.serve(&[&FULL[..], &["--timeout", "5s", "--memory", "512MB"]].concat());
    for image in ["threads", "child"] {
        let made = checkpoint(&served, image);
        assert_eq!(made["why_not"], Value::Null, "{made}");
    }
    until("it takes calls", || (served.image("threads")["pids"] == json!([])).then_some(()));
    assert_eq!(served.image("threads")["threads"].as_array().map(Vec::len), Some(1), "{}", served.status());

    let mut random = BTreeSet::new();
    for function in ["handler", "handler", "on-child"] {
        let told = served.ok(function, json!(1));
        assert_eq!(told["start"], json!("criu"), "{told:#}");
        assert_eq!(told["logs"], json!("said so"));
        let result = &told["result"];
        assert_eq!((&result["early"], &result["alive"]), (&json!(true), &json!(true)), "{result}");
        // Nothing of the call before is there.
        assert_eq!((&result["counts"], &result["before"]), (&json!([1, 1]), &json!([null, false, "/opt/function"])));
        assert_eq!((&result["uid"], &result["groups"]), (&json!([1000, 1000, 1000]), &json!([])));
        let none = "0000000000000000";
        assert_eq!((&result["nnp"], &result["caps"]), (&json!("1"), &json!([none, none, none, none])));
        // Process 1 is root of its user namespace, and of nothing else: its ids are the sandbox's own.
        assert_eq!(
            result["one"].as_array().map(|one| &one[..4]),
            Some(&[json!("0"), json!("0"), json!("0"), json!("0")][..])
        );
        assert_eq!(result["ids"], json!(["0", FIRST_ID, "65536"]));
        assert_eq!(result["pids"], json!([1, 1000]));
        assert_eq!((&result["names"], &result["loopback"]), (&json!(["lo"]), &json!("127.0.0.1")));
        assert_eq!((&result["code"], &result["read"]), (&json!(["app.py"]), &json!("\nim")));
        assert_eq!(result["shared"], json!([]), "it sees what belongs to others");
        assert_eq!(result["fds"].as_array().map(Vec::len), Some(5), "{}", result["fds"]);
        assert!(result["write"].as_array().is_some_and(|all| all.iter().all(Value::is_string)), "{}", result["write"]);
        for part in result["random"].as_array().expect("numbers") {
            assert!(random.insert(part.to_string()), "{part} came before");
        }
    }
    let outcome = |function: &str| served.call(function, &json!(1)).1["outcome"].clone();
    assert_eq!(outcome("raises"), json!("error"));
    assert_eq!(outcome("spins"), json!("time-limit"));
    assert_eq!(outcome("dies"), json!("no-answer"));
    assert_eq!(outcome("forks"), json!("ok"));
    let (_, metrics) = runtime_support::http(&fleet.socket(), "GET", "/metrics", b"");
    let metrics = String::from_utf8(metrics).expect("text");
    assert!(metrics.contains(r#"warmset_invocations_total{image="threads",start="criu",outcome="ok"} 3"#), "{metrics}");
    // What a function has left running has ended with it, and the files end with the runtime.
    let id = FIRST_ID.parse::<u32>().expect("a number") + 1000;
    let left = || -> Vec<u32> { of_id(id) };
    until("all that was thawed has ended", || left().is_empty().then_some(()));
    served.end(Signal::TERM);
    assert_eq!(fleet.scratch(), Vec::<std::path::PathBuf>::new());
}

/// Processes of a user.
fn of_id(id: u32) -> Vec<u32> {
    use std::os::unix::fs::MetadataExt;
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let number = |entry: &fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    entries.filter(|e| e.metadata().is_ok_and(|m| m.uid() == id)).filter_map(|e| number(&e)).collect()
}

#[test]
fn a_node_process_is_thawed_where_none_is_ready() {
    let _one = alone();
    let Some(mut fleet) = Fleet::new(Language::Node).filter(|_| has_criu()) else { return };
    // A dependency that takes its time.
    let slow = "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 6000); \
        globalThis.loads = (globalThis.loads ?? 0) + 1; exports.loads = () => globalThis.loads;";
    let files = [("slow/index.js", slow), ("slow/package.json", r#"{"name": "slow", "version": "1.0.0"}"#)];
    fleet.image("pool", None, &["slow"], &files);
    fleet.closure("all", &files);
    let code = r#"
const slow = require("slow"), crypto = require("node:crypto"), fs = require("node:fs"), os = require("node:os");
exports.handler = async (event) => {
  await new Promise((done) => setTimeout(done, event));
  const status = fs.readFileSync("/proc/self/status", "utf8");
  const line = (name) => status.split("\n").find((l) => l.startsWith(name + ":")).split(":\t")[1];
  return { loads: slow.loads(), random: [crypto.randomBytes(8).toString("hex"), crypto.randomUUID(), Math.random()],
    caps: [line("CapEff"), line("CapPrm"), line("NoNewPrivs")], uid: process.getuid(), code: fs.readdirSync(__dirname),
    names: Object.keys(os.networkInterfaces()) };
};
"#;
    fleet.write("fleet/app/index.js", code);
    fleet.function("node", "app", "index.handler", Some("pool"), Some("all"));
    criu(&mut fleet, OLDEST);
    let served = fleet.serve(&[&FULL[..], &["--pool", "1"]].concat());
    served.up("pool");
    let made = checkpoint(&served, "pool");
    if made["why_not"] == json!("thawed processes would repeat each other's random numbers") {
        println!("skipped: criu: this node has no random numbers from the processor");
        return;
    }
    assert_eq!(made["why_not"], Value::Null, "{made}");
    let told: Vec<Value> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..4).map(|_| scope.spawn(|| served.ok("node", json!(100)))).collect();
        calls.into_iter().map(|call| call.join().expect("an answer")).collect()
    });
    let mut random = BTreeSet::new();
    let mut thawed = Vec::new();
    for told in &told {
        let result = &told["result"];
        assert_eq!(result["loads"], json!(1));
        for part in result["random"].as_array().expect("numbers") {
            assert!(random.insert(part.to_string()), "{part} came before: {told:#}");
        }
        assert_eq!(result["code"], json!(["index.js"]));
        match told["start"].as_str() {
            Some("criu") => thawed.push(result),
            start => assert_eq!(start, Some("swap"), "{told:#}"),
        }
    }
    assert!(thawed.len() >= 3, "one process waits, and another takes six seconds: {told:#?}");
    let none = "0000000000000000";
    for result in thawed {
        assert_eq!((&result["uid"], &result["caps"]), (&json!(1000), &json!([none, none, "1"])));
        assert_eq!(result["names"], json!(["lo"]));
    }
}

#[test]
fn without_it_a_checkpoint_is_not_taken_and_that_is_said() {
    let _one = alone();
    let Some(mut fleet) = Fleet::new(Language::Python) else { return };
    fleet.image("plain", None, &["json"], &[]);
    // No version is as new as that.
    criu(&mut fleet, "99.1");
    let served = fleet.serve(&["--isolation", "none"]);
    assert!(served.said().contains("criu skipped: it needs full isolation"), "{}", served.said());
    assert_eq!(served.said().matches("criu skipped").count(), 1);
    drop(served);
    let served = fleet.serve(&["--isolation", "none", "--criu", "off"]);
    assert!(!served.said().contains("criu"), "{}", served.said());
    drop(served);
    if has_criu() {
        let served = fleet.serve(&FULL);
        assert!(served.said().contains("is older than 99.1"), "{}", served.said());
        let pids = served.pids("plain");
        drop(served);
        all_end(&pids);
    }
}
