//! The summary that a person reads at the end of `warmset plan`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::model::inventory::{State, Target};
use crate::model::plan::{Aim, Assignment, Changes, Demanded, Expected, Share, Status, WhyUnserved};
use crate::model::{Diagnostic, Image, Inventory, Plan, Severity};
use crate::solve::Progress;

use super::explain;
use super::scan;
use super::table::Table;
use super::talk::{BOLD, CYAN, DIM, GREEN, paint};

/// Images that are shown; all of them are in `plan.json` and `report.html`.
const SHOWN: usize = 30;
/// Columns that text is wrapped to.
const WIDTH: usize = 100;
/// Where text begins after a heading.
const INDENT: usize = 11;

/// Functions, images, memory, savings, proof, costs, diagnostics.
pub fn plan(inventory: &Inventory, plan: &Plan, diagnostics: &[Diagnostic], out: Option<&Path>) -> String {
    let mut text = scan::Overview::of(inventory).totals();
    text.push('\n');
    if plan.images.is_empty() {
        text.push_str("no image is worth keeping under this budget\n\n");
    } else {
        text.push_str(&images(plan, inventory));
    }
    text.push_str(&unserved(plan));
    let mut line = |name: &str, said: &str| {
        text.push_str(&format!("{}{}\n", paint(BOLD, format!("{name:<INDENT$}")), wrap(said, INDENT)));
    };
    line("memory", &format!("{:.1} of {:.1} MB in {}", plan.memory_mb, plan.budget_mb, images_of(plan.images.len())));
    for pool in &plan.pools {
        let hosts = pool.of.hosts.map_or_else(String::new, |n| format!(", on each of {n} hosts"));
        let said = format!(
            "pool {}: {:.1} of {:.1} MB in {}, {:.1} ms saved, gap {:.2} %{hosts}",
            pool.of.name,
            pool.memory_mb,
            pool.budget_mb,
            images_of(pool.images),
            pool.objective,
            pool.gap * 100.0
        );
        line("", &said);
    }
    if let Some(warmups) = &plan.warmups {
        let images = plan.images.iter().filter(|image| !image.warmup.is_empty()).count();
        let said = format!(
            "a call before serving in {}: {:.1} MB more, {:.1} ms of first calls saved",
            images_of(images),
            warmups.memory_mb,
            warmups.saved_ms
        );
        line("warm-up", &said);
    }
    let saved = paint(GREEN, format!("{:.1} %", plan.saved_share * 100.0));
    let weights = if plan.weights == "uniform" { "every function weighs 1" } else { &plan.weights };
    line("saved", &format!("{saved} of all load time: {:.1} of {:.1} ms ({weights})", plan.known_ms(), plan.total_ms));
    if let Some(expected) = &plan.expected {
        line("aim", &aim(expected));
    }
    if plan.share == Share::Superset {
        line("sharing", &sharing(plan));
    }
    let proof = match plan.status {
        Status::Optimal => "optimal".to_string(),
        Status::Feasible => format!("gap {:.2} %: no plan saves more than the bound", plan.gap * 100.0),
        Status::Empty => "nothing to choose".to_string(),
    };
    let of = if plan.aim == Aim::Expected { " over expected functions" } else { "" };
    line("proof", &format!("objective{of} {:.1} ms, bound {:.1} ms, {proof}", plan.objective, plan.bound));
    let spent = plan.proof.seconds.map_or(String::new(), |seconds| format!(" in {seconds:.1} s"));
    let second =
        plan.proof.second_bound.as_ref().map_or(String::new(), |b| format!(" ({:.1} ms by {})", b.value, b.method));
    line(
        "",
        &format!(
            "plan by {}, bound by {}{second}{spent}, relative to {}",
            plan.method.plan, plan.method.bound, plan.bound_covers
        ),
    );
    let sources: Vec<String> =
        plan.value_by_source.iter().map(|(source, share)| format!("{:.0} % {source}", share * 100.0)).collect();
    if !sources.is_empty() {
        line("costs", &format!("{} (share of what is saved that rests on each source)", sources.join(", ")));
    }
    for (at, demand) in plan.demands.iter().take(SHOWN).enumerate() {
        line(if at == 0 { "demands" } else { "" }, &demanded(demand));
    }
    if plan.demands.len() > SHOWN {
        line("", &format!("and {} in plan.json", plan.demands.len() - SHOWN));
    }
    if let Some(changes) = &plan.changes {
        line("changes", &self::changes(changes));
    }
    if !plan.open.is_empty() {
        line("open", &open(plan));
    }
    line("found", &counts(diagnostics));
    if let Some(out) = out {
        line("written", &paint(CYAN, out.display()));
    }
    text
}

/// A demand, what the plan reaches, and how far that is from the limit.
fn demanded(demand: &Demanded) -> String {
    let share = demand.unit == "share";
    let amount = |value: f64| match demand.unit.as_str() {
        "share" => format!("{:.1} %", value * 100.0),
        "MB" => format!("{value:.1} MB"),
        unit => format!("{value:.0} {}", if value == 1.0 { unit.trim_end_matches('s') } else { unit }),
    };
    let of = demand.of.as_ref().map_or_else(String::new, |of| format!(" ({of})"));
    let said = match (demand.has, demand.limit) {
        (Some(has), Some(limit)) => {
            let slack = if share { has - limit } else { limit - has };
            format!("{}{of}, {} to spare", amount(has), amount(slack.max(0.0)))
        }
        (Some(has), None) => format!("{}{of}", amount(has)),
        (None, _) => "no such function or image".to_string(),
    };
    format!("{}: {said}{}", demand.wished, if demand.met { "" } else { ", not met" })
}

/// What becomes of the images of the plan before.
fn changes(changes: &Changes) -> String {
    let limit = changes.max_changes.map_or_else(String::new, |n| format!(" (at most {n} are to change)"));
    let mut text = format!(
        "{} as they were, {} to build{limit}",
        images_of(changes.kept),
        changes.built.len() + changes.reparented.len()
    );
    if !changes.reparented.is_empty() {
        text.push_str(&format!(", {} of them only because of another parent", changes.reparented.len()));
    }
    text.push_str(&format!(", {} removed", changes.removed.len()));
    let best = changes.best_objective;
    text.push_str(&format!("; saves {:.2} % less than the best plan found ({best:.1} ms)", changes.loss * 100.0));
    text
}

/// What is maximised when that is not what the known functions save.
fn aim(expected: &Expected) -> String {
    format!(
        "functions that will come: {:.0} % of the weight lies on {} that no function has yet, parts of known ones; \
         --aim known plans for the functions that there are only",
        expected.weight_share * 100.0,
        if expected.closures == 1 { "1 closure".to_string() } else { format!("{} closures", expected.closures) },
    )
}

/// What the superset rule comes to.
fn sharing(plan: &Plan) -> String {
    let wide: Vec<&Assignment> = plan.assignments.iter().filter(|a| a.unneeded > 0).collect();
    let weight: f64 = wide.iter().map(|a| a.weight).sum();
    let mb: f64 = wide.iter().map(|a| a.weight * a.unneeded_mb).sum();
    let each = if weight > 0.0 { mb / weight } else { 0.0 };
    format!(
        "superset: {} of {} served functions are on images that hold more than they load, {each:.1} MB on average; they see \
         packages that they did not ask for",
        wide.len(),
        plan.assignments.len()
    )
}

fn images_of(n: usize) -> String {
    format!("{n} image{}", if n == 1 { "" } else { "s" })
}

/// Breaks at blanks so that lines end before [`WIDTH`]; those after the first are indented.
fn wrap(text: &str, indent: usize) -> String {
    let mut out = String::new();
    let mut column = indent;
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > indent && column + 1 + length > WIDTH {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else if column > indent {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out
}

/// As many names as fit a line, and how many are left.
fn some(names: &[&str], indent: usize) -> String {
    let mut out = String::new();
    for (at, name) in names.iter().enumerate() {
        let rest = names.len() - at;
        let comma = if at == 0 { "" } else { ", " };
        // Room for `, +123`.
        if at > 0 && indent + out.chars().count() + comma.len() + name.chars().count() + 6 > WIDTH {
            return format!("{out}, +{rest}");
        }
        out.push_str(comma);
        out.push_str(name);
    }
    out
}

fn images(plan: &Plan, inventory: &Inventory) -> String {
    let mut table = Table::new(&["image", ">serves", ">saves ms", ">adds MB", ">packages"]);
    let tree = tree(plan);
    for (depth, image) in tree.iter().take(SHOWN) {
        let stem = if *depth == 0 { String::new() } else { format!("{}└ ", "  ".repeat(depth - 1)) };
        table.row(vec![
            format!("{stem}{}", paint(BOLD, &image.id)),
            image.serves.to_string(),
            format!("{:.1}", image.saved_ms),
            format!("{:.1}", image.added_mb),
            image.packages.len().to_string(),
        ]);
    }
    let rendered = table.render();
    let mut lines = rendered.lines();
    let mut text = format!("{}\n", lines.next().unwrap_or_default());
    for (line, (depth, image)) in lines.zip(&tree) {
        let indent = 4 + 2 * depth;
        let served: Vec<&str> =
            plan.assignments.iter().filter(|a| a.image == image.id).map(|a| a.function.as_str()).collect();
        let held = added(plan, inventory, image);
        let held: Vec<&str> = held.iter().map(String::as_str).collect();
        let who = if served.is_empty() {
            match plan.images.iter().any(|other| other.parent.as_ref() == Some(&image.id)) {
                true => "no function itself: others are forked from it".to_string(),
                false => "no function yet: it is for some that may come".to_string(),
            }
        } else {
            some(&served, indent + 7)
        };
        let pad = " ".repeat(indent);
        text.push_str(&format!("{line}\n{pad}{} ", paint(DIM, if *depth == 0 { "holds " } else { "adds  " })));
        text.push_str(&format!("{}\n{pad}{} {who}\n", some(&held, indent + 7), paint(DIM, "serves")));
    }
    if tree.len() > SHOWN {
        text.push_str(&format!("  and {} in plan.json\n", images_of(tree.len() - SHOWN)));
    }
    if tree.iter().any(|(depth, _)| *depth > 0) {
        text.push_str(&format!("  {}\n", paint(DIM, "└ forked from the image above it, whose memory it shares")));
    }
    text.push('\n');
    text
}

/// Every image under its parent, with how many it stands on; what saves most with its children first.
fn tree(plan: &Plan) -> Vec<(usize, &Image)> {
    let known: BTreeSet<&str> = plan.images.iter().map(|i| i.id.as_str()).collect();
    let mut children: BTreeMap<Option<&str>, Vec<&Image>> = BTreeMap::new();
    for image in &plan.images {
        children.entry(image.parent.as_deref().filter(|p| known.contains(p))).or_default().push(image);
    }
    // Parents stand before children in a plan, so going backwards every image has its sum when its parent needs it.
    let mut sums: BTreeMap<&str, f64> = plan.images.iter().map(|i| (i.id.as_str(), i.saved_ms)).collect();
    for image in plan.images.iter().rev() {
        if let Some(parent) = &image.parent {
            let own = sums.get(image.id.as_str()).copied().unwrap_or(0.0);
            if let Some(sum) = sums.get_mut(parent.as_str()) {
                *sum += own;
            }
        }
    }
    for siblings in children.values_mut() {
        // The last is taken first below.
        siblings.sort_by(|a, b| sums[a.id.as_str()].total_cmp(&sums[b.id.as_str()]).then(b.id.cmp(&a.id)));
    }
    let mut stack: Vec<(usize, &Image)> =
        children.remove(&None).unwrap_or_default().into_iter().map(|i| (0, i)).collect();
    let mut out = Vec::with_capacity(plan.images.len());
    while let Some((depth, image)) = stack.pop() {
        out.push((depth, image));
        // Taken out, so that parents in a circle end.
        stack.extend(children.remove(&Some(image.id.as_str())).unwrap_or_default().into_iter().map(|i| (depth + 1, i)));
    }
    out
}

/// Names of what it adds to its parent: those that most of its functions import first, as they say what it is for.
fn added(plan: &Plan, inventory: &Inventory, image: &Image) -> Vec<String> {
    let parent = image.parent.as_deref().and_then(|id| plan.images.iter().find(|i| i.id == id));
    let held: BTreeSet<_> = parent.into_iter().flat_map(Image::package_ids).collect();
    let served: BTreeSet<&str> =
        plan.assignments.iter().filter(|a| a.image == image.id).map(|a| a.function.as_str()).collect();
    let mut imported: BTreeMap<&str, usize> = BTreeMap::new();
    for function in inventory.functions.iter().filter(|f| served.contains(f.id.as_str())) {
        let names: BTreeSet<&str> = function
            .imports
            .iter()
            .filter_map(|i| match &i.target {
                Target::Package { package } => Some(package.as_str()),
                _ => None,
            })
            .collect();
        for name in names {
            *imported.entry(name).or_default() += 1;
        }
    }
    let mut names: Vec<String> =
        image.package_ids().into_iter().filter(|id| !held.contains(id)).map(|id| id.name).collect();
    names.sort_by_key(|name| std::cmp::Reverse(imported.get(name.as_str()).copied().unwrap_or(0)));
    names
}

fn unserved(plan: &Plan) -> String {
    if plan.unserved.is_empty() {
        return String::new();
    }
    let mut by_reason: BTreeMap<WhyUnserved, usize> = BTreeMap::new();
    for function in &plan.unserved {
        *by_reason.entry(function.why).or_default() += 1;
    }
    let n = plan.unserved.len();
    let mut text = format!(
        "{}{n} function{}\n",
        paint(BOLD, format!("{:<INDENT$}", "cold")),
        if n == 1 { " starts cold" } else { "s start cold" }
    );
    for (why, count) in by_reason {
        text.push_str(&format!("{:INDENT$}{count:>3}  {}\n", "", explain::reason(why)));
    }
    text
}

/// How much of the weight has no complete closure, the least known first.
fn open(plan: &Plan) -> String {
    let parts: Vec<String> = plan
        .open
        .iter()
        .map(|open| {
            let what = match open.state {
                State::Unresolved => "has no known version",
                State::Partial => "has some versions",
                State::Pinned => "has only its direct dependencies pinned",
                State::Locked => "is locked",
            };
            let s = if open.functions == 1 { "" } else { "s" };
            format!("{:.1} % of the weight {what} ({} function{s})", open.weight_share * 100.0, open.functions)
        })
        .collect();
    format!("{}; `warmset lock` would resolve them", parts.join(", "))
}

fn counts(diagnostics: &[Diagnostic]) -> String {
    let of = |severity, what: &str| {
        let n = diagnostics.iter().filter(|d| d.severity == severity).count();
        format!("{n} {what}{}", if n == 1 { "" } else { "s" })
    };
    [of(Severity::Error, "error"), of(Severity::Warning, "warning"), of(Severity::Note, "note")].join(", ")
}

/// Where planning stands.
#[derive(Debug, Default)]
pub struct Standing {
    best_ms: f64,
    bound: Option<(f64, &'static str)>,
}

impl Standing {
    /// One line on where planning stands after some progress: what the best plan saves, the bound, the gap between them.
    pub fn after(&mut self, progress: Progress) -> String {
        match progress {
            Progress::Candidates { candidates, parent_pairs } => {
                return format!("{candidates} candidates, {parent_pairs} parent pairs");
            }
            Progress::Exact { variables, constraints } => {
                return format!("exact model: {variables} variables, {constraints} constraints");
            }
            Progress::Incumbent(ms) => self.best_ms = self.best_ms.max(ms),
            Progress::Bound { ms, by } if self.bound.is_none_or(|(least, _)| ms <= least) => {
                self.bound = Some((ms, by))
            }
            Progress::Bound { .. } => {}
        }
        let best = self.best_ms;
        match self.bound {
            Some((bound, by)) if bound > 0.0 => {
                let gap = 100.0 * ((bound - best) / bound).max(0.0);
                format!("saves {best:.1} ms, bound {bound:.1} ms by {by}, gap {gap:.2} %")
            }
            _ => format!("saves {best:.1} ms"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_at_blanks_and_lists_say_how_many_are_left() {
        let wrapped = wrap(&"word ".repeat(30), 11);
        // 11 + 17 words of 5 less the last blank are 95; one more would be 100, which still fits.
        assert_eq!(wrapped.lines().next().map(str::len), Some(18 * 5 - 1));
        assert!(wrapped.lines().nth(1).is_some_and(|l| l.starts_with("           word")));
        assert_eq!(some(&["a", "b"], 0), "a, b");
        let long = "x".repeat(60);
        assert_eq!(some(&[&long, &long, &long], 0), format!("{long}, +2"));
    }
}
