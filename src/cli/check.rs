//! `warmset check`.

use std::path::{Component, Path};

use serde_json::json;

use crate::cost::{self, Prices};
use crate::emit::{findings, json as artefact};
use crate::model::wishes::settle;
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
        let broken = verify::verify(&plan, before, &|id, p| prices.get(id, p), &|l| prices.language(l));
        if !broken.is_empty() {
            let place = Place::file(plan_file.display().to_string());
            let say = |reason| Diagnostic::new(codes::PLAN_BROKEN, place.clone(), reason);
            return Err(Failure::Diagnostics(broken.into_iter().map(say).collect()));
        }
    }
    let mut now = load::inventory(&command.input, &command.options, talk)?;
    // What was asked for when the plan was made holds for new functions too.
    settle(&mut now.functions, plan.demands.iter().map(|d| &d.wished.wish));
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
        &|id, platform| {
            let price = prices.get(id, platform)?;
            let waste_ms = prices.language(platform.language).waste_ms(price.resident_mb);
            Some(check::Cost { load_ms: price.load_ms, waste_ms })
        },
        command.min_saved,
    );
    // What has gone wrong with the fleet since is part of the answer: a function that cannot be read cannot be served.
    // What was wrong already when the plan was made is no news, wherever in its file it stands now.
    let same =
        |a: &Diagnostic, b: &Diagnostic| (&a.code, &a.place.file, &a.reason) == (&b.code, &b.place.file, &b.reason);
    let known = |d: &Diagnostic| before.iter().flat_map(|i| &i.diagnostics).any(|old| same(old, d));
    let mut all = checked.findings.clone();
    all.extend(now.diagnostics.iter().filter(|d| d.severity == Severity::Error && !known(d)).cloned());
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
        CheckFormat::Sarif => artefact::text(&findings::sarif(&located(&all, &command.input, &plan_file))),
        CheckFormat::Github => findings::github(&located(&all, &command.input, &plan_file)),
    };
    talk.result(&text)?;
    Ok(if all.is_empty() { Outcome::Clean } else { Outcome::Findings })
}

/// Findings with places as the repository's viewer wants them: relative to the folder that the command runs in, not to
/// the fleet's.
fn located(all: &[Diagnostic], fleet: &Path, plan_file: &Path) -> Vec<Diagnostic> {
    let plan_file = plan_file.display().to_string();
    let root: Vec<String> = if fleet.is_dir() {
        let parts = fleet.components().filter(|c| !matches!(c, Component::CurDir));
        parts.map(|c| c.as_os_str().to_string_lossy().into_owned()).collect()
    } else {
        Vec::new()
    };
    let mut all = all.to_vec();
    for finding in &mut all {
        let file = &mut finding.place.file;
        if !root.is_empty() && !file.is_empty() && *file != plan_file {
            *file = Path::new(&root.join("/")).join(&*file).to_string_lossy().replace("//", "/");
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Place, codes};

    #[test]
    fn findings_are_placed_from_the_folder_of_the_command() {
        let dir = env!("CARGO_MANIFEST_DIR");
        let finding = |file: &str| Diagnostic::new(codes::FUNCTION_ADDED, Place::at(file, 1), "new");
        let all = [finding("a/app.py"), finding("plans/p/plan.json"), finding("")];
        let files = |fleet: &str| -> Vec<String> {
            let found = located(&all, Path::new(fleet), Path::new("plans/p/plan.json"));
            found.into_iter().map(|d| d.place.file).collect()
        };
        assert_eq!(files("./src/../src"), ["src/../src/a/app.py", "plans/p/plan.json", ""]);
        assert_eq!(files("."), ["a/app.py", "plans/p/plan.json", ""]);
        assert_eq!(files(dir)[0], format!("{dir}/a/app.py"));
        // Places of an inventory are what its author meant.
        assert_eq!(files("inventory.json")[0], "a/app.py");
    }
}
