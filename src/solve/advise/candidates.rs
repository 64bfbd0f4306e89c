//! Moves worth a plan: versions that some functions have and others could have, the heaviest first.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::graph::classes::sum_weights;
use crate::model::advice::Direction;
use crate::model::inventory::{Requirement, State};
use crate::model::{PackageId, Platform};

use super::fleet::{Fleet, Target};
use super::moves::{self, Refusal, UnitShift};
use super::{Cost, Options, ranges};

/// Closures of one target that are tried: they differ in the versions of what it requires.
const VARIANTS: usize = 2;
/// Locks up to which each is also tried alone.
const ALONE: usize = 8;

/// Where images can be shared.
pub type Place<'a> = (&'a Platform, &'a str);

/// A target and the locks that move to it. It holds for any inventory of the same functions.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate<'a> {
    /// Where it is to be shared.
    pub place: Place<'a>,
    /// Where the versions that it requires are taken from: the index of a function.
    pub like: usize,
    /// The version.
    pub package: &'a PackageId,
    /// Locks that move.
    pub locks: BTreeSet<String>,
    /// Milliseconds that the functions of the place load of the target afterwards, beyond those of the version that most of
    /// them have: about what one image in place of several can save.
    pub potential: f64,
    /// Whether some function would fall back to an earlier version.
    pub falls: bool,
}

/// A move that is forbidden.
#[derive(Debug, Clone)]
pub struct Forbidden<'a> {
    /// The version.
    pub package: &'a PackageId,
    /// Where the versions that it requires are taken from: the index of a function.
    pub like: usize,
    /// The lock that cannot move.
    pub unit: usize,
    /// What forbids it.
    pub declared: Requirement,
    /// Milliseconds that the functions of the place load of the versions that they have.
    pub potential: f64,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found<'a> {
    /// The heaviest first.
    pub candidates: Vec<Candidate<'a>>,
    /// The heaviest first.
    pub forbidden: Vec<Forbidden<'a>>,
    /// Targets there are.
    pub versions: usize,
    /// Targets whose ranges were checked.
    pub checked: usize,
}

/// Finds targets, and which locks may move to them.
pub fn find<'a>(fleet: &Fleet<'a>, cost: &Cost, options: &Options) -> Found<'a> {
    let mut versions = versions(fleet, cost);
    let mut found = Found { versions: versions.len(), ..Found::default() };
    versions.truncate(options.max_checked);
    found.checked = versions.len();
    let mut seen: BTreeSet<(Place<'a>, &PackageId, BTreeSet<String>, usize)> = BTreeSet::new();
    for Version { place, package, holders, all } in versions {
        let mut refused: BTreeMap<usize, (usize, Requirement)> = BTreeMap::new();
        let mut allowed: BTreeSet<usize> = BTreeSet::new();
        for (variant, (like, target)) in variants(fleet, package, &holders).into_iter().enumerate() {
            let mut movable: BTreeMap<usize, Vec<(&'a PackageId, f64)>> = BTreeMap::new();
            for unit in units(fleet, &all, package) {
                match moves::shift(fleet, unit, &target, false) {
                    Some(Ok(shift)) => {
                        movable.insert(unit, weights(fleet, place, &shift, package));
                    }
                    Some(Err(Refusal { declared: Some(declared), .. })) => {
                        refused.entry(unit).or_insert((like, declared));
                    }
                    Some(Err(_)) | None => {}
                }
            }
            allowed.extend(movable.keys());
            let mut sets: Vec<Vec<usize>> = vec![movable.keys().copied().collect()];
            if (2..=ALONE).contains(&movable.len()) {
                sets.extend(movable.keys().map(|unit| vec![*unit]));
            }
            let load: f64 = target.edges.keys().filter_map(|id| cost(id, place.0)).map(|(ms, _)| ms).sum();
            let held = sum_weights(holders.iter().map(|&f| fleet.function(f).weight));
            for units in sets.into_iter().filter(|units| !units.is_empty()) {
                let mut from: BTreeMap<&PackageId, f64> = BTreeMap::new();
                for (id, weight) in units.iter().flat_map(|unit| &movable[unit]) {
                    *from.entry(id).or_default() += weight;
                }
                let most = from.values().copied().fold(held, f64::max);
                let potential = load * (held + from.values().sum::<f64>() - most);
                let falls = from.keys().any(|id| ranges::direction(id, package) == Direction::Downgrade);
                let locks: BTreeSet<String> = units.iter().map(|unit| fleet.units[*unit].lock.clone()).collect();
                if seen.insert((place, package, locks.clone(), variant)) {
                    found.candidates.push(Candidate { place, like, package, locks, potential, falls });
                }
            }
        }
        for (unit, (like, declared)) in refused.into_iter().filter(|(unit, _)| !allowed.contains(unit)) {
            let potential = loaded(fleet, cost, place, unit, package);
            found.forbidden.push(Forbidden { package, like, unit, declared, potential });
        }
    }
    // Stable: what weighs the same stays in the order of places and names.
    let better = |a: &Candidate, b: &Candidate| {
        let size = |c: &Candidate| (c.falls, c.locks.len());
        b.potential.total_cmp(&a.potential).then_with(|| size(a).cmp(&size(b)))
    };
    found.candidates.sort_by(better);
    found.forbidden.sort_by(|a, b| b.potential.total_cmp(&a.potential));
    found
}

/// A version that some functions of a place have and others do not.
struct Version<'a> {
    place: Place<'a>,
    package: &'a PackageId,
    /// The functions that have it.
    holders: Vec<usize>,
    /// All that have any version of its name.
    all: Rc<[usize]>,
}

/// Versions that some functions of a place have and others do not; the heaviest first.
fn versions<'a>(fleet: &Fleet<'a>, cost: &Cost) -> Vec<Version<'a>> {
    let mut by_name: BTreeMap<(Place<'a>, &str), BTreeMap<&PackageId, Vec<usize>>> = BTreeMap::new();
    for (at, function) in fleet.inventory.functions.iter().enumerate() {
        if let (Some(platform), State::Locked) = (&function.platform, function.state) {
            for id in &function.closure {
                let versions = by_name.entry(((platform, &function.trust_domain), &id.name)).or_default();
                versions.entry(id).or_default().push(at);
            }
        }
    }
    let weight = |of: &[usize]| sum_weights(of.iter().map(|&f| fleet.function(f).weight));
    let mut found: Vec<(f64, Version<'a>)> = Vec::new();
    for ((place, _), versions) in by_name.into_iter().filter(|(_, versions)| versions.len() > 1) {
        let total: f64 = versions.values().map(|holders| weight(holders)).sum();
        let all: Rc<[usize]> = versions.values().flatten().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let most = versions.values().map(|holders| weight(holders)).fold(0.0, f64::max);
        for (id, holders) in versions {
            let first = fleet.target(holders[0], id);
            let load: f64 = first.edges.keys().filter_map(|id| cost(id, place.0)).map(|(ms, _)| ms).sum();
            let heavy = load * (total - most);
            if load > 0.0 && weight(&holders) > 0.0 && fleet.is_from_registry(id) {
                found.push((heavy, Version { place, package: id, holders, all: Rc::clone(&all) }));
            }
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.into_iter().map(|(_, version)| version).collect()
}

/// The closures that a version has, those of the most functions first.
fn variants<'a>(fleet: &Fleet<'a>, package: &'a PackageId, holders: &[usize]) -> Vec<(usize, Target<'a>)> {
    let mut found: Vec<(f64, usize, Target<'a>)> = Vec::new();
    for &at in holders {
        let target = fleet.target(at, package);
        match found.iter_mut().find(|(_, _, known)| known.edges == target.edges) {
            Some((weight, ..)) => *weight += fleet.function(at).weight,
            None => found.push((fleet.function(at).weight, at, target)),
        }
        // Beyond, the heaviest are most likely among them.
        if found.len() > 4 * VARIANTS {
            break;
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.into_iter().take(VARIANTS).map(|(_, at, target)| (at, target)).collect()
}

/// Locks of functions that lack a version.
fn units(fleet: &Fleet, functions: &[usize], package: &PackageId) -> BTreeSet<usize> {
    let lacks = |f: &&usize| fleet.function(**f).closure.binary_search(package).is_err();
    functions.iter().filter(lacks).filter_map(|&f| fleet.unit_of[f]).collect()
}

/// The versions that functions of a place move from, each with its weight.
fn weights<'a>(fleet: &Fleet<'a>, place: Place, shift: &UnitShift, package: &PackageId) -> Vec<(&'a PackageId, f64)> {
    let functions = shift.functions.iter().map(|s| fleet.function(s.function));
    let here = functions.filter(|f| f.platform.as_ref() == Some(place.0) && f.trust_domain == place.1);
    here.filter_map(|f| Some((f.closure.iter().find(|id| id.name == package.name)?, f.weight))).collect()
}

/// Weighted milliseconds that the functions of a lock and a place load of the versions of a name that they have, and of what
/// those require.
fn loaded(fleet: &Fleet, cost: &Cost, place: Place, unit: usize, package: &PackageId) -> f64 {
    let of = |&f: &usize| -> f64 {
        let function = fleet.function(f);
        if function.platform.as_ref() != Some(place.0) || function.trust_domain != place.1 {
            return 0.0;
        }
        let own = function.closure.iter().filter(|id| id.name == package.name && *id != package);
        let all: BTreeSet<&PackageId> = own.flat_map(|id| fleet.target(f, id).edges.into_keys()).collect();
        function.weight * all.into_iter().filter_map(|id| cost(id, place.0)).map(|(ms, _)| ms).sum::<f64>()
    };
    fleet.units[unit].functions.iter().map(of).sum()
}
