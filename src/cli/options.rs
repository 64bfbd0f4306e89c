//! Options that several commands have.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cost::AssumedCost;

use super::values::{
    assumed_cost, budget, duration, floor, milliseconds, node_version, positive, python_version, seconds,
};

/// How functions are read from a folder.
#[derive(Debug, Clone, Args)]
pub struct FleetOptions {
    /// Python version of functions that do not say theirs.
    #[arg(long, default_value = "3.11", value_name = "X.Y", value_parser = python_version)]
    pub python: String,

    /// Node.js major version of functions that do not say theirs.
    #[arg(long, default_value = "20", value_name = "N", value_parser = node_version)]
    pub node: String,

    /// Architecture of functions that do not say theirs.
    #[arg(long, default_value = "x86_64", value_name = "ARCH", value_parser = ["x86_64", "aarch64"])]
    pub arch: String,

    /// C library that the functions run on.
    #[arg(long, default_value = "glibc", value_name = "LIBC", value_parser = ["glibc", "musl"])]
    pub libc: String,

    /// Versions for functions without a lock: a lock or requirements file, or lines of name==version and name@version.
    #[arg(long, value_name = "FILE")]
    pub pins: Vec<PathBuf>,

    /// What `warmset lock` resolved, for functions without a complete lock.
    #[arg(long, value_name = "DIR")]
    pub locks: Option<PathBuf>,
}

/// How images are chosen.
#[derive(Debug, Clone, Args)]
pub struct SolveOptions {
    /// Costs measured on this fleet; others come from the shipped table and estimates.
    #[arg(long, value_name = "FILE")]
    pub costs: Option<PathBuf>,
    /// Cost of every package that has none: milliseconds and size, for example 5ms,2MB.
    #[arg(long, value_name = "MS,MB", value_parser = assumed_cost)]
    pub assume_cost: Option<AssumedCost>,
    /// Calls of the functions: function,count or Azure Functions 2019 / 2021 columns. Without it each function weighs 1.
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Seconds that an idle instance stays warm, for counting cold starts in a trace.
    #[arg(long, value_name = "SECONDS", default_value = "600", value_parser = seconds)]
    pub keep_alive: f64,
    /// Seconds that a function,count trace covers.
    #[arg(long, value_name = "SECONDS", default_value = "86400", value_parser = seconds)]
    pub trace_period: f64,
    /// Most images to keep.
    #[arg(long, value_name = "N", value_parser = positive)]
    pub max_images: Option<usize>,
    /// For which functions to plan: expected unless stated, and known under the superset rule.
    #[arg(long, value_enum)]
    pub aim: Option<AimChoice>,
    /// Which functions an image may serve. Under superset they see packages that they did not ask for: use it only where
    /// all functions of a trust domain have one owner.
    #[arg(long, value_enum, default_value_t = ShareChoice::Subset)]
    pub share: ShareChoice,
    /// Milliseconds charged to each start for each resident MB of its image that it does not need (superset). Without it
    /// such memory counts against the budget and in the swap time, as all memory of an image does.
    #[arg(long, value_name = "MS", value_parser = milliseconds, requires = "share")]
    pub waste_ms_per_mb: Option<f64>,
}

/// How much is done to prove a plan.
#[derive(Debug, Clone, Args)]
pub struct ProofOptions {
    /// Seconds to spend, once the plan is made, on proving how good it is; better plans found on the way are taken. The
    /// result then depends on the machine, and plan.json says how long it took.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub prove: Option<f64>,
    /// Whether to solve the mixed-integer model after the greedy plan.
    #[arg(long, value_enum, default_value_t = ExactChoice::Auto)]
    pub exact: ExactChoice,
    /// Seconds that the mixed-integer solver may take. With a limit the plan can depend on the machine's speed.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub time_limit: Option<f64>,
}

/// What is asked of a plan besides its budget. `docs/budgets.md` explains all of it.
#[derive(Debug, Clone, Default, Args)]
pub struct DemandOptions {
    /// Pools, floors, pins, exclusions and limits: a file with the [plan] tables of warmset.toml. They are added to those
    /// of the fleet's own warmset.toml, and of two limits this one counts.
    #[arg(long, value_name = "FILE")]
    pub demands: Option<PathBuf>,
    /// Disk that the packages of all images may take together: 10GiB.
    #[arg(long, value_name = "SIZE", value_parser = budget)]
    pub disk: Option<f64>,
    /// Resident memory that one image may take, with the warm host: 300MiB.
    #[arg(long, value_name = "SIZE", value_parser = budget)]
    pub max_image: Option<f64>,
    /// Image that must be kept: PLAN#ID of another plan, or packages with versions and, if needed, a platform; may be given
    /// again.
    #[arg(long, value_name = "IMAGE")]
    pub pin: Vec<String>,
    /// Package that no image may hold: numpy, numpy==1.26.4, npm:left-pad; may be given again.
    #[arg(long, value_name = "PACKAGE")]
    pub exclude: Vec<String>,
    /// Least share of its load time that each start of a function must be saved: payments-api=80%, payments-*=0.5; may be
    /// given again.
    #[arg(long, value_name = "FUNCTION=SHARE", value_parser = floor)]
    pub floor: Vec<(String, f64)>,
    /// Function that shares an image with no other; may be given again.
    #[arg(long, value_name = "FUNCTION")]
    pub alone: Vec<String>,
    /// Function that no image may serve; may be given again.
    #[arg(long, value_name = "FUNCTION")]
    pub cold: Vec<String>,
}

/// For which functions a plan is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AimChoice {
    /// Those that will come: the known ones, and parts of what they load that a new one may load.
    Expected,
    /// Those that there are.
    Known,
}

/// Whether the mixed-integer model is solved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExactChoice {
    /// Where the instance is small enough for the solver of this build.
    Auto,
    /// Never.
    Never,
    /// Always; give --time-limit for large instances.
    Always,
}

/// Which functions an image may serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ShareChoice {
    /// Those that load all it holds.
    Subset,
    /// Also locked functions that do not need all of it, where no version or module is in their way.
    Superset,
}

/// First of the user ids of sandboxes, unless stated.
pub const FIRST_ID: u32 = 1_000_000_000;

/// How functions are run on this machine.
#[derive(Debug, Clone, Args)]
pub struct RunOptions {
    /// Folder that the functions' paths are relative to: the fleet that was planned.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub code: PathBuf,
    /// Run each image's host in its built image, from the store of this builder (auto: the first that works) and only where
    /// the manifest has that image's digest. Without it images are installed, and no builder is asked.
    #[arg(long, value_enum, value_name = "BUILDER")]
    pub images: Option<BuilderChoice>,
    /// Folder for installed packages, shared by all runs; safe to delete. In the user's cache folder by default.
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// How hosts and functions are shut in.
    #[arg(long, value_enum, default_value_t = IsolationChoice::Auto)]
    pub isolation: IsolationChoice,
    /// Go on with less isolation than asked for: what is missing is said all the same.
    #[arg(long)]
    pub allow_missing_isolation: bool,
    /// First of 65,536 user ids that nothing else on this machine uses, for full isolation.
    #[arg(long, value_name = "ID", default_value_t = FIRST_ID)]
    pub first_id: u32,
    /// Fork hosts although loading has started threads, which the fork loses.
    #[arg(long)]
    pub allow_threads: bool,
    /// Give functions the machine's network; they have none otherwise.
    #[arg(long)]
    pub network: bool,
    /// Processes that a Python host forks ahead of time, so that a call need not wait for it.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub standby: u32,
    /// Processes that a Node image keeps ready; what the manifest says otherwise.
    #[arg(long, value_name = "N")]
    pub pool: Option<u32>,
    /// Time that a call may take: 30s, 2m.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub timeout: f64,
    /// Memory that a call may take; no limit otherwise.
    #[arg(long, value_name = "SIZE", value_parser = budget)]
    pub memory: Option<f64>,
    /// Processes and threads of a call.
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub pids: u32,
    /// Processors that a call may use: 1, 0.5; all otherwise.
    #[arg(long, value_name = "N")]
    pub cpus: Option<f64>,
    /// Bytes that an answer may have in JSON.
    #[arg(long, value_name = "N", default_value_t = 6_000_000)]
    pub max_answer: usize,
    /// How often a call is made again whose host ended before it answered, though it may have begun.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub retries: u32,
}

/// Whether checkpoints are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CriuChoice {
    /// Where `criu check` succeeds, it is new enough, and isolation is full; why not is said once.
    Auto,
    /// Never.
    Off,
}

/// How processes are shut in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum IsolationChoice {
    /// As well as this machine and user permit; less than full needs --allow-missing-isolation.
    Auto,
    /// Not at all: for trusted functions, and for tests.
    None,
}

/// Builders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BuilderChoice {
    /// The first that works.
    Auto,
    /// docker with BuildKit.
    Docker,
    /// podman.
    Podman,
    /// buildah.
    Buildah,
}
