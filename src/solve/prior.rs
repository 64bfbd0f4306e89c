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
use super::superset;
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

/// The problem with the closures of functions that may come; under the superset rule it stays as it is. The weights of each group add up to what they were.
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
    if superset::is_wide(group) {
        return group.clone();
    }
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
        demands
            .insert(core.clone(), Demand { classes: Vec::new(), core, weight: weight * scale, known: 0.0, wide: None });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::costs::{CostSource, LanguageCosts};
    use crate::model::platform::Language;
    use crate::model::{PackageId, Platform};
    use crate::solve::{Item, Price};

    /// Packages `a`, `b` … with their load times and sets of requirements, and closures with their weights.
    fn problem(packages: &[(f64, &[&str])], closures: &[(f64, &str)]) -> Problem {
        let set = |names: &str| {
            let mut set = Set::with_capacity(packages.len());
            names.bytes().for_each(|c| set.insert(usize::from(c - b'a')));
            set
        };
        let item = |(i, (load_ms, requires)): (usize, &(f64, &[&str]))| Item {
            id: PackageId::pypi(&char::from(b'a' + i as u8).to_string(), "1"),
            price: Price { load_ms: *load_ms, resident_mb: 1.0, disk_mb: None, source: CostSource::Measured },
            requires: requires.iter().map(|names| set(names)).collect(),
        };
        let demands: BTreeMap<Set, Demand> = closures
            .iter()
            .enumerate()
            .map(|(k, &(weight, names))| {
                (set(names), Demand { classes: vec![k], core: set(names), weight, known: weight, wide: None })
            })
            .collect();
        let group = Group {
            platform: Platform::linux(Language::Python, "3.11"),
            trust_domain: "default".into(),
            language: LanguageCosts {
                image_overhead_mb: 1.0,
                swap_base_ms: 0.0,
                swap_ms_per_mb: 0.0,
                waste_ms_per_mb: None,
                load_ms_per_disk_mb: None,
                resident_mb_per_disk_mb: None,
            },
            items: packages.iter().enumerate().map(item).collect(),
            demands: demands.into_values().collect(),
            pins: Vec::new(),
            floors: Vec::new(),
            old: Vec::new(),
            pool: 0,
            pool_name: None,
            max_image_mb: f64::INFINITY,
        };
        Problem {
            groups: vec![group],
            class_pool: Vec::new(),
            class_excluded: Vec::new(),
            class_load_ms: Vec::new(),
            class_unpriced: Vec::new(),
            class_weight: Vec::new(),
            functions: closures.len(),
        }
    }

    /// Closures by name with their weights times 60, rounded.
    fn weights(problem: &Problem) -> BTreeMap<String, i64> {
        let name = |set: &Set| set.ones().map(|i| char::from(b'a' + i as u8)).collect::<String>();
        problem.groups[0].demands.iter().map(|d| (name(&d.core), (d.weight * 60.0).round() as i64)).collect()
    }

    fn expect(pairs: &[(&str, i64)]) -> BTreeMap<String, i64> {
        pairs.iter().map(|(name, weight)| (name.to_string(), *weight)).collect()
    }

    const NONE: &[&str] = &[""];

    #[test]
    fn half_of_a_closure_goes_to_its_parts() {
        // a requires b; c stands alone. Of 6 starts 3 move, 1 to each kind of part:
        // all but one root: c, ab; two roots: abc; all but one package: bc, c (a cannot do without b), ab.
        let problem = problem(&[(8.0, &["b"]), (4.0, NONE), (2.0, NONE)], &[(6.0, "abc")]);
        let found = expected(&problem);
        assert_eq!(weights(&found), expect(&[("abc", 240), ("ab", 50), ("c", 50), ("bc", 20)]));
        let only = found.groups[0].demands.iter().filter(|d| is_expected(d)).count();
        assert_eq!(only, 3);
        let extent = extent(&found);
        assert!(extent.closures == 3 && (extent.weight_share - 2.0 / 6.0).abs() < 1e-12, "{extent:?}");
    }

    #[test]
    fn a_busy_closure_gives_up_as_much_as_a_typical_one() {
        // Nothing but b remains of ab, and of cd nothing but d; e has no part, so it keeps what it has.
        let packages: &[(f64, &[&str])] = &[(8.0, &["b"]), (4.0, NONE), (8.0, &["d"]), (4.0, NONE), (1.0, NONE)];
        let found = expected(&problem(packages, &[(1.0, "ab"), (9.0, "cd"), (1.0, "e")]));
        assert_eq!(weights(&found), expect(&[("ab", 30), ("b", 30), ("cd", 510), ("d", 30), ("e", 60)]));
        // A rare one gives up no more than its share.
        let found = expected(&problem(packages, &[(0.5, "ab"), (9.0, "cd"), (2.0, "e")]));
        assert_eq!(weights(&found), expect(&[("ab", 15), ("b", 15), ("cd", 480), ("d", 60), ("e", 120)]));
    }

    #[test]
    fn parts_that_are_known_closures_add_to_them() {
        let found = expected(&problem(&[(8.0, &["b"]), (4.0, NONE)], &[(1.0, "ab"), (1.0, "b")]));
        assert_eq!(weights(&found), expect(&[("ab", 30), ("b", 90)]));
        assert_eq!(found.groups[0].demands.iter().map(|d| d.known).sum::<f64>(), 2.0);
        // A function that never starts may still be like one that will come.
        let found = expected(&problem(&[(8.0, &["b"]), (4.0, NONE)], &[(1.0, "ab"), (0.0, "b")]));
        assert_eq!(weights(&found), expect(&[("ab", 30), ("b", 30)]));
    }

    #[test]
    fn circles_and_alternatives_are_closed() {
        // a and b require each other: one root, which leaves nothing; without either package neither remains.
        let found = expected(&problem(&[(1.0, &["b"]), (1.0, &["a"]), (1.0, NONE)], &[(1.0, "ab"), (1.0, "abc")]));
        let names: Vec<String> = weights(&found).into_keys().collect();
        assert_eq!(names, ["ab", "abc", "c"]);
        // a requires b or c: without b it still has c.
        let found = expected(&problem(&[(4.0, &["b", "c"]), (2.0, NONE), (1.0, NONE)], &[(1.0, "abc")]));
        let names: Vec<String> = weights(&found).into_keys().collect();
        assert_eq!(names, ["ab", "abc", "ac", "bc", "c"]);
    }

    #[test]
    fn what_is_cut_off_goes_to_what_is_kept() {
        let packages: Vec<(f64, &[&str])> = (0..6).map(|i| (f64::from(1 << i), NONE)).collect();
        let settings = Settings { closures: 2, ..Settings::default() };
        let found = expected_with(&problem(&packages, &[(1.0, "abcdef")]), &settings);
        let demands = &found.groups[0].demands;
        assert_eq!(demands.len(), 3);
        assert!((demands.iter().map(|d| d.weight).sum::<f64>() - 1.0).abs() < 1e-12);
        // Two thirds of what moves goes to the six closures of five, equally; those without a and b are the heaviest.
        assert_eq!(weights(&found), expect(&[("abcdef", 30), ("bcdef", 15), ("acdef", 15)]));
    }

    #[test]
    fn floors_stay_with_their_closures() {
        let mut problem = problem(&[(8.0, &["b"]), (4.0, NONE), (2.0, NONE)], &[(1.0, "abc"), (1.0, "ac")]);
        for demand in 0..2 {
            problem.groups[0].floors.push(Floor { demand, least_ms: 1.0, wish: 0 });
        }
        let found = expected(&problem);
        for (old, new) in problem.groups[0].floors.iter().zip(&found.groups[0].floors) {
            assert_eq!(problem.groups[0].demands[old.demand].core, found.groups[0].demands[new.demand].core);
        }
    }
}
