//! `warmset plan --sweep`: what more memory saves.

use std::path::Path;

use rayon::prelude::*;

use crate::emit::{curve_svg, json};
use crate::model::curve::{Curve, Knee, Point, SCHEMA};
use crate::model::plan::{Aim, Status};
use crate::model::units::round;
use crate::model::{Diagnostic, GENERATOR, Place, codes};
use crate::solve::Options;
use crate::solve::pools::Part;
use crate::solve::sweep::{self, Budgets, KNEE, Step};

use super::Outcome;
use super::args::{PlanCommand, TextFormat};
use super::load::{self, Failure};
use super::table::Table;
use super::talk::{BOLD, CYAN, DIM, GREEN, Talk, YELLOW, paint};
use super::write;
use super::{demands, plan};

/// Columns of the plot.
const BAR: usize = 40;

/// Plans every budget, verifies every plan, and shows the curve.
pub fn run(command: &PlanCommand, budgets: &Budgets, talk: Talk) -> Result<Outcome, Failure> {
    let wishes = demands::wishes(&command.input, command.budget, command.solve.max_images, &command.demands)?;
    let mut inventory = load::inventory(&command.input, &command.options, talk)?;
    if !wishes.pools.is_empty() {
        return Err(Failure::Message(
            "--sweep varies the memory of one pool: leave out the pools, or plan each budget".into(),
        ));
    }
    let read = inventory.diagnostics.clone();
    let mut ready = plan::prepare(&mut inventory, &wishes, &command.solve, None)?;
    plan::prove(&mut ready.options, &command.proof);
    ready.options.budget_mb = command.budget.unwrap_or(1.0);
    if !ready.asked.impossible.is_empty() {
        return Err(ready.contradictions());
    }
    let bar = talk.bar("sweeping");
    let told = |done, all| bar.set(done, all);
    let (steps, unmet) = sweep::met(&ready.asked.problem, &ready.options, budgets, command.budget, &told);
    drop(bar);
    let point = |step: &Step| -> Result<Point, Failure> {
        let options = Options { budget_mb: step.budget_mb, ..ready.options.clone() };
        let parts = [Part { objective: step.solution.objective, bound: step.solution.bound }];
        let plan = ready.plan(&step.solution, &parts, &options)?;
        Ok(Point {
            budget_mb: step.budget_mb,
            memory_mb: plan.memory_mb,
            images: plan.images.len(),
            served: plan.assignments.len(),
            objective: plan.objective,
            saved_share: plan.saved_share,
            bound: plan.bound,
            gap: plan.gap,
            status: plan.status,
            marginal_ms_per_mb: 0.0,
        })
    };
    if steps.is_empty() {
        return Err(ready.contradictions());
    }
    let mut points = steps.par_iter().map(point).collect::<Result<Vec<Point>, Failure>>()?;
    let (mut memory, mut saved) = (0.0, 0.0);
    for point in &mut points {
        point.marginal_ms_per_mb = round((point.objective - saved) / (point.budget_mb - memory), 6);
        (memory, saved) = (point.budget_mb, point.objective);
    }
    let found: Vec<(f64, f64)> = points.iter().map(|p| (p.memory_mb, p.objective)).collect();
    let knee = sweep::knee(&found).map(|k| Knee {
        budget_mb: points[k].budget_mb,
        memory_mb: points[k].memory_mb,
        saved_share: points[k].saved_share,
        method: KNEE.into(),
    });
    let any = steps.first().map(|s| &s.solution);
    let curve = Curve {
        schema: SCHEMA.into(),
        generator: GENERATOR.into(),
        share: ready.options.share,
        aim: ready.options.aim(),
        max_images: ready.options.max_images,
        weights: ready.weights.clone(),
        total_ms: round(ready.asked.problem.total_ms(), 6),
        bound_covers: any.map(|s| s.bound_covers.clone()).unwrap_or_default(),
        size: any.map(|s| s.size).unwrap_or_default(),
        points,
        knee,
        marked_mb: command.budget,
    };
    if let Some(out) = &command.out {
        write::file(&out.join("sweep.json"), json::text(&curve).as_bytes())?;
        write::file(&out.join("sweep.svg"), curve_svg::svg(&curve).as_bytes())?;
    }
    let mut diagnostics: Vec<Diagnostic> = read;
    diagnostics.extend(ready.diagnostics.iter().cloned());
    if let (Some(least), Some(most)) = (unmet.first(), unmet.last()) {
        let reason =
            format!("with {} to {} MB no plan was found that meets the demands", amount(*least), amount(*most));
        diagnostics.push(Diagnostic::new(codes::DEMANDS_UNMET, Place::default(), reason));
    }
    diagnostics.sort();
    diagnostics.dedup();
    talk.result(&match command.format {
        TextFormat::Json => json::text(&curve),
        TextFormat::Text => text(&curve, command.out.as_deref()),
    })?;
    talk.diagnostics(&diagnostics);
    Ok(Outcome::of(&diagnostics))
}

/// The curve as a table, with a bar for each budget.
fn text(curve: &Curve, out: Option<&Path>) -> String {
    let knee = curve.knee_point();
    let most = curve.points.iter().map(|p| p.bound).fold(0.0, f64::max);
    let mut table = Table::new(&[
        ">budget MB",
        ">memory MB",
        ">images",
        ">served",
        ">saved",
        ">gap",
        ">ms per MB",
        "saved ▕ not excluded",
    ]);
    for (k, p) in curve.points.iter().enumerate() {
        let here = Some(k) == knee;
        let asked = curve.marked_mb == Some(p.budget_mb);
        let told = match (here, asked) {
            (true, true) => " knee, asked for",
            (true, false) => " knee",
            (false, true) => " asked for",
            _ => "",
        };
        let saved = format!("{:.1} %", p.saved_share * 100.0);
        table.row(vec![
            amount(p.budget_mb),
            amount(p.memory_mb),
            p.images.to_string(),
            p.served.to_string(),
            if here { paint(YELLOW, saved) } else { saved },
            if p.status == Status::Optimal { "0".into() } else { format!("{:.2} %", p.gap * 100.0) },
            format!("{:.3}", p.marginal_ms_per_mb),
            format!("{}{}", bar(p.objective, p.bound, most), paint(YELLOW, told)),
        ]);
    }
    let mut text = table.render();
    text.push('\n');
    let line = |name: &str, said: String| format!("{}{said}\n", paint(BOLD, format!("{name:<11}")));
    match &curve.knee {
        Some(k) => text.push_str(&line(
            "knee",
            format!(
                "{} of the load time for {} MB; beyond it a MB saves less than on average over the curve",
                paint(GREEN, format!("{:.1} %", k.saved_share * 100.0)),
                amount(k.budget_mb)
            ),
        )),
        None => text.push_str(&line("knee", "none: the curve has no bend".into())),
    }
    if curve.aim == Aim::Expected {
        text.push_str(&line(
            "aim",
            "known functions and those expected: bars, gap and ms per MB are about both, saved about the known ones"
                .into(),
        ));
    }
    let rule = if curve.share.is_subset() { String::new() } else { format!(", {} rule", curve.share) };
    text.push_str(&line("proof", format!("each gap is relative to {}{rule}", curve.bound_covers)));
    if let Some(out) = out {
        text.push_str(&line(
            "written",
            paint(CYAN, out.join("sweep.json").display()) + " " + &paint(CYAN, "sweep.svg"),
        ));
    }
    text
}

/// What is saved as a solid bar, and what a better plan could save at most as a faint one behind it.
fn bar(saved: f64, bound: f64, most: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = |ms: f64| if most > 0.0 { (ms / most * (BAR * 8) as f64).round().max(0.0) as usize } else { 0 };
    let (solid, whole) = (eighths(saved), eighths(bound).div_ceil(8));
    let text = format!("{}{}", "█".repeat(solid / 8), EIGHTHS[solid % 8]);
    let faint = whole.saturating_sub(solid.div_ceil(8));
    if faint == 0 { text } else { text + &paint(DIM, "░".repeat(faint)) }
}

/// Tenths below 100.
fn amount(mb: f64) -> String {
    if mb < 99.95 { format!("{mb:.1}") } else { format!("{mb:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_show_eighths_and_what_is_not_excluded() {
        let plain = |saved, bound| anstream::adapter::strip_str(&bar(saved, bound, 40.0)).to_string();
        assert_eq!(plain(40.0, 40.0), "█".repeat(40));
        assert_eq!(plain(2.5, 2.5), "██▌");
        assert_eq!(plain(1.0, 3.0), "█░░");
        assert_eq!(plain(0.0, 0.0), "");
        assert_eq!(bar(0.0, 0.0, 0.0), "");
    }
}
