//! The images of `plans/fleet` are built for real, from the Dockerfiles as they are, and serve functions.
//!
//! Needs root, buildah, and the package indexes: it runs only with `WARMSET_REQUIRE_BUILDAH=1`, as in a stage of
//! `.ci/run`, and then whatever is missing is a failure. No registry of images is asked: `python:3.11-slim` and
//! `node:20-slim` are stand-ins made of this machine's own interpreters by `scripts/standin_base.py`.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

mod common;
mod runtime_support;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// The functions that are called: of a Python parent, its child, and a Node image.
const PARENT: &str = "functionbench/matmul";
const CHILD: &str = "py-forecast";
const NODE: &str = "checkout/receipts";

/// A folder with a store of its own for every builder.
struct Lab {
    dir: TempDir,
    env: BTreeMap<String, String>,
}

impl Lab {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("images-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let mut lab = Self { dir, env: BTreeMap::new() };
        let at = |name: &str| lab.path(name).display().to_string();
        let env = [
            ("BUILDAH_ISOLATION", "chroot".to_string()),
            ("CONTAINERS_STORAGE_CONF", at("storage.conf")),
            ("CONTAINERS_REGISTRIES_CONF", at("registries.conf")),
        ];
        lab.env = env.map(|(k, v)| (k.to_string(), v)).into();
        lab.write("registries.conf", "unqualified-search-registries = []\n");
        lab.choose_driver();
        lab
    }

    /// overlay where a mount works, vfs where it does not: inside another overlay, say.
    fn choose_driver(&self) {
        for driver in ["overlay", "vfs"] {
            let (root, run) = (self.path("store"), self.path("run"));
            let conf = format!(
                "[storage]\ndriver = \"{driver}\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n",
                root.display(),
                run.display()
            );
            self.write("storage.conf", &conf);
            let try_it = "set -e; c=$(buildah from scratch); m=$(buildah mount $c); touch $m/x; buildah rm $c";
            if self.command("sh", &["-c", try_it]).output().is_ok_and(|o| o.status.success()) {
                println!("storage driver: {driver}");
                return;
            }
            let _ = self.command("umount", &[&root.join("overlay").display().to_string()]).output();
            let _ = fs::remove_dir_all(&root);
        }
        panic!("buildah can use neither overlay nor vfs here");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a written file");
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).envs(&self.env).current_dir(ROOT).stdin(Stdio::null());
        command
    }

    /// Standard output of a command that must succeed.
    fn run(&self, program: &str, args: &[&str]) -> String {
        let output = self.command(program, args).output().unwrap_or_else(|e| panic!("{program}: {e}"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{program} {}:\n{out}\n{err}", args.join(" "));
        out.trim().to_string()
    }

    /// Makes a stand-in for a base image and says so.
    fn base(&self, what: &str, reference: &str) -> PathBuf {
        let root = self.path(what);
        let said = self.run("python3", &["scripts/standin_base.py", what, "--out", &root.display().to_string()]);
        println!("{reference}: {}", said.rsplit(": ").next().unwrap_or_default());
        let container = self.run("buildah", &["from", "scratch"]);
        self.run("buildah", &["add", "-q", &container, &root.display().to_string(), "/"]);
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        self.run("buildah", &["config", "--env", path, "--label", "warmset.stand-in=true", &container]);
        self.run("buildah", &["commit", "-q", &container, reference]);
        self.run("buildah", &["rm", &container]);
        root
    }

    /// What a runtime puts beside a Node image: the code, and in `node_modules` what the image lacks, with links to the rest.
    fn node_function(&self, code: &Path, function: &Value, image: &Path) -> PathBuf {
        let (folder, closure) = (self.path("function"), self.path("closure"));
        fs::create_dir(&folder).expect("a folder");
        self.run("cp", &["-r", &code.display().to_string(), &folder.join("code").display().to_string()]);
        let id = function["closure"].as_str().expect("a closure");
        let lock = Path::new(ROOT).join("plans/fleet/closures").join(id);
        self.run("cp", &["-r", &lock.display().to_string(), &closure.display().to_string()]);
        let at = closure.display().to_string();
        self.run("npm", &["ci", "--prefix", &at, "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]);
        let (all, held, seen) =
            (closure.join("node_modules"), image.join("opt/warm/node_modules"), "/opt/warm/node_modules");
        warmset::live::install::join::join(&all, &held, Path::new(seen), &folder.join("node_modules")).expect("joined");
        // What the image holds is found there: by a link, or by the search upwards.
        let own = folder.join("node_modules/@aws-sdk/client-s3");
        assert!(own.symlink_metadata().is_err() || own.is_symlink(), "a package of the image's is copied");
        assert!(image.join("opt/warm/node_modules/@aws-sdk/client-s3").is_dir());
        folder
    }

    fn warmset(&self, plan: &Path, more: &[String]) -> Value {
        let plan = plan.display().to_string();
        let mut args = vec!["build", plan.as_str(), "--format", "json"];
        args.extend(more.iter().map(String::as_str));
        serde_json::from_str(&self.run(env!("CARGO_BIN_EXE_warmset"), &args)).expect("JSON")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.command("buildah", &["rm", "--all"]).output();
        // The driver leaves its folder mounted onto itself.
        let _ = self.command("umount", &[&self.path("store/overlay").display().to_string()]).output();
    }
}

/// Index settings of this machine as build secrets, each with bytes of its own to look for afterwards.
struct Secrets {
    args: Vec<String>,
    canaries: Vec<String>,
}

fn secrets(lab: &Lab) -> Secrets {
    let stamp = format!("{}-{:?}", std::process::id(), Instant::now()).replace(|c: char| !c.is_ascii_digit(), "x");
    let mut out = Secrets { args: Vec::new(), canaries: Vec::new() };
    let mut add = |id: &str, before: &str, text: String| {
        let canary = format!("canary-{id}-{stamp}");
        let file = lab.path(&format!("secret-{id}"));
        fs::write(&file, format!("{before}{canary}\n{text}")).expect("a secret");
        out.args.extend(["--secret".to_string(), format!("id={id},src={}", file.display())]);
        out.canaries.push(canary);
    };
    let pip = lab.run("python3", &["-m", "pip", "config", "list"]);
    let pip: BTreeMap<&str, &str> = pip
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.rsplit('.').next().unwrap_or(key), value.trim_matches('\'')))
        .collect();
    let variable = |name: &str| std::env::var(name).ok();
    let npm = |key: &str| Some(lab.run("npm", &["config", "get", key])).filter(|v| v != "null" && v != "undefined");
    let authority = variable("PIP_CERT")
        .or_else(|| pip.get("cert").map(ToString::to_string))
        .or_else(|| npm("cafile"))
        .or_else(|| variable("SSL_CERT_FILE"))
        .and_then(|file| fs::read_to_string(file).ok());
    let mut conf = "[global]\n".to_string();
    for key in ["index-url", "extra-index-url", "trusted-host", "proxy", "default-timeout", "timeout"] {
        let value = variable(&format!("PIP_{}", key.to_uppercase().replace('-', "_")));
        if let Some(value) = value.or_else(|| pip.get(key).map(ToString::to_string)) {
            conf.push_str(&format!("{} = {value}\n", key.trim_start_matches("default-")));
        }
    }
    let mut npmrc = String::new();
    for key in ["registry", "proxy", "https-proxy", "strict-ssl"] {
        if let Some(value) = npm(key) {
            npmrc.push_str(&format!("{key}={value}\n"));
        }
    }
    if let Some(authority) = authority {
        conf.push_str("cert = /run/secrets/ca\n");
        npmrc.push_str("cafile=/run/secrets/ca\n");
        add("ca", "# ", authority);
    }
    add("pip_conf", "# ", conf);
    add("npmrc", "; ", npmrc);
    out
}

/// What the function answers without warmset: in an environment of its own, by the scripts beside the fixtures.
fn expected(lab: &Lab, function: &str) -> String {
    let cache = std::env::var("WARMSET_FIXTURE_CACHE").map_or_else(|_| lab.path("fixtures"), PathBuf::from);
    let at = |name: &str| cache.join(name).display().to_string();
    if function == NODE {
        let said = lab.run("node", &["scripts/run_fixtures.mjs", "--cache", &at("node"), "--only", function]);
        let line = said.lines().find(|line| line.starts_with("ok ")).unwrap_or_else(|| panic!("{said}"));
        line.split_once(" ms) ").expect("an answer").1.to_string()
    } else {
        let said =
            lab.run("python3", &["scripts/run_fixtures.py", "--cache", &at("python"), "--only", function, "--show"]);
        said.lines().find_map(|line| line.strip_prefix("        ")).unwrap_or_else(|| panic!("{said}")).to_string()
    }
}

/// A warm host that runs in a container of an image, as the image's user and by its own entry point.
struct Host {
    child: Child,
    socket: PathBuf,
}

impl Host {
    fn start(lab: &Lab, image: &Value, function: &Value) -> Self {
        let reference = image["reference"].as_str().expect("a reference");
        let container = lab.run("buildah", &["from", "--pull=never", reference]);
        let root = PathBuf::from(lab.run("buildah", &["mount", &container]));
        assert_eq!(lab.run("buildah", &["run", &container, "--", "id", "-u"]), "65532");
        let denied = lab.command("buildah", &["run", &container, "--", "touch", "/opt/warm/x"]).output().expect("ran");
        assert!(!denied.status.success(), "the host could write its packages");

        let config: Value =
            serde_json::from_str(&lab.run("buildah", &["inspect", "--type", "image", reference])).expect("JSON");
        let entry = config.pointer("/OCIv1/config/Entrypoint").and_then(Value::as_array).expect("an entry point");
        let mut code = Path::new(ROOT).join("fixtures/fleet").join(function["path"].as_str().expect("a path"));
        let mut at = Path::new(folder(function));
        if image["image"].as_str().is_some_and(|id| id.starts_with("node")) {
            code = lab.node_function(&code, function, &root);
            at = at.parent().expect("a folder above");
        }
        let mount = format!("{}:{}:ro", code.display(), at.display());
        let mut args = vec!["run", "-v", mount.as_str(), container.as_str(), "--"];
        args.extend(entry.iter().filter_map(Value::as_str));
        let mut command = lab.command("buildah", &args);
        let mut child = command.process_group(0).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("a host");
        let mut errors = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut line = String::new();
        errors.read_line(&mut line).expect("a line");
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{reference} said {line:?}"));
        assert_eq!(said["ready"], "/run/warmset/host.sock", "{said}");
        println!("{}: loaded in {} ms of CPU, {} MB resident", image["image"], said["ms"], said["rss_mb"]);
        std::thread::spawn(move || std::io::copy(&mut errors, &mut std::io::sink()));
        Self { child, socket: root.join("run/warmset/host.sock") }
    }

    /// Calls a function; the whole answer.
    fn call(&self, function: &Value, event: &Value) -> Value {
        // A path below a store is longer than an address may be.
        let place = fs::File::open(self.socket.parent().expect("a folder")).expect("the socket's folder");
        let socket = format!("/proc/self/fd/{}/host.sock", place.as_raw_fd());
        let mut stream = UnixStream::connect(socket).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a limit");
        let request = json!({"id": "r-1", "path": folder(function), "handler": function["handler"], "event": event,
            "environment": function["environment"], "function": function["id"], "timeout_ms": 30000});
        writeln!(stream, "{request}").expect("a sent request");
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).expect("an answer");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line:?}"))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-TERM", "--", &group]).stderr(Stdio::null()).status();
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}

fn folder(function: &Value) -> &str {
    function["environment"]["WARMSET_FUNCTION_DIR"].as_str().expect("a folder in the image")
}

fn by_id<'a>(list: &'a Value, id: &str) -> &'a Value {
    let found = list.as_array().into_iter().flatten().find(|item| item["id"] == id || item["image"] == id);
    found.unwrap_or_else(|| panic!("no {id}"))
}

/// Files below a folder that hold any of the texts.
fn holding(folder: &Path, texts: &[String]) -> Vec<String> {
    let mut grep = Command::new("grep");
    grep.args(["-r", "-l", "-a", "-F"]).args(texts.iter().flat_map(|text| ["-e", text.as_str()])).arg(folder);
    let found = grep.output().expect("grep runs");
    // 1 is nothing found; what goes wrong is no answer.
    assert!(found.status.code().is_some_and(|c| c < 2), "{}", String::from_utf8_lossy(&found.stderr));
    String::from_utf8_lossy(&found.stdout).lines().map(str::to_string).collect()
}

/// The event beside a function.
fn event(function: &Value) -> Value {
    let file = match function["id"].as_str() {
        Some(NODE) => "checkout/functions/receipts/event.json".to_string(),
        _ => format!("{}/event.json", function["path"].as_str().expect("a path")),
    };
    let text = fs::read(Path::new(ROOT).join("fixtures/fleet").join(file)).expect("an event");
    serde_json::from_slice(&text).expect("JSON")
}

/// Compares a result with what the function answers without warmset.
fn compare(function: &Value, result: &Value, wanted: &str) {
    if function["id"] == NODE {
        // The script shows the beginning of a long answer.
        let said = result.to_string();
        assert!(said.starts_with(wanted.trim_end_matches('…')) && wanted.len() > 60, "{said} is not {wanted}");
    } else {
        assert_eq!(*result, serde_json::from_str::<Value>(wanted).expect("JSON"), "{}", function["id"]);
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout == b"0\n")
}

#[test]
fn images_of_the_fleet_are_built_and_serve_functions() {
    if std::env::var_os("WARMSET_REQUIRE_BUILDAH").is_none_or(|value| value.is_empty() || value == "0") {
        println!("skipped: WARMSET_REQUIRE_BUILDAH=1 builds images with buildah as root, which takes minutes");
        return;
    }
    assert!(is_root(), "building in chroot isolation needs root");
    let lab = Lab::new();
    println!("builder: {}", lab.run("buildah", &["--version"]));
    let plan = lab.path("plan");
    let fleet = Path::new(ROOT).join("plans/fleet");
    lab.run("cp", &["-r", &fleet.display().to_string(), &plan.display().to_string()]);
    let manifest_file = plan.join("swap-manifest.json");
    let manifest =
        || -> Value { serde_json::from_slice(&fs::read(&manifest_file).expect("a manifest")).expect("JSON") };
    let before = manifest();

    // The plan may change: what these functions have to do with each other must not.
    let image_of =
        |function: &str| by_id(&before["functions"], function)["image"].as_str().expect("an image").to_string();
    let (parent, child, node) = (image_of(PARENT), image_of(CHILD), image_of(NODE));
    assert_eq!(by_id(&before["images"], &child)["parent"], Value::String(parent.clone()), "choose other functions");
    for function in [PARENT, CHILD] {
        assert_eq!(by_id(&before["functions"], function)["loads"], json!([]), "{function} is not served whole");
    }
    let holds_pandas = |image: &str| by_id(&before["images"], image)["packages"].to_string().contains("pandas==");
    assert!(holds_pandas(&child) && !holds_pandas(&parent), "the child does not add pandas, which {CHILD} uses");

    let secrets = secrets(&lab);
    let mut arguments = secrets.args.clone();
    arguments.extend(["--only", &child, "--only", &node, "--logs"].map(String::from));
    arguments.push(lab.path("logs").display().to_string());
    let with = |more: &[&str]| -> Vec<String> {
        arguments.iter().cloned().chain(more.iter().map(|word| (*word).to_string())).collect()
    };
    let start = Instant::now();
    let (roots, answers) = std::thread::scope(|scope| {
        let answers = scope.spawn(|| [PARENT, CHILD, NODE].map(|function| expected(&lab, function)));
        let node = scope.spawn(|| lab.base("node20", "node:20-slim"));
        let roots = [lab.base("python3.11", "python:3.11-slim"), node.join().expect("a base")];
        (roots, answers.join().expect("answers"))
    });
    println!("bases and expected answers: {:.0} s", start.elapsed().as_secs_f64());

    let start = Instant::now();
    let built = lab.warmset(&plan, &with(&["--builder", "buildah", "--pull", "never"]));
    println!("first build: {:.0} s", start.elapsed().as_secs_f64());
    let after = manifest();
    for image in built["images"].as_array().expect("images") {
        println!("{image}");
        let id = image["image"].as_str().expect("an id");
        assert_eq!(image["state"], "built");
        assert_eq!(by_id(&after["images"], id)["digest"], image["digest"]);
        let known =
            lab.run("buildah", &["images", "--no-trunc", "--quiet", image["reference"].as_str().expect("text")]);
        assert_eq!(Some(known.as_str()), image["digest"].as_str(), "buildah knows {id} by another digest");
        let below = if image["parent"].is_null() {
            json!(1)
        } else {
            by_id(&built["images"], image["parent"].as_str().expect("text"))["layers"].clone()
        };
        assert_eq!(image["shared_layers"], below, "{id} does not have all layers of what it stands on");
        assert!(image["layers"].as_u64() > below.as_u64());
    }
    let beneath_node = usize::from(!by_id(&before["images"], &node)["parent"].is_null());
    assert_eq!(built["images"].as_array().map(Vec::len), Some(3 + beneath_node), "two images and their parents");
    // By buildah's own word, too.
    let layers = |image: &str| -> Vec<String> {
        let reference = by_id(&built["images"], image)["reference"].as_str().expect("a reference");
        let said: Value =
            serde_json::from_str(&lab.run("buildah", &["inspect", "--type", "image", reference])).expect("JSON");
        serde_json::from_value(said["OCIv1"]["rootfs"]["diff_ids"].clone()).expect("layers")
    };
    assert!(layers(&child).starts_with(&layers(&parent)));

    let bytes = fs::read(&manifest_file).expect("a manifest");
    let start = Instant::now();
    let again = lab.warmset(&plan, &with(&["--builder", "buildah", "--pull", "never"]));
    println!("second build, cached: {:.0} s", start.elapsed().as_secs_f64());
    for image in again["images"].as_array().expect("images") {
        let id = image["image"].as_str().expect("an id");
        assert_eq!(image["digest"], by_id(&built["images"], id)["digest"], "{id} was built anew");
        let log = fs::read_to_string(lab.path("logs").join(format!("{id}.log"))).expect("a log");
        assert!(log.contains("Using cache") && !log.contains("Successfully installed"), "{log}");
    }
    assert_eq!(fs::read(&manifest_file).expect("a manifest"), bytes, "a cached build changes the manifest");

    for ((function, image), wanted) in [(PARENT, &parent), (CHILD, &child), (NODE, &node)].into_iter().zip(&answers) {
        let function = by_id(&before["functions"], function);
        let host = Host::start(&lab, by_id(&built["images"], image), function);
        let answer = host.call(function, &event(function));
        assert_eq!(answer["ok"], true, "{answer}");
        println!("{}: {} ms to load, {} ms to run", function["id"], answer["load_ms"], answer["run_ms"]);
        compare(function, &answer["result"], wanted);
    }
    let served =
        [(PARENT, &parent), (CHILD, &child), (NODE, &node)].map(|(function, image)| (function, image.as_str()));
    runtime(&lab, &plan, served, &answers);

    // In no layer and no configuration of what would be pushed, nor in one that stays in the store as a cache. The leaves
    // have the layers of their parents.
    for image in [&child, &node] {
        let out = lab.path(&format!("pushed-{image}"));
        let reference = by_id(&built["images"], image)["reference"].as_str().expect("a reference");
        lab.run("buildah", &["push", "-q", "--disable-compression", reference, &format!("dir:{}", out.display())]);
        assert!(!holding(&out, &["warmset.preload/1".into()]).is_empty(), "what every image holds is not found either");
        assert_eq!(holding(&out, &secrets.canaries), Vec::<String>::new(), "secrets in {reference}");
    }
    assert_eq!(holding(&lab.path("store"), &secrets.canaries), Vec::<String>::new(), "secrets in the store");
    buildkit(&lab, &roots, &plan, &arguments, &|command| {
        let (file, manifest) = trimmed(&plan, &served);
        let runtime = Runtime::start(&lab, "docker", &file, command);
        for (pair, wanted) in served.iter().zip(&answers) {
            swaps(&runtime, &manifest, *pair, wanted);
        }
        let (code, said) = runtime.end("-TERM");
        assert_eq!(code, Some(0), "{said}");
        let left = fs::read_dir(lab.path("cache/scratch")).expect("a folder").count();
        assert_eq!(left, 0, "unpacked images stay");
    });
}

/// What a function can see and do inside.
const PROBE: &str = r#"
import glob, os, socket
def writes(folder):
    try:
        open(folder + "/written", "w").close()
        return True
    except OSError:
        return False
def handler(event, context):
    shown = os.listdir("/opt/warmset/shared")
    own = sorted(os.listdir("/opt/function"))
    mounts = [line.split()[4] for line in open("/proc/self/mountinfo")]
    return {"system": open("/etc/os-release").read(), "pid": os.getpid(), "root": os.getuid() == 0, "shown": shown,
            "own": own, "net": [name for _, name in socket.if_nameindex()], "processes": len(glob.glob("/proc/[0-9]*")),
            "writes": [f for f in ("/", "/opt/warm", "/opt/warmset", "/etc", "/usr/local/bin", "/tmp", "/var/tmp") if writes(f)],
            "before": event, "left": os.path.exists("/var/tmp/left") or open("/var/tmp/left", "w").close() or False,
            "mounts": len(mounts), "hosts": os.path.exists("/etc/hosts") and open("/etc/hosts").read()}
"#;

/// Makes a command of warmset that has the builder's settings.
type Make<'a> = dyn Fn(&[&str]) -> Command + 'a;

/// `warmset serve --images` of some functions and the images that were built for them.
struct Runtime<'a> {
    lab: &'a Lab,
    child: Child,
}

impl<'a> Runtime<'a> {
    fn start(lab: &'a Lab, builder: &str, manifest: &Path, command: &Make<'_>) -> Self {
        let text = |path: PathBuf| path.display().to_string();
        let (manifest, code) = (text(manifest.to_path_buf()), text(lab.path("fleet")));
        let (cache, socket) = (text(lab.path("cache")), text(lab.socket()));
        let args = ["serve", &manifest, "--images", builder, "--code", &code, "--cache", &cache, "--socket", &socket];
        let mut command = command(&args);
        command.args(["--first-id", runtime_support::FIRST_ID]);
        let log = fs::File::create(lab.path("serve.log")).expect("a log");
        let child = command.stdout(Stdio::null()).stderr(log).spawn().expect("serve");
        let mut runtime = Self { lab, child };
        let start = Instant::now();
        loop {
            let ready = UnixStream::connect(lab.socket()).is_ok()
                && runtime
                    .status()
                    .as_object()
                    .is_some_and(|images| images.values().all(|image| image["why"] != "the image is being loaded"));
            if ready {
                println!("{}after {:.0} s", runtime.said(), start.elapsed().as_secs_f64());
                return runtime;
            }
            let ended = runtime.child.try_wait().expect("a child").is_some();
            assert!(!ended && start.elapsed() < Duration::from_secs(900), "{}", runtime.said());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn said(&self) -> String {
        fs::read_to_string(self.lab.path("serve.log")).expect("a log")
    }

    fn status(&self) -> Value {
        let (_, body) = runtime_support::http(&self.lab.socket(), "GET", "/status", b"");
        serde_json::from_slice::<Value>(&body).expect("JSON")["images"].take()
    }

    /// A call whose function must return.
    fn ok(&self, function: &str, event: &Value) -> Value {
        let path = format!("/invoke/{function}");
        let (status, body) = runtime_support::http(&self.lab.socket(), "POST", &path, event.to_string().as_bytes());
        let told: Value = serde_json::from_slice(&body).expect("JSON");
        assert!(status == 200 && told["ok"] == true, "{function}: {status} {told:#}\n{}", self.said());
        println!("{function}: {} on {}, ready after {} ms", told["start"], told["image"], told["ready_ms"]);
        told
    }

    fn end(mut self, signal: &str) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill").success());
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return (status.code(), self.said());
            }
            assert!(start.elapsed() < Duration::from_secs(300), "it goes on: {}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Runtime<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Lab {
    fn socket(&self) -> PathBuf {
        // The laboratory's own folder may be too long for an address.
        std::env::temp_dir().join(format!("warmset-images-{}.sock", std::process::id()))
    }

    /// Working containers of runtimes, dead or alive, and what is mounted of the store.
    fn held(&self) -> (usize, usize) {
        let names = self.run("buildah", &["containers", "--noheading", "--format", "{{.ContainerName}}"]);
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
        let store = self.path("store").display().to_string();
        let own = names.lines().filter(|name| name.starts_with("warmset-root-")).count();
        (own, mounts.lines().filter(|line| line.contains(&store)).count())
    }
}

/// A manifest of what was built, or everything else would have to be installed; with functions that look around.
fn trimmed(plan: &Path, images: &[(&str, &str); 3]) -> (PathBuf, Value) {
    let text = fs::read(plan.join("swap-manifest.json")).expect("a manifest");
    let mut manifest: Value = serde_json::from_slice(&text).expect("JSON");
    let list = |name: &str| manifest[name].as_array().expect("a list").clone();
    let (mut functions, mut kept, mut closures) = (list("functions"), list("images"), list("closures"));
    functions.retain(|f| images.iter().any(|(id, _)| f["id"] == *id));
    for (id, like) in [("probe-parent", images[0].0), ("probe-child", images[1].0)] {
        let mut probe = by_id(&manifest["functions"], like).clone();
        (probe["id"], probe["path"], probe["handler"]) = (json!(id), json!("probe"), json!("probe.handler"));
        functions.push(probe);
    }
    kept.retain(|i| images.iter().any(|(_, id)| i["id"] == *id));
    closures.retain(|c| functions.iter().any(|f| f["closure"] == c["id"]));
    (manifest["functions"], manifest["images"], manifest["closures"]) =
        (json!(functions), json!(kept), json!(closures));
    let file = plan.join("served.json");
    fs::write(&file, manifest.to_string()).expect("a manifest");
    (file, manifest)
}

/// A function is put onto its image, and answers what it should.
fn swaps(served: &Runtime<'_>, manifest: &Value, (id, image): (&str, &str), wanted: &str) {
    let function = by_id(&manifest["functions"], id);
    let told = served.ok(id, &event(function));
    let (start, on) = (&told["start"], &told["image"]);
    assert_eq!((start, on, &told["because"]), (&json!("swap"), &json!(image), &Value::Null), "{told:#}");
    compare(function, &told["result"], wanted);
}

/// The runtime on the images as they were built: functions swapped in, shut in, and what is left of it.
fn runtime(lab: &Lab, plan: &Path, images: [(&str, &str); 3], answers: &[String; 3]) {
    let [(_, parent), (child_function, child), (node_function, node)] = images;
    lab.run("cp", &["-r", &format!("{ROOT}/fixtures/fleet"), &lab.path("fleet").display().to_string()]);
    fs::create_dir(lab.path("fleet/probe")).expect("a folder");
    lab.write("fleet/probe/probe.py", PROBE);
    let (file, mut manifest) = trimmed(plan, &images);

    let before = lab.held();
    let served = Runtime::start(lab, "buildah", &file, &|args| lab.command(env!("CARGO_BIN_EXE_warmset"), args));
    let status = served.status();
    for ((id, image), wanted) in images.iter().zip(answers) {
        // Its host's own root is the image's, by the base's own word; a Node process ends with its call.
        let host = status[image]["pids"].as_array().and_then(|pids| pids.last()).expect("a process").to_string();
        let release = fs::read_to_string(format!("/proc/{host}/root/etc/os-release")).expect("the image's file");
        assert!(release.contains("warmset-stand-in"), "{image} runs in {release}");
        swaps(&served, &manifest, (id, image), wanted);
        println!(
            "{image}: {} MB of its own and shared, {} MB resident",
            status[image]["pss_mb"], status[image]["rss_mb"]
        );
    }
    // The child is its parent's fork, and its pages are.
    let pids = |image: &str| -> Vec<u64> { serde_json::from_value(status[image]["pids"].clone()).expect("numbers") };
    let state = fs::read_to_string(format!("/proc/{}/status", pids(child)[0])).expect("a process");
    let above = state.lines().find_map(|line| line.strip_prefix("PPid:")).expect("a parent").trim().to_string();
    assert!(pids(parent).contains(&above.parse().expect("a number")), "{above} is none of {:?}", pids(parent));
    assert!(status[child]["pss_mb"].as_f64() < status[child]["rss_mb"].as_f64(), "{}", status[child]);

    for (id, image) in [("probe-parent", parent), ("probe-child", child)] {
        for call in 0..2 {
            let told = served.ok(id, &json!(call));
            assert_eq!((&told["start"], &told["image"]), (&json!("swap"), &json!(image)));
            let seen = &told["result"];
            assert!(seen["system"].to_string().contains("warmset-stand-in"), "{seen}");
            assert_eq!(
                (&seen["pid"], &seen["processes"], &seen["root"]),
                (&json!(1), &json!(1), &json!(false)),
                "{seen}"
            );
            assert_eq!((&seen["shown"], &seen["own"]), (&json!([]), &json!(["probe.py"])), "other functions' code");
            assert_eq!((&seen["writes"], &seen["net"]), (&json!(["/tmp", "/var/tmp"]), &json!(["lo"])), "{seen}");
            assert_eq!((&seen["left"], &seen["before"]), (&json!(false), &json!(call)), "a file of another call");
        }
    }
    // What the runtime puts in is in the sandbox alone.
    assert_eq!(lab.run("find", &[&lab.path("store").display().to_string(), "-name", "swap.py"]), "");
    assert_eq!(lab.held().0, before.0 + images.len());
    // Killed, it leaves what it has mounted; the next start removes that, and goes on without an image that is not the one
    // that the manifest names.
    assert_eq!(served.end("-KILL").0, None);
    assert_eq!(lab.held().0, before.0 + images.len());
    let images_at = manifest["images"].as_array_mut().expect("images");
    let altered = images_at.iter_mut().find(|image| image["id"] == node).expect("the image");
    altered["digest"] = json!(format!("sha256:{}", "0".repeat(64)));
    fs::write(&file, manifest.to_string()).expect("a manifest");
    let served = Runtime::start(lab, "buildah", &file, &|args| {
        let mut command = lab.command(env!("CARGO_BIN_EXE_warmset"), args);
        command.arg("--network");
        command
    });
    assert!(served.said().contains("3 working containers were removed from buildah"), "{}", served.said());
    assert_eq!(lab.held().0, before.0 + images.len() - 1);
    let function = by_id(&manifest["functions"], node_function);
    let told = served.ok(node_function, &event(function));
    assert_eq!((&told["start"], &told["image"]), (&json!("fallback"), &Value::Null), "{told:#}");
    let why = format!("the built image {node} is stale: ");
    assert!(
        told["because"].to_string().contains(&why) && told["because"].to_string().contains("sha256:0000"),
        "{told:#}"
    );
    compare(function, &told["result"], &answers[2]);
    let status = served.status();
    assert!(status[node]["up"] == false && status[node]["why"].to_string().contains(&why), "{}", status[node]);
    assert_eq!(served.ok(child_function, &event(by_id(&manifest["functions"], child_function)))["start"], "swap");
    let seen = served.ok("probe-child", &json!(null))["result"].take();
    assert_eq!(seen["hosts"], fs::read_to_string("/etc/hosts").expect("names"), "the machine's network has its names");
    let (code, said) = served.end("-TERM");
    assert!(code == Some(1) && said.contains("image-stale"), "{code:?} {said}");
    assert_eq!(lab.held(), before, "something of it stays mounted");
}

/// The same Dockerfiles by docker's BuildKit, with a daemon of our own; where there is none, that is said by name.
fn buildkit(lab: &Lab, roots: &[PathBuf; 2], plan: &Path, arguments: &[String], then: &dyn Fn(&Make<'_>)) {
    // A client from 23 on needs the buildx plugin; Debian's older one has BuildKit built in.
    let clients = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|dir| dir.join("docker"))
        .collect::<Vec<_>>();
    let usable = |client: &PathBuf| {
        let said = |args: &[&str]| Command::new(client).args(args).output().ok().filter(|o| o.status.success());
        let old = said(&["--version"]).is_some_and(|o| {
            let text = String::from_utf8_lossy(&o.stdout).into_owned();
            let major = text.split_whitespace().nth(2).and_then(|v| v.split('.').next()?.parse::<u32>().ok());
            major.is_some_and(|major| major < 23)
        });
        old || said(&["buildx", "version"]).is_some()
    };
    let client = clients.into_iter().find(usable);
    let daemon = Command::new("dockerd").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let (Some(client), Ok(_)) = (client, daemon) else {
        let required = std::env::var_os("WARMSET_REQUIRE_BUILDKIT").is_some();
        assert!(!required, "WARMSET_REQUIRE_BUILDKIT is set, and dockerd or a client with BuildKit is not installed");
        println!("left out: docker's BuildKit, as dockerd or a client with BuildKit is not installed");
        return;
    };
    let bin = lab.path("bin");
    fs::create_dir(&bin).expect("a folder");
    std::os::unix::fs::symlink(&client, bin.join("docker")).expect("a link");
    let socket = lab.path("docker.sock").display().to_string();
    let at = |name: &str| lab.path(name).display().to_string();
    let args = [
        "--bridge",
        "none",
        "--iptables=false",
        "--ip6tables=false",
        "--host",
        &format!("unix://{socket}"),
        "--data-root",
        &at("docker"),
        "--exec-root",
        &at("docker-exec"),
        "--pidfile",
        &at("docker.pid"),
    ];
    let log = fs::File::create(lab.path("dockerd.log")).expect("a log");
    let mut daemon = Daemon(
        lab.command("dockerd", &args)
            .process_group(0)
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn()
            .expect("dockerd"),
    );
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let docker = |program: &str, args: &[&str]| {
        let mut command = lab.command(program, args);
        command.env("PATH", &path).env("DOCKER_HOST", format!("unix://{socket}"));
        command
    };
    let start = Instant::now();
    while !docker("docker", &["version"]).output().is_ok_and(|o| o.status.success()) {
        let ended = daemon.0.try_wait().expect("a child").is_some();
        assert!(
            !ended && start.elapsed() < Duration::from_secs(60),
            "{}",
            fs::read_to_string(lab.path("dockerd.log")).unwrap_or_default()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    for (root, reference) in roots.iter().zip(["python:3.11-slim", "node:20-slim"]) {
        let path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let import = format!("tar -C '{}' -c . | docker import -c '{path}' - {reference}", root.display());
        let done = docker("sh", &["-c", &import]).output().expect("ran");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let plan = plan.display().to_string();
    let mut args = vec!["build", plan.as_str(), "--builder", "docker", "--pull", "never", "--format", "json"];
    // Without a bridge the builds have no network but the machine's.
    args.push("--builder-arg=--network=host");
    args.extend(arguments.iter().map(String::as_str));
    let start = Instant::now();
    let done = docker(env!("CARGO_BIN_EXE_warmset"), &args).output().expect("ran");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let built: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    println!("{}, BuildKit: {:.0} s", built["builder"], start.elapsed().as_secs_f64());
    for image in built["images"].as_array().expect("images") {
        let parent = image["parent"].as_str().map(|parent| by_id(&built["images"], parent)["layers"].clone());
        assert_eq!(image["shared_layers"], parent.unwrap_or(json!(1)), "{image}");
    }
    then(&|args| docker(env!("CARGO_BIN_EXE_warmset"), args));
    let left = docker("docker", &["ps", "--all", "--quiet"]).output().expect("ran");
    assert!(left.status.success() && left.stdout.is_empty(), "{}", String::from_utf8_lossy(&left.stdout));
}

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        // It ends its containerd, which holds folders below the laboratory's.
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}
