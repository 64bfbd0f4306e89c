//! From a manifest to folders that can be run: image and closure environments, and functions as they would be deployed.
//!
//! Packages are installed in the store ([`crate::live::install`]); below the state folder is
//! ```text
//! functions/<name>/code     a function's own code
//! functions/<name>/<image>  Node: the node_modules that it needs besides that image's
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};

use crate::live::install::code::{self, copy_tree, is_left_behind};
use crate::live::install::interpreter::Interpreter;
use crate::live::install::{InstallError, Locked, Store, join};
use crate::model::manifest::{Fallback, FileDigest, ManifestFunction, ManifestImage, SwapManifest};
use crate::model::{Diagnostic, Language, Place, Platform, codes};

/// What is needed to provision a manifest.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// Folder of the manifest: its image and closure folders lie in it.
    pub plan: &'a Path,
    /// Folder that the functions' paths are relative to.
    pub code: &'a Path,
    /// Folder to work in.
    pub state: &'a Path,
    /// Where a Node function sees the `node_modules` of its image; the folder itself otherwise, where nothing is isolated.
    pub modules_at: Option<&'a Path>,
}

/// An image whose packages are installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFiles {
    /// Runs it.
    pub interpreter: Interpreter,
    /// Python: all its packages. Node: the folder with its `node_modules`.
    pub environment: PathBuf,
    /// The warm host's own file and the preload list.
    pub folder: PathBuf,
    /// The built image that its host runs in; absent where that is this machine's own system.
    pub root: Option<ImageRoot>,
}

/// A built image, unpacked or mounted, as the root of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRoot {
    /// Its `/` on this machine.
    pub folder: PathBuf,
    /// The program that runs its language, as a path inside.
    pub program: PathBuf,
    /// What the image was configured with.
    pub environment: BTreeMap<String, String>,
    /// Where its packages are on this machine.
    pub packages: PathBuf,
    /// Packages of the images whose hosts are forked from this one's: it shows them, as they run in its root.
    pub below: Vec<PathBuf>,
}

/// A function whose code is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionFiles {
    /// Runs it.
    pub interpreter: Interpreter,
    /// Its code.
    pub code: PathBuf,
    /// All its packages, where it has any: as [`ImageFiles::environment`].
    pub closure: Option<PathBuf>,
    /// Node: the folder with the `node_modules` that it needs besides an image's, by image.
    pub besides: BTreeMap<String, PathBuf>,
}

/// Everything that could be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provisioned {
    /// By image id.
    pub images: BTreeMap<String, ImageFiles>,
    /// By function id.
    pub functions: BTreeMap<String, FunctionFiles>,
    /// What could not be made, and why.
    pub diagnostics: Vec<Diagnostic>,
}

/// A step of the work, for a progress bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step<'a> {
    /// How many steps are done.
    pub done: usize,
    /// How many there are.
    pub of: usize,
    /// What was just made.
    pub what: &'a str,
}

/// Installs and copies all that a manifest names. What fails is left out with a diagnostic.
///
/// # Errors
/// When the state folder cannot be written, or the user stopped it.
pub fn provision(
    manifest: &SwapManifest,
    sources: Sources<'_>,
    store: &Store,
    stop: &AtomicBool,
    told: &(dyn Fn(Step<'_>) + Sync),
) -> Result<Provisioned, InstallError> {
    provision_with(manifest, sources, None, store, stop, told)
}

/// The same, with images that were built: nothing of theirs is installed, and one that is not among them is left out.
///
/// # Errors
/// As [`provision`].
pub fn provision_with(
    manifest: &SwapManifest,
    sources: Sources<'_>,
    built: Option<&BTreeMap<String, ImageRoot>>,
    store: &Store,
    stop: &AtomicBool,
    told: &(dyn Fn(Step<'_>) + Sync),
) -> Result<Provisioned, InstallError> {
    let mut out = Provisioned::default();
    let interpreters = interpreters(manifest, store, stop, &mut out.diagnostics);
    let images = if built.is_some() { &[][..] } else { &manifest.images };
    let locks = locks(manifest, images, sources.plan, &mut out.diagnostics);
    let mut environments = install(&locks, &interpreters, store, stop, told, &mut out.diagnostics)?;
    for image in &manifest.images {
        if let Some(root) = built.and_then(|built| built.get(&image.id)) {
            environments.insert(&image.folder, root.packages.clone());
        }
    }

    for image in &manifest.images {
        let (Some(interpreter), Some(environment)) =
            (interpreters.get(&image.platform), environments.get(image.folder.as_str()))
        else {
            continue;
        };
        let (interpreter, environment) = (interpreter.clone(), environment.clone());
        let folder = sources.plan.join(&image.folder);
        let root = built.and_then(|built| built.get(&image.id)).cloned();
        out.images.insert(image.id.clone(), ImageFiles { interpreter, environment, folder, root });
    }
    show_children(manifest, &mut out.images);
    let closures: BTreeMap<&str, &str> = manifest.closures.iter().map(|c| (c.id.as_str(), c.folder.as_str())).collect();
    let images: BTreeMap<&str, &ManifestImage> = manifest.images.iter().map(|i| (i.id.as_str(), i)).collect();
    let mut ids = BTreeSet::new();
    for function in &manifest.functions {
        if stop.load(Ordering::SeqCst) {
            return Err(InstallError::Stopped);
        }
        // Its folder would be the other's, and a call could mean either.
        if !ids.insert(function.id.as_str()) {
            out.diagnostics.push(not_deployed(function, "another function of the manifest has its id"));
            continue;
        }
        let unknown = match (&function.platform, &function.handler) {
            (None, _) => Some("its platform is not known"),
            (_, None) => Some("its handler is not known"),
            _ => None,
        };
        if let Some(why) = unknown {
            out.diagnostics.push(not_deployed(function, why));
            continue;
        }
        // Said already, where it was looked for.
        let Some(interpreter) = function.platform.as_ref().and_then(|p| interpreters.get(p)) else { continue };
        let closure = function.closure.as_deref().and_then(|id| closures.get(id));
        let closure = match closure.map(|folder| environments.get(*folder)) {
            // Said already, where it was installed.
            Some(None) => continue,
            Some(Some(folder)) => Some(folder.clone()),
            None => None,
        };
        let needs = !function.loads.is_empty() || !function.unresolved.is_empty() || function.image.is_some();
        if closure.is_none() && needs {
            out.diagnostics.push(not_deployed(function, &not_installed(function)));
            continue;
        }
        let places = Places { sources, function, closure, images: &images, environments: &environments };
        match places.deploy(interpreter) {
            Ok(files) => {
                out.functions.insert(function.id.clone(), files);
            }
            Err(error) => {
                let place = Place::file(sources.code.join(&function.path).display().to_string());
                let reason = format!("{} cannot be deployed: {error}", function.id);
                out.diagnostics.push(Diagnostic::new(codes::FUNCTION_NOT_DEPLOYED, place, reason));
            }
        }
    }
    Ok(out)
}

fn not_deployed(function: &ManifestFunction, why: &str) -> Diagnostic {
    let reason = format!("{} cannot be deployed: {why}", function.id);
    Diagnostic::new(codes::FUNCTION_NOT_DEPLOYED, Place::file("swap-manifest.json"), reason)
}

fn not_installed(function: &ManifestFunction) -> String {
    match (function.unresolved.len(), &function.closure) {
        (0, Some(id)) => format!("the manifest has no closure {id}"),
        (0, None) => "some of its packages come from no registry".to_string(),
        (1, _) => format!("no version is known of {}", function.unresolved[0]),
        (n, _) => format!("no version is known of {} and {} more", function.unresolved[0], n - 1),
    }
}

/// The interpreter of each platform, where there is one.
fn interpreters(
    manifest: &SwapManifest,
    store: &Store,
    stop: &AtomicBool,
    diagnostics: &mut Vec<Diagnostic>,
) -> BTreeMap<Platform, Interpreter> {
    let platforms: BTreeSet<&Platform> = manifest
        .images
        .iter()
        .map(|i| &i.platform)
        .chain(manifest.functions.iter().filter_map(|f| f.platform.as_ref()))
        .collect();
    let mut out = BTreeMap::new();
    for platform in platforms {
        match store.interpreter(platform, stop) {
            Ok(found) => {
                out.insert(platform.clone(), found);
            }
            Err(missing) => {
                let place = Place::file("swap-manifest.json");
                let said = Diagnostic::new(codes::INTERPRETER_MISSING, place, missing.to_string());
                diagnostics.push(said.next(missing.next()));
            }
        }
    }
    out
}

/// Adds the packages of built images to the images whose hosts theirs are forked from, however far above.
fn show_children(manifest: &SwapManifest, images: &mut BTreeMap<String, ImageFiles>) {
    let mut top: BTreeMap<&str, &str> = BTreeMap::new();
    // Parents stand before their children; one that is not there makes its children stand alone.
    for image in &manifest.images {
        let Some(packages) = images.get(&image.id).and_then(|i| i.root.as_ref()).map(|r| r.packages.clone()) else {
            continue;
        };
        let parent = image.parent.as_deref().filter(|_| image.platform.language.forks());
        let above = parent.and_then(|id| top.get(id).copied());
        top.insert(&image.id, above.unwrap_or(&image.id));
        if let Some(root) = above.and_then(|id| images.get_mut(id)).and_then(|i| i.root.as_mut()) {
            root.below.push(packages);
        }
    }
}

/// The locks by folder: those of images with their parents', and those of closures.
fn locks<'a>(
    manifest: &'a SwapManifest,
    images: &'a [ManifestImage],
    plan: &Path,
    diagnostics: &mut Vec<Diagnostic>,
) -> BTreeMap<&'a str, Locked> {
    let mut broken = |folder: &str, reason: String| {
        diagnostics.push(Diagnostic::new(codes::ARTEFACT_INVALID, Place::file(folder), reason));
    };
    let mut out: BTreeMap<&str, Locked> = BTreeMap::new();
    let by_id: BTreeMap<&str, &ManifestImage> = images.iter().map(|i| (i.id.as_str(), i)).collect();
    for image in images {
        let mut chain = vec![image];
        // A manifest may come from a file that someone edited: a circle ends after all images.
        while let Some(parent) = chain.last().and_then(|i| i.parent.as_deref()).and_then(|id| by_id.get(id)) {
            if chain.len() > images.len() {
                break;
            }
            chain.push(parent);
        }
        let parts: io::Result<Vec<Locked>> =
            chain.iter().rev().map(|i| unchanged(plan, &i.platform, &i.folder, &i.lock)).collect();
        match parts.map(Locked::together) {
            Ok(Some(locked)) => {
                out.insert(&image.folder, locked);
            }
            Ok(None) => {}
            Err(error) => broken(&image.folder, format!("the lock of image {} cannot be read: {error}", image.id)),
        }
    }
    for closure in &manifest.closures {
        match unchanged(plan, &closure.platform, &closure.folder, &closure.lock) {
            Ok(locked) => {
                out.insert(&closure.folder, locked);
            }
            Err(error) => broken(&closure.folder, format!("the lock of a closure cannot be read: {error}")),
        }
    }
    out
}

/// The lock in a folder, where it is the one that the manifest was made with.
fn unchanged(plan: &Path, platform: &Platform, folder: &str, lock: &FileDigest) -> io::Result<Locked> {
    let locked = Locked::read(platform, &inside(plan, folder)?)?;
    let bytes = locked.files.get(&lock.file).map_or(&[][..], Vec::as_slice);
    let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if digest != lock.sha256 {
        let reason = format!("{folder}/{} is not the lock that the manifest names: it is stale", lock.file);
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    Ok(locked)
}

/// A folder named by a manifest, which must not lead out of the folder that it is relative to.
fn inside(root: &Path, path: &str) -> io::Result<PathBuf> {
    let leaves = Path::new(path)
        .components()
        .any(|part| !matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir));
    if leaves {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{path:?} leads out of its folder")));
    }
    Ok(root.join(path))
}

/// Installs each lock once, several at a time.
fn install<'a>(
    locks: &BTreeMap<&'a str, Locked>,
    interpreters: &BTreeMap<Platform, Interpreter>,
    store: &Store,
    stop: &AtomicBool,
    told: &(dyn Fn(Step<'_>) + Sync),
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<BTreeMap<&'a str, PathBuf>, InstallError> {
    let work: Vec<(&str, &Locked, &Interpreter)> = locks
        .iter()
        .filter_map(|(folder, locked)| Some((*folder, locked, interpreters.get(&locked.platform)?)))
        .collect();
    let done = Mutex::new(Vec::new());
    let one = |(folder, locked, interpreter): &(&'a str, &Locked, &Interpreter)| {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let made = store.ensure(locked, interpreter, stop);
        let mut done = done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        done.push((*folder, made));
        told(Step { done: done.len(), of: work.len(), what: folder });
    };
    // Installers wait for the network and for each other's locks: few at a time are as fast as many.
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(job) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    one(job);
                }
            });
        }
    });
    let mut out = BTreeMap::new();
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(folder, _)| *folder);
    for (folder, made) in done {
        match made {
            Ok(environment) => {
                out.insert(folder, environment.folder);
            }
            Err(InstallError::Stopped) => return Err(InstallError::Stopped),
            Err(error) => {
                let said = Diagnostic::new(codes::PACKAGES_NOT_INSTALLED, Place::file(folder), error.to_string());
                diagnostics.push(said.next(error.next()));
            }
        }
    }
    if stop.load(Ordering::SeqCst) { Err(InstallError::Stopped) } else { Ok(out) }
}

/// What deploying one function needs to know.
struct Places<'a> {
    sources: Sources<'a>,
    function: &'a ManifestFunction,
    closure: Option<PathBuf>,
    images: &'a BTreeMap<&'a str, &'a ManifestImage>,
    environments: &'a BTreeMap<&'a str, PathBuf>,
}

impl Places<'_> {
    fn deploy(&self, interpreter: &Interpreter) -> io::Result<FunctionFiles> {
        let folder = self.sources.state.join("functions").join(folder_name(&self.function.id));
        // Code may have changed since the last time: a copy is cheap, a stale function is not.
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let from = inside(self.sources.code, &self.function.path)?;
        let language = self.function.platform.as_ref().map(|p| p.language);
        let mut files = FunctionFiles {
            interpreter: interpreter.clone(),
            code: folder.join("code"),
            closure: self.closure.clone(),
            besides: BTreeMap::new(),
        };
        copy_tree(&from, &files.code, &is_left_behind, &mut code::FUNCTION.clone())?;
        let Some(closure) = self.closure.as_ref().filter(|_| language == Some(Language::Node)) else {
            return Ok(files);
        };
        for image in self.usable() {
            let Some(held) = self.images.get(image).and_then(|i| self.environments.get(i.folder.as_str())) else {
                continue;
            };
            let (besides, held) = (folder.join(image), held.join("node_modules"));
            let at = self.sources.modules_at.unwrap_or(&held);
            join::join(&closure.join("node_modules"), &held, at, &besides.join("node_modules"))?;
            files.besides.insert(image.to_string(), besides);
        }
        Ok(files)
    }

    /// The images that it may be put onto.
    fn usable(&self) -> BTreeSet<&str> {
        let fallback = self.function.fallback.iter().filter_map(|f| match f {
            Fallback::Image { id } => Some(id.as_str()),
            Fallback::Cold => None,
        });
        let all = self.function.image.as_deref().into_iter().chain(fallback);
        all.filter(|id| self.images.get(id).is_some_and(|i| self.environments.contains_key(i.folder.as_str())))
            .collect()
    }
}

/// A folder's name for a function: what can be read of its id, and a hash that tells it from its likes.
fn folder_name(id: &str) -> String {
    let hash: String = Sha256::digest(id).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let plain: String = id.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
    format!("{plain}-{hash}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_built_image_shows_the_packages_of_all_that_are_forked_from_it() {
        let image = |id: &str, parent: Option<&str>, platform: &str| {
            json!({"id": id, "parent": parent, "platform": platform, "trust_domain": "default", "folder": id,
                "reference": id, "interpreter": "python", "lock": {"file": "x", "sha256": ""}, "environment": {},
                "packages": [], "preload": [], "warmup": [], "swap": [],
                "costs": {"load_ms": 1.0, "resident_mb": 1.0, "added_mb": 1.0, "swap_ms": 1.0}})
        };
        let (python, node) = ("python3.11-linux-x86_64-glibc", "node20-linux-x86_64-glibc");
        let all = [
            ("a", None, python),
            ("b", Some("a"), python),
            ("stale", Some("a"), python),
            ("c", Some("b"), python),
            ("alone", Some("stale"), python),
            ("on-alone", Some("alone"), python),
            ("n", None, node),
            ("m", Some("n"), node),
        ];
        let manifest: SwapManifest = serde_json::from_value(json!({"schema": "warmset.swap-manifest/1", "name": "t",
            "budget_mb": 1.0, "memory_mb": 1.0, "functions": [],
            "images": all.map(|(id, parent, platform)| image(id, parent, platform))}))
        .unwrap();
        let interpreter: Interpreter =
            serde_json::from_value(json!({"program": "/x", "prefix": "/", "version": "3.11.7",
            "arch": "x86_64", "libc": "glibc"}))
            .unwrap();
        let built = all.iter().filter(|(id, ..)| *id != "stale").map(|(id, ..)| {
            let packages = Path::new("/roots").join(id).join("opt/warm");
            let root = ImageRoot {
                folder: Path::new("/roots").join(id),
                program: "/usr/local/bin/python".into(),
                environment: BTreeMap::new(),
                packages: packages.clone(),
                below: Vec::new(),
            };
            let (interpreter, folder) = (interpreter.clone(), PathBuf::from(id));
            (id.to_string(), ImageFiles { interpreter, environment: packages, folder, root: Some(root) })
        });
        let mut images: BTreeMap<String, ImageFiles> = built.collect();
        show_children(&manifest, &mut images);
        let below = |id: &str| images[id].root.as_ref().unwrap().below.clone();
        assert_eq!(below("a"), [PathBuf::from("/roots/b/opt/warm"), PathBuf::from("/roots/c/opt/warm")]);
        assert_eq!(below("alone"), [PathBuf::from("/roots/on-alone/opt/warm")]);
        for id in ["b", "c", "on-alone", "n", "m"] {
            assert_eq!(below(id), Vec::<PathBuf>::new(), "{id}");
        }
    }
}
