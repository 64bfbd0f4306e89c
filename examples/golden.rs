//! Regenerates everything in the repository that warmset itself writes: `plans/fleet`, `schemas`, `completions`.
//!
//! `cargo run --example golden` writes; with `-- --check` it compares, names every file that differs, and exits with 1.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, ValueEnum};
use warmset::cli::args::Cli;

/// The command that `plans/fleet` is the output of. The budget is so large that every kind of image is among them: parents
/// and children, Python and Node.
const PLAN: &[&str] = &["plan", "fixtures/fleet", "--budget", "1GiB", "--name", "fleet"];

fn main() -> ExitCode {
    let check = std::env::args().any(|a| a == "--check");
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let scratch = std::env::temp_dir().join(format!("warmset-golden-{}", std::process::id()));
    let outcome = regenerate(&root, &scratch)
        .and_then(|()| if check { compare(&root, &scratch) } else { install(&root, &scratch) });
    let _ = std::fs::remove_dir_all(&scratch);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

const PARTS: [&str; 3] = ["plans/fleet", "schemas", "completions"];

fn regenerate(root: &Path, scratch: &Path) -> Result<(), String> {
    std::env::set_current_dir(root).map_err(|e| e.to_string())?;
    let out = |part: &str| scratch.join(part).display().to_string();
    std::fs::create_dir_all(scratch.join("plans")).map_err(|e| e.to_string())?;
    run(&[PLAN, &["--out", &out("plans/fleet"), "--quiet"]].concat())?;
    run(&["schema", "--out", &out("schemas")])?;
    completions(&scratch.join("completions")).map_err(|e| e.to_string())
}

fn run(args: &[&str]) -> Result<(), String> {
    let line = ["warmset"].iter().chain(args);
    let cli = Cli::try_parse_from(line).map_err(|e| e.to_string())?;
    match warmset::cli::execute(&cli) {
        code if code == ExitCode::SUCCESS => Ok(()),
        code => Err(format!("warmset {} ended with {code:?}", args.join(" "))),
    }
}

fn completions(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder.join("man"))?;
    for shell in clap_complete::Shell::value_variants().iter().filter(|s| **s != clap_complete::Shell::Elvish) {
        clap_complete::generate_to(*shell, &mut Cli::command(), "warmset", folder)?;
    }
    clap_mangen::generate_to(Cli::command(), folder.join("man"))
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .filter_map(|entry| {
            let relative = entry.path().strip_prefix(folder).ok()?.to_path_buf();
            Some((relative, std::fs::read(entry.path()).ok()?))
        })
        .collect()
}

fn compare(root: &Path, scratch: &Path) -> Result<(), String> {
    let mut stale = Vec::new();
    for part in PARTS {
        let (have, want) = (files(&root.join(part)), files(&scratch.join(part)));
        for path in have.keys().chain(want.keys()).collect::<std::collections::BTreeSet<_>>() {
            if have.get(path) != want.get(path) {
                stale.push(format!("  {part}/{}", path.display()));
            }
        }
    }
    if stale.is_empty() {
        println!("plans, schemas and completions are current");
        return Ok(());
    }
    Err(format!("not what warmset writes now:\n{}\nrun: cargo run --example golden", stale.join("\n")))
}

fn install(root: &Path, scratch: &Path) -> Result<(), String> {
    for part in PARTS {
        let target = root.join(part);
        let _ = std::fs::remove_dir_all(&target);
        for (path, bytes) in files(&scratch.join(part)) {
            let file = target.join(path);
            let parent = file.parent().ok_or("a file without a folder")?;
            std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&file, bytes)).map_err(|e| e.to_string())?;
        }
        println!("{part} written");
    }
    Ok(())
}
