//! `warmset explain`.

use std::collections::BTreeSet;

use serde_json::json;

use crate::cost::{self, Prices};
use crate::emit::json;
use crate::model::plan::WhyUnserved;
use crate::model::wishes::{REST, Wish};
use crate::model::{Assignment, Function, Image, Inventory, PackageId, Place, Plan};
use crate::resolve::explain::{self, Why};
use crate::solve::usable::{Split, Usable};

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
            let costs = folder.join("costs.json");
            let prices = if costs.is_file() {
                Some(Prices::new(&cost::read("costs.json", &load::text(&costs)?)?))
            } else {
                None
            };
            let choice = choice(&plan, &inventory, prices.as_ref(), &command.function);
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
    /// Milliseconds of what it loads that its image holds.
    spared_ms: f64,
    /// Packages of its image that it does not load, and their MB.
    unneeded: (usize, f64),
    got: Option<(&'a Image, f64)>,
    why_not: Option<WhyUnserved>,
    others: Vec<(&'a Image, f64)>,
    closure: usize,
    demands: Vec<String>,
}

/// What one start saves on an image; none when the plan's costs are not there to tell.
fn value(image: &Image, split: &Split, prices: Option<&Prices>, known: Option<&Assignment>) -> Option<f64> {
    if split.unneeded.is_empty() {
        return Some(image.load_ms - image.swap_ms);
    }
    if let Some(prices) = prices {
        let of = |ids: &[&PackageId]| ids.iter().filter_map(|id| prices.get(id, &image.platform)).collect::<Vec<_>>();
        let load: f64 = of(&split.needed).iter().map(|p| p.load_ms).sum();
        let unneeded: f64 = of(&split.unneeded).iter().map(|p| p.resident_mb).sum();
        let language = prices.language(image.platform.language);
        return Some(load - image.swap_ms - language.waste_ms(unneeded));
    }
    let known = known?;
    let next = known.next_best.as_ref().filter(|next| next.image == image.id).map(|next| next.saved_ms);
    if known.image == image.id { Some(known.saved_ms) } else { next }
}

fn choice<'a>(plan: &'a Plan, inventory: &'a Inventory, prices: Option<&Prices>, id: &'a str) -> Choice<'a> {
    let function = inventory.functions.iter().find(|f| f.id == id);
    let assignment = plan.assignments.iter().find(|a| a.function == id);
    let unserved = plan.unserved.iter().find(|u| u.function == id);
    let held: Vec<(&Image, BTreeSet<PackageId>)> =
        plan.images.iter().map(|image| (image, image.package_ids().into_iter().collect())).collect();
    let usable = Usable::new(plan, held.iter().flat_map(|(_, ids)| ids), inventory);
    let mut all: Vec<(&Image, f64)> = held
        .iter()
        .filter_map(|(image, ids)| {
            let split = usable.split(image, ids, function?)?;
            Some((*image, value(image, &split, prices, assignment)?.max(0.0)))
        })
        .collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.id.cmp(&b.0.id)));
    let got = assignment.and_then(|a| all.iter().find(|(i, _)| i.id == a.image).copied());
    let waste_ms = |image: &Image, a: &Assignment| {
        prices.map_or(0.0, |p| p.language(image.platform.language).waste_ms(a.unneeded_mb))
    };
    // saved = spared − swap − waste
    let spared_ms = match (got, assignment) {
        (Some((image, saved)), Some(a)) => saved + image.swap_ms + waste_ms(image, a),
        _ => 0.0,
    };
    Choice {
        function: id,
        weight: assignment.map_or_else(|| unserved.map_or(0.0, |u| u.weight), |a| a.weight),
        load_ms: spared_ms + assignment.map(|a| a.remaining_ms).or(unserved.map(|u| u.load_ms)).unwrap_or(0.0),
        spared_ms,
        unneeded: assignment.map_or((0, 0.0), |a| (a.unneeded, a.unneeded_mb)),
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
            "unneeded": self.unneeded.0,
            "unneeded_mb": self.unneeded.1,
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
                    self.spared_ms,
                    image.packages.len() - self.unneeded.0.min(image.packages.len()),
                    self.closure,
                    image.swap_ms,
                    saved,
                    (self.load_ms - self.spared_ms).max(0.0)
                ));
                if let (n @ 1.., mb) = self.unneeded {
                    let s = if n == 1 { "" } else { "s" };
                    text.push_str(&format!(
                        "  the image also holds {n} package{s} that it does not load, {mb:.1} MB\n"
                    ));
                }
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
