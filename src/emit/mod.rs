//! Plan to files: Dockerfiles, locks, preload lists, warm hosts, swap manifest, bake file, OpenLambda trees, report.
//!
//! Invariant: pure. Nothing is read or written; equal plans give equal bytes; one source file an output format.

mod bake;
pub mod closures;
pub mod curve_svg;
pub mod digests;
mod dockerfile;
pub mod findings;
pub mod graph_dot;
pub mod graph_graphml;
pub mod graph_svg;
pub mod json;
mod manifest;
pub mod needs;
mod node_lock;
mod openlambda;
mod preload;
mod report;
mod requirements_lock;
#[cfg(test)]
mod samples;
mod view;
mod xml;

use std::collections::BTreeMap;

use serde::Serialize;

pub use self::preload::environment as host_environment;
pub use self::preload::{host, host_folder};
use crate::model::curve::Curve;
use crate::model::manifest::SwapManifest;
use crate::model::{Advice, Costs, Diagnostic, Inventory, Language, Package, PackageId, Place, Plan, Platform, codes};

/// What a plan folder is called and built on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EmitOptions {
    /// Name of the plan: the last part of its folder's name.
    pub name: String,
    /// Base images, `name:tag` or `name:tag@sha256:…`, by platform (`python3.11-linux-x86_64-glibc`), by language and
    /// version (`python3.11`), or by language (`python`); the most specific key counts. Official slim images otherwise.
    pub base_images: BTreeMap<String, String>,
}

/// The files of a plan folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Emitted {
    /// Bytes by path relative to the plan folder, `/`-separated. No path leaves the folder.
    pub files: BTreeMap<String, Vec<u8>>,
    /// What was left out, and what could not be locked with hashes; sorted.
    pub diagnostics: Vec<Diagnostic>,
}

/// Makes the files of a plan folder.
///
/// An image that cannot be written (a plan edited by hand) is left out of every file but `plan.json`, with all that are
/// built on it, and a diagnostic says so.
pub fn emit(plan: &Plan, inventory: &Inventory, options: &EmitOptions) -> Emitted {
    let mut out = Emitted::default();
    let (views, diagnostics) = view::views(plan);
    out.diagnostics = diagnostics;
    let bases = bases(&views, options, &mut out.diagnostics);
    let packages: BTreeMap<&PackageId, &Package> = inventory.packages.iter().map(|p| (&p.id, p)).collect();

    for view in &views {
        let base = bases.get(&view.image.platform).map_or("", String::as_str);
        let mut context: Vec<&str> = Vec::new();
        let dockerfile = match view.language() {
            Language::Python => {
                let (lock, diagnostic) = requirements_lock::requirements_lock(&view.contents(), &packages);
                out.diagnostics.extend(diagnostic);
                let text = dockerfile::python(view, base, &lock);
                if lock.hashed {
                    context.push("requirements.lock");
                }
                if let Some(unhashed) = lock.unhashed {
                    context.push("requirements.unhashed.lock");
                    out.files.insert(view.file("requirements.unhashed.lock"), unhashed.into_bytes());
                }
                out.files.insert(view.file("requirements.lock"), lock.text.into_bytes());
                text
            }
            Language::Node => {
                let (lock, diagnostics) = node_lock::node_lock(&view.contents(), &BTreeMap::new(), &packages);
                out.diagnostics.extend(diagnostics);
                let text = dockerfile::node(view, base, &lock);
                if text.contains("COPY package.json") {
                    context.extend(["package.json", "package-lock.json"]);
                }
                out.files.insert(view.file("package.json"), lock.manifest.into_bytes());
                out.files.insert(view.file("package-lock.json"), lock.lock.into_bytes());
                text
            }
        };
        let (host, text) = preload::host(view.language());
        context.extend([host, "preload.json"]);
        out.files.insert(view.file("Dockerfile"), dockerfile.into_bytes());
        out.files.insert(view.file(".dockerignore"), dockerignore(context));
        out.files.insert(view.file(host), text.as_bytes().to_vec());
        put(&mut out, &view.file("preload.json"), &preload::preload(view));
    }

    let closures = closures::closures(inventory);
    for closure in closures.all() {
        let (files, diagnostics) = closures::lock(closure, &packages);
        // Missing hashes are said of what is shared; here the lock itself says it.
        out.diagnostics.extend(diagnostics.into_iter().filter(|d| d.code != codes::HASHES_MISSING.id));
        out.files.extend(files.into_iter().map(|(name, bytes)| (format!("{}/{name}", closure.folder()), bytes)));
    }

    put(&mut out, "plan.json", plan);
    let manifest = manifest::manifest(&options.name, plan, inventory, &views, &closures, &out.files);
    put(&mut out, "swap-manifest.json", &manifest);
    if plan.share.is_subset() {
        for (file, tree) in openlambda::trees(&views) {
            put(&mut out, &file, &tree);
        }
    } else if views.iter().any(|v| v.language() == Language::Python) {
        let reason = "no import cache tree for OpenLambda is written for a plan under the superset rule: it would use no \
                      image that holds more than a function's requirement lines";
        out.diagnostics.push(Diagnostic::new(codes::EXPORT_LEFT_OUT, Place::file("openlambda"), reason));
    }
    let bake = bake::bake(&options.name, &views, &bases);
    out.files.insert("docker-bake.hcl".into(), bake.into_bytes());
    out.diagnostics.sort();
    out.diagnostics.dedup();
    let mut shown: Vec<&Diagnostic> =
        inventory.diagnostics.iter().chain(&plan.diagnostics).chain(&out.diagnostics).collect();
    shown.sort_by(|a, b| a.severity.cmp(&b.severity).then_with(|| a.cmp(b)));
    shown.dedup();
    let html = report::report(&options.name, plan, inventory, &views, &shown);
    out.files.insert("report.html".into(), html.into_bytes());
    out
}

fn put<T: Serialize>(out: &mut Emitted, path: &str, value: &T) {
    match json::pretty(value) {
        Ok(bytes) => {
            out.files.insert(path.to_string(), bytes);
        }
        Err(error) => {
            let reason = format!("cannot be written as JSON: {error}");
            out.diagnostics.push(Diagnostic::new(codes::ARTEFACT_INVALID, Place::file(path), reason));
        }
    }
}

/// Only what the Dockerfile names reaches the builder.
fn dockerignore(mut files: Vec<&str>) -> Vec<u8> {
    files.sort_unstable();
    let kept: Vec<String> = files.iter().map(|f| format!("!{f}\n")).collect();
    format!("# Only what the Dockerfile names reaches the builder.\n*\n{}", kept.concat()).into_bytes()
}

/// The base image of each platform that has an image.
fn bases(
    views: &[view::View<'_>],
    options: &EmitOptions,
    diagnostics: &mut Vec<Diagnostic>,
) -> BTreeMap<Platform, String> {
    let mut bases = BTreeMap::new();
    for view in views {
        let platform = &view.image.platform;
        if bases.contains_key(platform) {
            continue;
        }
        let language = platform.language.to_string();
        let keys = [platform.to_string(), format!("{language}{}", platform.version), language];
        let given = keys.iter().find_map(|key| options.base_images.get(key));
        let base = match given {
            Some(base) if is_base_image(base) => base.clone(),
            Some(base) => {
                let reason = format!("{base:?} is no base image, so {platform} uses the default");
                let diagnostic = Diagnostic::new(codes::ARTEFACT_INVALID, Place::file("docker-bake.hcl"), reason);
                diagnostics.push(diagnostic.next("give name:tag or name:tag@sha256:digest, and not the tag latest"));
                default_base(platform)
            }
            None => default_base(platform),
        };
        bases.insert(platform.clone(), base);
    }
    bases
}

/// The official image of the runtime's version: `python:3.11-slim`, `node:20-alpine`.
fn default_base(platform: &Platform) -> String {
    let variant = if platform.libc == "musl" { "alpine" } else { "slim" };
    format!("{}:{}-{variant}", platform.language, platform.version)
}

/// Whether a text is an image reference that names a fixed version: a tag other than `latest`, or a digest.
pub fn is_base_image(text: &str) -> bool {
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (text, None),
    };
    if let Some(digest) = digest {
        let Some(hex) = digest.strip_prefix("sha256:") else { return false };
        if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return false;
        }
    }
    // A colon before the last slash belongs to a host's port.
    let last = name.rfind('/').map_or(0, |at| at + 1);
    let tag = name[last..].split_once(':').map(|(_, tag)| tag);
    let path = tag.map_or(name, |tag| &name[..name.len() - tag.len() - 1]);
    let fixed = digest.is_some() || tag.is_some_and(|tag| tag != "latest");
    let word = |w: &str, more: &[u8]| {
        w.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
            && w.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
    };
    fixed
        && text.len() <= 512
        && path.split('/').all(|part| word(part, b"._-:"))
        && path[last.min(path.len())..].bytes().all(|b| !b.is_ascii_uppercase() && b != b':')
        && tag.is_none_or(|tag| tag.len() <= 128 && word(tag, b"._-"))
}

/// JSON Schemas of the artefacts, by file name; draft 2020-12, generated from the types.
pub fn schemas() -> BTreeMap<&'static str, String> {
    let texts = [
        ("advice.schema.json", schema::<Advice>()),
        ("costs.schema.json", schema::<Costs>()),
        ("inventory.schema.json", schema::<Inventory>()),
        ("plan.schema.json", schema::<Plan>()),
        ("swap-manifest.schema.json", schema::<SwapManifest>()),
        ("sweep.schema.json", schema::<Curve>()),
    ];
    texts.into_iter().collect()
}

fn schema<T: schemars::JsonSchema>() -> String {
    // A schema is a JSON value: its keys are strings, so it can always be written.
    json::pretty(&schemars::schema_for!(T)).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_base_image_counts() {
        let plan = samples::plan();
        let mut options = EmitOptions { name: "x".into(), ..EmitOptions::default() };
        options.base_images.insert("python".into(), "own/python:1".into());
        options.base_images.insert("python3.12".into(), "own/python:2".into());
        let (views, _) = view::views(&plan);
        let bases = bases(&views, &options, &mut Vec::new());
        let bases: Vec<&str> = bases.values().map(String::as_str).collect();
        assert_eq!(bases, ["own/python:1", "own/python:2", "node:20-slim"]);
    }

    #[test]
    fn base_images_name_a_fixed_version() {
        let digest = format!("python:3.11-slim@sha256:{}", "0a".repeat(32));
        for text in ["python:3.11-slim", &digest, "registry.example:5000/team/python:3.11", "own/py:1_2.3-x"] {
            assert!(is_base_image(text), "{text}");
        }
        for text in [
            "",
            "python",
            "python:latest",
            "python:3.11 AS x",
            "py$thon:1",
            "Python:3",
            "a//b:1",
            "python@sha256:12",
            "x:1\nRUN y",
            "registry.example:5000/python",
            "é:1",
        ] {
            assert!(!is_base_image(text), "{text}");
        }
    }

    #[test]
    fn a_base_image_that_is_none_is_said_and_not_used() {
        let plan = samples::plan();
        let mut options = EmitOptions { name: "x".into(), ..EmitOptions::default() };
        options.base_images.insert("node".into(), "node\nRUN evil".into());
        let emitted = emit(&plan, &samples::inventory(), &options);
        assert!(emitted.diagnostics.iter().any(|d| d.code == "artefact-invalid"));
        let text = String::from_utf8(emitted.files["images/node20-ms-5c5c/Dockerfile"].clone()).unwrap();
        assert!(text.contains("ARG BASE_IMAGE=node:20-slim\n"));
    }
}
