//! One call: which image it goes to, what happens when that is not there, and what is told of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::keeper::Live;
use super::linux::Inner;
use super::provision::FunctionFiles;
use crate::live::held;
use crate::live::host::{Answer, Call, Checkpoint, ForkServer, HostError, NodeProcess};
use crate::model::Language;
use crate::model::manifest::{Fallback, ManifestFunction};

/// How a function was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Started {
    /// On its own image.
    Swap,
    /// On another image, or cold, as its own image was not there.
    Fallback,
    /// Thawed from a checkpoint of an image: its host has threads, or no process of it was ready.
    Criu,
    /// Cold, as planned.
    Cold,
}

impl Started {
    /// As metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            Started::Swap => "swap",
            Started::Fallback => "fallback",
            Started::Criu => "criu",
            Started::Cold => "cold",
        }
    }
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Invocation {
    /// Of the call.
    pub id: String,
    /// The function.
    pub function: String,
    /// How it was started.
    pub start: Started,
    /// The image that it ran on; absent for a cold start.
    pub image: Option<String>,
    /// Why it was not its own image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<String>,
    /// Whether the handler returned.
    pub ok: bool,
    /// `ok`, `error` (the handler raised), or what kept it from an answer: `unknown-function`, `not-deployed`, `setup`,
    /// `host-gone`, `threads`, `isolation`, `no-answer`, `time-limit`, `output-limit`, `memory-limit`.
    pub outcome: String,
    /// What it returned.
    pub result: Value,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The handler's stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceback: Option<String>,
    /// Milliseconds from the request until its dependencies were loaded: its handler's module has been imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_ms: Option<f64>,
    /// Milliseconds of that in which the handler's module was imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import_ms: Option<f64>,
    /// CPU milliseconds of that import: what others did on the machine meanwhile is not in it, nor what threads of
    /// Python's libraries do that no start waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import_cpu_ms: Option<f64>,
    /// Milliseconds of that in which the module's own code ran, after the last package that it asks for was there: known
    /// of CommonJS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_ms: Option<f64>,
    /// Milliseconds of the handler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_ms: Option<f64>,
    /// Milliseconds from the request until all of it had ended.
    pub total_ms: f64,
    /// CPU milliseconds of its process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<f64>,
    /// Most memory at once, MB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_mb: Option<f64>,
    /// How often it was begun.
    pub attempts: u32,
    /// What it said on its standard streams.
    pub logs: String,
}

/// Where a call can go.
#[derive(Clone, Copy)]
enum Target<'a> {
    Image(&'a str),
    Cold,
}

/// An image that takes a call.
enum Host {
    Fork(Arc<ForkServer>),
    Node(Box<NodeProcess>),
    Frozen(Arc<Checkpoint>),
}

impl Inner {
    /// Runs a function.
    pub fn invoke(&self, function: &str, event: &Value) -> Invocation {
        let begun = Instant::now();
        let mut told = Invocation {
            id: format!("{:x}-{:x}", std::process::id(), self.numbers.fetch_add(1, Ordering::Relaxed)),
            function: function.to_string(),
            start: Started::Cold,
            image: None,
            because: Vec::new(),
            ok: false,
            outcome: "unknown-function".into(),
            result: Value::Null,
            error: None,
            traceback: None,
            ready_ms: None,
            import_ms: None,
            import_cpu_ms: None,
            own_ms: None,
            run_ms: None,
            total_ms: 0.0,
            cpu_ms: None,
            peak_mb: None,
            attempts: 0,
            logs: String::new(),
        };
        match self.functions.get(function).map(|known| (known, self.files.functions.get(function))) {
            None => told.error = Some(format!("the manifest has no function {function}")),
            Some((_, None)) => {
                told.outcome = "not-deployed".into();
                told.error =
                    Some(format!("{function} could not be deployed: see what was said when the runtime started"));
            }
            Some((known, Some(files))) => self.run(known, files, event, begun, &mut told),
        }
        told.total_ms = begun.elapsed().as_secs_f64() * 1e3;
        self.metrics.record(&told);
        told
    }

    fn run(
        &self,
        function: &ManifestFunction,
        files: &FunctionFiles,
        event: &Value,
        begun: Instant,
        told: &mut Invocation,
    ) {
        let fallback = function.fallback.iter().map(|f| match f {
            Fallback::Image { id } => Target::Image(id),
            Fallback::Cold => Target::Cold,
        });
        let own = function.image.as_deref().map(Target::Image);
        // A cold start is always possible, whatever an edited manifest says.
        let targets = own.into_iter().chain(fallback).chain([Target::Cold]);
        let mut retries = self.maker.options.retries;
        for (place, target) in targets.enumerate() {
            loop {
                told.start = match (target, place, function.image.is_some()) {
                    (Target::Image(_), 0, _) => Started::Swap,
                    (Target::Cold, _, false) => Started::Cold,
                    _ => Started::Fallback,
                };
                told.image = match target {
                    Target::Image(id) => Some(id.to_string()),
                    Target::Cold => None,
                };
                let error = match self.attempt(function, files, event, target, begun, told) {
                    Ok(answer) => return conclude(told, answer),
                    Err(error) => error,
                };
                let elsewhere = matches!(target, Target::Image(_)) && error.is_untouched();
                let again = matches!(error, HostError::Gone(_)) && retries > 0;
                if !elsewhere && !again {
                    return fail(told, &error);
                }
                told.because.push(match target {
                    Target::Image(id) => format!("{id}: {error}"),
                    Target::Cold => error.to_string(),
                });
                if !again {
                    break;
                }
                retries -= 1;
            }
        }
    }

    fn attempt(
        &self,
        function: &ManifestFunction,
        files: &FunctionFiles,
        event: &Value,
        target: Target<'_>,
        begun: Instant,
        told: &mut Invocation,
    ) -> Result<Answer, HostError> {
        let language = function.platform.as_ref().map(|p| p.language);
        let handler = function.handler.as_deref().ok_or_else(|| HostError::Setup("its handler is not known".into()))?;
        let node = language == Some(Language::Node);
        let (host, closure) = match target {
            Target::Image(id) => {
                let image = self.images.get(id).map(|state| &state.image.platform);
                if let Some(other) = image.filter(|platform| function.platform.as_ref() != Some(*platform)) {
                    return Err(HostError::Setup(format!("the image is for {other}")));
                }
                let closure = if node { files.besides.get(id) } else { files.closure.as_ref() };
                (self.take(id)?, closure)
            }
            // All of it is where an image's packages would be.
            Target::Cold => {
                let spec = self.maker.cold(function, files)?;
                let host = if node {
                    NodeProcess::start(&spec).map(|process| Host::Node(Box::new(process)))
                } else {
                    ForkServer::start(&spec).map(|host| Host::Fork(Arc::new(host)))
                };
                (host?, None)
            }
        };
        told.attempts += 1;
        let call = Call {
            id: &told.id.clone(),
            function: &function.id,
            handler,
            event,
            environment: &function.environment,
            code: &files.code,
            closure: closure.map(std::path::PathBuf::as_path),
            limits: &self.maker.options.limits,
            slot: None,
            network: self.maker.options.network,
            since: Some(begun),
        };
        let answer = match host {
            Host::Fork(host) => host.invoke(&call),
            Host::Node(process) => process.invoke(&call),
            Host::Frozen(checkpoint) => {
                told.start = Started::Criu;
                checkpoint.invoke(&call, self.maker.slot()?.map(Arc::new))
            }
        };
        if let (Err(HostError::Gone(_) | HostError::Setup(_)), Target::Image(id)) = (&answer, target) {
            self.look_after(id);
        }
        answer
    }

    /// Takes a host for one call.
    fn take(&self, id: &str) -> Result<Host, HostError> {
        let state = self.images.get(id).ok_or_else(|| HostError::Setup("the manifest has no such image".into()))?;
        state.used.store(self.numbers.load(Ordering::Relaxed), Ordering::Relaxed);
        let mut live = held(&state.live);
        let taken = match &mut *live {
            Live::Down(why) => Err(why.clone()),
            Live::Fork(host) if host.alive() => Ok(Host::Fork(Arc::clone(host))),
            Live::Fork(_) => Err("the host has ended".to_string()),
            Live::Frozen(checkpoint) => Ok(Host::Frozen(Arc::clone(checkpoint))),
            Live::Pool(ready) => loop {
                match ready.pop_front() {
                    Some(process) if process.alive() => break Ok(Host::Node(Box::new(process))),
                    Some(_) => {}
                    None => {
                        let checkpoint = held(&state.checkpoint).as_ref().and_then(|made| made.clone().ok());
                        break checkpoint.map(Host::Frozen).ok_or_else(|| "no process is ready".to_string());
                    }
                }
            },
        };
        drop(live);
        if matches!(taken, Ok(Host::Node(_))) {
            *held(&state.taken) = Some(Instant::now());
        }
        if matches!(taken, Err(_) | Ok(Host::Node(_) | Host::Frozen(_))) {
            self.look_after(id);
        }
        taken.map_err(HostError::Setup)
    }

    /// Wakes the keeper of an image.
    fn look_after(&self, id: &str) {
        if let Some(wanted) = &self.wanted {
            return wanted.add(id);
        }
        let mut id = id;
        // The keeper waits at the root of the tree.
        for _ in 0..self.images.len() {
            let Some(state) = self.images.get(id) else { return };
            state.changed.notify_all();
            match &state.image.parent {
                Some(parent) => id = parent,
                None => return,
            }
        }
    }
}

fn conclude(told: &mut Invocation, answer: Answer) {
    told.ok = answer.ok;
    told.outcome = if answer.ok { "ok" } else { "error" }.into();
    told.result = answer.result;
    told.error = answer.error;
    told.traceback = answer.traceback;
    told.ready_ms = answer.load_ms;
    told.import_ms = answer.import_ms;
    told.import_cpu_ms = answer.import_cpu_ms;
    told.own_ms = answer.own_ms;
    told.run_ms = answer.run_ms;
    told.cpu_ms = answer.cpu_ms;
    told.peak_mb = answer.peak_mb;
    told.logs = answer.logs;
}

fn fail(told: &mut Invocation, error: &HostError) {
    let (outcome, logs) = match error {
        HostError::Setup(_) => ("setup", None),
        HostError::Gone(_) => ("host-gone", None),
        HostError::Refused(_) => ("threads", None),
        HostError::NotIsolated(_) => ("isolation", None),
        HostError::NoAnswer { logs, .. } => ("no-answer", Some(logs)),
        HostError::TimeLimit { logs, .. } => ("time-limit", Some(logs)),
        HostError::OutputLimit { logs, .. } => ("output-limit", Some(logs)),
        HostError::MemoryLimit { logs } => ("memory-limit", Some(logs)),
    };
    told.outcome = outcome.into();
    told.error = Some(error.to_string());
    told.logs = logs.cloned().unwrap_or_default();
}
