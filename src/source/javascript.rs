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

use std::collections::{BTreeMap, BTreeSet};

use oxc_allocator::Allocator;
use oxc_ast::AstKind;
use oxc_ast::ast::{
    Argument, BindingPattern, CallExpression, ExportAllDeclaration, ExportFromDeclaration, ExportNamedDeclaration,
    Expression, IdentifierReference, ImportDeclaration, ImportDeclarationSpecifier, ImportExpression,
    ImportOrExportKind, ModuleExportName, Program, PropertyDefinition, TSImportEqualsDeclaration, TSModuleReference,
    TSType, TryStatement, VariableDeclarator,
};
use oxc_ast_visit::{Visit, walk};
use oxc_parser::{ParseOptions, Parser, ParserReturn};
use oxc_span::{GetSpan, SourceType};

use super::nesting::{self, Nesting, Syntax};
use super::{FileImports, RawImport};
use crate::model::{Diagnostic, ImportKind, Lines, Place, codes};

use crate::model::support::{Area, Extent, Support};

/// What is read of it.
pub const SUPPORT: Support = Support {
    area: Area::Source,
    what: "JavaScript and TypeScript",
    files: "`*.js`, `*.mjs`, `*.cjs`, `*.jsx`, `*.ts`, `*.mts`, `*.cts`, `*.tsx`",
    extent: Extent::Full,
    note: "ESM, CommonJS, `createRequire`, JSX; Flow as far as it agrees with TypeScript",
};

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
        values: program.source_type.is_typescript().then(|| values_of(program)),
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

/// First pass: which names are `require` functions here. Names are taken for the whole file, not by scope.
#[derive(Default)]
struct Scopes {
    /// Names that `createRequire` was given.
    requires: BTreeSet<String>,
    /// Ranges, by offset, in which a parameter, variable or function of the name `require` hides Node's.
    own: Vec<(u32, u32)>,
    /// Local names of `createRequire`, and of the modules that have it.
    makers: BTreeMap<String, bool>,
    /// Enclosing functions and the program.
    enclosing: Vec<(u32, u32)>,
}

impl Scopes {
    fn hide(&mut self) {
        self.own.extend(self.enclosing.last().copied());
    }

    fn is_maker(&self, expression: &Expression<'_>) -> bool {
        match expression {
            Expression::Identifier(name) => self.makers.get(name.name.as_str()) == Some(&true),
            Expression::StaticMemberExpression(member) => {
                member.property.name == "createRequire"
                    && matches!(&member.object, Expression::Identifier(name)
                        if self.makers.contains_key(name.name.as_str()))
            }
            _ => false,
        }
    }

    fn declares_require(pattern: &BindingPattern<'_>) -> bool {
        pattern.get_binding_identifiers().iter().any(|name| name.name == "require")
    }
}

fn is_module_module(specifier: &str) -> bool {
    matches!(specifier, "module" | "node:module")
}

impl<'a> Visit<'a> for Scopes {
    fn visit_program(&mut self, program: &Program<'a>) {
        self.enclosing.push((program.span.start, program.span.end));
        walk::walk_program(self, program);
        self.enclosing.pop();
    }

    fn visit_import_declaration(&mut self, import: &ImportDeclaration<'a>) {
        for specifier in import.specifiers.iter().flatten() {
            let (local, maker) = match specifier {
                ImportDeclarationSpecifier::ImportSpecifier(s) => (&s.local, s.imported.name() == "createRequire"),
                ImportDeclarationSpecifier::ImportDefaultSpecifier(s) => (&s.local, false),
                ImportDeclarationSpecifier::ImportNamespaceSpecifier(s) => (&s.local, false),
            };
            if local.name == "require" {
                self.hide();
            }
            if is_module_module(import.source.value.as_str()) {
                self.makers.insert(local.name.to_string(), maker);
            }
        }
    }

    fn visit_variable_declarator(&mut self, variable: &VariableDeclarator<'a>) {
        let init = variable.init.as_ref().map(Expression::get_inner_expression);
        if let Some(Expression::CallExpression(call)) = init {
            if self.is_maker(&call.callee)
                && let BindingPattern::BindingIdentifier(name) = &variable.id
            {
                // It may be called `require` itself: that hides nothing.
                self.requires.insert(name.name.to_string());
                return;
            }
            // `const { createRequire } = require("module")`
            if let Expression::Identifier(callee) = &call.callee
                && callee.name == "require"
                && let [Argument::StringLiteral(specifier)] = &call.arguments[..]
                && is_module_module(specifier.value.as_str())
            {
                match &variable.id {
                    BindingPattern::BindingIdentifier(name) => {
                        self.makers.insert(name.name.to_string(), false);
                    }
                    BindingPattern::ObjectPattern(pattern) => {
                        for property in &pattern.properties {
                            if property.key.is_specific_static_name("createRequire")
                                && let BindingPattern::BindingIdentifier(name) = &property.value
                            {
                                self.makers.insert(name.name.to_string(), true);
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
        // `const require = …` in a function hides it there; `var nodeRequire = require` hides nothing.
        if Self::declares_require(&variable.id) {
            self.hide();
        }
        walk::walk_variable_declarator(self, variable);
    }

    // The walk of a function names a type of a crate that is no dependency here; these hooks do as well.
    fn enter_node(&mut self, kind: AstKind<'a>) {
        let parameters = match kind {
            AstKind::Function(function) => {
                if function.id.as_ref().is_some_and(|name| name.name == "require") {
                    self.hide();
                }
                &function.params
            }
            AstKind::ArrowFunctionExpression(function) => &function.params,
            _ => return,
        };
        let span = kind.span();
        self.enclosing.push((span.start, span.end));
        if parameters.items.iter().any(|p| Self::declares_require(&p.pattern)) {
            self.hide();
        }
    }

    fn leave_node(&mut self, kind: AstKind<'a>) {
        if matches!(kind, AstKind::Function(_) | AstKind::ArrowFunctionExpression(_)) {
            self.enclosing.pop();
        }
    }
}

/// Names that occur as values, for telling which imports TypeScript drops.
fn values_of(program: &Program<'_>) -> BTreeSet<String> {
    #[derive(Default)]
    struct Values {
        names: BTreeSet<String>,
    }
    impl<'a> Visit<'a> for Values {
        fn visit_identifier_reference(&mut self, name: &IdentifierReference<'a>) {
            if !self.names.contains(name.name.as_str()) {
                self.names.insert(name.name.to_string());
            }
        }
        fn visit_ts_type(&mut self, _: &TSType<'a>) {}
        fn visit_ts_type_parameter_instantiation(&mut self, _: &oxc_ast::ast::TSTypeParameterInstantiation<'a>) {}
        fn visit_ts_interface_declaration(&mut self, _: &oxc_ast::ast::TSInterfaceDeclaration<'a>) {}
        fn visit_ts_type_alias_declaration(&mut self, _: &oxc_ast::ast::TSTypeAliasDeclaration<'a>) {}
        fn visit_ts_class_implements(&mut self, _: &oxc_ast::ast::TSClassImplements<'a>) {}
        fn visit_export_declaration(&mut self, export: &oxc_ast::ast::ExportDeclaration<'a>) {
            // `export import a = require("a")` uses `a` by exporting it.
            if let oxc_ast::ast::Declaration::TSImportEqualsDeclaration(import) = &export.declaration {
                self.names.insert(import.id.name.to_string());
            }
            walk::walk_export_declaration(self, export);
        }
        fn visit_export_named_declaration(&mut self, export: &ExportNamedDeclaration<'a>) {
            for specifier in &export.specifiers {
                let is_type =
                    export.export_kind == ImportOrExportKind::Type || specifier.export_kind == ImportOrExportKind::Type;
                if !is_type && let ModuleExportName::IdentifierReference(name) = &specifier.local {
                    self.names.insert(name.name.to_string());
                }
            }
        }
    }
    let mut values = Values::default();
    values.visit_program(program);
    // The default meaning of JSX needs React without naming it.
    if program.source_type.is_jsx() {
        values.names.insert("React".to_string());
    }
    values.names
}

/// Second pass: the imports.
struct Reader<'s> {
    file: &'s str,
    lines: &'s Lines,
    requires: &'s BTreeSet<String>,
    own: &'s [(u32, u32)],
    /// Names used as values; only for TypeScript.
    values: Option<BTreeSet<String>>,
    functions: usize,
    tries: usize,
    found: Vec<(u32, RawImport)>,
    diagnostics: Vec<Diagnostic>,
}

/// A specifier that is known before running: a string, or a template without placeholders.
fn literal(expression: &Expression<'_>) -> Option<String> {
    match expression.get_inner_expression() {
        Expression::StringLiteral(text) => Some(text.value.to_string()),
        Expression::TemplateLiteral(template) if template.expressions.is_empty() => {
            template.quasis.first()?.value.cooked.as_ref().map(ToString::to_string)
        }
        Expression::BinaryExpression(sum) if sum.operator.as_str() == "+" => {
            Some(literal(&sum.left)? + &literal(&sum.right)?)
        }
        _ => None,
    }
}

fn is_function(kind: AstKind<'_>) -> bool {
    matches!(kind, AstKind::Function(_) | AstKind::ArrowFunctionExpression(_))
}

impl Reader<'_> {
    fn push(&mut self, offset: u32, module: &str, names: Vec<String>, kind: ImportKind) {
        // `import ""` cannot be resolved, and says nothing.
        if !module.is_empty() {
            let line = self.lines.of(offset as usize);
            self.found.push((offset, RawImport { line, module: module.to_string(), names, kind }));
        }
    }

    /// A call that loads `argument`, called by the name `by`.
    fn load(&mut self, offset: u32, by: &str, argument: Option<&Expression<'_>>, otherwise: ImportKind) {
        let Some(argument) = argument else { return };
        if let Some(specifier) = literal(argument) {
            let kind = match otherwise {
                _ if self.tries > 0 => ImportKind::Optional,
                ImportKind::Runtime if self.functions > 0 => ImportKind::Lazy,
                kind => kind,
            };
            self.push(offset, &specifier, Vec::new(), kind);
            return;
        }
        let line = self.lines.of(offset as usize);
        let import = RawImport { line, module: String::new(), names: Vec::new(), kind: ImportKind::DynamicUnknown };
        self.found.push((offset, import));
        let reason = format!("{by} is given a module that only running would tell");
        self.diagnostics.push(Diagnostic::new(codes::DYNAMIC_IMPORT, Place::at(self.file, line), reason));
    }

    /// Whether an expression is Node's `require` (or one that `createRequire` made).
    fn is_require(&self, expression: &Expression<'_>) -> bool {
        match expression.get_inner_expression() {
            Expression::Identifier(name) => {
                self.requires.contains(name.name.as_str())
                    || (name.name == "require"
                        && !self.own.iter().any(|(from, to)| (*from..*to).contains(&name.span.start)))
            }
            Expression::StaticMemberExpression(member) => {
                member.property.name == "require"
                    && matches!(&member.object, Expression::Identifier(name) if name.name == "module")
            }
            _ => false,
        }
    }
}

impl<'a> Visit<'a> for Reader<'_> {
    fn visit_import_declaration(&mut self, import: &ImportDeclaration<'a>) {
        let mut names = Vec::new();
        let mut only_types = import.import_kind == ImportOrExportKind::Type;
        if let Some(specifiers) = &import.specifiers {
            let mut dropped = !specifiers.is_empty();
            for specifier in specifiers {
                let (name, local, is_type) = match specifier {
                    ImportDeclarationSpecifier::ImportSpecifier(s) => {
                        (s.imported.name().to_string(), &s.local, s.import_kind == ImportOrExportKind::Type)
                    }
                    ImportDeclarationSpecifier::ImportDefaultSpecifier(s) => ("default".to_string(), &s.local, false),
                    ImportDeclarationSpecifier::ImportNamespaceSpecifier(s) => ("*".to_string(), &s.local, false),
                };
                names.push(name);
                let used = self.values.as_ref().is_none_or(|values| values.contains(local.name.as_str()));
                dropped &= is_type || !used;
            }
            only_types |= dropped;
        }
        let kind = if only_types { ImportKind::TypeOnly } else { ImportKind::Runtime };
        self.push(import.span.start, import.source.value.as_str(), names, kind);
    }

    fn visit_export_from_declaration(&mut self, export: &ExportFromDeclaration<'a>) {
        let names = export.specifiers.iter().map(|s| s.local.name().to_string()).collect();
        let only_types = export.export_kind == ImportOrExportKind::Type
            || (!export.specifiers.is_empty()
                && export.specifiers.iter().all(|s| s.export_kind == ImportOrExportKind::Type));
        let kind = if only_types { ImportKind::TypeOnly } else { ImportKind::Runtime };
        self.push(export.span.start, export.source.value.as_str(), names, kind);
    }

    fn visit_export_all_declaration(&mut self, export: &ExportAllDeclaration<'a>) {
        let only_types = export.export_kind == ImportOrExportKind::Type;
        let kind = if only_types { ImportKind::TypeOnly } else { ImportKind::Runtime };
        self.push(export.span.start, export.source.value.as_str(), vec!["*".to_string()], kind);
    }

    fn visit_ts_import_equals_declaration(&mut self, import: &TSImportEqualsDeclaration<'a>) {
        if let TSModuleReference::ExternalModuleReference(reference) = &import.module_reference {
            let used = self.values.as_ref().is_none_or(|values| values.contains(import.id.name.as_str()));
            let only_types = import.import_kind == ImportOrExportKind::Type || !used;
            let kind = if only_types { ImportKind::TypeOnly } else { ImportKind::Runtime };
            self.push(import.span.start, reference.expression.value.as_str(), Vec::new(), kind);
        }
    }

    // `import("x")` in the place of a type.
    fn visit_ts_import_type(&mut self, import: &oxc_ast::ast::TSImportType<'a>) {
        self.push(import.span.start, import.source.value.as_str(), Vec::new(), ImportKind::TypeOnly);
        walk::walk_ts_import_type(self, import);
    }

    fn visit_import_expression(&mut self, import: &ImportExpression<'a>) {
        self.load(import.span.start, "import()", Some(&import.source), ImportKind::Dynamic);
        walk::walk_import_expression(self, import);
    }

    fn visit_call_expression(&mut self, call: &CallExpression<'a>) {
        let argument = call.arguments.first().and_then(Argument::as_expression);
        if self.is_require(&call.callee) {
            self.load(call.span.start, "require()", argument, ImportKind::Runtime);
        } else if let Expression::StaticMemberExpression(member) = call.callee.get_inner_expression()
            && member.property.name == "resolve"
            && self.is_require(&member.object)
        {
            self.load(call.span.start, "require.resolve()", argument, ImportKind::Dynamic);
        }
        walk::walk_call_expression(self, call);
    }

    fn visit_try_statement(&mut self, attempt: &TryStatement<'a>) {
        // Without a catch the failure goes on to whoever loads the module.
        let caught = usize::from(attempt.handler.is_some());
        self.tries += caught;
        self.visit_block_statement(&attempt.block);
        attempt.handler.iter().for_each(|handler| self.visit_catch_clause(handler));
        self.tries -= caught;
        attempt.finalizer.iter().for_each(|block| self.visit_block_statement(block));
    }

    fn enter_node(&mut self, kind: AstKind<'a>) {
        self.functions += usize::from(is_function(kind));
    }

    fn leave_node(&mut self, kind: AstKind<'a>) {
        self.functions -= usize::from(is_function(kind));
    }

    fn visit_property_definition(&mut self, property: &PropertyDefinition<'a>) {
        // An instance field's value is computed when an object is made.
        if property.r#static {
            walk::walk_property_definition(self, property);
        } else {
            self.functions += 1;
            walk::walk_property_definition(self, property);
            self.functions -= 1;
        }
    }
}

#[cfg(test)]
mod tests;
