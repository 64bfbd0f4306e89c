//! `warmset check`.

use serde_json::json;

use crate::cost::{self, Prices};
use crate::emit::{findings, json as artefact};
use crate::model::{Diagnostic, Place, Severity, codes, read};
use crate::solve::{check, verify};

use super::Outcome;
use super::args::{CheckCommand, CheckFormat};
use super::load::{self, Failure};
use super::talk::{GREEN, Talk, YELLOW, human, paint};

/// Checks that a plan still fits the fleet.
pub fn run(command: &CheckCommand, talk: Talk) -> Result<Outcome, Failure> {
    let (plan, folder) = load::plan(&command.plan)?;
    let plan_file = if command.plan.is_dir() { command.plan.join("plan.json") } else { command.plan.clone() };
    let beside = |name: &str| -> Result<Option<String>, Failure> {
        let path = folder.join(name);
        if path.is_file() { load::text(&path).map(Some) } else { Ok(None) }
    };
    let before = match beside("inventory.json")? {
        Some(text) => Some(read::inventory("inventory.json", &text)?),
        None => None,
    };
    let planned_costs = match beside("costs.json")? {
        Some(text) => Some(cost::read("costs.json", &text)?),
        None => None,
    };
    if let (Some(before), Some(costs)) = (&before, &planned_costs) {
        let prices = Prices::new(costs);
        let broken = verify::verify(&plan, before, &|id, p| prices.get(id, p).map(Into::into), &|l| prices.language(l));
        if !broken.is_empty() {
            let place = Place::file(plan_file.display().to_string());
            let say = |reason| Diagnostic::new(codes::PLAN_BROKEN, place.clone(), reason);
            return Err(Failure::Diagnostics(broken.into_iter().map(say).collect()));
        }
    }
    let now = load::inventory(&command.input, &command.options, talk)?;
    if now.functions.is_empty() {
        return Err(Failure::Message(format!(
            "no function was found in {}: nothing to check",
            command.input.display()
        )));
    }
    let (costs, _) = cost::resolve(&now, planned_costs.as_ref(), None);
    let prices = Prices::new(&costs);
    let checked = check::check(
        &plan,
        &plan_file.display().to_string(),
        before.as_ref(),
        &now,
        &|id, platform| prices.get(id, platform).map(|p| p.load_ms),
        command.min_saved,
    );
    // What is wrong with the fleet itself is part of the answer: a function that cannot be read cannot be served.
    let mut all = checked.findings.clone();
    all.extend(now.diagnostics.iter().filter(|d| d.severity == Severity::Error).cloned());
    all.sort();
    let text = match command.format {
        CheckFormat::Human => {
            let mut text: String = all.iter().map(|d| format!("{}\n", human(d))).collect();
            let verdict = if all.is_empty() {
                paint(GREEN, "the plan fits the fleet")
            } else {
                paint(YELLOW, format!("{} findings", all.len()))
            };
            text.push_str(&format!(
                "{verdict}: {} of {} functions served, {:.1} % of all load time saved ({:.1} % planned)\n",
                checked.served,
                checked.functions,
                checked.saved_share * 100.0,
                checked.planned_share * 100.0
            ));
            text
        }
        CheckFormat::Json => artefact::text(&json!({
            "fits": all.is_empty(),
            "findings": all,
            "saved_share": checked.saved_share,
            "planned_share": checked.planned_share,
            "functions": checked.functions,
            "served": checked.served,
        })),
        CheckFormat::Sarif => artefact::text(&findings::sarif(&all)),
        CheckFormat::Github => findings::github(&all),
    };
    talk.result(&text)?;
    Ok(if all.is_empty() { Outcome::Clean } else { Outcome::Findings })
}
