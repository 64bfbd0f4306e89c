//! What a program in TypeScript, JavaScript or Python says outright: names that it imports, names that it gives one
//! value, and calls with their arguments, as far as they are literals. Nothing is run.
//!
//! Both languages become one small form, so that one piece of code works out paths and recognises constructors. Names
//! count for the whole file: one that is given several different values has none.

mod javascript;
mod python;

use std::collections::BTreeMap;

use crate::discover::paths;
use crate::model::nesting::{self, Syntax};

/// Names refer to names a few levels deep; a circle ends here.
const MAX_DEEP: usize = 24;
/// Longest text put together, bytes.
const MAX_TEXT: usize = 65_536;
/// Brackets and blocks open at once that are still followed.
const MAX_BRACKETS: usize = 200;
/// Expressions worked out in one file.
const MAX_STEPS: usize = 100_000;

/// An expression as written.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// A literal; numbers and booleans as text.
    Text(String),
    /// `[a, b]`.
    List(Vec<Expr>),
    /// `{a: 1}`; a spread has the name `...`.
    Map(Vec<(String, Expr)>),
    /// `a.b.c`.
    Name(String),
    /// `f(x).b`.
    Attribute(Box<Expr>, String),
    /// A call, or `new`.
    Call(Box<Call>),
    /// Texts put together: templates, f-strings, `+`.
    Concat(Vec<Expr>),
    /// `a / b`, of Python's paths.
    Slash(Box<Expr>, Box<Expr>),
    /// Anything else.
    Other,
}

/// A call.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// What is called.
    pub callee: Expr,
    /// Arguments by position.
    pub arguments: Vec<Expr>,
    /// Arguments by name, Python only; `...` for `**x`.
    pub named: Vec<(String, Expr)>,
    /// From 1.
    pub line: u32,
}

/// What a file says.
#[derive(Debug, Default)]
pub struct Program {
    /// Local name → module, or module and what is taken from it, with dots: `aws-cdk-lib/aws-lambda` is
    /// `aws_cdk_lib.aws_lambda`.
    pub imports: BTreeMap<String, String>,
    /// Name → value; `None` where it is given several.
    pub values: BTreeMap<String, Option<Expr>>,
    /// Calls that may be those of constructors of functions, in the order of the file.
    pub calls: Vec<Call>,
}

impl Program {
    fn bind(&mut self, name: String, value: Expr) {
        self.values
            .entry(name)
            .and_modify(|known| {
                if known.as_ref() != Some(&value) {
                    *known = None;
                }
            })
            .or_insert(Some(value));
    }
}

/// Whether a callee's last word is that of a constructor of functions; most calls of a program need not be kept.
fn may_construct(callee: &Expr) -> bool {
    let (Expr::Name(name) | Expr::Attribute(_, name)) = callee else { return false };
    let last = name.rsplit('.').next().unwrap_or(name);
    // `Function` may have been given another name when it was imported.
    last.starts_with(char::is_uppercase)
}

/// Reads a program; `None` where it cannot be parsed or is nested too deeply (the layer that reads imports says so).
pub fn read(file: &str, text: &str) -> Option<Program> {
    let is_python = paths::extension(file) == "py";
    let syntax = if is_python { Syntax::Python } else { Syntax::JavaScript };
    let mut nesting = nesting::scan(text, syntax);
    if is_python {
        let indents = nesting::deepest_indent(text);
        nesting.depth += indents;
        nesting.brackets = nesting.brackets.max(indents);
    }
    if nesting.brackets > MAX_BRACKETS {
        return None;
    }
    nesting::with_stack(nesting, || if is_python { python::read(text) } else { javascript::read(file, text) }).flatten()
}

/// What an expression comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A text; as a path it starts in the folder that the program is run in.
    Text(String),
    /// A path that the program's own place tells, relative to the fleet.
    Path(String),
    /// What the file at a path holds, as text.
    Content(Box<Value>),
    /// A list.
    List(Vec<Value>),
    /// Named values.
    Map(BTreeMap<String, Value>),
    /// Something imported: `aws_lambda.Runtime.PYTHON_3_12`.
    Imported(String),
    /// The outcome of calling something imported.
    Made(Box<Made>),
    /// Only running tells, and why.
    Unknown(String),
}

/// The outcome of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// `aws_lambda.Code.fromasset`, as [`plain`] spells it.
    pub what: String,
    /// Arguments by position.
    pub arguments: Vec<Value>,
    /// Arguments by name (Python's, or those of an object that is the last argument), names as [`plain`] spells them.
    pub named: BTreeMap<String, Value>,
    /// Names that are given by something that only running tells.
    pub open: Option<String>,
    /// From 1.
    pub line: u32,
}

/// A name as both languages spell it: `from_asset` and `fromAsset` give `fromasset`.
pub fn plain(name: &str) -> String {
    name.chars().filter(|c| *c != '_').flat_map(char::to_lowercase).collect()
}

/// A program and where it lies.
pub struct Reader<'a> {
    /// What it says.
    pub program: &'a Program,
    /// The file.
    pub file: &'a str,
    /// Expressions still worked out before giving up.
    steps: std::cell::Cell<usize>,
}

fn unknown(why: impl Into<String>) -> Value {
    Value::Unknown(why.into())
}

impl<'a> Reader<'a> {
    /// Nothing is worked out yet.
    pub fn new(program: &'a Program, file: &'a str) -> Self {
        Self { program, file, steps: std::cell::Cell::new(MAX_STEPS) }
    }

    fn dir(&self) -> String {
        paths::parent(self.file).to_string()
    }

    /// Of calls, those to something imported that `wanted` knows, with their arguments.
    pub fn made(&self, wanted: &dyn Fn(&str) -> bool) -> Vec<Made> {
        let calls = self.program.calls.iter();
        calls
            .filter_map(|call| {
                let name = self.imported(&call.callee)?;
                wanted(&name).then(|| self.make(name, call, MAX_DEEP))
            })
            .collect()
    }

    /// The imported thing that a dotted name stands for.
    fn imported(&self, expr: &Expr) -> Option<String> {
        let Expr::Name(name) = expr else { return None };
        let (first, rest) = name.split_once('.').map_or((name.as_str(), ""), |(first, rest)| (first, rest));
        // `import aws_cdk.aws_lambda` binds its first word, `import aws_cdk.aws_lambda as x` the last.
        let module = self.program.imports.get(first)?;
        Some(match (module.as_str(), rest) {
            (module, "") => module.to_string(),
            ("", rest) => rest.to_string(),
            (module, rest) => format!("{module}.{rest}"),
        })
    }

    fn make(&self, name: String, call: &Call, deep: usize) -> Made {
        let mut made = Made { what: name, arguments: Vec::new(), named: BTreeMap::new(), open: None, line: call.line };
        let last = call.arguments.len().saturating_sub(1);
        for (at, argument) in call.arguments.iter().enumerate() {
            let value = self.eval(argument, deep);
            // The properties of a construct are its third argument.
            if let (Value::Map(map), true) = (&value, at == last) {
                made.named.extend(map.iter().map(|(name, value)| (plain(name), value.clone())));
            }
            if let (Value::Unknown(why), true) = (&value, at == last && at >= 2) {
                made.open = Some(why.clone());
            }
            made.arguments.push(value);
        }
        for (name, value) in &call.named {
            let value = self.eval(value, deep);
            match (name.as_str(), value) {
                ("...", Value::Map(map)) => {
                    made.named.extend(map.into_iter().map(|(name, value)| (plain(&name), value)));
                }
                ("...", value) => made.open = Some(why(&value)),
                (name, value) => {
                    made.named.insert(plain(name), value);
                }
            }
        }
        if let Some(spread) = made.named.remove("...") {
            made.open = Some(why(&spread));
        }
        made
    }

    fn eval(&self, expr: &Expr, deep: usize) -> Value {
        let (Some(deep), Some(steps)) = (deep.checked_sub(1), self.steps.get().checked_sub(1)) else {
            return unknown("names that go round in a circle");
        };
        self.steps.set(steps);
        match expr {
            Expr::Text(text) => Value::Text(text.clone()),
            Expr::List(items) => Value::List(items.iter().map(|item| self.eval(item, deep)).collect()),
            Expr::Map(entries) => {
                let mut map = BTreeMap::new();
                for (key, value) in entries {
                    match (key.as_str(), self.eval(value, deep)) {
                        ("...", Value::Map(spread)) => map.extend(spread),
                        (_, value) => {
                            map.insert(key.clone(), value);
                        }
                    }
                }
                Value::Map(map)
            }
            Expr::Name(name) => self.name(name, deep),
            Expr::Attribute(base, name) => self.attribute(self.eval(base, deep), name),
            Expr::Call(call) => self.call(call, deep),
            Expr::Concat(parts) => self.concat(parts, deep),
            Expr::Slash(left, right) => join(self.eval(left, deep), &[self.eval(right, deep)]),
            Expr::Other => unknown("what the program does when it runs"),
        }
    }

    fn name(&self, name: &str, deep: usize) -> Value {
        match name {
            "__dirname" | "import.meta.dirname" => return Value::Path(self.dir()),
            "__file__" | "__filename" | "import.meta.filename" => return Value::Path(self.file.to_string()),
            _ => {}
        }
        if let Some(imported) = self.imported(&Expr::Name(name.to_string())) {
            return Value::Imported(imported);
        }
        // `self.x` and `this.x` are names of their own.
        if let Some(value) = self.program.values.get(name) {
            return match value {
                Some(value) => self.eval(value, deep),
                None => unknown(format!("`{name}`, which is given several values")),
            };
        }
        match name.rsplit_once('.') {
            Some((base, attribute)) if self.program.values.contains_key(base) || base == "__file__" => {
                self.attribute(self.name(base, deep), attribute)
            }
            _ => unknown(format!("`{name}`")),
        }
    }

    fn attribute(&self, base: Value, name: &str) -> Value {
        match (base, name) {
            (Value::Map(map), name) => map.get(name).cloned().unwrap_or_else(|| unknown(format!("`{name}`"))),
            (Value::Path(path), "parent") => Value::Path(paths::parent(&path).to_string()),
            (Value::Unknown(why), _) => unknown(why),
            (_, name) => unknown(format!("`.{name}`")),
        }
    }

    fn concat(&self, parts: &[Expr], deep: usize) -> Value {
        let mut out = String::new();
        let mut base = None;
        for (at, part) in parts.iter().enumerate() {
            match self.eval(part, deep) {
                Value::Text(text) => out.push_str(&text),
                // `${__dirname}/../src`
                Value::Path(path) if at == 0 || out.is_empty() => base = Some(path),
                value => return unknown(why(&value)),
            }
            if out.len() > MAX_TEXT {
                return unknown("a very long text");
            }
        }
        match base {
            Some(path) => join(Value::Path(path), &[Value::Text(out.trim_start_matches('/').to_string())]),
            None => Value::Text(out),
        }
    }

    fn call(&self, call: &Call, deep: usize) -> Value {
        let arguments = || -> Vec<Value> { call.arguments.iter().map(|a| self.eval(a, deep)).collect() };
        let name = self.imported(&call.callee);
        match name.as_deref().or(if let Expr::Name(name) = &call.callee { Some(name.as_str()) } else { None }) {
            Some("path.join" | "node:path.join" | "os.path.join" | "path.posix.join" | "os.join") => {
                let mut arguments = arguments().into_iter();
                let first = arguments.next().unwrap_or(Value::Text(String::new()));
                join(first, &arguments.collect::<Vec<_>>())
            }
            Some("path.resolve" | "node:path.resolve") => {
                // The last argument that is absolute starts the path; the folder that the program is run in otherwise.
                let arguments = arguments();
                let from = arguments.iter().rposition(|a| matches!(a, Value::Path(_))).unwrap_or(0);
                let mut rest = arguments.into_iter().skip(from);
                let first = rest.next().unwrap_or(Value::Text(".".into()));
                join(first, &rest.collect::<Vec<_>>())
            }
            Some("path.dirname" | "node:path.dirname" | "os.path.dirname") => match arguments().into_iter().next() {
                Some(Value::Path(path)) => Value::Path(paths::parent(&path).to_string()),
                other => unknown(other.map_or_else(|| "nothing".into(), |v| why(&v))),
            },
            Some(
                "os.path.abspath"
                | "os.path.realpath"
                | "os.path.normpath"
                | "os.fspath"
                | "str"
                | "path.normalize"
                | "pathlib.Path"
                | "pathlib.PurePath"
                | "String"
                | "url.fileURLToPath"
                | "node:url.fileURLToPath"
                | "os.path.expanduser",
            ) => arguments().into_iter().next().unwrap_or_else(|| Value::Text(".".into())),
            Some("process.cwd" | "os.getcwd" | "pathlib.Path.cwd") => Value::Text(".".into()),
            Some("fs.readFileSync" | "node:fs.readFileSync" | "readFileSync" | "open" | "io.open") => {
                content(arguments().into_iter().next())
            }
            _ => match name {
                Some(name) => Value::Made(Box::new(self.make(name, call, deep))),
                None => self.method(call, deep),
            },
        }
    }

    /// `Path(…).joinpath("x")`, `.resolve()`, `"…".as_posix()`.
    fn method(&self, call: &Call, deep: usize) -> Value {
        let (base, method) = match &call.callee {
            Expr::Attribute(base, method) => (self.eval(base, deep), method.as_str()),
            Expr::Name(name) => match name.rsplit_once('.') {
                Some((base, method)) => (self.name(base, deep), method),
                None => return unknown(format!("`{name}()`")),
            },
            _ => return unknown("a call"),
        };
        match (base, method) {
            (
                base @ (Value::Path(_) | Value::Text(_)),
                "resolve" | "absolute" | "as_posix" | "__str__" | "toString",
            ) => base,
            (base @ (Value::Path(_) | Value::Text(_)), "joinpath") => {
                let rest: Vec<Value> = call.arguments.iter().map(|a| self.eval(a, deep)).collect();
                join(base, &rest)
            }
            (base @ (Value::Path(_) | Value::Text(_)), "read_text" | "open") => content(Some(base)),
            (base @ Value::Content(_), "read" | "toString" | "decode") => base,
            // What a construct's method returns is not the construct.
            (_, method) => unknown(format!("`{method}()`")),
        }
    }
}

fn content(path: Option<Value>) -> Value {
    match path {
        Some(path @ (Value::Path(_) | Value::Text(_))) => Value::Content(Box::new(path)),
        other => unknown(other.map_or_else(|| "nothing".into(), |value| why(&value))),
    }
}

/// Why a value is not a text.
pub fn why(value: &Value) -> String {
    match value {
        Value::Unknown(why) => why.clone(),
        Value::Imported(name) => format!("`{name}`"),
        Value::Made(made) => format!("`{}()`", made.what),
        _ => "a value that is not text".into(),
    }
}

fn join(first: Value, rest: &[Value]) -> Value {
    let mut out = first;
    for part in rest {
        out = match (out, part) {
            (Value::Path(base), Value::Text(text)) => match paths::join(&base, text.trim_start_matches('/')) {
                Some(path) => Value::Path(path),
                None => unknown("a path that leaves the scanned folder"),
            },
            (Value::Text(base), Value::Text(text)) => Value::Text(format!("{}/{text}", base.trim_end_matches('/'))),
            (Value::Unknown(why), _) => return unknown(why),
            (_, other) => return unknown(why(other)),
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(file: &str, text: &str) -> Value {
        let program = read(file, text).unwrap();
        let reader = Reader::new(&program, file);
        reader.name("v", MAX_DEEP)
    }

    #[test]
    fn paths_that_a_program_builds_are_worked_out() {
        let ts = |text: &str| {
            let head = "import * as path from 'path';\nimport { join } from 'node:path';\nconst base = 'src';\n";
            value("app/lib/stack.ts", &format!("{head}const v = {text};"))
        };
        let path = |p: &str| Value::Path(p.into());
        assert_eq!(ts("path.join(__dirname, '..', 'lambda')"), path("app/lambda"));
        assert_eq!(ts("join(__dirname, '/../lambda')"), path("app/lambda"));
        assert_eq!(ts("`${__dirname}/../fn`"), path("app/fn"));
        assert_eq!(ts("__dirname + '/fn'"), path("app/lib/fn"));
        assert_eq!(ts("path.resolve(__dirname, '../a')"), path("app/a"));
        assert_eq!(ts("`${base}/x`"), Value::Text("src/x".into()));
        assert_eq!(ts("path.join(process.cwd(), 'a')"), Value::Text("./a".into()));
        assert!(matches!(ts("path.join(__dirname, name)"), Value::Unknown(why) if why == "`name`"));
        let py = |text: &str| {
            let head = "import os\nfrom pathlib import Path\nHERE = os.path.dirname(__file__)\n";
            value("app/stacks/s.py", &format!("{head}v = {text}\n"))
        };
        assert_eq!(py("os.path.join(HERE, '..', 'fn')"), path("app/fn"));
        assert_eq!(py("str(Path(__file__).parent.parent / 'fn' / 'a')"), path("app/fn/a"));
        assert_eq!(py("Path(__file__).resolve().parent.joinpath('x').as_posix()"), path("app/stacks/x"));
        assert_eq!(py("f'{HERE}/x'"), path("app/stacks/x"));
        assert_eq!(py("os.path.join(os.path.dirname(os.path.abspath(__file__)), 'y')"), path("app/stacks/y"));
        assert_eq!(py("'a' 'b'"), Value::Text("ab".into()));
    }

    #[test]
    fn what_has_several_values_has_none_and_deep_files_are_left() {
        let twice = value("a.ts", "let v = 'a'; { const v = 'b'; }");
        assert!(matches!(twice, Value::Unknown(why) if why.contains("several values")));
        for (file, open) in [("a.ts", "["), ("a.ts", "("), ("a.py", "("), ("a.ts", "f({a:"), ("a.py", "f(a=")] {
            assert!(read(file, &format!("v = {}", open.repeat(100_000))).is_none(), "{open}");
        }
        for unary in ["!", "-", "+"] {
            let _ = read("a.ts", &format!("v = {}1", unary.repeat(100_000)));
        }
        let ring = value("a.py", "v = w\nw = v\n");
        assert!(matches!(ring, Value::Unknown(_)));
    }

    #[test]
    fn constructors_are_known_by_what_they_are_imported_from() {
        let of = |file: &str, text: &str| -> Vec<(String, u32)> {
            let program = read(file, text).unwrap();
            let reader = Reader::new(&program, file);
            let wanted = |name: &str| name.ends_with(".Function");
            reader.made(&wanted).into_iter().map(|made| (made.what, made.line)).collect()
        };
        let lambda = |line| vec![("aws_lambda.Function".to_string(), line)];
        for text in [
            "import * as l from 'aws-cdk-lib/aws-lambda'; new l.Function(this, 'X', {})",
            "import { aws_lambda as l } from 'aws-cdk-lib'; new l.Function(this, 'X', {})",
            "import { Function as F } from '@aws-cdk/aws-lambda'; new F(this, 'X', {})",
            "import * as cdk from 'aws-cdk-lib'; new cdk.aws_lambda.Function(this, 'X', {})",
            "const l = require('aws-cdk-lib/aws-lambda'); new l.Function(this, 'X', {})",
            "const { Function } = require('aws-cdk-lib/aws-lambda'); new Function(this, 'X', {})",
            "import l = require('aws-cdk-lib/aws-lambda'); new l.Function(this, 'X', {})",
        ] {
            assert_eq!(of("a.ts", text), lambda(1), "{text}");
        }
        assert_eq!(
            of("a.ts", "import * as c from 'aws-cdk-lib/aws-cloudfront'; new c.Function(this)")[0].0,
            "aws_cloudfront.Function"
        );
        assert!(of("a.ts", "new Function('return 1')").is_empty());
        for text in [
            "from aws_cdk import aws_lambda as l\nl.Function(self, 'X')",
            "import aws_cdk.aws_lambda as l\nl.Function(self, 'X')",
            "from aws_cdk.aws_lambda import Function\nFunction(self, 'X')",
            "import aws_cdk as cdk\nx = cdk.aws_lambda.Function(self, 'X')",
            "import aws_cdk.aws_lambda\naws_cdk.aws_lambda.Function(self, 'X')",
        ] {
            assert_eq!(of("a.py", text), lambda(2), "{text}");
        }
    }
}
