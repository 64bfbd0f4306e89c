//! Sets of packages that are worth considering as images.
//!
//! The whole family: the cores of the closures, all their intersections, and what each single package needs within a
//! closure; each cut to its dependency-closed core and then trimmed of what saves nothing. Any other image could be enlarged
//! to a member of the family without losing a function, but that may take more memory: a bound over the family is a bound
//! over the plans made of it, and is stated as such.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashSet};

use super::lazy::lazy;
use super::problem::{Demand, Group, Set};

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
    if !is_large(group) || limit < WHOLE {
        let whole = family(group, limit.min(WHOLE));
        if whole.complete || limit < WHOLE {
            return whole;
        }
    }
    lazy(group, limit, floor)
}

/// Whether the family is too large for certain.
pub fn is_large(group: &Group) -> bool {
    group.demands.len() > CLOSURES
}

/// Generates the family, at most `limit` sets of it: then those whose weight served times value is highest are extended
/// first.
fn family(group: &Group, limit: usize) -> Candidates {
    let limit = limit.max(1);
    let mut complete = true;
    let mut seen: HashSet<Set> = HashSet::new();
    let mut family: BTreeSet<Set> = BTreeSet::new();
    let mut queue: BinaryHeap<(Score, Reverse<Set>)> = BinaryHeap::new();
    let score = |set: &Set| Score(support(group, set) * group.load_ms(set));

    let demands: Vec<&Demand> = group.demands.iter().filter(|d| d.known > 0.0).collect();
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

    let trimmed: BTreeSet<Set> = family.iter().map(|set| trim(group, set)).filter(|set| !set.is_clear()).collect();
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
    Candidates { sets, complete }
}

/// Takes out what costs at least as much as it saves (`load ≤ swap_per_mb · resident`) and is required by nothing that
/// remains: what is left is what the worthwhile packages of the set need.
pub fn trim(group: &Group, set: &Set) -> Set {
    let worthwhile = |i: usize| {
        let price = &group.items[i].price;
        price.load_ms > group.language.swap_ms_per_mb * price.resident_mb
    };
    let mut kept = Set::with_capacity(group.items.len());
    let mut pending: Vec<usize> = set.ones().filter(|&i| worthwhile(i)).collect();
    while let Some(i) = pending.pop() {
        if kept.put(i) {
            continue;
        }
        // Every set of requirements that is there, so that trimming a smaller set never keeps more.
        for requires in group.items[i].requires.iter().filter(|r| r.is_subset(set)) {
            pending.extend(requires.ones().filter(|&r| !kept.contains(r)));
        }
    }
    kept
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

/// What a package needs, taking the first set of requirements that is wholly within `context` (which is closed).
fn package_closure(group: &Group, package: usize, context: &Set) -> Set {
    let mut closure = Set::with_capacity(group.items.len());
    let mut pending = vec![package];
    while let Some(i) = pending.pop() {
        if closure.put(i) {
            continue;
        }
        if let Some(requires) = group.items[i].requires.iter().find(|r| r.is_subset(context)) {
            pending.extend(requires.ones());
        }
    }
    closure
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
