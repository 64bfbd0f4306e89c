//! The command line.

mod live;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::resolve::Shard;
use crate::resolve::relock::Tool;
use crate::solve::sweep::Budgets;

pub use live::{BuildCommand, InvokeCommand, MeasureCommand, PullChoice, ReplayCommand, ServeCommand};

use super::options::{DemandOptions, FleetOptions, ProofOptions, SolveOptions};
use super::values::{budget, budgets, day, duration, percent, positive, share};

const LONG_ABOUT: &str = "warmset reads a fleet of serverless function packages, finds what they load in common, and \
chooses the shared warm images that save the most cold-start time within a memory budget. It says how far that choice \
can be from the best possible, and writes the Dockerfiles, locks and swap manifest that a builder and a runtime need.";

const EXIT_CODES: &str = "Exit status: 0 clean, 1 findings (see the diagnostics), 2 could not do it.\n\
stdout is the result, stderr is the talk. NO_COLOR is honoured.";

/// Plans shared warm images for fleets of serverless functions.
#[derive(Debug, Parser)]
#[command(name = "warmset", version, about, long_about = LONG_ABOUT, after_help = EXIT_CODES, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// Threads to use; the output does not depend on it. 0 takes one for each core.
    #[arg(long, global = true, default_value_t = 0, value_name = "N")]
    pub threads: usize,

    /// Say nothing on stderr but errors.
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// What warmset can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Find the functions of a fleet and what each loads (inventory.json)
    #[command(
        after_help = "Examples:\n  warmset scan fixtures/fleet\n  warmset scan . --format json > inventory.json\n  \
        warmset scan . --pins constraints.txt --out inventory.json\n  \
        warmset scan fleet --shard 0/4 --out part-0.json\n  \
        ls fleet | warmset scan fleet --stdin --format jsonl > records.jsonl"
    )]
    Scan(ScanCommand),

    /// Resolve functions without a complete lock with uv or npm, in a scratch folder; their own folders stay as they are
    #[command(
        after_help = "Examples:\n  warmset lock fixtures/fleet --out locks\n  warmset scan fixtures/fleet --locks locks\n  \
        warmset lock . --out locks --exclude-newer 2026-01-31 --cache ~/.cache/warmset\n\n\
        No code of a function or package is run: what publishes no wheel stays open unless --allow-builds is given.\n\
        Indexes and credentials are those of the tool's own configuration; none is written to the results."
    )]
    Lock(LockCommand),
    /// Measure what the packages of a fleet cost to load on this machine (costs.json)
    #[command(after_help = "Examples:\n  warmset measure fixtures/fleet --out costs.json\n  \
        warmset plan fixtures/fleet --costs costs.json --budget 512MiB --out plan\n  \
        warmset measure inventory.json --code fleet --warmup --out costs.json\n\n\
        This runs installers (uv or pip, npm) and the packages' own code, with --warmup also the functions' handlers, with your\n\
        rights and files. Environment variables are not handed on, and handlers are refused connections; that is no sandbox.\n\
        What is finished is kept in the cache: a call that was stopped or killed goes on where it was.\n\n\
        Exit status: 0 all was measured well, 1 something was not (see the diagnostics), 2 nothing could be measured.")]
    Measure(MeasureCommand),
    /// Join inventories and records of parts of a fleet into one inventory
    #[command(after_help = "Examples:\n  warmset merge part-*.json --out inventory.json\n  \
        cat records/*.jsonl | warmset merge - --out inventory.json\n\n\
        The outcome does not depend on how the fleet was split, on the order, or on repeats.")]
    Merge(MergeCommand),

    /// Show which packages occur together, and what sharing them would save
    #[command(
        after_help = "Examples:\n  warmset graph fixtures/fleet\n  warmset graph inventory.json --format svg --out graph.svg\n  \
        warmset graph . --format dot | dot -Tpdf > graph.pdf"
    )]
    Graph(GraphCommand),

    /// Choose the images to keep warm within a memory budget, and write the plan folder
    #[command(after_help = "Examples:\n  warmset plan fixtures/fleet --budget 256MiB --out target/plan\n  \
        warmset plan inventory.json --costs costs.json --budget 2GiB --format json > plan.json\n  \
        warmset plan . --budget 1GiB --trace invocations.csv --max-images 20 --out plan\n  \
        warmset plan . --sweep --budget 512MiB --out curve\n  \
        warmset plan . --budget 256MiB --share superset\n  \
        warmset plan . --budget 1GiB --floor 'payments-*=80%' --exclude torch --out plan\n  \
        warmset plan . --budget 1GiB --prove 20")]
    Plan(Box<PlanCommand>),

    /// Write the plan folder again from a plan and its inventory
    #[command(after_help = "Examples:\n  warmset emit target/plan --out deploy/warm\n  \
        warmset emit plan.json --inventory inventory.json --out deploy/warm")]
    Emit(EmitCommand),

    /// Build the images of a plan folder with docker, podman or buildah, and write their digests into its swap manifest
    #[command(after_help = "Examples:\n  warmset build plans/fleet\n  \
        warmset build plan --only py311-numpy-203e626a --secret id=pip_conf,src=pip.conf --secret id=ca,src=ca.pem\n  \
        warmset build plan --pull never --base python3.11=registry.example/base/python:3.11\n  \
        warmset build plan --registry registry.example/team --tag 2026-11-23 --push\n\n\
        An image that fails takes those that stand on it with it; the others are built.\n\
        Exit status: 0 all are built, 1 some are not, 2 could not begin.")]
    Build(BuildCommand),

    /// Show what warmset reads in single files: locks, manifests, sources
    #[command(
        after_help = "Examples:\n  warmset inspect poetry.lock\n  warmset inspect api/app.py web/index.ts --format json\n  \
        warmset inspect locks/production.txt --as requirements"
    )]
    Inspect(InspectCommand),

    /// Say why a package is in a function's closure, or why a function got its image
    #[command(after_help = "Examples:\n  warmset explain fixtures/fleet FUNCTION numpy\n  \
        warmset explain target/plan FUNCTION")]
    Explain(ExplainCommand),

    /// Check in CI that a plan still fits the fleet
    #[command(after_help = "Examples:\n  warmset check . --plan plans/fleet\n  \
        warmset check . --plan plans/fleet --min-saved 0.4 --format sarif > warmset.sarif\n\n\
        Exit status: 0 the plan fits, 1 findings, 2 could not tell.")]
    Check(CheckCommand),

    /// Say which functions could share more if they moved to versions that others have, inside their own ranges
    #[command(after_help = "Examples:\n  warmset advise fixtures/fleet --budget 256MiB\n  \
        warmset advise inventory.json --costs costs.json --budget 2GiB --format json > advice.json\n  \
        warmset advise . --budget 1GiB --max-advice 3\n\n\
        Every piece is checked against the ranges that functions and packages state, and the plan is recomputed with it.\n\
        No registry is asked: functions move only to versions that other functions of their platform have.\n\
        Plans are for the functions that there are (`plan --aim known`) unless --aim says otherwise.\n\n\
        Exit status: 0 nothing to advise, 1 there is advice, 2 could not tell.")]
    Advise(Box<AdviseCommand>),

    /// Run functions on the images of a swap manifest: the reference runtime (Linux)
    #[command(after_help = "Examples:\n  warmset serve target/plan/swap-manifest.json --code fixtures/fleet\n  \
        warmset serve plan --code . --isolation none --metrics 127.0.0.1:9464\n  \
        warmset serve plan --code . --memory 512MiB --cpus 1 --timeout 10s --retries 1\n  \
        warmset serve plan --code . --images buildah\n\n\
        Runs installers for the locks in the plan folder, then package code in warm hosts, and functions as they are called\n\
        (`warmset invoke`). Full isolation needs root: what is missing is said, and --allow-missing-isolation goes on without.\n\
        Ends with SIGTERM or Ctrl-C, after the calls that run.")]
    Serve(Box<ServeCommand>),

    /// Run a trace without images, with one image a function, and with the plan's, and compare (Linux)
    #[command(after_help = "Examples:\n  warmset replay plan --code fixtures/fleet --calls 5\n  \
        warmset replay plan --code . --trace invocations.csv --duration 10m --max-calls 5000 --out replay.json\n  \
        warmset replay plan --code . --trace AzureFunctionsInvocationTrace.txt --duration 2m --keep-alive 600s\n\n\
        The three run one after the other on this machine, the second in a cache with the plan's budget (least recently used\n\
        goes). Latency is from the request until the function's dependencies are loaded. Functions are run for real, with the\n\
        event file beside their handler.")]
    Replay(Box<ReplayCommand>),

    /// Call a function of a running `warmset serve`
    #[command(after_help = "Examples:\n  warmset invoke functionbench/chameleon --event event.json\n  \
        echo '{}' | warmset invoke api --event - --format json\n\n\
        Exit status: 0 the function returned, 1 it failed, 2 it could not be called.")]
    Invoke(InvokeCommand),

    /// Say which declarations, locks, manifests and sources are read, and how much of each
    Formats(FormatsCommand),

    /// Write the JSON Schemas of all artefacts
    Schema(SchemaCommand),

    /// Print the completion script of a shell
    #[command(after_help = "Example:\n  warmset completions bash > /etc/bash_completion.d/warmset")]
    Completions {
        /// Shell to complete for.
        shell: clap_complete::Shell,
    },
}

/// `warmset scan`.
#[derive(Debug, Args)]
pub struct ScanCommand {
    /// Folder that holds the fleet.
    #[arg(default_value = ".")]
    pub fleet: PathBuf,
    /// How functions are read.
    #[command(flatten)]
    pub options: FleetOptions,
    /// Write inventory.json here instead of printing it.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// What is printed.
    #[arg(long, value_enum, default_value_t = ScanFormat::Text)]
    pub format: ScanFormat,
    /// Scan one of N stable parts of the fleet, counted from 0; `warmset merge` joins them.
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    /// Read paths below the fleet's folder from stdin, one a line, and scan each as a function package by itself.
    #[arg(long)]
    pub stdin: bool,
    /// Paths on stdin end with a NUL instead of a line feed.
    #[arg(short = '0', long = "null", requires = "stdin")]
    pub null: bool,
    /// Keep results in this folder and take them from there while files are unchanged. It can be deleted at any time.
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Exit with status 0 also where there are findings: they are in the inventory.
    #[arg(long)]
    pub exit_zero: bool,
}

/// `warmset merge`.
#[derive(Debug, Args)]
pub struct MergeCommand {
    /// Inventories, or files with a record a line; `-` is stdin.
    #[arg(required = true, value_name = "FILE")]
    pub inputs: Vec<PathBuf>,
    /// Write inventory.json here instead of printing it.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// More is to come: keep in the inventory which parts it covers, so that it can be merged again.
    #[arg(long)]
    pub partial: bool,
    /// Exit with status 0 also where there are findings: they are in the inventory.
    #[arg(long)]
    pub exit_zero: bool,
}

/// Forms of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScanFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// One record a path, as soon as it is ready (with --stdin).
    Jsonl,
}

/// `warmset lock`.
#[derive(Debug, Args)]
pub struct LockCommand {
    /// Folder that holds the fleet, or an inventory.json.
    pub input: PathBuf,
    /// Write the locks here, each in a folder with a record of where it comes from.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Resolve this function only; may be given again.
    #[arg(long, value_name = "ID")]
    pub only: Vec<String>,
    /// Tools that run at the same time.
    #[arg(long, value_name = "N", default_value = "4", value_parser = positive)]
    pub jobs: usize,
    /// Seconds that a tool may take for one function: 120, 120s, 2m.
    #[arg(long, value_name = "TIME", default_value = "120s", value_parser = duration)]
    pub timeout: f64,
    /// Keep answers here, and take them from here where the same was asked on the same day; safe to delete.
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Tool to resolve with; auto takes uv before pip and npm before pnpm.
    #[arg(long, value_enum, default_value_t = ToolChoice::Auto)]
    pub tool: ToolChoice,
    /// Leave out what was published on this day or later.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub exclude_newer: Option<String>,
    /// Let uv build packages that publish no wheel. This runs their setup.py or build backend on this machine.
    #[arg(long)]
    pub allow_builds: bool,
    /// How functions are read.
    #[command(flatten)]
    pub options: FleetOptions,
    /// What is printed.
    #[arg(long, value_enum, default_value_t = TextFormat::Text)]
    pub format: TextFormat,
}

/// Tools that resolve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ToolChoice {
    /// The first that runs.
    Auto,
    /// `uv pip compile`.
    Uv,
    /// `pip install --dry-run`.
    Pip,
    /// `npm install --package-lock-only`.
    Npm,
    /// `pnpm install --lockfile-only`.
    Pnpm,
}

impl ToolChoice {
    /// Whether it names a tool.
    pub fn is(self, tool: Tool) -> bool {
        matches!(
            (self, tool),
            (Self::Uv, Tool::Uv) | (Self::Pip, Tool::Pip) | (Self::Npm, Tool::Npm) | (Self::Pnpm, Tool::Pnpm)
        )
    }
}

/// `warmset graph`.
#[derive(Debug, Args)]
pub struct GraphCommand {
    /// Folder that holds the fleet, or an inventory.json.
    pub input: PathBuf,
    /// How functions are read.
    #[command(flatten)]
    pub options: FleetOptions,
    /// Costs measured on this fleet; others come from the shipped table and estimates.
    #[arg(long, value_name = "FILE")]
    pub costs: Option<PathBuf>,
    /// Form of the graph.
    #[arg(long, value_enum, default_value_t = GraphFormat::Text)]
    pub format: GraphFormat,
    /// Write it here instead of printing it.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Leave out packages that fewer functions than this load.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub min_functions: usize,
    /// Show at most this many bundles of packages that never occur apart, the most widely used first (text, DOT, SVG).
    #[arg(long, default_value = "200", value_name = "N", value_parser = positive)]
    pub top: usize,
}

/// `warmset plan`.
#[derive(Debug, Args)]
pub struct PlanCommand {
    /// Folder that holds the fleet, or an inventory.json.
    pub input: PathBuf,
    /// Memory that all images may take together on one host: 256MiB, 1.5GB (MB is 10^6 bytes). Without it that of [plan]
    /// in warmset.toml. With --sweep, a mark on the curve.
    #[arg(long, value_name = "SIZE", value_parser = budget)]
    pub budget: Option<f64>,
    /// Show what more memory saves, instead of one plan: for a range 64MiB..4GiB, for budgets 256MiB,1GiB,2GiB, or by
    /// itself from the smallest useful image to where nothing more is gained.
    #[arg(long, value_name = "RANGE", num_args = 0..=1, default_missing_value = "auto", value_parser = budgets)]
    pub sweep: Option<Budgets>,
    /// Write the plan folder here; with --sweep, sweep.json and sweep.svg.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Name of the plan; by default the name of the folder that it is written to.
    #[arg(long)]
    pub name: Option<String>,
    /// How functions are read.
    #[command(flatten)]
    pub options: FleetOptions,
    /// How images are chosen.
    #[command(flatten)]
    pub solve: SolveOptions,
    /// How much is done to prove the plan.
    #[command(flatten)]
    pub proof: ProofOptions,
    /// What is asked of the plan.
    #[command(flatten)]
    pub demands: DemandOptions,
    /// The plan in use, plan.json or its folder: its images stay unless others save much more.
    #[arg(long, value_name = "PLAN", help_heading = "Stable plans", conflicts_with = "sweep")]
    pub from: Option<PathBuf>,
    /// Most images to build, or to build on another parent; those that leave do not count.
    #[arg(long, value_name = "N", requires = "from", help_heading = "Stable plans")]
    pub churn: Option<usize>,
    /// Share of what the best plan saves that may be given up to build fewer images: 1%, 0.01.
    #[arg(long, value_name = "SHARE", requires = "from", default_value = "1%", value_parser = percent, help_heading = "Stable plans")]
    pub loss: f64,
    /// What is printed.
    #[arg(long, value_enum, default_value_t = TextFormat::Text)]
    pub format: TextFormat,
}

/// `warmset advise`.
#[derive(Debug, Args)]
pub struct AdviseCommand {
    /// Folder that holds the fleet, or an inventory.json.
    #[arg(default_value = ".")]
    pub input: PathBuf,
    /// Memory that all images may take together on one host: 256MiB, 1.5GB (MB is 10^6 bytes). Without it that of [plan]
    /// in warmset.toml.
    #[arg(long, value_name = "SIZE", value_parser = budget)]
    pub budget: Option<f64>,
    /// Most pieces of advice.
    #[arg(long, value_name = "N", default_value = "10", value_parser = positive)]
    pub max_advice: usize,
    /// Leave out advice that saves less than this share of all load time, and of the images' memory: 0.1%, 0.001.
    #[arg(long, value_name = "SHARE", default_value = "0.1%", value_parser = percent)]
    pub min_gain: f64,
    /// How functions are read.
    #[command(flatten)]
    pub options: FleetOptions,
    /// How images are chosen.
    #[command(flatten)]
    pub solve: SolveOptions,
    /// What is asked of the plan.
    #[command(flatten)]
    pub demands: DemandOptions,
    /// What is printed.
    #[arg(long, value_enum, default_value_t = TextFormat::Text)]
    pub format: TextFormat,
    /// Exit with status 0 also where there is advice.
    #[arg(long)]
    pub exit_zero: bool,
}

/// `warmset emit`.
#[derive(Debug, Args)]
pub struct EmitCommand {
    /// plan.json, or a plan folder.
    pub plan: PathBuf,
    /// inventory.json; by default the one beside the plan.
    #[arg(long, value_name = "FILE")]
    pub inventory: Option<PathBuf>,
    /// Write the plan folder here.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Name of the plan; by default the name of the folder that it is written to.
    #[arg(long)]
    pub name: Option<String>,
}

/// `warmset inspect`.
#[derive(Debug, Args)]
pub struct InspectCommand {
    /// Locks, manifests and source files, or folders of them.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Read the files as this kind, whatever their names suggest.
    #[arg(long = "as", value_name = "KIND")]
    pub kind: Option<String>,
    /// Show the production closure of a lock on this platform instead of everything that it names.
    #[arg(long, value_name = "PLATFORM")]
    pub closure: Option<String>,
    /// What is printed; with several files JSON is one object a line.
    #[arg(long, value_enum, default_value_t = TextFormat::Text)]
    pub format: TextFormat,
}

/// `warmset explain`.
#[derive(Debug, Args)]
pub struct ExplainCommand {
    /// Fleet folder, inventory.json, or a plan folder.
    pub input: PathBuf,
    /// Function id, as `warmset scan` prints it.
    pub function: String,
    /// Package: numpy, pypi:numpy==1.26.4, @aws-sdk/client-s3. Without it the function's image is explained.
    pub package: Option<String>,
    /// How functions are read.
    #[command(flatten)]
    pub options: FleetOptions,
    /// What is printed.
    #[arg(long, value_enum, default_value_t = TextFormat::Text)]
    pub format: TextFormat,
}

/// `warmset check`.
#[derive(Debug, Args)]
pub struct CheckCommand {
    /// Folder that holds the fleet, or an inventory.json.
    pub input: PathBuf,
    /// plan.json, or a plan folder.
    #[arg(long)]
    pub plan: PathBuf,
    /// Least share of all load time that the plan must still save, from 0 to 1.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub min_saved: Option<f64>,
    /// How functions are read.
    #[command(flatten)]
    pub options: FleetOptions,
    /// Form of the findings.
    #[arg(long, value_enum, default_value_t = CheckFormat::Human)]
    pub format: CheckFormat,
}

/// `warmset formats`.
#[derive(Debug, Args)]
pub struct FormatsCommand {
    /// What is printed.
    #[arg(long, value_enum, default_value_t = TableFormat::Text)]
    pub format: TableFormat,
}

/// Forms of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TableFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For documents.
    Markdown,
}

/// `warmset schema`.
#[derive(Debug, Args)]
pub struct SchemaCommand {
    /// Write all schemas into this folder; without it they are printed.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Text for people or JSON for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TextFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Forms of the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// Tables for people.
    Text,
    /// All nodes, pairs and classes.
    Json,
    /// Graphviz.
    Dot,
    /// GraphML, for Gephi, yEd, networkx.
    Graphml,
    /// A picture.
    Svg,
}

/// Forms of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// For people.
    Human,
    /// For programs.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// GitHub workflow commands, shown as annotations.
    Github,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
