//! `warmset emit` and `warmset schema`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::emit::{self, EmitOptions};
use crate::model::{Inventory, Plan};

use super::Outcome;
use super::args::{EmitCommand, SchemaCommand};
use super::load::{self, Failure};
use super::talk::Talk;
use super::write;

/// Writes the plan folder again.
pub fn run(command: &EmitCommand, talk: Talk) -> Result<Outcome, Failure> {
    let (plan, folder) = load::plan(&command.plan)?;
    let beside = folder.join("inventory.json");
    let inventory = load::inventory_file(command.inventory.as_deref().unwrap_or(&beside))?;
    let mut files = BTreeMap::new();
    for kept in ["inventory.json", "costs.json"] {
        if let Ok(bytes) = std::fs::read(folder.join(kept)) {
            files.insert(kept.to_string(), bytes);
        }
    }
    let diagnostics = folder_of(&plan, &inventory, name(command.name.as_deref(), &command.out), &mut files);
    write::folder(&command.out, &files)?;
    talk.say(format!("{} files written to {}", files.len(), command.out.display()));
    talk.diagnostics(&diagnostics);
    Ok(Outcome::of(&diagnostics))
}

/// Adds everything that is emitted for a plan.
pub fn folder_of(
    plan: &Plan,
    inventory: &Inventory,
    name: String,
    files: &mut BTreeMap<String, Vec<u8>>,
) -> Vec<crate::model::Diagnostic> {
    let emitted = emit::emit(plan, inventory, &EmitOptions { name, ..EmitOptions::default() });
    files.extend(emitted.files);
    emitted.diagnostics
}

/// The plan's name: given, or that of the folder that it is written to.
pub fn name(given: Option<&str>, out: &Path) -> String {
    let folder = || std::path::absolute(out).ok()?.file_name().map(|n| n.to_string_lossy().into_owned());
    given.map(str::to_string).or_else(folder).unwrap_or_else(|| "plan".into())
}

/// Prints the JSON Schemas, or writes them into a folder.
pub fn schemas(command: &SchemaCommand, talk: Talk) -> Result<Outcome, Failure> {
    for (file, schema) in emit::schemas() {
        match &command.out {
            Some(folder) => write::file(&folder.join(file), schema.as_bytes())?,
            None => talk.result(&schema)?,
        }
    }
    Ok(Outcome::Clean)
}
