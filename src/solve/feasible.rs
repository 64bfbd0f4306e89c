//! Whether what is required fits the limits at all, and how little it can take: what each image saves does not matter here.
//!
//! Only the images that meet a requirement matter, and those that such an image could be forked from. Where these are few
//! the exact model answers; otherwise a search that may miss a plan, and a bound that may be too low.

use super::backend::{self, Effort};
use super::greedy::{Limits, Search};
use super::instance::Instance;
use super::model::{Column, Model, Relation, Row};
use super::state::State;

/// Columns up to which the exact model is solved, and the nodes that it may take.
const COLUMNS: usize = 3_000;
const NODES: u32 = 20_000;
/// Amounts closer than this count as equal.
const NEAR: f64 = 1e-6;

/// What may be as little as possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// MB in memory.
    Memory,
    /// Images.
    Images,
    /// MB on disk.
    Disk,
}

impl Quantity {
    fn of(self, state: &State) -> f64 {
        match self {
            Quantity::Memory => state.memory(),
            Quantity::Images => state.images as f64,
            Quantity::Disk => state.disk(),
        }
    }

    fn free(self, limits: &Limits) -> Limits {
        match self {
            Quantity::Memory => Limits { budget_mb: f64::INFINITY, ..*limits },
            Quantity::Images => Limits { max_images: usize::MAX, ..*limits },
            Quantity::Disk => Limits { disk_mb: f64::INFINITY, ..*limits },
        }
    }
}

/// Whether a plan can do what is required of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It can, with these images.
    Possible(Vec<usize>),
    /// No choice of candidates can.
    Impossible,
    /// None was found, and nothing is proven.
    Unknown,
}

/// The least of something that a choice within the other limits takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Least {
    /// No such choice takes less.
    pub at_least: f64,
    /// A choice that takes so much, where one is known.
    pub known: Option<f64>,
}

/// Whether the requirements can be met within the limits.
pub fn possible(instance: &Instance, limits: &Limits) -> Verdict {
    if instance.required.iter().any(|r| r.any_of.is_empty()) {
        return Verdict::Impossible;
    }
    let found = construct(instance, limits);
    if met(&found, limits) {
        return Verdict::Possible(found.members().collect());
    }
    let few = Part::new(instance);
    let over =
        |quantity: Quantity, limit: f64| limit.is_finite() && few.lower_bound(quantity) > limit * (1.0 + 1e-12) + 1e-9;
    if over(Quantity::Memory, limits.budget_mb)
        || over(Quantity::Disk, limits.disk_mb)
        || (limits.max_images < usize::MAX && over(Quantity::Images, limits.max_images as f64))
    {
        return Verdict::Impossible;
    }
    if few.columns() > COLUMNS {
        return Verdict::Unknown;
    }
    let Some((choice, bound)) = few.least_excess(limits, &found) else { return Verdict::Unknown };
    let state = State::with(instance, choice);
    if met(&state, limits) {
        return Verdict::Possible(state.members().collect());
    }
    if bound > NEAR { Verdict::Impossible } else { Verdict::Unknown }
}

/// The least of a quantity within the other limits. None when nothing is known to be within those.
pub fn least(instance: &Instance, limits: &Limits, quantity: Quantity) -> Option<Least> {
    let free = quantity.free(limits);
    let Verdict::Possible(choice) = possible(instance, &free) else { return None };
    let start = State::with(instance, choice);
    let few = Part::new(instance);
    let mut least = Least { at_least: few.lower_bound(quantity), known: Some(quantity.of(&start)) };
    if few.columns() <= COLUMNS
        && let Some((choice, bound)) = few.minimise(&free, quantity, &start)
    {
        least.at_least = least.at_least.max(bound);
        let state = State::with(instance, choice);
        if met(&state, &free) && quantity.of(&state) < quantity.of(&start) {
            least.known = Some(quantity.of(&state));
        }
    }
    Some(least)
}

fn met(state: &State, limits: &Limits) -> bool {
    state.missing == 0 && limits.keeps(state)
}

/// The better of some simple ways: images one after the other, those first that meet much for what they take, and then
/// exchanges for what takes less.
fn construct<'a>(instance: &'a Instance, limits: &Limits) -> State<'a> {
    let mut plain = Search::new(instance);
    if plain.cover(limits) {
        return plain.state;
    }
    let mut search = Search::new(instance);
    cover_much(&mut search, limits, &|_| false);
    prune(&mut search);
    for _ in 0..4 {
        let before = weight(&search.state, limits);
        for i in search.state.members().collect::<Vec<_>>() {
            if !search.state.chosen[i] {
                continue;
            }
            let (kept, now) = (search.state.clone(), weight(&search.state, limits));
            search.remove(i);
            cover_much(&mut search, limits, &|k| k == i);
            prune(&mut search);
            if search.state.missing > 0 || weight(&search.state, limits) >= now - NEAR {
                restore(&mut search, &kept);
            }
        }
        if met(&search.state, limits) || weight(&search.state, limits) >= before - NEAR {
            break;
        }
    }
    if met(&search.state, limits) || weight(&search.state, limits) < weight(&plain.state, limits) {
        search.state
    } else {
        plain.state
    }
}

/// What a choice takes, with what is over a limit counted so that it outweighs the rest.
fn weight(state: &State, limits: &Limits) -> f64 {
    let memory = state.memory();
    let part =
        |has: f64, most: f64| if most.is_finite() && has > most { 1.0 + (has - most) / most.max(1.0) } else { 0.0 };
    let over = part(memory, limits.budget_mb)
        + part(state.disk(), limits.disk_mb)
        + state.images.saturating_sub(limits.max_images) as f64
        + state.built.saturating_sub(limits.max_new) as f64;
    memory + over * 1e6
}

fn restore(search: &mut Search, state: &State) {
    for i in 0..state.chosen.len() {
        match (search.state.chosen[i], state.chosen[i]) {
            (true, false) => search.remove(i),
            (false, true) => search.add(i),
            _ => {}
        }
    }
}

/// Adds images while a requirement is not met: what takes least for each requirement that it newly meets.
fn cover_much(search: &mut Search, limits: &Limits, banned: &dyn Fn(usize) -> bool) {
    let instance = search.state.instance;
    // Few images: each should meet much, whatever it takes.
    let scarce = limits.max_images.saturating_sub(search.state.images) < instance.required.len();
    while search.state.missing > 0 {
        let mut best: Option<(f64, f64, usize)> = None;
        for (i, c) in instance.candidates.iter().enumerate() {
            let news = c.meets.iter().filter(|&&r| !search.state.meets(r as usize)).count();
            if news == 0 || search.state.chosen[i] || banned(i) {
                continue;
            }
            let (_, cost) = search.gain_and_cost(i);
            let rank = if scarce { (-(news as f64), cost) } else { (cost / news as f64, cost) };
            if best.is_none_or(|(a, b, _)| (rank.0, rank.1) < (a, b)) {
                best = Some((rank.0, rank.1, i));
            }
        }
        let Some((_, _, i)) = best else { return };
        search.add(i);
    }
}

/// Drops what no requirement needs, unless it gives back more memory than it takes.
fn prune(search: &mut Search) {
    for i in search.state.members().collect::<Vec<_>>() {
        if !search.state.is_needed(i) && search.state.freed(i) >= 0.0 {
            search.remove(i);
        }
    }
}

/// The images that matter, with the index that each has in the whole.
struct Part {
    instance: Instance,
    old: Vec<usize>,
}

impl Part {
    fn new(whole: &Instance) -> Self {
        let mut kept = vec![false; whole.candidates.len()];
        for &i in whole.required.iter().flat_map(|r| &r.any_of) {
            kept[i as usize] = true;
            whole.candidates[i as usize].parents.iter().for_each(|&p| kept[p as usize] = true);
        }
        let (instance, old) = whole.restrict(&kept);
        Self { instance, old }
    }

    fn columns(&self) -> usize {
        2 * self.instance.candidates.len() + self.instance.parent_pairs() + 1
    }

    /// A bound without any search: for each group the requirement that takes most by itself.
    fn lower_bound(&self, quantity: Quantity) -> f64 {
        let mut groups = std::collections::BTreeMap::new();
        for required in &self.instance.required {
            let images = required.any_of.iter().map(|&i| &self.instance.candidates[i as usize]);
            let least = images
                .clone()
                .map(|c| match quantity {
                    Quantity::Memory => c.overhead + c.resident,
                    Quantity::Images => 1.0,
                    Quantity::Disk => c.disk,
                })
                .min_by(f64::total_cmp);
            if let (Some(least), Some(group)) = (least, images.map(|c| c.group).min()) {
                let most: &mut f64 = groups.entry(group).or_insert(0.0);
                *most = most.max(least);
            }
        }
        groups.values().sum()
    }

    /// Columns x and z, with the rows that hold whatever the limits are; and the terms of memory, images and disk.
    fn model(&self, with_disk: bool) -> (Model, [Vec<(usize, f64)>; 3]) {
        let n = self.instance.candidates.len();
        let mut model = Model::default();
        let column = |binary| Column { gain: 0.0, binary, start: 0.0 };
        model.columns = vec![column(true); n];
        let at_most = |terms, right| Row { terms, relation: Relation::AtMost, right };
        let (mut memory, mut disk) = (Vec::new(), Vec::new());
        for (i, candidate) in self.instance.candidates.iter().enumerate() {
            let mut forks = vec![(i, -1.0)];
            let parents = std::iter::once(None).chain(candidate.parents.iter().map(|&j| Some(j as usize)));
            for parent in parents {
                let z = model.columns.len();
                model.columns.push(column(false));
                forks.push((z, 1.0));
                memory.push((z, self.instance.added_mb(i, parent)));
                disk.push((z, self.instance.added_disk_mb(i, parent)));
                if let Some(j) = parent {
                    model.rows.push(at_most(vec![(z, 1.0), (j, -1.0)], 0.0));
                }
            }
            if with_disk {
                super::model::forked_from_largest(&mut model, &forks, candidate);
            }
            model.rows.push(Row { terms: forks, relation: Relation::Equal, right: 0.0 });
        }
        for required in &self.instance.required {
            model.rows.push(at_most(required.any_of.iter().map(|&i| (i as usize, -1.0)).collect(), -1.0));
        }
        (model, [memory, (0..n).map(|i| (i, 1.0)).collect(), disk])
    }

    fn solve(&self, model: &Model) -> Option<(Vec<usize>, f64)> {
        let answer = backend::solve(model, Effort { time: None, nodes: Some(NODES) });
        let values = answer.values?;
        let choice = (0..self.old.len()).filter(|&k| values[k] > 0.5).map(|k| self.old[k]).collect();
        // The model maximises what is to be least, with its sign turned.
        Some((choice, -answer.bound?))
    }

    /// A choice that goes over the limits as little as can be, as a share of what `start` goes over them; and a bound on
    /// that share.
    fn least_excess(&self, limits: &Limits, start: &State) -> Option<(Vec<usize>, f64)> {
        if start.missing > 0 {
            return None;
        }
        let (mut model, terms) = self.model(limits.disk_mb.is_finite());
        let excess = model.columns.len();
        model.columns.push(Column { gain: -1.0, binary: false, start: 1.0 });
        let most = |n: usize| if n == usize::MAX { f64::INFINITY } else { n as f64 };
        let limits = [limits.budget_mb, most(limits.max_images), limits.disk_mb];
        let has = [start.memory(), start.images as f64, start.disk()];
        for ((mut terms, limit), has) in terms.into_iter().zip(limits).zip(has) {
            if limit.is_finite() {
                terms.push((excess, -(has - limit).max(0.0)));
                model.rows.push(Row { terms, relation: Relation::AtMost, right: limit });
            }
        }
        self.solve(&model)
    }

    /// A choice within the limits that takes little of a quantity, and a bound on the least.
    fn minimise(&self, limits: &Limits, quantity: Quantity, start: &State) -> Option<(Vec<usize>, f64)> {
        let with_disk = limits.disk_mb.is_finite() || quantity == Quantity::Disk;
        let (mut model, terms) = self.model(with_disk);
        let wanted = &terms[match quantity {
            Quantity::Memory => 0,
            Quantity::Images => 1,
            Quantity::Disk => 2,
        }];
        wanted.iter().for_each(|&(column, amount)| model.columns[column].gain -= amount);
        self.old.iter().enumerate().for_each(|(k, &i)| model.columns[k].start = f64::from(u8::from(start.chosen[i])));
        let most = |n: usize| if n == usize::MAX { f64::INFINITY } else { n as f64 };
        let limits = [limits.budget_mb, most(limits.max_images), limits.disk_mb];
        for (terms, limit) in terms.into_iter().zip(limits) {
            if limit.is_finite() {
                model.rows.push(Row { terms, relation: Relation::AtMost, right: limit });
            }
        }
        self.solve(&model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::solve::required::tests::instance;

    /// {a, b} is all that meets the first floor, and takes 5 MB.
    #[test]
    fn the_least_that_requirements_take() {
        let instance = instance();
        assert_eq!(possible(&instance, &Limits::memory(5.0)), Verdict::Possible(vec![1]));
        assert_eq!(possible(&instance, &Limits::memory(4.9)), Verdict::Impossible);
        assert_eq!(possible(&instance, &Limits { max_images: 0, ..Limits::memory(9.0) }), Verdict::Impossible);
        let memory = least(&instance, &Limits::memory(1.0), Quantity::Memory).unwrap();
        assert!((memory.at_least - 5.0).abs() < 1e-6 && memory.known == Some(5.0), "{memory:?}");
        let images = least(&instance, &Limits { max_images: 0, ..Limits::memory(9.0) }, Quantity::Images).unwrap();
        assert!((images.at_least - 1.0).abs() < 1e-6 && images.known == Some(1.0), "{images:?}");
        // Within too little memory nothing is known to take any number of images.
        assert_eq!(least(&instance, &Limits::memory(1.0), Quantity::Images), None);
    }

    #[test]
    fn what_no_image_meets_is_impossible_with_any_memory() {
        let mut instance = instance();
        instance.required[0].any_of.clear();
        assert_eq!(possible(&instance, &Limits::memory(1e9)), Verdict::Impossible);
        instance.keep_required(|r| r.wish == 1);
        assert_eq!(possible(&instance, &Limits::memory(3.0)), Verdict::Possible(vec![0]));
    }
}
