//! Processes that are frozen into files and thawed from them by CRIU, in sandboxes of their own (real root only).
//!
//! `warmset __sandbox freeze` and `thaw`, as [`super::enter`] is started: the first process of new PID, mount, UTS, IPC and
//! network namespaces, with the life socket as standard input. CRIU is run by this process *inside* the sandbox, where all
//! namespaces are its own, so that it neither stores nor makes any. What was found to matter (CRIU 4.2, Linux 6.18):
//! - There is no user namespace: the program has a real id that is nobody's, and no capabilities. A function that was
//!   thawed sees the ids of the machine, and this first process, which is real root as long as CRIU runs, takes a powerless
//!   id of its own before the runtime hears that the function is there.
//! - CRIU's real id is the program's, its effective id root's: it may then read the program's limits without
//!   `CAP_SYS_RESOURCE`, which root in a container lacks.
//! - The program's numbers start at [`FIRST_PID`]: they must be free when it is thawed, beside CRIU's own.
//! - The control socket is made in the sandbox's network namespace: CRIU looks for sockets there. When it is thawed, and
//!   the log, they are replaced by the runtime's.
//! - CRIU asks the loopback device, and keeps what it has found out of the kernel in /run, where that is a tmpfs.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use rustix::mount::MountFlags;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};
use rustix::process::{Gid, Pid, Signal, Uid};
use rustix::thread::UnshareFlags;
use serde::{Deserialize, Serialize};

use super::enter::{hand_over, read_line, say, unshare, watch};
use super::root::about;
use super::spec::Spec;

/// Number of the program inside, and of its threads from there on.
const FIRST_PID: i32 = 1000;
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
    /// The program's id on this machine, which nobody has.
    pub id: u32,
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
    let crew = Crew { criu, folder, id: frozen.id };
    match &frozen.thaw {
        None => crew.freeze(&frozen.spec, life),
        Some(handed) => crew.thaw(handed, life),
    }
}

/// Who freezes and thaws.
struct Crew {
    criu: File,
    folder: OwnedFd,
    id: u32,
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
        let mut program = Command::new(&spec.program);
        program.args(&spec.arguments).env_clear().envs(&spec.environment);
        program.env("WARMSET_CONTROL", control.as_raw_fd().to_string());
        program.stdin(Stdio::null()).stdout(Stdio::from(log.try_clone()?)).stderr(Stdio::from(log));
        program.uid(self.id).gid(self.id);
        let mut program = about(program.spawn(), || format!("cannot run {}", spec.program.display()))?;
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
            self.criu(&args, &[])?;
            let _ = program.wait();
            // Whoever thaws has these findings without asking the kernel again; without them it is a little slower.
            let _ = std::fs::copy(FINDINGS, format!("/proc/self/fd/{}/criu.kdat", self.folder.as_raw_fd()));
            send_all(life, &[serde_json::to_vec(&handed)?, b"\n".to_vec()].concat())?;
            return Ok(ExitCode::SUCCESS);
        }
    }

    /// Thaws the program, and watches it.
    fn thaw(&self, handed: &Handed, life: &io::Stdin) -> io::Result<ExitCode> {
        let control = rustix::io::fcntl_dupfd_cloexec(io::stdout(), 10)?;
        let log = rustix::io::fcntl_dupfd_cloexec(io::stderr(), 10)?;
        let given = |descriptor: &OwnedFd, what: &str| {
            ["--inherit-fd".to_string(), format!("fd[{}]:{what}", descriptor.as_raw_fd())]
        };
        let mut args = vec!["restore".to_string(), "--restore-detached".to_string()];
        args.extend(given(&control, &handed.control));
        args.extend(given(&log, &handed.log));
        self.criu(&args, &[&control, &log])?;
        drop((control, log));
        hand_over()?;
        // Real root no longer: another id that is nobody's, and not the function's, which could otherwise reach it.
        let (uid, gid) = (Uid::from_raw(self.id - 1), Gid::from_raw(self.id - 1));
        rustix::thread::set_thread_groups(&[])?;
        rustix::thread::set_thread_res_gid(gid, gid, gid)?;
        rustix::thread::set_thread_res_uid(uid, uid, uid)?;
        // Changing ids has cleared it.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        say(life, "up")?;
        let program = Pid::from_raw(FIRST_PID).ok_or_else(|| io::Error::other("no number"))?;
        watch(life, program)
    }

    /// Runs CRIU to its end.
    fn criu(&self, args: &[String], inherited: &[&OwnedFd]) -> io::Result<()> {
        let folder = rustix::io::fcntl_dupfd_cloexec(&self.folder, 10)?;
        for descriptor in inherited.iter().copied().chain([&folder]) {
            rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::empty())?;
        }
        let (uid, gid) = (Uid::from_raw(self.id), Gid::from_raw(self.id));
        rustix::thread::set_thread_res_gid(gid, Gid::ROOT, Gid::ROOT)?;
        rustix::thread::set_thread_res_uid(uid, Uid::ROOT, Uid::ROOT)?;
        let mut criu = Command::new(format!("/proc/self/fd/{}", self.criu.as_raw_fd()));
        criu.arg0("criu").args(args);
        criu.args(["--images-dir", &format!("/proc/self/fd/{}", folder.as_raw_fd())]);
        // The session is this process's, and control groups are the runtime's business.
        criu.args(["--shell-job", "--manage-cgroups=ignore", "-v1"]);
        criu.env_clear().current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
        // What it complains of is nothing that a function has said.
        let ran = about(criu.output(), || "cannot run criu".to_string())?;
        if ran.status.success() {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&ran.stderr);
        let mut last: Vec<&str> = words.lines().map(str::trim).filter(|line| !line.is_empty()).rev().take(3).collect();
        last.reverse();
        Err(io::Error::other(format!("criu {} failed: {}", args[0], last.join("; "))))
    }
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
