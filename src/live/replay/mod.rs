//! A trace, run against real arrangements of images on this machine, one after the other: no images; one image a function
//! in a cache under the plan's budget (LRU); the plan's.

mod report;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

pub use self::report::{Compared, FunctionCompared, Promise, Replay, SCHEMA, Summary, compare};

use crate::cost::schedule::Schedule;
use crate::live::handler::Handler;
use crate::live::held;
use crate::live::runtime::provision::{ImageFiles, Provisioned};
use crate::live::runtime::{Invocation, Keep, Maker, Runtime};
use crate::model::manifest::{Fallback, ManifestImage, SwapManifest};

/// Calls of a trace that run at the same time; more wait, and the report says how late they were.
pub const AT_ONCE: usize = 64;
/// How often memory is looked at.
const SAMPLE: Duration = Duration::from_millis(500);
/// How long images may take to come up before the first call.
const SETTLE: Duration = Duration::from_secs(180);

/// What runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arrangement {
    /// Every call starts cold.
    None,
    /// One image a function, loaded when a call missed it, under the plan's budget.
    OneEach,
    /// The plan's images.
    Plan,
}

impl Arrangement {
    /// All, in the order in which they run.
    pub const ALL: [Arrangement; 3] = [Arrangement::None, Arrangement::OneEach, Arrangement::Plan];

    /// As reports name it.
    pub fn name(self) -> &'static str {
        match self {
            Arrangement::None => "none",
            Arrangement::OneEach => "one-each",
            Arrangement::Plan => "plan",
        }
    }
}

/// What was seen of one arrangement.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Every call, in the order in which they ended.
    pub calls: Vec<Invocation>,
    /// Milliseconds by which each call began after its time.
    pub late_ms: Vec<f64>,
    /// Proportional set size of all images together, MB, at even times.
    pub memory_mb: Vec<f64>,
    /// CPU seconds of everything that was started, loading included.
    pub cpu_s: f64,
    /// Seconds that it took.
    pub wall_s: f64,
}

/// A manifest and its provisioned files, for one arrangement.
pub fn arrange(manifest: &SwapManifest, files: &Provisioned, arrangement: Arrangement) -> (SwapManifest, Provisioned) {
    let (mut manifest, mut files) = (manifest.clone(), files.clone());
    if arrangement == Arrangement::Plan {
        return (manifest, files);
    }
    let model = manifest.images.first().cloned();
    manifest.images.clear();
    files.images.clear();
    let closures: BTreeMap<String, Vec<String>> =
        manifest.closures.iter().map(|c| (c.id.clone(), c.preload.clone())).collect();
    for function in &mut manifest.functions {
        function.image = None;
        function.fallback = vec![Fallback::Cold];
        let (Arrangement::OneEach, Some(model)) = (arrangement, &model) else { continue };
        let own = files.functions.get(&function.id).and_then(|f| Some((f, f.closure.clone()?)));
        let (Some((own, environment)), Some(platform)) = (own, &function.platform) else { continue };
        let preload = function.closure.as_ref().and_then(|id| closures.get(id)).cloned().unwrap_or_default();
        // Everything is its image's, and nothing is left to load but its own code.
        let image =
            ImageFiles { interpreter: own.interpreter.clone(), environment, folder: own.code.clone(), root: None };
        files.images.insert(function.id.clone(), image);
        manifest.images.push(ManifestImage {
            id: function.id.clone(),
            parent: None,
            platform: platform.clone(),
            environment: crate::emit::host_environment(platform.language)
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            preload,
            warmup: Vec::new(),
            swap: Vec::new(),
            ..model.clone()
        });
        function.image = Some(function.id.clone());
    }
    (manifest, files)
}

/// Which calls are made.
#[derive(Debug, Clone, Copy)]
pub struct Calls<'a> {
    /// When, and which function by its place in `functions`.
    pub schedule: &'a Schedule,
    /// Ids.
    pub functions: &'a [&'a str],
    /// The event of each that has one.
    pub events: &'a BTreeMap<String, Value>,
    /// How many run at the same time: with one, each call begins when the last has ended.
    pub at_once: usize,
}

/// Runs calls on one arrangement; `told` hears how many have ended.
pub fn run(
    manifest: &SwapManifest,
    files: &Provisioned,
    maker: Maker,
    arrangement: Arrangement,
    calls: Calls<'_>,
    stop: &AtomicBool,
    told: &(dyn Fn(usize) + Sync),
) -> Seen {
    let (own, files) = arrange(manifest, files, arrangement);
    let keep = match arrangement {
        Arrangement::OneEach => Keep::Recent { budget_mb: manifest.budget_mb },
        Arrangement::None | Arrangement::Plan => Keep::All,
    };
    let (before, begun) = (cpu_of_children(), Instant::now());
    let runtime = Runtime::start(&own, files, maker, keep);
    if keep == Keep::All {
        runtime.settle(SETTLE);
    }
    let mut seen = drive(&runtime, calls, stop, told);
    seen.wall_s = begun.elapsed().as_secs_f64();
    drop(runtime);
    // All that was started has ended and been waited for.
    seen.cpu_s = cpu_of_children() - before;
    seen
}

/// Calls in time, memory beside.
fn drive(
    runtime: &Runtime,
    Calls { schedule, functions, events, at_once }: Calls<'_>,
    stop: &AtomicBool,
    told: &(dyn Fn(usize) + Sync),
) -> Seen {
    let due: (Mutex<(VecDeque<usize>, bool)>, Condvar) = (Mutex::new((VecDeque::new(), false)), Condvar::new());
    let seen = Mutex::new(Seen::default());
    let over = AtomicBool::new(false);
    let start = Instant::now();
    std::thread::scope(|scope| {
        let work = || loop {
            let mut queue = held(&due.0);
            let at = loop {
                if let Some(at) = queue.0.pop_front() {
                    break at;
                }
                if queue.1 {
                    return;
                }
                queue = due.1.wait(queue).unwrap_or_else(std::sync::PoisonError::into_inner);
            };
            drop(queue);
            let call = &schedule.calls[at];
            // With one call at a time the last one's end is this one's time.
            let late = if at_once > 1 { start.elapsed().as_secs_f64() - call.at_s } else { 0.0 };
            let function = functions[call.function];
            let done = runtime.invoke(function, events.get(function).unwrap_or(&Value::Null));
            let mut seen = held(&seen);
            seen.calls.push(done);
            seen.late_ms.push(late.max(0.0) * 1e3);
            told(seen.calls.len());
        };
        let workers: Vec<_> = (0..at_once.min(schedule.calls.len())).map(|_| scope.spawn(work)).collect();
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                let memory: f64 = runtime.snapshot().images.values().map(|image| image.pss_mb).sum();
                held(&seen).memory_mb.push(memory);
                std::thread::sleep(SAMPLE);
            }
        });
        for (at, call) in schedule.calls.iter().enumerate() {
            while !stop.load(Ordering::SeqCst) {
                let left = call.at_s - start.elapsed().as_secs_f64();
                if left <= 0.0 {
                    break;
                }
                std::thread::sleep(Duration::from_secs_f64(left.min(0.05)));
            }
            if stop.load(Ordering::SeqCst) {
                break;
            }
            held(&due.0).0.push_back(at);
            due.1.notify_one();
        }
        held(&due.0).1 = true;
        due.1.notify_all();
        for worker in workers {
            let _ = worker.join();
        }
        over.store(true, Ordering::SeqCst);
    });
    seen.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// CPU seconds of all children that have ended and been waited for, with theirs: proc_pid_stat(5), fields 16 and 17.
fn cpu_of_children() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    // The third field is the first after the name.
    (ticks(16 - 3) + ticks(17 - 3)) / rustix::param::clock_ticks_per_second() as f64
}

/// The event of each function that has one, from its deployed code.
pub fn events(manifest: &SwapManifest, files: &Provisioned) -> BTreeMap<String, Value> {
    let of = |function: &crate::model::manifest::ManifestFunction| {
        let language = function.platform.as_ref()?.language;
        let code = &files.functions.get(&function.id)?.code;
        let file = Handler::of(function.handler.as_deref()?, language)?.event(code)?;
        Some((function.id.clone(), serde_json::from_slice(&std::fs::read(file).ok()?).ok()?))
    };
    manifest.functions.iter().filter_map(of).collect()
}
