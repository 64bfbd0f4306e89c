//! A choice of images, and what changing it would cost and gain.
//!
//! Once the images are chosen everything else follows: each demand takes the image that saves it most, and each image is
//! forked from the chosen part of it that holds most memory.

use super::instance::{Instance, Service};

/// A choice of candidates with its consequences.
#[derive(Debug, Clone)]
pub struct State<'a> {
    /// What is chosen from.
    pub instance: &'a Instance,
    /// Whether each candidate is chosen.
    pub chosen: Vec<bool>,
    /// How many are.
    pub images: usize,
    /// How many of them have to be built.
    pub built: usize,
    /// Requirements that no chosen candidate meets.
    pub missing: usize,
    /// For each demand, the value of the best chosen image, 0 when none serves it.
    pub best: Vec<f64>,
    /// For each chosen candidate, its parent.
    parent: Vec<Option<u32>>,
    /// For each requirement, how many chosen candidates meet it.
    met: Vec<u32>,
}

impl<'a> State<'a> {
    /// Nothing chosen.
    pub fn new(instance: &'a Instance) -> Self {
        let n = instance.candidates.len();
        Self {
            instance,
            chosen: vec![false; n],
            images: 0,
            built: 0,
            missing: instance.required.len(),
            best: vec![0.0; instance.weights.len()],
            parent: vec![None; n],
            met: vec![0; instance.required.len()],
        }
    }

    /// The choice of the given candidates.
    pub fn with(instance: &'a Instance, chosen: impl IntoIterator<Item = usize>) -> Self {
        let mut state = Self::new(instance);
        for i in chosen {
            state.add(i);
        }
        state
    }

    /// Σ weight × value over all demands, summed anew so that no rounding error is carried along.
    pub fn objective(&self) -> f64 {
        self.best.iter().zip(&self.instance.weights).map(|(best, weight)| best * weight).sum()
    }

    /// MB that the chosen images take, summed anew.
    pub fn memory(&self) -> f64 {
        self.members().map(|i| self.instance.added_mb(i, self.parent(i))).sum()
    }

    /// MB on disk that the chosen images take, summed anew.
    pub fn disk(&self) -> f64 {
        self.members().map(|i| self.instance.added_disk_mb(i, self.parent(i))).sum()
    }

    /// Whether a requirement would no longer be met without the chosen `i`.
    pub fn is_needed(&self, i: usize) -> bool {
        self.instance.candidates[i].meets.iter().any(|&r| self.met[r as usize] == 1)
    }

    /// Whether requirement `r` is met.
    pub fn meets(&self, r: usize) -> bool {
        self.met[r] > 0
    }

    /// Chosen candidates, ascending.
    pub fn members(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.chosen.len()).filter(|&i| self.chosen[i])
    }

    /// The best chosen parent of a candidate, chosen itself or not.
    fn best_parent(&self, i: usize) -> Option<u32> {
        self.instance.candidates[i].parents.iter().copied().find(|&j| self.chosen[j as usize])
    }

    /// The parent of a chosen candidate.
    pub fn parent(&self, i: usize) -> Option<usize> {
        self.parent[i].map(|p| p as usize)
    }

    /// For each service of candidate `i`, what its demand is saved now.
    pub(super) fn best_of(&self, i: usize) -> Vec<f64> {
        self.instance.candidates[i].services.iter().map(|s| self.best[s.demand as usize]).collect()
    }

    /// The chosen ones among the possible children of candidate `i`, ascending.
    pub(super) fn chosen_children(&self, i: usize) -> impl Iterator<Item = usize> + '_ {
        let children = &self.instance.candidates[i].children;
        children.iter().map(|&k| k as usize).filter(|&k| self.chosen[k])
    }

    fn resident(&self, i: Option<u32>) -> f64 {
        i.map_or(0.0, |i| self.instance.candidates[i as usize].resident)
    }

    /// Whether `a` is a better parent than `b` for the same child.
    fn is_better_parent(&self, a: u32, b: Option<u32>) -> bool {
        let (ra, rb) = (self.resident(Some(a)), self.resident(b));
        ra > rb || (ra == rb && b.is_none_or(|b| a < b))
    }

    /// Milliseconds that choosing `i` besides would save.
    pub fn gain(&self, i: usize) -> f64 {
        let gain = |s: &Service| {
            let d = s.demand as usize;
            self.instance.weights[d] * (s.value - self.best[d]).max(0.0)
        };
        self.instance.candidates[i].services.iter().map(gain).sum()
    }

    /// MB that choosing `i` besides would take; negative when more is given back by images that could then be forked
    /// from it.
    pub fn cost(&self, i: usize) -> f64 {
        let c = &self.instance.candidates[i];
        let given_back: f64 = c
            .children
            .iter()
            .filter(|&&k| self.chosen[k as usize])
            .map(|&k| (c.resident - self.resident(self.parent[k as usize])).max(0.0))
            .sum();
        c.overhead + c.resident - self.resident(self.best_parent(i)) - given_back
    }

    /// MB on disk that choosing `i` besides would take; negative when images that could then lie on it give more back.
    pub fn disk_cost(&self, i: usize) -> f64 {
        let c = &self.instance.candidates[i];
        let disk = |i: Option<u32>| i.map_or(0.0, |i| self.instance.candidates[i as usize].disk);
        let given_back: f64 = c
            .children
            .iter()
            .filter(|&&k| self.chosen[k as usize] && self.is_better_parent(i as u32, self.parent[k as usize]))
            .map(|&k| {
                let child = self.instance.candidates[k as usize].disk;
                (child - disk(self.parent[k as usize])).max(0.0) - (child - c.disk).max(0.0)
            })
            .sum();
        (c.disk - disk(self.best_parent(i))).max(0.0) - given_back
    }

    /// Milliseconds that would be lost without the chosen `i`.
    pub fn loss(&self, i: usize) -> f64 {
        let c = &self.instance.candidates[i];
        let mut loss = 0.0;
        for s in &c.services {
            if self.best[s.demand as usize] == s.value {
                loss += self.instance.weights[s.demand as usize] * (s.value - self.second_best(s.demand, i));
            }
        }
        loss
    }

    fn second_best(&self, demand: u32, without: usize) -> f64 {
        self.instance.servers[demand as usize]
            .iter()
            .find(|s| s.candidate as usize != without && self.chosen[s.candidate as usize])
            .map_or(0.0, |s| s.value)
    }

    /// MB that would be freed without the chosen `i`; negative when it is a parent that gives back more than it takes.
    pub fn freed(&self, i: usize) -> f64 {
        let c = &self.instance.candidates[i];
        let mut freed = c.overhead + c.resident - self.resident(self.parent[i]);
        for &k in &c.children {
            if self.chosen[k as usize] && self.parent[k as usize] == Some(i as u32) {
                freed -= c.resident - self.resident(self.next_parent(k, i));
            }
        }
        freed
    }

    fn next_parent(&self, child: u32, without: usize) -> Option<u32> {
        let parents = &self.instance.candidates[child as usize].parents;
        parents.iter().copied().find(|&j| j as usize != without && self.chosen[j as usize])
    }

    /// Chooses `i`.
    pub fn add(&mut self, i: usize) {
        if self.chosen[i] {
            return;
        }
        let instance = self.instance;
        let c = &instance.candidates[i];
        self.parent[i] = self.best_parent(i);
        self.chosen[i] = true;
        self.images += 1;
        self.built += usize::from(c.is_new);
        for &r in &c.meets {
            self.missing -= usize::from(self.met[r as usize] == 0);
            self.met[r as usize] += 1;
        }
        for s in &c.services {
            let best = &mut self.best[s.demand as usize];
            *best = best.max(s.value);
        }
        for &k in &c.children {
            if self.chosen[k as usize] && self.is_better_parent(i as u32, self.parent[k as usize]) {
                self.parent[k as usize] = Some(i as u32);
            }
        }
    }

    /// Gives `i` up.
    pub fn remove(&mut self, i: usize) {
        if !self.chosen[i] {
            return;
        }
        let instance = self.instance;
        let c = &instance.candidates[i];
        self.chosen[i] = false;
        self.images -= 1;
        self.built -= usize::from(c.is_new);
        for &r in &c.meets {
            self.met[r as usize] -= 1;
            self.missing += usize::from(self.met[r as usize] == 0);
        }
        self.parent[i] = None;
        for s in &c.services {
            if self.best[s.demand as usize] == s.value {
                self.best[s.demand as usize] = self.second_best(s.demand, i);
            }
        }
        for &k in &c.children {
            if self.parent[k as usize] == Some(i as u32) {
                self.parent[k as usize] = self.best_parent(k as usize);
            }
        }
    }
}
