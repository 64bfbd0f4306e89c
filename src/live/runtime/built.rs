//! Built images as roots for hosts: which image of a builder's store is the one that the manifest names, and where its
//! file system is.
//!
//! An image is taken only by its digest. It is mounted where the store allows that, so that images share what they have
//! in common in the page cache, and unpacked once where not; either goes when [`Built`] is dropped.

use std::collections::BTreeMap;
use std::io;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use super::provision::{ImageRoot, Step};
use crate::emit::{host, host_folder};
use crate::live::build::{Builder, Image, Kind, Mounted, is_digest, mounted, rootfs};
use crate::live::install::InstallError;
use crate::model::manifest::{ManifestImage, SwapManifest};
use crate::model::{Code, Diagnostic, Language, Place, codes};

/// Where programs are looked for in an image that says nothing of it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Images that hosts can run in.
#[derive(Debug, Default)]
pub struct Built {
    /// By image id.
    pub roots: BTreeMap<String, ImageRoot>,
    /// Why the others are not among them, at their folders.
    pub diagnostics: Vec<Diagnostic>,
    mounts: Vec<Mounted>,
    unpacked: Vec<PathBuf>,
}

impl Drop for Built {
    fn drop(&mut self) {
        self.mounts.clear();
        for folder in &self.unpacked {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// Why an image cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Unfit {
    /// It is not the one that the manifest names.
    Stale(String),
    /// It is not there, or cannot be used.
    Missing(String),
}

/// Finds the images of a manifest in a builder's store and mounts those that are what the manifest says; `scratch` takes
/// those that can only be unpacked.
///
/// # Errors
/// When the user stopped it.
pub fn find(
    manifest: &SwapManifest,
    builder: &Builder,
    scratch: &Path,
    stop: &AtomicBool,
    told: &(dyn Fn(Step<'_>) + Sync),
) -> Result<Built, InstallError> {
    let mut out = Built::default();
    let mut known: BTreeMap<&str, Image> = BTreeMap::new();
    for (done, image) in manifest.images.iter().enumerate() {
        let parent = image.parent.as_deref().filter(|_| image.platform.language.forks());
        let below = parent.and_then(|id| Some((id, known.get(id)?)));
        let root = stored(builder, image, stop).and_then(|found| {
            judge_parent(&found, below)?;
            let root = out.root(builder, image, &found, scratch, stop).map_err(Unfit::Missing)?;
            Ok((found, root))
        });
        if stop.load(Ordering::SeqCst) {
            return Err(InstallError::Stopped);
        }
        match root {
            Ok((found, root)) => {
                known.insert(&image.id, found);
                out.roots.insert(image.id.clone(), root);
            }
            Err(unfit) => out.diagnostics.push(diagnostic(image, unfit)),
        }
        told(Step { done: done + 1, of: manifest.images.len(), what: &image.id });
    }
    Ok(out)
}

fn diagnostic(image: &ManifestImage, unfit: Unfit) -> Diagnostic {
    let (code, state, why): (Code, _, _) = match unfit {
        Unfit::Stale(why) => (codes::IMAGE_STALE, "is stale", why),
        Unfit::Missing(why) => (codes::IMAGE_MISSING, "cannot be used", why),
    };
    Diagnostic::new(code, Place::file(&image.folder), format!("the built image {} {state}: {why}", image.id))
}

/// What the store has of an image, where it is what the manifest says.
fn stored(builder: &Builder, image: &ManifestImage, stop: &AtomicBool) -> Result<Image, Unfit> {
    let wanted = recorded(image)?;
    let ask = |name: &str| builder.image(name, stop).map_err(Unfit::Missing);
    // By the name that the plan gives it, which a build with --registry or --tag does not use.
    let found = match ask(&image.reference)? {
        Some(named) => Some(named),
        None => ask(wanted)?,
    };
    judge(builder.kind, image, wanted, found)
}

/// The digest that the manifest has of an image. References and digests of an edited manifest become arguments.
fn recorded(image: &ManifestImage) -> Result<&str, Unfit> {
    if image.reference.is_empty() || image.reference.starts_with('-') {
        return Err(Unfit::Missing(format!("{:?} is no reference of an image", image.reference)));
    }
    match image.digest.as_deref() {
        None => Err(Unfit::Stale("the manifest has no digest of it, as it was not built for this plan".into())),
        Some(digest) if !is_digest(digest) => Err(Unfit::Stale(format!("the manifest's digest {digest:?} is none"))),
        Some(digest) => Ok(digest),
    }
}

/// Whether what a store has is what the manifest names.
fn judge(kind: Kind, image: &ManifestImage, wanted: &str, found: Option<Image>) -> Result<Image, Unfit> {
    match found {
        None => Err(Unfit::Missing(format!("{} has no image {}", kind, image.reference))),
        Some(found) if found.digest == wanted => Ok(found),
        Some(found) => Err(Unfit::Stale(format!(
            "{} of {kind} is {}, and the manifest names {}",
            image.reference,
            short(&found.digest),
            short(wanted)
        ))),
    }
}

/// A child's host is forked from its parent's, so that it must have been built on that parent. One whose parent is not
/// used has a host of its own.
fn judge_parent(found: &Image, parent: Option<(&str, &Image)>) -> Result<(), Unfit> {
    match parent {
        Some((id, parent)) if !found.layers.starts_with(&parent.layers) => {
            Err(Unfit::Stale(format!("it was built on another build of its parent {id}")))
        }
        _ => Ok(()),
    }
}

/// What tells two digests apart at a glance.
fn short(digest: &str) -> &str {
    digest.get(..19).unwrap_or(digest)
}

impl Built {
    /// Mounts or unpacks an image and looks whether a host can run in it.
    fn root(
        &mut self,
        builder: &Builder,
        image: &ManifestImage,
        found: &Image,
        scratch: &Path,
        stop: &AtomicBool,
    ) -> Result<ImageRoot, String> {
        let folder = match (mounted(builder, &found.digest, stop), builder.kind) {
            (Ok(mounted), _) => {
                let folder = mounted.path().to_path_buf();
                self.mounts.push(mounted);
                folder
            }
            (Err(why), Kind::Buildah) => return Err(why),
            // docker's store is its daemon's, and podman's can be mounted by root only.
            (Err(_), Kind::Docker | Kind::Podman) => {
                let roots = scratch.join("roots");
                std::fs::create_dir_all(&roots).map_err(|e| format!("{}: {e}", roots.display()))?;
                let folder = roots.join(self.unpacked.len().to_string());
                rootfs(builder, &found.digest, &folder, stop)?;
                self.unpacked.push(folder.clone());
                folder
            }
        };
        let language = image.platform.language;
        let packages = plain_folder(&folder, "opt/warm")?;
        if language == Language::Node {
            plain_folder(&folder, "opt/warm/node_modules")?;
        }
        check_host(&folder, language)?;
        let path = found.environment.get("PATH").map_or(PATH, String::as_str);
        let program = program(&folder, path, &image.interpreter)
            .ok_or_else(|| format!("there is no program {} in it (PATH is {path})", image.interpreter))?;
        Ok(ImageRoot { folder, program, environment: found.environment.clone(), packages, below: Vec::new() })
    }
}

/// A folder of an image, of which no part may be a link: it is shown, and other things are put into it, from outside.
fn plain_folder(root: &Path, name: &str) -> Result<PathBuf, String> {
    let mut at = root.to_path_buf();
    for part in Path::new(name).components() {
        at.push(part);
        if !std::fs::symlink_metadata(&at).is_ok_and(|kind| kind.is_dir()) {
            return Err(format!("there is no folder /{name} in it"));
        }
    }
    Ok(at)
}

/// Whether the image's own host is the one that this runtime knows how to talk to.
fn check_host(root: &Path, language: Language) -> Result<(), String> {
    let (name, text) = host(language);
    let folder = host_folder(language);
    plain_folder(root, folder.trim_start_matches('/'))?;
    let mut own = Vec::new();
    inside(root, &format!("{folder}/{name}"), OFlags::RDONLY)
        .and_then(|file| std::fs::File::from(file).take(text.len() as u64 + 1).read_to_end(&mut own))
        .map_err(|e| format!("its {folder}/{name} cannot be read: {e}"))?;
    if own != text.as_bytes() {
        return Err(format!("its {folder}/{name} is that of another version of warmset: plan and build again"));
    }
    Ok(())
}

/// The path inside of the first program of this name on the image's `PATH`.
fn program(root: &Path, path: &str, name: &str) -> Option<PathBuf> {
    if name.is_empty() || name.contains('/') {
        return None;
    }
    let places = path.split(':').filter(|folder| folder.starts_with('/'));
    places.map(|folder| Path::new(folder).join(name)).find(|place| {
        let found = place.to_str().and_then(|place| inside(root, place, OFlags::PATH).ok());
        let kind = found.and_then(|file| rustix::fs::fstat(file).ok());
        kind.is_some_and(|k| k.st_mode & 0o170_000 == 0o100_000 && k.st_mode & 0o111 != 0)
    })
}

/// Opens a file of an image; its links lead where they would inside.
fn inside(root: &Path, path: &str, flags: OFlags) -> io::Result<std::os::fd::OwnedFd> {
    let folder = rustix::fs::openat(CWD, root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    // A pipe that nobody writes to is not waited for; with O_PATH nothing is opened that could wait.
    let wait = if flags.contains(OFlags::PATH) { OFlags::empty() } else { OFlags::NONBLOCK };
    let flags = flags | OFlags::CLOEXEC | wait;
    let scope = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    Ok(rustix::fs::openat2(folder, path, flags, Mode::empty(), scope)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use serde_json::json;

    use super::*;

    fn image(digest: Option<&str>) -> ManifestImage {
        serde_json::from_value(json!({"id": "a", "parent": null, "platform": "python3.11-linux-x86_64-glibc",
            "trust_domain": "default", "folder": "images/a", "reference": "warmset/a:1", "digest": digest,
            "interpreter": "python", "lock": {"file": "requirements.lock", "sha256": ""}, "environment": {},
            "packages": [], "preload": [], "warmup": [], "swap": [],
            "costs": {"load_ms": 1.0, "resident_mb": 1.0, "added_mb": 1.0, "swap_ms": 1.0}}))
        .unwrap()
    }

    fn found(digest: &str, layers: &[&str]) -> Image {
        let layers = layers.iter().map(ToString::to_string).collect();
        Image { digest: digest.to_string(), bytes: 1, layers, environment: BTreeMap::new() }
    }

    #[test]
    fn an_image_is_used_only_with_the_digest_that_the_manifest_has() {
        let (one, two) = (format!("sha256:{}", "1".repeat(64)), format!("sha256:{}", "2".repeat(64)));
        let named = image(Some(&one));
        assert_eq!(recorded(&named), Ok(one.as_str()));
        assert_eq!(judge(Kind::Buildah, &named, &one, Some(found(&one, &[]))), Ok(found(&one, &[])));
        assert_eq!(
            judge(Kind::Buildah, &named, &one, Some(found(&two, &[]))),
            Err(Unfit::Stale(
                "warmset/a:1 of buildah is sha256:222222222222, and the manifest names sha256:111111111111".into()
            ))
        );
        let gone = judge(Kind::Docker, &named, &one, None);
        assert_eq!(gone, Err(Unfit::Missing("docker has no image warmset/a:1".into())));
        assert!(matches!(recorded(&image(None)), Err(Unfit::Stale(why)) if why.contains("no digest")));
        for broken in ["", "sha256:1", "--help", "1111"] {
            assert!(matches!(recorded(&image(Some(broken))), Err(Unfit::Stale(_))), "{broken}");
        }
        let option = ManifestImage { reference: "--all".into(), ..image(Some(&one)) };
        assert!(matches!(recorded(&option), Err(Unfit::Missing(_))));
        let told = diagnostic(&named, Unfit::Stale("why".into()));
        assert_eq!((told.code.as_ref(), told.place.file.as_str()), ("image-stale", "images/a"));
        assert_eq!(told.reason, "the built image a is stale: why");
    }

    #[test]
    fn a_child_stands_on_the_parent_that_is_used() {
        let (parent, other) = (found("p", &["base", "p"]), found("q", &["base", "q"]));
        let child = found("c", &["base", "p", "c"]);
        assert_eq!(judge_parent(&child, Some(("parent", &parent))), Ok(()));
        assert_eq!(judge_parent(&child, None), Ok(()));
        let why = judge_parent(&child, Some(("parent", &other)));
        assert_eq!(why, Err(Unfit::Stale("it was built on another build of its parent parent".into())));
    }

    #[test]
    fn what_an_image_holds_is_looked_at_without_leaving_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("usr/local/bin")).unwrap();
        std::fs::create_dir_all(root.join("opt/warmset")).unwrap();
        let outside = dir.path().join("outside");
        std::fs::write(&outside, "").unwrap();
        std::fs::set_permissions(&outside, PermissionsExt::from_mode(0o755)).unwrap();
        // As official images have it: an absolute link would be one of this machine.
        let python = root.join("usr/local/bin/python3.11");
        std::fs::write(&python, "").unwrap();
        symlink("/usr/local/bin/python3.11", root.join("usr/local/bin/python")).unwrap();
        assert_eq!(program(&root, "/none:/usr/local/bin", "python"), None, "it cannot be executed");
        std::fs::set_permissions(&python, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(program(&root, "/none:/usr/local/bin", "python"), Some("/usr/local/bin/python".into()));
        assert_eq!(program(&root, "usr/local/bin:", "python"), None);
        symlink(&outside, root.join("usr/local/bin/node")).unwrap();
        symlink("../../../../outside", root.join("usr/local/bin/node2")).unwrap();
        for name in ["node", "node2", "../bin/python", ""] {
            assert_eq!(program(&root, "/usr/local/bin", name), None, "{name}");
        }

        assert!(plain_folder(&root, "opt/warm").unwrap_err().contains("/opt/warm"));
        symlink(dir.path(), root.join("opt/warm")).unwrap();
        assert!(plain_folder(&root, "opt/warm").is_err(), "it is a link");
        let host_py = root.join("opt/warmset/host.py");
        assert!(check_host(&root, Language::Python).unwrap_err().contains("cannot be read"));
        std::fs::write(&host_py, host(Language::Python).1).unwrap();
        assert_eq!(check_host(&root, Language::Python), Ok(()));
        std::fs::write(&host_py, format!("{}#", host(Language::Python).1)).unwrap();
        assert!(check_host(&root, Language::Python).unwrap_err().contains("another version"));
    }
}
