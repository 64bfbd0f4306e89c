//! The steps by which a process becomes a sandbox, and what it does as the sandbox's first process.

use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::process::{Gid, Pid, Resource, Rlimit, Signal, Uid, WaitOptions};
use rustix::thread::UnshareFlags;

use super::root::about;
use super::spec::{Powers, Spec};

/// Id inside of a program without powers.
pub(super) const FUNCTION_ID: u32 = 1000;
/// Longest specification, bytes.
const MAX_SPEC: usize = 16 * 1024 * 1024;

/// Reads what the sandbox is to be, becomes it, and runs its program. For the modes `full`, `inner` (the second half of
/// `own`) and `none`.
pub(super) fn enter(mode: &str, life: &io::Stdin) -> io::Result<ExitCode> {
    let spec: Spec = serde_json::from_slice(&read_line(life)?).map_err(io::Error::other)?;
    bound(&spec);
    if mode != "none" {
        if mode == "full" {
            let mut flags = UnshareFlags::NEWNS | UnshareFlags::NEWUTS | UnshareFlags::NEWIPC;
            flags.set(UnshareFlags::NEWNET, !spec.network);
            about(unshare(flags), || "cannot make namespaces".to_string())?;
        }
        super::root::enter(&spec)?;
        about(rustix::system::sethostname(b"warmset"), || "cannot set the host name".to_string())?;
        if mode == "full" {
            own_ids(life)?;
        }
        // Changing ids has cleared it.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        rustix::thread::set_no_new_privs(true)?;
    }
    let mut program = program(&spec, mode)?;
    if mode == "none" {
        say(life, "up")?;
        return Err(about::<(), _>(Err(program.exec()), || format!("cannot run {}", spec.program.display()))
            .err()
            .unwrap_or_else(|| io::Error::other("nothing was run")));
    }
    let started = about(program.spawn(), || format!("cannot run {}", spec.program.display()))?;
    drop(program);
    // The control socket and the log are the program's: as long as this process held them they would not close with it.
    hand_over()?;
    say(life, "up")?;
    watch(life, Pid::from_child(&started))
}

/// Moves into a user namespace, whose maps whoever reads the life socket writes, as its root.
pub(super) fn own_ids(life: &io::Stdin) -> io::Result<()> {
    about(unshare(UnshareFlags::NEWUSER), || "cannot make a user namespace".to_string())?;
    say(life, "map")?;
    if read_line(life)? != b"ok" {
        return Err(io::Error::other("the id maps were not written"));
    }
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)?;
    rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)?;
    Ok(())
}

/// A session and the limits of a sandbox.
pub(super) fn bound(spec: &Spec) {
    let _ = rustix::process::setsid();
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _ = rustix::process::setrlimit(Resource::Core, none);
    if let Some(files) = spec.nofile {
        let hard = rustix::process::getrlimit(Resource::Nofile).maximum;
        let files = Some(hard.map_or(files, |hard| hard.min(files)));
        let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: files, maximum: files });
    }
}

/// Moves into namespaces that need no right, with this user as the only id.
pub(super) fn own_namespaces() -> io::Result<()> {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let flags = UnshareFlags::NEWUSER | UnshareFlags::NEWNS | UnshareFlags::NEWUTS | UnshareFlags::NEWIPC;
    about(unshare(flags | UnshareFlags::NEWPID | UnshareFlags::NEWNET), || "cannot make namespaces".to_string())?;
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
}

/// The program with its descriptors: null, the log twice, and the control socket by number.
fn program(spec: &Spec, mode: &str) -> io::Result<Command> {
    let log = rustix::io::fcntl_dupfd_cloexec(io::stderr(), 10)?;
    // Inherited: that is how the program gets it.
    let control = rustix::io::fcntl_dupfd_cloexec(io::stdout(), 3)?;
    rustix::io::fcntl_setfd(&control, rustix::io::FdFlags::empty())?;
    let mut program = Command::new(&spec.program);
    program.args(&spec.arguments).env_clear().envs(&spec.environment);
    program.env("WARMSET_CONTROL", control.as_raw_fd().to_string());
    program.stdin(Stdio::null()).stdout(Stdio::from(log.try_clone()?)).stderr(Stdio::from(log));
    // It is closed with this process, or when `hand_over` has been called.
    std::mem::forget(control);
    if mode == "none" {
        program.current_dir(&spec.folder);
    }
    if spec.powers == Powers::None && mode != "none" {
        if mode == "full" {
            program.uid(FUNCTION_ID).gid(FUNCTION_ID);
        } else {
            let none = rustix::thread::CapabilitySet::empty();
            let sets = rustix::thread::CapabilitySets { effective: none, permitted: none, inheritable: none };
            rustix::thread::set_capabilities(None, sets)?;
        }
    }
    Ok(program)
}

/// Process 1 of the sandbox: waits for the program and for what is left to it, and for the end of its life socket.
pub(super) fn watch(life: &io::Stdin, program: Pid) -> io::Result<ExitCode> {
    let pidfd = rustix::process::pidfd_open(program, rustix::process::PidfdFlags::empty())?;
    loop {
        let mut polled = [PollFd::new(life, PollFlags::IN), PollFd::new(&pidfd, PollFlags::IN)];
        let pause = rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 };
        match rustix::event::poll(&mut polled, Some(&pause)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        if !polled[0].revents().is_empty() {
            // Nothing more is ever sent: it has been closed. With this process all others of the namespace would end by
            // themselves, but the CPU time of what nobody waits for is told to nobody.
            // Without the right to end it (a thawed function's) that is left to the kernel.
            let ends = rustix::process::kill_process(program, Signal::KILL).is_ok();
            while ends
                && rustix::process::wait(WaitOptions::empty())
                    .is_ok_and(|ended| ended.is_some_and(|(pid, _)| pid != program))
            {}
            return Ok(ExitCode::FAILURE);
        }
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            if pid == program {
                return Ok(as_shells_do(status.exit_status(), status.terminating_signal()));
            }
        }
    }
}

/// How a program ended, as the status of one that waited for it: 128 and the number of the signal.
pub(super) fn as_shells_do(status: Option<i32>, signal: Option<i32>) -> ExitCode {
    let code = signal.map(|signal| 128 + signal).or(status);
    code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// A line without its end; of a socket, so byte by byte only until it has come.
pub(super) fn read_line(life: impl AsFd) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut part = vec![0; 64 * 1024];
    loop {
        let n = rustix::io::read(&life, &mut part)?;
        if n == 0 {
            return Err(io::Error::other("the runtime has gone"));
        }
        line.extend_from_slice(&part[..n]);
        if line.last() == Some(&b'\n') {
            line.pop();
            return Ok(line);
        }
        if line.len() > MAX_SPEC {
            return Err(io::Error::other("the specification is too long"));
        }
    }
}

pub(super) fn say(life: impl AsFd, word: &str) -> io::Result<()> {
    let line = format!("{word}\n");
    rustix::net::send(life, line.as_bytes(), rustix::net::SendFlags::NOSIGNAL)?;
    io::stdout().flush()
}

/// Moves this one-threaded process into new namespaces.
pub(crate) fn unshare(flags: UnshareFlags) -> rustix::io::Result<()> {
    // SAFETY: the table of descriptors is never among the flags, which is all that is unsafe about the call.
    #[expect(unsafe_code, reason = "rustix has no safe name for it")]
    unsafe {
        rustix::thread::unshare_unsafe(flags)
    }
}

/// Descriptors that the runtime itself got from whoever started it, and that would be open in the sandbox.
pub(super) fn close_others() {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<i32> = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    // That of the listing is closed by now.
    let is_open = |d: &i32| std::fs::symlink_metadata(format!("/proc/self/fd/{d}")).is_ok();
    for descriptor in open.into_iter().filter(|d| *d > 2).filter(is_open) {
        // SAFETY: nothing in this process owns a descriptor above 2, neither at the start of `main` nor when it has
        // started the program and has only its own streams to look after.
        #[expect(unsafe_code, reason = "they have no owner that could be dropped")]
        unsafe {
            rustix::io::close(descriptor);
        }
    }
}

/// Lets go of all that is the program's: from here on this process holds its life socket only.
pub(super) fn hand_over() -> io::Result<()> {
    let null: OwnedFd = std::fs::File::options().read(true).write(true).open("/dev/null")?.into();
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    drop(null);
    close_others();
    Ok(())
}

/// How long a sandbox may take to be set up.
pub(super) const SET_UP: Duration = Duration::from_secs(20);
