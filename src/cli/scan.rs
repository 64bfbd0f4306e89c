//! `warmset scan`.

use std::collections::BTreeMap;

use crate::emit::json;
use crate::model::{Inventory, State};

use super::Outcome;
use super::args::{ScanCommand, TextFormat};
use super::load::{self, Failure};
use super::table::Table;
use super::talk::{BOLD, CYAN, GREEN, RED, Talk, YELLOW, paint};
use super::write;

/// Finds functions and what each loads.
pub fn run(command: &ScanCommand, talk: Talk) -> Result<Outcome, Failure> {
    let inventory = load::scan(&command.fleet, &command.options, talk)?;
    if let Some(out) = &command.out {
        write::file(out, json::text(&inventory).as_bytes())?;
    }
    match command.format {
        TextFormat::Json if command.out.is_none() => talk.result(&json::text(&inventory))?,
        TextFormat::Json => {}
        TextFormat::Text => talk.result(&text(&inventory))?,
    }
    talk.diagnostics(&inventory.diagnostics);
    Ok(Outcome::of(&inventory.diagnostics))
}

/// One line a function, then the totals.
fn text(inventory: &Inventory) -> String {
    let mut table = Table::new(&["function", "platform", "state", ">packages", ">open", "lock"]);
    for function in &inventory.functions {
        table.row(vec![
            paint(BOLD, &function.id),
            function.platform.as_ref().map_or_else(|| paint(RED, "unknown"), ToString::to_string),
            state(function.state),
            function.closure.len().to_string(),
            function.unresolved.len().to_string(),
            function.lock.as_ref().map_or_else(String::new, |l| paint(CYAN, &l.file)),
        ]);
    }
    if inventory.functions.is_empty() {
        return format!("no function among {} files\n", inventory.files.seen);
    }
    format!("{}\n{}", table.render(), totals(inventory))
}

/// A state in its colour.
fn state(state: State) -> String {
    match state {
        State::Locked => paint(GREEN, "locked"),
        State::Pinned => "pinned".into(),
        State::Partial => paint(YELLOW, "partial"),
        State::Unresolved => paint(YELLOW, "unresolved"),
    }
}

/// Functions by platform and by state, packages, files.
pub fn totals(inventory: &Inventory) -> String {
    let mut platforms: BTreeMap<String, usize> = BTreeMap::new();
    let mut states: BTreeMap<State, usize> = BTreeMap::new();
    for function in &inventory.functions {
        let platform = function.platform.as_ref().map_or_else(|| "unknown platform".into(), ToString::to_string);
        *platforms.entry(platform).or_default() += 1;
        *states.entry(function.state).or_default() += 1;
    }
    let list = |counts: Vec<(String, usize)>| {
        counts.into_iter().map(|(name, n)| format!("{n} {name}")).collect::<Vec<_>>().join(", ")
    };
    let named = |s: &State| match s {
        State::Locked => "locked",
        State::Pinned => "pinned",
        State::Partial => "partly pinned",
        State::Unresolved => "unresolved",
    };
    format!(
        "{}  {} ({})\n{}  {}\n{}  {} packages at a version; {} of {} sources read in {} files\n",
        paint(BOLD, "functions"),
        inventory.functions.len(),
        list(platforms.into_iter().collect()),
        paint(BOLD, "closures "),
        list(states.iter().map(|(s, n)| (named(s).to_string(), *n)).collect()),
        paint(BOLD, "packages "),
        inventory.packages.len(),
        inventory.files.read,
        inventory.files.sources,
        inventory.files.seen,
    )
}
