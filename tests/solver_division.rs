//! Memory divided between platforms and trust domains, and what is done group by group and in parallel.

#[path = "../examples/support/planning_fleet.rs"]
mod planning_fleet;
mod solver_support;

use planning_fleet::{Shape, generate};
use proptest::prelude::*;
use solver_support::{Fleet, fleets, language, python};
use warmset::cost::Prices;
use warmset::graph::classes::classes;
use warmset::model::Inventory;
use warmset::solve::state::State;
use warmset::solve::{self, Aim, Exact, Instance, Limits, Options, decomposed, division, greedy};

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * a.abs().max(b.abs()).max(1.0)
}

fn options(budget_mb: f64) -> Options {
    Options { budget_mb, exact: Exact::Always, aim: Aim::Known, ..Options::default() }
}

/// Functions dealt out to three platforms and two trust domains.
fn spread(mut fleet: Fleet) -> Fleet {
    for (i, function) in fleet.inventory.functions.iter_mut().enumerate() {
        function.platform = Some(python(["3.11", "3.12", "3.13"][i % 3]));
        function.trust_domain = ["default", "other"][i / 3 % 2].into();
    }
    fleet
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_exact_division_is_the_best_there_is(fleet in fleets(), budget in 1u32..80) {
        let fleet = spread(fleet);
        let wanted = options(f64::from(budget));
        let Some(best) = fleet.brute_force(&wanted) else { return Ok(()) };
        let (solution, plan) = fleet.plan(&wanted);
        prop_assert!(close(solution.objective, best), "{} instead of {best}", solution.objective);
        prop_assert!(close(plan.groups.iter().map(|g| g.objective).sum(), best));
        prop_assert!(close(plan.groups.iter().map(|g| g.memory_mb).sum(), plan.memory_mb));
        prop_assert_eq!(plan.groups.iter().map(|g| g.images).sum::<usize>(), plan.images.len());
        prop_assert_eq!(fleet.verify(&plan), Vec::<String>::new());
    }

    /// At any price, from any plan, and however the memory is paid for.
    #[test]
    fn the_bound_of_the_groups_together_is_one(fleet in fleets(), budget in 1u32..80, most in 0usize..7) {
        let fleet = spread(fleet);
        let max_images = (most < 5).then_some(most);
        let wanted = Options { max_images, ..options(f64::from(budget)) };
        let Some(best) = fleet.brute_force(&wanted) else { return Ok(()) };
        let instance = solve::instance(&fleet.problem(), 10_000);
        let limits = Limits { max_images: max_images.unwrap_or(usize::MAX), ..Limits::memory(wanted.budget_mb) };
        let known = greedy::greedy(&instance, &limits).state;
        for (state, price) in [(&known, division::margin(&known)), (&known, 3.0), (&State::new(&instance), 0.0)] {
            let bound = decomposed::bound(&instance, &limits, state, price, &|_| ());
            prop_assert!(best <= bound + 1e-9, "best {best}, bound {bound}");
        }
    }

    #[test]
    fn improving_each_group_keeps_the_limits_and_never_loses(fleet in fleets(), budget in 1u32..80, most in 0usize..7) {
        let fleet = spread(fleet);
        let instance = solve::instance(&fleet.problem(), 10_000);
        let max_images = if most < 5 { most } else { usize::MAX };
        let limits = Limits { max_images, ..Limits::memory(f64::from(budget)) };
        let start = greedy::greedy(&instance, &limits);
        let before = start.state.objective();
        let after = division::improve_each(start, &limits).state;
        prop_assert!(limits.keeps(&after));
        prop_assert!(after.objective() >= before - 1e-9, "{before} became {}", after.objective());
    }
}

/// Images of 1 MB each, which save what stands beside their group: the five best go in, wherever they are.
#[test]
fn what_the_groups_save_with_their_last_mb_meets() {
    let packages: Vec<(String, f64)> = [90.0, 80.0, 20.0, 70.0, 30.0, 60.0, 50.0, 10.0, 5.0]
        .iter()
        .enumerate()
        .map(|(i, &ms)| (format!("p{i}"), ms))
        .collect();
    let listed: Vec<(&str, f64, f64, &[&str])> =
        packages.iter().map(|(name, ms)| (name.as_str(), *ms, 1.0, &[][..])).collect();
    let closures: Vec<[&str; 1]> = packages.iter().map(|(name, _)| [name.as_str()]).collect();
    let functions: Vec<(f64, &[&str])> = closures.iter().map(|c| (1.0, &c[..])).collect();
    let mut fleet = Fleet::new(&listed, &functions, language(0.0, 0.0, 0.0));
    // 90, 80, 20 on one platform; 70, 30, 60 on the next; 50, 10, 5 on the last.
    for (i, function) in fleet.inventory.functions.iter_mut().enumerate() {
        function.platform = Some(python(["3.11", "3.12", "3.13"][i / 3]));
    }
    for exact in [Exact::Never, Exact::Always] {
        let (_, plan) = fleet.plan(&Options { exact, ..options(5.0) });
        assert_eq!(plan.objective, 350.0);
        let shares: Vec<_> = plan.groups.iter().map(|g| (g.images, g.memory_mb, g.least_in, g.most_out)).collect();
        assert_eq!(
            shares,
            [(2, 2.0, Some(80.0), Some(20.0)), (2, 2.0, Some(60.0), Some(30.0)), (1, 1.0, Some(50.0), Some(10.0))]
        );
        let least = plan.groups.iter().filter_map(|g| g.least_in).fold(f64::INFINITY, f64::min);
        assert!(plan.groups.iter().filter_map(|g| g.most_out).all(|most| most <= least));
    }
    // Memory that is in the wrong place moves: the three of the first platform and the last two of the last.
    let instance = solve::instance(&fleet.problem(), 100);
    let mut wrong = greedy::Search::new(&instance);
    let ms = |i: usize| instance.candidates[i].services[0].value;
    (0..9).filter(|&i| [90.0, 80.0, 20.0, 10.0, 5.0].contains(&ms(i))).for_each(|i| wrong.add(i));
    assert_eq!(division::improve_each(wrong, &Limits::memory(5.0)).state.objective(), 350.0);
}

#[test]
fn a_wrong_division_is_found_out() {
    let fleet = spread(Fleet::new(
        &[("a", 50.0, 5.0, &[]), ("b", 40.0, 4.0, &[])],
        &[(1.0, &["a"]), (1.0, &["b"])],
        language(1.0, 0.0, 0.0),
    ));
    let (_, plan) = fleet.plan(&options(20.0));
    assert_eq!((plan.groups.len(), fleet.verify(&plan)), (2, Vec::new()));
    let changes: [fn(&mut warmset::model::Plan); 5] = [
        |plan| plan.groups[0].memory_mb += 1.0,
        |plan| plan.groups[0].objective -= 1.0,
        |plan| plan.groups[1].images += 1,
        |plan| plan.groups[1].trust_domain = "elsewhere".into(),
        |plan| {
            plan.groups.pop();
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut plan = plan.clone();
        change(&mut plan);
        assert!(fleet.verify(&plan).iter().any(|reason| reason.contains("groups:")), "change {number}");
    }
}

fn generated(functions: usize, single: bool) -> (Inventory, Instance) {
    let fleet = generate(Shape { functions, seed: 7, single });
    let prices = Prices::new(&fleet.costs());
    let inventory = fleet.inventory();
    let price = |id: &_, platform: &_| prices.get(id, platform);
    let (problem, _) = solve::problem(&inventory, &classes(&inventory), &price, &|l| prices.language(l));
    let instance = solve::instance(&problem, 50_000);
    (inventory, instance)
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let results: Vec<_> = [1, 2, 5]
        .into_iter()
        .map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let (_, instance) = generated(3_000, false);
                let limits = Limits::memory(600.0);
                let state = division::improve_each(greedy::greedy(&instance, &limits), &limits).state;
                let bound = decomposed::bound(&instance, &limits, &state, division::margin(&state), &|_| ());
                let members: Vec<_> = state.members().map(|i| instance.candidates[i].set.clone()).collect();
                (instance.candidates.len(), members, state.objective().to_bits(), bound.to_bits())
            })
        })
        .collect();
    assert_eq!(results[0], results[1]);
    assert_eq!(results[0], results[2]);
}

/// The fleet without its functions has the classes that its functions make.
#[test]
fn a_generated_fleet_is_what_it_says() {
    let shape = Shape { functions: 2_000, seed: 3, single: false };
    let fleet = generate(shape);
    let inventory = fleet.inventory();
    assert_eq!(inventory.functions.len(), 2_000);
    let found = classes(&inventory);
    assert_eq!(found, fleet.classes());
    assert_eq!(found.len(), 200);
    let bytes = |fleet: &planning_fleet::Fleet| serde_json::to_string(&(fleet.inventory(), fleet.costs())).unwrap();
    assert_eq!(bytes(&fleet), bytes(&generate(shape)));
    assert_ne!(bytes(&fleet), bytes(&generate(Shape { seed: 4, ..shape })));
    // Closures are whole, hold one version of a name, and some of them packages of the owner's own.
    let ids: std::collections::BTreeSet<_> = inventory.packages.iter().map(|p| &p.id).collect();
    assert!(inventory.functions.iter().flat_map(|f| &f.closure).all(|id| ids.contains(id)));
    for class in &found {
        let names: std::collections::BTreeSet<_> = class.closure.iter().map(|id| &id.name).collect();
        assert_eq!(names.len(), class.closure.len());
    }
    let private = inventory.packages.iter().filter(|p| !p.is_from_registry()).count();
    assert!(private > 10, "{private} private packages");
    let mean = found.iter().map(|c| c.closure.len()).sum::<usize>() as f64 / found.len() as f64;
    assert!((6.0..20.0).contains(&mean), "{mean} packages in a closure; the data's mean is 12.5");
}

#[test]
fn large_groups_get_candidates_that_can_be_images() {
    let (_, instance) = generated(17_000, true);
    assert!(!instance.complete);
    // What serves most is there: the largest part that all demands of any two heavy ones have in common is no worse served
    // than by single packages.
    let limits = Limits::memory(2_000.0);
    let state = greedy::greedy(&instance, &limits).state;
    let total: f64 = (0..instance.weights.len())
        .map(|d| instance.weights[d] * instance.servers[d].first().map_or(0.0, |s| s.value))
        .sum();
    assert!(state.objective() > 0.5 * total, "{} of {total}", state.objective());
}
