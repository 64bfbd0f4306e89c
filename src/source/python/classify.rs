//! From the [intermediate form](super::ir) to imports with kinds.

use std::collections::BTreeMap;

use super::super::{FileImports, How, RawImport};
use super::ir::{Alias, Argument, Node, Test, Value};
use crate::model::{Diagnostic, ImportKind, Lines, Place, codes};

/// Modules whose names matter to what an import means; only bindings of these are followed.
const FOLLOWED: &[&str] = &["importlib", "builtins", "typing", "typing_extensions", "contextlib"];

/// Handlers of these see an import fail.
const CATCHES_IMPORT: &[&str] = &["ImportError", "ModuleNotFoundError", "Exception", "BaseException"];

/// What encloses a statement.
#[derive(Debug, Clone, Copy, Default)]
struct Context {
    type_only: bool,
    optional: bool,
    lazy: bool,
}

impl Context {
    /// See the precedence in [`crate::source`].
    fn kind(self, otherwise: ImportKind) -> ImportKind {
        if self.type_only {
            ImportKind::TypeOnly
        } else if self.optional {
            ImportKind::Optional
        } else if otherwise == ImportKind::Runtime && self.lazy {
            ImportKind::Lazy
        } else {
            otherwise
        }
    }
}

/// Imports and diagnostics of a lowered file.
pub(super) fn classify(file: &str, lines: &Lines, nodes: &[Node]) -> FileImports {
    let mut classifier = Classifier { file, lines, bound: BTreeMap::new(), found: Vec::new(), diagnostics: Vec::new() };
    // A function may be written above the import that it uses when it runs.
    classifier.bind(nodes);
    classifier.nodes(nodes, Context::default());
    // `else` branches and handlers are visited by role, not by place.
    classifier.found.sort_by_key(|(offset, _)| *offset);
    FileImports {
        imports: classifier.found.into_iter().map(|(_, import)| import).collect(),
        diagnostics: classifier.diagnostics,
    }
}

struct Classifier<'a> {
    file: &'a str,
    lines: &'a Lines,
    /// Local name to what it stands for, for names out of [`FOLLOWED`].
    bound: BTreeMap<String, String>,
    found: Vec<(u32, RawImport)>,
    diagnostics: Vec<Diagnostic>,
}

impl Classifier<'_> {
    fn bind(&mut self, nodes: &[Node]) {
        for node in nodes {
            match node {
                Node::Import { names, .. } => {
                    for Alias { name, bound_as } in names {
                        if let Some(local) = bound_as {
                            self.bind_name(local, name.clone());
                        }
                    }
                }
                Node::From { level: 0, module, names, .. } => {
                    for Alias { name, bound_as } in names {
                        self.bind_name(bound_as.as_ref().unwrap_or(name), format!("{module}.{name}"));
                    }
                }
                Node::Bind { name, value } => {
                    let target = self.resolve(value);
                    self.bind_name(name, target);
                }
                Node::If { body, orelse, .. } => {
                    self.bind(body);
                    self.bind(orelse);
                }
                Node::Try { body, handlers, rest, .. } => {
                    self.bind(body);
                    self.bind(handlers);
                    self.bind(rest);
                }
                Node::With { body, .. } | Node::Later(body) => self.bind(body),
                Node::From { .. } | Node::Call { .. } => {}
            }
        }
    }

    fn bind_name(&mut self, local: &str, target: String) {
        let root = target.split('.').next().unwrap_or_default();
        if FOLLOWED.contains(&root) || target == "__import__" {
            self.bound.insert(local.to_string(), target);
        }
    }

    /// A dotted name with its first part replaced by what that was imported as.
    fn resolve(&self, path: &str) -> String {
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        match (self.bound.get(first), rest) {
            (Some(target), Some(rest)) => format!("{target}.{rest}"),
            (Some(target), None) => target.clone(),
            (None, _) => path.to_string(),
        }
    }

    fn nodes(&mut self, nodes: &[Node], context: Context) {
        for node in nodes {
            self.node(node, context);
        }
    }

    fn node(&mut self, node: &Node, context: Context) {
        match node {
            Node::Import { offset, names } => {
                for alias in names {
                    self.push(*offset, alias.name.clone(), Vec::new(), context.kind(ImportKind::Runtime));
                }
            }
            Node::From { offset, level, module, names } => {
                let module = format!("{}{module}", ".".repeat(usize::try_from(*level).unwrap_or(0).min(64)));
                let names = names.iter().map(|alias| alias.name.clone()).collect();
                self.push(*offset, module, names, context.kind(ImportKind::Runtime));
            }
            Node::Call { offset, callee, arguments } => self.call(*offset, callee, arguments, context),
            Node::Bind { .. } => {}
            Node::If { test, body, orelse } => {
                let main = *test == Test::Main;
                let when_true = context.type_only || self.only_types_if(test, true);
                let when_false = context.type_only || self.only_types_if(test, false);
                self.nodes(body, Context { type_only: when_true, optional: context.optional || main, ..context });
                self.nodes(orelse, Context { type_only: when_false, ..context });
            }
            Node::Try { caught, body, handlers, rest } => {
                let optional = context.optional || caught.iter().any(|name| self.catches_import(name));
                self.nodes(body, Context { optional, ..context });
                // What a handler imports instead is no more certain to be there than what failed.
                self.nodes(handlers, Context { optional, ..context });
                self.nodes(rest, context);
            }
            Node::With { managers, body } => {
                let suppresses = managers.iter().any(|(manager, caught)| {
                    self.resolve(manager) == "contextlib.suppress"
                        && caught.iter().any(|name| self.catches_import(name))
                });
                self.nodes(body, Context { optional: context.optional || suppresses, ..context });
            }
            Node::Later(body) => self.nodes(body, Context { lazy: true, ..context }),
        }
    }

    fn push(&mut self, offset: u32, module: String, names: Vec<String>, kind: ImportKind) {
        let line = self.lines.of(offset as usize);
        self.found.push((offset, RawImport { line, module, names, kind, how: How::Import }));
    }

    fn catches_import(&self, name: &str) -> bool {
        let resolved = self.resolve(name);
        name.is_empty() || CATCHES_IMPORT.contains(&resolved.rsplit('.').next().unwrap_or_default())
    }

    /// Whether code that runs only when `test` has this outcome is for the type checker alone.
    fn only_types_if(&self, test: &Test, outcome: bool) -> bool {
        match test {
            Test::Path(path) => outcome && self.resolve(path).rsplit('.').next() == Some("TYPE_CHECKING"),
            Test::Never => outcome,
            Test::Not(inner) => self.only_types_if(inner, !outcome),
            // All parts have this outcome, or one of them has and it is not known which.
            Test::And(parts) if outcome => parts.iter().any(|part| self.only_types_if(part, true)),
            Test::And(parts) => parts.iter().all(|part| self.only_types_if(part, false)),
            Test::Or(parts) if outcome => parts.iter().all(|part| self.only_types_if(part, true)),
            Test::Or(parts) => parts.iter().any(|part| self.only_types_if(part, false)),
            Test::Main | Test::Other => false,
        }
    }

    fn call(&mut self, offset: u32, callee: &str, arguments: &[Argument], context: Context) {
        let resolved = self.resolve(callee);
        let module = match resolved.as_str() {
            "importlib.import_module" => imported_module(arguments),
            "__import__" | "builtins.__import__" | "importlib.__import__" => builtin_import(arguments),
            _ => return,
        };
        if let Some(module) = module {
            self.push(offset, module, Vec::new(), context.kind(ImportKind::Dynamic));
        } else {
            self.push(offset, String::new(), Vec::new(), ImportKind::DynamicUnknown);
            let place = Place::at(self.file, self.lines.of(offset as usize));
            let reason = format!("{callee} is given a module name that only running would tell");
            self.diagnostics.push(Diagnostic::new(codes::DYNAMIC_IMPORT, place, reason));
        }
    }
}

/// An argument by position or keyword.
fn argument<'a>(arguments: &'a [Argument], position: usize, keyword: &str) -> Option<&'a Value> {
    let by_keyword = arguments.iter().find(|a| a.keyword.as_deref() == Some(keyword));
    by_keyword.or_else(|| arguments.get(position).filter(|a| a.keyword.is_none())).map(|a| &a.value)
}

/// `importlib.import_module(name, package=None)`; a relative name is relative to `package`.
fn imported_module(arguments: &[Argument]) -> Option<String> {
    let Value::Text(name) = argument(arguments, 0, "name")? else { return None };
    if !name.starts_with('.') {
        return module_name(name);
    }
    match argument(arguments, 1, "package") {
        Some(Value::Text(package)) => {
            let rest = name.trim_start_matches('.');
            let up = name.len() - rest.len() - 1;
            let parts: Vec<&str> = package.split('.').collect();
            let kept = parts.len().checked_sub(up).filter(|&kept| kept > 0)?;
            module_name([&parts[..kept], &[rest]].concat().join(".").trim_end_matches('.'))
        }
        // Most often `__package__` or `__name__`: relative to this file, as a relative import statement is.
        Some(Value::Path(path)) if matches!(path.as_str(), "__package__" | "__name__" | "__spec__.parent") => {
            Some(name.clone())
        }
        _ => None,
    }
}

/// `__import__(name, globals=None, locals=None, fromlist=(), level=0)`.
fn builtin_import(arguments: &[Argument]) -> Option<String> {
    let Value::Text(name) = argument(arguments, 0, "name")? else { return None };
    match argument(arguments, 4, "level") {
        None | Some(Value::Number(0)) => module_name(name),
        Some(Value::Number(level @ 1..=64)) => Some(format!("{}{name}", ".".repeat(*level as usize))),
        Some(_) => None,
    }
}

fn module_name(name: &str) -> Option<String> {
    (!name.is_empty() && !name.contains(char::is_whitespace)).then(|| name.to_string())
}
