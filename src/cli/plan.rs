//! `warmset plan`.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::cost::{self, Prices, trace};
use crate::emit::json;
use crate::model::plan::Share;
use crate::model::wishes::{Wish, Wished, Wishes};
use crate::model::{Costs, Diagnostic, Ecosystem, Inventory, PackageId, Plan};
use crate::resolve::names;
use crate::solve::pools::Part;
use crate::solve::stable::{self, Gone};
use crate::solve::wishes::Asked;
use crate::solve::{self, Aim, Exact, Options, Solution, Stable, verify};

use super::Outcome;
use super::args::{PlanCommand, TextFormat};
use super::load::{self, Failure};
use super::options::{AimChoice, ExactChoice, ProofOptions, ShareChoice, SolveOptions};
use super::summary;
use super::talk::Talk;
use super::{demands, emit, write};

/// Chooses images and writes the plan folder.
pub fn run(command: &PlanCommand, talk: Talk) -> Result<Outcome, Failure> {
    let wishes = demands::wishes(&command.input, command.budget, command.solve.max_images, &command.demands)?;
    let mut inventory = load::inventory(&command.input, &command.options, talk)?;
    let before = command.from.as_deref().map(load::plan).transpose()?.map(|(plan, _)| plan);
    let stable = before.as_ref().map(|plan| (plan, Stable { max_changes: command.churn, loss: command.loss }));
    let made = make(&mut inventory, &wishes, command, stable, talk)?;
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
    /// The fleet as it was read, without the trust domains that are asked for.
    pub inventory: &'a Inventory,
    /// What is asked of the plan.
    pub wishes: &'a Wishes,
    /// The fleet, what one decision serves, and what is solved.
    pub asked: Asked<'a>,
    /// What had to be left out or assumed.
    pub diagnostics: Vec<Diagnostic>,
    /// How it is solved.
    pub options: Options,
    /// The plan in use, and its images that cannot stay.
    pub before: Option<(&'a Plan, Vec<Gone>)>,
}

/// Weighs, prices, and applies what is asked.
pub fn prepare<'a>(
    inventory: &'a mut Inventory,
    wishes: &'a Wishes,
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

    let price = |id: &_, platform: &_| prices.get(id, platform);
    let language = |language| prices.language(language);
    let share = match options.share {
        ShareChoice::Subset => Share::Subset,
        ShareChoice::Superset => Share::Superset,
    };
    let pools = solve::wishes::pools(wishes).map_err(Failure::Diagnostics)?;
    let inventory: &'a Inventory = inventory;
    let mut asked = solve::wishes::asked(inventory, wishes, &pools, share, &|_| true, &price, &language);
    diagnostics.extend(asked.diagnostics.clone());
    // Those of a pool are put in their place when it is solved.
    let rest = pools.last().filter(|_| pools.len() == 1);
    let options = Options {
        budget_mb: rest.map_or(0.0, |p| p.memory_mb),
        max_images: images(wishes),
        disk_mb: rest.and_then(|p| p.disk.as_ref()).map(|(mb, _)| *mb),
        share,
        aim: match options.aim {
            Some(AimChoice::Known) => Aim::Known,
            Some(AimChoice::Expected) | None => Aim::Expected,
        },
        stable: before.map(|(_, stable)| stable),
        ..Options::default()
    };
    let before = before.map(|(plan, _)| (plan, stable::note(&mut asked.problem, plan)));
    Ok(Prepared { weights, costs, prices, inventory, wishes, asked, diagnostics, options, before })
}

/// Says how much is done to prove plans.
pub fn prove(options: &mut Options, proof: &ProofOptions) {
    options.exact = match proof.exact {
        ExactChoice::Auto => Exact::Auto,
        ExactChoice::Never => Exact::Never,
        ExactChoice::Always => Exact::Always,
    };
    options.time_limit = proof.time_limit.map(Duration::from_secs_f64);
    options.prove = proof.prove.map(Duration::from_secs_f64);
}

impl Prepared<'_> {
    /// The same weights, prices and demands for an inventory that differs in its closures only.
    pub fn of<'b>(&'b self, inventory: &'b Inventory, options: &Options) -> Prepared<'b> {
        let price = |id: &_, platform: &_| self.prices.get(id, platform);
        let language = |language| self.prices.language(language);
        let (pools, share) = (&self.asked.pools, self.asked.share);
        let asked = solve::wishes::asked(inventory, self.wishes, pools, share, &|_| true, &price, &language);
        Prepared {
            weights: self.weights.clone(),
            costs: Costs { entries: Vec::new(), ..self.costs.clone() },
            prices: self.prices.clone(),
            inventory,
            wishes: self.wishes,
            asked,
            diagnostics: Vec::new(),
            options: options.clone(),
            before: None,
        }
    }

    /// The plan that a solution comes to, verified.
    pub fn plan(&self, solution: &Solution, parts: &[Part], options: &Options) -> Result<Plan, Failure> {
        let modules = |id: &_| modules(&self.prices, id);
        let context = solve::Context {
            modules: &modules,
            weights: &self.weights,
            diagnostics: self.diagnostics.clone(),
            before: self.before.clone(),
        };
        let Asked { inventory, classes, problem, .. } = &self.asked;
        let price = |id: &_, platform: &_| self.prices.get(id, platform);
        let mut plan = solve::to_plan(inventory, classes, problem, solution, options, context);
        solve::pools::annotate(&mut plan, &self.asked, self.wishes, parts, &price);
        let language = |language| self.prices.language(language);
        solve::warmup::annotate(&mut plan, &self.costs.warmups, &language);
        if let Some((changes, most)) = plan.changes.as_ref().and_then(|c| c.max_changes.map(|most| (c, most))) {
            let needed = changes.built.len() + changes.reparented.len();
            if needed > most {
                return Err(Failure::Message(format!(
                    "what is demanded takes {needed} images to be built; --churn {most} allows fewer: allow more, or \
                     demand less"
                )));
            }
        }
        let mut broken = verify::verify(&plan, inventory, &price, &language);
        if plan.aim == Aim::Expected {
            let aimed = solve::aimed(problem, options);
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

    /// Solves and verifies.
    pub fn solved(&self, progress: &dyn Fn(solve::Progress)) -> Result<Plan, Failure> {
        let options = Options { budget_mb: budget(self.wishes, &self.asked)?, ..self.options.clone() };
        if !self.asked.impossible.is_empty() {
            return Err(self.contradictions());
        }
        let (solution, parts) = solve::pools::plan_asked(&self.asked, &options, progress);
        if !solution.met {
            return Err(self.contradictions());
        }
        self.plan(&solution, &parts, &options)
    }

    /// Why the demands cannot be met.
    pub fn contradictions(&self) -> Failure {
        let price = |id: &_, platform: &_| self.prices.get(id, platform);
        let language = |language| self.prices.language(language);
        let why = solve::contradictions::contradictions(
            self.inventory,
            self.wishes,
            &self.asked.pools,
            &self.options,
            &price,
            &language,
        );
        Failure::Diagnostics(if why.is_empty() { vec![solve::contradictions::not_found(self.wishes)] } else { why })
    }
}

/// Weighs, prices, solves and verifies. The inventory gets the weights and trust domains that it was planned with.
fn make(
    inventory: &mut Inventory,
    wishes: &Wishes,
    command: &PlanCommand,
    before: Option<(&Plan, Stable)>,
    talk: Talk,
) -> Result<Made, Failure> {
    let mut ready = prepare(inventory, wishes, &command.solve, before)?;
    prove(&mut ready.options, &command.proof);
    let bar = talk.bar("solving");
    let seen = RefCell::new(summary::Standing::default());
    let plan = ready.solved(&|progress| bar.message(&seen.borrow_mut().after(progress)))?;
    drop(bar);
    let Prepared { costs, asked, .. } = ready;
    if let Cow::Owned(settled) = asked.inventory {
        inventory.functions = settled.functions;
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
