//! Which image may serve which function, worked out from names.
//!
//! An image *fits* a function that loads all it holds, on the same platform and in the same trust domain (a Python closure
//! that names two versions of a distribution does not say which of them it loads, so that neither counts). Under the
//! superset rule it may hold more, where that can be told to disturb nothing. A package p of the image that the function
//! does not load is in the way when
//!
//! - the function's closure is not known as a whole (it is not locked, or another of the same closure is not): p may be
//!   there in another version;
//! - the closure, or the image besides, holds a package of p's name in any version;
//! - the closure holds one that provides a module of p's (two builds of OpenCV both provide `cv2`), unless some locked
//!   closure holds both, so that they are known to get along;
//! - the function itself looks for a module of p's: one of its own files has that name, which `sys.modules` would hide,
//!   or it is optional, or provided by the platform.
//!
//! What cannot be seen here stays a risk of the superset rule: a package that looks for another one when it is loaded
//! (pandas for numexpr) finds it on an image that has it.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::classes::class_digest;
use crate::model::inventory::{Function, Import, Inventory, State, Target};
use crate::model::plan::{Image, Plan, Share};
use crate::model::wishes::Wish;
use crate::model::{Ecosystem, Language, PackageId};
use crate::resolve::names::{self, Specifier};

/// What packages provide, and which of them cannot be loaded together.
pub struct Modules<'a> {
    /// Modules by the first part of their name, with the package that provides them.
    by_root: BTreeMap<(Ecosystem, String), Vec<(String, &'a PackageId)>>,
    /// Packages of other names that provide a module of this one, and are in no locked closure with it.
    clashes: BTreeMap<&'a PackageId, BTreeSet<&'a PackageId>>,
}

impl<'a> Modules<'a> {
    /// The modules of all packages of an inventory, and of `more`.
    pub fn new(inventory: &'a Inventory, more: impl IntoIterator<Item = &'a PackageId>) -> Self {
        let mut ids: BTreeSet<&PackageId> = inventory.packages.iter().map(|p| &p.id).collect();
        ids.extend(inventory.functions.iter().flat_map(|f| &f.closure));
        ids.extend(more);
        let mut by_root: BTreeMap<(Ecosystem, String), Vec<(String, &PackageId)>> = BTreeMap::new();
        let mut by_module: BTreeMap<String, BTreeSet<&PackageId>> = BTreeMap::new();
        for id in ids {
            for module in modules(id) {
                if id.ecosystem == Ecosystem::Pypi {
                    by_module.entry(module.clone()).or_default().insert(id);
                }
                by_root.entry((id.ecosystem, root(id.ecosystem, &module).to_string())).or_default().push((module, id));
            }
        }
        by_module.retain(|_, ids| ids.iter().map(|id| &id.name).collect::<BTreeSet<_>>().len() > 1);
        let contested: BTreeSet<&PackageId> = by_module.values().flatten().copied().collect();
        let mut together: BTreeSet<(&PackageId, &PackageId)> = BTreeSet::new();
        for function in inventory.functions.iter().filter(|f| f.state == State::Locked) {
            let held: Vec<&PackageId> = function.closure.iter().filter_map(|id| contested.get(id).copied()).collect();
            together.extend(held.iter().flat_map(|a| held.iter().map(move |b| (*a, *b))));
        }
        let mut clashes: BTreeMap<&PackageId, BTreeSet<&PackageId>> = BTreeMap::new();
        for ids in by_module.values() {
            for a in ids {
                let others = ids.iter().filter(|b| a.name != b.name && !together.contains(&(*a, **b)));
                clashes.entry(a).or_default().extend(others);
            }
        }
        Self { by_root, clashes }
    }

    /// Packages that an import would come upon if they were loaded.
    pub fn found(&self, import: &Import, ecosystem: Ecosystem) -> Vec<&'a PackageId> {
        if !import.kind.is_loaded() {
            return Vec::new();
        }
        let at = |root: &str| self.by_root.get(&(ecosystem, root.to_string())).into_iter().flatten();
        if ecosystem == Ecosystem::Npm {
            return match names::package_of_specifier(&import.module) {
                Specifier::Package { name, .. } => at(&name).map(|(_, id)| *id).collect(),
                _ => Vec::new(),
            };
        }
        // Relative imports have no first part.
        let inside =
            |path: &str, module: &str| path.strip_prefix(module).is_some_and(|r| r.is_empty() || r.starts_with('.'));
        at(root(ecosystem, &import.module))
            .filter(|(module, _)| {
                import.target == Target::Local
                    || inside(&import.module, module)
                    || import.names.iter().any(|name| inside(&format!("{}.{name}", import.module), module))
            })
            .map(|(_, id)| *id)
            .collect()
    }

    /// Packages of other names that cannot be loaded beside this one.
    pub fn clashes(&self, id: &PackageId) -> impl Iterator<Item = &'a PackageId> + '_ {
        self.clashes.get(id).into_iter().flatten().copied()
    }
}

fn modules(id: &PackageId) -> Vec<String> {
    match id.ecosystem {
        Ecosystem::Npm => vec![id.name.clone()],
        Ecosystem::Pypi => match names::modules_for(&id.name) {
            Some(known) => known.into_iter().map(str::to_string).collect(),
            None => vec![id.name.replace('-', "_")],
        },
    }
}

fn root(ecosystem: Ecosystem, module: &str) -> &str {
    match ecosystem {
        Ecosystem::Npm => module,
        Ecosystem::Pypi => module.split('.').next().unwrap_or(module),
    }
}

/// What is known of a class of functions.
struct Facts<'a> {
    complete: bool,
    closure: BTreeSet<&'a PackageId>,
    names: BTreeMap<&'a str, usize>,
    /// What its functions must not find loaded: packages by the modules that they look for, or that clash with theirs.
    hidden: BTreeSet<&'a PackageId>,
}

/// An image as a function sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split<'i> {
    /// Packages that the function loads.
    pub needed: Vec<&'i PackageId>,
    /// Packages that it does not load: none under the subset rule.
    pub unneeded: Vec<&'i PackageId>,
}

/// The rule by which a plan's images serve the functions of an inventory.
pub struct Usable<'a> {
    share: Share,
    /// Pool, and whether it is to start cold, of each function; empty where neither is asked for.
    places: BTreeMap<&'a str, (Option<String>, bool)>,
    classes: BTreeMap<String, Facts<'a>>,
    class_of: BTreeMap<&'a str, String>,
}

impl<'a> Usable<'a> {
    /// `held`: what the plan's images hold.
    pub fn new(plan: &Plan, held: impl IntoIterator<Item = &'a PackageId>, inventory: &'a Inventory) -> Self {
        let share = plan.share;
        let modules = (share == Share::Superset).then(|| Modules::new(inventory, held));
        let mut classes: BTreeMap<String, Facts> = BTreeMap::new();
        let mut class_of = BTreeMap::new();
        let mut places = BTreeMap::new();
        if !plan.pools.is_empty() || plan.demands.iter().any(|d| matches!(d.wished.wish, Wish::Cold { .. })) {
            for function in &inventory.functions {
                let place = (plan.pool_of(function).map(str::to_string), plan.is_cold(function));
                places.insert(function.id.as_str(), place);
            }
        }
        for function in &inventory.functions {
            let Some(platform) = &function.platform else { continue };
            let closure: BTreeSet<&PackageId> = function.closure.iter().collect();
            let sorted: Vec<PackageId> = closure.iter().map(|&id| id.clone()).collect();
            let digest = class_digest(platform, &function.trust_domain, &sorted);
            // What one pool's functions look for does not matter in another.
            let digest = match places.get(function.id.as_str()) {
                Some((pool, cold)) => format!("{digest} {cold} {}", pool.as_deref().unwrap_or_default()),
                None => digest,
            };
            class_of.insert(function.id.as_str(), digest.clone());
            let facts = classes.entry(digest).or_insert_with(|| {
                let mut names: BTreeMap<&str, usize> = BTreeMap::new();
                closure.iter().for_each(|id| *names.entry(id.name.as_str()).or_default() += 1);
                let hidden = modules.iter().flat_map(|m| closure.iter().flat_map(|id| m.clashes(id))).collect();
                Facts { complete: true, closure, names, hidden }
            });
            facts.complete &= function.state == State::Locked;
            if let Some(modules) = &modules {
                let ecosystem = platform.language.ecosystem();
                facts.hidden.extend(function.imports.iter().flat_map(|import| modules.found(import, ecosystem)));
            }
        }
        Self { share, places, classes, class_of }
    }

    /// What functions that see every image alike have in common; none without a platform.
    pub fn class_of(&self, function: &Function) -> Option<&str> {
        self.class_of.get(function.id.as_str()).map(String::as_str)
    }

    /// How a function sees an image that holds `ids`; none when it may not use it.
    pub fn split<'i>(&self, image: &Image, ids: &'i BTreeSet<PackageId>, function: &Function) -> Option<Split<'i>> {
        if function.platform.as_ref() != Some(&image.platform) || function.trust_domain != image.trust_domain {
            return None;
        }
        let (pool, cold) = self.places.get(function.id.as_str()).map_or((None, false), |(p, c)| (p.as_deref(), *c));
        if cold || pool != image.pool.as_deref() {
            return None;
        }
        let facts = self.classes.get(self.class_of.get(function.id.as_str())?)?;
        let once = |id: &PackageId| {
            image.platform.language != Language::Python || facts.names.get(id.name.as_str()) == Some(&1)
        };
        let (needed, unneeded): (Vec<_>, Vec<_>) = ids.iter().partition(|id| facts.closure.contains(id) && once(id));
        let undisturbed = |id: &PackageId| {
            let alone = ids.iter().all(|other| other == id || other.name != id.name);
            alone && !facts.names.contains_key(id.name.as_str()) && !facts.hidden.contains(id)
        };
        let may = match self.share {
            Share::Subset => unneeded.is_empty(),
            Share::Superset => unneeded.is_empty() || (facts.complete && unneeded.iter().all(|id| undisturbed(id))),
        };
        may.then_some(Split { needed, unneeded })
    }
}
