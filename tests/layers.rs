//! Imports point only up the list of layers: whoever reads one layer needs to know only those before it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// As `src/lib.rs` and ARCHITECTURE.md state it.
const LAYERS: [&str; 11] =
    ["model", "discover", "source", "lock", "resolve", "graph", "cost", "solve", "emit", "live", "cli"];

/// Layers that a line of code names by `crate::LAYER`.
fn named(line: &str) -> Vec<usize> {
    line.match_indices("crate::")
        .filter_map(|(at, found)| {
            let rest = &line[at + found.len()..];
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            LAYERS.iter().position(|layer| *layer == &rest[..end])
        })
        .collect()
}

#[test]
fn no_layer_imports_one_below_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    let mut read = 0;
    for (rank, layer) in LAYERS.iter().enumerate() {
        for entry in walkdir::WalkDir::new(src.join(layer)).into_iter().map(Result::unwrap) {
            if entry.path().extension().is_none_or(|e| e != "rs") {
                continue;
            }
            read += 1;
            let text = std::fs::read_to_string(entry.path()).unwrap();
            for (at, line) in text.lines().enumerate() {
                for other in named(line).into_iter().filter(|other| *other > rank) {
                    wrong.push(format!("{}:{}: {layer} uses {}", entry.path().display(), at + 1, LAYERS[other]));
                }
            }
        }
    }
    assert!(read > LAYERS.len(), "only {read} files were read");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_folder_is_a_layer() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in std::fs::read_dir(src).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            let name = entry.file_name().into_string().unwrap();
            assert!(LAYERS.contains(&name.as_str()), "src/{name} is not in the list");
        }
    }
}

#[test]
fn only_cli_prints_and_only_cli_and_live_write_or_run() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let prints = ["println!(", "eprintln!(", "print!("];
    let acts = ["fs::write", "File::create", "create_dir", "remove_", "Command::new"];
    let mut wrong = Vec::new();
    let tests = test_modules(&src);
    for layer in &LAYERS[..LAYERS.len() - 1] {
        let forbidden: Vec<&str> =
            if *layer == "live" { prints.to_vec() } else { prints.iter().chain(&acts).copied().collect() };
        for entry in walkdir::WalkDir::new(src.join(layer)).into_iter().map(Result::unwrap) {
            if entry.path().extension().is_none_or(|e| e != "rs") || tests.contains(entry.path()) {
                continue;
            }
            let text = std::fs::read_to_string(entry.path()).unwrap();
            // Tests may build folders to read.
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or("");
            for (at, line) in code.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")) {
                if forbidden.iter().any(|f| line.contains(f)) {
                    wrong.push(format!("{}:{}: {}", entry.path().display(), at + 1, line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Files of modules that are compiled for tests only: `#[cfg(test)]` before `mod name;`.
fn test_modules(src: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for entry in walkdir::WalkDir::new(src).into_iter().map(Result::unwrap) {
        let path = entry.path();
        if path.extension().is_none_or(|e| e != "rs") {
            continue;
        }
        let folder = if path.ends_with("mod.rs") { path.with_file_name("") } else { path.with_extension("") };
        let text = std::fs::read_to_string(path).unwrap();
        for after in text.split("#[cfg(test)]\nmod ").skip(1) {
            if let Some((name, _)) = after.lines().next().unwrap_or("").split_once(';') {
                files.insert(folder.join(format!("{name}.rs")));
            }
        }
    }
    files
}
