//! Candidates of groups whose whole family would be too large: what promises to be worth its memory, found without
//! comparing each set with each.
//!
//! An intersection is worth having when many functions share it, or when large functions share much. So each closure
//! is intersected with the heaviest holders of each of its packages: of a rare package those are the few closures like
//! it, of a common one those that most starts fall to. What comes out is intersected once more in the same way.
//!
//! What can never earn its memory is left out: an image that serves all that it could, and saves each of them
//! everything that it loads, yet repays less than `floor` for each MB of a bare host.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashSet};

use super::candidates::{Candidates, package_closure, trim};
use super::problem::{Demand, Group, Set};
use super::subsets::{Holders, list};

/// Heaviest holders of a package that are looked at.
const HOLDERS: usize = 6;
/// Contexts in which a single package's needs are looked up, the heaviest first.
const CONTEXTS: usize = 8;
/// Rounds of intersecting.
const ROUNDS: usize = 2;

/// A set with what all its starts would save.
struct Scored {
    set: Set,
    score: f64,
}

/// Generates candidates of a group, at most `limit`, each of which could save `floor` ms for each MB of a bare host.
pub fn lazy(group: &Group, limit: usize, floor: f64) -> Candidates {
    let demands: Vec<&Demand> = group.demands.iter().filter(|d| d.known > 0.0).collect();
    let holders = Holders::new(group.items.len(), group.demands.iter().map(|d| &d.core));
    let least = floor * group.language.image_overhead_mb.max(0.0);
    let weight: Vec<f64> =
        (0..group.items.len()).map(|i| holders.of(i).iter().map(|&d| group.demands[d as usize].weight).sum()).collect();

    let mut seen: HashSet<Set> = HashSet::new();
    let mut found: Vec<Scored> = Vec::new();
    // Cut down, scored and kept when it is new and worth it.
    let mut offer = |set: Set, found: &mut Vec<Scored>| {
        let set = trim(group, &set);
        let value = group.value_ms(&set);
        let most = set.ones().map(|i| weight[i]).fold(f64::INFINITY, f64::min);
        if set.is_clear() || most * value.max(group.resident_mb(&set) * floor) < least || seen.contains(&set) {
            return;
        }
        let support: f64 = holders.supersets(&set).iter().map(|&d| group.demands[d].weight).sum();
        seen.insert(set.clone());
        // What saves nothing itself may be a parent that saves memory.
        let score = support * value.max(0.0);
        if score >= least {
            found.push(Scored { set, score });
        }
    };

    for demand in &demands {
        offer(demand.core.clone(), &mut found);
    }
    for set in package_closures(group, &demands) {
        offer(set, &mut found);
    }
    let heaviest = heaviest(group, &holders);
    let mut tried: HashSet<Vec<u32>> = HashSet::new();
    let mut frontier: Vec<Vec<u32>> = demands.iter().map(|d| list(&d.core)).collect();
    for _ in 0..ROUNDS {
        let mut common: BTreeSet<Vec<u32>> = BTreeSet::new();
        for items in &frontier {
            let mut partners: Vec<u32> = items.iter().flat_map(|&i| &heaviest[i as usize]).copied().collect();
            partners.sort_unstable();
            partners.dedup();
            for partner in partners {
                let core = &group.demands[partner as usize].core;
                let both: Vec<u32> = items.iter().copied().filter(|&i| core.contains(i as usize)).collect();
                if !both.is_empty() && both.len() < items.len() && tried.insert(both.clone()) {
                    common.insert(both);
                }
            }
        }
        let before = found.len();
        for items in common {
            let most = items.iter().map(|&i| weight[i as usize]).fold(f64::INFINITY, f64::min);
            let load: f64 = items.iter().map(|&i| group.items[i as usize].price.load_ms).sum();
            if most * load >= least {
                let mut set = Set::with_capacity(group.items.len());
                items.iter().for_each(|&i| set.insert(i as usize));
                offer(group.core(&set), &mut found);
            }
        }
        frontier = found[before..].iter().map(|s| list(&s.set)).collect();
    }

    found.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.set.cmp(&b.set)));
    found.truncate(limit);
    // A floor of service needs the closure itself, whatever it is worth.
    let wanted = group.floors.iter().map(|f| trim(group, &group.demands[f.demand].core));
    let sets: BTreeSet<Set> = found.into_iter().map(|s| s.set).chain(wanted).filter(|s| !s.is_clear()).collect();
    Candidates { sets: sets.into_iter().collect(), complete: false }
}

/// For each package, the holders that weigh most.
fn heaviest(group: &Group, holders: &Holders) -> Vec<Vec<u32>> {
    (0..group.items.len())
        .map(|item| {
            let mut all: Vec<u32> = holders.of(item).to_vec();
            let rank = |&d: &u32| (Reverse(Score(group.demands[d as usize].weight)), d);
            if all.len() > HOLDERS {
                all.select_nth_unstable_by_key(HOLDERS, rank);
                all.truncate(HOLDERS);
            }
            all.sort_unstable();
            all
        })
        .collect()
}

/// What each package needs in the heaviest closures that hold it.
fn package_closures(group: &Group, demands: &[&Demand]) -> BTreeSet<Set> {
    let mut order: Vec<usize> = (0..demands.len()).collect();
    order.sort_by_key(|&d| (Reverse(Score(demands[d].weight)), d));
    let mut contexts = vec![0usize; group.items.len()];
    let mut found = BTreeSet::new();
    for d in order {
        for package in demands[d].core.ones() {
            contexts[package] += 1;
            if contexts[package] <= CONTEXTS {
                found.insert(package_closure(group, package, &demands[d].core));
            }
        }
    }
    found
}

/// A finite number that is ordered.
#[derive(PartialEq)]
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
