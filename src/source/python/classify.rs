//! From the [intermediate form](super::ir) to imports with kinds.

use super::super::{FileImports, How, RawImport, SearchFolder};
use super::ir::{Alias, Argument, Comparison, Node, Test, Value};
use super::values::{self, Location, Minors, Names};
use crate::model::{Diagnostic, ImportKind, Lines, Place, codes};

/// Modules whose names matter to what an import means; only bindings of these are followed.
const FOLLOWED: &[&str] = &[
    "builtins",
    "contextlib",
    "imp",
    "importlib",
    "importlib_metadata",
    "lazy_loader",
    "os",
    "pathlib",
    "pkg_resources",
    "pkgutil",
    "platform",
    "runpy",
    "site",
    "six",
    "sys",
    "typing",
    "typing_extensions",
];

/// Calls that load modules which no import names: plug-ins, and files by their path.
const FINDERS: &[(&str, &str)] = &[
    ("pkgutil.iter_modules", "loads whatever modules lie in a folder"),
    ("pkgutil.walk_packages", "loads whatever modules lie in a folder"),
    ("importlib.metadata.entry_points", "loads plug-ins that installed packages register"),
    ("importlib_metadata.entry_points", "loads plug-ins that installed packages register"),
    ("pkg_resources.iter_entry_points", "loads plug-ins that installed packages register"),
    ("pkg_resources.load_entry_point", "loads plug-ins that installed packages register"),
    ("importlib.util.spec_from_file_location", "loads a module by the path of its file"),
    ("imp.load_source", "loads a module by the path of its file"),
    ("runpy.run_path", "runs a file by its path"),
];

/// What stands in a file that does any of this.
pub(super) const CALLS: &[&str] = &[
    "import_module",
    "__import__",
    "find_spec",
    "entry_point",
    "iter_modules",
    "walk_packages",
    "spec_from_file_location",
    "load_source",
    "runpy",
    "lazy_loader",
    "sys.path",
    "addsitedir",
    "resolve_name",
];

/// Handlers of these see an import fail.
const CATCHES_IMPORT: &[&str] = &["ImportError", "ModuleNotFoundError", "Exception", "BaseException"];

/// What encloses a statement.
#[derive(Debug, Clone, Copy)]
struct Context {
    /// Versions in which it is reached.
    minors: Minors,
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
    let mut classifier = Classifier {
        file,
        lines,
        names: Names::default(),
        found: Vec::new(),
        diagnostics: Vec::new(),
        search: Vec::new(),
    };
    // A function may be written above the import that it uses when it runs.
    classifier.bind(nodes, false);
    let everywhere = Context { minors: values::EVERY, type_only: false, optional: false, lazy: false };
    classifier.nodes(nodes, everywhere);
    // `else` branches and handlers are visited by role, not by place.
    classifier.found.sort_by_key(|(offset, _, _)| *offset);
    let limited = classifier.found.iter().enumerate().filter(|(_, (_, minors, _))| *minors != values::EVERY);
    FileImports {
        only_on: limited.map(|(at, (_, minors, _))| (at, *minors)).collect(),
        imports: classifier.found.into_iter().map(|(_, _, import)| import).collect(),
        diagnostics: classifier.diagnostics,
        search: classifier.search,
    }
}

struct Classifier<'a> {
    file: &'a str,
    lines: &'a Lines,
    names: Names,
    found: Vec<(u32, Minors, RawImport)>,
    diagnostics: Vec<Diagnostic>,
    search: Vec<SearchFolder>,
}

impl Classifier<'_> {
    fn bind(&mut self, nodes: &[Node], lazy: bool) {
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
                    self.names.give(name, value, lazy);
                    if let Value::Path(path) = value {
                        let target = self.names.resolve(path);
                        self.bind_name(name, target);
                    }
                }
                Node::If { body, orelse, .. } => {
                    self.bind(body, lazy);
                    self.bind(orelse, lazy);
                }
                Node::Try { body, handlers, rest, .. } => {
                    self.bind(body, lazy);
                    self.bind(handlers, lazy);
                    self.bind(rest, lazy);
                }
                Node::With { body, .. } => self.bind(body, lazy),
                Node::Later(body) => self.bind(body, true),
                Node::From { .. } | Node::Call { .. } => {}
            }
        }
    }

    fn bind_name(&mut self, local: &str, target: String) {
        let root = target.split('.').next().unwrap_or_default();
        if FOLLOWED.contains(&root) || target == "__import__" {
            self.names.bound.insert(local.to_string(), target);
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
                    self.push(*offset, alias.name.clone(), Vec::new(), ImportKind::Runtime, context);
                }
            }
            Node::From { offset, level, module, names } => {
                let module = format!("{}{module}", ".".repeat(usize::try_from(*level).unwrap_or(0).min(64)));
                let names = names.iter().map(|alias| alias.name.clone()).collect();
                self.push(*offset, module, names, ImportKind::Runtime, context);
            }
            Node::Call { offset, callee, arguments } => self.call(*offset, callee, arguments, context),
            Node::Bind { .. } => {}
            Node::If { test, body, orelse } => {
                let main = is_main(test);
                let inside = |outcome: bool, classifier: &Self| {
                    let minors = values::both(context.minors, classifier.names.minors(test, outcome));
                    Context {
                        minors,
                        type_only: context.type_only
                            || classifier.only_types_if(test, outcome)
                            || values::is_empty(minors),
                        ..context
                    }
                };
                let when_true = Context { optional: context.optional || main, ..inside(true, self) };
                let when_false = inside(false, self);
                self.nodes(body, when_true);
                self.nodes(orelse, when_false);
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
                    self.names.resolve(manager) == "contextlib.suppress"
                        && caught.iter().any(|name| self.catches_import(name))
                });
                self.nodes(body, Context { optional: context.optional || suppresses, ..context });
            }
            Node::Later(body) => self.nodes(body, Context { lazy: true, ..context }),
        }
    }

    fn push(&mut self, offset: u32, module: String, names: Vec<String>, kind: ImportKind, context: Context) {
        let kind = context.kind(kind);
        let line = self.lines.of(offset as usize);
        // What no version comes to is type-only everywhere.
        let minors = if context.type_only { values::EVERY } else { context.minors };
        self.found.push((offset, minors, RawImport { line, module, names, kind, how: How::Import }));
    }

    fn catches_import(&self, name: &str) -> bool {
        let resolved = self.names.resolve(name);
        name.is_empty() || CATCHES_IMPORT.contains(&resolved.rsplit('.').next().unwrap_or_default())
    }

    /// Whether code that runs only when `test` has this outcome is for the type checker alone.
    fn only_types_if(&self, test: &Test, outcome: bool) -> bool {
        match test {
            Test::Value(Value::Path(path)) => {
                outcome && self.names.resolve(path).rsplit('.').next() == Some("TYPE_CHECKING")
            }
            Test::Never => outcome,
            Test::Not(inner) => self.only_types_if(inner, !outcome),
            // All parts have this outcome, or one of them has and it is not known which.
            Test::And(parts) if outcome => parts.iter().any(|part| self.only_types_if(part, true)),
            Test::And(parts) => parts.iter().all(|part| self.only_types_if(part, false)),
            Test::Or(parts) if outcome => parts.iter().all(|part| self.only_types_if(part, true)),
            Test::Or(parts) => parts.iter().any(|part| self.only_types_if(part, false)),
            // Versions and systems that this is not.
            Test::Compare(..) | Test::Value(_) => values::is_empty(self.names.minors(test, outcome)),
            Test::Other => false,
        }
    }

    fn call(&mut self, offset: u32, callee: &str, arguments: &[Argument], context: Context) {
        let resolved = self.names.resolve(callee);
        let text = |position: usize, keyword: &str| {
            argument(arguments, position, keyword).and_then(|value| self.names.texts(value, context.lazy))
        };
        let modules = match resolved.as_str() {
            "importlib.import_module" => self.imported_modules(arguments, context.lazy),
            "__import__" | "builtins.__import__" | "importlib.__import__" => text(0, "name")
                .and_then(|names| names.iter().map(|name| builtin_import(name, arguments)).collect::<Option<Vec<_>>>()),
            // Loaded at their first use.
            "lazy_loader.load" => text(0, "fullname"),
            "runpy.run_module" => text(0, "mod_name"),
            "pkgutil.resolve_name" => text(0, "name")
                .map(|names| names.iter().map(|name| name.split(':').next().unwrap_or_default().to_string()).collect()),
            "importlib.util.find_spec" => {
                // Asks whether a module is there, and does not load it.
                let context = Context { optional: true, ..context };
                for module in text(0, "name").into_iter().flatten().filter(|name| !name.starts_with('.')) {
                    self.push(offset, module, Vec::new(), ImportKind::Optional, context);
                }
                return;
            }
            "sys.path.append" | "sys.path.insert" | "site.addsitedir" | "sys.path.extend" => {
                self.add_search(&resolved, arguments, context.lazy);
                return;
            }
            _ => {
                let finder = FINDERS.iter().find(|(name, _)| *name == resolved);
                if let Some((name, what)) = finder {
                    self.unknown(offset, format!("{name} {what}, which no import names"), context);
                }
                return;
            }
        };
        let valid = |name: &String| !name.is_empty() && !name.contains(char::is_whitespace);
        match modules.filter(|modules| modules.iter().all(valid)) {
            Some(modules) => {
                for module in modules {
                    self.push(offset, module, Vec::new(), ImportKind::Dynamic, context);
                }
            }
            None => {
                let reason = format!("{callee} is given a module name that only running would tell");
                self.unknown(offset, reason, context);
            }
        }
    }

    /// Modules that only running would tell.
    fn unknown(&mut self, offset: u32, reason: String, context: Context) {
        let line = self.lines.of(offset as usize);
        let import = RawImport {
            line,
            module: String::new(),
            names: Vec::new(),
            kind: ImportKind::DynamicUnknown,
            how: How::Import,
        };
        self.found.push((offset, context.minors, import));
        self.diagnostics.push(Diagnostic::new(codes::DYNAMIC_IMPORT, Place::at(self.file, line), reason));
    }

    /// `sys.path.insert(0, folder)` and its kin.
    fn add_search(&mut self, function: &str, arguments: &[Argument], lazy: bool) {
        let position = usize::from(function == "sys.path.insert");
        let Some(value) = arguments.get(position).map(|argument| &argument.value) else { return };
        let items = match value {
            Value::List(items) if function == "sys.path.extend" => &items[..],
            other => std::slice::from_ref(other),
        };
        for item in items {
            let folder = match self.names.location(item, lazy) {
                Some(Location::Beside { is_file: false, path }) => SearchFolder { beside_file: true, path },
                Some(Location::Start(path)) => SearchFolder { beside_file: false, path },
                _ => continue,
            };
            if !self.search.contains(&folder) {
                self.search.push(folder);
            }
        }
    }

    /// `importlib.import_module(name, package=None)`; a relative name is relative to `package`.
    fn imported_modules(&self, arguments: &[Argument], lazy: bool) -> Option<Vec<String>> {
        let name = argument(arguments, 0, "name")?;
        // `f"{__package__}.x"` and `__name__ + ".x"` are relative to this file, as a relative import statement is.
        if let Value::Joined(parts) = name
            && let Some((Value::Path(own), rest)) = parts.split_first()
            && is_own_package(own)
        {
            let rest = self.names.texts(&Value::Joined(rest.to_vec()), lazy)?;
            return rest.iter().all(|name| name.starts_with('.')).then_some(rest);
        }
        let names = self.names.texts(name, lazy)?;
        let package = argument(arguments, 1, "package");
        let whole = |name: &String| {
            if !name.starts_with('.') {
                return Some(name.clone());
            }
            match package? {
                Value::Path(path) if is_own_package(path) => Some(name.clone()),
                value => match self.names.texts(value, lazy)?.as_slice() {
                    [package] => relative_to(name, package),
                    _ => None,
                },
            }
        };
        names.iter().map(whole).collect()
    }
}

/// `__name__ == "__main__"`, either way round.
fn is_main(test: &Test) -> bool {
    let name = |value: &Value| matches!(value, Value::Path(path) if path == "__name__");
    let main = |value: &Value| matches!(value, Value::Text(text) if text == "__main__");
    matches!(test, Test::Compare(left, Comparison::Equal, right) if (name(left) && main(right)) || (main(left) && name(right)))
}

fn is_own_package(path: &str) -> bool {
    matches!(path, "__package__" | "__name__" | "__spec__.parent")
}

/// An argument by position or keyword.
fn argument<'a>(arguments: &'a [Argument], position: usize, keyword: &str) -> Option<&'a Value> {
    let by_keyword = arguments.iter().find(|a| a.keyword.as_deref() == Some(keyword));
    by_keyword.or_else(|| arguments.get(position).filter(|a| a.keyword.is_none())).map(|a| &a.value)
}

/// `..b` in the package `a.x` is `a.b`.
fn relative_to(name: &str, package: &str) -> Option<String> {
    let rest = name.trim_start_matches('.');
    let up = name.len() - rest.len() - 1;
    let parts: Vec<&str> = package.split('.').collect();
    let kept = parts.len().checked_sub(up).filter(|&kept| kept > 0)?;
    Some([&parts[..kept], &[rest]].concat().join(".").trim_end_matches('.').to_string())
}

/// `__import__(name, globals=None, locals=None, fromlist=(), level=0)`.
fn builtin_import(name: &str, arguments: &[Argument]) -> Option<String> {
    match argument(arguments, 4, "level") {
        None | Some(Value::Number(0)) => Some(name.to_string()),
        Some(Value::Number(level @ 1..=64)) => Some(format!("{}{name}", ".".repeat(*level as usize))),
        Some(_) => None,
    }
}
