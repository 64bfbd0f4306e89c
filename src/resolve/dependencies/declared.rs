//! What is directly depended on, as locks and manifests state it, and what of it has no version.

use std::collections::BTreeMap;

use crate::lock::{self, Closure, Edge, Kind, Lock, Manifest, ManifestRequirement, Scope};
use crate::model::inventory::Requirement;
use crate::model::{Language, PackageId, Place, Platform};

/// Direct dependencies as the lock's importer states them, with what they came to.
pub(super) fn declared_by_edges(
    lock: &Lock,
    roots: &[Edge],
    stated_in: &str,
    closure: &Closure,
    platform: &Platform,
) -> Vec<Requirement> {
    roots
        .iter()
        .filter(|edge| lock::closure::is_wanted(edge, platform))
        .map(|edge| {
            let package = edge
                .to
                .iter()
                .filter_map(|&at| lock.entries.get(at))
                .find(|entry| closure.packages.contains_key(&entry.id))
                .map(|entry| entry.id.clone());
            Requirement {
                name: edge.name.clone(),
                text: requirement_text(&edge.name, &edge.extras, &edge.text),
                place: Place::at(stated_in, edge.line),
                package,
            }
        })
        .collect()
}

/// Direct dependencies where the lock is a list without edges: what the manifest asks for, with what the list holds of it.
pub(super) fn declared_in_list(manifest: &Manifest, closure: &Closure, platform: &Platform) -> Vec<Requirement> {
    let mut out = declared_by_manifest(manifest, platform);
    let by_name: BTreeMap<&str, &PackageId> = closure.packages.keys().map(|id| (id.name.as_str(), id)).collect();
    for requirement in &mut out {
        requirement.package = by_name.get(requirement.name.as_str()).map(|id| (*id).clone());
    }
    out
}

/// Direct dependencies of a complete requirements file as the manifest beside it states them: its own lines say what was
/// chosen. `None` where it does not hold all that the manifest asks for, in its ranges: then it was not made from it.
pub(super) fn compiled_from(
    lock: &Lock,
    manifest: &Manifest,
    closure: &Closure,
    platform: &Platform,
) -> Option<Vec<Requirement>> {
    if !lock.complete || manifest.partial || manifest.is_broken() {
        return None;
    }
    let wanted: Vec<&ManifestRequirement> = manifest.requires.iter().filter(|r| r.scope == Scope::Production).collect();
    let allowed = |r: &ManifestRequirement, id: &PackageId| {
        id.name == r.name && r.source.is_none() && lock::pypi::pep508::satisfies(&r.text, &id.version) == Some(true)
    };
    let made = wanted.iter().all(|r| r.marker.is_some() || closure.packages.keys().any(|id| allowed(r, id)));
    (made && !wanted.is_empty()).then(|| declared_in_list(manifest, closure, platform))
}

/// What is asked for and has no version: direct requirements, and those of entries.
pub(super) fn missing(lock: &Lock, roots: &[Edge], closure: &Closure, declared: &[Requirement]) -> Vec<Requirement> {
    let optional = |name: &str| roots.iter().any(|e| e.name == name && e.scope != Scope::Production);
    // A workspace member or a linked folder is code of the fleet: there, but no package.
    let linked = |name: &str| {
        let to = roots.iter().filter(|e| e.name == name).flat_map(|e| &e.to);
        to.filter_map(|&at| lock.entries.get(at)).any(|entry| entry.source.as_deref() == Some("workspace"))
    };
    let mut out: Vec<Requirement> =
        declared.iter().filter(|r| r.package.is_none() && !optional(&r.name) && !linked(&r.name)).cloned().collect();
    for (from, name, text) in &closure.missing {
        let Some(from) = from else { continue };
        let line = closure.packages.get(from).and_then(|p| lock.entries.get(p.entry)).map_or(0, |e| e.line);
        out.push(Requirement {
            name: name.clone(),
            text: requirement_text(name, &[], text),
            place: Place::at(&lock.file, line),
            package: None,
        });
    }
    out
}

/// As a manifest would state it.
fn requirement_text(name: &str, extras: &[String], text: &str) -> String {
    if text.starts_with(name) {
        return text.to_string();
    }
    let name = if extras.is_empty() { name.to_string() } else { format!("{name}[{}]", extras.join(",")) };
    match text {
        "" => name,
        // A direct reference (PEP 508).
        text if text.starts_with("@ ") => format!("{name} {text}"),
        text if text.starts_with(['=', '<', '>', '~', '!', '[']) => format!("{name}{text}"),
        text => format!("{name}@{text}"),
    }
}

/// Direct dependencies as the manifest states them; exact ones are pins.
pub(super) fn declared_by_manifest(manifest: &Manifest, platform: &Platform) -> Vec<Requirement> {
    let nothing = Lock::empty(Kind::Requirements, &manifest.file);
    lock::closure::roots_from_manifest(&nothing, manifest)
        .iter()
        .zip(&manifest.requires)
        .filter(|(edge, _)| lock::closure::is_wanted(edge, platform))
        .map(|(_, r)| Requirement {
            name: r.name.clone(),
            text: requirement_text(&r.name, &r.extras, &r.text),
            place: Place::at(&manifest.file, r.line),
            package: r
                .exact
                .as_deref()
                .filter(|_| r.source.is_none())
                .map(|version| match platform.language {
                    Language::Python => PackageId::pypi(&r.name, version),
                    Language::Node => PackageId::npm(&r.name, version),
                })
                .filter(PackageId::is_sound),
        })
        .collect()
}

/// The exact requirements of a manifest, as a lock that knows no edges.
pub(super) fn pins_of(manifest: &Manifest, declared: &[Requirement]) -> Lock {
    let entries = declared.iter().filter_map(|r| Some(lock::Entry::pin(r.package.clone()?, r.place.line))).collect();
    Lock { entries, ..Lock::empty(Kind::Requirements, &manifest.file) }
}

/// All of it, as nobody knows what leads where.
pub(super) fn closure_of_pins(lock: &Lock) -> Closure {
    let packages = lock
        .entries
        .iter()
        .enumerate()
        .map(|(at, entry)| (entry.id.clone(), lock::Reached { entry: at, ..lock::Reached::default() }))
        .collect();
    Closure { packages, missing: Vec::new() }
}
