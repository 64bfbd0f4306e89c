//! The interpreters of this machine, by platform.
//!
//! Where they are looked for, in this order: `WARMSET_INTERPRETERS` (`python3.11=/path:node22=/path`), the `PATH`, pyenv's
//! and nvm's versions, uv's own Pythons, and for Node the builds that npm publishes as packages (into the store). Each is
//! asked what it is: a name alone proves nothing, and a shim can be there and refuse to run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::Deserialize;

use crate::live::process::{self, Ended};
use crate::model::{Language, Platform};

/// Names interpreters by hand: `python3.11=/path/to/python:node22=/path/to/node`.
pub const VARIABLE: &str = "WARMSET_INTERPRETERS";
const ASK_LIMIT: Duration = Duration::from_secs(30);

const ASK_PYTHON: &str = "import json, os, platform, site, sys; print('warmset ' + json.dumps({'program': os.path.realpath(\
    sys.executable), 'prefix': sys.base_prefix, 'site': site.getsitepackages([sys.base_prefix]), \
    'version': platform.python_version(), 'arch': platform.machine(), \
    'libc': 'glibc' if platform.libc_ver()[0] == 'glibc' else 'musl'}))";
const ASK_NODE: &str = "console.log('warmset ' + JSON.stringify({program: process.execPath, \
    prefix: require('path').dirname(require('path').dirname(process.execPath)), version: process.versions.node, \
    arch: {x64: 'x86_64', arm64: 'aarch64'}[process.arch] ?? process.arch, \
    libc: process.report?.getReport().header.glibcVersionRuntime ? 'glibc' : 'musl'}))";

/// An interpreter that has said what it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Interpreter {
    /// The program itself, links resolved.
    pub program: PathBuf,
    /// Folder that it and its standard library lie in.
    pub prefix: PathBuf,
    /// Python: folders of the packages that were installed for it.
    #[serde(default)]
    pub site: Vec<PathBuf>,
    /// In full: `3.11.7`, `20.20.2`.
    pub version: String,
    arch: String,
    libc: String,
}

impl Interpreter {
    /// Whether it is what a platform asks for.
    fn fits(&self, platform: &Platform) -> bool {
        let parts = |version: &str| version.split('.').map(str::to_string).collect::<Vec<_>>();
        let (own, wanted) = (parts(&self.version), parts(&platform.version));
        own.starts_with(&wanted) && self.arch == platform.arch && self.libc == platform.libc
    }
}

/// Why there is none, for people: what was looked for and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no {language} {version} for {platform} here{}{}", if .met.is_empty() { "" } else { ", only " }, .met.join(", "))]
pub struct Missing {
    language: Language,
    version: String,
    platform: Box<Platform>,
    met: Vec<String>,
}

impl Missing {
    /// What its user can do about it.
    pub fn next(&self) -> String {
        let name = format!("{}{}", self.language, self.version);
        format!("install {name}, or name it in {VARIABLE} ({name}=PATH)")
    }
}

/// Finds an interpreter for a platform; `builds` is a folder for Node's builds from npm, where those may be fetched.
///
/// # Errors
/// When none fits: of another version, architecture or C library.
pub fn find(platform: &Platform, builds: Option<&Path>, stop: &AtomicBool) -> Result<Interpreter, Missing> {
    let mut met = BTreeSet::new();
    let mut tried = BTreeSet::new();
    let mut fits = |program: PathBuf| {
        if !tried.insert(program.clone()) {
            return None;
        }
        let found = ask(&program, platform.language, stop)?;
        if found.fits(platform) {
            return Some(found);
        }
        met.insert(format!("{} {} ({}, {})", platform.language, found.version, found.arch, found.libc));
        None
    };
    for program in named(platform).into_iter().chain(on_path(platform)).chain(versioned(platform)) {
        if let Some(found) = fits(program) {
            return Ok(found);
        }
    }
    let other = match platform.language {
        Language::Python => from_uv(platform, stop),
        Language::Node => builds.and_then(|folder| from_npm(platform, folder, stop)),
    };
    if let Some(found) = other.and_then(fits) {
        return Ok(found);
    }
    Err(Missing {
        language: platform.language,
        version: platform.version.clone(),
        platform: Box::new(platform.clone()),
        met: met.into_iter().collect(),
    })
}

/// What a program says it is; `None` where it cannot be run or gives no such answer.
pub fn ask(program: &Path, language: Language, stop: &AtomicBool) -> Option<Interpreter> {
    let args: Vec<String> = match language {
        Language::Python => vec!["-I".into(), "-c".into(), ASK_PYTHON.into()],
        Language::Node => vec!["-e".into(), ASK_NODE.into()],
    };
    let said = say(program.to_str()?, &args, stop)?;
    let line = said.lines().find_map(|line| line.strip_prefix("warmset "))?;
    serde_json::from_str(line).ok()
}

/// What a program says when it ends well.
pub fn say(program: &str, args: &[String], stop: &AtomicBool) -> Option<String> {
    let scratch = tempfile::Builder::new().prefix("warmset-ask-").tempdir().ok()?;
    let ran = process::run(program, args, scratch.path(), scratch.path(), ASK_LIMIT, stop).ok()?;
    (ran.ended == Ended::Done(true)).then_some(ran.said)
}

fn named(platform: &Platform) -> Option<PathBuf> {
    let name = format!("{}{}", platform.language, platform.version);
    let all = std::env::var(VARIABLE).ok()?;
    all.split(':').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, path)| path.into())
}

fn on_path(platform: &Platform) -> Vec<PathBuf> {
    let names = match platform.language {
        Language::Python => vec![format!("python{}", platform.version), "python3".to_string()],
        Language::Node => vec!["node".to_string(), format!("node{}", platform.version)],
    };
    names.iter().flat_map(|name| which(name)).collect()
}

/// Every place of a program on the `PATH`.
pub fn which(name: &str) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(name)).filter(|file| file.is_file()).collect()
}

/// Those of pyenv and nvm, the newest first.
fn versioned(platform: &Platform) -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let variable = |name: &str, default: &str| std::env::var_os(name).map_or_else(|| home.join(default), PathBuf::from);
    let (root, prefix, program) = match platform.language {
        Language::Python => (variable("PYENV_ROOT", ".pyenv").join("versions"), "", "python3"),
        Language::Node => (variable("NVM_DIR", ".nvm").join("versions/node"), "v", "node"),
    };
    let wanted = format!("{prefix}{}.", platform.version);
    let mut found: Vec<(Vec<u64>, PathBuf)> = std::fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let numbers = name.strip_prefix(prefix)?.split('.').filter_map(|part| part.parse().ok()).collect();
            name.starts_with(&wanted).then(|| (numbers, entry.path().join("bin").join(program)))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, path)| path).collect()
}

/// A Python that uv keeps; it is asked to fetch none.
fn from_uv(platform: &Platform, stop: &AtomicBool) -> Option<PathBuf> {
    let args = ["python", "find", "--no-python-downloads", "--no-project", &platform.version].map(String::from);
    Some(say("uv", &args, stop)?.lines().last()?.trim().into())
}

/// Node's build from the package that npm publishes for this system.
fn from_npm(platform: &Platform, folder: &Path, stop: &AtomicBool) -> Option<PathBuf> {
    let arch = match platform.arch.as_str() {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        _ => return None,
    };
    if platform.libc != "glibc" || platform.arch != std::env::consts::ARCH {
        return None;
    }
    let name = format!("node-linux-{arch}");
    let prefix = folder.join(format!("node{}", platform.version));
    let program = prefix.join("node_modules").join(&name).join("bin/node");
    if !program.is_file() {
        std::fs::create_dir_all(&prefix).ok()?;
        let quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock", "--no-save"].map(String::from);
        let mut args = vec!["install".to_string(), "--prefix".into(), prefix.to_str()?.into()];
        args.extend(quiet);
        args.push(format!("{name}@{}", platform.version));
        process::run("npm", &args, &prefix, &prefix, Duration::from_secs(300), stop).ok()?;
    }
    program.is_file().then_some(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interpreter(version: &str) -> Interpreter {
        let text =
            format!(r#"{{"program": "/x", "prefix": "/", "version": "{version}", "arch": "x86_64", "libc": "glibc"}}"#);
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_version_fits_by_its_parts_and_not_by_its_digits() {
        let platform: Platform = "python3.1-linux-x86_64-glibc".parse().unwrap();
        assert!(interpreter("3.1.4").fits(&platform));
        assert!(!interpreter("3.11.7").fits(&platform));
        let node: Platform = "node20-linux-x86_64-glibc".parse().unwrap();
        assert!(interpreter("20.20.2").fits(&node));
        let musl: Platform = "node20-linux-x86_64-musl".parse().unwrap();
        assert!(!interpreter("20.20.2").fits(&musl));
    }

    #[test]
    fn what_is_missing_names_what_was_met_and_the_next_step() {
        let platform: Platform = "python2.6-linux-x86_64-glibc".parse().unwrap();
        let missing = find(&platform, None, &AtomicBool::new(false)).unwrap_err();
        assert!(missing.to_string().starts_with("there is no python 2.6 for python2.6-linux-x86_64-glibc here"));
        assert!(missing.next().contains("python2.6=PATH"));
    }
}
