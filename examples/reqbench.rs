//! Plans every split and budget of a folder of the ReqBench form from its train half, and prints what each plan saves the
//! functions of the test half, which it has not seen, beside Forklift at the same memory.
//!
//! `cargo run --release --example reqbench -- DIR --out OUT [--split NAME] [--aim known|expected] [--effort MILLIONS]`
//! reads `functions.json`, `splits.json` and `forklift_v3.json` and writes `OUT/SPLIT-NODES/plan.json`.

#[path = "support/reqbench.rs"]
mod reqbench;
#[path = "support/used.rs"]
mod used;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use used::used;
use warmset::graph::classes::classes;
use warmset::solve::{self, Aim, Context, Exact, Options, Price, verify};

/// What plans must save beyond Forklift, by its number of nodes.
const REQUIRED: [(usize, f64); 6] = [(20, 0.10), (40, 0.06), (80, 0.025), (160, 0.008), (320, 0.003), (640, 0.003)];
/// Most that a single plan may stay below it.
const WORST: f64 = -0.003;
/// CPU seconds that Forklift takes for the trees of one split, as the data's README says.
const FORKLIFT_SECONDS: (f64, f64) = (37.0, 45.0);

/// The plans of one row.
#[derive(Default)]
struct Sum {
    plans: usize,
    ahead: f64,
    worst: f64,
    train: f64,
    test: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (mut dir, mut out, mut only, mut options) = (None, None, None, Options::default());
    options.exact = Exact::Never;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--out" => out = args.next().map(PathBuf::from),
            "--effort" => options.effort = args.next().unwrap_or_default().parse()?,
            "--split" => only = args.next(),
            "--aim" => {
                options.aim = match args.next().as_deref() {
                    Some("known") => Aim::Known,
                    Some("expected") => Aim::Expected,
                    _ => return Err("--aim takes known or expected".into()),
                }
            }
            _ => dir = Some(PathBuf::from(arg)),
        }
    }
    let usage = "usage: reqbench DIR --out OUT [--split NAME] [--aim known|expected] [--effort MILLIONS]";
    let (dir, out) = dir.zip(out).ok_or(usage)?;
    let (data, splits) = reqbench::read(&dir)?;
    let rows = reqbench::rows(&dir)?;
    let judge = reqbench::Judge::new(&data);
    println!("split nodes   budget   memory images  gap%   train    test  forklift   ahead   cpu s");
    let mut sums: BTreeMap<usize, Sum> = BTreeMap::new();
    let mut seconds: BTreeMap<&str, f64> = BTreeMap::new();
    let (mut dearest, mut longest) = (0.0f64, 0.0f64);
    for (split, rows) in rows.iter().filter(|(split, _)| only.as_ref().is_none_or(|only| only == *split)) {
        let (inventory, costs) = reqbench::fleet(&data, &splits, split, "train")?;
        let test = reqbench::weights(&splits, split, "test")?;
        let prices = reqbench::prices(&costs);
        let language = costs.languages.values().next().copied().ok_or("no costs of the language")?;
        let price = |id: &_, _: &_| -> Option<Price> { prices.get(id).copied() };
        for row in rows {
            let options = Options { budget_mb: row.budget_mb, ..options.clone() };
            let (start, wall) = (used().0, Instant::now());
            let classes = classes(&inventory);
            let (problem, diagnostics) = solve::problem(&inventory, &classes, &price, &|_| language);
            let solution = solve::plan(&problem, &options, &|_| ());
            let context =
                Context { modules: &|_| Vec::new(), weights: "functions of the train half", diagnostics, before: None };
            let plan = solve::to_plan(&inventory, &classes, &problem, &solution, &options, context);
            let (took, wall) = (used().0 - start, wall.elapsed().as_secs_f64());
            *seconds.entry(split).or_default() += took;
            dearest = dearest.max(took);
            longest = longest.max(wall);

            let mut broken = verify::verify(&plan, &inventory, &price, &|_| language);
            let aimed = solve::aimed(&problem, &options);
            broken.extend(verify::verify_expected(&plan, &inventory, &aimed, &price, &|_| language));
            if !broken.is_empty() {
                return Err(format!("{split}-{}: {}", row.nodes, broken.join("; ")).into());
            }
            let images: Vec<Vec<String>> = plan.images.iter().map(|i| i.packages.clone()).collect();
            let saved = judge.saved(&images, &test);
            let ahead = saved - row.test_saved;
            println!(
                "{split:5} {:5} {:8.1} {:8.1} {:6} {:5.2} {:7.4} {saved:7.4} {:9.4} {ahead:+7.4} {took:7.2}",
                row.nodes,
                row.budget_mb,
                plan.memory_mb,
                plan.images.len(),
                100.0 * plan.gap,
                plan.saved_share,
                row.test_saved,
            );
            let sum = sums.entry(row.nodes).or_insert_with(|| Sum { worst: f64::INFINITY, ..Sum::default() });
            sum.plans += 1;
            sum.ahead += ahead;
            sum.worst = sum.worst.min(ahead);
            sum.train += plan.saved_share;
            sum.test += saved;
            let folder = out.join(format!("{split}-{}", row.nodes));
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join("plan.json"), serde_json::to_string_pretty(&plan)? + "\n")?;
        }
    }
    println!("\nmeans over the splits\nnodes   train    test   ahead  required   worst");
    let mut reached = true;
    for (nodes, sum) in &sums {
        let mean = |x: f64| x / sum.plans as f64;
        let required = REQUIRED.iter().find(|(n, _)| n == nodes).map(|(_, required)| *required);
        reached &= required.is_none_or(|r| mean(sum.ahead) >= r) && sum.worst >= WORST;
        println!(
            "{nodes:5} {:7.4} {:7.4} {:+7.4} {:>9} {:+7.4}",
            mean(sum.train),
            mean(sum.test),
            mean(sum.ahead),
            required.map_or_else(|| "-".to_string(), |r| format!("{r:+.3}")),
            sum.worst,
        );
    }
    println!("what is required is {}", if reached { "reached" } else { "NOT reached" });
    if let Some(most) = seconds.values().copied().max_by(f64::total_cmp).filter(|s| *s > 0.0) {
        let (least, longest_forklift) = FORKLIFT_SECONDS;
        println!(
            "a plan takes {dearest:.2} s of CPU and {longest:.2} s at most, all together {:.0} MB at the peak",
            used().1
        );
        println!(
            "the plans of one split take {most:.2} s of CPU at most, Forklift's trees {least:.0} to {longest_forklift:.0} s: {:.0} times as much",
            least / most
        );
    }
    Ok(())
}
