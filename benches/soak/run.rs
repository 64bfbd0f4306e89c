//! The run: a runtime, callers, a killer and a watcher, and the report.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use warmset::cost::schedule::Schedule;
use warmset::live::sandbox::probe;

use crate::fleet::{self, Does, Soaked};
use crate::judge::{Executions, Findings, Heard, judge};
use crate::kill::{self, Kill};
use crate::runtime_support::{FIRST_ID, Served, warmset};
use crate::trace;
use crate::watch::{self, Held, Watch, slope};

/// What is asked for.
struct Options {
    minutes: f64,
    calls: usize,
    seed: u64,
    kill_every: f64,
    retries: usize,
    standby: u32,
    at_once: usize,
    /// As of `serve`: `auto`, or `none` for a run without sandboxes.
    isolation: String,
    is_test: bool,
}

fn options() -> Options {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let is_test = args.iter().any(|arg| arg == "--test");
    let of = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1)).cloned();
    let number = |name: &str, long: f64, short: f64| {
        let stated = of(name).map(|text| text.parse().unwrap_or_else(|_| panic!("{name} {text} is no number")));
        stated.unwrap_or(if is_test { short } else { long })
    };
    Options {
        minutes: number("--minutes", 10.0, 0.07),
        calls: number("--calls", 50_000.0, 150.0) as usize,
        seed: number("--seed", 1.0, 1.0) as u64,
        kill_every: number("--kill-every", 4.0, 0.4),
        retries: number("--retries", 0.0, 0.0) as usize,
        standby: number("--standby", 1.0, 1.0) as u32,
        at_once: number("--at-once", 48.0, 16.0) as usize,
        isolation: of("--isolation").unwrap_or_else(|| "auto".to_string()),
        is_test,
    }
}

fn load() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap_or_default().split(' ').take(3).collect::<Vec<_>>().join(" ")
}

pub fn main() -> ExitCode {
    let options = options();
    // All that the runtime starts stays below this process, whoever of them ends.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).expect("a subreaper");
    // Everything that is temporary is below one folder, which others do not use.
    let temporary = tempfile::tempdir().expect("a temporary folder");
    std::fs::set_permissions(temporary.path(), PermissionsExt::from_mode(0o755)).expect("a mode");
    let Some(soaked) = fleet::make() else {
        println!("skipped: there is no python3");
        return ExitCode::SUCCESS;
    };
    let is_none = options.isolation == "none";
    let lacks = if is_none {
        Vec::new()
    } else {
        probe(&warmset(), FIRST_ID.parse().expect("a number")).expect("a trial").lacks
    };
    match (is_none, lacks.is_empty()) {
        (true, _) => println!("isolation: none, as asked for"),
        (false, true) => println!("isolation: full"),
        (false, false) => {
            println!("isolation: not full. Without:");
            lacks.iter().for_each(|lack| println!("  {}: {}", lack.what, lack.why));
        }
    }
    let isolated = !is_none && lacks.iter().all(|lack| lack.what != "namespaces");
    let (before, begun) = (load(), Instant::now());
    let mut run = Run::start(&options, soaked, temporary.path(), isolated, !lacks.is_empty());
    let findings = run.all();
    println!("load {before} before, {} after; {:.0} s in all", load(), begun.elapsed().as_secs_f64());
    findings.print();
    if findings.is_empty() {
        println!("nothing lost, doubled or leaked");
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// One run.
struct Run<'a> {
    options: &'a Options,
    soaked: Soaked,
    temporary: &'a Path,
    isolated: bool,
    allow_missing: bool,
    seen: Mutex<BTreeMap<u64, Executions>>,
    next: AtomicU64,
    running: AtomicUsize,
}

/// Ends the reader when it is dropped: all that was written before has been read then.
struct Ends(File);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.write_all(b"Q\n");
    }
}

/// What was seen while calls were made.
struct Sample {
    minutes: f64,
    running: usize,
    held: Held,
}

impl<'a> Run<'a> {
    fn start(options: &'a Options, soaked: Soaked, temporary: &'a Path, isolated: bool, allow_missing: bool) -> Self {
        let seen = Mutex::new(BTreeMap::new());
        let (next, running) = (AtomicU64::new(1), AtomicUsize::new(0));
        Self { options, soaked, temporary, isolated, allow_missing, seen, next, running }
    }

    fn serve_options(&self) -> Vec<String> {
        let Options { isolation, standby, retries, .. } = self.options;
        let mut all = vec!["--standby".to_string(), standby.to_string(), "--retries".into(), retries.to_string()];
        all.extend(["--isolation".to_string(), isolation.clone(), "--first-id".into(), FIRST_ID.into()]);
        if self.allow_missing {
            all.push("--allow-missing-isolation".into());
        }
        all
    }

    fn all(&mut self) -> Findings {
        let mut findings = Findings::default();
        let this = &*self;
        let over = AtomicBool::new(false);
        let fifo = File::options().read(true).write(true).open(&this.soaked.fifo).expect("the FIFO");
        let _ = rustix::pipe::fcntl_setpipe_size(&fifo, 1 << 20);
        let told = Ends(fifo.try_clone().expect("the FIFO"));
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| this.read(fifo));
            this.serve(&mut findings, &over);
            drop(told);
            reader.join().expect("the reader");
        });
        findings
    }

    /// Takes what handlers say until it is told to end.
    fn read(&self, fifo: File) {
        for line in BufReader::new(fifo).lines().map_while(Result::ok) {
            let words: Vec<&str> = line.split(' ').collect();
            let [mark, id, nonce] = words[..] else { return };
            let mut seen = self.seen.lock().expect("not poisoned");
            let of = seen.entry(id.parse().expect("an id")).or_default();
            if mark == "B" { &mut of.begun } else { &mut of.ended }.push(nonce.to_string());
        }
    }

    fn serve(&self, findings: &mut Findings, over: &AtomicBool) {
        let (options, fleet) = (self.options, &self.soaked.fleet);
        let arguments = self.serve_options();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let folder = |name: &str| fleet.path(name);
        let folders = vec![self.temporary.to_path_buf(), folder("cache"), folder("run")];
        let count = |folders: &[std::path::PathBuf]| folders.iter().map(|f| fleet::files(f)).collect::<Vec<_>>();
        let begun = Instant::now();
        let mut served = fleet.serve_in(&arguments, &[("TMPDIR", self.temporary)]);
        let mut files_before = count(&folders);
        let watch = Watch { runtime: served.pid(), fleet: fleet.dir.path().to_path_buf(), folders: folders.clone() };
        self.quiet(&served);
        println!("set up in {:.1} s: {} functions", begun.elapsed().as_secs_f64(), self.soaked.functions.len());

        // Pools, control groups and the allocator's arenas are what a busy runtime has before anything is compared.
        let ids: Vec<&str> = self.soaked.functions.iter().map(|(id, _)| *id).collect();
        let first = (options.calls / 20).clamp(ids.len() * 2, 3000);
        let warm = trace::hour(options.seed ^ 0x7761_726d, &ids, first, first as f64 / 80.0);
        let mut calls = self.drive(&warm, &served, Instant::now() + Duration::from_secs(300)).0;
        self.burst(&served, &mut calls);
        self.quiet(&served);
        let at_rest = watch.look(true);

        let seconds = options.minutes * 60.0;
        let schedule = trace::hour(options.seed, &ids, options.calls, seconds);
        println!("{} calls: {}", schedule.calls.len(), schedule.describes);
        let warmed = calls.len();
        let start = Instant::now();
        let (mut kills, mut samples, mut unsent) = (Vec::new(), Vec::new(), 0);
        std::thread::scope(|scope| {
            let killer =
                scope.spawn(|| kill::go(served.pid(), options.seed, Duration::from_secs_f64(options.kill_every), over));
            let watcher = scope.spawn(|| self.sample(&watch, start, over));
            let end = start + Duration::from_secs_f64(seconds * 1.5 + 2.0);
            let (heard, left) = self.drive(&schedule, &served, end);
            calls.extend(heard);
            unsent = left;
            over.store(true, Ordering::SeqCst);
            kills = killer.join().expect("the killer");
            samples = watcher.join().expect("the watcher");
        });
        let took = start.elapsed().as_secs_f64();
        self.quiet(&served);
        let rested = self.rests(&watch, &at_rest);
        let status = served.status();
        let tree: Vec<u32> = watch::descendants(served.pid()).iter().map(|p| p.pid).collect();
        let runtime = served.pid();
        let exit = served.end(rustix::process::Signal::TERM);
        // One image is stale, which is a finding of its own.
        if exit != Some(1) {
            findings.add("end of the runtime", format!("status {exit:?}: {}", served.said()));
        }
        after(runtime, &tree, findings);
        // What it has installed it keeps, and its log is this bench's.
        let files_after = count(&folders);
        files_before.iter_mut().for_each(|of| of.retain(|f| !f.starts_with("scratch/") && f != "s"));
        for (before, now) in files_before.iter().zip(&files_after) {
            now.iter().filter(|f| !before.contains(f)).for_each(|f| findings.add("leaked file", f.clone()));
        }
        // All writers have ended, and the reader takes what they wrote before this look.
        std::thread::sleep(Duration::from_millis(300));
        judge(&calls, &self.seen.lock().expect("not poisoned"), &kills, options.retries, findings);
        counted(&status, calls.len(), findings);
        leaks(&at_rest, &rested, options, findings);
        self.report(&calls[warmed..], &kills, &samples, (took, unsent), (&at_rest, &rested), &status);
    }

    /// As many calls at once as there will be.
    fn burst(&self, served: &Served<'_>, calls: &mut Vec<Heard>) {
        let socket = served.fleet.socket();
        let all: Vec<Heard> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.options.at_once)
                .map(|at| {
                    let socket = &socket;
                    let (function, does) = self.soaked.functions[at % self.soaked.functions.len()];
                    scope.spawn(move || self.call(socket, function, does, Duration::ZERO))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("a call")).collect()
        });
        calls.extend(all);
    }

    /// Makes the calls of a schedule at their times, or as soon after as others have ended. Gives those that were made, and
    /// how many were not as it took too long.
    fn drive(&self, schedule: &Schedule, served: &Served<'_>, end: Instant) -> (Vec<Heard>, usize) {
        let due: (Mutex<(VecDeque<usize>, bool)>, Condvar) = Default::default();
        let heard = Mutex::new(Vec::with_capacity(schedule.calls.len()));
        let (start, socket) = (Instant::now(), served.fleet.socket());
        std::thread::scope(|scope| {
            for _ in 0..self.options.at_once {
                scope.spawn(|| {
                    loop {
                        let at = {
                            let mut queue = due.0.lock().expect("not poisoned");
                            loop {
                                if let Some(at) = queue.0.pop_front() {
                                    break at;
                                }
                                if queue.1 {
                                    return;
                                }
                                queue = due.1.wait(queue).expect("not poisoned");
                            }
                        };
                        if Instant::now() > end {
                            continue;
                        }
                        let call = &schedule.calls[at];
                        let (function, does) = self.soaked.functions[call.function];
                        let late = start.elapsed().saturating_sub(Duration::from_secs_f64(call.at_s));
                        let told = self.call(&socket, function, does, late);
                        heard.lock().expect("not poisoned").push(told);
                    }
                });
            }
            for (at, call) in schedule.calls.iter().enumerate() {
                let left = Duration::from_secs_f64(call.at_s).saturating_sub(start.elapsed());
                std::thread::sleep(left);
                due.0.lock().expect("not poisoned").0.push_back(at);
                due.1.notify_one();
            }
            due.0.lock().expect("not poisoned").1 = true;
            due.1.notify_all();
        });
        let heard = heard.into_inner().expect("not poisoned");
        let left = schedule.calls.len() - heard.len();
        (heard, left)
    }

    fn call(&self, socket: &Path, function: &'static str, does: Does, late: Duration) -> Heard {
        let id = self.next.fetch_add(1, Ordering::SeqCst);
        let event = fleet::event(id, does, self.isolated).to_string();
        self.running.fetch_add(1, Ordering::SeqCst);
        let sent = Instant::now();
        let answer = ask(socket, function, event.as_bytes());
        let ended = Instant::now();
        self.running.fetch_sub(1, Ordering::SeqCst);
        Heard { id, function, does, sent, ended, late, answer }
    }

    /// Waits until all images run, pools are full and the runtime's idle threads have ended (a test does not wait for
    /// those, which takes ten seconds).
    fn quiet(&self, served: &Served<'_>) {
        let end = Instant::now() + Duration::from_secs(if self.options.is_test { 20 } else { 90 });
        let (mut before, mut since) = (Value::Null, Instant::now());
        let wanted = Duration::from_millis(if self.options.is_test { 400 } else { 14_000 });
        // Each look wakes one of the threads that wait for calls, and keeps it.
        let pause = Duration::from_millis(if self.options.is_test { 100 } else { 1000 });
        while Instant::now() < end && since.elapsed() < wanted {
            std::thread::sleep(pause);
            let images = served.status()["images"].clone();
            let state: Vec<Value> = (images.as_object().into_iter().flatten())
                .map(|(id, image)| serde_json::json!([id, image["up"], image["ready"], image["pids"]]))
                .collect();
            let state = Value::Array(state);
            let all_up = images.as_object().into_iter().flatten().all(|(id, i)| id == "stale" || i["up"] == true);
            if state != before || !all_up {
                (before, since) = (state, Instant::now());
            }
        }
    }

    /// What is held when all has ended; what ends by itself is given a while.
    fn rests(&self, watch: &Watch, before: &Held) -> Held {
        let mut held = watch.look(true);
        for _ in 0..20 {
            if held.count() == before.count() && held.descriptors <= before.descriptors {
                break;
            }
            std::thread::sleep(Duration::from_millis(250));
            held = watch.look(true);
        }
        held
    }

    fn sample(&self, watch: &Watch, start: Instant, over: &AtomicBool) -> Vec<Sample> {
        let mut samples = Vec::new();
        while !over.load(Ordering::SeqCst) {
            let running = self.running.load(Ordering::SeqCst);
            let held = watch.look(samples.len() % 4 == 0);
            samples.push(Sample { minutes: start.elapsed().as_secs_f64() / 60.0, running, held });
            let pause = if self.options.is_test { 250 } else { 1500 };
            std::thread::sleep(Duration::from_millis(pause));
        }
        samples
    }

    fn report(
        &self,
        calls: &[Heard],
        kills: &[Kill],
        samples: &[Sample],
        (took, unsent): (f64, usize),
        (before, after): (&Held, &Held),
        status: &Value,
    ) {
        println!(
            "\n{} calls in {took:.0} s: {:.1} a second; {unsent} of the trace not made for want of time",
            calls.len(),
            calls.len() as f64 / took
        );
        let mut late: Vec<f64> = calls.iter().map(|c| c.late.as_secs_f64() * 1e3).collect();
        println!(
            "sent after their time: p50 {:.0} ms, p99 {:.0} ms",
            quantile(&mut late, 0.5),
            quantile(&mut late, 0.99)
        );
        let mut killed: BTreeMap<&str, usize> = BTreeMap::new();
        kills.iter().for_each(|kill| *killed.entry(kill.role.name()).or_default() += 1);
        println!("killed: {} {killed:?}", kills.len());
        let restarts: u64 =
            status["images"].as_object().into_iter().flatten().filter_map(|(_, i)| i["restarts"].as_u64()).sum();
        println!("images started anew: {restarts}\n");
        let mut of: BTreeMap<(String, &str), Vec<f64>> = BTreeMap::new();
        let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
        for call in calls {
            let Ok((_, told)) = &call.answer else { continue };
            let language = if matches!(call.function.split('-').next(), Some("page" | "hook" | "node")) {
                "Node"
            } else {
                "Python"
            };
            let start = told["start"].as_str().unwrap_or("").to_string();
            of.entry((start, language)).or_default().push((call.ended - call.sent).as_secs_f64() * 1e3);
            *outcomes.entry(told["outcome"].as_str().unwrap_or("").to_string()).or_default() += 1;
        }
        println!("{:10} {:8} {:>8} {:>7} {:>9} {:>9}", "start", "", "calls", "share", "p50 ms", "p99 ms");
        for ((start, language), mut times) in of {
            let share = times.len() as f64 / calls.len() as f64 * 100.0;
            let (p50, p99) = (quantile(&mut times, 0.5), quantile(&mut times, 0.99));
            println!("{start:10} {language:8} {:>8} {share:>6.1}% {p50:>9.1} {p99:>9.1}", times.len());
        }
        println!("outcomes {outcomes:?}\n");
        self.holdings(samples, before, after);
    }

    fn holdings(&self, samples: &[Sample], before: &Held, after: &Held) {
        println!("{:36} {:>10} {:>10} {:>10}", "held by the runtime", "before", "most", "after");
        type Pick = fn(&Held) -> f64;
        let rows: [(&str, Pick); 13] = [
            ("processes below it", |h| h.count() as f64),
            ("ended, not waited for", |h| h.zombies as f64),
            ("orphans", |h| h.orphans.len() as f64),
            ("descriptors", |h| h.descriptors as f64),
            ("of those sockets", |h| h.sockets as f64),
            ("threads", |h| h.threads as f64),
            ("namespaces", |h| h.namespaces as f64),
            ("mounts of sandboxes outside of them", |h| h.mounts as f64),
            ("control groups", |h| h.groups as f64),
            ("of those with processes", |h| h.full_groups as f64),
            ("files", |h| h.files as f64),
            ("its proportional set, MB", |h| h.own_mb),
            ("its resident set, MB", |h| h.own_rss_mb),
        ];
        for (name, pick) in rows {
            let most = samples.iter().map(|s| pick(&s.held)).fold(0.0, f64::max);
            println!("{name:36} {:>10.1} {most:>10.1} {:>10.1}", pick(before), pick(after));
        }
        let most = samples.iter().filter_map(|s| s.held.tree_mb).fold(0.0, f64::max);
        let tree = |held: &Held| held.tree_mb.unwrap_or(0.0);
        println!("{:36} {:>10.1} {most:>10.1} {:>10.1}", "the whole tree's, MB", tree(before), tree(after));
        for (what, from) in [("all", 0), ("the second half", samples.len() / 2)] {
            let part = samples.get(from..).unwrap_or_default();
            let own: Vec<(f64, f64)> = part.iter().map(|s| (s.minutes, s.held.own_mb)).collect();
            let whole: Vec<(f64, f64)> = part.iter().filter_map(|s| Some((s.minutes, s.held.tree_mb?))).collect();
            println!("slope of {what}, MB a minute: runtime {:+.3}, whole tree {:+.2}", slope(&own), slope(&whole));
        }
        let most = samples.iter().map(|s| s.running).max().unwrap_or(0);
        println!("most calls at once {most}");
    }
}

/// Asks as a caller does, over a connection of its own, and takes all that comes until it is closed.
fn ask(socket: &Path, function: &str, body: &[u8]) -> Result<(u16, Value), String> {
    let connect = || -> std::io::Result<Vec<u8>> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(90)))?;
        let length = body.len();
        write!(
            stream,
            "POST /invoke/{function} HTTP/1.1\r\nHost: warmset\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        )?;
        stream.write_all(body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = connect().map_err(|e| e.to_string())?;
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").ok_or("no head")?;
    let status =
        String::from_utf8_lossy(&answer[..end]).split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or("no status")?;
    // One answer and nothing after it: a second one is no JSON any more.
    let told = serde_json::from_slice(&answer[end + 4..]).map_err(|e| format!("{status}: {e}"))?;
    Ok((status, told))
}

/// What is left when the runtime has ended.
fn after(runtime: u32, tree: &[u32], findings: &mut Findings) {
    for _ in 0..50 {
        let left =
            watch::groups(runtime).len() + tree.iter().filter(|pid| crate::runtime_support::is_running(**pid)).count();
        if left == 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    for group in watch::groups(runtime) {
        findings.add("leaked control group", group.display().to_string());
    }
    // What has ended and came to this bench is as good as gone: another parent would have waited for it.
    for process in watch::descendants(std::process::id()).into_iter().filter(|process| !process.ended) {
        findings.add("leaked process", format!("{process:?}"));
    }
    for pid in tree.iter().filter(|pid| crate::runtime_support::is_running(**pid)) {
        findings.add("leaked process", pid.to_string());
    }
}

/// The runtime's own count of calls is the callers'.
fn counted(status: &Value, calls: usize, findings: &mut Findings) {
    let starts = status["starts"].as_array().into_iter().flatten();
    let sum: u64 =
        starts.flat_map(|s| s["outcomes"].as_object().into_iter().flatten()).filter_map(|(_, n)| n.as_u64()).sum();
    if sum != calls as u64 {
        findings.add("metrics", format!("{sum} calls are counted, and {calls} were made"));
    }
}

/// What is held at rest before and after all calls.
fn leaks(before: &Held, after: &Held, options: &Options, findings: &mut Findings) {
    let mut same = |what: &'static str, before: usize, after: usize| {
        if after > before {
            findings.add(what, format!("{before} before, {after} after"));
        }
    };
    for (role, count) in &after.processes {
        same("leaked process", before.processes.get(role).copied().unwrap_or(0), *count);
    }
    same("leaked process", 0, after.zombies);
    same("leaked process", 0, after.orphans.len());
    same("leaked descriptor", before.descriptors, after.descriptors);
    same("leaked namespace", before.namespaces, after.namespaces);
    same("leaked mount", before.mounts, after.mounts);
    same("leaked control group", before.full_groups, after.full_groups);
    same("leaked file", before.files, after.files);
    if !options.is_test {
        same("leaked thread", before.threads, after.threads);
    }
    for (role, count) in &before.processes {
        if after.processes.get(role).copied().unwrap_or(0) < *count {
            findings.add(
                "process that was not replaced",
                format!("{role}: {count} before, {:?} after", after.processes.get(role)),
            );
        }
    }
    let mut flat = |what: &'static str, before: f64, after: f64, slack: f64| {
        if after > before * 1.1 + slack {
            findings.add(what, format!("{before:.1} MB before, {after:.1} MB after"));
        }
    };
    flat("memory of the runtime", before.own_mb, after.own_mb, 4.0);
    flat("memory of all", before.tree_mb.unwrap_or(0.0), after.tree_mb.unwrap_or(0.0), 8.0);
}

fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(((values.len() as f64 * share) as usize).min(values.len().saturating_sub(1))).copied().unwrap_or(0.0)
}
