//! Images that hold more than a function needs (`--share superset`).
//!
//! An image S serves a demand with closure C when nothing of S \ C is in its way (see [`super::usable`]). One start saves
//!
//! ```text
//! load(S ∩ C) − swap(S) − waste · resident(S \ C)        swap(S) = base + rate · resident(S)
//! ```
//!
//! so that what is not needed is charged with its memory, which counts against the budget, with its part of the swap, and
//! with what the user says that a MB of it costs a start besides.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::problem::{Demand, Group, Problem, Set, Wide};
use super::trim::trim;
use super::usable::Modules;
use crate::graph::classes::{Class, sum_weights};
use crate::model::platform::Language;
use crate::model::{Inventory, PackageId};

/// Demands whose unions are looked for: the most valuable ones.
const LEAVES: usize = 400;
/// Pairs of candidates and demands that a group may come to: each has a value of its own, in memory.
const PAIRS: usize = 4_000_000;
/// Candidates that are made of a group however many demands it has.
const LEAST: usize = 200;

/// Tells the demands of a problem what the superset rule needs to know, and splits those that differ in it. To be called
/// before anything refers to demands by index.
pub fn widen(problem: &mut Problem, inventory: &Inventory, classes: &[Class]) {
    let modules = Modules::new(inventory, []);
    for group in &mut problem.groups {
        let index: BTreeMap<&PackageId, usize> =
            group.items.iter().enumerate().map(|(i, item)| (&item.id, i)).collect();
        let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        group.items.iter().enumerate().for_each(|(i, item)| by_name.entry(&item.id.name).or_default().push(i));
        let blank = || Set::with_capacity(group.items.len());
        let mut found: BTreeMap<(Set, Wide), Vec<usize>> = BTreeMap::new();
        for (c, class) in classes.iter().enumerate() {
            let pool = problem.class_pool.get(c).copied().flatten();
            if class.platform != group.platform || class.trust_domain != group.trust_domain || pool != Some(group.pool)
            {
                continue;
            }
            let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
            class.closure.iter().for_each(|id| *versions.entry(&id.name).or_default() += 1);
            let once = |id: &PackageId| class.platform.language != Language::Python || versions[id.name.as_str()] == 1;
            let mut wide = Wide { closure: blank(), barred: blank() };
            for id in class.closure.iter().filter(|id| once(id)) {
                wide.closure.extend(index.get(id).copied());
            }
            if wide.closure.is_clear() {
                continue;
            }
            if class.complete {
                for id in &class.closure {
                    wide.barred.extend(by_name.get(id.name.as_str()).into_iter().flatten().copied());
                    wide.barred.extend(modules.clashes(id).filter_map(|id| index.get(id).copied()));
                }
                let ecosystem = class.platform.language.ecosystem();
                for import in class.functions.iter().flat_map(|&f| &inventory.functions[f].imports) {
                    wide.barred.extend(modules.found(import, ecosystem).iter().filter_map(|id| index.get(id).copied()));
                }
            } else {
                wide.barred.insert_range(..);
            }
            wide.barred.difference_with(&wide.closure);
            found.entry((group.core(&wide.closure), wide)).or_default().push(c);
        }
        group.demands = found
            .into_iter()
            .map(|((core, wide), members)| {
                let weight = sum_weights(members.iter().map(|&c| classes[c].weight));
                Demand { classes: members, core, weight, known: weight, wide: Some(wide) }
            })
            .collect();
    }
}

/// Whether the superset rule holds in a group.
pub fn is_wide(group: &Group) -> bool {
    group.demands.iter().any(|d| d.wide.is_some())
}

/// Most candidates of a group, so that what it holds in memory stays within reason.
pub fn limit(group: &Group, limit: usize) -> usize {
    if is_wide(group) { limit.min((PAIRS / group.demands.len().max(1)).max(LEAST)) } else { limit }
}

/// What a set is worth to the demands of its group.
pub struct Values<'a> {
    group: &'a Group,
    /// For each item that has any, the other versions of it.
    versions: BTreeMap<usize, Set>,
}

/// A set with what does not depend on the demand.
pub struct Valued<'a> {
    values: &'a Values<'a>,
    set: &'a Set,
    swap_ms: f64,
    whole_ms: f64,
    /// What of it is there in two versions, so that nobody may find it loaded who does not load it.
    doubled: Set,
}

impl<'a> Values<'a> {
    /// For the sets of a group.
    pub fn new(group: &'a Group) -> Self {
        let mut versions: BTreeMap<usize, Set> = BTreeMap::new();
        if is_wide(group) {
            let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
            group.items.iter().enumerate().for_each(|(i, item)| by_name.entry(&item.id.name).or_default().push(i));
            for same in by_name.values().filter(|same| same.len() > 1) {
                for &i in same {
                    let others = versions.entry(i).or_insert_with(|| Set::with_capacity(group.items.len()));
                    others.extend(same.iter().copied().filter(|&k| k != i));
                }
            }
        }
        Self { group, versions }
    }

    /// A set of the group.
    pub fn of(&'a self, set: &'a Set) -> Valued<'a> {
        let mut doubled = Set::with_capacity(self.group.items.len());
        if !self.versions.is_empty() {
            doubled.extend(set.ones().filter(|i| self.versions.get(i).is_some_and(|other| !other.is_disjoint(set))));
        }
        let swap_ms = self.group.swap_ms(set);
        Valued { values: self, set, swap_ms, whole_ms: self.group.load_ms(set) - swap_ms, doubled }
    }
}

impl Valued<'_> {
    /// Milliseconds that one start of a demand saves on it, which may be negative; none when the demand may not use it.
    pub fn for_demand(&self, demand: &Demand) -> Option<f64> {
        let Some(wide) = &demand.wide else { return self.set.is_subset(&demand.core).then_some(self.whole_ms) };
        if self.set.is_subset(&wide.closure) {
            return Some(self.whole_ms);
        }
        if !self.set.is_disjoint(&wide.barred) || !self.doubled.is_subset(&wide.closure) {
            return None;
        }
        let group = self.values.group;
        let load: f64 = self.set.intersection(&wide.closure).map(|i| group.items[i].price.load_ms).sum();
        let waste: f64 = self.set.difference(&wide.closure).map(|i| group.items[i].price.resident_mb).sum();
        Some(load - self.swap_ms - group.language.waste_ms(waste))
    }
}

/// What of a set a demand loads.
pub fn needed(demand: &Demand, set: &Set) -> Set {
    let mut needed = set.clone();
    if let Some(wide) = &demand.wide {
        needed.intersect_with(&wide.closure);
    }
    needed
}

/// Closures that were joined, and who they are for.
#[derive(Clone)]
struct Node {
    set: Set,
    barred: Set,
    weight: f64,
}

/// What joining two nodes takes and gives.
#[derive(Clone, Copy, PartialEq)]
struct Join {
    /// Milliseconds lost for each MB that is freed.
    price: f64,
    freed_mb: f64,
    with: usize,
}

impl Join {
    fn order(&self, other: &Join) -> Ordering {
        self.price
            .total_cmp(&other.price)
            .then_with(|| other.freed_mb.total_cmp(&self.freed_mb))
            .then_with(|| self.with.cmp(&other.with))
    }
}

/// Unions of closures that get along, at most `limit`: agglomerative clustering, in which the two are joined next that lose
/// least time for each MB that joining them frees. It is done twice, as what is freed depends on what else is kept: the
/// overhead of a host and what the two have in common, or the overhead alone where both would be forked from an image that
/// holds what they have in common.
pub fn unions(group: &Group, limit: usize) -> BTreeSet<Set> {
    let mut leaves: BTreeMap<Set, Node> = BTreeMap::new();
    for demand in group.demands.iter().filter(|d| d.known > 0.0) {
        let Some(wide) = &demand.wide else { continue };
        let set = trim(group, &demand.core);
        if set.is_clear() {
            continue;
        }
        let node = Node { set: set.clone(), barred: wide.barred.clone(), weight: 0.0 };
        let node = leaves.entry(set).or_insert(node);
        node.barred.union_with(&wide.barred);
        node.weight += demand.weight;
    }
    let mut leaves: Vec<Node> = leaves.into_values().collect();
    let worth = |n: &Node| n.weight * group.value_ms(&n.set);
    leaves.retain(|n| worth(n) > 0.0);
    leaves.sort_by(|a, b| worth(b).total_cmp(&worth(a)).then_with(|| a.set.cmp(&b.set)));
    leaves.truncate(LEAVES);
    let mut found = BTreeSet::new();
    for shared in [false, true] {
        for set in cluster(group, leaves.clone(), shared) {
            if found.len() >= limit {
                return found;
            }
            found.insert(set);
        }
    }
    found
}

/// The unions in the order in which they are made, after those of each leaf with the one that goes with it best.
fn cluster(group: &Group, mut nodes: Vec<Node>, shared: bool) -> Vec<Set> {
    let mut alive = vec![true; nodes.len()];
    let mut best: Vec<Option<Join>> = (0..nodes.len()).map(|i| best_join(group, &nodes, &alive, i, shared)).collect();
    let union = |a: &Node, b: &Node| {
        let mut set = a.set.clone();
        set.union_with(&b.set);
        set
    };
    let mut made: Vec<Set> =
        best.iter().enumerate().filter_map(|(i, join)| join.map(|j| union(&nodes[i], &nodes[j.with]))).collect();
    loop {
        let next = (0..nodes.len())
            .filter(|&i| alive[i])
            .filter_map(|i| best[i].map(|join| (join, i)))
            .min_by(|a, b| a.0.order(&b.0).then_with(|| a.1.cmp(&b.1)));
        let Some((join, i)) = next else { return made };
        let (a, b) = (&nodes[i], &nodes[join.with]);
        let mut barred = a.barred.clone();
        barred.union_with(&b.barred);
        let node = Node { set: union(a, b), barred, weight: a.weight + b.weight };
        made.push(node.set.clone());
        alive[i] = false;
        alive[join.with] = false;
        nodes.push(node);
        alive.push(true);
        let new = nodes.len() - 1;
        best.push(best_join(group, &nodes, &alive, new, shared));
        for k in (0..new).filter(|&k| alive[k]) {
            match best[k] {
                Some(old) if old.with == i || old.with == join.with => {
                    best[k] = best_join(group, &nodes, &alive, k, shared);
                }
                old => {
                    let other = self::join(group, &nodes, k, new, shared);
                    if let Some(other) = other.filter(|o| old.is_none_or(|old| o.order(&old).is_lt())) {
                        best[k] = Some(other);
                    }
                }
            }
        }
    }
}

fn best_join(group: &Group, nodes: &[Node], alive: &[bool], i: usize, shared: bool) -> Option<Join> {
    (0..nodes.len())
        .filter(|&k| k != i && alive[k])
        .filter_map(|k| join(group, nodes, i, k, shared))
        .min_by(|a, b| a.order(b))
}

/// What it takes to join two nodes; none when they do not get along, or nothing would be left of what either saves.
fn join(group: &Group, nodes: &[Node], i: usize, k: usize, shared: bool) -> Option<Join> {
    let (a, b) = (&nodes[i], &nodes[k]);
    if !a.set.is_disjoint(&b.barred) || !b.set.is_disjoint(&a.barred) {
        return None;
    }
    let sum = |items: &mut dyn Iterator<Item = usize>| -> f64 { items.map(|i| group.items[i].price.resident_mb).sum() };
    let rate = group.language.swap_ms_per_mb + group.language.waste_ms(1.0);
    let more_for_a = rate * sum(&mut b.set.difference(&a.set));
    let more_for_b = rate * sum(&mut a.set.difference(&b.set));
    if more_for_a >= group.value_ms(&a.set) || more_for_b >= group.value_ms(&b.set) {
        return None;
    }
    let lost = a.weight * more_for_a + b.weight * more_for_b;
    let overhead = group.language.image_overhead_mb.max(0.0);
    let freed_mb = overhead + if shared { 0.0 } else { sum(&mut a.set.intersection(&b.set)) };
    Some(Join { price: lost / freed_mb.max(1e-6), freed_mb, with: k })
}
