//! What a source file says by literal values: exports, decorators and calls at its top level.
//!
//! Frameworks declare functions in code (`@app.route(…)`, `app.http('name', …)`, `module.exports = {functions: …}`).
//! Nothing is run: a value is what its literals, and the constants of the same file, come to. Whatever else it is
//! becomes a [`Node`] with a tag, which has no text: [`CODE`], [`FUNCTION`] or [`IMPORT`].

mod javascript;
mod python;

use super::doc::{Entry, Node, Value};
use crate::model::nesting::{self, Nesting, Syntax};

pub(crate) use javascript::javascript;
pub(crate) use python::python;

/// Tag of a value that only running the program would tell; the text is its source, shortened.
pub(crate) const CODE: &str = "code";
/// Tag of a function or class.
pub(crate) const FUNCTION: &str = "function";
/// Tag of a name that another module gives; the text is the name here.
pub(crate) const IMPORT: &str = "import";
/// What stands for the folder of the file in a text, where the code asks for it by `handlerPath(__dirname)`, a helper
/// of the Serverless Framework's TypeScript template.
pub(crate) const FOLDER: &str = "\u{0}folder\u{0}";

/// Constants that refer to constants are followed so far.
const MAX_HOPS: usize = 6;
/// Values built for one file, copies of constants included.
const MAX_VALUES: usize = 50_000;
/// Brackets open at once that are still followed.
const MAX_BRACKETS: usize = 200;

/// A file's top level.
#[derive(Debug, Default)]
pub(crate) struct Module {
    /// What it exports (JavaScript); the module itself and `export default` are called `default`.
    pub exports: Vec<Entry>,
    /// Functions with their decorators (Python).
    pub functions: Vec<Function>,
    /// Calls that are statements of their own.
    pub calls: Vec<Call>,
    /// Names that are given the result of a call: `app = func.FunctionApp()`.
    pub made: Vec<(String, Call)>,
    /// Names that other modules give.
    pub imports: Vec<Import>,
}

/// A function at the top level of a Python file.
#[derive(Debug)]
pub(crate) struct Function {
    pub name: String,
    /// Of its `def`.
    pub line: u32,
    pub decorators: Vec<Call>,
}

/// A call, or a decorator without one.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// `app.http`.
    pub path: String,
    pub line: u32,
    pub arguments: Vec<Node>,
    /// Keyword arguments (Python).
    pub keywords: Vec<Entry>,
}

/// A name that comes from another module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Import {
    /// Name in this file.
    pub local: String,
    /// Module specifier; Python's with its leading dots.
    pub module: String,
    /// Name in the other module: `default` for a default import, `*` for the module itself.
    pub name: String,
}

impl Module {
    /// The value of an export.
    pub fn export(&self, name: &str) -> Option<&Node> {
        self.exports.iter().rev().find(|e| e.key == name).map(|e| &e.value)
    }

    /// Where a name of this file comes from.
    pub fn import(&self, local: &str) -> Option<&Import> {
        self.imports.iter().rev().find(|i| i.local == local)
    }

    /// Whether a call's path goes to something that is imported from this module: `functions.http` after
    /// `const functions = require('x')`, `http` after `import {http} from 'x'`. Returns the name there.
    pub fn name_in(&self, path: &str, module: &str) -> Option<String> {
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        let import = self.import(first).filter(|i| i.module == module)?;
        Some(match (import.name.as_str(), rest) {
            ("*" | "default", rest) => rest.to_string(),
            (name, "") => name.to_string(),
            (name, rest) => format!("{name}.{rest}"),
        })
    }
}

/// Why a file could not be read as code: line and reason.
pub(crate) type Unreadable = (u32, String);

fn node(line: u32, value: Value) -> Node {
    Node { line, tag: None, value }
}

fn tagged(line: u32, tag: &str, text: &str) -> Node {
    // A shortened text for people; cut at a character's start.
    let short: String = text.chars().take_while(|c| *c != '\n').take(60).collect();
    Node { line, tag: Some(tag.to_string()), value: Value::Text(short) }
}

/// Runs a parser where the stack is large enough.
fn guarded<T: Send>(
    text: &str,
    syntax: Syntax,
    work: impl FnOnce() -> Result<T, Unreadable> + Send,
) -> Result<T, Unreadable> {
    let mut nesting: Nesting = nesting::scan(text, syntax);
    if syntax == Syntax::Python {
        nesting.depth += nesting::deepest_indent(text);
    }
    if nesting.brackets > MAX_BRACKETS {
        return Err((0, format!("brackets are nested {} deep", nesting.brackets)));
    }
    nesting::with_stack(nesting, work).unwrap_or_else(|| Err((0, "it is nested very deeply".into())))
}
