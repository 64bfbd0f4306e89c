//! From traces of loads to what each package costs by itself.
//!
//! A trace says what each module took without what it imported in turn. That goes to the package that owns the module's
//! file. What no package owns (the standard library, builtins) would be paid by whoever happens to come first; it is shared
//! evenly by the packages of the closure that ask for it, which is their Shapley value where one asker is enough to load it.
//! Charges of a closure are then scaled so that they add up to what loading it takes without the tracer.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::stats::{mean, median, spread};
use crate::model::costs::{Errors, Predicted, Prediction};
use crate::model::units::round;
use crate::model::{Cost, CostSource, How, PackageId, Platform};

/// Bytes of a MB.
const MB: f64 = 1e6;
/// A scale beyond these says that the two halves of a measurement do not belong together; then the nearer end counts.
const SCALES: (f64, f64) = (0.2, 5.0);

/// CPU time and resident memory.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Charge {
    /// CPU milliseconds.
    pub ms: f64,
    /// Resident MB.
    pub mb: f64,
}

impl Charge {
    fn of(ns: f64, bytes: f64) -> Self {
        Self { ms: ns / 1e6, mb: bytes / MB }
    }

    fn add(&mut self, other: Charge, share: f64) {
        self.ms += other.ms * share;
        self.mb += other.mb * share;
    }
}

/// What a package, or nobody, was charged in one load.
pub type Charges = BTreeMap<Option<PackageId>, Charge>;

/// What loading something took without a tracer.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Whole {
    /// CPU ns.
    pub cpu: f64,
    /// Resident bytes.
    pub bytes: f64,
}

impl From<Whole> for Charge {
    fn from(whole: Whole) -> Self {
        Charge::of(whole.cpu, whole.bytes)
    }
}

/// A module as the Python tracer writes it: name, index of the module that imports it or −1, own CPU ns, own bytes, file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Node(pub String, pub i64, pub f64, pub f64, pub Option<String>);

/// Which modules ask for which, and the files of those that ask, as the Python tracer writes it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Asks {
    /// Modules asked for, by the module that asks.
    pub asks: BTreeMap<String, Vec<String>>,
    /// File below the environment, or none, by module.
    pub files: BTreeMap<String, Option<String>>,
}

impl Asks {
    /// The packages that need each module that no package owns, be it through others of that kind.
    fn askers(&self, owner: &dyn Fn(&str) -> Option<PackageId>) -> BTreeMap<&str, BTreeSet<PackageId>> {
        let owned = |module: &str| self.files.get(module).and_then(|file| owner(file.as_deref()?));
        let mut out: BTreeMap<&str, BTreeSet<PackageId>> = BTreeMap::new();
        for module in self.asks.keys() {
            let Some(package) = owned(module) else { continue };
            let mut stack: Vec<&str> = vec![module];
            while let Some(next) = stack.pop() {
                for asked in self.asks.get(next).into_iter().flatten() {
                    if owned(asked).is_none() && out.entry(asked).or_default().insert(package.clone()) {
                        stack.push(asked);
                    }
                }
            }
        }
        out
    }
}

/// Charges of a Python load, as far as its nodes from number `from` on took it. `owner` gives the package that a file below
/// the environment belongs to.
pub fn python(nodes: &[Node], from: usize, asks: &Asks, owner: &dyn Fn(&str) -> Option<PackageId>) -> Charges {
    let askers = asks.askers(owner);
    let mut out = Charges::new();
    // Whoever triggers what nobody is known to ask for pays for it.
    let mut payers: Vec<Option<PackageId>> = Vec::with_capacity(nodes.len());
    for (at, Node(module, parent, ns, bytes, file)) in nodes.iter().enumerate() {
        let own = file.as_deref().and_then(owner);
        let above = usize::try_from(*parent).ok().and_then(|at| payers.get(at)).cloned().flatten();
        let payer = own.clone().or(above);
        let charge = if at < from { Charge::default() } else { Charge::of(*ns, *bytes) };
        match askers.get(module.as_str()).filter(|by| own.is_none() && !by.is_empty()) {
            Some(by) => {
                let share = 1.0 / by.len() as f64;
                by.iter().for_each(|id| out.entry(Some(id.clone())).or_default().add(charge, share));
            }
            None => out.entry(payer.clone()).or_default().add(charge, 1.0),
        }
        payers.push(payer);
    }
    out.retain(|_, charge| from == 0 || *charge != Charge::default());
    out
}

/// What the Node tracer writes: CPU ns and bytes by package folder (empty: nobody) or builtin; who asks for each builtin;
/// and by which names packages were asked for.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct NodeTrace {
    /// CPU ns and bytes.
    pub charges: BTreeMap<String, (f64, f64)>,
    /// Package folders by builtin.
    pub askers: BTreeMap<String, Vec<String>>,
    /// Specifiers by package folder.
    pub seen: BTreeMap<String, Vec<String>>,
}

/// Charges of a Node load. `owner` gives the package in a folder below the environment.
pub fn node(trace: &NodeTrace, owner: &dyn Fn(&str) -> Option<PackageId>) -> Charges {
    let mut out = Charges::new();
    for (whose, (ns, bytes)) in &trace.charges {
        let charge = Charge::of(*ns, *bytes);
        let by: BTreeSet<PackageId> =
            trace.askers.get(whose).into_iter().flatten().filter_map(|folder| owner(folder)).collect();
        let share = 1.0 / by.len().max(1) as f64;
        by.iter().for_each(|id| out.entry(Some(id.clone())).or_default().add(charge, share));
        if by.is_empty() {
            out.entry(owner(whose)).or_default().add(charge, 1.0);
        }
    }
    out
}

/// All repetitions of one load on one platform.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Where it ran.
    pub platform: Platform,
    /// Functions that load just this; sorted.
    pub functions: Vec<String>,
    /// Charges, by repetition.
    pub traced: Vec<Charges>,
    /// The same loads without a tracer, by repetition.
    pub whole: Vec<Charge>,
    /// Charges of packages that only their own names load, by repetition.
    pub direct: Vec<Charges>,
}

/// Which repetitions count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of them.
    All,
    /// The first, third, fifth …
    Odd,
    /// The others.
    Even,
}

impl Part {
    fn of<T: Clone>(self, all: &[T]) -> Vec<T> {
        let counts = |at: usize| match self {
            Part::All => true,
            Part::Odd => at.is_multiple_of(2),
            Part::Even => !at.is_multiple_of(2),
        };
        all.iter().enumerate().filter(|(at, _)| counts(*at)).map(|(_, one)| one.clone()).collect()
    }
}

/// The samples of one package in one load.
#[derive(Debug, Clone, Default, PartialEq)]
struct Group {
    ms: Vec<f64>,
    mb: Vec<f64>,
}

impl Group {
    fn gather(runs: &[Charges]) -> BTreeMap<PackageId, Group> {
        let ids: BTreeSet<&PackageId> = runs.iter().flat_map(|run| run.keys().flatten()).collect();
        let mut out: BTreeMap<PackageId, Group> = BTreeMap::new();
        for id in ids {
            let group = out.entry(id.clone()).or_default();
            for run in runs {
                // What a run did not load it did not pay for.
                let charge = run.get(&Some(id.clone())).copied().unwrap_or_default();
                group.ms.push(charge.ms);
                group.mb.push(charge.mb);
            }
        }
        out
    }

    /// Medians; memory that a load gave back counts as none.
    fn middle(&self) -> Charge {
        Charge { ms: median(&self.ms).max(0.0), mb: median(&self.mb).max(0.0) }
    }

    fn scaled(&self, by: Charge) -> Group {
        let times = |values: &[f64], by: f64| values.iter().map(|v| v * by).collect();
        Group { ms: times(&self.ms, by.ms), mb: times(&self.mb, by.mb) }
    }
}

/// The groups of a load, scaled: their medians add up to the median without the tracer. Medians of sums would not do, as
/// what disturbs a run disturbs one package here and another there.
fn scaled(load: &Measured, part: Part) -> BTreeMap<PackageId, Group> {
    let groups = Group::gather(&part.of(&load.traced));
    let mut sum = Charge::default();
    groups.values().for_each(|group| sum.add(group.middle(), 1.0));
    let truth = whole(load, part);
    let scale = |truth: f64, sum: f64| {
        if sum > 0.0 && truth > 0.0 { (truth / sum).clamp(SCALES.0, SCALES.1) } else { 1.0 }
    };
    let by = Charge { ms: scale(truth.ms, sum.ms), mb: scale(truth.mb, sum.mb) };
    groups.into_iter().map(|(id, group)| (id, group.scaled(by))).collect()
}

/// What a load takes without a tracer, medians.
pub fn whole(load: &Measured, part: Part) -> Charge {
    let runs = part.of(&load.whole);
    let (ms, mb): (Vec<f64>, Vec<f64>) = runs.iter().map(|c| (c.ms, c.mb)).unzip();
    Charge { ms: median(&ms), mb: median(&mb) }
}

/// What is known of an installed package besides its costs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Installed {
    /// Bytes on disk, without compiled bytecode.
    pub bytes: u64,
    /// Names that load it.
    pub modules: BTreeSet<String>,
}

/// One entry for each package and platform, sorted. A package that several loads have costs the median of theirs: one
/// function that uses a corner of a package, or all of it, does not set its price for the others.
pub fn table(loads: &[Measured], installed: &BTreeMap<(PackageId, Platform), Installed>, part: Part) -> Vec<Cost> {
    let mut imported: BTreeMap<(PackageId, Platform), Vec<Group>> = BTreeMap::new();
    let mut direct: BTreeMap<(PackageId, Platform), Vec<Group>> = BTreeMap::new();
    for load in loads {
        for (id, group) in scaled(load, part) {
            imported.entry((id, load.platform.clone())).or_default().push(group);
        }
        for (id, group) in Group::gather(&part.of(&load.direct)) {
            direct.entry((id, load.platform.clone())).or_default().push(group);
        }
    }
    let keys: BTreeSet<&(PackageId, Platform)> = imported.keys().chain(direct.keys()).chain(installed.keys()).collect();
    let entry = |key: &(PackageId, Platform)| {
        let (how, groups) = match (imported.get(key), direct.get(key)) {
            (Some(groups), _) => (How::Imports, groups.as_slice()),
            (None, Some(groups)) => (How::Direct, groups.as_slice()),
            (None, None) => (How::Disk, &[][..]),
        };
        let middles: Vec<Charge> = groups.iter().map(Group::middle).collect();
        let of = |what: fn(&Charge) -> f64| round(median(&middles.iter().map(what).collect::<Vec<_>>()), 3);
        // Each load's own spread: that two functions use different parts of a package is no noise.
        let spreads: Vec<f64> = groups.iter().map(|group| spread(&group.ms)).collect();
        let facts = installed.get(key);
        Cost {
            package: key.0.clone(),
            platform: Some(key.1.clone()),
            load_ms: of(|c| c.ms),
            resident_mb: of(|c| c.mb),
            disk_mb: facts.map(|f| round(f.bytes as f64 / MB, 3)),
            source: CostSource::Measured,
            how: Some(how),
            basis: None,
            samples: Some(groups.iter().map(|g| u32::try_from(g.ms.len()).unwrap_or(u32::MAX)).sum()),
            spread: Some(round(median(&spreads), 3)),
            modules: facts.map(|f| f.modules.iter().cloned().collect()).unwrap_or_default(),
        }
    };
    keys.into_iter().map(entry).collect()
}

/// What a table of the odd repetitions says of each function's closure, against the even ones without a tracer. None where
/// there is nothing to compare.
pub fn prediction(loads: &[Measured]) -> Option<Prediction> {
    let table = table(loads, &BTreeMap::new(), Part::Odd);
    let prices: BTreeMap<(&PackageId, Option<&Platform>), &Cost> =
        table.iter().map(|cost| ((&cost.package, cost.platform.as_ref()), cost)).collect();
    let mut functions = Vec::new();
    for load in loads {
        let truth = whole(load, Part::Even);
        if truth.ms <= 0.0 || truth.mb <= 0.0 {
            continue;
        }
        let loaded: BTreeSet<&PackageId> = load.traced.iter().flat_map(|run| run.keys().flatten()).collect();
        let said = loaded.iter().filter_map(|id| prices.get(&(*id, Some(&load.platform))));
        let (ms, mb) = said.fold((0.0, 0.0), |(ms, mb), cost| (ms + cost.load_ms, mb + cost.resident_mb));
        functions.extend(load.functions.iter().map(|function| Predicted {
            function: function.clone(),
            load_ms: round(truth.ms, 3),
            predicted_load_ms: round(ms, 3),
            load_error: round(ms / truth.ms - 1.0, 4),
            resident_mb: round(truth.mb, 3),
            predicted_resident_mb: round(mb, 3),
            resident_error: round(mb / truth.mb - 1.0, 4),
        }));
    }
    functions.sort_by(|a, b| a.function.cmp(&b.function));
    let errors = |of: fn(&Predicted) -> f64| {
        let all: Vec<f64> = functions.iter().map(|f| of(f).abs()).collect();
        let worst = all.iter().copied().fold(0.0, f64::max);
        Errors { median: round(median(&all), 4), mean: round(mean(&all), 4), worst }
    };
    let (load, resident) = (errors(|f| f.load_error), errors(|f| f.resident_error));
    (!functions.is_empty()).then_some(Prediction { load, resident, functions })
}

/// Packages whose CPU time is too uncertain to plan by, the most costly first: the spread is above `limit`, and what it
/// leaves open is at least `share` of all that the functions load. With it the milliseconds that it leaves open, over all
/// functions that load the package.
pub fn uncertain(loads: &[Measured], limit: f64, share: f64) -> Vec<(PackageId, f64, f64)> {
    let mut total = 0.0;
    let mut open: BTreeMap<PackageId, (f64, Vec<f64>)> = BTreeMap::new();
    for load in loads {
        let times = load.functions.len() as f64;
        total += whole(load, Part::All).ms * times;
        for (id, group) in scaled(load, Part::All) {
            let of_group = spread(&group.ms);
            let (ms, spreads) = open.entry(id).or_default();
            *ms += of_group * group.middle().ms * times;
            spreads.push(of_group);
        }
    }
    let mut out: Vec<(PackageId, f64, f64)> =
        open.into_iter().map(|(id, (ms, spreads))| (id, median(&spreads), ms)).collect();
    out.retain(|(_, spread, ms)| *spread > limit && *ms >= total * share);
    out.sort_by(|a, b| b.2.total_cmp(&a.2).then_with(|| a.0.cmp(&b.0)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> PackageId {
        PackageId::pypi(name, "1.0")
    }

    /// `a/…` belongs to a, `b/…` to b.
    fn owner(file: &str) -> Option<PackageId> {
        file.split_once('/').map(|(top, _)| id(top))
    }

    fn at(name: &str, parent: i64, ms: f64, file: Option<&str>) -> Node {
        Node(name.into(), parent, ms * 1e6, ms * 1e6, file.map(str::to_string))
    }

    #[test]
    fn a_module_is_paid_by_the_package_that_owns_it_and_the_rest_by_who_asks() {
        // a imports b and json; b imports json too; json imports re; a namespace leads to b's second part.
        let nodes = [
            at("a", -1, 10.0, Some("a/__init__.py")),
            at("json", 0, 4.0, None),
            at("re", 1, 2.0, None),
            at("b", 0, 20.0, Some("b/__init__.py")),
            at("space", -1, 1.0, None),
            at("space.b", 4, 3.0, Some("b/space.py")),
        ];
        // Without knowing who asks, whoever triggers pays: a for json and re, nobody for the namespace.
        let charges = python(&nodes, 0, &Asks::default(), &owner);
        let ms = |charges: &Charges, name: &str| charges[&Some(id(name))].ms;
        assert_eq!((ms(&charges, "a"), ms(&charges, "b"), charges[&None].ms), (16.0, 23.0, 1.0));
        // Both ask for json, and through it for re: half each.
        let asks = Asks {
            asks: BTreeMap::from([
                ("a".into(), vec!["b".into(), "json".into()]),
                ("b".into(), vec!["json".into()]),
                ("json".into(), vec!["re".into()]),
                ("re".into(), vec!["json".into()]),
            ]),
            files: BTreeMap::from([
                ("a".into(), Some("a/__init__.py".into())),
                ("b".into(), Some("b/__init__.py".into())),
                ("json".into(), None),
            ]),
        };
        let charges = python(&nodes, 0, &asks, &owner);
        assert_eq!((ms(&charges, "a"), ms(&charges, "b")), (13.0, 26.0));
        assert_eq!(charges.values().map(|c| c.ms).sum::<f64>(), 40.0, "nothing is lost");
        let late = python(&nodes, 5, &asks, &owner);
        assert_eq!(
            late.into_iter().map(|(id, c)| (id.unwrap().name, c.ms)).collect::<Vec<_>>(),
            [("b".to_string(), 3.0)]
        );
    }

    #[test]
    fn builtins_of_node_are_shared_by_the_packages_that_ask_for_them() {
        let trace = NodeTrace {
            charges: BTreeMap::from([
                (String::new(), (1e6, 0.0)),
                ("a/x".into(), (6e6, 1e6)),
                ("b/x".into(), (2e6, 0.0)),
                ("node:http".into(), (8e6, 4e6)),
                ("node:fs".into(), (1e6, 0.0)),
            ]),
            askers: BTreeMap::from([
                ("node:http".into(), vec!["a/x".into(), "b/x".into(), "node:https".into()]),
                ("node:fs".into(), vec![String::new()]),
            ]),
            seen: BTreeMap::new(),
        };
        let charges = node(&trace, &owner);
        assert_eq!(charges[&Some(id("a"))], Charge { ms: 10.0, mb: 3.0 });
        assert_eq!(charges[&Some(id("b"))], Charge { ms: 6.0, mb: 2.0 });
        assert_eq!(charges[&None].ms, 2.0);
    }

    fn charges(of: &[(&str, f64)]) -> Charges {
        of.iter().map(|(name, ms)| (Some(id(name)), Charge { ms: *ms, mb: *ms / 10.0 })).collect()
    }

    fn load(function: &str, traced: Vec<Charges>, whole: &[f64]) -> Measured {
        Measured {
            platform: "python3.11-linux-x86_64-glibc".parse().unwrap(),
            functions: vec![function.into()],
            traced,
            whole: whole.iter().map(|ms| Charge { ms: *ms, mb: *ms / 10.0 }).collect(),
            direct: Vec::new(),
        }
    }

    #[test]
    fn the_tracers_share_is_taken_out_and_functions_are_averaged() {
        // Traced 10 + 30 = 40, untraced 20: half of the charges are the tracer's.
        let one = load("one", vec![charges(&[("a", 10.0), ("b", 30.0)]); 2], &[20.0, 20.0]);
        // a alone, without any overhead.
        let two = load("two", vec![charges(&[("a", 9.0)]); 2], &[9.0, 9.0]);
        let mut three = load("three", vec![charges(&[("b", 15.0)]); 2], &[15.0, 15.0]);
        three.direct = vec![charges(&[("b", 99.0), ("c", 7.0)])];
        let platform = three.platform.clone();
        let facts = Installed { bytes: 1_500_000, modules: BTreeSet::from(["d".to_string()]) };
        let installed = BTreeMap::from([((id("d"), platform), facts)]);
        let table = table(&[one, two, three], &installed, Part::All);
        let found: Vec<(String, f64, How)> =
            table.iter().map(|c| (c.package.name.clone(), c.load_ms, c.how.unwrap())).collect();
        let expected =
            [("a", 7.0, How::Imports), ("b", 15.0, How::Imports), ("c", 7.0, How::Direct), ("d", 0.0, How::Disk)];
        assert_eq!(found, expected.map(|(name, ms, how)| (name.to_string(), ms, how)));
        assert_eq!((table[0].samples, table[0].spread, table[0].resident_mb), (Some(4), Some(0.0), 0.7));
        assert_eq!((table[3].disk_mb, table[3].modules.as_slice()), (Some(1.5), &["d".to_string()][..]));
    }

    #[test]
    fn medians_of_packages_add_up_to_the_median_of_the_whole() {
        // A disturbance of 30 hits another package in each run: the medians are 10 and 20, the median of the sums is 60.
        let runs = vec![
            charges(&[("a", 40.0), ("b", 20.0)]),
            charges(&[("a", 10.0), ("b", 50.0)]),
            charges(&[("a", 10.0), ("b", 20.0)]),
        ];
        let table = table(&[load("f", runs, &[60.0, 60.0, 30.0])], &BTreeMap::new(), Part::All);
        assert_eq!(table.iter().map(|c| c.load_ms).sum::<f64>(), 60.0);
        assert_eq!(table[0].load_ms, 20.0);
    }

    #[test]
    fn a_table_of_one_half_is_judged_by_the_other() {
        // Odd repetitions (1st, 3rd) say 100, even ones (2nd, 4th) 80.
        let runs = |ms: f64| charges(&[("a", ms)]);
        let of_half = vec![runs(100.0), runs(80.0), runs(100.0), runs(80.0)];
        let one = load("one", of_half, &[100.0, 80.0, 100.0, 80.0]);
        let nothing = load("nothing", vec![Charges::new(); 4], &[0.0; 4]);
        let found = prediction(&[one, nothing]).unwrap();
        assert_eq!(found.functions.len(), 1, "what loads nothing cannot be predicted");
        assert_eq!((found.functions[0].load_ms, found.functions[0].predicted_load_ms), (80.0, 100.0));
        assert_eq!((found.load.median, found.load.worst, found.resident.mean), (0.25, 0.25, 0.25));
        assert_eq!(prediction(&[]), None);
    }

    #[test]
    fn only_what_is_costly_and_uncertain_is_named() {
        let run = |a: f64, b: f64| charges(&[("a", a), ("b", b), ("c", 1000.0)]);
        // b swings as much as a, but costs a hundredth of it.
        let runs = vec![run(100.0, 1.0), run(200.0, 2.0), run(300.0, 3.0)];
        let named = uncertain(&[load("f", runs, &[1202.0])], 0.25, 0.02);
        assert_eq!(named.len(), 1);
        assert_eq!((named[0].0.name.as_str(), named[0].1), ("a", 0.5));
        assert!((named[0].2 - 100.0).abs() < 1e-9);
    }
}
