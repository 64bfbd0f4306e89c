//! `warmset explain`.

use serde_json::json;

use crate::emit::json;
use crate::model::plan::WhyUnserved;
use crate::model::wishes::{REST, Wish};
use crate::model::{Function, Image, Inventory, PackageId, Place, Plan};
use crate::resolve::explain::{self, Why};

use super::Outcome;
use super::args::{ExplainCommand, TextFormat};
use super::load::{self, Failure};
use super::table::Table;
use super::talk::{BOLD, DIM, Talk, paint};

/// Says why a package is in a closure, or why a function got its image.
pub fn run(command: &ExplainCommand, talk: Talk) -> Result<Outcome, Failure> {
    let text = match &command.package {
        Some(package) => {
            let inventory = load::inventory(&command.input, &command.options, talk)?;
            let why =
                explain::why(&inventory, &command.function, package).map_err(|e| Failure::Message(e.to_string()))?;
            match command.format {
                TextFormat::Json => json::text(&why),
                TextFormat::Text => {
                    let function = explain::function(&inventory, &command.function);
                    closure_text(&why) + &function.map(unreached).unwrap_or_default()
                }
            }
        }
        None => {
            if command.input.is_dir() && !command.input.join("plan.json").is_file() {
                return Err(Failure::Message(format!(
                    "{} holds no plan.json: name a plan folder, or also a package to see why it is in the closure",
                    command.input.display()
                )));
            }
            let (plan, folder) = load::plan(&command.input)?;
            let inventory = load::inventory_file(&folder.join("inventory.json"))?;
            explain::function(&inventory, &command.function).map_err(|e| Failure::Message(e.to_string()))?;
            let choice = choice(&plan, &inventory, &command.function);
            match command.format {
                TextFormat::Json => json::text(&choice.json()),
                TextFormat::Text => {
                    let function = explain::function(&inventory, &command.function);
                    choice.text() + &function.map(unreached).unwrap_or_default()
                }
            }
        }
    };
    talk.result(&text)?;
    Ok(Outcome::Clean)
}

/// How much of a function's folder it never loads.
fn unreached(function: &Function) -> String {
    match function.unreached.len() {
        0 => String::new(),
        1 => "1 source file of its folder is not reached\n".to_string(),
        n => format!("{n} source files of its folder are not reached\n"),
    }
}

fn closure_text(why: &Why) -> String {
    let mut text = format!("{} is in the closure of {}:\n", paint(BOLD, &why.package), paint(BOLD, &why.function));
    for import in why.imports.iter().take(5) {
        text.push_str(&format!("  {}:{} imports `{}`\n", import.file, import.line, import.module));
    }
    match &why.declared {
        Some(declared) => text.push_str(&format!("  {} asks for {}\n", declared.place, declared.text)),
        None => text.push_str("  the lock lists it, and does not say what needs it\n"),
    }
    if let Some(day) = &why.resolved_on {
        text.push_str(&format!("  its versions were resolved by `warmset lock` on {day}, not by a lock of its own\n"));
    }
    for (depth, step) in why.chain.iter().enumerate() {
        let places: Vec<String> = step.at.iter().take(3).map(Place::to_string).collect();
        let at = if places.is_empty() { String::new() } else { format!("  {}", paint(DIM, places.join(", "))) };
        text.push_str(&format!("  {}{}{at}\n", "  ".repeat(depth), step.package));
    }
    text
}

/// The image that a function got, and what else was there.
struct Choice<'a> {
    function: &'a str,
    weight: f64,
    load_ms: f64,
    got: Option<(&'a Image, f64)>,
    why_not: Option<WhyUnserved>,
    others: Vec<(&'a Image, f64)>,
    closure: usize,
    demands: Vec<String>,
}

fn choice<'a>(plan: &'a Plan, inventory: &'a Inventory, id: &'a str) -> Choice<'a> {
    let function = inventory.functions.iter().find(|f| f.id == id);
    let assignment = plan.assignments.iter().find(|a| a.function == id);
    let unserved = plan.unserved.iter().find(|u| u.function == id);
    let usable = |image: &&Image| {
        function.is_some_and(|f| {
            plan.admits(image, f) && image.package_ids().iter().all(|id| f.closure.binary_search(id).is_ok())
        })
    };
    let mut all: Vec<(&Image, f64)> =
        plan.images.iter().filter(usable).map(|i| (i, (i.load_ms - i.swap_ms).max(0.0))).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.id.cmp(&b.0.id)));
    let got = assignment.and_then(|a| all.iter().find(|(i, _)| i.id == a.image).copied());
    Choice {
        function: id,
        weight: assignment.map_or_else(|| unserved.map_or(0.0, |u| u.weight), |a| a.weight),
        load_ms: assignment
            .map(|a| a.remaining_ms + got.map_or(0.0, |(i, _)| i.load_ms))
            .or(unserved.map(|u| u.load_ms))
            .unwrap_or(0.0),
        why_not: unserved.map(|u| u.why),
        others: all.into_iter().filter(|(i, _)| assignment.is_none_or(|a| i.id != a.image)).collect(),
        got,
        closure: function.map_or(0, |f| f.closure.len()),
        demands: function.map_or_else(Vec::new, |f| demands(plan, f)),
    }
}

/// What was asked of the plan that touches a function, and what that means for it.
fn demands(plan: &Plan, function: &Function) -> Vec<String> {
    let image = plan.assignments.iter().find(|a| a.function == function.id).map(|a| a.image.as_str());
    let mut out = Vec::new();
    if !plan.pools.is_empty() {
        let name = plan.pool_of(function).unwrap_or(REST);
        let budget = plan.pools.iter().find(|p| p.of.name == name).map_or(0.0, |p| p.budget_mb);
        out.push(format!("its pool is {name}, with {budget:.1} MB"));
    }
    for demand in &plan.demands {
        let wished = &demand.wished;
        let meaning = match &wished.wish {
            wish @ Wish::Floor { share, .. } if wish.names(&function.id) => {
                format!("each start must save {:.1} % of its load time", share * 100.0)
            }
            wish @ Wish::Cold { .. } if wish.names(&function.id) => "no image may serve it".to_string(),
            wish @ Wish::Alone { .. } if wish.names(&function.id) => "it shares with no other function".to_string(),
            wish @ Wish::TrustDomain { domain, .. } if wish.names(&function.id) => {
                format!("it shares with functions of {domain} only")
            }
            Wish::Pin { .. } if image.is_some() && demand.of.as_deref() == image => {
                "its image is kept whatever it saves".to_string()
            }
            wish @ Wish::Exclude { .. } => {
                let out: Vec<String> =
                    function.closure.iter().filter(|id| wish.excludes(id)).map(PackageId::spec).collect();
                if out.is_empty() {
                    continue;
                }
                format!("no image holds {}, nor what requires it", out.join(", "))
            }
            _ => continue,
        };
        out.push(format!("{wished}: {meaning}"));
    }
    out
}

impl Choice<'_> {
    fn json(&self) -> serde_json::Value {
        let image = |(i, saved): &(&Image, f64)| json!({"image": i.id, "packages": i.packages, "saved_ms": saved});
        json!({
            "function": self.function,
            "weight": self.weight,
            "load_ms": self.load_ms,
            "image": self.got.as_ref().map(image),
            "why_not": self.why_not,
            "others": self.others.iter().map(image).collect::<Vec<_>>(),
            "demands": self.demands,
        })
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{} loads {} packages at a cold start, {:.1} ms; cold starts expected: {}\n",
            paint(BOLD, self.function),
            self.closure,
            self.load_ms,
            self.weight
        );
        match (&self.got, self.why_not) {
            (Some((image, saved)), _) => {
                text.push_str(&format!(
                    "served by {}: {:.1} ms of packages are loaded there ({} of {}), the swap costs {:.1} ms\n  \
                     saved {:.1} ms, still loads {:.1} ms itself\n",
                    paint(BOLD, &image.id),
                    image.load_ms,
                    image.packages.len(),
                    self.closure,
                    image.swap_ms,
                    saved,
                    (self.load_ms - image.load_ms).max(0.0)
                ));
            }
            (None, Some(why)) => text.push_str(&format!("starts cold: {}\n", reason(why))),
            (None, None) => text.push_str("it is not in the plan\n"),
        }
        for demand in &self.demands {
            text.push_str(&format!("  {demand}\n"));
        }
        if self.others.is_empty() {
            text.push_str("no other image of the plan could serve it\n");
        } else {
            let mut table = Table::new(&["next best", ">saved ms", ">less by", ">packages"]);
            let best = self.got.map_or(0.0, |(_, saved)| saved);
            for (image, saved) in &self.others {
                table.row(vec![
                    image.id.clone(),
                    format!("{saved:.1}"),
                    format!("{:.1}", best - saved),
                    image.packages.len().to_string(),
                ]);
            }
            text.push_str(&table.render());
        }
        text
    }
}

/// Why a function starts cold, in words.
pub fn reason(why: WhyUnserved) -> &'static str {
    match why {
        WhyUnserved::NothingToShare => "nothing is loaded that is worth a swap",
        WhyUnserved::Unresolved => "no package has a known version",
        WhyUnserved::UnknownPlatform => "the platform is not known",
        WhyUnserved::NotWorthIt => "an image would save nothing, or less than the same memory saves elsewhere",
        WhyUnserved::TooLarge => "no image that could serve fits the budget",
        WhyUnserved::UnknownCost => "the packages have no known cost",
        WhyUnserved::Asked => "it is asked for that they start cold",
        WhyUnserved::Excluded => "it is asked for that no image holds what they load",
    }
}
