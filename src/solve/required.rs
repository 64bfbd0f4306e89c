//! Better plans where something is required: the search by single exchanges keeps to the images that first met the
//! requirements, though others may meet them too and serve more.

use super::greedy::{Limits, Rank, Search};
use super::local_search::local_search;
use super::state::State;

/// Rounds of exchanges, and other images tried for each that is needed.
const ROUNDS: usize = 3;
const TRIED: usize = 40;
/// Relative improvement below which an exchange is not worth it.
const LEAST: f64 = 1e-9;

/// Improves a plan that does what is required. Never returns a worse one, or one that does not.
pub fn improve<'a>(search: &mut Search<'a>, limits: &Limits) {
    if search.state.instance.required.is_empty() {
        return;
    }
    if let Some(other) = from_the_best(search, limits)
        && other.state.objective() > search.state.objective() * (1.0 + LEAST)
    {
        *search = other;
    }
    for _ in 0..ROUNDS {
        let before = search.state.objective();
        exchange(search, limits);
        local_search(search, limits);
        if search.state.objective() <= before * (1.0 + LEAST) {
            break;
        }
    }
}

/// Starts from a good plan that cares for no requirement, adds what it lacks, and gives up what is worth least for the
/// memory that it holds.
fn from_the_best<'a>(search: &Search<'a>, limits: &Limits) -> Option<Search<'a>> {
    let mut other = Search::new(search.state.instance);
    other.fill(limits, Rank::Ratio, &|_| false);
    // The limits do not matter yet; those that are needed stay.
    other.cover(limits);
    while !limits.keeps(&other.state) {
        let over_memory = !limits.fits(other.state.memory());
        let worth = |state: &State, i: usize| state.loss(i) / if over_memory { state.freed(i).max(1e-6) } else { 1.0 };
        let state = &other.state;
        let least = state
            .members()
            .filter(|&i| !state.is_needed(i))
            .filter(|&i| !over_memory || state.freed(i) > 0.0)
            .map(|i| (worth(state, i), i))
            .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))?;
        other.remove(least.1);
    }
    if other.state.missing > 0 {
        return None;
    }
    local_search(&mut other, limits);
    Some(other)
}

/// Puts another image that meets the same requirements in the place of one that is needed.
fn exchange(search: &mut Search, limits: &Limits) {
    let instance = search.state.instance;
    let mut objective = search.state.objective();
    for i in search.state.members().collect::<Vec<_>>() {
        if !search.state.chosen[i] || !search.state.is_needed(i) {
            continue;
        }
        let mut others: Vec<usize> = instance.candidates[i]
            .meets
            .iter()
            .filter_map(|&r| instance.required.get(r as usize))
            .flat_map(|r| r.any_of.iter().map(|&k| k as usize))
            .filter(|&k| !search.state.chosen[k])
            .collect();
        others.sort_unstable();
        others.dedup();
        let weight = |k: usize| instance.candidates[k].services.iter().map(|s| instance.gain(s)).sum::<f64>();
        others.sort_by(|&a, &b| weight(b).total_cmp(&weight(a)).then(a.cmp(&b)));
        for k in others.into_iter().take(TRIED) {
            let before = search.clone();
            search.remove(i);
            search.add(k);
            if search.state.missing == 0 && limits.keeps(&search.state) {
                search.fill(limits, Rank::Ratio, &|_| false);
            }
            let now = search.state.objective();
            if now > objective * (1.0 + LEAST) && search.state.missing == 0 && limits.keeps(&search.state) {
                objective = now;
                break;
            }
            *search = before;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::costs::{CostSource, LanguageCosts};
    use crate::model::{Language, PackageId, Platform};
    use crate::solve::Instance;
    use crate::solve::candidates::Candidates;
    use crate::solve::greedy::greedy;
    use crate::solve::problem::{Demand, Floor, Group, Item, Price, Problem, Set};

    fn set(items: &[usize]) -> Set {
        let mut set = Set::with_capacity(3);
        items.iter().for_each(|&i| set.insert(i));
        set
    }

    /// Packages a, b, c of 10, 4 and 9 ms and 3, 2 and 3 MB; functions that load a and b, and a and c; a floor of 10 ms
    /// for the first.
    pub fn instance_group() -> Group {
        let item = |name, load_ms, resident_mb| Item {
            id: PackageId::pypi(name, "1"),
            price: Price { load_ms, resident_mb, disk_mb: None, source: CostSource::Measured },
            requires: vec![Set::with_capacity(3)],
        };
        let demand = |class, items: &[usize]| Demand {
            classes: vec![class],
            core: set(items),
            weight: 1.0,
            known: 1.0,
            wide: None,
        };
        Group {
            pool: 0,
            pool_name: None,
            max_image_mb: f64::INFINITY,
            platform: Platform::linux(Language::Python, "3.11"),
            trust_domain: "default".into(),
            language: LanguageCosts {
                image_overhead_mb: 0.0,
                swap_base_ms: 0.0,
                swap_ms_per_mb: 0.0,
                load_ms_per_disk_mb: None,
                resident_mb_per_disk_mb: None,
                waste_ms_per_mb: None,
            },
            items: vec![item("a", 10.0, 3.0), item("b", 4.0, 2.0), item("c", 9.0, 3.0)],
            demands: vec![demand(0, &[0, 1]), demand(1, &[0, 2])],
            pins: Vec::new(),
            floors: vec![Floor { demand: 0, least_ms: 12.0, wish: 0 }, Floor { demand: 0, least_ms: 10.0, wish: 1 }],
            old: Vec::new(),
        }
    }

    pub fn instance() -> Instance {
        let problem = Problem {
            groups: vec![instance_group()],
            class_pool: vec![Some(0); 2],
            class_excluded: vec![false; 2],
            class_load_ms: vec![14.0, 19.0],
            class_unpriced: vec![0; 2],
            class_weight: vec![1.0; 2],
            functions: 2,
        };
        let sets = vec![set(&[0]), set(&[0, 1]), set(&[0, 2])];
        Instance::new(&problem, vec![Candidates { sets, complete: true }])
    }

    /// Only {a, b} meets the first floor, in 5 MB; {a} as its parent takes no more, and serves the other function too.
    /// {a, c} on {a} takes 3 MB besides. In 3 MB nothing meets the floor.
    #[test]
    fn what_is_required_stays_and_the_rest_is_filled() {
        let instance = instance();
        assert_eq!(instance.required.iter().map(|r| r.any_of.len()).collect::<Vec<_>>(), [1, 2]);
        for (mb, saved) in [(5.0, 24.0), (6.0, 24.0), (8.0, 33.0)] {
            let limits = Limits::memory(mb);
            let mut search = greedy(&instance, &limits);
            local_search(&mut search, &limits);
            improve(&mut search, &limits);
            assert!(search.state.missing == 0 && limits.keeps(&search.state));
            assert_eq!(search.state.objective(), saved, "{mb} MB: {:?}", search.state.members().collect::<Vec<_>>());
        }
        assert!(greedy(&instance, &Limits::memory(3.0)).state.memory() > 3.0);
    }
}
