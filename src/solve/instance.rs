//! The problem with its candidates, flattened to numbers and indices over all groups.

use std::ops::Range;

use rayon::prelude::*;

use super::candidates::Candidates;
use super::problem::{Group, Problem, Set};
use super::subsets::{Holders, Parts};
use super::superset::{self, Values};

/// A demand that a candidate can serve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Service {
    /// Index into [`Instance::weights`].
    pub demand: u32,
    /// Milliseconds that one start saves on it, above 0.
    pub value: f64,
}

/// A candidate that can serve a demand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Server {
    /// Index into [`Instance::candidates`].
    pub candidate: u32,
    /// Milliseconds that one start saves on it, above 0.
    pub value: f64,
}

/// A set that may become an image.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Index into [`Problem::groups`].
    pub group: usize,
    /// Its packages.
    pub set: Set,
    /// Resident MB of its packages.
    pub resident: f64,
    /// Resident MB of a warm host that holds nothing.
    pub overhead: f64,
    /// MB on disk of its packages.
    pub disk: f64,
    /// Whether it would have to be built: it is none of the images that there are.
    pub is_new: bool,
    /// What it can serve, by demand; only what gains by it.
    pub services: Vec<Service>,
    /// The requirements that it meets: indices into [`Instance::required`], ascending.
    pub meets: Vec<u32>,
    /// Candidates that are proper parts of it, the largest resident memory first: possible parents.
    pub parents: Vec<u32>,
    /// Candidates that it is a proper part of: possible children; ascending.
    pub children: Vec<u32>,
}

/// Something that a plan must do: hold at least one of some images.
#[derive(Debug, Clone, PartialEq)]
pub struct Required {
    /// Index of the wish that it comes from.
    pub wish: usize,
    /// Candidates, ascending; none when nothing can do it.
    pub any_of: Vec<u32>,
}

/// Where the candidates and demands of a group stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Indices into [`Instance::candidates`].
    pub candidates: Range<usize>,
    /// Indices into [`Instance::weights`].
    pub demands: Range<usize>,
}

/// Facility location with a knapsack over an inclusion order.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Sorted by group and set.
    pub candidates: Vec<Candidate>,
    /// Weight of each demand, over all groups in order.
    pub weights: Vec<f64>,
    /// For each demand, the candidates that can serve it, the most valuable first.
    pub servers: Vec<Vec<Server>>,
    /// For each group, the resident MB of each of its packages.
    pub items: Vec<Vec<f64>>,
    /// For each group, its candidates and demands.
    pub spans: Vec<Span>,
    /// What a plan must hold.
    pub required: Vec<Required>,
    /// Whether every group's family of candidates is whole.
    pub complete: bool,
    /// Where groups are large: what each candidate must be able to save for each MB of a bare host, ms.
    pub floor: f64,
}

impl Instance {
    /// Joins the groups' candidates. What can neither save anything nor be a parent that saves memory is dropped.
    pub fn new(problem: &Problem, families: Vec<Candidates>) -> Self {
        let mut instance = Instance {
            candidates: Vec::new(),
            weights: Vec::new(),
            servers: Vec::new(),
            items: problem.groups.iter().map(|g| g.items.iter().map(|i| i.price.resident_mb).collect()).collect(),
            spans: Vec::new(),
            required: Vec::new(),
            complete: families.iter().all(|f| f.complete),
            floor: 0.0,
        };
        // Groups share nothing: each is worked out by itself, and they are joined in order.
        let found: Vec<Vec<Candidate>> =
            problem.groups.par_iter().zip(families).map(|(group, family)| of_group(group, family.sets)).collect();
        // Counted first: lists that grow take up to twice the room.
        let mut count: Vec<usize> = Vec::new();
        for (group, found) in problem.groups.iter().zip(&found) {
            let first = count.len();
            count.resize(first + group.demands.len(), 0);
            found.iter().flat_map(|c| &c.services).for_each(|s| count[first + s.demand as usize] += 1);
        }
        instance.servers = count.into_iter().map(Vec::with_capacity).collect();
        for (g, (group, mut found)) in problem.groups.iter().zip(found).enumerate() {
            let first = (instance.candidates.len(), instance.weights.len());
            instance.weights.extend(group.demands.iter().map(|d| d.weight));
            for (k, candidate) in found.iter_mut().enumerate() {
                candidate.group = g;
                candidate.parents.iter_mut().chain(&mut candidate.children).for_each(|i| *i += first.0 as u32);
                for service in &mut candidate.services {
                    service.demand += first.1 as u32;
                    let server = Server { candidate: (first.0 + k) as u32, value: service.value };
                    instance.servers[service.demand as usize].push(server);
                }
            }
            instance.candidates.extend(found);
            instance.spans.push(Span {
                candidates: first.0..instance.candidates.len(),
                demands: first.1..instance.weights.len(),
            });
            instance.require(group, first);
        }
        instance.servers.par_iter_mut().for_each(|servers| {
            servers.sort_unstable_by(|a, b| b.value.total_cmp(&a.value).then(a.candidate.cmp(&b.candidate)));
        });
        instance.note_required();
        instance
    }

    /// Adds what a group requires; its candidates and demands begin at `first`.
    fn require(&mut self, group: &Group, first: (usize, usize)) {
        for pin in &group.pins {
            let any_of = (first.0..self.candidates.len()).filter(|&i| self.candidates[i].set == pin.set);
            self.required.push(Required { wish: pin.wish, any_of: any_of.map(|i| i as u32).collect() });
        }
        for floor in &group.floors {
            let mut any_of: Vec<u32> = self.servers[first.1 + floor.demand]
                .iter()
                .filter(|server| server.value >= floor.least_ms - 1e-9)
                .map(|server| server.candidate)
                .collect();
            any_of.sort_unstable();
            self.required.push(Required { wish: floor.wish, any_of });
        }
    }

    /// Drops the requirements that are not to be kept.
    pub fn keep_required(&mut self, kept: impl Fn(&Required) -> bool) {
        self.required.retain(kept);
        self.note_required();
    }

    /// Tells each candidate what it meets.
    fn note_required(&mut self) {
        self.candidates.iter_mut().for_each(|c| c.meets.clear());
        for (r, required) in self.required.iter().enumerate() {
            required.any_of.iter().for_each(|&i| self.candidates[i as usize].meets.push(r as u32));
        }
    }

    /// The instance with only the candidates that are `kept`, and the index that each had here.
    pub fn restrict(&self, kept: &[bool]) -> (Instance, Vec<usize>) {
        let old: Vec<usize> = (0..self.candidates.len()).filter(|&i| kept[i]).collect();
        let mut new = vec![None; self.candidates.len()];
        old.iter().enumerate().for_each(|(k, &i)| new[i] = Some(k as u32));
        let map = |list: &[u32]| list.iter().filter_map(|&i| new[i as usize]).collect::<Vec<u32>>();
        let candidates = old
            .iter()
            .map(|&i| {
                let c = &self.candidates[i];
                Candidate { parents: map(&c.parents), children: map(&c.children), ..c.clone() }
            })
            .collect();
        let server = |s: &Server| new[s.candidate as usize].map(|candidate| Server { candidate, ..*s });
        let servers = self.servers.iter().map(|s| s.iter().filter_map(server).collect()).collect();
        let required = self.required.iter().map(|r| Required { wish: r.wish, any_of: map(&r.any_of) }).collect();
        let (weights, items) = (self.weights.clone(), self.items.clone());
        let at = |i: usize| old.partition_point(|&k| k < i);
        let span = |s: &Span| Span { candidates: at(s.candidates.start)..at(s.candidates.end), ..s.clone() };
        let spans = self.spans.iter().map(span).collect();
        let mut small = Instance {
            candidates,
            weights,
            servers,
            items,
            spans,
            required,
            complete: self.complete,
            floor: self.floor,
        };
        small.note_required();
        (small, old)
    }

    /// One group by itself. Requirements that nothing can meet are left out.
    pub fn slice(&self, g: usize) -> Instance {
        let Span { candidates: range, demands } = self.spans[g].clone();
        let (first, first_demand) = (range.start as u32, demands.start as u32);
        let shift = |list: &[u32]| list.iter().map(|&i| i - first).collect::<Vec<u32>>();
        let candidates = self.candidates[range.clone()].iter().map(|c| Candidate {
            group: 0,
            services: c.services.iter().map(|s| Service { demand: s.demand - first_demand, ..*s }).collect(),
            parents: shift(&c.parents),
            children: shift(&c.children),
            meets: Vec::new(),
            set: c.set.clone(),
            ..*c
        });
        let server = |s: &Server| Server { candidate: s.candidate - first, ..*s };
        let required =
            self.required.iter().filter(|r| r.any_of.first().is_some_and(|&i| range.contains(&(i as usize))));
        let mut slice = Instance {
            candidates: candidates.collect(),
            weights: self.weights[demands.clone()].to_vec(),
            servers: self.servers[demands.clone()].iter().map(|s| s.iter().map(server).collect()).collect(),
            items: vec![self.items[g].clone()],
            spans: vec![Span { candidates: 0..range.len(), demands: 0..demands.len() }],
            required: required.map(|r| Required { wish: r.wish, any_of: shift(&r.any_of) }).collect(),
            complete: self.complete,
            floor: self.floor,
        };
        slice.note_required();
        slice
    }

    /// The instance without what only the superset rule allows: images serve demands whose core holds all of them.
    pub fn narrow(&self, problem: &Problem) -> Instance {
        let cores: Vec<&Set> = problem.groups.iter().flat_map(|g| &g.demands).map(|d| &d.core).collect();
        let mut narrow = self.clone();
        for c in &mut narrow.candidates {
            c.services.retain(|s| c.set.is_subset(cores[s.demand as usize]));
        }
        for (servers, core) in narrow.servers.iter_mut().zip(&cores) {
            servers.retain(|s| self.candidates[s.candidate as usize].set.is_subset(core));
        }
        narrow
    }

    /// Number of possible parent → child pairs.
    pub fn parent_pairs(&self) -> usize {
        self.candidates.iter().map(|c| c.parents.len()).sum()
    }

    /// Number of candidate → demand pairs with a value.
    pub fn service_pairs(&self) -> usize {
        self.servers.iter().map(Vec::len).sum()
    }

    /// Resident MB that candidate `i` adds when it is forked from `parent`, or from the bare host.
    pub fn added_mb(&self, i: usize, parent: Option<usize>) -> f64 {
        let c = &self.candidates[i];
        // Sums in a different order could make a part larger than the whole by a rounding error.
        c.overhead + (c.resident - parent.map_or(0.0, |p| self.candidates[p].resident)).max(0.0)
    }

    /// Milliseconds that a service is worth in the planning period: weight × value.
    pub fn gain(&self, service: &Service) -> f64 {
        self.weights[service.demand as usize] * service.value
    }

    /// MB on disk that candidate `i` adds when its layers lie on those of `parent`, or on the base image.
    pub fn added_disk_mb(&self, i: usize, parent: Option<usize>) -> f64 {
        (self.candidates[i].disk - parent.map_or(0.0, |p| self.candidates[p].disk)).max(0.0)
    }
}

/// The candidates of one group, their demands and kin numbered within it.
fn of_group(group: &Group, mut sets: Vec<Set>) -> Vec<Candidate> {
    let holders = Holders::new(group.items.len(), group.demands.iter().map(|d| &d.core));
    let (wide, values) = (superset::is_wide(group), Values::new(group));
    sets.extend(group.pins.iter().map(|pin| pin.set.clone()));
    sets.extend(group.old.iter().map(|old| old.set.clone()));
    sets.sort();
    sets.dedup();
    sets.retain(|set| group.allows(set));
    let mut found: Vec<Candidate> = Vec::new();
    for set in sets {
        let valued = values.of(&set);
        let able = if wide { (0..group.demands.len()).collect() } else { holders.supersets(&set) };
        let service = |d: usize| {
            let value = valued.for_demand(&group.demands[d]).filter(|value| *value > 0.0)?;
            Some(Service { demand: d as u32, value })
        };
        let used = !able.is_empty();
        let mut services: Vec<Service> = able.into_iter().filter_map(service).collect();
        services.shrink_to_fit();
        let resident = group.resident_mb(&set);
        let overhead = group.language.image_overhead_mb.max(0.0);
        let pinned = group.pins.iter().any(|pin| pin.set == set);
        if !pinned && (!used || (services.is_empty() && resident <= overhead)) {
            continue;
        }
        found.push(Candidate {
            group: 0,
            resident,
            overhead,
            disk: group.disk_mb(&set),
            is_new: group.old.binary_search_by(|old| old.set.cmp(&set)).is_err(),
            set,
            services,
            meets: Vec::new(),
            parents: Vec::new(),
            children: Vec::new(),
        });
    }
    if group.platform.language.forks() {
        link(&mut found, group.items.len());
    }
    found
}

/// Who can be forked from whom.
fn link(found: &mut [Candidate], items: usize) {
    let index = Parts::new(items, found.iter().map(|c| &c.set));
    for k in 0..found.len() {
        let mut parents: Vec<u32> = index.of(&found[k].set).filter(|&j| j != k).map(|j| j as u32).collect();
        let resident = |j: &u32| found[*j as usize].resident;
        parents.sort_by(|a, b| resident(b).total_cmp(&resident(a)).then(a.cmp(b)));
        for &j in &parents {
            found[j as usize].children.push(k as u32);
        }
        found[k].parents = parents;
    }
}
