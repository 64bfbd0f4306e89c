//! The problem with its candidates, flattened to numbers and indices over all groups.

use super::candidates::Candidates;
use super::problem::{Problem, Set};

/// A set that may become an image.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Index into [`Problem::groups`].
    pub group: usize,
    /// Its packages.
    pub set: Set,
    /// Milliseconds that one start on it saves, at least 0.
    pub value: f64,
    /// Resident MB of its packages.
    pub resident: f64,
    /// Resident MB of a warm host that holds nothing.
    pub overhead: f64,
    /// Demands whose core holds all of it; ascending.
    pub demands: Vec<u32>,
    /// Candidates that are proper parts of it, the largest resident memory first: possible parents.
    pub parents: Vec<u32>,
    /// Candidates that it is a proper part of: possible children; ascending.
    pub children: Vec<u32>,
}

/// Facility location with a knapsack over an inclusion order.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Sorted by group and set.
    pub candidates: Vec<Candidate>,
    /// Weight of each demand, over all groups in order.
    pub weights: Vec<f64>,
    /// For each demand, the candidates that can serve it with a value above 0, the most valuable first.
    pub servers: Vec<Vec<u32>>,
    /// For each group, the resident MB of each of its packages.
    pub items: Vec<Vec<f64>>,
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
            complete: families.iter().all(|f| f.complete),
        };
        for (g, (group, family)) in problem.groups.iter().zip(families).enumerate() {
            let first_demand = instance.weights.len();
            let mut found: Vec<Candidate> = family
                .sets
                .iter()
                .map(|set| Candidate {
                    group: g,
                    set: set.clone(),
                    value: group.value_ms(set).max(0.0),
                    resident: group.resident_mb(set),
                    overhead: group.language.image_overhead_mb.max(0.0),
                    demands: (0..group.demands.len())
                        .filter(|&d| set.is_subset(&group.demands[d].core))
                        .map(|d| (first_demand + d) as u32)
                        .collect(),
                    parents: Vec::new(),
                    children: Vec::new(),
                })
                .collect();
            found.retain(|c| !c.demands.is_empty() && (c.value > 0.0 || c.resident > c.overhead));
            instance.weights.extend(group.demands.iter().map(|d| d.weight));
            instance.servers.resize(instance.weights.len(), Vec::new());
            instance.link(found);
        }
        for servers in &mut instance.servers {
            let value = |i: &u32| instance.candidates[*i as usize].value;
            servers.retain(|i| value(i) > 0.0);
            servers.sort_by(|a, b| value(b).total_cmp(&value(a)).then(a.cmp(b)));
        }
        instance
    }

    /// Adds the candidates of a group, with who can serve what and who can be forked from whom.
    fn link(&mut self, mut found: Vec<Candidate>) {
        let first = self.candidates.len();
        for (k, candidate) in found.iter().enumerate() {
            for &d in &candidate.demands {
                self.servers[d as usize].push((first + k) as u32);
            }
        }
        for k in 0..found.len() {
            // Whatever is part of a candidate serves all that the candidate serves: look where the choice is smallest.
            let Some(&d) = found[k].demands.iter().min_by_key(|&&d| self.servers[d as usize].len()) else { continue };
            let mut parents: Vec<u32> = self.servers[d as usize]
                .iter()
                .copied()
                .filter(|&j| j as usize != first + k && found[j as usize - first].set.is_subset(&found[k].set))
                .collect();
            for &j in &parents {
                found[j as usize - first].children.push((first + k) as u32);
            }
            let resident = |j: &u32| found[*j as usize - first].resident;
            parents.sort_by(|a, b| resident(b).total_cmp(&resident(a)).then(a.cmp(b)));
            found[k].parents = parents;
        }
        self.candidates.extend(found);
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
        let servers = self.servers.iter().map(|s| map(s)).collect();
        let (weights, items) = (self.weights.clone(), self.items.clone());
        (Instance { candidates, weights, servers, items, complete: self.complete }, old)
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
}
