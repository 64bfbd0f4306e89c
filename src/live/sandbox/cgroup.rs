//! Limits on what a process and all that it starts may take: control groups, version 1 and 2.
//!
//! A [`Group`] is a folder of this runtime below its own group, one a hierarchy; a [`Slot`] is a group in it that one host
//! or one call at a time uses. With version 1 each controller may be a hierarchy of its own, with version 2 there is one,
//! in which a group with children holds no processes: there the runtime moves itself into a child of its own group, which
//! works only where it is alone in it (`systemd-run --scope -p Delegate=yes`, or a container).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use rustix::process::{Pid, Signal};

use super::mounts::{self, Mount};
use crate::live::held;

/// What every folder of a runtime begins with.
const PREFIX: &str = "warmset-";
/// Period of processor time, microseconds.
const PERIOD: u64 = 100_000;

/// What one slot may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Processes and threads together.
    pub pids: Option<u32>,
    /// Processors' worth of time.
    pub cpus: Option<f64>,
    /// Memory, files in tmpfs included, MB.
    pub memory_mb: Option<u64>,
}

impl Limits {
    /// None: a group that only counts.
    pub const NONE: Limits = Limits { pids: None, cpus: None, memory_mb: None };
}

/// A controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Controller {
    /// Processor time.
    Cpu,
    /// Memory.
    Memory,
    /// Number of processes.
    Pids,
}

impl Controller {
    /// All that are used.
    pub const ALL: [Controller; 3] = [Controller::Cpu, Controller::Memory, Controller::Pids];

    /// As the kernel names it.
    pub fn name(self) -> &'static str {
        match self {
            Controller::Cpu => "cpu",
            Controller::Memory => "memory",
            Controller::Pids => "pids",
        }
    }
}

/// This process's own group in every hierarchy that has a controller of use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hierarchies {
    /// Folder of the own group, by controller; several may be one.
    v1: BTreeMap<Controller, PathBuf>,
    /// Folder of the own group, and the controllers that it may hand on.
    v2: Option<(PathBuf, Vec<Controller>)>,
}

impl Hierarchies {
    /// Finds them; empty where there are none.
    pub fn find() -> Self {
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mut found = Self::of(&mounts::read().unwrap_or_default(), &groups);
        if let Some((folder, controllers)) = &mut found.v2 {
            let can = fs::read_to_string(folder.join("cgroup.controllers")).unwrap_or_default();
            *controllers =
                Controller::ALL.into_iter().filter(|c| can.split_whitespace().any(|n| n == c.name())).collect();
        }
        found
    }

    /// From the mounts and the lines of /proc/self/cgroup (cgroups(7)).
    fn of(mounts: &[Mount], groups: &str) -> Self {
        let mut found = Self::default();
        for line in groups.lines() {
            let mut fields = line.splitn(3, ':');
            let (Some(_), Some(names), Some(own)) = (fields.next(), fields.next(), fields.next()) else { continue };
            if names.is_empty() {
                if let Some(mount) = mounts.iter().find(|m| m.kind == "cgroup2") {
                    found.v2 = Some((folder(mount, own), Vec::new()));
                }
                continue;
            }
            for controller in Controller::ALL.into_iter().filter(|c| names.split(',').any(|n| n == c.name())) {
                let has = |m: &&Mount| m.kind == "cgroup" && m.options.split(',').any(|o| o == controller.name());
                if let Some(mount) = mounts.iter().find(has) {
                    found.v1.insert(controller, folder(mount, own));
                }
            }
        }
        found
    }

    /// Controllers in some hierarchy.
    pub fn controllers(&self) -> Vec<Controller> {
        let second = self.v2.iter().flat_map(|(_, controllers)| controllers);
        let mut all: Vec<Controller> = self.v1.keys().chain(second).copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// A group's folder: `own` is told from the root of the hierarchy, of which the mount may show a part.
fn folder(mount: &Mount, own: &str) -> PathBuf {
    let below = Path::new(own).strip_prefix(&mount.root).unwrap_or(Path::new(""));
    if below.as_os_str().is_empty() { mount.at.clone() } else { mount.at.join(below) }
}

/// The folders of this runtime, with the slots in them. They are removed when the last that holds it lets it go; what a
/// killed runtime left is removed by the next.
#[derive(Debug)]
pub struct Group {
    /// One a hierarchy, with its controllers.
    folders: Vec<(PathBuf, Vec<Controller>)>,
    second: bool,
    /// Locked as long as the runtime lives: so others see that it does.
    _locks: Vec<File>,
    free: Mutex<Vec<(String, Vec<PathBuf>, Limits)>>,
    count: AtomicU32,
}

impl Group {
    /// Makes the folders. `None` where no controller can be used.
    ///
    /// # Errors
    /// Where there are hierarchies, and no folder can be made in them.
    pub fn new(hierarchies: &Hierarchies) -> io::Result<Option<Arc<Self>>> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{PREFIX}{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let mut bases: BTreeMap<&Path, Vec<Controller>> = BTreeMap::new();
        for (controller, folder) in &hierarchies.v1 {
            bases.entry(folder).or_default().push(*controller);
        }
        let second = bases.is_empty();
        if let (true, Some((folder, controllers))) = (second, &hierarchies.v2)
            && !controllers.is_empty()
        {
            hand_on(folder, controllers)?;
            bases.insert(folder, controllers.clone());
        }
        let mut group = Self {
            folders: Vec::new(),
            second,
            _locks: Vec::new(),
            free: Mutex::new(Vec::new()),
            count: AtomicU32::new(0),
        };
        for (base, controllers) in bases {
            remove_stale(base);
            let folder = base.join(&name);
            fs::create_dir(&folder).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", folder.display())))?;
            let lock = File::open(&folder)?;
            rustix::fs::flock(&lock, FlockOperation::LockShared)?;
            group._locks.push(lock);
            if second {
                hand_on(&folder, &controllers)?;
            }
            group.folders.push((folder, controllers));
        }
        Ok((!group.folders.is_empty()).then(|| Arc::new(group)))
    }

    /// Controllers that its slots have.
    pub fn controllers(&self) -> Vec<Controller> {
        let mut all: Vec<Controller> = self.folders.iter().flat_map(|(_, c)| c).copied().collect();
        all.sort_unstable();
        all
    }

    /// A slot with these limits: one that is free, or a new one.
    ///
    /// # Errors
    /// When its folders cannot be made or its limits not be written.
    pub fn take(self: &Arc<Self>, limits: Limits) -> io::Result<Slot> {
        let mut free = held(&self.free);
        let found = free.iter().position(|(_, _, of)| *of == limits);
        let slot = found.map(|at| free.swap_remove(at));
        drop(free);
        if let Some((name, folders, limits)) = slot {
            let slot = Slot { group: Arc::clone(self), name, folders, limits, fouled: false };
            slot.forget_peak();
            return Ok(slot);
        }
        let name = format!("slot-{}", self.count.fetch_add(1, Ordering::Relaxed));
        let mut slot = Slot { group: Arc::clone(self), name, folders: Vec::new(), limits, fouled: false };
        for (folder, _) in &self.folders {
            let folder = folder.join(&slot.name);
            fs::create_dir(&folder)?;
            slot.folders.push(folder);
        }
        slot.bound()?;
        Ok(slot)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for (folder, _) in &self.folders {
            remove(folder);
        }
    }
}

/// A group that one process tree at a time is in.
#[derive(Debug)]
pub struct Slot {
    group: Arc<Group>,
    name: String,
    folders: Vec<PathBuf>,
    limits: Limits,
    fouled: bool,
}

impl Slot {
    /// Files to write `0` to by a process that wants to be in it, whoever it is: they are opened with this process's
    /// rights.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub fn doors(&self) -> io::Result<Vec<File>> {
        self.folders.iter().map(|f| File::options().write(true).open(f.join("cgroup.procs"))).collect()
    }

    /// Puts a process into it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn add(&self, pid: u32) -> io::Result<()> {
        self.folders.iter().try_for_each(|f| fs::write(f.join("cgroup.procs"), pid.to_string()))
    }

    /// Processes in it, as this process numbers them.
    pub fn pids(&self) -> Vec<u32> {
        let mut pids: Vec<u32> = self.folders.iter().flat_map(|f| processes(f)).collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Most memory that was taken at once since the slot was taken, MB; absent where it is not counted.
    pub fn peak_mb(&self) -> Option<f64> {
        self.number(&["memory.max_usage_in_bytes", "memory.peak"]).map(|bytes| bytes as f64 / 1e6)
    }

    /// Memory taken now, MB; absent where it is not counted.
    pub fn memory_mb(&self) -> Option<f64> {
        self.number(&["memory.usage_in_bytes", "memory.current"]).map(|bytes| bytes as f64 / 1e6)
    }

    /// How often the kernel has ended a process for want of memory since the slot was made.
    pub fn oom_kills(&self) -> u64 {
        let count = |text: String| text.lines().find_map(|l| l.strip_prefix("oom_kill ")?.trim().parse::<u64>().ok());
        let read = |f: &PathBuf, name: &str| fs::read_to_string(f.join(name)).ok().and_then(count);
        self.folders
            .iter()
            .find_map(|f| read(f, "memory.oom_control").or_else(|| read(f, "memory.events")))
            .unwrap_or(0)
    }

    /// Ends all processes in it and waits until they have ended; `false` where some are left.
    pub fn kill_all(&self) -> bool {
        // The bound on processes was lowered meanwhile.
        self.folders.iter().all(|f| empty(f, self.group.second)) && self.bound().is_ok()
    }

    /// Whether nothing is in it.
    pub fn is_clear(&self) -> bool {
        self.pids().is_empty()
    }

    /// For another use: its peak is forgotten.
    #[must_use]
    pub fn renewed(self) -> Self {
        self.forget_peak();
        self
    }

    /// What was in it did not end as it should: nothing of it may be left when it is used again.
    pub fn foul(&mut self) {
        self.fouled = true;
    }

    fn number(&self, names: &[&str]) -> Option<u64> {
        let read = |f: &PathBuf, name: &&str| fs::read_to_string(f.join(name)).ok()?.trim().parse().ok();
        self.folders.iter().find_map(|f| names.iter().find_map(|n| read(f, n)))
    }

    /// From the kernel's 5.x (version 1) and 6.12 (version 2) on; before that the peak is that of the slot's whole life.
    fn forget_peak(&self) {
        for folder in &self.folders {
            for name in ["memory.max_usage_in_bytes", "memory.peak"] {
                let file = folder.join(name);
                if file.exists() {
                    let _ = fs::write(file, "0");
                }
            }
        }
    }

    fn bound(&self) -> io::Result<()> {
        for (folder, (_, controllers)) in self.folders.iter().zip(&self.group.folders) {
            let write = |name: &str, value: String| {
                fs::write(folder.join(name), &value)
                    .map_err(|e| io::Error::new(e.kind(), format!("{}/{name}: {e}", folder.display())))
            };
            for controller in controllers {
                match (controller, self.group.second) {
                    (Controller::Pids, _) => {
                        write("pids.max", self.limits.pids.map_or_else(|| "max".to_string(), |n| n.to_string()))?;
                    }
                    (Controller::Cpu, first_or_second) => {
                        let quota = self.limits.cpus.map(|cpus| ((cpus * PERIOD as f64) as u64).max(1_000));
                        if first_or_second {
                            let quota = quota.map_or_else(|| "max".to_string(), |q| q.to_string());
                            write("cpu.max", format!("{quota} {PERIOD}"))?;
                        } else if let Some(quota) = quota {
                            write("cpu.cfs_period_us", PERIOD.to_string())?;
                            write("cpu.cfs_quota_us", quota.to_string())?;
                        }
                    }
                    (Controller::Memory, second) => {
                        if let Some(mb) = self.limits.memory_mb {
                            let name = if second { "memory.max" } else { "memory.limit_in_bytes" };
                            write(name, (mb * 1_000_000).to_string())?;
                            // Otherwise what does not fit goes to the swap space; kernels without it have no such file.
                            let swap =
                                folder.join(if second { "memory.swap.max" } else { "memory.memsw.limit_in_bytes" });
                            if swap.exists() {
                                let most = if second { 0 } else { mb * 1_000_000 };
                                fs::write(swap, most.to_string())?;
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let complete = self.folders.len() == self.group.folders.len();
        let clean = (!self.fouled && self.pids().is_empty()) || self.kill_all();
        if complete && clean {
            let slot = (std::mem::take(&mut self.name), std::mem::take(&mut self.folders), self.limits);
            held(&self.group.free).push(slot);
        } else {
            self.folders.iter().for_each(|f| remove(f));
        }
    }
}

fn processes(folder: &Path) -> Vec<u32> {
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|l| l.trim().parse().ok()).collect()
}

/// Ends all processes of a group. Meanwhile none can be added, or a fork bomb would win the race.
fn empty(folder: &Path, second: bool) -> bool {
    let limit = Instant::now() + Duration::from_secs(5);
    let bar = folder.join("pids.max");
    if bar.exists() {
        let _ = fs::write(&bar, "0");
    }
    loop {
        if processes(folder).is_empty() {
            return true;
        }
        if !(second && fs::write(folder.join("cgroup.kill"), "1").is_ok()) {
            for pid in processes(folder).into_iter().filter_map(|p| Pid::from_raw(i32::try_from(p).ok()?)) {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
        if Instant::now() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Removes a group with those in it, and ends what is in them.
fn remove(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            remove(&entry.path());
        }
    }
    empty(folder, folder.join("cgroup.kill").exists());
    // A group of processes that have only just ended is busy for a moment.
    for _ in 0..100 {
        match fs::remove_dir(folder) {
            Err(e) if e.kind() == io::ErrorKind::ResourceBusy => std::thread::sleep(Duration::from_millis(5)),
            _ => return,
        }
    }
}

/// What killed runtimes have left: folders that nobody holds locked, of processes that are no more.
fn remove_stale(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|n| n.strip_prefix(PREFIX)?.split('-').next()?.parse::<u32>().ok())
        else {
            continue;
        };
        let Ok(lock) = File::open(entry.path()) else { continue };
        let held = rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err();
        if !held && !Path::new(&format!("/proc/{pid}")).exists() {
            remove(&entry.path());
        }
    }
}

/// Version 2: lets the children of a group have its controllers, for which it must hold no process itself.
fn hand_on(folder: &Path, controllers: &[Controller]) -> io::Result<()> {
    let wanted: Vec<String> = controllers.iter().map(|c| format!("+{}", c.name())).collect();
    let file = folder.join("cgroup.subtree_control");
    match fs::write(&file, wanted.join(" ")) {
        Err(e) if e.kind() == io::ErrorKind::ResourceBusy && processes(folder) == [std::process::id()] => {
            let own = folder.join("warmset");
            fs::create_dir_all(&own)?;
            fs::write(own.join("cgroup.procs"), std::process::id().to_string())?;
            fs::write(&file, wanted.join(" "))
        }
        done => done,
    }
    .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 /box /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";

    #[test]
    fn the_own_group_is_found_in_every_hierarchy() {
        let groups = "9:name=systemd:/\n8:pids:/\n4:memory:/box/inner\n1:cpuacct,cpu:/a/b\n0::/user\n";
        let found = Hierarchies::of(&mounts::parse(MOUNTS), groups);
        let folder = |c: Controller| found.v1.get(&c).map(|p| p.display().to_string());
        assert_eq!(folder(Controller::Cpu).as_deref(), Some("/sys/fs/cgroup/cpu,cpuacct/a/b"));
        // The mount shows the part of the hierarchy below /box.
        assert_eq!(folder(Controller::Memory).as_deref(), Some("/sys/fs/cgroup/memory/inner"));
        assert_eq!(folder(Controller::Pids).as_deref(), Some("/sys/fs/cgroup/pids"));
        assert_eq!(found.v2, Some((PathBuf::from("/sys/fs/cgroup/unified/user"), vec![])));
    }

    #[test]
    fn nothing_is_found_where_nothing_is_mounted() {
        assert_eq!(Hierarchies::of(&[], "0::/\n"), Hierarchies::default());
        assert_eq!(Hierarchies::of(&mounts::parse(MOUNTS), "broken\n"), Hierarchies::default());
    }
}
