//! `warmset build`: the images of a plan folder, and their digests in its swap manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::Serialize;

use crate::emit::digests::{self, Stamp};
use crate::emit::json;
use crate::emit::needs::{Needs, needs};
use crate::live::build::{self, Builder, Event, Kind, NoBuilder, Order, Pull, State, Target};
use crate::live::process;
use crate::model::manifest::{ManifestImage, SwapManifest};
use crate::model::{Diagnostic, Language, Place, Platform, codes, read};
use crate::resolve::relock::last_words;

use super::Outcome;
use super::args::{BuildCommand, PullChoice, TextFormat};
use super::load::{self, Failure};
use super::options::BuilderChoice;
use super::table::Table;
use super::talk::{BOLD, DIM, GREEN, RED, Talk, paint};
use super::write;

/// File of a plan folder that says what there is to build.
const MANIFEST: &str = "swap-manifest.json";
/// Lines of a failed build that are shown.
const SHOWN: usize = 12;

/// What is told of an image.
#[derive(Debug, Serialize)]
struct Told {
    image: String,
    /// `built`, `failed`, `skipped`, `stopped`.
    state: &'static str,
    reference: String,
    parent: Option<String>,
    digest: Option<String>,
    pushed: Option<String>,
    seconds: Option<f64>,
    /// Uncompressed, megabytes of 10^6 bytes.
    size_mb: Option<f64>,
    added_mb: Option<f64>,
    layers: Option<usize>,
    shared_layers: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Report {
    builder: String,
    images: Vec<Told>,
    diagnostics: Vec<Diagnostic>,
}

/// Builds the images and writes their digests down.
pub fn run(command: &BuildCommand, talk: Talk) -> Result<Outcome, Failure> {
    let stop = process::stop_sign();
    let folder = if command.plan.is_dir() {
        command.plan.clone()
    } else {
        command.plan.parent().map(Path::to_path_buf).unwrap_or_default()
    };
    let file = if command.plan.is_dir() { folder.join(MANIFEST) } else { command.plan.clone() };
    let manifest = read::manifest(&file.display().to_string(), &load::text(&file)?)?;
    let images = chosen(&manifest, &command.only)?;
    let order = order(command, &folder, &images)?;
    let builder = builder(command.builder, &stop)?;
    if command.dry_run {
        let lines = order.targets.iter().map(|target| format!("{}\n", shell(&builder.build(&order, target))));
        talk.result(&lines.collect::<String>())?;
        return Ok(Outcome::Clean);
    }

    let bar = talk.bar("building");
    let total = order.targets.len();
    bar.set(0, total);
    let (running, done) = (Mutex::new(BTreeSet::new()), Mutex::new((0, None)));
    let told = |event: Event<'_>| {
        let mut running = running.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match event {
            Event::Started(at) => _ = running.insert(order.targets[at].id.as_str()),
            Event::Ended(at, state) => {
                running.remove(order.targets[at].id.as_str());
                let mut done = done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                // Each as soon as it is there: whoever ends warmset keeps what was built.
                if let (State::Built(_), Err(e)) = (state, note(&file, &order.targets[at], state)) {
                    done.1 = Some(e);
                }
                done.0 += 1;
                bar.set(done.0, total);
                if let Some(line) = line(&order.targets, at, state) {
                    bar.say(talk, &line);
                }
            }
        }
        bar.message(&running.iter().copied().collect::<Vec<_>>().join(", "));
    };
    let states = build::build(&order, &builder, &stop, &told);
    drop(bar);
    if let Some(failure) = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).1 {
        return Err(failure);
    }

    let mut diagnostics: Vec<Diagnostic> =
        order.targets.iter().zip(&states).filter_map(|(t, s)| diagnostic(&order.targets, t, s)).collect();
    diagnostics.sort();
    let images = images.iter().zip(&order.targets).zip(&states).map(|((i, t), s)| account(i, t, s)).collect();
    let report = Report { builder: format!("{} {}", builder.kind, builder.version), images, diagnostics };
    talk.result(&match command.format {
        TextFormat::Json => json::text(&report),
        TextFormat::Text => text(&report, &file),
    })?;
    for (target, state) in order.targets.iter().zip(&states) {
        if let State::Failed(failed) = state {
            tail(target, &failed.said, talk);
        }
    }
    talk.diagnostics(&report.diagnostics);
    if states.contains(&State::Stopped) {
        return Err(Failure::Message("stopped; what was built until then is kept, with its digests".into()));
    }
    Ok(Outcome::of(&report.diagnostics))
}

/// The images to build, parents first: all, or those named with those that they stand on.
fn chosen<'a>(manifest: &'a SwapManifest, only: &[String]) -> Result<Vec<&'a ManifestImage>, Failure> {
    if let Some(unknown) = only.iter().find(|id| !manifest.images.iter().any(|image| image.id == **id)) {
        let near = manifest.images.iter().map(|i| i.id.as_str()).filter(|id| id.starts_with(unknown.as_str()));
        let near: Vec<&str> = near.take(5).collect();
        let hint = if near.is_empty() { String::new() } else { format!("; did you mean {}", near.join(", ")) };
        return Err(Failure::Message(format!("the plan has no image `{unknown}`{hint}")));
    }
    let mut wanted: BTreeSet<&str> = only.iter().map(String::as_str).collect();
    // Parents stand before their children.
    for image in manifest.images.iter().rev() {
        if wanted.contains(image.id.as_str()) {
            wanted.extend(image.parent.as_deref());
        }
    }
    Ok(manifest.images.iter().filter(|image| only.is_empty() || wanted.contains(image.id.as_str())).collect())
}

/// What the builder is to do, by the options and what the Dockerfiles ask for.
fn order(command: &BuildCommand, folder: &Path, images: &[&ManifestImage]) -> Result<Order, Failure> {
    let bases = bases(&command.base, images)?;
    let mut secrets: BTreeMap<String, PathBuf> = BTreeMap::new();
    for (id, file) in &command.secret {
        // Opened, as a file that may not be read is no secret either; what it holds is the builder's.
        if let Err(e) = std::fs::File::open(file).and_then(|f| f.metadata()).map(|m| m.is_file()) {
            return Err(Failure::Message(format!("the secret {id} cannot be read from {}: {e}", file.display())));
        }
        if secrets.insert(id.clone(), file.clone()).is_some() {
            return Err(Failure::Message(format!("the secret {id} is given twice")));
        }
    }
    let positions: BTreeMap<&str, usize> = images.iter().enumerate().map(|(at, i)| (i.id.as_str(), at)).collect();
    let mut targets: Vec<Target> = Vec::with_capacity(images.len());
    let mut known: BTreeSet<String> = BTreeSet::new();
    for image in images {
        let dockerfile = folder.join(&image.folder).join("Dockerfile");
        let needs = needs(&load::text(&dockerfile)?);
        known.extend(needs.secrets.iter().cloned());
        targets.push(target(command, folder, image, &needs, &targets, &positions, &bases, &secrets));
    }
    if let Some(unknown) = secrets.keys().find(|id| !known.contains(*id)) {
        let known: Vec<String> = known.into_iter().collect();
        let known = if known.is_empty() { "none".to_string() } else { known.join(", ") };
        return Err(Failure::Message(format!("the Dockerfiles mount no secret `{unknown}`: they know {known}")));
    }
    Ok(Order {
        targets,
        jobs: command.jobs,
        limit: Duration::from_secs_f64(command.timeout),
        pull: match command.pull {
            PullChoice::Never => Pull::Never,
            PullChoice::Missing => Pull::Missing,
        },
        push: command.push,
        more: command.builder_arg.clone(),
        logs: command.logs.clone(),
    })
}

#[allow(clippy::too_many_arguments)]
fn target(
    command: &BuildCommand,
    folder: &Path,
    image: &ManifestImage,
    needs: &Needs,
    before: &[Target],
    positions: &BTreeMap<&str, usize>,
    bases: &BTreeMap<String, String>,
    secrets: &BTreeMap<String, PathBuf>,
) -> Target {
    // An image whose Dockerfile starts from the base all the same can be built before its parent.
    let on_parent = needs.args.contains_key("PARENT_IMAGE");
    let parent = image.parent.as_deref().filter(|_| on_parent).and_then(|id| positions.get(id).copied());
    let default = needs.args.get("BASE_IMAGE").cloned().flatten().unwrap_or_default();
    let base = bases.get(&image.platform.to_string());
    let mut arguments: BTreeMap<String, String> =
        base.map(|b| ("BASE_IMAGE".to_string(), b.clone())).into_iter().collect();
    if let Some(parent) = parent.and_then(|at| before.get(at)) {
        arguments.insert("PARENT_IMAGE".into(), parent.reference.clone());
    }
    let base = base.cloned().unwrap_or(default);
    // Python's images on a base have its compiled standard library in common.
    let shares = |other: &Target| other.parent.is_none() && other.after.is_none() && other.base == base;
    let after = match image.platform.language {
        Language::Python if parent.is_none() => before.iter().position(shares),
        _ => None,
    };
    let mut target = Target {
        id: image.id.clone(),
        parent,
        after,
        folder: folder.join(&image.folder),
        reference: reference(&image.reference, command.registry.as_deref(), command.tag.as_deref()),
        base,
        platform: foreign(&image.platform),
        arguments,
        secrets: secrets.clone(),
    };
    target.fit(needs);
    target
}

/// Base images by platform: the most specific of `python3.11-linux-x86_64-glibc`, `python3.11`, `python` counts.
fn bases(given: &[(String, String)], images: &[&ManifestImage]) -> Result<BTreeMap<String, String>, Failure> {
    let given: BTreeMap<&str, &str> = given.iter().map(|(key, base)| (key.as_str(), base.as_str())).collect();
    let mut used = BTreeSet::new();
    let mut out = BTreeMap::new();
    for platform in images.iter().map(|image| &image.platform) {
        let whole = platform.to_string();
        let version = format!("{}{}", platform.language, platform.version);
        let language = platform.language.to_string();
        let keys = [whole.as_str(), version.as_str(), language.as_str()];
        used.extend(keys.iter().filter_map(|key| given.get_key_value(*key)).map(|(key, _)| *key));
        if let Some(base) = keys.iter().find_map(|key| given.get(*key)) {
            out.insert(whole, (*base).to_string());
        }
    }
    match given.keys().find(|key| !used.contains(*key)) {
        Some(unknown) => {
            let there: BTreeSet<String> = images.iter().map(|i| i.platform.to_string()).collect();
            let there = there.into_iter().collect::<Vec<_>>().join(", ");
            Err(Failure::Message(format!("--base {unknown}: no image is on that platform; there are {there}")))
        }
        None => Ok(out),
    }
}

/// The platform as builders call it, where it is not this machine's.
fn foreign(platform: &Platform) -> Option<String> {
    let arch = if platform.arch == "aarch64" { "arm64" } else { "amd64" };
    (platform.arch != std::env::consts::ARCH).then(|| format!("linux/{arch}"))
}

/// The manifest's reference with the registry before it and another tag.
fn reference(plain: &str, registry: Option<&str>, tag: Option<&str>) -> String {
    let tagged = match (tag, plain.rsplit_once(':')) {
        (Some(tag), Some((name, old))) if !old.contains('/') => format!("{name}:{tag}"),
        (Some(tag), _) => format!("{plain}:{tag}"),
        (None, _) => plain.to_string(),
    };
    format!("{}{tagged}", registry.unwrap_or_default())
}

/// The builder of the user's choice.
pub fn builder(choice: BuilderChoice, stop: &AtomicBool) -> Result<Builder, Failure> {
    let choice = match choice {
        BuilderChoice::Auto => None,
        BuilderChoice::Docker => Some(Kind::Docker),
        BuilderChoice::Podman => Some(Kind::Podman),
        BuilderChoice::Buildah => Some(Kind::Buildah),
    };
    Builder::find(choice, stop).map_err(|none| no_builder(&none))
}

fn no_builder(none: &NoBuilder) -> Failure {
    let why: Vec<String> = none.0.iter().map(|(kind, reason)| format!("{kind}: {reason}")).collect();
    Failure::Message(format!(
        "no image builder works here ({}); install buildah, podman, or docker with buildx, or start docker's daemon",
        why.join("; ")
    ))
}

/// Writes the digest of an image into the manifest as it is now.
fn note(file: &Path, target: &Target, state: &State) -> Result<(), Failure> {
    let State::Built(built) = state else { return Ok(()) };
    let stamp = Stamp { digest: built.image.digest.clone(), pushed: built.pushed.clone() };
    let text = load::text(file)?;
    let new = digests::stamped(&text, &[(target.id.clone(), stamp)].into())
        .map_err(|e| Failure::Message(format!("{}: {e}", file.display())))?;
    if new != text {
        write::file(file, new.as_bytes())?;
    }
    Ok(())
}

fn line(targets: &[Target], at: usize, state: &State) -> Option<String> {
    let id = paint(BOLD, &targets[at].id);
    match state {
        State::Built(built) => Some(format!("{} {id} in {:.1} s", paint(GREEN, "built"), built.seconds)),
        State::Failed(_) => Some(format!("{} {id}", paint(RED, "failed"))),
        State::Skipped(parent) => {
            Some(format!("{} {id}: {} is not built", paint(DIM, "skipped"), targets.get(*parent)?.id))
        }
        State::Stopped => None,
    }
}

fn diagnostic(targets: &[Target], target: &Target, state: &State) -> Option<Diagnostic> {
    let place = Place::file(target.folder.join("Dockerfile").display().to_string());
    let said = |code, reason: String| Diagnostic::new(code, place, format!("{}: {reason}", target.id));
    match state {
        State::Failed(failed) if failed.no_base.is_some() => {
            Some(said(codes::BASE_IMAGE_MISSING, failed.reason.clone()))
        }
        State::Failed(failed) => Some(said(codes::IMAGE_NOT_BUILT, failed.reason.clone())),
        State::Skipped(parent) => {
            Some(said(codes::IMAGE_SKIPPED, format!("{} is not built", targets.get(*parent)?.id)))
        }
        State::Built(_) | State::Stopped => None,
    }
}

/// The end of what the builder said of an image that failed.
fn tail(target: &Target, said: &str, talk: Talk) {
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    if lines.is_empty() {
        return;
    }
    talk.say(format!("{} {}:", paint(DIM, "the builder's last words on"), target.id));
    for line in &lines[lines.len().saturating_sub(SHOWN)..] {
        talk.say(format!("  {}", last_words(line, &[])));
    }
}

fn account(image: &ManifestImage, target: &Target, state: &State) -> Told {
    let built = match state {
        State::Built(built) => Some(built),
        _ => None,
    };
    let mb = |bytes: u64| (bytes as f64 / 1e3).round() / 1e3;
    Told {
        image: target.id.clone(),
        state: match state {
            State::Built(_) => "built",
            State::Failed(_) => "failed",
            State::Skipped(_) => "skipped",
            State::Stopped => "stopped",
        },
        reference: target.reference.clone(),
        parent: image.parent.clone(),
        digest: built.map(|b| b.image.digest.clone()),
        pushed: built.and_then(|b| b.pushed.clone()),
        seconds: built.map(|b| (b.seconds * 1e3).round() / 1e3),
        size_mb: built.map(|b| mb(b.image.bytes)),
        added_mb: built.map(|b| mb(b.added)),
        layers: built.map(|b| b.image.layers.len()),
        shared_layers: built.map(|b| b.shared),
    }
}

fn text(report: &Report, file: &Path) -> String {
    let mut table = Table::new(&["image", ">MB", ">adds MB", ">layers", ">shared", ">seconds", "digest"]);
    for told in &report.images {
        let number = |value: Option<f64>| value.map_or_else(|| "-".into(), |v| format!("{v:.1}"));
        let count = |value: Option<usize>| value.map_or_else(|| "-".into(), |v| v.to_string());
        let digest = told.digest.as_deref().and_then(|d| d.get(..19)).unwrap_or(told.state);
        table.row(vec![
            paint(BOLD, &told.image),
            number(told.size_mb),
            number(told.added_mb),
            count(told.layers),
            count(told.shared_layers),
            number(told.seconds),
            digest.to_string(),
        ]);
    }
    let built: Vec<&Told> = report.images.iter().filter(|told| told.state == "built").collect();
    // From +0: the sum of nothing is -0.
    let added = built.iter().filter_map(|told| told.added_mb).fold(0.0, |sum, mb| sum + mb);
    format!(
        "{}\n{} of {} images built by {}, {added:.1} MB beside their bases\ndigests are in {}\n",
        table.render(),
        built.len(),
        report.images.len(),
        report.builder,
        file.display()
    )
}

/// A command as a shell takes it.
fn shell(words: &[String]) -> String {
    let plain = |word: &&String| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:=,@+%".contains(&b))
    };
    let quoted = words.iter().map(|word| match Some(word).filter(plain) {
        Some(word) => word.clone(),
        None => format!("'{}'", word.replace('\'', "'\\''")),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_take_a_registry_and_another_tag() {
        assert_eq!(reference("warmset/a:1", None, None), "warmset/a:1");
        assert_eq!(reference("warmset/a:1", Some("r.example:5000/t/"), Some("v2")), "r.example:5000/t/warmset/a:v2");
        assert_eq!(reference("r:5000/a", None, Some("v2")), "r:5000/a:v2");
    }

    #[test]
    fn commands_are_printed_so_that_a_shell_runs_them() {
        let words = ["a=b", "it's", "", "$x y"].map(String::from);
        assert_eq!(shell(&words), "a=b 'it'\\''s' '' '$x y'");
    }
}
