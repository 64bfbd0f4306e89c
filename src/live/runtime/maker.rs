//! How hosts, pools and cold starts are made of a manifest's images and a machine's rights.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::live::criu::Criu;
use crate::live::host::{CallLimits, ChildSpec, HostError, HostSpec, Interpreter, Only, WarmCall};
use crate::live::install;
use crate::live::runtime::provision::{FunctionFiles, ImageFiles, Provisioned};
use crate::live::sandbox::{Group, Isolation, Limits, Root, Slot};
use crate::model::Language;
use crate::model::manifest::{ManifestFunction, ManifestImage, SwapMethod};

/// How functions are run.
#[derive(Debug, Clone)]
pub struct Options {
    /// A warmset program, for its hidden subcommand.
    pub warmset: PathBuf,
    /// How hosts and functions are shut in.
    pub isolation: Isolation,
    /// Whether functions have the machine's network.
    pub network: bool,
    /// Whether hosts are forked though they have threads.
    pub allow_threads: bool,
    /// Processes that a fork server forks ahead of time.
    pub standby: u32,
    /// Processes that a Node image keeps ready, where the manifest is not to say.
    pub pool: Option<u32>,
    /// What a call may take.
    pub limits: CallLimits,
    /// What its processes may take together.
    pub bounds: Limits,
    /// How often a call whose host has gone is made again, though it may have begun.
    pub retries: u32,
    /// How long an image may load.
    pub start_limit: Duration,
}

/// Makes hosts.
pub struct Maker {
    /// How.
    pub options: Options,
    /// What freezes and thaws processes, where that is to be done.
    pub criu: Option<Criu>,
    /// What bounds calls, where there are control groups.
    pub group: Option<Arc<Group>>,
    /// Folders that hosts are shown, of which a function sees only its own.
    pub shared: Vec<PathBuf>,
    /// For files of hosts: what a killed runtime leaves there goes with the rest of it.
    pub scratch: PathBuf,
}

impl Maker {
    /// A slot for a process that runs one call, where there are control groups.
    pub(super) fn slot(&self) -> Result<Option<Slot>, HostError> {
        let bounds = self.options.bounds;
        let slot = self.group.as_ref().map(|group| group.take(bounds)).transpose();
        slot.map_err(|e| HostError::Setup(format!("no control group for the call: {e}")))
    }

    fn spec(&self, interpreter: &install::interpreter::Interpreter) -> HostSpec {
        let options = &self.options;
        HostSpec {
            shared: self.shared.clone(),
            scratch: Some(self.scratch.clone()),
            network: options.network,
            allow_threads: options.allow_threads,
            standby: options.standby,
            tmp_mb: options.limits.tmp_mb,
            nofile: Some(options.limits.nofile),
            start_limit: options.start_limit,
            root: Root::System,
            calls: self.group.as_ref().map(|group| (Arc::clone(group), options.bounds)),
            ..HostSpec::bare(options.warmset.clone(), options.isolation, Interpreter::of(interpreter))
        }
    }

    /// A host of an image. A Node process is bounded from its start, as its function runs in it.
    pub(super) fn host(
        &self,
        image: &ManifestImage,
        files: &Provisioned,
        own: &ImageFiles,
    ) -> Result<HostSpec, HostError> {
        let node = image.platform.language == Language::Node;
        Ok(HostSpec {
            packages: Some(own.environment.clone()),
            modules: image.preload.clone(),
            warmup: warm_calls(image, files),
            environment: environment(image),
            only: Self::only(&image.id, files),
            slot: if node { self.slot()?.map(Arc::new) } else { None },
            ..self.spec(&own.interpreter)
        })
    }

    /// The function that a Node image is for, where it is for one.
    fn only(image: &str, files: &Provisioned) -> Option<Only> {
        let mut served = files.functions.values().filter_map(|f| Some((f, f.besides.get(image)?)));
        let (function, besides) = served.next().filter(|_| served.next().is_none())?;
        Some(Only { code: function.code.clone(), closure: Some(besides.clone()) })
    }

    /// What an image loads besides its parent.
    pub(super) fn child(&self, image: &ManifestImage, files: &Provisioned, own: &ImageFiles) -> ChildSpec {
        ChildSpec {
            packages: Some(own.environment.clone()),
            modules: image.preload.clone(),
            warmup: warm_calls(image, files),
            standby: self.options.standby,
            start_limit: self.options.start_limit,
        }
    }

    /// An interpreter that has loaded nothing, with all that a function loads at hand.
    pub(super) fn cold(&self, function: &ManifestFunction, own: &FunctionFiles) -> Result<HostSpec, HostError> {
        let node = function.platform.as_ref().is_some_and(|p| p.language == Language::Node);
        let environment: BTreeMap<String, String> = base_environment(node);
        Ok(HostSpec {
            packages: own.closure.clone(),
            environment,
            only: node.then(|| Only { code: own.code.clone(), closure: None }),
            standby: 0,
            slot: if node { self.slot()?.map(Arc::new) } else { None },
            ..self.spec(&own.interpreter)
        })
    }

    /// Processes that an image keeps ready.
    pub(super) fn pool(&self, image: &ManifestImage) -> usize {
        let stated = image.swap.iter().find_map(|method| match method {
            SwapMethod::NodePool { size, .. } => Some(*size),
            SwapMethod::ForkServer { .. } | SwapMethod::Criu { .. } => None,
        });
        self.options.pool.or(stated).unwrap_or(1).max(1) as usize
    }
}

/// The manifest's, without what is of use in a container only.
fn environment(image: &ManifestImage) -> BTreeMap<String, String> {
    let not_here = |name: &str| matches!(name, "WARMSET_SOCKET" | "PYTHONPATH");
    image.environment.iter().filter(|(name, _)| !not_here(name)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn base_environment(node: bool) -> BTreeMap<String, String> {
    let language = if node { Language::Node } else { Language::Python };
    let all = crate::emit::host_environment(language).iter();
    let kept = all.filter(|(name, _)| !matches!(*name, "WARMSET_SOCKET" | "PYTHONPATH"));
    kept.map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn warm_calls(image: &ManifestImage, files: &Provisioned) -> Vec<WarmCall> {
    let code = |id: &Option<String>| id.as_ref().and_then(|id| files.functions.get(id)).map(|f| f.code.clone());
    let call = |warmup: &crate::model::manifest::Warmup| WarmCall {
        warmup: warmup.clone(),
        code: code(&warmup.function),
        environment: BTreeMap::new(),
    };
    image.warmup.iter().map(call).filter(|w| w.warmup.function.is_none() || w.code.is_some()).collect()
}
