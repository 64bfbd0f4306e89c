//! What `serve` and `replay` have in common: rights, provisioning, and what is said of both.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::live::build::sweep;
use crate::live::host::CallLimits;
use crate::live::install::{InstallError, Scratch, Store};
use crate::live::runtime::built::{self, Built};
use crate::live::runtime::provision::{self, Provisioned, Sources};
use crate::live::runtime::{Maker, Options};
use crate::live::sandbox::{Group, Hierarchies, Isolation, Lack, Limits, probe};
use crate::model::manifest::SwapManifest;
use crate::model::{Diagnostic, Place, codes, read};

use super::build;
use super::load::{self, Failure};
use super::options::BuilderChoice;
use super::options::{IsolationChoice, RunOptions};
use super::talk::Talk;

/// Where a Node function sees its image's packages in a sandbox.
const MODULES_AT: &str = "/opt/warm/node_modules";
/// Time that one call of an installer may take.
const INSTALL_LIMIT: Duration = Duration::from_secs(600);

/// What this machine and user permit.
pub struct Rights {
    pub(super) isolation: Isolation,
    hierarchies: Hierarchies,
    /// This program, for its hidden subcommand.
    warmset: PathBuf,
}

/// Finds out what is permitted, says what is missing, and stops where that was not allowed.
pub fn rights(options: &RunOptions, talk: Talk) -> Result<Rights, Failure> {
    let warmset = std::env::current_exe()?;
    if options.isolation == IsolationChoice::None {
        let bounds = [("--memory", options.memory.is_some()), ("--cpus", options.cpus.is_some())];
        let lacks: Vec<Diagnostic> =
            bounds.iter().filter(|(_, given)| *given).map(|(name, _)| unbounded(name)).collect();
        talk.diagnostics(&lacks);
        return Ok(Rights { isolation: Isolation::None, hierarchies: Hierarchies::default(), warmset });
    }
    let permitted = probe(&warmset, options.first_id)?;
    let lacks: Vec<Diagnostic> = permitted.lacks.iter().map(lacking).collect();
    if !lacks.is_empty() && !options.allow_missing_isolation {
        talk.diagnostics(&lacks);
        return Err(Failure::Message(
            "this machine or user does not permit full isolation: give --allow-missing-isolation to go on without, or \
             --isolation none"
                .into(),
        ));
    }
    talk.diagnostics(&lacks);
    Ok(Rights { isolation: permitted.isolation, hierarchies: permitted.hierarchies, warmset })
}

fn unbounded(option: &str) -> Diagnostic {
    let reason = format!("{option} is not kept: it needs a control group, and --isolation none makes none");
    let next = format!("leave out --isolation none, or {option}");
    Diagnostic::new(codes::ISOLATION_MISSING, Place::default(), reason).next(next)
}

fn lacking(lack: &Lack) -> Diagnostic {
    let reason = format!("without {}: {}", lack.what, lack.why);
    Diagnostic::new(codes::ISOLATION_MISSING, Place::default(), reason).next(lack.next.clone())
}

impl RunOptions {
    /// How functions are run, as far as rights permit.
    pub fn maker(&self, rights: &Rights, store: &Store, scratch: &Path) -> Result<Maker, Failure> {
        let limits = CallLimits {
            time: Duration::from_secs_f64(self.timeout),
            output_bytes: self.max_answer,
            ..CallLimits::default()
        };
        let bounds =
            Limits { pids: Some(self.pids), cpus: self.cpus, memory_mb: self.memory.map(|mb| mb.ceil() as u64) };
        // Hosts show it, though no function may be in it.
        let functions = scratch.join("functions");
        std::fs::create_dir_all(&functions)?;
        Ok(Maker {
            options: Options {
                warmset: rights.warmset.clone(),
                isolation: rights.isolation,
                network: self.network,
                allow_threads: self.allow_threads,
                standby: self.standby,
                pool: self.pool,
                limits,
                bounds,
                retries: self.retries,
                start_limit: Duration::from_secs(120),
            },
            criu: None,
            group: Group::new(&rights.hierarchies)?,
            shared: vec![functions, store.environments()],
            scratch: scratch.to_path_buf(),
        })
    }
}

/// The manifest in a file or plan folder, and that folder.
pub fn manifest(path: &Path) -> Result<(SwapManifest, PathBuf), Failure> {
    let file = if path.is_dir() { path.join("swap-manifest.json") } else { path.to_path_buf() };
    let manifest = read::manifest(&file.display().to_string(), &load::text(&file)?)?;
    let folder = file.parent().map(Path::to_path_buf).unwrap_or_default();
    Ok((manifest, if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder }))
}

/// The store in the folder that was given, or in the user's cache folder.
pub fn store(options: &RunOptions) -> Result<Store, Failure> {
    let cache = || {
        let own = std::env::var_os("XDG_CACHE_HOME").filter(|v| !v.is_empty()).map(PathBuf::from);
        own.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"))).map(|c| c.join("warmset"))
    };
    let Some(folder) = options.cache.clone().or_else(cache) else {
        return Err(Failure::Message("there is no home folder to keep packages in: give --cache DIR".into()));
    };
    Store::open(&folder, INSTALL_LIMIT).map_err(install_failure)
}

/// Why nothing could be installed.
pub fn install_failure(error: InstallError) -> Failure {
    Failure::Message(format!("{error}: {}", error.next()))
}

/// What a manifest names, and what it lies in: hosts are ended before that goes.
pub struct Made {
    pub files: Provisioned,
    /// Built images, where those are used.
    _built: Option<Built>,
}

/// Installs and copies all that a manifest names, with progress. Built images are used where the user asks for that.
pub fn provision(
    manifest: &SwapManifest,
    plan: &Path,
    options: &RunOptions,
    rights: &Rights,
    (store, scratch): (&Store, &Scratch),
    stop: &AtomicBool,
    talk: Talk,
) -> Result<Made, Failure> {
    let built = match options.images {
        Some(choice) => Some(built(choice, manifest, rights, scratch, stop, talk)?),
        None => None,
    };
    let inside = Path::new(MODULES_AT);
    let modules_at = rights.isolation.is_isolated().then_some(inside);
    let sources = Sources { plan, code: &options.code, state: scratch.path(), modules_at };
    let bar = talk.bar("installing");
    let roots = built.as_ref().map(|built| &built.roots);
    let mut files = provision::provision_with(manifest, sources, roots, store, stop, &|step| {
        bar.set(step.done, step.of);
        bar.message(step.what);
    })
    .map_err(install_failure)?;
    files.diagnostics.extend(built.iter().flat_map(|built| built.diagnostics.iter().cloned()));
    Ok(Made { files, _built: built })
}

/// The built images of a manifest, mounted.
fn built(
    choice: BuilderChoice,
    manifest: &SwapManifest,
    rights: &Rights,
    scratch: &Scratch,
    stop: &AtomicBool,
    talk: Talk,
) -> Result<Built, Failure> {
    if !rights.isolation.is_isolated() {
        return Err(Failure::Message(
            "built images need namespaces to run in: run as root, leave out --isolation none, or leave out --images"
                .into(),
        ));
    }
    let builder = build::builder(choice, stop)?;
    match sweep(&builder, stop) {
        Ok(0) => {}
        Ok(n) => {
            let what = if n == 1 { "container was" } else { "containers were" };
            talk.say(format!("{n} working {what} removed from {}, left by killed runtimes", builder.kind));
        }
        Err(why) => talk.say(format!("what killed runtimes left in {} could not be removed: {why}", builder.kind)),
    }
    let bar = talk.bar("mounting");
    let found = built::find(manifest, &builder, scratch.path(), stop, &|step| {
        bar.set(step.done, step.of);
        bar.message(step.what);
    });
    drop(bar);
    let found = found.map_err(install_failure)?;
    talk.say(format!("{} of {} images are in {}", found.roots.len(), manifest.images.len(), builder.kind));
    Ok(found)
}
