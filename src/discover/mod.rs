//! Where the functions of a fleet are: declared in SAM and CloudFormation templates and in `serverless.yml`, or plain
//! folders with a handler in them.
//!
//! [`discover`] is pure: it reads a [`Tree`] and returns sites and diagnostics, sorted, the same on every machine.

mod declared;
pub mod doc;
mod folder;
mod handler;
pub mod paths;
mod programs;
pub mod runtime;
pub mod trace;
pub mod tree;
mod values;
pub mod version;

use std::collections::BTreeMap;

use crate::model::codes;
use crate::model::inventory::PlatformSource;
use crate::model::{Diagnostic, Language, Place, Platform};

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
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// `sam`, `cloudformation`, `serverless`, `folder`.
    pub declared_as: &'static str,
    /// Environment variables with literal values.
    pub environment: BTreeMap<String, String>,
    /// Whether AWS Lambda provides its own packages (boto3, `@aws-sdk/*`). True for what SAM, CloudFormation and
    /// `serverless.yml` with provider `aws` declare; for plain folders only where the handler has Lambda's own shape
    /// (`lambda_handler`, `lambda_function.py`, a handler that takes `event, context`). False for container images,
    /// which bring their own packages.
    pub aws_lambda: bool,
    /// When the code folder is shared with other functions: the file from which this function's own sources are
    /// reached by local imports. Absent when everything in the folder is this function's.
    pub entry: Option<String>,
    /// Lambda layers that the function is deployed with.
    pub layers: Vec<Layer>,
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Discovery {
    /// Sorted by id.
    pub sites: Vec<Site>,
    /// Sorted; those of [`Tree::diagnostics`] are not among them.
    pub diagnostics: Vec<Diagnostic>,
}

/// Finds the functions of a fleet.
pub fn discover(tree: &Tree, defaults: &Defaults) -> Discovery {
    let mut found = Discovery::default();
    declared::template::find(tree, defaults, &mut found);
    declared::serverless::find(tree, defaults, &mut found);
    merge(&mut found);
    folder::find(tree, defaults, &mut found);
    name_apart(&mut found);
    mark_shared_folders(&mut found.sites);
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

/// What makes two declarations in different files the same function: the file and the name of the handler, or the code
/// folder and the handler's text where the file was not found.
fn identity(site: &Site) -> Option<(String, String)> {
    let text = site.handler.as_deref()?;
    let (module, export) = handler::split(text);
    Some(match &site.handler_file {
        Some(file) => (file.clone(), export.to_string()),
        None => (format!("{}:{module}", site.root), export.to_string()),
    })
}

/// Keeps one of the declarations that several files make of the same handler: the first in the order SAM and
/// CloudFormation, then `serverless.yml`, by path. Functions that one file declares stay apart, whatever they share.
fn merge(found: &mut Discovery) {
    let mut first: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut kept: Vec<Site> = Vec::new();
    for site in std::mem::take(&mut found.sites) {
        let Some(key) = identity(&site) else {
            kept.push(site);
            continue;
        };
        let Some(&at) = first.get(&key) else {
            first.insert(key, kept.len());
            kept.push(site);
            continue;
        };
        let same_file = kept[at].declared_at.file == site.declared_at.file;
        let original = kept.iter().find(|k| {
            k.declared_at.file != site.declared_at.file
                && identity(k).as_ref() == Some(&key)
                && k.platform == site.platform
        });
        if same_file {
            kept.push(site);
        } else if original.is_none() {
            let describe =
                |s: &Site| s.platform.as_ref().map_or_else(|| "an unknown runtime".to_string(), ToString::to_string);
            let kept_one = &kept[at];
            let reason = format!(
                "{} is declared here for {}, and in {} for {}",
                site.handler.as_deref().unwrap_or(&site.name),
                describe(&site),
                kept_one.declared_at,
                describe(kept_one)
            );
            let id = kept_one.id.clone();
            found
                .diagnostics
                .push(Diagnostic::new(codes::DECLARATIONS_DISAGREE, site.declared_at, reason).for_function(id));
        }
    }
    found.sites = kept;
}

/// Makes ids unique: the second of a name gets the declaring file into its id, and a number if that is not enough.
fn name_apart(found: &mut Discovery) {
    let mut seen: BTreeMap<String, Place> = BTreeMap::new();
    for site in &mut found.sites {
        let Some(first) = seen.get(&site.id).cloned() else {
            seen.insert(site.id.clone(), site.declared_at.clone());
            continue;
        };
        let mut id = format!("{}/{}", site.declared_at.file, site.name);
        let mut number = 2;
        while seen.contains_key(&id) {
            id = format!("{}#{number}", site.id);
            number += 1;
        }
        let reason = format!("`{}` is also declared in {first}; this one is called `{id}`", site.id);
        found
            .diagnostics
            .push(Diagnostic::new(codes::FUNCTION_NAME_TWICE, site.declared_at.clone(), reason).for_function(&id));
        seen.insert(id.clone(), site.declared_at.clone());
        site.id = id;
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
        site.entry = site.handler_file.clone().filter(|_| shared);
    }
}

#[cfg(test)]
mod tests;
