//! hadolint's rules and BuildKit's build checks, as their documentation gives them, over every kind of Dockerfile that
//! warmset writes. Each rule comes with a Dockerfile that breaks it, so that a check that sees nothing fails here.
//!
//! Left out: hadolint's rules for package managers that no generated file may name at all (yum, dnf, zypper, gem:
//! `NO-FOREIGN` stands for them), DL3026 (a list of registries that the reader sets), DL3057 (off by default: a warm
//! host is watched by its runtime), and BuildKit's InvalidBaseImagePlatform, which needs the image itself.

mod parse;

use std::collections::BTreeSet;

use parse::{Dockerfile, Instruction, variables};
use serde_json::Value;
use warmset::emit::{EmitOptions, emit};
use warmset::model::{Inventory, Plan};

/// True when the file breaks the rule.
type Check = fn(&Dockerfile) -> bool;

fn has(command: &[String], words: &[&str]) -> bool {
    words.iter().all(|w| command.iter().any(|c| c == w))
}

fn program(command: &[String]) -> &str {
    command.first().map_or("", |c| c.rsplit('/').next().unwrap_or(c))
}

fn any_command(d: &Dockerfile, test: impl Fn(&[String]) -> bool) -> bool {
    d.runs().any(|c| test(&c))
}

fn is_pip_install(c: &[String]) -> bool {
    (program(c).starts_with("pip") || has(c, &["-m", "pip"])) && has(c, &["install"])
}

/// Arguments that are neither flags nor the values of the flags that the generator uses.
fn packages_after<'a>(c: &'a [String], verb: &str) -> Vec<&'a str> {
    let start = c.iter().position(|w| w == verb).map_or(c.len(), |at| at + 1);
    let valued = ["--target", "-t", "--requirement", "-r", "--constraint", "-c"];
    let mut out = Vec::new();
    let mut skip = false;
    for word in &c[start..] {
        if !skip && !word.starts_with('-') && !word.starts_with('>') {
            out.push(word.as_str());
        }
        skip = valued.contains(&word.as_str());
    }
    out
}

fn labels(d: &Dockerfile) -> Vec<(String, String)> {
    d.all("label").flat_map(Instruction::pairs).map(|(k, v)| (k, v.unwrap_or_default())).collect()
}

fn label_fails(d: &Dockerfile, key: &str, good: impl Fn(&str) -> bool) -> bool {
    labels(d).iter().any(|(k, v)| k == &format!("org.opencontainers.image.{key}") && !good(v))
}

fn twice_in_a_stage(d: &Dockerfile, keyword: &str) -> bool {
    d.by_stage().iter().any(|s| s.iter().filter(|i| i.is(keyword)).count() > 1)
}

fn names_before(d: &Dockerfile, stage: Option<usize>) -> Vec<String> {
    let end = stage.unwrap_or(0);
    d.stages[..end].iter().enumerate().flat_map(|(at, s)| [Some(at.to_string()), s.name.clone()]).flatten().collect()
}

fn targets_of_copies(d: &Dockerfile) -> impl Iterator<Item = (Vec<String>, String, &Instruction)> {
    d.all("copy").filter_map(|i| {
        let mut words = match serde_json::from_str::<Vec<String>>(&i.rest) {
            Ok(words) => words,
            Err(_) => i.words(),
        };
        let target = words.pop()?;
        Some((words, target, i))
    })
}

fn sensitive(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["secret", "token", "passw", "pwd", "credential", "apikey", "api_key", "private_key", "access_key", "auth"]
        .iter()
        .any(|w| name.contains(w))
}

fn is_latest(image: &str) -> bool {
    !image.contains('@') && image.rsplit('/').next().is_some_and(|last| last.ends_with(":latest"))
}

fn is_untagged(d: &Dockerfile, stage: usize, image: &str) -> bool {
    let known = names_before(d, Some(stage)).iter().any(|n| n == image);
    !known && image != "scratch" && !image.contains('@') && !image.rsplit('/').next().is_some_and(|l| l.contains(':'))
}

fn is_reference(image: &str) -> bool {
    !image.is_empty()
        && image.chars().all(|c| c.is_ascii_alphanumeric() || "./-_:@".contains(c))
        && image.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !image.ends_with(['/', ':', '@'])
}

/// Variables that are used in an instruction of a stage but that neither it nor the base can define.
fn undefined_variable(d: &Dockerfile) -> bool {
    d.by_stage().iter().any(|stage| {
        let mut known: BTreeSet<String> = ["PATH".to_string()].into();
        stage.iter().any(|i| {
            if i.is("from") || i.is("run") || i.is("cmd") || i.is("entrypoint") {
                return false;
            }
            let missing = variables(&i.rest).iter().any(|v| !known.contains(v));
            if i.is("arg") || i.is("env") {
                known.extend(i.pairs().into_iter().map(|(k, _)| k));
            }
            missing
        })
    })
}

/// A comment right above `FROM … AS name` or `ARG name` describes it, and so begins with the name.
fn bad_description(d: &Dockerfile) -> bool {
    d.instructions.iter().any(|i| {
        let name = if i.is("arg") {
            i.pairs().first().map(|(k, _)| k.clone())
        } else if i.is("from") {
            i.stage.and_then(|s| d.stages[s].name.clone())
        } else {
            None
        };
        let directive = |c: &str| c.starts_with("syntax=") || c.starts_with("escape=") || c.starts_with("check=");
        match (name, &i.comment) {
            (Some(name), Some(comment)) => !directive(comment) && comment.split(' ').next() != Some(&name),
            _ => false,
        }
    })
}

/// Copies and bind mounts of context files that .dockerignore keeps out; understands `*` and `!name`.
fn copies_ignored(d: &Dockerfile) -> bool {
    if !d.ignore.iter().any(|l| l == "*") {
        return targets_of_copies(d).any(|(from, _, i)| {
            i.flag("from").is_none() && from.iter().any(|f| d.ignore.iter().any(|l| l == f.trim_start_matches("./")))
        });
    }
    let kept = |name: &str| d.ignore.iter().any(|l| l.strip_prefix('!') == Some(name));
    let copied = targets_of_copies(d).any(|(from, _, i)| i.flag("from").is_none() && !from.iter().all(|f| kept(f)));
    let mounted = d.all("run").flat_map(|i| &i.flags).any(|f| {
        f.contains("type=bind") && f.split(',').find_map(|p| p.strip_prefix("source=")).is_some_and(|s| !kept(s))
    });
    copied || mounted
}

fn casings(d: &Dockerfile) -> bool {
    let upper = |i: &Instruction| i.keyword.chars().all(|c| c.is_ascii_uppercase());
    let lower = |i: &Instruction| i.keyword.chars().all(|c| c.is_ascii_lowercase());
    !(d.instructions.iter().all(upper) || d.instructions.iter().all(lower))
}

fn from_as_casing(d: &Dockerfile) -> bool {
    d.all("from").any(|i| {
        let Some(word) = i.words().get(1).cloned() else { return false };
        i.keyword.chars().all(char::is_uppercase) != word.chars().all(char::is_uppercase)
    })
}

fn consecutive_runs(d: &Dockerfile) -> bool {
    d.instructions.windows(2).any(|pair| {
        let [a, b] = pair else { return false };
        a.is("run") && b.is("run") && a.flags == b.flags && a.commands().len() <= 2 && b.commands().len() <= 2
    })
}

fn legacy_pairs(d: &Dockerfile) -> bool {
    d.instructions
        .iter()
        .filter(|i| i.is("env") || i.is("label"))
        .any(|i| i.pairs().iter().any(|(_, value)| value.is_none()))
}

const B: &str = "FROM a:1 AS b\n";

#[rustfmt::skip]
fn hadolint() -> Vec<(&'static str, String, Check)> {
    let bad = |text: &str| format!("{B}{text}\n");
    vec![
        ("DL1001", bad("# hadolint ignore=DL3008\nRUN x"), |d| d.comments.iter().any(|c| c.contains("hadolint ignore"))),
        ("DL3000", bad("WORKDIR app"), |d| d.all("workdir").any(|i| !i.rest.starts_with(['/', '$']))),
        ("DL3001", bad("RUN vim x"), |d| any_command(d, |c| ["ssh", "vim", "shutdown", "service", "ps", "free", "top", "kill", "mount", "ifconfig", "nano"].contains(&program(c)))),
        ("DL3002", bad("USER 0:0"), |d| d.by_stage().iter().any(|s| s.iter().rev().find(|i| i.is("user")).is_some_and(|i| ["root", "0"].contains(&i.rest.split(':').next().unwrap_or(""))))),
        ("DL3003", bad("RUN cd /x && make"), |d| any_command(d, |c| program(c) == "cd")),
        ("DL3004", bad("RUN sudo x"), |d| any_command(d, |c| has(c, &["sudo"]))),
        ("DL3006", "ARG I=python\nFROM $I\n".into(), |d| d.stages.iter().enumerate().any(|(at, s)| is_untagged(d, at, &d.expand(&s.image)))),
        ("DL3007", "ARG I=python:latest\nFROM ${I}\n".into(), |d| d.stages.iter().any(|s| is_latest(&d.expand(&s.image)))),
        ("DL3008", bad("RUN apt-get install -y curl"), |d| any_command(d, |c| program(c) == "apt-get" && packages_after(c, "install").iter().any(|p| !p.contains('=')))),
        ("DL3009", bad("RUN apt-get update"), |d| any_command(d, |c| program(c) == "apt-get") && !d.all("run").any(|i| i.rest.contains("/var/lib/apt/lists"))),
        ("DL3010", bad("COPY x.tar.gz /x/"), |d| targets_of_copies(d).any(|(f, _, i)| i.flag("from").is_none() && f.iter().any(|f| [".tar", ".tar.gz", ".tgz", ".tar.xz", ".gz"].iter().any(|e| f.ends_with(e))))),
        ("DL3011", bad("EXPOSE 70000"), |d| d.all("expose").flat_map(Instruction::words).any(|w| w.split('/').next().and_then(|p| p.parse::<u32>().ok()).is_none_or(|p| p > 65535))),
        ("DL3012", bad("HEALTHCHECK NONE\nHEALTHCHECK NONE"), |d| twice_in_a_stage(d, "healthcheck")),
        ("DL3013", bad("RUN pip install flask"), |d| any_command(d, |c| is_pip_install(c) && !has(c, &["-r"]) && !has(c, &["--requirement"]) && packages_after(c, "install").iter().any(|p| !p.contains("==")))),
        ("DL3014", bad("RUN apt-get install curl=1"), |d| any_command(d, |c| program(c) == "apt-get" && has(c, &["install"]) && !has(c, &["-y"]))),
        ("DL3015", bad("RUN apt-get install -y curl=1"), |d| any_command(d, |c| program(c) == "apt-get" && has(c, &["install"]) && !has(c, &["--no-install-recommends"]))),
        ("DL3016", bad("RUN npm install express"), |d| any_command(d, |c| program(c) == "npm" && packages_after(c, "install").iter().any(|p| !p[1..].contains('@')))),
        ("DL3018", bad("RUN apk add curl"), |d| any_command(d, |c| program(c) == "apk" && packages_after(c, "add").iter().any(|p| !p.contains('=')))),
        ("DL3019", bad("RUN apk add curl=1"), |d| any_command(d, |c| program(c) == "apk" && has(c, &["add"]) && !has(c, &["--no-cache"]))),
        ("DL3020", bad("ADD x /x"), |d| d.all("add").any(|i| !i.rest.contains(".tar") && !i.rest.contains("://"))),
        ("DL3021", bad("COPY a b /c"), |d| targets_of_copies(d).any(|(f, t, _)| f.len() > 1 && !t.ends_with('/'))),
        ("DL3022", bad("COPY --from=nowhere /a /b"), |d| d.all("copy").any(|i| i.flag("from").is_some_and(|f| !f.contains(':') && !names_before(d, i.stage.map(|s| s + 1)).iter().any(|n| n == f)))),
        ("DL3023", bad("COPY --from=b /a /b"), |d| d.all("copy").any(|i| i.flag("from").is_some_and(|f| i.stage.and_then(|s| d.stages[s].name.as_deref()) == Some(f)))),
        ("DL3024", bad("FROM a:1 AS b"), |d| d.stages.iter().enumerate().any(|(at, s)| s.name.is_some() && d.stages[..at].iter().any(|o| o.name == s.name))),
        ("DL3025", bad("ENTRYPOINT python x"), |d| d.instructions.iter().any(|i| (i.is("cmd") || i.is("entrypoint")) && !i.is_exec_form())),
        ("DL3027", bad("RUN apt install x"), |d| any_command(d, |c| program(c) == "apt")),
        ("DL3029", "FROM --platform=linux/amd64 a:1\n".into(), |d| d.all("from").any(|i| i.flag("platform").is_some())),
        ("DL3042", bad("RUN pip install -r r.txt"), |d| d.all("run").any(|i| i.commands().iter().any(|c| is_pip_install(c) && !has(c, &["--no-cache-dir"])) && !i.flags.iter().any(|f| f.contains("type=cache") && f.contains(".cache/pip")))),
        ("DL3043", bad("ONBUILD FROM x:1"), |d| d.all("onbuild").any(|i| ["ONBUILD", "FROM", "MAINTAINER"].iter().any(|k| i.rest.starts_with(k)))),
        ("DL3044", bad("ENV A=1 B=$A"), |d| d.all("env").any(|i| { let own: Vec<String> = i.pairs().into_iter().map(|(k, _)| k).collect(); variables(&i.rest).iter().any(|v| own.contains(v)) })),
        ("DL3045", bad("COPY a b"), |d| d.by_stage().iter().any(|s| { let mut set = false; s.iter().any(|i| { set |= i.is("workdir"); i.is("copy") && !set && !i.words().last().is_some_and(|t| t.starts_with(['/', '$'])) }) })),
        ("DL3046", bad("RUN useradd -u 123456 x"), |d| any_command(d, |c| program(c) == "useradd" && !has(c, &["-l"]))),
        ("DL3047", bad("RUN wget x"), |d| any_command(d, |c| program(c) == "wget" && !c.iter().any(|w| w.starts_with("--progress")))),
        ("DL3048", bad("LABEL Bad..key=1"), |d| labels(d).iter().any(|(k, _)| !k.starts_with(|c: char| c.is_ascii_lowercase()) || !k.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()) || !k.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_/".contains(c)) || k.contains("..") || k.contains("--") || ["com.docker.", "io.docker.", "org.dockerproject."].iter().any(|p| k.starts_with(p)))),
        ("DL3049", bad("LABEL a=1"), |d| !["title", "description", "base.name"].iter().all(|k| labels(d).iter().any(|(key, _)| key == &format!("org.opencontainers.image.{k}")))),
        ("DL3050", bad("LABEL other.key=1"), |d| labels(d).iter().any(|(k, _)| !k.starts_with("org.opencontainers.image.") && !k.starts_with("warmset."))),
        ("DL3051", bad("LABEL a=\"\""), |d| labels(d).iter().any(|(_, v)| v.is_empty())),
        ("DL3052", bad("LABEL org.opencontainers.image.url=nope"), |d| ["url", "source", "documentation"].iter().any(|k| label_fails(d, k, |v| v.contains("://")))),
        ("DL3053", bad("LABEL org.opencontainers.image.created=today"), |d| label_fails(d, "created", |v| v.len() >= 20 && v.as_bytes()[10] == b'T')),
        ("DL3054", bad("LABEL org.opencontainers.image.licenses=mine"), |d| label_fails(d, "licenses", |v| v.split(" OR ").all(|l| ["MIT", "Apache-2.0"].contains(&l)))),
        ("DL3055", bad("LABEL org.opencontainers.image.revision=v1"), |d| label_fails(d, "revision", |v| v.len() >= 7 && v.bytes().all(|b| b.is_ascii_hexdigit()))),
        ("DL3056", bad("LABEL org.opencontainers.image.version=one"), |d| label_fails(d, "version", |v| semver::Version::parse(v).is_ok())),
        ("DL3058", bad("LABEL org.opencontainers.image.authors=me"), |d| label_fails(d, "authors", |v| v.contains('@'))),
        ("DL3059", bad("RUN a\nRUN b"), consecutive_runs),
        ("DL3060", bad("RUN yarn install"), |d| any_command(d, |c| program(c) == "yarn" && has(c, &["install"]))),
        ("DL3061", "WORKDIR /x\nFROM a:1\n".into(), |d| d.instructions.iter().any(|i| i.stage.is_none() && !i.is("arg"))),
        ("DL3062", bad("RUN go install x"), |d| any_command(d, |c| program(c) == "go" && packages_after(c, "install").iter().any(|p| !p.contains('@')))),
        ("DL3063", "FROM a:1 AS scratch\n".into(), |d| d.stages.iter().any(|s| matches!(s.name.as_deref(), Some("scratch" | "context")))),
        ("DL3064", bad("ENV NPM_TOKEN=x"), |d| d.instructions.iter().any(|i| (i.is("arg") || i.is("env")) && i.pairs().iter().any(|(k, _)| sensitive(k)))),
        ("DL3065", "FROM --platform=$TARGETPLATFORM a:1\n".into(), |d| d.all("from").any(|i| i.flag("platform").is_some_and(|p| p.contains("TARGETPLATFORM")))),
        ("DL3066", bad("USER app"), |d| d.all("user").any(|i| !i.rest.split(':').next().is_some_and(|u| !u.is_empty() && u.bytes().all(|b| b.is_ascii_digit())))),
        ("DL3067", bad("FROM a:1\nCOPY --from=b / /"), |d| targets_of_copies(d).any(|(f, t, i)| i.flag("from").is_some() && t == "/" && f.iter().any(|f| f == "/"))),
        ("DL4000", bad("MAINTAINER me"), |d| d.all("maintainer").next().is_some()),
        ("DL4001", bad("RUN wget x; curl y"), |d| any_command(d, |c| program(c) == "wget") && any_command(d, |c| program(c) == "curl")),
        ("DL4003", bad("CMD [\"a\"]\nCMD [\"b\"]"), |d| twice_in_a_stage(d, "cmd")),
        ("DL4004", bad("ENTRYPOINT [\"a\"]\nENTRYPOINT [\"b\"]"), |d| twice_in_a_stage(d, "entrypoint")),
        ("DL4005", bad("RUN ln -sf /bin/bash /bin/sh"), |d| any_command(d, |c| program(c) == "ln" && has(c, &["/bin/sh"]))),
        ("DL4006", bad("RUN a | b"), |d| d.all("run").any(|i| i.words().iter().any(|w| w == "|")) && !d.all("shell").any(|i| i.rest.contains("pipefail"))),
        ("SC2086", bad("RUN rm $X"), |d| d.all("run").any(|i| !variables(&i.rest).is_empty())),
        ("SC2028", bad("RUN echo 'a\\nb'"), |d| d.all("run").any(|i| i.rest.contains("echo ") && i.rest.contains("\\n"))),
        ("NO-FOREIGN", bad("RUN dnf install -y x"), |d| any_command(d, |c| ["yum", "dnf", "microdnf", "zypper", "gem", "apt", "apt-get", "apk", "curl", "wget", "yarn", "go"].contains(&program(c)))),
    ]
}

#[rustfmt::skip]
fn buildkit() -> Vec<(&'static str, String, Check)> {
    let bad = |text: &str| format!("{B}{text}\n");
    vec![
        ("StageNameCasing", "FROM a:1 AS Build\n".into(), |d| d.stages.iter().any(|s| s.name.as_ref().is_some_and(|n| n.chars().any(char::is_uppercase)))),
        ("FromAsCasing", "FROM a:1 as b\n".into(), from_as_casing),
        ("NoEmptyContinuation", bad("RUN a \\\n\n  b"), |d| d.instructions.iter().any(|i| i.blank_continuation)),
        ("ConsistentInstructionCasing", bad("run a"), casings),
        ("DuplicateStageName", bad("FROM a:2 AS B"), |d| d.stages.iter().enumerate().any(|(at, s)| s.name.as_ref().is_some_and(|n| d.stages[..at].iter().any(|o| o.name.as_ref().is_some_and(|o| o.eq_ignore_ascii_case(n)))))),
        ("ReservedStageName", "FROM a:1 AS context\n".into(), |d| d.stages.iter().any(|s| matches!(s.name.as_deref(), Some("scratch" | "context")))),
        ("JSONArgsRecommended", bad("CMD run me"), |d| d.instructions.iter().any(|i| (i.is("cmd") || i.is("entrypoint")) && !i.is_exec_form())),
        ("MaintainerDeprecated", bad("MAINTAINER me"), |d| d.all("maintainer").next().is_some()),
        ("UndefinedArgInFrom", "FROM a:${V}\n".into(), |d| d.stages.iter().any(|s| variables(&s.image).iter().any(|v| !d.global_args().iter().any(|(k, _)| k == v)))),
        ("WorkdirRelativePath", bad("WORKDIR app"), |d| d.by_stage().iter().any(|s| s.iter().find(|i| i.is("workdir")).is_some_and(|i| !i.rest.starts_with('/')))),
        ("UndefinedVar", bad("COPY $foo /x"), undefined_variable),
        ("MultipleInstructionsDisallowed", bad("ENTRYPOINT [\"a\"]\nENTRYPOINT [\"b\"]"), |d| ["cmd", "entrypoint", "healthcheck"].iter().any(|k| twice_in_a_stage(d, k))),
        ("LegacyKeyValueFormat", bad("ENV A 1"), legacy_pairs),
        ("RedundantTargetPlatform", "FROM --platform=$TARGETPLATFORM a:1\n".into(), |d| d.all("from").any(|i| i.flag("platform").is_some_and(|p| p.contains("TARGETPLATFORM")))),
        ("SecretsUsedInArgOrEnv", bad("ARG AWS_SECRET_ACCESS_KEY"), |d| d.instructions.iter().any(|i| (i.is("arg") || i.is("env")) && i.pairs().iter().any(|(k, _)| sensitive(k)))),
        ("InvalidDefaultArgInFrom", "ARG TAG\nFROM a:${TAG}\n".into(), |d| d.stages.iter().any(|s| !is_reference(&d.expand(&s.image)))),
        ("FromPlatformFlagConstDisallowed", "FROM --platform=linux/amd64 a:1\n".into(), |d| d.all("from").any(|i| i.flag("platform").is_some_and(|p| !p.contains('$')))),
        ("CopyIgnoredFile", bad("COPY secret.txt /x"), copies_ignored),
        ("InvalidDefinitionDescription", "# whatever\nARG V=1\nFROM a:1\n".into(), bad_description),
        ("ExposeProtoCasing", bad("EXPOSE 80/TCP"), |d| d.all("expose").any(|i| i.rest.chars().any(|c| c.is_ascii_uppercase()))),
        ("ExposeInvalidFormat", bad("EXPOSE 127.0.0.1:80:80"), |d| d.all("expose").any(|i| i.rest.contains(':'))),
    ]
}

/// Every kind of Dockerfile: Python and Node, with and without parent, hashes, additions and packages, glibc and musl.
fn generated() -> Vec<(String, Dockerfile)> {
    let mut plan: Value = serde_json::from_str(include_str!("../emit_data/plan.json")).expect("JSON");
    let images = plan["images"].as_array_mut().expect("a list");
    let variant = |from: &Value, id: &str, change: &[(&str, Value)]| {
        let mut image = from.clone();
        image["id"] = id.into();
        for (key, value) in change {
            image[key] = value.clone();
        }
        image
    };
    let (py, node) = (images[0].clone(), images[3].clone());
    let none = Value::Array(Vec::new());
    let more = [
        variant(&py, "py311-empty", &[("packages", none.clone()), ("preload", none.clone())]),
        variant(&py, "py311-same", &[("parent", "py311-numpy-1a2b".into())]),
        variant(&py, "py39-musl", &[("platform", "python3.9-linux-x86_64-musl".into())]),
        variant(
            &py,
            "py311-bare",
            &[("packages", serde_json::json!(["pyaes==1.6.1"])), ("trust_domain", "a \"b\" $c".into())],
        ),
        variant(
            &py,
            "py311-bare-child",
            &[
                ("packages", serde_json::json!(["numpy==1.26.4", "pyaes==1.6.1"])),
                ("parent", "py311-numpy-1a2b".into()),
            ],
        ),
        variant(&node, "node20-empty", &[("packages", none.clone()), ("preload", none)]),
        variant(&node, "node20-bare", &[("packages", serde_json::json!(["left-pad@1.3.0"]))]),
        variant(&node, "node22-musl", &[("platform", "node22-linux-aarch64-musl".into())]),
    ];
    images.extend(more);
    let count = images.len();
    let plan: Plan = serde_json::from_value(plan).expect("a plan");
    let inventory: Inventory = serde_json::from_str(include_str!("../emit_data/inventory.json")).expect("an inventory");
    let mut options = EmitOptions { name: "rules".into(), ..EmitOptions::default() };
    options.base_images.insert("python3.9".into(), format!("python:3.9-alpine@sha256:{}", "0".repeat(64)));
    let emitted = emit(&plan, &inventory, &options);
    let text = |name: &str| String::from_utf8(emitted.files[name].clone()).expect("UTF-8");
    let files: Vec<(String, Dockerfile)> = emitted
        .files
        .keys()
        .filter_map(|name| {
            let folder = name.strip_suffix("/Dockerfile")?;
            let mut file = Dockerfile::parse(&text(name));
            file.ignore = text(&format!("{folder}/.dockerignore")).lines().map(str::to_string).collect();
            Some((folder.to_string(), file))
        })
        .collect();
    assert_eq!(files.len(), count, "{:?}", emitted.diagnostics);
    files
}

fn hold(rules: Vec<(&str, String, Check)>) {
    let files = generated();
    let mut broken = Vec::new();
    for (rule, bad, check) in rules {
        let mut bad = Dockerfile::parse(&bad);
        bad.ignore = vec!["secret.txt".to_string()];
        assert!(check(&bad), "{rule}: the check does not see the Dockerfile that breaks it");
        broken.extend(files.iter().filter(|(_, file)| check(file)).map(|(name, _)| format!("{rule}: {name}")));
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn hadolint_rules_hold() {
    hold(hadolint());
}

#[test]
fn buildkit_checks_hold() {
    hold(buildkit());
}

#[test]
fn files_outside_the_ignore_list_are_seen() {
    let mut file = Dockerfile::parse("FROM a:1\nRUN --mount=type=bind,source=x,target=/x y\n");
    file.ignore = vec!["*".into(), "!z".into()];
    assert!(copies_ignored(&file));
    file.ignore.push("!x".into());
    assert!(!copies_ignored(&file));
}

#[test]
fn what_the_issue_asks_of_a_dockerfile_is_there() {
    for (name, file) in generated() {
        let last = file.stages.len() - 1;
        let of_last: Vec<&Instruction> = file.instructions.iter().filter(|i| i.stage == Some(last)).collect();
        let user = of_last.iter().find(|i| i.is("user")).unwrap_or_else(|| panic!("{name} has no user"));
        assert_eq!(user.rest, "65532:65532", "{name}");
        assert!(of_last.last().expect("an instruction").is("label"), "{name}: labels stand last");
        let entry = of_last.iter().find(|i| i.is("entrypoint")).unwrap_or_else(|| panic!("{name} has no entry point"));
        let entry: Vec<String> = serde_json::from_str(&entry.rest).expect("exec form");
        assert!(entry[1].contains("/host.") && entry[2].ends_with("/preload.json"), "{name}: {entry:?}");
        let installs: Vec<&Instruction> =
            file.all("run").filter(|i| i.rest.contains("pip install") || i.rest.contains("npm ci")).collect();
        for run in installs {
            assert!(run.flags.iter().any(|f| f.contains("type=cache")), "{name}");
            assert!(run.flags.iter().any(|f| f.contains("type=secret")), "{name}");
            let hashed = run.rest.contains("--require-hashes") || run.rest.contains("npm ci --omit=dev");
            assert!(hashed || run.rest.contains("requirements.unhashed.lock"), "{name}: {}", run.rest);
        }
        // buildah's cache would give an image the packages of another whose commands are the same.
        assert!(!file.all("run").flat_map(|i| &i.flags).any(|f| f.contains("type=bind")), "{name}");
        // What runs in the image itself is the standard library's bytecode, the same for all on a base, before the user.
        let runs: Vec<usize> = of_last.iter().enumerate().filter(|(_, i)| i.is("run")).map(|(at, _)| at).collect();
        let user_at = of_last.iter().position(|i| i.is("user")).expect("found above");
        assert!(runs.iter().all(|at| *at < user_at && of_last[*at].rest.contains("compileall")), "{name}");
        assert!(runs.len() <= usize::from(!file.all("from").any(|i| i.rest.contains("PARENT_IMAGE"))), "{name}");
    }
}
