//! What a warm host is, and where its parts are inside its sandbox.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::Serialize;

use crate::live::install::interpreter::Interpreter as Found;
use crate::live::sandbox::{Bind, Group, Isolation, Limits, Powers, Root, Slot, Spec, Text};
use crate::model::manifest::Warmup;

/// Where folders of the runtime are shown to a host; its functions see none of it.
pub(super) const SHARED: &str = "/opt/warmset/shared";
/// Image packages of both languages.
pub(super) const WARM: &str = "/opt/warm";
const HOST_PY: &str = include_str!("../../emit/host/host.py");
const HOST_MJS: &str = include_str!("../../emit/host/host.mjs");
const FROZEN_PY: &str = include_str!("frozen.py");
/// Node reads the section `nodejs_conf` before it first asks for random numbers.
const OPENSSL_CNF: &str = "nodejs_conf = init\n[init]\nengines = engines\n[engines]\nrdrand = rdrand\n\
    [rdrand]\nengine_id = rdrand\ndefault_algorithms = RAND\ninit = 1\n";
const SWAP_PY: &str = include_str!("swap.py");

/// A program that runs a language, with the folders that it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// Absolute path: on this machine, or inside with [`Root::Folder`].
    pub program: PathBuf,
    /// Its own folders, outside of the system's; none with [`Root::Folder`].
    pub folders: Vec<PathBuf>,
    /// Folders of packages that were installed for itself: no image has them, so that no host is shown them.
    pub site: Vec<PathBuf>,
}

impl Interpreter {
    /// One that has said where it lies.
    pub fn of(found: &Found) -> Self {
        let own = !is_system(&found.prefix) && found.prefix.parent().is_some();
        let folders = own.then(|| found.prefix.clone()).into_iter().collect();
        Self { program: found.program.clone(), folders, site: found.site.clone() }
    }
}

/// What [`Root::System`] shows anyhow.
fn is_system(folder: &Path) -> bool {
    ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/nix"].iter().any(|system| folder.starts_with(system))
}

/// A warm-up call, with the code of its function where it has one.
#[derive(Debug, Clone, PartialEq)]
pub struct WarmCall {
    /// As the manifest has it.
    pub warmup: Warmup,
    /// Code folder of `warmup.function`, below one of [`HostSpec::shared`].
    pub code: Option<PathBuf>,
    /// Environment of the function.
    pub environment: BTreeMap<String, String>,
}

/// The one function that a Node process can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Only {
    /// Its code.
    pub code: PathBuf,
    /// The folder with the `node_modules` that it loads besides.
    pub closure: Option<PathBuf>,
}

/// A warm host.
#[derive(Debug, Clone)]
pub struct HostSpec {
    /// A warmset program, for its hidden subcommand: this one, as a rule.
    pub warmset: PathBuf,
    /// How it is shut in.
    pub isolation: Isolation,
    /// What runs it.
    pub interpreter: Interpreter,
    /// What its `/` shows. An unpacked image has the host's own files where its Dockerfile puts them.
    pub root: Root,
    /// The image's packages: a folder for Python's path, or one that holds `node_modules`. Absent where the root has them
    /// (an unpacked image), or where there are none.
    pub packages: Option<PathBuf>,
    /// Modules to load, in order.
    pub modules: Vec<String>,
    /// Calls to make then.
    pub warmup: Vec<WarmCall>,
    /// The host's whole environment; `PATH` and `LANG` are added where absent.
    pub environment: BTreeMap<String, String>,
    /// Folders below which all code, closures and packages of child images lie. A function sees of them only its own.
    pub shared: Vec<PathBuf>,
    /// Where a host's own files go that no sandbox holds; the system's folder for temporary files otherwise.
    pub scratch: Option<PathBuf>,
    /// The only function whose calls come here, where there is but one: its code is shown from the start (Node, full
    /// isolation).
    pub only: Option<Only>,
    /// Whether functions may have the machine's network; else they have none.
    pub network: bool,
    /// Whether it forks though loading has started threads, which the fork loses.
    pub allow_threads: bool,
    /// Processes that are forked ahead of time (Python).
    pub standby: u32,
    /// `/tmp` of the host (Python) or of the function (Node), MB.
    pub tmp_mb: u32,
    /// Descriptors of each process, where bounded.
    pub nofile: Option<u64>,
    /// How long loading and warming up may take.
    pub start_limit: Duration,
    /// Loading is given up when this is set.
    pub stop: Arc<AtomicBool>,
    /// What it counts for.
    pub slot: Option<Arc<Slot>>,
    /// Where its calls count, and what each may take: every call that names no slot of its own gets one. To move a process
    /// into a control group takes the kernel 5 to 15 ms, so what stands by has its slot ahead of time.
    pub calls: Option<(Arc<Group>, Limits)>,
}

/// What a forked host loads besides what it is forked with.
#[derive(Debug, Clone)]
pub struct ChildSpec {
    /// Its own packages, all of them: as [`HostSpec::packages`], below one of the parent's [`HostSpec::shared`].
    pub packages: Option<PathBuf>,
    /// Modules to load, in order; those that its parent has are skipped by Python itself.
    pub modules: Vec<String>,
    /// Calls to make then.
    pub warmup: Vec<WarmCall>,
    /// As [`HostSpec::standby`].
    pub standby: u32,
    /// As [`HostSpec::start_limit`].
    pub start_limit: Duration,
}

/// What a host is told to load.
#[derive(Debug, Serialize)]
pub(super) struct Work {
    pub isolated: bool,
    pub ids: bool,
    pub network: bool,
    pub allow_threads: bool,
    pub standby: u32,
    pub slots: bool,
    pub hidden: Vec<String>,
    pub site: Vec<PathBuf>,
    pub packages: Option<PathBuf>,
    pub modules: Vec<String>,
    pub warmup: Vec<serde_json::Value>,
    /// How long a host that is forked may load: it ends by itself then, as nobody else knows its number.
    pub limit_s: f64,
}

impl HostSpec {
    /// A host without packages or modules, shut in as `isolation` says: what a cold start starts.
    pub fn bare(warmset: PathBuf, isolation: Isolation, interpreter: Interpreter) -> Self {
        Self {
            warmset,
            isolation,
            interpreter,
            root: Root::System,
            packages: None,
            modules: Vec::new(),
            warmup: Vec::new(),
            environment: BTreeMap::new(),
            shared: Vec::new(),
            scratch: None,
            only: None,
            network: false,
            allow_threads: false,
            standby: 0,
            tmp_mb: 64,
            nofile: None,
            start_limit: Duration::from_secs(60),
            stop: Arc::default(),
            slot: None,
            calls: None,
        }
    }

    /// A folder for a host's own files, which goes with it.
    pub(super) fn files(&self) -> io::Result<tempfile::TempDir> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("warmset-host-");
        match &self.scratch {
            Some(folder) => builder.tempdir_in(folder),
            None => builder.tempdir(),
        }
    }

    /// A path of this machine as the host sees it.
    ///
    /// # Errors
    /// When it lies in no shared folder.
    pub fn inside(&self, path: &Path) -> io::Result<PathBuf> {
        if !self.isolation.is_isolated() {
            return Ok(path.to_path_buf());
        }
        let path = path.canonicalize()?;
        for (at, shared) in self.shared.iter().enumerate() {
            let shared = shared.canonicalize().unwrap_or_else(|_| shared.clone());
            if let Ok(rest) = path.strip_prefix(&shared) {
                let base = Path::new(SHARED).join(at.to_string());
                return Ok(if rest.as_os_str().is_empty() { base } else { base.join(rest) });
            }
        }
        Err(io::Error::other(format!("{} lies in none of the folders that the host shares", path.display())))
    }

    /// Whether the ids inside may read a folder at all: they are nobody's on this machine.
    ///
    /// # Errors
    /// When its mode keeps others out.
    pub(super) fn check(&self, folder: &Path) -> io::Result<()> {
        use std::os::unix::fs::MetadataExt;
        let metadata = folder.metadata().map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", folder.display())))?;
        let needed = if metadata.is_dir() { 0o005 } else { 0o004 };
        if self.isolation.has_ids() && metadata.mode() & needed != needed {
            let mode = metadata.mode() & 0o7777;
            let why = format!("{}: its mode {mode:04o} keeps a sandbox's ids out (chmod -R o+rX)", folder.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        Ok(())
    }

    /// As [`HostSpec::check`], all folders of the host.
    pub(super) fn check_all(&self) -> io::Result<()> {
        self.shared.iter().chain(&self.packages).try_for_each(|folder| self.check(folder))
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let mut environment = self.environment.clone();
        environment.entry("LANG".to_string()).or_insert_with(|| "C.UTF-8".to_string());
        environment.entry("PATH".to_string()).or_insert_with(|| "/usr/local/bin:/usr/bin:/bin".to_string());
        environment
    }

    /// What its sandbox shows but for packages and texts.
    fn base(&self) -> Spec {
        let own = match self.root {
            Root::System => self.interpreter.folders.as_slice(),
            Root::Folder(_) => &[],
        };
        let mut binds: Vec<Bind> = own.iter().map(|f| Bind { from: f.clone(), to: f.clone() }).collect();
        for (at, shared) in self.shared.iter().enumerate() {
            binds.push(Bind { from: shared.clone(), to: Path::new(SHARED).join(at.to_string()) });
        }
        Spec {
            program: self.interpreter.program.clone(),
            arguments: Vec::new(),
            environment: self.environment(),
            folder: PathBuf::from("/tmp"),
            root: self.root.clone(),
            binds,
            texts: Vec::new(),
            empty: Vec::new(),
            covered: if self.root == Root::System { self.interpreter.site.clone() } else { Vec::new() },
            network: self.network,
            powers: Powers::Forks,
            tmp_mb: self.tmp_mb,
            nofile: self.nofile,
        }
    }

    /// The sandbox of a Python host. `files` is where its programs are to be where there is no sandbox.
    pub(super) fn python(&self, files: &Path) -> Spec {
        let mut spec = self.base();
        let folder = if self.isolation.is_isolated() { Path::new("/opt/warmset") } else { files };
        // An unpacked image has a host of its own; what forks it is the runtime's.
        let host = (self.root == Root::System).then_some(("host.py", HOST_PY));
        for (name, text) in host.into_iter().chain([("swap.py", SWAP_PY)]) {
            spec.texts.push(Text { to: folder.join(name), text: text.to_string() });
        }
        spec.arguments = vec![text(folder.join("swap.py")), text(folder.join("host.py"))];
        spec.empty = ["/opt/function", "/opt/closure", SHARED].map(PathBuf::from).to_vec();
        if let Some(packages) = &self.packages {
            spec.binds.push(Bind { from: packages.clone(), to: PathBuf::from(WARM) });
        } else if self.root == Root::System {
            spec.empty.push(PathBuf::from(WARM));
        }
        spec
    }

    /// The sandbox of a Node process. `files` as for Python; `links` is what is shown as the folder of the function,
    /// where its code cannot be mounted at the call.
    pub(super) fn node(&self, files: &Path, links: Option<&Path>) -> Spec {
        let mut spec = self.base();
        spec.powers = Powers::None;
        let folder = if self.isolation.is_isolated() { Path::new(WARM) } else { files };
        let preload = serde_json::json!({"schema": "warmset.preload/1", "language": "node", "modules": self.modules,
            "warmup": self.warmup.iter().map(|w| &w.warmup).collect::<Vec<_>>()});
        if self.root == Root::System {
            spec.texts.push(Text { to: folder.join("host.mjs"), text: HOST_MJS.to_string() });
            spec.texts.push(Text { to: folder.join("preload.json"), text: preload.to_string() });
        }
        if links.is_some() {
            // Code and packages are links: what they are found by is where the links are.
            spec.arguments = ["--preserve-symlinks", "--preserve-symlinks-main"].map(ToString::to_string).to_vec();
        }
        spec.arguments.extend([text(folder.join("host.mjs")), text(folder.join("preload.json"))]);
        if let Some(packages) = &self.packages {
            let from = packages.join("node_modules");
            spec.binds.push(Bind { from, to: Path::new(WARM).join("node_modules") });
        }
        let function = Path::new(WARM).join("function");
        match links {
            Some(links) => spec.binds.push(Bind { from: links.to_path_buf(), to: function }),
            None => {
                spec.binds.retain(|b| !b.to.starts_with(SHARED));
                let (code, modules) = (function.join("code"), function.join("node_modules"));
                let shown = self.only.as_ref();
                let closure = shown.and_then(|only| only.closure.as_ref()).map(|c| c.join("node_modules"));
                for (from, to) in [(shown.map(|only| only.code.clone()), code), (closure, modules)] {
                    match from {
                        Some(from) => spec.binds.push(Bind { from, to }),
                        None => spec.empty.push(to),
                    }
                }
            }
        }
        spec
    }

    /// The sandbox of a process that is frozen once it has loaded, and, with `only`, of one that is thawed for a call.
    pub(super) fn frozen(&self, python: bool) -> Spec {
        if !python {
            let mut spec = self.node(Path::new("/"), None);
            // Its random numbers come from the processor, as whatever else they come from would be frozen with it.
            let config = Path::new(WARM).join("openssl.cnf");
            spec.arguments.insert(0, format!("--openssl-config={}", config.display()));
            spec.texts.push(Text { to: config, text: OPENSSL_CNF.to_string() });
            return spec;
        }
        let mut spec = self.python(Path::new("/"));
        let file = PathBuf::from("/opt/warmset/frozen.py");
        spec.arguments = vec![text(file.clone()), "/opt/warmset/host.py".to_string()];
        spec.texts.retain(|t| !t.to.ends_with("swap.py"));
        spec.texts.push(Text { to: file, text: FROZEN_PY.to_string() });
        if let Some(only) = &self.only {
            // It sees its own code instead of all that there is.
            spec.binds.retain(|bind| !bind.to.starts_with(SHARED));
            let shown = [("/opt/function", Some(&only.code)), ("/opt/closure", only.closure.as_ref())];
            for (to, from) in shown.into_iter().filter_map(|(to, from)| Some((Path::new(to), from?))) {
                spec.empty.retain(|empty| empty != to);
                spec.binds.push(Bind { from: from.clone(), to: to.to_path_buf() });
            }
        }
        spec
    }

    /// What a host of these modules loads; for a child image those of `child`.
    pub(super) fn work(&self, child: Option<&ChildSpec>) -> io::Result<Work> {
        let isolated = self.isolation.is_isolated();
        let (packages, modules, warmup, standby) = match child {
            Some(c) => (&c.packages, &c.modules, &c.warmup, c.standby),
            None => (&self.packages, &self.modules, &self.warmup, self.standby),
        };
        let warmup = warmup.iter().map(|w| {
            let mut entry = serde_json::to_value(&w.warmup).map_err(io::Error::other)?;
            if let Some(code) = &w.code {
                entry["path"] = serde_json::json!(self.inside(code)?);
                entry["environment"] = serde_json::json!(w.environment);
            }
            Ok(entry)
        });
        let site = match (isolated, packages) {
            (true, _) => vec![PathBuf::from(WARM)],
            (false, Some(packages)) => vec![packages.clone()],
            (false, None) => Vec::new(),
        };
        Ok(Work {
            isolated,
            ids: self.isolation.has_ids(),
            network: self.network,
            allow_threads: self.allow_threads,
            standby,
            slots: self.calls.is_some(),
            hidden: vec![SHARED.to_string()],
            site,
            packages: match (child, packages) {
                (Some(_), Some(packages)) => Some(self.inside(packages)?),
                _ => None,
            },
            modules: modules.clone(),
            limit_s: child.map_or(self.start_limit, |c| c.start_limit).as_secs_f64(),
            warmup: warmup.collect::<io::Result<_>>()?,
        })
    }
}

fn text(path: PathBuf) -> String {
    path.to_string_lossy().into_owned()
}
