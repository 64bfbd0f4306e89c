//! What `warmset lock` asks the tools of an ecosystem, how their answers are read, and how they join a closure.
//!
//! Pure: processes, folders and clocks are the command's. A function is asked for by what it declares and by its
//! platform alone, so that functions which ask for the same are resolved once, and an answer is used only for that.
//! Nothing is asked that could run code: requirements on repositories, addresses and folders are left out and named.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::dependencies::{Dependencies, Importer};
use crate::lock::{self, Kind, Lock, UNKNOWN_VERSION};
use crate::model::inventory::{LockRef, Requirement};
use crate::model::{Diagnostic, Language, PackageId, Place, Platform, State, codes};

/// Value of the `schema` field of [`Record`].
pub const SCHEMA: &str = "warmset.resolved/1";
/// Name of a record beside its lock.
pub const RECORD: &str = "resolved.json";
/// The kind that a closure from such a lock names.
pub const KIND: &str = "resolved";

/// What is asked of a tool for functions that declare the same on the same platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Where the functions run.
    pub platform: Platform,
    /// By name: PEP 508 lines for Python, ranges for npm; sorted.
    pub requirements: BTreeSet<(String, String)>,
    /// Requirements that no tool is given, as declared.
    pub left_out: Vec<Requirement>,
}

impl Ask {
    /// What direct dependencies come to.
    pub fn of(platform: &Platform, declared: &[Requirement]) -> Self {
        let mut ask = Self { platform: platform.clone(), requirements: BTreeSet::new(), left_out: Vec::new() };
        let mut names = BTreeSet::new();
        let mut declared: Vec<&Requirement> = declared.iter().collect();
        declared.sort();
        for requirement in declared {
            let line = match platform.language {
                Language::Python => python_line(requirement),
                // A name is a key of package.json, so that a layer cannot ask for it in another way.
                Language::Node => npm_range(requirement).filter(|_| !names.contains(&requirement.name)),
            };
            match line {
                Some(line) => {
                    names.insert(&requirement.name);
                    ask.requirements.insert((requirement.name.clone(), line));
                }
                None => ask.left_out.push(requirement.clone()),
            }
        }
        ask
    }

    /// SHA-256 of what is asked, in hexadecimal.
    pub fn inputs(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(format!("warmset lock 1\n{}\n", self.platform));
        for (name, line) in &self.requirements {
            hasher.update(format!("{}:{name} {}:{line}\n", name.len(), line.len()));
        }
        hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Name of the folder that holds the answer: `py311-x86_64-glibc-3f9a01c2d4e5`.
    pub fn key(&self) -> String {
        let platform = &self.platform;
        format!("{}-{}-{}-{}", platform.short(), platform.arch, platform.libc, &self.inputs()[..12])
    }
}

/// A PEP 508 line, or `None` for what does not come from an index or cannot be said so.
fn python_line(requirement: &Requirement) -> Option<String> {
    let text = requirement.text.as_str();
    let rest = text.strip_prefix(requirement.name.as_str()).unwrap_or("");
    if text.contains("://") || rest.trim_start().starts_with("@ ") || text.contains(['\n', '\r', '\0']) {
        return None;
    }
    let (extras, range) = match rest.trim_start().strip_prefix('[').and_then(|r| r.split_once(']')) {
        Some((extras, range)) => (format!("[{extras}]"), range.trim()),
        None => (String::new(), rest.trim()),
    };
    let head = format!("{}{extras}", requirement.name);
    if let Some(pinned) = &requirement.package {
        return (pinned.version != UNKNOWN_VERSION).then(|| format!("{head}=={}", pinned.version));
    }
    let range = range.split(';').next().unwrap_or("").trim();
    let range = poetry_range(range.strip_prefix('@').unwrap_or(range).trim())?;
    // A line that starts an option or a second requirement is none.
    let plain = |c: char| c.is_ascii_alphanumeric() || "=<>~!.,*+- ()".contains(c);
    range.chars().all(plain).then(|| format!("{head}{range}"))
}

/// Poetry's caret, tilde and star as PEP 440 says them; anything else as it is. `None` for alternatives (`||`).
fn poetry_range(range: &str) -> Option<String> {
    if range.contains('|') {
        return None;
    }
    let one = |part: &str| -> Option<String> {
        let part = part.trim();
        let (caret, version) = match (part.strip_prefix('^'), part.strip_prefix('~')) {
            (Some(version), _) => (true, version.trim()),
            (_, Some(version)) if !version.starts_with('=') => (false, version.trim()),
            _ if part == "*" => return Some(String::new()),
            _ if part.starts_with(|c: char| c.is_ascii_digit()) => return Some(format!("=={part}")),
            _ => return Some(part.to_string()),
        };
        let release: Option<Vec<u64>> = version.split('.').map(|n| n.parse().ok()).collect();
        let release = release.filter(|r| !r.is_empty())?;
        // `^0.2.3` allows 0.2, `^1.2` allows 1, `~1.2.3` allows 1.2, `~1` allows 1.
        let kept = match caret {
            true => release.iter().position(|&n| n > 0).unwrap_or(release.len() - 1) + 1,
            false => release.len().min(2),
        };
        let mut next = release[..kept].to_vec();
        *next.last_mut()? = next.last()?.checked_add(1)?;
        let next: Vec<String> = next.iter().map(u64::to_string).collect();
        Some(format!(">={version},<{}", next.join(".")))
    };
    let parts: Option<Vec<String>> = range.split(',').map(one).collect();
    Some(parts?.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(","))
}

/// A range as package.json writes it, or `None` for what does not come from a registry.
fn npm_range(requirement: &Requirement) -> Option<String> {
    let rest = requirement.text.strip_prefix(requirement.name.as_str()).unwrap_or("");
    let range = rest.strip_prefix('@').unwrap_or(rest).trim();
    let alias = range.strip_prefix("npm:");
    let foreign = range.contains("://")
        || ["git", "github:", "file:", "link:", "workspace:", "portal:", "patch:", "catalog:", "."]
            .iter()
            .any(|prefix| range.starts_with(prefix))
        // `user/repository`; the name after `npm:` may have a scope.
        || (alias.is_none() && range.contains('/'));
    (!foreign && !range.contains(['\n', '\0'])).then(|| if range.is_empty() { "*".into() } else { range.to_string() })
}

/// A program that resolves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tool {
    /// `uv pip compile`.
    Uv,
    /// `pip install --dry-run`.
    Pip,
    /// `npm install --package-lock-only`.
    Npm,
    /// `pnpm install --lockfile-only`.
    Pnpm,
}

impl Tool {
    /// Tools of a language, the preferred one first.
    pub fn of(language: Language) -> [Tool; 2] {
        match language {
            Language::Python => [Tool::Uv, Tool::Pip],
            Language::Node => [Tool::Npm, Tool::Pnpm],
        }
    }

    /// Its name and program.
    pub fn name(self) -> &'static str {
        match self {
            Tool::Uv => "uv",
            Tool::Pip => "pip",
            Tool::Npm => "npm",
            Tool::Pnpm => "pnpm",
        }
    }

    /// Name of the lock that it gives.
    pub fn lock_name(self) -> &'static str {
        match self {
            Tool::Uv | Tool::Pip => "requirements.txt",
            Tool::Npm => "package-lock.json",
            Tool::Pnpm => "pnpm-lock.yaml",
        }
    }

    fn kind(self) -> Kind {
        match self {
            Tool::Uv | Tool::Pip => Kind::Requirements,
            Tool::Npm => Kind::PackageLock,
            Tool::Pnpm => Kind::Pnpm,
        }
    }
}

/// How a tool may resolve.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Only what was published before this day, `YYYY-MM-DD`.
    pub exclude_newer: Option<String>,
    /// Whether packages without a wheel may be built, which runs their code.
    pub allow_builds: bool,
}

/// A call of a tool, in an empty folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Files to write there first.
    pub files: Vec<(&'static str, String)>,
    /// Arguments after the program.
    pub args: Vec<String>,
    /// File that holds the answer afterwards.
    pub answer: &'static str,
}

/// The call that resolves. `None` where the tool cannot keep a rule (pnpm and pip have no cut-off date).
pub fn call(ask: &Ask, tool: Tool, rules: &Rules) -> Option<Call> {
    if rules.exclude_newer.is_some() && matches!(tool, Tool::Pip | Tool::Pnpm) {
        return None;
    }
    let words = |text: &str| text.split(' ').map(str::to_string).collect::<Vec<_>>();
    let platform = &ask.platform;
    if matches!(tool, Tool::Uv | Tool::Pip) {
        let input: String = ask.requirements.iter().map(|(_, line)| format!("{line}\n")).collect();
        let files = vec![("requirements.in", input)];
        let mut args;
        let answer;
        if tool == Tool::Uv {
            answer = "resolved.txt";
            args = words("pip compile requirements.in --output-file resolved.txt --generate-hashes --no-header");
            args.extend(words(
                "--no-emit-index-url --no-progress --color never --no-python-downloads --python-version",
            ));
            args.extend([platform.version.clone(), "--python-platform".into(), uv_platform(platform)]);
            if let Some(day) = &rules.exclude_newer {
                args.extend(["--exclude-newer".into(), day.clone()]);
            }
        } else {
            answer = "report.json";
            args = words("install --dry-run --ignore-installed --quiet --no-input --no-color --progress-bar off");
            args.extend(words("--report report.json --requirement requirements.in --target unused --python-version"));
            args.extend([platform.version.clone(), "--implementation".into(), "cp".into()]);
            for tag in pip_platforms(platform) {
                args.extend(["--platform".into(), tag]);
            }
        }
        // pip takes --platform only together with this, so that it never builds for another platform.
        if !rules.allow_builds || tool == Tool::Pip {
            args.extend(["--only-binary".into(), ":all:".into()]);
        }
        return Some(Call { files, args, answer });
    }
    let dependencies: BTreeMap<&String, &String> = ask.requirements.iter().map(|(n, r)| (n, r)).collect();
    let manifest = serde_json::json!({
        "name": "warmset-lock", "version": "0.0.0", "private": true, "dependencies": dependencies,
    });
    let files = vec![("package.json", format!("{manifest:#}\n"))];
    let mut args = words("install --ignore-scripts");
    if tool == Tool::Npm {
        args.extend(words("--package-lock-only --no-audit --no-fund --no-update-notifier --no-progress"));
        args.extend(words("--omit-lockfile-registry-resolved --loglevel error --os linux --cpu"));
        args.push(if platform.arch == "aarch64" { "arm64".into() } else { "x64".into() });
        args.extend(["--libc".into(), platform.libc.clone()]);
        if let Some(day) = &rules.exclude_newer {
            args.extend(["--before".into(), day.clone()]);
        }
    } else {
        args.extend(words("--lockfile-only --ignore-workspace --ignore-pnpmfile --reporter append-only"));
    }
    Some(Call { files, args, answer: tool.lock_name() })
}

/// Python below 3.12 runs on Amazon Linux 2 with glibc 2.26, newer ones on glibc 2.34 and above.
fn glibc(platform: &Platform) -> u32 {
    if platform.version_pair() < (3, 12) { 17 } else { 28 }
}

fn uv_platform(platform: &Platform) -> String {
    match platform.libc.as_str() {
        "musl" => format!("{}-unknown-linux-musl", platform.arch),
        _ => format!("{}-manylinux_2_{}", platform.arch, glibc(platform)),
    }
}

/// pip matches tags one by one, so that the older ones have to be named too.
fn pip_platforms(platform: &Platform) -> Vec<String> {
    let arch = &platform.arch;
    if platform.libc == "musl" {
        return [2, 1].iter().map(|minor| format!("musllinux_1_{minor}_{arch}")).collect();
    }
    let mut tags: Vec<String> =
        (5..=glibc(platform)).rev().map(|minor| format!("manylinux_2_{minor}_{arch}")).collect();
    tags.extend(["2014", "2010", "1"].iter().map(|year| format!("manylinux{year}_{arch}")));
    tags
}

/// The lock that an answer comes to, without the addresses that it came from.
///
/// # Errors
/// When it is not what the tool writes, or lacks something that was asked for.
pub fn lock_text(ask: &Ask, tool: Tool, answer: &str) -> Result<String, String> {
    let text = match tool {
        Tool::Uv | Tool::Pnpm => answer.to_string(),
        Tool::Pip => from_pip(answer)?,
        Tool::Npm => without_addresses(answer)?,
    };
    check(ask, tool, &text)?;
    Ok(text)
}

/// Whether a text that [`lock_text`] gave earlier still answers what is asked.
pub fn is_answer(ask: &Ask, tool: Tool, text: &str) -> bool {
    check(ask, tool, text).is_ok()
}

fn check(ask: &Ask, tool: Tool, text: &str) -> Result<(), String> {
    let lock = read(tool.kind(), tool.lock_name(), text);
    if let Some(bad) = lock.diagnostics.iter().find(|d| d.is_finding()) {
        return Err(format!("{} gave a lock that cannot be read: {}", tool.name(), bad.reason));
    }
    let roots = lock.importers.get(".").map(Vec::as_slice).unwrap_or_default();
    for (name, _) in &ask.requirements {
        let there = match ask.platform.language {
            Language::Python => lock.entries.iter().any(|e| e.id.name == *name),
            Language::Node => roots.iter().any(|e| e.name == *name && !e.to.is_empty()),
        };
        if !there {
            return Err(format!("{} gave a lock without {name}", tool.name()));
        }
    }
    Ok(())
}

fn read(kind: Kind, file: &str, text: &str) -> Lock {
    let mut include =
        |path: &str| Err(Diagnostic::new(codes::INCLUDE_MISSING, Place::file(file), format!("it includes {path}")));
    lock::read(kind, file, text, &mut include)
}

/// npm omits the addresses of its registry on request; whatever else comes with a hash needs none either.
fn without_addresses(text: &str) -> Result<String, String> {
    let mut lock: Value = serde_json::from_str(text).map_err(|e| format!("npm gave a lock that is no JSON: {e}"))?;
    let packages = lock.get_mut("packages").and_then(Value::as_object_mut);
    for package in packages.into_iter().flat_map(|p| p.values_mut()).filter_map(Value::as_object_mut) {
        let address = package.get("resolved").and_then(Value::as_str).is_some_and(|r| r.starts_with("http"));
        if address && package.contains_key("integrity") {
            package.shift_remove("resolved");
        }
    }
    Ok(format!("{lock:#}\n"))
}

/// pip's report (version 1 of its format) as a hashed requirements file with `# via` notes.
fn from_pip(text: &str) -> Result<String, String> {
    let bad = |what: &str| format!("pip gave a report without {what}");
    let report: Value = serde_json::from_str(text).map_err(|e| format!("pip gave a report that is no JSON: {e}"))?;
    let installed = report.get("install").and_then(Value::as_array).ok_or_else(|| bad("`install`"))?;
    let mut packages: BTreeMap<String, (String, String, BTreeSet<String>)> = BTreeMap::new();
    let mut edges: Vec<(String, String)> = Vec::new();
    for item in installed {
        let text = |at: &str| item.pointer(at).and_then(Value::as_str);
        let name = crate::model::normalise_pypi(text("/metadata/name").ok_or_else(|| bad("a name"))?);
        let version = text("/metadata/version").ok_or_else(|| bad("a version"))?.to_string();
        let hash = text("/download_info/archive_info/hashes/sha256").ok_or_else(|| bad("a hash"))?.to_string();
        let mut via = BTreeSet::new();
        if item.get("requested").and_then(Value::as_bool) == Some(true) {
            via.insert("-r requirements.in".to_string());
        }
        let requires = item.pointer("/metadata/requires_dist").and_then(Value::as_array);
        for line in requires.into_iter().flatten().filter_map(Value::as_str) {
            let end = line.find(|c: char| !(c.is_alphanumeric() || "._-".contains(c))).unwrap_or(line.len());
            edges.push((name.clone(), crate::model::normalise_pypi(&line[..end])));
        }
        packages.insert(name, (version, hash, via));
    }
    for (from, to) in edges {
        // Requirements under markers that do not hold here were not installed.
        if let Some((_, _, via)) = packages.get_mut(&to).filter(|_| from != to) {
            via.insert(from);
        }
    }
    let mut out = String::new();
    for (name, (version, hash, via)) in &packages {
        out.push_str(&format!("{name}=={version} \\\n    --hash=sha256:{hash}\n    # via\n"));
        out.extend(via.iter().map(|from| format!("    #   {from}\n")));
    }
    Ok(out)
}

/// The last lines of what a tool said that say something, without addresses and folders of this machine: at most five
/// lines and 600 characters.
pub fn last_words(said: &str, folders: &[&str]) -> String {
    const LINES: usize = 5;
    const CHARS: usize = 600;
    let mut lines: Vec<String> = Vec::new();
    for line in said.lines().rev() {
        let mut line: String = line.chars().filter(|c| !c.is_control()).collect();
        for folder in folders.iter().filter(|f| f.len() > 1) {
            line = line.replace(folder, "…");
        }
        let words: Vec<String> = line.split_whitespace().map(redacted).collect();
        let line = words.join(" ");
        let noise = ["hint:", "npm error A complete log", "npm error For a full report", "[notice]", "WARNING: "];
        let empty = line.trim_start_matches("npm error").trim().is_empty();
        if line.chars().any(char::is_alphanumeric) && !empty && !noise.iter().any(|n| line.starts_with(n)) {
            lines.push(line);
        }
    }
    lines.reverse();
    // npm names the cause first and gives advice last; uv says one thing at the end.
    if lines.len() > LINES {
        let first = lines.iter().position(|line| line.contains("error")).unwrap_or(lines.len() - LINES);
        let from = if lines[first].starts_with("npm error") { first } else { lines.len() - LINES };
        lines = lines.split_off(from);
        lines.truncate(LINES);
    }
    let text = lines.join("; ");
    match text.char_indices().nth(CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// A word without an address, which may hold a host's name and a password, and without a token.
fn redacted(word: &str) -> String {
    let secret = ["_authtoken", "_auth=", "_password", "token=", "password=", "bearer", "authorization:"];
    let lower = word.to_lowercase();
    if let Some(at) = word.find("://") {
        let start = word[..at].rfind(|c: char| !c.is_ascii_alphanumeric() && c != '+').map_or(0, |i| i + 1);
        return format!("{}<address>", &word[..start]);
    }
    if secret.iter().any(|s| lower.contains(s)) { "<secret>".into() } else { word.to_string() }
}

/// What lies beside a resolved lock: where it comes from, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`SCHEMA`].
    pub schema: String,
    /// [`Ask::key`]: also the name of its folder.
    pub key: String,
    /// Day, UTC, `YYYY-MM-DD`.
    pub resolved_on: String,
    /// [`Tool::name`].
    pub tool: String,
    /// As the tool says it.
    pub tool_version: String,
    /// Cut-off date, where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude_newer: Option<String>,
    /// Where the functions run.
    pub platform: Platform,
    /// [`Ask::inputs`].
    pub inputs: String,
    /// What was asked for.
    pub requirements: Vec<String>,
    /// Name of the lock beside it.
    pub lock: String,
    /// Functions that it was made for; sorted.
    pub functions: Vec<String>,
}

/// Resolved locks that functions without one may use.
#[derive(Debug, Default)]
pub struct Locks {
    by_key: BTreeMap<String, (Record, Arc<Lock>)>,
    /// The last key that was resolved for a function.
    by_function: BTreeMap<String, String>,
}

impl Locks {
    /// Adds a lock and its record; `text` is the lock's.
    ///
    /// # Errors
    /// `artefact-invalid` for a record or a lock that is not what `warmset lock` writes.
    pub fn add(&mut self, place: &str, record: &str, text: &str) -> Result<(), Diagnostic> {
        let bad = |reason: String| {
            Diagnostic::new(codes::ARTEFACT_INVALID, Place::file(place), reason).next("run `warmset lock` again")
        };
        let record: Record = serde_json::from_str(record).map_err(|e| bad(e.to_string()))?;
        if record.schema != SCHEMA {
            return Err(bad(format!("schema is `{}`, expected `{SCHEMA}`", record.schema)));
        }
        let kind = Kind::of(&record.lock).ok_or_else(|| bad(format!("`{}` is no name of a lock", record.lock)))?;
        let lock = read(kind, &format!("{}/{}", record.key, record.lock), text);
        if let Some(found) = lock.diagnostics.iter().find(|d| d.is_finding()) {
            return Err(bad(format!("its lock cannot be read: {}", found.reason)));
        }
        for function in &record.functions {
            self.by_function.insert(function.clone(), record.key.clone());
        }
        self.by_key.insert(record.key.clone(), (record, Arc::new(lock)));
        Ok(())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Fills in what is resolved for a function that has no complete lock of its own.
    pub fn apply(&self, function: &str, declared_at: &Place, platform: &Platform, out: &mut Dependencies) {
        if self.is_empty() || out.state == State::Locked || out.declared.is_empty() {
            return;
        }
        let ask = Ask::of(platform, &out.declared);
        let key = ask.key();
        let Some((record, lock)) = self.by_key.get(&key).filter(|(record, _)| record.inputs == ask.inputs()) else {
            if let Some((old, _)) = self.by_function.get(function).and_then(|key| self.by_key.get(key)) {
                let what = if old.platform == *platform { "other requirements" } else { "another platform" };
                let reason = format!("what was resolved for it on {} is for {what}, and was not used", old.resolved_on);
                let stale = Diagnostic::new(codes::LOCK_STALE, declared_at.clone(), reason);
                out.diagnostics.push(stale.for_function(function));
            }
            return;
        };
        let roots = lock.importers.get(".").cloned().unwrap_or_default();
        let closure = lock::closure::closure(lock, &roots, &[], platform);
        let left_out: BTreeSet<&str> = ask.left_out.iter().map(|r| r.name.as_str()).collect();
        let found = |name: &str| -> Option<PackageId> {
            let aliased = roots.iter().filter(|e| e.name == name).flat_map(|e| &e.to);
            let aliased = aliased.filter_map(|&at| lock.entries.get(at)).map(|e| &e.id);
            aliased
                .chain(closure.packages.keys().filter(|id| id.name == name))
                .find(|id| closure.packages.contains_key(*id))
                .cloned()
        };
        let open: BTreeSet<String> = out.unresolved.iter().map(super::dependencies::version_unknown).collect();
        out.diagnostics.retain(|d| d.code != codes::VERSION_UNKNOWN.id || !open.contains(&d.reason));
        for requirement in out.declared.iter_mut().filter(|r| !left_out.contains(r.name.as_str())) {
            requirement.package = found(&requirement.name);
        }
        // What is left out keeps the version that its own text may name.
        let mut kept: Vec<(Arc<Lock>, Arc<lock::Closure>)> = Vec::new();
        for (own, before) in out.closure.iter().filter(|_| !left_out.is_empty()) {
            let mut before = lock::Closure::clone(before);
            before.packages.retain(|id, _| left_out.contains(id.name.as_str()));
            kept.push((Arc::clone(own), Arc::new(before)));
        }
        out.unresolved = out.declared.iter().filter(|r| r.package.is_none()).cloned().collect();
        let complete = closure.missing.is_empty() && ask.left_out.is_empty() && out.unresolved.is_empty();
        out.state = if complete && !out.lossy { State::Locked } else { State::Partial };
        out.diagnostics.extend(out.unresolved.iter().map(|r| {
            let reason = super::dependencies::version_unknown(r);
            Diagnostic::new(codes::VERSION_UNKNOWN, r.place.clone(), reason).for_function(function)
        }));
        // Functions share what they share with the manifest that asks, not with all who ask for the same elsewhere.
        let folder = out.declared.first().map(|r| r.place.file.clone()).unwrap_or_default();
        out.importer = Some(Importer { lock: Arc::clone(lock), folder, roots });
        let resolved_on = Some(record.resolved_on.clone());
        out.lock = Some(LockRef { resolved_on, ..LockRef::new(&lock.file, KIND) });
        out.closure = vec![(Arc::clone(lock), Arc::new(closure))];
        out.closure.extend(kept);
    }
}

#[cfg(test)]
mod tests;
