//! `warmset plan`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cost::{self, Prices, trace};
use crate::emit::json;
use crate::model::wishes::{Wish, Wished, Wishes};
use crate::model::{Costs, Diagnostic, Ecosystem, Inventory, PackageId, Plan};
use crate::resolve::names;
use crate::solve::wishes::Asked;
use crate::solve::{self, Exact, Options, verify};

use super::Outcome;
use super::args::{ExactChoice, PlanCommand, SolveOptions, TextFormat};
use super::load::{self, Failure};
use super::summary;
use super::talk::Talk;
use super::{demands, emit, write};

/// Chooses images and writes the plan folder.
pub fn run(command: &PlanCommand, talk: Talk) -> Result<Outcome, Failure> {
    let wishes = demands::wishes(&command.input, command.budget, command.solve.max_images, &command.demands)?;
    let mut inventory = load::inventory(&command.input, &command.options, talk)?;
    let made = make(&mut inventory, &wishes, &command.solve, talk)?;
    let mut diagnostics = inventory.diagnostics.clone();
    diagnostics.extend(made.plan.diagnostics.iter().cloned());

    if let Some(out) = &command.out {
        let mut files = BTreeMap::from([
            ("inventory.json".to_string(), json::text(&inventory).into_bytes()),
            ("costs.json".to_string(), json::text(&made.costs).into_bytes()),
        ]);
        let name = emit::name(command.name.as_deref(), out);
        diagnostics.extend(emit::folder_of(&made.plan, &inventory, name, &mut files));
        write::folder(out, &files)?;
    }
    diagnostics.sort();
    diagnostics.dedup();
    talk.result(&match command.format {
        TextFormat::Json => json::text(&made.plan),
        TextFormat::Text => summary::plan(&inventory, &made.plan, &diagnostics, command.out.as_deref()),
    })?;
    talk.diagnostics(&diagnostics);
    Ok(Outcome::of(&diagnostics))
}

/// A plan and the prices that it rests on.
pub struct Made {
    /// Verified.
    pub plan: Plan,
    /// One price for each package and platform.
    pub costs: Costs,
}

/// Weighs, prices, solves and verifies. The inventory gets the weights and trust domains that it was planned with.
fn make(inventory: &mut Inventory, wishes: &Wishes, options: &SolveOptions, talk: Talk) -> Result<Made, Failure> {
    let mut diagnostics: Vec<Diagnostic> = Vec::new();
    let mut weights = "uniform".to_string();
    if let Some(path) = &options.trace {
        let keep = trace::KeepAlive { idle_s: options.keep_alive, period_s: options.trace_period };
        let file = path.display().to_string();
        let read = trace::read(&file, &load::bytes(path)?, keep)?;
        diagnostics.extend(trace::apply(inventory, &read, &file));
        weights = read.describes;
    } else if inventory.functions.iter().any(|f| f.weight != 1.0) {
        weights = "inventory".to_string();
    }
    let user = load::costs(options.costs.as_ref())?;
    let (costs, unpriced) = cost::resolve(inventory, user.as_ref(), options.assume_cost);
    diagnostics.extend(unpriced);
    let prices = Prices::new(&costs);

    let price = |id: &_, platform: &_| prices.get(id, platform).map(Into::into);
    let language = |language| prices.language(language);
    let pools = solve::wishes::pools(wishes).map_err(Failure::Diagnostics)?;
    let asked = solve::wishes::asked(inventory, wishes, &pools, &|_| true, &price, &language);
    let budget_mb = budget(wishes, &asked)?;
    diagnostics.extend(asked.diagnostics.clone());
    let options = Options {
        budget_mb,
        max_images: images(wishes),
        exact: match options.exact {
            ExactChoice::Auto => Exact::Auto,
            ExactChoice::Never => Exact::Never,
            ExactChoice::Always => Exact::Always,
        },
        time_limit: options.time_limit.map(Duration::from_secs_f64),
        ..Options::default()
    };
    let contradictions = || {
        let why = solve::contradictions::contradictions(inventory, wishes, &pools, &options, &price, &language);
        Failure::Diagnostics(if why.is_empty() { vec![solve::contradictions::not_found(wishes)] } else { why })
    };
    if !asked.impossible.is_empty() {
        return Err(contradictions());
    }
    let bar = talk.bar("solving");
    let (solution, parts) =
        solve::pools::plan_asked(&asked, &options, &|progress| bar.message(&summary::progress(progress)));
    drop(bar);
    if !solution.met {
        return Err(contradictions());
    }
    let Asked { classes, problem, .. } = &asked;
    let modules = |id: &_| modules(&prices, id);
    let context = solve::Context { modules: &modules, weights: &weights, diagnostics };
    inventory.functions.clone_from(&asked.inventory.functions);
    let mut plan = solve::to_plan(inventory, classes, problem, &solution, &options, context);
    solve::pools::annotate(&mut plan, &asked, wishes, &parts, &price);
    let broken = verify::verify(&plan, inventory, &price, &language);
    if !broken.is_empty() {
        return Err(Failure::Message(format!(
            "the plan does not pass its verification and was not written; this is a bug in warmset:\n  {}",
            broken.join("\n  ")
        )));
    }
    Ok(Made { plan, costs })
}

/// The memory of the whole host: as it was said, or what the pools have together.
fn budget(wishes: &Wishes, asked: &Asked) -> Result<f64, Failure> {
    if let Some((_, Wished { wish: Wish::Memory { mb }, .. })) =
        wishes.limit(None, |w| matches!(w, Wish::Memory { .. }))
    {
        return Ok(*mb);
    }
    let rest = asked.pools.len() - 1;
    let mut left: Vec<&str> = asked
        .classes
        .iter()
        .zip(&asked.problem.class_pool)
        .filter(|(_, pool)| **pool == Some(rest))
        .flat_map(|(class, _)| &class.functions)
        .map(|&f| asked.inventory.functions[f].id.as_str())
        .collect();
    left.sort_unstable();
    match left.first() {
        _ if rest == 0 => Err(Failure::Message(
            "how much memory may images take? give --budget, or `memory` in [plan] of warmset.toml".into(),
        )),
        Some(first) => Err(Failure::Message(format!(
            "{} functions are in no pool ({first} …), and nothing says how much memory their images may take: give --budget \
             for the whole host, or a pool that takes them",
            left.len()
        ))),
        None => Ok(asked.pools.iter().map(|p| p.memory_mb).sum()),
    }
}

/// Most images of the whole host.
fn images(wishes: &Wishes) -> Option<usize> {
    match wishes.limit(None, |w| matches!(w, Wish::Images { .. })) {
        Some((_, Wished { wish: Wish::Images { most }, .. })) => Some(*most),
        _ => None,
    }
}

/// The modules that load a package which no function imports by itself: those that were measured, else the table of
/// names, else its own name as a module.
fn modules(prices: &Prices, id: &PackageId) -> Vec<String> {
    let measured = prices.modules(id);
    if !measured.is_empty() {
        return measured;
    }
    match id.ecosystem {
        Ecosystem::Pypi => match names::modules_for(&id.name) {
            Some(known) => known.into_iter().map(str::to_string).collect(),
            None => vec![id.name.replace('-', "_")],
        },
        Ecosystem::Npm => vec![id.name.clone()],
    }
}
