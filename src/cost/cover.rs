//! Which closures are installed together, so that shared work is done once.
//!
//! Two closures can stand in one environment where they have the same platform and no name with different versions. Fewest
//! environments means fewest colours for the graph of those that cannot, which is NP-hard (Karp, 1972); first fit, the
//! largest closures first (Welsh and Powell, 1967), is at most one more than the most conflicts that a closure has, and a
//! fleet's conflicts come in few families (one of numpy 1, one of numpy 2), for which it finds the least.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{PackageId, Platform};

/// What one class of functions needs installed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// Where it runs.
    pub platform: Platform,
    /// Everything.
    pub packages: BTreeSet<PackageId>,
    /// What npm has to place at the top, by the name that the functions use; none for Python.
    pub direct: BTreeMap<String, PackageId>,
}

/// What is installed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Platform, packages and direct dependencies of all its needs.
    pub holds: Need,
    /// Indices of the needs that it covers, ascending.
    pub covers: Vec<usize>,
}

impl Environment {
    fn new(need: &Need, at: usize) -> Self {
        Self { holds: need.clone(), covers: vec![at] }
    }

    /// Whether a need can be added: of every name that both have, both have the same versions.
    fn takes(&self, need: &Need) -> bool {
        let (mine, theirs) = (versions(&self.holds), versions(need));
        let direct = |(name, id): (&String, &PackageId)| self.holds.direct.get(name).is_none_or(|other| other == id);
        self.holds.platform == need.platform
            && need.direct.iter().all(direct)
            && theirs.iter().all(|(name, versions)| mine.get(name).is_none_or(|others| others == versions))
    }

    fn add(&mut self, need: &Need, at: usize) {
        self.holds.packages.extend(need.packages.iter().cloned());
        self.holds.direct.extend(need.direct.iter().map(|(name, id)| (name.clone(), id.clone())));
        self.covers.push(at);
        self.covers.sort_unstable();
    }
}

fn versions(need: &Need) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut out: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    need.packages.iter().for_each(|id| {
        out.entry(&id.name).or_default().insert(&id.version);
    });
    out
}

/// Covers all needs by few environments; the same for the same needs.
pub fn cover(needs: &[Need]) -> Vec<Environment> {
    let mut order: Vec<usize> = (0..needs.len()).collect();
    order.sort_by(|&a, &b| {
        let (a, b) = (&needs[a], &needs[b]);
        b.packages
            .len()
            .cmp(&a.packages.len())
            .then_with(|| (&a.platform, &a.packages).cmp(&(&b.platform, &b.packages)))
    });
    let mut out: Vec<Environment> = Vec::new();
    for at in order {
        match out.iter_mut().find(|environment| environment.takes(&needs[at])) {
            Some(environment) => environment.add(&needs[at], at),
            None => out.push(Environment::new(&needs[at], at)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(platform: &str, packages: &[&str]) -> Need {
        let platform: Platform = platform.parse().unwrap();
        let ecosystem = platform.language.ecosystem();
        let packages = packages.iter().map(|spec| PackageId::from_spec(ecosystem, spec).unwrap()).collect();
        Need { platform, packages, direct: BTreeMap::new() }
    }

    const PYTHON: &str = "python3.11-linux-x86_64-glibc";
    const NODE: &str = "node20-linux-x86_64-glibc";

    #[test]
    fn what_has_no_two_versions_of_a_name_stands_together() {
        let needs = [
            need(PYTHON, &["numpy==1.26.4"]),
            need(PYTHON, &["numpy==2.0.0", "pandas==2.2.2"]),
            need(PYTHON, &["numpy==1.26.4", "pandas==2.2.2"]),
            need(PYTHON, &["requests==2.0"]),
            need("python3.12-linux-x86_64-glibc", &["requests==2.0"]),
        ];
        let found = cover(&needs);
        let covers: Vec<Vec<usize>> = found.iter().map(|e| e.covers.clone()).collect();
        // The largest first: 2, then 1 beside it; what fits both goes to the first.
        assert_eq!(covers, [vec![0, 2, 3], vec![1], vec![4]]);
        assert_eq!(found[0].holds.packages.len(), 3);
        let mut turned: Vec<Need> = needs.to_vec();
        turned.reverse();
        let sets = |found: Vec<Environment>| found.into_iter().map(|e| e.holds.packages).collect::<Vec<_>>();
        assert_eq!(sets(cover(&turned)), sets(found), "the order of the functions decides nothing");
    }

    #[test]
    fn two_versions_inside_one_node_closure_are_kept_apart_from_one_alone() {
        let both = need(NODE, &["ms@2.0.0", "ms@2.1.3", "debug@2.6.9"]);
        let one = need(NODE, &["ms@2.1.3"]);
        let same = need(NODE, &["ms@2.0.0", "ms@2.1.3", "send@1.0.0"]);
        let covers: Vec<Vec<usize>> = cover(&[both.clone(), one, same]).into_iter().map(|e| e.covers).collect();
        assert_eq!(covers, [vec![0, 2], vec![1]]);
        // Which of the two stands at the top is what their functions name.
        let named = |version: &str| {
            let direct = BTreeMap::from([("ms".to_string(), PackageId::npm("ms", version))]);
            Need { direct, ..both.clone() }
        };
        assert_eq!(cover(&[named("2.0.0"), named("2.1.3")]).len(), 2);
    }
}
