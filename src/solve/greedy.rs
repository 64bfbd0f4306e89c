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
}

impl Limits {
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
    stale: Vec<bool>,
    stale_list: Vec<u32>,
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
            stale_list: Vec::new(),
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

    fn mark(&mut self, i: u32) {
        if !std::mem::replace(&mut self.stale[i as usize], true) {
            self.stale_list.push(i);
        }
    }

    /// Marks what changes when `i` comes or goes. To be called while `i` is chosen.
    fn mark_around(&mut self, i: usize) {
        let instance = self.state.instance;
        let c = &instance.candidates[i];
        self.mark(i as u32);
        for &d in &c.demands {
            if self.state.best[d as usize] <= c.value {
                instance.servers[d as usize].iter().for_each(|&k| self.mark(k));
            }
        }
        c.parents.iter().for_each(|&k| self.mark(k));
        for &k in &c.children {
            self.mark(k);
            if self.state.chosen[k as usize] && self.state.parent(k as usize) == Some(i) {
                instance.candidates[k as usize].parents.iter().for_each(|&p| self.mark(p));
            }
        }
    }

    /// Chooses `i`.
    pub fn add(&mut self, i: usize) {
        self.state.add(i);
        self.mark_around(i);
    }

    /// Gives `i` up.
    pub fn remove(&mut self, i: usize) {
        self.mark_around(i);
        self.state.remove(i);
    }

    /// Works out again what has changed, and says which candidates those were.
    fn update(&mut self) -> Vec<u32> {
        let list = std::mem::take(&mut self.stale_list);
        for &i in &list {
            self.refresh(i as usize);
        }
        list
    }

    /// Gain in ms and cost in MB of a candidate that is not chosen.
    pub fn gain_and_cost(&mut self, i: usize) -> (f64, f64) {
        if self.stale[i] {
            self.update();
        }
        (self.gain[i], self.cost[i])
    }

    /// Adds images while one gains anything and fits, except those `banned`. Returns what it added.
    pub fn fill(&mut self, limits: &Limits, rank: Rank, banned: &dyn Fn(usize) -> bool) -> Vec<usize> {
        let mut added = Vec::new();
        let mut memory = self.state.memory();
        self.update();
        let mut heap: BinaryHeap<Entry> = BinaryHeap::new();
        // What does not fit now may fit once a new parent gives memory back.
        let mut waiting: Vec<Entry> = Vec::new();
        for i in 0..self.gain.len() {
            self.offer(&mut heap, i, rank, banned);
        }
        while self.state.images < limits.max_images {
            let Some(entry) = heap.pop() else { break };
            let i = entry.candidate as usize;
            if self.state.chosen[i] || entry.gain != self.gain[i] || entry.cost != self.cost[i] {
                continue; // from before a change, since when it was offered anew
            }
            if !limits.fits(memory + entry.cost) {
                waiting.push(entry);
                continue;
            }
            self.add(i);
            added.push(i);
            memory = self.state_memory(memory, entry.cost, added.len());
            if entry.cost < 0.0 {
                heap.extend(waiting.drain(..));
            }
            for k in self.update() {
                self.offer(&mut heap, k as usize, rank, banned);
            }
        }
        added
    }

    /// Memory after an addition; summed anew now and then so that rounding errors do not pile up.
    fn state_memory(&self, before: f64, cost: f64, steps: usize) -> f64 {
        if steps.is_multiple_of(64) { self.state.memory() } else { before + cost }
    }

    fn offer(&self, heap: &mut BinaryHeap<Entry>, i: usize, rank: Rank, banned: &dyn Fn(usize) -> bool) {
        let (gain, cost) = (self.gain[i], self.cost[i]);
        if self.state.chosen[i] || (gain <= 0.0 && cost >= -1e-9) || banned(i) {
            return;
        }
        let key = match rank {
            _ if cost <= 1e-9 => f64::INFINITY,
            Rank::Ratio => gain / cost,
            Rank::Gain => gain,
        };
        heap.push(Entry { key, gain, cost, candidate: i as u32 });
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

/// The better of the greedy plan and the best single image: without the latter a cheap image can shut out a dear one that
/// is worth far more. Where the number of images is limited, ranking by gain alone is tried too.
pub fn greedy<'a>(instance: &'a Instance, limits: &Limits) -> Search<'a> {
    let empty = Search::new(instance);
    let mut best = empty.clone();
    best.fill(limits, Rank::Ratio, &|_| false);
    if limits.max_images < instance.candidates.len() {
        let mut other = empty.clone();
        other.fill(limits, Rank::Gain, &|_| false);
        if other.state.objective() > best.state.objective() {
            best = other;
        }
    }
    let single = (0..instance.candidates.len())
        .filter(|&i| limits.max_images > 0 && limits.fits(empty.cost[i]))
        .max_by(|&a, &b| empty.gain[a].total_cmp(&empty.gain[b]).then(b.cmp(&a)));
    if let Some(i) = single.filter(|&i| empty.gain[i] > best.state.objective()) {
        let mut other = empty;
        other.add(i);
        other.fill(limits, Rank::Ratio, &|_| false);
        best = other;
    }
    best
}
