//! `package.json` and `package-lock.json` of a Node image, and which folders it adds to its parent's.
//!
//! A child's lock holds all that it has, as npm checks a lock as a whole. Whatever stands at the top of the parent's
//! `node_modules` is a root of the child too, so the same version stays at the top, and everything that the parent
//! placed stays where it is: then the folders that the child adds can be a layer on top of the parent's. That is
//! checked, not assumed: a child that is laid out otherwise starts from the base image and shares no layer.

use std::collections::{BTreeMap, BTreeSet};

use super::view::Contents;
use crate::lock::npm::npm_layout::{Layout, LayoutPackage, layout, write};
use crate::model::{Diagnostic, Package, PackageId, Place, codes};

/// The locks of a Node image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeLock {
    /// `package.json`.
    pub manifest: String,
    /// `package-lock.json`.
    pub lock: String,
    /// For an image that is a layer on its parent: the folders that it adds, none of them below another.
    pub added: Option<Vec<String>>,
    /// Packages without integrity.
    pub unhashed: Vec<String>,
    /// Where everything stands; a child image goes on from it.
    pub layout: Layout,
}

/// Writes the locks of an image on top of its parent's layout, or of a closure with the versions at the top that its
/// functions name themselves (`direct`, by the name they use); says what no lock gives integrity for, and what could not
/// be laid out.
pub fn node_lock(
    contents: &Contents<'_>,
    direct: &BTreeMap<String, PackageId>,
    parent: Option<&Layout>,
    packages: &BTreeMap<&PackageId, &Package>,
) -> (NodeLock, Vec<Diagnostic>) {
    let set = layout_packages(contents, packages);
    let layout = layout(&roots(contents, direct, parent, &set), &set);
    let added = parent.and_then(|parent| added(parent, &layout));
    let unhashed: Vec<String> = contents
        .packages
        .iter()
        .filter(|id| set.get(id).is_none_or(|p| p.integrity.is_empty()))
        .map(PackageId::spec)
        .collect();
    let place = Place::file(contents.file("package-lock.json"));
    let mut diagnostics = Vec::new();
    // The parent has already said it of its own.
    let new: Vec<&str> = unhashed
        .iter()
        .filter(|spec| contents.added.iter().any(|id| &id.spec() == *spec))
        .map(String::as_str)
        .collect();
    if !new.is_empty() {
        let mut reason = format!("no integrity for {}", new.join(", "));
        let from_yarn = |id: &&PackageId| {
            let places = packages.get(id).map_or(&[][..], |package| package.reason.as_slice());
            new.contains(&id.spec().as_str()) && places.iter().any(|place| place.file.ends_with("yarn.lock"))
        };
        if contents.added.iter().any(|id| from_yarn(&id)) {
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
    (NodeLock { manifest, lock, added, unhashed, layout }, diagnostics)
}

/// Direct dependencies: those named, what stands at the top of the parent, and what nothing in the set requires.
fn roots(
    contents: &Contents<'_>,
    direct: &BTreeMap<String, PackageId>,
    parent: Option<&Layout>,
    set: &BTreeMap<PackageId, LayoutPackage>,
) -> BTreeMap<String, PackageId> {
    let mut roots = direct.clone();
    for (place, node) in parent.into_iter().flat_map(|p| &p.nodes) {
        if let Some(name) = place.strip_prefix("node_modules/").filter(|name| !name.contains("node_modules/")) {
            roots.insert(name.to_string(), node.package.id.clone());
        }
    }
    let required: BTreeSet<&PackageId> =
        set.values().flat_map(|p| p.requires.values().filter(|id| **id != p.id)).collect();
    let placed: BTreeSet<PackageId> = roots.values().cloned().collect();
    let mut new: Vec<&PackageId> =
        contents.added.iter().filter(|id| !required.contains(id) && !placed.contains(*id)).collect();
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

/// The topmost places that the parent lacks; `None` when the parent's own places are not all the same in the child.
fn added(parent: &Layout, child: &Layout) -> Option<Vec<String>> {
    let same = |place: &String| {
        let (before, after) = (parent.nodes.get(place), child.nodes.get(place));
        before.zip(after).is_some_and(|(b, a)| b.package.id == a.package.id && b.link == a.link)
    };
    if !parent.nodes.keys().all(same) {
        return None;
    }
    let new: BTreeSet<&String> = child.nodes.keys().filter(|place| !parent.nodes.contains_key(*place)).collect();
    let below_another =
        |place: &str| place.match_indices("/node_modules/").any(|(at, _)| new.contains(&place[..at].to_string()));
    Some(new.iter().filter(|place| !below_another(place)).map(|place| place.to_string()).collect())
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
    use crate::model::{Inventory, Plan};

    /// Locks of a parent and of a child, given as packages with what they require.
    fn pair(parent: &[&str], child: &[&str], edges: &[(&str, &[&str])]) -> (NodeLock, NodeLock) {
        let mut plan: Plan = samples::plan();
        plan.images.retain(|i| i.platform.to_string().starts_with("node"));
        plan.images[0].packages = parent.iter().map(|s| s.to_string()).collect();
        plan.images[1].packages = parent.iter().chain(child).map(|s| s.to_string()).collect();
        let mut inventory = Inventory::empty();
        let id = |spec: &str| format!("npm:{spec}").parse::<PackageId>().unwrap();
        for (from, to) in edges {
            let mut package = Package::new(id(from));
            package.requires = Some(to.iter().map(|t| id(t)).collect());
            inventory.packages.push(package);
        }
        let packages = inventory.packages.iter().map(|p| (&p.id, p)).collect();
        let (views, diagnostics) = views(&plan);
        assert!(diagnostics.is_empty(), "{diagnostics:?}");
        let (first, _) = node_lock(&views[0].contents(), &BTreeMap::new(), None, &packages);
        let (second, diagnostics) = node_lock(&views[1].contents(), &BTreeMap::new(), Some(&first.layout), &packages);
        assert!(diagnostics.iter().all(|d| d.code != "plan-broken"), "{diagnostics:?}");
        (first, second)
    }

    #[test]
    fn a_childs_lock_holds_all_and_its_layer_only_what_it_adds() {
        let (plan, inventory) = (samples::plan(), samples::inventory());
        let packages = inventory.packages.iter().map(|p| (&p.id, p)).collect();
        let (views, _) = views(&plan);
        let of = |id: &str| views.iter().find(|v| v.image.id == id).unwrap();
        let (parent, _) = node_lock(&of("node20-ms-5c5c").contents(), &BTreeMap::new(), None, &packages);
        assert_eq!(parent.added, None);
        let (child, diagnostics) =
            node_lock(&of("node20-debug-ms-6d6d").contents(), &BTreeMap::new(), Some(&parent.layout), &packages);
        assert_eq!(diagnostics, []);
        assert_eq!(child.added, Some(vec!["node_modules/debug".to_string()]));
        let lock: Value = serde_json::from_str(&child.lock).unwrap();
        let keys: Vec<&String> = lock["packages"].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["", "node_modules/debug", "node_modules/ms"]);
        assert_eq!(lock["packages"]["node_modules/debug"]["dependencies"]["ms"], "2.1.3");
        assert!(lock["packages"]["node_modules/ms"]["integrity"].as_str().unwrap().starts_with("sha512-6FlzubTL"));
        assert!(!child.lock.contains("resolved"));
    }

    #[test]
    fn what_the_parent_placed_stays_though_more_packages_want_another_version() {
        // By itself the child would put ms@2.1.3 at the top: three packages want it, and one the other.
        let (parent, child) = pair(
            &["express@4.19.2", "ms@2.0.0"],
            &["a@1.0.0", "b@1.0.0", "c@1.0.0", "ms@2.1.3"],
            &[
                ("express@4.19.2", &["ms@2.0.0"]),
                ("a@1.0.0", &["ms@2.1.3"]),
                ("b@1.0.0", &["ms@2.1.3"]),
                ("c@1.0.0", &["ms@2.1.3"]),
            ],
        );
        assert_eq!(parent.layout.nodes["node_modules/ms"].package.id.version, "2.0.0");
        assert_eq!(child.layout.nodes["node_modules/ms"].package.id.version, "2.0.0");
        assert_eq!(child.layout.nodes["node_modules/b/node_modules/ms"].package.id.version, "2.1.3");
        // Nested folders come with the folder that they are in.
        assert_eq!(child.added.unwrap(), ["node_modules/a", "node_modules/b", "node_modules/c"]);
    }

    #[test]
    fn a_version_that_nothing_requires_gets_an_alias_where_its_name_is_taken() {
        let (_, child) = pair(&["debug@2.6.9"], &["debug@4.3.7", "@s/x@1.0.0"], &[]);
        assert_eq!(child.layout.nodes["node_modules/debug"].package.id.version, "2.6.9");
        assert_eq!(child.added.unwrap(), ["node_modules/@s/x", "node_modules/debug-4.3.7"]);
        let lock: Value = serde_json::from_str(&child.lock).unwrap();
        assert_eq!(lock["packages"]["node_modules/debug-4.3.7"]["name"], "debug");
    }

    #[test]
    fn a_child_that_is_laid_out_otherwise_is_no_layer() {
        let (parent, mut child) = pair(&["ms@2.0.0"], &["a@1.0.0"], &[]);
        assert!(added(&parent.layout, &child.layout).is_some());
        child.layout.nodes.remove("node_modules/ms");
        assert_eq!(added(&parent.layout, &child.layout), None);
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
        let (lock, diagnostics) = node_lock(&ms.contents(), &BTreeMap::new(), None, &packages);
        assert_eq!(lock.unhashed, ["ms@2.1.3"]);
        assert!(!lock.lock.contains("integrity"));
        assert_eq!(diagnostics[0].code, "hashes-missing");
    }

    #[test]
    fn an_alias_keeps_its_name_and_says_what_it_is() {
        let (mut plan, mut inventory) = (samples::plan(), samples::inventory());
        plan.images.retain(|i| i.id == "node20-debug-ms-6d6d");
        plan.images[0].parent = None;
        let debug = inventory.packages.iter_mut().find(|p| p.id.name == "debug").unwrap();
        debug.aliases = BTreeMap::from([("milli".to_string(), PackageId::npm("ms", "2.1.3"))]);
        let packages = inventory.packages.iter().map(|p| (&p.id, p)).collect();
        let (views, _) = views(&plan);
        let (lock, _) = node_lock(&views[0].contents(), &BTreeMap::new(), None, &packages);
        let lock: Value = serde_json::from_str(&lock.lock).unwrap();
        assert_eq!(lock["packages"]["node_modules/debug"]["dependencies"]["milli"], "npm:ms@2.1.3");
        assert_eq!(lock["packages"]["node_modules/milli"]["name"], "ms");
    }
}
