//! `warmset inspect`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::discover::tree::{Limits, decode};
use crate::lock::{self, Kind, Lock, Scope};
use crate::model::codes;
use crate::model::{Diagnostic, Ecosystem, ImportKind, PackageId, Place, Platform};
use crate::source;

use super::Outcome;
use super::args::{InspectCommand, TextFormat};
use super::load::Failure;
use super::talk::{BOLD, Talk, paint};

/// What warmset reads in one file.
#[derive(Debug, Serialize)]
struct Inspected {
    file: String,
    kind: String,
    /// `name@version` for both ecosystems; sorted.
    packages: Vec<String>,
    /// `name@version -> name@version`; sorted.
    edges: Vec<String>,
    declared: Vec<Declared>,
    imports: Vec<Imported>,
    diagnostics: Vec<Diagnostic>,
}

#[derive(Debug, Serialize)]
struct Declared {
    name: String,
    text: String,
    line: u32,
    scope: String,
}

#[derive(Debug, Serialize)]
struct Imported {
    module: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    names: Vec<String>,
    kind: ImportKind,
    line: u32,
}

/// Shows single files.
pub fn run(command: &InspectCommand, talk: Talk) -> Result<Outcome, Failure> {
    let platform: Option<Platform> = match &command.closure {
        Some(text) => Some(text.parse().map_err(|e| Failure::Message(format!("{e}")))?),
        None => None,
    };
    let mut all = Vec::new();
    let mut unwalked = Vec::new();
    for path in &command.files {
        if path.is_dir() {
            for file in known_files(path, &mut unwalked) {
                all.push(inspect(&file, command.kind.as_deref(), platform.as_ref())?);
            }
        } else {
            all.push(inspect(path, command.kind.as_deref(), platform.as_ref())?);
        }
    }
    if all.is_empty() && unwalked.is_empty() {
        return Err(Failure::Message("there is no lock, manifest or source file in the folder".into()));
    }
    // A file that could not be read has no kind.
    if all.iter().all(|i| i.kind.is_empty()) {
        return Err(Failure::Diagnostics(all.into_iter().flat_map(|i| i.diagnostics).collect()));
    }
    for inspected in &all {
        let text = match command.format {
            TextFormat::Text if inspected.kind.is_empty() => continue,
            TextFormat::Text => text(inspected),
            TextFormat::Json if all.len() == 1 => crate::emit::json::text(inspected),
            TextFormat::Json => format!("{}\n", serde_json::to_string(inspected).unwrap_or_default()),
        };
        talk.result(&text)?;
    }
    let diagnostics: Vec<Diagnostic> = all.into_iter().flat_map(|i| i.diagnostics).chain(unwalked).collect();
    talk.diagnostics(&diagnostics);
    Ok(Outcome::of(&diagnostics))
}

/// Every file in a folder whose name says that warmset reads it, in the order of their paths. A plain walk: whoever
/// names a folder here means all of it, ignored files and installed packages too. Links are not followed.
fn known_files(folder: &Path, unwalked: &mut Vec<Diagnostic>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        match entry {
            Ok(entry) if entry.file_type().is_file() => {
                let name = entry.file_name().to_string_lossy();
                if Kind::of(&name).is_some() || lock::is_manifest(&name) || source::is_source(&name) {
                    files.push(entry.into_path());
                }
            }
            Ok(_) => {}
            Err(error) => {
                let place = error.path().map(|p| p.display().to_string()).unwrap_or_default();
                unwalked.push(Diagnostic::new(codes::FILE_UNREADABLE, Place::file(place), error.to_string()));
            }
        }
    }
    files
}

fn inspect(path: &Path, forced: Option<&str>, platform: Option<&Platform>) -> Result<Inspected, Failure> {
    let shown = path.display().to_string();
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let mut out = Inspected {
        file: shown.clone(),
        kind: String::new(),
        packages: Vec::new(),
        edges: Vec::new(),
        declared: Vec::new(),
        imports: Vec::new(),
        diagnostics: Vec::new(),
    };
    let limit = Limits::default().max_lock_bytes;
    let metadata = std::fs::metadata(path);
    let bytes = match metadata.and_then(|m| if m.len() > limit { Ok(None) } else { std::fs::read(path).map(Some) }) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => {
            let reason = format!("the file is larger than {limit} bytes");
            out.diagnostics.push(Diagnostic::new(codes::FILE_TOO_LARGE, Place::file(shown), reason));
            return Ok(out);
        }
        Err(e) => {
            out.diagnostics.push(
                Diagnostic::new(codes::FILE_UNREADABLE, Place::file(shown), e.to_string())
                    .next("check the path and its permissions"),
            );
            return Ok(out);
        }
    };

    let kind = match forced {
        None => Kind::of(&name),
        Some(text) => Kind::parse(text),
    };
    let text_of = |out: &mut Inspected| match decode(&shown, bytes.clone()) {
        Ok(text) => Some(text),
        Err(diagnostic) => {
            out.diagnostics.push(diagnostic);
            None
        }
    };
    if let Some(kind) = kind {
        out.kind = kind.as_str().into();
        if name == lock::npm::bun::BINARY {
            out.diagnostics.push(lock::npm::bun::binary(&shown));
        } else if let Some(text) = text_of(&mut out) {
            let folder = path.parent().unwrap_or(Path::new(""));
            let mut include = |relative: &str| included(folder, relative);
            let lock = lock::read(kind, &name, &text, &mut include);
            show_lock(&lock, platform, &mut out);
        }
    } else if forced.is_none_or(|f| matches!(f, "pyproject" | "package-json")) && lock::is_manifest(&name) {
        if let Some(text) = text_of(&mut out)
            && let Some(manifest) = lock::read_manifest_with(&name, &text, &mut |relative| {
                included(path.parent().unwrap_or(Path::new("")), relative)
            })
        {
            out.kind = manifest.kind.into();
            out.diagnostics.extend(manifest.diagnostics);
            out.declared = manifest
                .requires
                .iter()
                .map(|r| Declared { name: r.name.clone(), text: r.text.clone(), line: r.line, scope: scope(&r.scope) })
                .collect();
        }
        // A setup.py is a program too.
        if source::is_source(&name) {
            show_imports(&name, &bytes, &mut out);
        }
    } else if source::is_source(&name) || source::is_notebook(&name) || matches!(forced, Some("python" | "javascript"))
    {
        let as_name = match forced {
            Some("python") => "file.py".to_string(),
            Some("javascript") => "file.tsx".to_string(),
            _ => shown.clone(),
        };
        out.kind = source::language_of(&as_name)
            .map_or("notebook", |l| match l {
                crate::model::Language::Python => "python",
                crate::model::Language::Node => "javascript",
            })
            .into();
        show_imports(&as_name, &bytes, &mut out);
    } else {
        let kinds: Vec<&str> = Kind::ALL.iter().map(|k| k.as_str()).collect();
        return Err(Failure::Message(match forced {
            Some(kind) => format!(
                "`{kind}` is not a kind of file that warmset reads: {}, pyproject, package-json, python, javascript",
                kinds.join(", ")
            ),
            None => format!(
                "{shown}: the name does not say what kind of file it is; say it with --as KIND ({}, pyproject, package-json, python, javascript)",
                kinds.join(", ")
            ),
        }));
    }
    for diagnostic in &mut out.diagnostics {
        if diagnostic.place.file == name || diagnostic.place.file.is_empty() {
            diagnostic.place.file.clone_from(&shown);
        }
    }
    out.diagnostics.sort();
    out.diagnostics.dedup();
    Ok(out)
}

fn show_imports(name: &str, bytes: &[u8], out: &mut Inspected) {
    let found = source::imports(name, bytes);
    out.diagnostics.extend(found.diagnostics);
    out.imports = found
        .imports
        .into_iter()
        .map(|i| Imported { module: i.module, names: i.names, kind: i.kind, line: i.line })
        .collect();
}

fn included(folder: &Path, relative: &str) -> Result<String, Diagnostic> {
    let bytes = std::fs::read(folder.join(relative))
        .map_err(|e| Diagnostic::new(codes::INCLUDE_MISSING, Place::file(relative), e.to_string()))?;
    decode(relative, bytes)
}

fn scope(scope: &Scope) -> String {
    match scope {
        Scope::Production => "production".into(),
        Scope::Optional => "optional".into(),
        Scope::Peer => "peer".into(),
        Scope::OptionalPeer => "optional-peer".into(),
        Scope::Dev => "dev".into(),
        Scope::Extra(name) => format!("extra:{name}"),
    }
}

/// `name@version`, whatever the ecosystem: what readers of other tools print.
fn at(id: &PackageId) -> String {
    match id.ecosystem {
        Ecosystem::Pypi => format!("{}@{}", id.name, id.version),
        Ecosystem::Npm => id.spec(),
    }
}

fn show_lock(lock: &Lock, platform: Option<&Platform>, out: &mut Inspected) {
    out.diagnostics.extend(lock.diagnostics.iter().cloned());
    let mut packages = BTreeSet::new();
    let mut edges = BTreeSet::new();
    if let Some(platform) = platform {
        for roots in lock.importers.values() {
            let closure = lock::closure::closure(lock, roots, &[], platform);
            out.diagnostics.extend(lock::closure::incompatible(lock, &closure, platform));
            for (id, reached) in &closure.packages {
                packages.insert(at(id));
                edges.extend(reached.requires.iter().flatten().map(|to| format!("{} -> {}", at(id), at(to))));
            }
        }
    } else {
        for entry in &lock.entries {
            // What a Python lock calls a workspace is the project itself; npm's kinds list members among the packages.
            if lock.kind.ecosystem() == Ecosystem::Npm || entry.source.as_deref() != Some("workspace") {
                packages.insert(at(&entry.id));
            }
            for to in entry.requires.iter().flatten().flat_map(|e| &e.to).filter_map(|&i| lock.entries.get(i)) {
                edges.insert(format!("{} -> {}", at(&entry.id), at(&to.id)));
            }
        }
    }
    out.packages = packages.into_iter().collect();
    out.edges = edges.into_iter().collect();
    // A lock that does not say what is direct lists all as roots.
    for edge in lock.importers.values().flatten().filter(|_| lock.kind.records_roots()) {
        out.declared.push(Declared {
            name: edge.name.clone(),
            text: edge.text.clone(),
            line: edge.line,
            scope: scope(&edge.scope),
        });
    }
}

fn text(inspected: &Inspected) -> String {
    let mut text = format!("{} {}\n", paint(BOLD, &inspected.file), inspected.kind);
    for declared in &inspected.declared {
        text.push_str(&format!(
            "  {:>5}  asks for {} {} ({})\n",
            declared.line, declared.name, declared.text, declared.scope
        ));
    }
    for import in &inspected.imports {
        let names = if import.names.is_empty() { String::new() } else { format!(" ({})", import.names.join(", ")) };
        let kind =
            serde_json::to_value(import.kind).ok().and_then(|v| v.as_str().map(str::to_string)).unwrap_or_default();
        text.push_str(&format!("  {:>5}  imports {}{names} [{kind}]\n", import.line, import.module));
    }
    for package in &inspected.packages {
        text.push_str(&format!("  {package}\n"));
    }
    if !inspected.packages.is_empty() {
        text.push_str(&format!("  {} packages, {} edges\n", inspected.packages.len(), inspected.edges.len()));
    }
    text
}
