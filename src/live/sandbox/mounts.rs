//! The mounts of this process, from `/proc/self/mountinfo` (proc_pid_mountinfo(5)).

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use rustix::mount::MountFlags;

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// What part of its file system it shows.
    pub root: PathBuf,
    /// Where.
    pub at: PathBuf,
    /// Its own options.
    pub flags: MountFlags,
    /// Type of the file system: `tmpfs`, `cgroup2`.
    pub kind: String,
    /// Options of the file system, by commas.
    pub options: String,
}

/// All of them, in the kernel's order.
pub(super) fn read() -> io::Result<Vec<Mount>> {
    Ok(parse(&fs::read_to_string("/proc/self/mountinfo")?))
}

/// Lines that are not as the page says are left out.
pub(super) fn parse(text: &str) -> Vec<Mount> {
    text.lines().filter_map(line).collect()
}

fn line(line: &str) -> Option<Mount> {
    let (own, rest) = line.split_once(" - ")?;
    let own: Vec<&str> = own.split(' ').collect();
    let rest: Vec<&str> = rest.split(' ').collect();
    Some(Mount {
        root: path(own.get(3)?),
        at: path(own.get(4)?),
        flags: flags(own.get(5)?),
        kind: (*rest.first()?).to_string(),
        options: rest.get(2).map(ToString::to_string).unwrap_or_default(),
    })
}

/// A mount that came from a more privileged namespace keeps these, and refuses to be changed without them.
fn flags(options: &str) -> MountFlags {
    options.split(',').fold(MountFlags::empty(), |flags, option| {
        flags
            | match option {
                "ro" => MountFlags::RDONLY,
                "nosuid" => MountFlags::NOSUID,
                "nodev" => MountFlags::NODEV,
                "noexec" => MountFlags::NOEXEC,
                "noatime" => MountFlags::NOATIME,
                "nodiratime" => MountFlags::NODIRATIME,
                "relatime" => MountFlags::RELATIME,
                _ => MountFlags::empty(),
            }
    })
}

/// Blanks and line feeds are written in octal: `\040`.
fn path(field: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let [first, more @ ..] = rest {
        let octal = match more {
            [a, b, c, ..] if *first == b'\\' => {
                std::str::from_utf8(&[*a, *b, *c]).ok().and_then(|digits| u8::from_str_radix(digits, 8).ok())
            }
            _ => None,
        };
        bytes.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { &more[3..] } else { more };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_manual_page_is_read() {
        let text = "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\nshort\n";
        assert_eq!(
            parse(text),
            [Mount {
                root: PathBuf::from("/mnt1"),
                at: PathBuf::from("/mnt 2"),
                flags: MountFlags::NOATIME,
                kind: "ext3".to_string(),
                options: "rw,errors=continue".to_string(),
            }]
        );
    }

    #[test]
    fn a_backslash_without_digits_stays() {
        assert_eq!(path("a\\0"), PathBuf::from("a\\0"));
        assert_eq!(path("\\zzz"), PathBuf::from("\\zzz"));
    }
}
