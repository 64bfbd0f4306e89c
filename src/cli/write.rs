//! Files are written whole or not at all.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why something could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The system refused.
    #[error("cannot write {path}: {source}")]
    Io {
        /// What was being written.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The folder holds something that warmset did not write.
    #[error("{0} is not empty and holds no plan of warmset's: name another folder, or empty it")]
    NotOurs(PathBuf),
    /// A name in the plan would leave the folder.
    #[error("`{0}` would be written outside the plan folder")]
    Escapes(String),
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> WriteError + '_ {
    move |source| WriteError::Io { path: path.to_path_buf(), source }
}

/// Writes one file by way of a temporary neighbour, so that a reader never sees half of it.
pub fn file(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    stream(path, |out| out.write_all(bytes))
}

/// The same for what is written bit by bit.
pub fn stream(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), WriteError> {
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(at(parent))?;
    }
    let temporary = neighbour(path);
    let write = || -> io::Result<()> {
        let mut out = io::BufWriter::with_capacity(1 << 18, std::fs::File::create(&temporary)?);
        fill(&mut out)?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?;
        std::fs::rename(&temporary, path)
    };
    let written = write();
    written.map_err(|source| {
        let _ = std::fs::remove_file(&temporary);
        WriteError::Io { path: path.to_path_buf(), source }
    })
}

/// Replaces a plan folder by new contents in one step.
///
/// The folder must be absent, empty, or hold a `plan.json`; whatever else is in it is left from an older plan and goes.
pub fn folder(path: &Path, files: &BTreeMap<String, Vec<u8>>) -> Result<(), WriteError> {
    // `plan/.` and `.` have no name to put a neighbour beside.
    let path = &std::path::absolute(path).map_err(at(path))?;
    if path.exists() {
        let mut entries = std::fs::read_dir(path).map_err(at(path))?;
        if entries.next().is_some() && !path.join("plan.json").is_file() {
            return Err(WriteError::NotOurs(path.to_path_buf()));
        }
    }
    let stage = neighbour(path);
    let fill = || -> Result<(), WriteError> {
        for (name, bytes) in files {
            if name.split('/').any(|part| matches!(part, "" | "." | "..")) || name.contains('\\') {
                return Err(WriteError::Escapes(name.clone()));
            }
            let target = stage.join(name);
            if let Some(parent) = target.parent() {
                std::fs::create_dir_all(parent).map_err(at(parent))?;
            }
            std::fs::write(&target, bytes).map_err(at(&target))?;
        }
        Ok(())
    };
    let swap = || -> Result<(), WriteError> {
        std::fs::create_dir_all(&stage).map_err(at(&stage))?;
        fill()?;
        let had_old = path.exists();
        let aside = path.with_file_name(format!("{}.old", name_of(&stage)));
        if had_old {
            std::fs::rename(path, &aside).map_err(at(path))?;
        }
        if let Err(source) = std::fs::rename(&stage, path) {
            if had_old {
                let _ = std::fs::rename(&aside, path);
            }
            return Err(WriteError::Io { path: path.to_path_buf(), source });
        }
        if had_old {
            std::fs::remove_dir_all(&aside).map_err(at(&aside))?;
        }
        Ok(())
    };
    let result = swap();
    if result.is_err() {
        let _ = std::fs::remove_dir_all(&stage);
    }
    result
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A hidden name beside the path, of this process.
fn neighbour(path: &Path) -> PathBuf {
    path.with_file_name(format!(".{}.warmset-{}", name_of(path), std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> BTreeMap<String, Vec<u8>> {
        names.iter().map(|n| ((*n).to_string(), n.as_bytes().to_vec())).collect()
    }

    #[test]
    fn a_plan_folder_is_replaced_and_nothing_old_stays() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("plan");
        folder(&out, &files(&["plan.json", "images/a/Dockerfile"])).unwrap();
        folder(&out, &files(&["plan.json", "images/b/Dockerfile"])).unwrap();
        assert!(out.join("images/b/Dockerfile").is_file());
        assert!(!out.join("images/a").exists());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary neighbours stay");
    }

    #[test]
    fn a_folder_that_holds_something_else_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("thesis.txt"), "years of work").unwrap();
        assert!(matches!(folder(dir.path(), &files(&["plan.json"])), Err(WriteError::NotOurs(_))));
        assert!(dir.path().join("thesis.txt").is_file());
    }

    #[test]
    fn names_that_leave_the_folder_write_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("plan");
        assert!(matches!(folder(&out, &files(&["../evil"])), Err(WriteError::Escapes(_))));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
