//! `warmset lock`: asks the tools of an ecosystem what unlocked functions would get, and keeps the answers.
//!
//! Each call runs in a scratch folder that holds what is asked and nothing of the function, and is removed whatever
//! happens. Results are gathered by key, so neither the number of jobs nor their order shows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::emit::json;
use crate::live::process::{self, Ended};
use crate::model::{Diagnostic, Function, Inventory, Language, Place, State, codes};
use crate::resolve::relock::{self, Ask, RECORD, Record, Rules, SCHEMA, Tool};

use super::Outcome;
use super::args::{LockCommand, TextFormat, ToolChoice};
use super::load::{self, Failure};
use super::table::Table;
use super::talk::{BOLD, CYAN, DIM, Talk, paint};
use super::write;

/// Seconds for a tool to say its version.
const VERSION_LIMIT: Duration = Duration::from_secs(30);

/// Functions that ask for the same.
struct Group<'a> {
    ask: Ask,
    functions: Vec<&'a Function>,
}

/// A tool that runs here.
#[derive(Debug, Clone)]
struct Program {
    tool: Tool,
    program: String,
    /// Arguments before those of the call: `-m pip`.
    before: Vec<String>,
    version: String,
}

/// What came of one group.
enum Answer {
    Lock { text: String, resolved_on: String, from_cache: bool, program: Program },
    Failed(String),
    Stopped,
}

/// What is told of each lock.
#[derive(Debug, Serialize)]
struct Told {
    key: String,
    lock: String,
    tool: String,
    packages: usize,
    functions: Vec<String>,
    from_cache: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    resolved: Vec<Told>,
    failed: BTreeMap<String, String>,
    diagnostics: Vec<Diagnostic>,
}

/// Resolves what has no complete lock.
pub fn run(command: &LockCommand, talk: Talk) -> Result<Outcome, Failure> {
    let stop = process::stop_sign();
    let mut options = command.options.clone();
    // What was resolved before is not what a function says of itself.
    options.locks = None;
    let inventory = load::inventory(&command.input, &options, talk)?;
    let mut diagnostics = Vec::new();
    let wanted = wanted(&inventory, &command.only, &mut diagnostics)?;
    let groups = groups(&wanted, command.input.is_dir().then_some(command.input.as_path()), &mut diagnostics);
    let rules = Rules { exclude_newer: command.exclude_newer.clone(), allow_builds: command.allow_builds };
    let programs = programs(command.tool, &groups, &stop)?;
    for tool in programs.values().map(|p| p.tool).filter(|_| rules.exclude_newer.is_some()) {
        if matches!(tool, Tool::Pip | Tool::Pnpm) {
            let name = tool.name();
            return Err(Failure::Message(format!("{name} knows no cut-off date; use uv or npm with --exclude-newer")));
        }
    }
    if rules.allow_builds && programs.values().any(|p| p.tool == Tool::Uv) {
        talk.say("--allow-builds: uv runs setup.py and other build backends of packages that publish no wheel");
    }

    let answers = answers(&groups, &programs, &rules, command, talk, &stop);
    let mut told = Vec::new();
    let mut failed = BTreeMap::new();
    let mut stopped = false;
    let kept = load::records(&command.out)?;
    let mut files: BTreeMap<PathBuf, Vec<u8>> = BTreeMap::new();
    let mut now: BTreeMap<String, Record> = BTreeMap::new();
    for ((key, group), answer) in groups.iter().zip(answers) {
        match answer {
            Answer::Stopped => stopped = true,
            Answer::Failed(reason) => {
                for function in &group.functions {
                    failed.insert(function.id.clone(), reason.clone());
                    let place = function.declared.first().map(|r| r.place.clone()).unwrap_or_default();
                    let mut said = Diagnostic::new(codes::NOT_RESOLVED, place, &reason).for_function(&function.id);
                    if reason.contains("no usable wheels") || reason.contains("has no wheels") {
                        said = said.next("pin a version that publishes a wheel, or give --allow-builds, which runs the package's build");
                    }
                    diagnostics.push(said);
                }
            }
            Answer::Lock { text, resolved_on, from_cache, program } => {
                let lock = program.tool.lock_name();
                let mut functions: Vec<String> = group.functions.iter().map(|f| f.id.clone()).collect();
                functions.sort();
                told.push(Told {
                    key: key.clone(),
                    lock: format!("{key}/{lock}"),
                    tool: format!("{} {}", program.tool.name(), program.version),
                    packages: packages(lock, &text),
                    functions: functions.clone(),
                    from_cache,
                });
                now.insert(
                    key.clone(),
                    Record {
                        schema: SCHEMA.into(),
                        key: key.clone(),
                        resolved_on,
                        tool: program.tool.name().into(),
                        tool_version: program.version.clone(),
                        exclude_newer: rules.exclude_newer.clone(),
                        platform: group.ask.platform.clone(),
                        inputs: group.ask.inputs(),
                        requirements: group
                            .ask
                            .requirements
                            .iter()
                            .map(|(n, r)| requirement(&group.ask, n, r))
                            .collect(),
                        lock: lock.into(),
                        functions,
                    },
                );
                files.insert(command.out.join(key).join(lock), text.into_bytes());
            }
        }
    }
    // Earlier locks stay for the functions that were not asked for now.
    let done: BTreeSet<String> = now.values().flat_map(|r| r.functions.clone()).collect();
    let mut gone = Vec::new();
    let mut all: BTreeMap<String, Record> = BTreeMap::new();
    for mut record in kept {
        record.functions.retain(|f| !done.contains(f));
        match now.get_mut(&record.key) {
            Some(new) => new.functions.extend(record.functions),
            None if record.functions.is_empty() => gone.push(record),
            None => {
                all.insert(record.key.clone(), record);
            }
        }
    }
    for (key, mut record) in now {
        record.functions.sort();
        all.insert(key, record);
    }
    for (key, record) in &all {
        files.insert(command.out.join(key).join(RECORD), json::text(record).into_bytes());
    }
    for (path, bytes) in &files {
        write::file(path, bytes)?;
    }
    for record in gone {
        let folder = command.out.join(&record.key);
        let _ = std::fs::remove_file(folder.join(&record.lock));
        let _ = std::fs::remove_file(folder.join(RECORD));
        let _ = std::fs::remove_dir(folder);
    }
    if stopped {
        return Err(Failure::Message("stopped; what was resolved until then is kept".into()));
    }

    diagnostics.sort();
    diagnostics.dedup();
    let report = Report { resolved: told, failed, diagnostics };
    talk.result(&match command.format {
        TextFormat::Json => json::text(&report),
        TextFormat::Text => text(&report, &command.out),
    })?;
    talk.diagnostics(&report.diagnostics);
    Ok(Outcome::of(&report.diagnostics))
}

fn requirement(ask: &Ask, name: &str, line: &str) -> String {
    match ask.platform.language {
        Language::Python => line.to_string(),
        Language::Node => format!("{name}@{line}"),
    }
}

fn packages(name: &str, text: &str) -> usize {
    let Some(kind) = crate::lock::Kind::of(name) else { return 0 };
    let mut include = |_: &str| Err(Diagnostic::new(codes::INCLUDE_MISSING, Place::file(name), "not included"));
    let lock = crate::lock::read(kind, name, text, &mut include);
    lock.entries.iter().map(|e| &e.id).collect::<BTreeSet<_>>().len()
}

/// The functions to resolve: all without a complete lock, or those named.
fn wanted<'a>(
    inventory: &'a Inventory,
    only: &[String],
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Vec<&'a Function>, Failure> {
    if let Some(unknown) = only.iter().find(|id| !inventory.functions.iter().any(|f| f.id == **id)) {
        return Err(Failure::Message(format!("there is no function `{unknown}`; `warmset scan` lists them")));
    }
    let mut out = Vec::new();
    for function in &inventory.functions {
        if function.state == State::Locked || (!only.is_empty() && !only.contains(&function.id)) {
            continue;
        }
        let why = match &function.platform {
            None => Some("its platform is not known"),
            Some(_) if function.declared.is_empty() => Some("it declares nothing that a tool could resolve"),
            Some(_) => None,
        };
        match why {
            Some(why) => {
                let place = function.declared_at.clone().unwrap_or_default();
                let said = Diagnostic::new(codes::NOT_RESOLVED, place, why).for_function(&function.id);
                diagnostics.push(said.next("declare what it imports, and a runtime"));
            }
            None => out.push(function),
        }
    }
    Ok(out)
}

/// Functions by what they ask for. What no tool is given is said; a manifest whose rules would not be handed on is left.
fn groups<'a>(
    functions: &[&'a Function],
    fleet: Option<&Path>,
    diagnostics: &mut Vec<Diagnostic>,
) -> BTreeMap<String, Group<'a>> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for function in functions {
        let Some(platform) = &function.platform else { continue };
        if let Some((file, what)) = fleet.and_then(|fleet| not_handed_on(fleet, function)) {
            let reason = format!("{what}, which `warmset lock` does not hand on");
            diagnostics
                .push(Diagnostic::new(codes::NOT_RESOLVED, Place::file(file), reason).for_function(&function.id));
            continue;
        }
        let ask = Ask::of(platform, &function.declared);
        for requirement in &ask.left_out {
            let reason = format!("`{}` is not from a registry", relock::last_words(&requirement.text, &[]));
            let said = Diagnostic::new(codes::REQUIREMENT_LEFT_OUT, requirement.place.clone(), reason);
            diagnostics.push(said.for_function(&function.id));
        }
        if !ask.requirements.is_empty() {
            groups.entry(ask.key()).or_insert_with(|| Group { ask, functions: Vec::new() }).functions.push(function);
        }
    }
    groups
}

/// Rules of a manifest that change what is installed and are no requirements: overrides and constraints.
fn not_handed_on(fleet: &Path, function: &Function) -> Option<(String, &'static str)> {
    let files: BTreeSet<&str> = function.declared.iter().map(|r| r.place.file.as_str()).collect();
    for file in files {
        let Ok(text) = std::fs::read_to_string(fleet.join(file)) else { continue };
        if file.ends_with("package.json") {
            let Ok(manifest) = serde_json::from_str::<serde_json::Value>(&text) else { continue };
            let has = |key: &str| manifest.pointer(key).and_then(|v| v.as_object()).is_some_and(|o| !o.is_empty());
            if has("/overrides") || has("/resolutions") || has("/pnpm/overrides") {
                return Some((file.into(), "it has overrides"));
            }
        } else if file.ends_with(".txt") && text.lines().any(|l| l.starts_with("-c") || l.starts_with("--constraint")) {
            return Some((file.into(), "it has constraints"));
        }
    }
    None
}

/// A program for each language that is needed.
fn programs(
    choice: ToolChoice,
    groups: &BTreeMap<String, Group>,
    stop: &AtomicBool,
) -> Result<BTreeMap<Language, Program>, Failure> {
    let languages: BTreeSet<Language> = groups.values().map(|g| g.ask.platform.language).collect();
    let mut out = BTreeMap::new();
    for language in languages {
        let tools = Tool::of(language);
        let chosen: Vec<Tool> = tools.into_iter().filter(|tool| choice.is(*tool)).collect();
        // A choice for one language leaves the other to its own tools.
        let tried = if chosen.is_empty() { tools.to_vec() } else { chosen };
        let found = tried.iter().find_map(|&tool| match tool {
            // Which pip it is depends on the function's Python.
            Tool::Pip => version("python3", &["-m".into(), "pip".into()], tool, stop),
            tool => version(tool.name(), &[], tool, stop),
        });
        let names: Vec<&str> = tried.iter().map(|t| t.name()).collect();
        let Some(program) = found else {
            return Err(Failure::Message(format!(
                "{language} functions need {} to be resolved, which does not run here: install it, or name another \
                 with --tool",
                names.join(" or ")
            )));
        };
        out.insert(language, program);
    }
    Ok(out)
}

/// A program that says its version.
fn version(program: &str, before: &[String], tool: Tool, stop: &AtomicBool) -> Option<Program> {
    let scratch = scratch().ok()?;
    let mut args = before.to_vec();
    args.push("--version".into());
    let ran = process::run(program, &args, scratch.path(), scratch.path(), VERSION_LIMIT, stop).ok()?;
    if ran.ended != Ended::Done(true) {
        return None;
    }
    let number = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
    let version: String = ran.said.split_whitespace().find(number)?.chars().take(40).collect();
    let python = ran.said.rsplit_once("(python ").map(|(_, v)| v.trim().trim_end_matches(')').to_string());
    let version = match python.filter(|_| tool == Tool::Pip) {
        Some(python) => format!("{version} of Python {python}"),
        None => version,
    };
    Some(Program { tool, program: program.into(), before: before.to_vec(), version })
}

/// pip evaluates markers for the Python that runs it, so that only the function's own version tells the truth.
fn pip_for(group: &Group, stop: &AtomicBool) -> Result<Program, String> {
    let platform = &group.ask.platform;
    let wanted = format!("of Python {}", platform.version);
    if platform.arch != std::env::consts::ARCH {
        return Err(format!("pip evaluates markers for this machine, not for {}: use uv", platform.arch));
    }
    [format!("python{}", platform.version), "python3".to_string()]
        .iter()
        .filter_map(|python| version(python, &["-m".into(), "pip".into()], Tool::Pip, stop))
        .find(|program| program.version.ends_with(&wanted))
        .ok_or_else(|| format!("there is no pip {wanted} here, and another one evaluates markers differently: use uv"))
}

fn scratch() -> std::io::Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix("warmset-lock-").tempdir()
}

/// One answer a group, in the order of the groups.
fn answers(
    groups: &BTreeMap<String, Group>,
    programs: &BTreeMap<Language, Program>,
    rules: &Rules,
    command: &LockCommand,
    talk: Talk,
    stop: &AtomicBool,
) -> Vec<Answer> {
    let list: Vec<&Group> = groups.values().collect();
    let slots: Vec<Mutex<Answer>> = list.iter().map(|_| Mutex::new(Answer::Stopped)).collect();
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let bar = talk.bar("resolving");
    bar.set(0, list.len());
    let work = || {
        while let Some((group, slot)) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            list.get(at).zip(slots.get(at))
        } {
            if stop.load(Ordering::SeqCst) {
                return;
            }
            let answer = programs
                .get(&group.ask.platform.language)
                .map_or(Answer::Stopped, |program| answer(group, program, rules, command, stop));
            *slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = answer;
            bar.set(done.fetch_add(1, Ordering::Relaxed) + 1, list.len());
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..command.jobs.min(list.len()) {
            scope.spawn(work);
        }
    });
    slots.into_iter().map(|slot| slot.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)).collect()
}

fn answer(group: &Group, program: &Program, rules: &Rules, command: &LockCommand, stop: &AtomicBool) -> Answer {
    let program = match program.tool {
        Tool::Pip => match pip_for(group, stop) {
            Ok(program) => program,
            Err(reason) => return Answer::Failed(reason),
        },
        _ => program.clone(),
    };
    let today = today();
    let cached = command.cache.as_deref().map(|folder| {
        let day = rules.exclude_newer.as_deref().map_or_else(|| format!("on {today}"), |d| format!("before {d}"));
        let mut hasher = Sha256::new();
        let builds = rules.allow_builds;
        hasher.update(format!(
            "1\n{}\n{} {}\n{day}\n{builds}\n",
            group.ask.inputs(),
            program.tool.name(),
            program.version
        ));
        let name: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        folder.join(format!("{name}.lock"))
    });
    // The first line is the day; a file that is not whole, or not what is asked for, counts for nothing.
    if let Some((day, text)) = cached.as_ref().and_then(|path| read_cached(path))
        && relock::is_answer(&group.ask, program.tool, &text)
    {
        return Answer::Lock { text, resolved_on: day, from_cache: true, program };
    }
    let text = match ask(group, &program, rules, Duration::from_secs_f64(command.timeout), stop) {
        Ok(Some(text)) => text,
        Ok(None) => return Answer::Stopped,
        Err(reason) => return Answer::Failed(reason),
    };
    if let Some(path) = &cached {
        // A cache that cannot be written only makes the next run slower.
        let _ = write::file(path, format!("{today} {}\n{text}", text.len()).as_bytes());
    }
    Answer::Lock { text, resolved_on: today, from_cache: false, program }
}

fn read_cached(path: &Path) -> Option<(String, String)> {
    let all = std::fs::read_to_string(path).ok()?;
    let (head, text) = all.split_once('\n')?;
    let (day, length) = head.split_once(' ')?;
    (length.parse() == Ok(text.len())).then(|| (day.to_string(), text.to_string()))
}

/// Runs the tool; `None` when the user stopped it.
fn ask(
    group: &Group,
    program: &Program,
    rules: &Rules,
    limit: Duration,
    stop: &AtomicBool,
) -> Result<Option<String>, String> {
    let name = program.tool.name();
    let failed = |e: std::io::Error| format!("{name} could not be run: {}", e.kind());
    let call =
        relock::call(&group.ask, program.tool, rules).ok_or_else(|| format!("{name} cannot resolve as asked for"))?;
    let scratch = scratch().map_err(failed)?;
    let work = scratch.path().join("work");
    std::fs::create_dir(&work).map_err(failed)?;
    for (file, text) in &call.files {
        std::fs::write(work.join(file), text).map_err(failed)?;
    }
    let args: Vec<String> = program.before.iter().chain(&call.args).cloned().collect();
    let ran = process::run(&program.program, &args, &work, scratch.path(), limit, stop).map_err(failed)?;
    let home = std::env::var("HOME").unwrap_or_default();
    let folder = scratch.path().display().to_string();
    let words = relock::last_words(&ran.said, &[&folder, &home]);
    let words = if words.is_empty() { "it said nothing".to_string() } else { words };
    match ran.ended {
        Ended::Stopped => Ok(None),
        Ended::TimedOut => Err(format!("{name} took longer than {:.0} s: {words}", limit.as_secs_f64())),
        Ended::TooLoud => Err(format!("{name} did not stop talking: {words}")),
        Ended::Done(false) => Err(format!("{name} failed: {words}")),
        Ended::Done(true) => {
            let answer = work.join(call.answer);
            let text =
                std::fs::read_to_string(answer).map_err(|_| format!("{name} gave no {}: {words}", call.answer))?;
            relock::lock_text(&group.ask, program.tool, &text).map(Some)
        }
    }
}

/// The day, UTC; `SOURCE_DATE_EPOCH` stands for the clock where it is set.
fn today() -> String {
    let stated = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|s| s.parse().ok());
    let at = stated.and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or_else(Timestamp::now);
    TimeZone::UTC.to_datetime(at).date().to_string()
}

fn text(report: &Report, out: &Path) -> String {
    let mut text = String::new();
    if !report.resolved.is_empty() {
        let mut table = Table::new(&["lock", "tool", ">packages", "functions"]);
        for told in &report.resolved {
            let more = told.functions.len().saturating_sub(2);
            let mut names = told.functions.iter().take(2).cloned().collect::<Vec<_>>().join(", ");
            if more > 0 {
                names.push_str(&format!(", +{more}"));
            }
            let cached = if told.from_cache { paint(DIM, " (cached)") } else { String::new() };
            table.row(vec![paint(BOLD, &told.key), format!("{}{cached}", told.tool), told.packages.to_string(), names]);
        }
        text.push_str(&table.render());
        text.push('\n');
    }
    let functions: usize = report.resolved.iter().map(|t| t.functions.len()).sum();
    text.push_str(&format!(
        "{functions} functions resolved by {} locks, {} not resolved\n",
        report.resolved.len(),
        report.failed.len()
    ));
    if functions > 0 {
        text.push_str(&format!("written to {}; use it with --locks {}\n", paint(CYAN, out.display()), out.display()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cached_answer_that_is_not_whole_counts_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        std::fs::write(&path, "2026-11-23 4\nab\n").unwrap();
        assert_eq!(read_cached(&path), None);
        std::fs::write(&path, "2026-11-23 3\nab\n").unwrap();
        assert_eq!(read_cached(&path), Some(("2026-11-23".into(), "ab\n".into())));
    }
}
