//! What a `setup.py` hands to `setup()`, read without running it.
//!
//! A small evaluator walks the module in order and keeps what is literal: strings, lists, tuples, sets, dicts, their sums,
//! names bound to them, `append`, `extend` and `+=`, paths beside the file, files that are opened and read line by line,
//! and functions of the file that return such values. All else is [`Literal::Unknown`] with its line and a reason: a list
//! may hold known and unknown parts. Nothing is imported, opened or run; a file is only named.

use std::collections::BTreeMap;

use ruff_python_ast::{self as ast, ExceptHandler, Expr, Operator, Stmt};
use ruff_python_parser::{Mode, ParseOptions, parse_unchecked};
use ruff_text_size::Ranged;

use super::setup_idioms::{appended_to, drops_noise, is_main, is_plain, is_same};
use crate::discover::paths;
use crate::model::Lines;
use crate::source::nesting::{self, Syntax};

/// Calls inside calls, functions inside functions.
const MAX_CALLS: usize = 8;
/// Parts of all values together: `x = x + x` doubles.
const MAX_PARTS: usize = 100_000;

/// A value as far as it can be known without running the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    /// A string and its line.
    Text(String, u32),
    /// A list, tuple or set.
    List(Vec<Literal>),
    /// A dict whose keys are strings.
    Map(Vec<(String, Literal)>),
    /// A path relative to the file's folder; `.` is the folder itself.
    Path(String),
    /// An open file by its path, or its text, or its lines. `pip` = by pip's own reader, which follows `-r`.
    File {
        /// Relative to the file's folder.
        path: String,
        /// What has been taken from it.
        part: FilePart,
        /// Line of the call.
        line: u32,
    },
    /// Only running would tell.
    Unknown(u32, String),
}

/// What has been taken from a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilePart {
    /// Nothing yet.
    Open,
    /// All its text.
    Text,
    /// Its lines, as written.
    Lines,
    /// Its requirements, as pip reads them.
    Requirements,
}

/// The arguments of the call of `setup()`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Setup {
    /// Line of the call.
    pub line: u32,
    /// Keyword arguments that are known by name.
    pub keywords: BTreeMap<String, Literal>,
    /// `**arguments` whose content only running would tell.
    pub unknown: Option<(u32, String)>,
}

/// Finds the call of `setup()` and reads its arguments; `Ok(None)` where there is none.
///
/// # Errors
/// Line and reason where the file cannot be parsed.
pub fn read(text: &str) -> Result<Option<Setup>, (u32, String)> {
    let mut nesting = nesting::scan(text, Syntax::Python);
    let indents = super::deepest_indent(text);
    nesting.depth += indents;
    if nesting.brackets > super::MAX_BRACKETS || indents > super::MAX_INDENTS {
        return Err((0, "it is nested deeper than Python allows".into()));
    }
    let found = nesting::with_stack(nesting, || {
        let parsed = parse_unchecked(text, ParseOptions::from(Mode::Module));
        let lines = Lines::new(text);
        if let Some(error) = parsed.errors().first() {
            let line = lines.of(usize::from(error.location.start()));
            let reason = error.error.to_string();
            return Err((line, super::python_2(text).map_or(reason, |(_, what)| format!("{what} is Python 2"))));
        }
        let ast::Mod::Module(module) = parsed.syntax() else { return Ok(None) };
        let mut eval = Eval { lines: &lines, functions: BTreeMap::new(), setup: None, calls: 0, parts: 0 };
        let mut names = BTreeMap::new();
        eval.block(&module.body, &mut names);
        Ok(eval.setup)
    });
    found.unwrap_or_else(|| Err((0, "it is nested deeper than warmset follows".into())))
}

type Names = BTreeMap<String, Literal>;

struct Eval<'a> {
    lines: &'a Lines,
    functions: BTreeMap<&'a str, &'a ast::StmtFunctionDef>,
    setup: Option<Setup>,
    calls: usize,
    parts: usize,
}

impl<'a> Eval<'a> {
    fn line(&self, node: &impl Ranged) -> u32 {
        self.lines.of(usize::from(node.start()))
    }

    fn unknown(&self, node: &impl Ranged, why: &str) -> Literal {
        Literal::Unknown(self.line(node), why.to_string())
    }

    /// Runs statements in order; the value of the first `return`.
    fn block(&mut self, body: &'a [Stmt], names: &mut Names) -> Option<Literal> {
        for statement in body {
            match statement {
                Stmt::FunctionDef(function) => {
                    self.functions.insert(function.name.as_str(), function);
                }
                Stmt::Assign(assign) => {
                    let value = self.value(&assign.value, names);
                    for target in &assign.targets {
                        self.bind(target, value.clone(), names);
                    }
                }
                Stmt::AnnAssign(assign) => {
                    if let Some(value) = &assign.value {
                        let value = self.value(value, names);
                        self.bind(&assign.target, value, names);
                    }
                }
                Stmt::AugAssign(assign) => {
                    let old = self.value(&assign.target, names);
                    let new = self.value(&assign.value, names);
                    let sum = match assign.op {
                        Operator::Add => self.sum(old, new, assign),
                        _ => self.unknown(assign, "it is changed by an operator"),
                    };
                    self.bind(&assign.target, sum, names);
                }
                Stmt::Expr(expression) => self.effect(&expression.value, names),
                Stmt::Return(found) => {
                    return Some(match &found.value {
                        Some(value) => self.value(value, names),
                        None => self.unknown(found, "a function returns nothing"),
                    });
                }
                Stmt::With(with) => {
                    for item in &with.items {
                        if let Some(target) = &item.optional_vars {
                            let value = self.value(&item.context_expr, names);
                            self.bind(target, value, names);
                        }
                    }
                    if let Some(value) = self.block(&with.body, names) {
                        return Some(value);
                    }
                }
                Stmt::If(branch) if is_main(&branch.test) => {
                    if let Some(value) = self.block(&branch.body, names) {
                        return Some(value);
                    }
                }
                Stmt::If(branch) => {
                    self.conditional(&branch.body, names, "a condition decides");
                    for clause in &branch.elif_else_clauses {
                        self.conditional(&clause.body, names, "a condition decides");
                    }
                }
                // What the body gives counts: its file is there, or is told to be missing.
                Stmt::Try(attempt) => {
                    if let Some(value) = self.block(&attempt.body, names).or_else(|| self.block(&attempt.orelse, names))
                    {
                        return Some(value);
                    }
                    for ExceptHandler::ExceptHandler(handler) in &attempt.handlers {
                        self.fallback(&handler.body, names);
                    }
                    if let Some(value) = self.block(&attempt.finalbody, names) {
                        return Some(value);
                    }
                }
                Stmt::For(each) => {
                    if let Some(line) = self.copied(each, names) {
                        return Some(line);
                    }
                }
                Stmt::While(each) => self.conditional(&each.body, names, "a loop decides"),
                Stmt::Delete(delete) => {
                    for target in &delete.targets {
                        self.bind(target, self.unknown(target, "it is deleted"), names);
                    }
                }
                _ => {}
            }
        }
        None
    }

    fn bind(&mut self, target: &Expr, value: Literal, names: &mut Names) {
        match target {
            Expr::Name(name) => {
                names.insert(name.id.to_string(), value);
            }
            // extras["all"] = […]
            Expr::Subscript(item) => {
                let (Expr::Name(name), Expr::StringLiteral(key)) = (&*item.value, &*item.slice) else {
                    if let Expr::Name(name) = &*item.value {
                        names.insert(name.id.to_string(), self.unknown(target, "a part of it is set"));
                    }
                    return;
                };
                if let Some(Literal::Map(map)) = names.get_mut(name.id.as_str()) {
                    let key = key.value.to_str().to_string();
                    map.retain(|(k, _)| *k != key);
                    map.push((key, value));
                }
            }
            Expr::Tuple(tuple) => {
                for (at, target) in tuple.elts.iter().enumerate() {
                    let part = match &value {
                        Literal::List(parts) if parts.len() == tuple.elts.len() => parts[at].clone(),
                        _ => self.unknown(target, "it is one of several values"),
                    };
                    self.bind(target, part, names);
                }
            }
            _ => {}
        }
    }

    /// Statements that may or may not run: what they change is only partly known.
    fn conditional(&mut self, body: &'a [Stmt], names: &mut Names, why: &str) {
        let mut after = names.clone();
        let had = self.setup.is_some();
        self.block(body, &mut after);
        let line = body.first().map_or(0, |s| self.line(s));
        for (name, value) in after {
            match names.get(&name) {
                Some(before) if *before == value => {}
                before => {
                    let mut parts = match before {
                        Some(Literal::List(parts)) => parts.clone(),
                        _ => Vec::new(),
                    };
                    parts.push(Literal::Unknown(line, format!("{why} about `{name}`")));
                    names.insert(name, Literal::List(parts));
                }
            }
        }
        // `if True: setup(…)` still is the call; the only one there is.
        if !had && let Some(setup) = &mut self.setup {
            setup.line = setup.line.max(line);
        }
    }

    /// Handlers of a `try`: they count where the body bound nothing.
    fn fallback(&mut self, body: &'a [Stmt], names: &mut Names) {
        let mut after = names.clone();
        self.block(body, &mut after);
        for (name, value) in after {
            names.entry(name).or_insert(value);
        }
    }

    /// `for line in open(…): names.append(line.strip())`, in any dress: a copy of the lines.
    fn copied(&mut self, each: &'a ast::StmtFor, names: &mut Names) -> Option<Literal> {
        let iterated = self.value(&each.iter, names);
        let file = match &iterated {
            Literal::File { path, part, line } => {
                let part = if *part == FilePart::Requirements { *part } else { FilePart::Lines };
                Literal::File { path: path.clone(), part, line: *line }
            }
            _ => {
                self.conditional(&each.body, names, "a loop decides");
                return None;
            }
        };
        let mut lists = Vec::new();
        appended_to(&each.body, &mut lists);
        for name in lists {
            let old = names.get(&name).cloned().unwrap_or(Literal::List(Vec::new()));
            let sum = self.sum(old, Literal::List(vec![file.clone()]), each);
            names.insert(name, sum);
        }
        None
    }

    /// A call for its effect.
    fn effect(&mut self, expression: &'a Expr, names: &mut Names) {
        let Expr::Call(call) = expression else { return };
        if let Expr::Attribute(method) = &*call.func
            && let Expr::Name(target) = &*method.value
            && let Some(old) = names.get(target.id.as_str()).cloned()
        {
            let argument = call.arguments.args.last();
            let new = match (method.attr.as_str(), argument) {
                ("append" | "insert" | "add", Some(one)) => Literal::List(vec![self.value(one, names)]),
                ("extend" | "update", Some(more)) => self.value(more, names),
                ("remove" | "pop" | "clear" | "sort" | "reverse", _) if matches!(old, Literal::List(_)) => {
                    if matches!(method.attr.as_str(), "sort" | "reverse") {
                        return;
                    }
                    Literal::List(vec![self.unknown(call, "something is taken out of it")])
                }
                _ => return,
            };
            let sum = self.sum(old, new, call);
            names.insert(target.id.to_string(), sum);
            return;
        }
        self.call(call, names);
    }

    fn value(&mut self, expression: &'a Expr, names: &mut Names) -> Literal {
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return self.unknown(expression, "there is more of it than warmset follows");
        }
        match expression {
            Expr::StringLiteral(literal) => Literal::Text(literal.value.to_str().to_string(), self.line(expression)),
            Expr::List(list) => self.list(&list.elts, names),
            Expr::Tuple(tuple) => self.list(&tuple.elts, names),
            Expr::Set(set) => self.list(&set.elts, names),
            Expr::Dict(dict) => {
                let mut map = Vec::new();
                for item in &dict.items {
                    let value = self.value(&item.value, names);
                    match (item.key.as_ref().map(|key| self.value(key, names)), value) {
                        (Some(Literal::Text(key, _)), value) => map.push((key, value)),
                        (None, Literal::Map(more)) => map.extend(more),
                        // Which key it is does not matter to the others; the value may matter under any.
                        _ => return self.unknown(dict, "a key is not a literal"),
                    }
                }
                Literal::Map(map)
            }
            Expr::Name(name) if name.id.as_str() == "__file__" => Literal::Path("setup.py".into()),
            Expr::Name(name) => match names.get(name.id.as_str()) {
                Some(value) => {
                    self.parts += size(value);
                    value.clone()
                }
                None => self.unknown(name, &format!("nothing says what `{}` is", name.id)),
            },
            Expr::BinOp(sum) => {
                let (left, right) = (self.value(&sum.left, names), self.value(&sum.right, names));
                match sum.op {
                    Operator::Add => self.sum(left, right, sum),
                    Operator::Div => self.joined(vec![left, right], sum),
                    _ => self.unknown(sum, "it is computed"),
                }
            }
            Expr::Subscript(item) => {
                let (of, key) = (self.value(&item.value, names), self.value(&item.slice, names));
                match (of, key) {
                    (Literal::Map(map), Literal::Text(key, _)) => map
                        .into_iter()
                        .rev()
                        .find(|(k, _)| *k == key)
                        .map_or_else(|| self.unknown(item, "there is no such key"), |(_, value)| value),
                    _ => self.unknown(item, "it is a part of something that is not literal"),
                }
            }
            Expr::ListComp(each) => self.comprehension(&each.elt, &each.generators, names),
            Expr::SetComp(each) => self.comprehension(&each.elt, &each.generators, names),
            Expr::Generator(each) => self.comprehension(&each.elt, &each.generators, names),
            Expr::Attribute(attribute) if attribute.attr.as_str() == "parent" => {
                match self.value(&attribute.value, names) {
                    Literal::Path(path) => Literal::Path(paths::parent(&path).to_string()),
                    _ => self.unknown(attribute, "it is an attribute"),
                }
            }
            Expr::Call(call) => self.call(call, names),
            Expr::NoneLiteral(_) => Literal::List(Vec::new()),
            _ => self.unknown(expression, "it is not a literal"),
        }
    }

    fn list(&mut self, elements: &'a [Expr], names: &mut Names) -> Literal {
        let mut out = Vec::new();
        for element in elements {
            match element {
                Expr::Starred(starred) => match self.value(&starred.value, names) {
                    Literal::List(more) => out.extend(more),
                    other => out.push(other),
                },
                element => out.push(self.value(element, names)),
            }
        }
        Literal::List(out)
    }

    fn sum(&mut self, left: Literal, right: Literal, at: &impl Ranged) -> Literal {
        self.parts += size(&left) + size(&right);
        if self.parts > MAX_PARTS {
            return self.unknown(at, "there is more of it than warmset follows");
        }
        match (left, right) {
            (Literal::Text(a, line), Literal::Text(b, _)) => Literal::Text(a + &b, line),
            (Literal::Map(mut a), Literal::Map(b)) => {
                a.extend(b);
                Literal::Map(a)
            }
            (Literal::Path(a), Literal::Text(b, _)) => self.joined_text(&a, b.trim_start_matches('/'), at),
            (Literal::Text(..), _) | (_, Literal::Text(..)) => self.unknown(at, "it is put together"),
            (a, b) => {
                let parts = |value| match value {
                    Literal::List(parts) => parts,
                    other => vec![other],
                };
                let mut all = parts(a);
                all.extend(parts(b));
                Literal::List(all)
            }
        }
    }

    fn joined_text(&self, dir: &str, rest: &str, at: &impl Ranged) -> Literal {
        match paths::join(dir, rest) {
            Some(path) => Literal::Path(path),
            None => self.unknown(at, "the path leaves the folder"),
        }
    }

    fn joined(&self, parts: Vec<Literal>, at: &impl Ranged) -> Literal {
        let mut out = ".".to_string();
        for part in parts {
            let joined = match part {
                Literal::Path(path) => Some(path),
                Literal::Text(text, _) => paths::join(&out, &text),
                _ => None,
            };
            match joined {
                Some(path) => out = path,
                None => return self.unknown(at, "the path is not a literal"),
            }
        }
        Literal::Path(out)
    }

    /// `[line.strip() for line in lines if line and not line.startswith("#")]`: the lines; what such a test drops is no
    /// requirement. Any other test or element is more than can be told.
    fn comprehension(&mut self, element: &'a Expr, generators: &'a [ast::Comprehension], names: &mut Names) -> Literal {
        let [each] = generators else { return self.unknown(element, "several loops decide") };
        let Expr::Name(target) = &each.target else { return self.unknown(element, "a loop decides") };
        let name = target.id.as_str();
        if !is_same(element, name) || !each.ifs.iter().all(|test| drops_noise(test, name)) {
            return self.unknown(element, "a loop decides");
        }
        self.iterated(&each.iter, names)
    }

    /// What iterating over an expression gives.
    fn iterated(&mut self, expression: &'a Expr, names: &mut Names) -> Literal {
        match self.value(expression, names) {
            Literal::File { path, part: FilePart::Open | FilePart::Lines, line } => {
                Literal::File { path, part: FilePart::Lines, line }
            }
            value @ (Literal::List(_) | Literal::Unknown(..) | Literal::File { part: FilePart::Requirements, .. }) => {
                value
            }
            _ => self.unknown(expression, "it is not a list"),
        }
    }

    fn call(&mut self, call: &'a ast::ExprCall, names: &mut Names) -> Literal {
        if self.calls >= MAX_CALLS * MAX_CALLS {
            return self.unknown(call, "there are more calls than warmset follows");
        }
        self.calls += 1;
        let out = self.called(call, names);
        self.calls -= 1;
        out
    }

    fn called(&mut self, call: &'a ast::ExprCall, names: &mut Names) -> Literal {
        let args = &call.arguments.args;
        let (name, on) = match &*call.func {
            Expr::Name(name) => (name.id.as_str(), None),
            Expr::Attribute(method) => (method.attr.as_str(), Some(&*method.value)),
            _ => return self.unknown(call, "it is the result of a call"),
        };
        if name == "setup" && on.is_none_or(|on| matches!(on, Expr::Name(_) | Expr::Attribute(_))) {
            self.found_setup(call, names);
            return Literal::List(Vec::new());
        }
        if on.is_none()
            && let Some(&function) = self.functions.get(name)
        {
            return self.function(function, call, names);
        }
        let line = self.line(call);
        let module = matches!(on, Some(Expr::Name(n)) if !names.contains_key(n.id.as_str()))
            || matches!(on, Some(Expr::Attribute(_)))
                && matches!(name, "join" | "dirname" | "abspath" | "realpath" | "normpath");
        match (name, on) {
            ("open", None) | ("open", Some(_)) if on.is_none() || module => match args.first() {
                Some(path) => self.opened(path, FilePart::Open, line, names),
                None => self.unknown(call, "it is the result of a call"),
            },
            ("parse_requirements", _) => match args.first() {
                Some(path) => self.opened(path, FilePart::Requirements, line, names),
                None => self.unknown(call, "it is the result of a call"),
            },
            ("join", Some(_)) if module => match self.list(args, names) {
                Literal::List(parts) => self.joined(parts, call),
                other => other,
            },
            ("dirname", _) => match args.first().map(|a| self.value(a, names)) {
                Some(Literal::Path(path)) => Literal::Path(paths::parent(&path).to_string()),
                _ => self.unknown(call, "it is the result of a call"),
            },
            ("abspath" | "realpath" | "normpath" | "Path" | "PurePath" | "str" | "fspath", _) => {
                match args.first().map(|a| self.value(a, names)) {
                    Some(Literal::Text(text, _)) if name != "str" => self.joined(vec![Literal::Text(text, line)], call),
                    Some(value @ (Literal::Path(_) | Literal::Text(..))) => value,
                    _ => self.unknown(call, "it is the result of a call"),
                }
            }
            ("list" | "tuple" | "set" | "sorted" | "frozenset", None) => match args.first() {
                Some(one) => self.iterated(one, names),
                None => Literal::List(Vec::new()),
            },
            ("map" | "filter", None) => match (args.first(), args.get(1)) {
                (Some(Expr::NoneLiteral(_)), Some(list)) if name == "filter" => self.iterated(list, names),
                (Some(by), Some(list)) if name == "map" && is_plain(by) => self.iterated(list, names),
                _ => self.unknown(call, "a function decides"),
            },
            ("dict", None) => {
                let mut map = match args.first().map(|a| self.value(a, names)) {
                    None => Vec::new(),
                    Some(Literal::Map(map)) => map,
                    Some(_) => return self.unknown(call, "it is the result of a call"),
                };
                for keyword in &call.arguments.keywords {
                    let value = self.value(&keyword.value, names);
                    match (&keyword.arg, value) {
                        (Some(key), value) => map.push((key.to_string(), value)),
                        (None, Literal::Map(more)) => map.extend(more),
                        (None, _) => return self.unknown(call, "it is the result of a call"),
                    }
                }
                Literal::Map(map)
            }
            (method, Some(on)) => {
                let of = self.value(on, names);
                self.method(of, method, call, names)
            }
            _ => self.unknown(call, &format!("`{name}()` would have to run")),
        }
    }

    fn method(&mut self, of: Literal, method: &str, call: &'a ast::ExprCall, names: &mut Names) -> Literal {
        let line = self.line(call);
        match (of, method) {
            (Literal::Path(path), "open") => Literal::File { path, part: FilePart::Open, line },
            (Literal::Path(path), "read_text") => Literal::File { path, part: FilePart::Text, line },
            (path @ Literal::Path(_), "resolve" | "absolute" | "expanduser") => path,
            (path @ Literal::Path(_), "joinpath") => match self.list(&call.arguments.args, names) {
                Literal::List(parts) => self.joined([vec![path], parts].concat(), call),
                other => other,
            },
            (Literal::File { path, part: FilePart::Open, line }, "read") => {
                Literal::File { path, part: FilePart::Text, line }
            }
            (Literal::File { path, part: FilePart::Open, line }, "readlines") => {
                Literal::File { path, part: FilePart::Lines, line }
            }
            (file @ Literal::File { part: FilePart::Text, .. }, "strip" | "rstrip" | "lstrip" | "decode") => file,
            (Literal::File { path, part: FilePart::Text, line }, "splitlines" | "split") => {
                Literal::File { path, part: FilePart::Lines, line }
            }
            (Literal::Text(text, line), "strip") if call.arguments.args.is_empty() => {
                Literal::Text(text.trim().to_string(), line)
            }
            (Literal::Text(text, line), "split" | "splitlines") => {
                let by = call.arguments.args.first().map(|a| self.value(a, names));
                let lines = (line..).zip(text.split('\n'));
                let parts: Vec<Literal> = match (method, by) {
                    ("splitlines", _) => lines.map(|(line, t)| Literal::Text(t.to_string(), line)).collect(),
                    (_, None) => lines
                        .flat_map(|(line, t)| t.split_whitespace().map(move |w| Literal::Text(w.to_string(), line)))
                        .collect(),
                    (_, Some(Literal::Text(by, _))) if by == "\n" => {
                        lines.map(|(line, t)| Literal::Text(t.to_string(), line)).collect()
                    }
                    (_, Some(Literal::Text(by, _))) if !by.is_empty() => {
                        text.split(by.as_str()).map(|t| Literal::Text(t.to_string(), line)).collect()
                    }
                    _ => return self.unknown(call, "it is the result of a call"),
                };
                Literal::List(parts)
            }
            (value @ (Literal::List(_) | Literal::Map(_)), "copy") => value,
            (Literal::Map(map), "values") => Literal::List(map.into_iter().map(|(_, value)| value).collect()),
            (unknown @ Literal::Unknown(..), _) => unknown,
            _ => self.unknown(call, &format!("`{method}()` would have to run")),
        }
    }

    fn opened(&mut self, path: &'a Expr, part: FilePart, line: u32, names: &mut Names) -> Literal {
        let value = self.value(path, names);
        match self.joined(vec![value], path) {
            Literal::Path(path) => Literal::File { path, part, line },
            other => other,
        }
    }

    /// A function of the file, with its arguments bound.
    fn function(&mut self, function: &'a ast::StmtFunctionDef, call: &'a ast::ExprCall, names: &mut Names) -> Literal {
        if self.calls > MAX_CALLS {
            return self.unknown(call, "there are more calls than warmset follows");
        }
        let mut inner = names.clone();
        let parameters = &function.parameters;
        for (at, parameter) in parameters.args.iter().enumerate() {
            let keyword = call.arguments.keywords.iter().find(|k| k.arg.as_ref() == Some(&parameter.parameter.name));
            let given = call.arguments.args.get(at).or(keyword.map(|k| &k.value)).or(parameter.default.as_deref());
            let value = match given {
                Some(given) => self.value(given, names),
                None => self.unknown(call, "an argument is not given"),
            };
            inner.insert(parameter.parameter.name.to_string(), value);
        }
        // `*parts` of a path.
        if let Some(rest) = &parameters.vararg {
            let given = call.arguments.args.iter().skip(parameters.args.len());
            let parts = given.map(|a| self.value(a, names)).collect();
            inner.insert(rest.name.to_string(), Literal::List(parts));
        }
        match self.block(&function.body, &mut inner) {
            Some(value) => value,
            None => self.unknown(call, &format!("`{}()` would have to run", function.name)),
        }
    }

    fn found_setup(&mut self, call: &'a ast::ExprCall, names: &mut Names) {
        let mut setup = Setup { line: self.line(call), ..Setup::default() };
        for keyword in &call.arguments.keywords {
            let value = self.value(&keyword.value, names);
            match (&keyword.arg, value) {
                (Some(name), value) => {
                    setup.keywords.insert(name.to_string(), value);
                }
                (None, Literal::Map(map)) => setup.keywords.extend(map),
                (None, Literal::Unknown(line, why)) => setup.unknown = Some((line, why)),
                (None, _) => setup.unknown = Some((self.line(keyword), "its arguments are not a literal".into())),
            }
        }
        self.setup.get_or_insert(setup);
    }
}

fn size(value: &Literal) -> usize {
    match value {
        Literal::List(parts) => 1 + parts.iter().map(size).sum::<usize>(),
        Literal::Map(map) => 1 + map.iter().map(|(_, v)| size(v)).sum::<usize>(),
        Literal::Text(text, _) => 1 + text.len() / 64,
        _ => 1,
    }
}
