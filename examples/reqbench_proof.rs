//! How well plans of a folder of the ReqBench form are proven: objective, bound, gap, second bound and time for each split
//! and budget.
//!
//! `cargo run --release --example reqbench_proof -- DIR [--split NAME] [--nodes N] [--prove SECONDS] [--aim known|expected]
//! [--no-parents]`
//!
//! `--no-parents`: no image is forked from another. `--aim`: `known` (by default) plans for the functions of the train half
//! alone, `expected` also for those that are to be expected.

#[path = "support/reqbench.rs"]
mod reqbench;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Deserialize;
use warmset::graph::classes::classes;
use warmset::solve::{self, Aim, Exact, Options, Price};

#[derive(Deserialize)]
struct Row {
    nodes: usize,
    budget_mb: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (mut dir, mut only, mut nodes, mut seconds) = (None, None, None, None);
    let (mut parents, mut aim) = (true, Aim::Known);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--split" => only = Some(value()?),
            "--nodes" => nodes = Some(value()?.parse::<usize>()?),
            "--prove" => seconds = Some(value()?.parse::<f64>()?),
            "--no-parents" => parents = false,
            "--aim" => {
                aim = match value()?.as_str() {
                    "known" => Aim::Known,
                    "expected" => Aim::Expected,
                    _ => return Err("--aim takes known or expected".into()),
                };
            }
            _ => dir = Some(PathBuf::from(arg)),
        }
    }
    let dir =
        dir.ok_or("usage: reqbench_proof DIR [--split NAME] [--nodes N] [--prove SECONDS] [--aim AIM] [--no-parents]")?;
    let (data, splits) = reqbench::read(&dir)?;
    let rows: BTreeMap<String, Vec<Row>> =
        serde_json::from_str(&std::fs::read_to_string(dir.join("forklift_v3.json"))?)?;
    println!(
        "split nodes demands  candidates  objective      bound   gap%  second bound  seconds  method; second method"
    );
    for (split, rows) in rows.iter().filter(|(split, _)| only.as_ref().is_none_or(|only| only == *split)) {
        let (inventory, costs) = reqbench::fleet(&data, &splits, split, "train")?;
        let prices = reqbench::prices(&costs);
        let language = costs.languages.values().next().copied().ok_or("no costs of the language")?;
        let price = |id: &_, _: &_| -> Option<Price> { prices.get(id).copied() };
        let (problem, _) = solve::problem(&inventory, &classes(&inventory), &price, &|_| language);
        for row in rows.iter().filter(|row| nodes.is_none_or(|nodes| nodes == row.nodes)) {
            let prove = seconds.map(Duration::from_secs_f64);
            let exact = if parents { Exact::Auto } else { Exact::Never };
            let options = Options { budget_mb: row.budget_mb, prove, exact, aim, ..Options::default() };
            let start = Instant::now();
            let aimed = solve::aimed(&problem, &options);
            let mut instance = solve::instance(&aimed, options.max_candidates);
            if !parents {
                for candidate in &mut instance.candidates {
                    candidate.parents.clear();
                    candidate.children.clear();
                }
            }
            let solution = solve::plan_instance(&aimed, &instance, &options, &|_| ());
            let second = solution.proof.second_bound.as_ref();
            println!(
                "{split:5} {:5} {:7} {:11} {:10.1} {:10.1} {:6.3} {:>13} {:8.2}  {}; {}",
                row.nodes,
                instance.weights.len(),
                instance.candidates.len(),
                solution.objective,
                solution.bound,
                100.0 * solution.gap(),
                second.map_or("-".into(), |b| format!("{:.1}", b.value)),
                start.elapsed().as_secs_f64(),
                solution.proof.method,
                second.map_or("-", |b| &b.method),
            );
        }
    }
    Ok(())
}
