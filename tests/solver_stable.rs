//! Plans that keep the images of the plan before.

mod solver_support;

use std::collections::BTreeSet;

use proptest::prelude::*;
use solver_support::{Fleet, fleets, function, language, pypi, python};
use warmset::graph::classes::classes;
use warmset::model::Plan;
use warmset::solve::{self, Aim, Context, Exact, Options, Stable, stable, verify};

fn options(budget_mb: f64) -> Options {
    Options { budget_mb, exact: Exact::Never, effort: 0, max_candidates: 300, aim: Aim::Known, ..Options::default() }
}

/// The plan of a fleet that keeps what it can of `before`.
fn plan_from(fleet: &Fleet, before: &Plan, options: &Options) -> Plan {
    let classes = classes(&fleet.inventory);
    let price = |id: &_, _: &_| fleet.price(id);
    let (mut problem, diagnostics) = solve::problem(&fleet.inventory, &classes, &price, &|_| fleet.language);
    let gone = stable::note(&mut problem, before);
    let solution = solve::plan(&problem, options, &|_| ());
    let context =
        Context { modules: &|id| vec![id.name.clone()], weights: "uniform", diagnostics, before: Some((before, gone)) };
    let plan = solve::to_plan(&fleet.inventory, &classes, &problem, &solution, options, context);
    assert_eq!(fleet.verify(&plan), Vec::<String>::new());
    assert_eq!(verify::verify_changes(&plan, before), Vec::<String>::new());
    plan
}

fn ids(plan: &Plan) -> BTreeSet<&str> {
    plan.images.iter().map(|image| image.id.as_str()).collect()
}

/// A thousand functions over 80 packages, of which the first ones are the most popular.
fn thousand() -> Fleet {
    let names: Vec<String> = (0..80).map(|i| format!("p{i}")).collect();
    let mut state = 2024u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    // A package requires at most one of those before it.
    let requires: Vec<Option<usize>> = (0..80).map(|i| (i > 3 && random(2) == 0).then(|| random(i) as usize)).collect();
    let needs: Vec<Vec<&str>> = requires.iter().map(|r| r.iter().map(|&k| names[k].as_str()).collect()).collect();
    let packages: Vec<(&str, f64, f64, &[&str])> = (0..80)
        .map(|i| (names[i].as_str(), 1.0 + random(120) as f64, 0.5 + random(40) as f64 / 2.0, needs[i].as_slice()))
        .collect();
    let mut fleet = Fleet::new(&packages, &[], language(3.6, 2.0, 0.1));
    for f in 0..1000 {
        let mut closure: BTreeSet<usize> = BTreeSet::new();
        for _ in 0..1 + random(5) {
            let (a, b) = (random(80), random(80));
            let mut next = Some(a.min(b) as usize);
            while let Some(i) = next {
                closure.insert(i);
                next = requires[i];
            }
        }
        let closure: Vec<_> = closure.into_iter().map(|i| pypi(&names[i])).collect();
        fleet.inventory.functions.push(function(&format!("f{f}"), python("3.11"), "default", 1.0, &closure));
    }
    fleet.inventory.sort();
    fleet
}

#[test]
fn adding_one_function_to_a_thousand_leaves_the_other_images_as_they_were() {
    let mut fleet = thousand();
    let (_, before) = fleet.plan(&options(400.0));
    assert!(before.images.len() >= 10, "{} images", before.images.len());
    // The heaviest function that could come: it loads everything.
    let all: Vec<_> = fleet.prices.keys().cloned().collect();
    fleet.inventory.functions.push(function("new", python("3.11"), "default", 1.0, &all));
    fleet.inventory.sort();

    let kept = plan_from(
        &fleet,
        &before,
        &Options { stable: Some(Stable { max_changes: None, loss: 0.01 }), ..options(400.0) },
    );
    assert_eq!(kept.images.len(), before.images.len());
    for (now, was) in kept.images.iter().zip(&before.images) {
        assert_eq!(
            (&now.id, &now.parent, &now.packages, &now.preload),
            (&was.id, &was.parent, &was.packages, &was.preload)
        );
    }
    assert!(kept.objective >= kept.changes.as_ref().map_or(f64::INFINITY, |c| c.best_objective) * 0.99);

    // Nothing given up, and one image may change: all others stay as they were, but for those that leave.
    let one = Options { stable: Some(Stable { max_changes: Some(1), loss: 0.0 }), ..options(400.0) };
    let plan = plan_from(&fleet, &before, &one);
    assert!(ids(&plan).difference(&ids(&before)).count() <= 1);
    assert!(plan.objective >= kept.objective);
}

/// Two images of 10 MB; the fleet then asks for a third that saves more than the second. With 20 MB one of them has to go.
#[test]
fn what_is_kept_costs_what_the_plan_says() {
    let packages: &[(&str, f64, f64, &[&str])] =
        &[("a", 100.0, 10.0, &[]), ("b", 50.0, 10.0, &[]), ("c", 90.0, 10.0, &[])];
    let costs = language(0.0, 0.0, 0.0);
    let (_, before) = Fleet::new(packages, &[(1.0, &["a"]), (1.0, &["b"])], costs).plan(&options(20.0));
    assert_eq!(before.images.len(), 2);
    let fleet = Fleet::new(packages, &[(1.0, &["a"]), (1.0, &["b"]), (1.0, &["c"])], costs);
    let with = |max_changes, loss| Options { stable: Some(Stable { max_changes, loss }), ..options(20.0) };

    // Best: a and c, 190 ms. Kept: a and b, 150 ms: 40 of 190 ms are 21.05 %.
    let none = plan_from(&fleet, &before, &with(Some(0), 0.0));
    assert_eq!(ids(&none), ids(&before));
    let changes = none.changes.as_ref().expect("made from another plan");
    assert!((changes.loss - 40.0 / 190.0).abs() < 1e-9 && changes.best_objective == 190.0, "{changes:?}");
    assert!(none.diagnostics.iter().any(|d| d.code == "changes-too-few"));
    // A loss of a quarter is allowed: nothing changes and nothing is said.
    let cheap = plan_from(&fleet, &before, &with(None, 0.25));
    assert!(ids(&cheap) == ids(&before) && cheap.diagnostics.is_empty(), "{:?}", cheap.diagnostics);
    let free = plan_from(&fleet, &before, &with(None, 0.0));
    let changes = free.changes.as_ref().expect("made from another plan");
    assert_eq!((changes.kept, changes.built.len(), changes.removed.len()), (1, 1, 1));
    assert_eq!((free.objective, changes.loss), (190.0, 0.0));
}

#[test]
fn an_image_that_cannot_stay_says_why() {
    let packages: &[(&str, f64, f64, &[&str])] = &[("a", 100.0, 10.0, &[]), ("b", 50.0, 10.0, &[])];
    let costs = language(0.0, 0.0, 0.0);
    let (_, before) = Fleet::new(packages, &[(1.0, &["a"]), (1.0, &["b"])], costs).plan(&options(20.0));
    let fleet = Fleet::new(packages, &[(1.0, &["a"])], costs);
    let with = Options { stable: Some(Stable { max_changes: None, loss: 0.0 }), ..options(20.0) };
    let plan = plan_from(&fleet, &before, &with);
    let removed = &plan.changes.as_ref().expect("made from another plan").removed;
    assert_eq!(removed.len(), 1);
    assert_eq!(removed[0].why.as_deref(), Some("no function can be preloaded with b==1 any more"));
}

/// An image stays on the parent that it was built on while there is memory for that.
#[test]
fn an_old_image_keeps_its_parent() {
    let packages: &[(&str, f64, f64, &[&str])] =
        &[("base", 20.0, 10.0, &[]), ("mid", 30.0, 5.0, &["base"]), ("top", 50.0, 5.0, &["mid"])];
    let costs = language(1.0, 0.0, 0.0);
    let functions: &[(f64, &[&str])] = &[(1.0, &["base"]), (1.0, &["base", "mid", "top"])];
    let (_, before) = Fleet::new(packages, functions, costs).plan(&options(22.0));
    // base 11 MB, top on base 11 MB.
    assert_eq!(before.images.iter().map(|i| i.parent.is_some()).collect::<Vec<_>>(), [false, true]);
    let functions: &[(f64, &[&str])] = &[(1.0, &["base"]), (9.0, &["base", "mid"]), (1.0, &["base", "mid", "top"])];
    let fleet = Fleet::new(packages, functions, costs);
    let with = |budget| Options { stable: Some(Stable { max_changes: None, loss: 0.0 }), ..options(budget) };
    // With mid (6 MB on base), top on base takes 11 MB and on mid 6: 28 MB, or 23 with another parent.
    let roomy = plan_from(&fleet, &before, &with(28.0));
    let changes = roomy.changes.as_ref().expect("made from another plan");
    assert_eq!((changes.kept, changes.built.len(), changes.reparented.len()), (2, 1, 0));
    assert_eq!(roomy.memory_mb, 28.0);
    let tight = plan_from(&fleet, &before, &with(27.0));
    let changes = tight.changes.as_ref().expect("made from another plan");
    assert_eq!((changes.kept, changes.built.len(), changes.reparented.len()), (1, 1, 1));
    assert_eq!(tight.memory_mb, 23.0);
}

/// Both old images fit only on a parent that they lack, which would be three changes: one of them has to go.
#[test]
fn a_parent_that_may_not_be_built_does_not_leave_its_children_too_large() {
    let packages: &[(&str, f64, f64, &[&str])] =
        &[("base", 50.0, 10.0, &[]), ("a", 30.0, 1.0, &["base"]), ("b", 20.0, 1.0, &["base"])];
    let functions: &[(f64, &[&str])] = &[(1.0, &["base", "a"]), (1.0, &["base", "b"])];
    let fleet = Fleet::new(packages, functions, language(1.0, 0.0, 0.0));
    // 24 MB: overhead 1 and 11 each. By way of a parent 1 + 10, 1 + 1 and 1 + 1 MB.
    let (_, mut before) = fleet.plan(&options(24.0));
    before.images.retain(|image| image.packages.len() == 2);
    before.images.iter_mut().for_each(|image| image.parent = None);
    assert_eq!(before.images.len(), 2);
    let stable = Some(Stable { max_changes: Some(1), loss: 0.0 });
    let plan = plan_from(&fleet, &before, &Options { stable, ..options(16.0) });
    assert_eq!((plan.images.len(), plan.memory_mb, plan.objective), (1, 12.0, 80.0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn few_changes_and_a_small_loss(
        fleet in fleets(), gone in 0usize..6, budget in 1u32..80, other in 1u32..80, most in 0usize..4, loss in 0u32..30,
    ) {
        let (_, before) = fleet.plan(&options(f64::from(budget)));
        let mut now = fleet.clone();
        now.inventory.functions.remove(gone % fleet.inventory.functions.len());
        let max_changes = (most < 3).then_some(most);
        let stable = Stable { max_changes, loss: f64::from(loss) / 100.0 };
        let wanted = Options { stable: Some(stable), ..options(f64::from(other)) };
        // Rules, number of changes and loss are verified inside.
        let plan = plan_from(&now, &before, &wanted);
        let (_, fresh) = now.plan(&options(f64::from(other)));
        if max_changes.is_none() {
            prop_assert!(plan.objective >= fresh.objective * (1.0 - stable.loss) - 1e-6);
        }
        let said = plan.diagnostics.iter().any(|d| d.code == "changes-too-few");
        let changes = plan.changes.as_ref().expect("made from another plan");
        prop_assert_eq!(said, changes.loss > stable.loss + 1e-9);
        // The same fleet and budget: whatever is asked for, nothing changes.
        if budget == other {
            let same = plan_from(&fleet, &before, &wanted);
            prop_assert_eq!(ids(&same), ids(&before));
        }
    }
}
