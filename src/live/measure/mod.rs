//! Measuring what packages cost to load: installs a fleet's closures, loads each in fresh processes under an import tracer,
//! and calls handlers where it is asked to. `cost::attribution` makes a table of what the traces say.
//!
//! One process runs at a time, round by round over all functions, so that a busy minute touches each a little. Whatever is
//! finished is kept at once, under a digest of what was measured: a later call takes it from there.

mod bench;
mod fleet;
mod host;
mod probe;
mod readings;
mod results;
mod samples;
#[cfg(target_os = "linux")]
mod swap;
mod view;
mod warm;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::live::install::{InstallError, Store};
use crate::model::{Costs, Diagnostic, Inventory, PackageId, codes};

/// What is measured and how.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Folder for environments and samples.
    pub cache: &'a Path,
    /// The fleet's folder, where it is at hand: handlers lie there.
    pub root: Option<&'a Path>,
    /// Times that each load is repeated, with and without the tracer.
    pub repetitions: usize,
    /// Installers that run at the same time.
    pub jobs: usize,
    /// Time that one program may take.
    pub limit: Duration,
    /// Ids of the functions to measure; all if empty.
    pub only: &'a [String],
    /// Whether handlers are called with their events.
    pub warmup: bool,
    /// How swaps are timed: on warm hosts as the runtime has them. Without it by a fork and a hand-over alone.
    pub hosts: Option<&'a Hosts>,
    /// Set when the user wants to stop.
    pub stop: &'a AtomicBool,
}

#[cfg(target_os = "linux")]
pub use swap::Hosts;

/// Warm hosts run on Linux only.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub enum Hosts {}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Environments.
    Installing,
    /// Repetitions.
    Measuring,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is counted.
    pub stage: Stage,
    /// So much is done.
    pub done: usize,
    /// Of so much.
    pub total: usize,
}

/// A function that was not measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Index into the inventory.
    pub function: usize,
    /// Why.
    pub reason: String,
    /// What to do.
    pub next: String,
}

impl Refused {
    fn new(function: usize, reason: String, next: String) -> Self {
        Self { function, reason, next }
    }
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The table.
    pub costs: Costs,
    /// What was not measured, or not well; sorted.
    pub diagnostics: Vec<Diagnostic>,
    /// Functions whose loads are in the table.
    pub functions: usize,
    /// Functions that load nothing to be measured.
    pub nothing: usize,
    /// Closures that had to be installed, and environments that cover them.
    pub closures: usize,
    /// See `closures`.
    pub environments: usize,
    /// Repetitions run now.
    pub runs: usize,
    /// Repetitions kept from before.
    pub kept: usize,
    /// Packages whose spread is too wide: with it, and the milliseconds that it leaves open over the fleet.
    pub uncertain: Vec<(PackageId, f64, f64)>,
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// Another one uses the same folder: two at once would measure each other.
    #[error("another warmset measures with the cache {0}: wait for it, or name another with --cache")]
    Busy(PathBuf),
    /// The user stopped warmset.
    #[error("stopped; what was measured until then is kept, and the same command goes on from there")]
    Stopped,
    /// The store cannot be used.
    #[error(transparent)]
    Install(InstallError),
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
}

impl From<InstallError> for MeasureError {
    fn from(error: InstallError) -> Self {
        match error {
            InstallError::Stopped => MeasureError::Stopped,
            error => MeasureError::Install(error),
        }
    }
}

/// Measures a fleet.
///
/// # Errors
/// When nothing can be measured at all. A function that cannot be is a diagnostic.
pub fn measure(
    inventory: &Inventory,
    options: &Options<'_>,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Outcome, MeasureError> {
    // Programs are started in other folders than ours.
    let cache = std::path::absolute(options.cache).map_err(at(options.cache))?;
    let root = options.root.map(|root| root.canonicalize().map_err(at(root))).transpose()?;
    // What other commands install there is shared; the rest has a folder of its own.
    let store = Store::open(&cache, options.limit)?;
    let cache = cache.join("measure");
    let options = &Options { cache: &cache, root: root.as_deref(), ..*options };
    let _lock = claim(&cache)?;
    let mut refused = Vec::new();
    let ready = fleet::ready(inventory, options, &store, &mut refused, progress)?;
    let mut bench = bench::Bench::new(inventory, options, &ready, refused, progress);
    bench.run()?;
    let warmups = if options.warmup { warm::measure(&mut bench)? } else { Vec::new() };
    Ok(results::outcome(bench, warmups))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> MeasureError + '_ {
    move |source| MeasureError::Io { path: path.to_path_buf(), source }
}

/// Takes the cache for this process, and removes what a killed one left. The lock ends with the process, however it ends.
fn claim(cache: &Path) -> Result<File, MeasureError> {
    fs::create_dir_all(cache).map_err(at(cache))?;
    let path = cache.join("lock");
    let lock = File::create(&path).map_err(at(&path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(MeasureError::Busy(cache.to_path_buf())),
        // A file system without locks: nobody can be told apart there.
        Err(TryLockError::Error(_)) => {}
    }
    let scratch = cache.join("scratch");
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch).map_err(at(&scratch))?;
    for view in fs::read_dir(cache.join("views")).into_iter().flatten().flatten() {
        for entry in fs::read_dir(view.path()).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(warm::CODE) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
    Ok(lock)
}

/// What is said of a function that was not measured.
fn said(inventory: &Inventory, refused: &Refused) -> Option<Diagnostic> {
    let function = inventory.functions.get(refused.function)?;
    let diagnostic = Diagnostic::new(codes::NOT_MEASURED, fleet::place(function), &refused.reason);
    Some(diagnostic.for_function(&function.id).next(&refused.next))
}
