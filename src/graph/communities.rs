//! Communities of an undirected weighted graph by modularity.
//!
//! The Louvain method (Blondel, Guillaume, Lambiotte, Lefebvre 2008): move nodes to the neighbouring community that
//! raises modularity most until none does, merge communities into nodes, repeat. Nodes are visited in index order and
//! ties go to the smaller community, so that the answer is always the same.

use std::collections::BTreeMap;

/// For each of `nodes` nodes the number of its community. Edges are `(a, b, weight)` with `a != b` and weight above 0.
pub fn communities(nodes: usize, edges: &[(usize, usize, f64)]) -> Vec<usize> {
    let mut member: Vec<usize> = (0..nodes).collect();
    let mut graph: Vec<BTreeMap<usize, f64>> = vec![BTreeMap::new(); nodes];
    for &(a, b, weight) in edges {
        *graph[a].entry(b).or_default() += weight;
        *graph[b].entry(a).or_default() += weight;
    }
    loop {
        let (assigned, moved) = local_moves(&graph);
        let mut names: BTreeMap<usize, usize> = BTreeMap::new();
        for community in &assigned {
            let next = names.len();
            names.entry(*community).or_insert(next);
        }
        for m in &mut member {
            *m = names[&assigned[*m]];
        }
        if !moved || names.len() == graph.len() {
            return member;
        }
        let mut merged: Vec<BTreeMap<usize, f64>> = vec![BTreeMap::new(); names.len()];
        for (a, neighbours) in graph.iter().enumerate() {
            for (&b, &weight) in neighbours {
                // A loop holds both directions of what lies inside, as its node's degree needs it.
                *merged[names[&assigned[a]]].entry(names[&assigned[b]]).or_default() += weight;
            }
        }
        graph = merged;
    }
}

fn local_moves(graph: &[BTreeMap<usize, f64>]) -> (Vec<usize>, bool) {
    let degree: Vec<f64> = graph.iter().map(|n| n.values().sum()).collect();
    let total: f64 = degree.iter().sum();
    let mut assigned: Vec<usize> = (0..graph.len()).collect();
    let mut weight_of = degree.clone();
    let mut any = false;
    if total <= 0.0 {
        return (assigned, any);
    }
    loop {
        let mut moved = false;
        for node in 0..graph.len() {
            let own = assigned[node];
            let mut links: BTreeMap<usize, f64> = BTreeMap::from([(own, 0.0)]);
            for (&other, &weight) in graph[node].iter().filter(|(other, _)| **other != node) {
                *links.entry(assigned[other]).or_default() += weight;
            }
            weight_of[own] -= degree[node];
            let gain = |community: usize, link: f64| link - weight_of[community] * degree[node] / total;
            let stay = gain(own, links[&own]);
            let best = links
                .iter()
                .map(|(&c, &link)| (gain(c, link), c))
                .fold((stay, own), |best, next| if next.0 > best.0 + 1e-12 { next } else { best });
            weight_of[best.1] += degree[node];
            if best.1 != own {
                assigned[node] = best.1;
                moved = true;
                any = true;
            }
        }
        if !moved {
            return (assigned, any);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_cliques_on_a_bridge_are_two_communities() {
        let mut edges = Vec::new();
        for base in [0, 4] {
            for a in 0..4 {
                for b in a + 1..4 {
                    edges.push((base + a, base + b, 1.0));
                }
            }
        }
        edges.push((3, 4, 0.2));
        let found = communities(8, &edges);
        assert!(found[..4].iter().all(|c| *c == found[0]));
        assert!(found[4..].iter().all(|c| *c == found[4]));
        assert_ne!(found[0], found[4]);
    }

    #[test]
    fn nodes_without_edges_stand_alone() {
        assert_eq!(communities(3, &[(0, 2, 1.0)]), [0, 1, 0]);
        assert!(communities(0, &[]).is_empty());
    }
}
