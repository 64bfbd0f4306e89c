//! Rows that tie what serves a demand to the images that it is forked from, and how those that a solution breaks are found.
//!
//! The images that demand f can be served by, and what those can be forked from, are a network: each chosen image hangs on
//! its parent or on the bare host. Whatever set S of these images is looked at, the image that serves f, if it is in S,
//! has a first ancestor in S, which is forked from outside of S:
//!
//! ```text
//! Σ_{i ∈ S} y_fi  ≤  Σ_{i ∈ S} (x_i − Σ_{j ∈ S} z_ji)      for each demand f and set S of images
//! ```
//!
//! These are the directed cuts of a Steiner arborescence (Wong, Mathematical Programming 28, 1984; Koch and Martin,
//! Networks 32, 1998). Without them half of an image may be the parent of any number of halves that together serve a
//! demand wholly. A solution that breaks some of f's rows breaks one that a smallest cut of f's network names: the source
//! feeds each image by what of it is forked from the bare host, `x_i − Σ_j z_ji`, a fork carries z_ji, and image i hands
//! y_fi on to the sink.

use std::collections::{BTreeSet, VecDeque};

use super::super::instance::Instance;
use super::relaxation::{Part, Relaxation};
use super::rows::PathRow;

/// Least amount by which a solution must break a row for it to be added.
const LEAST: f64 = 0.02;
/// Amounts in a network that count as nothing.
const TINY: f64 = 1e-9;

impl Relaxation {
    /// Adds rows that are not there yet. Says how many those were.
    pub fn add_rows(&mut self, rows: impl IntoIterator<Item = PathRow>) -> usize {
        let before = self.rows.len();
        for row in rows {
            if !self.rows.is_new(&row) {
                continue;
            }
            let within = |k: &u32| row.images.binary_search(k).is_ok();
            let (mut services, mut arcs) = (Vec::new(), Vec::new());
            for &i in &row.images {
                let mine = self.service.range(i as usize);
                services.extend(mine.filter(|&e| self.service.entries[e].0 == row.demand).map(|e| e as u32));
                let mine = self.children.range(i as usize);
                arcs.extend(mine.filter(|&a| within(&self.children.entries[a])).map(|a| a as u32));
            }
            self.rows.push(row, services, arcs);
        }
        self.rows.len() - before
    }

    /// Adds the rows of `other`, whose images `old` are those of this relaxation, as far as they have a price there.
    /// Returns which those were.
    pub fn take_rows(&mut self, other: &Relaxation, prices: &[f64], old: &[usize]) -> Vec<usize> {
        let mut taken = Vec::new();
        for (r, row) in other.rows.all.iter().enumerate().filter(|&(r, _)| prices[r] > 0.0) {
            if self.add_rows([row.restrict(old)]) == 1 {
                taken.push(r);
            }
        }
        taken
    }
}

/// What the networks of the demands are made of.
#[derive(Debug, Clone)]
pub(in crate::solve) struct Networks {
    /// For each demand the images of its network, ascending.
    images: Vec<Vec<u32>>,
    /// For each image the forks of which it is the child: parent and entry of the relaxation's children.
    parents: Vec<Vec<(u32, u32)>>,
}

/// How much of each image, service and fork a solution holds.
#[derive(Debug, Clone)]
pub(in crate::solve) struct Amounts {
    pub x: Vec<f64>,
    pub y: Vec<f64>,
    pub z: Vec<f64>,
}

impl Networks {
    pub fn new(instance: &Instance, relaxation: &Relaxation) -> Self {
        let images = instance.servers.iter().map(|servers| {
            let own = servers.iter().map(|s| s.candidate);
            let above = servers.iter().flat_map(|s| &instance.candidates[s.candidate as usize].parents);
            own.chain(above.copied()).collect::<BTreeSet<u32>>().into_iter().collect()
        });
        let mut parents = vec![Vec::new(); relaxation.len()];
        for i in 0..relaxation.len() {
            for a in relaxation.children.range(i) {
                parents[relaxation.children.entries[a] as usize].push((i as u32, a as u32));
            }
        }
        Self { images: images.collect(), parents }
    }

    /// Rows that the solution breaks, with how much, those broken most first. At most one for each demand.
    pub fn broken(&self, relaxation: &Relaxation, part: &Part, at: &Amounts) -> Vec<(f64, PathRow)> {
        let mut hosts: Vec<f64> = at.x.clone();
        for (i, host) in hosts.iter_mut().enumerate() {
            *host = (*host - self.parents[i].iter().map(|&(_, a)| at.z[a as usize]).sum::<f64>()).max(0.0);
        }
        let mut served: Vec<Vec<(u32, f64)>> = vec![Vec::new(); self.images.len()];
        for i in (0..relaxation.len()).filter(|&i| part.open[i]) {
            for e in relaxation.service.range(i) {
                if at.y[e] > TINY {
                    served[relaxation.service.entries[e].0 as usize].push((i as u32, at.y[e]));
                }
            }
        }
        let mut found = Vec::new();
        for (f, served) in served.iter().enumerate() {
            if let Some((by, images)) = self.cut(f, served, &hosts, part, at) {
                found.push((by, PathRow { demand: f as u32, images }));
            }
        }
        found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        found
    }

    /// A smallest cut of a demand's network, when it is smaller than what should pass.
    fn cut(
        &self,
        f: usize,
        served: &[(u32, f64)],
        hosts: &[f64],
        part: &Part,
        at: &Amounts,
    ) -> Option<(f64, Vec<u32>)> {
        let wanted: f64 = served.iter().map(|(_, y)| y).sum();
        if wanted < LEAST {
            return None;
        }
        let open = || self.images[f].iter().copied().filter(|&i| part.open[i as usize]);
        let images: Vec<u32> = open().filter(|&i| at.x[i as usize] > TINY).collect();
        let place = |i: u32| images.binary_search(&i).ok();
        let (source, sink) = (images.len(), images.len() + 1);
        let mut network = Network::new(images.len() + 2);
        for (k, &i) in images.iter().enumerate() {
            network.edge(source, k, hosts[i as usize]);
            for &(j, a) in &self.parents[i as usize] {
                if let Some(from) = place(j).filter(|_| at.z[a as usize] > TINY) {
                    network.edge(from, k, at.z[a as usize]);
                }
            }
        }
        for &(i, y) in served {
            network.edge(place(i)?, sink, y);
        }
        let passed = network.flow(source, sink);
        if passed > wanted - LEAST {
            return None;
        }
        // What can still reach the sink; and images that the solution holds nothing of, where a parent is among it.
        let within = network.reaching(sink);
        let held: Vec<u32> = images.iter().zip(&within).filter(|(_, within)| **within).map(|(i, _)| *i).collect();
        let is_held = |i: u32| held.binary_search(&i).is_ok();
        let hangs = |i: u32| self.parents[i as usize].iter().any(|&(j, _)| is_held(j));
        let set: Vec<u32> = open().filter(|&i| is_held(i) || (at.x[i as usize] <= TINY && hangs(i))).collect();
        (set.len() > 1).then_some((wanted - passed, set))
    }
}

/// A small network, for greatest flows by shortest augmenting paths.
struct Network {
    heads: Vec<Vec<usize>>,
    /// Target and what is left; the reverse of edge e is e ^ 1.
    edges: Vec<(usize, f64)>,
}

impl Network {
    fn new(nodes: usize) -> Self {
        Self { heads: vec![Vec::new(); nodes], edges: Vec::new() }
    }

    fn edge(&mut self, from: usize, to: usize, capacity: f64) {
        if capacity > TINY {
            self.heads[from].push(self.edges.len());
            self.edges.push((to, capacity));
            self.heads[to].push(self.edges.len());
            self.edges.push((from, 0.0));
        }
    }

    fn flow(&mut self, source: usize, sink: usize) -> f64 {
        let mut total = 0.0;
        let mut by = vec![usize::MAX; self.heads.len()];
        // A network of n nodes and m edges needs at most n·m of these paths.
        for _ in 0..self.heads.len() * self.edges.len() {
            by.fill(usize::MAX);
            let mut queue = VecDeque::from([source]);
            while let Some(node) = queue.pop_front() {
                if node == sink {
                    break;
                }
                for &e in &self.heads[node] {
                    let (to, left) = self.edges[e];
                    if left > TINY && to != source && by[to] == usize::MAX {
                        by[to] = e;
                        queue.push_back(to);
                    }
                }
            }
            if by[sink] == usize::MAX {
                break;
            }
            let mut least = f64::INFINITY;
            let mut node = sink;
            while node != source {
                least = least.min(self.edges[by[node]].1);
                node = self.edges[by[node] ^ 1].0;
            }
            node = sink;
            while node != source {
                self.edges[by[node]].1 -= least;
                self.edges[by[node] ^ 1].1 += least;
                node = self.edges[by[node] ^ 1].0;
            }
            total += least;
        }
        total
    }

    /// The nodes from which more could flow to the sink.
    fn reaching(&self, sink: usize) -> Vec<bool> {
        let mut within = vec![false; self.heads.len()];
        within[sink] = true;
        let mut pending = vec![sink];
        while let Some(node) = pending.pop() {
            for &e in &self.heads[node] {
                // The edge that comes this way is the reverse of one that leaves.
                let from = self.edges[e].0;
                if self.edges[e ^ 1].1 > TINY && !within[from] {
                    within[from] = true;
                    pending.push(from);
                }
            }
        }
        within
    }
}
