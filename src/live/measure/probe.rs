//! One fresh process that loads something and says what it took.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::live::install::interpreter::Interpreter;
use crate::live::process::{self, Ended};
use crate::model::Language;

const PYTHON: &str = include_str!("probe.py");
const NODE: &str = include_str!("probe.cjs");

/// Something to load.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    /// Module or specifier.
    pub module: String,
    /// Names taken from it (Python).
    pub names: Vec<String>,
    /// By an `import` (Node): the code that asks is an ES module.
    pub import: bool,
    /// Folder that it is asked for in, relative to the view (Node): that of the view itself unless stated.
    pub base: Option<String>,
}

/// A handler to call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Copy of the function's code.
    pub folder: PathBuf,
    /// Module (Python) or file (Node) of the handler.
    pub handler: String,
    /// Its attribute or export.
    pub attribute: String,
    /// File that holds the event.
    pub event: PathBuf,
    /// Environment of the function, as far as it is known.
    pub environment: BTreeMap<String, String>,
    /// Calls after the first.
    pub calls: u32,
}

/// What a probe is to do.
#[derive(Debug, Clone, Default)]
pub struct Request<'a> {
    /// Loaded first.
    pub load: &'a [Step],
    /// Loaded after it, and told apart.
    pub then: &'a [Step],
    /// Processes to hand over to.
    pub count: u32,
    /// A handler to call.
    pub call: Option<&'a Call>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// It ended without one; its last words.
    #[error("it failed: {0}")]
    Failed(String),
    /// It took longer than it may.
    #[error("it took longer than {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// It did not stop talking.
    #[error("it printed more than anybody reads")]
    TooLoud,
    /// The user stopped warmset.
    #[error("stopped")]
    Stopped,
    /// The system refused.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Probes of one interpreter.
#[derive(Debug)]
pub struct Probe<'a> {
    /// What runs it.
    pub interpreter: &'a Interpreter,
    /// Its language.
    pub language: Language,
    /// Where probes, requests and answers are written.
    pub scratch: &'a Path,
    /// Time that one process may take.
    pub limit: Duration,
    /// Set when the user wants to stop.
    pub stop: &'a AtomicBool,
}

/// A digest of a language's probe: figures of another one are not comparable.
pub fn version(language: Language) -> String {
    Sha256::digest(text(language)).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn text(language: Language) -> &'static str {
    match language {
        Language::Python => PYTHON,
        Language::Node => NODE,
    }
}

impl Probe<'_> {
    /// Runs a mode of the probe in a view.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn run(&self, mode: &str, view: &Path, request: &Request<'_>) -> Result<Value, ProbeError> {
        let home = tempfile::Builder::new().prefix("run-").tempdir_in(self.scratch)?;
        let file = |name: &str| home.path().join(name);
        let limit = self.limit.as_secs() + 1;
        let (script, asked, answer) = match self.language {
            Language::Python => (file("probe.py"), python(request, limit), file("answer.json")),
            Language::Node => (file("probe.cjs"), node(view, request, limit)?, file("answer.json")),
        };
        fs::write(&script, text(self.language))?;
        fs::write(file("request"), asked)?;
        // A folder of its own to work in: what packages leave there goes with it.
        fs::create_dir(file("home"))?;
        let mut command = Command::new(&self.interpreter.program);
        command.arg(&script).arg(mode).arg(file("request")).arg(&answer).current_dir(file("home")).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", file("home")).env("TZ", "UTC");
        command.env("LANG", "C.UTF-8").env("TMPDIR", file("home"));
        // As the warm host sets them: pools of threads are nobody's load.
        for name in ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"] {
            command.env(name, "1");
        }
        if let Some(call) = request.call {
            command.envs(&call.environment).env("AWS_EC2_METADATA_DISABLED", "true");
        }
        if self.language == Language::Python {
            command.env("PYTHONPATH", view).env("PYTHONHASHSEED", "0").env("PYTHONNOUSERSITE", "1");
            command.env("PYTHONDONTWRITEBYTECODE", "1");
        }
        let ran = process::run_command(&mut command, home.path(), self.limit, self.stop)?;
        match ran.ended {
            Ended::Stopped => Err(ProbeError::Stopped),
            Ended::TimedOut => Err(ProbeError::TimedOut(self.limit)),
            Ended::TooLoud => Err(ProbeError::TooLoud),
            Ended::Done(_) => match fs::read(&answer).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
                Some(value) => Ok(value),
                None => Err(ProbeError::Failed(last_words(&ran.said, &home.path().display().to_string()))),
            },
        }
    }
}

/// The line of a traceback that says what went wrong, without the places of this machine.
fn last_words(said: &str, folder: &str) -> String {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let is_error = |line: &&&str| line.split(' ').next().is_some_and(|word| word.ends_with("Error:"));
    let word = lines.iter().rev().find(is_error).or(lines.last());
    word.map_or_else(|| "it said nothing".into(), |line| line.replace(folder, "…").chars().take(300).collect())
}

fn python(request: &Request<'_>, limit: u64) -> String {
    let mut text = String::new();
    for (word, steps) in [("import", request.load), ("then", request.then)] {
        for step in steps {
            let words: Vec<&str> =
                [word, &step.module].into_iter().chain(step.names.iter().map(String::as_str)).collect();
            let _ = writeln!(text, "{}", words.join("\t"));
        }
    }
    let _ = writeln!(text, "forks\t{}\nlimit\t{limit}", request.count);
    if let Some(call) = request.call {
        let _ = writeln!(text, "calls\t{}\nfolder\t{}", call.calls, call.folder.display());
        let _ = writeln!(text, "handler\t{}.{}\nevent\t{}", call.handler, call.attribute, call.event.display());
    }
    text
}

fn node(view: &Path, request: &Request<'_>, limit: u64) -> io::Result<String> {
    let steps = |steps: &[Step]| -> io::Result<Vec<Value>> { steps.iter().map(|step| node_step(view, step)).collect() };
    let mut asked = json!({
        "root": view,
        "page": page_size(),
        "load": steps(request.load)?,
        "count": request.count,
        "limit": limit,
    });
    if !request.then.is_empty() {
        asked["then"] = steps(request.then)?.into();
    }
    if let Some(call) = request.call {
        asked["folder"] = json!(call.folder);
        asked["handler"] = json!(call.handler);
        asked["export"] = json!(call.attribute);
        asked["event"] = json!(call.event);
        asked["calls"] = json!(call.calls);
    }
    Ok(asked.to_string())
}

/// Bytes of a page of memory, which `/proc/self/statm` counts in.
fn page_size() -> usize {
    #[cfg(unix)]
    return rustix::param::page_size();
    #[cfg(not(unix))]
    return 4096;
}

/// An `import` is resolved from a file, so each specifier gets one in the view.
fn node_step(view: &Path, step: &Step) -> io::Result<Value> {
    let folder = step.base.as_ref().map_or_else(|| view.to_path_buf(), |base| view.join(base));
    let statement = format!("import {};\n", json!(step.module));
    let hash: String = Sha256::digest(&statement).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let file = folder.join(format!(".warmset-load-{hash}.mjs"));
    if !file.is_file() {
        fs::write(&file, statement)?;
    }
    let how = if step.import { "import" } else { "require" };
    Ok(json!({"spec": step.module, "how": how, "file": file, "base": folder.join("index.js")}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_for_python_has_a_line_for_each_fact() {
        let step = |module: &str, names: &[&str]| Step {
            module: module.into(),
            names: names.iter().map(|n| n.to_string()).collect(),
            import: false,
            base: None,
        };
        let (load, then) = ([step("a.b", &["c", "d"])], [step("e", &[])]);
        let text = python(&Request { load: &load, then: &then, count: 3, call: None }, 9);
        assert_eq!(text, "import\ta.b\tc\td\nthen\te\nforks\t3\nlimit\t9\n");
    }

    #[test]
    fn a_failure_is_told_by_its_last_error() {
        let said = "Traceback (most recent call last):\n  File \"/x/probe.py\"\nImportError: no /x/y\nnoise\n";
        assert_eq!(last_words(said, "/x"), "ImportError: no …/y");
        assert_eq!(last_words("", "/x"), "it said nothing");
    }
}
