//! From an inventory to what is measured: classes of functions that need the same, environments that cover them, views,
//! and what is loaded in each.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest, Sha256};

use super::probe::{self, Step};
use super::view::View;
use super::{Options, Progress, Refused, Stage};
use crate::cost::cover::{self, Need};
use crate::cost::loads::{self, Load};
use crate::emit::closures::{self, Closure};
use crate::live::install::interpreter::Interpreter;
use crate::live::install::{InstallError, Locked, Store};
use crate::model::inventory::{Function, Inventory, Package, State};
use crate::model::{Language, PackageId, Place, Platform};

/// Functions that load the same of the same packages.
#[derive(Debug)]
pub struct Subject {
    /// What is installed for it.
    pub view: usize,
    /// Where it runs.
    pub platform: Platform,
    /// Indices into the inventory; ascending.
    pub functions: Vec<usize>,
    /// What they load, and where their sources say it.
    pub loads: Vec<Load>,
    /// The same for the probe.
    pub steps: Vec<Step>,
    /// What its samples are kept under: packages with their hashes, interpreter, probe, loads.
    pub key: String,
}

/// What is ready to be measured.
#[derive(Debug, Default)]
pub struct Ready {
    /// Interpreters by platform.
    pub interpreters: BTreeMap<Platform, Interpreter>,
    /// One for each closure.
    pub views: Vec<View>,
    /// By key.
    pub subjects: Vec<Subject>,
    /// Environments that were needed for the views.
    pub environments: usize,
    /// Closures that they cover.
    pub closures: usize,
    /// Functions that load nothing that could be measured.
    pub nothing: usize,
}

/// A closure, whose it is, and where its view lies.
struct Class {
    need: Need,
    functions: Vec<usize>,
    place: PathBuf,
}

/// Gathers, installs and links. What cannot be measured goes to `refused`.
pub fn ready(
    inventory: &Inventory,
    options: &Options<'_>,
    store: &Store,
    refused: &mut Vec<Refused>,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Ready, InstallError> {
    let packages: BTreeMap<&PackageId, &Package> = inventory.packages.iter().map(|p| (&p.id, p)).collect();
    let mut ready = Ready::default();
    let classes = classes(inventory, options, &packages, refused, &mut ready);
    let mut found: BTreeMap<&Platform, Option<Interpreter>> = BTreeMap::new();
    for class in &classes {
        let platform = &class.need.platform;
        if !found.contains_key(platform) {
            let interpreter = store.interpreter(platform, options.stop);
            if let Err(missing) = &interpreter {
                let hit = classes.iter().filter(|c| &c.need.platform == platform).flat_map(|c| &c.functions);
                refused.extend(hit.map(|f| Refused::new(*f, missing.to_string(), missing.next())));
            }
            found.insert(platform, interpreter.ok());
        }
    }
    ready.interpreters = found.into_iter().filter_map(|(p, i)| Some((p.clone(), i?))).collect();
    let classes: Vec<Class> =
        classes.into_iter().filter(|class| ready.interpreters.contains_key(&class.need.platform)).collect();
    install(&classes, store, &packages, options, refused, &mut ready, progress)?;
    for class in classes {
        let language = class.need.platform.language;
        let view = match View::open(&class.place, language, &class.need.packages) {
            Ok(view) if view.missing.is_empty() => view,
            // Said where it was made; or it vanished meanwhile.
            _ => continue,
        };
        ready.views.push(view);
        subjects(inventory, &class, options, &mut ready);
    }
    ready.subjects.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(ready)
}

fn classes(
    inventory: &Inventory,
    options: &Options<'_>,
    packages: &BTreeMap<&PackageId, &Package>,
    refused: &mut Vec<Refused>,
    ready: &mut Ready,
) -> Vec<Class> {
    let mut by_need: BTreeMap<Need, Vec<usize>> = BTreeMap::new();
    for (at, function) in inventory.functions.iter().enumerate() {
        if !options.only.is_empty() && !options.only.contains(&function.id) {
            continue;
        }
        let installed: BTreeSet<PackageId> = function
            .closure
            .iter()
            .filter(|id| closures::is_installable(id, packages.get(id).copied()))
            .cloned()
            .collect();
        match &function.platform {
            Some(platform) if !installed.is_empty() => {
                let mut direct = closures::direct(function);
                direct.retain(|_, id| installed.contains(id));
                let need = Need { platform: platform.clone(), packages: installed, direct };
                by_need.entry(need).or_default().push(at);
            }
            // Nothing to install and nothing that could be: that is no failure.
            Some(_) if function.unresolved.is_empty() => ready.nothing += 1,
            Some(_) => {
                let why = "none of its packages has a known version";
                refused.push(Refused::new(at, why.into(), "lock it, or run `warmset lock` and give --locks".into()));
            }
            None => {
                let why = "its platform is not known";
                refused.push(Refused::new(at, why.into(), "say its runtime in the file that declares it".into()));
            }
        }
    }
    let views = options.cache.join("views");
    let class = |(need, functions): (Need, Vec<usize>)| {
        let place = views.join(view_key(&need, packages));
        Class { need, functions, place }
    };
    by_need.into_iter().map(class).collect()
}

/// What is installed, by content: packages with their hashes, and what stands at the top.
fn view_key(need: &Need, packages: &BTreeMap<&PackageId, &Package>) -> String {
    let mut hasher = Sha256::new();
    hasher.update(format!("1\n{}\n", need.platform));
    for id in &need.packages {
        hasher.update(format!("{id} {}\n", packages.get(id).map(|p| p.hashes.join(" ")).unwrap_or_default()));
    }
    need.direct.iter().for_each(|(name, id)| hasher.update(format!("{name} {id}\n")));
    format!("{}-{}", need.platform.short(), hex(hasher, 12))
}

fn hex(hasher: Sha256, bytes: usize) -> String {
    hasher.finalize().iter().take(bytes).map(|byte| format!("{byte:02x}")).collect()
}

/// Makes the views that are not there, from as few environments as possible. An environment that cannot be installed is
/// tried again closure by closure, so that one bad package fails its own functions only.
fn install(
    classes: &[Class],
    store: &Store,
    packages: &BTreeMap<&PackageId, &Package>,
    options: &Options<'_>,
    refused: &mut Vec<Refused>,
    ready: &mut Ready,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<(), InstallError> {
    let wanted: Vec<&Class> = classes.iter().filter(|class| !class.place.is_dir()).collect();
    let needs: Vec<Need> = wanted.iter().map(|class| class.need.clone()).collect();
    let environments = cover::cover(&needs);
    (ready.environments, ready.closures) = (environments.len(), wanted.len());
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failures: Mutex<Vec<Refused>> = Mutex::new(Vec::new());
    let interpreters = &ready.interpreters;
    let try_one = |need: &Need, whose: &[&Class]| -> Result<(), InstallError> {
        let Some(interpreter) = interpreters.get(&need.platform) else { return Ok(()) };
        let closure = Closure::of(&need.platform, need.packages.iter().cloned().collect(), need.direct.clone());
        let (files, _) = closures::lock(&closure, packages);
        let locked = Locked { platform: need.platform.clone(), files };
        let environment = store.ensure(&locked, interpreter, options.stop)?;
        whose.iter().try_for_each(|class| link(&environment.folder, class, options.cache))
    };
    let work = || {
        while let Some(environment) = environments.get(next.fetch_add(1, Ordering::Relaxed)) {
            let whose: Vec<&Class> = environment.covers.iter().map(|&at| wanted[at]).collect();
            let mut outcome = try_one(&environment.holds, &whose);
            if outcome.is_err() && whose.len() > 1 && !matches!(outcome, Err(InstallError::Stopped)) {
                outcome = Ok(());
                for class in &whose {
                    if let Err(error) = try_one(&class.need, &[class]) {
                        refuse(&failures, class, &error);
                    }
                }
            }
            if let Err(error) = outcome {
                whose.iter().for_each(|class| refuse(&failures, class, &error));
            }
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            progress(Progress { stage: Stage::Installing, done, total: environments.len() });
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.min(environments.len()) {
            scope.spawn(work);
        }
    });
    if options.stop.load(Ordering::SeqCst) {
        return Err(InstallError::Stopped);
    }
    refused.extend(failures.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner));
    Ok(())
}

fn refuse(failures: &Mutex<Vec<Refused>>, class: &Class, error: &InstallError) {
    let mut failures = failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    failures.extend(class.functions.iter().map(|f| Refused::new(*f, error.to_string(), error.next())));
}

/// Makes a class's view whole beside its place, and moves it there.
fn link(environment: &Path, class: &Class, cache: &Path) -> Result<(), InstallError> {
    let failed = |source| InstallError::Io { path: class.place.clone(), source };
    let language = class.need.platform.language;
    let stage = tempfile::Builder::new().prefix("view-").tempdir_in(cache.join("scratch")).map_err(failed)?;
    let made = stage.path().join("view");
    View::make(environment, &made, language, &class.need.packages).map_err(failed)?;
    let view = View::open(&made, language, &class.need.packages).map_err(failed)?;
    if let Some(first) = view.missing.first() {
        let reason = format!("{first} is not in what was installed");
        return Err(failed(std::io::Error::new(std::io::ErrorKind::NotFound, reason)));
    }
    fs::create_dir_all(cache.join("views")).map_err(failed)?;
    match fs::rename(&made, &class.place) {
        Err(_) if class.place.is_dir() => Ok(()),
        moved => moved.map_err(failed),
    }
}

/// Functions that load the same, and where the first of them says so.
type Alike = (Vec<usize>, Vec<Load>);

/// The subjects of a class whose view is the last one.
fn subjects(inventory: &Inventory, class: &Class, options: &Options<'_>, ready: &mut Ready) {
    let platform = &class.need.platform;
    let installed: BTreeSet<&str> = class.need.packages.iter().map(|id| id.name.as_str()).collect();
    // What one function may do without, another may need.
    let mut by_steps: BTreeMap<Vec<(Step, bool)>, Alike> = BTreeMap::new();
    let mut modules: HashMap<PathBuf, bool> = HashMap::new();
    for &at in &class.functions {
        let function = &inventory.functions[at];
        let loads = loads::loads(function, &installed);
        let step = |load: &Load| Step {
            module: load.module.clone(),
            names: load.names.clone(),
            import: platform.language == Language::Node && is_module(&load.file, options.root, &mut modules),
            base: None,
        };
        let steps: Vec<(Step, bool)> = loads.iter().map(step).zip(loads.iter().map(|load| load.required)).collect();
        if steps.is_empty() {
            ready.nothing += 1;
            continue;
        }
        by_steps.entry(steps).or_insert_with(|| (Vec::new(), loads)).0.push(at);
    }
    let Some(interpreter) = ready.interpreters.get(platform) else { return };
    let name = class.place.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    for (steps, (functions, loads)) in by_steps {
        let mut hasher = Sha256::new();
        hasher.update(format!("{name}\n{}\n{}\n", interpreter.version, probe::version(platform.language)));
        let steps: Vec<Step> = steps.into_iter().map(|(step, _)| step).collect();
        for step in &steps {
            hasher.update(format!("{} {} {}\n", step.module, step.names.join(","), step.import));
        }
        let key = format!("{}-{}", platform.short(), hex(hasher, 12));
        let (view, platform) = (ready.views.len() - 1, platform.clone());
        ready.subjects.push(Subject { view, platform, functions, loads, steps, key });
    }
}

/// Whether a Node source is an ES module: its ending says so, or the nearest package.json where the fleet's folder is known.
fn is_module(file: &str, root: Option<&Path>, known: &mut HashMap<PathBuf, bool>) -> bool {
    match file.rsplit_once('.').map(|(_, end)| end) {
        Some("mjs" | "mts") => return true,
        Some("cjs" | "cts") => return false,
        _ => {}
    }
    let Some(root) = root else { return false };
    let folder = root.join(file).parent().map(Path::to_path_buf).unwrap_or_default();
    let asked = |folder: &Path| {
        let text =
            folder.ancestors().take_while(|f| f.starts_with(root)).find_map(|f| fs::read(f.join("package.json")).ok());
        let manifest = text.and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok());
        manifest.is_some_and(|m| m.get("type").and_then(|t| t.as_str()) == Some("module"))
    };
    *known.entry(folder).or_insert_with_key(|folder| asked(folder))
}

/// What to do about a function of which something required does not load.
pub fn next_step(function: &Function) -> String {
    if function.state == State::Locked {
        "see that it loads with its lock alone, on this platform; what was measured of others is kept".into()
    } else {
        "its closure is not known as a whole: lock it, or run `warmset lock` and give --locks".into()
    }
}

/// Where a function is declared.
pub fn place(function: &Function) -> Place {
    function.declared_at.clone().unwrap_or_else(|| Place::file(&function.path))
}
