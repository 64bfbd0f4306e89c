//! Planning for functions that nobody has seen: properties on random small fleets.

mod solver_support;

use std::collections::BTreeSet;

use proptest::prelude::*;
use solver_support::{Fleet, fleets, pypi};
use warmset::model::PackageId;
use warmset::model::plan::Status;
use warmset::solve::{self, Aim, Exact, Options, Problem, prior, verify};

fn options(budget_mb: f64, aim: Aim) -> Options {
    Options { budget_mb, exact: Exact::Never, effort: 1, aim, ..Options::default() }
}

/// Closures of each group by name, with their weights.
fn closures(problem: &Problem) -> Vec<Vec<(BTreeSet<PackageId>, f64)>> {
    let names = |group: &solve::Group, set: &solve::Set| set.ones().map(|i| group.items[i].id.clone()).collect();
    problem.groups.iter().map(|g| g.demands.iter().map(|d| (names(g, &d.core), d.weight)).collect()).collect()
}

fn same(a: &Problem, b: &Problem) -> bool {
    let (a, b) = (closures(a), closures(b));
    a.len() == b.len()
        && a.iter()
            .zip(&b)
            .all(|(a, b)| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && (a.1 - b.1).abs() < 1e-9))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn expected_closures_are_closed_parts_and_the_weight_stays(fleet in fleets()) {
        let problem = fleet.problem();
        let found = prior::expected(&problem);
        for ((before, after), names) in problem.groups.iter().zip(&found.groups).zip(closures(&found)) {
            let weight = |g: &solve::Group| g.demands.iter().map(|d| d.weight).sum::<f64>();
            prop_assert!((weight(before) - weight(after)).abs() < 1e-9);
            let known = |g: &solve::Group| g.demands.iter().map(|d| d.known).sum::<f64>();
            prop_assert_eq!(known(before), known(after));
            prop_assert!(after.demands.windows(2).all(|pair| pair[0].core < pair[1].core), "each once, in order");
            for (demand, (ids, weight)) in after.demands.iter().zip(names) {
                prop_assert!(weight >= 0.0 && !ids.is_empty());
                prop_assert!(before.demands.iter().any(|d| demand.core.is_subset(&d.core)));
                for id in &ids {
                    let package = fleet.inventory.packages.iter().find(|p| p.id == *id).unwrap();
                    prop_assert!(package.requires.iter().flatten().all(|r| ids.contains(r)), "{ids:?}");
                }
            }
        }
    }

    #[test]
    fn order_and_duplicates_change_nothing(fleet in fleets(), budget in 1u32..80) {
        let found = prior::expected(&fleet.problem());
        let mut turned = fleet.clone();
        turned.inventory.functions.reverse();
        prop_assert!(same(&found, &prior::expected(&turned.problem())));

        // Every function twice, with half the weight each.
        let mut twice = fleet.clone();
        for function in &mut twice.inventory.functions {
            function.weight /= 2.0;
        }
        let mut copies = twice.inventory.functions.clone();
        copies.iter_mut().for_each(|f| f.id.push_str("-copy"));
        twice.inventory.functions.extend(copies);
        twice.inventory.sort();
        prop_assert!(same(&found, &prior::expected(&twice.problem())));
        let images = |fleet: &Fleet| -> BTreeSet<Vec<String>> {
            let (_, plan) = fleet.plan(&options(f64::from(budget), Aim::Expected));
            plan.images.into_iter().map(|i| i.packages).collect()
        };
        prop_assert_eq!(images(&fleet), images(&twice));
    }

    #[test]
    fn plans_hold_for_known_and_expected_functions(fleet in fleets(), budget in 1u32..80) {
        let problem = fleet.problem();
        for aim in [Aim::Known, Aim::Expected] {
            let options = options(f64::from(budget), aim);
            let (solution, plan) = fleet.plan(&options);
            prop_assert_eq!(fleet.verify(&plan), Vec::<String>::new());
            let aimed = solve::aimed(&problem, &options);
            let price = |id: &PackageId, _: &_| fleet.price(id);
            let check = |plan: &_| verify::verify_expected(plan, &fleet.inventory, &aimed, &price, &|_| fleet.language);
            prop_assert_eq!(check(&plan), Vec::<String>::new());
            prop_assert!(solution.known_objective <= problem.total_ms() + 1e-6);
            let mut wrong = plan.clone();
            wrong.objective += 1.0;
            prop_assert_eq!(check(&wrong).len(), 1);
            let mut wrong = plan.clone();
            wrong.known = wrong.known.map(|k| warmset::model::plan::Known { objective: k.objective + 1.0, ..k });
            prop_assert_eq!(check(&wrong).len(), 1);
            prop_assert!(!fleet.verify(&wrong).is_empty());
        }
    }
}

/// One function loads pandas and with it numpy. Another that loads numpy and something new finds no image when the plan is
/// for the first only; for 5 MB more it does.
#[test]
fn a_function_nobody_has_seen_finds_an_image() {
    let packages: &[(&str, f64, f64, &[&str])] = &[("numpy", 100.0, 30.0, &[]), ("pandas", 300.0, 40.0, &["numpy"])];
    let fleet = Fleet::new(packages, &[(1.0, &["numpy", "pandas"])], solver_support::language(5.0, 0.0, 0.0));
    let images = |aim, budget| -> Vec<Vec<String>> {
        let (_, plan) = fleet.plan(&options(budget, aim));
        assert_eq!((plan.saved_share, plan.known_ms()), (1.0, 400.0), "of the function that there is");
        plan.images.into_iter().map(|i| i.packages).collect()
    };
    let (numpy, both) = (vec![pypi("numpy").spec()], vec![pypi("numpy").spec(), pypi("pandas").spec()]);
    assert_eq!(images(Aim::Known, 80.0), std::slice::from_ref(&both));
    assert_eq!(images(Aim::Expected, 79.0), std::slice::from_ref(&both));
    // 35 MB with numpy alone, and 45 for the other forked from it.
    assert_eq!(images(Aim::Expected, 80.0), [numpy, both]);
    let (_, plan) = fleet.plan(&options(80.0, Aim::Expected));
    // Half of the start is expected to load both, half only numpy.
    assert_eq!((plan.objective, plan.status), (250.0, Status::Optimal));
    assert!((plan.bound - 250.0).abs() < 1e-6, "{}", plan.bound);
    assert_eq!(plan.expected.map(|e| (e.closures, e.weight_share)), Some((1, 0.5)));
}
