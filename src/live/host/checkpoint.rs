//! A loaded process in files, thawed by CRIU for each call: where a host cannot be forked, or no process is ready.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::PollFd;
use rustix::net::SocketType;
use rustix::process::Signal;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{End, Over, conclude};
use super::fork::{setup, with_words};
use super::memory::descendants;
use super::node::{REHEARSAL, usage};
use super::spec::{HostSpec, Only, WARM};
use super::wire::{self, Talk};
use super::{Answer, Call, HostError, Report, monotonic_ns, ms};
use crate::live::criu::Criu;
use crate::live::sandbox::{FIRST_PID, Frozen, Handed, Isolation, Sandbox, Slot, sockets};

/// How long freezing may take.
const FREEZE: Duration = Duration::from_secs(60);
/// How long a process that was thawed to be looked at may take to answer.
const TRIAL: Duration = Duration::from_secs(20);

/// A process that has loaded an image, in files. Dropping it removes them.
#[derive(Debug)]
pub struct Checkpoint {
    spec: HostSpec,
    python: bool,
    criu: Criu,
    folder: tempfile::TempDir,
    handed: Handed,
    report: Report,
    cold_ms: f64,
    thaw_ms: f64,
}

#[derive(Deserialize)]
struct Ready {
    ready: Report,
}

impl Checkpoint {
    /// Loads an image in a process, freezes that into the scratch folder of `spec`, and thaws it twice to see whether it is
    /// worth it.
    ///
    /// # Errors
    /// Why it is of no use: it cannot be frozen or thawed, a thawed process would repeat another's random numbers, or to
    /// thaw it takes longer than to load it anew.
    pub fn take(spec: &HostSpec, python: bool, criu: &Criu) -> Result<Self, HostError> {
        let Isolation::Full { first_id } = spec.isolation else {
            return Err(HostError::Setup("criu needs full isolation".to_string()));
        };
        spec.check_all().map_err(setup)?;
        let folder = spec.files().map_err(setup)?;
        let mut spec = spec.clone();
        spec.slot = None;
        let begun = Instant::now();
        let frozen = Frozen {
            spec: spec.frozen(python),
            criu: criu.program.clone(),
            folder: folder.path().to_path_buf(),
            first_id,
            thaw: None,
        };
        // The program's control socket is made inside, so nobody has the other end of this one.
        let (_, unused) = sockets(SocketType::STREAM).map_err(setup)?;
        let sandbox = Sandbox::frozen(&spec.warmset, spec.isolation, &frozen, unused, None).map_err(setup)?;
        let made = (|| -> Result<_, HostError> {
            let work = if python {
                serde_json::to_string(&spec.work(None).map_err(setup)?).map_err(|e| HostError::Setup(e.to_string()))?
            } else {
                String::new()
            };
            let told = sandbox.ask(format!("tell {work}").as_bytes(), spec.start_limit, &spec.stop).map_err(setup)?;
            let loaded: Ready =
                serde_json::from_str(&told).map_err(|_| HostError::Setup("the process did not load".to_string()))?;
            let cold_ms = ms(begun.elapsed());
            if loaded.ready.rehearses {
                sandbox
                    .ask(&[b"tell ", REHEARSAL.trim_ascii_end()].concat(), spec.start_limit, &spec.stop)
                    .map_err(setup)?;
            }
            let handed = sandbox.ask(b"freeze", FREEZE, &spec.stop).map_err(setup)?;
            let handed: Handed = serde_json::from_str(&handed).map_err(|e| HostError::Setup(e.to_string()))?;
            Ok((loaded.ready, cold_ms, handed))
        })();
        let said = sandbox.said().clone();
        // With its end all that it has said has been read.
        drop(sandbox);
        let (report, cold_ms, handed) = made.map_err(|problem| with_words(problem, &said))?;
        let mut made = Self { spec, python, criu: criu.clone(), folder, handed, report, cold_ms, thaw_ms: 0.0 };
        let (first, _) = made.trial()?;
        let (second, thaw_ms) = made.trial()?;
        if first == second {
            return Err(HostError::Setup("thawed processes would repeat each other's random numbers".to_string()));
        }
        made.thaw_ms = thaw_ms;
        if thaw_ms >= cold_ms {
            let why = format!("to thaw it takes {thaw_ms:.0} ms, to load it anew {cold_ms:.0}");
            return Err(HostError::Setup(why));
        }
        Ok(made)
    }

    /// Thaws a process that runs nothing: something random of it, and the milliseconds until it had answered.
    fn trial(&self) -> Result<(Value, f64), HostError> {
        let begun = Instant::now();
        let (sandbox, control) = self.thaw(None, None)?;
        let body = format!("{}\n", json!({"op": "thawed", "thawed": true}));
        let told = wire::converse(&control, body.as_bytes(), TRIAL, 64 * 1024, &self.spec.stop);
        let took = ms(begun.elapsed());
        let said = sandbox.said().clone();
        drop(sandbox);
        let answer = told.ok().and_then(|(reply, _)| serde_json::from_slice::<Value>(&reply).ok());
        match answer {
            Some(answer) if answer["ok"] == json!(true) => Ok((answer["result"].clone(), took)),
            Some(answer) => Err(HostError::Setup(format!("the thawed process says: {}", answer["error"]))),
            None => Err(with_words(HostError::Setup("the thawed process does not answer".to_string()), &said)),
        }
    }

    /// A process as it was when it was frozen, which sees this code.
    fn thaw(&self, only: Option<Only>, slot: Option<&Slot>) -> Result<(Sandbox, OwnedFd), HostError> {
        let Isolation::Full { first_id } = self.spec.isolation else {
            return Err(HostError::Setup("criu needs full isolation".to_string()));
        };
        let spec = HostSpec { only, ..self.spec.clone() }.frozen(self.python);
        let frozen = Frozen {
            spec,
            criu: self.criu.program.clone(),
            folder: self.folder.path().to_path_buf(),
            first_id,
            thaw: Some(self.handed.clone()),
        };
        let (control, theirs) = sockets(SocketType::STREAM).map_err(setup)?;
        if !self.python {
            // As it was when it was frozen: libuv reads until it would have to wait. CRIU leaves what it is given as it is.
            rustix::io::ioctl_fionbio(&theirs, true).map_err(|e| setup(e.into()))?;
        }
        let sandbox = Sandbox::frozen(&self.spec.warmset, self.spec.isolation, &frozen, theirs, slot);
        Ok((sandbox.map_err(setup)?, control))
    }

    /// Thaws a process, runs a function in it, and ends it.
    ///
    /// # Errors
    /// Where there is no answer; a function that raises has answered.
    pub fn invoke(&self, call: &Call<'_>, slot: Option<Arc<Slot>>) -> Result<Answer, HostError> {
        let (start, sent) = (Instant::now(), monotonic_ns());
        let limits = call.limits;
        self.spec.check(call.code).map_err(setup)?;
        let kills = slot.as_ref().map_or(0, |slot| slot.oom_kills());
        let only = Only { code: call.code.to_path_buf(), closure: call.closure.map(Path::to_path_buf) };
        let (sandbox, control) = self.thaw(Some(only), slot.as_deref())?;
        let path = if self.python { "/opt/function".into() } else { Path::new(WARM).join("function/code") };
        let body = json!({"id": call.id, "path": path, "handler": call.handler, "event": call.event, "thawed": true,
            "environment": call.environment, "function": call.function, "closure": call.closure.is_some(),
            "timeout_ms": limits.time.as_millis() as u64,
            "sent_ns": sent.to_string()});
        let body = format!("{body}\n");
        let deadline = start + limits.time;
        let mut talk = Talk::new(&control, body.as_bytes());
        talk.go_on();
        let too_long = |talk: &Talk<'_>| talk.reply.len() > limits.output_bytes + 4096;
        while !talk.is_answered() && !too_long(&talk) && Instant::now() < deadline {
            wire::wait(&mut [PollFd::new(&control, talk.wants())], deadline).map_err(setup)?;
            talk.go_on();
        }
        let answered = Instant::now();
        let complete = talk.reply.last() == Some(&b'\n');
        let too_much = too_long(&talk);
        let late = !complete && !talk.ended && !too_much;
        let process = descendants(sandbox.pid(), &BTreeSet::new()).into_iter().find(|pid| is_thawed(*pid));
        let (peak, cpu) = process.map_or((None, None), usage);
        let peak_mb = slot.as_ref().and_then(|slot| slot.peak_mb()).or(peak);
        let out_of_memory = slot.as_ref().is_some_and(|slot| slot.oom_kills() > kills);
        let reply = talk.reply;
        let mut how = None;
        if !late && !complete && !too_much {
            sandbox.wait(Duration::from_secs(2));
            how = sandbox.ended();
        }
        let (status, signal) = how.unwrap_or((Some(1), None));
        if signal == Some(Signal::KILL.as_raw()) && !out_of_memory {
            return Err(HostError::Gone("it was killed".to_string()));
        }
        let killed = late.then(|| "time".to_string());
        let end = End { killed, status, signal, peak_mb: peak, cpu_ms: cpu, ..End::default() };
        let said = sandbox.said().clone();
        // With it ends what the function has started, and its log is complete.
        drop(sandbox);
        let mut logs = said.lines().join("\n");
        if logs.len() > limits.log_bytes {
            let at = logs.floor_char_boundary(limits.log_bytes);
            let more = logs.len() - at;
            logs.truncate(at);
            logs.push_str(&format!("\n[{more} bytes more]\n"));
        }
        let mut answer =
            conclude(call, start, Over { reply, answered, end: Some(end), logs, too_much, out_of_memory, peak_mb })?;
        // Python's does not say when it was ready: what is left of all but the handler is the way to it.
        answer.load_ms = answer.load_ms.or_else(|| answer.run_ms.map(|run| (answer.answered_ms - run).max(0.0)));
        Ok(answer)
    }

    /// What it has loaded.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Milliseconds from the start of the process until it had loaded, and to thaw it until it answers.
    pub fn times_ms(&self) -> (f64, f64) {
        (self.cold_ms, self.thaw_ms)
    }

    /// Bytes of its files.
    pub fn bytes(&self) -> u64 {
        let entries = std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten();
        entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
    }
}

/// Whether a process of this machine is the first that was thawed, by its number in its own PID namespace.
fn is_thawed(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    numbers.and_then(|all| all.split_whitespace().last()) == Some(FIRST_PID.to_string().as_str())
}
