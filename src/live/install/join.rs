//! Folders put together: what pip made in several targets, and what a Node function sees besides its image.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Moves the contents of a folder into another, merging folders that are in both.
///
/// # Errors
/// When something cannot be moved.
pub fn move_into(from: &Path, to: &Path) -> io::Result<()> {
    // The depth is that of an installed package: bounded by what the file system takes as a path.
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() && target.is_dir() {
            move_into(&entry.path(), &target)?;
        } else {
            std::fs::rename(entry.path(), target)?;
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Manifest {
    name: Option<String>,
    version: Option<String>,
}

/// Name and version of the package in a folder.
fn package(folder: &Path) -> Option<(String, String)> {
    let bytes = std::fs::read(folder.join("package.json")).ok()?;
    let manifest: Manifest = serde_json::from_slice(&bytes).ok()?;
    manifest.name.zip(manifest.version)
}

/// The folders of packages directly in a `node_modules`, with the names they have there.
fn packages_in(modules: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    let entries = match std::fs::read_dir(modules) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('@') && entry.file_type()?.is_dir() {
            for scoped in std::fs::read_dir(entry.path())? {
                let scoped = scoped?;
                found.push((format!("{name}/{}", scoped.file_name().to_string_lossy()), scoped.path()));
            }
        } else if !name.starts_with('.') {
            found.push((name, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// Makes the `node_modules` of a function that runs on an image, below which it is found after this one: what both hold at
/// the top is left to the image, what stands elsewhere in one of them is a link to the image's copy, and the rest are
/// copies of the closure's.
///
/// Node tells modules by the real path of their file, so that a package left to the image, or linked, is the one that the
/// image has loaded, by `require` and by `import`. `image_at` is where the function sees the image's `node_modules`.
///
/// # Errors
/// When files cannot be read, copied or linked.
pub fn join(closure: &Path, image: &Path, image_at: &Path, into: &Path) -> io::Result<()> {
    let mut held: BTreeMap<(String, String), PathBuf> = BTreeMap::new();
    let mut pending = vec![(image.to_path_buf(), PathBuf::new())];
    while let Some((modules, below)) = pending.pop() {
        for (name, folder) in packages_in(&modules)? {
            let place = below.join(&name);
            if let Some(key) = package(&folder) {
                // The one nearest to the top counts.
                held.entry(key)
                    .and_modify(|p| {
                        if (place.components().count(), &place) < (p.components().count(), &*p) {
                            p.clone_from(&place)
                        }
                    })
                    .or_insert_with(|| place.clone());
            }
            pending.push((folder.join("node_modules"), place.join("node_modules")));
        }
    }
    let mut pending = vec![(closure.to_path_buf(), into.to_path_buf())];
    while let Some((modules, target)) = pending.pop() {
        for (name, folder) in packages_in(&modules)? {
            let place = target.join(&name);
            std::fs::create_dir_all(place.parent().unwrap_or(&target))?;
            match package(&folder).and_then(|key| held.get(&key)) {
                Some(own) if target == into && own == Path::new(&name) => {}
                Some(own) => link(&image_at.join(own), &place)?,
                None => {
                    super::code::copy_tree(
                        &folder,
                        &place,
                        &|name| name == "node_modules",
                        &mut super::code::NO_BOUND.clone(),
                    )?;
                    pending.push((folder.join("node_modules"), place.join("node_modules")));
                }
            }
        }
    }
    std::fs::create_dir_all(into)
}

/// A link to a folder.
///
/// # Errors
/// When it cannot be made.
pub fn link(to: &Path, at: &Path) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::symlink(to, at);
    #[cfg(not(unix))]
    Err(io::Error::new(io::ErrorKind::Unsupported, format!("{} cannot be a link to {}", at.display(), to.display())))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn put(root: &Path, name: &str, version: &str) {
        let folder = root.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let real = name.rsplit("node_modules/").next().unwrap();
        let manifest = format!(r#"{{"name": "{real}", "version": "{version}"}}"#);
        std::fs::write(folder.join("package.json"), manifest).unwrap();
    }

    #[test]
    fn what_the_image_holds_is_left_to_it_or_a_link_and_the_rest_a_copy() {
        let dir = tempfile::tempdir().unwrap();
        let (closure, image, into) = (dir.path().join("c"), dir.path().join("i"), dir.path().join("out"));
        for (name, version) in
            [("debug", "2.6.9"), ("ms", "2.1.3"), ("debug/node_modules/ms", "2.0.0"), ("@s/x", "1.0.0")]
        {
            put(&closure, name, version);
        }
        for (name, version) in [("ms", "2.0.0"), ("@s/x", "1.0.0")] {
            put(&image, name, version);
        }
        join(&closure, &image, Path::new("/opt/warm/node_modules"), &into).unwrap();
        let link = |name: &str| std::fs::read_link(into.join(name)).ok().map(|p| p.display().to_string());
        assert_eq!(link("debug"), None);
        assert_eq!(package(&into.join("debug")).unwrap().1, "2.6.9");
        // The same name at another version is not the image's.
        assert_eq!(link("ms"), None);
        assert_eq!(package(&into.join("ms")).unwrap().1, "2.1.3");
        assert_eq!(link("debug/node_modules/ms").as_deref(), Some("/opt/warm/node_modules/ms"));
        assert!(!into.join("@s/x").exists() && link("@s/x").is_none(), "found in the image's own folder");
    }

    #[test]
    fn targets_of_two_installers_become_one_folder() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        for file in ["a/google/one.py", "b/google/two.py", "a/six.py"] {
            std::fs::create_dir_all(dir.path().join(file).parent().unwrap()).unwrap();
            std::fs::write(dir.path().join(file), file).unwrap();
        }
        move_into(&a, &b).unwrap();
        for file in ["google/one.py", "google/two.py", "six.py"] {
            assert!(b.join(file).is_file(), "{file}");
        }
    }
}
