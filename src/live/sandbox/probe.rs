//! What isolation this machine and user permit, found by trying.

use std::io;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use rustix::thread::UnshareFlags;
use serde::{Deserialize, Serialize};

use super::cgroup::{Controller, Hierarchies};
use super::enter::unshare;
use super::spec::Isolation;
use super::spec::SUBCOMMAND;

/// Something that cannot be had here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lack {
    /// What: `own ids`, `limit on memory`.
    pub what: String,
    /// Why, as far as it can be told, and what it means.
    pub why: String,
    /// What to do about it.
    pub next: String,
}

/// What can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permitted {
    /// The strongest isolation.
    pub isolation: Isolation,
    /// Where limits can be set.
    pub hierarchies: Hierarchies,
    /// What is missing for full isolation with all limits.
    pub lacks: Vec<Lack>,
}

/// What the trial process found.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Tried {
    /// Kinds of namespaces that could be made outright.
    direct: Vec<String>,
    /// Whether a user namespace could be made.
    user: bool,
    /// Kinds of namespaces that could be made inside it.
    inside: Vec<String>,
    /// What the kernel said where it refused.
    refusals: Vec<String>,
}

const KINDS: [(&str, UnshareFlags); 5] = [
    ("mount", UnshareFlags::NEWNS),
    ("uts", UnshareFlags::NEWUTS),
    ("ipc", UnshareFlags::NEWIPC),
    ("net", UnshareFlags::NEWNET),
    ("pid", UnshareFlags::NEWPID),
];

/// The subcommand's part: tries, says what it found in JSON, and ends with all that it made.
pub(super) fn inside() -> ExitCode {
    let mut tried = Tried::default();
    for (name, flag) in KINDS {
        match unshare(flag) {
            Ok(()) => tried.direct.push(name.to_string()),
            Err(e) => tried.refusals.push(format!("{name}: {e}")),
        }
    }
    match unshare(UnshareFlags::NEWUSER) {
        Ok(()) => tried.user = true,
        Err(e) => tried.refusals.push(format!("user: {e}")),
    }
    if tried.user && tried.direct.len() < KINDS.len() {
        for (name, flag) in KINDS {
            match unshare(flag) {
                Ok(()) => tried.inside.push(name.to_string()),
                Err(e) => tried.refusals.push(format!("{name} in a user namespace: {e}")),
            }
        }
        // Some systems let anybody make the namespaces, and then permit nothing inside.
        let private = rustix::mount::mount_change(
            "/",
            rustix::mount::MountPropagationFlags::PRIVATE | rustix::mount::MountPropagationFlags::REC,
        );
        if let Err(e) = private {
            tried.inside.clear();
            tried.refusals.push(format!("mounts in a user namespace: {e}"));
        }
    }
    let said = serde_json::to_vec(&tried).unwrap_or_default();
    if io::Write::write_all(&mut io::stdout(), &said).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What isolation there can be. `warmset` is a warmset program; `first_id` the first of the ids for full isolation.
///
/// # Errors
/// When the trial cannot be made at all.
pub fn probe(warmset: &Path, first_id: u32) -> io::Result<Permitted> {
    let output = Command::new(warmset).args([SUBCOMMAND, "probe"]).stdin(Stdio::null()).output()?;
    let tried: Tried = serde_json::from_slice(&output.stdout)
        .map_err(|e| io::Error::other(format!("{} {SUBCOMMAND} probe did not answer: {e}", warmset.display())))?;
    let hierarchies = Hierarchies::find();
    let mut permitted = judge(&tried, rustix::process::geteuid().is_root(), first_id);
    let group = super::cgroup::Group::new(&hierarchies);
    let (controllers, reason) = match &group {
        Ok(Some(group)) => (group.controllers(), String::new()),
        Ok(None) => (Vec::new(), "no control group of this process has it".to_string()),
        Err(e) => (Vec::new(), e.to_string()),
    };
    for controller in Controller::ALL.into_iter().filter(|c| !controllers.contains(c)) {
        let (what, means) = match controller {
            Controller::Cpu => ("limit on processor time", "a function may take all processors"),
            Controller::Memory => ("limit on memory", "a function may take all memory"),
            Controller::Pids => ("limit on processes", "a fork bomb is ended by its time limit only"),
        };
        permitted.lacks.push(Lack {
            what: what.to_string(),
            why: format!(
                "the {} controller cannot be used ({}); {means}",
                controller.name(),
                if reason.is_empty() { "it is not in any hierarchy of this process" } else { reason.as_str() }
            ),
            next: "run as root, or in a delegated group of its own: systemd-run --user --scope -p Delegate=yes"
                .to_string(),
        });
    }
    permitted.hierarchies = if controllers.is_empty() { Hierarchies::default() } else { hierarchies };
    Ok(permitted)
}

fn judge(tried: &Tried, root: bool, first_id: u32) -> Permitted {
    let every = |kinds: &[String]| KINDS.iter().all(|(name, _)| kinds.iter().any(|k| k == name));
    let refusals = tried.refusals.join("; ");
    let mut lacks = Vec::new();
    let isolation = if root && every(&tried.direct) && tried.user {
        Isolation::Full { first_id }
    } else if every(&tried.inside) {
        lacks.push(Lack {
            what: "own ids".to_string(),
            why: "only root can give a sandbox ids of its own; functions run under the id of this user, without any \
                capability, and share what the kernel keeps by user"
                .to_string(),
            next: "run as root".to_string(),
        });
        lacks.push(Lack {
            what: "code shown at the call only".to_string(),
            why: "only root can mount into a process that runs; a Node function's process shows the code of all \
                functions that share its image"
                .to_string(),
            next: "run as root".to_string(),
        });
        Isolation::Own
    } else {
        lacks.push(Lack {
            what: "namespaces".to_string(),
            why: format!(
                "the kernel refuses them ({refusals}); functions see this user's files, processes and network, and each other"
            ),
            next: "run as root, or permit user namespaces (sysctl user.max_user_namespaces, \
                kernel.apparmor_restrict_unprivileged_userns)"
                .to_string(),
        });
        Isolation::None
    };
    Permitted { isolation, hierarchies: Hierarchies::default(), lacks }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(direct: &[&str], user: bool, inside: &[&str]) -> Tried {
        let own = |kinds: &[&str]| kinds.iter().map(ToString::to_string).collect();
        Tried { direct: own(direct), user, inside: own(inside), refusals: vec!["net: not permitted".to_string()] }
    }

    #[test]
    fn the_strongest_isolation_that_works_is_taken() {
        let all = ["mount", "uts", "ipc", "net", "pid"];
        let full = judge(&tried(&all, true, &[]), true, 7);
        assert_eq!((full.isolation, full.lacks.len()), (Isolation::Full { first_id: 7 }, 0));
        let own = judge(&tried(&[], true, &all), false, 7);
        assert_eq!((own.isolation, own.lacks[0].what.as_str()), (Isolation::Own, "own ids"));
        // Root in a container without the right: as any user.
        assert_eq!(judge(&tried(&["uts"], true, &all), true, 7).isolation, Isolation::Own);
        let none = judge(&tried(&[], true, &all[..4]), false, 7);
        assert_eq!(none.isolation, Isolation::None);
        assert!(none.lacks[0].why.contains("net: not permitted"), "{:?}", none.lacks);
    }
}
