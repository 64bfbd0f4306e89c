//! Builds the images of a plan folder with whatever builder is here: docker with BuildKit, podman or buildah.
//!
//! Parents come before children, what does not depend on each other is built at the same time, and an image that fails
//! takes only those that stand on it with it. Package-index settings and certificates go in as build secrets, so that
//! no layer and no build argument holds them. Images stay in the builder's own store, under its own cache.

mod builder;
mod rootfs;
mod schedule;
#[cfg(all(test, unix))]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crate::emit::needs::Needs;
use crate::live::process::Ended;
use crate::resolve::relock::last_words;

pub use builder::{Builder, Image, Kind, NoBuilder, Pull};
pub use rootfs::{Mounted, mounted, rootfs, sweep};

pub(in crate::live) use builder::is_digest;

/// What is to be built, and how.
#[derive(Debug)]
pub struct Order {
    /// Parents before children.
    pub targets: Vec<Target>,
    /// Builds at the same time.
    pub jobs: usize,
    /// Longest time for one image.
    pub limit: Duration,
    /// Whether a base image that is not in the store is fetched.
    pub pull: Pull,
    /// Whether each image is pushed once it is built.
    pub push: bool,
    /// Further arguments for the builder's build command.
    pub more: Vec<String>,
    /// Takes a log of each build: `IMAGE.log`.
    pub logs: Option<PathBuf>,
}

/// One image to build.
#[derive(Debug, Clone)]
pub struct Target {
    /// As in the manifest.
    pub id: String,
    /// Position of its parent among the targets.
    pub parent: Option<usize>,
    /// Position of a target whose end it waits for, where it has no parent: the first on the same base makes layers that
    /// the others then have in common, while two at a time would each make their own.
    pub after: Option<usize>,
    /// Folder with its Dockerfile.
    pub folder: PathBuf,
    /// What it is tagged with.
    pub reference: String,
    /// The image that its Dockerfile starts from where it does not start from its parent.
    pub base: String,
    /// `linux/arm64`, where it is not this machine's.
    pub platform: Option<String>,
    /// Build arguments, by name.
    pub arguments: BTreeMap<String, String>,
    /// Files by secret id: those that its Dockerfile mounts.
    pub secrets: BTreeMap<String, PathBuf>,
}

impl Target {
    /// Keeps the arguments and secrets that the Dockerfile knows: builders complain of others.
    pub fn fit(&mut self, needs: &Needs) {
        self.arguments.retain(|name, _| needs.args.contains_key(name));
        self.secrets.retain(|id, _| needs.secrets.contains(id));
    }
}

/// An image that was built.
#[derive(Debug, Clone, PartialEq)]
pub struct Built {
    /// What the store knows of it.
    pub image: Image,
    /// Wall time.
    pub seconds: f64,
    /// Layers that it has in common with its parent, or with its base where it has no parent.
    pub shared: usize,
    /// Bytes beyond its parent's or its base's.
    pub added: u64,
    /// `REPOSITORY@sha256:…` that it was pushed to.
    pub pushed: Option<String>,
}

/// What became of a target.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// It is in the store.
    Built(Built),
    /// The builder could not.
    Failed(Failed),
    /// The image that it stands on, at this position, was not built.
    Skipped(usize),
    /// The user stopped before it was done.
    Stopped,
}

/// Why an image was not built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// In one line.
    pub reason: String,
    /// The last that the builder said.
    pub said: String,
    /// A base image that is not in the store and could not be fetched.
    pub no_base: Option<String>,
}

/// What is told while building.
#[derive(Debug)]
pub enum Event<'a> {
    /// A target is begun.
    Started(usize),
    /// A target is done with, one way or the other.
    Ended(usize, &'a State),
}

/// Builds all targets; one state each, in their order. `told` hears of each, from several threads.
pub fn build(order: &Order, builder: &Builder, stop: &AtomicBool, told: &(dyn Fn(Event<'_>) + Sync)) -> Vec<State> {
    let parents: Vec<Option<usize>> = order.targets.iter().map(|target| target.parent).collect();
    let after: Vec<Option<usize>> = order.targets.iter().map(|target| target.after).collect();
    schedule::run(&parents, &after, order.jobs, stop, told, &|at, parent| {
        let Some(target) = order.targets.get(at) else { return State::Stopped };
        one(order, builder, target, parent, stop)
            .unwrap_or_else(|reason| State::Failed(Failed { reason, said: String::new(), no_base: None }))
    })
}

/// Builds one target; `Err` where the machine, not the build, is at fault.
fn one(
    order: &Order,
    builder: &Builder,
    target: &Target,
    parent: Option<&Built>,
    stop: &AtomicBool,
) -> Result<State, String> {
    let start = Instant::now();
    if order.pull == Pull::Never && target.parent.is_none() && builder.present(&target.base, stop)?.is_none() {
        return Ok(State::Failed(no_base(builder, &target.base, "", "")));
    }
    let (scratch, command) = (scratch()?, builder.build(order, target));
    let ran = builder.run(&command, scratch.path(), order.limit, stop)?;
    if let Some(logs) = &order.logs {
        keep(&scratch.path().join("said"), logs, &target.id)?;
    }
    let words = telling(&ran.said);
    let failed = |reason: String| Failed { reason, said: ran.said.clone(), no_base: None };
    match ran.ended {
        Ended::Stopped => return Ok(State::Stopped),
        Ended::TimedOut => {
            let reason = format!("it took longer than {:.0} s: {words}", order.limit.as_secs_f64());
            return Ok(State::Failed(failed(reason)));
        }
        Ended::TooLoud => return Ok(State::Failed(failed("its build did not stop talking".into()))),
        Ended::Done(false) => {
            // What the builder says of it differs from version to version; whether it is there does not.
            let about_images = ["pull", "resolve", "registry", "image not known", "not found", "no such image"];
            let lower = ran.said.to_lowercase();
            let base_gone =
                about_images.iter().any(|word| lower.contains(word)) && builder.present(&target.base, stop)?.is_none();
            return Ok(State::Failed(if base_gone {
                no_base(builder, &target.base, &words, &ran.said)
            } else {
                failed(words)
            }));
        }
        Ended::Done(true) => {}
    }
    let Some(image) = builder.image(&target.reference, stop)? else {
        return Ok(State::Failed(failed(format!("{} reports success and has no image", builder.kind))));
    };
    let pushed = if order.push {
        match builder.push(&target.reference, order.limit, stop)? {
            Some(pushed) => Some(pushed),
            None => return Ok(State::Stopped),
        }
    } else {
        None
    };
    // BuildKit may have its base elsewhere than in the store: then all counts as the image's own.
    let below = match parent {
        Some(parent) => Some(parent.image.clone()),
        None => builder.image(&target.base, stop).ok().flatten(),
    };
    let shared = below.as_ref().map_or(0, |b| b.layers.iter().zip(&image.layers).take_while(|(a, b)| a == b).count());
    let added = image.bytes.saturating_sub(below.map_or(0, |b| b.bytes));
    Ok(State::Built(Built { image, seconds: start.elapsed().as_secs_f64(), shared, added, pushed }))
}

/// What a builder said of why it failed: the last lines that speak of an error, which the others only surround.
fn telling(said: &str) -> String {
    const LINES: usize = 3;
    let speaks = |line: &&str| {
        let lower = line.to_lowercase();
        ["error", "fail", "denied", "cannot", "no space"].iter().any(|word| lower.contains(word))
    };
    let mut lines: Vec<&str> = Vec::new();
    for line in said.lines().rev().filter(speaks) {
        // BuildKit says the same thing three times, with a number before it or without.
        if lines.len() < LINES && !lines.iter().any(|l| l.contains(line.trim()) || line.contains(l.trim())) {
            lines.push(line);
        }
    }
    lines.reverse();
    if lines.is_empty() { last_words(said, &[]) } else { last_words(&lines.join("\n"), &[]) }
}

fn no_base(builder: &Builder, base: &str, words: &str, said: &str) -> Failed {
    let how = if words.is_empty() { String::new() } else { format!(" and could not be fetched: {words}") };
    Failed {
        reason: format!("its base image {base} is not in the store of {}{how}", builder.kind),
        said: said.to_string(),
        no_base: Some(base.to_string()),
    }
}

fn keep(said: &Path, logs: &Path, id: &str) -> Result<(), String> {
    std::fs::create_dir_all(logs)
        .and_then(|()| std::fs::copy(said, logs.join(format!("{id}.log"))))
        .map(|_| ())
        .map_err(|e| format!("its log cannot be kept in {}: {e}", logs.display()))
}

fn scratch() -> Result<tempfile::TempDir, String> {
    tempfile::Builder::new().prefix("warmset-build-").tempdir().map_err(|e| format!("no scratch folder: {e}"))
}
