//! Locked packages, installed by the ecosystem's own tools into folders that are named by what is in them.
//!
//! An environment is made in a folder beside its place and moved there when it is whole, so that neither a killed
//! installer nor two at once leave half of one. Install scripts of packages do not run, and nothing is resolved: what the
//! lock names is installed, by uv (else pip), or by `npm ci`.

pub mod code;
pub mod interpreter;
pub mod join;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use sha2::{Digest, Sha256};

use self::interpreter::{Interpreter, Missing, which};
use crate::live::process::{self, Ended};
use crate::model::{Language, Platform};

/// Rises when the same lock is installed otherwise than before.
const LAYOUT: &str = "1";

/// Lock files of a set of packages, by name, as they stand in a plan folder: `requirements.lock` and where needed
/// `requirements.unhashed.lock`, or `package.json` and `package-lock.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// Where the packages are to run.
    pub platform: Platform,
    /// Bytes by name.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Locked {
    /// Reads the lock files of an image's or a closure's folder.
    ///
    /// # Errors
    /// When the lock of the platform's language is not there.
    pub fn read(platform: &Platform, folder: &Path) -> io::Result<Self> {
        let (needed, optional): (&[&str], &[&str]) = match platform.language {
            Language::Python => (&["requirements.lock"], &["requirements.unhashed.lock"]),
            Language::Node => (&["package.json", "package-lock.json"], &[]),
        };
        let mut files = BTreeMap::new();
        for name in needed {
            files.insert((*name).to_string(), std::fs::read(folder.join(name))?);
        }
        for name in optional {
            match std::fs::read(folder.join(name)) {
                Ok(bytes) => {
                    files.insert((*name).to_string(), bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { platform: platform.clone(), files })
    }

    /// Several locks of one platform that are installed together: a child image's with its parents', as each names only
    /// what it adds. Node's locks name all, so the last stands for all.
    pub fn together(parts: impl IntoIterator<Item = Self>) -> Option<Self> {
        parts.into_iter().reduce(|mut all, next| {
            for (name, bytes) in next.files {
                let kept = all.files.entry(name).or_default();
                if next.platform.language == Language::Node {
                    kept.clear();
                }
                kept.extend(bytes);
            }
            all
        })
    }

    /// What the environment's folder is called.
    fn key(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(format!("{LAYOUT}\n{}\n", self.platform));
        for (name, bytes) in &self.files {
            hasher.update(format!("{name} {}\n", bytes.len()));
            hasher.update(bytes);
        }
        let hash: String = hasher.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{hash}", self.platform.short())
    }
}

/// Packages that are installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Python: the folder for `PYTHONPATH`. Node: the folder that holds `node_modules`.
    pub folder: PathBuf,
    /// Whether it was there before.
    pub was_there: bool,
}

/// Why packages could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// No interpreter of the platform.
    #[error(transparent)]
    Interpreter(#[from] Missing),
    /// Neither of the tools is here.
    #[error("{0} is not here to install packages with")]
    Tool(&'static str),
    /// The tool said no; its last words.
    #[error("{tool} could not install them: {said}")]
    Failed {
        /// Its name.
        tool: &'static str,
        /// The lines that matter.
        said: String,
    },
    /// It took too long.
    #[error("{0} took longer than it may")]
    TimedOut(&'static str),
    /// The user stopped warmset.
    #[error("stopped")]
    Stopped,
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
}

impl InstallError {
    /// What its user can do about it.
    pub fn next(&self) -> String {
        match self {
            InstallError::Interpreter(missing) => missing.next(),
            InstallError::Tool("npm") => "install Node.js with npm".into(),
            InstallError::Tool(_) => "install uv, or the pip of that Python".into(),
            InstallError::TimedOut(_) => "allow more with --timeout, or look at the network".into(),
            InstallError::Failed { .. } => "run the tool by hand with the lock in the plan folder".into(),
            InstallError::Stopped | InstallError::Io { .. } => "run it again".into(),
        }
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> InstallError + '_ {
    move |source| InstallError::Io { path: path.to_path_buf(), source }
}

/// A folder of environments.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    limit: Duration,
    scratch: AtomicUsize,
}

/// A folder that goes when this is dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Store {
    /// Opens a store, and removes what killed installers left. `limit` is the time that one call of a tool may take.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(root: &Path, limit: Duration) -> Result<Self, InstallError> {
        let root = std::path::absolute(root).map_err(at(root))?;
        let scratch = root.join("scratch");
        std::fs::create_dir_all(&scratch).map_err(at(&scratch))?;
        std::fs::create_dir_all(root.join("environments")).map_err(at(&root))?;
        for entry in std::fs::read_dir(&scratch).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let owner = name.to_str().and_then(|name| name.split('-').next()).and_then(|pid| pid.parse::<u32>().ok());
            if owner.is_none_or(|pid| !process::is_running(pid)) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        Ok(Self { root, limit, scratch: AtomicUsize::new(0) })
    }

    /// Folder that all environments lie in.
    pub fn environments(&self) -> PathBuf {
        self.root.join("environments")
    }

    /// A folder for other work, which goes when it is dropped; what a killed process leaves goes with the next.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn scratch(&self) -> Result<Scratch, InstallError> {
        let number = self.scratch.fetch_add(1, Ordering::Relaxed);
        let path = self.root.join("scratch").join(format!("{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(at(&path))?;
        Ok(Scratch(path))
    }

    /// The interpreter of a platform; Node's may be fetched from npm into the store.
    ///
    /// # Errors
    /// When there is none.
    pub fn interpreter(&self, platform: &Platform, stop: &AtomicBool) -> Result<Interpreter, Missing> {
        interpreter::find(platform, Some(&self.root.join("interpreters")), stop)
    }

    /// Installs what a lock names, unless it is there.
    ///
    /// # Errors
    /// See [`InstallError`]. Nothing half-made is left in the environment's place.
    pub fn ensure(
        &self,
        locked: &Locked,
        interpreter: &Interpreter,
        stop: &AtomicBool,
    ) -> Result<Environment, InstallError> {
        let place = self.environments().join(locked.key());
        if place.is_dir() {
            return Ok(Environment { folder: place, was_there: true });
        }
        let scratch = self.scratch()?;
        let folder = self.make(locked, interpreter, scratch.path(), stop)?;
        match std::fs::rename(&folder, &place) {
            // Another installer was first: both have made the same.
            Err(_) if place.is_dir() => {}
            moved => moved.map_err(at(&place))?,
        }
        Ok(Environment { folder: place, was_there: false })
    }

    fn make(
        &self,
        locked: &Locked,
        interpreter: &Interpreter,
        scratch: &Path,
        stop: &AtomicBool,
    ) -> Result<PathBuf, InstallError> {
        let folder = scratch.join("environment");
        std::fs::create_dir_all(&folder).map_err(at(&folder))?;
        match locked.platform.language {
            Language::Python => self.python(locked, interpreter, scratch, &folder, stop)?,
            Language::Node => self.node(locked, scratch, &folder, stop)?,
        }
        Ok(folder)
    }

    fn python(
        &self,
        locked: &Locked,
        interpreter: &Interpreter,
        scratch: &Path,
        folder: &Path,
        stop: &AtomicBool,
    ) -> Result<(), InstallError> {
        let python = interpreter.program.display().to_string();
        for (name, bytes) in &locked.files {
            if !String::from_utf8_lossy(bytes).lines().any(|line| !line.trim().is_empty() && !line.starts_with('#')) {
                continue;
            }
            let file = scratch.join(name);
            std::fs::write(&file, bytes).map_err(at(&file))?;
            let hashes = (name == "requirements.lock").then_some("--require-hashes");
            let uv = !which("uv").is_empty();
            // pip does not merge into a target that exists, so each file gets one of its own.
            let target = if uv { folder.to_path_buf() } else { scratch.join(format!("{name}.d")) };
            let mut args: Vec<String> = if uv {
                vec!["pip".into(), "install".into(), "--quiet".into(), "--python".into(), python.clone()]
            } else {
                let flags = ["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-compile"];
                flags.map(String::from).to_vec()
            };
            args.extend(["--no-deps".into(), "--target".into(), target.display().to_string()]);
            args.extend(hashes.map(String::from));
            args.extend([if uv { "--requirements" } else { "--requirement" }.into(), file.display().to_string()]);
            let (tool, program) = if uv { ("uv", "uv") } else { ("pip", python.as_str()) };
            self.run(tool, program, &args, scratch, scratch, stop)?;
            if !uv {
                join::move_into(&target, folder).map_err(at(&target))?;
            }
        }
        // As in the images, wherever the cache is: bytecode that is never checked against its source, with the names that
        // sources have in an image.
        let args = ["-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash", "-d", "/opt/warm"];
        let args = args.map(String::from);
        let args: Vec<String> = args.into_iter().chain([folder.display().to_string()]).collect();
        // Its status only says that some files are no source for this Python.
        match process::run(&python, &args, scratch, scratch, self.limit, stop).map_err(at(scratch))?.ended {
            Ended::Stopped => Err(InstallError::Stopped),
            Ended::TimedOut => Err(InstallError::TimedOut("compileall")),
            Ended::Done(_) | Ended::TooLoud => Ok(()),
        }
    }

    fn node(&self, locked: &Locked, scratch: &Path, folder: &Path, stop: &AtomicBool) -> Result<(), InstallError> {
        for (name, bytes) in &locked.files {
            let file = folder.join(name);
            std::fs::write(&file, bytes).map_err(at(&file))?;
        }
        let args = ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"].map(String::from);
        self.run("npm", "npm", &args, folder, scratch, stop)?;
        let modules = folder.join("node_modules");
        // A lock without packages leaves none.
        std::fs::create_dir_all(&modules).map_err(at(&modules))
    }

    fn run(
        &self,
        tool: &'static str,
        program: &str,
        args: &[String],
        folder: &Path,
        scratch: &Path,
        stop: &AtomicBool,
    ) -> Result<(), InstallError> {
        let ran = match process::run(program, args, folder, scratch, self.limit, stop) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(InstallError::Tool(tool)),
            ran => ran.map_err(at(folder))?,
        };
        match ran.ended {
            Ended::Done(true) => Ok(()),
            Ended::Done(false) | Ended::TooLoud => Err(InstallError::Failed { tool, said: last_words(&ran.said) }),
            Ended::TimedOut => Err(InstallError::TimedOut(tool)),
            Ended::Stopped => Err(InstallError::Stopped),
        }
    }
}

/// What a tool said of its failure, in one line: from the first line that speaks of an error on, as causes stand below;
/// else its last lines.
fn last_words(said: &str) -> String {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let first = lines.iter().position(|line| line.to_lowercase().contains("error"));
    let told = &lines[first.unwrap_or(lines.len().saturating_sub(3))..];
    told.iter().take(4).copied().collect::<Vec<_>>().join("; ").chars().take(400).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(platform: &str, files: &[(&str, &str)]) -> Locked {
        Locked {
            platform: platform.parse().unwrap(),
            files: files.iter().map(|(name, text)| ((*name).into(), text.as_bytes().to_vec())).collect(),
        }
    }

    #[test]
    fn an_environment_is_named_by_platform_and_contents() {
        let one = locked("python3.11-linux-x86_64-glibc", &[("requirements.lock", "six==1.16.0\n")]);
        assert_eq!(one.key(), one.clone().key());
        let other = locked("python3.12-linux-x86_64-glibc", &[("requirements.lock", "six==1.16.0\n")]);
        let more = locked("python3.11-linux-x86_64-glibc", &[("requirements.lock", "six==1.16.0\n\n")]);
        assert!(one.key() != other.key() && one.key() != more.key());
        assert!(one.key().starts_with("py311-"), "{}", one.key());
    }

    #[test]
    fn a_childs_lock_joins_its_parents_and_nodes_last_lock_names_all() {
        let python = "python3.11-linux-x86_64-glibc";
        let parent = locked(python, &[("requirements.lock", "six==1.16.0\n")]);
        let child =
            locked(python, &[("requirements.lock", "attrs==24.2.0\n"), ("requirements.unhashed.lock", "x==1\n")]);
        let both = Locked::together([parent, child]).unwrap();
        assert_eq!(both.files["requirements.lock"], b"six==1.16.0\nattrs==24.2.0\n");
        assert_eq!(both.files["requirements.unhashed.lock"], b"x==1\n");
        let node = "node20-linux-x86_64-glibc";
        let both = Locked::together([locked(node, &[("package.json", "1")]), locked(node, &[("package.json", "2")])]);
        assert_eq!(both.unwrap().files["package.json"], b"2");
    }

    #[test]
    fn what_installers_left_that_are_no_more_goes() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = dir.path().join("scratch");
        // Process ids end below 2^22 on Linux.
        let (dead, alive) = (scratch.join("99999999-0"), scratch.join(format!("{}-7", std::process::id())));
        std::fs::create_dir_all(&dead).unwrap();
        std::fs::create_dir_all(&alive).unwrap();
        Store::open(dir.path(), Duration::from_secs(1)).unwrap();
        assert!(!dead.exists() && alive.exists());
    }

    #[test]
    fn a_tools_last_words_are_an_error_and_its_causes() {
        assert_eq!(last_words("a\nerror: no download\n  Caused by: a hash\n"), "error: no download; Caused by: a hash");
        assert_eq!(last_words("a\n\nb\nc\nd\n"), "b; c; d");
    }
}
