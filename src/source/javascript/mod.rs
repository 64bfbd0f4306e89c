//! Imports of a JavaScript or TypeScript file, read by oxc's parser.
//!
//! What counts: `import` and `export … from`, TypeScript's `import x = require()`, `require()`, `module.require()`,
//! `require.resolve()` and `import()`, and functions made by `createRequire`. A `require` that the file itself
//! declares is another function, and does not.
//!
//! Kinds: `require()` in a module's own body runs when it is loaded; in a function it is lazy; in a `try` with a
//! `catch` it is optional (and so is what the `catch` loads instead). `import()` and `require.resolve()` are dynamic.
//! In TypeScript an import is type-only when it says so, or when its names are used in types alone: the compiler then
//! drops it (unless `verbatimModuleSyntax` is set, which is not looked up).
//!
//! `.js`, `.mjs` and `.cjs` are read with JSX; where that fails they are read as TypeScript, which is how files with
//! Flow's annotations are read too, as far as the two agree.

mod elision;
mod reader;
mod scopes;

use oxc_allocator::Allocator;
use oxc_ast::ast::Program;
use oxc_ast_visit::Visit;
use oxc_parser::{ParseOptions, Parser, ParserReturn};
use oxc_span::SourceType;

use self::reader::Reader;
use self::scopes::Scopes;
use super::FileImports;
use super::nesting::{self, Nesting, Syntax};
use crate::model::{Diagnostic, Lines, Place, codes};

/// Brackets open at once that are still followed. Bundles reach about a hundred.
const MAX_BRACKETS: usize = 1_000;

/// Reads the imports of a JavaScript or TypeScript file; `file` is the path that diagnostics name, and its extension
/// says which language.
pub fn imports(file: &str, bytes: &[u8]) -> FileImports {
    let refuse = |diagnostic| FileImports { imports: Vec::new(), diagnostics: vec![diagnostic] };
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        let reason = "the file is in UTF-16, which Node.js does not run";
        return refuse(Diagnostic::new(codes::FILE_ENCODING, Place::file(file), reason).next("save it as UTF-8"));
    }
    if let Some(at) = bytes.iter().position(|&b| b == 0) {
        let line = bytes[..at].iter().filter(|&&b| b == b'\n').count() + 1;
        let place = Place::at(file, u32::try_from(line).unwrap_or(u32::MAX));
        return refuse(Diagnostic::new(codes::FILE_BINARY, place, "the file holds NUL bytes"));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    // Node.js puts a replacement character where bytes are no UTF-8, and runs the rest.
    let text = String::from_utf8_lossy(bytes);
    let nesting = nesting::scan(&text, Syntax::JavaScript);
    let too_deep = |what: String| refuse(Diagnostic::new(codes::NESTING_TOO_DEEP, Place::file(file), what));
    if nesting.brackets > MAX_BRACKETS {
        return too_deep(format!("brackets are nested {} deep", nesting.brackets));
    }
    let Some(mut found) = read(file, &text, nesting) else {
        return too_deep(format!("an expression has {} levels", nesting.depth));
    };
    if let Err(e) = std::str::from_utf8(bytes) {
        let line = bytes[..e.valid_up_to()].iter().filter(|&&b| b == b'\n').count() + 1;
        let place = Place::at(file, u32::try_from(line).unwrap_or(u32::MAX));
        let reason = "bytes that are not valid UTF-8 were read as replacement characters, as Node.js does";
        found.diagnostics.insert(0, Diagnostic::new(codes::FILE_ENCODING, place, reason).next("save it as UTF-8"));
    }
    found
}

/// The grammars to try, the likeliest first.
fn grammars(file: &str) -> Vec<SourceType> {
    match file.rsplit('.').next().unwrap_or_default() {
        "tsx" => vec![SourceType::tsx()],
        // An assertion `<T>x` is no JSX, and the other way round.
        "ts" => vec![SourceType::ts(), SourceType::tsx()],
        "mts" => vec![SourceType::ts().with_module(true)],
        "cts" => vec![SourceType::ts().with_commonjs(true), SourceType::ts()],
        "cjs" => vec![SourceType::cjs().with_jsx(true), SourceType::unambiguous().with_jsx(true), SourceType::tsx()],
        "mjs" => vec![SourceType::mjs().with_jsx(true), SourceType::tsx()],
        _ => vec![SourceType::unambiguous().with_jsx(true), SourceType::script(), SourceType::tsx(), SourceType::ts()],
    }
}

/// Parses and walks where there is stack enough; the tree does not leave that place.
fn read(file: &str, text: &str, nesting: Nesting) -> Option<FileImports> {
    nesting::with_stack(nesting, || {
        let lines = Lines::new(text);
        let mut first_error = None;
        let mut recovered = None;
        for grammar in grammars(file) {
            let allocator = Allocator::default();
            let options = ParseOptions { allow_return_outside_function: true, ..ParseOptions::default() };
            let parsed = Parser::new(&allocator, text, grammar).with_options(options).parse();
            if !parsed.panicked && parsed.diagnostics.is_empty() {
                return walk_program(file, &lines, &parsed.program);
            }
            if first_error.is_none() {
                first_error = Some(error_of(file, &lines, &parsed));
            }
            if !parsed.panicked && recovered.is_none() {
                recovered = Some(walk_program(file, &lines, &parsed.program));
            }
        }
        // What the parser recovers from is not an import gone: a duplicate name, an octal in strict code.
        let mut found = recovered.unwrap_or_default();
        let kept = match found.imports.len() {
            0 => "no imports could be read".to_string(),
            1 => "1 import was read around the error".to_string(),
            n => format!("{n} imports were read around the error"),
        };
        if let Some(mut diagnostic) = first_error {
            diagnostic.reason = format!("{}; {kept}", diagnostic.reason);
            found.diagnostics.insert(0, diagnostic);
        }
        found
    })
}

fn error_of(file: &str, lines: &Lines, parsed: &ParserReturn<'_>) -> Diagnostic {
    let error = parsed.diagnostics.iter().next();
    let offset = error.and_then(|e| e.labels.first()).map(|label| label.offset());
    let line = offset.map_or(0, |at| lines.of(at as usize));
    let message = error.map_or_else(|| "syntax error".to_string(), |e| e.message.to_string());
    let mut reason = message.trim_end_matches('.').replace('\n', " ");
    if let Some(first) = reason.chars().next()
        && reason.chars().nth(1).is_some_and(char::is_lowercase)
    {
        reason.replace_range(..first.len_utf8(), &first.to_lowercase().to_string());
    }
    Diagnostic::new(codes::JAVASCRIPT_SYNTAX, Place::at(file, line), reason)
}

fn walk_program(file: &str, lines: &Lines, program: &Program<'_>) -> FileImports {
    let mut scopes = Scopes::default();
    scopes.visit_program(program);
    let mut reader = Reader {
        file,
        lines,
        requires: &scopes.requires,
        own: &scopes.own,
        values: program.source_type.is_typescript().then(|| elision::values_of(program)),
        functions: 0,
        tries: 0,
        found: Vec::new(),
        diagnostics: Vec::new(),
    };
    reader.visit_program(program);
    reader.found.sort_by_key(|(offset, _)| *offset);
    FileImports {
        imports: reader.found.into_iter().map(|(_, import)| import).collect(),
        diagnostics: reader.diagnostics,
    }
}

#[cfg(test)]
mod tests;
