//! Node processes, which run one call each.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::mount::{MountFlags, MoveMountFlags, OpenTreeFlags};
use rustix::net::{SendFlags, SocketType};
use rustix::process::Signal;
use rustix::thread::{LinkNameSpaceType, UnshareFlags};
use serde::Deserialize;
use serde_json::json;

use super::answer::{End, Over, conclude};
use super::fork::{setup, with_words, write_texts};
use super::memory::{Memory, descendants};
use super::spec::{HostSpec, WARM};
use super::wire::{self, Talk};
use super::{Answer, Call, HostError, Report, monotonic_ns};
use crate::live::sandbox::{Isolation, Sandbox, sockets, unshare};

/// A Node process that has loaded packages and waits for one call. Dropping it ends it.
#[derive(Debug)]
pub struct NodeProcess {
    spec: HostSpec,
    sandbox: Sandbox,
    control: OwnedFd,
    files: Option<tempfile::TempDir>,
    pid: u32,
    report: Report,
}

#[derive(Deserialize)]
struct Ready {
    ready: Report,
}

/// A request that it answers and waits on: what its first request has to compile is compiled then.
pub(super) const REHEARSAL: &[u8] =
    b"{\"op\":\"rehearse\",\"event\":{\"a\":[1]},\"environment\":{},\"timeout_ms\":1000,\"sent_ns\":\"0\"}\n";

impl NodeProcess {
    /// Starts a process and waits until it has loaded all that it is to load.
    ///
    /// # Errors
    /// [`HostError::Setup`] with what it said.
    pub fn start(spec: &HostSpec) -> Result<Self, HostError> {
        spec.check_all().map_err(setup)?;
        // Only real root can mount into a process that runs; else the function is found by links.
        let mounts = matches!(spec.isolation, Isolation::Full { .. });
        let files = if mounts { None } else { Some(spec.files().map_err(setup)?) };
        let place = files.as_ref().map_or(Path::new("/"), tempfile::TempDir::path);
        let links = files.as_ref().map(|f| f.path().join("function"));
        if let Some(links) = &links {
            std::fs::create_dir(links).map_err(setup)?;
        }
        let mut sandboxed = spec.node(place, links.as_deref());
        if spec.isolation == Isolation::None {
            write_texts(&mut sandboxed, place).map_err(setup)?;
            if let Some(packages) = &spec.packages {
                std::os::unix::fs::symlink(packages.join("node_modules"), place.join("node_modules")).map_err(setup)?;
            }
        }
        let (control, theirs) = sockets(SocketType::STREAM).map_err(setup)?;
        rustix::net::sockopt::set_socket_passcred(&control, true).map_err(|e| setup(e.into()))?;
        let sandbox = Sandbox::start(&spec.warmset, spec.isolation, &sandboxed, theirs, spec.slot.as_deref());
        let sandbox = sandbox.map_err(setup)?;
        let (report, pid) = match ready(&control, spec) {
            Ok(ready) => ready,
            Err(problem) => {
                // With its end all that it has said has been read.
                let said = sandbox.said().clone();
                drop(sandbox);
                return Err(with_words(problem, &said));
            }
        };
        rustix::net::sockopt::set_socket_passcred(&control, false).map_err(|e| setup(e.into()))?;
        if report.rehearses {
            rehearse(&control, spec)?;
        }
        Ok(Self { spec: spec.clone(), sandbox, control, files, pid, report })
    }

    /// Runs a function, and ends.
    ///
    /// # Errors
    /// Where there is no answer; a function that throws has answered.
    pub fn invoke(self, call: &Call<'_>) -> Result<Answer, HostError> {
        let start = Instant::now();
        let sent = monotonic_ns();
        // JSON may begin with it: the process wakes while its request is being made.
        let _ = rustix::net::send(&self.control, b" ", SendFlags::NOSIGNAL);
        self.spec.check(call.code).map_err(setup)?;
        let said = self.sandbox.said().clone();
        let before = said.lines().len();
        let path = self.show(call).map_err(setup)?;
        let limits = call.limits;
        let body = json!({"id": call.id, "path": path, "handler": call.handler, "event": call.event,
            "environment": call.environment, "function": call.function,
            "timeout_ms": limits.time.as_millis() as u64, "sent_ns": sent.to_string()});
        let body = format!("{body}\n");
        let kills = self.spec.slot.as_ref().map_or(0, |slot| slot.oom_kills());
        let deadline = start + limits.time;
        let mut talk = Talk::new(&self.control, body.as_bytes());
        let mut too_much = false;
        talk.go_on();
        while !talk.ended && talk.reply.last() != Some(&b'\n') && Instant::now() < deadline {
            // It may have begun.
            wire::wait(&mut [PollFd::new(&self.control, talk.wants())], deadline)
                .map_err(|e| HostError::Gone(format!("nobody listens to it: {e}")))?;
            talk.go_on();
            if talk.reply.len() > limits.output_bytes + 4096 {
                too_much = true;
                break;
            }
        }
        let answered = Instant::now();
        let complete = talk.reply.last() == Some(&b'\n');
        let late = !complete && !talk.ended && !too_much;
        let (peak, cpu) = usage(self.pid);
        let peak_mb = self.spec.slot.as_ref().and_then(|slot| slot.peak_mb()).or(peak);
        let out_of_memory = self.spec.slot.as_ref().is_some_and(|slot| slot.oom_kills() > kills);
        let reply = talk.reply;
        let mut how = None;
        if !late && !complete && !too_much {
            // It ends by itself, and how says whether it was the function.
            self.sandbox.wait(Duration::from_secs(2));
            how = self.sandbox.ended();
        }
        let (status, signal) = how.unwrap_or((Some(1), None));
        if signal == Some(Signal::KILL.as_raw()) && !out_of_memory {
            return Err(HostError::Gone("it was killed".to_string()));
        }
        let gone = late.then(|| "time".to_string());
        let end = End { killed: gone, status, signal, peak_mb: peak, cpu_ms: cpu, ..End::default() };
        // With it ends what the function has started, and its log is complete.
        drop(self);
        let lines = said.lines();
        let mut logs = lines.get(before.min(lines.len())..).unwrap_or_default().join("\n");
        if logs.len() > limits.log_bytes {
            let mut at = limits.log_bytes;
            while !logs.is_char_boundary(at) {
                at -= 1;
            }
            let more = logs.len() - at;
            logs.truncate(at);
            logs.push_str(&format!("\n[{more} bytes more]\n"));
        }
        conclude(call, start, Over { reply, answered, end: Some(end), logs, too_much, out_of_memory, peak_mb })
    }

    /// Makes a function's code visible, and says where.
    fn show(&self, call: &Call<'_>) -> io::Result<PathBuf> {
        let function = Path::new(WARM).join("function");
        let Some(files) = &self.files else {
            if self.spec.only.as_ref().is_some_and(|only| only.code == call.code) {
                return Ok(function.join("code"));
            }
            let mut pairs = vec![(call.code.to_path_buf(), function.join("code"))];
            if let Some(closure) = call.closure {
                pairs.push((closure.join("node_modules"), function.join("node_modules")));
            }
            attach(self.sandbox.pid(), &pairs)?;
            return Ok(function.join("code"));
        };
        let links = files.path().join("function");
        std::os::unix::fs::symlink(self.spec.inside(call.code)?, links.join("code"))?;
        if let Some(closure) = call.closure {
            std::os::unix::fs::symlink(self.spec.inside(closure)?.join("node_modules"), links.join("node_modules"))?;
        }
        Ok(if self.spec.isolation.is_isolated() { function.join("code") } else { links.join("code") })
    }

    /// What it has loaded.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Its own number on this machine.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// All its processes on this machine, process 1 of its sandbox included.
    pub fn pids(&self) -> Vec<u32> {
        descendants(self.sandbox.pid(), &std::collections::BTreeSet::new())
    }

    /// What its processes take.
    pub fn memory(&self) -> Memory {
        Memory::of(&self.pids())
    }

    /// Whether it still runs.
    pub fn alive(&self) -> bool {
        self.sandbox.alive()
    }

    /// The last of what it said on its standard streams.
    pub fn said(&self) -> Vec<String> {
        self.sandbox.said().lines()
    }

    /// Ends it, and waits for that.
    pub fn kill(&self) {
        self.sandbox.kill();
    }
}

/// Makes it go the way that a call goes. How that went does not matter: it costs time later, and nothing else.
fn rehearse(control: &OwnedFd, spec: &HostSpec) -> Result<(), HostError> {
    rustix::net::send(control, REHEARSAL, SendFlags::NOSIGNAL).map_err(|e| setup(e.into()))?;
    match line(control, spec)?.ended {
        true => Err(HostError::Setup("the process ended while it rehearsed a call".to_string())),
        false => Ok(()),
    }
}

/// Waits for the first line.
fn ready(control: &OwnedFd, spec: &HostSpec) -> Result<(Report, u32), HostError> {
    let talk = line(control, spec)?;
    match (serde_json::from_slice::<Ready>(&talk.reply), talk.sender) {
        (Ok(line), Some(pid)) => Ok((line.ready, pid)),
        _ => Err(HostError::Setup("the process ended while it loaded".to_string())),
    }
}

/// Waits for a line, or the end.
fn line<'a>(control: &'a OwnedFd, spec: &HostSpec) -> Result<Talk<'a>, HostError> {
    let limit = spec.start_limit;
    let deadline = Instant::now() + limit;
    let mut talk = Talk::new(control, b"");
    while !talk.is_answered() {
        if Instant::now() >= deadline {
            return Err(HostError::Setup(format!("it was not ready within {} ms", limit.as_millis())));
        }
        wire::wait_unless(&spec.stop, &mut [PollFd::new(control, PollFlags::IN)], deadline).map_err(setup)?;
        talk.go_on();
    }
    Ok(talk)
}

/// Mounts folders of this machine into the mount namespace of a process, read-only.
///
/// The mounts are cloned here, where the folders are, and put in place by a thread that has moved over; threads share
/// their root and current folder unless told otherwise, so it gets its own first, and it is not used again.
fn attach(pid: u32, pairs: &[(PathBuf, PathBuf)]) -> io::Result<()> {
    let namespace = std::fs::File::open(format!("/proc/{pid}/ns/mnt"))?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let mut trees = Vec::new();
    for (from, to) in pairs {
        let tree = rustix::mount::open_tree(rustix::fs::CWD, from, flags)
            .map_err(|e| io::Error::new(io::Error::from(e).kind(), format!("cannot show {}: {e}", from.display())))?;
        trees.push((tree, to.clone()));
    }
    let there = std::thread::Builder::new().stack_size(128 * 1024).spawn(move || -> io::Result<()> {
        unshare(UnshareFlags::FS)?;
        rustix::thread::move_into_link_name_space(
            std::os::fd::AsFd::as_fd(&namespace),
            Some(LinkNameSpaceType::Mount),
        )?;
        for (tree, to) in trees {
            rustix::mount::move_mount(&tree, "", rustix::fs::CWD, &to, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
            let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
            rustix::mount::mount_remount(&to, flags, c"")?;
        }
        Ok(())
    })?;
    there.join().map_err(|_| io::Error::other("the thread that mounts has panicked"))?
}

/// Most resident memory so far, MB, and CPU milliseconds of a process.
pub(super) fn usage(pid: u32) -> (Option<f64>, Option<f64>) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let peak =
        status.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    let schedule = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    let cpu = schedule.split_whitespace().next().and_then(|ns| ns.parse::<f64>().ok());
    (peak.map(|kb| kb * 1024.0 / 1e6), cpu.map(|ns| ns / 1e6))
}
