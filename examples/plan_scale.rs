//! How planning grows: generates fleets in memory, plans them, and prints time, memory and gap of each step.
//!
//! `cargo run --release --example plan_scale -- FUNCTIONS BUDGET_MB [SEED] [--single] [--classes]`. With `--classes` the fleet's
//! functions are not spelt out as an inventory (some 2 kB each) and no `plan.json` is made of the solution.

#[path = "support/planning_fleet.rs"]
mod planning_fleet;
#[path = "support/used.rs"]
mod used;

use std::error::Error;
use std::time::Instant;

use planning_fleet::{Shape, generate};
use used::used;
use warmset::cost::Prices;
use warmset::graph::classes::classes;
use warmset::solve::{self, Aim, Context, Exact, Options, Price, verify};

struct Clock(Instant, f64);

impl Clock {
    fn step(&mut self, what: &str) {
        let (cpu, peak) = used();
        eprintln!(
            "{what:12} {:8.2} s elapsed {:8.2} s CPU {peak:8.0} MB peak",
            self.0.elapsed().as_secs_f64(),
            cpu - self.1
        );
        *self = Clock(Instant::now(), cpu);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (flags, values): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|a| a.starts_with("--"));
    let flag = |name: &str| flags.iter().any(|f| f == name);
    let (functions, budget_mb, seed) = match &values[..] {
        [functions, budget] => (functions.parse()?, budget.parse()?, 7),
        [functions, budget, seed] => (functions.parse()?, budget.parse()?, seed.parse()?),
        _ => return Err("usage: plan_scale FUNCTIONS BUDGET_MB [SEED] [--single] [--classes]".into()),
    };
    let aim = if flag("--known") { Aim::Known } else { Aim::Expected };
    let mut clock = Clock(Instant::now(), used().0);
    let fleet = generate(Shape { functions, seed, single: flag("--single") });
    let costs = fleet.costs();
    let prices = Prices::new(&costs);
    let price = |id: &_, platform: &_| -> Option<Price> { prices.get(id, platform) };
    let language = |language| prices.language(language);
    clock.step("generate");
    let spelt_out = !flag("--classes");
    let inventory = if spelt_out { fleet.inventory() } else { fleet.packages() };
    clock.step("inventory");
    let classes = if spelt_out { classes(&inventory) } else { fleet.classes() };
    clock.step("classes");
    let (problem, diagnostics) = solve::problem(&inventory, &classes, &price, &language);
    clock.step("problem");
    let options = Options { budget_mb, exact: Exact::Never, aim, ..Options::default() };
    let whole = Instant::now();
    let solution = solve::plan(&problem, &options, &|progress| {
        eprintln!("  {:8.2} s {progress:?}", whole.elapsed().as_secs_f64());
    });
    clock.step("plan");
    println!(
        "functions {} classes {} candidates {} pairs {} images {} memory {:.0} saved {:.4} gap {:.3} % {} {}",
        problem.functions,
        problem.class_weight.len(),
        solution.size.candidates,
        solution.size.parent_pairs,
        solution.chosen.len(),
        solution.memory_mb,
        solution.objective / problem.total_ms(),
        solution.gap() * 100.0,
        solution.method.plan,
        solution.method.bound
    );
    if spelt_out {
        let context = Context { modules: &|_| Vec::new(), weights: "generated", diagnostics, before: None };
        let plan = solve::to_plan(&inventory, &classes, &problem, &solution, &options, context);
        clock.step("to_plan");
        let broken = verify::verify(&plan, &inventory, &price, &language);
        clock.step("verify");
        if let Some(first) = broken.first() {
            return Err(format!("{} rules broken, the first: {first}", broken.len()).into());
        }
        let bytes = serde_json::to_vec(&plan)?.len();
        clock.step("json");
        eprintln!("plan.json {:.1} MB", bytes as f64 / 1e6);
    }
    Ok(())
}
