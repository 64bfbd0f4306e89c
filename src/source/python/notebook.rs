//! Imports of a Jupyter notebook (`.ipynb`, nbformat 3 and 4).
//!
//! Code cells are read as one Python file, in their order. Magics are no Python: `%…`, `!…`, `…?` and what they are
//! assigned to are left out; a cell that begins with `%%` is Python only where the magic runs it as such (`%%time`), and
//! left out otherwise (`%%bash`, `%%writefile`). What `%pip install` or `!pip install` would install is not declared by that: a
//! diagnostic says so. Lines are those of the notebook file, where the text of the cell stands.
//!
//! A notebook is read where something names it; other notebooks of a folder are not the function's code.

use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::super::FileImports;
use super::super::nesting::{self, Syntax};
use crate::model::{Diagnostic, Lines, Place, codes};

/// Outputs of cells can hold any JSON; people and programs nest it less deep.
const MAX_BRACKETS: usize = 200;

/// Cell magics that run the rest of their cell as Python, in the same process.
const PYTHON_MAGICS: &[&str] = &["time", "timeit", "capture", "prun", "python", "python3", "pypy", "mprun", "memit"];

/// The Python of a notebook, and for each of its lines the line of the file.
#[derive(Debug, Default)]
struct Code {
    text: String,
    lines: Vec<u32>,
    installs: Vec<(u32, String)>,
}

/// Reads the imports of a notebook; `file` is the path that diagnostics name.
pub fn imports(file: &str, bytes: &[u8]) -> FileImports {
    let refuse = |line, code, reason: String| FileImports {
        diagnostics: vec![Diagnostic::new(code, Place::at(file, line), reason)],
        ..FileImports::default()
    };
    let Ok(text) = std::str::from_utf8(bytes) else {
        return refuse(0, codes::FILE_ENCODING, "a notebook is JSON, and JSON is UTF-8".to_string());
    };
    let nesting = nesting::scan(text, Syntax::JavaScript);
    if nesting.brackets > MAX_BRACKETS {
        return refuse(0, codes::NESTING_TOO_DEEP, format!("brackets are nested {} deep", nesting.brackets));
    }
    let lines = Lines::new(text);
    let parsed = parse_to_ast(text, &CollectOptions::default(), &ParseOptions::default());
    let root = match &parsed {
        Ok(parsed) => parsed.value.as_ref().and_then(Value::as_object),
        Err(error) => {
            let reason = format!("the notebook is no JSON: {}", error.kind());
            return refuse(lines.of(error.range().start), codes::PYTHON_SYNTAX, reason);
        }
    };
    let Some(root) = root else {
        return refuse(0, codes::PYTHON_SYNTAX, "the notebook is no JSON object".to_string());
    };
    if let Some(language) = language(root).filter(|language| !language.eq_ignore_ascii_case("python")) {
        return refuse(0, codes::PYTHON_SYNTAX, format!("the notebook is written in {language}, which is not read"));
    }
    let code = code(root, &lines);
    let mut found = super::imports(file, code.text.as_bytes());
    // A line that is not there is the end of the last cell.
    let place = |line: u32| {
        let at = usize::try_from(line).unwrap_or(0).saturating_sub(1);
        code.lines.get(at).or(code.lines.last()).copied().unwrap_or(0)
    };
    for import in &mut found.imports {
        import.line = place(import.line);
    }
    for diagnostic in &mut found.diagnostics {
        if diagnostic.place.line > 0 {
            diagnostic.place.line = place(diagnostic.place.line);
        }
    }
    found.diagnostics.extend(code.installs.iter().map(|(line, what)| {
        let reason = format!("`{what}` installs when the notebook runs, and declares nothing");
        Diagnostic::new(codes::REQUIREMENT_UNSUPPORTED, Place::at(file, *line), reason)
    }));
    found
}

fn language<'a>(root: &'a Object<'_>) -> Option<&'a str> {
    let metadata = root.get_object("metadata")?;
    let named = |object: &str, key: &str| Some(&*metadata.get_object(object)?.get_string(key)?.value);
    named("kernelspec", "language").or_else(|| named("language_info", "name"))
}

fn code(root: &Object<'_>, lines: &Lines) -> Code {
    let mut code = Code::default();
    // Version 3 keeps cells in worksheets.
    let sheets = root.get_array("worksheets").into_iter().flat_map(|sheets| &sheets.elements);
    let objects = std::iter::once(root).chain(sheets.filter_map(Value::as_object));
    for cell in objects.filter_map(|o| o.get_array("cells")).flat_map(|cells| &cells.elements) {
        let Some(cell) = cell.as_object() else { continue };
        if cell.get_string("cell_type").is_some_and(|kind| kind.value == "code") {
            add_cell(cell, lines, &mut code);
        }
    }
    code
}

fn add_cell(cell: &Object<'_>, lines: &Lines, code: &mut Code) {
    let Some(source) = cell.get("source").or_else(|| cell.get("input")) else { return };
    let parts = match &source.value {
        Value::Array(parts) => parts.elements.iter().collect(),
        one => vec![one],
    };
    // The lines of the cell, each with its line in the file. A string in the array can hold any part of the text.
    let mut cell: Vec<(u32, String)> = Vec::new();
    let mut open = false;
    for part in parts.into_iter().filter_map(Value::as_string_lit) {
        let line = lines.of(part.range().start);
        for piece in part.value.split_inclusive('\n') {
            match cell.last_mut().filter(|_| open) {
                Some((_, text)) => text.push_str(piece.trim_end_matches('\n')),
                None => cell.push((line, piece.trim_end_matches('\n').to_string())),
            }
            open = !piece.ends_with('\n');
        }
    }
    let magic = cell.iter().position(|(_, text)| !text.trim().is_empty());
    if let Some((at, rest)) = magic.and_then(|at| Some((at, cell[at].1.trim_start().strip_prefix("%%")?))) {
        if !rest.split_whitespace().next().is_some_and(|name| PYTHON_MAGICS.contains(&name)) {
            return;
        }
        cell[at].1.clear();
    }
    for (line, text) in cell {
        let (python, magic) = without_magic(&text);
        if let Some(what) = magic.filter(|what| is_install(what)) {
            code.installs.push((line, what.to_string()));
        }
        code.text.push_str(&python);
        code.text.push('\n');
        code.lines.push(line);
    }
}

/// A line of a cell as Python, and the magic that was in it.
fn without_magic(line: &str) -> (String, Option<&str>) {
    let code = line.trim_start();
    let indent = &line[..line.len() - code.len()];
    if code.starts_with(['%', '!', '?']) || (code.ends_with('?') && !code.contains(['#', '"', '\''])) {
        return (format!("{indent}pass"), Some(code));
    }
    // `files = !ls`, `x = %time f()`
    if let Some((target, value)) = code.split_once('=') {
        let value = value.trim_start();
        let magic = value.starts_with('!') || (value.starts_with('%') && value[1..].starts_with(char::is_alphabetic));
        if magic && target.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | ',' | ' ' | '.')) {
            return (format!("{indent}{target}= None"), Some(value));
        }
    }
    (line.to_string(), None)
}

fn is_install(magic: &str) -> bool {
    let words: Vec<&str> = magic.trim_start_matches(['%', '!']).split_whitespace().collect();
    let tool = words.iter().position(|word| matches!(*word, "pip" | "pip3" | "conda" | "mamba" | "uv" | "poetry"));
    tool.is_some_and(|at| words[at..].iter().any(|word| matches!(*word, "install" | "add")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(cells: &[&str]) -> FileImports {
        let cells: Vec<String> = cells
            .iter()
            .map(|cell| {
                let lines: Vec<String> =
                    cell.split_inclusive('\n').map(|l| serde_json::to_string(l).unwrap()).collect();
                format!("{{\"cell_type\": \"code\",\n\"source\": [\n{}\n]}}", lines.join(",\n"))
            })
            .collect();
        imports("n.ipynb", format!("{{\"cells\": [\n{}\n]}}", cells.join(",\n")).as_bytes())
    }

    fn shown(found: &FileImports) -> Vec<String> {
        found.imports.iter().map(|i| format!("{} {}", i.line, i.module)).collect()
    }

    #[test]
    fn cells_are_read_where_they_stand() {
        // Line 1 opens the list; each cell has two lines before its source and one behind it.
        let found = read(&["import a\nimport b", "x = 1\nfrom c import d"]);
        assert_eq!(shown(&found), ["4 a", "5 b", "10 c"]);
        assert!(found.diagnostics.is_empty(), "{:?}", found.diagnostics);
    }

    #[test]
    fn magics_are_left_out() {
        let found = read(&[
            "%matplotlib inline\nimport a\n!ls -l\nfiles = !ls\nt = %timeit -o f()\na.b?\nif x:\n    %time f()\nx = y % z",
            "%%bash\nimport b",
            "%%time\nimport c",
            "%%writefile x.py\nimport d",
        ]);
        assert_eq!(shown(&found), ["5 a", "22 c"]);
        assert!(found.diagnostics.is_empty(), "{:?}", found.diagnostics);
    }

    #[test]
    fn installing_is_not_declaring() {
        let found = read(&["%pip install -q pandas", "!pip3 install numpy\n!python -m pip install x\n!ls pip"]);
        let reasons: Vec<(u32, &str)> = found.diagnostics.iter().map(|d| (d.place.line, d.reason.as_str())).collect();
        let what = "installs when the notebook runs, and declares nothing";
        assert_eq!(
            reasons,
            [
                (4, &*format!("`%pip install -q pandas` {what}")),
                (8, &*format!("`!pip3 install numpy` {what}")),
                (9, &*format!("`!python -m pip install x` {what}")),
            ]
        );
    }

    #[test]
    fn other_shapes_and_what_is_no_notebook() {
        let old = br#"{"worksheets": [{"cells": [{"cell_type": "code", "input": "import a\nimport b"}]}]}"#;
        assert_eq!(shown(&imports("n.ipynb", old)), ["1 a", "1 b"]);
        let text = br#"{"cells": [{"cell_type": "markdown", "source": ["import a"]}, {"cell_type": "code"}, 7]}"#;
        assert_eq!(imports("n.ipynb", text), FileImports::default());
        let code = |bytes: &[u8]| imports("n.ipynb", bytes).diagnostics.first().map(|d| d.code.to_string());
        assert_eq!(code(b"{\"cells\": [").as_deref(), Some("python-syntax"));
        assert_eq!(code(b"[]").as_deref(), Some("python-syntax"));
        assert_eq!(code(b"\xff").as_deref(), Some("file-encoding"));
        assert_eq!(code("[".repeat(100_000).as_bytes()).as_deref(), Some("nesting-too-deep"));
        assert_eq!(
            code(br#"{"metadata": {"kernelspec": {"language": "R"}}, "cells": []}"#).as_deref(),
            Some("python-syntax")
        );
        // A broken cell does not take the others with it, and the place is the file's.
        let found = read(&["import a", "def f(:", "import b"]);
        assert_eq!(shown(&found), ["4 a", "12 b"]);
        assert_eq!(found.diagnostics[0].place, Place::at("n.ipynb", 8));
    }
}
