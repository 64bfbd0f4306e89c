//! What is served: images of both languages, parents and children, and functions that swap, fall back and start cold.
//!
//! Packages are stand-ins that need no registry. Each execution is seen from outside: a package `beacon` lies in every
//! environment, and in it a FIFO that this bench reads; a handler writes a line when it begins and when it ends. A FIFO
//! can be written on a read-only mount, which is how a sandbox shows its packages, so nothing is opened for it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use warmset::model::Language;

use crate::runtime_support::{Fleet, platform};

/// Name of the FIFO beside the beacon's code.
const FIFO: &str = "beacon.fifo";

const BEACON_PY: &str = r#"
import os
_fifo = os.path.join(os.path.dirname(os.path.abspath(__file__)), "beacon.fifo")
def say(*words):
    number = os.open(_fifo, os.O_WRONLY)
    os.write(number, (" ".join(map(str, words)) + "\n").encode())
    os.close(number)
"#;

const BEACON_JS: &str = r#"
const fs = require("fs");
const fifo = require("path").join(__dirname, "beacon.fifo");
exports.say = (...words) => {
  const number = fs.openSync(fifo, fs.constants.O_WRONLY);
  fs.writeSync(number, words.join(" ") + "\n");
  fs.closeSync(number);
};
"#;

/// Memory that is shared by forks, and not all of it touched by them.
const BASE_PY: &str = "import decimal, json, string\npages = [bytes(4096) for _ in range(1500)]\n";

const APP_PY: &str = r#"
import os, subprocess, time
import beacon
calls = 0
def handler(event, context):
    global calls
    calls += 1
    nonce = os.urandom(6).hex()
    beacon.say("B", event["id"], nonce)
    do = event.get("do")
    if do == "wait":
        time.sleep(event["ms"] / 1000)
    elif do == "litter":
        for folder in event["folders"]:
            with open("%s/left-%s" % (folder, nonce), "w") as file: file.write("left")
        subprocess.Popen(["sleep", "3600"], start_new_session=event["flees"], stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    else:
        sum(n * n for n in range(2000))
    beacon.say("E", event["id"], nonce)
    if do == "raise": raise ValueError("as it should")
    if do == "exit": os._exit(3)
    return {"id": event["id"], "calls": calls}
"#;

const APP_JS: &str = r#"
const beacon = require("beacon");
let calls = 0;
exports.handler = async (event) => {
  calls += 1;
  const nonce = require("crypto").randomBytes(6).toString("hex");
  beacon.say("B", event.id, nonce);
  if (event.do === "wait") await new Promise((go) => setTimeout(go, event.ms));
  beacon.say("E", event.id, nonce);
  if (event.do === "raise") throw new Error("as it should");
  return { id: event.id, calls };
};
"#;

/// What a function is made to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    Returns,
    Waits,
    Raises,
    Exits,
    /// Leaves files and a process behind.
    Litters,
}

/// Functions by how often they are called, the most called first: name, image, what they do. `!` begins the name of an
/// image that is stale, so that its functions fall back to `web`; no image is a planned cold start.
const FUNCTIONS: [(&str, Option<&str>, Does); 20] = [
    ("web-1", Some("web"), Does::Returns),
    ("data-1", Some("data"), Does::Returns),
    ("text-1", Some("text"), Does::Returns),
    ("report-1", Some("report"), Does::Returns),
    ("web-2", Some("web"), Does::Waits),
    ("page-1", Some("page"), Does::Returns),
    ("stale-1", Some("stale"), Does::Returns),
    ("text-2", Some("text"), Does::Litters),
    ("cold-1", None, Does::Returns),
    ("data-2", Some("data"), Does::Raises),
    ("hook-1", Some("hook"), Does::Returns),
    ("report-2", Some("report"), Does::Waits),
    ("web-3", Some("web"), Does::Exits),
    ("text-3", Some("text"), Does::Returns),
    ("page-2", Some("page"), Does::Waits),
    ("stale-2", Some("stale"), Does::Waits),
    ("cold-2", None, Does::Litters),
    ("node-cold-1", None, Does::Returns),
    ("hook-2", Some("hook"), Does::Raises),
    ("data-3", Some("data"), Does::Returns),
];

/// The fleet with its FIFO.
pub struct Soaked {
    pub fleet: Fleet,
    pub fifo: PathBuf,
    /// Ids, the most called first, with what each does.
    pub functions: Vec<(&'static str, Does)>,
}

fn is_node(id: &str, image: Option<&str>) -> bool {
    matches!(image, Some("page" | "hook")) || id.starts_with("node-")
}

/// Makes it; without Node where there is none.
pub fn make() -> Option<Soaked> {
    let mut fleet = Fleet::new(Language::Python)?;
    let node = platform(Language::Node).filter(|_| crate::common::tool("npm"));
    let (beacon, base) = (("beacon.py", BEACON_PY), ("base.py", BASE_PY));
    let (added, more) = (("added.py", "import csv, base\n"), ("more.py", "import email.message, added\n"));
    let word = ("word.py", "import textwrap, difflib, string\n");
    fleet.write("fleet/py/app.py", APP_PY);
    fleet.image("web", None, &["base", "beacon"], &[beacon, base]);
    fleet.image("data", Some("web"), &["added"], &[beacon, base, added]);
    fleet.image("report", Some("data"), &["more"], &[beacon, base, added, more]);
    fleet.image("text", None, &["word", "beacon"], &[beacon, word]);
    fleet.image("stale", None, &["base"], &[beacon, base]);
    fleet.write("plan/images/stale/requirements.lock", "# another\n");
    fleet.closure("py", &[beacon, base, added, more, word]);
    let python = fleet.platform.clone();
    if let Some(node) = &node {
        let own = ("beacon/package.json", r#"{"name": "beacon", "version": "1.0.0"}"#);
        let beacon = ("beacon/index.js", BEACON_JS);
        fleet.platform.clone_from(node);
        fleet.write("fleet/js/index.js", APP_JS);
        fleet.image("page", None, &["beacon", "node:path"], &[own, beacon])["swap"][0]["size"] = json!(3);
        fleet.image("hook", None, &["beacon", "node:crypto"], &[own, beacon]);
        fleet.closure("js", &[own, beacon]);
    }
    let mut functions = Vec::new();
    for (id, image, does) in FUNCTIONS {
        let of_node = is_node(id, image);
        match (of_node, &node) {
            (true, None) => continue,
            (true, Some(node)) => fleet.platform.clone_from(node),
            (false, _) => fleet.platform.clone_from(&python),
        }
        let (folder, handler) = if of_node { ("js", "index.handler") } else { ("py", "app.handler") };
        let function = fleet.function(id, folder, handler, image, Some(folder));
        if image == Some("stale") {
            function["fallback"] = json!([{"kind": "image", "id": "web"}, {"kind": "cold"}]);
        }
        functions.push((id, does));
    }
    let fifo = fleet.path(FIFO);
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o666), 0)
        .expect("a FIFO");
    // The ids inside are nobody's.
    fs::set_permissions(&fifo, PermissionsExt::from_mode(0o666)).expect("a mode");
    for environment in fs::read_dir(fleet.path("cache/environments")).expect("environments").flatten() {
        for folder in ["", "node_modules/beacon"].map(|at| environment.path().join(at)) {
            if folder.join("beacon.py").exists() || folder.join("index.js").exists() {
                fs::hard_link(&fifo, folder.join(FIFO)).expect("a link to the FIFO");
            }
        }
    }
    Some(Soaked { fleet, fifo, functions })
}

/// The event of one call.
pub fn event(id: u64, does: Does, isolated: bool) -> serde_json::Value {
    match does {
        Does::Returns => json!({"id": id}),
        Does::Waits => json!({"id": id, "do": "wait", "ms": 20 + id % 180}),
        Does::Raises => json!({"id": id, "do": "raise"}),
        Does::Exits => json!({"id": id, "do": "exit"}),
        // Without a sandbox a process that leaves its session, and any file, stays: that is said of `--isolation none`.
        Does::Litters if isolated => {
            json!({"id": id, "do": "litter", "flees": true, "folders": ["/tmp", "/dev/shm", "/var/tmp"]})
        }
        Does::Litters => json!({"id": id, "do": "litter", "flees": false, "folders": []}),
    }
}

/// Files below a folder, environments of the store aside, which are packages.
pub fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(&at).into_iter().flatten().flatten() {
            found.push(entry.path().strip_prefix(folder).unwrap_or(&at).display().to_string());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) && entry.file_name() != "environments" {
                open.push(entry.path());
            }
        }
    }
    found.sort();
    found
}
