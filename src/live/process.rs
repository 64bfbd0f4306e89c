//! Programs of others, started with a limit of time and ended with everything that they started.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Bytes of what a program said that are kept: the last ones.
const KEPT: u64 = 64 * 1024;
/// A program that says more than this is ended: its words go to a disk.
const MOST: u64 = 64 * 1024 * 1024;
/// How long a program may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(3);
/// How often a running program is looked at.
const PAUSE: Duration = Duration::from_millis(15);

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with success or without.
    Done(bool),
    /// It took longer than it may.
    TimedOut,
    /// It said more than it may.
    TooLoud,
    /// The user stopped warmset.
    Stopped,
}

/// What became of a program.
#[derive(Debug)]
pub struct Ran {
    /// How it ended.
    pub ended: Ended,
    /// The last of what it said, on both streams.
    pub said: String,
}

/// A sign that the user wants to stop (Ctrl-C, SIGTERM, SIGHUP). From the first call on it is only noted, and whoever
/// works looks at it, so that scratch folders are removed.
pub fn stop_sign() -> Arc<AtomicBool> {
    static SIGN: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    let sign = SIGN.get_or_init(|| {
        let sign = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&sign);
        // Fails only where a handler exists already; then that one decides.
        let _ = ctrlc::set_handler(move || noted.store(true, Ordering::SeqCst));
        sign
    });
    Arc::clone(sign)
}

/// Runs a program in a folder; `scratch` takes what it says.
///
/// # Errors
/// When it cannot be started or waited for.
pub fn run(
    program: &str,
    args: &[String],
    folder: &Path,
    scratch: &Path,
    limit: Duration,
    stop: &AtomicBool,
) -> io::Result<Ran> {
    let words = open(scratch, "said")?;
    let ended = watch(program, args, folder, [&words, &words], limit, stop)?;
    Ok(Ran { ended, said: last(words)? })
}

/// The same for a program with an environment of its own. What it leaves running ends with it.
///
/// # Errors
/// When it cannot be started or waited for.
pub fn run_command(command: &mut Command, scratch: &Path, limit: Duration, stop: &AtomicBool) -> io::Result<Ran> {
    let words = open(scratch, "said")?;
    let ended = watch_command(command, [&words, &words], true, limit, stop)?;
    Ok(Ran { ended, said: last(words)? })
}

/// Runs a program for what it writes to its standard output, which comes apart from what else it says.
///
/// # Errors
/// When it cannot be started or waited for.
pub fn answer(
    program: &str,
    args: &[String],
    scratch: &Path,
    limit: Duration,
    stop: &AtomicBool,
) -> io::Result<(Ran, String)> {
    let (mut out, words) = (open(scratch, "answer")?, open(scratch, "said")?);
    let ended = watch(program, args, Path::new("."), [&out, &words], limit, stop)?;
    out.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    out.take(MOST).read_to_end(&mut bytes)?;
    Ok((Ran { ended, said: last(words)? }, String::from_utf8_lossy(&bytes).into_owned()))
}

fn open(scratch: &Path, name: &str) -> io::Result<File> {
    File::options().create(true).truncate(true).read(true).write(true).open(scratch.join(name))
}

/// Runs a program to its end, whoever brings it about. `streams` take its standard output and standard error.
fn watch(
    program: &str,
    args: &[String],
    folder: &Path,
    streams: [&File; 2],
    limit: Duration,
    stop: &AtomicBool,
) -> io::Result<Ended> {
    let mut command = Command::new(program);
    command.args(args).current_dir(folder).env("NO_COLOR", "1");
    watch_command(&mut command, streams, false, limit, stop)
}

/// `alone`: what it started may not outlive it, though it ended by itself.
fn watch_command(
    command: &mut Command,
    streams: [&File; 2],
    alone: bool,
    limit: Duration,
    stop: &AtomicBool,
) -> io::Result<Ended> {
    command.stdin(Stdio::null()).stdout(streams[0].try_clone()?).stderr(streams[1].try_clone()?);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    let mut child = command.spawn()?;
    let ended = wait(&mut child, streams, limit, stop);
    if alone || !matches!(ended, Ok(Ended::Done(_))) {
        end(&mut child);
    }
    ended
}

/// The last of what was said.
fn last(mut words: File) -> io::Result<String> {
    let length = words.metadata()?.len();
    words.seek(SeekFrom::Start(length.saturating_sub(KEPT)))?;
    let mut bytes = Vec::new();
    words.take(KEPT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn wait(child: &mut Child, streams: [&File; 2], limit: Duration, stop: &AtomicBool) -> io::Result<Ended> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Ended::Done(status.success()));
        }
        if stop.load(Ordering::SeqCst) {
            return Ok(Ended::Stopped);
        }
        if start.elapsed() > limit {
            return Ok(Ended::TimedOut);
        }
        for stream in streams {
            if stream.metadata()?.len() > MOST {
                return Ok(Ended::TooLoud);
            }
        }
        std::thread::sleep(PAUSE);
    }
}

/// Whether a process of this number is there.
pub fn is_running(pid: u32) -> bool {
    #[cfg(unix)]
    {
        let number = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
        // Another user's process is one too.
        number.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
    }
    #[cfg(not(unix))]
    {
        let _ = pid;
        true
    }
}

/// Ends a program and its children: it leads a process group of its own. They are asked first, so that an image builder
/// can remove its working containers.
fn end(child: &mut Child) {
    #[cfg(unix)]
    {
        use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
        let group = Pid::from_child(child);
        let _ = kill_process_group(group, Signal::TERM);
        let asked = Instant::now();
        // Looked at and not reaped: until then nobody else can get its number.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        while asked.elapsed() < GRACE && matches!(waitid(WaitId::Pid(group), look), Ok(None)) {
            std::thread::sleep(PAUSE);
        }
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration, stop: bool) -> (Ran, Duration) {
        let dir = tempfile::tempdir().unwrap();
        let start = Instant::now();
        let args = ["-c".to_string(), script.to_string()];
        let ran = run("sh", &args, dir.path(), dir.path(), limit, &AtomicBool::new(stop)).unwrap();
        (ran, start.elapsed())
    }

    #[test]
    fn both_streams_and_the_status_are_kept() {
        let (ran, _) = shell("echo out; echo err >&2; exit 3", Duration::from_secs(20), false);
        assert_eq!((ran.ended, ran.said.as_str()), (Ended::Done(false), "out\nerr\n"));
        assert_eq!(shell("true", Duration::from_secs(20), false).0.ended, Ended::Done(true));
    }

    #[test]
    fn a_program_that_hangs_ends_with_its_children() {
        let (ran, took) = shell("sleep 60 & sleep 60", Duration::from_millis(200), false);
        assert_eq!(ran.ended, Ended::TimedOut);
        assert!(took < Duration::from_secs(20), "{took:?}");
        let (ran, _) = shell("sleep 60", Duration::from_secs(60), true);
        assert_eq!(ran.ended, Ended::Stopped);
    }

    #[test]
    fn a_program_is_asked_before_it_is_ended_and_ended_where_it_does_not_listen() {
        let (ran, _) = shell("trap 'echo cleaned; exit 1' TERM; sleep 60 & wait", Duration::from_millis(300), false);
        assert_eq!((ran.ended, ran.said.as_str()), (Ended::TimedOut, "cleaned\n"));
        let (ran, took) = shell("trap '' TERM; while :; do sleep 60; done", Duration::from_millis(300), false);
        assert_eq!(ran.ended, Ended::TimedOut);
        assert!(took < Duration::from_secs(20), "{took:?}");
    }

    #[test]
    fn an_answer_comes_apart_from_what_else_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let args = ["-c".to_string(), "echo '{}'; echo warning >&2".to_string()];
        let no = AtomicBool::new(false);
        let (ran, answer) = super::answer("sh", &args, dir.path(), Duration::from_secs(20), &no).unwrap();
        assert_eq!((ran.ended, ran.said.as_str(), answer.as_str()), (Ended::Done(true), "warning\n", "{}\n"));
    }

    #[test]
    fn a_program_that_never_stops_talking_is_ended() {
        let (ran, _) = shell("yes warmset", Duration::from_secs(60), false);
        assert_eq!(ran.ended, Ended::TooLoud);
        assert!(ran.said.len() as u64 <= KEPT);
    }
}
