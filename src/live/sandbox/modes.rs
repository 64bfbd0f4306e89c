//! `warmset __sandbox MODE`: the process that becomes a sandbox, as `runc init` does. It is started by [`super::spawn`]
//! alone and is no part of the command line.
//!
//! Standard input is the *life* socket: the [`Spec`] comes in on it, one line of JSON, and words go out, a line each:
//! `map` (somebody outside must write the id maps now, and answer with a line), `up` (the program runs), `error REASON`.
//! Its other end closing ends the sandbox. Standard output is the control socket, handed on to the program as the
//! descriptor `$WARMSET_CONTROL`; standard error is the program's standard output and error.
//!
//! Modes, and what was found to work on Linux 6.18, in this order:
//! - `full` (real root; the process is the first of a new PID namespace, which the parent's thread has made): mount, UTS,
//!   IPC and network namespaces and the root are made by real root, so that binds reach through folders of mode 0700.
//!   Only then comes the user namespace, whose maps the parent writes: a range needs a right outside. The program keeps
//!   all capabilities *inside*, with which it can clone children into new namespaces: their mount namespaces belong to
//!   the user namespace, whereas its own stays real root's and cannot be changed by it. /proc must be mounted and not
//!   covered in part, or the kernel refuses a new one to the children.
//! - `own` (any user): a user namespace of one id comes first, with all others at once, and this process goes on as a
//!   child, `inner`, the first of the PID namespace.
//! - `frozen`: [`super::frozen`].
//! - `none`: no namespaces; the program replaces this process.
//!
//! In the first two this process stays: as process 1 it reaps, and ends everything when its life socket closes. So the
//! program never is process 1 itself, and its forks into PID namespaces of their own, which are, have another number.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode};

use rustix::process::Signal;

use super::enter::{as_shells_do, close_others, enter, own_namespaces, say};
use super::spec::SUBCOMMAND;
use super::{frozen, probe};

/// Becomes a sandbox. `mode` is the subcommand's argument.
pub fn main(mode: &str) -> ExitCode {
    let life = io::stdin();
    if mode == "probe" {
        return probe::inside();
    }
    match run(mode, &life) {
        Ok(code) => code,
        Err(problem) => {
            let _ = say(&life, &format!("error {}", problem.to_string().replace('\n', " ")));
            ExitCode::FAILURE
        }
    }
}

fn run(mode: &str, life: &io::Stdin) -> io::Result<ExitCode> {
    // With the parent's thread, not its process: the thread that starts sandboxes stays as long as they do.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    match mode {
        // They were given descriptors by number.
        frozen::INSIDE => return frozen::inside(life),
        frozen::THAW => return frozen::thaw(life),
        _ => close_others(),
    }
    match mode {
        "own" => {
            own_namespaces()?;
            let status = Command::new("/proc/self/exe").args([SUBCOMMAND, "inner"]).spawn()?.wait()?;
            Ok(as_shells_do(status.code(), status.signal()))
        }
        "frozen" => frozen::run(life),
        _ => enter(mode, life),
    }
}
