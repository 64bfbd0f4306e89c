//! Tiny fleets with a manifest written by hand, and a `warmset serve` of them.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use warmset::live::install::{Locked, Store};
use warmset::model::{Language, Platform};

/// What is waited for comes within this, or the test fails.
pub const LONG: Duration = Duration::from_secs(60);
/// First of the ids that full isolation may use here.
pub const FIRST_ID: &str = "400000";

pub fn warmset() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_warmset"))
}

/// Waits until something is so.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LONG;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The platform of the interpreter on the `PATH`; `None` where there is none.
pub fn platform(language: Language) -> Option<String> {
    let (program, ask) = match language {
        Language::Python => ("python3", ["-c", "import sys; print('python%d.%d' % sys.version_info[:2])"]),
        Language::Node => ("node", ["-p", "'node' + process.versions.node.split('.')[0]"]),
    };
    if !crate::common::tool(program) {
        return None;
    }
    let said = Command::new(program).args(ask).output().expect("a version");
    let version = String::from_utf8(said.stdout).expect("text");
    Some(format!("{}-linux-{}-glibc", version.trim(), std::env::consts::ARCH))
}

/// A fleet with its plan.
pub struct Fleet {
    pub dir: TempDir,
    pub platform: String,
    pub manifest: Value,
    store: Store,
    locks: BTreeMap<String, Vec<String>>,
}

impl Fleet {
    pub fn new(language: Language) -> Option<Self> {
        platform(language).map(|platform| Self::of(&platform))
    }

    pub fn of(platform: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).expect("a mode");
        let store = Store::open(&dir.path().join("cache"), LONG).expect("a store");
        let manifest = json!({"schema": "warmset.swap-manifest/1", "name": "t", "budget_mb": 100.0, "memory_mb": 50.0,
            "images": [], "closures": [], "functions": []});
        Self { dir, platform: platform.to_string(), manifest, store, locks: BTreeMap::new() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a written file");
    }

    fn is_node(&self) -> bool {
        self.platform.starts_with("node")
    }

    /// Writes a lock that is like no other, and puts packages where it would have them installed. Its digest.
    fn lock(&mut self, folder: &str, parent: Option<&str>, files: &[(&str, &str)]) -> Value {
        let name = if self.is_node() {
            let root = json!({"name": folder, "version": "1.0.0"});
            let lock = json!({"name": folder, "version": "1.0.0", "lockfileVersion": 3, "packages": {"": root}});
            self.write(&format!("plan/{folder}/package.json"), &root.to_string());
            self.write(&format!("plan/{folder}/package-lock.json"), &lock.to_string());
            "package-lock.json"
        } else {
            self.write(&format!("plan/{folder}/requirements.lock"), &format!("# {folder}\n"));
            "requirements.lock"
        };
        let mut chain = parent.and_then(|id| self.locks.get(&format!("images/{id}")).cloned()).unwrap_or_default();
        chain.push(folder.to_string());
        let platform: Platform = self.platform.parse().expect("a platform");
        let parts = chain.iter().map(|f| Locked::read(&platform, &self.path("plan").join(f)).expect("a lock"));
        let locked = Locked::together(parts).expect("a lock");
        let no = AtomicBool::new(false);
        let interpreter = self.store.interpreter(&platform, &no).expect("an interpreter");
        let environment = self.store.ensure(&locked, &interpreter, &no).expect("an environment");
        for (file, text) in files {
            let path =
                if self.is_node() { environment.folder.join("node_modules") } else { environment.folder.clone() };
            let path = path.join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, text).expect("a written file");
        }
        self.locks.insert(folder.to_string(), chain);
        let bytes = fs::read(self.path("plan").join(folder).join(name)).expect("the lock");
        let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        json!({"file": name, "sha256": digest})
    }

    /// An image with the packages of its folder: the modules of its parents too, as installed together.
    pub fn image(&mut self, id: &str, parent: Option<&str>, preload: &[&str], files: &[(&str, &str)]) -> &mut Value {
        let folder = format!("images/{id}");
        let lock = self.lock(&folder, parent, files);
        let swap = if self.is_node() {
            json!([{"method": "node-pool", "socket": "x", "size": 2}])
        } else {
            json!([{"method": "fork-server", "socket": "x"}])
        };
        let image = json!({"id": id, "parent": parent, "platform": self.platform, "trust_domain": "default",
            "folder": folder, "reference": format!("warmset/{id}:1"), "interpreter": "python", "lock": lock,
            "environment": {"HOME": "/tmp", "PYTHONDONTWRITEBYTECODE": "1"}, "packages": [], "preload": preload, "warmup": [],
            "costs": {"load_ms": 1.0, "resident_mb": 1.0, "added_mb": 1.0, "swap_ms": 1.0}, "swap": swap});
        let images = self.manifest["images"].as_array_mut().expect("images");
        images.push(image);
        images.last_mut().expect("an image")
    }

    /// What functions load in a cold start.
    pub fn closure(&mut self, id: &str, files: &[(&str, &str)]) {
        let folder = format!("closures/{id}");
        let lock = self.lock(&folder, None, files);
        let closure = json!({"id": id, "platform": self.platform, "folder": folder, "lock": lock, "packages": [],
            "preload": []});
        self.manifest["closures"].as_array_mut().expect("closures").push(closure);
    }

    /// A function of the folder `fleet/<folder>`.
    pub fn function(
        &mut self,
        id: &str,
        folder: &str,
        handler: &str,
        image: Option<&str>,
        closure: Option<&str>,
    ) -> &mut Value {
        let function = json!({"id": id, "path": folder, "handler": handler, "platform": self.platform, "image": image,
            "closure": closure, "fallback": [{"kind": "cold"}], "loads": [], "environment": {}});
        let functions = self.manifest["functions"].as_array_mut().expect("functions");
        functions.push(function);
        functions.last_mut().expect("a function")
    }

    pub fn save(&self) {
        self.write("plan/swap-manifest.json", &self.manifest.to_string());
    }

    /// `warmset serve` of the fleet, not started yet.
    pub fn serve_command(&self, program: &Path, options: &[&str]) -> Command {
        self.save();
        let mut command = Command::new(program);
        command.arg("serve").arg(self.path("plan")).arg("--code").arg(self.path("fleet"));
        command.arg("--cache").arg(self.path("cache")).arg("--socket").arg(self.socket());
        command.args(options).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    pub fn socket(&self) -> PathBuf {
        self.path("run/s")
    }

    /// A runtime whose images have all been tried.
    pub fn serve(&self, options: &[&str]) -> Served<'_> {
        self.serve_in(options, &[])
    }

    /// The same, with variables in its environment.
    pub fn serve_in(&self, options: &[&str], environment: &[(&str, &Path)]) -> Served<'_> {
        let served = self.begin_in(options, environment);
        until("its images are loaded", || {
            let status = served.status();
            let images = status["images"].as_object().expect("images");
            images.values().all(|i| i["why"] != json!("the image is being loaded")).then_some(())
        });
        served
    }

    /// A runtime that listens, whatever its images do.
    pub fn begin(&self, options: &[&str]) -> Served<'_> {
        self.begin_in(options, &[])
    }

    fn begin_in(&self, options: &[&str], environment: &[(&str, &Path)]) -> Served<'_> {
        fs::create_dir_all(self.path("fleet")).expect("a folder");
        let log = self.path("serve.log");
        let mut command = self.serve_command(&warmset(), options);
        command.stderr(fs::File::create(&log).expect("a log")).envs(environment.iter().copied());
        let child = command.spawn().expect("serve");
        let served = Served { fleet: self, child: Some(child) };
        until("the runtime listens", || {
            UnixStream::connect(self.socket()).ok().or_else(|| {
                assert!(served.is_running(), "{}", served.said());
                None
            })
        });
        served
    }

    /// `warmset serve` where it must end by itself: its status and what it said.
    pub fn refused(&self, options: &[&str]) -> (Option<i32>, String) {
        fs::create_dir_all(self.path("fleet")).expect("a folder");
        let mut command = self.serve_command(&warmset(), options);
        ended(command.stderr(Stdio::piped()).spawn().expect("serve"))
    }

    /// Folders of runtimes, dead or alive.
    pub fn scratch(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("cache/scratch")).expect("a folder");
        entries.map(|e| e.expect("an entry").path()).collect()
    }
}

/// Waits for a program that must end by itself.
pub fn ended(mut child: Child) -> (Option<i32>, String) {
    let end = Instant::now() + LONG;
    while child.try_wait().expect("a status").is_none() {
        if Instant::now() > end {
            let _ = child.kill();
            panic!("it goes on");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let Output { status, stderr, .. } = child.wait_with_output().expect("its output");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

/// A runtime that is ended with the test.
pub struct Served<'a> {
    pub fleet: &'a Fleet,
    pub child: Option<Child>,
}

impl Served<'_> {
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("a runtime").id()
    }

    pub fn is_running(&self) -> bool {
        is_running(self.pid())
    }

    pub fn said(&self) -> String {
        fs::read_to_string(self.fleet.path("serve.log")).expect("a log")
    }

    pub fn status(&self) -> Value {
        let (status, body) = http(&self.fleet.socket(), "GET", "/status", b"");
        assert_eq!(status, 200);
        serde_json::from_slice(&body).expect("JSON")
    }

    /// What is known of an image.
    pub fn image(&self, id: &str) -> Value {
        self.status()["images"][id].clone()
    }

    pub fn pids(&self, id: &str) -> Vec<u32> {
        serde_json::from_value(self.image(id)["pids"].clone()).expect("numbers")
    }

    /// Waits until an image runs.
    pub fn up(&self, id: &str) -> Value {
        until("the image runs", || Some(self.image(id)).filter(|image| image["up"] == json!(true)))
    }

    /// A call by HTTP: status and answer.
    pub fn call(&self, function: &str, event: &Value) -> (u16, Value) {
        let path = format!("/invoke/{function}");
        let (status, body) = http(&self.fleet.socket(), "POST", &path, event.to_string().as_bytes());
        (status, serde_json::from_slice(&body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&body))))
    }

    /// The answer of a call whose function returned.
    pub fn ok(&self, function: &str, event: Value) -> Value {
        let (status, told) = self.call(function, &event);
        assert!(status == 200 && told["ok"] == json!(true), "{function}: {status} {told:#}\n{}", self.said());
        told
    }

    /// `warmset invoke`.
    pub fn invoke(&self, function: &str, event: &str, options: &[&str]) -> Output {
        let mut command = Command::new(warmset());
        command.args(["invoke", function, "--event", "-"]).args(options).arg("--socket").arg(self.fleet.socket());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("invoke");
        // It may end without having read it.
        let _ = child.stdin.take().expect("stdin").write_all(event.as_bytes());
        child.wait_with_output().expect("its output")
    }

    /// Sends a signal and waits for the end: the exit status.
    pub fn end(&mut self, name: rustix::process::Signal) -> Option<i32> {
        let mut child = self.child.take().expect("a runtime");
        signal(child.id(), name);
        let end = Instant::now() + LONG;
        loop {
            if let Some(status) = child.try_wait().expect("a status") {
                return status.code();
            }
            if Instant::now() > end {
                let _ = child.kill();
                let _ = child.wait();
                panic!("it does not end: {}", self.said());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        if self.child.is_some() && !std::thread::panicking() {
            self.end(rustix::process::Signal::TERM);
        } else if let Some(mut child) = self.child.take() {
            eprintln!("{}", self.said());
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("a pid");
    let _ = rustix::process::kill_process(pid, signal);
}

/// Whether a process does anything any more: one that waits to be reaped does not.
pub fn is_running(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ") && !stat.contains(") X ")
}

/// Waits until none of them runs.
pub fn all_end(pids: &[u32]) {
    until("all processes end", || (!pids.iter().any(|pid| is_running(*pid))).then_some(()));
}

/// One request over a connection of its own.
pub fn http(socket: &Path, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let stream = UnixStream::connect(socket).expect("a connection");
    request(stream, method, path, body)
}

pub fn request(mut stream: impl Read + Write, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: warmset\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("a request");
    // What is too long may be answered before it was read.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
    (status, answer[end + 4..].to_vec())
}
