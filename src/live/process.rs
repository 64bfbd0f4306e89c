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
    let mut command = Command::new(program);
    command.args(args).current_dir(folder).env("NO_COLOR", "1");
    run_command(&mut command, scratch, limit, stop)
}

/// The same for a program with an environment of its own. What it started and left running ends with it.
///
/// # Errors
/// When it cannot be started or waited for.
pub fn run_command(command: &mut Command, scratch: &Path, limit: Duration, stop: &AtomicBool) -> io::Result<Ran> {
    let mut words = File::options().create(true).truncate(true).read(true).write(true).open(scratch.join("said"))?;
    command.stdin(Stdio::null()).stdout(words.try_clone()?).stderr(words.try_clone()?);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    let mut child = command.spawn()?;
    let ended = wait(&mut child, &words, limit, stop);
    end(&mut child);
    let length = words.metadata()?.len();
    words.seek(SeekFrom::Start(length.saturating_sub(KEPT)))?;
    let mut bytes = Vec::new();
    words.take(KEPT).read_to_end(&mut bytes)?;
    Ok(Ran { ended: ended?, said: String::from_utf8_lossy(&bytes).into_owned() })
}

fn wait(child: &mut Child, words: &File, limit: Duration, stop: &AtomicBool) -> io::Result<Ended> {
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
        if words.metadata()?.len() > MOST {
            return Ok(Ended::TooLoud);
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

/// Ends a program and its children: it leads a process group of its own.
fn end(child: &mut Child) {
    #[cfg(unix)]
    {
        let group = rustix::process::Pid::from_child(child);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
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
    fn a_program_that_never_stops_talking_is_ended() {
        let (ran, _) = shell("yes warmset", Duration::from_secs(60), false);
        assert_eq!(ran.ended, Ended::TooLoud);
        assert!(ran.said.len() as u64 <= KEPT);
    }
}
