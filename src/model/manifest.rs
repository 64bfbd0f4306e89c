//! `swap-manifest.json`: all that a runtime needs to act on a plan.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::platform::Platform;

/// Value of the `schema` field.
pub const SCHEMA: &str = "warmset.swap-manifest/1";

/// Images to keep live and which function each serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SwapManifest {
    /// [`SCHEMA`].
    pub schema: String,
    /// What wrote it.
    #[serde(default)]
    pub generator: String,
    /// Name of the plan: the last part of its folder's name.
    pub name: String,
    /// Memory that all images together may take, MB.
    pub budget_mb: f64,
    /// Memory that they are expected to take, MB.
    pub memory_mb: f64,
    /// Pools with budgets of their own; none when there is only one. A host keeps the images of its pool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<ManifestPool>,
    /// Parents before children.
    pub images: Vec<ManifestImage>,
    /// What functions load in all, each closure once: what a cold start needs installed. By id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closures: Vec<ManifestClosure>,
    /// Every function of the fleet, by id.
    pub functions: Vec<ManifestFunction>,
}

/// All that some functions load, with the lock that installs it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ManifestClosure {
    /// Made of its contents, as an image's is.
    pub id: String,
    /// Where it runs.
    pub platform: Platform,
    /// Folder with its lock, relative to this file.
    pub folder: String,
    /// File in `folder` that is the lock, and its SHA-256.
    pub lock: FileDigest,
    /// `name==version` or `name@version`; sorted.
    pub packages: Vec<String>,
    /// Modules that its functions load of them, in order.
    pub preload: Vec<String>,
}

/// A part of the fleet whose images have memory of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ManifestPool {
    /// As the images name it; `default` is that of images that name none.
    pub name: String,
    /// Hosts that keep the same images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<u32>,
    /// Memory that its images may take on one host, MB.
    pub budget_mb: f64,
    /// Memory that they are expected to take, MB.
    pub memory_mb: f64,
}

/// One live dependency image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ManifestImage {
    /// As in the plan.
    pub id: String,
    /// The image that it is forked from.
    pub parent: Option<String>,
    /// Where it runs.
    pub platform: Platform,
    /// Whose functions it may serve.
    pub trust_domain: String,
    /// Whose pool it is; absent for that of all functions that no other takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Folder with its Dockerfile, relative to this file.
    pub folder: String,
    /// Reference without a registry host: `warmset/py311-numpy-3f9a`.
    pub reference: String,
    /// Written by the build: `sha256:…`, by which the builder's store knows the image (of its configuration, or of its
    /// manifest where docker keeps images in containerd's store).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Written by a build that pushes: where the image is, with the digest of its manifest as the registry knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<String>,
    /// Command inside the image that runs the language: `python`, `node`.
    pub interpreter: String,
    /// File in `folder` that is the lock, and its SHA-256.
    pub lock: FileDigest,
    /// Environment of the warm host.
    pub environment: BTreeMap<String, String>,
    /// `name==version` or `name@version`; sorted.
    pub packages: Vec<String>,
    /// Modules to load, in order; `module:name` is what `from module import name` loads.
    pub preload: Vec<String>,
    /// Calls to make after loading and before serving.
    pub warmup: Vec<Warmup>,
    /// What it costs.
    pub costs: ManifestCosts,
    /// Ways to put a function onto it, the preferred first.
    pub swap: Vec<SwapMethod>,
}

/// A file and its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileDigest {
    /// Relative to the image's folder.
    pub file: String,
    /// Hexadecimal.
    pub sha256: String,
}

/// A call that makes later calls faster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Warmup {
    /// Module that holds the callable.
    pub module: String,
    /// Attribute to call: without arguments, or as the handler of `function`.
    pub call: String,
    /// The function whose handler it is: its code folder must be there, its handler gets `event`, and its own modules are
    /// forgotten afterwards. Absent for a call of a package's own. A host without the code leaves the call out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// Event for the handler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<serde_json::Value>,
    /// CPU milliseconds that each later first call is spared, where measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved_ms: Option<f64>,
    /// Resident MB that it adds to the image, where measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_mb: Option<f64>,
}

/// Expected costs of an image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ManifestCosts {
    /// CPU milliseconds to load it.
    pub load_ms: f64,
    /// Resident MB, warm host included.
    pub resident_mb: f64,
    /// Resident MB that it adds to its parent.
    pub added_mb: f64,
    /// Milliseconds to put a function onto it.
    pub swap_ms: f64,
}

/// A way to put a function onto a live image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "method", rename_all = "kebab-case")]
pub enum SwapMethod {
    /// Python: load, freeze the collector, fork into new namespaces.
    ForkServer {
        /// Unix socket of the warm host, inside the image.
        socket: String,
    },
    /// Node: single-use processes that have loaded the dependencies and wait for code.
    NodePool {
        /// Unix socket of the warm host, inside the image.
        socket: String,
        /// Processes kept ready.
        size: u32,
    },
    /// Checkpoint and restore.
    Criu {
        /// Oldest CRIU that works.
        minimum_version: String,
    },
}

/// One function and how to start it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ManifestFunction {
    /// As in the inventory.
    pub id: String,
    /// Code folder, relative to the fleet's root.
    pub path: String,
    /// Handler as declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler: Option<String>,
    /// Absent when it is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Image to swap onto; absent: start cold.
    pub image: Option<String>,
    /// Its closure; absent where not all of it has a known version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closure: Option<String>,
    /// Where to go when that image is not there, in order; the last resort is always a cold start.
    pub fallback: Vec<Fallback>,
    /// `name==version` or `name@version` that the function still loads itself; sorted.
    pub loads: Vec<String>,
    /// `name==version` or `name@version` that the image holds and the function does not load; sorted. Its process sees their
    /// modules all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unneeded: Vec<String>,
    /// Direct dependencies without a known version, which it also loads itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unresolved: Vec<String>,
    /// Environment of the function.
    pub environment: BTreeMap<String, String>,
}

/// What to do when an image is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Fallback {
    /// Another image of the plan that the function may use.
    Image {
        /// Its id.
        id: String,
    },
    /// Load everything.
    Cold,
}
