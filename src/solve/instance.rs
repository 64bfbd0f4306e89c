//! The problem with its candidates, flattened to numbers and indices over all groups.

use super::candidates::Candidates;
use super::problem::{Group, Problem, Set};
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
    /// What a plan must hold.
    pub required: Vec<Required>,
    /// Whether every group's family of candidates is whole.
    pub complete: bool,
}

impl Instance {
    /// Joins the groups' candidates. What can neither save anything nor be a parent that saves memory is dropped.
    pub fn new(problem: &Problem, families: &[Candidates]) -> Self {
        let mut instance = Instance {
            candidates: Vec::new(),
            weights: Vec::new(),
            servers: Vec::new(),
            items: problem.groups.iter().map(|g| g.items.iter().map(|i| i.price.resident_mb).collect()).collect(),
            required: Vec::new(),
            complete: families.iter().all(|f| f.complete),
        };
        for (g, (group, family)) in problem.groups.iter().zip(families).enumerate() {
            let first = (instance.candidates.len(), instance.weights.len());
            let mut found: Vec<Candidate> = Vec::new();
            let holders = Holders::new(group.items.len(), group.demands.iter().map(|d| &d.core));
            let (wide, values) = (superset::is_wide(group), Values::new(group));
            let mut sets: Vec<&Set> = family.sets.iter().collect();
            sets.extend(group.pins.iter().map(|pin| &pin.set));
            sets.extend(group.old.iter().map(|old| &old.set));
            sets.sort();
            sets.dedup();
            sets.retain(|set| group.allows(set));
            for set in sets {
                let valued = values.of(set);
                let all = || (0..group.demands.len()).collect();
                let able = if wide { all() } else { holders.supersets(set, |d| &group.demands[d].core) };
                let service = |d: usize| {
                    let value = valued.for_demand(&group.demands[d]).filter(|value| *value > 0.0)?;
                    Some(Service { demand: (first.1 + d) as u32, value })
                };
                let used = !able.is_empty();
                let services: Vec<Service> = able.into_iter().filter_map(service).collect();
                let resident = group.resident_mb(set);
                let overhead = group.language.image_overhead_mb.max(0.0);
                let pinned = group.pins.iter().any(|pin| pin.set == *set);
                if !pinned && (!used || (services.is_empty() && resident <= overhead)) {
                    continue;
                }
                found.push(Candidate {
                    group: g,
                    set: set.clone(),
                    resident,
                    overhead,
                    disk: group.disk_mb(set),
                    is_new: group.old.binary_search_by(|old| old.set.cmp(set)).is_err(),
                    services,
                    meets: Vec::new(),
                    parents: Vec::new(),
                    children: Vec::new(),
                });
            }
            instance.weights.extend(group.demands.iter().map(|d| d.weight));
            instance.servers.resize(instance.weights.len(), Vec::new());
            instance.link(found, group.items.len());
            instance.require(group, first);
        }
        for servers in &mut instance.servers {
            servers.sort_by(|a, b| b.value.total_cmp(&a.value).then(a.candidate.cmp(&b.candidate)));
        }
        instance
    }

    /// Adds the candidates of a group, with who can serve what and who can be forked from whom.
    fn link(&mut self, mut found: Vec<Candidate>, items: usize) {
        let first = self.candidates.len();
        for (k, candidate) in found.iter().enumerate() {
            for service in &candidate.services {
                let server = Server { candidate: (first + k) as u32, value: service.value };
                self.servers[service.demand as usize].push(server);
            }
        }
        // The parts of a set are those whose rarest package it holds and that it holds wholly.
        let mut count = vec![0usize; items];
        found.iter().for_each(|c| c.set.ones().for_each(|i| count[i] += 1));
        let mut by_rarest: Vec<Vec<usize>> = vec![Vec::new(); items];
        for (k, c) in found.iter().enumerate() {
            if let Some(rarest) = c.set.ones().min_by_key(|&i| count[i]) {
                by_rarest[rarest].push(k);
            }
        }
        for k in 0..found.len() {
            let set = &found[k].set;
            let mut parents: Vec<u32> = set
                .ones()
                .flat_map(|i| &by_rarest[i])
                .filter(|&&j| j != k && found[j].set.is_subset(set))
                .map(|&j| (first + j) as u32)
                .collect();
            let resident = |j: &u32| found[*j as usize - first].resident;
            parents.sort_by(|a, b| resident(b).total_cmp(&resident(a)).then(a.cmp(b)));
            for &j in &parents {
                found[j as usize - first].children.push((first + k) as u32);
            }
            found[k].parents = parents;
        }
        self.candidates.extend(found);
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
        self.note_required();
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
        let mut small = Instance { candidates, weights, servers, items, required, complete: self.complete };
        small.note_required();
        (small, old)
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

/// Which sets hold each item.
struct Holders {
    by_item: Vec<Vec<u32>>,
    sets: usize,
}

impl Holders {
    fn new<'a>(items: usize, sets: impl Iterator<Item = &'a Set>) -> Self {
        let mut holders = Self { by_item: vec![Vec::new(); items], sets: 0 };
        for (k, set) in sets.enumerate() {
            set.ones().for_each(|i| holders.by_item[i].push(k as u32));
            holders.sets = k + 1;
        }
        holders
    }

    /// The sets that hold all of `part`, ascending: looked for among the holders of its rarest item.
    fn supersets<'a>(&self, part: &Set, set: impl Fn(usize) -> &'a Set) -> Vec<usize> {
        match part.ones().min_by_key(|&i| self.by_item[i].len()) {
            Some(rarest) => {
                self.by_item[rarest].iter().map(|&k| k as usize).filter(|&k| part.is_subset(set(k))).collect()
            }
            None => (0..self.sets).collect(),
        }
    }
}
