//! What a process tree holds, as the kernel tells it: nothing here asks the runtime.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use warmset::live::host::Memory;

/// A process.
#[derive(Debug, Clone)]
pub struct Process {
    pub pid: u32,
    pub parent: u32,
    pub command: String,
    /// Whether it leads a session.
    pub leads: bool,
    /// How many PID namespaces it is in.
    pub depth: usize,
    /// It has ended, and its parent has not looked yet.
    pub ended: bool,
}

/// What a process is in a runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Process 1 of a sandbox: of a host, a waiting Node process, or a cold start.
    Sandbox,
    /// A Python host, or a Python cold start's.
    Host,
    /// A host that was forked from another: a child image.
    ChildHost,
    /// A function's process in Python, running or standing by.
    Function,
    /// A Node process, waiting or running.
    Node,
    /// What a function has started.
    Other,
}

impl Role {
    pub const KILLED: [Role; 5] = [Role::Sandbox, Role::Host, Role::ChildHost, Role::Function, Role::Node];

    pub fn name(self) -> &'static str {
        match self {
            Role::Sandbox => "process 1 of a sandbox",
            Role::Host => "Python host",
            Role::ChildHost => "child host",
            Role::Function => "function or standby",
            Role::Node => "Node process",
            Role::Other => "of a function",
        }
    }
}

/// All processes of the machine that can be read.
fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // proc_pid_stat(5): state, parent, group, session after the name.
            let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().take(4).collect();
            let parent = fields.get(1)?.parse().ok()?;
            let leads = fields.get(3)?.parse() == Ok(pid);
            Some(Process {
                pid,
                parent,
                command: String::new(),
                leads,
                depth: 0,
                ended: matches!(fields[0], "Z" | "X"),
            })
        })
        .collect()
}

/// Those that descend from `root`, which is not among them.
pub fn descendants(root: u32) -> Vec<Process> {
    let mut children: BTreeMap<u32, Vec<Process>> = BTreeMap::new();
    all().into_iter().for_each(|process| children.entry(process.parent).or_default().push(process));
    let (mut found, mut open) = (Vec::new(), vec![root]);
    while let Some(pid) = open.pop() {
        for mut process in children.remove(&pid).unwrap_or_default() {
            open.push(process.pid);
            let text = |file: &str| fs::read(format!("/proc/{}/{file}", process.pid)).unwrap_or_default();
            process.command = String::from_utf8_lossy(&text("cmdline")).replace('\0', " ");
            let status = String::from_utf8_lossy(&text("status")).into_owned();
            process.depth = status
                .lines()
                .find_map(|line| line.strip_prefix("NSpid:"))
                .map_or(0, |numbers| numbers.split_whitespace().count());
            found.push(process);
        }
    }
    found
}

/// The role of each.
pub fn roles(processes: &[Process]) -> BTreeMap<u32, Role> {
    let by_pid: BTreeMap<u32, &Process> = processes.iter().map(|p| (p.pid, p)).collect();
    let role = |process: &Process| {
        let is_fork = |p: &Process| p.command.contains("swap.py");
        if process.command.contains("__sandbox") {
            return Role::Sandbox;
        }
        if process.command.contains("host.mjs") {
            return Role::Node;
        }
        match (is_fork(process), by_pid.get(&process.parent).filter(|parent| is_fork(parent))) {
            (false, _) => Role::Other,
            (true, None) => Role::Host,
            // Without namespaces a function's process leads a session, and a host that was forked does not.
            (true, Some(parent)) if process.depth == parent.depth && !process.leads => Role::ChildHost,
            (true, Some(_)) => Role::Function,
        }
    };
    processes.iter().map(|process| (process.pid, role(process))).collect()
}

/// What is held at one moment.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// Processes below the runtime, by role; those that have ended and wait for their parent apart.
    pub processes: BTreeMap<&'static str, usize>,
    /// Processes that have ended, for which nobody has waited yet.
    pub zombies: usize,
    /// Processes that came to this bench as their parent ended.
    pub orphans: Vec<String>,
    /// Descriptors of the runtime, and how many of them are sockets.
    pub descriptors: usize,
    pub sockets: usize,
    pub threads: usize,
    /// Namespaces of the tree and those held by descriptors of the runtime, that are not this bench's.
    pub namespaces: usize,
    /// Mounts of sandboxes that have come into the runtime's own namespace.
    pub mounts: usize,
    /// Control groups of the runtime, and those of them with processes.
    pub groups: usize,
    pub full_groups: usize,
    /// Files in the folder for temporary files, in the cache (packages aside), and beside the socket.
    pub files: usize,
    /// Proportional set of the runtime, and of all its tree, MB.
    pub own_mb: f64,
    pub own_rss_mb: f64,
    pub tree_mb: Option<f64>,
}

/// What is watched.
pub struct Watch {
    pub runtime: u32,
    /// All that it serves and keeps is below it.
    pub fleet: PathBuf,
    /// Folders whose files are counted.
    pub folders: Vec<PathBuf>,
}

const KINDS: [&str; 7] = ["mnt", "pid", "net", "uts", "ipc", "user", "cgroup"];

fn namespace(pid: &str, kind: &str) -> Option<String> {
    fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok().map(|link| link.display().to_string())
}

impl Watch {
    /// Looks; at the memory of the whole tree only where asked, as it takes the kernel some milliseconds a process.
    pub fn look(&self, whole: bool) -> Held {
        let tree = descendants(self.runtime);
        let mut held = Held::default();
        for (pid, role) in roles(&tree) {
            match tree.iter().any(|p| p.pid == pid && p.ended) {
                true => held.zombies += 1,
                false => *held.processes.entry(role.name()).or_default() += 1,
            }
        }
        let own = std::process::id();
        // An installer's or a pipe's is none: this bench starts nothing but the runtime.
        held.orphans = (all().iter().filter(|p| p.parent == own && p.pid != self.runtime && !p.ended))
            .map(|p| {
                format!("{} {}", p.pid, fs::read_to_string(format!("/proc/{}/cmdline", p.pid)).unwrap_or_default())
            })
            .collect();
        let home: BTreeSet<String> = KINDS.iter().filter_map(|kind| namespace("self", kind)).collect();
        let mut namespaces: BTreeSet<String> = BTreeSet::new();
        for pid in tree.iter().map(|p| p.pid).chain([self.runtime]) {
            namespaces.extend(KINDS.iter().filter_map(|kind| namespace(&pid.to_string(), kind)));
        }
        for entry in fs::read_dir(format!("/proc/{}/fd", self.runtime)).into_iter().flatten().flatten() {
            let link = fs::read_link(entry.path()).unwrap_or_default().display().to_string();
            held.descriptors += 1;
            held.sockets += usize::from(link.starts_with("socket:"));
            if KINDS.iter().any(|kind| link.starts_with(&format!("{kind}:["))) {
                namespaces.insert(link);
            }
        }
        held.namespaces = namespaces.difference(&home).count();
        held.threads = entries(Path::new(&format!("/proc/{}/task", self.runtime))).len();
        // The namespace is the machine's, in which others mount too: what a sandbox has is of these folders, or at /opt.
        let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", self.runtime)).unwrap_or_default();
        let fleet = self.fleet.display().to_string();
        held.mounts = mounts.lines().filter(|line| line.contains(&fleet) || line.contains(" /opt/")).count();
        for group in groups(self.runtime) {
            held.groups += 1;
            let procs = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
            held.full_groups += usize::from(!procs.trim().is_empty());
        }
        held.files = self.folders.iter().map(|folder| crate::fleet::files(folder).len()).sum();
        let own = Memory::of(&[self.runtime]);
        (held.own_mb, held.own_rss_mb) = (own.pss_mb, own.rss_mb);
        held.tree_mb = whole.then(|| {
            let pids: Vec<u32> = tree.iter().map(|p| p.pid).collect();
            own.pss_mb + Memory::of(&pids).pss_mb
        });
        held
    }
}

impl Held {
    pub fn count(&self) -> usize {
        self.processes.values().sum()
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Control groups of a runtime, whose folders have its number in their names, in all hierarchies: their own, and slots.
pub fn groups(runtime: u32) -> Vec<PathBuf> {
    let prefix = format!("warmset-{runtime}-");
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut bases: BTreeSet<PathBuf> = BTreeSet::new();
    for mount in mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        let at = fields.nth(1)?;
        fields.next()?.starts_with("cgroup").then(|| PathBuf::from(at))
    }) {
        // A mount may show a part of a hierarchy only: then its groups are directly below.
        for group in own.lines().filter_map(|line| line.splitn(3, ':').nth(2)) {
            bases.insert(mount.join(group.trim_start_matches('/')));
        }
        bases.insert(mount);
    }
    let mut found: BTreeSet<PathBuf> = BTreeSet::new();
    let named = |path: &PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(&prefix));
    for folder in bases.iter().flat_map(|base| entries(base)).filter(|path| named(path)) {
        found.extend(entries(&folder).into_iter().filter(|path| path.is_dir()));
        found.insert(folder);
    }
    found.into_iter().collect()
}

/// Slope by least squares of values at times, by unit of time.
pub fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    if n < 2.0 {
        return 0.0;
    }
    let (mean_x, mean_y) = (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
    let (mut over, mut under) = (0.0, 0.0);
    for (x, y) in points {
        over += (x - mean_x) * (y - mean_y);
        under += (x - mean_x) * (x - mean_x);
    }
    if under > 0.0 { over / under } else { 0.0 }
}
