//! `warmset scan`.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use crate::discover::{Tree, paths};
use crate::emit::json;
use crate::model::inventory::FileCounts;
use crate::model::{Diagnostic, Function, Inventory, Platform, State};
use crate::resolve::{Merger, Rest, ScanOptions, Scanner, Store, scan_path};

use super::Outcome;
use super::args::{ScanCommand, ScanFormat};
use super::cache::Cache;
use super::load::{self, Failure};
use super::table::Table;
use super::talk::{BOLD, CYAN, DIM, GREEN, RED, Talk, YELLOW, paint};
use super::write;

/// Finds functions and what each loads.
pub fn run(command: &ScanCommand, talk: Talk) -> Result<Outcome, Failure> {
    let (mut options, pin_diagnostics) = load::scan_options(&command.options)?;
    let mut cache = None;
    if let Some(folder) = &command.cache {
        match Cache::open(folder) {
            Ok(opened) => cache = Some(Arc::new(opened)),
            // It would have saved time, and nothing else.
            Err(error) => talk.say(format!("{}: {error}; scanning without a cache", folder.display())),
        }
        options.cache = cache.clone().map(|cache| cache as Arc<dyn Store>);
    }
    let outcome = scan(command, &options, &pin_diagnostics, talk);
    drop(options);
    if let Some(Err(error)) = cache.and_then(Arc::into_inner).map(Cache::close) {
        talk.say(format!("the cache was not kept: {error}"));
    }
    Ok(outcome?.or_clean(command.exit_zero))
}

fn scan(
    command: &ScanCommand,
    options: &ScanOptions,
    pin_diagnostics: &[Diagnostic],
    talk: Talk,
) -> Result<Outcome, Failure> {
    if command.stdin {
        return paths(command, options, pin_diagnostics, talk);
    }
    if command.format == ScanFormat::Jsonl {
        return Err(Failure::Message("--format jsonl prints a record a path: give paths with --stdin".into()));
    }
    let tree = Tree::open(&command.fleet, options.limits.clone()).map_err(|e| load::cannot_open(&e))?;
    let bar = talk.bar("scanning");
    let progress = |p: crate::resolve::Progress| bar.set(p.done, p.total);
    let scanner = Scanner::new(&tree, options, command.shard, &progress);
    // One thread reads while this one writes.
    std::thread::scope(|scope| {
        let (send, receive) = std::sync::mpsc::sync_channel::<Function>(256);
        let reader = scope.spawn(move || {
            let mut scanner = scanner;
            for function in scanner.by_ref() {
                if send.send(function).is_err() {
                    // Nobody reads it any more: what went wrong there is said there.
                    break;
                }
            }
            drop(send);
            scanner
        });
        let rest = || {
            let scanner = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let mut rest = scanner.rest();
            add(&mut rest, pin_diagnostics);
            rest
        };
        output(command, receive.into_iter(), rest, talk)
    })
}

fn add(rest: &mut Rest, diagnostics: &[Diagnostic]) {
    if !diagnostics.is_empty() {
        rest.diagnostics.extend(diagnostics.iter().cloned());
        rest.diagnostics.sort();
        rest.diagnostics.dedup();
    }
}

/// Writes or prints an inventory whose functions come one after the other.
fn output(
    command: &ScanCommand,
    functions: impl Iterator<Item = Function>,
    rest: impl FnOnce() -> Rest,
    talk: Talk,
) -> Result<Outcome, Failure> {
    let mut overview = Overview { rows: (command.format == ScanFormat::Text).then(Vec::new), ..Overview::default() };
    let mut diagnostics = Vec::new();
    let seen = functions.inspect(|f| overview.add(f));
    let told = |diagnostics: &mut Vec<Diagnostic>, totals: &mut (usize, FileCounts)| {
        let rest = rest();
        diagnostics.clone_from(&rest.diagnostics);
        *totals = (rest.packages.len(), rest.files);
        rest
    };
    let mut totals = (0, FileCounts::default());
    match (&command.out, command.format) {
        (Some(out), _) => {
            write::stream(out, |out| json::inventory(out, seen, || told(&mut diagnostics, &mut totals)))?;
        }
        (None, ScanFormat::Text) => {
            seen.for_each(drop);
            told(&mut diagnostics, &mut totals);
        }
        (None, _) => {
            let out = io::BufWriter::with_capacity(1 << 18, io::stdout().lock());
            talk.streamed(json::inventory(out, seen, || told(&mut diagnostics, &mut totals)))?;
        }
    }
    (overview.packages, overview.files) = totals;
    if command.format == ScanFormat::Text {
        talk.result(&overview.text())?;
    }
    talk.diagnostics(&diagnostics);
    Ok(Outcome::of(&diagnostics))
}

/// Paths read at once.
const PATHS: usize = 64;

/// Scans the packages that stdin names.
fn paths(
    command: &ScanCommand,
    options: &ScanOptions,
    pin_diagnostics: &[Diagnostic],
    talk: Talk,
) -> Result<Outcome, Failure> {
    let fleet = command.fleet.canonicalize().map_err(|source| {
        load::cannot_open(&crate::discover::OpenError::Unreadable { path: command.fleet.clone(), source })
    })?;
    let mut input = io::stdin().lock();
    let mut merger = Merger::default();
    let mut out = io::BufWriter::with_capacity(1 << 18, io::stdout().lock());
    let (mut count, mut findings) = (0usize, BTreeMap::new());
    let stream = command.format == ScanFormat::Jsonl && command.out.is_none();
    let end = if command.null { 0 } else { b'\n' };
    loop {
        let batch = next_paths(&mut input, end)?;
        if batch.is_empty() {
            break;
        }
        let mine = |path: &&String| command.shard.is_none_or(|shard| shard.holds(&key(path)));
        let chosen: Vec<&String> = batch.iter().filter(mine).collect();
        let scan = |path: &&String| record(&fleet, path, options, pin_diagnostics);
        count += chosen.len();
        if stream {
            let lines: Vec<(Vec<u8>, Vec<Diagnostic>)> = chosen
                .par_iter()
                .map(scan)
                .map(|record| Ok((serde_json::to_vec(&record)?, record.diagnostics)))
                .collect::<Result<_, serde_json::Error>>()
                .map_err(|e| Failure::Message(e.to_string()))?;
            for (line, diagnostics) in lines {
                for diagnostic in diagnostics.iter().filter(|d| d.is_finding()) {
                    *findings.entry(diagnostic.code.clone()).or_insert(0usize) += 1;
                }
                out.write_all(&line)?;
                out.write_all(b"\n")?;
            }
            out.flush()?;
        } else {
            for record in chosen.par_iter().map(scan).collect::<Vec<Inventory>>() {
                merger.add(record).map_err(super::merge::failure)?;
            }
        }
    }
    if stream {
        let codes: Vec<String> = findings.iter().map(|(code, n)| format!("{n} {code}")).collect();
        talk.say(format!("{count} records{}{}", if codes.is_empty() { "" } else { ": " }, codes.join(", ")));
        return Ok(if findings.is_empty() { Outcome::Clean } else { Outcome::Findings });
    }
    drop(out);
    let mut merged = merger.finish(command.shard.is_some());
    let functions: &mut dyn Iterator<Item = Function> = &mut merged.functions;
    output(command, functions, || merged.rest, talk)
}

/// One record, with what is wrong with the options that it was made with.
fn record(fleet: &Path, path: &str, options: &ScanOptions, diagnostics: &[Diagnostic]) -> Inventory {
    let mut record = scan_path(fleet, path, options);
    if !diagnostics.is_empty() {
        record.diagnostics.extend(diagnostics.iter().cloned());
        record.sort();
    }
    record
}

/// What decides about a path's shard: the folder that it names, however it is written.
fn key(path: &str) -> String {
    paths::join(".", path).unwrap_or_else(|| path.to_string())
}

/// The next paths: waits for one, and takes those along that are there already.
fn next_paths(input: &mut impl BufRead, end: u8) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    while found.len() < PATHS {
        let mut bytes = Vec::new();
        if input.read_until(end, &mut bytes)? == 0 {
            break;
        }
        if bytes.last() == Some(&end) {
            bytes.pop();
        }
        if end == b'\n' && bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        let path = String::from_utf8_lossy(&bytes);
        if !path.trim().is_empty() {
            found.push(path.into_owned());
        }
        let more = input.fill_buf()?.contains(&end);
        if !found.is_empty() && !more {
            break;
        }
    }
    Ok(found)
}

/// What is printed of an inventory: a line a function, then totals.
#[derive(Debug, Default)]
pub struct Overview {
    rows: Option<Vec<Row>>,
    functions: usize,
    platforms: BTreeMap<Option<Platform>, usize>,
    states: BTreeMap<State, usize>,
    /// Functions that `warmset lock` resolved, by the day.
    resolved: BTreeMap<String, usize>,
    /// Hashes of the files that no handler reaches: functions with one folder list the same ones.
    unreached: BTreeSet<u64>,
    packages: usize,
    files: FileCounts,
}

#[derive(Debug)]
struct Row {
    id: String,
    platform: Option<Platform>,
    state: State,
    closure: usize,
    unresolved: usize,
    lock: Option<String>,
}

impl Overview {
    /// The totals of an inventory.
    pub fn of(inventory: &Inventory) -> Self {
        let mut overview = Self { packages: inventory.packages.len(), files: inventory.files, ..Self::default() };
        inventory.functions.iter().for_each(|f| overview.add(f));
        overview
    }

    fn add(&mut self, function: &Function) {
        self.functions += 1;
        *self.platforms.entry(function.platform.clone()).or_default() += 1;
        *self.states.entry(function.state).or_default() += 1;
        if let Some(day) = function.lock.as_ref().and_then(|l| l.resolved_on.as_ref()) {
            *self.resolved.entry(day.clone()).or_default() += 1;
        }
        self.unreached.extend(function.unreached.iter().map(|u| hash(&u.file)));
        if let Some(rows) = &mut self.rows {
            rows.push(Row {
                id: function.id.clone(),
                platform: function.platform.clone(),
                state: function.state,
                closure: function.closure.len(),
                unresolved: function.unresolved.len(),
                lock: function.lock.as_ref().map(|l| match &l.resolved_on {
                    Some(day) => format!("{} {}", paint(CYAN, &l.file), paint(DIM, format!("(resolved {day})"))),
                    None => paint(CYAN, lock(&l.file, &function.path)),
                }),
            });
        }
    }

    /// What all platforms of the fleet have in common: `linux-x86_64-glibc`.
    fn common_system(&self) -> Option<String> {
        let system = |p: &Platform| p.to_string().split_once('-').map(|(_, rest)| rest.to_string());
        let systems: BTreeSet<String> = self.platforms.keys().flatten().filter_map(system).collect();
        if systems.len() == 1 { systems.into_iter().next() } else { None }
    }

    /// One line a function, then the totals.
    fn text(&self) -> String {
        if self.functions == 0 {
            return format!("no function among {} files\n", self.files.seen);
        }
        let mut table = Table::new(&["function", "platform", "state", ">packages", ">open", "lock"]);
        let common = self.common_system();
        for row in self.rows.iter().flatten() {
            table.row(vec![
                paint(BOLD, &row.id),
                row.platform.as_ref().map_or_else(|| paint(RED, "unknown"), |p| short(p, common.is_some())),
                state(row.state),
                row.closure.to_string(),
                row.unresolved.to_string(),
                row.lock.clone().unwrap_or_default(),
            ]);
        }
        format!("{}\n{}", table.render(), self.totals())
    }

    /// Functions by platform and by state, packages, files.
    pub fn totals(&self) -> String {
        // What is the same for all is said once.
        let common = self.common_system();
        let list: Vec<String> = self
            .platforms
            .iter()
            .map(|(platform, n)| match platform {
                Some(p) => format!("{n} {}", short(p, common.is_some())),
                None => format!("{n} of unknown platform"),
            })
            .collect();
        let mut functions = self.functions.to_string();
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
        let mut closures: Vec<String> = self.states.iter().map(|(s, n)| format!("{n} {}", named(s))).collect();
        closures.extend(self.resolved.iter().map(|(day, n)| format!("{n} of them resolved by warmset on {day}")));
        let apart = match self.unreached.len() {
            0 => String::new(),
            1 => "; 1 file not reached".to_string(),
            n => format!("; {n} files not reached"),
        };
        let head = |name: &str| paint(BOLD, format!("{name:<11}"));
        format!(
            "{}{functions}\n{}{}\n{}{} at a version; {} of {} sources read among {} files{apart}\n",
            head("functions"),
            head("closures"),
            if closures.is_empty() { "none".to_string() } else { closures.join(", ") },
            head("packages"),
            self.packages,
            self.files.read,
            self.files.sources,
            self.files.seen,
        )
    }
}

/// For telling files apart, not for keeping.
fn hash(file: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    file.hash(&mut hasher);
    hasher.finish()
}

/// A lock in the function's folder by its name, others by their path.
fn lock<'a>(file: &'a str, folder: &str) -> &'a str {
    file.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')).unwrap_or(file)
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
