//! The Dockerfile of an image: two stages, everything pinned, no index host, no secret in a layer.
//!
//! The packages are installed in a stage of their own from the base image, and copied into a stage that starts from
//! the parent (or the base). So a child's build needs no root in its parent's image, its layers come on top of its
//! parent's, and the tools of the build stay behind. Labels stand last, as they are what changes most.
//!
//! Locks are copied, not bind-mounted: buildah's layer cache knows a `RUN` by its text, so that two images with equal
//! commands would get each other's packages, while the content of what is copied is part of every builder's key.

use super::node_lock::NodeLock;
use super::preload;
use super::requirements_lock::RequirementsLock;
use super::view::View;
use crate::model::Language;

/// User and group of the warm host: the number that distroless images use for their unprivileged user.
pub const USER: &str = "65532:65532";

/// Official images leave the standard library's bytecode out, and the warm host may not write it: without this, each
/// start and each function compiles what it loads of it anew (2.5 to 4 times the CPU time of common imports).
const STANDARD_LIBRARY: [&str; 5] = [
    "# Bytecode of the standard library, about 12 MB. Official images lack it, and the host may not write it: it would be",
    "# compiled again at every start and in every function.",
    "RUN python -m compileall -q -j 0 --invalidation-mode unchecked-hash -x '/(site|dist)-packages/' \\",
    "        \"$(python -c 'import sysconfig; print(sysconfig.get_path(\"stdlib\"))')\" \\",
    "    || echo 'parts of the standard library stay uncompiled' >&2",
];

/// Lines of a Dockerfile with one blank line between its parts.
struct Text(String);

impl Text {
    fn part(&mut self, lines: &[&str]) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        for line in lines {
            self.0.push_str(line);
            self.0.push('\n');
        }
    }
}

/// The Dockerfile of a Python image.
pub fn python(view: &View<'_>, base: &str, lock: &RequirementsLock) -> String {
    let on_parent = view.parent.is_some();
    let installs = lock.hashed || lock.unhashed.is_some();
    let builds = installs || !on_parent;
    let mut text = head(view, base);
    if builds {
        text.part(&[
            "# build installs the locked packages; only /opt/warm leaves this stage",
            "FROM ${BASE_IMAGE} AS build",
        ]);
    }
    let pip = |flags: &str, target: &str, file: &str| {
        format!(
            "COPY {file} /tmp/\n\
             RUN --mount=type=cache,target=/root/.cache/pip \\\n    \
                 --mount=type=secret,id=pip_conf,target=/etc/pip.conf \\\n    \
                 --mount=type=secret,id=ca \\\n    \
                 python -m pip install --disable-pip-version-check --no-input --no-compile --no-deps{flags} \\\n        \
                 --target {target} --requirement /tmp/{file}"
        )
    };
    let secrets = [
        "# Index settings come as the build secret pip_conf (a pip.conf), a private certificate authority as the",
        "# secret ca (`cert = /run/secrets/ca` in that pip.conf). Both are optional, and neither stays in a layer.",
    ];
    if lock.hashed {
        text.part(&[secrets[0], secrets[1], &pip(" --require-hashes", "/opt/warm", "requirements.lock")]);
    }
    if lock.unhashed.is_some() {
        text.part(&[
            "# WITHOUT HASHES: no lock of the fleet has hashes for what requirements.unhashed.lock lists. Apart from the",
            "# others, as pip does not merge into a target that exists; lock with hashes to make this step go away.",
            &pip("", "/opt/unhashed", "requirements.unhashed.lock"),
        ]);
    }
    let folders = if on_parent { "/opt/warm" } else { "/opt/warm /run/warmset" };
    if installs {
        let merge = if lock.unhashed.is_some() { " && cp -a /opt/unhashed/. /opt/warm/" } else { "" };
        text.part(&[
            "# Bytecode that is never checked against its source: the image cannot change, and the host may not write it.",
            "# Packages ship files for other versions of Python (templates, tests): what does not compile stays source.",
            &format!("RUN mkdir -p {folders}{merge} \\"),
            "    && { python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/warm \\",
            "        || echo 'some files are no source for this Python: they stay uncompiled' >&2; }",
        ]);
    } else if builds {
        text.part(&[&format!("RUN mkdir -p {folders}")]);
    }
    stage(&mut text, view, builds.then_some("/opt/warm /opt/warm"));
    labels(&mut text, view);
    text.0
}

/// The Dockerfile of a Node image.
pub fn node(view: &View<'_>, base: &str, lock: &NodeLock) -> String {
    let mut text = head(view, base);
    text.part(&[
        "# build installs the locked packages; only their folders leave this stage",
        "FROM ${BASE_IMAGE} AS build",
        "WORKDIR /opt/warm",
    ]);
    if !view.packages.is_empty() {
        let unhashed = format!("# WITHOUT INTEGRITY, as no lock of the fleet has it: {}.", lock.unhashed.join(", "));
        let mut lines = vec![
            "# Registry settings come as the build secret npmrc (an .npmrc), a private certificate authority as the secret",
            "# ca (`cafile=/run/secrets/ca` in that .npmrc). Both are optional, and neither stays in a layer.",
            "# Install scripts do not run: packages with native parts ship them prebuilt as packages of their own. Drop",
            "# --ignore-scripts only for a package that compiles on installation.",
        ];
        if !lock.unhashed.is_empty() {
            lines.push(&unhashed);
        }
        lines.extend([
            "COPY package.json package-lock.json /opt/warm/",
            "RUN --mount=type=cache,target=/root/.npm \\",
            "    --mount=type=secret,id=npmrc,target=/root/.npmrc \\",
            "    --mount=type=secret,id=ca \\",
            "    npm ci --omit=dev --ignore-scripts --no-audit --no-fund",
        ]);
        text.part(&lines);
    }
    text.part(&["RUN mkdir -p /opt/warm/node_modules /run/warmset"]);
    stage(&mut text, view, Some("/opt/warm/node_modules /opt/warm/node_modules"));
    labels(&mut text, view);
    text.0
}

fn head(view: &View<'_>, base: &str) -> Text {
    // No `# syntax=` line: BuildKit would fetch that frontend from a registry for every build, also where all bases are
    // local, and its own knows all that stands here since Docker 20.10.
    let mut text = Text(String::new());
    let what = match view.packages.as_slice() {
        [] => "the interpreter alone".to_string(),
        [one] => one.spec(),
        [first, rest @ ..] => format!("{} and {} more", first.spec(), rest.len()),
    };
    text.part(&[
        &format!("# Image {}: {what}, on {}.", view.image.id, view.image.platform),
        "# Made by warmset: plan again rather than edit it.",
    ]);
    text.part(&["# BASE_IMAGE is name:tag, or name:tag@sha256:digest to pin it", &format!("ARG BASE_IMAGE={base}")]);
    if let Some(parent) = view.parent {
        text.part(&[
            "# PARENT_IMAGE is the image that this one adds to",
            &format!("ARG PARENT_IMAGE={}", super::view::reference(&parent.id)),
        ]);
    }
    text
}

/// The stage that becomes the image. `copy` is what it takes from the build stage: from where, to where.
fn stage(text: &mut Text, view: &View<'_>, copy: Option<&str>) {
    let on_parent = view.parent.is_some();
    let language = view.language();
    let (base, what) = if on_parent {
        ("PARENT_IMAGE", "its parent's layers and what it adds")
    } else {
        ("BASE_IMAGE", "the base and the packages")
    };
    let mut lines = vec![format!("# warm is the image: {what}"), format!("FROM ${{{base}}} AS warm")];
    if !on_parent && language == Language::Python {
        // Right after FROM and the same everywhere, so that all images on a base have the layer in common.
        lines.extend(STANDARD_LIBRARY.map(String::from));
    }
    if !on_parent {
        let pairs: Vec<String> =
            preload::environment(language).iter().map(|(name, value)| format!("{name}={value}")).collect();
        lines.push(format!("ENV {}", pairs.join(" \\\n    ")));
        // Packages are root's and read-only for the host; the socket's folder is the host's own.
        lines.push(format!("COPY --from=build --chown={USER} /run/warmset /run/warmset"));
    }
    lines.extend(copy.map(|paths| format!("COPY --from=build {paths}")));
    let (host, folder) = (preload::host(language).0, preload::host_folder(language));
    lines.push(format!("COPY --chmod=0444 {host} preload.json {folder}/"));
    lines.push("WORKDIR /opt/warm".to_string());
    lines.push(format!("USER {USER}"));
    let interpreter = interpreter(language);
    lines.push(format!("ENTRYPOINT [\"{interpreter}\", \"{folder}/{host}\", \"{folder}/preload.json\"]"));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    text.part(&lines);
}

/// Command that runs a language inside its images.
pub fn interpreter(language: Language) -> &'static str {
    match language {
        Language::Python => "python",
        Language::Node => "node",
    }
}

/// The `ARG` makes the global argument known inside the stage, for the label alone.
fn labels(text: &mut Text, view: &View<'_>) {
    let image = view.image;
    let base = if view.parent.is_some() { "PARENT_IMAGE" } else { "BASE_IMAGE" };
    let count = match view.packages.len() {
        1 => "1 package".to_string(),
        n => format!("{n} packages"),
    };
    let mut pairs = vec![
        ("org.opencontainers.image.title", quote(&image.id)),
        (
            "org.opencontainers.image.description",
            quote(&format!("Warm image with {count} loaded, for functions on {}", image.platform)),
        ),
        ("org.opencontainers.image.base.name", format!("\"${{{base}}}\"")),
        ("warmset.image", quote(&image.id)),
        ("warmset.platform", quote(&image.platform.to_string())),
        ("warmset.trust-domain", quote(&image.trust_domain)),
    ];
    if let Some(parent) = view.parent {
        pairs.push(("warmset.parent", quote(&parent.id)));
    }
    let pairs: Vec<String> = pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    text.part(&[&format!("ARG {base}"), &format!("LABEL {}", pairs.join(" \\\n      "))]);
}

/// A value in double quotes, in which nothing is a variable, an escape or the end.
fn quote(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' | '$' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn quoted_values_end_where_they_should() {
        assert_eq!(quote("plain"), "\"plain\"");
        assert_eq!(quote("a\"b\\c$d\ne"), "\"a\\\"b\\\\c\\$d e\"");
    }
}
