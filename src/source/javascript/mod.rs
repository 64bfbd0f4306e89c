//! Imports of a JavaScript or TypeScript file, read by oxc's parser.
//!
//! What counts: `import` and `export … from`, TypeScript's `import x = require()`, `require()` under any name (aliases,
//! `module.require`, `process.mainModule.require`, what `createRequire` makes), `require.resolve()`, `import()`,
//! `import.meta.resolve()`, `import.meta.glob()` and `require.context()` of bundlers, `new URL("./x.js",
//! import.meta.url)`, `new Worker()` and `fork()` with a path, `/// <reference …/>`, and what the compiler adds for JSX.
//! A `require` that the file itself declares is another function, and does not.
//!
//! Kinds: `require()` in a module's own body runs when it is loaded; in a function it is lazy; in a `try` with a
//! `catch` it is optional (and so is what the `catch` loads instead). `import()` and `require.resolve()` are dynamic.
//! In TypeScript an import is type-only when it says so, or when its names are used in types alone: the compiler then
//! drops it, unless the project says otherwise ([`Compile`]).
//!
//! A specifier with text left open (`./locales/${x}.js`) is a pattern of local files; where its beginning is open, or a
//! package's name, only running would tell.
//!
//! `.js`, `.mjs` and `.cjs` are read with JSX; where that fails they are read as TypeScript, which is how files with
//! Flow's annotations are read too, as far as the two agree. Components (`.vue`, `.svelte`, `.astro`) are not read.

mod compile;
mod elision;
mod reader;
mod scopes;
mod specifier;

use oxc_allocator::Allocator;
use oxc_ast::ast::Program;
use oxc_ast_visit::Visit;
use oxc_parser::{ParseOptions, Parser, ParserReturn};
use oxc_span::{GetSpan, SourceType};

pub use self::compile::{Compile, Jsx};

use self::elision::Values;
use self::reader::Reader;
use self::scopes::Scopes;
use super::nesting::{self, Nesting, Syntax};
use super::{FileImports, How};
use crate::model::support::{Area, Extent, Support};
use crate::model::{Diagnostic, ImportKind, Lines, Place, codes};

/// What of the language is read.
pub const SUPPORT: [Support; 2] = [
    Support {
        area: Area::Source,
        what: "JavaScript and TypeScript",
        files: "*.js, *.mjs, *.cjs, *.jsx, *.ts, *.mts, *.cts, *.tsx",
        extent: Extent::Full,
        note: "unused imports as TypeScript drops them file by file; aliases of webpack and Vite configurations are not read",
    },
    Support {
        area: Area::Source,
        what: "Vue, Svelte, Astro components",
        files: "*.vue, *.svelte, *.astro",
        extent: Extent::Named,
        note: "what a component imports is not known; a function that reaches one keeps its whole closure",
    },
];

/// Brackets open at once that are still followed. Bundles reach about a hundred.
const MAX_BRACKETS: usize = 1_000;

/// Reads the imports of a JavaScript or TypeScript file; `file` is the path that diagnostics name, and its extension
/// says which language.
pub fn imports(file: &str, bytes: &[u8], options: &Compile) -> FileImports {
    let refuse = |diagnostic| FileImports { diagnostics: vec![diagnostic], ..FileImports::default() };
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        let reason = "the file is in UTF-16, which Node.js does not run";
        return refuse(Diagnostic::new(codes::FILE_ENCODING, Place::file(file), reason).next("save it as UTF-8"));
    }
    if let Some(at) = memchr::memchr(0, bytes) {
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
    let Some(mut found) = read(file, &text, nesting, options) else {
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
fn read(file: &str, text: &str, nesting: Nesting, options: &Compile) -> Option<FileImports> {
    nesting::with_stack(nesting, || {
        let lines = Lines::new(text);
        let mut first_error = None;
        let mut recovered = None;
        for grammar in grammars(file) {
            let allocator = Allocator::default();
            let parse = ParseOptions { allow_return_outside_function: true, ..ParseOptions::default() };
            let parsed = Parser::new(&allocator, text, grammar).with_options(parse).parse();
            if !parsed.panicked && parsed.diagnostics.is_empty() {
                return walk_program(file, &lines, &parsed.program, options);
            }
            if first_error.is_none() {
                first_error = Some(error_of(file, &lines, &parsed));
            }
            if !parsed.panicked && recovered.is_none() {
                recovered = Some(walk_program(file, &lines, &parsed.program, options));
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

fn walk_program(file: &str, lines: &Lines, program: &Program<'_>, options: &Compile) -> FileImports {
    let options = options.with_pragmas(program);
    let mut scopes = Scopes::default();
    scopes.visit_program(program);
    let is_typescript = matches!(file.rsplit('.').next(), Some("ts" | "mts" | "cts" | "tsx"));
    // Files with Flow's annotations are read by TypeScript's grammar, and keep what they import.
    let needs_values = is_typescript || (options.jsx_runtime().is_some() && program.source_type.is_jsx());
    let values = needs_values.then(|| Values::of(program, &options));
    let mut reader = Reader {
        file,
        lines,
        scopes: &scopes,
        options: &options,
        values: values.as_ref().filter(|_| is_typescript),
        functions: 0,
        tries: 0,
        ambient: 0,
        found: Vec::new(),
        diagnostics: Vec::new(),
    };
    references(program, &mut reader);
    reader.visit_program(program);
    if let (Some(runtime), Some(at)) = (options.jsx_runtime(), values.as_ref().and_then(|v| v.jsx)) {
        reader.push(at, &runtime, Vec::new(), ImportKind::Runtime, How::Import);
    }
    reader.found.sort_by_key(|(offset, _)| *offset);
    FileImports {
        imports: reader.found.into_iter().map(|(_, import)| import).collect(),
        diagnostics: reader.diagnostics,
        ..FileImports::default()
    }
}

/// `/// <reference types="x" />` and `path="./x.d.ts"`: for the compiler only.
fn references(program: &Program<'_>, reader: &mut Reader<'_>) {
    let first = program.body.first().map_or(u32::MAX, |statement| statement.span().start);
    for comment in program.comments.iter().take_while(|c| c.span.start < first).filter(|c| c.is_line()) {
        let span = comment.content_span();
        let text = program.source_text.get(span.start as usize..span.end as usize).unwrap_or_default();
        let Some(tag) = text.strip_prefix('/').map(str::trim_start).and_then(|t| t.strip_prefix("<reference")) else {
            continue;
        };
        for attribute in ["types", "path"] {
            let value = tag.split_once(attribute).and_then(|(_, rest)| rest.trim_start().strip_prefix('='));
            let Some(quoted) = value.map(str::trim_start) else { continue };
            let Some(quote) = quoted.chars().next().filter(|c| matches!(c, '"' | '\'')) else { continue };
            let Some((text, _)) = quoted[1..].split_once(quote) else { continue };
            // A path is one beside the file, with `./` or without.
            let module = match attribute {
                "path" if !text.starts_with('.') && !text.starts_with('/') => format!("./{text}"),
                _ => text.to_string(),
            };
            let how = if attribute == "path" { How::Path } else { How::Import };
            reader.push(comment.span.start, &module, Vec::new(), ImportKind::TypeOnly, how);
        }
    }
}

#[cfg(test)]
mod tests;
