//! Sets of packages that are worth considering as images.
//!
//! The whole family: the cores of the closures, all their intersections, and what each single package needs within a
//! closure; each cut to its dependency-closed core and then trimmed of what saves nothing. Any other image could be enlarged
//! to a member of the family without losing a function, but that may take more memory: a bound over the family is a bound
//! over the plans made of it, and is stated as such.
//!
//! Closures that are only expected are members themselves, but are not intersected: there may be many more of them than
//! known ones, and being parts of known closures they are much like intersections already.
//! Under the superset rule unions of closures join it ([`superset::unions`]): of those it holds some, never all.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashSet};

use super::lazy::lazy;
use super::prior;
use super::problem::{Demand, Group, Set};
use super::superset;
use super::trim::{fit, package_closure, trim};

/// The candidates of one group.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidates {
    /// Sorted, each once, none empty.
    pub sets: Vec<Set>,
    /// Whether this is the whole family, not cut short by the limit.
    pub complete: bool,
}

/// Distinct closures in which a single package's needs are looked up.
const CONTEXTS: usize = 64;
/// Most expected closures that may be images: with the 700 of the default instead, cross-validation gains 0.001 and
/// planning takes a third longer.
const EXPECTED: usize = 400;
/// Intersections tried for each candidate allowed.
const WORK_PER_CANDIDATE: usize = 2_000;

/// Sets up to which a family is generated whole, and closures up to which that is tried: real ones have three to five times
/// as many sets in their family.
const WHOLE: usize = 5_000;
const CLOSURES: usize = 1_500;

/// Generates the family, at most `limit` sets of it.
pub fn candidates(group: &Group, limit: usize) -> Candidates {
    candidates_above(group, limit, 0.0)
}

/// Generates the family, at most `limit` sets of it. Where it is too large, those that promise most, and nothing that
/// could not save `floor` ms for each MB of a bare host.
pub fn candidates_above(group: &Group, limit: usize, floor: f64) -> Candidates {
    let limit = limit.max(1);
    // Whoever asks for less than the whole gets what promises most of it.
    if !is_large(group) || limit < WHOLE || superset::is_wide(group) {
        let whole = family(group, limit.min(WHOLE));
        if whole.complete || limit < WHOLE || superset::is_wide(group) {
            return whole;
        }
    }
    Candidates { sets: lazy(group, limit, floor), complete: false }
}

/// Whether the family is too large for certain.
pub fn is_large(group: &Group) -> bool {
    group.demands.iter().filter(|d| d.known > 0.0).count() > CLOSURES
}

/// Generates the family, at most `limit` sets of it: then those whose weight served times value is highest are extended
/// first.
fn family(group: &Group, limit: usize) -> Candidates {
    let limit = superset::limit(group, limit).max(1);
    // Half of the room at most goes to what only the superset rule makes worth having.
    let unions = if superset::is_wide(group) { superset::unions(group, limit / 2) } else { BTreeSet::new() };
    let limit = limit - unions.len();
    let mut complete = true;
    let mut seen: HashSet<Set> = HashSet::new();
    let mut family: BTreeSet<Set> = BTreeSet::new();
    let mut queue: BinaryHeap<(Score, Reverse<Set>)> = BinaryHeap::new();
    let score = |set: &Set| Score(support(group, set) * group.load_ms(set));

    // What never starts gives no images, unless it is asked for all the same.
    let asked = |d: usize| group.floors.iter().any(|floor| floor.demand == d);
    let demands: Vec<&Demand> =
        group.demands.iter().enumerate().filter(|(i, d)| d.known > 0.0 || asked(*i)).map(|(_, d)| d).collect();
    for demand in &demands {
        seen.insert(demand.core.clone());
        family.insert(demand.core.clone());
        queue.push((score(&demand.core), Reverse(demand.core.clone())));
    }
    for set in package_closures(group, &demands) {
        if seen.insert(set.clone()) {
            family.insert(set);
        }
    }

    let mut expected: Vec<(Reverse<Score>, &Set)> = group
        .demands
        .iter()
        .filter(|d| prior::is_expected(d))
        .map(|d| (Reverse(Score(d.weight * group.load_ms(&d.core))), &d.core))
        .collect();
    expected.sort();
    family.extend(expected.into_iter().take(EXPECTED).map(|(_, core)| core.clone()));

    // Intersecting each new set with every closure once reaches every intersection of any number of closures.
    let mut work = limit.saturating_mul(WORK_PER_CANDIDATE);
    let mut extended: usize = demands.len();
    'generate: while let Some((_, Reverse(set))) = queue.pop() {
        for demand in &demands {
            if work == 0 || extended >= limit {
                complete = false;
                break 'generate;
            }
            work -= 1;
            let mut common = set.clone();
            common.intersect_with(&demand.core);
            if common.is_clear() || !seen.insert(common.clone()) {
                continue;
            }
            let core = group.core(&common);
            if core.is_clear() || (core != common && !seen.insert(core.clone())) {
                continue;
            }
            extended += 1;
            queue.push((score(&core), Reverse(core.clone())));
            family.insert(core);
        }
    }

    let mut trimmed: BTreeSet<Set> = family.iter().map(|set| trim(group, set)).filter(|set| !set.is_clear()).collect();
    if group.max_image_mb.is_finite() {
        trimmed.extend(demands.iter().filter(|d| !group.allows(&trim(group, &d.core))).map(|d| fit(group, &d.core)));
        trimmed.retain(|set| !set.is_clear() && group.allows(set));
    }
    let mut sets: Vec<Set> = trimmed.into_iter().collect();
    if sets.len() > limit {
        complete = false;
        let mut ranked: BTreeMap<(Reverse<Score>, Set), ()> = BTreeMap::new();
        for set in sets {
            let value = support(group, &set) * group.value_ms(&set).max(0.0);
            ranked.insert((Reverse(Score(value)), set), ());
        }
        sets = ranked.into_keys().take(limit).map(|(_, set)| set).collect();
        sets.sort();
    }
    if !unions.is_empty() {
        sets.extend(unions);
        sets.sort();
        sets.dedup();
    }
    Candidates { sets, complete }
}

/// For each package, what it needs in each of the closures that hold it.
fn package_closures(group: &Group, demands: &[&Demand]) -> BTreeSet<Set> {
    let mut found = BTreeSet::new();
    let mut contexts = vec![0usize; group.items.len()];
    for demand in demands {
        for package in demand.core.ones() {
            contexts[package] += 1;
            // With one set of requirements everywhere the first context tells all.
            if contexts[package] <= CONTEXTS {
                found.insert(package_closure(group, package, &demand.core));
            }
        }
    }
    found
}

/// Weight of the demands that an image could serve.
fn support(group: &Group, set: &Set) -> f64 {
    group.demands.iter().filter(|d| set.is_subset(&d.core)).map(|d| d.weight).sum()
}

/// A finite number that is ordered.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Score(f64);

impl Eq for Score {}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::solve::required::tests::instance_group;

    /// a (10 ms, 3 MB), b (4 ms, 2 MB), c (9 ms, 3 MB): in 6 MB a and c, which bring most for each MB; in 5 MB a and b,
    /// as c does not fit beside a.
    #[test]
    fn what_is_too_large_is_cut_to_what_brings_most() {
        let mut group = instance_group();
        let mut all = Set::with_capacity(3);
        all.insert_range(..);
        for (most, held) in [(6.0, vec![0, 2]), (5.0, vec![0, 1]), (2.0, vec![1]), (1.0, vec![])] {
            group.max_image_mb = most;
            assert_eq!(fit(&group, &all).ones().collect::<Vec<_>>(), held, "{most} MB");
        }
        // Nothing larger than that is a candidate, and what is left of a closure is one: {a, c} is no part of another.
        group.max_image_mb = 5.5;
        assert!(candidates(&group, 100).sets.iter().all(|set| group.resident_mb(set) <= 5.5));
    }
}
