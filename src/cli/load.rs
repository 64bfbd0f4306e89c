//! Inputs of commands: a fleet's folder, an artefact, or a plan folder.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::discover::{Defaults, Limits, OpenError};
use crate::model::codes;
use crate::model::{Costs, Diagnostic, Inventory, Place, Plan, Severity, read};
use crate::resolve::relock::{Locks, RECORD, Record, SCHEMA};
use crate::resolve::{self, Pins, ScanOptions};

use super::options::FleetOptions;

use super::talk::Talk;
use super::write::WriteError;

/// Why a command could not do it: exit status 2.
#[derive(Debug)]
pub enum Failure {
    /// Said as diagnostics.
    Diagnostics(Vec<Diagnostic>),
    /// Said in words.
    Message(String),
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Self {
        Failure::Diagnostics(vec![diagnostic])
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        Failure::Message(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Message(error.to_string())
    }
}

/// The text of a file that the user named; `-` is stdin.
pub fn text(path: &Path) -> Result<String, Failure> {
    let bytes = bytes(path)?;
    String::from_utf8(bytes).map_err(|_| {
        Diagnostic::new(codes::FILE_ENCODING, Place::file(path.display().to_string()), "the file is not UTF-8").into()
    })
}

/// The bytes of a file that the user named; `-` is stdin.
pub fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let read = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    read.map_err(|e| {
        Diagnostic::new(codes::FILE_UNREADABLE, Place::file(path.display().to_string()), e.to_string())
            .next("check the path and its permissions")
            .into()
    })
}

/// An inventory: read from a file, from the plan folder given, or scanned from the fleet's folder.
pub fn inventory(path: &Path, options: &FleetOptions, talk: Talk) -> Result<Inventory, Failure> {
    if path.is_dir() {
        let inside = path.join("inventory.json");
        if path.join("plan.json").is_file() && inside.is_file() {
            return inventory_file(&inside);
        }
        return scan(path, options, talk);
    }
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("zip")) {
        return scan(path, options, talk);
    }
    inventory_file(path)
}

/// An inventory from its file.
pub fn inventory_file(path: &Path) -> Result<Inventory, Failure> {
    Ok(read::inventory(&path.display().to_string(), &text(path)?)?)
}

/// Scans a fleet's folder.
pub fn scan(path: &Path, options: &FleetOptions, talk: Talk) -> Result<Inventory, Failure> {
    let (options, pin_diagnostics) = scan_options(options)?;
    let bar = talk.bar("scanning");
    let mut inventory = resolve::scan(path, &options, &|p| bar.set(p.done, p.total)).map_err(|e| cannot_open(&e))?;
    inventory.diagnostics.extend(pin_diagnostics);
    inventory.sort();
    Ok(inventory)
}

/// Says what to do about a fleet's folder that cannot be opened.
pub fn cannot_open(error: &OpenError) -> Failure {
    Failure::Message(format!("{error}; name the folder that holds the fleet"))
}

/// How a fleet is read, with what is wrong in the files of pins.
pub fn scan_options(options: &FleetOptions) -> Result<(ScanOptions, Vec<Diagnostic>), Failure> {
    let mut pins = Pins::default();
    let mut pin_diagnostics = Vec::new();
    for file in &options.pins {
        pin_diagnostics.extend(pins.add(&file.display().to_string(), &text(file)?));
    }
    if pin_diagnostics.iter().any(pins_unread) {
        pin_diagnostics.sort();
        return Err(Failure::Diagnostics(pin_diagnostics));
    }
    let options = ScanOptions {
        defaults: Defaults {
            python: options.python.clone(),
            node: options.node.clone(),
            arch: options.arch.clone(),
            libc: options.libc.clone(),
        },
        pins,
        locks: options.locks.as_deref().map(locks).transpose()?.unwrap_or_default(),
        limits: Limits::default(),
        cache: None,
    };
    Ok((options, pin_diagnostics))
}

/// Records of earlier runs in the folder; what is none is left alone.
pub fn records(folder: &Path) -> Result<Vec<Record>, Failure> {
    let mut out = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(out) };
    for entry in entries.flatten() {
        let Ok(text) = std::fs::read_to_string(entry.path().join(RECORD)) else { continue };
        let Ok(record) = serde_json::from_str::<Record>(&text) else { continue };
        // A record names files to remove: those of its own folder only.
        if record.schema == SCHEMA
            && entry.file_name().to_str() == Some(&record.key)
            && crate::lock::Kind::of(&record.lock).is_some()
            && !record.lock.contains(['/', '\\'])
        {
            out.push(record);
        }
    }
    out.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(out)
}

/// What `warmset lock` wrote into a folder.
fn locks(folder: &Path) -> Result<Locks, Failure> {
    if !folder.is_dir() {
        return Err(Failure::Message(format!("{} is no folder; `warmset lock` makes one", folder.display())));
    }
    let mut locks = Locks::default();
    for record in records(folder)? {
        let place = folder.join(&record.key).join(&record.lock);
        locks.add(&place.display().to_string(), &serde_json::to_string(&record).unwrap_or_default(), &text(&place)?)?;
    }
    if locks.is_empty() {
        return Err(Failure::Message(format!("{} holds nothing that `warmset lock` wrote", folder.display())));
    }
    Ok(locks)
}

/// Whether a line or a whole file of pins could not be read: versions that the user asked for would be missing silently
/// from every closure, so the option's value is refused.
fn pins_unread(diagnostic: &Diagnostic) -> bool {
    diagnostic.severity == Severity::Error
        || [codes::REQUIREMENT_INVALID.id, codes::LOCK_UNSUPPORTED.id].contains(&diagnostic.code.as_str())
}

/// A table of costs that the user gives.
pub fn costs(path: Option<&PathBuf>) -> Result<Option<Costs>, Failure> {
    path.map(|path| Ok(crate::cost::read(&path.display().to_string(), &text(path)?)?)).transpose()
}

/// A plan from its file or its folder, and the folder that it lies in.
pub fn plan(path: &Path) -> Result<(Plan, PathBuf), Failure> {
    let file = if path.is_dir() { path.join("plan.json") } else { path.to_path_buf() };
    let plan = read::plan(&file.display().to_string(), &text(&file)?)?;
    let folder = file.parent().map(Path::to_path_buf).unwrap_or_default();
    Ok((plan, folder))
}
