//! What a Dockerfile builds: stages with what they copy, where they work and what they run.
//!
//! Supported: continuation lines, comments, heredocs, `ARG` and `ENV` with `${X}` and `${X:-default}`, stages that build
//! on stages, `COPY` and `ADD` of local paths, `COPY --from` of stages, `WORKDIR`, `CMD` and `ENTRYPOINT` in both forms.
//! Nothing is run: what `RUN` writes is not known.
//! <https://docs.docker.com/reference/dockerfile/>

use std::collections::BTreeMap;

use super::{paths, runtime};
use crate::model::Language;

/// Longest text that substitution may make.
const MAX_TEXT: usize = 16_384;
/// Copies followed through stages.
const MAX_COPIES: usize = 4_096;

/// One stage, with what it takes over from the stage it builds on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stage {
    /// Name after `AS`.
    pub name: String,
    /// The image that it rests on, and the line of the `FROM` that names it.
    pub image: String,
    pub line: u32,
    /// Where commands run; absolute.
    pub workdir: String,
    /// Local path, path in the image.
    pub copies: Vec<Copy>,
    pub cmd: Vec<String>,
    pub entrypoint: Vec<String>,
    /// Commands of `RUN`, with the folder in which each runs.
    pub runs: Vec<(u32, String, String)>,
    env: BTreeMap<String, String>,
}

/// A local file or folder in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copy {
    /// As written, relative to the context.
    pub local: String,
    /// Absolute. With `into`, what is copied lies below it by its name if it is a file; a folder's contents lie in it.
    pub to: String,
    pub into: bool,
    /// A part of what another stage copied: it may not exist.
    pub part: bool,
}

/// What an image's name says: language, version where it says one, libc.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    pub language: Language,
    pub version: Option<String>,
    pub libc: &'static str,
    /// One of AWS Lambda's images: `CMD` is the handler.
    pub lambda: bool,
}

/// An absolute path from a base and a path, `.` and `..` worked out.
pub(crate) fn absolute(base: &str, path: &str) -> String {
    let path = path.trim();
    let joined = if path.starts_with('/') { path.to_string() } else { format!("{base}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Instructions with their lines, continuation lines joined.
fn instructions(text: &str) -> Vec<(u32, String)> {
    let mut out = Vec::new();
    let mut lines = (1u32..).zip(text.lines());
    let escape = if text.lines().take(5).any(|l| l.replace(' ', "").starts_with("#escape=`")) { '`' } else { '\\' };
    while let Some((number, line)) = lines.next() {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let mut joined = line.trim().to_string();
        while joined.ends_with(escape) {
            joined.pop();
            let Some((_, more)) = lines.find(|(_, l)| !l.trim_start().starts_with('#')) else { break };
            joined.push(' ');
            joined.push_str(more.trim());
            if joined.len() > MAX_TEXT {
                break;
            }
        }
        // A heredoc's lines are the script or file that it holds.
        let word = joined.split("<<").nth(1).map(|w| w.trim_start_matches('-').trim_matches(['"', '\'']));
        let word = word.and_then(|w| w.split_whitespace().next()).map(str::to_string);
        if let Some(word) = word.filter(|w| w.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !w.is_empty()) {
            let is_run = joined.get(..3).is_some_and(|k| k.eq_ignore_ascii_case("run"));
            for (_, line) in lines.by_ref() {
                if line.trim() == word {
                    break;
                }
                if is_run && joined.len() < MAX_TEXT {
                    joined.push_str(" ; ");
                    joined.push_str(line.trim());
                }
            }
        }
        out.push((number, joined));
    }
    out
}

fn fill(text: &str, values: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let (name, fallback, after) = if let Some(inner) = rest.strip_prefix('{') {
            let Some(end) = inner.find('}') else { break };
            let body = &inner[..end];
            let (name, fallback) = body.split_once(":-").map_or((body, ""), |(n, f)| (n, f));
            (name, fallback, &inner[end + 1..])
        } else {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            (&rest[..end], "", &rest[end..])
        };
        match values.get(name) {
            Some(value) => out.push_str(value),
            None => out.push_str(fallback),
        }
        rest = after;
        if out.len() > MAX_TEXT {
            return out;
        }
    }
    out.push_str(rest);
    out
}

/// Words of the exec form (a JSON array) or of a shell's line.
fn words(text: &str) -> Vec<String> {
    if let Ok(list) = serde_json::from_str::<Vec<String>>(text) {
        return list;
    }
    text.split_whitespace().map(|w| w.trim_matches(['"', '\'']).to_string()).collect()
}

/// The stages of a Dockerfile, the last one being what is built.
pub(crate) fn stages(text: &str) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    let mut globals: BTreeMap<String, String> = BTreeMap::new();
    for (line, instruction) in instructions(text) {
        let (keyword, rest) = instruction.split_once(char::is_whitespace).unwrap_or((&instruction, ""));
        let (keyword, rest) = (keyword.to_ascii_uppercase(), rest.trim());
        if keyword == "FROM" {
            let filled = fill(rest, &globals);
            let parts: Vec<&str> = filled.split_whitespace().filter(|w| !w.starts_with("--")).collect();
            let Some(image) = parts.first() else { continue };
            let name = parts.get(2).copied().unwrap_or_default().to_ascii_lowercase();
            let base = stages.iter().rev().find(|s| !s.name.is_empty() && s.name == image.to_ascii_lowercase());
            let mut stage = base.cloned().unwrap_or_else(|| Stage {
                image: (*image).to_string(),
                line,
                // Lambda's images work where the code is put.
                workdir: if base_of(image).is_some_and(|b| b.lambda) { "/var/task".into() } else { "/".into() },
                env: if base_of(image).is_some_and(|b| b.lambda) {
                    BTreeMap::from([("LAMBDA_TASK_ROOT".to_string(), "/var/task".to_string())])
                } else {
                    BTreeMap::new()
                },
                ..Stage::default()
            });
            stage.name = name;
            stages.push(stage);
            continue;
        }
        let Some(at) = stages.len().checked_sub(1) else {
            if keyword == "ARG"
                && let Some((name, value)) = rest.split_once('=')
            {
                globals.insert(name.trim().to_string(), fill(value.trim().trim_matches(['"', '\'']), &globals));
            }
            continue;
        };
        let env = stages[at].env.clone();
        match keyword.as_str() {
            "ARG" => {
                let (name, value) = rest.split_once('=').map_or((rest, None), |(n, v)| (n, Some(v)));
                let value =
                    value.map(|v| fill(v.trim_matches(['"', '\'']), &env)).or_else(|| globals.get(name).cloned());
                stages[at].env.entry(name.to_string()).or_insert(value.unwrap_or_default());
            }
            "ENV" => {
                // `ENV A=b C=d`, or the old `ENV A b`.
                let pairs: Vec<(String, String)> = if rest.split_whitespace().next().is_some_and(|w| w.contains('=')) {
                    let pairs = rest.split_whitespace().filter_map(|w| w.split_once('='));
                    pairs.map(|(n, v)| (n.to_string(), fill(v.trim_matches(['"', '\'']), &env))).collect()
                } else {
                    let pair = rest.split_once(char::is_whitespace);
                    pair.map(|(n, v)| (n.to_string(), fill(v.trim(), &env))).into_iter().collect()
                };
                stages[at].env.extend(pairs);
            }
            "WORKDIR" => stages[at].workdir = absolute(&stages[at].workdir, fill(rest, &env).trim_matches(['"', '\''])),
            "CMD" => stages[at].cmd = words(&fill_shell(rest, &env)),
            "ENTRYPOINT" => {
                stages[at].entrypoint = words(&fill_shell(rest, &env));
                // An entry point of its own takes back the command of the image beneath.
                stages[at].cmd = Vec::new();
            }
            "RUN" => {
                let run = (line, stages[at].workdir.clone(), fill(rest, &env));
                stages[at].runs.push(run);
            }
            "COPY" | "ADD" => copy(&mut stages, at, &fill(rest, &env)),
            _ => {}
        }
    }
    stages
}

/// The exec form is filled in by no shell.
fn fill_shell(text: &str, env: &BTreeMap<String, String>) -> String {
    if text.starts_with('[') { text.to_string() } else { fill(text, env) }
}

fn copy(stages: &mut [Stage], at: usize, rest: &str) {
    let from = rest.split_whitespace().find_map(|w| w.strip_prefix("--from="));
    let bare: Vec<&str> = rest.split_whitespace().skip_while(|w| w.starts_with("--")).collect();
    let bare = bare.join(" ");
    let mut parts = words(&bare);
    let Some(to) = parts.pop() else { return };
    let into = parts.len() > 1 || to.ends_with('/') || matches!(to.as_str(), "." | "..");
    let target = absolute(&stages[at].workdir, &to);
    let into = into || target == stages[at].workdir;
    let mut copies = Vec::new();
    match from {
        None => {
            for local in parts.iter().filter(|p| !p.contains("://") && !p.starts_with("<<")) {
                copies.push(Copy {
                    local: local.trim_start_matches('/').to_string(),
                    to: target.clone(),
                    into,
                    part: false,
                });
            }
        }
        Some(from) => {
            let number = from.parse::<usize>().ok();
            let source = stages[..at]
                .iter()
                .enumerate()
                .rev()
                .find(|(n, s)| s.name == from.to_ascii_lowercase() || Some(*n) == number);
            let Some((_, source)) = source else { return };
            for path in &parts {
                let path = absolute(&source.workdir, path);
                for copied in &source.copies {
                    let name = paths::file_name(&copied.local);
                    if copied.into && name.contains('.') && !matches!(name, "." | "..") {
                        // By its name a file.
                        let whole = absolute(&copied.to, name);
                        if let Some(rest) = below(&whole, &path) {
                            let to = absolute(&target, rest);
                            copies.push(Copy { into: into && rest.is_empty(), to, ..copied.clone() });
                        }
                    } else if let Some(rest) = below(&copied.to, &path) {
                        copies.push(Copy { to: absolute(&target, rest), ..copied.clone() });
                    } else if let Some(rest) = below(&path, &copied.to) {
                        // A part of what was copied.
                        let local = format!("{}/{rest}", copied.local.trim_end_matches('/'));
                        copies.push(Copy { local, to: target.clone(), into, part: true });
                    }
                }
                // What was installed there was installed by the commands of that stage.
            }
            let runs = source.runs.clone();
            stages[at].runs.extend(runs);
        }
    }
    let room = MAX_COPIES.saturating_sub(stages[at].copies.len());
    stages[at].copies.extend(copies.into_iter().take(room));
}

/// What of `path` lies below `dir`.
pub(crate) fn below<'a>(path: &'a str, dir: &str) -> Option<&'a str> {
    if path == dir || dir == "/" {
        return Some(path.strip_prefix(dir)?.trim_start_matches('/'));
    }
    path.strip_prefix(dir)?.strip_prefix('/')
}

/// What the name of an image says.
pub(crate) fn base_of(image: &str) -> Option<Base> {
    let image = image.split('@').next().unwrap_or(image);
    let (name, tag) = match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, ""),
    };
    let last = paths::file_name(name).to_ascii_lowercase();
    let libc = if tag.contains("alpine") || last.contains("alpine") { "musl" } else { "glibc" };
    // Lambda's own images write `3.12` and `20`, older ones `3.12.2023.11.01`; Docker Hub's `3.12.1-slim`.
    let number = tag.split('-').next().unwrap_or(tag);
    let number = |language| {
        // Of a date, the first two parts of a Python version are the version.
        let parts: Vec<&str> = number.split('.').take(2).collect();
        runtime::version(language, &parts.join("."))
    };
    let lambda = name.contains("lambda/python") || name.contains("lambda/nodejs") || last.starts_with("aws-lambda-");
    let made = |language, version| Some(Base { language, version, libc, lambda });
    match last.as_str() {
        "python" if name.contains("azure-functions") => return by_tag(tag, libc),
        "node" if name.contains("azure-functions") => return by_tag(tag, libc),
        "python" | "aws-lambda-python" => return made(Language::Python, number(Language::Python)),
        "node" | "nodejs" | "aws-lambda-nodejs" => return made(Language::Node, number(Language::Node)),
        _ => {}
    }
    if name.contains("distroless/") {
        // Which Python a Debian release has.
        let python = match last.as_str() {
            "python3-debian11" => Some("3.9"),
            "python3-debian12" => Some("3.11"),
            "python3-debian13" => Some("3.13"),
            _ => None,
        };
        if last.starts_with("python3") {
            return made(Language::Python, python.map(str::to_string));
        }
        if let Some(rest) = last.strip_prefix("nodejs") {
            let number = rest.split('-').next().unwrap_or("");
            return made(Language::Node, runtime::version(Language::Node, number));
        }
    }
    // `python3.12-bookworm-slim` of an image that is called otherwise.
    if last == "uv" || name.contains("azure-functions") { by_tag(tag, libc) } else { None }
}

fn by_tag(tag: &str, libc: &'static str) -> Option<Base> {
    tag.split('-').find_map(|word| match runtime::parse(word) {
        runtime::Runtime::Version(language, version) => {
            Some(Base { language, version: Some(version), libc, lambda: false })
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_names_tell_language_version_and_libc() {
        let base = |image: &str| {
            base_of(image).map(|b| (b.language.to_string(), b.version.unwrap_or_default(), b.libc, b.lambda))
        };
        let some = |l: &str, v: &str, libc, lambda| Some((l.to_string(), v.to_string(), libc, lambda));
        for (image, expected) in [
            ("python:3.12.1-slim", some("python", "3.12", "glibc", false)),
            ("registry.example/lambda/python:3.12.2023.11.01", some("python", "3.12", "glibc", true)),
            ("amazon/aws-lambda-nodejs:18", some("node", "18", "glibc", true)),
            ("node:20-alpine3.19", some("node", "20", "musl", false)),
            ("node:lts", some("node", "", "glibc", false)),
            ("python", some("python", "", "glibc", false)),
            ("host.example:5000/python:3.9", some("python", "3.9", "glibc", false)),
            ("gcr.io/distroless/python3-debian12", some("python", "3.11", "glibc", false)),
            ("gcr.io/distroless/nodejs20-debian12:nonroot", some("node", "20", "glibc", false)),
            ("ghcr.io/astral-sh/uv:python3.13-bookworm", some("python", "3.13", "glibc", false)),
            ("mcr.microsoft.com/azure-functions/python:4-python3.11", some("python", "3.11", "glibc", false)),
            ("tensorflow/tensorflow:2.15.0", None),
            ("scratch", None),
        ] {
            assert_eq!(base(image), expected, "{image}");
        }
    }

    #[test]
    fn stages_arguments_and_copies_are_followed() {
        let text = "# syntax=docker/dockerfile:1\nARG PY=3.11\nFROM python:${PY}-slim AS Build\nWORKDIR /src\nCOPY requirements.txt ./\nRUN pip install \\\n  # a comment\n  -r requirements.txt\nCOPY app/ ./app\nFROM python:$PY\nENV HOME=/srv\nWORKDIR $HOME\nCOPY --from=build /src/app .\nCOPY --chown=1:1 conf.toml main.py /srv/\nENTRYPOINT [\"python\", \"-m\"]\nCMD [\"main\"]\n";
        let stages = stages(text);
        let [build, last] = &stages[..] else { panic!("{stages:?}") };
        assert_eq!((build.name.as_str(), build.image.as_str()), ("build", "python:3.11-slim"));
        assert_eq!(
            build.runs[0].2.split_whitespace().collect::<Vec<_>>(),
            ["pip", "install", "-r", "requirements.txt"]
        );
        assert_eq!((last.image.as_str(), last.workdir.as_str(), last.line), ("python:3.11", "/srv", 10));
        let copied: Vec<_> = last.copies.iter().map(|c| (c.local.as_str(), c.to.as_str(), c.into)).collect();
        assert_eq!(copied, [("app/", "/srv", false), ("conf.toml", "/srv", true), ("main.py", "/srv", true)]);
        assert_eq!((last.entrypoint.len(), last.cmd.as_slice()), (2, ["main".to_string()].as_slice()));
    }

    #[test]
    fn a_stage_on_a_stage_takes_over_what_it_has() {
        let text = "FROM node:18.12-alpine as base\nWORKDIR /a\nCOPY . .\nCMD node x.js\nFROM base\nRUN <<EOF\nnpm ci\nEOF\nCOPY <<X /y\nFROM z\nX\n";
        let stages = stages(text);
        assert_eq!(stages.len(), 2);
        assert_eq!((stages[1].image.as_str(), stages[1].workdir.as_str()), ("node:18.12-alpine", "/a"));
        assert_eq!(stages[1].cmd, ["node", "x.js"]);
        assert!(stages[1].runs[0].2.contains("npm ci"));
    }

    #[test]
    fn substitution_ends() {
        let mut text = String::from("ARG A=xxxxxxxxxx\n");
        for _ in 0..64 {
            text.push_str("ARG A=$A$A\n");
        }
        text.push_str("FROM $A\n");
        assert!(stages(&text)[0].image.len() <= 4 * MAX_TEXT);
        assert_eq!(stages("FROM a\nRUN echo \\"), stages("FROM a\nRUN echo \\"));
    }
}
