//! Arguments of the commands that run something.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::options::{BuilderChoice, CriuChoice, FleetOptions, RunOptions};
use crate::cli::values::{base, duration, positive, registry, repetitions, secret, tag};

use super::TextFormat;

/// `warmset measure`.
#[derive(Debug, Args)]
pub struct MeasureCommand {
    /// Folder that holds the fleet, an inventory.json, or a plan folder.
    pub input: PathBuf,
    /// Write the table here.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Keep environments and finished repetitions in this folder; by default warmset in the user's cache folder. It can be
    /// deleted at any time.
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Times that each load is repeated, with the tracer and without; at least 5.
    #[arg(long, value_name = "N", default_value = "7", value_parser = repetitions)]
    pub repetitions: usize,
    /// Measure this function only; may be given again.
    #[arg(long, value_name = "ID")]
    pub only: Vec<String>,
    /// Installers that run at the same time; what is measured runs one by one.
    #[arg(long, value_name = "N", default_value = "2", value_parser = positive)]
    pub jobs: usize,
    /// Seconds that one program may take: 300, 300s, 5m.
    #[arg(long, value_name = "TIME", default_value = "300s", value_parser = duration)]
    pub timeout: f64,
    /// Call handlers that have an event file (event.json, events/*.json, NAME.event.json), to find what a first call takes
    /// that could be done before. This runs the functions' code.
    #[arg(long)]
    pub warmup: bool,
    /// Folder that holds the fleet, where the input is an inventory or a plan.
    #[arg(long, value_name = "DIR")]
    pub code: Option<PathBuf>,
    /// How functions are read.
    #[command(flatten)]
    pub options: FleetOptions,
    /// What is printed.
    #[arg(long, value_enum, default_value_t = TextFormat::Text)]
    pub format: TextFormat,
}

/// `warmset build`.
#[derive(Debug, Args)]
pub struct BuildCommand {
    /// Plan folder, or its swap-manifest.json.
    pub plan: PathBuf,
    /// Builder; auto takes the first that works of docker, podman, buildah.
    #[arg(long, value_enum, default_value_t = BuilderChoice::Auto)]
    pub builder: BuilderChoice,
    /// Build this image and those that it stands on only; may be given again.
    #[arg(long, value_name = "IMAGE")]
    pub only: Vec<String>,
    /// Put this before the names of the images: registry.example/team.
    #[arg(long, value_name = "PREFIX", value_parser = registry)]
    pub registry: Option<String>,
    /// Tag of the images, instead of the plan's.
    #[arg(long, value_parser = tag)]
    pub tag: Option<String>,
    /// Base image of a platform (python3.11-linux-x86_64-glibc), a version (python3.11) or a language (python), instead of
    /// the Dockerfiles'; may be given again, the most specific counts.
    #[arg(long, value_name = "PLATFORM=REFERENCE", value_parser = base)]
    pub base: Vec<(String, String)>,
    /// Give a file to the builds as a secret: id=pip_conf,src=FILE (npmrc and ca likewise). It is in no layer. May be given
    /// again.
    #[arg(long, value_name = "id=ID,src=FILE", value_parser = secret)]
    pub secret: Vec<(String, PathBuf)>,
    /// Whether a base image that the builder does not have is fetched.
    #[arg(long, value_enum, default_value_t = PullChoice::Missing)]
    pub pull: PullChoice,
    /// Push each image when it is built.
    #[arg(long, requires = "registry")]
    pub push: bool,
    /// Images that are built at the same time.
    #[arg(long, value_name = "N", default_value = "2", value_parser = positive)]
    pub jobs: usize,
    /// Longest time for one image: 90s, 30m.
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = duration)]
    pub timeout: f64,
    /// Keep what the builder says of each image in this folder.
    #[arg(long, value_name = "DIR")]
    pub logs: Option<PathBuf>,
    /// Give this argument to the builder's build command: --builder-arg=--network=host; may be given again.
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub builder_arg: Vec<String>,
    /// Print the commands instead of running them.
    #[arg(long)]
    pub dry_run: bool,
    /// What is printed.
    #[arg(long, value_enum, default_value_t = TextFormat::Text)]
    pub format: TextFormat,
}

/// When base images are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PullChoice {
    /// Never.
    Never,
    /// When the builder does not have them.
    Missing,
}

/// `warmset serve`.
#[derive(Debug, Args)]
pub struct ServeCommand {
    /// A swap-manifest.json, or the plan folder that holds it.
    pub manifest: PathBuf,
    /// How functions are run.
    #[command(flatten)]
    pub run: RunOptions,
    /// Whether CRIU thaws a loaded process where an image cannot be forked, or no process of it is ready.
    #[arg(long, value_enum, default_value_t = CriuChoice::Auto)]
    pub criu: CriuChoice,
    /// Unix socket to listen on.
    #[arg(long, value_name = "PATH", default_value = SOCKET)]
    pub socket: PathBuf,
    /// Address for GET /metrics and /status besides the socket: 127.0.0.1:9464.
    #[arg(long, value_name = "ADDRESS")]
    pub metrics: Option<std::net::SocketAddr>,
}

/// `warmset replay`.
#[derive(Debug, Args)]
pub struct ReplayCommand {
    /// The plan folder.
    pub plan: PathBuf,
    /// How functions are run.
    #[command(flatten)]
    pub run: RunOptions,
    /// Trace: columns function,time, or those of Azure Functions 2021 or 2019.
    #[arg(long, value_name = "FILE", conflicts_with = "calls")]
    pub trace: Option<PathBuf>,
    /// Without a trace: how often each function is called, in turn.
    #[arg(long, value_name = "N", default_value = "5", value_parser = positive)]
    pub calls: usize,
    /// Time from the first call of the trace to the last: 10m. Its own otherwise.
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "trace")]
    pub duration: Option<f64>,
    /// Most calls of the trace to make, evenly chosen.
    #[arg(long, value_name = "N", value_parser = positive, requires = "trace")]
    pub max_calls: Option<usize>,
    /// Leave out calls that an instance would serve which the trace's last call left idle this long.
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "trace")]
    pub keep_alive: Option<f64>,
    /// Replay these functions only; may be given again.
    #[arg(long, value_name = "ID")]
    pub only: Vec<String>,
    /// Write the replay as JSON here too.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// What is printed.
    #[arg(long, value_enum, default_value_t = TextFormat::Text)]
    pub format: TextFormat,
}

/// Where `serve` listens and `invoke` calls.
const SOCKET: &str = "warmset.sock";

/// `warmset invoke`.
#[derive(Debug, Args)]
pub struct InvokeCommand {
    /// Id of the function.
    pub function: String,
    /// File with its event in JSON; `-` is stdin.
    #[arg(long, value_name = "FILE")]
    pub event: Option<PathBuf>,
    /// Unix socket of the runtime.
    #[arg(long, value_name = "PATH", default_value = SOCKET)]
    pub socket: PathBuf,
    /// What is printed: the result alone, or all that is known of the call.
    #[arg(long, value_enum, default_value_t = TextFormat::Text)]
    pub format: TextFormat,
}
