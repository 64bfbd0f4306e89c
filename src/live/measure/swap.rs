//! What a swap takes, on warm hosts as the runtime has them: from the request until the function's module is imported,
//! without that import. Wall time, as most of it passes in the kernel and in processes that wait for each other; with
//! sandbox and control group, as far as this machine permits.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::live::host::{Answer, Call, CallLimits, ForkServer, HostError, HostSpec, NodeProcess};
use crate::live::install::interpreter::Interpreter;
use crate::live::sandbox::{Group, Isolation, Limits, Permitted};
use crate::model::Language;

/// A waiting process falls idle: what runs right after loading is still busy with it.
const IDLE: Duration = Duration::from_millis(50);
/// What calls may take, as the runtime bounds them unless told otherwise.
const BOUNDS: Limits = Limits { pids: Some(256), cpus: None, memory_mb: None };

/// What warm hosts are started with.
#[derive(Debug)]
pub struct Hosts {
    warmset: PathBuf,
    isolation: Isolation,
    group: Option<Arc<Group>>,
}

/// What is loaded into a host, and how often it is swapped onto.
pub struct Load<'a> {
    pub interpreter: &'a Interpreter,
    pub language: Language,
    /// Its packages, as far as it has any.
    pub view: &'a Path,
    pub modules: Vec<String>,
    pub count: u32,
}

impl Hosts {
    /// `warmset` is a warmset program, for its hidden subcommand.
    ///
    /// # Errors
    /// When no control group can be made where there are hierarchies for it.
    pub fn new(warmset: &Path, permitted: &Permitted) -> std::io::Result<Self> {
        let group = Group::new(&permitted.hierarchies)?;
        Ok(Self { warmset: warmset.to_path_buf(), isolation: permitted.isolation, group })
    }

    /// What figures are kept under: those of another isolation are not comparable.
    pub fn mode(&self) -> &'static str {
        match (self.isolation, &self.group) {
            (Isolation::Full { .. }, Some(_)) => "host-full",
            (Isolation::Full { .. }, None) => "host-unbounded",
            (Isolation::Own, _) => "host-own",
            (Isolation::None, _) => "host-none",
        }
    }

    /// Starts a host and swaps a function that imports nothing onto it: `{"bytes": resident, "wall_ms": […]}`.
    ///
    /// # Errors
    /// What the host or the call said.
    pub fn swap(&self, load: &Load<'_>, scratch: &Path, limit: Duration) -> Result<Value, String> {
        let failed = |error: std::io::Error| error.to_string();
        let work = tempfile::Builder::new().prefix("swap-").tempdir_in(scratch).map_err(failed)?;
        let code = work.path().join("code");
        for folder in [work.path(), &code] {
            fs::create_dir_all(folder).map_err(failed)?;
            fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).map_err(failed)?;
        }
        let (file, text) = match load.language {
            Language::Python => ("app.py", "def handler(event, context):\n    return event\n"),
            Language::Node => ("app.cjs", "exports.handler = async (event) => event;\n"),
        };
        fs::write(code.join(file), text).map_err(failed)?;
        let environment = crate::emit::host_environment(load.language)
            .iter()
            .filter(|(name, _)| !matches!(*name, "WARMSET_SOCKET" | "PYTHONPATH"))
            .map(|(name, value)| (name.to_string(), value.to_string()));
        let interpreter = crate::live::host::Interpreter::of(load.interpreter);
        let spec = HostSpec {
            packages: (!load.modules.is_empty()).then(|| load.view.to_path_buf()),
            modules: load.modules.clone(),
            environment: environment.collect(),
            shared: vec![work.path().to_path_buf()],
            scratch: Some(work.path().to_path_buf()),
            start_limit: limit,
            calls: self.group.as_ref().map(|group| (Arc::clone(group), BOUNDS)),
            ..HostSpec::bare(self.warmset.clone(), self.isolation, interpreter)
        };
        let told = |error: HostError| error.to_string();
        let limits = CallLimits { time: limit, ..CallLimits::default() };
        let call = Call {
            id: "swap",
            function: "swap",
            handler: "app.handler",
            event: &Value::Null,
            environment: &Default::default(),
            code: &code,
            closure: None,
            limits: &limits,
            slot: None,
            network: false,
            since: None,
        };
        let (mut wall, mut bytes) = (Vec::new(), Vec::new());
        match load.language {
            Language::Python => {
                let host = ForkServer::start(&spec).map_err(told)?;
                bytes.extend(host.report().rss_mb);
                for _ in 0..load.count {
                    wall.push(taken(&host.invoke(&call).map_err(told)?)?);
                }
            }
            Language::Node => {
                for _ in 0..load.count {
                    let slot = self.group.as_ref().map(|group| group.take(BOUNDS)).transpose().map_err(failed)?;
                    let spec = HostSpec { slot: slot.map(Arc::new), calls: None, ..spec.clone() };
                    let process = NodeProcess::start(&spec).map_err(told)?;
                    bytes.extend(process.report().rss_mb);
                    std::thread::sleep(IDLE);
                    wall.push(taken(&process.invoke(&call).map_err(told)?)?);
                }
            }
        }
        if bytes.is_empty() {
            return Err("the host did not say what memory it takes".into());
        }
        let bytes: Vec<f64> = bytes.into_iter().map(|mb| mb * 1e6).collect();
        Ok(json!({"bytes": bytes, "wall_ms": wall}))
    }
}

/// Milliseconds of a call until its module is there, without importing it.
fn taken(answer: &Answer) -> Result<f64, String> {
    match (answer.ok, answer.load_ms, answer.import_ms) {
        (true, Some(load), Some(import)) => Ok((load - import).max(0.0)),
        _ => Err(answer.error.clone().unwrap_or_else(|| "a call did not say when it was ready".into())),
    }
}
