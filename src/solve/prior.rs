//! What functions that nobody has seen will load, as far as the known ones tell.
//!
//! A plan that serves every known closure exactly has spent its memory on what will not come again just so. Of the weight
//! of each known closure a part is therefore taken away and given to closures that a new function could well have:
//! parts of the known one, each closed under what its packages require.
//! - All but one of its *roots* (packages that nothing else in it requires) with what those need: a function that asks
//!   for one thing less.
//! - Two roots with what they need: a function that has only that in common with it.
//! - All but one package, and what needs that package: another version of something deep inside.
//!
//! How much is taken away is absolute discounting, as in Kneser and Ney's smoothing of word counts: the same amount from
//! every closure, not the same share, because what was seen often comes again. What is taken from closures goes to their
//! parts, and those that many closures have in common collect it. Figures and what else was tried:
//! `docs/unseen-functions.md`.

use std::collections::{BTreeMap, HashMap};

use super::problem::{Demand, Floor, Group, Problem, Set};
use crate::model::plan;

/// How the expectation is made. The defaults were chosen by cross-validation; all of them lie on flat stretches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Share of a typical closure's weight that goes to what is only expected; heavier closures give up as much as a
    /// typical one, lighter ones this share of what they have.
    pub reserve: f64,
    /// Most parts of each of the three kinds that one closure has; those that take longest to load come first.
    pub each_kind: usize,
    /// Most expected closures of a platform and trust domain, or as many as there are known ones if those are more: the
    /// first by weight × load.
    pub closures: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { reserve: 0.5, each_kind: 16, closures: 700 }
    }
}

/// Parts that are made in one group, about: with many closures each has fewer, so that time and memory stay bounded.
const PARTS: usize = 100_000;

/// The problem with the closures of functions that may come. The weights of each group add up to what they were.
pub fn expected(problem: &Problem) -> Problem {
    expected_with(problem, &Settings::default())
}

/// As [`expected`], with other settings.
pub fn expected_with(problem: &Problem, settings: &Settings) -> Problem {
    let mut weights: Vec<f64> =
        problem.groups.iter().flat_map(|g| &g.demands).map(|d| d.weight).filter(|w| *w > 0.0).collect();
    weights.sort_by(f64::total_cmp);
    // The median, so that it takes neither many rare functions nor one very busy one to change it.
    let typical = if weights.is_empty() { 0.0 } else { weights[(weights.len() - 1) / 2] };
    let groups = problem.groups.iter().map(|group| with_expected(group, typical, settings)).collect();
    Problem { groups, ..problem.clone() }
}

/// In how many closures that are only expected, and with what share of the weight.
pub fn extent(aimed: &Problem) -> plan::Expected {
    let demands = || aimed.groups.iter().flat_map(|g| &g.demands);
    let all: f64 = demands().map(|d| d.weight).sum();
    let moved: f64 = demands().map(|d| (d.weight - d.known).max(0.0)).sum();
    plan::Expected {
        closures: demands().filter(|d| is_expected(d)).count(),
        weight_share: if all > 0.0 { moved / all } else { 0.0 },
    }
}

/// Whether a closure is only expected: no known function that ever starts has it.
pub fn is_expected(demand: &Demand) -> bool {
    demand.known <= 0.0 && demand.weight > 0.0
}

fn with_expected(group: &Group, typical: f64, settings: &Settings) -> Group {
    let known = group.demands.iter().filter(|d| d.weight > 0.0).count();
    let each_kind = settings.each_kind.min((PARTS / (3 * known.max(1))).max(1));
    let parts = Parts::new(group);

    let mut weight: Vec<f64> = group.demands.iter().map(|d| d.weight).collect();
    let index: HashMap<&Set, usize> = group.demands.iter().enumerate().map(|(d, demand)| (&demand.core, d)).collect();
    let mut found: HashMap<Set, f64> = HashMap::new();
    let mut moved = 0.0;
    for (d, demand) in group.demands.iter().enumerate().filter(|(_, demand)| demand.weight > 0.0) {
        let kinds = parts.of(&demand.core, each_kind);
        let amount = settings.reserve * demand.weight.min(typical);
        if kinds.is_empty() || amount <= 0.0 {
            continue;
        }
        weight[d] -= amount;
        for kind in &kinds {
            let each = amount / (kinds.len() * kind.len()) as f64;
            for part in kind {
                if let Some(&same) = index.get(part) {
                    weight[same] += each;
                } else {
                    moved += each;
                    *found.entry(part.clone()).or_default() += each;
                }
            }
        }
    }

    // The first by weight × load, and ties by set: no hash order decides.
    let mut ranked: Vec<(f64, Set, f64)> =
        found.into_iter().map(|(set, weight)| (weight * group.load_ms(&set), set, weight)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    ranked.truncate(settings.closures.max(known));
    let kept: f64 = ranked.iter().map(|(_, _, weight)| weight).sum();
    let scale = if kept > 0.0 { moved / kept } else { 0.0 };

    let mut demands: BTreeMap<Set, Demand> = BTreeMap::new();
    for (demand, weight) in group.demands.iter().zip(weight) {
        demands.insert(demand.core.clone(), Demand { weight, ..demand.clone() });
    }
    for (_, core, weight) in ranked {
        demands.insert(core.clone(), Demand { classes: Vec::new(), core, weight: weight * scale, known: 0.0 });
    }
    let demands: Vec<Demand> = demands.into_values().collect();
    let place = |old: usize| demands.binary_search_by(|d| d.core.cmp(&group.demands[old].core)).unwrap_or(old);
    let floors = group.floors.iter().map(|floor| Floor { demand: place(floor.demand), ..floor.clone() }).collect();
    Group { demands, floors, ..group.clone() }
}

/// Makes parts of closed sets.
struct Parts<'a> {
    group: &'a Group,
    /// For each package, those that may require it.
    needed_by: Vec<Vec<u32>>,
}

/// What a root of a closure needs, itself included.
struct Root {
    load_ms: f64,
    needs: Set,
}

impl<'a> Parts<'a> {
    fn new(group: &'a Group) -> Self {
        let mut needed_by = vec![Vec::new(); group.items.len()];
        for (i, item) in group.items.iter().enumerate() {
            for required in item.requires.iter().flat_map(Set::ones).filter(|&r| r != i) {
                if needed_by[required].last() != Some(&(i as u32)) {
                    needed_by[required].push(i as u32);
                }
            }
        }
        Self { group, needed_by }
    }

    /// The parts of a closed set by kind, at most `most` of each; no kind is empty, nor is any part.
    fn of(&self, core: &Set, most: usize) -> Vec<Vec<Set>> {
        let roots = self.roots(core);
        let mut pairs = Vec::new();
        'pairs: for (k, root) in roots.iter().enumerate() {
            for other in &roots[..k] {
                if pairs.len() == most {
                    break 'pairs;
                }
                let mut both = root.needs.clone();
                both.union_with(&other.needs);
                pairs.push(both);
            }
        }
        let mut heavy: Vec<usize> = core.ones().collect();
        let load = |i: usize| self.group.items[i].price.load_ms;
        heavy.sort_by(|&a, &b| load(b).total_cmp(&load(a)).then(a.cmp(&b)));
        let singles = heavy.into_iter().take(most).map(|i| self.without(core, i)).collect();
        let mut kinds = vec![self.all_but_one(core, &roots, most), pairs, singles];
        kinds.iter_mut().for_each(|kind| kind.retain(|part| !part.is_clear()));
        kinds.retain(|kind| !kind.is_empty());
        kinds
    }

    /// The packages that nothing else in a closed set requires, what takes longest to load first. Of packages that
    /// require each other in a circle the first by id stands for all.
    fn roots(&self, core: &Set) -> Vec<Root> {
        let mut needed = Set::with_capacity(core.len());
        for i in core.ones() {
            self.requires(i, core).filter(|&r| r != i).for_each(|r| needed.insert(r));
        }
        let mut covered = Set::with_capacity(core.len());
        let mut roots = Vec::new();
        let free: Vec<usize> = core.ones().filter(|&i| !needed.contains(i)).collect();
        for i in free.into_iter().chain(core.ones()) {
            if covered.contains(i) {
                continue;
            }
            let needs = self.needs(i, core);
            covered.union_with(&needs);
            roots.push(Root { load_ms: self.group.load_ms(&needs), needs });
        }
        // Stable: ties stay in the order of ids.
        roots.sort_by(|a, b| b.load_ms.total_cmp(&a.load_ms));
        roots
    }

    /// What a package requires within a closed set: the first of its sets of requirements that is there.
    fn requires(&self, i: usize, core: &Set) -> impl Iterator<Item = usize> {
        self.group.items[i].requires.iter().find(|r| r.is_subset(core)).into_iter().flat_map(Set::ones)
    }

    fn needs(&self, root: usize, core: &Set) -> Set {
        let mut needs = Set::with_capacity(core.len());
        let mut pending = vec![root];
        while let Some(i) = pending.pop() {
            if !needs.put(i) {
                pending.extend(self.requires(i, core));
            }
        }
        needs
    }

    /// For each of the first roots, what the others need.
    fn all_but_one(&self, core: &Set, roots: &[Root], most: usize) -> Vec<Set> {
        let mut holders = vec![0u32; core.len()];
        roots.iter().for_each(|root| root.needs.ones().for_each(|i| holders[i] += 1));
        let rest = |root: &Root| {
            let mut rest = core.clone();
            root.needs.ones().filter(|&i| holders[i] == 1).for_each(|i| rest.remove(i));
            rest
        };
        roots.iter().take(most).map(rest).collect()
    }

    /// The largest closed part of a closed set that lacks a package.
    fn without(&self, core: &Set, package: usize) -> Set {
        let mut rest = core.clone();
        rest.remove(package);
        let mut gone = vec![package];
        while let Some(i) = gone.pop() {
            for &k in &self.needed_by[i] {
                let k = k as usize;
                if rest.contains(k) && !self.group.items[k].requires.iter().any(|r| r.is_subset(&rest)) {
                    rest.remove(k);
                    gone.push(k);
                }
            }
        }
        rest
    }
}
