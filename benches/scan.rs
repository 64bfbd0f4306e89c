//! How long it takes to scan fleets, from the folder to the inventory, and how much memory; and how that compares with what others
//! take to read the same files.
//!
//! `cargo bench --bench scan` first runs the program itself on generated fleets, beside `ruff analyze graph` on the same Python
//! files and esbuild on the same JavaScript and TypeScript files, and prints a table with ratios; then how much memory larger
//! fleets take; then criterion times the parts. `RUFF` and `ESBUILD` name the programs where they are neither on the path nor
//! where `.ci/run` installs them; what is not there is named and left out. CPU time counts: on a busy machine the ratio of
//! elapsed times says little.

#[path = "../examples/support/fleet.rs"]
mod fleet;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group};
use fleet::{Only, SOURCES, Shape, write_fleet};
use warmset::discover::{self, Defaults, Limits, Tree};
use warmset::model::State;
use warmset::resolve::{ScanOptions, scan};

/// What one run took.
#[derive(Debug, Clone, Copy)]
struct Took {
    elapsed: f64,
    cpu: f64,
    /// Largest resident memory, MB.
    peak: f64,
}

/// Runs a program to its end. Its peak memory is asked for while it runs: the kernel keeps the highest value.
fn run(command: &mut Command) -> Option<Took> {
    run_with(command, Stdio::null())
}

fn run_with(command: &mut Command, stdin: Stdio) -> Option<Took> {
    let before = children_cpu();
    let started = Instant::now();
    let mut child = command.stdin(stdin).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
    let mut peak = 0.0f64;
    let status = loop {
        peak = peak.max(resident_peak(&child));
        if let Some(status) = child.try_wait().ok()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    // 1 is warmset's way to say that there are findings.
    let worked = status.code().is_some_and(|code| code < 2);
    worked.then(|| Took { elapsed: started.elapsed().as_secs_f64(), cpu: children_cpu() - before, peak })
}

fn resident_peak(child: &Child) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|kb| kb.trim().trim_end_matches(" kB").parse::<f64>().ok()).map_or(0.0, |kb| kb / 1024.0)
}

/// Seconds of CPU of the children that ended: fields 16 and 17 of proc(5)'s stat, in hundredths.
fn children_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(13) + ticks(14)) / 100.0
}

/// The run with the least CPU time of several.
fn best(runs: usize, mut command: impl FnMut() -> Command) -> Option<Took> {
    let all: Option<Vec<Took>> = (0..runs).map(|_| run(&mut command())).collect();
    all?.into_iter().min_by(|a, b| a.cpu.total_cmp(&b.cpu))
}

fn warmset(fleet: &Path, cache: Option<&Path>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warmset"));
    command.args(["--quiet", "--threads", "2", "scan"]).arg(fleet);
    command.arg("--out").arg(fleet.with_extension("json"));
    if let Some(cache) = cache {
        command.arg("--cache").arg(cache);
    }
    command
}

fn row(what: &str, functions: usize, files: usize, took: Took) {
    let per_thousand = |n: usize| took.elapsed * 1000.0 / n as f64;
    println!(
        "{what:<34} {:>8.3} s {:>8.3} s CPU {:>7.0} MB {:>9.3} s {:>9.3} s",
        took.elapsed,
        took.cpu,
        took.peak,
        per_thousand(functions),
        per_thousand(files)
    );
}

/// A program by its variable, by its place in the folder of `.ci/run`, or by its name.
fn program(variable: &str, name: &str, installed: &str) -> PathBuf {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    let installed = cache.map(|cache| cache.join("warmset-ci").join(installed)).filter(|path| path.is_file());
    std::env::var_os(variable).map(PathBuf::from).or(installed).unwrap_or_else(|| name.into())
}

fn others(only: Only, fleet: &Path, folders: &[String]) -> (&'static str, Option<Took>) {
    match only {
        Only::Python => {
            let ruff = program("RUFF", "ruff", "tools/bin/ruff");
            let command = || {
                let mut command = Command::new(&ruff);
                command.args(["analyze", "graph", "--preview"]).arg(fleet).current_dir(fleet);
                command.env("RAYON_NUM_THREADS", "2");
                command
            };
            ("ruff analyze graph", best(3, command))
        }
        Only::Node => {
            let esbuild = program("ESBUILD", "esbuild", "esbuild/node_modules/.bin/esbuild");
            let entry = |folder: &String| {
                let typed = fleet.join(folder).join("handler.ts").is_file();
                format!("{folder}/handler.{}", if typed { "ts" } else { "mjs" })
            };
            let entries: Vec<String> = folders.iter().map(entry).collect();
            let command = || {
                let mut command = Command::new(&esbuild);
                command.args([
                    "--bundle",
                    "--packages=external",
                    "--platform=node",
                    "--format=esm",
                    "--log-level=error",
                ]);
                command.args(["--metafile=../bundled.json", "--outdir=../bundled"]).args(&entries).current_dir(fleet);
                command.env("GOMAXPROCS", "2");
                command
            };
            ("esbuild --bundle --metafile", best(3, command))
        }
    }
}

/// Runs the program and others on the same files.
fn compare(functions: usize) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    println!(
        "Whole runs on {functions} generated functions with {SOURCES} sources each, 2 threads, files in the page cache; of three \
         runs the one with the least CPU time"
    );
    println!("{:<34} {:>10} {:>14} {:>10} {:>11} {:>11}", "", "elapsed", "CPU", "peak", "per 1000 fn", "1000 files");
    for (name, only) in [("mixed", None), ("Python", Some(Only::Python)), ("JS and TS", Some(Only::Node))] {
        let fleet = folder.path().join(name.replace(' ', "-"));
        let shape = Shape { functions, seed: 7, alone: false, only, flaws: false };
        let folders = write_fleet(&fleet, shape).expect("a temporary folder is writable");
        let files = functions * SOURCES;
        let Some(cold) = best(3, || warmset(&fleet, None)) else { panic!("warmset failed") };
        row(&format!("{name}: warmset"), functions, files, cold);
        let cache = folder.path().join("cache").join(name);
        let filled = best(1, || warmset(&fleet, Some(&cache)));
        let Some((filled, cached)) = filled.zip(best(3, || warmset(&fleet, Some(&cache)))) else {
            panic!("warmset failed")
        };
        row(&format!("{name}: warmset, filling a cache"), functions, files, filled);
        row(&format!("{name}: warmset, cached"), functions, files, cached);
        println!("{:<34} cached : cold = {:.2} (CPU)", "", cached.cpu / cold.cpu);
        let Some(only) = only else { continue };
        match others(only, &fleet, &folders) {
            (other, Some(took)) => {
                row(&format!("{name}: {other}"), functions, files, took);
                println!(
                    "{:<34} warmset : {other} = {:.2} (CPU), {:.2} (elapsed)",
                    "",
                    cold.cpu / took.cpu,
                    cold.elapsed / took.elapsed
                );
            }
            (other, None) => println!("{name}: {other} is not installed, left out"),
        }
    }
}

/// How peak memory grows with a fleet: scanned whole, and by path as a stream.
fn memory(sizes: [usize; 2]) {
    println!("Peak memory: `scan FLEET --out`, which lists all paths first, and `scan FLEET --stdin --format jsonl`");
    for functions in sizes {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let fleet = folder.path().join("fleet");
        let shape = Shape { functions, seed: 7, alone: true, only: None, flaws: false };
        let paths = write_fleet(&fleet, shape).expect("a temporary folder is writable");
        let list = folder.path().join("paths");
        std::fs::write(&list, paths.join("\n")).expect("a temporary folder is writable");
        let by_path = |command: &mut Command| -> Option<Took> {
            command.args(["--quiet", "--threads", "2", "scan"]).arg(&fleet).args(["--stdin", "--format", "jsonl"]);
            run_with(command, std::fs::File::open(&list).ok()?.into())
        };
        let whole = run(&mut warmset(&fleet, None)).map_or(0.0, |took| took.peak);
        let stream = by_path(&mut Command::new(env!("CARGO_BIN_EXE_warmset"))).map_or(0.0, |took| took.peak);
        println!("{functions:>8} functions {whole:>8.0} MB whole {stream:>8.0} MB as a stream");
    }
}

fn bench(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let shape = Shape { functions: 500, seed: 7, alone: false, only: None, flaws: false };
    write_fleet(folder.path(), shape).expect("a temporary folder is writable");
    let options = ScanOptions::default();
    let run = || scan(folder.path(), &options, &|_| {}).expect("the fleet is a folder");
    let inventory = run();
    let locked = inventory.functions.iter().filter(|f| f.state == State::Locked).count();
    eprintln!(
        "{} functions ({locked} locked), {} of {} sources read, {} packages, {} diagnostics",
        inventory.functions.len(),
        inventory.files.read,
        inventory.files.sources,
        inventory.packages.len(),
        inventory.diagnostics.iter().filter(|d| d.is_finding()).count(),
    );
    assert_eq!((inventory.functions.len(), inventory.files.read), (500, 2500));

    let mut group = criterion.benchmark_group("500-functions-2500-sources");
    group.sample_size(10);
    group.bench_function("list-files", |b| {
        b.iter(|| Tree::open(folder.path(), Limits::default()).map(|t| t.files().count()))
    });
    let tree = Tree::open(folder.path(), Limits::default()).expect("the fleet is a folder");
    group.bench_function("discover", |b| b.iter(|| discover::discover(&tree, &Defaults::default()).sites.len()));
    group.bench_function("scan", |b| b.iter(|| run().functions.len()));
    group.finish();
}

criterion_group!(benches, bench);

fn main() {
    // Criterion runs everything once with --test; so does the comparison, on a small fleet.
    let once = std::env::args().any(|a| a == "--test");
    compare(if once { 50 } else { 1000 });
    memory(if once { [20, 40] } else { [1000, 10_000] });
    benches();
    Criterion::default().configure_from_args().final_summary();
}
