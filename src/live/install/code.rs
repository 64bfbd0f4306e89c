//! A function's code, copied as it would be deployed.

use std::io;
use std::path::Path;

/// How much may be copied: files and bytes that are left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// Files and folders.
    pub entries: u64,
    /// Bytes.
    pub bytes: u64,
}

/// For trees that an installer made.
pub const NO_BOUND: Bound = Bound { entries: u64::MAX, bytes: u64::MAX };

/// What a deployed function may be: ten times what Lambda takes, unpacked.
pub const FUNCTION: Bound = Bound { entries: 200_000, bytes: 2_500_000_000 };

/// Folders that no function is deployed with: what its own installation and its version control left.
pub fn is_left_behind(name: &str) -> bool {
    matches!(name, "node_modules" | ".git" | ".hg" | ".venv" | "venv" | "__pycache__" | ".mypy_cache" | ".pytest_cache")
}

/// Copies a folder without what `skip` names. Links are kept where they stay inside it, and left out otherwise: what they
/// show is not the function's.
///
/// # Errors
/// When something cannot be read or written, or more is there than the bound allows.
pub fn copy_tree(from: &Path, to: &Path, skip: &dyn Fn(&str) -> bool, bound: &mut Bound) -> io::Result<()> {
    let top = from.canonicalize()?;
    std::fs::create_dir_all(to)?;
    let mut pending = vec![(from.to_path_buf(), to.to_path_buf())];
    while let Some((from, to)) = pending.pop() {
        for entry in std::fs::read_dir(&from)? {
            let entry = entry?;
            if skip(&entry.file_name().to_string_lossy()) {
                continue;
            }
            let (path, target) = (entry.path(), to.join(entry.file_name()));
            let kind = entry.file_type()?;
            let size = if kind.is_file() { entry.metadata()?.len() } else { 0 };
            let left = (bound.entries.checked_sub(1), bound.bytes.checked_sub(size));
            let (Some(entries), Some(bytes)) = left else {
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the folder holds more than a function may"));
            };
            (bound.entries, bound.bytes) = (entries, bytes);
            if kind.is_dir() {
                std::fs::create_dir_all(&target)?;
                pending.push((path, target));
            } else if kind.is_file() {
                std::fs::copy(&path, &target)?;
            } else if kind.is_symlink() && path.canonicalize().is_ok_and(|real| real.starts_with(&top)) {
                let points = std::fs::read_link(&path)?;
                if points.is_relative() {
                    #[cfg(unix)]
                    std::os::unix::fs::symlink(points, &target)?;
                }
            }
        }
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_copy_holds_what_is_deployed_and_no_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        for file in ["app.py", "lib/x.py", "node_modules/a/index.js", ".git/HEAD"] {
            std::fs::create_dir_all(from.join(file).parent().unwrap()).unwrap();
            std::fs::write(from.join(file), file).unwrap();
        }
        std::fs::write(dir.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink("../secret", from.join("out")).unwrap();
        std::os::unix::fs::symlink("lib/x.py", from.join("in")).unwrap();
        copy_tree(&from, &to, &is_left_behind, &mut FUNCTION.clone()).unwrap();
        let mut names: Vec<String> =
            std::fs::read_dir(&to).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["app.py", "in", "lib"]);
        assert_eq!(std::fs::read_to_string(to.join("in")).unwrap(), "lib/x.py");
    }

    #[test]
    fn a_folder_that_is_too_large_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), "12345").unwrap();
        let copy = |bytes| {
            let into = tempfile::tempdir().unwrap();
            copy_tree(dir.path(), into.path(), &|_| false, &mut Bound { entries: 9, bytes })
        };
        assert!(copy(5).is_ok());
        assert!(copy(4).is_err());
    }
}
