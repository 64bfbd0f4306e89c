//! A plan that changes few of the images that there are: building an image costs money, keeping one does not.
//!
//! Of all numbers of changes up to the most allowed, the smallest is taken with which the plan saves all but a stated
//! share of what the best plan found saves. A change is an image that is not there yet, or one that would have to be
//! built on another parent. Images that leave cost nothing.

use std::collections::BTreeMap;

use super::greedy::{Limits, Search};
use super::instance::Instance;
use super::local_search::local_search;
use super::problem::{Old, Problem, Set};
use super::state::State;
use crate::model::plan::Plan;
use crate::model::{Ecosystem, PackageId};

/// What keeps a plan as it was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stable {
    /// Most images that may be built, or built anew.
    pub max_changes: Option<usize>,
    /// Share of what the best plan saves that may be given up for fewer changes, from 0 to 1.
    pub loss: f64,
}

/// A choice near the old one.
#[derive(Debug, Clone)]
pub struct Settled<'a> {
    /// The choice.
    pub state: State<'a>,
    /// Parents that are not those of [`State::parent`]: what an old image was forked from.
    pub parents: BTreeMap<usize, Option<usize>>,
    /// How many images have to be built, or built anew.
    pub changes: usize,
    /// What the best plan saves that was found without regard to the old one, ms.
    pub best: f64,
}

/// An image of the old plan that no plan can hold any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// Its id.
    pub image: String,
    /// Why.
    pub why: String,
}

/// Tells a problem which images there are. Returns those that cannot stay.
pub fn note(problem: &mut Problem, old: &Plan) -> Vec<Gone> {
    let mut gone = Vec::new();
    let sets: BTreeMap<&str, Vec<PackageId>> =
        old.images.iter().map(|image| (image.id.as_str(), image.package_ids())).collect();
    problem.groups.iter_mut().for_each(|group| group.old.clear());
    for image in &old.images {
        let why = |why: String| Gone { image: image.id.clone(), why };
        let group = problem.groups.iter_mut().find(|g| {
            g.platform == image.platform && g.trust_domain == image.trust_domain && g.pool_name == image.pool
        });
        let Some(group) = group else {
            gone.push(why(format!("no function of {} in trust domain {}", image.platform, image.trust_domain)));
            continue;
        };
        let index: BTreeMap<&PackageId, usize> =
            group.items.iter().enumerate().map(|(i, item)| (&item.id, i)).collect();
        let to_set = |ids: &[PackageId]| -> Result<Set, PackageId> {
            let mut set = Set::with_capacity(group.items.len());
            for id in ids {
                set.insert(*index.get(id).ok_or_else(|| id.clone())?);
            }
            Ok(set)
        };
        match to_set(&sets[image.id.as_str()]) {
            Err(id) if id.ecosystem == Ecosystem::Pypi || id.ecosystem == Ecosystem::Npm => {
                gone.push(why(format!("no function can be preloaded with {} any more", id.spec())));
            }
            Err(id) => gone.push(why(format!("{id} is unknown"))),
            Ok(set) if set.is_clear() => gone.push(why("it holds nothing".into())),
            Ok(set) if group.core(&set) != set => {
                gone.push(why("its packages no longer hold all that they require".into()));
            }
            Ok(set) => {
                let parent = image.parent.as_deref().and_then(|p| sets.get(p)).and_then(|ids| to_set(ids).ok());
                group.old.push(Old { set, parent });
            }
        }
    }
    for group in &mut problem.groups {
        group.old.sort_by(|a, b| a.set.cmp(&b.set));
        group.old.dedup_by(|a, b| a.set == b.set);
    }
    gone
}

/// For each candidate that is there already: the candidate that it was forked from.
pub fn old_parents(problem: &Problem, instance: &Instance) -> BTreeMap<usize, Option<usize>> {
    let index: BTreeMap<(usize, &Set), usize> =
        instance.candidates.iter().enumerate().map(|(i, c)| ((c.group, &c.set), i)).collect();
    let mut parents = BTreeMap::new();
    for (g, group) in problem.groups.iter().enumerate() {
        for old in &group.old {
            if let Some(&i) = index.get(&(g, &old.set)) {
                let forks = group.platform.language.forks();
                let parent = old.parent.as_ref().map(|set| index.get(&(g, set)).copied().filter(|_| forks));
                // A parent that is no candidate any more cannot be kept: as if it were forked from itself.
                parents.insert(i, parent.map(|p| p.unwrap_or(i)));
            }
        }
    }
    parents
}

/// Looks for the choice with the fewest changes that is good enough beside `best`, the best one known; where the most
/// allowed are too few for that, for the best one with so many.
pub fn settle<'a>(
    limits: &Limits,
    best: &State<'a>,
    old_parents: &BTreeMap<usize, Option<usize>>,
    stable: Stable,
) -> Settled<'a> {
    let most = stable.max_changes.unwrap_or(usize::MAX);
    let enough = best.objective() * (1.0 - stable.loss);
    let mut tried: BTreeMap<usize, Settled<'a>> = BTreeMap::new();
    let reach = |built: usize, tried: &mut BTreeMap<usize, Settled<'a>>| -> bool {
        let settled = tried.entry(built).or_insert_with(|| near(limits, best, old_parents, built, most));
        settled.changes <= most && settled.state.objective() >= enough
    };
    // More images to build never save less, as far as the search is good: double, then halve.
    let largest = best.built.min(most);
    let (mut low, mut high) = (0, 0);
    while !reach(high, &mut tried) && high < largest {
        low = high + 1;
        high = (2 * high).clamp(1, largest);
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if reach(middle, &mut tried) { high = middle } else { low = middle + 1 }
    }
    let good = |s: &Settled| s.changes <= most && s.state.objective() >= enough;
    let rank = |s: &Settled| s.state.objective();
    let key = match tried.iter().find(|(_, s)| good(s)) {
        Some((&key, _)) => key,
        None => {
            let allowed = tried.iter().filter(|(_, s)| s.changes <= most);
            allowed.max_by(|a, b| rank(a.1).total_cmp(&rank(b.1)).then(b.0.cmp(a.0))).map_or(0, |(&key, _)| key)
        }
    };
    tried.remove(&key).unwrap_or_else(|| near(limits, best, old_parents, 0, most))
}

/// The best choice found with at most so many new images, and at most so many changes as long as demands allow: from the
/// old images, and from the best plan.
fn near<'a>(
    limits: &Limits,
    best: &State<'a>,
    old_parents: &BTreeMap<usize, Option<usize>>,
    built: usize,
    most: usize,
) -> Settled<'a> {
    let limits = Limits { max_new: limits.max_new.min(built), ..*limits };
    let from_old = improve(best.instance, old_parents.keys().copied(), &limits);
    let from_best = improve(best.instance, best.members(), &limits);
    let good = |s: &State| (s.missing == 0 && limits.keeps(s), s.objective());
    let (a, b) = (good(&from_old), good(&from_best));
    let mut state = if b.0 && (!a.0 || b.1 > a.1) { from_best } else { from_old };
    loop {
        let (parents, reparented) = keep_parents(&state, &limits, old_parents);
        let changes = state.built + reparented.len();
        let changed = state.members().filter(|&i| state.instance.candidates[i].is_new).chain(reparented);
        let least = changed
            .filter(|&i| changes > most && !state.is_needed(i))
            .map(|i| (state.loss(i), i))
            .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        match least {
            Some((_, i)) => {
                state.remove(i);
                // Without a parent its children hold everything themselves, and may not fit any more.
                while let Some(i) = too_much(&state, &limits) {
                    state.remove(i);
                }
            }
            None => return Settled { changes, parents, state, best: best.objective() },
        }
    }
}

/// Improves a choice, after taking out what does not fit.
fn improve<'a>(instance: &'a Instance, start: impl Iterator<Item = usize>, limits: &Limits) -> State<'a> {
    let mut search = Search::new(instance);
    start.for_each(|i| search.add(i));
    while let Some(i) = too_much(&search.state, limits) {
        search.remove(i);
    }
    if search.cover(limits) {
        local_search(&mut search, limits);
    }
    search.state
}

/// The image to take out next, where a choice does not keep to the limits.
fn too_much(state: &State, limits: &Limits) -> Option<usize> {
    if limits.keeps(state) {
        return None;
    }
    let new_only = state.built > limits.max_new;
    state
        .members()
        .filter(|&i| !new_only || state.instance.candidates[i].is_new)
        .map(|i| (state.is_needed(i), state.loss(i) / state.freed(i).max(1e-6), i))
        .min_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)))
        .map(|(_, _, i)| i)
}

/// Leaves old images on their old parents where memory allows, those first for which that costs least. Returns the
/// parents that differ from the state's, and the old images that get another parent than they had.
fn keep_parents(
    state: &State,
    limits: &Limits,
    old_parents: &BTreeMap<usize, Option<usize>>,
) -> (BTreeMap<usize, Option<usize>>, Vec<usize>) {
    let instance = state.instance;
    let mut changed: Vec<(f64, usize, Option<usize>)> = Vec::new();
    let mut reparented = Vec::new();
    for (&i, &parent) in old_parents.iter().filter(|(i, _)| state.chosen[**i]) {
        if parent == state.parent(i) {
            continue;
        }
        if parent.is_some_and(|p| p == i || !state.chosen[p]) {
            reparented.push(i);
            continue;
        }
        changed.push((instance.added_mb(i, parent) - instance.added_mb(i, state.parent(i)), i, parent));
    }
    changed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let (mut memory, mut disk) = (state.memory(), state.disk());
    let mut kept = BTreeMap::new();
    for (more, i, parent) in changed {
        let more_disk = instance.added_disk_mb(i, parent) - instance.added_disk_mb(i, state.parent(i));
        if limits.fits(memory + more) && limits.fits_disk(disk + more_disk) {
            (memory, disk) = (memory + more, disk + more_disk);
            kept.insert(i, parent);
        } else {
            reparented.push(i);
        }
    }
    (kept, reparented)
}
