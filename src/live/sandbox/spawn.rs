//! The runtime's side of a sandbox: starts it, writes its id maps, listens to what it says, ends it.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::thread::UnshareFlags;

use super::cgroup::Slot;
use super::enter::{SET_UP, unshare};
use super::frozen::Frozen;
use super::root::about;
use super::spec::{IDS, Isolation, SUBCOMMAND, Spec};
use crate::live::held;

/// Lines of a host's own words that are kept: the last ones.
const KEPT_LINES: usize = 200;
/// How often it is looked whether an answer is still waited for.
const LOOK: Duration = Duration::from_millis(100);
/// How long a sandbox may take to end what it runs before it is ended from outside.
const ORDERLY: Duration = Duration::from_secs(2);
/// Bytes of such a line that are kept.
const KEPT_BYTES: usize = 2_000;

/// The last lines of what a process says.
#[derive(Debug, Clone, Default)]
pub struct Said(Arc<Mutex<VecDeque<String>>>);

impl Said {
    /// The lines, oldest first.
    pub fn lines(&self) -> Vec<String> {
        held(&self.0).iter().cloned().collect()
    }

    /// Reads until the end.
    pub(crate) fn listen(&self, from: impl Read) {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        loop {
            line.clear();
            // A line without an end is taken in pieces.
            match (&mut from).take(KEPT_BYTES as u64).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let mut lines = held(&self.0);
            lines.push_back(String::from_utf8_lossy(&line).trim_end().to_string());
            if lines.len() > KEPT_LINES {
                lines.pop_front();
            }
        }
    }
}

/// A running sandbox. Dropping it ends it and waits until it has ended.
#[derive(Debug)]
pub struct Sandbox {
    child: Mutex<Child>,
    pid: u32,
    said: Said,
    /// Its closing ends the sandbox, whatever became of this process.
    life: UnixStream,
    keeper: Option<JoinHandle<()>>,
    /// Whether its first process looks at `life`; without isolation that is the program itself.
    watched: bool,
}

impl Sandbox {
    /// Starts a sandbox. `warmset` is a warmset program, whose hidden subcommand does the work; `control` is the program's
    /// end of a socket that it finds as `$WARMSET_CONTROL`; what is in `slot` counts for it from the start.
    ///
    /// # Errors
    /// What could not be set up.
    pub fn start(
        warmset: &Path,
        isolation: Isolation,
        spec: &Spec,
        control: OwnedFd,
        slot: Option<&Slot>,
    ) -> io::Result<Self> {
        let mode = match isolation {
            Isolation::None => "none",
            Isolation::Own => "own",
            Isolation::Full { .. } => "full",
        };
        Self::launch(warmset, mode, isolation, serde_json::to_vec(spec)?, control, slot)
    }

    /// Starts the sandbox of a program that is to be frozen or thawed, as [`Sandbox::start`]; in [`Isolation::Full`] only.
    ///
    /// # Errors
    /// As there.
    pub fn frozen(
        warmset: &Path,
        isolation: Isolation,
        frozen: &Frozen,
        control: OwnedFd,
        slot: Option<&Slot>,
    ) -> io::Result<Self> {
        if !isolation.has_ids() {
            return Err(io::Error::other("criu needs full isolation"));
        }
        Self::launch(warmset, "frozen", isolation, serde_json::to_vec(frozen)?, control, slot)
    }

    /// Says a line to the first process of a program that is to be frozen, and takes one.
    ///
    /// # Errors
    /// When it has ended, says nothing in time, or is not waited for any more.
    pub fn ask(&self, line: &[u8], limit: Duration, stop: &AtomicBool) -> io::Result<String> {
        let mut life = &self.life;
        life.set_read_timeout(Some(LOOK))?;
        life.write_all(&[line, b"\n"].concat())?;
        let (end, mut answer, mut part) = (Instant::now() + limit, Vec::new(), vec![0; 64 * 1024]);
        while answer.last() != Some(&b'\n') {
            match life.read(&mut part) {
                Ok(0) => return Err(io::Error::other("it has ended")),
                Ok(n) => answer.extend_from_slice(&part[..n]),
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(e) => return Err(e),
            }
            if Instant::now() >= end {
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {limit:.0?}")));
            }
            if stop.load(Ordering::SeqCst) {
                return Err(io::Error::other("the runtime stops"));
            }
        }
        let answer = String::from_utf8_lossy(&answer);
        match answer.trim_end().strip_prefix("error ") {
            Some(reason) => Err(io::Error::other(reason.to_string())),
            None => Ok(answer.trim_end().to_string()),
        }
    }

    fn launch(
        warmset: &Path,
        mode: &str,
        isolation: Isolation,
        mut line: Vec<u8>,
        control: OwnedFd,
        slot: Option<&Slot>,
    ) -> io::Result<Self> {
        let (mut life, theirs) = UnixStream::pair()?;
        let mut command = Command::new(warmset);
        command.args([SUBCOMMAND, mode]).stdin(OwnedFd::from(theirs)).stdout(control).stderr(Stdio::piped());
        let said = Said::default();
        let (keeper, mut child) = keep(command, isolation, said.clone())?;
        let pid = child.id();
        let made = (|| {
            if let Some(slot) = slot {
                slot.add(pid)?;
            }
            life.set_read_timeout(Some(SET_UP))?;
            life.set_write_timeout(Some(SET_UP))?;
            line.push(b'\n');
            life.write_all(&line)?;
            come_up(&mut life, isolation, pid)
        })();
        if let Err(problem) = made {
            let _ = child.kill();
            let _ = child.wait();
            let _ = keeper.join();
            let words = said.lines().join("; ");
            let words = if words.is_empty() { String::new() } else { format!(" ({words})") };
            return Err(io::Error::new(problem.kind(), format!("{problem}{words}")));
        }
        Ok(Self { child: Mutex::new(child), pid, said, life, keeper: Some(keeper), watched: isolation.is_isolated() })
    }

    /// Number of its first process on this machine.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it still runs.
    pub fn alive(&self) -> bool {
        matches!(held(&self.child).try_wait(), Ok(None))
    }

    /// How its program has ended, where it has: its status, or the signal that ended it.
    pub fn ended(&self) -> Option<(Option<i32>, Option<i32>)> {
        let status = held(&self.child).try_wait().ok()??;
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        Some(match status.code() {
            // Process 1 of a sandbox has waited for the program.
            Some(code) if self.watched && code > 128 => (None, Some(code - 128)),
            code => (code, signal),
        })
    }

    /// What its program has said on its standard streams.
    pub fn said(&self) -> &Said {
        &self.said
    }

    /// Ends it with all its processes, and waits for that.
    pub fn kill(&self) {
        if self.watched {
            let _ = self.life.shutdown(std::net::Shutdown::Both);
            self.wait(ORDERLY);
        }
        let mut child = held(&self.child);
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Waits for it to end by itself; `false` where it does not in time.
    pub fn wait(&self, limit: Duration) -> bool {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw) else { return false };
        if let Ok(pidfd) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
            let mut polled = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
            let limit = rustix::event::Timespec::try_from(limit).ok();
            let _ = rustix::event::poll(&mut polled, limit.as_ref());
        }
        !self.alive()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.kill();
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

/// Starts the command on a thread of its own that listens to it until it ends. The thread makes the PID namespace, in
/// which it cannot start threads itself; and the command's parent-death signal is sent when this thread ends.
fn keep(mut command: Command, isolation: Isolation, said: Said) -> io::Result<(JoinHandle<()>, Child)> {
    let (sender, receiver) = mpsc::channel();
    let keeper =
        std::thread::Builder::new().name("warmset-host".to_string()).stack_size(256 * 1024).spawn(move || {
            let started = if matches!(isolation, Isolation::Full { .. }) {
                about(unshare(UnshareFlags::NEWPID), || "cannot make a PID namespace".to_string())
            } else {
                Ok(())
            }
            .and_then(|()| command.spawn());
            // Its copies of the sandbox's sockets must not outlive the start.
            drop(command);
            match started {
                Ok(mut child) => {
                    let words = child.stderr.take();
                    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
                    let pidfd =
                        pid.and_then(|p| rustix::process::pidfd_open(p, rustix::process::PidfdFlags::empty()).ok());
                    if sender.send(Ok(child)).is_err() {
                        return;
                    }
                    if let Some(words) = words {
                        said.listen(words);
                    }
                    // It may have closed its streams before its end.
                    if let Some(pidfd) = pidfd {
                        let mut polled = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
                        while rustix::event::poll(&mut polled, None) == Err(rustix::io::Errno::INTR) {}
                    }
                }
                Err(problem) => {
                    let _ = sender.send(Err(problem));
                }
            }
        })?;
    let child = receiver.recv().map_err(io::Error::other)??;
    Ok((keeper, child))
}

/// Answers what the sandbox asks until it says that its program runs.
fn come_up(life: &mut UnixStream, isolation: Isolation, pid: u32) -> io::Result<()> {
    let mut reader = BufReader::new(life.try_clone()?);
    loop {
        let mut word = String::new();
        if reader.read_line(&mut word)? == 0 {
            return Err(io::Error::other("the sandbox ended while it was set up"));
        }
        match word.trim_end() {
            "up" => return Ok(()),
            "map" => {
                let Isolation::Full { first_id } = isolation else {
                    return Err(io::Error::other("a sandbox without ids asked for them"));
                };
                for map in ["uid_map", "gid_map"] {
                    let file = format!("/proc/{pid}/{map}");
                    about(fs::write(&file, format!("0 {first_id} {IDS}")), || format!("cannot write {map}"))?;
                }
                life.write_all(b"ok\n")?;
            }
            other => {
                let reason = other.strip_prefix("error ").unwrap_or(other);
                return Err(io::Error::other(reason.to_string()));
            }
        }
    }
}

/// A pair of connected sockets: ours, the program's. Packets keep their borders and may carry descriptors.
pub(crate) fn sockets(kind: SocketType) -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?)
}
