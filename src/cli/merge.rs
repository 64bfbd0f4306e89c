//! `warmset merge`.

use std::fs::File;
use std::io::{self, BufReader, Write};

use crate::emit::json;
use crate::model::{Diagnostic, Place, codes};
use crate::resolve::{MergeError, Merger};

use super::Outcome;
use super::args::MergeCommand;
use super::load::Failure;
use super::talk::Talk;
use super::write;

/// Joins inventories and records into one inventory.
pub fn run(command: &MergeCommand, talk: Talk) -> Result<Outcome, Failure> {
    let mut merger = Merger::default();
    for path in &command.inputs {
        let name = path.display().to_string();
        let read = if path.as_os_str() == "-" {
            merger.read("stdin", io::stdin().lock())
        } else {
            let file = File::open(path).map_err(|e| {
                Diagnostic::new(codes::FILE_UNREADABLE, Place::file(&name), e.to_string())
                    .next("check the path and its permissions")
            })?;
            merger.read(&name, BufReader::with_capacity(1 << 18, file))
        };
        read.map_err(failure)?;
    }
    let merged = merger.finish(command.partial);
    let diagnostics = merged.rest.diagnostics.clone();
    let (functions, rest) = (merged.functions, merged.rest);
    match &command.out {
        Some(out) => write::stream(out, |out| json::inventory(out, functions, || rest))?,
        None => {
            let mut out = io::BufWriter::with_capacity(1 << 18, io::stdout().lock());
            talk.streamed(json::inventory(&mut out, functions, || rest).and_then(|()| out.flush()))?;
        }
    }
    talk.diagnostics(&diagnostics);
    Ok(Outcome::of(&diagnostics).or_clean(command.exit_zero))
}

/// Why nothing was merged.
pub fn failure(error: MergeError) -> Failure {
    match error {
        MergeError::Invalid(diagnostic) => (*diagnostic).into(),
        MergeError::Io { file, source } => {
            Diagnostic::new(codes::FILE_UNREADABLE, Place::file(file), source.to_string()).into()
        }
    }
}
