//! The file system of a sandbox: a tmpfs of folders, with read-only binds in them.
//!
//! A bind needs a place to be mounted on. Places are only ever made on the tmpfs, never through a bind in the machine's
//! own folders; where a place lies below a folder that is to be shown, that folder is taken apart: its entries are shown
//! one by one in a folder of the tmpfs, which can take the place besides.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};

use super::spec::{Root, Spec};

/// Folders with programs and libraries of a system.
const SYSTEM: [&str; 8] = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix"];
/// What programs read below /etc: names, the linker's cache, certificates, time zone.
const ETC: [&str; 19] = [
    "alternatives",
    "ca-certificates",
    "gai.conf",
    "group",
    "host.conf",
    "hosts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "nsswitch.conf",
    "passwd",
    "pki",
    "protocols",
    "resolv.conf",
    "services",
    "ssl",
    "timezone",
];
const DEVICES: [&str; 5] = ["full", "null", "random", "urandom", "zero"];
/// What a sandbox has of its own, whatever its root shows.
const OWN: [&str; 5] = ["dev", "proc", "run", "sys", "tmp"];

/// An error with what was being done.
pub(super) fn about<T, E: Into<io::Error>>(result: Result<T, E>, what: impl FnOnce() -> String) -> io::Result<T> {
    result.map_err(|e| {
        let e = e.into();
        io::Error::new(e.kind(), format!("{}: {e}", what()))
    })
}

/// The root under construction.
struct Tree {
    at: PathBuf,
    device: u64,
    /// What is never shown from the root's own folders: their folders are taken apart.
    own: Vec<PathBuf>,
}

/// Builds the root of a sandbox and moves into it. The caller is alone in a new mount namespace, and in the PID namespace
/// whose processes `/proc` is to show.
///
/// # Errors
/// Whatever the kernel does not permit, with the place.
pub(super) fn enter(spec: &Spec) -> io::Result<()> {
    about(rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC), || {
        "cannot make the mounts private".to_string()
    })?;
    // Nothing that is shown inside comes from there.
    let at = ["/sys", "/mnt", "/media"].into_iter().map(PathBuf::from).find(|p| p.is_dir());
    let at = at.ok_or_else(|| io::Error::other("there is none of /sys, /mnt, /media to build the root on"))?;
    mount_tmpfs(&at, c"mode=755,size=16m")?;
    let texts = spec.texts.iter().map(|t| relative(&t.to)).collect::<io::Result<_>>()?;
    let tree = Tree { device: fs::metadata(&at)?.dev(), at, own: texts };
    tree.fill(spec)?;
    let at = tree.at;
    rustix::process::chdir(&at)?;
    // The old root ends up on top of the new one, and is taken away from there.
    about(rustix::process::pivot_root(".", "."), || "pivot_root".to_string())?;
    about(rustix::mount::unmount(".", UnmountFlags::DETACH), || "cannot let go of the old root".to_string())?;
    rustix::process::chdir("/")?;
    seal()?;
    rustix::process::chdir(&spec.folder).or_else(|_| rustix::process::chdir("/"))?;
    Ok(())
}

fn mount_tmpfs(at: &Path, options: &CStr) -> io::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    about(rustix::mount::mount(c"tmpfs", at, c"tmpfs", flags, Some(options)), || format!("tmpfs on {}", at.display()))
}

impl Tree {
    fn fill(&self, spec: &Spec) -> io::Result<()> {
        let mut places: Vec<&Path> = spec.binds.iter().map(|b| b.to.as_path()).collect();
        places.extend(spec.texts.iter().map(|t| t.to.as_path()));
        places.extend(spec.empty.iter().map(PathBuf::as_path));
        let places: Vec<PathBuf> = places.into_iter().map(relative).collect::<io::Result<_>>()?;
        match &spec.root {
            Root::System => {
                for name in SYSTEM {
                    self.show(&Path::new("/").join(name), Path::new(name), &places)?;
                }
                for name in ETC {
                    self.show(&Path::new("/etc").join(name), &Path::new("etc").join(name), &places)?;
                }
            }
            Root::Folder(folder) => self.image(folder, spec.network, &places)?,
        }
        self.own(spec)?;
        for bind in &spec.binds {
            let to = relative(&bind.to)?;
            // What is there already is what the root itself shows at that path.
            self.bind(&bind.from, &to)?;
        }
        for covered in &spec.covered {
            let at = self.at.join(relative(covered)?);
            if at.is_dir() {
                mount_tmpfs(&at, c"mode=755,size=4k")?;
            }
        }
        for empty in &spec.empty {
            self.folder(&relative(empty)?)?;
        }
        for text in &spec.texts {
            let to = relative(&text.to)?;
            let folder = to.parent().unwrap_or(Path::new(""));
            self.folder(folder)?;
            if fs::metadata(self.at.join(folder))?.dev() != self.device {
                return Err(io::Error::other(format!(
                    "{} lies in a folder that is shown read-only",
                    text.to.display()
                )));
            }
            about(fs::write(self.at.join(&to), &text.text), || format!("cannot write {}", text.to.display()))?;
        }
        Ok(())
    }

    /// The folders of an unpacked image, but for what a sandbox has of its own.
    fn image(&self, folder: &Path, network: bool, places: &[PathBuf]) -> io::Result<()> {
        let machines: &[&str] = if network { &["hosts", "resolv.conf"] } else { &[] };
        let list = |of: &Path| about(fs::read_dir(of), || format!("cannot read {}", of.display()));
        for entry in list(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            // What is below these is shown piece by piece: /var/tmp is a link to the sandbox's own /tmp.
            let (apart, left_out): (bool, &[&str]) = match name.to_str() {
                Some(own) if OWN.contains(&own) => continue,
                Some("var") => (true, &["tmp"]),
                Some("etc") => (network, machines),
                _ => (false, &[]),
            };
            if !apart || !entry.file_type()?.is_dir() {
                self.show(&entry.path(), Path::new(&name), places)?;
                continue;
            }
            self.folder(Path::new(&name))?;
            for below in list(&entry.path())? {
                let below = below?;
                if !left_out.iter().any(|out| below.file_name() == **out) {
                    self.show(&below.path(), &Path::new(&name).join(below.file_name()), places)?;
                }
            }
        }
        for name in machines {
            self.show(&Path::new("/etc").join(name), &Path::new("etc").join(name), places)?;
        }
        Ok(())
    }

    /// /dev, /proc, /tmp, /run.
    fn own(&self, spec: &Spec) -> io::Result<()> {
        for name in ["dev", "proc", "run", "tmp"] {
            self.folder(Path::new(name))?;
        }
        for name in DEVICES {
            let to = Path::new("dev").join(name);
            let from = Path::new("/dev").join(name);
            if from.exists() {
                self.bind(&from, &to)?;
            }
        }
        for (to, from) in [
            ("fd", "/proc/self/fd"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"),
            // One tmpfs for all that may be written: its size is the limit, and it goes with the namespace.
            ("shm", "/tmp"),
        ] {
            std::os::unix::fs::symlink(from, self.at.join("dev").join(to))?;
        }
        let var = self.at.join("var");
        if fs::symlink_metadata(&var).is_err() {
            self.folder(Path::new("var"))?;
        }
        // An image's own /var may be a link.
        if fs::symlink_metadata(&var)?.is_dir() {
            std::os::unix::fs::symlink("/tmp", var.join("tmp"))?;
        }
        let tmp = std::ffi::CString::new(format!("mode=1777,size={}m", spec.tmp_mb))?;
        mount_tmpfs(&self.at.join("tmp"), &tmp)?;
        let proc = self.at.join("proc");
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        about(rustix::mount::mount(c"proc", &proc, c"proc", flags, None), || "cannot mount /proc".to_string())
    }

    /// Shows an entry of a root where places below it stay possible; what does not exist is left out.
    fn show(&self, from: &Path, to: &Path, places: &[PathBuf]) -> io::Result<()> {
        let Ok(kind) = fs::symlink_metadata(from) else { return Ok(()) };
        if places.iter().any(|p| p == to) {
            return Ok(());
        }
        if kind.is_symlink() && to.components().count() == 1 {
            return about(std::os::unix::fs::symlink(fs::read_link(from)?, self.at.join(to)), || {
                format!("cannot link {}", to.display())
            });
        }
        let lacks = |p: &&PathBuf| p.starts_with(to) && !below(from, p, to).exists();
        if kind.is_dir() && (places.iter().any(|p| lacks(&p)) || self.own.iter().any(|p| p.starts_with(to))) {
            self.folder(to)?;
            for entry in fs::read_dir(from)? {
                let entry = entry?;
                self.show(&entry.path(), &to.join(entry.file_name()), places)?;
            }
            return Ok(());
        }
        if kind.is_symlink() {
            // Below a folder of the tmpfs a link still means what it meant: the root is the same.
            self.folder(to.parent().unwrap_or(Path::new("")))?;
            let target = fs::canonicalize(from);
            return match target {
                Ok(target) if from.starts_with("/etc") => self.bind(&target, to),
                _ => std::os::unix::fs::symlink(fs::read_link(from)?, self.at.join(to)),
            };
        }
        if kind.is_dir() || kind.is_file() { self.bind(from, to) } else { Ok(()) }
    }

    fn bind(&self, from: &Path, to: &Path) -> io::Result<()> {
        let kind = about(fs::metadata(from), || format!("cannot show {}", from.display()))?;
        let at = self.at.join(to);
        if !at.exists() {
            if kind.is_dir() {
                self.folder(to)?;
            } else {
                self.folder(to.parent().unwrap_or(Path::new("")))?;
                fs::write(&at, "")?;
            }
        }
        about(rustix::mount::mount_bind_recursive(from, &at), || format!("cannot show {}", from.display()))
    }

    /// A folder of the tmpfs with all above it; refuses to make one anywhere else.
    fn folder(&self, to: &Path) -> io::Result<()> {
        let mut at = self.at.clone();
        for part in to.components() {
            at.push(part);
            if at.is_dir() {
                continue;
            }
            let parent = at.parent().unwrap_or(&self.at);
            if fs::metadata(parent)?.dev() != self.device {
                return Err(io::Error::other(format!("{} lies in a folder that is shown read-only", to.display())));
            }
            about(fs::DirBuilder::new().mode(0o755).create(&at), || format!("cannot make {}", to.display()))?;
        }
        Ok(())
    }
}

/// Where `place`, which lies below `to`, is below `from`.
fn below(from: &Path, place: &Path, to: &Path) -> PathBuf {
    place.strip_prefix(to).map_or_else(|_| from.to_path_buf(), |rest| from.join(rest))
}

/// An absolute path without its root, and without any part that leads elsewhere.
fn relative(path: &Path) -> io::Result<PathBuf> {
    let mut parts = path.components();
    let plain = parts.next() == Some(Component::RootDir) && parts.clone().all(|p| matches!(p, Component::Normal(_)));
    if plain && parts.clone().next().is_some() {
        Ok(parts.as_path().to_path_buf())
    } else {
        Err(io::Error::other(format!("{} is not a plain absolute path", path.display())))
    }
}

/// Makes every mount read-only but /tmp, /proc and the devices, those below a bind too.
fn seal() -> io::Result<()> {
    for mount in super::mounts::read()? {
        let under = |folder: &str| Path::new(&mount.at).starts_with(folder);
        if under("/proc") || under("/tmp") {
            continue;
        }
        let mut flags = mount.flags | MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID;
        if under("/dev") {
            // Writing to /dev/null is no change of the file system, but a read-only mount refuses it to nobody.
            flags -= MountFlags::NODEV;
        } else {
            flags |= MountFlags::NODEV;
        }
        about(rustix::mount::mount_remount(&mount.at, flags, c""), || {
            format!("cannot make {} read-only", mount.at.display())
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_absolute_paths_are_places() {
        assert_eq!(relative(Path::new("/opt/warm")).unwrap(), Path::new("opt/warm"));
        for wrong in ["opt", "/", "/opt/../etc", "", "./opt"] {
            assert!(relative(Path::new(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn folders_are_made_in_the_tree_only() {
        let dir = tempfile::tempdir().unwrap();
        let device = fs::metadata(dir.path()).unwrap().dev();
        let tree = Tree { at: dir.path().to_path_buf(), device, own: Vec::new() };
        tree.folder(Path::new("a/b/c")).unwrap();
        assert!(dir.path().join("a/b/c").is_dir());
        let elsewhere = Tree { at: dir.path().to_path_buf(), device: device + 1, own: Vec::new() };
        assert!(elsewhere.folder(Path::new("a/d")).is_err());
        assert!(!dir.path().join("a/d").exists());
    }
}
