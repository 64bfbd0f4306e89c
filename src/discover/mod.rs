//! Where the functions of a fleet are: declared in SAM and CloudFormation templates and in `serverless.yml`, or plain
//! folders with a handler in them.
//!
//! [`discover`] is pure: it reads a [`Tree`] and returns sites and diagnostics, sorted, the same on every machine.

pub mod archive;
pub(crate) mod code;
pub mod declared;
pub mod doc;
mod dockerfile;
mod folder;
mod handler;
mod merge;
pub mod paths;
mod programs;
mod provider;
pub mod runtime;
pub mod trace;
pub mod tree;
mod values;
pub mod version;
pub mod wishes;

use std::collections::BTreeMap;

use crate::model::codes;
use crate::model::inventory::PlatformSource;
use crate::model::{Diagnostic, Language, Place, Platform, Support};

pub use provider::Provider;
pub use tree::{Limits, OpenError, Tree};

/// What is assumed where nothing says it.
#[derive(Debug, Clone)]
pub struct Defaults {
    /// Python `major.minor`.
    pub python: String,
    /// Node major.
    pub node: String,
    /// `x86_64` or `aarch64`.
    pub arch: String,
    /// `glibc` or `musl`.
    pub libc: String,
}

impl Default for Defaults {
    fn default() -> Self {
        Self { python: "3.11".into(), node: "20".into(), arch: "x86_64".into(), libc: "glibc".into() }
    }
}

impl Defaults {
    /// The version assumed for a language.
    pub fn version(&self, language: Language) -> &str {
        match language {
            Language::Python => &self.python,
            Language::Node => &self.node,
        }
    }

    /// The platform of a language version where architecture and libc are not told.
    pub fn platform(&self, language: Language, version: &str) -> Platform {
        Platform { arch: self.arch.clone(), libc: self.libc.clone(), ..Platform::linux(language, version) }
    }
}

/// One function: where it is declared, what it is, where its code lies.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    /// Unique in the fleet. Declared: folder of the declaring file, `/`, name (only the name at the top). Plain folder:
    /// its path (`root` at the top), with the handler's file name added where the folder holds several.
    pub id: String,
    /// Name as declared; for a plain folder the folder's name.
    pub name: String,
    /// Code folder, which is also the import root; relative to the fleet.
    pub root: String,
    /// As declared.
    pub handler: Option<String>,
    /// The file that holds it, relative to the fleet.
    pub handler_file: Option<String>,
    /// Absent when the runtime is not known.
    pub platform: Option<Platform>,
    /// Where the platform comes from.
    pub platform_source: Option<PlatformSource>,
    /// Runtime as declared.
    pub runtime: Option<String>,
    /// Line of the declaration; for a plain folder its handler's file.
    pub declared_at: Place,
    /// `sam`, `cloudformation`, `cdk`, `terraform`, `serverless`, `azure`, `google`, `openfaas`, `knative`, `fn`, `openwhisk`,
    /// `digitalocean`, `fission`, `nuclio`, `firebase`, `appengine`, `vercel`, `netlify`, `container`, `warmset`, `folder`.
    pub declared_as: &'static str,
    /// What is deployed as one: the declaring file, the top stack of nested ones, the folder of a root module or of an
    /// application. Functions that it declares are never taken for one another.
    pub application: String,
    /// Environment variables with literal values.
    pub environment: BTreeMap<String, String>,
    /// On whose platform it runs.
    pub provider: Provider,
    /// When the code folder is shared with other functions: the file from which this function's own sources are
    /// reached by local imports. Absent when everything in the folder is this function's.
    pub entry: Option<String>,
    /// Lambda layers that the function is deployed with.
    pub layers: Vec<Layer>,
    /// Code that is deployed as a text: written inside the declaration, or in one file that it reads. `root` is then the
    /// file that holds the text; nothing that lies beside it is deployed.
    pub inline: Option<Inline>,
    /// Further files that are loaded before a call is served, whatever the handler imports: an application whose
    /// functions register themselves is loaded whole. Relative to the fleet.
    pub also_loads: Vec<String>,
    /// The files that say what is installed with it, where its declaration names them: locks and manifests, relative to
    /// the fleet. Empty: those that lie nearest.
    pub installs: Vec<String>,
    /// A bundler packages it: of its dependencies it carries what it imports.
    pub bundled: bool,
    /// What lies beneath its code and cannot be looked into, in words: `the image x/y:1`, `the template python3-http`.
    pub beneath: Option<String>,
    /// Who may share a process with it, where its declaration says so.
    pub trust_domain: Option<String>,
    /// Expected cold starts in the planning period, where its declaration says so.
    pub weight: Option<f64>,
}

impl Site {
    /// A function of which only the declaration is known: everything in `root` is its code.
    pub fn new(declared_as: &'static str, declared_at: Place, id: String, name: String, root: String) -> Site {
        Site {
            id,
            name,
            root,
            handler: None,
            handler_file: None,
            platform: None,
            platform_source: None,
            runtime: None,
            application: declared_at.file.clone(),
            declared_at,
            declared_as,
            environment: BTreeMap::new(),
            provider: Provider::Unknown,
            entry: None,
            layers: Vec::new(),
            also_loads: Vec::new(),
            installs: Vec::new(),
            bundled: false,
            beneath: None,
            trust_domain: None,
            weight: None,
            inline: None,
        }
    }
}

/// A function's code where it is written inside its declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inline {
    /// The code; intrinsic functions inside it stay as written.
    pub text: String,
    /// Line of the declaring file that its first line stands on, from 1.
    pub line: u32,
    /// The file that holds it, where that is not the declaring one.
    pub file: Option<String>,
    /// Whether each of its lines is one of the file; otherwise all stand on `line` (a JSON string).
    pub by_line: bool,
}

/// A Lambda layer: a folder that is unpacked to `/opt` beside the function's code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// As declared, for people: a name in the template or an ARN.
    pub text: String,
    /// Its content, where that is a folder of the fleet.
    pub folder: Option<String>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Discovery {
    /// Sorted by id.
    pub sites: Vec<Site>,
    /// Sorted; those of [`Tree::diagnostics`] are not among them.
    pub diagnostics: Vec<Diagnostic>,
}

impl Discovery {
    /// Adds what another reader found.
    fn join(&mut self, other: Discovery) {
        self.sites.extend(other.sites);
        self.diagnostics.extend(other.diagnostics);
    }
}

/// What is read of declarations: a row for each reader.
pub fn support() -> Vec<Support> {
    let mut rows = declared::support();
    rows.extend([folder::SUPPORT, archive::SUPPORT, version::SUPPORT]);
    rows
}

/// Finds the functions of a fleet.
pub fn discover(tree: &Tree, defaults: &Defaults) -> Discovery {
    let mut found = Discovery::default();
    let mut config = declared::warmset::read(tree, defaults, &mut found);
    let defaults = &config.defaults.clone();
    for read in declared::READERS {
        read(tree, defaults, &mut found);
    }
    merge::merge(&mut found);
    config.apply_to_declared(tree, &mut found);
    merge::contradictions(tree, &mut found);
    folder::find(tree, defaults, &mut found);
    config.apply_to_folders(tree, &mut found);
    merge::name_apart(&mut found);
    mark_shared_folders(&mut found.sites);
    config.filter(&mut found);
    found.sites.sort_by(|a, b| a.id.cmp(&b.id));
    found.diagnostics.sort();
    found.diagnostics.dedup();
    found
}

/// Fills in a platform from the folder's own files or from the defaults, where the declaration names a language only.
fn platform_from_folder(
    tree: &Tree,
    defaults: &Defaults,
    language: Language,
    site: &mut Site,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let near = site.handler_file.as_deref().map_or(site.root.as_str(), paths::parent);
    let default = defaults.version(language);
    match version::wanted(tree, near, language, default) {
        Some(version::Wanted { version: Some(version), .. }) => {
            site.platform = Some(defaults.platform(language, &version));
            site.platform_source = Some(PlatformSource::Manifest);
        }
        Some(wanted) => {
            let reason = format!("{language} {} is not a version that warmset plans for", wanted.text);
            diagnostics.push(Diagnostic::new(codes::RUNTIME_UNKNOWN, wanted.place, reason).for_function(&site.id));
        }
        None => {
            site.platform = Some(defaults.platform(language, default));
            site.platform_source = Some(PlatformSource::Default);
            let reason = format!("nothing says which {language} runs it, {language} {default} is assumed");
            diagnostics.push(
                Diagnostic::new(codes::PLATFORM_DEFAULTED, site.declared_at.clone(), reason).for_function(&site.id),
            );
        }
    }
}

fn mark_shared_folders(sites: &mut [Site]) {
    let mut users: BTreeMap<String, usize> = BTreeMap::new();
    for site in sites.iter() {
        // Every folder above a code folder holds that function's code too, and is shared if it is itself a code folder.
        for dir in paths::ancestors(&site.root) {
            *users.entry(dir.to_string()).or_default() += 1;
        }
    }
    for site in sites {
        let shared = users.get(&site.root).is_some_and(|n| *n > 1) || site.declared_as == "serverless";
        if site.entry.is_none() {
            site.entry = site.handler_file.clone().filter(|_| shared);
        }
    }
}

#[cfg(test)]
mod tests;
