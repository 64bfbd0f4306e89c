//! What share of value version drift costs on a folder of the ReqBench form: plans of every split and budget with the
//! versions as they are, and with each name at one version.
//!
//! `cargo run --release --example reqbench_drift -- DIR [--split NAME]`. Ranges are ignored: the data has none. Each name
//! takes the version with the most weight in the train half (of versions that weigh the same, the later text), with that
//! version's cost; a name that only the test half has, its heaviest there. Closures keep their names, and a package may
//! be loaded with what any of its versions requires, at the versions of those names. `test` plans from the train half.

#[path = "support/reqbench.rs"]
mod reqbench;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::PathBuf;

use serde::Deserialize;
use warmset::graph::classes::classes;
use warmset::model::inventory::{Package, RequiresOn};
use warmset::model::{Inventory, PackageId, Plan};
use warmset::solve::{self, Context, Exact, Options, Price};

#[derive(Deserialize)]
struct Row {
    nodes: usize,
    budget_mb: f64,
}

type Prices = BTreeMap<PackageId, Price>;

/// The version that each name takes.
fn versions(halves: [&Inventory; 2]) -> BTreeMap<String, PackageId> {
    let mut out: BTreeMap<String, PackageId> = BTreeMap::new();
    for half in halves {
        let mut weights: BTreeMap<&PackageId, f64> = BTreeMap::new();
        for function in &half.functions {
            for id in &function.closure {
                *weights.entry(id).or_default() += function.weight;
            }
        }
        let mut heaviest: BTreeMap<&str, (&PackageId, f64)> = BTreeMap::new();
        for (id, weight) in weights {
            let known = heaviest.entry(&id.name).or_insert((id, weight));
            if weight >= known.1 {
                *known = (id, weight);
            }
        }
        for (name, (id, _)) in heaviest {
            out.entry(name.to_string()).or_insert_with(|| id.clone());
        }
    }
    out
}

/// The same fleet with each name at one version.
fn aligned(inventory: &Inventory, to: &BTreeMap<String, PackageId>) -> Inventory {
    let of = |id: &PackageId| to.get(&id.name).unwrap_or(id).clone();
    let all = |ids: &[PackageId]| ids.iter().map(of).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>();
    let mut out = inventory.clone();
    for function in &mut out.functions {
        function.closure = all(&function.closure);
    }
    let Some(platform) = inventory.functions.iter().find_map(|f| f.platform.clone()) else { return out };
    let mut sets: BTreeMap<PackageId, BTreeSet<Vec<PackageId>>> = BTreeMap::new();
    for package in &inventory.packages {
        let id = of(&package.id);
        let requires = package.requires_for(&platform).into_iter().map(|set| {
            // Versions of one name never require each other.
            let mut set = all(set);
            set.retain(|r| *r != id);
            set
        });
        sets.entry(id.clone()).or_default().extend(requires.collect::<Vec<_>>());
    }
    let on = |requires| RequiresOn { platform: platform.clone(), requires };
    let package = |(id, sets): (PackageId, BTreeSet<Vec<PackageId>>)| Package {
        requires_on: sets.into_iter().map(on).collect(),
        ..Package::new(id)
    };
    out.packages = sets.into_iter().map(package).collect();
    out
}

fn plan(
    inventory: &Inventory,
    prices: &Prices,
    language: warmset::model::LanguageCosts,
    budget_mb: f64,
) -> Result<Plan, String> {
    let price = |id: &_, _: &_| -> Option<Price> { prices.get(id).copied() };
    let classes = classes(inventory);
    let (problem, diagnostics) = solve::problem(inventory, &classes, &price, &|_| language);
    let options = Options { budget_mb, exact: Exact::Never, effort: 0, ..Options::default() };
    let solution = solve::plan(&problem, &options, &|_| {});
    let context =
        Context { modules: &|_| Vec::new(), weights: "functions of the train half", diagnostics, before: None };
    let plan = solve::to_plan(inventory, &classes, &problem, &solution, &options, context);
    match solve::verify::verify(&plan, inventory, &price, &|_| language) {
        broken if broken.is_empty() => Ok(plan),
        broken => Err(broken.join("; ")),
    }
}

/// Weighted milliseconds that functions load, and that a plan saves them; swapping costs nothing in this data.
fn judged(plan: &Plan, inventory: &Inventory, prices: &Prices) -> (f64, f64) {
    let load = |ids: &mut dyn Iterator<Item = &PackageId>| -> f64 {
        ids.filter_map(|id| prices.get(id)).map(|price| price.load_ms).sum()
    };
    let images: Vec<BTreeSet<PackageId>> = plan.images.iter().map(|i| i.package_ids().into_iter().collect()).collect();
    let (mut total, mut saved) = (0.0, 0.0);
    for function in &inventory.functions {
        let fits = |image: &&BTreeSet<PackageId>| image.iter().all(|id| function.closure.binary_search(id).is_ok());
        let best = images.iter().filter(fits).map(|image| load(&mut image.iter())).fold(0.0, f64::max);
        total += function.weight * load(&mut function.closure.iter());
        saved += function.weight * best;
    }
    (total, saved)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (mut dir, mut only) = (None, None);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--split" => only = args.next(),
            _ => dir = Some(PathBuf::from(arg)),
        }
    }
    let dir = dir.ok_or("usage: reqbench_drift DIR [--split NAME]")?;
    let (data, splits) = reqbench::read(&dir)?;
    let rows: BTreeMap<String, Vec<Row>> =
        serde_json::from_str(&std::fs::read_to_string(dir.join("forklift_v3.json"))?)?;
    println!("                          train                            test");
    println!("split nodes   budget   as is  aligned     lost     as is  aligned     lost   aligned/as is: ms  MB used");
    let mut means: BTreeMap<usize, (f64, [f64; 4])> = BTreeMap::new();
    for (split, rows) in rows.iter().filter(|(split, _)| only.as_ref().is_none_or(|only| only == *split)) {
        let (train, costs) = reqbench::fleet(&data, &splits, split, "train")?;
        let (test, _) = reqbench::fleet(&data, &splits, split, "test")?;
        let prices = reqbench::prices(&costs);
        let language = costs.languages.values().next().copied().ok_or("no costs of the language")?;
        let to = versions([&train, &test]);
        let (train_one, test_one) = (aligned(&train, &to), aligned(&test, &to));
        for row in rows {
            let mut shares = [0.0; 4];
            let (mut totals, mut memory) = ([0.0; 2], [0.0; 2]);
            for (at, (train, test)) in [(&train, &test), (&train_one, &test_one)].into_iter().enumerate() {
                let plan = plan(train, &prices, language, row.budget_mb)?;
                let (total, saved) = judged(&plan, test, &prices);
                shares[at] = plan.saved_share;
                shares[2 + at] = saved / total;
                totals[at] = plan.total_ms;
                memory[at] = plan.memory_mb;
            }
            let ratios = (totals[1] / totals[0], memory[1] / memory[0]);
            println!("{}  {:16.4}  {:.4}", line(split, row.nodes, row.budget_mb, &shares), ratios.0, ratios.1);
            let mean = means.entry(row.nodes).or_insert((0.0, [0.0; 4]));
            mean.0 += 1.0;
            mean.1.iter_mut().zip(shares).for_each(|(sum, share)| *sum += share);
        }
    }
    for (nodes, (n, sums)) in means {
        println!("{}", line("mean", nodes, f64::NAN, &sums.map(|sum| sum / n)));
    }
    Ok(())
}

fn line(split: &str, nodes: usize, budget: f64, shares: &[f64; 4]) -> String {
    let [a, b, c, d] = shares;
    let budget = if budget.is_nan() { String::new() } else { format!("{budget:.1}") };
    format!("{split:5} {nodes:5} {budget:>8}  {a:.4}   {b:.4}   {:.4}    {c:.4}   {d:.4}   {:.4}", b - a, d - c)
}
