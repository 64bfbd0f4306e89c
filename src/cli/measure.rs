//! `warmset measure`: what packages cost to load on this machine, for `plan --costs`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::emit::json;
use crate::live::measure::{self, Hosts, MeasureError, Options, Outcome as Measured, Stage};
use crate::live::process;
use crate::model::{CostSource, Costs, Diagnostic, How};

use super::Outcome;
use super::args::{MeasureCommand, TextFormat};
use super::load::{self, Failure};
use super::table::Table;
use super::talk::{BOLD, CYAN, Talk, paint};
use super::write;

/// Rows shown of each table.
const SHOWN: usize = 8;

/// What is told to programs; the table itself is in the file.
#[derive(Debug, Serialize)]
struct Report<'a> {
    out: &'a Path,
    functions: usize,
    nothing_to_load: usize,
    packages: usize,
    closures_installed: usize,
    environments: usize,
    repetitions_run: usize,
    repetitions_kept: usize,
    costs: &'a Costs,
    diagnostics: &'a [Diagnostic],
}

/// Measures and writes the table.
pub fn run(command: &MeasureCommand, talk: Talk) -> Result<Outcome, Failure> {
    let stop = process::stop_sign();
    let inventory = load::inventory(&command.input, &command.options, talk)?;
    if let Some(unknown) = command.only.iter().find(|id| !inventory.functions.iter().any(|f| f.id == **id)) {
        return Err(Failure::Message(format!("there is no function `{unknown}`; `warmset scan` lists them")));
    }
    let root = command.code.clone().or_else(|| root_of(&command.input));
    if command.warmup && root.is_none() {
        return Err(Failure::Message("--warmup calls handlers: name the fleet's folder with --code".into()));
    }
    let cache = match &command.cache {
        Some(cache) => cache.clone(),
        None => default_cache().ok_or_else(|| {
            Failure::Message("there is no home folder to keep environments in: name one with --cache".into())
        })?,
    };
    talk.say(if command.warmup {
        "this installs packages, and runs their code and the functions' handlers"
    } else {
        "this installs packages, and runs their code"
    });
    let hosts = hosts();
    let options = Options {
        cache: &cache,
        root: root.as_deref(),
        repetitions: command.repetitions,
        jobs: command.jobs,
        limit: Duration::from_secs_f64(command.timeout),
        only: &command.only,
        warmup: command.warmup,
        hosts: hosts.as_ref(),
        stop: &stop,
    };
    let bar = talk.timed_bar("installing");
    let measured = measure::measure(&inventory, &options, &|progress| {
        bar.message(if progress.stage == Stage::Installing { "installing" } else { "measuring" });
        bar.set(progress.done, progress.total);
    });
    drop(bar);
    let measured = measured.map_err(|error: MeasureError| Failure::Message(error.to_string()))?;
    if measured.functions == 0 && !measured.diagnostics.is_empty() {
        talk.diagnostics(&measured.diagnostics);
        return Err(Failure::Message("nothing could be measured, so nothing was written".into()));
    }
    write::file(&command.out, json::text(&measured.costs).as_bytes())?;
    talk.result(&match command.format {
        TextFormat::Json => json::text(&report(&measured, &command.out)),
        TextFormat::Text => text(&measured, &command.out),
    })?;
    talk.diagnostics(&measured.diagnostics);
    Ok(Outcome::of(&measured.diagnostics))
}

/// Warm hosts in the strongest isolation that is permitted here; without any where it cannot be found out.
#[cfg(target_os = "linux")]
fn hosts() -> Option<Hosts> {
    let warmset = std::env::current_exe().ok()?;
    let permitted = crate::live::sandbox::probe(&warmset, super::options::FIRST_ID).ok()?;
    Hosts::new(&warmset, &permitted).ok()
}

#[cfg(not(target_os = "linux"))]
fn hosts() -> Option<Hosts> {
    None
}

/// The fleet's folder, where that is what was given.
fn root_of(input: &Path) -> Option<PathBuf> {
    (input.is_dir() && !input.join("plan.json").is_file()).then(|| input.to_path_buf())
}

/// `$XDG_CACHE_HOME/warmset`, or `~/.cache/warmset`.
fn default_cache() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")))?;
    Some(base.join("warmset"))
}

fn report<'a>(measured: &'a Measured, out: &'a Path) -> Report<'a> {
    Report {
        out,
        functions: measured.functions,
        nothing_to_load: measured.nothing,
        packages: measured.costs.entries.len(),
        closures_installed: measured.closures,
        environments: measured.environments,
        repetitions_run: measured.runs,
        repetitions_kept: measured.kept,
        costs: &measured.costs,
        diagnostics: &measured.diagnostics,
    }
}

fn text(measured: &Measured, out: &Path) -> String {
    let costs = &measured.costs;
    let mut text = String::new();
    let mut heavy: Vec<_> = costs.entries.iter().filter(|e| e.source == CostSource::Measured).collect();
    heavy.sort_by(|a, b| b.load_ms.total_cmp(&a.load_ms).then_with(|| a.package.cmp(&b.package)));
    let mut table = Table::new(&["package", "platform", ">load ms", ">spread", ">MB"]);
    for cost in heavy.iter().filter(|e| e.how == Some(How::Imports)).take(SHOWN) {
        table.row(vec![
            paint(BOLD, &cost.package),
            cost.platform.as_ref().map(|p| p.short()).unwrap_or_default(),
            format!("{:.1}", cost.load_ms),
            format!("{:.0} %", cost.spread.unwrap_or(0.0) * 100.0),
            format!("{:.1}", cost.resident_mb),
        ]);
    }
    text.push_str(&table.render());
    if let Some(prediction) = &costs.prediction {
        let mut worst: Vec<_> = prediction.functions.iter().collect();
        worst.sort_by(|a, b| b.load_error.abs().total_cmp(&a.load_error.abs()));
        let mut table = Table::new(&["predicted worst", ">ms", ">error", ">MB", ">error"]);
        for row in worst.into_iter().take(SHOWN / 2) {
            table.row(vec![
                row.function.clone(),
                format!("{:.1}", row.load_ms),
                format!("{:+.1} %", row.load_error * 100.0),
                format!("{:.1}", row.resident_mb),
                format!("{:+.1} %", row.resident_error * 100.0),
            ]);
        }
        text.push_str(&format!("\n{}\n", table.render()));
        let percent = |e: &crate::model::costs::Errors| {
            format!("median {:.1} %, mean {:.1} %, worst {:.1} %", e.median * 100.0, e.mean * 100.0, e.worst * 100.0)
        };
        text.push_str(&format!(
            "prediction error over {} functions: CPU time {}; memory {}\n",
            prediction.functions.len(),
            percent(&prediction.load),
            percent(&prediction.resident)
        ));
    }
    for (language, costs) in &costs.languages {
        text.push_str(&format!(
            "{language}: a warm host takes {:.1} MB, a swap {:.2} ms and {:.3} ms for each MB\n",
            costs.image_overhead_mb, costs.swap_base_ms, costs.swap_ms_per_mb
        ));
    }
    if !costs.warmups.is_empty() {
        let mut table = Table::new(&["first call", ">ms", ">later ms", ">warm-up saves ms", ">takes MB"]);
        let mut most: Vec<_> = costs.warmups.iter().collect();
        most.sort_by(|a, b| b.saved_ms.total_cmp(&a.saved_ms).then_with(|| a.function.cmp(&b.function)));
        for warmup in most.into_iter().take(SHOWN) {
            table.row(vec![
                warmup.function.clone(),
                format!("{:.1}", warmup.first_ms),
                format!("{:.1}", warmup.later_ms),
                format!("{:.1}", warmup.saved_ms),
                format!("{:.1}", warmup.added_mb),
            ]);
        }
        text.push_str(&format!("\n{}\n", table.render()));
    }
    if let Some(host) = &costs.host {
        text.push_str(&format!("on {host}\n"));
    }
    text.push_str(&format!(
        "{} packages measured in {} functions, {} repetitions run and {} kept from before; {} closures installed in {} \
         environments\n",
        costs.entries.len(),
        measured.functions,
        measured.runs,
        measured.kept,
        measured.closures,
        measured.environments
    ));
    let shown = out.display();
    text.push_str(&format!("written to {}; use it with --costs {shown}\n", paint(CYAN, &shown)));
    text
}
