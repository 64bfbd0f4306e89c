//! `warmset.toml`: functions and settings said outright. `docs/warmset-toml.md` documents it.
//!
//! An entry of `[[function]]` that means a function which something else declares, or which lies in a plain folder,
//! changes it; every other entry declares one. `[scan]`, `[defaults]` and `[plan]` count in the scanned folder's own file only.

use std::collections::BTreeSet;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::common::{Fleet, Says, id, points_nowhere, variables};
use crate::discover::doc::{self, Entry, Node, Value};
use crate::discover::runtime::{self, Runtime};
use crate::discover::tree::Tree;
use crate::discover::{Defaults, Discovery, Provider, Site, handler, paths, wishes};
use crate::model::inventory::PlatformSource;
use crate::model::support::{Area, Extent, Support};
use crate::model::{Diagnostic, Language, Place, Severity, codes};

/// What is read.
pub const SUPPORT: Support =
    Support { area: Area::Declaration, what: "warmset.toml", files: "warmset.toml", extent: Extent::Full, note: "" };

/// Name of the file.
const FILE: &str = "warmset.toml";

const FUNCTION_KEYS: [&str; 14] = [
    "name",
    "path",
    "handler",
    "runtime",
    "arch",
    "libc",
    "provider",
    "trust_domain",
    "weight",
    "manifest",
    "lock",
    "environment",
    "exclude",
    "reason",
];
const SCAN_KEYS: [&str; 2] = ["include", "exclude"];
const DEFAULT_KEYS: [&str; 5] = ["python", "node", "arch", "libc", "trust_domain"];

/// All files of that name.
#[derive(Debug, Default)]
pub(in crate::discover) struct Config {
    /// With the scanned folder's file applied.
    pub defaults: Defaults,
    trust_domain: Option<String>,
    include: Option<Gitignore>,
    exclude: Option<Gitignore>,
    entries: Vec<Item>,
}

/// One `[[function]]`.
#[derive(Debug)]
struct Item {
    file: String,
    node: Node,
    done: bool,
}

/// Reads every `warmset.toml`.
pub(in crate::discover) fn read(tree: &Tree, defaults: &Defaults, found: &mut Discovery) -> Config {
    let mut config = Config { defaults: defaults.clone(), ..Config::default() };
    for path in tree.files().filter(|p| paths::file_name(p) == FILE) {
        let root = match tree.text(path).map(|text| doc::parse_toml(&text)) {
            Ok(Ok(root)) => root,
            Ok(Err(error)) => {
                let place = Place::at(path, error.line);
                found.diagnostics.push(Diagnostic::new(codes::CONFIG_INVALID, place, error.reason));
                continue;
            }
            Err(diagnostic) => {
                found.diagnostics.push(diagnostic);
                continue;
            }
        };
        let mut reader = Reader { path, found };
        for section in root.entries() {
            match section.key.as_str() {
                "function" => {
                    if !matches!(section.value.value, Value::List(_)) {
                        reader.invalid(section.line, "`function` is a list: write [[function]]");
                    }
                    for node in section.value.items() {
                        if reader.function(node) {
                            config.entries.push(Item { file: path.to_string(), node: node.clone(), done: false });
                        }
                    }
                }
                "scan" | "defaults" | "plan" if path != FILE => {
                    let reason = format!("[{}] counts in the scanned folder's own {FILE} only", section.key);
                    reader.invalid(section.line, &reason);
                }
                "scan" => {
                    reader.unknown(&section.value, &SCAN_KEYS, "scan");
                    config.include = reader.globs(section.value.entry("include"));
                    config.exclude = reader.globs(section.value.entry("exclude"));
                }
                "defaults" => reader.defaults(&section.value, &mut config),
                // `warmset plan` reads it again; here only what is wrong with it counts.
                "plan" => reader.found.diagnostics.extend(wishes::table(path, &section.value).1),
                other => {
                    let reason = format!("unknown section `{other}`; known are scan, defaults, plan and function");
                    reader.invalid(section.line, &reason);
                }
            }
        }
    }
    config
}

struct Reader<'a> {
    path: &'a str,
    found: &'a mut Discovery,
}

impl Reader<'_> {
    fn invalid(&mut self, line: u32, reason: &str) {
        self.found.diagnostics.push(Diagnostic::new(codes::CONFIG_INVALID, Place::at(self.path, line), reason));
    }

    fn unknown(&mut self, node: &Node, known: &[&str], section: &str) {
        for entry in node.entries().iter().filter(|e| !known.contains(&e.key.as_str())) {
            let reason = format!("unknown key `{}` in {section}; known are {}", entry.key, known.join(", "));
            self.invalid(entry.line, &reason);
        }
    }

    fn globs(&mut self, entry: Option<&Entry>) -> Option<Gitignore> {
        let entry = entry?;
        let mut builder = GitignoreBuilder::new("");
        let one = std::slice::from_ref(&entry.value);
        let list = if matches!(entry.value.value, Value::List(_)) { entry.value.items() } else { one };
        for node in list {
            let Some(text) = node.text() else {
                self.invalid(node.line, &format!("`{}` holds patterns in quotes", entry.key));
                continue;
            };
            if builder.add_line(None, text).is_err() {
                self.invalid(node.line, &format!("`{text}` is not a pattern"));
            }
        }
        builder.build().ok()
    }

    /// One of a few words.
    fn word(&mut self, node: &Node, key: &str, words: &[(&str, &str)]) -> Option<String> {
        let entry = node.entry(key)?;
        let text = entry.value.text().unwrap_or("");
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, meaning)) => Some((*meaning).to_string()),
            None => {
                let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                self.invalid(entry.line, &format!("`{key}` is one of {}", known.join(", ")));
                None
            }
        }
    }

    fn defaults(&mut self, node: &Node, config: &mut Config) {
        self.unknown(node, &DEFAULT_KEYS, "defaults");
        let builtin = Defaults::default();
        for (key, language) in [("python", Language::Python), ("node", Language::Node)] {
            let Some(entry) = node.entry(key) else { continue };
            let Some(version) = entry.value.text().and_then(|text| runtime::version(language, text)) else {
                self.invalid(entry.line, &format!("`{key}` is not a version that warmset plans for"));
                continue;
            };
            let (ours, theirs) = match language {
                Language::Python => (&mut config.defaults.python, &builtin.python),
                Language::Node => (&mut config.defaults.node, &builtin.node),
            };
            // What an option says otherwise than the built-in default was meant for this run.
            if ours == theirs {
                *ours = version;
            }
        }
        if let Some(arch) = self.word(node, "arch", &ARCHITECTURES)
            && config.defaults.arch == builtin.arch
        {
            config.defaults.arch = arch;
        }
        if let Some(libc) = self.word(node, "libc", &LIBCS)
            && config.defaults.libc == builtin.libc
        {
            config.defaults.libc = libc;
        }
        config.trust_domain = node.get("trust_domain").and_then(Node::text).map(str::to_string);
    }

    /// Checks keys and values of one entry; whether it can be used.
    fn function(&mut self, node: &Node) -> bool {
        self.unknown(node, &FUNCTION_KEYS, "function");
        self.word(node, "arch", &ARCHITECTURES);
        self.word(node, "libc", &LIBCS);
        self.word(node, "exclude", &[("true", "true"), ("false", "false")]);
        if let Some(entry) = node.entry("weight")
            && entry.value.text().and_then(|t| t.parse::<f64>().ok()).is_none_or(|w| !w.is_finite() || w < 0.0)
        {
            self.invalid(entry.line, "`weight` is a number of cold starts, 0 or more");
        }
        if let Some(entry) = node.entry("provider")
            && entry.value.text().is_none_or(|t| Provider::named(t) == Provider::Unknown && t != "none")
        {
            self.invalid(entry.line, "`provider` is none, aws, azure, google, openwhisk, fn, openfaas, fission, nuclio, knative, vercel or netlify");
        }
        if node.get("name").and_then(Node::text).is_none() && node.get("path").and_then(Node::text).is_none() {
            self.invalid(node.line, "a function needs a name or a path");
            return false;
        }
        true
    }
}

const ARCHITECTURES: [(&str, &str); 3] = [("x86_64", "x86_64"), ("aarch64", "aarch64"), ("arm64", "aarch64")];
const LIBCS: [(&str, &str); 2] = [("glibc", "glibc"), ("musl", "musl")];

impl Item {
    fn dir(&self) -> &str {
        paths::parent(&self.file)
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.node.get(key).and_then(Node::text)
    }

    fn place(&self, key: &str) -> Place {
        Place::at(&self.file, self.node.entry(key).map_or(self.node.line, |e| e.line))
    }

    /// The code folder that it names.
    fn path(&self) -> Option<String> {
        paths::join(self.dir(), self.text("path")?)
    }

    /// Whether it means this function.
    fn means(&self, tree: &Tree, site: &Site) -> bool {
        if let Some(path) = self.path() {
            let real = tree.real(&path);
            if site.root != real && site.handler_file.as_deref() != Some(real.as_ref()) && !lies_in(site, &real) {
                return false;
            }
        }
        match (self.text("name"), self.text("handler")) {
            // The same handler is the same function, whatever it is called.
            (_, Some(handler)) if site.handler.as_deref() == Some(handler) && self.text("path").is_some() => true,
            (Some(name), _) => site.name == name || site.id == name || site.id == id(self.dir(), name),
            (None, Some(handler)) => site.handler.as_deref() == Some(handler),
            (None, None) => true,
        }
    }
}

/// Whether a function's own file lies right in a folder that its code folder is above of.
fn lies_in(site: &Site, folder: &str) -> bool {
    site.handler_file.as_deref().map(paths::parent) == Some(folder)
}

impl Config {
    /// Changes what other declarations found, and declares what they did not; before plain folders are looked at.
    pub fn apply_to_declared(&mut self, tree: &Tree, found: &mut Discovery) {
        let defaults = self.defaults.clone();
        for item in &mut self.entries {
            item.done = amend(tree, &defaults, item, found);
            if !item.done && item.text("handler").is_some() && item.text("exclude") != Some("true") {
                declare(tree, &defaults, item, found);
                item.done = true;
            }
        }
    }

    /// The same for plain folders; what is left means a folder as a whole.
    pub fn apply_to_folders(&mut self, tree: &Tree, found: &mut Discovery) {
        let defaults = self.defaults.clone();
        for item in &mut self.entries {
            if !item.done && !amend(tree, &defaults, item, found) && item.text("exclude") != Some("true") {
                declare(tree, &defaults, item, found);
            }
            item.done = true;
        }
    }

    /// Leaves out what the scan shall not see, and gives every function its trust domain.
    pub fn filter(&self, found: &mut Discovery) {
        let matched =
            |globs: &Gitignore, path: &str| path != "." && globs.matched_path_or_any_parents(path, false).is_ignore();
        let wanted = |path: &str| {
            self.exclude.as_ref().is_none_or(|globs| !matched(globs, path))
                && self.include.as_ref().is_none_or(|globs| globs.is_empty() || matched(globs, path))
        };
        let seen = |site: &Site| {
            let file = site.handler_file.as_deref().unwrap_or(&site.root);
            // A function without a file of its own is judged by where it is declared when its folder is the whole fleet.
            wanted(if file == "." { &site.declared_at.file } else { file })
        };
        if self.exclude.is_some() || self.include.is_some() {
            let gone: BTreeSet<String> = found.sites.iter().filter(|s| !seen(s)).map(|s| s.id.clone()).collect();
            found.sites.retain(|s| !gone.contains(&s.id));
            found.diagnostics.retain(|d| match &d.function {
                Some(id) => !gone.contains(id),
                None => paths::file_name(&d.place.file) == FILE || wanted(&d.place.file),
            });
        }
        for site in &mut found.sites {
            site.trust_domain = site.trust_domain.take().or_else(|| self.trust_domain.clone());
        }
    }
}

/// Changes the functions that an entry means; whether there was one.
fn amend(tree: &Tree, defaults: &Defaults, item: &Item, found: &mut Discovery) -> bool {
    let meant: Vec<usize> = (0..found.sites.len()).filter(|&at| item.means(tree, &found.sites[at])).collect();
    if meant.is_empty() {
        return false;
    }
    if item.text("exclude") == Some("true") {
        let ids: BTreeSet<String> = meant.iter().map(|&at| found.sites[at].id.clone()).collect();
        found.sites.retain(|s| !ids.contains(&s.id));
        found.diagnostics.retain(|d| d.function.as_ref().is_none_or(|id| !ids.contains(id)));
        return true;
    }
    for at in meant {
        let mut said = Vec::new();
        let site = &mut found.sites[at];
        let before = site.clone();
        settings(tree, defaults, item, site, &mut said);
        // What this file says counts; that another one says something else is worth knowing.
        let differs = |what: &str, theirs: &str, ours: &str| {
            let reason = format!("{what} `{ours}` is said here, and `{theirs}` in {}", before.declared_at);
            let mut diagnostic = Diagnostic::new(codes::DECLARATIONS_DISAGREE, item.place(what), reason);
            diagnostic.severity = Severity::Note;
            diagnostic.next(format!("nothing, if {FILE} is right: it counts"))
        };
        if before.declared_as != "folder" {
            if let (Some(ours), Some(theirs)) = (item.text("handler"), &before.handler)
                && ours != theirs
            {
                said.push(differs("handler", theirs, ours));
            }
            if let (Some(ours), Some(theirs)) = (item.text("runtime"), &before.platform)
                && site.platform.as_ref().map(|p| &p.version) != Some(&theirs.version)
                && before.platform_source == Some(PlatformSource::Declared)
            {
                said.push(differs("runtime", &format!("{}{}", theirs.language, theirs.version), ours));
            }
        }
        let id = site.id.clone();
        if site.platform_source == Some(PlatformSource::Declared) {
            found.diagnostics.retain(|d| {
                d.function.as_deref() != Some(&id)
                    || ![codes::PLATFORM_DEFAULTED.id, codes::RUNTIME_UNKNOWN.id].contains(&d.code.as_str())
            });
        }
        found.diagnostics.extend(said.into_iter().map(|d| d.for_function(&id)));
    }
    true
}

/// Declares a function that nothing else found.
fn declare(tree: &Tree, defaults: &Defaults, item: &Item, found: &mut Discovery) {
    let Some(root) = item.path() else {
        let reason = format!("no function is called `{}`; give its path", item.text("name").unwrap_or_default());
        found.diagnostics.push(Diagnostic::new(codes::CONFIG_INVALID, item.place("name"), reason));
        return;
    };
    let root = if tree.contains(&root) { paths::parent(&root).to_string() } else { root };
    if !tree.has_dir(&root) {
        found.diagnostics.push(points_nowhere(item.place("path"), "path", item.text("path").unwrap_or_default()));
        return;
    }
    let folder = if root == "." { "root" } else { paths::file_name(&root) };
    let name = item.text("name").unwrap_or(folder).to_string();
    let own = match item.text("name") {
        Some(name) => id(item.dir(), name),
        None if root == "." => "root".to_string(),
        None => root.clone(),
    };
    let mut said = Vec::new();
    let mut site =
        Site::new("warmset", Place::at(&item.file, item.node.line), own, name, tree.real(&root).into_owned());
    settings(tree, defaults, item, &mut site, &mut said);
    let id = site.id.clone();
    found.diagnostics.extend(said.into_iter().map(|d| d.for_function(&id)));
    if site.platform.is_some() {
        if let (Some(handler), None) = (&site.handler, &site.handler_file) {
            let reason = format!("handler `{handler}` is not in `{}`; all of that folder is read", site.root);
            let mut diagnostic = Diagnostic::new(codes::TEMPLATE_POINTS_NOWHERE, item.place("handler"), reason);
            diagnostic.severity = Severity::Warning;
            found.diagnostics.push(diagnostic.for_function(&id));
        }
        found.sites.push(site);
    } else if site.runtime.is_some() {
        found.sites.push(site);
    } else {
        let language =
            ["requirements.txt", "pyproject.toml"].iter().any(|n| tree.contains(&format!("{}/{n}", site.root)));
        let language = language.then_some(Language::Python);
        Fleet { tree, defaults }.add(site, Says::of(None, language), found);
        if let (Some(site), Some(arch)) = (found.sites.last_mut(), item.text("arch")) {
            set_platform(site, Some(arch), item.text("libc"));
        }
    }
}

fn set_platform(site: &mut Site, arch: Option<&str>, libc: Option<&str>) {
    let Some(platform) = &mut site.platform else { return };
    if let Some((_, arch)) = arch.and_then(|text| ARCHITECTURES.iter().find(|(word, _)| *word == text)) {
        platform.arch = (*arch).to_string();
    }
    if let Some((_, libc)) = libc.and_then(|text| LIBCS.iter().find(|(word, _)| *word == text)) {
        platform.libc = (*libc).to_string();
    }
}

/// What an entry says, on top of what a site has.
fn settings(tree: &Tree, defaults: &Defaults, item: &Item, site: &mut Site, said: &mut Vec<Diagnostic>) {
    let declared = item.text("runtime").map(|text| (text, runtime::parse(text)));
    let language = match &declared {
        Some((_, Runtime::Version(language, _) | Runtime::Language(language))) => Some(*language),
        _ => site.platform.as_ref().map(|p| p.language),
    };
    if let Some(text) = item.text("handler") {
        site.handler = Some(text.to_string());
        site.handler_file = handler::locate(tree, &site.root, text, language)
            .or_else(|| paths::join(&site.root, text).filter(|path| tree.contains(path)));
    }
    match declared {
        Some((text, Runtime::Version(language, version))) => {
            site.runtime = Some(text.to_string());
            let before = site.platform.take();
            let mut platform = defaults.platform(language, &version);
            if let Some(before) = before {
                (platform.arch, platform.libc) = (before.arch, before.libc);
            }
            site.platform = Some(platform);
            site.platform_source = Some(PlatformSource::Declared);
        }
        Some((text, Runtime::Language(language))) => {
            site.runtime = Some(text.to_string());
            if site.platform.as_ref().is_none_or(|p| p.language != language) {
                site.platform = Some(defaults.platform(language, defaults.version(language)));
                site.platform_source = Some(PlatformSource::Default);
            }
        }
        Some((text, Runtime::Unknown)) => {
            site.runtime = Some(text.to_string());
            site.platform = None;
            site.platform_source = None;
            said.push(runtime::not_planned_for(text, item.place("runtime")));
        }
        None => {}
    }
    set_platform(site, item.text("arch"), item.text("libc"));
    if let Some(provider) = item.text("provider") {
        site.provider = Provider::named(provider);
    }
    if let Some(domain) = item.text("trust_domain") {
        site.trust_domain = Some(domain.to_string());
    }
    if let Some(weight) = item.text("weight").and_then(|t| t.parse::<f64>().ok()).filter(|w| w.is_finite() && *w >= 0.0)
    {
        site.weight = Some(weight);
    }
    for key in ["lock", "manifest"] {
        let Some(text) = item.text(key) else { continue };
        // Relative to the code folder first, as people think of it, then to this file.
        let path = [site.root.as_str(), item.dir()]
            .iter()
            .find_map(|dir| paths::join(dir, text).filter(|path| tree.contains(path)));
        match path {
            Some(path) => site.installs.push(path),
            None => said.push(points_nowhere(item.place(key), key, text)),
        }
    }
    site.environment.extend(variables(item.node.get("environment")));
}

#[cfg(test)]
mod tests {
    use super::super::tests::{run, sites};

    #[test]
    fn functions_are_declared_outright() {
        let config = "[[function]]\nname = 'resize'\npath = 'svc/resize'\nhandler = 'app.go'\nruntime = 'python3.12'\narch = 'arm64'\nlibc = 'musl'\ntrust_domain = 'media'\nweight = 12.5\nmanifest = 'prod.txt'\nprovider = 'aws'\nenvironment = { STAGE = 'x' }\n\n[[function]]\npath = 'svc/whole'\nruntime = 'nodejs22'\n\n[[function]]\nname = 'gone'\npath = 'nowhere'\n";
        let files = [
            ("warmset.toml", config),
            ("svc/resize/app.py", "def go(event, context): ..."),
            ("svc/resize/other.py", "def handler(event, context): ..."),
            ("svc/resize/requirements.txt", ""),
            ("svc/resize/prod.txt", ""),
            ("svc/whole/server.js", ""),
        ];
        let found = run(&files);
        assert_eq!(
            found.0,
            ["resize warmset svc/resize python3.12 svc/resize/app.py app.go", "svc/whole warmset svc/whole node22 - -",]
        );
        assert_eq!(found.1, ["warmset.toml:20 template-points-nowhere"]);
        let resize = &sites(&files)[0];
        let platform = resize.platform.as_ref().unwrap().to_string();
        assert_eq!(platform, "python3.12-linux-aarch64-musl");
        assert_eq!((resize.trust_domain.as_deref(), resize.weight), (Some("media"), Some(12.5)));
        assert_eq!(
            (resize.installs.as_slice(), resize.environment["STAGE"].as_str()),
            (["svc/resize/prod.txt".to_string()].as_slice(), "x")
        );
    }

    #[test]
    fn entries_change_what_others_declare_and_counts_first() {
        let files = [
            (
                "sls/serverless.yml",
                "provider: {name: aws, runtime: nodejs18.x}\nfunctions:\n  a: {handler: a.handler}\n  b: {handler: b.handler}\n  c: {handler: c.handler}\n",
            ),
            ("sls/a.js", "exports.handler = 1"),
            ("sls/b.js", "exports.handler = 1"),
            ("sls/c.js", "exports.handler = 1"),
            ("plain/app.py", "def handler(event, context): ..."),
            ("plain/requirements.txt", ""),
            (
                "warmset.toml",
                "[defaults]\npython = '3.13'\ntrust_domain = 'all'\n[[function]]\nname = 'a'\nruntime = 'nodejs20'\ntrust_domain = 'x'\n[[function]]\nname = 'b'\nexclude = true\n[[function]]\npath = 'plain'\nweight = 3\n",
            ),
        ];
        let found = run(&files);
        assert_eq!(
            found.0,
            [
                "plain folder plain python3.13 plain/app.py app.handler",
                "sls/a serverless sls node20 sls/a.js a.handler",
                "sls/c serverless sls node18 sls/c.js c.handler",
            ]
        );
        assert_eq!(found.1, ["warmset.toml:6 declarations-disagree"]);
        let all = sites(&files);
        let domains: Vec<_> = all.iter().map(|s| s.trust_domain.as_deref().unwrap()).collect();
        assert_eq!(domains, ["all", "x", "all"]);
        assert_eq!(all[0].weight, Some(3.0));
    }

    #[test]
    fn scans_leave_out_what_is_excluded() {
        let lambda = "def handler(event, context): ...";
        let files = [
            ("warmset.toml", "[scan]\ninclude = ['services/']\nexclude = ['legacy', '*.old.py']\n"),
            ("services/a/app.py", lambda),
            ("services/legacy/app.py", lambda),
            ("tools/app.py", lambda),
        ];
        let found = run(&files);
        assert_eq!(found.0, ["services/a folder services/a python3.11 services/a/app.py app.handler"]);
        assert!(found.1.is_empty(), "{:?}", found.1);
    }

    #[test]
    fn slips_are_named_with_their_lines() {
        let found = run(&[
            (
                "warmset.toml",
                "[scna]\nx = 1\n[defaults]\npython = '2.7'\narch = 'mips'\n[[function]]\nhandler = 'x'\n[[function]]\nname = 'x'\nruntimes = 'y'\nweight = -1\nprovider = 'acme'\n",
            ),
            ("sub/warmset.toml", "[scan]\nexclude = []\n"),
            ("bad/warmset.toml", "[[function]\n"),
        ]);
        let codes: Vec<&str> = found.1.iter().map(String::as_str).collect();
        assert_eq!(
            codes,
            [
                "bad/warmset.toml:1 config-invalid",
                "sub/warmset.toml:1 config-invalid",
                "warmset.toml:1 config-invalid",
                "warmset.toml:4 config-invalid",
                "warmset.toml:5 config-invalid",
                "warmset.toml:6 config-invalid",
                "warmset.toml:9 config-invalid",
                "warmset.toml:10 config-invalid",
                "warmset.toml:11 config-invalid",
                "warmset.toml:12 config-invalid",
            ]
        );
    }
}
