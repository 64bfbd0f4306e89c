//! `serverless.yml` of the Serverless Framework, every provider.
//!
//! Supported: `functions` as a mapping, a list of mappings, and included files; `provider` and per-function runtime and
//! architecture; container images with a local path; variables that the files decide (`${self:…}`, `${file(…)}`, and
//! the default after a comma for all others), services written in TypeScript or JavaScript as far as they are data
//! ([`super::serverless_code`]), plugins that bundle (esbuild, webpack) or choose a requirements file.
//! <https://www.serverless.com/framework/docs/providers/aws/guide/serverless.yml>

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::discover::doc::{self, Entry, Node, Value};
use crate::discover::runtime::{self, Runtime};
use crate::discover::tree::Tree;
use crate::discover::{Defaults, Discovery, Layer, Provider, Site, handler, paths, platform_from_folder, version};
use crate::model::codes;
use crate::model::inventory::PlatformSource;
use crate::model::support::{Area, Extent, Support};
use crate::model::{Diagnostic, Language, Place, Severity};

/// What is read.
pub const SUPPORT: Support = Support {
    area: Area::Declaration,
    what: "Serverless Framework",
    files: "serverless.yml, .yaml, .json; serverless.ts, .js, .mjs, .cjs where it is data",
    extent: Extent::Partly,
    note: "every provider; what only an environment, an option without default or another program knows is reported",
};

/// Variables refer to variables a few levels deep at most; a circle of them ends here.
const MAX_NESTING: usize = 16;
const MAX_TEXT: usize = 65_536;
/// Variables looked up for one text: each may name several, which name several.
const MAX_LOOKUPS: u32 = 1_000;

/// Reads every `serverless.yml` of the tree.
pub fn find(tree: &Tree, defaults: &Defaults, found: &mut Discovery) {
    for path in tree.files() {
        match paths::file_name(path) {
            "serverless.yml" | "serverless.yaml" | "serverless.json" => read(tree, defaults, path, found),
            "serverless.ts" | "serverless.js" | "serverless.mjs" | "serverless.cjs" => {
                read_code(tree, defaults, path, found)
            }
            _ => {}
        }
    }
}

fn read(tree: &Tree, defaults: &Defaults, path: &str, found: &mut Discovery) {
    let text = match tree.text(path) {
        Ok(text) => text,
        Err(diagnostic) => {
            found.diagnostics.push(diagnostic);
            return;
        }
    };
    let root = match doc::parse(&text) {
        Ok(root) => root,
        Err(error) => {
            found.diagnostics.push(Diagnostic::new(codes::TEMPLATE_INVALID, Place::at(path, error.line), error.reason));
            return;
        }
    };
    read_service(tree, defaults, path, &root, found);
}

fn read_code(tree: &Tree, defaults: &Defaults, path: &str, found: &mut Discovery) {
    let text = match tree.text(path) {
        Ok(text) => text,
        Err(diagnostic) => {
            found.diagnostics.push(diagnostic);
            return;
        }
    };
    // Only a service description is worth a word; other files may have that name too.
    if !(text.contains("functions") && text.contains("provider")) {
        return;
    }
    match super::serverless_code::service(tree, path, &text) {
        Ok(root) => read_service(tree, defaults, path, &root, found),
        Err((line, reason)) => {
            found.diagnostics.push(Diagnostic::new(codes::TEMPLATE_UNRESOLVED, Place::at(path, line), reason));
        }
    }
}

fn read_service(tree: &Tree, defaults: &Defaults, path: &str, root: &Node, found: &mut Discovery) {
    let service = Service { tree, defaults, path, dir: paths::parent(path), root, seen: RefCell::default() };
    let Some(functions) = root.entry("functions") else { return };
    service.functions(&functions.value, path, functions.line, MAX_NESTING, found);
}

struct Service<'a> {
    tree: &'a Tree,
    defaults: &'a Defaults,
    path: &'a str,
    dir: &'a str,
    root: &'a Node,
    /// Files and variables that `functions` was taken from: whatever is named again was read.
    seen: RefCell<BTreeSet<String>>,
}

impl Service<'_> {
    /// Walks `functions`: a mapping, a list of mappings, or a variable that stands for one of them.
    fn functions(&self, node: &Node, file: &str, line: u32, depth: usize, found: &mut Discovery) {
        if depth == 0 {
            return;
        }
        if let (Some(_), Value::Text(text)) = (&node.tag, &node.value) {
            found.diagnostics.push(unresolved(file, line, "functions", text));
            return;
        }
        match &node.value {
            Value::Map(entries) => {
                for entry in entries {
                    // `${file(…)}: ` without a value occurs as a key where people meant an include.
                    self.function(entry, file, found);
                }
            }
            Value::List(items) => {
                for item in items {
                    self.functions(item, file, item.line, depth - 1, found);
                }
            }
            Value::Text(text) => {
                if !self.seen.borrow_mut().insert(text.clone()) {
                    return;
                }
                let included = variable(text).and_then(file_reference);
                match included {
                    Some((rel, key)) => self.include(&rel, key.as_deref(), file, line, depth, found),
                    None => match self.node(text) {
                        Some(node) => self.functions(&node, file, line, depth - 1, found),
                        None => found.diagnostics.push(unresolved(file, line, "functions", text)),
                    },
                }
            }
            Value::Null => {}
        }
    }

    fn include(&self, rel: &str, key: Option<&str>, file: &str, line: u32, depth: usize, found: &mut Discovery) {
        let report = |code, reason: String| Diagnostic::new(code, Place::at(file, line), reason);
        let Some(path) = paths::join(self.dir, rel).filter(|p| self.tree.contains(p)) else {
            let diagnostic = if rel.contains("${") {
                report(codes::TEMPLATE_UNRESOLVED, format!("the included file `{rel}` is only known at deployment"))
            } else {
                report(codes::INCLUDE_MISSING, format!("the included file `{rel}` does not exist"))
            };
            found.diagnostics.push(diagnostic);
            return;
        };
        if !matches!(paths::extension(&path), "yml" | "yaml" | "json") {
            let reason = format!("functions come from `{rel}`, a program that warmset does not run");
            found.diagnostics.push(report(codes::TEMPLATE_UNRESOLVED, reason));
            return;
        }
        match self.tree.text(&path).map(|text| doc::parse(&text)) {
            Ok(Ok(node)) => {
                let inner = key.map_or(Some(&node), |key| node.at(&key.split('.').collect::<Vec<_>>()));
                if let Some(inner) = inner {
                    self.functions(inner, &path, inner.line, depth - 1, found);
                }
            }
            Ok(Err(error)) => {
                found.diagnostics.push(Diagnostic::new(
                    codes::TEMPLATE_INVALID,
                    Place::at(path, error.line),
                    error.reason,
                ));
            }
            Err(diagnostic) => found.diagnostics.push(diagnostic),
        }
    }

    fn function(&self, entry: &Entry, file: &str, found: &mut Discovery) {
        let mut body = entry.value.clone();
        if let Value::Text(text) = &body.value {
            match self.node(text) {
                Some(node) => body = node,
                None => {
                    found.diagnostics.push(unresolved(file, entry.line, &entry.key, text));
                    return;
                }
            }
        }
        if let (Some(_), Value::Text(text)) = (&body.tag, &body.value) {
            found.diagnostics.push(unresolved(file, entry.line, &entry.key, text));
            return;
        }
        if !body.is_map() {
            return;
        }
        let id = if self.dir == "." { entry.key.clone() } else { format!("{}/{}", self.dir, entry.key) };
        let mut diagnostics = Vec::new();
        let site = self.site(entry, &body, file, &id, &mut diagnostics);
        found.diagnostics.extend(diagnostics.into_iter().map(|d: Diagnostic| d.for_function(&id)));
        found.sites.extend(site);
    }

    /// A setting of the function, or else of the provider, with its place.
    fn setting(
        &self,
        body: &Node,
        file: &str,
        key: &str,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<(String, Place)> {
        let (entry, file) = match body.entry(key) {
            Some(entry) => (entry, file),
            None => (self.root.get("provider")?.entry(key)?, self.path),
        };
        let text = match &entry.value.value {
            Value::Text(text) => text,
            _ => return None,
        };
        match self.text(text).filter(|_| entry.value.tag.is_none()) {
            Some(value) => Some((value, Place::at(file, entry.line))),
            None => {
                diagnostics.push(unresolved(file, entry.line, key, text));
                None
            }
        }
    }

    fn provider(&self) -> Option<String> {
        let provider = self.root.get("provider")?;
        provider.text().or_else(|| provider.get("name").and_then(Node::text)).and_then(|name| self.text(name))
    }

    fn site(
        &self,
        entry: &Entry,
        body: &Node,
        file: &str,
        id: &str,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Site> {
        let provider = self.provider().unwrap_or_else(|| "aws".into());
        let mut site = Site {
            environment: self.environment(body),
            provider: Provider::named(&provider),
            application: self.path.to_string(),
            ..Site::new(
                "serverless",
                Place::at(file, entry.line),
                id.to_string(),
                entry.key.clone(),
                self.dir.to_string(),
            )
        };
        if let Some(image) = body.entry("image") {
            return self.image(image, file, site, diagnostics);
        }
        let runtime = self.setting(body, file, "runtime", diagnostics);
        // OpenWhisk calls it `handler` too; a Google function names only the exported function.
        let handler = body.entry("handler");
        if handler.is_none() && !body.entries().iter().any(|e| matches!(e.key.as_str(), "runtime" | "events")) {
            // Settings under `functions` that are not functions, such as `module` of old plugins.
            return None;
        }
        let handler_line = handler.map_or(entry.line, |h| h.line);
        if let Some(Value::Text(text)) = handler.map(|h| &h.value.value) {
            match self.text(text).filter(|_| handler.is_some_and(|h| h.value.tag.is_none())) {
                Some(value) => site.handler = Some(value),
                None => diagnostics.push(unresolved(file, handler_line, "handler", text)),
            }
        }
        // serverless-python-requirements: `module` is the folder that is packaged.
        if let Some(module) = body.get("module").and_then(Node::text).and_then(|m| paths::join(self.dir, m))
            && self.tree.has_dir(&module)
        {
            site.root = module;
        }
        site.runtime = runtime.as_ref().map(|(text, _)| text.clone());
        site.layers = self.layers(body);
        site.bundled = self.is_bundled();
        site.installs = self.requirements(&site.root);
        let known = match &runtime {
            Some((text, _)) => runtime::parse(text),
            // The framework's own default is Node.js; an unresolved runtime is something else and has been reported.
            None if diagnostics.is_empty() && provider == "aws" => Runtime::Language(Language::Node),
            None => Runtime::Unknown,
        };
        let language = match &known {
            Runtime::Version(language, _) | Runtime::Language(language) => Some(*language),
            Runtime::Unknown => None,
        };
        if let (Some((text, place)), Runtime::Unknown) = (&runtime, &known) {
            diagnostics.push(runtime::not_planned_for(text, place.clone()));
            return Some(site);
        }
        self.locate(&mut site, &provider, language, file, handler_line, diagnostics);
        let language = language.or_else(|| site.handler_file.as_deref().and_then(runtime::language_of));
        match (known, language) {
            (Runtime::Version(language, version), _) => {
                site.platform = Some(self.defaults.platform(language, &version));
                site.platform_source = Some(PlatformSource::Declared);
            }
            (_, Some(language)) => platform_from_folder(self.tree, self.defaults, language, &mut site, diagnostics),
            (_, None) if runtime.is_none() && body.get("runtime").is_none() => {
                let mut said = Diagnostic::new(
                    codes::RUNTIME_UNKNOWN,
                    site.declared_at.clone(),
                    "nothing says which runtime the function uses",
                );
                if matches!(provider.as_str(), "cloudflare" | "knative" | "fn") {
                    // There no runtime is ever said: workers of their own, or images.
                    said.reason = format!("it runs on {provider}, which names no runtime");
                    said.severity = Severity::Note;
                }
                diagnostics.push(said);
            }
            (_, None) => {}
        }
        self.architecture(body, file, &mut site, diagnostics);
        Some(site)
    }

    fn locate(
        &self,
        site: &mut Site,
        provider: &str,
        language: Option<Language>,
        file: &str,
        line: u32,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let Some(text) = site.handler.clone() else { return };
        site.handler_file = handler::locate(self.tree, &site.root, &text, language)
            .or_else(|| handler::locate(self.tree, self.dir, &text, language));
        if site.handler_file.is_none()
            && matches!(provider, "google" | "aliyun" | "tencent" | "scaleway" | "cloudflare")
        {
            site.handler_file = language.and_then(|l| handler::google_entry(self.tree, &site.root, l));
        }
        // A plugin writes this one when it deploys (serverless-wsgi).
        let made_by_plugin = text == "wsgi_handler.handler" || text == "wsgi.handler";
        if site.handler_file.is_none() && !text.starts_with('/') && !made_by_plugin {
            let reason = format!("handler `{text}` is not in `{}`; all of that folder is read", site.root);
            let mut diagnostic = Diagnostic::new(codes::TEMPLATE_POINTS_NOWHERE, Place::at(file, line), reason);
            diagnostic.severity = Severity::Warning;
            diagnostics.push(diagnostic);
        }
    }

    fn architecture(&self, body: &Node, file: &str, site: &mut Site, diagnostics: &mut Vec<Diagnostic>) {
        let Some((arch, place)) = self.setting(body, file, "architecture", diagnostics) else { return };
        let Some(platform) = &mut site.platform else { return };
        match arch.as_str() {
            "arm64" => platform.arch = "aarch64".into(),
            "x86_64" => platform.arch = "x86_64".into(),
            other => {
                let reason = format!("architecture `{other}` is neither x86_64 nor arm64");
                diagnostics.push(Diagnostic::new(codes::RUNTIME_UNKNOWN, place, reason));
                site.platform = None;
                site.platform_source = None;
            }
        }
    }

    /// A container image: `image: name` with `provider.ecr.images.name.path`, or `image: {path: …}`.
    fn image(&self, image: &Entry, file: &str, mut site: Site, diagnostics: &mut Vec<Diagnostic>) -> Option<Site> {
        let name = image.value.text().or_else(|| image.value.get("name").and_then(Node::text));
        let definition = name.and_then(|name| self.root.at(&["provider", "ecr", "images", name]));
        let path = definition.and_then(|d| d.text().or_else(|| d.get("path").and_then(Node::text)));
        let dir = path.and_then(|p| self.text(p)).and_then(|p| paths::join(self.dir, &p));
        let Some(dir) = dir.filter(|dir| self.tree.has_dir(dir)) else {
            let reason = "the code is a container image that is built elsewhere";
            diagnostics.push(Diagnostic::new(codes::TEMPLATE_UNRESOLVED, Place::at(file, image.line), reason));
            return None;
        };
        let named = definition.and_then(|d| d.get("file")).and_then(Node::text).unwrap_or("Dockerfile");
        let dockerfile = paths::join(&dir, named).unwrap_or_default();
        site.root = dir;
        site.provider = Provider::Unknown;
        let (platform, command) = match self.tree.text(&dockerfile) {
            Ok(text) => version::dockerfile(&text),
            Err(diagnostic) => {
                diagnostics.push(diagnostic);
                return Some(site);
            }
        };
        let own = image.value.get("command").and_then(|c| c.items().first()).and_then(Node::text).map(str::to_string);
        site.handler = own.or(command);
        match platform {
            Some((language, version, libc)) => {
                site.handler_file =
                    site.handler.as_deref().and_then(|h| handler::locate(self.tree, &site.root, h, Some(language)));
                let mut platform = self.defaults.platform(language, &version);
                platform.libc = libc.into();
                site.platform = Some(platform);
                site.platform_source = Some(PlatformSource::Declared);
            }
            None => {
                let reason =
                    "its last stage is not built from a Python or Node.js image of a version that warmset plans for";
                diagnostics.push(Diagnostic::new(codes::RUNTIME_UNKNOWN, Place::file(dockerfile), reason));
            }
        }
        Some(site)
    }

    /// Layers of the function, or else of the provider: ARNs, and `Ref`s to the service's own `layers`.
    fn layers(&self, body: &Node) -> Vec<Layer> {
        let Some(list) = body.get("layers").or_else(|| self.root.at(&["provider", "layers"])) else {
            return Vec::new();
        };
        let included = list.text().and_then(|text| self.node(text));
        included.as_ref().unwrap_or(list).items().iter().map(|item| self.layer(item)).collect()
    }

    fn layer(&self, item: &Node) -> Layer {
        let Some(logical) = crate::discover::values::referred(item) else {
            let text = item.text().map(|t| self.text(t).unwrap_or_else(|| t.to_string()));
            return Layer { text: text.unwrap_or_else(|| "a layer".into()), folder: None };
        };
        // The framework calls the resource of layer `my-libs` `MyDashlibsLambdaLayer`.
        let own = self.root.get("layers").into_iter().flat_map(Node::entries).find(|layer| {
            let name = layer.key.replace('-', "Dash").replace('_', "Underscore");
            let mut letters = name.chars();
            let first = letters.next().map(|c| c.to_ascii_uppercase());
            first.into_iter().chain(letters).collect::<String>() + "LambdaLayer" == logical
        });
        let folder = own
            .and_then(|layer| layer.value.get("path"))
            .and_then(Node::text)
            .and_then(|path| self.text(path))
            .and_then(|path| paths::join(self.dir, &path))
            .filter(|path| self.tree.has_dir(path));
        Layer { text: logical.to_string(), folder }
    }

    fn environment(&self, body: &Node) -> BTreeMap<String, String> {
        let global = self.root.at(&["provider", "environment"]);
        let entries = global.into_iter().chain(body.get("environment")).flat_map(Node::entries);
        entries.filter_map(|e| Some((e.key.clone(), self.text(e.value.text()?)?))).collect()
    }

    fn plugins(&self) -> impl Iterator<Item = &str> {
        let plugins = self.root.get("plugins");
        let list = plugins.map(|p| p.get("modules").unwrap_or(p)).map(Node::items).unwrap_or_default();
        list.iter().filter_map(Node::text)
    }

    /// Whether what is deployed is a bundle: by a plugin, or by version 4 of the framework itself.
    fn is_bundled(&self) -> bool {
        let plugin = self.plugins().any(|p| {
            matches!(
                p,
                "serverless-esbuild"
                    | "serverless-webpack"
                    | "serverless-bundle"
                    | "serverless-plugin-rollup"
                    | "serverless-plugin-optimize"
            )
        });
        let version = self.root.get("frameworkVersion").and_then(Node::text).unwrap_or("");
        let own = version.trim_start_matches(['^', '~', '>', '=', ' ']).starts_with('4');
        plugin || (own && self.root.at(&["build", "esbuild"]).is_none_or(|e| e.text() != Some("false")))
    }

    /// serverless-python-requirements: the file that it installs from, where that is not `requirements.txt`.
    fn requirements(&self, root: &str) -> Vec<String> {
        if !self.plugins().any(|p| p == "serverless-python-requirements") {
            return Vec::new();
        }
        let name = self.root.at(&["custom", "pythonRequirements", "fileName"]).and_then(Node::text);
        let name = name.and_then(|name| self.text(name));
        // With `module`, beside the module's code.
        let file = |dir: &str| paths::join(dir, name.as_deref()?).filter(|path| self.tree.contains(path));
        file(root).or_else(|| file(self.dir)).into_iter().collect()
    }

    /// A text with its variables filled in; `None` when one of them is only known at deployment.
    fn text(&self, text: &str) -> Option<String> {
        self.fill(text, MAX_NESTING, &mut MAX_LOOKUPS.clone())
    }

    fn fill(&self, text: &str, depth: usize, left: &mut u32) -> Option<String> {
        let mut text = text.to_string();
        // Innermost first: the last `${` before a `}` holds no other.
        for _ in 0..64 {
            let Some(start) = text.rfind("${") else { return Some(text) };
            let length = text[start..].find('}')?;
            let value = self.variable_text(&text[start + 2..start + length], depth, left)?;
            text.replace_range(start..=start + length, &value);
            if text.len() > MAX_TEXT {
                return None;
            }
        }
        None
    }

    fn variable_text(&self, expression: &str, depth: usize, left: &mut u32) -> Option<String> {
        if depth == 0 {
            return None;
        }
        for alternative in split_commas(expression) {
            *left = left.checked_sub(1)?;
            let alternative = alternative.trim();
            let unquoted = ['\'', '"'].iter().find_map(|q| alternative.strip_prefix(*q)?.strip_suffix(*q));
            if let Some(literal) = unquoted {
                return Some(literal.to_string());
            }
            let node = match file_reference(alternative) {
                Some((rel, key)) => self.file_node(&rel, key.as_deref()),
                None => alternative.strip_prefix("self:").and_then(|path| self.self_node(path)),
            };
            if let Some(value) = node.as_ref().and_then(Node::text).and_then(|value| self.fill(value, depth - 1, left))
            {
                return Some(value);
            }
            let bare = alternative.starts_with(|c: char| c.is_ascii_digit()) || matches!(alternative, "true" | "false");
            if bare {
                return Some(alternative.to_string());
            }
        }
        None
    }

    /// The node that a text which is one variable stands for.
    fn node(&self, text: &str) -> Option<Node> {
        let expression = variable(text)?;
        match file_reference(expression) {
            Some((rel, key)) => self.file_node(&self.text(&rel)?, key.as_deref()),
            None => self.self_node(expression.strip_prefix("self:")?.split(',').next()?.trim()),
        }
    }

    fn self_node(&self, path: &str) -> Option<Node> {
        self.root.at(&path.split('.').collect::<Vec<_>>()).cloned()
    }

    fn file_node(&self, rel: &str, key: Option<&str>) -> Option<Node> {
        let path = paths::join(self.dir, rel).filter(|p| matches!(paths::extension(p), "yml" | "yaml" | "json"))?;
        let node = doc::parse(&self.tree.text(&path).ok()?).ok()?;
        key.map_or(Some(node.clone()), |key| node.at(&key.split('.').collect::<Vec<_>>()).cloned())
    }
}

fn unresolved(file: &str, line: u32, what: &str, text: &str) -> Diagnostic {
    let reason = format!("{what} is `{text}`, which is only known at deployment");
    Diagnostic::new(codes::TEMPLATE_UNRESOLVED, Place::at(file, line), reason)
}

/// The inside of a text that is one whole `${…}`.
fn variable(text: &str) -> Option<&str> {
    text.trim().strip_prefix("${")?.strip_suffix('}')
}

/// `file(./x.yml):a.b` as path and key.
fn file_reference(expression: &str) -> Option<(String, Option<String>)> {
    let (path, rest) = expression.trim().strip_prefix("file(")?.split_once(')')?;
    let key = rest.split(',').next().unwrap_or(rest).trim().strip_prefix(':').map(str::to_string);
    Some((path.trim().to_string(), key))
}

/// Splits at commas outside quotes and parentheses.
fn split_commas(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut quote, mut depth) = (Vec::new(), 0, None, 0i32);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            (None, ',') if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}
