//! The summary that a person reads at the end of `warmset plan`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::model::plan::{Status, WhyUnserved};
use crate::model::{Diagnostic, Image, Inventory, Plan, Severity};
use crate::solve::Progress;

use super::explain;
use super::scan;
use super::table::Table;
use super::talk::{BOLD, CYAN, DIM, GREEN, paint};

/// Functions, images, memory, savings, proof, costs, diagnostics.
pub fn plan(inventory: &Inventory, plan: &Plan, diagnostics: &[Diagnostic], out: Option<&Path>) -> String {
    let mut text = scan::totals(inventory);
    text.push('\n');
    if plan.images.is_empty() {
        text.push_str("no image is worth keeping under this budget\n");
    } else {
        text.push_str(&images(plan));
    }
    text.push('\n');
    text.push_str(&unserved(plan));
    let head = |name: &str| paint(BOLD, format!("{name:<9}"));
    text.push_str(&format!(
        "{}  {:.1} of {:.1} MB in {} images\n",
        head("memory"),
        plan.memory_mb,
        plan.budget_mb,
        plan.images.len()
    ));
    text.push_str(&format!(
        "{}  {} of all load time: {:.1} of {:.1} ms for each round of cold starts ({} weights)\n",
        head("saved"),
        paint(GREEN, format!("{:.1} %", plan.saved_share * 100.0)),
        plan.objective,
        plan.total_ms,
        plan.weights
    ));
    let proof = match plan.status {
        Status::Optimal => "optimal".to_string(),
        Status::Feasible => format!("at most {:.2} % below the best", plan.gap * 100.0),
        Status::Empty => "nothing to choose".to_string(),
    };
    text.push_str(&format!(
        "{}  objective {:.1} ms, bound {:.1} ms, gap {:.2} %: {proof}\n{:9}  {} by {}, bound by {}; relative to {}\n",
        head("proof"),
        plan.objective,
        plan.bound,
        plan.gap * 100.0,
        "",
        plan.images.len(),
        plan.method.plan,
        plan.method.bound,
        plan.bound_covers
    ));
    let sources: Vec<String> =
        plan.value_by_source.iter().map(|(source, share)| format!("{:.0} % {source}", share * 100.0)).collect();
    if !sources.is_empty() {
        text.push_str(&format!("{}  what is saved rests on costs that are {}\n", head("costs"), sources.join(", ")));
    }
    text.push_str(&format!("{}  {}\n", head("found"), counts(diagnostics)));
    if let Some(out) = out {
        text.push_str(&format!("{}  {}\n", head("written"), paint(CYAN, out.display())));
    }
    text
}

fn images(plan: &Plan) -> String {
    let mut table = Table::new(&["image", ">serves", ">saves ms", ">adds MB", ">packages", "holds"]);
    for image in &plan.images {
        let depth = depth(plan, image);
        let name = if depth == 0 {
            paint(BOLD, &image.id)
        } else {
            format!("{}└ {}", "  ".repeat(depth - 1), paint(BOLD, &image.id))
        };
        table.row(vec![
            name,
            image.serves.to_string(),
            format!("{:.1}", image.saved_ms),
            format!("{:.1}", image.added_mb),
            image.packages.len().to_string(),
            holds(plan, image),
        ]);
    }
    let mut text = table.render();
    text.push_str(&format!("  {}\n", paint(DIM, "└ is forked from the image above it and shares its memory")));
    for image in &plan.images {
        let served: Vec<&str> =
            plan.assignments.iter().filter(|a| a.image == image.id).map(|a| a.function.as_str()).collect();
        let more = if served.len() > 6 { format!(" and {} more", served.len() - 6) } else { String::new() };
        let first = served.iter().take(6).copied().collect::<Vec<_>>().join(", ");
        let who =
            if served.is_empty() { "nobody itself; it is a parent".to_string() } else { format!("{first}{more}") };
        text.push_str(&format!("  {} serves {who}\n", image.id));
    }
    text
}

fn depth(plan: &Plan, image: &Image) -> usize {
    let mut depth = 0;
    let mut at = image.parent.as_deref();
    while let Some(parent) = at.and_then(|id| plan.images.iter().find(|i| i.id == id)) {
        depth += 1;
        if depth > plan.images.len() {
            break;
        }
        at = parent.parent.as_deref();
    }
    depth
}

/// What it adds to its parent: the modules that it preloads say most in the fewest words.
fn holds(plan: &Plan, image: &Image) -> String {
    let parent = image.parent.as_deref().and_then(|id| plan.images.iter().find(|i| i.id == id));
    let names: Vec<&str> = image
        .packages
        .iter()
        .filter(|p| parent.is_none_or(|parent| !parent.packages.contains(p)))
        .map(|spec| spec.get(1..).and_then(|s| s.find(['=', '@'])).map_or(spec.as_str(), |at| &spec[..=at]))
        .collect();
    let more = if names.len() > 4 { format!(" +{}", names.len() - 4) } else { String::new() };
    let plus = if parent.is_some() { "+ " } else { "" };
    format!("{plus}{}{more}", names.iter().take(4).copied().collect::<Vec<_>>().join(", "))
}

fn unserved(plan: &Plan) -> String {
    if plan.unserved.is_empty() {
        return String::new();
    }
    let mut by_reason: BTreeMap<WhyUnserved, usize> = BTreeMap::new();
    for function in &plan.unserved {
        *by_reason.entry(function.why).or_default() += 1;
    }
    let mut text = format!("{}  {} functions start cold\n", paint(BOLD, "unserved "), plan.unserved.len());
    for (why, count) in by_reason {
        text.push_str(&format!("{:11}{count}: {}\n", "", explain::reason(why)));
    }
    text
}

fn counts(diagnostics: &[Diagnostic]) -> String {
    let of = |severity| diagnostics.iter().filter(|d| d.severity == severity).count();
    format!("{} errors, {} warnings, {} notes", of(Severity::Error), of(Severity::Warning), of(Severity::Note))
}

/// One line of progress.
pub fn progress(progress: Progress) -> String {
    match progress {
        Progress::Candidates { candidates, parent_pairs } => {
            format!("{candidates} candidates, {parent_pairs} parent pairs")
        }
        Progress::Incumbent(ms) => format!("best so far saves {ms:.1} ms"),
        Progress::Bound(ms) => format!("none saves more than {ms:.1} ms"),
        Progress::Exact { variables, constraints } => {
            format!("exact model: {variables} variables, {constraints} constraints")
        }
    }
}
