//! Python hosts, which fork.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::event::PollFd;
use rustix::net::{Shutdown, SocketType};
use rustix::process::{Pid, PidfdFlags, Signal};
use serde::Deserialize;
use serde_json::json;

use super::answer::{End, Over, conclude};
use super::memory::{Memory, descendants};
use super::spec::{ChildSpec, HostSpec};
use super::wire::{self, Log, Talk};
use super::{Answer, Call, HostError, Report, monotonic_ns};
use crate::live::held;
use crate::live::sandbox::{Said, Sandbox, Slot, sockets};

/// Longest report of a host, bytes.
const MAX_REPORT: usize = 16 * 1024 * 1024;
/// How long after a time limit a host may take to end a function before it counts as gone itself.
const GRACE: Duration = Duration::from_secs(5);
/// Bytes around a result in an answer.
const AROUND: usize = 4096;

/// Where a host came from.
#[derive(Debug)]
enum Origin {
    /// A sandbox of its own; its files, where they are on this machine.
    Sandbox { sandbox: Sandbox, _files: Option<tempfile::TempDir> },
    /// Another host.
    Fork { process: Arc<OwnedFd>, listener: Option<std::thread::JoinHandle<()>> },
}

/// A Python host that forks a process for every call. Dropping it ends it with all that it forked.
#[derive(Debug)]
pub struct ForkServer {
    spec: Arc<HostSpec>,
    control: Mutex<Option<OwnedFd>>,
    origin: Origin,
    said: Said,
    pid: u32,
    report: Report,
    /// Hosts that were forked from it.
    children: Mutex<Vec<(u32, Arc<OwnedFd>)>>,
    /// Slots of what stands by, with the count of processes that were ended in them for want of memory.
    slots: Mutex<BTreeMap<u64, (Slot, u64)>>,
    numbers: AtomicU64,
    /// Whether a call has found it gone: its descriptors close some time before it can be waited for.
    gone: AtomicBool,
}

#[derive(Deserialize)]
struct Loaded {
    ready: Option<Report>,
    error: Option<String>,
}

impl ForkServer {
    /// Starts a host and waits until it has loaded all that it is to load.
    ///
    /// # Errors
    /// [`HostError::Setup`] with what the host said.
    pub fn start(spec: &HostSpec) -> Result<Self, HostError> {
        spec.check_all().map_err(setup)?;
        let isolated = spec.isolation.is_isolated();
        let files = if isolated { None } else { Some(spec.files().map_err(setup)?) };
        let place = files.as_ref().map_or(Path::new("/"), tempfile::TempDir::path);
        let mut sandboxed = spec.python(place);
        if !isolated {
            write_texts(&mut sandboxed, place).map_err(setup)?;
        }
        let (control, theirs) = sockets(SocketType::SEQPACKET).map_err(setup)?;
        let sandbox = Sandbox::start(&spec.warmset, spec.isolation, &sandboxed, theirs, spec.slot.as_deref());
        let sandbox = sandbox.map_err(setup)?;
        let said = sandbox.said().clone();
        let work = spec.work(None).map_err(setup)?;
        let body = serde_json::to_vec(&work).map_err(|e| HostError::Setup(e.to_string()))?;
        let loaded = order_load(&control, "load", &[]).and_then(|on| load(&on, &body, spec.start_limit, &spec.stop));
        let (report, pid) = match loaded {
            Ok(loaded) => loaded,
            Err(problem) => {
                // With its end all that it has said has been read.
                drop(sandbox);
                return Err(with_words(problem, &said));
            }
        };
        let host = Self {
            spec: Arc::new(spec.clone()),
            control: Mutex::new(Some(control)),
            origin: Origin::Sandbox { sandbox, _files: files },
            said,
            pid,
            report,
            children: Mutex::new(Vec::new()),
            slots: Mutex::new(BTreeMap::new()),
            numbers: AtomicU64::new(0),
            gone: AtomicBool::new(false),
        };
        host.offer_all(spec.standby)?;
        Ok(host)
    }

    /// Forks a host that loads more. It shares this host's pages, sandbox and fate.
    ///
    /// # Errors
    /// [`HostError::Setup`] with what the new host said; [`HostError::Refused`] where this one has threads.
    pub fn child(&self, child: &ChildSpec) -> Result<ForkServer, HostError> {
        let work = self.spec.work(Some(child)).map_err(setup)?;
        let body = serde_json::to_vec(&work).map_err(|e| HostError::Setup(e.to_string()))?;
        let (control, theirs) = sockets(SocketType::SEQPACKET).map_err(setup)?;
        let (log, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|e| setup(e.into()))?;
        let said = Said::default();
        let listening = said.clone();
        let listener = std::thread::Builder::new()
            .name("warmset-log".to_string())
            .stack_size(256 * 1024)
            .spawn(move || listening.listen(std::fs::File::from(log)))
            .map_err(setup)?;
        // Loading takes its time, in the process that was forked: this host's calls go on meanwhile.
        let connection = {
            let control = held(&self.control);
            let Some(control) = control.as_ref() else { return Err(HostError::Gone("it was ended".to_string())) };
            order_load(control, "image", &[theirs, writer])
        };
        let (report, pid) = match connection.and_then(|on| load(&on, &body, child.start_limit, &self.spec.stop)) {
            Ok(loaded) => loaded,
            Err(problem) => {
                // With its control socket the host that was forked ends, and with it its log.
                drop(control);
                let end = Instant::now() + Duration::from_millis(500);
                while !listener.is_finished() && Instant::now() < end {
                    std::thread::sleep(Duration::from_millis(2));
                }
                return Err(with_words(problem, &said));
            }
        };
        let process = number(pid).and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok());
        let process = process.ok_or_else(|| HostError::Gone("it ended at once".to_string()))?;
        let process = Arc::new(process);
        {
            let mut children = held(&self.children);
            // Numbers of those that have ended may be others' by now.
            children.retain(|(_, process)| !ended(process, Duration::ZERO));
            children.push((pid, Arc::clone(&process)));
        }
        let host = ForkServer {
            spec: Arc::clone(&self.spec),
            control: Mutex::new(Some(control)),
            origin: Origin::Fork { process, listener: Some(listener) },
            said,
            pid,
            report,
            children: Mutex::new(Vec::new()),
            slots: Mutex::new(BTreeMap::new()),
            numbers: AtomicU64::new(0),
            gone: AtomicBool::new(false),
        };
        host.offer_all(child.standby)?;
        Ok(host)
    }

    /// Gives the host a slot for each process that stands by.
    fn offer_all(&self, standby: u32) -> Result<(), HostError> {
        if let Some((group, limits)) = &self.spec.calls {
            for _ in 0..standby {
                self.offer(group.take(*limits).map_err(setup)?)?;
            }
        }
        Ok(())
    }

    fn offer(&self, slot: Slot) -> Result<(), HostError> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let doors = slot.doors().map_err(setup)?;
        let kills = slot.oom_kills();
        held(&self.slots).insert(number, (slot, kills));
        let control = held(&self.control);
        let Some(control) = control.as_ref() else { return Err(HostError::Gone("it was ended".to_string())) };
        let doors: Vec<_> = doors.iter().map(AsFd::as_fd).collect();
        wire::order(control, json!({"op": "slot", "slot": number}).to_string().as_bytes(), &doors).map_err(setup)
    }

    /// Runs a function in a process of its own, and waits until nothing of it is left. May be called by many threads.
    ///
    /// # Errors
    /// Where there is no answer; a function that raises has answered.
    pub fn invoke(&self, call: &Call<'_>) -> Result<Answer, HostError> {
        let answer = self.make(call);
        if matches!(answer, Err(HostError::Gone(_))) {
            self.gone.store(true, Ordering::Release);
        }
        answer
    }

    fn make(&self, call: &Call<'_>) -> Result<Answer, HostError> {
        if self.gone.load(Ordering::Acquire) {
            return Err(ended_before());
        }
        let start = Instant::now();
        let sent = monotonic_ns();
        let limits = call.limits;
        self.spec.check(call.code).map_err(setup)?;
        let body = json!({"id": call.id, "handler": call.handler, "event": call.event, "environment": call.environment,
            "function": call.function, "timeout_ms": limits.time.as_millis() as u64, "sent_ns": sent});
        let body = serde_json::to_vec(&body).map_err(|e| HostError::Setup(e.to_string()))?;
        let message = json!({"op": "run", "own_slot": call.slot.is_some(), "code": self.spec.inside(call.code).map_err(setup)?,
            "closure": call.closure.map(|c| self.spec.inside(c)).transpose().map_err(setup)?, "network": call.network,
            "limits": {"time_ms": limits.time.as_millis() as u64, "output_bytes": limits.output_bytes + AROUND,
                "tmp_mb": limits.tmp_mb, "nofile": limits.nofile}});
        // For when nothing stands by with a slot of its own.
        let spare = match (&self.spec.calls, call.slot) {
            (Some((group, limits)), None) => Some(group.take(*limits).map_err(setup)?),
            _ => None,
        };
        let given = call.slot.or(spare.as_ref());
        let (connection, their_connection) = sockets(SocketType::STREAM).map_err(setup)?;
        let (channel, their_channel) = sockets(SocketType::STREAM).map_err(setup)?;
        let (mut log, their_log) = Log::new(limits.log_bytes).map_err(setup)?;
        let doors = given.map(Slot::doors).transpose().map_err(setup)?.unwrap_or_default();
        let kills = given.map_or(0, Slot::oom_kills);
        {
            let control = held(&self.control);
            let Some(control) = control.as_ref() else { return Err(ended_before()) };
            let mut descriptors = vec![their_connection.as_fd(), their_channel.as_fd(), their_log.as_fd()];
            descriptors.extend(doors.iter().map(AsFd::as_fd));
            wire::order(control, message.to_string().as_bytes(), &descriptors).map_err(|e| match e.kind() {
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                    self.gone.store(true, Ordering::Release);
                    ended_before()
                }
                _ => setup(e),
            })?;
        }
        drop((their_connection, their_channel, their_log, doors));

        let deadline = start + limits.time + GRACE;
        let mut host = Talk::new(&connection, b"");
        let mut function = Talk::new(&channel, &body);
        let mut answered = None;
        let mut too_much = false;
        function.go_on();
        while !host.is_answered() {
            let mut polled = Vec::with_capacity(3);
            polled.push(PollFd::new(&connection, host.wants()));
            if !function.ended {
                polled.push(PollFd::new(&channel, function.wants()));
            }
            let log_fd = log.fd();
            if !log.ended {
                polled.push(PollFd::from_borrowed_fd(log_fd, log.wants()));
            }
            // It may have begun.
            wire::wait(&mut polled, deadline).map_err(|e| HostError::Gone(format!("nobody listens to it: {e}")))?;
            host.go_on();
            function.go_on();
            log.go_on();
            if function.reply.last() == Some(&b'\n') && answered.is_none() {
                answered = Some(Instant::now());
            }
            if function.reply.len() > limits.output_bytes + AROUND && !too_much {
                too_much = true;
                function.reply = Vec::new();
                function.ended = true;
                // To the host that is the end of the caller's interest.
                let _ = rustix::net::shutdown(&connection, Shutdown::Write);
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        // Whoever could write has ended, so all that was written is there.
        while host.is_answered() && !function.ended && function.reply.len() <= limits.output_bytes + AROUND {
            let before = function.reply.len();
            function.go_on();
            if function.reply.len() == before {
                break;
            }
        }
        log.go_on();
        let end = host.reply.strip_suffix(b"\n").and_then(|line| serde_json::from_slice::<End>(line).ok());
        let ready = end.as_ref().and_then(|end| held(&self.slots).remove(&end.slot?));
        let (slot, kills) = match &ready {
            Some((slot, kills)) => (Some(slot), *kills),
            None => (given, kills),
        };
        let out_of_memory = slot.is_some_and(|slot| slot.oom_kills() > kills);
        let peak_mb = slot.and_then(Slot::peak_mb);
        // Before anything is concluded: another call may wait for what stands by in it.
        if let Some((slot, _)) = ready {
            // What is left in it would count for the next call. Nothing is, as the function was process 1 of its namespace.
            let _ = slot.is_clear().then(|| self.offer(slot.renewed()));
        }
        conclude(
            call,
            start,
            Over {
                reply: function.reply,
                answered: answered.unwrap_or_else(Instant::now),
                end,
                logs: log.text(),
                too_much,
                out_of_memory,
                peak_mb,
            },
        )
    }

    /// What it has loaded.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Its own number on this machine.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// All its processes on this machine: itself, what stands by, functions that run, and process 1 of its sandbox; not
    /// those of hosts that were forked from it.
    pub fn pids(&self) -> Vec<u32> {
        let root = match &self.origin {
            Origin::Sandbox { sandbox, .. } => sandbox.pid(),
            Origin::Fork { .. } => self.pid,
        };
        let children = held(&self.children);
        let running = children.iter().filter(|(_, process)| !ended(process, Duration::ZERO));
        descendants(root, &running.map(|(pid, _)| *pid).collect())
    }

    /// What its processes take.
    pub fn memory(&self) -> Memory {
        Memory::of(&self.pids())
    }

    /// Whether it still runs.
    pub fn alive(&self) -> bool {
        if self.gone.load(Ordering::Acquire) {
            return false;
        }
        match &self.origin {
            Origin::Sandbox { sandbox, .. } => sandbox.alive(),
            Origin::Fork { process, .. } => !ended(process, Duration::ZERO),
        }
    }

    /// The last of what it said on its standard streams.
    pub fn said(&self) -> Vec<String> {
        self.said.lines()
    }

    /// Ends it with all that it forked, and waits for that.
    pub fn kill(&self) {
        let control = held(&self.control).take();
        match &self.origin {
            Origin::Sandbox { sandbox, .. } => sandbox.kill(),
            Origin::Fork { process, .. } => {
                // First by the host itself, which ends what it has forked.
                drop(control);
                if !ended(process, Duration::from_secs(2)) {
                    let _ = rustix::process::pidfd_send_signal(process, Signal::KILL);
                    ended(process, Duration::from_secs(10));
                }
            }
        }
    }
}

impl Drop for ForkServer {
    fn drop(&mut self) {
        self.kill();
        if let Origin::Fork { listener, .. } = &mut self.origin
            && let Some(listener) = listener.take()
        {
            let _ = listener.join();
        }
    }
}

/// Has a host load, or fork one that does, and gives the connection on which it asks what.
fn order_load(control: &OwnedFd, op: &str, more: &[OwnedFd]) -> Result<OwnedFd, HostError> {
    let (connection, theirs) = sockets(SocketType::STREAM).map_err(setup)?;
    rustix::net::sockopt::set_socket_passcred(&connection, true).map_err(|e| setup(e.into()))?;
    let mut descriptors = vec![theirs.as_fd()];
    descriptors.extend(more.iter().map(AsFd::as_fd));
    wire::order(control, json!({"op": op}).to_string().as_bytes(), &descriptors).map_err(setup)?;
    Ok(connection)
}

/// Says what to load, and takes the host's report and its number on this machine.
fn load(connection: &OwnedFd, body: &[u8], limit: Duration, stop: &AtomicBool) -> Result<(Report, u32), HostError> {
    let (reply, sender) = wire::converse(connection, body, limit, MAX_REPORT, stop).map_err(setup)?;
    let loaded: Loaded = match serde_json::from_slice(&reply) {
        Ok(loaded) => loaded,
        Err(_) => return Err(HostError::Setup("the host ended while it loaded".to_string())),
    };
    if let Some(error) = loaded.error {
        return Err(match error.split_once("refused: ") {
            Some((_, why)) => HostError::Refused(why.to_string()),
            None => HostError::Setup(error),
        });
    }
    match (loaded.ready, sender) {
        (Some(report), Some(pid)) => Ok((report, pid)),
        _ => Err(HostError::Setup("the host did not say what it has loaded".to_string())),
    }
}

/// Writes a sandbox's own files to this machine, where there is no sandbox.
pub(super) fn write_texts(spec: &mut crate::live::sandbox::Spec, place: &Path) -> io::Result<()> {
    for text in &spec.texts {
        std::fs::write(&text.to, &text.text)?;
    }
    spec.folder = place.to_path_buf();
    Ok(())
}

pub(super) fn with_words(error: HostError, said: &Said) -> HostError {
    let words = said.lines();
    let last = words.iter().rev().take(5).rev().cloned().collect::<Vec<_>>().join("; ");
    match error {
        HostError::Setup(why) if !last.is_empty() => HostError::Setup(format!("{why} ({last})")),
        other => other,
    }
}

pub(super) fn setup(problem: io::Error) -> HostError {
    HostError::Setup(problem.to_string())
}

/// The order has reached nobody.
fn ended_before() -> HostError {
    HostError::Setup("the host has ended".to_string())
}

fn number(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

/// Whether a process has ended, or does within a time.
fn ended(process: &OwnedFd, limit: Duration) -> bool {
    let mut polled = [PollFd::new(process, rustix::event::PollFlags::IN)];
    let _ = wire::wait(&mut polled, Instant::now() + limit);
    !polled[0].revents().is_empty()
}
