//! What the tests of live hosts share: folders with functions, hosts for them, calls.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use warmset::live::host::{Answer, Call, CallLimits, ForkServer, HostError, HostSpec, Interpreter};
use warmset::live::install::interpreter::ask;
use warmset::live::sandbox::{Isolation, Slot};
use warmset::model::Language;

pub fn warmset() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_warmset"))
}

/// A folder that a host shares: functions, packages.
pub struct Bench {
    pub dir: TempDir,
    pub isolation: Isolation,
    pub interpreter: Interpreter,
}

impl Bench {
    /// `None` when the language is not installed.
    pub fn new(language: Language, isolation: Isolation) -> Option<Self> {
        let program = match language {
            Language::Python => "python3",
            Language::Node => "node",
        };
        crate::common::tool(program).then(|| Self::of(language, Path::new(program), isolation))
    }

    pub fn of(language: Language, program: &Path, isolation: Isolation) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).expect("a mode");
        let interpreter = interpreter(language, program);
        Self { dir, isolation, interpreter }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a written file");
    }

    pub fn spec(&self, modules: &[&str]) -> HostSpec {
        let mut spec = HostSpec::bare(warmset(), self.isolation, self.interpreter.clone());
        spec.modules = modules.iter().map(ToString::to_string).collect();
        spec.shared = vec![self.dir.path().to_path_buf()];
        spec.environment.insert("PYTHONDONTWRITEBYTECODE".to_string(), "1".to_string());
        spec.environment.insert("HOME".to_string(), "/tmp".to_string());
        spec
    }

    pub fn host(&self, modules: &[&str]) -> ForkServer {
        ForkServer::start(&self.spec(modules)).expect("a host")
    }

    pub fn call(&self, host: &ForkServer, handler: &str, event: Value) -> Result<Answer, HostError> {
        self.call_in(host, handler, event, &limits(), None)
    }

    /// `handler` is `folder/module.attribute`.
    pub fn call_in(
        &self,
        host: &ForkServer,
        handler: &str,
        event: Value,
        limits: &CallLimits,
        slot: Option<&Slot>,
    ) -> Result<Answer, HostError> {
        let (folder, handler) = handler.split_once('/').expect("a folder");
        let code = self.path(folder);
        let environment = BTreeMap::from([("GREETING".to_string(), "hello".to_string())]);
        host.invoke(&request(&code, handler, &event, &environment, limits, slot))
    }

    /// The result of a call that must succeed.
    pub fn ok(&self, host: &ForkServer, handler: &str, event: Value) -> Value {
        let answer = self.call(host, handler, event).unwrap_or_else(|e| panic!("{handler}: {e:?}"));
        assert!(answer.ok, "{handler}: {answer:?}");
        answer.result
    }
}

/// Asked once: version managers take their time.
fn interpreter(language: Language, program: &Path) -> Interpreter {
    static KNOWN: Mutex<BTreeMap<PathBuf, Interpreter>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let ask = || Interpreter::of(&ask(program, language, &AtomicBool::new(false)).expect("an interpreter"));
    known.entry(program.to_path_buf()).or_insert_with(ask).clone()
}

pub fn request<'a>(
    code: &'a Path,
    handler: &'a str,
    event: &'a Value,
    environment: &'a BTreeMap<String, String>,
    limits: &'a CallLimits,
    slot: Option<&'a Slot>,
) -> Call<'a> {
    Call {
        id: "r-1",
        function: "f",
        handler,
        event,
        environment,
        code,
        closure: None,
        limits,
        slot,
        network: false,
        since: None,
    }
}

pub fn limits() -> CallLimits {
    CallLimits { time: Duration::from_secs(20), ..CallLimits::default() }
}

pub fn nothing() -> &'static Value {
    static NOTHING: OnceLock<Value> = OnceLock::new();
    NOTHING.get_or_init(|| json!(null))
}
