//! What first calls of handlers take, where a function has an event file.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::bench::{Bench, Missed};
use super::probe::{Call, Request};
use super::{MeasureError, fleet};
use crate::cost::stats::{median, quantile};
use crate::live::handler::Handler;
use crate::live::install::code;
use crate::model::units::round;
use crate::model::{Diagnostic, Function, Language, MeasuredWarmup, codes};

/// Start of the names of folders with copies of functions' code.
pub const CODE: &str = ".warmset-code-";
/// Most repetitions of a call: what first calls take differs by much more than they spread.
const MOST: usize = 5;
/// Calls after the first one.
const LATER: u32 = 3;
/// What Node runs as it is.
const NODE_FILES: [&str; 6] = [".js", ".mjs", ".cjs", "/index.js", "/index.mjs", "/index.cjs"];

/// A handler and its event, found in the fleet's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    /// Of the handler, relative to the code folder: a file (Node), or what becomes a dotted module (Python).
    stem: String,
    /// Attribute or export.
    attribute: String,
    event: PathBuf,
}

#[derive(Deserialize)]
struct Answer {
    first: f64,
    later: Vec<f64>,
    again: f64,
    bytes: f64,
    modules: BTreeSet<String>,
    files: BTreeSet<String>,
}

/// Calls every handler with an event file whose imports load.
pub fn measure(bench: &mut Bench<'_>) -> Result<Vec<MeasuredWarmup>, MeasureError> {
    let Some(root) = bench.options.root else { return Ok(Vec::new()) };
    let ready = bench.ready;
    let mut wanted: Vec<(usize, usize, Found)> = Vec::new();
    for (at, subject) in ready.subjects.iter().enumerate().filter(|(at, _)| !bench.failed.contains(at)) {
        for &number in &subject.functions {
            let function = &bench.inventory.functions[number];
            let handler = function.handler.as_deref().and_then(|h| Handler::of(h, subject.platform.language));
            let Some(handler) = handler.filter(|_| !leaves(&function.path)) else { continue };
            if let Some(event) = handler.event(&root.join(&function.path)) {
                let (stem, attribute) = (handler.stem(), handler.attribute.to_string());
                wanted.push((number, at, Found { stem, attribute, event }));
            }
        }
    }
    wanted.sort_by_key(|(number, ..)| *number);
    let repetitions = bench.options.repetitions.min(MOST);
    bench.expect(wanted.len() * repetitions);
    let mut out = Vec::new();
    for (number, at, found) in wanted {
        match call(bench, root, number, at, &found, repetitions) {
            Ok(measured) => out.extend(measured),
            Err(Missed::Fatal(error)) => return Err(error),
            Err(Missed::Failed(why)) => {
                let function = &bench.inventory.functions[number];
                let diagnostic = Diagnostic::new(codes::WARMUP_NOT_MEASURED, fleet::place(function), why);
                bench.diagnostics.push(diagnostic.for_function(&function.id));
            }
        }
    }
    out.sort_by(|a, b| a.function.cmp(&b.function));
    Ok(out)
}

fn call(
    bench: &mut Bench<'_>,
    root: &Path,
    number: usize,
    at: usize,
    found: &Found,
    repetitions: usize,
) -> Result<Option<MeasuredWarmup>, Missed> {
    let failed = |error: io::Error| Missed::Failed(error.to_string());
    let (ready, inventory) = (bench.ready, bench.inventory);
    let (subject, function) = (&ready.subjects[at], &inventory.functions[number]);
    let language = subject.platform.language;
    let view = &ready.views[subject.view];
    // Handlers may write where they stand; Node looks for packages in the folders above.
    let beside = if language == Language::Node { view.root.clone() } else { bench.options.cache.join("scratch") };
    let copy = tempfile::Builder::new().prefix(CODE).tempdir_in(&beside).map_err(failed)?;
    code::copy_tree(&root.join(&function.path), copy.path(), &code::is_left_behind, &mut code::FUNCTION.clone())
        .map_err(failed)?;
    let handler = match language {
        Language::Python => found.stem.replace('/', "."),
        Language::Node => {
            let files = NODE_FILES.iter().map(|end| copy.path().join(format!("{}{end}", found.stem)));
            let file = files.into_iter().find(|file| file.is_file());
            file.ok_or_else(|| Missed::Failed(format!("{}.js is not there: is it built?", found.stem)))?
                .display()
                .to_string()
        }
    };
    let text = fs::read_to_string(&found.event).map_err(failed)?;
    let event: Value = serde_json::from_str(&text).map_err(|e| Missed::Failed(format!("its event: {e}")))?;
    let call = Call {
        folder: copy.path().to_path_buf(),
        handler,
        attribute: found.attribute.clone(),
        event: found.event.clone(),
        environment: function.environment.clone(),
        calls: LATER,
    };
    let key = format!("{}-call-{}", subject.key, digest(copy.path(), function, found, &text).map_err(failed)?);
    let request = Request { load: &subject.steps, call: Some(&call), ..Request::default() };
    let mut answers = Vec::new();
    for repetition in 0..repetitions {
        let answer = bench.take((&key, "call", repetition), &subject.platform, &view.root, &request)?;
        answers.push(Answer::deserialize(&answer).map_err(|e| Missed::Failed(e.to_string()))?);
    }
    let of = |what: &dyn Fn(&Answer) -> f64| round(median(&answers.iter().map(what).collect::<Vec<_>>()).max(0.0), 3);
    // What is as often lost as it is saved is saved by chance.
    let saved: Vec<f64> = answers.iter().map(|a| (a.first - a.again) / 1e6).collect();
    let Some(last) = answers.last() else { return Ok(None) };
    // Node does not tell which ES modules it holds: those of the imports are known from their trace.
    let traced = bench.readings().traced(at, 0).into_iter().flat_map(|charges| charges.into_keys().flatten());
    let owners = last.files.iter().filter_map(|file| view.owner_of_file(language, file));
    let packages: BTreeSet<String> = owners.chain(traced).map(|id| id.spec()).collect();
    Ok(Some(MeasuredWarmup {
        function: function.id.clone(),
        platform: subject.platform.clone(),
        module: if language == Language::Python { call.handler.clone() } else { found.stem.clone() },
        call: found.attribute.clone(),
        event,
        first_ms: of(&|a| a.first / 1e6),
        later_ms: of(&|a| median(&a.later) / 1e6),
        saved_ms: if quantile(&saved, 0.25) > 0.0 { round(median(&saved), 3) } else { 0.0 },
        added_mb: of(&|a| a.bytes / 1e6),
        modules: last.modules.iter().map(|m| m.trim_start_matches("node_modules/").to_string()).collect(),
        packages: packages.into_iter().collect(),
    }))
}

/// Whether a path leads out of the fleet's folder.
fn leaves(path: &str) -> bool {
    path.starts_with('/') || path.split('/').any(|part| part == "..")
}

/// What a call depends on besides what is loaded before it: code, event, handler, environment.
fn digest(folder: &Path, function: &Function, found: &Found, event: &str) -> io::Result<String> {
    let mut hasher = Sha256::new();
    hasher.update(format!("{}.{}\n{:?}\n{event}\n", found.stem, found.attribute, function.environment));
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let entry = entry?;
        let name = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        hasher.update(format!("{}\n", name.display()));
        if entry.file_type().is_file() {
            let bytes = fs::read(entry.path())?;
            hasher.update(format!("{}\n", bytes.len()));
            hasher.update(bytes);
        }
    }
    Ok(hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}
