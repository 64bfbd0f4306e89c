//! `inventory.json`: the functions of a fleet, what they import, and what their closures hold.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::diagnostic::{Diagnostic, Place};
use super::name::{PackageId, normalise_pypi};
use super::platform::{Language, Platform};

/// Value of the `schema` field; the number rises when a reader of the old form would misread the new one.
pub const SCHEMA: &str = "warmset.inventory/1";

/// The trust domain of a function that names none.
pub const DEFAULT_TRUST_DOMAIN: &str = "default";

/// What a fleet holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Inventory {
    /// [`SCHEMA`].
    pub schema: String,
    /// What wrote it.
    #[serde(default)]
    pub generator: String,
    /// Sorted by id.
    pub functions: Vec<Function>,
    /// Every package that a closure names, sorted by id.
    #[serde(default)]
    pub packages: Vec<Package>,
    /// How much of the scanned folder was read.
    #[serde(default)]
    pub files: FileCounts,
    /// Which parts of a fleet this covers, where it is not all of it: `warmset merge` needs it. Sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// Sorted by place.
    #[serde(default)]
    pub diagnostics: Vec<Diagnostic>,
}

/// A part of a fleet that was scanned by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// `shard 0/4`, or `path service/function` for one package of a list. A part that is there twice counts once.
    pub part: String,
    /// How much of it was read.
    pub files: FileCounts,
    /// Sources that a shard read, sorted: two shards may read the same one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources_read: Vec<String>,
}

/// How much of a folder was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct FileCounts {
    /// Files that are not ignored.
    pub seen: usize,
    /// Python, JavaScript and TypeScript files among them.
    pub sources: usize,
    /// Sources that a function reaches: what its imports were read from.
    pub read: usize,
}

/// How much of a function's closure is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The whole closure, from a lock (or there is nothing to load).
    Locked,
    /// Every direct dependency is pinned to a version; what those need in turn is not known.
    Pinned,
    /// Some direct dependencies have a version, some do not.
    Partial,
    /// No version is known.
    Unresolved,
}

/// Where a function's platform was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PlatformSource {
    /// The declaration (template, serverless.yml …) names a runtime.
    Declared,
    /// A manifest or version file in or above the folder (`requires-python`, `engines.node`, `.nvmrc` …), or the only
    /// runtime that the CDK or Terraform program above the folder names.
    Manifest,
    /// Nothing says; the default of the command line was taken.
    Default,
}

/// One deployable handler.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Function {
    /// Unique in the fleet.
    pub id: String,
    /// Code folder relative to the fleet's root, `/`-separated; `.` is the root itself.
    pub path: String,
    /// Absent when the runtime is unknown: such a function is listed but not planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Where the platform comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_source: Option<PlatformSource>,
    /// Handler as declared: `app.lambda_handler`, `functions/cart/handler.main`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler: Option<String>,
    /// Where the function is declared: a template line, or the folder's manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_at: Option<Place>,
    /// `sam`, `cloudformation`, `serverless`, `folder`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_as: Option<String>,
    /// Functions of different trust domains never share an image.
    #[serde(default = "default_trust_domain", skip_serializing_if = "is_default_trust_domain")]
    pub trust_domain: String,
    /// Expected cold starts in the planning period; 1 where no trace says.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub weight: f64,
    /// How much of the closure is known.
    pub state: State,
    /// The lock that the closure was read from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<LockRef>,
    /// Environment as far as the declaration gives literal values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Sorted by file and line.
    #[serde(default)]
    pub imports: Vec<Import>,
    /// Direct dependencies as the manifest states them.
    #[serde(default)]
    pub declared: Vec<Requirement>,
    /// Everything loaded in production on this platform whose version is known; sorted.
    pub closure: Vec<PackageId>,
    /// Installed with the function because its lock is shared, but only the other functions import what leads to it; sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub installed_only: Vec<PackageId>,
    /// What has no known version; sorted. Empty when `state` is `locked`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unresolved: Vec<Requirement>,
    /// Source files of the code folder, in the function's language, that neither this handler nor one of another
    /// function with the same folder reaches: tests, build configurations, dead code; sorted. Files in the code folder
    /// of another function are not among them. Functions that share a folder list the same files (beyond 100,000
    /// entries the first function alone does). What only these files import stays in the closure all the same where
    /// the lock or manifest installs it. Empty where the handler's file is not known: then everything but tests counts
    /// as reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreached: Vec<Unreached>,
}

/// A source file that no handler reaches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Unreached {
    /// Relative to the fleet's root.
    pub file: String,
    /// Packages that it imports when it runs, by name; the imported name where nothing explains it. Sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
}

fn default_trust_domain() -> String {
    DEFAULT_TRUST_DOMAIN.to_string()
}

fn is_default_trust_domain(domain: &str) -> bool {
    domain == DEFAULT_TRUST_DOMAIN
}

fn one() -> f64 {
    1.0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_one(weight: &f64) -> bool {
    *weight == 1.0
}

/// The lock that a closure was read from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct LockRef {
    /// Relative path.
    pub file: String,
    /// `requirements`, `poetry`, `uv`, `package-lock`, `pnpm`, `pins`, `resolved` (by `warmset lock`) …
    pub kind: String,
    /// The day on which `warmset lock` resolved it; absent for a function's own lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_on: Option<String>,
}

impl LockRef {
    /// A lock that came with the fleet.
    pub fn new(file: impl Into<String>, kind: impl Into<String>) -> Self {
        Self { file: file.into(), kind: kind.into(), resolved_on: None }
    }
}

/// When an import takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ImportKind {
    /// Executed when the module is loaded.
    Runtime,
    /// For the type checker only (`if TYPE_CHECKING`, `import type`).
    TypeOnly,
    /// Guarded by `try`/`except ImportError` or `try { require() } catch`.
    Optional,
    /// Inside a function body.
    Lazy,
    /// Through `importlib.import_module`, `__import__`, `import()` or `require.resolve()` with a literal. A plain
    /// `require()` with a literal is an import like any other: runtime, optional or lazy.
    Dynamic,
    /// The same, with an argument that only running would tell.
    DynamicUnknown,
}

impl ImportKind {
    /// Whether it loads something when the program runs, and it is known what.
    pub fn is_loaded(self) -> bool {
        !matches!(self, ImportKind::TypeOnly | ImportKind::DynamicUnknown)
    }
}

/// What an import refers to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "to", rename_all = "kebab-case")]
pub enum Target {
    /// The standard library or a Node builtin.
    Stdlib,
    /// Provided by the platform itself (boto3 on Lambda) and neither declared nor locked.
    Platform,
    /// A module of the function's own code.
    Local,
    /// A distribution that the function declares or locks, by name (`pillow`, `@aws-sdk/client-s3`).
    Package {
        /// Normalised name.
        package: String,
    },
    /// More than one declared distribution provides it.
    Ambiguous {
        /// Normalised names, the likeliest first.
        candidates: Vec<String>,
    },
    /// Neither declared, locked, local nor known.
    Missing,
    /// Not known before running.
    Unknown,
}

/// One import in the function's sources.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Import {
    /// Relative to the fleet's root.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// Dotted module or JS specifier, as written; relative Python imports keep their dots.
    pub module: String,
    /// Names taken from it (`from a import b, c`); may be submodules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// When it takes effect.
    pub kind: ImportKind,
    /// What it refers to.
    #[serde(flatten)]
    pub target: Target,
}

impl Import {
    /// What to import so that a distribution is loaded as this import loads it; nothing where it does not when it runs.
    ///
    /// `from google.cloud import storage` means `google.cloud.storage` when that is what the distribution is called, as
    /// `google.cloud` alone is only a namespace. `from PIL import Image` means `PIL` and `PIL:Image`: the name may be that
    /// of a submodule, which only the package can tell.
    pub fn loads(&self, package: &str, language: Language) -> Vec<String> {
        if !self.kind.is_loaded() || self.module.starts_with('.') {
            return Vec::new();
        }
        if language == Language::Python {
            let sub: Vec<String> = self
                .names
                .iter()
                .map(|name| format!("{}.{name}", self.module))
                .filter(|dotted| normalise_pypi(dotted) == package)
                .collect();
            if !sub.is_empty() {
                return sub;
            }
            let names = self.names.iter().filter(|name| *name != "*").map(|name| format!("{}:{name}", self.module));
            return [self.module.clone()].into_iter().chain(names).collect();
        }
        vec![self.module.clone()]
    }
}

/// A direct dependency as a manifest states it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Requirement {
    /// Normalised name.
    pub name: String,
    /// The requirement as written: `numpy>=1.24`, `^4.17.1`.
    pub text: String,
    /// Where it is written.
    #[serde(flatten)]
    pub place: Place,
    /// What it came to, where a version is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<PackageId>,
}

/// One package at one version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Package {
    /// Its id.
    pub id: PackageId,
    /// Direct dependencies on every platform that `requires_on` does not name. Absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<Vec<PackageId>>,
    /// Direct dependencies where they differ by platform, extras or tree. A platform may occur more than once:
    /// then any one of its sets is enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires_on: Vec<RequiresOn>,
    /// The platforms of the closures that state `requires`, where those are not all that hold the package: some locks
    /// record no edges. Sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stated_on: Vec<Platform>,
    /// The versions that it allows of its dependencies, by their real names, as locks that record them write it: all
    /// that are met, where platforms or trees differ. What is not named here is not known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ranges: BTreeMap<String, Vec<String>>,
    /// npm aliases under which it loads its dependencies: alias to real package.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aliases: BTreeMap<String, PackageId>,
    /// `sha256:…` (PyPI) or `sha512-…` (npm integrity); sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hashes: Vec<String>,
    /// `registry` (default), `git`, `url`, `path`, `workspace`, `patch`. Only registry packages enter shared images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Bytes of the artefact for a usual platform, where the lock tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Where its version is written: lock entries and pins; sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reason: Vec<Place>,
}

/// Direct dependencies on one platform.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct RequiresOn {
    /// Where this holds.
    pub platform: Platform,
    /// Sorted.
    pub requires: Vec<PackageId>,
}

impl Inventory {
    /// An inventory with nothing in it.
    pub fn empty() -> Self {
        Self {
            schema: SCHEMA.into(),
            generator: super::GENERATOR.into(),
            functions: Vec::new(),
            packages: Vec::new(),
            files: FileCounts::default(),
            parts: Vec::new(),
            diagnostics: Vec::new(),
        }
    }

    /// Puts every list into its stable order and drops repeats.
    pub fn sort(&mut self) {
        self.functions.sort_by(|a, b| a.id.cmp(&b.id));
        self.functions.iter_mut().for_each(Function::sort);
        self.packages.sort_by(|a, b| a.id.cmp(&b.id));
        self.parts.sort();
        self.parts.dedup();
        self.diagnostics.sort();
        self.diagnostics.dedup();
    }
}

impl Function {
    /// Puts every list into its stable order and drops repeats.
    pub fn sort(&mut self) {
        self.imports.sort();
        self.imports.dedup();
        self.declared.sort();
        self.declared.dedup();
        self.closure.sort();
        self.closure.dedup();
        self.unresolved.sort();
        self.unresolved.dedup();
    }

    /// A function of which only the id is known; its code folder is taken to be called the same.
    pub fn new(id: impl Into<String>) -> Self {
        let id = id.into();
        Self {
            path: id.clone(),
            id,
            platform: None,
            platform_source: None,
            handler: None,
            declared_at: None,
            declared_as: None,
            trust_domain: default_trust_domain(),
            weight: one(),
            state: State::Unresolved,
            lock: None,
            environment: BTreeMap::new(),
            imports: Vec::new(),
            declared: Vec::new(),
            closure: Vec::new(),
            installed_only: Vec::new(),
            unresolved: Vec::new(),
            unreached: Vec::new(),
        }
    }
}

impl Package {
    /// A package of which only the id is known.
    pub fn new(id: PackageId) -> Self {
        Self {
            id,
            requires: None,
            requires_on: Vec::new(),
            stated_on: Vec::new(),
            ranges: BTreeMap::new(),
            aliases: BTreeMap::new(),
            hashes: Vec::new(),
            source: None,
            size: None,
            reason: Vec::new(),
        }
    }

    /// The sets of direct dependencies that hold on a platform, any one of which is enough; empty when unknown.
    pub fn requires_for(&self, platform: &Platform) -> Vec<&[PackageId]> {
        let own: Vec<&[PackageId]> =
            self.requires_on.iter().filter(|r| &r.platform == platform).map(|r| r.requires.as_slice()).collect();
        if own.is_empty() { self.requires.iter().map(Vec::as_slice).collect() } else { own }
    }

    /// Whether it comes from a registry, and so can be installed in an image that several functions share.
    pub fn is_from_registry(&self) -> bool {
        self.source.as_deref().is_none_or(|s| s == "registry")
    }
}
