//! The price curve against plans made one by one.

mod solver_support;

use proptest::prelude::*;
use solver_support::{Fleet, drifting_fleets, fleets, language};
use warmset::model::plan::{Aim, Share, Status};
use warmset::solve::sweep::{Budgets, STEPS, Step, sweep};
use warmset::solve::{self, Exact, Options};

fn options(share: Share, exact: Exact) -> Options {
    Options { share, exact, aim: Aim::Known, ..Options::default() }
}

fn curve(fleet: &Fleet, options: &Options, budgets: &Budgets, also: Option<f64>) -> Vec<Step> {
    sweep(&fleet.problem_under(options.share), options, budgets, also, &|_, _| ())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn saving_and_bound_never_fall_and_plans_fit(fleet in drifting_fleets(), most in 0usize..6) {
        for (share, aim) in [(Share::Subset, Aim::Known), (Share::Subset, Aim::Expected), (Share::Superset, Aim::Known)] {
            let wanted = Options { aim, max_images: (most > 0).then_some(most), effort: 0, ..options(share, Exact::Never) };
            let steps = curve(&fleet, &wanted, &Budgets::Auto, Some(17.0));
            prop_assert!(steps.iter().any(|s| s.budget_mb == 17.0));
            for pair in steps.windows(2) {
                prop_assert!(pair[0].budget_mb < pair[1].budget_mb);
                prop_assert!(pair[0].solution.objective <= pair[1].solution.objective);
                prop_assert!(pair[0].solution.bound <= pair[1].solution.bound);
            }
            for step in &steps {
                prop_assert!(step.solution.memory_mb <= step.budget_mb + 1e-6);
                prop_assert!(step.solution.objective <= step.solution.bound + 1e-9);
                prop_assert!(step.solution.chosen.len() <= wanted.max_images.unwrap_or(usize::MAX));
                // What a plan says of itself is what it holds.
                let classes = warmset::graph::classes::classes(&fleet.inventory);
                let options = Options { budget_mb: step.budget_mb, ..wanted.clone() };
                let context = solve::Context { modules: &|_| Vec::new(), weights: "uniform", diagnostics: Vec::new(), before: None };
                let problem = fleet.problem_under(share);
                let plan = solve::to_plan(&fleet.inventory, &classes, &problem, &step.solution, &options, context);
                prop_assert_eq!(fleet.verify(&plan), Vec::<String>::new());
            }
        }
    }

    #[test]
    fn exact_points_are_the_best_plans(fleet in fleets(), low in 1u32..20) {
        let wanted = options(Share::Subset, Exact::Always);
        let budgets = Budgets::List(vec![f64::from(low), f64::from(low) * 2.0, f64::from(low) * 3.0]);
        for step in curve(&fleet, &wanted, &budgets, None) {
            let options = Options { budget_mb: step.budget_mb, ..wanted.clone() };
            let Some(best) = fleet.brute_force(&options) else { return Ok(()) };
            prop_assert!((step.solution.objective - best).abs() <= 1e-6 * best.max(1.0));
            prop_assert!(step.solution.status != Status::Feasible);
        }
    }

    #[test]
    fn the_number_of_threads_changes_nothing(fleet in drifting_fleets()) {
        let wanted = options(Share::Superset, Exact::Auto);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| curve(&fleet, &wanted, &Budgets::Auto, None))
        };
        prop_assert_eq!(with(1), with(3));
    }

    /// Where it ends by itself, everything that can be saved is.
    #[test]
    fn the_automatic_range_ends_where_nothing_more_is_gained(fleet in fleets()) {
        let wanted = options(Share::Subset, Exact::Never);
        let steps = curve(&fleet, &wanted, &Budgets::Auto, None);
        let (all, _) = fleet.plan(&Options { budget_mb: 1e9, ..wanted });
        prop_assert!(steps.len() <= STEPS + 1);
        let last = steps.last().map_or(0.0, |s| s.solution.objective);
        prop_assert!((last - all.objective).abs() <= 1e-6 * all.objective.max(1.0), "{last} {}", all.objective);
    }
}

#[test]
fn budgets_are_sorted_and_each_planned_once() {
    // 5 MB: b; 7: a with d; 10: b and c; 12: a with d, and b; 17 are enough for all.
    let fleet = Fleet::new(
        &[("a", 60.0, 6.0, &[]), ("b", 50.0, 5.0, &[]), ("c", 50.0, 5.0, &[]), ("d", 11.0, 1.0, &[])],
        &[(1.0, &["a", "d"]), (1.0, &["b"]), (1.0, &["c"])],
        language(0.0, 0.0, 0.0),
    );
    let steps = curve(
        &fleet,
        &options(Share::Subset, Exact::Always),
        &Budgets::List(vec![20.0, 5.0, 7.0, 10.0, 12.0, 7.0]),
        None,
    );
    let saved: Vec<f64> = steps.iter().map(|s| s.solution.objective).collect();
    assert_eq!(saved, [50.0, 71.0, 100.0, 121.0, 171.0]);
}

#[test]
fn a_fleet_with_nothing_to_share_has_a_curve_of_one_point() {
    let fleet = Fleet::new(&[], &[], language(1.0, 0.0, 0.0));
    let steps = curve(&fleet, &options(Share::Subset, Exact::Auto), &Budgets::Auto, None);
    assert_eq!(steps.len(), 1);
    assert_eq!(steps[0].solution.status, Status::Empty);
}
