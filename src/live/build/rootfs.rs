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

/// A name that no other call and no other process uses.
fn unique() -> String {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    format!("warmset-root-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Mounts an image, by reference or digest, where the builder's store allows it: buildah's and podman's as root.
///
/// # Errors
/// When it does not, or has no such image; [`rootfs`] makes a folder of it all the same.
pub fn mounted(builder: &Builder, reference: &str, stop: &AtomicBool) -> Result<Mounted, String> {
    let name = builder.local(reference);
    let ask = |words: &[&str]| ask_within(words, UNPACKED, stop);
    let program = builder.program.as_str();
    let (path, end) = match builder.kind {
        Kind::Docker => return Err("docker's store cannot be mounted from outside".into()),
        Kind::Podman => {
            let path = ask(&[program, "image", "mount", name])?;
            (path, [program, "image", "umount", name].map(String::from).to_vec())
        }
        Kind::Buildah => {
            let container = unique();
            ask(&[program, "from", "--pull=never", "--name", &container, name])?;
            let end = [program, "rm", &container].map(String::from).to_vec();
            match ask(&[program, "mount", &container]) {
                Ok(path) => (path, end),
                Err(reason) => {
                    let _ = ask(&[program, "rm", &container]);
                    return Err(reason);
                }
            }
        }
    };
    let mounted = Mounted { path: PathBuf::from(path.trim()), end };
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
    let container = ask(&[program, "create", builder.local(reference)])?;
    let tar = format!("{to}.tar");
    let unpacked = ask(&[program, "export", "--output", &tar, container.trim()])
        .and_then(|_| ask(&["tar", "-x", "-p", "--numeric-owner", "-f", &tar, "-C", &to]));
    let _ = std::fs::remove_file(&tar);
    let removed = ask_within(&[program, "rm", container.trim()], UNPACKED, &AtomicBool::new(false));
    unpacked.and(removed).map(|_| ())
}
