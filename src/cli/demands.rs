//! What is asked of a plan: `[plan]` of the fleet's own `warmset.toml`, `--demands FILE`, and options.

use std::path::{Path, PathBuf};

use crate::discover::{Limits, Tree, wishes as tables};
use crate::model::wishes::{Wish, Wishes};
use crate::model::{Diagnostic, PackageId, Place, codes};

use super::load::{self, Failure};
use super::options::DemandOptions;

/// Name of the fleet's own file.
const FILE: &str = "warmset.toml";

/// Everything that is asked of the plan of an input; options come before files.
pub fn wishes(
    input: &Path,
    budget: Option<f64>,
    max_images: Option<usize>,
    options: &DemandOptions,
) -> Result<Wishes, Failure> {
    let mut all = Wishes::default();
    let of = |option: &str| Place::file(option);
    if let Some(mb) = budget {
        all.add(Wish::Memory { mb }, of("--budget"));
    }
    if let Some(most) = max_images {
        all.add(Wish::Images { most }, of("--max-images"));
    }
    if let Some(mb) = options.disk {
        all.add(Wish::Disk { mb }, of("--disk"));
    }
    if let Some(mb) = options.max_image {
        all.add(Wish::MaxImage { mb }, of("--max-image"));
    }
    for package in &options.exclude {
        all.add(Wish::Exclude { package: package.clone() }, of("--exclude"));
    }
    for function in &options.alone {
        all.add(Wish::Alone { functions: vec![function.clone()] }, of("--alone"));
    }
    for function in &options.cold {
        all.add(Wish::Cold { functions: vec![function.clone()] }, of("--cold"));
    }
    for (function, share) in &options.floor {
        all.add(Wish::Floor { functions: vec![function.clone()], share: *share }, of("--floor"));
    }
    for text in &options.pin {
        all.add(pin(text)?, of("--pin"));
    }
    resolve_pins(&mut all, Path::new(""))?;
    if let Some(file) = &options.demands {
        let name = file.display().to_string();
        let mut said = read(&name, &load::text(file)?)?;
        resolve_pins(&mut said, Path::new(""))?;
        join(&mut all, said)?;
    }
    if let Some((text, folder)) = own(input)? {
        let mut said = read(FILE, &text)?;
        resolve_pins(&mut said, &folder)?;
        join(&mut all, said)?;
    }
    Ok(all)
}

/// The fleet's own file, and the folder that its paths are relative to.
fn own(input: &Path) -> Result<Option<(String, PathBuf)>, Failure> {
    let is_plan = input.join("plan.json").is_file() && input.join("inventory.json").is_file();
    if input.is_dir() && !is_plan {
        let file = input.join(FILE);
        return if file.is_file() { Ok(Some((load::text(&file)?, input.to_path_buf()))) } else { Ok(None) };
    }
    if input.extension().is_some_and(|e| e.eq_ignore_ascii_case("zip")) {
        let tree = Tree::open(input, Limits::default()).map_err(|e| load::cannot_open(&e))?;
        return match tree.files().find(|p| *p == FILE).map(|p| tree.text(p)) {
            Some(text) => Ok(Some((text?.to_string(), PathBuf::new()))),
            None => Ok(None),
        };
    }
    Ok(None)
}

/// A demand that was not understood would be missing silently: the plan is not made.
fn read(file: &str, text: &str) -> Result<Wishes, Failure> {
    let (wishes, mut diagnostics) = tables::read(file, text);
    if diagnostics.is_empty() {
        return Ok(wishes);
    }
    diagnostics.sort();
    Err(Failure::Diagnostics(diagnostics))
}

fn join(all: &mut Wishes, more: Wishes) -> Result<(), Failure> {
    all.join(more).map_err(|(here, there)| {
        let reason = format!("a pool of the same name is also in {here}");
        Failure::from(Diagnostic::new(codes::CONFIG_INVALID, there, reason).next("rename one of them"))
    })
}

/// `PLAN#ID`, or packages with versions and a platform.
fn pin(text: &str) -> Result<Wish, Failure> {
    if let Some((plan, image)) = text.rsplit_once('#') {
        return Ok(Wish::Pin {
            packages: Vec::new(),
            platform: None,
            trust_domain: None,
            image: Some(image.to_string()),
            plan: Some(plan.to_string()),
        });
    }
    let (packages, platform) = tables::pinned(text).map_err(|reason| {
        Failure::Message(format!("--pin: {reason}; give PLAN#ID, or name==version and name@version"))
    })?;
    Ok(Wish::Pin { packages, platform, trust_domain: None, image: None, plan: None })
}

/// Looks up the images of other plans that are to be kept.
fn resolve_pins(wishes: &mut Wishes, folder: &Path) -> Result<(), Failure> {
    for wished in &mut wishes.list {
        let Wish::Pin { packages, platform, trust_domain, image: Some(id), plan: Some(path) } = &mut wished.wish else {
            continue;
        };
        let (plan, _) = load::plan(&folder.join(path.as_str()))?;
        let Some(image) = plan.images.iter().find(|i| i.id == *id) else {
            return Err(Failure::Message(format!("{}: {path} has no image {id}", wished.place)));
        };
        let mut ids: Vec<PackageId> = image.package_ids();
        ids.sort();
        *packages = ids;
        *platform = Some(image.platform.to_string());
        *trust_domain = Some(image.trust_domain.clone());
        wished.pool = image.pool.clone().or(wished.pool.take());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_before_files_and_add_to_them() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ops.toml");
        std::fs::write(&file, "[plan]\nmemory = 10\nimages = 3\nexclude = ['a']\n").unwrap();
        std::fs::write(dir.path().join(FILE), "[plan]\nmemory = 20\nimages = 4\ndisk = 7\n").unwrap();
        let options = DemandOptions { demands: Some(file), exclude: vec!["b".into()], ..DemandOptions::default() };
        let wishes = wishes(dir.path(), Some(5.0), None, &options).unwrap();
        let said: Vec<String> = wishes.list.iter().map(|w| w.wish.to_string()).collect();
        assert_eq!(said, ["memory 5 MB", "exclude b", "images 3", "exclude a", "disk 7 MB"]);
        assert_eq!(wishes.list[4].place.to_string(), "warmset.toml:4");
    }
}
