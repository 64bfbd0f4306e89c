//! The superset rule: an oracle that tries every plan, on random small fleets with version drift, and cases by hand.

mod solver_support;

use proptest::prelude::*;
use solver_support::{Fleet, drifting_fleets, fleets, function, language, pypi, python};
use warmset::model::inventory::{Import, ImportKind, State, Target};
use warmset::model::plan::{Aim, Share, Status};
use warmset::model::platform::Language;
use warmset::model::{Package, PackageId, Plan, Platform};
use warmset::solve::{self, Exact, Limits, Options, bound, check, greedy, local_search, state::State as Choice, tree};

fn options(budget_mb: f64, share: Share, exact: Exact) -> Options {
    Options { budget_mb, share, exact, aim: Aim::Known, ..Options::default() }
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * a.abs().max(b.abs()).max(1.0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn greedy_local_search_exact_and_bound_stand_in_order(fleet in drifting_fleets(), budget in 1u32..80, most in 0usize..7) {
        let max_images = (most < 5).then_some(most);
        let wanted = Options { max_images, ..options(f64::from(budget), Share::Superset, Exact::Always) };
        let Some(best) = fleet.brute_force(&wanted) else { return Ok(()) };

        let instance = solve::instance(&fleet.problem_under(Share::Superset), 10_000);
        let limits = Limits { max_images: max_images.unwrap_or(usize::MAX), ..Limits::memory(wanted.budget_mb) };
        let mut search = greedy::greedy(&instance, &limits);
        let by_greedy = search.state.objective();
        local_search::local_search(&mut search, &limits);
        let by_search = search.state.objective();
        prop_assert!(by_greedy <= by_search + 1e-9 && by_search <= best + 1e-6, "{by_greedy}, {by_search}, {best}");
        for known in [&search.state, &Choice::new(&instance)] {
            let root = bound::lagrangian(&instance, &limits, known);
            prop_assert!(best <= root.value + 1e-9, "best {best}, bound {}", root.value);
            let effort = tree::Effort { work: 200_000_000, until: None };
            let found = tree::search(&instance, &limits, &root, known, effort, &|_, _, _| ());
            prop_assert!(close(found.value, best), "best {best}, tree {found:?}");
        }
        let (solution, plan) = fleet.plan(&wanted);
        prop_assert!(close(solution.objective, best), "exact {}, best {best}", solution.objective);
        prop_assert!(solution.bound >= best - 1e-9);
        prop_assert!(matches!(plan.status, Status::Optimal | Status::Empty), "{:?}", plan.status);
        prop_assert_eq!(fleet.verify(&plan), Vec::<String>::new());
    }

    /// Whatever the subset rule allows is allowed and worth as much: the best plan cannot be worse, charged or not.
    #[test]
    fn the_superset_rule_never_saves_less(fleet in drifting_fleets(), budget in 1u32..80) {
        for exact in [Exact::Always, Exact::Never] {
            let (subset, _) = fleet.plan(&options(f64::from(budget), Share::Subset, exact));
            let (superset, plan) = fleet.plan(&options(f64::from(budget), Share::Superset, exact));
            prop_assert!(superset.objective >= subset.objective - 1e-6, "{} {}", superset.objective, subset.objective);
            prop_assert_eq!(fleet.verify(&plan), Vec::<String>::new());
        }
    }

    #[test]
    fn where_no_function_is_locked_the_rules_are_one(fleet in drifting_fleets(), budget in 1u32..80) {
        let mut open = fleet.clone();
        open.inventory.functions.iter_mut().for_each(|f| f.state = State::Pinned);
        let (subset, _) = open.plan(&options(f64::from(budget), Share::Subset, Exact::Always));
        let (superset, plan) = open.plan(&options(f64::from(budget), Share::Superset, Exact::Always));
        prop_assert!(close(superset.objective, subset.objective));
        prop_assert!(plan.assignments.iter().all(|a| a.unneeded == 0));
    }

    #[test]
    fn the_order_of_functions_and_packages_does_not_matter(fleet in drifting_fleets(), budget in 1u32..80) {
        let mut turned = fleet.clone();
        turned.inventory.functions.reverse();
        turned.inventory.packages.reverse();
        turned.inventory.functions.iter_mut().for_each(|f| f.closure.reverse());
        let wanted = options(f64::from(budget), Share::Superset, Exact::Auto);
        prop_assert_eq!(turned.plan(&wanted).1, fleet.plan(&wanted).1);
    }

    #[test]
    fn a_function_counts_as_two_of_half_its_weight(fleet in fleets(), budget in 1u32..80, which in 0usize..6) {
        let wanted = options(f64::from(budget), Share::Superset, Exact::Auto);
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
    fn more_memory_saves_no_less_and_dearer_waste_saves_no_more(fleet in fleets(), budget in 1u32..60, more in 1u32..20) {
        let of = |fleet: &Fleet, mb: u32| {
            fleet.plan(&options(f64::from(mb), Share::Superset, Exact::Always)).0.objective
        };
        let free = of(&fleet, budget);
        prop_assert!(of(&fleet, budget + more) >= free - 1e-6);
        let mut dear = fleet.clone();
        dear.language.waste_ms_per_mb = Some(f64::from(more) / 8.0);
        prop_assert!(of(&dear, budget) <= free + 1e-6);
    }

    /// `check` on the fleet that a plan was made from finds nothing, and the share that was planned.
    #[test]
    fn an_unchanged_fleet_passes_the_check(fleet in drifting_fleets(), budget in 1u32..80) {
        let (_, plan) = fleet.plan(&options(f64::from(budget), Share::Superset, Exact::Auto));
        let mut now = fleet.inventory.clone();
        now.functions.iter_mut().for_each(|f| f.closure.sort());
        let cost = |id: &PackageId, _: &_| {
            let price = fleet.price(id)?;
            Some(check::Cost { load_ms: price.load_ms, waste_ms: fleet.language.waste_ms(price.resident_mb) })
        };
        let checked = check::check(&plan, "plan.json", None, &now, &cost, None);
        prop_assert_eq!(checked.findings, vec![]);
        prop_assert!((checked.saved_share - plan.saved_share).abs() < 1e-5);
    }
}

/// Two closures that differ in a little each: 40 ms of base in 20 MB, then 10 ms in 2 MB and 12 ms in 3 MB. Host: 10 MB.
fn alike() -> Fleet {
    Fleet::new(
        &[("base", 40.0, 20.0, &[]), ("a", 10.0, 2.0, &["base"]), ("b", 12.0, 3.0, &["base"])],
        &[(1.0, &["base", "a"]), (2.0, &["base", "b"])],
        language(10.0, 1.0, 0.1),
    )
}

fn held(plan: &Plan) -> Vec<Vec<&str>> {
    plan.images.iter().map(|i| i.packages.iter().map(String::as_str).collect()).collect()
}

#[test]
fn one_image_serves_closures_that_differ_in_a_little() {
    let fleet = alike();
    // 35 MB hold the union: 10 + 20 + 2 + 3. Swap: 1 + 0.1 · 25 = 3.5 ms, of which 0.3 and 0.2 are for what is not needed.
    let (_, wide) = fleet.plan(&options(35.0, Share::Superset, Exact::Always));
    assert_eq!(held(&wide), [["a==1", "b==1", "base==1"]]);
    assert!(close(wide.objective, (50.0 - 3.5) + 2.0 * (52.0 - 3.5)), "{}", wide.objective);
    assert_eq!(wide.share, Share::Superset);
    let first = wide.assignments.iter().find(|a| a.function == "f0").unwrap();
    assert_eq!((first.unneeded, first.unneeded_mb, first.remaining_ms), (1, 3.0, 0.0));
    assert_eq!(fleet.verify(&wide), Vec::<String>::new());
    // The subset rule: {base, b} alone serves f1, {base} both: 2 · (52 − 3.3) against 3 · (40 − 3).
    let (_, narrow) = fleet.plan(&options(35.0, Share::Subset, Exact::Always));
    assert!(close(narrow.objective, 111.0), "{}", narrow.objective);
    // With room for one image each (33 + 10 + 2, forked from neither, or 30 + 12 + 13), nobody is given what he does not need.
    let (_, roomy) = fleet.plan(&options(1000.0, Share::Superset, Exact::Always));
    assert!(roomy.assignments.iter().all(|a| a.unneeded == 0));
    assert!(close(roomy.objective, (50.0 - 3.2) + 2.0 * (52.0 - 3.3)));
}

#[test]
fn what_a_start_pays_for_memory_that_it_does_not_need_is_what_the_user_says() {
    let mut fleet = alike();
    fleet.language.waste_ms_per_mb = Some(1.0);
    // Less 3 ms for f0 and 2 · 2 ms for f1.
    let (_, plan) = fleet.plan(&options(35.0, Share::Superset, Exact::Always));
    assert!(close(plan.objective, 143.5 - 7.0), "{}", plan.objective);
    fleet.language.waste_ms_per_mb = Some(10.0);
    let (_, dear) = fleet.plan(&options(35.0, Share::Superset, Exact::Always));
    assert!(close(dear.objective, 111.0), "{}", dear.objective);
    assert!(dear.assignments.iter().all(|a| a.unneeded == 0));
}

/// The image of both, whoever may use it.
fn both(fleet: &Fleet) -> Option<Vec<String>> {
    let (_, plan) = fleet.plan(&options(35.0, Share::Superset, Exact::Always));
    assert_eq!(fleet.verify(&plan), Vec::<String>::new());
    let wide: Vec<String> = plan.assignments.iter().filter(|a| a.unneeded > 0).map(|a| a.function.clone()).collect();
    (!wide.is_empty()).then_some(wide)
}

#[test]
fn versions_domains_platforms_and_open_closures_keep_functions_apart() {
    assert_eq!(both(&alike()), Some(vec!["f0".to_string(), "f1".to_string()]));
    type Change = fn(&mut Fleet);
    let cases: [(&str, Change); 4] = [
        ("another version of b", |f| {
            // f0 loads b==2, which nothing is known of.
            f.inventory.functions[0].closure.push(PackageId::pypi("b", "2"));
            f.inventory.packages.push(Package::new(PackageId::pypi("b", "2")));
            f.inventory.functions[1].closure.push(PackageId::pypi("a", "2"));
            f.inventory.packages.push(Package::new(PackageId::pypi("a", "2")));
        }),
        ("another trust domain", |f| f.inventory.functions[1].trust_domain = "other".into()),
        ("another platform", |f| f.inventory.functions[1].platform = Some(python("3.12"))),
        ("closures that are not known as a whole", |f| {
            f.inventory.functions.iter_mut().for_each(|f| f.state = State::Partial);
        }),
    ];
    for (what, change) in cases {
        let mut fleet = alike();
        change(&mut fleet);
        assert_eq!(both(&fleet), None, "{what}");
    }
}

#[test]
fn what_a_function_looks_for_itself_must_not_be_found_on_an_image() {
    let import = |module: &str, kind, target| Import {
        file: "app.py".into(),
        line: 1,
        module: module.into(),
        names: vec![],
        kind,
        target,
    };
    let package = |name: &str| Target::Package { package: name.into() };
    let cases = [
        // A file of its own called b.py, which the image's b in sys.modules would hide.
        (import("b", ImportKind::Runtime, Target::Local), true),
        (import("b.part", ImportKind::Optional, Target::Missing), true),
        (import("b", ImportKind::Lazy, Target::Platform), true),
        (import("b", ImportKind::TypeOnly, Target::Missing), false),
        (import(".b", ImportKind::Runtime, Target::Local), false),
        (import("bb", ImportKind::Optional, Target::Missing), false),
        (import("base", ImportKind::Runtime, package("base")), false),
    ];
    for (import, hidden) in cases {
        let mut fleet = alike();
        fleet.inventory.functions[0].imports = vec![import.clone()];
        let wide = both(&fleet).unwrap_or_default();
        assert_eq!(!wide.contains(&"f0".to_string()), hidden, "{import:?}");
    }
}

#[test]
fn packages_that_provide_one_module_are_not_loaded_together() {
    let named = |b: &str| {
        let mut fleet = alike();
        let other = |id: &mut PackageId| {
            if id.name == "a" {
                *id = pypi("opencv-python");
            } else if id.name == "b" {
                *id = pypi(b);
            }
        };
        fleet.inventory.packages.iter_mut().for_each(|p| other(&mut p.id));
        fleet.inventory.functions.iter_mut().for_each(|f| f.closure.iter_mut().for_each(other));
        fleet.prices = std::mem::take(&mut fleet.prices)
            .into_iter()
            .map(|(mut id, price)| {
                other(&mut id);
                (id, price)
            })
            .collect();
        fleet.inventory.sort();
        fleet
    };
    assert!(both(&named("plain")).is_some());
    let mut clash = named("opencv-python-headless");
    assert_eq!(both(&clash), None);
    // A locked closure that holds both shows that they get along.
    let closure = [pypi("opencv-python"), pypi("opencv-python-headless")];
    clash.inventory.functions.push(function("proof", python("3.12"), "default", 0.0, &closure));
    assert!(both(&clash).is_some());
}

/// Node nests versions, so that a closure may hold two of one name, and so may an image for it. Nobody else may see it.
#[test]
fn an_image_with_two_versions_of_a_name_serves_only_who_loads_both() {
    let mut fleet = alike();
    let npm = |name: &str, version: &str| PackageId::npm(name, version);
    let other = |id: &mut PackageId| *id = npm(&id.name, "1.0.0");
    fleet.inventory.packages.iter_mut().for_each(|p| {
        other(&mut p.id);
        p.requires.iter_mut().flatten().for_each(other);
    });
    for function in &mut fleet.inventory.functions {
        function.platform = Some(Platform::linux(Language::Node, "20"));
        function.closure.iter_mut().for_each(other);
    }
    fleet.prices = std::mem::take(&mut fleet.prices)
        .into_iter()
        .map(|(mut id, price)| {
            other(&mut id);
            (id, price)
        })
        .collect();
    assert_eq!(both(&fleet), Some(vec!["f0".to_string(), "f1".to_string()]));
    // f0 loads `a` in two versions: its image no longer serves f1, but f1's still serves f0, which loads no b.
    let second = npm("a", "2.0.0");
    fleet.prices.insert(second.clone(), fleet.prices[&npm("a", "1.0.0")]);
    let mut package = Package::new(second.clone());
    package.requires = Some(vec![npm("base", "1.0.0")]);
    fleet.inventory.packages.push(package);
    fleet.inventory.functions[0].closure.push(second);
    fleet.inventory.sort();
    let (_, plan) = fleet.plan(&options(37.0, Share::Superset, Exact::Always));
    assert_eq!(fleet.verify(&plan), Vec::<String>::new());
    let wide: Vec<&str> = plan.assignments.iter().filter(|a| a.unneeded > 0).map(|a| a.function.as_str()).collect();
    assert!(!wide.contains(&"f1"), "{:?}", held(&plan));
}

#[test]
fn a_plan_that_breaks_the_rule_is_seen() {
    let fleet = alike();
    let (_, plan) = fleet.plan(&options(35.0, Share::Superset, Exact::Always));
    let broken = |plan: &Plan, fleet: &Fleet, what: &str| {
        let broken = fleet.verify(plan);
        assert!(broken.iter().any(|b| b.contains(what)), "expected `{what}` among {broken:?}");
    };
    let mut narrow = plan.clone();
    narrow.share = Share::Subset;
    broken(&narrow, &fleet, "may not use");
    let mut silent = plan.clone();
    silent.assignments[0].unneeded = 0;
    broken(&silent, &fleet, "does not need 1 packages");
    let mut light = plan.clone();
    light.assignments[0].unneeded_mb = 0.0;
    broken(&light, &fleet, "memory that it does not need");
    let mut priced = fleet.clone();
    priced.language.waste_ms_per_mb = Some(0.5);
    broken(&plan, &priced, "states a saved time");
    let mut open = fleet.clone();
    open.inventory.functions[0].state = State::Pinned;
    broken(&plan, &open, "may not use");
}
