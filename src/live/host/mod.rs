//! Warm hosts: processes that have loaded packages and are given functions to run.
//!
//! [`ForkServer`] (Python) forks a process for every call, or a host of more packages; [`NodeProcess`] runs one call and
//! ends; a cold start is either of them with nothing loaded ([`HostSpec::bare`]). All are synchronous, and a fork server
//! may be called by many threads at once. Linux only.
//!
//! ```text
//! runtime ── control socket ── host (namespaces A, root of user namespace U)
//!    │                          └─ fork: function (namespaces B, own id in U, cgroup slot, nothing but its own code)
//!    └── channel, log ────────────────┘         its answer goes straight to the runtime; how it ended the host says
//! ```

mod answer;
mod checkpoint;
mod fork;
mod memory;
mod node;
mod spec;
mod wire;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use crate::live::sandbox::Slot;

pub use checkpoint::Checkpoint;
pub use fork::ForkServer;
pub use memory::Memory;
pub use node::NodeProcess;
pub use spec::{ChildSpec, HostSpec, Interpreter, Only, WarmCall};

/// What a host has loaded.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
pub struct Report {
    /// Modules, in order.
    pub loaded: Vec<String>,
    /// CPU milliseconds that loading and warming up took.
    pub ms: f64,
    /// Resident MB afterwards.
    #[serde(default)]
    pub rss_mb: Option<f64>,
    /// Names of its threads, the first first; empty for Node.
    #[serde(default)]
    pub names: Vec<String>,
    /// Whether it knows how to rehearse a call (Node).
    #[serde(default)]
    pub rehearses: bool,
}

/// What one call may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CallLimits {
    /// Time from the request to the end.
    pub time: Duration,
    /// Bytes of the answer in JSON.
    pub output_bytes: usize,
    /// Bytes of the log that are kept.
    pub log_bytes: usize,
    /// `/tmp`, MB (Python; Node's is the host's).
    pub tmp_mb: u32,
    /// Open descriptors of each process (Python; Node's is the host's).
    pub nofile: u64,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self { time: Duration::from_secs(30), output_bytes: 6_000_000, log_bytes: 256 * 1024, tmp_mb: 64, nofile: 1024 }
    }
}

/// One invocation.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Of the invocation; the function sees it.
    pub id: &'a str,
    /// Name of the function; it sees that too.
    pub function: &'a str,
    /// `module.attribute` or `file.export`.
    pub handler: &'a str,
    /// Its event.
    pub event: &'a Value,
    /// Its environment, on top of the host's.
    pub environment: &'a BTreeMap<String, String>,
    /// Its code, below one of [`HostSpec::shared`].
    pub code: &'a Path,
    /// Packages that it loads itself: a folder for Python's path, or one that holds `node_modules`; below a shared folder.
    pub closure: Option<&'a Path>,
    /// What it may take.
    pub limits: &'a CallLimits,
    /// What it counts for. A Node process is in the slot of its host from the start.
    pub slot: Option<&'a Slot>,
    /// Whether it has the network of its host, where that has one.
    pub network: bool,
    /// Since when [`Answer::load_ms`] counts; the call itself where absent. A cold start counts from the host's start.
    pub since: Option<Instant>,
}

/// What a function answered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// Whether the handler returned; else it raised.
    pub ok: bool,
    /// What it returned.
    pub result: Value,
    /// What it raised, and where.
    pub error: Option<String>,
    /// Its stack, in the language's own form.
    pub traceback: Option<String>,
    /// Milliseconds from the request until the handler's module was loaded: dependencies are ready. Absent where it was
    /// not loaded.
    pub load_ms: Option<f64>,
    /// Milliseconds of that in which the handler's module was imported.
    pub import_ms: Option<f64>,
    /// CPU milliseconds of that import: Python's in the thread that imports, Node's in the process.
    pub import_cpu_ms: Option<f64>,
    /// Milliseconds of that in which the module's own code ran, after the last package that it asks for was there: known
    /// of CommonJS.
    pub own_ms: Option<f64>,
    /// Milliseconds of the handler.
    pub run_ms: Option<f64>,
    /// Milliseconds from the request until the answer had come.
    pub answered_ms: f64,
    /// Milliseconds from the request until everything of it had ended.
    pub total_ms: f64,
    /// CPU milliseconds of its process, where known.
    pub cpu_ms: Option<f64>,
    /// Most memory at once, MB: of its slot, else the resident set of its process, what is shared included.
    pub peak_mb: Option<f64>,
    /// What it said on its standard streams, cut with a note.
    pub logs: String,
}

/// Why there is no answer. None of these is the function's own error, which is an [`Answer`].
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum HostError {
    /// The sandbox or the host could not be set up, or the call not be passed on; nothing of the function has run.
    #[error("{0}")]
    Setup(String),
    /// The host has ended. Whether the function had begun is not known.
    #[error("the host is gone: {0}")]
    Gone(String),
    /// The host will not fork, as threads would be lost. Nothing has run.
    #[error("{0}")]
    Refused(String),
    /// The function's process could not be shut in (or ended with the status that says so).
    #[error("the function's process could not be isolated: {0}")]
    NotIsolated(String),
    /// The function's process ended without an answer.
    #[error("the function's process ended with {how} before it answered")]
    NoAnswer {
        /// `status 3`, `signal 11`.
        how: String,
        /// What it had said.
        logs: String,
    },
    /// It took too long, and was ended.
    #[error("the function was ended after {limit_ms} ms")]
    TimeLimit {
        /// What it was allowed.
        limit_ms: u64,
        /// What it had said.
        logs: String,
    },
    /// Its answer is too long; it was ended.
    #[error("the function's answer is longer than {limit_bytes} bytes")]
    OutputLimit {
        /// What it was allowed.
        limit_bytes: usize,
        /// What it had said.
        logs: String,
    },
    /// The kernel ended it for want of memory.
    #[error("the function took more memory than it may")]
    MemoryLimit {
        /// What it had said.
        logs: String,
    },
}

impl HostError {
    /// Whether it is certain that nothing of the function has run, so that it may be run elsewhere.
    pub fn is_untouched(&self) -> bool {
        matches!(self, HostError::Setup(_) | HostError::Refused(_))
    }
}

/// Nanoseconds of the monotonic clock, which all processes of this machine share.
pub(super) fn monotonic_ns() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec.saturating_mul(1_000_000_000).saturating_add(now.tv_nsec)
}

/// Milliseconds.
pub(super) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
