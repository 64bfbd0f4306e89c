//! Arguments, progress, printing, exit codes.
//!
//! Invariant: the only layer that prints, and the only one beside `live` that writes files; everything it prints was
//! computed by another.

mod advise;
pub mod args;
mod build;
mod cache;
mod check;
pub mod demands;
mod emit;
mod explain;
mod formats;
mod graph;
mod inspect;
mod load;
mod measure;
mod merge;
mod options;
mod plan;
mod relock;
#[cfg(target_os = "linux")]
mod replay;
#[cfg(target_os = "linux")]
mod running;
mod scan;
#[cfg(target_os = "linux")]
mod serve;
mod summary;
mod sweep;
mod table;
mod talk;
mod values;
mod write;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::model::Diagnostic;
use args::{Cli, Command};
use load::Failure;
use talk::{RED, Talk, paint};

/// How a command that could do its work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing to complain about: exit status 0.
    Clean,
    /// Something was found: exit status 1.
    Findings,
}

impl Outcome {
    /// Findings, if any diagnostic is more than a note.
    pub fn of(diagnostics: &[Diagnostic]) -> Self {
        if diagnostics.iter().any(Diagnostic::is_finding) { Outcome::Findings } else { Outcome::Clean }
    }

    /// Clean, where findings are not to be told by the exit status.
    fn or_clean(self, always: bool) -> Self {
        if always { Outcome::Clean } else { self }
    }
}

/// Runs the command line of this process. Usage errors and `--help` are clap's: exit status 2 and 0.
pub fn main() -> ExitCode {
    // What becomes a sandbox is no command of a user's: it is started by `live` with this one argument.
    #[cfg(target_os = "linux")]
    if std::env::args_os().nth(1).is_some_and(|first| first == crate::live::sandbox::SUBCOMMAND) {
        let mode = std::env::args_os().nth(2).unwrap_or_default();
        return crate::live::sandbox::main(&mode.to_string_lossy());
    }
    execute(&Cli::parse())
}

/// Runs one parsed command line.
pub fn execute(cli: &Cli) -> ExitCode {
    let talk = Talk::new(cli.quiet);
    if cli.threads > 0 {
        // Fails only when a pool exists already, and then that one does.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(cli.threads).build_global();
    }
    match run(&cli.command, talk) {
        Ok(Outcome::Clean) => ExitCode::SUCCESS,
        Ok(Outcome::Findings) => ExitCode::from(1),
        Err(failure) => {
            match failure {
                Failure::Diagnostics(diagnostics) => talk.diagnostics(&diagnostics),
                Failure::Message(message) => talk.error(format!("{} {message}", paint(RED, "error:"))),
            }
            ExitCode::from(2)
        }
    }
}

fn run(command: &Command, talk: Talk) -> Result<Outcome, Failure> {
    match command {
        Command::Scan(command) => scan::run(command, talk),
        Command::Lock(command) => relock::run(command, talk),
        Command::Measure(command) => measure::run(command, talk),
        Command::Merge(command) => merge::run(command, talk),
        Command::Graph(command) => graph::run(command, talk),
        Command::Plan(command) => match &command.sweep {
            Some(budgets) => sweep::run(command, budgets, talk),
            None => plan::run(command, talk),
        },
        Command::Emit(command) => emit::run(command, talk),
        Command::Build(command) => build::run(command, talk),
        Command::Inspect(command) => inspect::run(command, talk),
        Command::Explain(command) => explain::run(command, talk),
        Command::Check(command) => check::run(command, talk),
        Command::Advise(command) => advise::run(command, talk),
        #[cfg(target_os = "linux")]
        Command::Serve(command) => serve::run(command, talk),
        #[cfg(target_os = "linux")]
        Command::Invoke(command) => serve::invoke(command, talk),
        #[cfg(target_os = "linux")]
        Command::Replay(command) => replay::run(command, talk),
        #[cfg(not(target_os = "linux"))]
        Command::Serve(_) | Command::Invoke(_) | Command::Replay(_) => {
            Err(Failure::Message("the reference runtime is made of Linux's namespaces: run it on Linux".into()))
        }
        Command::Formats(command) => formats::run(command, talk),
        Command::Schema(command) => emit::schemas(command, talk),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "warmset", &mut script);
            talk.result(&String::from_utf8_lossy(&script))?;
            Ok(Outcome::Clean)
        }
    }
}
