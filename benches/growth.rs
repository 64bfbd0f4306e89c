//! How planning grows with the fleet: each step has ten times the functions of the one before and twice the memory. What
//! counts are the ratios between steps of one run, and the counts beside them that make it grow.
//!
//! `cargo bench --bench growth [-- FUNCTIONS]` goes up to 100,000 functions, or as many as are said. `--test` plans the first
//! step only.

#[allow(dead_code)] // examples use the rest of it
#[path = "../examples/support/planning_fleet.rs"]
mod planning_fleet;
#[path = "../examples/support/used.rs"]
mod used;

use std::time::Instant;

use planning_fleet::{Shape, generate};
use used::used;
use warmset::cost::Prices;
use warmset::solve::{self, Exact, Options, Price};

const SEED: u64 = 7;
const FIRST: usize = 1_000;
const MOST: usize = 100_000;
/// MB for the first step.
const BUDGET_MB: f64 = 4_000.0;

/// What one step took.
struct Step {
    classes: usize,
    candidates: usize,
    pairs: usize,
    cpu_s: f64,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let is_test = args.iter().any(|a| a == "--test");
    let most = args.iter().find_map(|a| a.parse().ok()).unwrap_or(if is_test { FIRST } else { MOST });
    println!(
        "functions | closures | ×    | candidates | ×    | parent pairs | ×    | CPU s | ×    | elapsed s | peak MB | images | saved  | gap"
    );
    let (mut functions, mut budget_mb) = (FIRST, BUDGET_MB);
    let mut before: Option<Step> = None;
    while functions <= most {
        before = Some(step(functions, budget_mb, before.as_ref()));
        functions *= 10;
        budget_mb *= 2.0;
    }
}

fn step(functions: usize, budget_mb: f64, before: Option<&Step>) -> Step {
    let fleet = generate(Shape { functions, seed: SEED, single: false });
    let (inventory, classes, costs) = (fleet.packages(), fleet.classes(), fleet.costs());
    let prices = Prices::new(&costs);
    let price = |id: &_, platform: &_| -> Option<Price> { prices.get(id, platform) };
    let options = Options { budget_mb, exact: Exact::Never, ..Options::default() };
    let (start, cpu) = (Instant::now(), used().0);
    let (problem, _) = solve::problem(&inventory, &classes, &price, &|language| prices.language(language));
    let solution = solve::plan(&problem, &options, &|_| ());
    let elapsed = start.elapsed().as_secs_f64();
    let (cpu_s, peak_mb) = (used().0 - cpu, used().1);
    let now =
        Step { classes: classes.len(), candidates: solution.size.candidates, pairs: solution.size.parent_pairs, cpu_s };
    let times = |of: fn(&Step) -> f64| before.map_or_else(|| "-".into(), |b| format!("{:.1}", of(&now) / of(b)));
    println!(
        "{functions:9} | {:8} | {:4} | {:10} | {:4} | {:12} | {:4} | {cpu_s:5.1} | {:4} | {elapsed:9.1} | {peak_mb:7.0} | {:6} | {:5.1}% | {:.2}%",
        now.classes,
        times(|s| s.classes as f64),
        now.candidates,
        times(|s| s.candidates as f64),
        now.pairs,
        times(|s| s.pairs as f64),
        times(|s| s.cpu_s),
        solution.chosen.len(),
        100.0 * solution.known_objective / problem.total_ms(),
        100.0 * solution.gap(),
    );
    now
}
