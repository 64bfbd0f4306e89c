//! `warmset plan`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::cost::{self, Prices, trace};
use crate::emit::json;
use crate::graph::classes::{Class, classes};
use crate::model::plan::Share;
use crate::model::{Costs, Diagnostic, Ecosystem, Inventory, PackageId, Plan};
use crate::resolve::names;
use crate::solve::stable::{self, Gone};
use crate::solve::{self, Aim, Exact, Options, Problem, Solution, Stable, superset, verify};

use super::Outcome;
use super::args::{AimChoice, ExactChoice, PlanCommand, ShareChoice, SolveOptions, TextFormat};
use super::load::{self, Failure};
use super::summary;
use super::sweep;
use super::talk::Talk;
use super::{emit, write};

/// Chooses images and writes the plan folder.
pub fn run(command: &PlanCommand, talk: Talk) -> Result<Outcome, Failure> {
    if let Some(budgets) = &command.sweep {
        return sweep::run(command, budgets, talk);
    }
    let mut inventory = load::inventory(&command.input, &command.options, talk)?;
    let before = command.from.as_deref().map(load::plan).transpose()?.map(|(plan, _)| plan);
    let stable = before.as_ref().map(|plan| (plan, Stable { max_changes: command.churn, loss: command.loss }));
    let budget = command.budget.ok_or_else(|| Failure::Message("--budget is missing".into()))?;
    let made = make(&mut inventory, budget, &command.solve, stable, talk)?;
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

/// A fleet with its weights and prices, ready to be solved.
pub struct Prepared<'a> {
    /// Where the weights come from.
    pub weights: String,
    /// One price for each package and platform.
    pub costs: Costs,
    /// The same, indexed.
    pub prices: Prices,
    /// What one decision serves.
    pub classes: Vec<Class>,
    /// What is solved.
    pub problem: Problem,
    /// What had to be left out or assumed.
    pub diagnostics: Vec<Diagnostic>,
    /// How it is solved.
    pub options: Options,
    /// The plan in use, and its images that cannot stay.
    pub before: Option<(&'a Plan, Vec<Gone>)>,
}

/// Weighs and prices.
pub fn prepare<'a>(
    inventory: &mut Inventory,
    budget_mb: f64,
    options: &SolveOptions,
    before: Option<(&'a Plan, Stable)>,
) -> Result<Prepared<'a>, Failure> {
    if options.share == ShareChoice::Superset && options.aim == Some(AimChoice::Expected) {
        return Err(Failure::Message(
            "--aim expected is for --share subset: what would disturb functions that nobody has seen is not known"
                .into(),
        ));
    }
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
    let (mut costs, unpriced) = cost::resolve(inventory, user.as_ref(), options.assume_cost);
    diagnostics.extend(unpriced);
    if let Some(waste) = options.waste_ms_per_mb {
        costs.languages.values_mut().for_each(|language| language.waste_ms_per_mb = Some(waste));
    }
    let prices = Prices::new(&costs);

    let classes = classes(inventory);
    let price = |id: &_, platform: &_| prices.get(id, platform).map(Into::into);
    let (mut problem, left_out) = solve::problem(inventory, &classes, &price, &|language| prices.language(language));
    diagnostics.extend(left_out);
    let options = Options {
        budget_mb,
        max_images: options.max_images,
        share: match options.share {
            ShareChoice::Subset => Share::Subset,
            ShareChoice::Superset => Share::Superset,
        },
        exact: match options.exact {
            ExactChoice::Auto => Exact::Auto,
            ExactChoice::Never => Exact::Never,
            ExactChoice::Always => Exact::Always,
        },
        aim: match options.aim {
            Some(AimChoice::Known) => Aim::Known,
            Some(AimChoice::Expected) | None => Aim::Expected,
        },
        stable: before.map(|(_, stable)| stable),
        time_limit: options.time_limit.map(Duration::from_secs_f64),
        prove: options.prove.map(Duration::from_secs_f64),
        ..Options::default()
    };
    if options.share == Share::Superset {
        superset::widen(&mut problem, inventory, &classes);
    }
    let before = before.map(|(plan, _)| (plan, stable::note(&mut problem, plan)));
    Ok(Prepared { weights, costs, prices, classes, problem, diagnostics, options, before })
}

impl Prepared<'_> {
    /// The plan that a solution comes to, verified.
    pub fn plan(&self, inventory: &Inventory, solution: &Solution, options: &Options) -> Result<Plan, Failure> {
        let modules = |id: &_| modules(&self.prices, id);
        let context = solve::Context {
            modules: &modules,
            weights: &self.weights,
            diagnostics: self.diagnostics.clone(),
            before: self.before.clone(),
        };
        let plan = solve::to_plan(inventory, &self.classes, &self.problem, solution, options, context);
        if let Some((changes, most)) = plan.changes.as_ref().and_then(|c| c.max_changes.map(|most| (c, most))) {
            let needed = changes.built.len() + changes.reparented.len();
            if needed > most {
                return Err(Failure::Message(format!(
                    "what is demanded takes {needed} images to be built; --churn {most} allows fewer: allow more, or \
                     demand less"
                )));
            }
        }
        let price = |id: &_, platform: &_| self.prices.get(id, platform).map(Into::into);
        let language = |language| self.prices.language(language);
        let mut broken = verify::verify(&plan, inventory, &price, &language);
        if plan.aim == Aim::Expected {
            let aimed = solve::aimed(&self.problem, options);
            broken.extend(verify::verify_expected(&plan, inventory, &aimed, &price, &language));
        }
        broken.extend(self.before.iter().flat_map(|(before, _)| verify::verify_changes(&plan, before)));
        if !broken.is_empty() {
            return Err(Failure::Message(format!(
                "the plan does not pass its verification and was not written; this is a bug in warmset:\n  {}",
                broken.join("\n  ")
            )));
        }
        Ok(plan)
    }
}

/// Weighs, prices, solves and verifies.
fn make(
    inventory: &mut Inventory,
    budget_mb: f64,
    options: &SolveOptions,
    before: Option<(&Plan, Stable)>,
    talk: Talk,
) -> Result<Made, Failure> {
    let ready = prepare(inventory, budget_mb, options, before)?;
    let bar = talk.bar("solving");
    let seen = RefCell::new(summary::Standing::default());
    let solution = solve::plan(&ready.problem, &ready.options, &|progress| {
        bar.message(&seen.borrow_mut().after(progress));
    });
    drop(bar);
    let plan = ready.plan(inventory, &solution, &ready.options)?;
    Ok(Made { plan, costs: ready.costs })
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
