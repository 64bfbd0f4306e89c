//! What a Dockerfile asks of whoever builds it: its build arguments and its secrets.
//!
//! Read from the text, not remembered from when it was written: the plan folder may be older than this warmset, or edited.

use std::collections::{BTreeMap, BTreeSet};

/// Build arguments and secrets of a Dockerfile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Arguments that it declares, with their defaults.
    pub args: BTreeMap<String, Option<String>>,
    /// Ids of the secrets that its `RUN` instructions mount.
    pub secrets: BTreeSet<String>,
}

/// Reads a Dockerfile: `ARG NAME[=VALUE]` and `--mount=type=secret,id=ID`. The first declaration of an argument counts,
/// as a later one in a stage only makes it known there.
pub fn needs(text: &str) -> Needs {
    let mut needs = Needs::default();
    for line in text.lines().map(str::trim) {
        if line.starts_with('#') {
            continue;
        }
        let mut words = line.split_whitespace();
        if words.clone().next().is_some_and(|word| word.eq_ignore_ascii_case("ARG")) {
            for declared in words.skip(1) {
                let (name, value) = match declared.split_once('=') {
                    Some((name, value)) => (name, Some(value.trim_matches(['"', '\'']).to_string())),
                    None => (declared, None),
                };
                needs.args.entry(name.to_string()).or_insert(value);
            }
            continue;
        }
        for mount in words.by_ref().filter_map(|word| word.strip_prefix("--mount=")) {
            let fields: BTreeMap<&str, &str> = mount.split(',').filter_map(|field| field.split_once('=')).collect();
            if fields.get("type") == Some(&"secret") {
                // Without an id it is the last part of the target.
                let named = || fields.get("target").and_then(|target| target.rsplit('/').next()).map(str::to_string);
                needs.secrets.extend(fields.get("id").map(|id| (*id).to_string()).or_else(named));
            }
        }
    }
    needs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_and_secrets_are_read_wherever_they_stand() {
        let needs = needs(
            "# ARG NOT=this --mount=type=secret,id=nor_this\n\
             ARG BASE_IMAGE=python:3.11-slim@sha256:ab\narg PARENT_IMAGE=\"warmset/x:1\"\nFROM ${BASE_IMAGE} AS build\n\
             RUN --mount=type=cache,target=/root/.cache/pip \\\n    --mount=type=secret,id=pip_conf,target=/etc/pip.conf \\\n    \
             --mount=type=secret,id=ca \\\n    --mount=type=secret,target=/root/.netrc \\\n    pip install x\nARG BASE_IMAGE\nARG ONLY\n",
        );
        let arg = |name: &str| needs.args[name].clone();
        assert_eq!(arg("BASE_IMAGE").as_deref(), Some("python:3.11-slim@sha256:ab"));
        assert_eq!(arg("PARENT_IMAGE").as_deref(), Some("warmset/x:1"));
        assert_eq!(arg("ONLY"), None);
        assert_eq!(needs.args.len(), 3);
        assert_eq!(needs.secrets, [".netrc", "ca", "pip_conf"].map(String::from).into());
    }
}
