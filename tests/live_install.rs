//! Locks of a plan folder, installed by the real tools: needs an interpreter, uv or pip, npm, and their indexes.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use warmset::live::install::{Locked, Store};
use warmset::model::manifest::{ManifestClosure, SwapManifest};

mod common;

fn closure_with(package: &str, platform: &str) -> ManifestClosure {
    let text = std::fs::read_to_string(plan().join("swap-manifest.json")).unwrap();
    let manifest: SwapManifest = serde_json::from_str(&text).unwrap();
    let mut found: Vec<ManifestClosure> = manifest
        .closures
        .into_iter()
        .filter(|c| c.platform.to_string().starts_with(platform) && c.packages.iter().any(|p| p == package))
        .collect();
    found.sort_by_key(|c| c.packages.len());
    found.into_iter().next().expect("the fixture fleet has such a function")
}

fn plan() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/plans/fleet"))
}

/// Installs a closure twice, the second time from the store, and runs a line of code with it.
fn runs(package: &str, platform: &str, code: &str) {
    let closure = closure_with(package, platform);
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Duration::from_secs(300)).unwrap();
    let stop = AtomicBool::new(false);
    let Ok(interpreter) = store.interpreter(&closure.platform, &stop).map_err(|e| common::skip(&e.to_string())) else {
        return;
    };
    let locked = Locked::read(&closure.platform, &plan().join(&closure.folder)).unwrap();
    // An index that is not reached is no fault of the store; in CI it is one all the same.
    let made = store.ensure(&locked, &interpreter, &stop);
    let Ok(first) = made.map_err(|e| common::skip(&e.to_string())) else { return };
    assert!(!first.was_there);
    assert!(store.ensure(&locked, &interpreter, &stop).unwrap().was_there);
    assert_eq!(std::fs::read_dir(dir.path().join("scratch")).unwrap().count(), 0, "nothing half-made stays");
    let flag = if platform.starts_with("python") { "-c" } else { "-e" };
    let ran = Command::new(&interpreter.program)
        .args([flag, code])
        .env("PYTHONPATH", &first.folder)
        .current_dir(&first.folder)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn a_python_closure_is_installed_with_its_hashes() {
    runs("pyaes==1.6.1", "python3.11", "import pyaes; assert pyaes.AESModeOfOperationCTR(bytes(16)).encrypt(b'x')");
}

/// Else its size would tell where the cache was.
#[test]
fn bytecode_names_its_source_as_in_an_image() {
    let code = "import glob, marshal
[file] = glob.glob('pyaes/__pycache__/__init__.*.pyc')
name = marshal.loads(open(file, 'rb').read()[16:]).co_filename
assert name == '/opt/warm/pyaes/__init__.py', name";
    runs("pyaes==1.6.1", "python3.11", code);
}

#[test]
fn a_node_closure_is_installed_as_it_is_laid_out() {
    runs("dayjs@1.11.19", "node20", "if (require('dayjs')('2024-02-29').date() !== 29) process.exit(1)");
}

#[test]
fn a_lock_whose_hash_is_wrong_installs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Duration::from_secs(300)).unwrap();
    let stop = AtomicBool::new(false);
    let platform = closure_with("pyaes==1.6.1", "python3.11").platform;
    let Ok(interpreter) = store.interpreter(&platform, &stop).map_err(|e| common::skip(&e.to_string())) else { return };
    let text = format!("six==1.16.0 --hash=sha256:{}\n", "0".repeat(64));
    let files = [("requirements.lock".to_string(), text.into_bytes())].into_iter().collect();
    let error = store.ensure(&Locked { platform, files }, &interpreter, &stop).unwrap_err();
    if !error.to_string().to_lowercase().contains("hash") {
        return common::skip(&error.to_string());
    }
    assert_eq!(std::fs::read_dir(dir.path().join("environments")).unwrap().count(), 0);
}
