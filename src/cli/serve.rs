//! `warmset serve` and `warmset invoke`.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::emit::json;
use crate::live::criu::{self, Criu};
use crate::live::process::stop_sign;
use crate::live::runtime::{Keep, Runtime, http};
use crate::model::manifest::{SwapManifest, SwapMethod};

use super::Outcome;
use super::args::{InvokeCommand, ServeCommand, TextFormat};
use super::load::{self, Failure};
use super::options::CriuChoice;
use super::running;
use super::talk::Talk;

/// How often it is looked whether the user wants to stop.
const LOOK: Duration = Duration::from_millis(50);
/// How much longer than a call may take its caller is waited for.
const GRACE: Duration = Duration::from_secs(5);

/// Runs the reference runtime until it is told to end.
pub fn run(command: &ServeCommand, talk: Talk) -> Result<Outcome, Failure> {
    let stop = stop_sign();
    let (manifest, plan) = running::manifest(&command.manifest)?;
    http::check(&command.socket)?;
    let rights = running::rights(&command.run, talk)?;
    let store = running::store(&command.run)?;
    let scratch = store.scratch().map_err(running::install_failure)?;
    let files = running::provision(&manifest, &plan, &command.run, &rights, (&store, &scratch), &stop, talk)?;
    talk.diagnostics(&files.diagnostics);
    let outcome = Outcome::of(&files.diagnostics);
    let mut maker = command.run.maker(&rights, &store, scratch.path())?;
    if command.criu == CriuChoice::Auto {
        match criu(&manifest, &rights) {
            Some(Ok(criu)) => maker.criu = Some(criu),
            Some(Err(why)) => talk.say(format!("criu skipped: {why}")),
            None => {}
        }
    }
    let (images, functions) = (files.images.len(), files.functions.len());
    let runtime = Arc::new(Runtime::start(&manifest, files, maker, Keep::All));
    let serving = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // A call holds a thread: as many at once as a machine may be asked for.
        .max_blocking_threads(1024)
        .enable_all()
        .build()?;
    let asked = Arc::clone(&stop);
    let until = async move {
        while !asked.load(Ordering::SeqCst) {
            tokio::time::sleep(LOOK).await;
        }
    };
    let ready = |address: Option<std::net::SocketAddr>| {
        let metrics = address.map_or_else(String::new, |a| format!(", metrics on http://{a}/metrics"));
        let socket = command.socket.display();
        talk.say(format!("{functions} functions and {images} images, listening on {socket}{metrics}"));
    };
    let longest = Duration::from_secs_f64(command.run.timeout) + GRACE;
    serving.block_on(http::serve(runtime, &command.socket, command.metrics, ready, until, longest))?;
    Ok(outcome)
}

/// What thaws processes; nothing where no image of the manifest asks for it.
fn criu(manifest: &SwapManifest, rights: &running::Rights) -> Option<Result<Criu, String>> {
    let oldest = manifest.images.iter().flat_map(|image| &image.swap).filter_map(|method| match method {
        SwapMethod::Criu { minimum_version } => Some(minimum_version.as_str()),
        SwapMethod::ForkServer { .. } | SwapMethod::NodePool { .. } => None,
    });
    let oldest = oldest.max_by_key(|version| criu::numbers(version))?;
    Some(if rights.isolation.has_ids() {
        Criu::find(oldest)
    } else {
        Err("it needs full isolation, which takes root".to_string())
    })
}

/// Calls a function of a running runtime.
pub fn invoke(command: &InvokeCommand, talk: Talk) -> Result<Outcome, Failure> {
    let event = command.event.as_deref().map(load::bytes).transpose()?.unwrap_or_default();
    let blank = event.iter().all(u8::is_ascii_whitespace);
    if let Some(Err(e)) = (!blank).then(|| serde_json::from_slice::<serde::de::IgnoredAny>(&event)) {
        return Err(Failure::Message(format!("the event is not JSON: {e}")));
    }
    let event = if blank { Vec::new() } else { event };
    let told = http::ask(command.socket.clone(), &command.function, event).map_err(|e| {
        let socket = command.socket.display();
        Failure::Message(match e.kind() {
            // Something listens, and has answered.
            ErrorKind::InvalidData => format!("{socket}: {e}"),
            _ => format!("no answer from {socket}: {e}; start `warmset serve`, or name its socket with --socket"),
        })
    })?;
    match command.format {
        TextFormat::Json => {
            talk.result(&String::from_utf8_lossy(&json::pretty(&told).map_err(std::io::Error::other)?))?
        }
        TextFormat::Text => {
            if !told.logs.is_empty() {
                talk.say(told.logs.trim_end());
            }
            told.because.iter().for_each(|why| talk.say(format!("{}: {why}", told.start.name())));
            match &told.error {
                Some(error) => talk.error(error),
                None => talk.result(&format!("{}\n", told.result))?,
            }
        }
    }
    match told.outcome.as_str() {
        "ok" => Ok(Outcome::Clean),
        "unknown-function" | "not-deployed" | "setup" | "threads" | "isolation" => {
            Err(Failure::Message(format!("{} could not be called", command.function)))
        }
        _ => Ok(Outcome::Findings),
    }
}
