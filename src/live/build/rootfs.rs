//! Built images as root file systems, for whoever runs something in them without a container engine.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::builder::{Builder, Kind, ask_within};

/// Longest time to unpack an image.
const UNPACKED: Duration = Duration::from_secs(1800);

/// An image that is mounted from the builder's store until this is dropped. Its files are shared with every other
/// image that has the same layers, in the page cache too.
#[derive(Debug)]
pub struct Mounted {
    path: PathBuf,
    /// The command that ends it.
    end: Vec<String>,
}

impl Mounted {
    /// The root of its file system. To be read only: of buildah it is a working container's.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let words: Vec<&str> = self.end.iter().map(String::as_str).collect();
        let _ = ask_within(&words, UNPACKED, &AtomicBool::new(false));
    }
}

/// What names of working containers begin with.
const PREFIX: &str = "warmset-root";

/// A name that no other call and no other process uses, by which [`sweep`] knows whether that process still runs.
fn unique() -> String {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let pid = std::process::id();
    let since = started(pid).unwrap_or_default();
    format!("{PREFIX}-{pid}-{since}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// When a process started, in the kernel's ticks (proc_pid_stat(5), field 22): numbers of processes come again.
fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name, in which anything may stand.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

/// Whether a working container is one of a warmset that has ended.
fn is_left(name: &str) -> bool {
    let parts: Vec<&str> = name.strip_prefix(PREFIX).map(|rest| rest.split('-').collect()).unwrap_or_default();
    let ["", pid, since, _] = parts[..] else { return false };
    let (Ok(pid), Ok(since)) = (pid.parse::<u32>(), since.parse::<u64>()) else { return false };
    // Elsewhere nobody says when a process started.
    cfg!(target_os = "linux") && started(pid) != Some(since)
}

/// Removes the working containers that a killed warmset left in the builder's store, with their mounts: how many. Those
/// of other processes of this machine stay as long as these run.
///
/// # Errors
/// When the builder does not answer, or one cannot be removed.
pub fn sweep(builder: &Builder, stop: &AtomicBool) -> Result<usize, String> {
    let program = builder.program.as_str();
    let args: &[&str] = match builder.kind {
        Kind::Buildah => &["containers", "--noheading", "--notruncate", "--format", "{{.ContainerName}}"],
        Kind::Docker | Kind::Podman => &["ps", "--all", "--no-trunc", "--format", "{{.Names}}"],
    };
    let said = ask_within(&[&[program], args].concat(), UNPACKED, stop)?;
    let left: Vec<&str> = said.lines().map(str::trim).filter(|name| is_left(name)).collect();
    for name in &left {
        ask_within(&removal(builder, name), UNPACKED, stop).map_err(|why| format!("{name}: {why}"))?;
    }
    Ok(left.len())
}

/// The command that removes a working container; its mount goes with it.
fn removal<'a>(builder: &'a Builder, container: &'a str) -> Vec<&'a str> {
    match builder.kind {
        Kind::Buildah => vec![&builder.program, "rm", container],
        Kind::Docker | Kind::Podman => vec![&builder.program, "rm", "--force", container],
    }
}

/// Removes it whatever the user wants meanwhile.
fn remove(builder: &Builder, container: &str) -> Result<(), String> {
    ask_within(&removal(builder, container), UNPACKED, &AtomicBool::new(false)).map(|_| ())
}

/// Mounts an image, by reference or digest, where the builder's store allows it: buildah's and podman's as root.
///
/// # Errors
/// When it does not, or has no such image; [`rootfs`] makes a folder of it all the same.
pub fn mounted(builder: &Builder, reference: &str, stop: &AtomicBool) -> Result<Mounted, String> {
    let name = builder.local(reference);
    let ask = |words: &[&str]| ask_within(words, UNPACKED, stop);
    let program = builder.program.as_str();
    let container = unique();
    let made = match builder.kind {
        Kind::Docker => return Err("docker's store cannot be mounted from outside".into()),
        Kind::Podman => ask(&[program, "create", "--pull=never", "--name", &container, name]),
        Kind::Buildah => ask(&[program, "from", "--pull=never", "--name", &container, name]),
    };
    // Dropped from here on it takes with it what there is of the container, also of one that was stopped half-way.
    let end = removal(builder, &container).into_iter().map(String::from).collect();
    let mut mounted = Mounted { path: PathBuf::new(), end };
    made?;
    mounted.path = PathBuf::from(ask(&[program, "mount", &container])?.trim());
    if mounted.path.is_dir() { Ok(mounted) } else { Err(format!("{} mounted it nowhere", builder.kind)) }
}

/// Unpacks an image, by reference or digest, into a folder that must not exist yet: whole or not at all. Owners and modes are kept
/// where this runs as root.
///
/// # Errors
/// When the store has no such image, or a tool or the disk fails.
pub fn rootfs(builder: &Builder, reference: &str, into: &Path, stop: &AtomicBool) -> Result<(), String> {
    let name = into.file_name().ok_or_else(|| format!("{} has no name", into.display()))?.to_string_lossy();
    if into.exists() {
        return Err(format!("{} exists already", into.display()));
    }
    let stage = into.with_file_name(format!(".{name}.{}", unique()));
    let failed = |what: &Path, e: std::io::Error| format!("{}: {e}", what.display());
    std::fs::create_dir_all(&stage).map_err(|e| failed(&stage, e))?;
    let done = fill(builder, reference, &stage, stop)
        .and_then(|()| std::fs::rename(&stage, into).map_err(|e| failed(into, e)));
    if done.is_err() {
        let _ = std::fs::remove_dir_all(&stage);
    }
    done
}

fn fill(builder: &Builder, reference: &str, stage: &Path, stop: &AtomicBool) -> Result<(), String> {
    let ask = |words: &[&str]| ask_within(words, UNPACKED, stop);
    let to = stage.display().to_string();
    if builder.kind == Kind::Buildah {
        let mounted = mounted(builder, reference, stop)?;
        let from = format!("{}/.", mounted.path().display());
        return ask(&["cp", "-a", "--reflink=auto", &from, &to]).map(|_| ());
    }
    let program = builder.program.as_str();
    let container = unique();
    let tar = format!("{to}.tar");
    let unpacked = ask(&[program, "create", "--name", &container, builder.local(reference)])
        .and_then(|_| ask(&[program, "export", "--output", &tar, &container]))
        .and_then(|_| ask(&["tar", "-x", "-p", "--numeric-owner", "-f", &tar, "-C", &to]));
    let _ = std::fs::remove_file(&tar);
    let removed = remove(builder, &container);
    unpacked.and(removed)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_what_an_ended_warmset_has_left_is_swept() {
        let own = unique();
        assert!(!is_left(&own), "{own}");
        let (pid, since) = (std::process::id(), started(std::process::id()).unwrap());
        assert!(own.starts_with(&format!("warmset-root-{pid}-{since}-")) && since > 0);
        assert!(is_left(&format!("warmset-root-{pid}-{}-0", since + 1)), "another process with the same number");
        assert!(is_left("warmset-root-4194305-77-0"), "above the highest number of a process");
        for other in ["python-working-container", "warmset-root", "warmset-root-1", "warmset-root-x-1-0", ""] {
            assert!(!is_left(other), "{other}");
        }
        assert!(!is_left("warmset-roots-4194305-77-0"));
    }
}
