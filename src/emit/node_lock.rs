//! `package.json` and `package-lock.json` (version 3) of an image: exactly its packages, exact versions, with integrity,
//! without the host that they come from (npm then asks the registry that it is set up for).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::json;
use super::node_layout::{Circular, Requires, Tree};
use super::view::View;
use crate::model::{Diagnostic, Package, PackageId, Place, codes};

/// The locks of a Node image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeLock {
    /// `package.json`.
    pub manifest: Vec<u8>,
    /// `package-lock.json`, the parent's packages included: npm checks a lock as a whole.
    pub lock: Vec<u8>,
    /// For an image with a parent: the folders that it adds to the parent's, none of them below another.
    pub added: Option<Vec<String>>,
    /// Packages without integrity.
    pub unhashed: Vec<String>,
    /// Where everything stands; a child image goes on from it.
    pub tree: Tree,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum NodeLockError {
    /// The packages cannot be laid out.
    #[error(transparent)]
    Circular(#[from] Circular),
    /// The JSON could not be written.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// Writes the locks of an image on top of its parent's tree; says which packages no lock gives integrity for.
pub fn node_lock(
    view: &View<'_>,
    parent: Option<&Tree>,
    packages: &BTreeMap<&PackageId, &Package>,
) -> Result<(NodeLock, Option<Diagnostic>), NodeLockError> {
    let requires = requires(view, packages);
    let tree = parent.cloned().unwrap_or_default().extend(&view.added, &requires)?;
    let added = parent.map(|parent| {
        let new: Vec<&String> = tree.places().keys().filter(|p| !parent.places().contains_key(*p)).collect();
        let below_another =
            |place: &str| new.iter().any(|n| place.strip_prefix(n.as_str()).is_some_and(|rest| rest.starts_with('/')));
        new.iter().filter(|p| !below_another(p)).map(|p| p.to_string()).collect()
    });
    let integrity = |id: &PackageId| -> Option<String> {
        let hashes = &packages.get(id)?.hashes;
        let mut strong: Vec<&str> = hashes.iter().map(String::as_str).filter(|h| is_integrity(h)).collect();
        strong.sort_unstable();
        (!strong.is_empty()).then(|| strong.join(" "))
    };
    let unhashed: BTreeSet<String> =
        view.added.iter().filter(|id| integrity(id).is_none()).map(PackageId::spec).collect();

    let name = format!("warmset-{}", view.image.id);
    let dependencies: Map<String, Value> = tree.roots().iter().map(|(name, id)| range(name, id)).collect();
    let manifest = json!({ "name": name, "version": "0.0.0", "private": true, "dependencies": dependencies });
    let mut entries = Map::new();
    entries.insert(String::new(), json!({ "name": name, "version": "0.0.0", "dependencies": dependencies }));
    for (place, id) in tree.places() {
        let mut entry = Map::new();
        // An alias: the folder's name is not the package's.
        if !place.ends_with(&format!("node_modules/{}", id.name)) {
            entry.insert("name".into(), json!(id.name));
        }
        entry.insert("version".into(), json!(id.version));
        if let Some(integrity) = integrity(id) {
            entry.insert("integrity".into(), json!(integrity));
        }
        let needs: Map<String, Value> =
            requires.get(id).into_iter().flatten().map(|(name, id)| range(name, id)).collect();
        if !needs.is_empty() {
            entry.insert("dependencies".into(), Value::Object(needs));
        }
        entries.insert(place.clone(), Value::Object(entry));
    }
    let lock = json!({ "name": name, "version": "0.0.0", "lockfileVersion": 3, "requires": true, "packages": entries });
    let diagnostic = (!unhashed.is_empty()).then(|| {
        let names: Vec<&str> = unhashed.iter().map(String::as_str).collect();
        let place = Place::file(view.file("package-lock.json"));
        Diagnostic::new(codes::HASHES_MISSING, place, format!("no integrity for {}", names.join(", ")))
    });
    let lock = NodeLock {
        manifest: json::pretty(&manifest)?,
        lock: json::pretty(&lock)?,
        added,
        unhashed: unhashed.into_iter().collect(),
        tree,
    };
    Ok((lock, diagnostic))
}

/// What each package of the image loads, as far as the image holds it.
fn requires(view: &View<'_>, packages: &BTreeMap<&PackageId, &Package>) -> Requires {
    let held: BTreeSet<&PackageId> = view.packages.iter().collect();
    let mut all = Requires::new();
    for id in &view.packages {
        let Some(package) = packages.get(id) else { continue };
        let sets = package.requires_for(&view.image.platform);
        // Any one set is enough: take one that the image holds all of.
        let set = sets.iter().find(|set| set.iter().all(|p| held.contains(p))).or(sets.first());
        let mut needs = BTreeMap::new();
        for to in set.into_iter().copied().flatten().filter(|to| held.contains(to)) {
            let alias = package.aliases.iter().find(|(_, real)| *real == to).map(|(alias, _)| alias);
            // An alias becomes a folder's name: only one that could be a package's is taken.
            let alias = alias.filter(|a| PackageId::npm(a, &to.version).spec() != to.spec() && is_plain_name(a));
            needs.insert(alias.unwrap_or(&to.name).clone(), to.clone());
        }
        all.insert(id.clone(), needs);
    }
    all
}

fn range(name: &str, id: &PackageId) -> (String, Value) {
    let range = if name == id.name { id.version.clone() } else { format!("npm:{}", id.spec()) };
    (name.to_string(), Value::String(range))
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
    use super::*;
    use crate::emit::samples;
    use crate::emit::view::views;

    #[test]
    fn a_childs_lock_holds_all_and_its_layer_only_what_it_adds() {
        let (plan, inventory) = (samples::plan(), samples::inventory());
        let packages = inventory.packages.iter().map(|p| (&p.id, p)).collect();
        let (views, _) = views(&plan);
        let of = |id: &str| views.iter().find(|v| v.image.id == id).unwrap();
        let (parent, _) = node_lock(of("node20-ms-5c5c"), None, &packages).unwrap();
        assert_eq!(parent.added, None);
        let (child, diagnostic) = node_lock(of("node20-debug-ms-6d6d"), Some(&parent.tree), &packages).unwrap();
        assert_eq!(diagnostic, None);
        assert_eq!(child.added, Some(vec!["node_modules/debug".to_string()]));
        let lock: Value = serde_json::from_slice(&child.lock).unwrap();
        let keys: Vec<&String> = lock["packages"].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["", "node_modules/debug", "node_modules/ms"]);
        assert_eq!(lock["packages"]["node_modules/debug"]["dependencies"]["ms"], "2.1.3");
        assert!(lock["packages"]["node_modules/ms"]["integrity"].as_str().unwrap().starts_with("sha512-6FlzubTL"));
        assert!(!String::from_utf8(child.lock).unwrap().contains("resolved"));
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
        let (lock, diagnostic) = node_lock(ms, None, &packages).unwrap();
        assert_eq!(lock.unhashed, ["ms@2.1.3"]);
        assert!(!String::from_utf8(lock.lock).unwrap().contains("integrity"));
        assert_eq!(diagnostic.unwrap().code, "hashes-missing");
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
        let (lock, _) = node_lock(&views[0], None, &packages).unwrap();
        let lock: Value = serde_json::from_slice(&lock.lock).unwrap();
        assert_eq!(lock["packages"]["node_modules/debug"]["dependencies"]["milli"], "npm:ms@2.1.3");
        assert_eq!(lock["packages"]["node_modules/milli"]["name"], "ms");
    }
}
