//! The three builders: how each is found, told to build, and asked what it has.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde_json::Value;

use super::{Order, Target, scratch};
use crate::live::process::{self, Ended, Ran};
use crate::resolve::relock::last_words;

/// Longest time for a question that a builder answers from its own store.
const ASKED: Duration = Duration::from_secs(120);

/// A program that builds images from Dockerfiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// docker, by BuildKit.
    Docker,
    /// podman.
    Podman,
    /// buildah.
    Buildah,
}

impl Kind {
    /// In the order in which they are tried: who has a daemon or podman uses its images there.
    pub const ALL: [Kind; 3] = [Kind::Docker, Kind::Podman, Kind::Buildah];

    /// Its command.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Docker => "docker",
            Kind::Podman => "podman",
            Kind::Buildah => "buildah",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether base images are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    /// What is not in the builder's store is an error.
    Never,
    /// What is not in the builder's store is fetched.
    Missing,
}

/// No builder works here, and why each does not.
#[derive(Debug)]
pub struct NoBuilder(pub Vec<(Kind, String)>);

/// What a builder's store knows of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// `sha256:…`: the store's own id of it, of its configuration or (containerd's store) of its manifest.
    pub digest: String,
    /// Uncompressed size of all layers.
    pub bytes: u64,
    /// Digests of the uncompressed layers (`diff_ids` of the OCI image configuration), the base's first.
    pub layers: Vec<String>,
    /// What is in the environment of whatever runs in it.
    pub environment: BTreeMap<String, String>,
}

/// A builder that works here.
#[derive(Debug, Clone)]
pub struct Builder {
    /// Which.
    pub kind: Kind,
    /// As it says it.
    pub version: String,
    /// The command that answers questions.
    pub(super) program: String,
    /// The command with what makes it build: `docker buildx build --load`, `buildah build --layers`.
    pub(super) front: Vec<String>,
}

fn strings<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(String::from).to_vec()
}

impl Builder {
    /// The builder that the user chose, or the first that works.
    ///
    /// # Errors
    /// When none works, with the reason of each.
    pub fn find(choice: Option<Kind>, stop: &AtomicBool) -> Result<Builder, NoBuilder> {
        let tried: Vec<Kind> = choice.map_or_else(|| Kind::ALL.to_vec(), |kind| vec![kind]);
        let mut why = Vec::new();
        for kind in tried {
            match Self::probe(kind, stop) {
                Ok(builder) => return Ok(builder),
                Err(reason) => why.push((kind, reason)),
            }
        }
        Err(NoBuilder(why))
    }

    fn probe(kind: Kind, stop: &AtomicBool) -> Result<Builder, String> {
        let name = kind.name();
        match kind {
            Kind::Docker => {
                let asked = ask(&[name, "version", "--format", "{{.Client.Version}} {{.Server.Version}}"], stop)?;
                let (client, server) = asked.trim().split_once(' ').ok_or("its daemon does not say its version")?;
                let front = if ask(&[name, "buildx", "version"], stop).is_ok() {
                    // The daemon's own BuildKit: a builder in a container does not see the store that parents are in.
                    let context = ask(&[name, "context", "show"], stop).unwrap_or_default();
                    let context = if context.trim().is_empty() { "default" } else { context.trim() };
                    strings([name, "buildx", "build", "--load", "--builder", context])
                } else if client.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_some_and(|m| m < 23) {
                    strings(["env", "DOCKER_BUILDKIT=1", name, "build"])
                } else {
                    return Err("it has no BuildKit: install its buildx plugin".into());
                };
                Ok(Builder { kind, version: server.to_string(), program: name.into(), front })
            }
            Kind::Podman | Kind::Buildah => {
                let said = ask(&[name, "--version"], stop)?;
                let number = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
                let version = said.split_whitespace().find(number).unwrap_or("of unknown version").to_string();
                // buildah says it as JSON anyway.
                let as_json: &[&str] = if kind == Kind::Podman { &["--format", "json"] } else { &[] };
                let info = ask(&[&[name, "info"], as_json].concat(), stop)?;
                let mut front = strings([name, "build", "--layers", "--force-rm"]);
                // Without a runtime for containers buildah still builds in a chroot, if it is told to.
                let info: Value = serde_json::from_str(&info).unwrap_or_default();
                let no_runtime = info.pointer("/host/OCIRuntime").is_some_and(|runtime| runtime == "");
                if no_runtime && std::env::var_os("BUILDAH_ISOLATION").is_none() {
                    front.extend(strings(["--isolation", "chroot"]));
                }
                Ok(Builder { kind, version, program: name.into(), front })
            }
        }
    }

    /// The command that builds a target.
    pub fn build(&self, order: &Order, target: &Target) -> Vec<String> {
        let mut command = self.front.clone();
        match (self.kind, order.pull) {
            // BuildKit fetches what is not there, and has no other way; what may not be fetched is looked for before.
            (Kind::Docker, _) => {}
            (_, Pull::Never) => command.push("--pull=never".into()),
            (_, Pull::Missing) => command.push("--pull=missing".into()),
        }
        if let Some(platform) = &target.platform {
            command.extend(["--platform".to_string(), platform.clone()]);
        }
        command.extend(["--tag".to_string(), target.reference.clone()]);
        for (name, value) in &target.arguments {
            command.extend(["--build-arg".to_string(), format!("{name}={value}")]);
        }
        for (id, file) in &target.secrets {
            command.extend(["--secret".to_string(), format!("id={id},src={}", file.display())]);
        }
        command.extend(order.more.iter().cloned());
        // A relative folder that begins with a hyphen would be an option.
        let folder = Path::new(".").join(&target.folder);
        let folder = if target.folder.to_string_lossy().starts_with('-') { &folder } else { &target.folder };
        command.extend(["--file".to_string(), folder.join("Dockerfile").display().to_string()]);
        command.push(folder.display().to_string());
        command
    }

    /// Runs a command of this builder.
    pub(super) fn run(
        &self,
        command: &[String],
        scratch: &Path,
        limit: Duration,
        stop: &AtomicBool,
    ) -> Result<Ran, String> {
        let (program, args) = command.split_first().ok_or("an empty command")?;
        process::run(program, args, Path::new("."), scratch, limit, stop)
            .map_err(|e| format!("{} could not be run: {e}", self.kind))
    }

    /// What a command of this builder writes to its standard output; `None` where it has no such image.
    fn asked(&self, args: &[&str], limit: Duration, stop: &AtomicBool) -> Result<Option<String>, String> {
        let mut command = vec![self.program.as_str()];
        command.extend(args);
        match ask_within(&command, limit, stop) {
            Ok(answer) => Ok(Some(answer)),
            Err(reason) => {
                let lower = reason.to_lowercase();
                let absent = ["image not known", "no such image", "no such object", "failed to find image"];
                if absent.iter().any(|words| lower.contains(words)) { Ok(None) } else { Err(reason) }
            }
        }
    }

    /// The image behind a reference or a digest, where the store has it.
    ///
    /// # Errors
    /// When the builder does not answer.
    pub fn image(&self, reference: &str, stop: &AtomicBool) -> Result<Option<Image>, String> {
        let name = self.local(reference);
        let args: &[&str] = match self.kind {
            Kind::Buildah => &["inspect", "--type", "image", name],
            _ => &["image", "inspect", name],
        };
        let Some(answer) = self.asked(args, ASKED, stop)? else { return Ok(None) };
        let strange = || format!("{} describes {reference} in a way that warmset does not know", self.kind);
        let value: Value = serde_json::from_str(&answer).map_err(|_| strange())?;
        match self.kind {
            Kind::Buildah => buildah_image(&value),
            _ => docker_image(&value),
        }
        .map(Some)
        .ok_or_else(strange)
    }

    /// Digest of the image behind a reference, where the store has it.
    ///
    /// # Errors
    /// When the builder does not answer.
    pub fn present(&self, reference: &str, stop: &AtomicBool) -> Result<Option<String>, String> {
        Ok(self.image(reference, stop)?.map(|image| image.digest))
    }

    /// Pushes an image; `REPOSITORY@sha256:…` as the registry knows it, `None` when the user stopped.
    pub(super) fn push(&self, reference: &str, limit: Duration, stop: &AtomicBool) -> Result<Option<String>, String> {
        let scratch = scratch()?;
        let file = scratch.path().join("digest");
        let mut command = vec![self.program.clone(), "push".into()];
        if self.kind != Kind::Docker {
            command.extend(["--digestfile".to_string(), file.display().to_string()]);
        }
        command.push(reference.to_string());
        let ran = self.run(&command, scratch.path(), limit, stop)?;
        let not_pushed = |why: &str| format!("it is built, and could not be pushed: {why}");
        match ran.ended {
            Ended::Stopped => return Ok(None),
            Ended::Done(true) => {}
            _ => return Err(not_pushed(&last_words(&ran.said, &[]))),
        }
        let repository = repository(reference);
        let digest = if self.kind == Kind::Docker {
            let answer =
                self.asked(&["image", "inspect", "--format", "{{json .RepoDigests}}", reference], ASKED, stop)?;
            let all: Vec<String> = answer.and_then(|a| serde_json::from_str(&a).ok()).unwrap_or_default();
            all.iter().find_map(|d| d.strip_prefix(repository)?.strip_prefix('@').map(str::to_string))
        } else {
            std::fs::read_to_string(&file).ok().map(|text| text.trim().to_string())
        };
        match digest.filter(|d| is_digest(d)) {
            Some(digest) => Ok(Some(format!("{repository}@{digest}"))),
            None => Err(not_pushed("the registry's digest is not known")),
        }
    }

    /// How this builder names an image by its digest.
    pub(super) fn local<'a>(&self, reference: &'a str) -> &'a str {
        let bare = reference.strip_prefix("sha256:").unwrap_or(reference);
        if self.kind == Kind::Docker { reference } else { bare }
    }
}

/// A reference without its tag.
fn repository(reference: &str) -> &str {
    match reference.rsplit_once(':') {
        // A colon before a slash belongs to the registry's port.
        Some((before, tag)) if !tag.contains('/') => before,
        _ => reference,
    }
}

/// Whether the text is `sha256:` and 64 hexadecimal digits.
pub(in crate::live) fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn digest(id: &Value) -> Option<String> {
    let id = id.as_str()?;
    let id = if id.starts_with("sha256:") { id.to_string() } else { format!("sha256:{id}") };
    is_digest(&id).then_some(id)
}

fn texts(list: &Value) -> Option<Vec<String>> {
    list.as_array()?.iter().map(|item| item.as_str().map(str::to_string)).collect()
}

/// `NAME=VALUE` of an image's configuration; absent or null where it has none.
fn environment(list: Option<&Value>) -> BTreeMap<String, String> {
    let pairs = list.and_then(texts).unwrap_or_default();
    pairs.iter().filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k.to_string(), v.to_string())).collect()
}

/// `docker image inspect` and `podman image inspect`: a list of one.
fn docker_image(value: &Value) -> Option<Image> {
    let image = value.get(0)?;
    Some(Image {
        digest: digest(image.get("Id")?)?,
        bytes: image.get("Size")?.as_u64()?,
        layers: texts(image.pointer("/RootFS/Layers")?)?,
        environment: environment(image.pointer("/Config/Env")),
    })
}

/// `buildah inspect --type image`: sizes stand in the manifest, which is a text of its own.
fn buildah_image(value: &Value) -> Option<Image> {
    let manifest: Value = serde_json::from_str(value.get("Manifest")?.as_str()?).ok()?;
    let sizes = manifest.get("layers")?.as_array()?.iter().map(|layer| layer.get("size")?.as_u64());
    Some(Image {
        digest: digest(value.get("FromImageID")?)?,
        bytes: sizes.sum::<Option<u64>>()?,
        layers: texts(value.pointer("/OCIv1/rootfs/diff_ids")?)?,
        environment: environment(value.pointer("/OCIv1/config/Env")),
    })
}

fn ask(command: &[&str], stop: &AtomicBool) -> Result<String, String> {
    ask_within(command, ASKED, stop)
}

/// What a command writes to its standard output, or in one line why it failed.
pub(super) fn ask_within(command: &[&str], limit: Duration, stop: &AtomicBool) -> Result<String, String> {
    let (program, args) = command.split_first().ok_or("an empty command")?;
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_string()).collect();
    let scratch = scratch()?;
    let (ran, answer) = process::answer(program, &args, scratch.path(), limit, stop).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => "it is not installed".to_string(),
        kind => format!("it could not be run: {kind}"),
    })?;
    let words = last_words(&ran.said, &[]);
    match ran.ended {
        Ended::Done(true) => Ok(answer),
        Ended::Done(false) if words.is_empty() => Err(format!("`{}` failed without a word", command.join(" "))),
        Ended::Done(false) => Err(words),
        Ended::TimedOut => Err(format!("`{}` took longer than {} s", command.join(" "), limit.as_secs())),
        Ended::TooLoud => Err(format!("`{}` did not stop talking", command.join(" "))),
        Ended::Stopped => Err("stopped".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_references_without_their_tags() {
        assert_eq!(repository("warmset/a:1"), "warmset/a");
        assert_eq!(repository("registry.example:5000/warmset/a:1"), "registry.example:5000/warmset/a");
        assert_eq!(repository("registry.example:5000/warmset/a"), "registry.example:5000/warmset/a");
    }

    #[test]
    fn what_stores_say_of_an_image_is_read() {
        let id = "ab".repeat(32);
        let layers = serde_json::json!(["sha256:1", "sha256:2"]);
        let config = serde_json::json!({"Env": ["PATH=/usr/bin", "A=b=c", "broken"]});
        let docker = serde_json::json!([{"Id": format!("sha256:{id}"), "Size": 7, "RootFS": {"Layers": layers},
            "Config": config}]);
        let podman = serde_json::json!([{"Id": id, "Size": 7, "RootFS": {"Layers": layers}, "Config": config}]);
        let manifest = r#"{"layers":[{"size":3},{"size":4}]}"#;
        let buildah = serde_json::json!({"FromImageID": id, "Manifest": manifest, "OCIv1": {"rootfs": {"diff_ids": layers},
                "config": config}});
        let wanted = Image {
            digest: format!("sha256:{id}"),
            bytes: 7,
            layers: vec!["sha256:1".into(), "sha256:2".into()],
            environment: [("PATH".into(), "/usr/bin".into()), ("A".into(), "b=c".into())].into(),
        };
        assert_eq!(docker_image(&docker).unwrap(), wanted);
        assert_eq!(docker_image(&podman).unwrap(), wanted);
        assert_eq!(buildah_image(&buildah).unwrap(), wanted);
        let bare = serde_json::json!([{"Id": id, "Size": 7, "RootFS": {"Layers": layers}, "Config": {"Env": null}}]);
        assert!(docker_image(&bare).unwrap().environment.is_empty());
        assert_eq!(docker_image(&serde_json::json!([])), None);
        assert_eq!(docker_image(&serde_json::json!([{"Id": "short", "Size": 7, "RootFS": {"Layers": []}}])), None);
    }
}
