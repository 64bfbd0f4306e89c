//! What following advice comes to, by means that know nothing of the adviser: closures are changed as the advice says, the
//! inventory is made anew from them, and planning it must give what was promised, inside every range.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use warmset::graph::classes::classes;
use warmset::model::advice::{Advice, Piece};
use warmset::model::inventory::{Function, Inventory, LockRef, Package, Requirement, RequiresOn, State};
use warmset::model::{CostSource, LanguageCosts, PackageId, Place, Plan, Platform};
use warmset::solve::advise::{self, Effort};
use warmset::solve::{self, Context, Price};

const NAMES: usize = 5;
const VERSIONS: usize = 3;

/// A package, the version that is tried first, and the range that is declared.
type Root = (usize, usize, usize, usize);

/// Versions are 1 to 3; package `i` requires only packages with higher numbers.
#[derive(Debug, Clone)]
struct World {
    /// By package and version: what it requires, with the least and the highest version allowed.
    requires: Vec<Vec<Vec<(usize, usize, usize)>>>,
    /// By package and version: whether its ranges are recorded.
    recorded: Vec<Vec<bool>>,
    /// Roots, lock and weight.
    functions: Vec<(Vec<Root>, usize, u8)>,
    budget: f64,
}

fn range() -> impl Strategy<Value = (usize, usize)> {
    prop_oneof![4 => Just((1, VERSIONS)), 1 => Just((2, VERSIONS)), 1 => Just((1, 2)), 1 => Just((1, 1)), 1 => Just((3, 3))]
}

fn world() -> impl Strategy<Value = World> {
    let edge = (0..NAMES, range(), any::<u8>());
    let edges = proptest::collection::vec(edge, 0..3);
    let requires = proptest::collection::vec(proptest::collection::vec(edges, VERSIONS), NAMES);
    let recorded = proptest::collection::vec(proptest::collection::vec(any::<bool>(), VERSIONS), NAMES);
    let root = (0..NAMES, 1..=VERSIONS, range());
    let function = (proptest::collection::vec(root, 1..3), 0..6usize, 1..4u8);
    let functions = proptest::collection::vec(function, 2..8);
    (requires, recorded, functions, 10.0..120.0f64).prop_map(|(requires, recorded, functions, budget)| World {
        requires: requires
            .into_iter()
            .enumerate()
            .map(|(i, versions)| {
                let of = |edges: Vec<(usize, (usize, usize), u8)>| {
                    let mut seen = BTreeSet::new();
                    let later = edges.into_iter().filter(|(to, ..)| *to > i);
                    later.filter(|(to, ..)| seen.insert(*to)).map(|(to, (low, high), _)| (to, low, high)).collect()
                };
                versions.into_iter().map(of).collect()
            })
            .collect(),
        recorded,
        functions: functions
            .into_iter()
            .map(|(roots, lock, weight)| {
                let mut seen = BTreeSet::new();
                let roots = roots.into_iter().filter(|(name, ..)| seen.insert(*name));
                (roots.map(|(name, version, (low, high))| (name, version, low, high)).collect(), lock, weight)
            })
            .collect(),
        budget,
    })
}

fn id(name: usize, version: usize) -> PackageId {
    PackageId::pypi(&format!("p{name}"), &version.to_string())
}

fn numbers(id: &PackageId) -> (usize, usize) {
    (id.name[1..].parse().unwrap(), id.version.parse().unwrap())
}

fn text(low: usize, high: usize) -> String {
    match (low, high) {
        (1, VERSIONS) => String::new(),
        (low, high) if low == high => format!("=={low}"),
        (low, VERSIONS) => format!(">={low}"),
        (_, high) => format!("<={high}"),
    }
}

fn platform() -> Platform {
    "python3.11-linux-x86_64-glibc".parse().unwrap()
}

impl World {
    /// The closures that its functions have: one version a name and lock, every range kept. A function for which there is
    /// none, as another of its lock has other versions, gets a lock of its own.
    fn closures(&self) -> Vec<(BTreeMap<usize, usize>, String)> {
        let mut locks: BTreeMap<String, BTreeMap<usize, usize>> = BTreeMap::new();
        let mut out = Vec::new();
        for (at, (roots, lock, _)) in self.functions.iter().enumerate() {
            let mut done = None;
            for lock in [format!("l{lock}/uv.lock"), format!("own{at}/uv.lock")] {
                let known = locks.get(&lock).cloned().unwrap_or_default();
                if let Some(closure) = self.solve(roots, &known) {
                    locks.entry(lock.clone()).or_default().extend(&closure);
                    done = Some((closure, lock));
                    break;
                }
            }
            out.push(done.unwrap_or_else(|| (BTreeMap::new(), format!("own{at}/uv.lock"))));
        }
        out
    }

    /// All choices of versions, tried in turn.
    fn solve(&self, roots: &[Root], known: &BTreeMap<usize, usize>) -> Option<BTreeMap<usize, usize>> {
        (0..VERSIONS.pow(NAMES as u32)).find_map(|mut code| {
            let mut first: BTreeMap<usize, usize> = roots.iter().map(|r| (r.0, r.1)).collect();
            let mut version = |name: usize| {
                let digit = code / VERSIONS.pow(name as u32) % VERSIONS;
                let start = first.remove(&name).unwrap_or(VERSIONS - 1);
                known.get(&name).copied().unwrap_or((start + digit) % VERSIONS + 1)
            };
            let versions: Vec<usize> = (0..NAMES).map(&mut version).collect();
            code = 0;
            let mut closure = BTreeMap::new();
            let mut queue: Vec<(usize, usize, usize)> =
                roots.iter().map(|&(name, _, low, high)| (name, low, high)).collect();
            while let Some((name, low, high)) = queue.pop() {
                if !(low..=high).contains(&versions[name]) {
                    return None;
                }
                if closure.insert(name, versions[name]).is_none() {
                    queue.extend(&self.requires[name][versions[name] - 1]);
                }
            }
            Some(closure)
        })
    }

    /// Packages, and of what they require what is outside their range.
    fn outside(&self, closure: &BTreeMap<usize, usize>) -> BTreeSet<(usize, usize)> {
        let edges = closure
            .iter()
            .flat_map(|(&name, &version)| self.requires[name][version - 1].iter().map(move |edge| (name, edge)));
        edges
            .filter(|(_, (to, low, high))| !(low..=high).contains(&&closure[to]))
            .map(|(name, edge)| (name, edge.0))
            .collect()
    }

    /// As a scan of such functions would make it.
    fn inventory(&self, closures: &[(BTreeMap<usize, usize>, String)]) -> Inventory {
        let mut inventory = Inventory::empty();
        let mut sets: BTreeMap<PackageId, BTreeSet<Vec<PackageId>>> = BTreeMap::new();
        for (at, ((closure, lock), (roots, _, weight))) in closures.iter().zip(&self.functions).enumerate() {
            for (&name, &version) in closure {
                let required = &self.requires[name][version - 1];
                let set: BTreeSet<PackageId> = required.iter().map(|(to, ..)| id(*to, closure[to])).collect();
                sets.entry(id(name, version)).or_default().insert(set.into_iter().collect());
            }
            let declared = |&(name, _, low, high): &Root| Requirement {
                name: format!("p{name}"),
                text: format!("p{name}{}", text(low, high)),
                place: Place::at("pyproject.toml", 1),
                package: closure.get(&name).map(|version| id(name, *version)),
            };
            inventory.functions.push(Function {
                platform: Some(platform()),
                state: State::Locked,
                weight: f64::from(*weight),
                lock: Some(LockRef::new(lock.clone(), "uv")),
                declared: roots.iter().filter(|_| !closure.is_empty()).map(declared).collect(),
                closure: closure.iter().map(|(name, version)| id(*name, *version)).collect(),
                ..Function::new(format!("f{at}"))
            });
        }
        for (package, sets) in sets {
            let (name, version) = numbers(&package);
            let ranges = self.requires[name][version - 1].iter().filter(|_| self.recorded[name][version - 1]);
            let star = |text: String| if text.is_empty() { "*".to_string() } else { text };
            inventory.packages.push(Package {
                ranges: ranges.map(|&(to, low, high)| (format!("p{to}"), vec![star(text(low, high))])).collect(),
                requires_on: sets.into_iter().map(|requires| RequiresOn { platform: platform(), requires }).collect(),
                ..Package::new(package)
            });
        }
        inventory.sort();
        inventory
    }
}

/// Milliseconds and MB that differ from package to package, and a little from version to version.
fn cost(id: &PackageId) -> (f64, f64) {
    let (name, version) = numbers(id);
    (50.0 + 30.0 * name as f64 + version as f64, 5.0 + 2.0 * name as f64)
}

fn planned(fleet: &Inventory, budget_mb: f64) -> Plan {
    let language = LanguageCosts {
        image_overhead_mb: 3.0,
        swap_base_ms: 1.0,
        swap_ms_per_mb: 0.1,
        waste_ms_per_mb: None,
        load_ms_per_disk_mb: None,
        resident_mb_per_disk_mb: None,
    };
    let price = |id: &_, _: &_| {
        let (load_ms, resident_mb) = cost(id);
        Some(Price { load_ms, resident_mb, disk_mb: None, source: CostSource::Measured })
    };
    let classes = classes(fleet);
    let (problem, diagnostics) = solve::problem(fleet, &classes, &price, &|_| language);
    let options = solve::Options {
        budget_mb,
        effort: 0,
        aim: solve::Aim::Known,
        exact: solve::Exact::Never,
        ..solve::Options::default()
    };
    let solution = solve::plan(&problem, &options, &|_| {});
    let context = Context { modules: &|_| Vec::new(), weights: "inventory", diagnostics, before: None };
    let plan = solve::to_plan(fleet, &classes, &problem, &solution, &options, context);
    let broken = solve::verify::verify(&plan, fleet, &price, &|_| language);
    assert!(broken.is_empty(), "{broken:?}");
    plan
}

fn advise(fleet: &Inventory, budget: f64) -> Advice {
    let planner = |fleet: &Inventory, _: Effort| Ok::<_, ()>(planned(fleet, budget));
    advise::advise(fleet, &|id, _| Some(cost(id)), &planner, &advise::Options::default(), &|_, _| {}).unwrap()
}

/// Takes and puts versions as the text of a piece says, and nothing else.
fn follow(closures: &mut [(BTreeMap<usize, usize>, String)], piece: &Piece, world: &World) {
    for change in &piece.changes {
        for function in &change.functions {
            let (closure, lock) = &mut closures[function[1..].parse::<usize>().unwrap()];
            assert_eq!(*lock, change.lock);
            let before: BTreeSet<usize> = closure.keys().copied().collect();
            for moved in &change.moves {
                let name: usize = moved.package[1..].parse().unwrap();
                if let Some(to) = moved.to.first() {
                    // What comes in comes where something asks for it.
                    closure.insert(name, to.parse().unwrap());
                }
            }
            // What nothing asks for any more goes.
            let roots = &world.functions[function[1..].parse::<usize>().unwrap()].0;
            let mut reached = BTreeSet::new();
            let mut queue: Vec<usize> = roots.iter().map(|r| r.0).collect();
            while let Some(name) = queue.pop() {
                if reached.insert(name) {
                    let version = closure.get(&name).unwrap_or_else(|| panic!("{function} lacks p{name}"));
                    queue.extend(world.requires[name][version - 1].iter().map(|r| r.0));
                }
            }
            closure.retain(|name, _| reached.contains(name));
            for name in before.difference(&reached) {
                let gone = change.moves.iter().find(|m| m.package == format!("p{name}"));
                assert!(gone.is_some(), "nobody said that p{name} goes");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn following_advice_gives_what_it_promised_inside_every_range(world in world()) {
        let mut closures = world.closures();
        let inventory = world.inventory(&closures);
        let advice = advise(&inventory, world.budget);
        prop_assert!((advice.before.objective - planned(&inventory, world.budget).objective).abs() < 1e-6);
        for piece in &advice.advice {
            let alone = {
                let mut closures = world.closures();
                // Alone it may change more than after others; then its text is not that of the fleet as it is.
                let first = std::ptr::eq(piece, &advice.advice[0]);
                first.then(|| { follow(&mut closures, piece, &world); world.inventory(&closures) })
            };
            if let Some(alone) = alone {
                prop_assert!((planned(&alone, world.budget).objective - piece.alone.objective).abs() < 1e-6);
            }
            // What an earlier piece asked is not asked again: whoever comes to this one has answered it.
            let before: Vec<_> = closures.iter().map(|(closure, _)| world.outside(closure)).collect();
            follow(&mut closures, piece, &world);
            let mut locked: BTreeMap<(&str, usize), usize> = BTreeMap::new();
            for (name, version, lock) in closures.iter().flat_map(|(c, lock)| c.iter().map(move |(n, v)| (*n, *v, lock))) {
                let first = *locked.entry((lock.as_str(), name)).or_insert(version);
                prop_assert_eq!(first, version, "two versions of p{} in {}", name, lock);
            }
            let plan = planned(&world.inventory(&closures), world.budget);
            prop_assert!((plan.objective - piece.cumulative.objective).abs() < 1e-6, "{piece:#?}");
            prop_assert!((plan.total_ms - plan.objective - piece.cumulative.remaining_ms).abs() < 1e-5);
            prop_assert!(piece.adds_ms > 0.0 || piece.adds_mb > 0.0);
            for change in &piece.changes {
                for function in &change.functions {
                    let at: usize = function[1..].parse().unwrap();
                    for &(name, _, low, high) in &world.functions[at].0 {
                        prop_assert!((low..=high).contains(&closures[at].0[&name]), "{function} declares p{name}");
                    }
                    for (name, to) in world.outside(&closures[at].0).difference(&before[at]) {
                        let asked = format!("whether p{name}=={} allows p{to}==", closures[at].0[name]);
                        let named = piece.to_confirm.iter().any(|q| q.starts_with(&asked));
                        prop_assert!(named, "p{name} on p{to} in {function}: {:?}", piece.to_confirm);
                    }
                }
            }
        }
    }
}
