//! The reference runtime as its users have it: `warmset serve` and `warmset invoke`, without isolation (any user's
//! machine), and in full isolation where there are root, namespaces and control groups. Without those the latter say so;
//! with `WARMSET_REQUIRE_ROOT=1` that is a failure.

#![cfg(target_os = "linux")]

mod common;
mod runtime_support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use runtime_support::{FIRST_ID, Fleet, all_end, ended, http, is_running, request, signal, until, warmset};
use rustix::process::Signal;
use serde_json::{Value, json};
use warmset::model::Language;

const NONE: [&str; 2] = ["--isolation", "none"];
const FULL: [&str; 2] = ["--first-id", FIRST_ID];

/// Whether full isolation can be had; the test is skipped by name otherwise.
fn has_rights() -> bool {
    use warmset::live::sandbox::probe;
    let lacks = probe(&warmset(), FIRST_ID.parse().expect("a number")).expect("a trial").lacks;
    let required = std::env::var_os("WARMSET_REQUIRE_ROOT").is_some_and(|v| v == "1");
    assert!(lacks.is_empty() || !required, "WARMSET_REQUIRE_ROOT is set, and isolation is lacking: {lacks:?}");
    if !lacks.is_empty() {
        println!("skipped: {lacks:?}");
    }
    lacks.is_empty()
}

const BASE: (&str, &str) = ("base.py", "import os\nloaded_by = os.getpid()\nrenders = 0\n");
const ADDED: (&str, &str) = ("added.py", "import base, os\nloaded_by = os.getpid()\n");

const APP: &str = r#"
import sys
early = [name for name in ("base", "added") if name in sys.modules]
import json, os, signal, time
import base
count = 0
def handler(event, context):
    global count
    count += 1
    json.leak = getattr(json, "leak", 0) + 1
    seen = os.environ.get("LEFT_BEHIND"), os.path.basename(os.getcwd())
    files = [os.path.exists(folder + "/left") for folder in ("/tmp", "/dev/shm", "/var/tmp")]
    os.environ["LEFT_BEHIND"] = "1"
    os.chdir("/")
    if event == "write":
        for folder in ("/tmp", "/dev/shm", "/var/tmp"): open(folder + "/left", "w").close()
    print("said so")
    added = sys.modules.get("added")
    return {"early": early, "base": base.loaded_by, "added": added and added.loaded_by, "pid": os.getpid(),
            "count": count, "leak": json.leak, "env": seen[0], "cwd": seen[1], "files": files}
def fails(event, context): raise KeyError("no such order")
def spins(event, context):
    open(event, "w").write(str(os.getpid()))
    while True: pass
def sleeps(event, context):
    if event[1]: open(event[1], "w").write(str(os.getpid()))
    time.sleep(event[0])
    return "woken"
def large(event, context): return "x" * event
def kills_its_host(event, context):
    with open(event, "a+") as file:
        file.write("begun\n")
        file.flush()
        file.seek(0)
        begun = len(file.readlines())
    if begun == 1:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    return begun
"#;

/// Two images, the second on the first, and functions on both and on none.
fn fleet() -> Option<Fleet> {
    let mut fleet = Fleet::new(Language::Python)?;
    fleet.write("fleet/app/app.py", APP);
    fleet.image("base", None, &["base", "json"], &[BASE]);
    fleet.image("more", Some("base"), &["added"], &[BASE, ADDED]);
    fleet.closure("all", &[BASE, ADDED]);
    for (id, handler, image) in [
        ("on-base", "app.handler", Some("base")),
        ("on-more", "app.handler", Some("more")),
        ("planned-cold", "app.handler", None),
        ("fails", "app.fails", Some("base")),
        ("spins", "app.spins", Some("base")),
        ("sleeps", "app.sleeps", Some("base")),
        ("large", "app.large", Some("base")),
        ("kills", "app.kills_its_host", Some("base")),
    ] {
        fleet.function(id, "app", handler, image, Some("all"));
    }
    Some(fleet)
}

/// Its own image, a child image, and the cold start that was planned.
fn swaps(options: &[&str]) {
    let Some(fleet) = fleet() else { return };
    let served = fleet.serve(options);
    served.up("more");
    let base = served.ok("on-base", json!(1));
    assert_eq!((&base["start"], &base["image"], &base["attempts"]), (&json!("swap"), &json!("base"), &json!(1)));
    assert_eq!((&base["because"], &base["logs"]), (&Value::Null, &json!("said so\n")));
    assert_eq!(base["result"]["early"], json!(["base"]), "the image was loaded before the function");
    let more = served.ok("on-more", json!(1));
    assert_eq!((&more["start"], &more["image"]), (&json!("swap"), &json!("more")));
    assert_eq!(more["result"]["early"], json!(["base", "added"]));
    // What the parent has loaded the child has from it, and has not loaded again.
    assert_eq!(more["result"]["base"], base["result"]["base"]);
    assert_ne!(more["result"]["base"], more["result"]["added"]);
    let cold = served.ok("planned-cold", json!(1));
    assert_eq!((&cold["start"], &cold["image"], &cold["because"]), (&json!("cold"), &Value::Null, &Value::Null));
    assert_eq!(cold["result"]["early"], json!([]));
    assert!(cold["ready_ms"].as_f64() >= cold["import_ms"].as_f64() && cold["ready_ms"].is_f64(), "{cold}");
    // Processes of the parent are not counted for the child too.
    let (parent, child) = (served.pids("base"), served.pids("more"));
    assert!(
        !parent.is_empty() && !child.is_empty() && !parent.iter().any(|p| child.contains(p)),
        "{parent:?} {child:?}"
    );
    let failed = served.call("fails", &json!(1));
    assert_eq!((failed.0, &failed.1["outcome"], &failed.1["ok"]), (200, &json!("error"), &json!(false)));
    assert_eq!(failed.1["error"], json!("KeyError: 'no such order'"));
}

#[test]
fn a_function_is_put_onto_its_image_and_a_child_image_is_its_parents_fork() {
    swaps(&NONE);
}

#[test]
fn full_a_function_is_put_onto_its_image_and_a_child_image_is_its_parents_fork() {
    if has_rights() {
        swaps(&FULL);
    }
}

/// Nothing that a call changes is there for the next one.
fn leaks_nothing(options: &[&str], files: bool) {
    let Some(fleet) = fleet() else { return };
    let served = fleet.serve(options);
    served.up("more");
    let cwd = served.ok("on-base", json!(0))["result"]["cwd"].clone();
    for function in ["on-base", "on-base", "on-more", "on-more", "planned-cold"] {
        let result = served.ok(function, json!(if files { "write" } else { "" }))["result"].clone();
        assert_eq!(
            (&result["count"], &result["leak"], &result["env"]),
            (&json!(1), &json!(1), &Value::Null),
            "{result}"
        );
        assert_eq!(result["cwd"], cwd);
        if files {
            assert_eq!(result["files"], json!([false, false, false]), "files of another call");
        }
    }
}

#[test]
fn globals_environment_and_current_folder_do_not_leak() {
    leaks_nothing(&NONE, false);
}

#[test]
fn full_globals_environment_current_folder_and_files_do_not_leak() {
    if has_rights() {
        leaks_nothing(&FULL, true);
    }
}

#[test]
fn an_image_that_is_missing_dead_or_stale_is_replaced_by_the_fallback_which_says_so() {
    let Some(mut fleet) = fleet() else { return };
    fleet.image("missing", None, &["base"], &[BASE]);
    fleet.image("dead", None, &["warmset_absent"], &[BASE]);
    fleet.image("stale", None, &["base"], &[BASE]);
    fleet.image("on-dead", Some("dead"), &["base"], &[BASE]);
    for image in ["missing", "dead", "stale", "on-dead", "unheard-of"] {
        let function = fleet.function(&format!("f-{image}"), "app", "app.handler", Some(image), Some("all"));
        function["fallback"] = json!([{"kind": "image", "id": "base"}, {"kind": "cold"}]);
    }
    let chain = fleet.function("f-none", "app", "app.handler", Some("dead"), Some("all"));
    chain["fallback"] = json!([{"kind": "image", "id": "missing"}, {"kind": "cold"}]);
    fs::remove_dir_all(fleet.path("plan/images/missing")).expect("removed");
    fleet.write("plan/images/stale/requirements.lock", "# another\n");
    let served = fleet.serve(&NONE);
    served.up("base");
    for (image, why) in [
        ("missing", "the image is not here: the lock of image missing cannot be read"),
        ("dead", "warmset_absent"),
        ("stale", "images/stale/requirements.lock is not the lock that the manifest names: it is stale"),
        ("on-dead", "its parent dead does not run"),
        ("unheard-of", "the manifest has no such image"),
    ] {
        let told = served.ok(&format!("f-{image}"), json!(1));
        assert_eq!((&told["start"], &told["image"]), (&json!("fallback"), &json!("base")), "{told}");
        assert_eq!(told["result"]["early"], json!(["base"]));
        let because: Vec<String> = serde_json::from_value(told["because"].clone()).expect("reasons");
        assert_eq!(because.len(), 1, "{because:?}");
        assert!(because[0].starts_with(&format!("{image}: ")) && because[0].contains(why), "{because:?}");
    }
    let told = served.ok("f-none", json!(1));
    assert_eq!((&told["start"], &told["image"], &told["attempts"]), (&json!("fallback"), &Value::Null, &json!(1)));
    assert_eq!(told["because"].as_array().map(Vec::len), Some(2), "{told}");
    assert_eq!(told["result"]["early"], json!([]));
    // People are told on stderr, and the result is all that is on stdout.
    let output = served.invoke("f-stale", "1", &[]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).expect("a result")["count"], json!(1));
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("fallback: stale: ") && words.contains("said so"), "{words}");
    let said = served.said();
    assert!(said.contains("artefact-invalid") && said.contains("it is stale"), "{said}");
    let status = served.status();
    assert_eq!(status["images"]["dead"]["up"], json!(false));
    assert!(status["images"]["dead"]["why"].as_str().is_some_and(|why| why.contains("warmset_absent")), "{status}");
}

#[test]
fn the_status_of_invoke_tells_a_failure_of_the_function_from_one_of_the_call() {
    let Some(mut fleet) = fleet() else { return };
    fleet.function("no-code", "absent", "app.handler", None, Some("all"));
    fleet.function("no-version", "app", "app.handler", None, None)["unresolved"] = json!(["left-pad"]);
    fleet.function("no-handler", "app", "", None, Some("all"))["handler"] = Value::Null;
    fleet.function("no-platform", "app", "app.handler", None, Some("all"))["platform"] = Value::Null;
    fleet.function("no-closure", "app", "app.handler", Some("base"), Some("unheard-of"));
    fleet.function("leaves", "../plan", "app.handler", None, Some("all"));
    let served = fleet.serve(&NONE);
    served.up("base");
    let status = |function: &str, event: &str| served.invoke(function, event, &["--format", "json"]).status.code();
    assert_eq!((status("on-base", "1"), status("on-base", ""), status("fails", "{}")), (Some(0), Some(0), Some(1)));
    let undeployed = ["no-code", "no-version", "no-handler", "no-platform", "no-closure", "leaves"];
    for function in undeployed {
        assert_eq!(status(function, "1"), Some(2), "{function}");
        let (code, told) = served.call(function, &json!(1));
        assert_eq!((code, &told["outcome"]), (503, &json!("not-deployed")), "{function}");
        assert!(served.said().contains(&format!("{function} cannot be deployed")), "{function}: {}", served.said());
    }
    assert!(served.said().contains("the manifest has no closure unheard-of"), "{}", served.said());
    let unknown = served.invoke("nobody", "1", &[]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("the manifest has no function nobody"));
    assert_eq!(served.call("nobody", &json!(1)).0, 404);
    let broken = served.invoke("on-base", "{\"a\": ", &[]);
    assert_eq!(broken.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&broken.stderr).contains("the event is not JSON"), "{broken:?}");
    let socket = fleet.socket();
    assert_eq!(http(&socket, "POST", "/invoke/on-base", b"{\"a\": ").0, 400);
    assert_eq!(http(&socket, "POST", "/invoke/on-base", b"").0, 200);
    assert_eq!(http(&socket, "GET", "/invoke/on-base", b"").0, 405);
    assert_eq!(http(&socket, "POST", "/invoke/on-base", &vec![b' '; 17 << 20]).0, 413);
    let long = served.invoke("on-base", &format!("\"{}\"", "x".repeat(17 << 20)), &[]);
    assert_eq!(long.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&long.stderr).contains("the event has 17825794 bytes"), "{long:?}");
    // Nobody listens.
    let output = Command::new(warmset())
        .args(["invoke", "on-base", "--socket"])
        .arg(fleet.path("run/nobody"))
        .output()
        .expect("invoke");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("start `warmset serve`"), "{output:?}");
}

/// A host that is killed fails its calls cleanly, and another takes its place.
fn replaces_a_killed_host(options: &[&str]) {
    let Some(fleet) = fleet() else { return };
    let served = fleet.serve(options);
    served.up("more");
    let before = (served.pids("base"), served.pids("more"));
    let failed = std::thread::scope(|scope| {
        let call = scope.spawn(|| served.invoke("sleeps", "[60, null]", &["--format", "json"]));
        until("the function runs", || (served.pids("base").len() > before.0.len()).then_some(()));
        before.0.iter().for_each(|pid| signal(*pid, Signal::KILL));
        call.join().expect("joined")
    });
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    let told: Value = serde_json::from_slice(&failed.stdout).expect("JSON");
    assert_eq!((&told["outcome"], &told["attempts"], &told["ok"]), (&json!("host-gone"), &json!(1), &json!(false)));
    // Both come back, the child as a fork of the new parent.
    let changed = |id: &str, old: &[u32]| {
        until("another host runs", || {
            let image = served.up(id);
            let pids: Vec<u32> = serde_json::from_value(image["pids"].clone()).expect("numbers");
            (!pids.is_empty() && !pids.iter().any(|pid| old.contains(pid))).then_some(image)
        })
    };
    assert_eq!(changed("base", &before.0)["restarts"], json!(1));
    changed("more", &before.1);
    let (base, more) = (served.ok("on-base", json!(1)), served.ok("on-more", json!(1)));
    assert_eq!((&base["start"], &more["start"]), (&json!("swap"), &json!("swap")));
    assert_eq!(base["result"]["base"], more["result"]["base"], "the child has its pages from the old parent");
    all_end(&before.0);
    all_end(&before.1);
}

#[test]
fn a_killed_host_is_replaced_with_its_children_and_its_call_fails_cleanly() {
    replaces_a_killed_host(&NONE);
}

#[test]
fn full_a_killed_host_is_replaced_with_its_children_and_its_call_fails_cleanly() {
    if has_rights() {
        replaces_a_killed_host(&FULL);
    }
}

#[test]
fn a_call_whose_host_ended_is_made_again_once_where_that_was_asked_for() {
    let Some(fleet) = fleet() else { return };
    let begun = |name: &str| fs::read_to_string(fleet.path(name)).expect("a file").lines().count();
    {
        let served = fleet.serve(&NONE);
        served.up("base");
        let (status, told) = served.call("kills", &json!(fleet.path("once")));
        assert_eq!((status, &told["outcome"], &told["attempts"]), (502, &json!("host-gone"), &json!(1)), "{told}");
        assert_eq!(begun("once"), 1, "it was made again, unasked");
    }
    let served = fleet.serve(&["--isolation", "none", "--retries", "1"]);
    served.up("base");
    let told = served.ok("kills", json!(fleet.path("twice")));
    // The host may still be missing when the call is made again: then it goes to the fallback.
    assert_eq!((&told["result"], &told["attempts"]), (&json!(2), &json!(2)), "{told}");
    assert!(told["because"][0].as_str().is_some_and(|b| b.starts_with("base: the host is gone")), "{told}");
    assert_eq!(begun("twice"), 2);
}

#[test]
fn an_image_that_cannot_start_keeps_no_other_waiting_and_settling_ends() {
    use warmset::live::host::CallLimits;
    use warmset::live::install::Store;
    use warmset::live::runtime::provision::{Sources, provision};
    use warmset::live::runtime::{Keep, Maker, Options, Runtime};
    use warmset::live::sandbox::{Isolation, Limits};

    let Some(mut fleet) = fleet() else { return };
    fleet.image("dead", None, &["warmset_absent"], &[BASE]);
    fleet.image("on-dead", Some("dead"), &["base"], &[BASE]);
    let manifest = serde_json::from_value(fleet.manifest.clone()).expect("a manifest");
    let store = Store::open(&fleet.path("cache"), runtime_support::LONG).expect("a store");
    let no = std::sync::atomic::AtomicBool::new(false);
    let (plan, code, state) = (fleet.path("plan"), fleet.path("fleet"), fleet.path("state"));
    let sources = Sources { plan: &plan, code: &code, state: &state, modules_at: None };
    let files = provision(&manifest, sources, &store, &no, &|_| ()).expect("files");
    let maker = Maker {
        options: Options {
            warmset: warmset(),
            isolation: Isolation::None,
            network: true,
            allow_threads: false,
            standby: 0,
            pool: None,
            limits: CallLimits::default(),
            bounds: Limits { pids: None, cpus: None, memory_mb: None },
            retries: 0,
            start_limit: runtime_support::LONG,
        },
        criu: None,
        group: None,
        shared: vec![state.join("functions"), store.environments()],
        scratch: state.clone(),
    };
    let runtime = Runtime::start(&manifest, files, maker, Keep::All);
    assert!(runtime.settle(runtime_support::LONG));
    let images = runtime.snapshot().images;
    let up: Vec<(&str, bool)> = images.iter().map(|(id, image)| (id.as_str(), image.up)).collect();
    assert_eq!(up, [("base", true), ("dead", false), ("more", true), ("on-dead", false)]);
    assert_eq!(images["on-dead"].restarts, 0, "it waits for its parent, and has not failed itself");
    let pids: Vec<u32> = images.values().flat_map(|image| image.pids.clone()).collect();
    drop(runtime);
    all_end(&pids);
}

#[test]
fn calls_go_on_while_a_child_image_loads() {
    let Some(mut fleet) = fleet() else { return };
    // It loads until it is let, and no call of its parent may wait for that.
    let gate = fleet.path("gate");
    let slow =
        format!("import os, time\nwhile not os.path.exists({:?}): time.sleep(0.01)\n", gate.display().to_string());
    fleet.image("slow", Some("base"), &["slow"], &[BASE, ("slow.py", &slow)]);
    fleet.write("gate", "");
    let served = fleet.serve(&NONE);
    served.up("slow");
    fs::remove_file(&gate).expect("removed");
    served.pids("slow").iter().for_each(|pid| signal(*pid, Signal::KILL));
    until("the child is loaded again", || {
        (served.image("slow")["up"] == json!(false)).then(|| std::thread::sleep(std::time::Duration::from_millis(300)))
    });
    assert_eq!(served.ok("on-base", json!(1))["start"], json!("swap"));
    assert_eq!(served.image("slow")["up"], json!(false));
    fleet.write("gate", "");
    served.up("slow");
}

/// A module that is costly to use for the first time is used before the host is frozen.
fn warms_up(options: &[&str]) {
    let Some(mut fleet) = fleet() else { return };
    fleet.write(
        "fleet/renders/app.py",
        "import base\ndef handler(event, context):\n    base.renders += event['times']\n    return base.renders\n",
    );
    fleet.function("renders", "renders", "app.handler", Some("base"), Some("all"));
    fleet.function("renders-cold", "renders", "app.handler", None, Some("all"));
    fleet.manifest["images"][0]["warmup"] =
        json!([{"module": "app", "call": "handler", "function": "renders", "event": {"times": 100}}]);
    let served = fleet.serve(options);
    served.up("more");
    for _ in 0..2 {
        // 100 of the warm-up that all calls start from, and one of its own.
        assert_eq!(served.ok("renders", json!({"times": 1}))["result"], json!(101));
    }
    assert_eq!(served.ok("renders-cold", json!({"times": 1}))["result"], json!(1));
    assert_eq!(served.ok("on-base", json!(1))["result"]["count"], json!(1));
}

#[test]
fn a_warm_up_of_the_manifest_is_made_once_before_the_freeze() {
    warms_up(&NONE);
}

#[test]
fn full_a_warm_up_of_the_manifest_is_made_once_before_the_freeze() {
    if has_rights() {
        warms_up(&FULL);
    }
}

#[test]
fn limits_of_time_and_output_end_the_call_and_not_the_host() {
    let Some(fleet) = fleet() else { return };
    let served = fleet.serve(&["--isolation", "none", "--timeout", "1s", "--max-answer", "1000", "--memory", "64MiB"]);
    let before = served.up("base")["pids"].clone();
    let (status, told) = served.call("spins", &json!(fleet.path("pid")));
    assert_eq!((status, &told["outcome"]), (504, &json!("time-limit")), "{told}");
    assert_eq!(told["error"], json!("the function was ended after 1000 ms"));
    let pid = fs::read_to_string(fleet.path("pid")).expect("a pid").parse().expect("a number");
    assert!(!is_running(pid));
    let (status, told) = served.call("large", &json!(2000));
    assert_eq!((status, &told["outcome"]), (502, &json!("output-limit")), "{told}");
    assert_eq!(served.invoke("large", "2000", &[]).status.code(), Some(1));
    assert_eq!(served.ok("large", json!(10))["result"], json!("xxxxxxxxxx"));
    assert_eq!((&served.image("base")["pids"], &served.image("base")["restarts"]), (&before, &json!(0)));
    // What is not kept is said.
    assert!(served.said().contains("--memory is not kept"), "{}", served.said());
}

#[test]
fn a_host_with_threads_is_not_forked_unless_that_is_allowed() {
    let Some(mut fleet) = fleet() else { return };
    let threads = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n";
    fleet.image("threads", None, &["starts_threads"], &[BASE, ("starts_threads.py", threads)]);
    fleet.function("threaded", "app", "app.handler", Some("threads"), Some("all"));
    {
        let served = fleet.serve(&NONE);
        served.up("threads");
        let told = served.ok("threaded", json!(1));
        assert_eq!((&told["start"], &told["image"]), (&json!("fallback"), &Value::Null));
        let why = told["because"][0].as_str().expect("a reason");
        assert!(why.starts_with("threads: 1 threads besides the first"), "{why}");
        // It is seen before the first call, too.
        assert_eq!(served.image("threads")["threads"].as_array().map(Vec::len), Some(1), "{}", served.status());
        assert_eq!(served.image("base")["threads"], Value::Null);
    }
    let served = fleet.serve(&["--isolation", "none", "--allow-threads"]);
    served.up("threads");
    assert_eq!(served.ok("threaded", json!(1))["start"], json!("swap"));
}

const NODE: &str = r#"
const early = globalThis.depLoads === 1;
const dep = require("dep");
let count = 0;
exports.handler = async () => {
  count += 1;
  globalThis.leak = (globalThis.leak ?? 0) + 1;
  const env = process.env.LEFT_BEHIND ?? null;
  process.env.LEFT_BEHIND = "1";
  return { count, leak: globalThis.leak, env, early, loads: dep.loads() };
};
exports.spins = (file) => { require("fs").writeFileSync(file, String(process.pid)); for (;;); };
exports.large = (length) => "x".repeat(length);
"#;

fn node_fleet() -> Option<Fleet> {
    if !common::tool("npm") {
        return None;
    }
    let mut fleet = Fleet::new(Language::Node)?;
    let dep =
        ("dep/index.js", "globalThis.depLoads = (globalThis.depLoads ?? 0) + 1;\nexports.loads = () => depLoads;\n");
    // What has no name and version is no package that could be the image's.
    let named = ("dep/package.json", r#"{"name": "dep", "version": "1.0.0"}"#);
    fleet.write("fleet/app/index.js", NODE);
    fleet.image("pool", None, &["dep"], &[dep, named]);
    fleet.closure("all", &[dep, named]);
    for (id, handler) in [("node", "index.handler"), ("spins", "index.spins"), ("large", "index.large")] {
        fleet.function(id, "app", handler, Some("pool"), Some("all"));
    }
    fleet.function("planned-cold", "app", "index.handler", None, Some("all"));
    Some(fleet)
}

fn pools(options: &[&str]) {
    let Some(fleet) = node_fleet() else { return };
    let served = fleet.serve(options);
    let full =
        || until("the pool is full", || (served.image("pool")["ready"] == json!(2)).then(|| served.pids("pool")));
    let first: BTreeSet<u32> = full().into_iter().collect();
    let mut seen = BTreeSet::new();
    for _ in 0..4 {
        let before: BTreeSet<u32> = full().into_iter().collect();
        let told = served.ok("node", json!(1));
        assert_eq!((&told["start"], &told["image"]), (&json!("swap"), &json!("pool")), "{told}");
        let result = &told["result"];
        assert_eq!((&result["count"], &result["leak"], &result["env"]), (&json!(1), &json!(1), &Value::Null));
        assert_eq!((&result["early"], &result["loads"]), (&json!(true), &json!(1)), "the dependency was loaded again");
        // The process that took the call has ended with it.
        let gone: Vec<u32> = before.into_iter().filter(|pid| !is_running(*pid)).collect();
        assert!(!gone.is_empty());
        seen.extend(gone);
    }
    full();
    assert!(seen.len() >= 4 && first.iter().any(|pid| seen.contains(pid)), "{first:?} {seen:?}");
    // More at once than wait: none is lost, and those that find the pool empty say so.
    let all: Vec<Value> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..6).map(|_| scope.spawn(|| served.ok("node", json!(1)))).collect();
        calls.into_iter().map(|call| call.join().expect("an answer")).collect()
    });
    for told in &all {
        let reason = told["because"][0].as_str();
        match told["start"].as_str() {
            Some("swap") => assert_eq!(reason, None),
            Some("fallback") => assert_eq!(reason, Some("pool: no process is ready")),
            other => panic!("{other:?}"),
        }
    }
    assert!(all.iter().filter(|told| told["start"] == json!("swap")).count() >= 2);
    let cold = served.ok("planned-cold", json!(1));
    assert_eq!((&cold["start"], &cold["result"]["early"]), (&json!("cold"), &json!(false)));
    // One that is killed while it waits is replaced.
    let waiting = full();
    waiting.iter().for_each(|pid| signal(*pid, Signal::KILL));
    // The signal may not have come yet when one of them is taken.
    let outcome = served.call("node", &json!(1)).1["outcome"].clone();
    assert!([json!("ok"), json!("host-gone")].contains(&outcome), "{outcome}");
    full();
    assert_eq!(served.ok("node", json!(1))["start"], json!("swap"));
}

#[test]
fn node_processes_serve_once_and_the_pool_refills() {
    pools(&NONE);
}

#[test]
fn full_node_processes_serve_once_and_the_pool_refills() {
    if has_rights() {
        pools(&FULL);
    }
}

#[test]
fn node_limits_end_the_call() {
    let Some(fleet) = node_fleet() else { return };
    let served = fleet.serve(&["--isolation", "none", "--timeout", "2s", "--max-answer", "1000"]);
    served.up("pool");
    assert_eq!(served.call("spins", &json!(fleet.path("pid"))).1["outcome"], json!("time-limit"));
    let pid = fs::read_to_string(fleet.path("pid")).expect("a pid").parse().expect("a number");
    all_end(&[pid]);
    assert_eq!(served.call("large", &json!(9000)).1["outcome"], json!("output-limit"));
}

#[test]
fn sigterm_waits_for_calls_and_leaves_nothing() {
    let Some(fleet) = fleet() else { return };
    let mut served = fleet.serve(&NONE);
    served.up("more");
    let marker = fleet.path("pid");
    let (told, pids, status) = std::thread::scope(|scope| {
        let socket = fleet.socket();
        let event = json!([2, &marker]).to_string();
        let call = scope.spawn(move || http(&socket, "POST", "/invoke/sleeps", event.as_bytes()));
        until("the function runs", || fs::read_to_string(&marker).ok().filter(|pid| !pid.is_empty()));
        let pids = [served.pids("base"), served.pids("more")].concat();
        let status = served.end(Signal::TERM);
        (call.join().expect("joined"), pids, status)
    });
    assert_eq!(told.0, 200);
    assert_eq!(serde_json::from_slice::<Value>(&told.1).expect("JSON")["result"], json!("woken"));
    assert_eq!(status, Some(0));
    assert!(pids.len() >= 3, "{pids:?}");
    assert!(!pids.iter().any(|pid| is_running(*pid)), "{pids:?}");
    assert!(!fleet.socket().exists());
    assert_eq!(fleet.scratch(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_caller_that_stalls_does_not_keep_the_runtime_from_ending() {
    let Some(fleet) = fleet() else { return };
    let mut served = fleet.serve(&["--isolation", "none", "--timeout", "1s"]);
    let mut stalled = std::os::unix::net::UnixStream::connect(fleet.socket()).expect("a connection");
    std::io::Write::write_all(&mut stalled, b"POST /invoke/on-base HTTP/1.1\r\nContent-Le").expect("half a request");
    served.status();
    assert_eq!(served.end(Signal::TERM), Some(0));
    assert_eq!(fleet.scratch(), Vec::<std::path::PathBuf>::new());
}

/// Nothing runs on when the runtime is killed, and the next one removes what was left.
fn survives_sigkill(fleet: &Fleet, options: &[&str], function: &str, image: &str) {
    let mut served = fleet.serve(options);
    served.up(image);
    let marker = fleet.path("pid");
    let pids = std::thread::scope(|scope| {
        let socket = fleet.socket();
        let event = json!(&marker).to_string();
        let path = format!("/invoke/{function}");
        // Its connection breaks, which `http` does not take for an answer.
        let call = scope.spawn(move || std::panic::catch_unwind(|| http(&socket, "POST", &path, event.as_bytes())));
        let pid = until("the function runs", || fs::read_to_string(&marker).ok()?.parse::<u32>().ok());
        let status = served.status();
        let images = status["images"].as_object().expect("images").values();
        let mut pids: Vec<u32> =
            images.flat_map(|i| serde_json::from_value::<Vec<u32>>(i["pids"].clone()).expect("numbers")).collect();
        pids.push(pid);
        assert_eq!(served.end(Signal::KILL), None);
        assert!(call.join().expect("joined").is_err());
        pids
    });
    all_end(&pids);
    let left = fleet.scratch();
    assert_eq!((left.len(), fleet.socket().exists()), (1, true));
    let served = fleet.serve(options);
    served.up(image);
    assert!(!left[0].exists(), "{left:?}");
    fs::remove_file(&marker).expect("removed");
}

#[test]
fn sigkill_leaves_no_process_behind_and_the_next_start_removes_its_files() {
    if let Some(fleet) = fleet() {
        survives_sigkill(&fleet, &NONE, "spins", "more");
    }
}

#[test]
fn node_sigkill_leaves_no_process_behind_and_the_next_start_removes_its_files() {
    if let Some(fleet) = node_fleet() {
        survives_sigkill(&fleet, &NONE, "spins", "pool");
    }
}

#[test]
fn full_sigkill_leaves_no_process_behind() {
    if !has_rights() {
        return;
    }
    let Some(fleet) = fleet() else { return };
    let mut served = fleet.serve(&FULL);
    served.up("more");
    let before = served.pids("base").len();
    let pids = std::thread::scope(|scope| {
        let socket = fleet.socket();
        let call =
            scope.spawn(move || std::panic::catch_unwind(|| http(&socket, "POST", "/invoke/sleeps", b"[600, null]")));
        until("the function runs", || (served.pids("base").len() > before).then_some(()));
        let pids = [served.pids("base"), served.pids("more")].concat();
        served.end(Signal::KILL);
        assert!(call.join().expect("joined").is_err());
        pids
    });
    all_end(&pids);
}

#[test]
fn a_socket_that_cannot_be_had_is_said_before_anything_is_installed() {
    let Some(fleet) = fleet() else { return };
    let served = fleet.serve(&NONE);
    served.up("base");
    let (status, said) = fleet.refused(&NONE);
    assert_eq!(status, Some(2));
    assert!(said.contains("another runtime listens there"), "{said}");
    assert_eq!(served.ok("on-base", json!(1))["start"], json!("swap"));
    assert_eq!(fleet.scratch().len(), 1);
    let long = fleet.path(&"x".repeat(120));
    let (status, said) = fleet.refused(&["--isolation", "none", "--socket", long.to_str().expect("text")]);
    assert_eq!(status, Some(2), "{said}");
    drop(served);
    fleet.write("run/s", "somebody's file");
    let (status, said) = fleet.refused(&NONE);
    assert_eq!(status, Some(2));
    assert!(said.contains("there is a file that is no socket"), "{said}");
    assert_eq!(fs::read_to_string(fleet.socket()).expect("a file"), "somebody's file");
}

#[test]
fn a_manifest_that_cannot_be_followed_is_refused_or_told_of() {
    let Some(mut fleet) = fleet() else { return };
    let good = fleet.manifest.clone();
    for (edit, why) in [
        (json!("more"), "the parent more of base does not come before it"),
        (json!("base"), "the parent base of base does not come before it"),
        (json!("nobody"), "the parent nobody of base does not come before it"),
    ] {
        fleet.manifest["images"][0]["parent"] = edit;
        let (status, said) = fleet.refused(&NONE);
        assert_eq!(status, Some(2));
        assert!(said.contains(why), "{said}");
    }
    // An image of another platform takes no function, whatever the manifest says.
    fleet.manifest = good;
    fleet.manifest["images"][1]["parent"] = Value::Null;
    fleet.manifest["images"][1]["platform"] = json!("python2.6-linux-x86_64-glibc");
    fleet.save();
    // The manifest is named in the current folder.
    let mut command = Command::new(warmset());
    command.args(["serve", "swap-manifest.json", "--isolation", "none", "--code", "../fleet", "--cache", "../cache"]);
    command.args(["--socket", "s"]).current_dir(fleet.path("plan")).stdin(Stdio::null()).stdout(Stdio::null());
    let child = command.stderr(Stdio::piped()).spawn().expect("serve");
    let socket = fleet.path("plan/s");
    until("it listens", || socket.exists().then_some(()));
    let answer = until("an answer", || Some(http(&socket, "POST", "/invoke/on-more", b"1")));
    let told: Value = serde_json::from_slice(&answer.1).expect("JSON");
    assert_eq!((&told["start"], &told["ok"]), (&json!("fallback"), &json!(true)), "{told}");
    assert!(told["because"][0].as_str().is_some_and(|b| b.contains("the image is for python2.6")), "{told}");
    signal(child.id(), Signal::TERM);
    let (status, said) = ended(child);
    assert_eq!(status, Some(1), "what could not be had is a finding");
    assert!(said.contains("there is no python 2.6"), "{said}");
}

/// Name, labels, value.
type Sample = (String, Vec<(String, String)>, f64);

/// Samples of the text format, read strictly: name, labels, value; each family announced once and before its samples.
fn samples(text: &str) -> Vec<Sample> {
    let mut family = String::new();
    let mut announced = BTreeSet::new();
    let mut out = Vec::new();
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().expect("a name").to_string();
            assert!(announced.insert(family.clone()), "{family} twice");
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (name, rest) = line.split_once('{').expect("labels");
        assert!(name.starts_with(&family), "{line} stands under {family}");
        let (labels, value) = rest.rsplit_once("} ").expect("a value");
        let labels = labels.split("\",").map(|label| {
            let (key, value) = label.split_once("=\"").expect("a label");
            (key.to_string(), value.trim_end_matches('"').to_string())
        });
        out.push((name.to_string(), labels.collect(), value.parse().expect("a number")));
    }
    out
}

#[test]
fn metrics_count_every_call_once_by_image_start_and_outcome() {
    let Some(mut fleet) = fleet() else { return };
    fleet.image("dead", None, &["warmset_absent"], &[BASE]);
    fleet.function("on-dead", "app", "app.handler", Some("dead"), Some("all"));
    let served = fleet.serve(&["--isolation", "none", "--metrics", "127.0.0.1:0"]);
    served.up("more");
    for (function, calls) in
        [("on-base", 3), ("on-more", 2), ("planned-cold", 1), ("on-dead", 1), ("fails", 2), ("nobody", 1)]
    {
        for _ in 0..calls {
            served.call(function, &json!(1));
        }
    }
    let said = served.said();
    let address = said.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address");
    let tcp = |method: &str, path: &str| {
        request(std::net::TcpStream::connect(address).expect("a connection"), method, path, b"1")
    };
    let (status, body) = tcp("GET", "/metrics");
    assert_eq!(status, 200);
    let text = String::from_utf8(body).expect("text");
    let all = samples(&text);
    let value = |name: &str, labels: &[(&str, &str)]| {
        let labels: Vec<_> = labels.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        all.iter().find(|s| s.0 == name && s.1 == labels).map(|s| s.2)
    };
    let calls = "warmset_invocations_total";
    for (image, start, outcome, count) in [
        ("base", "swap", "ok", 3.0),
        ("more", "swap", "ok", 2.0),
        ("", "cold", "ok", 1.0),
        ("", "fallback", "ok", 1.0),
        ("base", "swap", "error", 2.0),
        ("", "cold", "unknown-function", 1.0),
    ] {
        assert_eq!(
            value(calls, &[("image", image), ("start", start), ("outcome", outcome)]),
            Some(count),
            "{image} {start}\n{text}"
        );
    }
    assert_eq!(all.iter().filter(|s| s.0 == calls).map(|s| s.2).sum::<f64>(), 10.0);
    // The module of `fails` was loaded, so its dependencies were ready.
    assert_eq!(value("warmset_ready_seconds_count", &[("image", "base"), ("start", "swap")]), Some(5.0));
    assert_eq!(value("warmset_invocation_seconds_count", &[("image", ""), ("start", "cold")]), Some(2.0));
    let up = |id| value("warmset_image_up", &[("image", id)]);
    assert_eq!((up("base"), up("more"), up("dead")), (Some(1.0), Some(1.0), Some(0.0)));
    let (pss, rss) = (
        value("warmset_image_pss_bytes", &[("image", "more")]),
        value("warmset_image_rss_bytes", &[("image", "more")]),
    );
    assert!(pss > Some(0.0) && pss < rss, "{pss:?} {rss:?}");
    // The same as JSON, and nothing but these two where everybody may ask.
    let status: Value = serde_json::from_slice(&tcp("GET", "/status").1).expect("JSON");
    let starts = status["starts"].as_array().expect("starts");
    let base = starts.iter().find(|s| s["image"] == json!("base")).expect("its own");
    assert_eq!(base["outcomes"], json!({"error": 2, "ok": 3}));
    assert_eq!((tcp("POST", "/invoke/on-base").0, tcp("GET", "/invoke/on-base").0, tcp("GET", "/").0), (404, 404, 404));
    read_independently(&text, all.len());
}

/// By Prometheus' own reader, where Python has it.
fn read_independently(text: &str, count: usize) {
    let script = "import sys\ntry: from prometheus_client.parser import text_string_to_metric_families as read\n\
        except ImportError: print('absent'); sys.exit()\n\
        print(sum(len(f.samples) for f in read(sys.stdin.read())))";
    let mut child = Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    let _ = std::io::Write::write_all(&mut child.stdin.take().expect("stdin"), text.as_bytes());
    let output = child.wait_with_output().expect("its output");
    match String::from_utf8_lossy(&output.stdout).trim() {
        "absent" => println!("not read by prometheus_client, which is not installed"),
        read => assert_eq!(read, count.to_string()),
    }
}

#[test]
fn without_rights_it_says_what_is_missing_and_stops_unless_allowed() {
    // The standard library only, and a Python that everybody may run.
    let Some(platform) = everybodys_python() else { return };
    let mut fleet = Fleet::of(&platform);
    fleet.write("fleet/app/app.py", "import os\ndef handler(event, context): return os.getuid()\n");
    fleet.function("plain", "app", "app.handler", None, None);
    fleet.save();
    let program = fleet.path("warmset");
    fs::copy(warmset(), &program).expect("a copy");
    for folder in ["cache", "cache/scratch", "cache/environments", "run"] {
        fs::create_dir_all(fleet.path(folder)).expect("a folder");
        fs::set_permissions(fleet.path(folder), PermissionsExt::from_mode(0o777)).expect("a mode");
    }
    let command = |options: &[&str]| {
        let own = fleet.serve_command(&program, options);
        let mut command = nobody();
        command
            .arg(own.get_program())
            .args(own.get_args())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", "/");
        command.env_remove("WARMSET_INTERPRETERS").current_dir(fleet.dir.path()).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command
    };
    let (status, said) = ended(command(&[]).spawn().expect("serve"));
    assert_eq!(status, Some(2), "{said}");
    // Own ids, or all namespaces; and what of the three limits this user cannot set.
    assert!(said.contains("without own ids: ") || said.contains("without namespaces: "), "{said}");
    assert!(said.contains("without limit on memory: "), "{said}");
    assert_eq!(said.matches("next: ").count(), said.matches("isolation-missing").count(), "{said}");
    assert!(said.contains("--allow-missing-isolation") && said.contains("--isolation none"), "{said}");
    assert!(!fleet.socket().exists());
    let child = command(&["--allow-missing-isolation"]).spawn().expect("serve");
    let answer =
        until("an answer", || fleet.socket().exists().then(|| http(&fleet.socket(), "POST", "/invoke/plain", b"1")));
    let told: Value = serde_json::from_slice(&answer.1).expect("JSON");
    assert_eq!((&told["start"], &told["ok"]), (&json!("cold"), &json!(true)), "{told}");
    signal(child.id(), Signal::TERM);
    let (status, said) = ended(child);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("isolation-missing"), "it goes on without a word: {said}");
}

/// A command that another command follows, run without any right.
fn nobody() -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new("env");
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]);
    command
}

fn everybodys_python() -> Option<String> {
    if rustix::process::geteuid().is_root() && !common::tool("setpriv") {
        return None;
    }
    let ask = "import platform, sys; print('python%d.%d-linux-%s-glibc' % (*sys.version_info[:2], platform.machine()))";
    let output = nobody()
        .args(["python3", "-c", ask])
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", "/")
        .current_dir("/")
        .output()
        .ok()
        .filter(|output| output.status.success());
    if output.is_none() {
        common::skip("no python3 that everybody may run in /usr/local/bin, /usr/bin or /bin");
    }
    Some(String::from_utf8(output?.stdout).ok()?.trim().to_string())
}
