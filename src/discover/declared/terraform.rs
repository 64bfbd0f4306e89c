//! Terraform and OpenTofu: `aws_lambda_function`, the community module `terraform-aws-modules/lambda/aws`, and Google's
//! functions, in `.tf`, `.tofu` and their JSON syntax.
//!
//! A folder is a root module unless another folder of the fleet calls it; modules with a local `source` are read with
//! the arguments that they are given. `for_each` and `count` make one function each where their value is written out;
//! otherwise one, with a diagnostic. An archive is followed to what it is made of: `data.archive_file` (folder, file,
//! text), an `aws_s3_object`. Not read: state, plans, variable files, modules of a registry other than that one,
//! `azurerm_*_function_app` (its folder has a `host.json`, which says it).
//! <https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/lambda_function>

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::hcl::{self, Attribute, Block, Given, Scope, Value};
use super::lambda::{self, Code, Declared, Said};
use super::template::under;
use crate::discover::tree::Tree;
use crate::discover::{Defaults, Discovery, Inline, Layer, Site, paths};
use crate::model::{Area, Diagnostic, Extent, Place, Severity, Support, codes};

/// What is read of it.
pub const SUPPORT: Support = Support {
    area: Area::Declaration,
    what: "Terraform and OpenTofu",
    files: "*.tf, *.tofu, *.tf.json, *.tofu.json",
    extent: Extent::Partly,
    note: "aws_lambda_function, its layers and archive_file, google_cloudfunctions(2)_function, terraform-aws-modules/lambda; literals, defaults, locals, local modules, for_each and count; not variable files, nor other registry modules",
};

const EXTENSIONS: [&str; 4] = [".tf", ".tofu", ".tf.json", ".tofu.json"];
/// Modules nest a few levels in practice.
const MAX_MODULES_DEEP: usize = 8;
/// Calls of modules that one root module may come to.
const MAX_CALLS: usize = 2_000;
/// Instances of one resource.
const MAX_INSTANCES: usize = 1_000;
/// Expressions worked out for one module.
const MAX_STEPS: usize = 200_000;

/// The blocks of one folder.
#[derive(Debug, Default)]
struct Module {
    blocks: Vec<Block>,
    diagnostics: Vec<Diagnostic>,
}

/// Reads every root module of the tree.
pub fn find(tree: &Tree, defaults: &Defaults, found: &mut Discovery) {
    let mut dirs: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for path in tree.files().filter(|path| EXTENSIONS.iter().any(|end| path.ends_with(end))) {
        dirs.entry(paths::parent(path)).or_default().push(path);
    }
    let modules: BTreeMap<&str, Module> =
        dirs.into_par_iter().map(|(dir, files)| (dir, module(tree, dir, &files))).collect();
    let called: BTreeSet<String> =
        modules.iter().flat_map(|(dir, module)| calls(dir, module).into_iter().map(|(_, path)| path)).collect();
    let mut reader =
        Reader { tree, defaults, modules: &modules, calls: 0, reached: BTreeSet::new(), found: Discovery::default() };
    // A folder that only a circle of modules calls is read by itself, once nothing has led to it.
    for (last, wanted) in [(false, false), (true, true)] {
        for dir in modules.keys().filter(|dir| called.contains(**dir) == wanted) {
            if !last || !reader.reached.contains(*dir) {
                reader.calls = 0;
                reader.root(dir);
            }
        }
    }
    found.join(reader.found);
}

fn module(tree: &Tree, dir: &str, files: &[&str]) -> Module {
    let mut module = Module::default();
    for path in files {
        // OpenTofu takes `x.tofu` in the place of `x.tf`.
        let shadow = path.strip_suffix(".tf").map(|stem| format!("{stem}.tofu"));
        if shadow.is_some_and(|other| tree.contains(&other)) {
            continue;
        }
        let parsed = tree.text(path).map(|text| match path.ends_with(".json") {
            true => hcl::parse_json(path, &text),
            false => hcl::parse(path, &text),
        });
        match parsed {
            Ok(Ok(root)) => module.blocks.extend(root.blocks),
            Ok(Err(error)) => {
                let place = Place::at(*path, error.line);
                module.diagnostics.push(Diagnostic::new(codes::TEMPLATE_INVALID, place, error.reason));
            }
            Err(diagnostic) => module.diagnostics.push(diagnostic),
        }
    }
    debug_assert!(files.iter().all(|file| paths::parent(file) == dir));
    module
}

fn literal(attribute: Option<&Attribute>) -> Option<&str> {
    match &attribute?.given {
        Given::Expr(expr) => expr.as_str(),
        _ => None,
    }
}

/// Local modules that a folder calls: the call's block, and the module's folder.
fn calls<'m>(dir: &str, module: &'m Module) -> Vec<(&'m Block, String)> {
    let calls = module.blocks.iter().filter(|block| block.kind == "module");
    calls
        .filter_map(|block| {
            let source = literal(block.attributes.get("source"))?;
            let is_local = source.starts_with("./") || source.starts_with("../");
            Some((block, paths::join(dir, source).filter(|_| is_local)?))
        })
        .collect()
}

struct Reader<'a> {
    tree: &'a Tree,
    defaults: &'a Defaults,
    modules: &'a BTreeMap<&'a str, Module>,
    calls: usize,
    reached: BTreeSet<String>,
    found: Discovery,
}

/// One module with its arguments.
struct Called<'a> {
    /// Folder of the root module: relative paths start there.
    root: &'a str,
    blocks: &'a [Block],
    /// Prefix of ids.
    prefix: &'a str,
    scope: Scope<'a>,
}

impl Reader<'_> {
    fn root(&mut self, dir: &str) {
        self.module(dir, dir, dir, &BTreeMap::new(), &mut Vec::new());
    }

    fn module(
        &mut self,
        root: &str,
        dir: &str,
        prefix: &str,
        arguments: &BTreeMap<String, Value>,
        open: &mut Vec<String>,
    ) {
        let Some(module) = self.modules.get(dir) else { return };
        self.reached.insert(dir.to_string());
        let steps = Cell::new(MAX_STEPS);
        let path = relative(root, dir);
        let locals: BTreeMap<String, &Given> = module
            .blocks
            .iter()
            .filter(|block| block.kind == "locals")
            .flat_map(|block| block.attributes.iter().map(|(name, a)| (name.clone(), &a.given)))
            .collect();
        let mut variables = BTreeMap::new();
        let nothing = BTreeMap::new();
        let plain =
            Scope { variables: &nothing, locals: &nothing_of(), module: &path, bound: Vec::new(), steps: &steps };
        for block in module.blocks.iter().filter(|block| block.kind == "variable") {
            let Some(name) = block.labels.first() else { continue };
            let value = arguments.get(name).cloned();
            let value = value.or_else(|| Some(plain.given(&block.attributes.get("default")?.given)));
            variables.extend(value.map(|value| (name.clone(), value)));
        }
        let scope = Scope { variables: &variables, locals: &locals, module: &path, bound: Vec::new(), steps: &steps };
        let called = Called { root, blocks: &module.blocks, prefix, scope };
        let mut found = Discovery::default();
        for block in &module.blocks {
            self.block(&called, block, &mut found);
        }
        // A module that another one calls several times says what is wrong with its files once, after `dedup`.
        let relevant = !found.sites.is_empty() || !found.diagnostics.is_empty() || open.is_empty();
        self.found.join(found);
        if relevant {
            self.found.diagnostics.extend(module.diagnostics.iter().cloned());
        }
        if open.len() >= MAX_MODULES_DEEP || open.iter().any(|other| other == dir) {
            return;
        }
        open.push(dir.to_string());
        for (block, inner) in calls(dir, module) {
            let name = block.labels.first().map_or("module", String::as_str);
            for (suffix, bound) in instances(&called.scope, block).0 {
                self.calls += 1;
                if self.calls > MAX_CALLS {
                    break;
                }
                let scope = called.scope.with(bound);
                let arguments: BTreeMap<String, Value> = block
                    .attributes
                    .iter()
                    .filter(|(name, _)| {
                        !matches!(name.as_str(), "source" | "version" | "for_each" | "count" | "providers")
                    })
                    .map(|(name, attribute)| (name.clone(), scope.given(&attribute.given)))
                    .collect();
                self.module(root, &inner, &under(prefix, &format!("{name}{suffix}")), &arguments, open);
            }
        }
        open.pop();
    }

    fn block(&self, called: &Called<'_>, block: &Block, found: &mut Discovery) {
        let kind = match (block.kind.as_str(), block.labels.first().map(String::as_str)) {
            ("resource", Some("aws_lambda_function")) => Kind::Lambda,
            ("resource", Some("google_cloudfunctions_function")) => Kind::Google,
            ("resource", Some("google_cloudfunctions2_function")) => Kind::Google2,
            ("module", _) if is_lambda_module(block) => Kind::Community,
            _ => return,
        };
        let name = block.labels.last().cloned().unwrap_or_default();
        let (instances, why) = instances(&called.scope, block);
        let place = Place::at(&block.file, block.line);
        if let Some(why) = why {
            let mut diagnostic = Diagnostic::new(codes::TEMPLATE_UNRESOLVED, place.clone(), why);
            diagnostic.severity = if instances.is_empty() { Severity::Note } else { diagnostic.severity };
            found.diagnostics.push(diagnostic.for_function(under(called.prefix, &name)));
        }
        for (suffix, bound) in instances {
            let name = format!("{name}{suffix}");
            let id = under(called.prefix, &name);
            let mut diagnostics = Vec::new();
            let instance = Instance {
                reader: self,
                called,
                block,
                scope: called.scope.with(bound),
                diagnostics: &mut diagnostics,
            };
            if let Some(declared) = instance.declared(kind, id.clone(), name, place.clone()) {
                let site = lambda::site(self.tree, self.defaults, declared, &mut diagnostics);
                found.sites.extend(site.map(|site| Site { application: called.root.to_string(), ..site }));
            }
            found.diagnostics.extend(diagnostics.into_iter().map(|d| d.for_function(&id)));
        }
    }
}

fn nothing_of<'a>() -> BTreeMap<String, &'a Given> {
    BTreeMap::new()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Lambda,
    Community,
    Google,
    Google2,
}

fn is_lambda_module(block: &Block) -> bool {
    literal(block.attributes.get("source")).is_some_and(|source| {
        source.starts_with("terraform-aws-modules/lambda/aws") && !source.contains("//")
            || source.contains("terraform-aws-modules/terraform-aws-lambda") && !source.contains("//modules/")
    })
}

/// `dir` as seen from `root`, as `path.module` would be.
fn relative(root: &str, dir: &str) -> String {
    let parts =
        |path: &str| -> Vec<String> { path.split('/').filter(|part| *part != ".").map(str::to_string).collect() };
    let (from, to) = (parts(root), parts(dir));
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let mut out: Vec<&str> = vec![".."; from.len() - shared];
    out.extend(to.iter().skip(shared).map(String::as_str));
    if out.is_empty() { ".".into() } else { out.join("/") }
}

/// An instance's suffix for ids, and the names that it sees.
type Instances = Vec<(String, Vec<(String, Value)>)>;

/// Instances of a block, and what is to be said of them.
fn instances(scope: &Scope<'_>, block: &Block) -> (Instances, Option<String>) {
    let map = |entries: [(&str, Value); 2]| Value::Map(entries.map(|(k, v)| (k.to_string(), v)).into());
    if let Some(attribute) = block.attributes.get("for_each") {
        let value = scope.given(&attribute.given);
        let Some(pairs) = value.pairs().filter(|pairs| pairs.len() <= MAX_INSTANCES) else {
            let why = format!("for_each depends on {}, so that it counts as one function", value.why());
            return (vec![(String::new(), Vec::new())], Some(why));
        };
        let is_list = matches!(value, Value::List(_));
        let instances: Instances = pairs
            .into_iter()
            .map(|(key, value)| {
                // A set's keys are its values.
                let key = if is_list { value.clone() } else { key };
                let suffix = format!("[{}]", key.text().unwrap_or_default());
                (suffix, vec![("each".to_string(), map([("key", key), ("value", value)]))])
            })
            .collect();
        let why = instances.is_empty().then(|| "for_each is empty, so that none is deployed".to_string());
        return (instances, why);
    }
    let Some(attribute) = block.attributes.get("count") else { return (vec![(String::new(), Vec::new())], None) };
    let value = scope.given(&attribute.given);
    match value.text().and_then(|text| text.parse::<usize>().ok()).filter(|count| *count <= MAX_INSTANCES) {
        Some(0) => (Vec::new(), Some("count is 0, so that none is deployed".into())),
        Some(count) => {
            let instance = |at: usize| {
                let suffix = if count == 1 { String::new() } else { format!("[{at}]") };
                (suffix, vec![("count".to_string(), map([("index", Value::Text(at.to_string())), ("", Value::Null)]))])
            };
            ((0..count).map(instance).collect(), None)
        }
        None => {
            let why = format!("count depends on {}, so that it counts as one function", value.why());
            (vec![(String::new(), Vec::new())], Some(why))
        }
    }
}

/// One instance of a function's block.
struct Instance<'a, 'd> {
    reader: &'a Reader<'a>,
    called: &'a Called<'a>,
    block: &'a Block,
    scope: Scope<'a>,
    diagnostics: &'d mut Vec<Diagnostic>,
}

impl Instance<'_, '_> {
    fn declared(mut self, kind: Kind, id: String, name: String, declared_at: Place) -> Option<Declared> {
        let block = self.block;
        let is = |name: &str, wanted: bool| {
            let value = block.attributes.get(name).map(|a| self.scope.given(&a.given));
            value == Some(Value::Bool(wanted))
        };
        if kind == Kind::Community && (is("create", false) || is("create_function", false) || is("create_layer", true))
        {
            return None;
        }
        let config = block.inner("build_config").next();
        let main = config.filter(|_| kind == Kind::Google2).unwrap_or(block);
        let (handler, environment) = match kind {
            Kind::Google | Kind::Google2 => ("entry_point", "environment_variables"),
            Kind::Lambda | Kind::Community => ("handler", "environment_variables"),
        };
        let runtime = self.said("runtime", main.attributes.get("runtime"), &main.file);
        let handler = self.said(handler, main.attributes.get(handler), &main.file);
        let architecture = self.first(block.attributes.get("architectures"));
        let variables = match kind {
            Kind::Lambda => block.inner("environment").next().and_then(|e| e.attributes.get("variables")),
            _ => block.attributes.get(environment),
        };
        let environment = match variables.map(|a| self.scope.given(&a.given)) {
            Some(Value::Map(map)) => {
                map.into_iter().filter_map(|(key, value)| Some((key, value.text()?.to_string()))).collect()
            }
            _ => BTreeMap::new(),
        };
        let wanted = if let Said::Text(text, _) = &handler { text.clone() } else { String::new() };
        let code = match kind {
            Kind::Lambda => self.lambda_code(block, &wanted),
            Kind::Community => self.community_code(block),
            Kind::Google => self.of_attribute(block, "source_archive_object", &wanted),
            Kind::Google2 => {
                let source = main.inner("source").next().and_then(|s| s.inner("storage_source").next());
                self.of_attribute(source.unwrap_or(main), "object", &wanted)
            }
        };
        let layers = self.layers(block.attributes.get("layers"));
        Some(Declared {
            id,
            name,
            declared_as: "terraform",
            declared_at,
            runtime,
            handler,
            architecture,
            code,
            entry_points: Vec::new(),
            bundled: false,
            environment,
            layers,
            google: matches!(kind, Kind::Google | Kind::Google2),
        })
    }

    fn at(&self, line: u32) -> Place {
        Place::at(&self.block.file, line)
    }

    fn said(&mut self, what: &str, attribute: Option<&Attribute>, file: &str) -> Said {
        let Some(attribute) = attribute else { return Said::Nothing };
        let place = Place::at(file, attribute.line);
        match self.scope.given(&attribute.given) {
            Value::Text(text) => Said::Text(text, place),
            Value::Null => Said::Nothing,
            value => {
                let reason = format!("{what} depends on {}", value.why());
                self.diagnostics.push(Diagnostic::new(codes::TEMPLATE_UNRESOLVED, place, reason));
                Said::Unresolved
            }
        }
    }

    fn first(&mut self, attribute: Option<&Attribute>) -> Said {
        let Some(attribute) = attribute else { return Said::Nothing };
        match self.scope.given(&attribute.given) {
            Value::List(items) => match items.first() {
                Some(Value::Text(text)) => Said::Text(text.clone(), self.at(attribute.line)),
                Some(other) => self.unresolved("architectures", &other.why(), attribute.line),
                None => Said::Nothing,
            },
            Value::Null => Said::Nothing,
            other => self.unresolved("architectures", &other.why(), attribute.line),
        }
    }

    fn unresolved(&mut self, what: &str, why: &str, line: u32) -> Said {
        let reason = format!("{what} depends on {why}");
        self.diagnostics.push(Diagnostic::new(codes::TEMPLATE_UNRESOLVED, self.at(line), reason));
        Said::Unresolved
    }

    fn left(&self, line: u32, reason: impl Into<String>) -> Code {
        Code::Left(Diagnostic::new(codes::TEMPLATE_UNRESOLVED, self.at(line), reason))
    }

    fn lambda_code(&self, block: &Block, handler: &str) -> Code {
        if let Some(image) = block.attributes.get("image_uri") {
            return self.left(image.line, "the code is a container image that is built elsewhere");
        }
        if block.attributes.contains_key("filename") {
            return self.of_attribute(block, "filename", handler);
        }
        if block.attributes.contains_key("s3_key") {
            return self.of_attribute(block, "s3_key", handler);
        }
        self.left(block.line, "the function declares no code")
    }

    /// `source_path` of the community module: a path, a list of them, or mappings with `path`.
    fn community_code(&self, block: &Block) -> Code {
        for (name, what) in [("image_uri", "a container image"), ("s3_existing_package", "an object in a bucket")] {
            if let Some(attribute) = block.attributes.get(name) {
                return self.left(attribute.line, format!("the code is {what} that is built elsewhere"));
            }
        }
        for name in ["source_path", "local_existing_package"] {
            let Some(attribute) = block.attributes.get(name) else { continue };
            let mut value = self.scope.given(&attribute.given);
            for _ in 0..2 {
                value = match value {
                    Value::List(items) => items.into_iter().next().unwrap_or(Value::Null),
                    Value::Map(map) => map.get("path").cloned().unwrap_or(Value::Null),
                    other => other,
                };
            }
            return self.code_of(&value, name, &self.at(attribute.line), "", 4);
        }
        self.left(block.line, "the function declares no code")
    }

    fn of_attribute(&self, block: &Block, name: &str, handler: &str) -> Code {
        let Some(attribute) = block.attributes.get(name) else {
            return self.left(block.line, "the function declares no code");
        };
        let place = Place::at(&block.file, attribute.line);
        self.code_of(&self.scope.given(&attribute.given), name, &place, handler, 4)
    }

    /// From the value of `filename`, `s3_key` and the like to the sources of the archive.
    fn code_of(&self, value: &Value, what: &str, place: &Place, handler: &str, deep: usize) -> Code {
        let left = |reason: String| Code::Left(Diagnostic::new(codes::TEMPLATE_UNRESOLVED, place.clone(), reason));
        let Some(deep) = deep.checked_sub(1) else { return left(format!("{what} goes round in a circle")) };
        match value {
            Value::Text(text) => {
                if let Some(archive) = self.archive_written_to(text) {
                    return self.archive(archive, &self.scope, handler);
                }
                if matches!(what, "s3_key" | "object" | "source_archive_object") {
                    let reason = "the code is an object in a bucket";
                    return Code::Stored(Diagnostic::new(codes::TEMPLATE_UNRESOLVED, place.clone(), reason));
                }
                lambda::code_at(self.reader.tree, self.called.root, text, what, place)
            }
            Value::Of { what: resource, key, .. } => {
                let Some((block, scope)) = self.resource(resource, key.as_deref()) else {
                    return left(format!("{what} depends on {}", value.why()));
                };
                if resource.starts_with("data.archive_file.") {
                    return self.archive(block, &scope, handler);
                }
                // `aws_s3_object`, `google_storage_bucket_object`: what is uploaded.
                match block.attributes.get("source") {
                    Some(source) => {
                        let inner = scope.given(&source.given);
                        self.code_of(&inner, "source", &Place::at(&block.file, source.line), handler, deep)
                    }
                    None => left(format!("{what} depends on {}", value.why())),
                }
            }
            other => left(format!("{what} depends on {}", other.why())),
        }
    }

    /// The block of a resource or data source, with the names that its instance sees.
    fn resource(&self, what: &str, key: Option<&str>) -> Option<(&Block, Scope<'_>)> {
        let (kind, labels) = match what.strip_prefix("data.") {
            Some(rest) => ("data", rest),
            None => ("resource", what),
        };
        let (first, second) = labels.split_once('.')?;
        let block = self.called.blocks.iter().find(|block| {
            block.kind == kind
                && block.labels.first().is_some_and(|l| l == first)
                && block.labels.get(1).is_some_and(|l| l == second)
        })?;
        let (instances, _) = instances(&self.called.scope, block);
        let wanted = key.map(|key| format!("[{key}]"));
        let bound = instances.iter().find(|(suffix, _)| wanted.as_ref().is_none_or(|wanted| wanted == suffix));
        Some((block, self.called.scope.with(bound.map(|(_, bound)| bound.clone()).unwrap_or_default())))
    }

    /// The `archive_file` that writes a path.
    fn archive_written_to(&self, path: &str) -> Option<&Block> {
        let target = paths::join(self.called.root, path)?;
        self.called.blocks.iter().find(|block| {
            block.kind == "data"
                && block.labels.first().is_some_and(|kind| kind == "archive_file")
                && block.attributes.get("output_path").is_some_and(|output| {
                    let value = self.scope.given(&output.given);
                    value.text().and_then(|text| paths::join(self.called.root, text)).as_ref() == Some(&target)
                })
        })
    }

    /// What an `archive_file` is made of.
    fn archive(&self, block: &Block, scope: &Scope<'_>, handler: &str) -> Code {
        let at = |line| Place::at(&block.file, line);
        let left = |line, reason: String| Code::Left(Diagnostic::new(codes::TEMPLATE_UNRESOLVED, at(line), reason));
        for name in ["source_dir", "source_file"] {
            let Some(attribute) = block.attributes.get(name) else { continue };
            return match scope.given(&attribute.given) {
                Value::Text(text) => {
                    lambda::code_at(self.reader.tree, self.called.root, &text, name, &at(attribute.line))
                }
                Value::Null => continue,
                other => left(attribute.line, format!("{name} depends on {}", other.why())),
            };
        }
        if let Some(content) = block.attributes.get("source_content") {
            return self.content(scope, content, &block.file);
        }
        // Several files put together: the one that the handler names counts.
        let (module, _) = crate::discover::handler::split(handler);
        let named = |source: &&Block| {
            let name = source.attributes.get("filename").map(|a| scope.given(&a.given));
            name.as_ref().and_then(Value::text).is_some_and(|name| paths::stem(name) == paths::file_name(module))
        };
        let only = || block.inner("source").next().filter(|_| block.inner("source").count() == 1);
        let chosen = block.inner("source").find(named).or_else(only);
        match chosen.and_then(|source| source.attributes.get("content")) {
            Some(content) => self.content(scope, content, &block.file),
            None => left(block.line, "the archive's content is only known at deployment".into()),
        }
    }

    /// Text that becomes a file of the archive: that of a file, or what is written here.
    fn content(&self, scope: &Scope<'_>, attribute: &Attribute, file: &str) -> Code {
        let place = Place::at(file, attribute.line);
        match scope.given(&attribute.given) {
            Value::File(path) => lambda::code_at(self.reader.tree, self.called.root, &path, "content", &place),
            Value::Text(text) => {
                let is_heredoc =
                    matches!(&attribute.given, Given::Expr(hcl_edit::expr::Expression::HeredocTemplate(_)));
                let line = attribute.line + u32::from(is_heredoc);
                if file != self.block.file {
                    let reason = "the code is written inside another file of the module";
                    return Code::Left(Diagnostic::new(codes::INLINE_CODE, place, reason));
                }
                Code::Inline(Inline { text, line, by_line: is_heredoc && !file.ends_with(".json"), file: None })
            }
            other => {
                let reason = format!("the code is written inside the module, and depends on {}", other.why());
                Code::Left(Diagnostic::new(codes::INLINE_CODE, place, reason))
            }
        }
    }

    fn layers(&self, attribute: Option<&Attribute>) -> Vec<Layer> {
        let Some(attribute) = attribute else { return Vec::new() };
        match self.scope.given(&attribute.given) {
            Value::List(items) => {
                items.iter().filter(|item| **item != Value::Null).map(|item| self.layer(item)).collect()
            }
            Value::Null => Vec::new(),
            other => vec![Layer { text: other.why(), folder: None }],
        }
    }

    fn layer(&self, item: &Value) -> Layer {
        match item {
            Value::Text(arn) => Layer { text: arn.clone(), folder: None },
            Value::Of { what, key, .. } => {
                let code = match what.strip_prefix("module.") {
                    Some(name) => {
                        let mut blocks = self.called.blocks.iter();
                        let block = blocks.find(|b| b.kind == "module" && b.labels.first().is_some_and(|l| l == name));
                        block.filter(|block| is_lambda_module(block)).map(|block| self.community_code(block))
                    }
                    None => self.resource(what, key.as_deref()).and_then(|(block, scope)| {
                        let name = ["filename", "s3_key"].into_iter().find(|n| block.attributes.contains_key(*n))?;
                        let attribute = block.attributes.get(name)?;
                        let place = Place::at(&block.file, attribute.line);
                        Some(self.code_of(&scope.given(&attribute.given), name, &place, "", 4))
                    }),
                };
                let folder = match code {
                    Some(Code::Folder(folder)) => Some(folder),
                    _ => None,
                };
                Layer { text: what.clone(), folder }
            }
            other => Layer { text: other.why(), folder: None },
        }
    }
}

#[cfg(test)]
mod tests;
