//! Ratio greedy with exact increments: again and again the image that saves most for each MB that it really takes.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::instance::Instance;
use super::state::State;

/// What every plan must keep to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// MB.
    pub budget_mb: f64,
    /// Most images.
    pub max_images: usize,
    /// MB on disk; infinite when not limited.
    pub disk_mb: f64,
    /// Most images that are newly built.
    pub max_new: usize,
}

impl Limits {
    /// So much memory, and nothing else that limits.
    pub fn memory(budget_mb: f64) -> Self {
        Self { budget_mb, max_images: usize::MAX, disk_mb: f64::INFINITY, max_new: usize::MAX }
    }

    /// Whether a choice keeps to all of them.
    pub fn keeps(&self, state: &State) -> bool {
        state.images <= self.max_images
            && state.built <= self.max_new
            && self.fits(state.memory())
            && (self.disk_mb.is_infinite() || self.fits_disk(state.disk()))
    }

    /// Whether so much disk is within the limit, rounding errors aside.
    pub fn fits_disk(&self, disk_mb: f64) -> bool {
        disk_mb <= self.disk_mb * (1.0 + 1e-12) + 1e-9
    }

    /// Whether so much memory is within the budget, rounding errors aside.
    pub fn fits(&self, memory_mb: f64) -> bool {
        memory_mb <= self.budget_mb * (1.0 + 1e-12) + 1e-9
    }
}

/// By what the greedy ranks images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    /// Milliseconds for each MB: right when memory is scarce.
    Ratio,
    /// Milliseconds: right when the number of images is.
    Gain,
}

/// A state whose gains and costs are remembered, and worked out anew only where a change could have touched them.
#[derive(Debug, Clone)]
pub struct Search<'a> {
    /// The choice.
    pub state: State<'a>,
    gain: Vec<f64>,
    cost: Vec<f64>,
    /// What is remembered may be wrong.
    stale: Vec<bool>,
    /// Candidates that may have become worth more since they were last offered: the others can only be worth less.
    raised: Vec<u32>,
    is_raised: Vec<bool>,
}

impl<'a> Search<'a> {
    /// Starts from nothing.
    pub fn new(instance: &'a Instance) -> Self {
        let n = instance.candidates.len();
        let mut search = Self {
            state: State::new(instance),
            gain: vec![0.0; n],
            cost: vec![0.0; n],
            stale: vec![false; n],
            raised: Vec::new(),
            is_raised: vec![false; n],
        };
        for i in 0..n {
            search.refresh(i);
        }
        search
    }

    fn refresh(&mut self, i: usize) {
        self.stale[i] = false;
        if !self.state.chosen[i] {
            self.gain[i] = self.state.gain(i);
            self.cost[i] = self.state.cost(i);
        }
    }

    fn raise(&mut self, i: u32) {
        self.stale[i as usize] = true;
        if !std::mem::replace(&mut self.is_raised[i as usize], true) {
            self.raised.push(i);
        }
    }

    /// Chooses `i`. Others gain less by it, and cost less where they can be forked from it, or it from them.
    pub fn add(&mut self, i: usize) {
        let instance = self.state.instance;
        let c = &instance.candidates[i];
        let before = self.state.best_of(i);
        let former: Vec<Option<usize>> = self.state.chosen_children(i).map(|k| self.state.parent(k)).collect();
        self.state.add(i);
        self.stale[i] = true;
        for (s, before) in c.services.iter().zip(before) {
            if before < s.value {
                instance.servers[s.demand as usize].iter().for_each(|s| self.stale[s.candidate as usize] = true);
            }
        }
        // Only a part that is larger than what it is forked from would be a better parent for it.
        for &j in &c.parents {
            if Some(j as usize) == self.state.parent(i) {
                break;
            }
            self.raise(j);
        }
        c.children.iter().for_each(|&k| self.raise(k));
        // Who has a new parent has less to gain from others.
        let children: Vec<usize> = self.state.chosen_children(i).collect();
        for (k, former) in children.into_iter().zip(former) {
            if self.state.parent(k) != former {
                instance.candidates[k].parents.iter().for_each(|&p| self.stale[p as usize] = true);
            }
        }
    }

    /// Gives `i` up.
    pub fn remove(&mut self, i: usize) {
        let instance = self.state.instance;
        let c = &instance.candidates[i];
        let former = self.state.parent(i);
        let children: Vec<usize> = self.state.chosen_children(i).filter(|&k| self.state.parent(k) == Some(i)).collect();
        let before = self.state.best_of(i);
        self.state.remove(i);
        self.raise(i as u32);
        for (s, before) in c.services.iter().zip(before) {
            if before <= s.value {
                instance.servers[s.demand as usize].iter().for_each(|s| self.raise(s.candidate));
            }
        }
        // A part of it no longer has it as a child to give memory back for.
        for &j in &c.parents {
            if Some(j as usize) == former {
                break;
            }
            self.stale[j as usize] = true;
        }
        // What would have been forked from it costs more, and its children have more to gain from others.
        c.children.iter().for_each(|&k| self.stale[k as usize] = true);
        for k in children {
            instance.candidates[k].parents.iter().for_each(|&p| self.raise(p));
        }
    }

    /// Gain in ms and cost in MB of a candidate that is not chosen.
    pub fn gain_and_cost(&mut self, i: usize) -> (f64, f64) {
        if self.stale[i] {
            self.refresh(i);
        }
        (self.gain[i], self.cost[i])
    }

    /// Adds images while one gains anything and fits, except those `banned`. Returns what it added.
    pub fn fill(&mut self, limits: &Limits, rank: Rank, banned: &dyn Fn(usize) -> bool) -> Vec<usize> {
        let mut added = Vec::new();
        let instance = self.state.instance;
        let mut memory = self.state.memory();
        let mut disk = if limits.disk_mb.is_finite() { self.state.disk() } else { 0.0 };
        for i in self.take_raised() {
            self.refresh(i as usize);
        }
        let mut heap = self.offers(limits, memory, rank, banned);
        while self.state.images < limits.max_images {
            let Some(entry) = heap.pop() else { break };
            let i = entry.candidate as usize;
            if self.state.chosen[i] || entry.gain != self.gain[i] || entry.cost != self.cost[i] {
                continue; // from before a change, since when it was offered anew
            }
            if self.stale[i] {
                // Worth no more than was offered: its turn comes when nothing else is worth more.
                self.refresh(i);
                heap.extend(self.offer(i, rank, banned));
                continue;
            }
            let is_new = instance.candidates[i].is_new;
            let disk_cost = if limits.disk_mb.is_finite() { self.state.disk_cost(i) } else { 0.0 };
            if !limits.fits(memory + entry.cost)
                || (is_new && self.state.built >= limits.max_new)
                || (limits.disk_mb.is_finite() && !limits.fits_disk(disk + disk_cost))
            {
                continue;
            }
            self.add(i);
            added.push(i);
            memory = self.state_memory(memory, entry.cost, added.len());
            disk += disk_cost;
            for k in self.take_raised() {
                self.refresh(k as usize);
                heap.extend(self.offer(k as usize, rank, banned));
            }
            if entry.cost < 0.0 || disk_cost < 0.0 {
                // What did not fit may fit now that memory was given back.
                heap = self.offers(limits, memory, rank, banned);
            }
        }
        added
    }

    fn take_raised(&mut self) -> Vec<u32> {
        let raised = std::mem::take(&mut self.raised);
        raised.iter().for_each(|&i| self.is_raised[i as usize] = false);
        raised
    }

    /// Memory after an addition; summed anew now and then so that rounding errors do not pile up.
    fn state_memory(&self, before: f64, cost: f64, steps: usize) -> f64 {
        if steps.is_multiple_of(64) { self.state.memory() } else { before + cost }
    }

    /// What every candidate that fits is worth.
    fn offers(&self, limits: &Limits, memory: f64, rank: Rank, banned: &dyn Fn(usize) -> bool) -> BinaryHeap<Entry> {
        let fitting = (0..self.gain.len()).filter(|&i| limits.fits(memory + self.cost[i]));
        fitting.filter_map(|i| self.offer(i, rank, banned)).collect::<Vec<_>>().into()
    }

    /// What a candidate is worth, when it is worth anything.
    fn offer(&self, i: usize, rank: Rank, banned: &dyn Fn(usize) -> bool) -> Option<Entry> {
        let (gain, cost) = (self.gain[i], self.cost[i]);
        if self.state.chosen[i] || (gain <= 0.0 && cost >= -1e-9) || banned(i) {
            return None;
        }
        let key = match rank {
            _ if cost <= 1e-9 => f64::INFINITY,
            Rank::Ratio => gain / cost,
            Rank::Gain => gain,
        };
        Some(Entry { key, gain, cost, candidate: i as u32 })
    }
}

/// What a candidate was worth when it was put on the heap.
struct Entry {
    key: f64,
    gain: f64,
    cost: f64,
    candidate: u32,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key
            .total_cmp(&other.key)
            .then_with(|| self.gain.total_cmp(&other.gain))
            .then_with(|| other.cost.total_cmp(&self.cost))
            .then_with(|| other.candidate.cmp(&self.candidate))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl Search<'_> {
    /// Adds an image for each requirement that is not met yet, those first that fewest images can meet: the image that
    /// takes least memory beside what is chosen, and among those the one that saves most. Says whether all is met
    /// within the limits.
    pub fn cover(&mut self, limits: &Limits) -> bool {
        let instance = self.state.instance;
        let mut order: Vec<usize> = (0..instance.required.len()).collect();
        order.sort_by_key(|&r| (instance.required[r].any_of.len(), r));
        for r in order {
            if self.state.meets(r) {
                continue;
            }
            let mut best: Option<(f64, f64, usize)> = None;
            for i in instance.required[r].any_of.iter().map(|&i| i as usize) {
                let (gain, cost) = self.gain_and_cost(i);
                let new = limits.max_new < usize::MAX && instance.candidates[i].is_new;
                let cost = cost + if new { limits.budget_mb } else { 0.0 };
                if best.is_none_or(|(least, most, _)| cost < least || (cost == least && gain > most)) {
                    best = Some((cost, gain, i));
                }
            }
            if let Some((_, _, i)) = best {
                self.add(i);
            }
        }
        self.state.missing == 0 && limits.keeps(&self.state)
    }
}

/// The better of the greedy plan and the best single image: without the latter a cheap image can shut out a dear one that
/// is worth far more. Where the number of images is limited, ranking by gain alone is tried too. What is required comes
/// first; where that does not fit the limits, the plan breaks them and the caller must say so.
pub fn greedy<'a>(instance: &'a Instance, limits: &Limits) -> Search<'a> {
    let mut empty = Search::new(instance);
    if !empty.cover(limits) {
        return empty;
    }
    let mut best = empty.clone();
    best.fill(limits, Rank::Ratio, &|_| false);
    if limits.max_images.min(limits.max_new) < instance.candidates.len() {
        let mut other = empty.clone();
        other.fill(limits, Rank::Gain, &|_| false);
        if other.state.objective() > best.state.objective() {
            best = other;
        }
    }
    let mut singles: Vec<(f64, usize)> = Vec::new();
    for i in 0..instance.candidates.len() {
        if !empty.state.chosen[i] {
            singles.push((empty.gain_and_cost(i).0, i));
        }
    }
    singles.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let start = empty.state.objective();
    for (gain, i) in singles {
        if start + gain <= best.state.objective() {
            break;
        }
        let mut other = empty.clone();
        other.add(i);
        if limits.keeps(&other.state) {
            other.fill(limits, Rank::Ratio, &|_| false);
            best = other;
            break;
        }
    }
    best
}
