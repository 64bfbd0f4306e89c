//! What may enter an image, what a plan says, and that a broken plan is seen.

mod solver_support;

use std::collections::BTreeMap;

use solver_support::{Fleet, function, language, pypi, python};
use warmset::graph::classes::classes;
use warmset::model::inventory::{Import, ImportKind, RequiresOn, State, Target};
use warmset::model::plan::{Status, WhyUnserved};
use warmset::model::{Image, Package, PackageId, Plan};
use warmset::solve::{self, Aim, Exact, Options};

fn budget(budget_mb: f64) -> Options {
    Options { budget_mb, exact: Exact::Auto, aim: Aim::Known, ..Options::default() }
}

fn pair() -> Fleet {
    Fleet::new(
        &[("numpy", 80.0, 20.0, &[]), ("pandas", 200.0, 40.0, &["numpy"]), ("flask", 90.0, 10.0, &[])],
        &[(3.0, &["numpy", "pandas"]), (2.0, &["numpy"]), (1.0, &["flask"]), (1.0, &["flask", "numpy"])],
        language(5.0, 2.0, 0.1),
    )
}

fn held(plan: &Plan) -> Vec<Vec<&str>> {
    plan.images.iter().map(|i| i.packages.iter().map(String::as_str).collect()).collect()
}

#[test]
fn a_plan_states_what_can_be_worked_out_by_hand() {
    let fleet = pair();
    let (_, plan) = fleet.plan(&budget(1000.0));
    // Four images: numpy; flask; numpy+pandas from numpy; flask+numpy from numpy.
    let held = held(&plan);
    assert_eq!(held.len(), 4);
    assert!(held.contains(&vec!["numpy==1", "pandas==1"]) && held.contains(&vec!["flask==1", "numpy==1"]));
    // 5+20, 5+10, 5+40, 5+10
    assert!((plan.memory_mb - 100.0).abs() < 1e-9);
    // 3·(280 − 2 − 6) + 2·(80 − 2 − 2) + 1·(90 − 2 − 1) + 1·(170 − 2 − 3)
    assert!((plan.objective - (816.0 + 152.0 + 87.0 + 165.0)).abs() < 1e-6, "{}", plan.objective);
    // 3·280 + 2·80 + 90 + 170
    assert!((plan.total_ms - 1260.0).abs() < 1e-6);
    assert_eq!(plan.status, Status::Optimal);
    assert_eq!(plan.images.iter().filter(|i| i.parent.is_some()).count(), 2);
    assert_eq!(plan.assignments.len(), 4);
    let first = plan.assignments.iter().find(|a| a.function == "f0").unwrap();
    assert!((first.saved_ms - 272.0).abs() < 1e-9 && first.remaining_ms.abs() < 1e-9);
    assert!((first.next_best.as_ref().unwrap().saved_ms - 76.0).abs() < 1e-9);
    assert_eq!(fleet.verify(&plan), Vec::<String>::new());
    for image in &plan.images {
        assert!(image.id.starts_with("py311-") && image.id.len() <= 63);
        assert!(image.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
    }
    assert!(plan.images.iter().any(|i| i.id.starts_with("py311-pandas-numpy-")));
}

/// The image that others are forked from.
fn base(plan: &mut Plan) -> &mut Image {
    plan.images.iter_mut().find(|i| i.packages == ["numpy==1"]).unwrap()
}

#[test]
fn every_rule_that_is_broken_is_named() {
    type Break = fn(&mut Plan);
    let cases: &[(&str, Break)] = &[
        ("without what it requires", |p| p.images.iter_mut().for_each(|i| i.packages.retain(|s| s != "numpy==1"))),
        ("may not use", |p| {
            let dearest = p.images.iter().find(|i| i.packages.len() == 2).unwrap().id.clone();
            p.assignments.iter_mut().find(|a| a.function == "f1").unwrap().image = dearest;
        }),
        ("but another image", |p| {
            let second = p.assignments[0].next_best.as_ref().unwrap().image.clone();
            p.assignments[0].image = second;
        }),
        ("its image gone does not exist", |p| p.assignments[0].image = "gone".into()),
        ("is unknown, or comes after it", |p| p.images.reverse()),
        ("is unknown, or comes after it", |p| p.images[0].parent = Some(p.images[0].id.clone())),
        ("does not hold all of its parent", |p| {
            let flask = p.images.iter().find(|i| i.packages == ["flask==1"]).unwrap().id.clone();
            p.images.iter_mut().find(|i| i.packages.contains(&"pandas==1".into())).unwrap().parent = Some(flask);
        }),
        ("of another platform or trust domain", |p| base(p).trust_domain = "other".into()),
        ("of another platform or trust domain", |p| base(p).platform = python("3.12")),
        ("two versions of one package", |p| {
            let other = format!("{}2", p.images[0].packages[0]);
            p.images[0].packages.push(other);
        }),
        ("holds nothing, or something twice", |p| {
            let again = p.images[0].packages[0].clone();
            p.images[0].packages.push(again);
        }),
        ("more than the budget", |p| p.budget_mb = 99.0),
        ("more than are allowed", |p| p.max_images = Some(3)),
        ("states 0 MB", |p| p.memory_mb = 0.0),
        ("states a objective", |p| p.objective -= 1.0),
        ("states a total", |p| p.total_ms += 1.0),
        ("states a saved share", |p| p.saved_share = 0.5),
        ("is below the objective", |p| p.bound = p.objective - 1.0),
        ("states a gap", |p| p.gap = 0.1),
        ("called optimal with a gap", |p| {
            p.bound *= 2.0;
            p.gap = 0.5;
        }),
        ("called empty", |p| p.status = Status::Empty),
        ("two images share an id", |p| p.images[1].id = p.images[0].id.clone()),
        ("neither served nor unserved", |p| drop(p.assignments.pop())),
        ("is listed twice", |p| p.assignments.push(p.assignments[0].clone())),
        ("is not of class", |p| p.assignments[0].class = "0".into()),
        ("states a saved time", |p| p.assignments[0].saved_ms += 1.0),
        ("states a remaining time", |p| p.assignments[0].remaining_ms += 1.0),
        ("states a weight", |p| p.assignments[0].weight += 1.0),
        ("states that it adds", |p| p.images[0].added_mb += 1.0),
        ("states a load", |p| p.images[0].load_ms += 1.0),
        ("states a swap", |p| p.images[0].swap_ms += 1.0),
        ("states a resident memory", |p| p.images[0].resident_mb += 1.0),
        ("not as stated", |p| p.images[0].serves += 1),
        ("shares of value by source", |p| p.value_by_source.clear()),
    ];
    let fleet = pair();
    let (_, good) = fleet.plan(&budget(100.0));
    assert_eq!(fleet.verify(&good), Vec::<String>::new());
    for (what, spoil) in cases {
        let mut plan = good.clone();
        spoil(&mut plan);
        let broken = fleet.verify(&plan);
        assert!(broken.iter().any(|b| b.contains(what)), "expected `{what}` among {broken:?}");
    }
    let mut foreign = fleet.clone();
    foreign.inventory.packages[0].source = Some("git".into());
    assert!(foreign.verify(&good).iter().any(|b| b.contains("comes from no registry")));
}

#[test]
fn what_cannot_be_shared_is_left_out_and_named() {
    let mut fleet = Fleet::new(
        &[
            ("free", 50.0, 1.0, &[]),
            ("unpriced", 0.0, 0.0, &[]),
            ("needs-unpriced", 50.0, 1.0, &["unpriced"]),
            ("from-git", 50.0, 1.0, &[]),
            ("inferred", 50.0, 1.0, &[]),
            ("beside", 50.0, 1.0, &[]),
            ("lonely", 50.0, 1.0, &[]),
        ],
        &[
            (1.0, &["free", "unpriced", "needs-unpriced", "from-git"]),
            (1.0, &["inferred", "beside", "free"]),
            (1.0, &["inferred", "beside"]),
            (1.0, &["inferred", "lonely"]),
        ],
        language(1.0, 0.0, 0.0),
    );
    fleet.prices.remove(&pypi("unpriced"));
    for package in &mut fleet.inventory.packages {
        match package.id.name.as_str() {
            "from-git" => package.source = Some("git".into()),
            "inferred" | "lonely" => package.requires = None,
            _ => {}
        }
    }
    fleet.inventory.functions[3].state = State::Pinned;
    let classes = classes(&fleet.inventory);
    let (problem, diagnostics) =
        solve::problem(&fleet.inventory, &classes, &|id, _| fleet.price(id), &|_| fleet.language);
    let group = &problem.groups[0];
    let cores: Vec<Vec<&str>> =
        group.demands.iter().map(|d| d.core.ones().map(|i| group.items[i].id.name.as_str()).collect()).collect();
    // `inferred` may need `beside`, which all locked closures have with it: the pinned function cannot take it alone.
    assert!(cores.contains(&vec!["free"]));
    assert!(cores.contains(&vec!["beside", "inferred"]));
    assert!(cores.contains(&vec!["beside", "free", "inferred"]));
    assert_eq!(cores.len(), 3);
    let said: Vec<(&str, &str)> =
        diagnostics.iter().map(|d| (d.code.as_str(), d.reason.split(": ").last().unwrap())).collect();
    assert_eq!(
        said,
        [
            ("cost-unknown", "pypi:unpriced==1"),
            ("source-not-shareable", "pypi:from-git==1"),
            ("requires-unknown", "pypi:inferred==1"),
            ("requires-unknown", "pypi:lonely==1"),
        ]
    );
    let (_, plan) = fleet.plan(&budget(100.0));
    assert_eq!(fleet.verify(&plan), Vec::<String>::new());
    assert_eq!(plan.unserved.iter().map(|u| u.function.as_str()).collect::<Vec<_>>(), ["f3"]);
}

#[test]
fn one_of_several_sets_of_requirements_is_enough() {
    let mut fleet = Fleet::new(
        &[("app", 50.0, 1.0, &[]), ("one", 5.0, 1.0, &[]), ("two", 5.0, 1.0, &[])],
        &[(1.0, &["app", "one"]), (1.0, &["app", "two"]), (1.0, &["app"])],
        language(1.0, 0.0, 0.0),
    );
    let on = |name: &str| RequiresOn { platform: python("3.11"), requires: vec![pypi(name)] };
    fleet.inventory.packages[0].requires_on = vec![on("one"), on("two")];
    // `app` alone would serve both, but can be loaded in neither: the intersection of the closures is no image.
    let (_, tight) = fleet.plan(&budget(3.5));
    assert_eq!(held(&tight), [["app==1", "one==1"]]);
    assert_eq!(fleet.verify(&tight), Vec::<String>::new());
    let (_, plan) = fleet.plan(&budget(100.0));
    assert_eq!(held(&plan).len(), 2);
    assert_eq!(plan.unserved.len(), 1);
    assert_eq!(plan.unserved[0].why, WhyUnserved::NothingToShare);
    assert_eq!(fleet.verify(&plan), Vec::<String>::new());
}

#[test]
fn a_closure_with_two_versions_of_a_distribution_shares_neither() {
    let mut fleet = Fleet::new(
        &[("a", 50.0, 1.0, &[]), ("b", 50.0, 1.0, &[])],
        &[(1.0, &["a", "b"]), (1.0, &["a"])],
        language(1.0, 0.0, 0.0),
    );
    fleet.inventory.functions[0].closure.push(PackageId::pypi("a", "2"));
    let (_, plan) = fleet.plan(&budget(100.0));
    assert_eq!(held(&plan), [["a==1"], ["b==1"]].map(|s| s.to_vec()).to_vec());
    assert!(plan.diagnostics.iter().any(|d| d.code == "versions-clash" && d.reason.ends_with(": a")));
    assert_eq!(fleet.verify(&plan), Vec::<String>::new());
}

#[test]
fn unserved_functions_say_why() {
    let mut fleet = Fleet::new(
        &[("big", 50.0, 100.0, &[]), ("dear", 1.0, 30.0, &[]), ("good", 50.0, 30.0, &[]), ("dark", 1.0, 1.0, &[])],
        &[(1.0, &["big"]), (1.0, &["dear"]), (1.0, &["good"]), (1.0, &["dark"]), (1.0, &[]), (1.0, &[])],
        language(1.0, 0.0, 0.0),
    );
    fleet.prices.remove(&pypi("dark"));
    fleet.inventory.functions[5].state = State::Unresolved;
    let mut lost = function("f6", python("3.11"), "default", 1.0, &[]);
    lost.platform = None;
    fleet.inventory.functions.push(lost);
    let (_, plan) = fleet.plan(&budget(40.0));
    let why: BTreeMap<&str, WhyUnserved> = plan.unserved.iter().map(|u| (u.function.as_str(), u.why)).collect();
    let expected = [
        ("f0", WhyUnserved::TooLarge),
        ("f1", WhyUnserved::NotWorthIt),
        ("f3", WhyUnserved::UnknownCost),
        ("f4", WhyUnserved::NothingToShare),
        ("f5", WhyUnserved::Unresolved),
        ("f6", WhyUnserved::UnknownPlatform),
    ];
    assert_eq!(why, expected.into_iter().collect());
    let (_, tiny) = fleet.plan(&budget(1.0));
    assert!(tiny.images.is_empty() && tiny.objective == 0.0);
    assert!(tiny.diagnostics.iter().any(|d| d.code == "budget-too-small"), "{:?}", tiny.diagnostics);
}

#[test]
fn a_fleet_with_nothing_in_it_is_planned() {
    let fleet = Fleet::new(&[], &[], language(1.0, 0.0, 0.0));
    let (_, plan) = fleet.plan(&budget(10.0));
    assert_eq!((plan.status, plan.images.len(), plan.gap), (Status::Empty, 0, 0.0));
    assert_eq!(fleet.verify(&plan), Vec::<String>::new());
}

#[test]
fn images_load_what_functions_import_and_what_nothing_else_would() {
    let mut fleet = Fleet::new(
        &[
            ("google-cloud-storage", 50.0, 1.0, &["requests"]),
            ("requests", 20.0, 1.0, &[]),
            ("zlib-ng", 10.0, 1.0, &[]),
            ("scikit-learn", 90.0, 1.0, &[]),
        ],
        &[(1.0, &["google-cloud-storage", "requests", "zlib-ng", "scikit-learn"])],
        language(1.0, 0.0, 0.0),
    );
    let import = |module: &str, names: &[&str], kind, package: &str| Import {
        file: "app.py".into(),
        line: 1,
        module: module.into(),
        names: names.iter().map(|n| n.to_string()).collect(),
        kind,
        target: Target::Package { package: package.into() },
    };
    fleet.inventory.functions[0].imports = vec![
        import("google.cloud", &["storage"], ImportKind::Runtime, "google-cloud-storage"),
        import("sklearn.linear_model", &["Ridge"], ImportKind::Lazy, "scikit-learn"),
        import("sklearn.typing", &[], ImportKind::TypeOnly, "scikit-learn"),
        import("os", &[], ImportKind::Runtime, "absent"),
    ];
    let (_, plan) = fleet.plan(&budget(100.0));
    assert_eq!(plan.images.len(), 1);
    // `requests` comes with the storage client; nothing imports `zlib-ng`, so it is loaded by the name that is known.
    // `Ridge` may be a module of its own; the storage client is what its import says already.
    let modules = ["google.cloud.storage", "sklearn.linear_model", "sklearn.linear_model:Ridge", "zlib-ng"];
    assert_eq!(plan.images[0].preload, modules);
}

#[test]
fn an_image_has_the_same_id_in_every_plan() {
    let fleet = pair();
    let (_, large) = fleet.plan(&budget(1000.0));
    let mut more = fleet.clone();
    more.inventory.packages.push(Package::new(pypi("aaa")));
    more.inventory.functions.push(function("g", python("3.12"), "default", 1.0, &[pypi("flask")]));
    let (_, other) = more.plan(&budget(1000.0));
    for image in &large.images {
        assert!(other.images.iter().any(|o| o.id == image.id && o.packages == image.packages));
    }
    let ids: std::collections::BTreeSet<_> = other.images.iter().map(|i| &i.id).collect();
    assert_eq!(ids.len(), 5);
}
