//! Moves worth a plan: versions that some functions have and others could have, the heaviest first.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::classes::sum_weights;
use crate::model::inventory::State;
use crate::model::{PackageId, Platform};

use super::fleet::{Fleet, Target};
use super::moves::{self, Refusal, UnitShift};
use super::{Cost, Options};

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
    /// Milliseconds that the moving functions load of the target: they could save no more.
    pub potential: f64,
}

/// A move that is forbidden.
#[derive(Debug, Clone)]
pub struct Forbidden<'a> {
    /// The version.
    pub package: &'a PackageId,
    /// The lock that cannot move.
    pub unit: usize,
    /// Why.
    pub because: String,
    /// As in [`Candidate`].
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
    for (place, package, holders) in versions {
        let mut refused: BTreeMap<usize, Refusal> = BTreeMap::new();
        let mut allowed: BTreeSet<usize> = BTreeSet::new();
        for (variant, (like, target)) in variants(fleet, package, &holders).into_iter().enumerate() {
            let mut movable: BTreeMap<usize, f64> = BTreeMap::new();
            for unit in units(fleet, place, package) {
                match moves::shift(fleet, unit, &target) {
                    Some(Ok(shift)) => {
                        movable.insert(unit, potential(fleet, cost, place, &shift, &target));
                    }
                    Some(Err(refusal)) => {
                        refused.insert(unit, refusal);
                    }
                    None => {}
                }
            }
            allowed.extend(movable.keys());
            let lock = |unit: &usize| fleet.units[*unit].lock.clone();
            let mut sets: Vec<(BTreeSet<String>, f64)> =
                vec![(movable.keys().map(lock).collect(), movable.values().sum())];
            if (2..=ALONE).contains(&movable.len()) {
                sets.extend(movable.iter().map(|(unit, potential)| (BTreeSet::from([lock(unit)]), *potential)));
            }
            for (locks, potential) in sets {
                if !locks.is_empty() && seen.insert((place, package, locks.clone(), variant)) {
                    found.candidates.push(Candidate { place, like, package, locks, potential });
                }
            }
        }
        for (unit, refusal) in refused.into_iter().filter(|(unit, r)| r.by_range && !allowed.contains(unit)) {
            let potential = loaded(fleet, cost, place, unit, package);
            found.forbidden.push(Forbidden { package, unit, because: refusal.because, potential });
        }
    }
    // Stable: what weighs the same stays in the order of places and names.
    found.candidates.sort_by(|a, b| b.potential.total_cmp(&a.potential));
    found.forbidden.sort_by(|a, b| b.potential.total_cmp(&a.potential));
    found
}

/// Versions that some functions of a place have and others do not, with the functions that have them; the heaviest first.
fn versions<'a>(fleet: &Fleet<'a>, cost: &Cost) -> Vec<(Place<'a>, &'a PackageId, Vec<usize>)> {
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
    let mut all: Vec<(f64, Place<'a>, &'a PackageId, Vec<usize>)> = Vec::new();
    for ((place, _), versions) in by_name.into_iter().filter(|(_, versions)| versions.len() > 1) {
        let total: f64 = versions.values().map(|holders| weight(holders)).sum();
        for (id, holders) in versions {
            // Everything that any of them loads with it is in the target of the first.
            let first = fleet.target(holders[0], id);
            let load: f64 = first.edges.keys().filter_map(|id| cost(id, place.0)).map(|(ms, _)| ms).sum();
            let heavy = load * (total - weight(&holders));
            if load > 0.0 && weight(&holders) > 0.0 && fleet.is_from_registry(id) {
                all.push((heavy, place, id, holders));
            }
        }
    }
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    all.into_iter().map(|(_, place, id, holders)| (place, id, holders)).collect()
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

/// Locks with a function of the place that has another version of a package.
fn units(fleet: &Fleet, place: Place, package: &PackageId) -> Vec<usize> {
    let concerned = |&f: &usize| {
        let function = fleet.function(f);
        function.platform.as_ref() == Some(place.0)
            && function.trust_domain == place.1
            && function.closure.binary_search(package).is_err()
            && function.closure.iter().any(|id| id.name == package.name && id.ecosystem == package.ecosystem)
    };
    (0..fleet.units.len()).filter(|&unit| fleet.units[unit].functions.iter().any(|f| concerned(f))).collect()
}

/// Weighted milliseconds that the functions of a place load of a target once they have moved.
fn potential(fleet: &Fleet, cost: &Cost, place: Place, shift: &UnitShift, target: &Target) -> f64 {
    let of = |shift: &moves::Shift| -> f64 {
        let function = fleet.function(shift.function);
        if function.platform.as_ref() != Some(place.0) || function.trust_domain != place.1 {
            return 0.0;
        }
        let shared = target.edges.keys().filter(|id| shift.closure.contains(*id));
        function.weight * shared.filter_map(|id| cost(id, place.0)).map(|(ms, _)| ms).sum::<f64>()
    };
    shift.functions.iter().map(of).sum()
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
