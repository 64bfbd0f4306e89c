//! The solver against an oracle that tries every plan, on random small fleets.

mod solver_support;

use proptest::prelude::*;
use solver_support::{Fleet, fleets, language};
use warmset::model::plan::Status;
use warmset::solve::{self, Aim, Exact, Instance, Limits, Options, bound, greedy, local_search, state::State, tree};

fn options(budget_mb: f64, max_images: Option<usize>, exact: Exact) -> Options {
    Options { budget_mb, max_images, exact, aim: Aim::Known, ..Options::default() }
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * a.abs().max(b.abs()).max(1.0)
}

/// Terms that suffice to ask every question about the dozen images of these fleets: about one fleet in a thousand takes
/// more than a million.
const ENOUGH: u64 = 200_000_000;

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn greedy_local_search_exact_and_bound_stand_in_order(fleet in fleets(), budget in 1u32..80, most in 0usize..7) {
        let max_images = (most < 5).then_some(most);
        let wanted = options(f64::from(budget), max_images, Exact::Always);
        let Some(best) = fleet.brute_force(&wanted) else { return Ok(()) };

        let instance = solve::instance(&fleet.problem(), 10_000);
        let limits = Limits { max_images: max_images.unwrap_or(usize::MAX), ..Limits::memory(wanted.budget_mb) };
        let mut search = greedy::greedy(&instance, &limits);
        let by_greedy = search.state.objective();
        local_search::local_search(&mut search, &limits);
        let by_search = search.state.objective();
        let upper = bound::lagrangian(&instance, &limits, &search.state).value;
        prop_assert!(by_greedy <= by_search + 1e-9, "greedy {by_greedy}, local search {by_search}");
        prop_assert!(by_search <= best + 1e-6, "local search {by_search}, best {best}");
        prop_assert!(best <= upper + 1e-9, "best {best}, bound {upper}");
        // A bound holds whatever plan it starts from; what a good plan saves must not hide a wrong one.
        let blind = bound::lagrangian(&instance, &limits, &State::new(&instance)).value;
        prop_assert!(best <= blind + 1e-9, "best {best}, bound {blind}");

        // So does the tree, however early it ends.
        for known in [&search.state, &State::new(&instance)] {
            let root = bound::lagrangian(&instance, &limits, known);
            for work in [0, 3_000, ENOUGH] {
                let effort = tree::Effort { work, until: None };
                let found = tree::search(&instance, &limits, &root, known, effort, &|_, _, _| ());
                prop_assert!(best <= found.value + 1e-9, "best {best}, tree {found:?}");
                prop_assert!(found.value <= found.tightened + 1e-9 && found.tightened <= root.value + 1e-9);
                let reached = match &found.better {
                    Some(better) => State::with(&instance, better.iter().copied()),
                    None => (*known).clone(),
                };
                prop_assert!(reached.objective() <= best + 1e-6 && limits.fits(reached.memory()));
                prop_assert!(reached.images <= limits.max_images);
                if work == ENOUGH {
                    prop_assert!(close(found.value, best) && close(reached.objective(), best), "{best}, {found:?}");
                }
            }
        }

        let (solution, plan) = fleet.plan(&wanted);
        prop_assert!(close(solution.objective, best), "exact {}, best {best}", solution.objective);
        prop_assert!(solution.bound >= best - 1e-9 && solution.bound <= upper + 1e-6);
        prop_assert!(matches!(plan.status, Status::Optimal | Status::Empty), "{:?}", plan.status);
        // The second bound holds too, and is that of another method.
        if let Some(second) = &plan.proof.second_bound {
            prop_assert!(second.value >= best - 1e-9 && second.method != plan.proof.method);
        }
        prop_assert!(plan.proof.seconds.is_none() && plan.proof.seconds_allowed.is_none());
        prop_assert_eq!(fleet.verify(&plan), Vec::<String>::new());
    }

    #[test]
    fn every_mode_keeps_the_rules(fleet in fleets(), budget in 1u32..80, most in 0usize..7) {
        let max_images = (most < 5).then_some(most);
        for exact in [Exact::Never, Exact::Auto] {
            let (_, plan) = fleet.plan(&options(f64::from(budget), max_images, exact));
            prop_assert_eq!(fleet.verify(&plan), Vec::<String>::new());
        }
    }

    /// Gains and costs that are worked out where a change touches them equal what the whole choice says anew.
    #[test]
    fn increments_are_exact(fleet in fleets(), moves in prop::collection::vec(any::<u16>(), 1..20)) {
        let instance = solve::instance(&fleet.problem(), 10_000);
        let n = instance.candidates.len();
        prop_assume!(n > 0);
        let mut search = greedy::Search::new(&instance);
        for i in moves.into_iter().map(|m| usize::from(m) % n) {
            let (objective, memory) = (search.state.objective(), search.state.memory());
            if search.state.chosen[i] {
                let (loss, freed) = (search.state.loss(i), search.state.freed(i));
                search.remove(i);
                prop_assert!(close(objective - loss, search.state.objective()));
                prop_assert!(close(memory - freed, search.state.memory()));
            } else {
                let (gain, cost) = search.gain_and_cost(i);
                search.add(i);
                prop_assert!(close(objective + gain, search.state.objective()));
                prop_assert!(close(memory + cost, search.state.memory()));
            }
            let fresh = State::with(&instance, search.state.members());
            prop_assert!(close(fresh.objective(), search.state.objective()));
            prop_assert!(close(fresh.memory(), search.state.memory()));
        }
    }

    #[test]
    fn the_order_of_functions_and_packages_does_not_matter(fleet in fleets(), budget in 1u32..80) {
        let mut turned = fleet.clone();
        turned.inventory.functions.reverse();
        turned.inventory.packages.reverse();
        turned.inventory.functions.iter_mut().for_each(|f| f.closure.reverse());
        for exact in [Exact::Auto, Exact::Never] {
            let wanted = options(f64::from(budget), None, exact);
            prop_assert_eq!(turned.plan(&wanted).1, fleet.plan(&wanted).1);
        }
    }

    #[test]
    fn a_function_counts_as_two_of_half_its_weight(fleet in fleets(), budget in 1u32..80, which in 0usize..6) {
        let wanted = options(f64::from(budget), None, Exact::Auto);
        let (solution, _) = fleet.plan(&wanted);
        let mut doubled = fleet.clone();
        let k = which % doubled.inventory.functions.len();
        doubled.inventory.functions[k].weight /= 2.0;
        let mut twin = doubled.inventory.functions[k].clone();
        twin.id = "twin".into();
        doubled.inventory.functions.push(twin);
        let (other, plan) = doubled.plan(&wanted);
        prop_assert_eq!(other.chosen, solution.chosen);
        prop_assert!(close(other.objective, solution.objective));
        prop_assert_eq!(doubled.verify(&plan), Vec::<String>::new());
    }

    #[test]
    fn more_memory_never_saves_less(fleet in fleets(), budget in 1u32..60, more in 1u32..20) {
        let (less, _) = fleet.plan(&options(f64::from(budget), None, Exact::Always));
        let (other, _) = fleet.plan(&options(f64::from(budget + more), None, Exact::Always));
        prop_assert!(other.objective >= less.objective - 1e-6);
    }

    /// The memory that served it is free for the others. The images to choose from stay the same: without the function
    /// there may be fewer of them.
    #[test]
    fn without_a_function_the_others_load_no_longer(fleet in fleets(), budget in 1u32..60, which in 0usize..6) {
        let wanted = options(f64::from(budget), None, Exact::Always);
        let saved = |problem: &solve::Problem, instance: &Instance| -> Vec<f64> {
            let solution = solve::plan_instance(problem, instance, &wanted, &|_| ());
            let groups = problem.groups.iter().enumerate();
            let demands = groups.flat_map(|(g, group)| group.demands.iter().map(move |demand| (g, group, demand)));
            let of = |(g, group, demand): (usize, &solve::Group, &solve::Demand)| {
                let able = solution.chosen.iter().filter(|c| c.group == g && c.set.is_subset(&demand.core));
                able.map(|c| group.value_ms(&c.set)).fold(0.0, f64::max) * demand.weight
            };
            demands.map(of).collect()
        };
        let mut problem = fleet.problem();
        let mut instance = solve::instance(&problem, 10_000);
        if instance.weights.is_empty() {
            return Ok(());
        }
        let gone = which % instance.weights.len();
        let before = saved(&problem, &instance);
        let mut demands = problem.groups.iter_mut().flat_map(|g| &mut g.demands);
        demands.nth(gone).expect("there is one for each weight").weight = 0.0;
        instance.weights[gone] = 0.0;
        let after = saved(&problem, &instance);
        let of_others = |all: &[f64]| all.iter().enumerate().filter(|(d, _)| *d != gone).map(|(_, ms)| ms).sum::<f64>();
        prop_assert!(of_others(&after) >= of_others(&before) - 1e-6, "{before:?}, then {after:?}");
    }

    #[test]
    fn candidates_that_are_left_out_are_admitted(fleet in fleets(), budget in 1u32..80) {
        let few = Options { max_candidates: 2, ..options(f64::from(budget), None, Exact::Auto) };
        let (_, plan) = fleet.plan(&few);
        prop_assert_eq!(fleet.verify(&plan), Vec::<String>::new());
        let all = fleet.problem().groups.iter().map(|g| solve::candidates::candidates(g, 10_000).sets.len()).max();
        if all.unwrap_or(0) > 2 {
            prop_assert!(plan.bound_covers.contains("limit 2 reached"), "{}", plan.bound_covers);
        }
    }
}

/// Three functions share `base`. The greedy takes what is best for each MB and has no room left; the exact model sees
/// that a dearer image serves more.
#[test]
fn greedy_and_exact_disagree() {
    let fleet = Fleet::new(
        &[("a", 60.0, 6.0, &[]), ("b", 50.0, 5.0, &[]), ("c", 50.0, 5.0, &[]), ("d", 11.0, 1.0, &[])],
        &[(1.0, &["a", "d"]), (1.0, &["b"]), (1.0, &["c"])],
        language(0.0, 0.0, 0.0),
    );
    // Of 10 MB the greedy gives 7 to {a, d} (71 ms, 10.1 ms/MB) and finds nothing for the other 3. Best: b and c, 100 ms.
    let instance = solve::instance(&fleet.problem(), 100);
    let greedy = greedy::greedy(&instance, &Limits::memory(10.0));
    assert!(close(greedy.state.objective(), 71.0), "{}", greedy.state.objective());
    let (exact, plan) = fleet.plan(&options(10.0, None, Exact::Always));
    assert!(close(exact.objective, 100.0), "{}", exact.objective);
    assert_eq!(plan.status, Status::Optimal);
}

/// Without the safeguard the greedy would spend the budget on the cheap image.
#[test]
fn one_large_image_is_not_shut_out_by_a_small_one() {
    let fleet = Fleet::new(
        &[("small", 3.0, 1.0, &[]), ("large", 100.0, 100.0, &[])],
        &[(1.0, &["small"]), (1.0, &["large"])],
        language(0.0, 0.0, 0.0),
    );
    let instance = solve::instance(&fleet.problem(), 100);
    let greedy = greedy::greedy(&instance, &Limits::memory(100.0));
    assert!(close(greedy.state.objective(), 100.0));
}

/// Two large images that share a part take less with that part as a parent that serves nobody.
#[test]
fn an_image_may_be_kept_only_as_a_parent() {
    let fleet = Fleet::new(
        &[("base", 1.0, 50.0, &[]), ("x", 50.0, 1.0, &["base"]), ("y", 50.0, 1.0, &["base"])],
        &[(1.0, &["base", "x"]), (1.0, &["base", "y"])],
        language(2.0, 10.0, 0.0),
    );
    // base 2 + 50, x and y 2 + 1 each: 58 MB instead of 106.
    let (solution, plan) = fleet.plan(&options(58.0, None, Exact::Always));
    assert!(close(solution.objective, 82.0), "{}", solution.objective);
    assert!(close(plan.memory_mb, 58.0));
    assert_eq!(plan.images.iter().map(|i| i.serves).collect::<Vec<_>>(), [0, 1, 1]);
    assert_eq!(fleet.verify(&plan), Vec::<String>::new());
}
