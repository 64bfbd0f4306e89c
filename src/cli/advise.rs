//! `warmset advise`.

use crate::emit::json;
use crate::model::Inventory;
use crate::model::advice::{Advice, Direction, Effect, Move, Piece};
use crate::model::diagnostic::plain;
use crate::model::units::round;
use crate::solve::advise::{self, Effort};
use crate::solve::{Exact, Options};

use super::Outcome;
use super::args::{AdviseCommand, TextFormat};
use super::load::{self, Failure};
use super::options::{AimChoice, SolveOptions};
use super::table::Table;
use super::talk::{BOLD, CYAN, DIM, GREEN, Talk, YELLOW, paint};
use super::{demands, plan};

/// Names of functions that are shown of each piece of advice; all of them are in the JSON.
const FUNCTIONS: usize = 4;

/// Looks for versions that functions could share.
pub fn run(command: &AdviseCommand, talk: Talk) -> Result<Outcome, Failure> {
    let mut inventory = load::inventory(&command.input, &command.options, talk)?;
    let mut diagnostics = inventory.diagnostics.clone();
    let wishes = demands::wishes(&command.input, command.budget, command.solve.max_images, &command.demands)?;
    // What is not there yet says nothing of what moving would save those that are.
    let solve = SolveOptions { aim: command.solve.aim.or(Some(AimChoice::Known)), ..command.solve.clone() };
    let ready = plan::prepare(&mut inventory, &wishes, &solve, None)?;
    diagnostics.extend(ready.diagnostics.iter().cloned());
    let planner = |fleet: &Inventory, effort: Effort| {
        let options = match effort {
            Effort::Full => ready.options.clone(),
            Effort::Quick => Options { effort: 0, exact: Exact::Never, prove: None, ..ready.options.clone() },
        };
        ready.of(fleet, &options).solved(&|_| {})
    };
    let cost = |id: &_, platform: &_| ready.prices.get(id, platform).map(|p| (p.load_ms, p.resident_mb));
    let wanted =
        advise::Options { max_advice: command.max_advice, min_gain: command.min_gain, ..advise::Options::default() };
    let bar = talk.bar("advising");
    let advice = advise::advise(&ready.asked.inventory, &cost, &planner, &wanted, &|done, most| bar.set(done, most))?;
    drop(bar);
    talk.result(&match command.format {
        TextFormat::Json => json::text(&advice),
        TextFormat::Text => text(&advice),
    })?;
    diagnostics.sort();
    diagnostics.dedup();
    talk.diagnostics(&diagnostics);
    let outcome = if advice.advice.is_empty() { Outcome::Clean } else { Outcome::Findings };
    Ok(outcome.or_clean(command.exit_zero))
}

/// A table of all pieces, then what to do for each.
fn text(advice: &Advice) -> String {
    let mut out = String::new();
    if !advice.advice.is_empty() {
        out.push_str(&table(&advice.advice));
        out.push('\n');
        for (at, piece) in advice.advice.iter().enumerate() {
            let before = at.checked_sub(1).map_or(&advice.before, |at| &advice.advice[at].cumulative);
            out.push_str(&detail(at + 1, piece, before));
        }
    }
    if !advice.held_back.is_empty() {
        let mut table = Table::new(&["held back by", "declares", "would be", ">ms", ">MB", "functions"]);
        for held in &advice.held_back {
            let to = format!("{} → {}", held.from.join(", "), held.to.version);
            table.row(vec![
                plain(held.declared.place.to_string()),
                plain(held.declared.text.clone()),
                to,
                tenths(held.saved_ms),
                tenths(held.saved_mb),
                names(&held.functions),
            ]);
        }
        out.push_str(&table.render());
        out.push('\n');
    }
    let mut line = |name: &str, said: String| out.push_str(&format!("{}{said}\n", paint(BOLD, format!("{name:<11}"))));
    line("as it is", effect(&advice.before));
    if advice.advice.is_empty() {
        line("advice", paint(GREEN, "none: no move inside the declared ranges saves enough to be worth it"));
    } else {
        line("followed", effect(&advice.after));
    }
    let seen = &advice.looked_at;
    line(
        "looked at",
        format!(
            "{} of {} versions that others could move to: {} moves allowed, {} plans compared",
            seen.checked, seen.versions, seen.allowed, seen.plans
        ),
    );
    if seen.not_locked > 0 {
        line(
            "left out",
            format!("{} functions without a complete lock; `warmset lock` would resolve them", seen.not_locked),
        );
    }
    out
}

fn effect(effect: &Effect) -> String {
    format!(
        "{:.1} of {:.1} ms saved, {:.1} ms remain; {:.1} MB in {} images",
        effect.objective, effect.total_ms, effect.remaining_ms, effect.memory_mb, effect.images
    )
}

/// A number that does not show a zero as negative.
fn tenths(value: f64) -> String {
    format!("{:.1}", round(value, 1))
}

fn table(pieces: &[Piece]) -> String {
    let headings =
        ["", "move", "from", ">functions", ">alone ms", ">MB", ">adds ms", ">MB", ">remains ms", ">images", "ranges"];
    let mut table = Table::new(&headings);
    for (at, piece) in pieces.iter().enumerate() {
        table.row(vec![
            (at + 1).to_string(),
            paint(BOLD, piece.to.spec()),
            format!("{}{}", piece.from.join(", "), falls(piece)),
            piece.functions.len().to_string(),
            tenths(piece.saved_ms),
            tenths(piece.saved_mb),
            tenths(piece.adds_ms),
            tenths(piece.adds_mb),
            format!("{:.1}", piece.cumulative.remaining_ms),
            piece.cumulative.images.to_string(),
            if piece.to_confirm.is_empty() { "known".into() } else { paint(YELLOW, "to confirm") },
        ]);
    }
    let note = "alone: followed by itself; adds: followed after those above it. MB that the images take less, at the same budget";
    format!("{}  {}\n", table.render(), paint(DIM, note))
}

/// What falls back to an earlier version: the advised package, or only others that move with it.
fn falls(piece: &Piece) -> String {
    let others = piece.changes.iter().flat_map(|c| &c.moves).any(|m| m.direction == Some(Direction::Downgrade));
    match piece.direction {
        Direction::Upgrade if others => format!(" {}", paint(YELLOW, "others downgrade")),
        direction => mark(Some(direction)),
    }
}

/// A downgrade is never silent.
fn mark(direction: Option<Direction>) -> String {
    match direction {
        Some(Direction::Downgrade) => format!(" {}", paint(YELLOW, "downgrade")),
        _ => String::new(),
    }
}

fn detail(number: usize, piece: &Piece, before: &Effect) -> String {
    let mut out = format!(
        "{} {} on {}: as {} functions have it after this\n",
        paint(BOLD, format!("{number}.")),
        paint(BOLD, piece.to.spec()),
        piece.platform,
        piece.shared_with + piece.functions.len()
    );
    for change in &piece.changes {
        out.push_str(&format!(
            "   {} {}: {}\n",
            paint(CYAN, plain(change.lock.clone())),
            change.kind,
            names(&change.functions)
        ));
        for moved in &change.moves {
            out.push_str(&format!("     {}\n", versions(moved)));
        }
        for step in &change.steps {
            out.push_str(&format!("     {} {}\n", paint(DIM, "$"), plain(step.clone())));
        }
    }
    for question in &piece.to_confirm {
        out.push_str(&format!("   {} {}\n", paint(YELLOW, "to confirm by locking again:"), plain(question.clone())));
    }
    out.push_str(&format!(
        "   {} saves {:.1} → {:.1} ms, {:.1} → {:.1} ms remain, {:.1} → {:.1} MB, {} → {} images\n\n",
        paint(DIM, "plan"),
        before.objective,
        piece.cumulative.objective,
        before.remaining_ms,
        piece.cumulative.remaining_ms,
        before.memory_mb,
        piece.cumulative.memory_mb,
        before.images,
        piece.cumulative.images
    ));
    out
}

/// `pandas 2.2.2 → 2.2.3 downgrade (f/pyproject.toml:12 declares pandas~=2.2)`.
fn versions(moved: &Move) -> String {
    let list = |versions: &[String]| versions.join(", ");
    let what = match (moved.from.is_empty(), moved.to.is_empty()) {
        (true, _) => format!("comes in at {}", list(&moved.to)),
        (_, true) => format!("{} goes", list(&moved.from)),
        _ => format!("{} → {}{}", list(&moved.from), list(&moved.to), mark(moved.direction)),
    };
    let beside = if moved.beside.is_empty() { String::new() } else { format!(", {} stays", list(&moved.beside)) };
    let declared: Vec<String> =
        moved.declared.iter().map(|r| plain(format!("{} declares {}", r.place, r.text))).collect();
    let declared = if declared.is_empty() { String::new() } else { format!(" ({})", declared.join("; ")) };
    format!("{} {what}{beside}{declared}", moved.package)
}

/// The first few names, and how many more there are.
fn names(all: &[String]) -> String {
    let shown: Vec<String> = all.iter().take(FUNCTIONS).map(|name| plain(name.clone())).collect();
    match all.len().saturating_sub(FUNCTIONS) {
        0 => shown.join(", "),
        more => format!("{}, +{more}", shown.join(", ")),
    }
}
