//! Demands against an oracle that tries every plan, on random small fleets: what can be had is had, and is as good as can
//! be; what cannot be had has a reason that is one, and that names nothing that does not matter.

mod solver_support;

use std::collections::BTreeSet;

use proptest::prelude::*;
use solver_support::{Fleet, fleets, language};
use warmset::model::plan::{Aim, Share};
use warmset::model::wishes::{Wish, Wishes};
use warmset::model::{PackageId, Place};
use warmset::solve::wishes::{Asked, Pool, asked, pools};
use warmset::solve::{self, Exact, Options, Set, candidates, contradictions, verify};

/// One demand of a random plan.
#[derive(Debug, Clone)]
enum Ask {
    Floor(usize, u32),
    FloorOfAll(u32),
    Pin(usize),
    Exclude(usize),
    Alone(usize),
    Cold(usize),
    Images(usize),
    Disk(u32),
    MaxImage(u32),
}

fn asks() -> impl Strategy<Value = Vec<Ask>> {
    let one = prop_oneof![
        4 => (0usize..6, 1u32..10).prop_map(|(f, share)| Ask::Floor(f, share)),
        1 => (1u32..8).prop_map(Ask::FloorOfAll),
        2 => (0usize..6).prop_map(Ask::Pin),
        2 => (0usize..5).prop_map(Ask::Exclude),
        1 => (0usize..6).prop_map(Ask::Alone),
        1 => (0usize..6).prop_map(Ask::Cold),
        1 => (1usize..4).prop_map(Ask::Images),
        2 => (1u32..60).prop_map(Ask::Disk),
        2 => (1u32..60).prop_map(Ask::MaxImage),
    ];
    prop::collection::vec(one, 0..6)
}

/// The fleet with sizes on disk that order packages otherwise than memory does.
fn with_disk(mut fleet: Fleet) -> Fleet {
    for (k, price) in fleet.prices.values_mut().enumerate() {
        price.disk_mb = Some(((k * 7 + 3) % 11) as f64 / 2.0);
    }
    fleet
}

fn wishes(fleet: &Fleet, budget: u32, asks: &[Ask]) -> Wishes {
    let functions = &fleet.inventory.functions;
    let name = |f: &usize| vec![functions[f % functions.len()].id.clone()];
    let mut list = Wishes::default();
    list.add(Wish::Memory { mb: f64::from(budget) }, Place::file("budget"));
    for (line, ask) in asks.iter().enumerate() {
        let wish = match ask {
            Ask::Floor(f, share) => Wish::Floor { functions: name(f), share: f64::from(*share) / 10.0 },
            Ask::FloorOfAll(share) => Wish::Floor { functions: vec!["*".into()], share: f64::from(*share) / 10.0 },
            Ask::Pin(f) => {
                let f = &functions[f % functions.len()];
                if f.closure.is_empty() {
                    continue;
                }
                let platform = f.platform.as_ref().map(ToString::to_string);
                Wish::Pin { packages: f.closure.clone(), platform, trust_domain: None, image: None, plan: None }
            }
            Ask::Exclude(p) => Wish::Exclude { package: format!("p{p}") },
            Ask::Alone(f) => Wish::Alone { functions: name(f) },
            Ask::Cold(f) => Wish::Cold { functions: name(f) },
            Ask::Images(most) => Wish::Images { most: *most },
            Ask::Disk(mb) => Wish::Disk { mb: f64::from(*mb) / 2.0 },
            Ask::MaxImage(mb) => Wish::MaxImage { mb: f64::from(*mb) / 2.0 },
        };
        if !wish.is_limit()
            || list.limit(None, |w| std::mem::discriminant(w) == std::mem::discriminant(&wish)).is_none()
        {
            list.add(wish, Place::at("asks", line as u32 + 1));
        }
    }
    list
}

fn ask<'a>(fleet: &'a Fleet, list: &Wishes, pools: &[Pool], active: &dyn Fn(usize) -> bool) -> Asked<'a> {
    asked(&fleet.inventory, list, pools, Share::Subset, active, &|id, _| fleet.price(id), &|_| fleet.language)
}

/// What the best plan that does all of `set` saves; None when none does. `Err` where there are too many images to try.
fn brute_force(fleet: &Fleet, list: &Wishes, pools: &[Pool], set: &[usize]) -> Result<Option<f64>, ()> {
    let asked = ask(fleet, list, pools, &|i| set.contains(&i));
    let said: Vec<(usize, &Wish)> = set.iter().map(|&i| (i, &list.list[i].wish)).collect();
    // A pin without a group has no image; floors are worked out below.
    if asked.impossible.iter().any(|i| matches!(list.list[i.wish].wish, Wish::Pin { .. })) {
        return Ok(None);
    }
    let overhead = fleet.language.image_overhead_mb;
    let sum = |ids: &BTreeSet<PackageId>, what: fn(&solve::Price) -> f64| -> f64 {
        ids.iter().map(|id| what(&fleet.prices[id])).sum()
    };
    let mut images: Vec<(usize, BTreeSet<PackageId>)> = Vec::new();
    let mut pins = Vec::new();
    for (g, group) in asked.problem.groups.iter().enumerate() {
        let names = |set: &Set| -> BTreeSet<PackageId> { set.ones().map(|i| group.items[i].id.clone()).collect() };
        let mut sets: BTreeSet<Set> = candidates::candidates(group, 10_000).sets.into_iter().collect();
        sets.extend(group.pins.iter().map(|pin| pin.set.clone()));
        pins.extend(group.pins.iter().map(|pin| (g, names(&pin.set))));
        images.extend(sets.iter().map(|set| (g, names(set))));
    }
    for (_, wish) in &said {
        if let Wish::MaxImage { mb } = wish {
            images.retain(|(_, ids)| overhead + sum(ids, |p| p.resident_mb) <= mb + 1e-9);
        }
    }
    if images.len() > 11 {
        return Err(());
    }
    let resident: Vec<f64> = images.iter().map(|(_, ids)| sum(ids, |p| p.resident_mb)).collect();
    let disk: Vec<f64> = images.iter().map(|(_, ids)| sum(ids, |p| p.disk_mb.unwrap_or(0.0))).collect();
    let load: Vec<f64> = images.iter().map(|(_, ids)| sum(ids, |p| p.load_ms)).collect();
    let value = |i: usize| load[i] - fleet.language.swap_base_ms - fleet.language.swap_ms_per_mb * resident[i];
    let functions: Vec<(f64, f64, &str, Vec<usize>)> = asked
        .inventory
        .functions
        .iter()
        .map(|f| {
            let closure: BTreeSet<PackageId> = f.closure.iter().cloned().collect();
            let cold = said.iter().any(|(_, w)| matches!(w, Wish::Cold { .. }) && w.names(&f.id));
            let fits = |i: &usize| {
                let group = &asked.problem.groups[images[*i].0];
                !cold
                    && f.platform.as_ref() == Some(&group.platform)
                    && f.trust_domain == group.trust_domain
                    && images[*i].1.is_subset(&closure)
            };
            (f.weight, sum(&closure, |p| p.load_ms), f.id.as_str(), (0..images.len()).filter(fits).collect())
        })
        .collect();
    let mut best: Option<f64> = None;
    'plans: for chosen in 0u32..1 << images.len() {
        let has = |i: &usize| chosen >> i & 1 == 1;
        let held: Vec<usize> = (0..images.len()).filter(has).collect();
        let (mut memory, mut disks) = (0.0, 0.0);
        for &i in &held {
            // The part that holds most memory, the first of equals.
            let parent = held
                .iter()
                .copied()
                .filter(|&j| j != i && images[j].0 == images[i].0 && images[j].1.is_subset(&images[i].1))
                .reduce(|a, b| if resident[b] > resident[a] { b } else { a });
            memory += overhead + resident[i] - parent.map_or(0.0, |p| resident[p]);
            disks += (disk[i] - parent.map_or(0.0, |p| disk[p])).max(0.0);
        }
        let saved = |usable: &[usize]| usable.iter().filter(|i| has(i)).map(|&i| value(i)).fold(0.0, f64::max);
        for (index, wish) in &said {
            let kept = match wish {
                Wish::Memory { mb } => memory <= mb + 1e-9,
                Wish::Images { most } => held.len() <= *most,
                Wish::Disk { mb } => disks <= mb + 1e-9,
                Wish::Floor { share, .. } => functions
                    .iter()
                    .filter(|(_, load, id, _)| *load > 0.0 && list.list[*index].wish.names(id))
                    .all(|(_, load, _, usable)| saved(usable) >= share * load - 1e-9),
                Wish::Pin { packages, .. } => {
                    let wanted: BTreeSet<PackageId> = packages.iter().cloned().collect();
                    pins.iter().any(|(g, ids)| {
                        *ids == wanted && held.iter().any(|&i| images[i].0 == *g && images[i].1 == wanted)
                    })
                }
                // These are in what the images and who may use them.
                _ => true,
            };
            if !kept {
                continue 'plans;
            }
        }
        let objective: f64 = functions.iter().map(|(weight, _, _, usable)| weight * saved(usable)).sum();
        best = Some(best.map_or(objective, |best| best.max(objective)));
    }
    Ok(best)
}

fn options() -> Options {
    Options { exact: Exact::Always, aim: Aim::Known, ..Options::default() }
}

fn objective(fleet: &Fleet, list: &Wishes) -> Option<f64> {
    let pools = pools(list).unwrap();
    let asked = ask(fleet, list, &pools, &|_| true);
    let (solution, _) = solve::pools::plan_asked(&asked, &options(), &|_| ());
    (solution.met && asked.impossible.is_empty()).then_some(solution.objective)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn demands_are_met_as_well_as_can_be_or_contradict_each_other(
        fleet in fleets(), budget in 1u32..80, asks in asks()
    ) {
        let fleet = with_disk(fleet);
        let list = wishes(&fleet, budget, &asks);
        let pools = pools(&list).unwrap();
        let all: Vec<usize> = (0..list.list.len()).collect();
        let Ok(best) = brute_force(&fleet, &list, &pools, &all) else { return Ok(()) };
        let asked = ask(&fleet, &list, &pools, &|_| true);
        let (price, language) = (|id: &PackageId, _: &_| fleet.price(id), |_| fleet.language);
        let (solution, parts) = solve::pools::plan_asked(&asked, &options(), &|_| ());
        if let Some(best) = best {
            prop_assert!(solution.met && asked.impossible.is_empty(), "{best} can be had: {:?}", asked.impossible);
            let close = (solution.objective - best).abs() <= 1e-6 * best.max(1.0);
            prop_assert!(close, "{} of {best}", solution.objective);
            prop_assert!(solution.bound >= best - 1e-9);
            let context = solve::Context { modules: &|id| vec![id.name.clone()], weights: "uniform", diagnostics: vec![], before: None };
            let (classes, problem) = (&asked.classes, &asked.problem);
            let wanted = Options { budget_mb: f64::from(budget), ..options() };
            let mut plan = solve::to_plan(&asked.inventory, classes, problem, &solution, &wanted, context);
            solve::pools::annotate(&mut plan, &asked, &list, &parts, &price);
            prop_assert!(plan.demands.iter().all(|d| d.met), "{:#?}", plan.demands);
            prop_assert_eq!(verify::verify(&plan, &asked.inventory, &price, &language), Vec::<String>::new());
        } else {
            prop_assert!(!solution.met || !asked.impossible.is_empty());
            let sets = contradictions::sets(&fleet.inventory, &list, &pools, &options(), &price, &language);
            prop_assert!(!sets.is_empty(), "no reason for {:#?}", list.list);
            for set in &sets {
                let named = || set.iter().map(|&i| list.list[i].to_string()).collect::<Vec<_>>();
                let possible = brute_force(&fleet, &list, &pools, set);
                prop_assert!(!matches!(possible, Ok(Some(_))), "{possible:?}: {:?}", named());
                for &one in set {
                    let rest: Vec<usize> = set.iter().copied().filter(|&i| i != one).collect();
                    let Ok(without) = brute_force(&fleet, &list, &pools, &rest) else { continue };
                    prop_assert!(without.is_some(), "{} does not matter in {:?}", list.list[one], named());
                }
            }
            let said = contradictions::contradictions(&fleet.inventory, &list, &pools, &options(), &price, &language);
            prop_assert_eq!(said.len(), sets.len());
            for (said, set) in said.iter().zip(&sets) {
                for &one in set {
                    let name = list.list[one].to_string();
                    prop_assert!(said.reason.contains(&name), "{name} is not named: {}", said.reason);
                }
            }
        }
    }

    /// What is asked for leaves fewer plans to choose from. (Exclusions, pins and a limit of single images change which
    /// images are looked at, so that a plan with them may by chance find one that is better than any without.)
    #[test]
    fn fewer_demands_never_save_less(fleet in fleets(), budget in 1u32..60, more in 0u32..20, asks in asks()) {
        let fleet = with_disk(fleet);
        // Of two limits of a kind the first counts, so that dropping it would bring in another one.
        let mut kinds = BTreeSet::new();
        let is_limit = |a: &Ask| matches!(a, Ask::Images(_) | Ask::Disk(_));
        let asks: Vec<Ask> = asks
            .into_iter()
            .filter(|a| !is_limit(a) || kinds.insert(matches!(a, Ask::Disk(_))))
            .filter(|a| matches!(a, Ask::Floor(..) | Ask::FloorOfAll(_) | Ask::Images(_) | Ask::Disk(_) | Ask::Cold(_)))
            .collect();
        let Some(strict) = objective(&fleet, &wishes(&fleet, budget, &asks)) else { return Ok(()) };
        // Cold functions leave the choice of images, so they are asked for in both.
        for left in (0..asks.len()).filter(|&k| !matches!(asks[k], Ask::Cold(_))) {
            let fewer: Vec<Ask> = asks.iter().enumerate().filter(|(k, _)| *k != left).map(|(_, a)| a.clone()).collect();
            let relaxed = objective(&fleet, &wishes(&fleet, budget + more, &fewer));
            prop_assert!(relaxed.is_some_and(|relaxed| relaxed >= strict - 1e-6), "{relaxed:?} after {strict}");
        }
    }

    /// Each function is in one pool, and pools that are planned by themselves keep to their limits.
    #[test]
    fn pools_are_planned_by_themselves(fleet in fleets(), first in 1u32..40, second in 1u32..40, most in 1usize..4) {
        let fleet = with_disk(fleet);
        let list = in_pools(first, second, most);
        let pools = pools(&list).unwrap();
        let asked = ask(&fleet, &list, &pools, &|_| true);
        let (solution, parts) = solve::pools::plan_asked(&asked, &options(), &|_| ());
        let (price, language) = (|id: &PackageId, _: &_| fleet.price(id), |_| fleet.language);
        let context = solve::Context { modules: &|id| vec![id.name.clone()], weights: "uniform", diagnostics: vec![], before: None };
        let wanted = Options { budget_mb: f64::from(first + second), ..options() };
        let mut plan = solve::to_plan(&asked.inventory, &asked.classes, &asked.problem, &solution, &wanted, context);
        solve::pools::annotate(&mut plan, &asked, &list, &parts, &price);
        prop_assert_eq!(verify::verify(&plan, &asked.inventory, &price, &language), Vec::<String>::new());
        prop_assert_eq!(plan.pools.len(), 2);

        // The same two fleets by themselves.
        let mut sum = 0.0;
        for (mine, mb) in [(true, first), (false, second)] {
            let mut part = fleet.clone();
            part.inventory.functions.retain(|f| ["f0", "f1", "f2"].contains(&f.id.as_str()) == mine);
            let mut alone = wishes(&part, mb, &[]);
            if mine {
                alone.add(Wish::Images { most }, Place::file("x"));
            }
            sum += if part.inventory.functions.is_empty() { 0.0 } else { objective(&part, &alone).unwrap_or(f64::NAN) };
        }
        prop_assert!((sum - solution.objective).abs() < 1e-6, "{sum} and {}", solution.objective);
    }
}

/// {p1} saves nobody anything by itself and takes as much memory as it gives back, but without it its 5 MB would lie on
/// disk once more: with the three others, one of them in another trust domain, 5 + 1.5 + 3 + 5 = 14.5 MB.
#[test]
fn an_idle_parent_stays_where_it_saves_disk() {
    let packages: &[(&str, f64, f64, &[&str])] =
        &[("p0", 10.0, 2.5, &[]), ("p1", 10.0, 3.0, &[]), ("p2", 3.0, 3.5, &[])];
    let functions: &[(f64, &[&str])] = &[(1.0, &["p0", "p1"]), (2.0, &["p1", "p2"]), (1.0, &["p1"])];
    let mut fleet = Fleet::new(packages, functions, language(3.0, 0.0, 0.0));
    fleet.inventory.functions[2].trust_domain = "other".into();
    let fleet = with_disk(fleet);
    // All of them: 10 + 10, twice 10 + 3, and 10.
    assert_eq!(objective(&fleet, &wishes(&fleet, 24, &[Ask::Disk(29)])), Some(56.0));
    let less = objective(&fleet, &wishes(&fleet, 24, &[Ask::Disk(28)]));
    assert!(less.is_some_and(|ms| ms < 56.0), "{less:?}");
}

/// Cut to 9 MB the image of {p0, p2} would do for the floor; without that limit on images nobody looks at it, whether or not
/// p0 is excluded. What contradicts the floor is the memory alone.
#[test]
fn a_demand_that_does_not_matter_is_not_named() {
    let packages: &[(&str, f64, f64, &[&str])] =
        &[("p0", 14.0, 0.0, &[]), ("p2", 38.0, 8.5, &[]), ("p3", 6.0, 15.0, &[]), ("p4", 17.0, 0.0, &["p2", "p3"])];
    let functions: &[(f64, &[&str])] = &[(1.0, &["p0"]), (1.0, &["p0", "p2", "p3", "p4"])];
    let fleet = with_disk(Fleet::new(packages, functions, language(0.5, 1.0, 0.0)));
    let list = wishes(&fleet, 9, &[Ask::MaxImage(18), Ask::Exclude(0), Ask::Exclude(0), Ask::Floor(1, 5)]);
    let (price, language) = (|id: &PackageId, _: &_| fleet.price(id), |_| fleet.language);
    let sets = contradictions::sets(&fleet.inventory, &list, &pools(&list).unwrap(), &options(), &price, &language);
    let named: Vec<Vec<String>> =
        sets.iter().map(|set| set.iter().map(|&i| list.list[i].to_string()).collect()).collect();
    assert_eq!(named, [["memory 9 MB (budget)", "floor f1 = 50 % (asks:4)"]]);
}

/// A pool of three functions with an image limit, and all others.
fn in_pools(first: u32, second: u32, most: usize) -> Wishes {
    let text = format!(
        "[plan]\nmemory = {}\n[[plan.pool]]\nname = 'a'\nmemory = {first}\nimages = {most}\nfunctions = ['f0', 'f1', 'f2']\n",
        first + second
    );
    let (list, wrong) = warmset::discover::wishes::read("x.toml", &text);
    assert_eq!(wrong, []);
    list
}
