//! `warmset replay`: arrangements of images side by side, and what the plan promised against what was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use crate::cost::schedule::{self, Call, Fit, Schedule};
use crate::emit::json;
use crate::live::process::stop_sign;
use crate::live::replay::{self, Arrangement, Calls, Promise, Replay, SCHEMA, Seen, Summary};
use crate::live::sandbox::Isolation;
use crate::model::Diagnostic;

use super::Outcome;
use super::args::{ReplayCommand, TextFormat};
use super::load::{self, Failure};
use super::running::{self, Rights};
use super::table::Table;
use super::talk::{BOLD, Talk, paint};
use super::write;

/// Runs all arrangements.
pub fn run(command: &ReplayCommand, talk: Talk) -> Result<Outcome, Failure> {
    let stop = stop_sign();
    let (plan, folder) = load::plan(&command.plan)?;
    let (mut manifest, _) = running::manifest(&folder.join("swap-manifest.json"))?;
    if !command.only.is_empty() {
        let known: BTreeSet<String> = manifest.functions.iter().map(|f| f.id.clone()).collect();
        if let Some(unknown) = command.only.iter().find(|id| !known.contains(*id)) {
            return Err(Failure::Message(format!("the plan has no function {unknown}")));
        }
        manifest.functions.retain(|f| command.only.contains(&f.id));
        manifest.closures.retain(|c| manifest.functions.iter().any(|f| f.closure.as_ref() == Some(&c.id)));
    }
    let rights = running::rights(&command.run, talk)?;
    let store = running::store(&command.run)?;
    let scratch = store.scratch().map_err(running::install_failure)?;
    let made = running::provision(&manifest, &folder, &command.run, &rights, (&store, &scratch), &stop, talk)?;
    let files = &made.files;
    talk.diagnostics(&files.diagnostics);

    let deployed: Vec<String> = files.functions.keys().cloned().collect();
    let functions: Vec<&str> = deployed.iter().map(String::as_str).collect();
    let (schedule, mut diagnostics) = schedule(command, &functions)?;
    talk.diagnostics(&diagnostics);
    diagnostics.extend(files.diagnostics.iter().cloned());
    let events = replay::events(&manifest, files);

    let mut seen: BTreeMap<Arrangement, Seen> = BTreeMap::new();
    for arrangement in Arrangement::ALL {
        if stop.load(Ordering::SeqCst) {
            return Err(Failure::Message("stopped".into()));
        }
        let bar = talk.bar("replaying");
        bar.message(arrangement.name());
        let maker = command.run.maker(&rights, &store, scratch.path())?;
        let at_once = if command.trace.is_some() { replay::AT_ONCE } else { 1 };
        let made = Calls { schedule: &schedule, functions: &functions, events: &events, at_once };
        let told = |done: usize| bar.set(done, schedule.calls.len());
        seen.insert(arrangement, replay::run(&manifest, files, maker, arrangement, made, &stop, &told));
    }
    let promised: Vec<(String, String, f64)> =
        plan.assignments.iter().map(|a| (a.function.clone(), a.image.clone(), a.saved_ms)).collect();
    let (promise, speed) = match (seen.get(&Arrangement::None), seen.get(&Arrangement::Plan)) {
        (Some(cold), Some(own)) => {
            let (promise, speed) = replay::compare(&promised, cold, own, (plan.budget_mb, plan.memory_mb));
            (Some(promise), speed)
        }
        _ => (None, None),
    };
    let missing = manifest.functions.iter().filter(|f| !files.functions.contains_key(&f.id));
    let report = Replay {
        schema: SCHEMA.into(),
        trace: schedule.describes.clone(),
        isolation: isolation(&rights).into(),
        arrangements: seen.iter().map(|(arrangement, seen)| Summary::of(*arrangement, seen)).collect(),
        promise,
        speed,
        left_out: missing.map(|f| (f.id.clone(), "could not be deployed".to_string())).collect(),
    };
    let bytes = json::pretty(&report).map_err(std::io::Error::other)?;
    if let Some(out) = &command.out {
        write::file(out, &bytes)?;
    }
    match command.format {
        TextFormat::Json => talk.result(&String::from_utf8_lossy(&bytes))?,
        TextFormat::Text => talk.result(&text(&report))?,
    }
    let failed = report.arrangements.iter().any(|summary| summary.ok < summary.calls);
    Ok(if failed { Outcome::Findings } else { Outcome::of(&diagnostics) })
}

fn isolation(rights: &Rights) -> &'static str {
    match rights.isolation {
        Isolation::None => "none",
        Isolation::Own => "own",
        Isolation::Full { .. } => "full",
    }
}

/// The trace made to fit, or each function in turn.
fn schedule(command: &ReplayCommand, functions: &[&str]) -> Result<(Schedule, Vec<Diagnostic>), Failure> {
    if let Some(trace) = &command.trace {
        let fit = Fit { span_s: command.duration, most: command.max_calls, keep_alive_s: command.keep_alive };
        return Ok(schedule::read(&trace.display().to_string(), &load::bytes(trace)?, functions, fit)?);
    }
    let calls =
        (0..command.calls * functions.len()).map(|k| Call { at_s: 0.0, function: k % functions.len() }).collect();
    let describes = format!("each function {} times, one call after the other", command.calls);
    Ok((Schedule { calls, span_s: 0.0, describes }, Vec::new()))
}

fn text(report: &Replay) -> String {
    let mut table =
        Table::new(&["", ">ready ms", ">p95", ">p99", ">cold", ">MB mean", ">MB most", ">CPU s", ">failed"]);
    for of in &report.arrangements {
        table.row(vec![
            of.arrangement.clone(),
            format!("{:.1}", of.ready_ms_median),
            format!("{:.1}", of.ready_ms_p95),
            format!("{:.1}", of.ready_ms_p99),
            format!("{:.1} %", 100.0 * of.cold_share),
            format!("{:.0}", of.memory_mb_mean),
            format!("{:.0}", of.memory_mb_max),
            format!("{:.1}", of.cpu_s),
            (of.calls - of.ok).to_string(),
        ]);
    }
    let mut out = format!("{}\nisolation {}\n\n{}", report.trace, report.isolation, table.render());
    for of in &report.arrangements {
        for (function, why) in &of.failures {
            out.push_str(&format!(
                "  {} failed ({}): {}\n",
                function,
                of.arrangement,
                why.lines().next().unwrap_or("")
            ));
        }
    }
    if let Some(promise) = &report.promise {
        out.push_str(&promise_text(promise));
    }
    if let Some(speed) = &report.speed {
        out.push_str(&format!(
            "speed      {:.1} times sooner ready on the plan's images than cold (geometric mean over functions; least {:.1})\n",
            speed.times_faster, speed.least
        ));
    }
    out
}

fn promise_text(promise: &Promise) -> String {
    let mut table = Table::new(&["function", ">promised ms", ">saved ms", ">cold ms", ">swapped ms", "image"]);
    for f in &promise.functions {
        table.row(vec![
            f.function.clone(),
            format!("{:.1}", f.promised_ms),
            format!("{:.1}", f.saved_ms),
            format!("{:.1}", f.cold_ready_ms),
            format!("{:.1}", f.swap_ready_ms),
            f.image.clone(),
        ]);
    }
    let by_cpu = promise.saved_cpu_ms.zip(promise.error_cpu).map_or(String::new(), |(ms, error)| {
        format!(
            "           by the CPU time of imports {ms:.1} ms ({:+.1} %): plans are made with that\n",
            100.0 * error
        )
    });
    format!(
        "\n{}\n{}    {:.1} ms promised for one start of each, {:.1} ms saved ({:+.1} %)\n{by_cpu}memory     {:.0} MB of {:.0} MB, {:.0} MB expected\n",
        table.render(),
        paint(BOLD, "promise"),
        promise.promised_ms,
        promise.saved_ms,
        100.0 * promise.error,
        promise.memory_mb,
        promise.budget_mb,
        promise.expected_mb,
    )
}
