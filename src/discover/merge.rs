//! One function, one entry: what several declarations say of the same function, and where they contradict each other.
//!
//! Declarations come in the order of `declared::READERS` (a `warmset.toml` first, Dockerfiles last); of those that
//! mean the same function the first counts. Two declarations in different applications mean the same function when they name
//! the same handler (its file and its export), or when they give the same name to a function of the same code folder.

use std::collections::BTreeMap;

use super::{Discovery, Site, Tree, handler, version};
use crate::model::inventory::PlatformSource;
use crate::model::{Diagnostic, Language, Place, Platform, codes};

/// The file and the name of the handler; the code folder, the handler's text and the function's name where the file was not
/// found.
fn identity(site: &Site) -> Option<(String, String)> {
    let text = site.handler.as_deref()?;
    let (module, export) = handler::split(text);
    Some(match &site.handler_file {
        Some(file) => (file.clone(), export.to_string()),
        None => (format!("{}:{module}:{}", site.root, named(site).1), export.to_string()),
    })
}

/// The code folder and the name without what tools change in names: case, hyphens, a suffix `Function`.
fn named(site: &Site) -> (String, String) {
    let name: String = site.name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let name = name.strip_suffix("function").filter(|n| !n.is_empty()).unwrap_or(&name).to_string();
    (site.root.clone(), name)
}

/// Keeps one of the declarations that several files make of the same function. Functions that one application declares
/// stay apart, whatever they share.
pub(super) fn merge(found: &mut Discovery) {
    let mut by_handler: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
    let mut by_name: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
    let mut kept: Vec<Site> = Vec::new();
    for site in std::mem::take(&mut found.sites) {
        let handler = identity(&site);
        let name = named(&site);
        let elsewhere = |at: &&usize| kept[**at].application != site.application;
        let of_handler = handler.as_ref().and_then(|key| by_handler.get(key));
        let same = of_handler.filter(|all| all.iter().any(|at| elsewhere(&at)));
        // The same name and folder in a file of another kind: the handler is what they disagree about.
        let same_name = by_name
            .get(&name)
            .into_iter()
            .flatten()
            .find(|at| elsewhere(at) && kept[**at].declared_as != site.declared_as && kept[**at].handler.is_some());
        match (same, same_name) {
            (Some(all), _) => {
                if !all.iter().any(|&at| elsewhere(&&at) && agree(&kept[at], &site)) {
                    // All of them differ; the one that counts is named.
                    if let Some(&first) = all.iter().find(|at| elsewhere(at)) {
                        found.diagnostics.push(platforms_differ(&kept[first], &site));
                    }
                }
                continue;
            }
            (None, Some(&first)) if handler.is_some() => {
                found.diagnostics.push(handlers_differ(&kept[first], &site));
                continue;
            }
            _ => {}
        }
        if let Some(key) = handler {
            // One of an application stands for all that agree with it: thousands may share a handler.
            let all = by_handler.entry(key).or_default();
            let alike = |at: &usize| kept[*at].application == site.application && kept[*at].platform == site.platform;
            if !all.iter().any(alike) {
                all.push(kept.len());
            }
        }
        by_name.entry(name).or_default().push(kept.len());
        kept.push(site);
    }
    found.sites = kept;
}

/// Whether two declarations of one function leave no doubt about what it runs on. What is only assumed contradicts
/// nothing.
fn agree(a: &Site, b: &Site) -> bool {
    let assumed = |s: &Site| s.platform.is_none() || s.platform_source == Some(PlatformSource::Default);
    a.platform == b.platform || ((assumed(a) || assumed(b)) && a.runtime.is_none() | b.runtime.is_none())
}

fn describe(platform: Option<&Platform>) -> String {
    platform.map_or_else(|| "an unknown runtime".to_string(), ToString::to_string)
}

fn platforms_differ(first: &Site, site: &Site) -> Diagnostic {
    let reason = format!(
        "{} is declared here for {}, and in {} for {}",
        site.handler.as_deref().unwrap_or(&site.name),
        describe(site.platform.as_ref()),
        first.declared_at,
        describe(first.platform.as_ref())
    );
    Diagnostic::new(codes::DECLARATIONS_DISAGREE, site.declared_at.clone(), reason).for_function(first.id.clone())
}

fn handlers_differ(first: &Site, site: &Site) -> Diagnostic {
    let handler = |s: &Site| s.handler.clone().unwrap_or_default();
    let reason = format!(
        "{} has the handler `{}` here, and `{}` in {}",
        site.name,
        handler(site),
        handler(first),
        first.declared_at
    );
    Diagnostic::new(codes::DECLARATIONS_DISAGREE, site.declared_at.clone(), reason).for_function(first.id.clone())
}

/// Says where a declared runtime contradicts what the function's own manifest asks for, and where functions that share
/// the file of their handler are declared for different runtimes.
pub(super) fn contradictions(tree: &Tree, found: &mut Discovery) {
    let mut by_file: BTreeMap<(&str, Language), &Site> = BTreeMap::new();
    let mut said = Vec::new();
    for site in &found.sites {
        let Some(platform) = site.platform.as_ref().filter(|_| site.platform_source == Some(PlatformSource::Declared))
        else {
            continue;
        };
        if let Some(range) = version::refused(tree, &site.root, platform.language, &platform.version) {
            let reason = format!(
                "{} is declared for {} {}, but {} asks for `{}`",
                site.name, platform.language, platform.version, range.place, range.text
            );
            said.push(
                Diagnostic::new(codes::DECLARATIONS_DISAGREE, site.declared_at.clone(), reason).for_function(&site.id),
            );
        }
        let Some(file) = site.handler_file.as_deref() else { continue };
        let first = *by_file.entry((file, platform.language)).or_insert(site);
        let version = |s: &Site| s.platform.as_ref().map(|p| p.version.clone()).unwrap_or_default();
        if version(first) != version(site) && first.application != site.application {
            let reason = format!(
                "{file} is declared here for {} {}, and in {} for {}",
                platform.language,
                platform.version,
                first.declared_at,
                version(first)
            );
            said.push(
                Diagnostic::new(codes::DECLARATIONS_DISAGREE, site.declared_at.clone(), reason)
                    .for_function(&site.id)
                    .next("give both the same runtime, or a handler file of their own"),
            );
        }
    }
    found.diagnostics.append(&mut said);
}

/// Makes ids unique: the second of a name gets the declaring file into its id, and a number if that is not enough.
pub(super) fn name_apart(found: &mut Discovery) {
    let mut seen: BTreeMap<String, Place> = BTreeMap::new();
    // Where thousands have one name, each goes on counting where the last one stopped.
    let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
    for site in &mut found.sites {
        let Some(first) = seen.get(&site.id).cloned() else {
            seen.insert(site.id.clone(), site.declared_at.clone());
            continue;
        };
        let mut id = format!("{}/{}", site.declared_at.file, site.name);
        let number = numbers.entry(site.id.clone()).or_insert(2);
        while seen.contains_key(&id) {
            id = format!("{}#{number}", site.id);
            *number += 1;
        }
        let reason = format!("`{}` is also declared in {first}; this one is called `{id}`", site.id);
        found
            .diagnostics
            .push(Diagnostic::new(codes::FUNCTION_NAME_TWICE, site.declared_at.clone(), reason).for_function(&id));
        seen.insert(id.clone(), site.declared_at.clone());
        site.id = id;
    }
}
