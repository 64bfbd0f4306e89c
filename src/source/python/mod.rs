//! Imports of a Python file.
//!
//! Ruff's parser reads a file first: it is several times as fast, and knows all of the language up to now. What it refuses,
//! rustpython-parser is asked about, as a second opinion. Both trees are lowered to one small form, so that one piece of code
//! decides what an import is. A file that neither accepts gives a diagnostic, and the imports of the statements that Ruff's
//! parser could still make out around the error.
//!
//! What counts, and how:
//!
//! | source | taken as |
//! |---|---|
//! | `import`, `from … import`, wherever they stand; a class body runs with its module | runtime |
//! | the same in functions and lambdas | lazy |
//! | `importlib.import_module`, `__import__`, `runpy.run_module`, `lazy_loader.load`, `pkgutil.resolve_name`, under any name that the file gives them | dynamic |
//! | a name of a module: a literal, a sum or f-string of literals, a name given once at the top, the variable of a loop over literals | as if written out |
//! | `if TYPE_CHECKING` (negated, aliased, in `and`/`or`, its `else`), `if False`, other systems (`sys.platform`, `os.name`), Python 2 | type-only: nobody loads it |
//! | `if sys.version_info …` | as it stands, with the versions it is for (`only_on`) |
//! | the body and handlers of a `try` that catches the failure of an import, `with contextlib.suppress(ImportError)`, `importlib.util.find_spec`, what stands under `if __name__ == "__main__"` | optional |
//! | `else` and `finally` of such a `try` | runtime |
//! | any other name of a module; `pkgutil.iter_modules`, entry points, modules by the path of a file | unknown, with a diagnostic |
//! | `sys.path.append`, `.insert`, `.extend`, `site.addsitedir` with a folder beside `__file__` or a relative literal | looked into for local modules (`search`) |
//! | strings given to `exec` or `eval`, doctests, comments | not read |

mod classify;
mod encoding;
mod ir;
mod lower_ruff;
mod lower_rustpython;
pub mod notebook;
#[cfg(test)]
mod oracle;
pub mod setup;
mod setup_idioms;
mod values;

use std::sync::OnceLock;

use aho_corasick::AhoCorasick;
use ruff_python_parser::{Mode, ParseOptions, parse_unchecked};
use rustpython_parser::Parse;

use super::FileImports;
use super::nesting::{self, Nesting, Syntax, deepest_indent};
use crate::model::{Area, Diagnostic, Extent, Lines, Place, Support, codes};
use ir::Node;

/// What is read of Python sources.
pub const SUPPORT: [Support; 2] = [
    Support {
        area: Area::Source,
        what: "Python",
        files: "*.py",
        extent: Extent::Full,
        note: "Python 3 up to 3.14; what code loads by computed names is a diagnostic; of Python 2 what can be made out",
    },
    Support {
        area: Area::Source,
        what: "Jupyter notebooks",
        files: "*.ipynb",
        extent: Extent::Partly,
        note: "code cells in Python, without magics, of a notebook that is named; others are not a function's code",
    },
];

/// CPython refuses 200 open brackets and 100 levels of indentation; a margin above, since here comments and
/// continuation lines count as well.
const MAX_BRACKETS: usize = 200;
const MAX_INDENTS: usize = 150;

/// What the parsers made of a file.
enum Parsed {
    /// One of them accepts it.
    Whole(Vec<Node>),
    /// Neither does: where and why by Ruff's parser, and what that made of the rest.
    Broken { offset: u32, reason: String, nodes: Vec<Node> },
}

/// Reads the imports of a Python file; `file` is the path that diagnostics name.
pub fn imports(file: &str, bytes: &[u8]) -> FileImports {
    let refuse = |diagnostic| FileImports { diagnostics: vec![diagnostic], ..FileImports::default() };
    let text = match encoding::decode(bytes) {
        Ok(text) => text,
        Err(encoding::Undecodable::Binary(line)) => {
            return refuse(Diagnostic::new(codes::FILE_BINARY, Place::at(file, line), "the file holds NUL bytes"));
        }
        Err(encoding::Undecodable::Encoding(line, reason)) => {
            return refuse(Diagnostic::new(codes::FILE_ENCODING, Place::at(file, line), reason));
        }
    };
    let mut nesting = nesting::scan(&text, Syntax::Python);
    let indents = deepest_indent(&text);
    nesting.depth += indents;
    let too_deep = |what: String| refuse(Diagnostic::new(codes::NESTING_TOO_DEEP, Place::file(file), what));
    if nesting.brackets > MAX_BRACKETS {
        return too_deep(format!("brackets are nested {} deep; Python allows {MAX_BRACKETS}", nesting.brackets));
    }
    if indents > MAX_INDENTS {
        return too_deep(format!("blocks are nested {indents} deep; Python allows 100"));
    }
    read(file, &text, nesting, parse).unwrap_or_else(|| too_deep(format!("an expression has {} levels", nesting.depth)))
}

/// Parses, lowers and classifies where there is stack enough; the tree does not leave that place.
fn read(file: &str, text: &str, nesting: Nesting, parse: fn(&str, bool) -> Parsed) -> Option<FileImports> {
    nesting::with_stack(nesting, || {
        let lines = Lines::new(text);
        match parse(text, may_call(text)) {
            Parsed::Whole(nodes) => classify::classify(file, &lines, &nodes),
            Parsed::Broken { offset, reason, nodes } => {
                let mut found = classify::classify(file, &lines, &nodes);
                let diagnostic = broken(file, text, lines.of(offset as usize), &reason, found.imports.len());
                found.diagnostics.insert(0, diagnostic);
                found
            }
        }
    })
}

/// Whether anything in the file can import by a call, or say where to look: all ways to do so need one of these words.
fn may_call(text: &str) -> bool {
    static WORDS: OnceLock<Option<AhoCorasick>> = OnceLock::new();
    let words = WORDS.get_or_init(|| AhoCorasick::new(classify::CALLS).ok());
    words.as_ref().is_none_or(|words| words.is_match(text))
}

fn parse(text: &str, calls: bool) -> Parsed {
    match parse_ruff(text, calls) {
        Parsed::Whole(nodes) => Parsed::Whole(nodes),
        broken @ Parsed::Broken { .. } => match rustpython_parser::ast::Suite::parse(text, "") {
            Ok(suite) => Parsed::Whole(lower_rustpython::lower(&suite, calls)),
            Err(_) => broken,
        },
    }
}

fn parse_ruff(text: &str, calls: bool) -> Parsed {
    let parsed = parse_unchecked(text, ParseOptions::from(Mode::Module));
    let error = parsed.errors().first().map(|e| (e.location.start().into(), e.error.to_string()));
    let nodes = match parsed.syntax() {
        ruff_python_ast::Mod::Module(module) => lower_ruff::lower(&module.body, calls),
        ruff_python_ast::Mod::Expression(_) => Vec::new(),
    };
    match error {
        None => Parsed::Whole(nodes),
        Some((offset, reason)) => Parsed::Broken { offset, reason, nodes },
    }
}

fn broken(file: &str, text: &str, line: u32, reason: &str, recovered: usize) -> Diagnostic {
    let kept = match recovered {
        0 => "no imports could be read".to_string(),
        1 => "1 import was read around the error".to_string(),
        n => format!("{n} imports were read around the error"),
    };
    if let Some((line, what)) = python_2(text) {
        return Diagnostic::new(codes::PYTHON_2, Place::at(file, line), format!("{what} is Python 2; {kept}"));
    }
    let mut reason = reason.trim_end_matches('.').to_string();
    if reason.chars().nth(1).is_some_and(char::is_lowercase)
        && let Some(first) = reason.get(..1)
    {
        reason.replace_range(..1, &first.to_ascii_lowercase());
    }
    Diagnostic::new(codes::PYTHON_SYNTAX, Place::at(file, line), format!("{reason}; {kept}"))
}

/// The first line that only Python 2 accepts, and what is old about it. Asked of files that no parser accepts.
fn python_2(text: &str) -> Option<(u32, &'static str)> {
    for (number, line) in text.lines().enumerate() {
        let code = line.trim_start();
        let after =
            |word: &str| code.strip_prefix(word).filter(|rest| rest.starts_with([' ', '\t'])).map(str::trim_start);
        let starts_value = |rest: &str| {
            rest.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '"' | '\'' | '_' | '`' | '-' | '[' | '{'))
        };
        let old = if after("print").is_some_and(|rest| starts_value(rest) || rest.starts_with(">>")) {
            "a print statement"
        } else if after("exec").is_some_and(starts_value) {
            "an exec statement"
        } else if after("except").is_some_and(names_exception) {
            "`except X, name`"
        } else if after("raise").is_some_and(|rest| {
            rest.split_once(',')
                .is_some_and(|(class, _)| class.chars().all(|c| c.is_alphanumeric() || c == '.' || c == '_'))
        }) {
            "`raise X, value`"
        } else if !code.starts_with('#') && code.matches('`').count() == 2 && !code.contains(['"', '\'']) {
            "a backquoted expression"
        } else {
            continue;
        };
        return Some((u32::try_from(number + 1).unwrap_or(u32::MAX), old));
    }
    None
}

/// `X, name:` behind `except`. `except X, Y:` is Python 3.14 (PEP 758); classes are not written in lower case.
fn names_exception(rest: &str) -> bool {
    rest.trim_end().strip_suffix(':').and_then(|caught| caught.rsplit_once(',')).is_some_and(|(class, name)| {
        !class.starts_with('(') && name.trim_start().starts_with(|c: char| c.is_lowercase() || c == '_')
    })
}

#[cfg(test)]
mod tests;
