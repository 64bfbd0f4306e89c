//! `warmset plan`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cost::{self, Prices, trace};
use crate::emit::json;
use crate::graph::classes::classes;
use crate::model::{Costs, Diagnostic, Ecosystem, Inventory, PackageId, Plan};
use crate::resolve::names;
use crate::solve::{self, Exact, Options, Stable, verify};

use super::Outcome;
use super::args::{ExactChoice, PlanCommand, SolveOptions, TextFormat};
use super::load::{self, Failure};
use super::summary;
use super::talk::Talk;
use super::{emit, write};

/// Chooses images and writes the plan folder.
pub fn run(command: &PlanCommand, talk: Talk) -> Result<Outcome, Failure> {
    let mut inventory = load::inventory(&command.input, &command.options, talk)?;
    let before = command.from.as_deref().map(load::plan).transpose()?.map(|(plan, _)| plan);
    let stable = before.as_ref().map(|plan| (plan, Stable { max_changes: command.churn, loss: command.loss }));
    let made = make(&mut inventory, command.budget, &command.solve, stable, talk)?;
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

/// What a fleet is planned with.
pub struct Priced {
    /// Where its weights come from.
    pub weights: String,
    /// One price for each package and platform.
    pub costs: Costs,
    /// What could not be read or priced.
    pub diagnostics: Vec<Diagnostic>,
}

/// Weighs functions and prices packages.
pub fn priced(inventory: &mut Inventory, options: &SolveOptions) -> Result<Priced, Failure> {
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
    Ok(Priced { weights, costs, diagnostics })
}

/// What the command line says of how images are chosen.
pub fn options(options: &SolveOptions, budget_mb: f64) -> Options {
    Options {
        budget_mb,
        max_images: options.max_images,
        exact: match options.exact {
            ExactChoice::Auto => Exact::Auto,
            ExactChoice::Never => Exact::Never,
            ExactChoice::Always => Exact::Always,
        },
        time_limit: options.time_limit.map(Duration::from_secs_f64),
        ..Options::default()
    }
}

/// Weighs, prices, solves and verifies.
fn make(
    inventory: &mut Inventory,
    budget_mb: f64,
    solve: &SolveOptions,
    before: Option<(&Plan, Stable)>,
    talk: Talk,
) -> Result<Made, Failure> {
    let Priced { weights, costs, mut diagnostics } = priced(inventory, solve)?;
    let prices = Prices::new(&costs);

    let classes = classes(inventory);
    let price = |id: &_, platform: &_| prices.get(id, platform).map(Into::into);
    let language = |language| prices.language(language);
    let (mut problem, left_out) = solve::problem(inventory, &classes, &price, &language);
    diagnostics.extend(left_out);
    let gone = before.map(|(plan, _)| (plan, solve::stable::note(&mut problem, plan)));
    let options = Options { stable: before.map(|(_, stable)| stable), ..options(solve, budget_mb) };
    let bar = talk.bar("solving");
    let solution = solve::plan(&problem, &options, &|progress| bar.message(&summary::progress(progress)));
    drop(bar);
    let modules = |id: &_| modules(&prices, id);
    let context = solve::Context { modules: &modules, weights: &weights, diagnostics, before: gone };
    let plan = solve::to_plan(inventory, &classes, &problem, &solution, &options, context);
    if let Some((changes, most)) = plan.changes.as_ref().and_then(|c| c.max_changes.map(|most| (c, most))) {
        let needed = changes.built.len() + changes.reparented.len();
        if needed > most {
            return Err(Failure::Message(format!(
                "what is demanded takes {needed} images to be built; --churn {most} allows fewer: allow more, or demand less"
            )));
        }
    }
    let mut broken = verify::verify(&plan, inventory, &price, &language);
    broken.extend(before.iter().flat_map(|(before, _)| verify::verify_changes(&plan, before)));
    if !broken.is_empty() {
        return Err(Failure::Message(format!(
            "the plan does not pass its verification and was not written; this is a bug in warmset:\n  {}",
            broken.join("\n  ")
        )));
    }
    Ok(Made { plan, costs })
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
