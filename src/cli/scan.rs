//! `warmset scan`.

use std::collections::{BTreeMap, BTreeSet};

use crate::emit::json;
use crate::model::{Inventory, Platform, State};

use super::Outcome;
use super::args::{ScanCommand, TextFormat};
use super::load::{self, Failure};
use super::table::Table;
use super::talk::{BOLD, CYAN, DIM, GREEN, RED, Talk, YELLOW, paint};
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
    let common = common_system(inventory);
    for function in &inventory.functions {
        table.row(vec![
            paint(BOLD, &function.id),
            function.platform.as_ref().map_or_else(|| paint(RED, "unknown"), |p| short(p, common.is_some())),
            state(function.state),
            function.closure.len().to_string(),
            function.unresolved.len().to_string(),
            function.lock.as_ref().map_or_else(String::new, |l| match &l.resolved_on {
                Some(day) => format!("{} {}", paint(CYAN, &l.file), paint(DIM, format!("(resolved {day})"))),
                None => paint(CYAN, lock(&l.file, &function.path)),
            }),
        ]);
    }
    if inventory.functions.is_empty() {
        return format!("no function among {} files\n", inventory.files.seen);
    }
    format!("{}\n{}", table.render(), totals(inventory))
}

/// A lock in the function's folder by its name, others by their path.
fn lock<'a>(file: &'a str, folder: &str) -> &'a str {
    file.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')).unwrap_or(file)
}

/// What all platforms of the fleet have in common: `linux-x86_64-glibc`.
fn common_system(inventory: &Inventory) -> Option<String> {
    let systems: BTreeSet<String> = inventory
        .functions
        .iter()
        .filter_map(|f| f.platform.as_ref()?.to_string().split_once('-').map(|(_, rest)| rest.to_string()))
        .collect();
    if systems.len() == 1 { systems.into_iter().next() } else { None }
}

/// A platform without what is said elsewhere for all.
fn short(platform: &Platform, common: bool) -> String {
    if common { format!("{}{}", platform.language, platform.version) } else { platform.to_string() }
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
    let mut platforms: BTreeMap<Option<&Platform>, usize> = BTreeMap::new();
    let mut states: BTreeMap<State, usize> = BTreeMap::new();
    for function in &inventory.functions {
        *platforms.entry(function.platform.as_ref()).or_default() += 1;
        *states.entry(function.state).or_default() += 1;
    }
    // What is the same for all is said once.
    let common = common_system(inventory);
    let list: Vec<String> = platforms
        .iter()
        .map(|(platform, n)| match platform {
            Some(p) => format!("{n} {}", short(p, common.is_some())),
            None => format!("{n} of unknown platform"),
        })
        .collect();
    let mut functions = inventory.functions.len().to_string();
    if !list.is_empty() {
        functions.push_str(&format!(": {}", list.join(", ")));
    }
    if let Some(common) = &common {
        functions.push_str(&format!(" ({common})"));
    }
    let named = |s: &State| match s {
        State::Locked => "locked",
        State::Pinned => "pinned",
        State::Partial => "partly pinned",
        State::Unresolved => "unresolved",
    };
    let resolved: BTreeMap<&str, usize> = inventory.functions.iter().fold(BTreeMap::new(), |mut days, f| {
        if let Some(day) = f.lock.as_ref().and_then(|l| l.resolved_on.as_deref()) {
            *days.entry(day).or_default() += 1;
        }
        days
    });
    let mut closures: Vec<String> = states.iter().map(|(s, n)| format!("{n} {}", named(s))).collect();
    closures.extend(resolved.iter().map(|(day, n)| format!("{n} of them resolved by warmset on {day}")));
    let head = |name: &str| paint(BOLD, format!("{name:<11}"));
    let unreached: BTreeSet<&str> =
        inventory.functions.iter().flat_map(|f| f.unreached.iter().map(|u| u.file.as_str())).collect();
    let apart = match unreached.len() {
        0 => String::new(),
        1 => "; 1 file not reached".to_string(),
        n => format!("; {n} files not reached"),
    };
    format!(
        "{}{functions}\n{}{}\n{}{} at a version; {} of {} sources read among {} files{apart}\n",
        head("functions"),
        head("closures"),
        if closures.is_empty() { "none".to_string() } else { closures.join(", ") },
        head("packages"),
        inventory.packages.len(),
        inventory.files.read,
        inventory.files.sources,
        inventory.files.seen,
    )
}
