//! Cross-validation inside the train halves of a folder of the ReqBench form: how much the planner should expect.
//!
//! `cargo run --release --example reqbench_cv -- DIR [--folds K] [--repeats N] [--vary reserve|each-kind|closures]`
//! deals the functions of each train half into K parts (with K = 2: halves), plans from all but one, and judges on that
//! one. Test halves are never looked at. Budgets are those of `forklift_v3.json`, scaled by the memory that it takes to
//! serve all the functions planned from, against that of the whole train half. Prints the mean over all parts, repeats
//! and splits of what is saved more than by planning for the known functions only, with its standard error.

#[path = "support/reqbench.rs"]
mod reqbench;

use std::error::Error;
use std::path::PathBuf;

use warmset::graph::classes::classes;
use warmset::solve::prior::{self, Settings};
use warmset::solve::{self, Group, Instance, Limits, Price, Problem, greedy, local_search};

/// Functions to plan from and to judge on, by class, and budgets.
struct Fold {
    train: Vec<f64>,
    judge: Vec<f64>,
    budgets: Vec<f64>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (mut dir, mut folds, mut repeats, mut vary) = (None, 5usize, 2u64, "all".to_string());
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--folds" => folds = args.next().unwrap_or_default().parse::<usize>()?.max(2),
            "--repeats" => repeats = args.next().unwrap_or_default().parse()?,
            "--vary" => vary = args.next().unwrap_or_default(),
            _ => dir = Some(PathBuf::from(arg)),
        }
    }
    let usage = "usage: reqbench_cv DIR [--folds K] [--repeats N] [--vary reserve|each-kind|closures]";
    let dir = dir.ok_or(usage)?;
    let (data, splits) = reqbench::read(&dir)?;
    let mut all: Vec<Fold> = Vec::new();
    let rows = reqbench::rows(&dir)?;
    for (number, (split, rows)) in rows.iter().enumerate() {
        let train = reqbench::weights(&splits, split, "train")?;
        let whole = memory_for_all(&problem(&data, &train)?);
        for repeat in 0..repeats {
            let mut functions: Vec<usize> =
                train.iter().enumerate().flat_map(|(class, w)| vec![class; w.round().max(0.0) as usize]).collect();
            shuffle(&mut functions, 1 + number as u64 * 1_000 + repeat);
            for part in 0..folds {
                let mut fold = Fold { train: vec![0.0; train.len()], judge: vec![0.0; train.len()], budgets: vec![] };
                for (at, &class) in functions.iter().enumerate() {
                    let of = if at % folds == part { &mut fold.judge } else { &mut fold.train };
                    of[class] += 1.0;
                }
                let scale = memory_for_all(&problem(&data, &fold.train)?) / whole;
                fold.budgets = rows.iter().map(|row| row.budget_mb * scale).collect();
                all.push(fold);
            }
        }
    }

    let judge = reqbench::Judge::new(&data);
    let problems: Vec<Problem> = all.iter().map(|fold| problem(&data, &fold.train)).collect::<Result<_, _>>()?;
    // For each fold and budget: what is saved of the functions judged on, and of those planned from.
    let run = |settings: Option<&Settings>| -> Vec<Vec<(f64, f64)>> {
        let saved = |(fold, problem): (&Fold, &Problem)| {
            let aimed = settings.map_or_else(|| problem.clone(), |s| prior::expected_with(problem, s));
            let instance = solve::instance(&aimed, 5_000);
            let share = |budget: &f64| {
                let images = plan(&instance, &aimed.groups, *budget);
                (judge.saved(&images, &fold.judge), judge.saved(&images, &fold.train))
            };
            fold.budgets.iter().map(share).collect()
        };
        all.iter().zip(&problems).map(saved).collect()
    };
    let nodes: Vec<String> =
        rows.values().next().into_iter().flatten().map(|row| format!("{:>16}", row.nodes)).collect();
    println!(
        "{} folds of {folds}; saved of unseen functions (of known ones) against planning for known ones only",
        all.len()
    );
    println!("{:<22}{}", "", nodes.join(""));
    let base = run(None);
    let columns = 0..nodes.len();
    let mean = |f: &dyn Fn(usize) -> f64| (0..all.len()).map(f).sum::<f64>() / all.len() as f64;
    let of_base: Vec<String> =
        columns.clone().map(|c| format!("{:>8.4} ({:.3})", mean(&|k| base[k][c].0), mean(&|k| base[k][c].1))).collect();
    println!("{:<22}{}", "known only", of_base.join(""));
    let default = Settings::default();
    let mut variants: Vec<(String, Settings)> = vec![("default".into(), default)];
    if ["all", "reserve"].contains(&vary.as_str()) {
        let values = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9];
        variants.extend(values.map(|reserve| (format!("reserve {reserve}"), Settings { reserve, ..default })));
    }
    if ["all", "each-kind"].contains(&vary.as_str()) {
        let values = [2, 4, 8, 16, 32, 64];
        variants.extend(values.map(|n| (format!("each kind {n}"), Settings { each_kind: n, ..default })));
    }
    if ["all", "closures"].contains(&vary.as_str()) {
        let values = [300, 500, 700, 1_000, 1_500, 2_500];
        variants.extend(values.map(|n| (format!("closures {n}"), Settings { closures: n, ..default })));
    }
    for (name, settings) in variants {
        let found = run(Some(&settings));
        let figures: Vec<String> = columns
            .clone()
            .map(|c| {
                let ahead = mean(&|k| found[k][c].0 - base[k][c].0);
                let spread = mean(&|k| (found[k][c].0 - base[k][c].0 - ahead).powi(2));
                let error = (spread / all.len() as f64).sqrt();
                format!(" {ahead:+.4}±{:.0} ({:+.3})", error * 1e4, mean(&|k| found[k][c].1 - base[k][c].1))
            })
            .collect();
        println!("{name:<22}{}", figures.join(""));
    }
    println!("± in units of 0.0001");
    Ok(())
}

/// Greedy and local search, as [`solve::plan`] does them; images as names.
fn plan(instance: &Instance, groups: &[Group], budget_mb: f64) -> Vec<Vec<String>> {
    let limits = Limits::memory(budget_mb);
    let mut search = greedy::greedy(instance, &limits);
    local_search::local_search(&mut search, &limits);
    let name = |i: usize| {
        let candidate = &instance.candidates[i];
        candidate.set.ones().map(|p| groups[candidate.group].items[p].id.spec()).collect()
    };
    search.state.members().map(name).collect()
}

fn problem(data: &reqbench::Data, weights: &[f64]) -> Result<Problem, Box<dyn Error>> {
    let (inventory, costs) = reqbench::fleet_of(data, weights, String::new());
    let prices = reqbench::prices(&costs);
    let language = costs.languages.values().next().copied().ok_or("no costs of the language")?;
    let price = |id: &_, _: &_| -> Option<Price> { prices.get(id).copied() };
    Ok(solve::problem(&inventory, &classes(&inventory), &price, &|_| language).0)
}

/// MB that a greedy plan takes when it may take all it wants.
fn memory_for_all(problem: &Problem) -> f64 {
    greedy::greedy(&solve::instance(problem, 5_000), &Limits::memory(f64::MAX)).state.memory()
}

/// Fisher and Yates' shuffle with a SplitMix64 sequence.
fn shuffle(list: &mut [usize], seed: u64) {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    for i in (1..list.len()).rev() {
        list.swap(i, (next() % (i as u64 + 1)) as usize);
    }
}
