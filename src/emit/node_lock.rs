//! `package.json` and `package-lock.json` of a Node image or of a closure.

use std::collections::{BTreeMap, BTreeSet};

use super::view::Contents;
use crate::lock::npm::npm_layout::{LayoutPackage, layout, write};
use crate::model::{Diagnostic, Package, PackageId, Place, codes};

/// The locks of a Node image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeLock {
    /// `package.json`.
    pub manifest: String,
    /// `package-lock.json`.
    pub lock: String,
    /// Packages without integrity.
    pub unhashed: Vec<String>,
}

/// Writes the locks of an image, or of a closure with the versions at the top that its functions name themselves
/// (`direct`, by the name they use); says what no lock gives integrity for, and what could not be laid out.
pub fn node_lock(
    contents: &Contents<'_>,
    direct: &BTreeMap<String, PackageId>,
    packages: &BTreeMap<&PackageId, &Package>,
) -> (NodeLock, Vec<Diagnostic>) {
    let set = layout_packages(contents, packages);
    let layout = layout(&roots(contents, direct, &set), &set);
    let unhashed: Vec<String> = contents
        .packages
        .iter()
        .filter(|id| set.get(id).is_none_or(|p| p.integrity.is_empty()))
        .map(PackageId::spec)
        .collect();
    let place = Place::file(contents.file("package-lock.json"));
    let mut diagnostics = Vec::new();
    if !unhashed.is_empty() {
        let mut reason = format!("no integrity for {}", unhashed.join(", "));
        let from_yarn = |id: &&PackageId| {
            let places = packages.get(id).map_or(&[][..], |package| package.reason.as_slice());
            unhashed.contains(&id.spec()) && places.iter().any(|place| place.file.ends_with("yarn.lock"))
        };
        if contents.packages.iter().any(|id| from_yarn(&id)) {
            reason.push_str(" (the checksums of a yarn.lock are of Yarn's own archives, and npm cannot check them)");
        }
        diagnostics.push(Diagnostic::new(codes::HASHES_MISSING, place.clone(), reason));
    }
    if !layout.unplaced.is_empty() {
        let specs: Vec<String> = layout.unplaced.iter().map(PackageId::spec).collect();
        let reason =
            format!("{} {} has no place for {}", contents.within.trim_end_matches('s'), contents.id, specs.join(", "));
        diagnostics.push(Diagnostic::new(codes::PLAN_BROKEN, place, reason));
    }
    let (manifest, lock) = write(&format!("warmset-{}", contents.id), &layout);
    (NodeLock { manifest, lock, unhashed }, diagnostics)
}

/// Direct dependencies: those named, and what nothing in the set requires.
fn roots(
    contents: &Contents<'_>,
    direct: &BTreeMap<String, PackageId>,
    set: &BTreeMap<PackageId, LayoutPackage>,
) -> BTreeMap<String, PackageId> {
    let mut roots = direct.clone();
    let required: BTreeSet<&PackageId> =
        set.values().flat_map(|p| p.requires.values().filter(|id| **id != p.id)).collect();
    let placed: BTreeSet<PackageId> = roots.values().cloned().collect();
    let mut new: Vec<&PackageId> =
        contents.packages.iter().filter(|id| !required.contains(id) && !placed.contains(*id)).collect();
    // Of two versions the newest gets the plain name, and the others an alias.
    new.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| newest_first(a, b)));
    for id in new {
        let alias = || format!("{}-{}", id.name, id.version.replace('+', "-"));
        let name = if roots.contains_key(&id.name) { alias() } else { id.name.clone() };
        roots.insert(name, id.clone());
    }
    roots
}

fn newest_first(a: &PackageId, b: &PackageId) -> std::cmp::Ordering {
    match (semver::Version::parse(&a.version), semver::Version::parse(&b.version)) {
        (Ok(a), Ok(b)) => b.cmp(&a),
        _ => b.version.cmp(&a.version),
    }
}

/// The packages of the image with what they load of each other.
fn layout_packages(
    contents: &Contents<'_>,
    packages: &BTreeMap<&PackageId, &Package>,
) -> BTreeMap<PackageId, LayoutPackage> {
    let held: BTreeSet<&PackageId> = contents.packages.iter().collect();
    let mut all = BTreeMap::new();
    for id in contents.packages {
        let mut requires = BTreeMap::new();
        let mut integrity = Vec::new();
        if let Some(package) = packages.get(id) {
            let sets = package.requires_for(contents.platform);
            // Any one set is enough: take one that the image holds all of.
            let set = sets.iter().find(|set| set.iter().all(|p| held.contains(p))).or(sets.first());
            for to in set.into_iter().copied().flatten().filter(|to| held.contains(to)) {
                let alias = package.aliases.iter().find(|(_, real)| *real == to).map(|(alias, _)| alias);
                // An alias becomes a folder's name: only one that could be a package's is taken.
                let name = alias.filter(|alias| is_plain_name(alias)).unwrap_or(&to.name);
                requires.insert(name.clone(), to.clone());
            }
            integrity = package.hashes.iter().filter(|h| is_integrity(h)).cloned().collect();
            integrity.sort_unstable();
            integrity.dedup();
        }
        let (os, cpu, libc) = (Vec::new(), Vec::new(), Vec::new());
        all.insert(id.clone(), LayoutPackage { id: id.clone(), integrity, requires, os, cpu, libc });
    }
    all
}

fn is_plain_name(name: &str) -> bool {
    let part = |p: &str| {
        !p.is_empty() && !p.starts_with('.') && p.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-~".contains(&b))
    };
    match name.strip_prefix('@') {
        Some(scoped) => scoped.split_once('/').is_some_and(|(scope, name)| part(scope) && part(name)),
        None => part(name),
    }
}

/// Subresource integrity with an algorithm that npm still trusts.
fn is_integrity(hash: &str) -> bool {
    let strong = ["sha512-", "sha384-", "sha256-"];
    strong.iter().any(|prefix| {
        hash.strip_prefix(prefix).is_some_and(|digest| {
            !digest.is_empty() && digest.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::emit::samples;
    use crate::emit::view::views;

    #[test]
    fn a_lock_holds_all_with_integrity_and_no_registry() {
        let (plan, inventory) = (samples::plan(), samples::inventory());
        let packages = inventory.packages.iter().map(|p| (&p.id, p)).collect();
        let (views, _) = views(&plan);
        let view = views.iter().find(|v| v.image.id == "node20-debug-ms-6d6d").unwrap();
        let (lock, diagnostics) = node_lock(&view.contents(), &BTreeMap::new(), &packages);
        assert_eq!(diagnostics, []);
        let text: Value = serde_json::from_str(&lock.lock).unwrap();
        let keys: Vec<&String> = text["packages"].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["", "node_modules/debug", "node_modules/ms"]);
        assert_eq!(text["packages"]["node_modules/debug"]["dependencies"]["ms"], "2.1.3");
        assert!(text["packages"]["node_modules/ms"]["integrity"].as_str().unwrap().starts_with("sha512-6FlzubTL"));
        assert!(!lock.lock.contains("resolved"));
    }

    #[test]
    fn a_version_that_nothing_requires_gets_an_alias_where_its_name_is_taken() {
        let mut plan = samples::plan();
        plan.images.retain(|i| i.id == "node20-ms-5c5c");
        plan.images[0].packages = ["debug@2.6.9", "debug@4.3.7", "@s/x@1.0.0"].map(String::from).to_vec();
        let (views, _) = views(&plan);
        let (lock, _) = node_lock(&views[0].contents(), &BTreeMap::new(), &BTreeMap::new());
        let lock: Value = serde_json::from_str(&lock.lock).unwrap();
        // The newest has the plain name.
        assert_eq!(lock["packages"]["node_modules/debug"]["version"], "4.3.7");
        assert_eq!(lock["packages"]["node_modules/debug-2.6.9"]["name"], "debug");
        assert_eq!(lock["packages"]["node_modules/@s/x"]["version"], "1.0.0");
    }

    #[test]
    fn integrity_that_is_missing_or_weak_is_said() {
        let (plan, mut inventory) = (samples::plan(), samples::inventory());
        for package in &mut inventory.packages {
            if package.id.name == "ms" {
                package.hashes = vec!["sha1-abc=".into()];
            }
        }
        let packages = inventory.packages.iter().map(|p| (&p.id, p)).collect();
        let (views, _) = views(&plan);
        let ms = views.iter().find(|v| v.image.id == "node20-ms-5c5c").unwrap();
        let (lock, diagnostics) = node_lock(&ms.contents(), &BTreeMap::new(), &packages);
        assert_eq!(lock.unhashed, ["ms@2.1.3"]);
        assert!(!lock.lock.contains("integrity"));
        assert_eq!(diagnostics[0].code, "hashes-missing");
    }

    #[test]
    fn an_alias_keeps_its_name_and_says_what_it_is() {
        let (mut plan, mut inventory) = (samples::plan(), samples::inventory());
        plan.images.retain(|i| i.id == "node20-debug-ms-6d6d");
        let debug = inventory.packages.iter_mut().find(|p| p.id.name == "debug").unwrap();
        debug.aliases = BTreeMap::from([("milli".to_string(), PackageId::npm("ms", "2.1.3"))]);
        let packages = inventory.packages.iter().map(|p| (&p.id, p)).collect();
        let (views, _) = views(&plan);
        let (lock, _) = node_lock(&views[0].contents(), &BTreeMap::new(), &packages);
        let lock: Value = serde_json::from_str(&lock.lock).unwrap();
        assert_eq!(lock["packages"]["node_modules/debug"]["dependencies"]["milli"], "npm:ms@2.1.3");
        assert_eq!(lock["packages"]["node_modules/milli"]["name"], "ms");
    }
}
