//! Plans every split and budget of a folder of the ReqBench form, and prints what each plan saves.
//!
//! `cargo run --release --example reqbench -- DIR --out OUT [--split NAME] [--effort MILLIONS]` writes `OUT/SPLIT-NODES/plan.json` for each
//! row of `DIR/forklift_v3.json`, planned from the train half only.

#[path = "support/reqbench.rs"]
mod reqbench;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use serde::Deserialize;
use warmset::graph::classes::classes;
use warmset::solve::{self, Context, Exact, Options, Price, Progress};

#[derive(Deserialize)]
struct Row {
    nodes: usize,
    budget_mb: f64,
    train_saved: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (mut dir, mut out, mut only, mut effort) = (None, None, None, solve::EFFORT);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--out" => out = args.next().map(PathBuf::from),
            "--effort" => effort = args.next().unwrap_or_default().parse()?,
            "--split" => only = args.next(),
            _ => dir = Some(PathBuf::from(arg)),
        }
    }
    let (dir, out) = dir.zip(out).ok_or("usage: reqbench DIR --out OUT [--split NAME] [--effort MILLIONS]")?;
    let (data, splits) = reqbench::read(&dir)?;
    let rows: BTreeMap<String, Vec<Row>> =
        serde_json::from_str(&std::fs::read_to_string(dir.join("forklift_v3.json"))?)?;
    println!("split nodes   budget   memory images  forklift   greedy  planned    bound   gap%  plan_ms bound_ms");
    for (split, rows) in rows.iter().filter(|(split, _)| only.as_ref().is_none_or(|only| only == *split)) {
        let (inventory, costs) = reqbench::fleet(&data, &splits, split, "train")?;
        let prices = reqbench::prices(&costs);
        let language = costs.languages.values().next().copied().ok_or("no costs of the language")?;
        let price = |id: &_, _: &_| -> Option<Price> { prices.get(id).copied() };
        for row in rows {
            let start = Instant::now();
            let classes = classes(&inventory);
            let (problem, diagnostics) = solve::problem(&inventory, &classes, &price, &|_| language);
            let options = Options { budget_mb: row.budget_mb, exact: Exact::Never, effort, ..Options::default() };
            let incumbents = std::cell::RefCell::new(Vec::new());
            let solution = solve::plan(&problem, &options, &|progress| {
                if let Progress::Incumbent(value) = progress {
                    incumbents.borrow_mut().push((value, start.elapsed()));
                }
            });
            let whole = start.elapsed();
            let context =
                Context { modules: &|_| Vec::new(), weights: "functions of the train half", diagnostics, before: None };
            let plan = solve::to_plan(&inventory, &classes, &problem, &solution, &options, context);
            let broken = solve::verify::verify(&plan, &inventory, &price, &|_| language);
            if !broken.is_empty() {
                return Err(format!("{split}-{}: {}", row.nodes, broken.join("; ")).into());
            }
            let incumbents = incumbents.into_inner();
            let (greedy, _) = incumbents.first().copied().unwrap_or_default();
            let planned = incumbents.last().map_or(whole, |&(_, at)| at);
            println!(
                "{split:5} {:5} {:8.1} {:8.1} {:6} {:9.4} {:8.4} {:8.4} {:8.4} {:6.3} {:8.0} {:8.0}",
                row.nodes,
                row.budget_mb,
                plan.memory_mb,
                plan.images.len(),
                row.train_saved,
                greedy / plan.total_ms,
                plan.saved_share,
                plan.bound / plan.total_ms,
                100.0 * plan.gap,
                planned.as_secs_f64() * 1e3,
                (whole - planned).as_secs_f64() * 1e3,
            );
            let folder = out.join(format!("{split}-{}", row.nodes));
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join("plan.json"), serde_json::to_string_pretty(&plan)? + "\n")?;
        }
    }
    Ok(())
}
