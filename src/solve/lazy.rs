//! Candidates of groups whose whole family would be too large: what promises to be worth its memory, found without
//! comparing each set with each.
//!
//! An intersection is worth having when many functions share it, or when large functions share much. So each closure
//! is intersected with the heaviest holders of each of its packages: of a rare package those are the few closures like
//! it, of a common one those that most starts fall to. What comes out is intersected once more in the same way. The sets
//! for which weight served times value is highest are kept, a few for each closure.
//!
//! What can never earn its memory is left out: an image that serves all that it could, and saves each of them
//! everything that it loads, yet repays less than `floor` for each MB of a bare host.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashSet};

use super::prior;
use super::problem::{Group, Set};
use super::subsets::{Holders, list};
use super::trim::{fit, trim};

/// Heaviest holders of a package that are looked at.
const HOLDERS: usize = 6;
/// Closures in which a single package's needs are looked up, the heaviest first.
const CONTEXTS: usize = 8;
/// Rounds of intersecting.
const ROUNDS: usize = 2;
/// Candidates kept for each closure, and so many besides.
const FOR_EACH: usize = 2;
const BESIDES: usize = 1_000;

/// Items of a group, ascending.
type Items = Vec<u32>;

/// Generates candidates of a group, at most `limit`, each of which could save `floor` ms for each MB of a bare host.
pub fn lazy(group: &Group, limit: usize, floor: f64) -> Vec<Set> {
    let cores: Vec<Items> = group.demands.iter().map(|d| list(&d.core)).collect();
    let known: Vec<usize> = (0..cores.len()).filter(|&d| group.demands[d].known > 0.0).collect();
    let expected: Vec<usize> = (0..cores.len()).filter(|&d| prior::is_expected(&group.demands[d])).collect();
    let mut pool = Pool::new(group, floor);
    for &d in known.iter().chain(&expected) {
        pool.offer(&cores[d]);
    }
    for set in package_closures(group, &cores, &known, &mut pool.needs) {
        pool.offer(&set);
    }
    let heaviest = heaviest(group, &pool.holders);
    let mut tried: HashSet<Items> = HashSet::new();
    let mut frontier: Vec<Items> = known.iter().map(|&d| cores[d].clone()).collect();
    for _ in 0..ROUNDS {
        let mut common: BTreeSet<Items> = BTreeSet::new();
        for items in &frontier {
            let mut partners: Vec<u32> = items.iter().flat_map(|&i| &heaviest[i as usize]).copied().collect();
            partners.sort_unstable();
            partners.dedup();
            for partner in partners {
                let core = &group.demands[partner as usize].core;
                let both: Items = items.iter().copied().filter(|&i| core.contains(i as usize)).collect();
                if !both.is_empty() && both.len() < items.len() && !tried.contains(&both) {
                    tried.insert(both.clone());
                    common.insert(both);
                }
            }
        }
        let before = pool.found.len();
        for items in common {
            if pool.may_be_worth(&items) {
                let core = pool.needs.core(&items);
                pool.offer(&core);
            }
        }
        frontier = pool.found[before..].iter().map(|(_, items)| items.clone()).collect();
    }

    let mut found = pool.found;
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    found.truncate(limit.min(FOR_EACH * known.len() + BESIDES));
    // A floor of service needs the closure itself, whatever it is worth.
    let wanted = group.floors.iter().map(|f| pool.needs.trim(&cores[f.demand]));
    let mut sets: BTreeSet<Set> = found
        .into_iter()
        .map(|(_, items)| items)
        .chain(wanted)
        .filter(|s| !s.is_empty())
        .map(|s| set(group, &s))
        .collect();
    if group.max_image_mb.is_finite() {
        let cut = known.iter().map(|&d| &group.demands[d].core).filter(|core| !group.allows(&trim(group, core)));
        sets.extend(cut.map(|core| fit(group, core)));
        sets.retain(|set| !set.is_clear() && group.allows(set));
    }
    sets.into_iter().collect()
}

fn set(group: &Group, items: &[u32]) -> Set {
    let mut set = Set::with_capacity(group.items.len());
    items.iter().for_each(|&i| set.insert(i as usize));
    set
}

/// What was found so far.
struct Pool<'a> {
    group: &'a Group,
    holders: Holders<'a>,
    needs: Needs<'a>,
    /// For each package the weight of the demands that hold it.
    weight: Vec<f64>,
    /// Least milliseconds that a candidate must be able to save in the period.
    least: f64,
    seen: HashSet<Items>,
    /// Sets with what all their starts would save.
    found: Vec<(f64, Items)>,
}

impl<'a> Pool<'a> {
    fn new(group: &'a Group, floor: f64) -> Self {
        let holders = Holders::new(group.items.len(), group.demands.iter().map(|d| &d.core));
        let held = |i: usize| holders.of(i).iter().map(|&d| group.demands[d as usize].weight).sum();
        Self {
            group,
            weight: (0..group.items.len()).map(held).collect(),
            holders,
            needs: Needs::new(group),
            least: floor * group.language.image_overhead_mb.max(0.0),
            seen: HashSet::new(),
            found: Vec::new(),
        }
    }

    /// Whether a set could save enough if all that hold its rarest package held it.
    fn may_be_worth(&self, items: &[u32]) -> bool {
        let most = items.iter().map(|&i| self.weight[i as usize]).fold(f64::INFINITY, f64::min);
        let load: f64 = items.iter().map(|&i| self.group.items[i as usize].price.load_ms).sum();
        !items.is_empty() && most * load >= self.least
    }

    /// Takes a closed set in when it is new and could be worth its memory.
    fn offer(&mut self, items: &[u32]) {
        let items = self.needs.trim(items);
        if !self.may_be_worth(&items) || self.seen.contains(&items) {
            return;
        }
        let set = set(self.group, &items);
        let support: f64 = self.holders.supersets(&set).iter().map(|&d| self.group.demands[d].weight).sum();
        let score = support * self.group.value_ms(&set).max(0.0);
        self.seen.insert(items.clone());
        if score >= self.least {
            self.found.push((score, items));
        }
    }
}

/// What packages require, for sets that are short lists.
struct Needs<'a> {
    group: &'a Group,
    requires: Vec<Vec<Items>>,
    /// Items that are in the set at hand.
    there: Vec<bool>,
}

impl<'a> Needs<'a> {
    fn new(group: &'a Group) -> Self {
        let requires = group.items.iter().map(|item| item.requires.iter().map(list).collect()).collect();
        Self { group, requires, there: vec![false; group.items.len()] }
    }

    /// As [`Group::core`].
    fn core(&mut self, items: &[u32]) -> Items {
        let mut core = items.to_vec();
        core.iter().for_each(|&i| self.there[i as usize] = true);
        loop {
            let there = &self.there;
            let has = |i: u32| self.requires[i as usize].iter().any(|r| r.iter().all(|&r| there[r as usize]));
            let lost: Items = core.iter().copied().filter(|&i| !has(i)).collect();
            lost.iter().for_each(|&i| self.there[i as usize] = false);
            if lost.is_empty() {
                break;
            }
            core.retain(|&i| self.there[i as usize]);
        }
        core.iter().for_each(|&i| self.there[i as usize] = false);
        core
    }

    /// As [`super::trim::trim`].
    fn trim(&mut self, items: &[u32]) -> Items {
        items.iter().for_each(|&i| self.there[i as usize] = true);
        let worthwhile = |i: u32| {
            let price = &self.group.items[i as usize].price;
            price.load_ms > self.group.language.swap_ms_per_mb * price.resident_mb
        };
        let mut kept: BTreeSet<u32> = BTreeSet::new();
        let mut pending: Items = items.iter().copied().filter(|&i| worthwhile(i)).collect();
        while let Some(i) = pending.pop() {
            if kept.insert(i) {
                for requires in &self.requires[i as usize] {
                    if requires.iter().all(|&r| self.there[r as usize]) {
                        pending.extend(requires.iter().filter(|r| !kept.contains(r)));
                    }
                }
            }
        }
        items.iter().for_each(|&i| self.there[i as usize] = false);
        kept.into_iter().collect()
    }

    /// What a package needs, taking the first of its sets of requirements that is wholly within a closed set.
    fn of(&mut self, package: u32, within: &[u32]) -> Items {
        within.iter().for_each(|&i| self.there[i as usize] = true);
        let mut closure: BTreeSet<u32> = BTreeSet::new();
        let mut pending = vec![package];
        while let Some(i) = pending.pop() {
            if closure.insert(i) {
                let sets = &self.requires[i as usize];
                pending.extend(sets.iter().find(|r| r.iter().all(|&r| self.there[r as usize])).into_iter().flatten());
            }
        }
        within.iter().for_each(|&i| self.there[i as usize] = false);
        closure.into_iter().collect()
    }
}

/// For each package, the holders that weigh most.
fn heaviest(group: &Group, holders: &Holders) -> Vec<Vec<u32>> {
    let rank = |&d: &u32| (Reverse(Weight(group.demands[d as usize].weight)), d);
    let of_item = |item: usize| {
        let mut all: Vec<u32> = holders.of(item).to_vec();
        if all.len() > HOLDERS {
            all.select_nth_unstable_by_key(HOLDERS, rank);
            all.truncate(HOLDERS);
        }
        all
    };
    (0..group.items.len()).map(of_item).collect()
}

/// What each package needs in the heaviest closures that hold it.
fn package_closures(group: &Group, cores: &[Items], known: &[usize], needs: &mut Needs) -> BTreeSet<Items> {
    let mut order = known.to_vec();
    order.sort_by_key(|&d| (Reverse(Weight(group.demands[d].weight)), d));
    let mut contexts = vec![0usize; group.items.len()];
    let mut found = BTreeSet::new();
    for d in order {
        for &package in &cores[d] {
            contexts[package as usize] += 1;
            if contexts[package as usize] <= CONTEXTS {
                found.insert(needs.of(package, &cores[d]));
            }
        }
    }
    found
}

/// A finite number that is ordered.
#[derive(PartialEq)]
struct Weight(f64);

impl Eq for Weight {}

impl PartialOrd for Weight {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Weight {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}
