//! The repetitions: what is run in which order, and what is taken from earlier calls.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
#[cfg(target_os = "linux")]
use std::sync::atomic::Ordering;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::fleet::{self, Ready, Subject};
use super::host::{self, Ticks};
use super::probe::{Probe, ProbeError, Request, Step};
use super::readings::Readings;
use super::samples::{Sample, Samples};
use super::{MeasureError, Options, Progress, Refused, Stage, at};
use crate::model::{Diagnostic, Inventory, Language, PackageId, Platform};

/// Processes that a swap is measured with, by language: a fork is cheap, a waiting process loads everything.
const FORKS: u32 = 25;
const WAITING: u32 = 5;
/// Subjects that the cost of swapping is fitted to, from the smallest to the largest.
const FITTED: usize = 12;

/// Resident MB and number of subjects.
type Sizes = Vec<(f64, usize)>;

/// A run that gave no figures.
pub enum Missed {
    /// It failed by itself: why.
    Failed(String),
    /// Nothing more can be run.
    Fatal(MeasureError),
}

/// Packages that no import leads to, loaded after a subject's own.
#[derive(Debug)]
pub struct Direct {
    /// The subject.
    pub subject: usize,
    /// What loads them.
    pub steps: Vec<Step>,
    /// Name of the mode in the samples: other steps are another measurement.
    pub mode: String,
}

/// What one call measures.
pub struct Bench<'a> {
    pub inventory: &'a Inventory,
    pub options: &'a Options<'a>,
    pub ready: &'a Ready,
    pub samples: Samples,
    /// Functions that were not measured.
    pub refused: Vec<Refused>,
    /// Other things to say.
    pub diagnostics: Vec<Diagnostic>,
    /// Subjects that do not load.
    pub failed: BTreeSet<usize>,
    pub direct: Vec<Direct>,
    /// Platform by language whose bare host is measured, and the subjects that the swap is fitted to.
    pub swaps: BTreeMap<Language, (Platform, Vec<usize>)>,
    /// Load average and share of stolen time of each repetition that counts.
    pub noise: Vec<(f64, f64)>,
    pub runs: usize,
    pub kept: usize,
    total: usize,
    progress: &'a (dyn Fn(Progress) + Sync),
}

impl<'a> Bench<'a> {
    pub fn new(
        inventory: &'a Inventory,
        options: &'a Options<'a>,
        ready: &'a Ready,
        refused: Vec<Refused>,
        progress: &'a (dyn Fn(Progress) + Sync),
    ) -> Self {
        Self {
            inventory,
            options,
            ready,
            samples: Samples::new(&options.cache.join("samples")),
            refused,
            diagnostics: Vec::new(),
            failed: BTreeSet::new(),
            direct: Vec::new(),
            swaps: BTreeMap::new(),
            noise: Vec::new(),
            runs: 0,
            kept: 0,
            total: ready.subjects.len() * (1 + 2 * options.repetitions),
            progress,
        }
    }

    /// Announces so many more repetitions.
    pub fn expect(&mut self, more: usize) {
        self.total += more;
    }

    /// What kept repetitions were charged to.
    pub fn readings(&self) -> Readings<'_> {
        Readings { ready: self.ready, samples: &self.samples }
    }

    /// One repetition: that of an earlier call, or run now and kept.
    pub fn take(
        &mut self,
        (key, mode, number): (&str, &str, usize),
        platform: &Platform,
        view: &Path,
        request: &Request<'_>,
    ) -> Result<Value, Missed> {
        self.kept_or((key, mode, number), |bench| bench.run_now(mode, platform, view, request))
    }

    fn kept_or(
        &mut self,
        (key, mode, number): (&str, &str, usize),
        run: impl FnOnce(&Self) -> Result<Sample, Missed>,
    ) -> Result<Value, Missed> {
        let sample = match self.samples.get(key, mode, number) {
            Some(sample) => {
                self.kept += 1;
                sample
            }
            None => {
                let sample = run(self)?;
                self.samples.put(key, mode, number, &sample).map_err(at(self.options.cache)).map_err(Missed::Fatal)?;
                self.runs += 1;
                sample
            }
        };
        let done = self.runs + self.kept;
        (self.progress)(Progress { stage: Stage::Measuring, done, total: self.total.max(done) });
        self.noise.push((sample.load, sample.stolen));
        Ok(sample.answer)
    }

    fn run_now(&self, mode: &str, platform: &Platform, view: &Path, request: &Request<'_>) -> Result<Sample, Missed> {
        let Some(interpreter) = self.ready.interpreters.get(platform) else {
            return Err(Missed::Failed(format!("no interpreter for {platform}")));
        };
        let scratch = self.options.cache.join("scratch");
        let probe = Probe {
            interpreter,
            language: platform.language,
            scratch: &scratch,
            limit: self.options.limit,
            stop: self.options.stop,
        };
        let (load, before) = (host::load_average(), Ticks::now());
        // What is run may be named more closely than its mode: `direct-1f2e`.
        let mode = mode.split('-').next().unwrap_or(mode);
        let mode = match (mode, platform.language) {
            ("direct", _) => "trace",
            ("first", Language::Python) => "asks",
            ("first", Language::Node) => "whole",
            ("swap", Language::Python) => "fork",
            (mode, _) => mode,
        };
        match probe.run(mode, view, request) {
            Ok(answer) => {
                let round = |value: f64| crate::model::units::round(value, 4);
                Ok(Sample { load, stolen: round(Ticks::now().stolen_since(before)), answer })
            }
            Err(ProbeError::Stopped) => Err(Missed::Fatal(MeasureError::Stopped)),
            Err(ProbeError::Io(source)) => Err(Missed::Fatal(at(&scratch)(source))),
            Err(error) => Err(Missed::Failed(error.to_string())),
        }
    }

    /// All repetitions of loads and of swaps.
    pub fn run(&mut self) -> Result<(), MeasureError> {
        let ready = self.ready;
        // The first run of each fills the system's caches, says who asks for what, and what does not load.
        for (at, subject) in ready.subjects.iter().enumerate() {
            let request = Request { load: &subject.steps, ..Request::default() };
            let view = &ready.views[subject.view].root;
            match self.take((&subject.key, "first", 0), &subject.platform, view, &request) {
                Ok(answer) => {
                    if let Some((line, why)) = required_failure(subject, &answer) {
                        self.refuse(at, &format!("{line}: {why}"));
                    }
                }
                Err(Missed::Failed(why)) => self.refuse(at, &why),
                Err(Missed::Fatal(error)) => return Err(error),
            }
        }
        for round in 0..self.options.repetitions {
            for (at, subject) in ready.subjects.iter().enumerate() {
                for mode in ["trace", "whole"] {
                    let request = Request { load: &subject.steps, ..Request::default() };
                    self.subject_run(at, (&subject.key, mode, round), &request)?;
                }
            }
            if round == 0 {
                self.direct = self.never_loaded();
                self.choose_swaps();
            }
            for direct in std::mem::take(&mut self.direct) {
                let subject = &ready.subjects[direct.subject];
                let request = Request { load: &subject.steps, then: &direct.steps, ..Request::default() };
                let view = &ready.views[subject.view].root;
                match self.take((&subject.key, &direct.mode, round), &subject.platform, view, &request) {
                    Ok(_) => self.direct.push(direct),
                    // What cannot be loaded by its own name has a size only.
                    Err(Missed::Failed(_)) => {}
                    Err(Missed::Fatal(error)) => return Err(error),
                }
            }
            self.swap_round(round)?;
        }
        Ok(())
    }

    /// A repetition of a subject; one that fails is not asked again.
    fn subject_run(&mut self, at: usize, what: (&str, &str, usize), request: &Request<'_>) -> Result<(), MeasureError> {
        let subject = &self.ready.subjects[at];
        if self.failed.contains(&at) {
            return Ok(());
        }
        match self.take(what, &subject.platform, &self.ready.views[subject.view].root, request) {
            Ok(_) => Ok(()),
            Err(Missed::Failed(why)) => {
                self.refuse(at, &why);
                Ok(())
            }
            Err(Missed::Fatal(error)) => Err(error),
        }
    }

    fn refuse(&mut self, at: usize, why: &str) {
        self.failed.insert(at);
        for &function in &self.ready.subjects[at].functions {
            let next = fleet::next_step(&self.inventory.functions[function]);
            self.refused.push(Refused::new(function, format!("it does not load: {why}"), next));
        }
    }

    /// Packages that no function's imports have loaded, each with the smallest subject that has it.
    fn never_loaded(&mut self) -> Vec<Direct> {
        let mut loaded: BTreeSet<(Platform, PackageId)> = BTreeSet::new();
        let mut best: BTreeMap<(Platform, PackageId), (usize, usize)> = BTreeMap::new();
        for (at, subject) in self.ready.subjects.iter().enumerate().filter(|(at, _)| !self.failed.contains(at)) {
            let view = &self.ready.views[subject.view];
            let ids = self.readings().traced(at, 0).into_iter().flat_map(|charges| charges.into_keys().flatten());
            loaded.extend(ids.map(|id| (subject.platform.clone(), id)));
            for id in view.facts.keys() {
                let rank = (view.facts.len(), at);
                let kept = best.entry((subject.platform.clone(), id.clone())).or_insert(rank);
                *kept = rank.min(*kept);
            }
        }
        best.retain(|key, _| !loaded.contains(key));
        let mut by_subject: BTreeMap<usize, Vec<Step>> = BTreeMap::new();
        for ((_, id), (_, at)) in best {
            let view = &self.ready.views[self.ready.subjects[at].view];
            let modules = view.facts.get(&id).into_iter().flat_map(|facts| &facts.modules);
            let base = view.above(&id);
            let steps = modules.map(|module| Step {
                module: module.clone(),
                names: Vec::new(),
                import: false,
                base: base.clone(),
            });
            by_subject.entry(at).or_default().extend(steps);
        }
        by_subject.retain(|_, steps| !steps.is_empty());
        self.expect(by_subject.len() * self.options.repetitions);
        let direct = |(subject, steps): (usize, Vec<Step>)| {
            let mut hasher = Sha256::new();
            steps.iter().for_each(|s| hasher.update(format!("{} {:?}\n", s.module, s.base)));
            let hash: String = hasher.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            Direct { subject, steps, mode: format!("direct-{hash}") }
        };
        by_subject.into_iter().map(direct).collect()
    }

    /// Which hosts are measured: for each language the platform that most subjects have, and subjects evenly from the one
    /// that takes least memory to the one that takes most.
    fn choose_swaps(&mut self) {
        let mut by_language: BTreeMap<Language, BTreeMap<&Platform, Sizes>> = BTreeMap::new();
        for (at, subject) in self.ready.subjects.iter().enumerate().filter(|(at, _)| !self.failed.contains(at)) {
            let Some(whole) = self.readings().whole(at, 0) else { continue };
            let platforms = by_language.entry(subject.platform.language).or_default();
            platforms.entry(&subject.platform).or_default().push((whole.mb, at));
        }
        for (language, platforms) in by_language {
            // Of equally many the first by name.
            let Some((platform, mut subjects)) = platforms.into_iter().rev().max_by_key(|(_, subjects)| subjects.len())
            else {
                continue;
            };
            subjects.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let (count, last) = (subjects.len().min(FITTED), subjects.len() - 1);
            let at = |i: usize| (i * last + count.saturating_sub(1) / 2).checked_div(count - 1).unwrap_or(0);
            let mut chosen: Vec<usize> = (0..count).map(|i| subjects[at(i).min(last)].1).collect();
            chosen.dedup();
            self.expect(self.options.repetitions * 2 + chosen.len());
            self.swaps.insert(language, (platform.clone(), chosen));
        }
    }

    /// Swaps onto a bare host each round, onto loaded ones in the last: those are whole series already.
    fn swap_round(&mut self, round: usize) -> Result<(), MeasureError> {
        let is_last = round + 1 == self.options.repetitions;
        for (language, (platform, subjects)) in self.swaps.clone() {
            let count = if language == Language::Python { FORKS } else { WAITING };
            let key = self.bare_key(&platform);
            let request = Request { count: 1, ..Request::default() };
            let Some(view) = subjects.first().map(|&at| &self.ready.views[self.ready.subjects[at].view].root) else {
                continue;
            };
            let bare = Request { count, ..Request::default() };
            self.tolerated(&key, "idle", round, &platform, view, &request)?;
            let mode = self.swap_mode();
            self.tolerated(&key, mode, round, &platform, view, &bare)?;
            for &at in subjects.iter().filter(|_| is_last) {
                let subject = &self.ready.subjects[at];
                let request = Request { load: &subject.steps, count, ..Request::default() };
                let view = &self.ready.views[subject.view].root;
                self.tolerated(&subject.key, mode, 0, &platform, view, &request)?;
            }
        }
        Ok(())
    }

    /// Name of the mode in which swaps are timed.
    pub fn swap_mode(&self) -> &'static str {
        #[cfg(target_os = "linux")]
        if let Some(hosts) = self.options.hosts {
            return hosts.mode();
        }
        "swap"
    }

    /// Swaps onto a warm host as the runtime has it.
    #[cfg(target_os = "linux")]
    fn on_host(&self, key: &str, platform: &Platform, view: &Path, request: &Request<'_>) -> Result<Sample, Missed> {
        let failed = |why: &str| Missed::Failed(why.to_string());
        let hosts = self.options.hosts.ok_or_else(|| failed("there are no hosts"))?;
        let interpreter = self.ready.interpreters.get(platform).ok_or_else(|| failed("no interpreter"))?;
        if self.options.stop.load(Ordering::SeqCst) {
            return Err(Missed::Fatal(MeasureError::Stopped));
        }
        // What may be missing is missing here too.
        let first = self.samples.get(key, "first", 0).map(|sample| sample.answer).unwrap_or_default();
        let missing = |module: &str| {
            let failed = first.get("failed").and_then(Value::as_array).into_iter().flatten();
            failed.into_iter().any(|pair| pair.get(0).and_then(Value::as_str) == Some(module))
        };
        let modules = request.load.iter().filter(|step| step.base.is_none() && !missing(&step.module));
        let modules = modules.flat_map(|step| {
            let names = step.names.iter().filter(|name| *name != "*").map(|name| format!("{}:{name}", step.module));
            std::iter::once(step.module.clone()).chain(names)
        });
        let load = super::swap::Load {
            interpreter,
            language: platform.language,
            view,
            modules: modules.collect(),
            count: request.count,
        };
        let (average, before) = (host::load_average(), Ticks::now());
        let answer =
            hosts.swap(&load, &self.options.cache.join("scratch"), self.options.limit).map_err(Missed::Failed)?;
        Ok(Sample { load: average, stolen: crate::model::units::round(Ticks::now().stolen_since(before), 4), answer })
    }

    /// Never asked for: there are no hosts.
    #[cfg(not(target_os = "linux"))]
    fn on_host(&self, _: &str, _: &Platform, _: &Path, _: &Request<'_>) -> Result<Sample, Missed> {
        Err(Missed::Failed("warm hosts run on Linux only".into()))
    }

    /// What samples of an interpreter with nothing loaded are kept under.
    pub fn bare_key(&self, platform: &Platform) -> String {
        let version = self.ready.interpreters.get(platform).map(|i| i.version.as_str()).unwrap_or_default();
        format!("{}-bare-{version}-{}", platform.short(), super::probe::version(platform.language))
    }

    /// A run without which the table is poorer, and nothing more.
    fn tolerated(
        &mut self,
        key: &str,
        mode: &str,
        number: usize,
        platform: &Platform,
        view: &Path,
        request: &Request<'_>,
    ) -> Result<(), MeasureError> {
        let what = (key, mode, number);
        let taken = if mode.starts_with("host-") {
            self.kept_or(what, |bench| bench.on_host(key, platform, view, request))
        } else {
            self.take(what, platform, view, request)
        };
        match taken {
            Err(Missed::Fatal(error)) => Err(error),
            Ok(_) | Err(Missed::Failed(_)) => Ok(()),
        }
    }
}

/// The first import that must not fail and does: `file:line` and why.
fn required_failure(subject: &Subject, answer: &Value) -> Option<(String, String)> {
    let failed = answer.get("failed")?.as_array()?;
    failed.iter().find_map(|pair| {
        let (module, why) = (pair.get(0)?.as_str()?, pair.get(1)?.as_str()?);
        let load = subject.loads.iter().find(|load| load.module == module && load.required)?;
        Some((format!("{}:{}", load.file, load.line), why.chars().take(300).collect()))
    })
}
