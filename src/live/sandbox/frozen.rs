//! Processes that are frozen into files and thawed from them by CRIU, in sandboxes of their own (real root only).
//!
//! `warmset __sandbox freeze` and `thaw`, as [`super::enter`] is started: the first process of new PID, mount, UTS, IPC and
//! network namespaces, with the life socket as standard input. CRIU is run by this process *inside* the sandbox, where all
//! namespaces are its own, so that it neither stores nor makes any. What was found to matter (CRIU 4.2, Linux 6.18):
//! - The program is in a user namespace, as every other, but CRIU freezes it from outside: the files of its memory can be
//!   asked for by real root alone. CRIU would then make that namespace itself when it thaws, and could not number the
//!   program's threads in a PID namespace that is real root's. So the one file that says so is changed ([`adopt`]), and
//!   CRIU thaws inside: in a user namespace, and in PID and mount namespaces that belong to it.
//! - There (`--unprivileged`) it makes no time namespace either: a thawed program has the machine's clocks. A pipe that is
//!   handed to it is opened anew by its path, so it has to belong to an id inside.
//! - The program's numbers start at [`FIRST_PID`]: they must be free when it is thawed, beside CRIU's own.
//! - The control socket is made in the sandbox's network namespace: CRIU looks for sockets there. When it is thawed, and
//!   the log, they are replaced by the runtime's.
//! - CRIU asks the loopback device, and keeps what it has found out of the kernel in /run, where that is a tmpfs.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use rustix::mount::MountFlags;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};
use rustix::process::{Gid, Pid, Signal, Uid};
use rustix::thread::UnshareFlags;
use serde::{Deserialize, Serialize};

use super::enter::{FUNCTION_ID, as_shells_do, hand_over, read_line, say, unshare, watch};
use super::root::about;
use super::spec::{IDS, SUBCOMMAND, Spec};

/// Number of the program inside, and of its threads from there on.
pub(crate) const FIRST_PID: i32 = 1000;
/// Modes of the subcommand that [`run`] starts.
pub(super) const INSIDE: &str = "frozen-inside";
pub(super) const THAW: &str = "frozen-thaw";
/// Where CRIU keeps what it has found out of the kernel.
const FINDINGS: &str = "/run/criu.kdat";

/// A program to freeze, or one to thaw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    /// Its sandbox.
    pub spec: Spec,
    /// CRIU.
    pub criu: PathBuf,
    /// The folder with what was frozen.
    pub folder: PathBuf,
    /// First of the ids of its user namespace on this machine.
    pub first_id: u32,
    /// What was frozen and is to be thawed.
    pub thaw: Option<Handed>,
}

/// What a frozen program had of the runtime, as CRIU names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    /// Its control socket: `socket:[4711]`.
    pub control: String,
    /// Its standard output and error.
    pub log: String,
}

/// The subcommand's part. The program's end of the control socket is standard output, its log standard error.
pub(super) fn run(life: &io::Stdin) -> io::Result<ExitCode> {
    let frozen: Frozen = serde_json::from_slice(&read_line(life)?).map_err(io::Error::other)?;
    super::enter::bound(&frozen.spec);
    // They are not in the sandbox.
    let criu = about(File::open(&frozen.criu), || frozen.criu.display().to_string())?;
    let folder: OwnedFd = about(File::open(&frozen.folder), || frozen.folder.display().to_string())?.into();
    let mut flags = UnshareFlags::NEWNS | UnshareFlags::NEWUTS | UnshareFlags::NEWIPC;
    flags.set(UnshareFlags::NEWNET, !frozen.spec.network);
    about(unshare(flags), || "cannot make namespaces".to_string())?;
    super::root::enter(&frozen.spec)?;
    about(rustix::system::sethostname(b"warmset"), || "cannot set the host name".to_string())?;
    if !frozen.spec.network {
        about(loopback_up(), || "cannot bring up the loopback device".to_string())?;
    }
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    rustix::thread::set_no_new_privs(true)?;
    let crew = Crew { criu, folder, first_id: frozen.first_id };
    match &frozen.thaw {
        None => crew.freeze(&frozen.spec, life),
        Some(handed) => crew.thaw(handed, life),
    }
}

/// Who freezes and thaws.
struct Crew {
    criu: File,
    folder: OwnedFd,
    first_id: u32,
}

impl Crew {
    /// Runs the program until the runtime has it frozen, which ends it. On the life socket: `tell LINE` passes a line to
    /// the program where it is not empty, and answers with the program's next; `freeze` answers with [`Handed`].
    fn freeze(&self, spec: &Spec, life: &io::Stdin) -> io::Result<ExitCode> {
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        about(rustix::mount::mount(c"tmpfs", "/run", c"tmpfs", flags, Some(c"mode=755,size=1m")), || {
            "/run".to_string()
        })?;
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        let control = rustix::io::fcntl_dupfd_cloexec(&theirs, 3)?;
        drop(theirs);
        rustix::io::fcntl_setfd(&control, rustix::io::FdFlags::empty())?;
        let log = rustix::io::fcntl_dupfd_cloexec(io::stderr(), 10)?;
        std::fs::write("/proc/sys/kernel/ns_last_pid", (FIRST_PID - 1).to_string())?;
        let (asks, asked) = UnixStream::pair()?;
        let mut program = Command::new("/proc/self/exe");
        program.args([SUBCOMMAND, INSIDE]).arg(&spec.program).args(&spec.arguments);
        program.env_clear().envs(&spec.environment);
        program.env("WARMSET_CONTROL", control.as_raw_fd().to_string());
        program.stdin(OwnedFd::from(asked)).stdout(Stdio::from(log.try_clone()?)).stderr(Stdio::from(log));
        let started = program.spawn();
        drop(program);
        let mut program = about(started, || format!("cannot run {}", spec.program.display()))?;
        about(read_line(&asks), || "no user namespace".to_string())?;
        for map in ["uid_map", "gid_map"] {
            let line = format!("0 {} {IDS}", self.first_id);
            about(std::fs::write(format!("/proc/{}/{map}", program.id()), line), || format!("cannot write {map}"))?;
        }
        send_all(&asks, b"ok\n")?;
        let at = format!("/proc/{}/fd", program.id());
        let link = |number: i32| -> io::Result<String> {
            Ok(std::fs::read_link(format!("{at}/{number}"))?.to_string_lossy().into_owned())
        };
        let handed = Handed { control: link(control.as_raw_fd())?, log: link(1)? };
        drop(control);
        say(life, "up")?;
        loop {
            let order = read_line(life)?;
            if let Some(line) = order.strip_prefix(b"tell ") {
                if !line.is_empty() {
                    send_all(&ours, &[line, b"\n"].concat())?;
                }
                let answer = about(read_line(&ours), || "the program has ended".to_string())?;
                send_all(life, &[&answer, &b"\n"[..]].concat())?;
                continue;
            }
            // Either end of a connection that is not frozen as a whole has to be named.
            let peer = format!("unix[{}]", rustix::fs::fstat(&ours)?.st_ino);
            let own = handed.control.replace("socket:", "unix");
            let number = program.id().to_string();
            let args = ["dump", "-t", &number, "--external", &own, "--external", &peer].map(ToString::to_string);
            let mut criu = criu(&self.criu, &self.folder, &args)?;
            ended(&mut criu, "dump")?;
            let _ = program.wait();
            // Whoever thaws has these findings without asking the kernel again; without them it is a little slower.
            let _ = std::fs::copy(FINDINGS, format!("/proc/self/fd/{}/criu.kdat", self.folder.as_raw_fd()));
            let folder = format!("/proc/self/fd/{}", self.folder.as_raw_fd());
            about(adopt(Path::new(&folder), self.first_id), || "what was frozen cannot be taken over".to_string())?;
            send_all(life, &[serde_json::to_vec(&handed)?, b"\n".to_vec()].concat())?;
            return Ok(ExitCode::SUCCESS);
        }
    }

    /// Makes the namespaces in which the program is thawed, and has [`thaw`] do it there.
    fn thaw(self, handed: &Handed, life: &io::Stdin) -> io::Result<ExitCode> {
        let own = (Some(Uid::from_raw(self.first_id)), Some(Gid::from_raw(self.first_id)));
        about(rustix::fs::fchown(io::stderr(), own.0, own.1), || "the log cannot be handed over".to_string())?;
        super::enter::own_ids(life)?;
        about(unshare(UnshareFlags::NEWPID | UnshareFlags::NEWNS), || "cannot make namespaces".to_string())?;
        let (criu, folder) = (inherited(&self.criu)?, inherited(&self.folder)?);
        let mut inner = Command::new("/proc/self/exe");
        inner.args([SUBCOMMAND, THAW, &criu.as_raw_fd().to_string(), &folder.as_raw_fd().to_string()]);
        let mut inner = inner.args([&handed.control, &handed.log]).spawn()?;
        drop((criu, folder, self));
        hand_over()?;
        let status = inner.wait()?;
        Ok(as_shells_do(status.code(), std::os::unix::process::ExitStatusExt::signal(&status)))
    }
}

/// The program that is to be frozen, before it is that program: moves into a user namespace and gives up all that it has.
pub(super) fn inside(life: &io::Stdin) -> io::Result<ExitCode> {
    super::enter::own_ids(life)?;
    let (uid, gid) = (Uid::from_raw(FUNCTION_ID), Gid::from_raw(FUNCTION_ID));
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    let mut arguments = std::env::args_os().skip(3);
    let program = arguments.next().ok_or_else(|| io::Error::other("no program"))?;
    let null = File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    about(Err(Command::new(&program).args(arguments).exec()), || format!("cannot run {}", program.display()))
}

/// The first process of the PID namespace in which the program is thawed, root of its user namespace: thaws it, and
/// watches it. Arguments: descriptors of CRIU and of the folder, what the control socket and the log were.
pub(super) fn thaw(life: &io::Stdin) -> io::Result<ExitCode> {
    let told: Vec<String> = std::env::args().skip(3).collect();
    let [criu, folder, control, log] = told.as_slice() else { return Err(io::Error::other("four arguments")) };
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    let mount = |kind: &CStr, at: &CStr, more: MountFlags, options: Option<&CStr>| {
        about(rustix::mount::mount(kind, at, kind, flags | more, options), || format!("cannot mount {at:?}"))
    };
    mount(c"proc", c"/proc", MountFlags::NOEXEC, None)?;
    mount(c"tmpfs", c"/run", MountFlags::NOEXEC, Some(c"mode=755,size=4m"))?;
    let _ = std::fs::copy(format!("/proc/self/fd/{folder}/criu.kdat"), FINDINGS);
    rustix::process::setsid()?;
    let (to_control, to_log) = (inherited(io::stdout())?, inherited(io::stderr())?);
    let mut restore = Command::new(format!("/proc/self/fd/{criu}"));
    restore.args(["restore", "--restore-detached", "--unprivileged"]);
    for (descriptor, what) in [(&to_control, control), (&to_log, log)] {
        restore.args(["--inherit-fd", &format!("fd[{}]:{what}", descriptor.as_raw_fd())]);
    }
    restore.args(["--images-dir", &format!("/proc/self/fd/{folder}"), "--work-dir", "/run"]);
    ended(common(&mut restore).env("XDG_RUNTIME_DIR", "/run"), "restore")?;
    let _ = std::fs::remove_file("/run/stats-restore");
    drop((restore, to_control, to_log));
    let read_only = flags | MountFlags::NOEXEC | MountFlags::BIND | MountFlags::RDONLY;
    about(rustix::mount::mount_remount("/run", read_only, c""), || "cannot make /run read-only".to_string())?;
    hand_over()?;
    say(life, "up")?;
    let program = Pid::from_raw(FIRST_PID).ok_or_else(|| io::Error::other("no number"))?;
    watch(life, program)
}

/// A copy of a descriptor that the next program gets.
fn inherited(descriptor: impl AsFd) -> io::Result<OwnedFd> {
    let copy = rustix::io::fcntl_dupfd_cloexec(descriptor, 10)?;
    rustix::io::fcntl_setfd(&copy, rustix::io::FdFlags::empty())?;
    Ok(copy)
}

/// CRIU, on a folder that may lie outside of the sandbox.
fn criu(program: &File, folder: &OwnedFd, args: &[String]) -> io::Result<Command> {
    let mut criu = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
    // Of this process, in whose place no other can be: CRIU opens it at once.
    let folder = format!("/proc/{}/fd/{}", std::process::id(), folder.as_raw_fd());
    criu.args(args).args(["--images-dir", &folder]);
    common(&mut criu);
    Ok(criu)
}

/// The session is this process's, and control groups are the runtime's business.
fn common(criu: &mut Command) -> &mut Command {
    criu.arg0("criu").args(["--shell-job", "--manage-cgroups=ignore"]);
    criu.env_clear().current_dir("/").stdin(Stdio::null()).stdout(Stdio::null())
}

/// Runs CRIU to its end. What it complains of is nothing that a function has said.
fn ended(criu: &mut Command, what: &str) -> io::Result<()> {
    let ran = about(criu.arg("-v1").output(), || "cannot run criu".to_string())?;
    if ran.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&ran.stderr);
    let mut last: Vec<&str> = words.lines().map(str::trim).filter(|line| !line.is_empty()).rev().take(3).collect();
    last.reverse();
    Err(io::Error::other(format!("criu {what} failed: {}", last.join("; "))))
}

/// Makes what CRIU has frozen from outside of a user namespace into what it thaws inside of one: the program's user
/// namespace becomes that of CRIU itself, and the files belong to root of that namespace.
fn adopt(folder: &Path, first_id: u32) -> io::Result<()> {
    let of_criu = std::fs::read(folder.join("inventory.img"))?;
    let of_criu = message(&of_criu, INVENTORY).and_then(|inventory| field(inventory, ROOT_IDS)?.bytes());
    let user = of_criu.and_then(|ids| field(ids, USER_NAMESPACE)?.value());
    let file = folder.join(format!("ids-{FIRST_PID}.img"));
    let mut ids = std::fs::read(&file)?;
    let at = message(&ids, IDS_FILE).and_then(|own| Some(IDS_FILE + field(own, USER_NAMESPACE)?.at));
    // Numbers that CRIU gives, from 1: with fewer than 128 one byte each.
    match (user, at) {
        (Some(user), Some(at)) if user < 0x80 && ids.get(at).is_some_and(|old| *old < 0x80) => {
            ids[at] = user as u8;
        }
        _ => return Err(io::Error::other("criu's files are not as those of 4.2")),
    }
    std::fs::write(&file, ids)?;
    let (uid, gid) = (Some(first_id), Some(first_id));
    for entry in std::fs::read_dir(folder)? {
        std::os::unix::fs::lchown(entry?.path(), uid, gid)?;
    }
    std::os::unix::fs::chown(folder, uid, gid)
}

/// Where the message begins (criu.org, Images): after a magic number and the message's length; in most files there are two
/// such numbers.
const INVENTORY: usize = 8;
const IDS_FILE: usize = 12;
/// Field of `inventory_entry`: what namespaces CRIU was in.
const ROOT_IDS: u64 = 3;
/// Field of `task_kobj_ids_entry`.
const USER_NAMESPACE: u64 = 10;

/// The message of a file with one.
fn message(image: &[u8], begins: usize) -> Option<&[u8]> {
    let length = u32::from_le_bytes(image.get(begins - 4..begins)?.try_into().ok()?);
    image.get(begins..)?.get(..length as usize)
}

/// A field of a message in the protocol buffers' wire format.
struct Field<'a> {
    /// Where its value begins.
    at: usize,
    kind: u64,
    rest: &'a [u8],
}

impl<'a> Field<'a> {
    fn value(&self) -> Option<u64> {
        (self.kind == 0).then(|| varint(self.rest)).flatten().map(|(value, _)| value)
    }

    fn bytes(&self) -> Option<&'a [u8]> {
        let (length, after) = varint(self.rest).filter(|_| self.kind == 2)?;
        self.rest.get(after..)?.get(..usize::try_from(length).ok()?)
    }

    /// Bytes that its value takes.
    fn length(&self) -> Option<usize> {
        match self.kind {
            0 => Some(varint(self.rest)?.1),
            1 => Some(8),
            2 => {
                let (length, after) = varint(self.rest)?;
                usize::try_from(length).ok()?.checked_add(after)
            }
            5 => Some(4),
            _ => None,
        }
    }
}

fn field(message: &[u8], number: u64) -> Option<Field<'_>> {
    let mut at = 0;
    loop {
        let (key, length) = varint(message.get(at..)?)?;
        at += length;
        let field = Field { at, kind: key & 7, rest: message.get(at..)? };
        if key >> 3 == number {
            return Some(field);
        }
        at = at.checked_add(field.length()?)?;
    }
}

/// A number, and the bytes that it takes.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (place, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(7 * place as u32)?;
        if byte & 0x80 == 0 {
            return Some((value, place + 1));
        }
    }
    None
}

fn send_all(to: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = rustix::net::send(&to, bytes, SendFlags::NOSIGNAL)?;
        bytes = &bytes[sent..];
    }
    Ok(())
}

/// Sets the loopback device of a new network namespace up: an `RTM_NEWLINK` of rtnetlink(7) for interface 1.
fn loopback_up() -> io::Result<()> {
    // Protocol 0 is NETLINK_ROUTE.
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST: u16 = 1;
    const IFF_UP: u32 = 1;
    let mut message = Vec::with_capacity(32);
    message.extend(32u32.to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(NLM_F_REQUEST.to_ne_bytes());
    // Sequence and port of the header; family and type of the device.
    message.extend([0; 12]);
    message.extend(1i32.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    rustix::net::send(&socket, &message, SendFlags::empty())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of CRIU 4.2.1 in hexadecimal: what it stood in has user namespace 7, the program 9.
    const INVENTORY_IMG: &str = "163131584e000000080210011a18080110011801200128013002380340044806500758086005200128013000580062006a2432366138353030312d336538352d343663392d616632312d323333666564666436623238";
    const IDS_IMG: &str = "194356543020435418000000080210021802200228013002380340044806500958086005";

    fn bytes(hexadecimal: &str) -> Vec<u8> {
        let digits = hexadecimal.as_bytes().chunks(2);
        digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
    }

    #[test]
    fn the_program_gets_the_user_namespace_of_criu_and_nothing_else_changes() {
        let dir = tempfile::tempdir().unwrap();
        let ids = dir.path().join("ids-1000.img");
        std::fs::write(dir.path().join("inventory.img"), bytes(INVENTORY_IMG)).unwrap();
        std::fs::write(&ids, bytes(IDS_IMG)).unwrap();
        let own = rustix::process::getuid().as_raw();
        adopt(dir.path(), own).unwrap();
        assert_eq!(std::fs::read(&ids).unwrap(), bytes(&IDS_IMG.replace("5009", "5007")));
    }

    #[test]
    fn files_of_another_form_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("inventory.img"), bytes(INVENTORY_IMG)).unwrap();
        for (at, wrong) in ["", "1943", &IDS_IMG[..24], &IDS_IMG.replace("5009", "5089")].iter().enumerate() {
            std::fs::write(dir.path().join("ids-1000.img"), bytes(wrong)).unwrap();
            assert!(adopt(dir.path(), rustix::process::getuid().as_raw()).is_err(), "{at}");
        }
    }

    #[test]
    fn fields_are_found_behind_others_of_each_kind() {
        // 1 and 5 are numbers, 3 is text, 4 has four bytes.
        let all = [0x08, 0xac, 0x02, 0x1a, 0x02, b'a', b'b', 0x25, 1, 2, 3, 4, 0x28, 0x01];
        assert_eq!(field(&all, 1).and_then(|f| f.value()), Some(300));
        assert_eq!(field(&all, 3).and_then(|f| f.bytes()), Some(&b"ab"[..]));
        assert_eq!(field(&all, 5).map(|f| (f.value(), f.at)), Some((Some(1), 13)));
        assert!(field(&all, 6).is_none() && field(&[0x08, 0xff], 1).and_then(|f| f.value()).is_none());
    }
}
