//! A fleet as the adviser sees it: what requires what inside each closure, and which functions share a lock.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use crate::model::inventory::{Function, Inventory, Package, Requirement, RequiresOn, State, Target as Imported};
use crate::model::{PackageId, Platform};

use super::ranges::{self, Allows};

/// What each package of one closure requires there; `None` where no lock says.
pub type Edges<'a> = BTreeMap<&'a PackageId, Option<BTreeSet<&'a PackageId>>>;

/// Functions that one lock speaks for: what changes for one changes for all.
#[derive(Debug)]
pub struct Unit {
    /// The lock.
    pub lock: String,
    /// Its kind.
    pub kind: String,
    /// Indices of its functions, ascending.
    pub functions: Vec<usize>,
}

/// An inventory, indexed.
pub struct Fleet<'a> {
    /// What is indexed.
    pub inventory: &'a Inventory,
    packages: HashMap<&'a PackageId, &'a Package>,
    /// What locks say of packages: not what moves that were only assumed have added.
    said: HashMap<&'a PackageId, &'a Package>,
    /// Sorted by lock.
    pub units: Vec<Unit>,
    /// By function: its unit.
    pub unit_of: Vec<Option<usize>>,
    views: RefCell<HashMap<usize, Rc<Edges<'a>>>>,
}

/// A version to move to, with all that it needs where it is already.
#[derive(Debug, Clone, PartialEq)]
pub struct Target<'a> {
    /// The version.
    pub package: &'a PackageId,
    /// It and all that it requires in one closure, with what each of those requires.
    pub edges: Edges<'a>,
    /// The extras that are asked of it there.
    pub extras: Vec<String>,
    /// Whether it is only guessed what it requires: no function on the platform has it.
    pub guessed: bool,
}

impl<'a> Fleet<'a> {
    /// Indexes an inventory.
    pub fn new(inventory: &'a Inventory) -> Self {
        Self::after(inventory, inventory)
    }

    /// Indexes what moves have made of an inventory.
    pub fn after(inventory: &'a Inventory, base: &'a Inventory) -> Self {
        let mut by_lock: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
        for (at, function) in inventory.functions.iter().enumerate() {
            if let (Some(lock), Some(_), State::Locked) = (&function.lock, &function.platform, function.state) {
                by_lock.entry((&lock.file, &lock.kind)).or_default().push(at);
            }
        }
        let unit = |((lock, kind), functions): ((&str, &str), Vec<usize>)| Unit {
            lock: lock.into(),
            kind: kind.into(),
            functions,
        };
        let units: Vec<Unit> = by_lock.into_iter().map(unit).collect();
        let mut unit_of = vec![None; inventory.functions.len()];
        for (at, unit) in units.iter().enumerate() {
            unit.functions.iter().for_each(|&f| unit_of[f] = Some(at));
        }
        Self {
            inventory,
            packages: inventory.packages.iter().map(|p| (&p.id, p)).collect(),
            said: base.packages.iter().map(|p| (&p.id, p)).collect(),
            units,
            unit_of,
            views: RefCell::default(),
        }
    }

    /// A function by its index.
    pub fn function(&self, at: usize) -> &'a Function {
        &self.inventory.functions[at]
    }

    /// What is known of a package.
    pub fn package(&self, id: &PackageId) -> Option<&'a Package> {
        self.packages.get(id).copied()
    }

    /// Whether a package allows another as its dependency.
    pub fn allows(&self, dependent: &PackageId, id: &PackageId) -> Allows {
        ranges::dependent(self.said.get(dependent).copied(), id)
    }

    /// Whether a package is what a registry holds.
    pub fn is_from_registry(&self, id: &PackageId) -> bool {
        self.package(id).is_some_and(Package::is_from_registry)
    }

    /// What requires what inside a function's closure.
    pub fn edges(&self, at: usize) -> Rc<Edges<'a>> {
        if let Some(known) = self.views.borrow().get(&at) {
            return Rc::clone(known);
        }
        let function = self.function(at);
        let closure: BTreeSet<&'a PackageId> = function.closure.iter().collect();
        let of = |id: &'a PackageId| -> Option<BTreeSet<&'a PackageId>> {
            let sets = self.package(id)?.requires_for(function.platform.as_ref()?);
            let mut here = sets.into_iter().filter(|set| set.iter().all(|r| closure.contains(r))).peekable();
            here.peek()?;
            Some(here.flatten().filter(|r| *r != id).collect())
        };
        let edges: Rc<Edges<'a>> = Rc::new(closure.iter().map(|id| (*id, of(id))).collect());
        self.views.borrow_mut().insert(at, Rc::clone(&edges));
        edges
    }

    /// A version and all that it requires in a function's closure.
    pub fn target(&self, at: usize, package: &'a PackageId) -> Target<'a> {
        let all = self.edges(at);
        let mut edges = Edges::new();
        let mut queue = vec![package];
        while let Some(id) = queue.pop() {
            if edges.contains_key(id) {
                continue;
            }
            let requires = all.get(id).cloned().flatten();
            queue.extend(requires.iter().flatten());
            edges.insert(id, requires);
        }
        Target { package, edges, extras: self.extras(at, &package.name), guessed: false }
    }

    /// The same version as another platform has it: what its functions load with it, or, where there are none, what the
    /// function there has of the target's names.
    pub fn target_for(&self, at: usize, target: &Target<'a>, platform: &Platform) -> Target<'a> {
        let function = self.function(at);
        if function.platform.as_ref() == Some(platform) {
            return target.clone();
        }
        let there = |f: &Function| f.platform == function.platform && f.state == State::Locked;
        let has = |f: &Function| f.closure.binary_search(target.package).is_ok();
        if let Some(other) = self.inventory.functions.iter().position(|f| there(f) && has(f)) {
            return self.target(other, target.package);
        }
        let names: BTreeSet<&str> = function.closure.iter().map(|id| id.name.as_str()).collect();
        let edges = target.edges.keys().filter(|id| names.contains(id.name.as_str())).map(|id| (*id, None)).collect();
        Target { edges, guessed: true, ..target.clone() }
    }

    /// Extras that a function asks of a package that it declares.
    pub fn extras(&self, at: usize, name: &str) -> Vec<String> {
        let mut all: Vec<String> =
            self.function(at).declared.iter().filter(|r| r.name == name).flat_map(ranges::extras).collect();
        all.sort();
        all.dedup();
        all
    }

    /// Where a function declares a package.
    pub fn declared(&self, at: usize, name: &str) -> impl Iterator<Item = &'a Requirement> + use<'a> {
        let name = name.to_string();
        self.function(at).declared.iter().filter(move |r| r.name == name)
    }

    /// Names of packages that a function imports itself.
    pub fn imported(&self, at: usize) -> BTreeSet<&'a str> {
        let names = self.function(at).imports.iter().filter_map(|i| match &i.target {
            Imported::Package { package } => Some(package.as_str()),
            _ => None,
        });
        names.collect()
    }
}

/// The part of an inventory that decides a plan and whether a move is allowed: all else is left out, as it is copied for
/// every plan.
pub fn slim(inventory: &Inventory) -> Inventory {
    let mut slim = Inventory::empty();
    for function in &inventory.functions {
        let mut seen = BTreeSet::new();
        let mut imports = Vec::new();
        for import in &function.imports {
            if let Imported::Package { package } = &import.target
                && seen.insert(package)
            {
                imports.push(import.clone());
            }
        }
        let mut closure = function.closure.clone();
        closure.sort();
        closure.dedup();
        slim.functions.push(Function {
            platform: function.platform.clone(),
            path: function.path.clone(),
            trust_domain: function.trust_domain.clone(),
            weight: function.weight,
            state: function.state,
            lock: function.lock.clone(),
            declared: function.declared.clone(),
            unresolved: function.unresolved.clone(),
            imports,
            closure,
            ..Function::new(&function.id)
        });
    }
    slim.packages =
        inventory.packages.iter().map(|p| Package { hashes: Vec::new(), reason: Vec::new(), ..p.clone() }).collect();
    slim
}

/// Adds a set to those of which any one is what a package requires on a platform.
pub fn allow_set(package: &mut Package, platform: &Platform, set: Vec<PackageId>) {
    let known = package.requires_for(platform).contains(&set.as_slice());
    if known {
        return;
    }
    if package.requires_on.iter().all(|on| on.platform != *platform)
        && let Some(requires) = package.requires.clone()
    {
        package.requires_on.push(RequiresOn { platform: platform.clone(), requires });
    }
    package.requires_on.push(RequiresOn { platform: platform.clone(), requires: set });
    package.requires_on.sort();
}
