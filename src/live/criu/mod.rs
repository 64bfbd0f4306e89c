//! CRIU on this machine: which program, whether it is new enough, and whether it can do its work on this kernel.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Oldest version that is known to work.
pub const OLDEST: &str = "4.2";
/// Names the program where it is not on the `PATH`.
pub const VARIABLE: &str = "WARMSET_CRIU";
/// What it needs besides root: of its own words on standard error the last is kept, and no more than this.
const MOST_WORDS: usize = 300;

/// A CRIU that works here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Criu {
    /// Absolute.
    pub program: PathBuf,
    /// `4.2.1`.
    pub version: String,
}

impl Criu {
    /// The program of [`VARIABLE`], or the one on the `PATH`.
    ///
    /// # Errors
    /// Why there is none to use: absent, older than `oldest`, or without what it needs of this kernel.
    pub fn find(oldest: &str) -> Result<Self, String> {
        let stated = std::env::var_os(VARIABLE).filter(|v| !v.is_empty()).map(PathBuf::from);
        match stated.or_else(on_path) {
            Some(program) => Self::of(&program, oldest),
            None => Err(format!("it is not installed (and {VARIABLE} names none)")),
        }
    }

    /// This program.
    ///
    /// # Errors
    /// As [`Criu::find`].
    pub fn of(program: &Path, oldest: &str) -> Result<Self, String> {
        let ask = |argument: &str| {
            let asked = Command::new(program).arg(argument).stdin(Stdio::null()).output();
            asked.map_err(|e| format!("{} cannot be run: {e}", program.display()))
        };
        let said = ask("--version")?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let version = said.lines().find_map(|line| line.strip_prefix("Version:")).map(str::trim).unwrap_or_default();
        let Some(numbers) = numbers(version) else {
            return Err(format!("{} does not say its version", program.display()));
        };
        if numbers < self::numbers(oldest).unwrap_or_default() {
            return Err(format!("{version} is older than {oldest}"));
        }
        let check = ask("check")?;
        if !check.status.success() {
            let words = String::from_utf8_lossy(&check.stderr);
            let last = words.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it does not say why");
            let last: String = last.chars().take(MOST_WORDS).collect();
            return Err(format!("`criu check` of {version} fails: {last}"));
        }
        let program = std::path::absolute(program).unwrap_or_else(|_| program.to_path_buf());
        Ok(Self { program, version: version.to_string() })
    }
}

fn on_path() -> Option<PathBuf> {
    // Debian has it in sbin, which is not on every user's path.
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&paths).chain(["/usr/local/sbin", "/usr/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join("criu")).find(|program| program.is_file())
}

/// `4.2.1` as numbers; what follows the first that is no number is left out (`4.2-rc1` is 4.2).
pub fn numbers(version: &str) -> Option<Vec<u32>> {
    let mut out = Vec::new();
    for part in version.trim_start_matches('v').split('.') {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        match digits.parse() {
            Ok(number) => out.push(number),
            Err(_) => break,
        }
        if digits.len() < part.len() {
            break;
        }
    }
    (!out.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A program that says this version, and whose check ends so.
    fn fake(version: &str, check: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("criu");
        let script = format!(
            "#!/bin/sh\ncase $1 in --version) printf '%s\\n' '{version}' 'GitID: v0';; check) {check};; *) exit 9;; esac\n"
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        (dir, program)
    }

    #[test]
    fn one_that_is_too_old_is_not_asked_further() {
        let (_dir, program) = fake("Version: 3.17.1", "exit 0");
        assert_eq!(Criu::of(&program, OLDEST).unwrap_err(), "3.17.1 is older than 4.2");
        let (_dir, program) = fake("Version: 4.2", "exit 0");
        assert_eq!(Criu::of(&program, "4.10").unwrap_err(), "4.2 is older than 4.10");
    }

    #[test]
    fn one_whose_check_fails_says_why() {
        let (_dir, program) = fake("Version: 4.2.1", "echo first >&2; echo 'Error: no ptrace' >&2; echo >&2; exit 1");
        assert_eq!(Criu::of(&program, OLDEST).unwrap_err(), "`criu check` of 4.2.1 fails: Error: no ptrace");
    }

    #[test]
    fn a_good_one_is_taken() {
        let (_dir, program) = fake("Version: 4.2.1", "echo 'Looks good.'");
        assert_eq!(Criu::of(&program, OLDEST).unwrap(), Criu { program, version: "4.2.1".to_string() });
    }

    #[test]
    fn what_is_no_criu_is_refused() {
        let (dir, program) = fake("something else", "exit 0");
        assert!(Criu::of(&program, OLDEST).unwrap_err().ends_with("does not say its version"));
        assert!(Criu::of(&dir.path().join("absent"), OLDEST).unwrap_err().contains("cannot be run"));
    }

    #[test]
    fn versions_are_numbers() {
        assert_eq!(numbers("4.2-rc1"), Some(vec![4, 2]));
        assert_eq!(numbers("v4.2.1"), Some(vec![4, 2, 1]));
        assert_eq!(numbers("x"), None);
        assert!(numbers("4.10") > numbers("4.9.9"));
    }
}
