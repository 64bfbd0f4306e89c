//! From kept repetitions to a table of costs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::bench::Bench;
use super::{Outcome, said};
use crate::cost::attribution::{self, Installed, Measured, NodeTrace, Part};
use crate::cost::{self, stats};
use crate::model::costs::LanguageCosts;
use crate::model::units::round;
use crate::model::{Cost, Costs, Diagnostic, How, Language, MeasuredWarmup, PackageId, Place, Platform, codes};

/// A package that spreads wider than this (interquartile range over median) …
const WIDE: f64 = 0.25;
/// … and leaves open more than this share of all load time is named.
const MATTERS: f64 = 0.02;
/// MB on disk below which a package says nothing of what a MB costs to load.
const RATIO_FROM_MB: f64 = 0.5;
/// Difference in resident memory over which the cost of a swap is fitted.
const LEVER_MB: f64 = 10.0;
/// Packages that such a ratio needs.
const RATIO_OF: usize = 10;

/// The table and all that is to be said of it.
pub fn outcome(bench: Bench<'_>, warmups: Vec<MeasuredWarmup>) -> Outcome {
    let loads = measured(&bench);
    let mut installed: BTreeMap<(PackageId, Platform), Installed> = BTreeMap::new();
    for (at, subject) in bench.ready.subjects.iter().enumerate().filter(|(at, _)| !bench.failed.contains(at)) {
        let view = &bench.ready.views[subject.view];
        for (id, facts) in &view.facts {
            installed.entry((id.clone(), subject.platform.clone())).or_insert_with(|| facts.clone());
        }
        // How other packages ask for it is how it is loaded.
        for (id, specs) in asked_for(&bench, at) {
            if let Some(facts) = installed.get_mut(&(id, subject.platform.clone())) {
                facts.modules = specs;
            }
        }
    }
    let entries = attribution::table(&loads, &installed, Part::All);
    let uncertain = attribution::uncertain(&loads, WIDE, MATTERS);
    let mut diagnostics = bench.diagnostics.clone();
    diagnostics.extend(bench.refused.iter().filter_map(|refused| said(bench.inventory, refused)));
    diagnostics.extend(too_wide(&uncertain));
    diagnostics.sort();
    diagnostics.dedup();
    let languages = languages(&bench, &entries);
    let functions: BTreeSet<&String> = loads.iter().flat_map(|load| &load.functions).collect();
    let warmup = if bench.options.warmup { " --warmup" } else { "" };
    let command =
        format!("warmset measure INVENTORY --out costs.json --repetitions {}{warmup}", bench.options.repetitions);
    let costs = Costs {
        command: Some(command),
        host: Some(host(&bench)),
        languages,
        prediction: attribution::prediction(&loads),
        entries,
        warmups,
        ..Costs::empty()
    };
    Outcome {
        costs,
        diagnostics,
        functions: functions.len(),
        nothing: bench.ready.nothing,
        closures: bench.ready.closures,
        environments: bench.ready.environments,
        runs: bench.runs,
        kept: bench.kept,
        uncertain,
    }
}

fn measured(bench: &Bench<'_>) -> Vec<Measured> {
    let (rounds, readings) = (0..bench.options.repetitions, bench.readings());
    let of = |at: usize| {
        let subject = &bench.ready.subjects[at];
        let modes = bench.direct.iter().filter(|d| d.subject == at).map(|d| d.mode.as_str());
        let mut functions: Vec<String> =
            subject.functions.iter().map(|&f| bench.inventory.functions[f].id.clone()).collect();
        functions.sort();
        Measured {
            platform: subject.platform.clone(),
            functions,
            traced: rounds.clone().filter_map(|n| readings.traced(at, n)).collect(),
            whole: rounds.clone().filter_map(|n| readings.whole(at, n)).collect(),
            direct: modes.flat_map(|mode| rounds.clone().filter_map(move |n| readings.direct(at, mode, n))).collect(),
        }
    };
    (0..bench.ready.subjects.len()).filter(|at| !bench.failed.contains(at)).map(of).collect()
}

/// Specifiers by which packages of Node were asked for, each where it leads to the version at the top.
fn asked_for(bench: &Bench<'_>, at: usize) -> BTreeMap<PackageId, BTreeSet<String>> {
    let subject = &bench.ready.subjects[at];
    let mut out: BTreeMap<PackageId, BTreeSet<String>> = BTreeMap::new();
    if subject.platform.language != Language::Node {
        return out;
    }
    let Some(sample) = bench.samples.get(&subject.key, "trace", 0) else { return out };
    let Ok(trace) = NodeTrace::deserialize(&sample.answer) else { return out };
    for (folder, specs) in trace.seen {
        if let Some(id) = bench.ready.views[subject.view].owner(&folder) {
            out.entry(id).or_default().extend(specs);
        }
    }
    out
}

fn too_wide(uncertain: &[(PackageId, f64, f64)]) -> Option<Diagnostic> {
    if uncertain.is_empty() {
        return None;
    }
    let shown: Vec<String> =
        uncertain.iter().take(5).map(|(id, spread, _)| format!("{id} ({:.0} %)", spread * 100.0)).collect();
    let more = if uncertain.len() > shown.len() { " …" } else { "" };
    let reason = format!(
        "the load times of {} packages that matter to the fleet spread by more than {:.0} % of their median: {}{more}",
        uncertain.len(),
        WIDE * 100.0,
        shown.join(", ")
    );
    Some(Diagnostic::new(codes::SPREAD_WIDE, Place::default(), reason))
}

/// What warm hosts cost, for each language that was measured.
fn languages(bench: &Bench<'_>, entries: &[Cost]) -> BTreeMap<Language, LanguageCosts> {
    let prior = cost::prior().languages;
    let mut out = BTreeMap::new();
    for (language, (platform, subjects)) in &bench.swaps {
        let key = bench.bare_key(platform);
        let rounds = |mode: &str| {
            let all = (0..bench.options.repetitions).filter_map(|n| bench.samples.get(&key, mode, n));
            all.map(|sample| sample.answer).collect::<Vec<_>>()
        };
        let idle = stats::median(&rounds("idle").iter().flat_map(|a| numbers(a, "bytes")).collect::<Vec<_>>());
        let mode = bench.swap_mode();
        let bare: Vec<Value> = rounds(mode);
        let bare_bytes = stats::median(&bare.iter().flat_map(|a| numbers(a, "bytes")).collect::<Vec<_>>());
        let loaded = subjects.iter().filter_map(|&at| bench.samples.get(&bench.ready.subjects[at].key, mode, 0));
        let answers: Vec<Value> = bare.into_iter().chain(loaded.map(|sample| sample.answer)).collect();
        let point = |answer: &Value| {
            let bytes = stats::median(&numbers(answer, "bytes"));
            let wall = numbers(answer, "wall_ms");
            if !wall.is_empty() {
                return ((bytes - bare_bytes).max(0.0) / 1e6, stats::median(&wall));
            }
            // A fork server says what it grew by, a waiting process all that it has.
            let grown = if *language == Language::Node { (bytes - idle).max(0.0) } else { bytes };
            (grown / 1e6, stats::median(&numbers(answer, "cpu")) / 1e6)
        };
        let points: Vec<(f64, f64)> = answers.iter().map(point).collect();
        let shipped = prior.get(language);
        // A line needs a lever: over a few MB it tells noise. Then the shipped one stands.
        let (least, most) = points.iter().fold((f64::MAX, 0.0_f64), |(a, b), (mb, _)| (a.min(*mb), b.max(*mb)));
        let line = stats::line(&points).filter(|_| most - least >= LEVER_MB);
        let line = line.or_else(|| shipped.map(|s| (s.swap_base_ms, s.swap_ms_per_mb)));
        let Some((base, slope)) = line.filter(|_| idle > 0.0) else { continue };
        let ratio = |of: fn(&Cost) -> f64, else_: Option<f64>| {
            let known = entries.iter().filter(|e| e.package.ecosystem == language.ecosystem());
            let known = known.filter(|e| e.how == Some(How::Imports) && of(e) > 0.0);
            let ratios: Vec<f64> =
                known.filter_map(|e| Some(of(e) / e.disk_mb.filter(|mb| *mb >= RATIO_FROM_MB)?)).collect();
            if ratios.len() >= RATIO_OF { Some(round(stats::median(&ratios), 3)) } else { else_ }
        };
        let costs = LanguageCosts {
            image_overhead_mb: round(idle / 1e6, 3),
            swap_base_ms: round(base, 3),
            swap_ms_per_mb: round(slope, 4),
            waste_ms_per_mb: None,
            load_ms_per_disk_mb: ratio(|e| e.load_ms, shipped.and_then(|p| p.load_ms_per_disk_mb)),
            resident_mb_per_disk_mb: ratio(|e| e.resident_mb, shipped.and_then(|p| p.resident_mb_per_disk_mb)),
        };
        out.insert(*language, costs);
    }
    out
}

/// One number or a list of them.
fn numbers(answer: &Value, key: &str) -> Vec<f64> {
    match answer.get(key) {
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_f64).collect(),
        Some(value) => value.as_f64().into_iter().collect(),
        None => Vec::new(),
    }
}

/// The machine in words, and how busy it was.
fn host(bench: &Bench<'_>) -> String {
    let mut versions: BTreeMap<Language, BTreeSet<&str>> = BTreeMap::new();
    for (platform, interpreter) in &bench.ready.interpreters {
        versions.entry(platform.language).or_default().insert(&interpreter.version);
    }
    let mut words: Vec<String> = versions
        .into_iter()
        .map(|(language, versions)| {
            let name = if language == Language::Python { "CPython" } else { "Node.js" };
            format!("{name} {}", versions.into_iter().collect::<Vec<_>>().join(" and "))
        })
        .collect();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    words.push(format!("{} {}, {cores} cores", std::env::consts::OS, std::env::consts::ARCH));
    let (load, stolen): (Vec<f64>, Vec<f64>) = bench.noise.iter().copied().unzip();
    let most = load.iter().copied().fold(0.0, f64::max);
    words.push(format!(
        "load average {:.1} (at most {most:.1}), {:.1} % of processor time taken by other guests",
        stats::median(&load),
        stats::mean(&stolen) * 100.0
    ));
    words.join(", ")
}
