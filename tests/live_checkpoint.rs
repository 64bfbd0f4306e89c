//! Checkpoints in full isolation: what was loaded is frozen by CRIU, and thawed for each call as shut in as any other.
//! Needs root and CRIU, and says so where they are absent.

#![cfg(target_os = "linux")]

mod common;
mod live_support;

use std::collections::BTreeMap;

use live_support::{Bench, limits, request, warmset};
use serde_json::{Value, json};
use warmset::live::criu::{Criu, OLDEST};
use warmset::live::host::{Checkpoint, ForkServer, NodeProcess};
use warmset::live::sandbox::{Isolation, probe};
use warmset::model::Language;

const FIRST_ID: u32 = 500_000;

const NODE: &str = r#"
const fs = require("fs");
globalThis.count = (globalThis.count ?? 0) + 1;
const status = (name) => fs.readFileSync("/proc/self/status", "utf8").match(new RegExp(`^${name}:\\s*(.*)$`, "m"))[1];
const attempt = (work) => { try { work(); return "done"; } catch (problem) { return problem.code; } };
exports.who = async () => {
  console.log("said so");
  const left = fs.existsSync("/tmp/left");
  fs.writeFileSync("/tmp/left", "");
  return {
    dep: require("dep").name, loaded: globalThis.loaded, count: globalThis.count, left, uid: process.getuid(), gids: process.getgroups(),
    caps: ["CapEff", "CapPrm", "CapInh", "CapAmb"].map(status), privs: status("NoNewPrivs"), seccomp: status("Seccomp"),
    pids: fs.readdirSync("/proc").filter((n) => /^\d+$/.test(n)).length, map: fs.readFileSync("/proc/self/uid_map", "utf8").trim().split(/\s+/),
    nets: Object.keys(require("os").networkInterfaces()), hostname: require("os").hostname(), code: fs.readdirSync(__dirname),
    namespaces: Object.fromEntries(["user", "pid", "mnt", "net", "uts", "ipc", "time"].map((n) => [n, fs.readlinkSync(`/proc/self/ns/${n}`)])),
    write: attempt(() => fs.writeFileSync("/opt/left", "")), run: attempt(() => fs.writeFileSync("/run/left", "")),
    first: attempt(() => process.kill(1, "SIGKILL")), fds: fs.readdirSync("/proc/self/fd").map((n) => attempt(() => fs.readlinkSync(`/proc/self/fd/${n}`)) && (() => { try { return fs.readlinkSync(`/proc/self/fd/${n}`); } catch { return ""; } })()),
    random: [Math.random(), require("crypto").randomUUID()], root: fs.readdirSync("/").sort(), home: attempt(() => fs.readdirSync("/root")),
    clock: Number(process.hrtime.bigint() / 1000000n),
  };
};
"#;

#[test]
fn a_thawed_process_is_shut_in_as_one_of_a_pool() {
    let permitted = probe(&warmset(), FIRST_ID).expect("a trial");
    if permitted.isolation != (Isolation::Full { first_id: FIRST_ID }) {
        println!("skipped: {:?}", permitted.lacks);
        return;
    }
    let criu = match Criu::find(OLDEST) {
        Ok(criu) => criu,
        Err(reason) => return println!("skipped: criu: {reason}"),
    };
    let Some(bench) = Bench::new(Language::Node, permitted.isolation) else { return };
    bench.write("image/node_modules/dep/index.js", "exports.name = 'dep'; globalThis.loaded = process.pid;");
    bench.write("one/index.js", NODE);
    let mut spec = bench.spec(&["dep"]);
    spec.packages = Some(bench.path("image"));
    spec.nofile = Some(1024);
    let (code, environment, event, limits) = (bench.path("one"), BTreeMap::new(), json!(null), limits());
    let call = request(&code, "index.who", &event, &environment, &limits, None);
    let pool = NodeProcess::start(&spec).expect("a process").invoke(&call).expect("an answer");
    assert!(pool.ok, "{pool:?}");
    let checkpoint = Checkpoint::take(&spec, false, &criu).expect("a checkpoint");
    println!("cold, thawed (ms): {:?}", checkpoint.times_ms());
    let thawed: Vec<Value> = (0..3)
        .map(|_| {
            let answer = checkpoint.invoke(&call, None).expect("an answer");
            println!("ready after {:?} ms, all after {:.0} ms", answer.load_ms, answer.total_ms);
            assert!(answer.ok, "{answer:?}");
            assert_eq!(answer.logs, "said so");
            answer.result
        })
        .collect();
    for one in &thawed {
        println!("{one}");
        for same in [
            "dep", "count", "left", "uid", "gids", "caps", "privs", "seccomp", "pids", "map", "hostname", "code",
            "write", "run", "first", "root", "home",
        ] {
            assert_eq!(one[same], pool.result[same], "{same}");
        }
        let own = |name: &str| std::fs::read_link(format!("/proc/self/ns/{name}")).expect("a namespace");
        for name in ["user", "pid", "mnt", "net", "uts", "ipc"] {
            assert_ne!(one["namespaces"][name], json!(own(name)), "{name}");
        }
        // Its clock is the machine's.
        assert_eq!(one["namespaces"]["time"], json!(own("time")));
    }
    assert_ne!(thawed[0]["random"], thawed[1]["random"]);
    assert_eq!(thawed[0]["loaded"], json!(1000), "what was loaded was frozen");
}

#[test]
fn a_host_with_threads_is_thawed_with_them() {
    let permitted = probe(&warmset(), FIRST_ID).expect("a trial");
    if permitted.isolation != (Isolation::Full { first_id: FIRST_ID }) {
        println!("skipped: {:?}", permitted.lacks);
        return;
    }
    let criu = match Criu::find(OLDEST) {
        Ok(criu) => criu,
        Err(reason) => return println!("skipped: criu: {reason}"),
    };
    let Some(bench) = Bench::new(Language::Python, permitted.isolation) else { return };
    let loaded = "import queue, threading\nasked, answered = queue.Queue(), queue.Queue()\n\
        def work():\n    while True: answered.put(asked.get() + 1)\n\
        threading.Thread(target=work, daemon=True).start()\ncount = 0\n";
    bench.write("image/threaded.py", loaded);
    let code = "import os, random, threaded\ndef handler(event, context):\n    threaded.count += 1\n    threaded.asked.put(event)\n\
        \x20   own = {n: os.readlink('/proc/self/ns/' + n) for n in ('user', 'pid', 'mnt', 'net', 'uts', 'ipc')}\n\
        \x20   caps = [l.split()[1] for l in open('/proc/self/status') if l.startswith('Cap')][1:3]\n\
        \x20   return [threaded.answered.get(timeout=10), threaded.count, os.getuid(), caps, own, random.random()]\n";
    bench.write("one/app.py", code);
    let mut spec = bench.spec(&["threaded"]);
    spec.packages = Some(bench.path("image"));
    let checkpoint = Checkpoint::take(&spec, true, &criu).expect("a checkpoint");
    println!("cold, thawed (ms): {:?}", checkpoint.times_ms());
    let (code, environment, event, limits) = (bench.path("one"), BTreeMap::new(), json!(41), limits());
    let call = request(&code, "app.handler", &event, &environment, &limits, None);
    let results: Vec<Value> = (0..2)
        .map(|_| {
            let answer = checkpoint.invoke(&call, None).expect("an answer");
            assert!(answer.ok, "{answer:?}");
            answer.result
        })
        .collect();
    for one in &results {
        assert_eq!((&one[0], &one[1], &one[2]), (&json!(42), &json!(1), &json!(1000)), "{one}");
        assert_eq!(one[3], json!(["0000000000000000", "0000000000000000"]));
        for name in ["user", "pid", "mnt", "net", "uts", "ipc"] {
            let own = std::fs::read_link(format!("/proc/self/ns/{name}")).expect("a namespace");
            assert_ne!(one[4][name], json!(own), "{name}");
        }
    }
    assert_ne!(results[0][5], results[1][5], "random numbers are not repeated");
}

/// Not a test: `WARMSET_SITE=FOLDER WARMSET_MODULES=express,pg cargo test --test live_checkpoint -- --ignored --nocapture`
/// prints how long a process takes that was thawed, and one that loads. `WARMSET_LANGUAGE=python` for Python.
#[test]
#[ignore = "measures, and needs packages"]
fn measure_checkpoints() {
    let permitted = probe(&warmset(), FIRST_ID).expect("a trial");
    let criu = Criu::find(OLDEST).expect("criu");
    let python = std::env::var("WARMSET_LANGUAGE").is_ok_and(|language| language == "python");
    let language = if python { Language::Python } else { Language::Node };
    let bench = Bench::new(language, permitted.isolation).expect("an interpreter");
    let modules = std::env::var("WARMSET_MODULES").expect("modules");
    let modules: Vec<&str> = modules.split(',').collect();
    bench.write("one/app.py", &format!("import {}\ndef handler(e, c): return None\n", modules.join(", ")));
    let requires: Vec<String> = modules.iter().map(|name| format!("require('{name}');")).collect();
    bench.write("one/app.js", &format!("{}exports.handler = async () => null;", requires.concat()));
    let mut spec = bench.spec(&modules);
    spec.packages = std::env::var_os("WARMSET_SITE").map(std::path::PathBuf::from);
    spec.shared.extend(spec.packages.clone());
    spec.environment.extend(std::env::var("OPENBLAS_NUM_THREADS").map(|n| ("OPENBLAS_NUM_THREADS".to_string(), n)));
    let checkpoint = Checkpoint::take(&spec, python, &criu).expect("a checkpoint");
    println!("threads: {:?}, {:.1} MB of files", checkpoint.report().names, checkpoint.bytes() as f64 / 1e6);
    let (code, environment, event, limits) = (bench.path("one"), BTreeMap::new(), json!(null), limits());
    let (mut cold, mut thawed) = (Vec::new(), Vec::new());
    for _ in 0..9 {
        let mut call = request(&code, "app.handler", &event, &environment, &limits, None);
        let begun = std::time::Instant::now();
        call.since = Some(begun);
        let mut bare = spec.clone();
        bare.modules.clear();
        let answer = if python {
            ForkServer::start(&bare).expect("a host").invoke(&call)
        } else {
            NodeProcess::start(&bare).expect("a process").invoke(&call)
        };
        cold.push(answer.expect("an answer").load_ms.expect("a time"));
        call.since = None;
        thawed.push(checkpoint.invoke(&call, None).expect("an answer").load_ms.expect("a time"));
    }
    for (name, times) in [("cold", &mut cold), ("thawed", &mut thawed)] {
        times.sort_by(f64::total_cmp);
        println!("{name}: ready after {:.0} ms ({:.0} to {:.0})", times[4], times[0], times[8]);
    }
    println!(
        "{:.1} times; load {}",
        cold[4] / thawed[4],
        std::fs::read_to_string("/proc/loadavg").expect("a load").trim()
    );
}
