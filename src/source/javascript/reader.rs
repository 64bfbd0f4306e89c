//! Second pass: the imports.

use oxc_ast::AstKind;
use oxc_ast::ast::{
    Argument, CallExpression, ExportAllDeclaration, ExportFromDeclaration, Expression, ImportDeclaration,
    ImportDeclarationSpecifier, ImportExpression, ImportOrExportKind, NewExpression, ObjectPropertyKind,
    PropertyDefinition, TSExternalModuleDeclaration, TSGlobalDeclaration, TSImportEqualsDeclaration, TSImportType,
    TSModuleReference, TSNamespaceDeclaration, TryStatement,
};
use oxc_ast_visit::{Visit, walk};

use super::compile::Compile;
use super::elision::Values;
use super::scopes::Scopes;
use super::specifier::{Given, given, own_url};
use crate::model::{Diagnostic, ImportKind, Lines, Place, codes};
use crate::source::{How, RawImport};

/// What is read so far, and where the walk is.
pub(super) struct Reader<'s> {
    pub(super) file: &'s str,
    pub(super) lines: &'s Lines,
    pub(super) scopes: &'s Scopes,
    pub(super) options: &'s Compile,
    /// Names used as values; only for TypeScript.
    pub(super) values: Option<&'s Values>,
    /// Functions around this place.
    pub(super) functions: usize,
    /// `try` blocks with a `catch` around it.
    pub(super) tries: usize,
    /// `declare module "x" { … }` around it: nothing in there is ever run.
    pub(super) ambient: usize,
    pub(super) found: Vec<(u32, RawImport)>,
    pub(super) diagnostics: Vec<Diagnostic>,
}

fn is_function(kind: AstKind<'_>) -> bool {
    matches!(kind, AstKind::Function(_) | AstKind::ArrowFunctionExpression(_))
}

/// Extensions of files that only make sense when they are run.
const RUN: &[&str] = &[".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".jsx", ".tsx"];

impl Reader<'_> {
    pub(super) fn push(&mut self, offset: u32, module: &str, names: Vec<String>, kind: ImportKind, how: How) {
        // `import ""` cannot be resolved, and says nothing.
        if !module.is_empty() {
            let line = self.lines.of(offset as usize);
            let kind = if self.ambient > 0 { ImportKind::TypeOnly } else { kind };
            self.found.push((offset, RawImport { line, module: module.to_string(), names, kind, how }));
        }
    }

    /// A call that loads `argument`, called by the name `by`.
    fn load(&mut self, offset: u32, by: &str, argument: Option<&Expression<'_>>, otherwise: ImportKind, how: How) {
        let Some(argument) = argument else { return };
        let kind = match otherwise {
            _ if self.tries > 0 => ImportKind::Optional,
            ImportKind::Runtime if self.functions > 0 => ImportKind::Lazy,
            kind => kind,
        };
        let mut open = false;
        for given in given(argument) {
            match given {
                Given::Exactly { text, .. } => self.push(offset, &text, Vec::new(), kind, how),
                Given::Pattern(pattern) => self.push(offset, &pattern, Vec::new(), kind, How::Pattern),
                Given::Unknown => open = true,
            }
        }
        if open {
            self.unknown(offset, by);
        }
    }

    fn unknown(&mut self, offset: u32, by: &str) {
        let line = self.lines.of(offset as usize);
        let kind = ImportKind::DynamicUnknown;
        let import = RawImport { line, module: String::new(), names: Vec::new(), kind, how: How::Import };
        self.found.push((offset, import));
        let reason = format!("{by} is given a module that only running would tell");
        self.diagnostics.push(Diagnostic::new(codes::DYNAMIC_IMPORT, Place::at(self.file, line), reason));
    }

    /// `import.meta.glob("./x/*.js")` of Vite, `require.context("./x")` of webpack.
    fn glob(&mut self, offset: u32, by: &str, call: &CallExpression<'_>) {
        let first = call.arguments.first().and_then(Argument::as_expression).map(Expression::get_inner_expression);
        let patterns: Option<Vec<String>> = match first {
            Some(Expression::ArrayExpression(array)) => {
                array.elements.iter().map(|e| e.as_expression().and_then(super::specifier::literal)).collect()
            }
            Some(one) => super::specifier::literal(one).map(|pattern| vec![pattern]),
            None => return,
        };
        let eager = match call.arguments.get(1).and_then(Argument::as_expression) {
            Some(Expression::ObjectExpression(options)) => options.properties.iter().any(|property| match property {
                ObjectPropertyKind::ObjectProperty(p) => {
                    p.key.is_specific_static_name("eager")
                        && matches!(&p.value, Expression::BooleanLiteral(yes) if yes.value)
                }
                ObjectPropertyKind::SpreadProperty(_) => false,
            }),
            _ => false,
        };
        let kind = if eager { ImportKind::Runtime } else { ImportKind::Dynamic };
        let relative = |p: &String| p.starts_with("./") || p.starts_with("../") || p.starts_with('!');
        match patterns {
            Some(patterns) if patterns.iter().all(relative) => {
                for pattern in patterns.iter().filter(|p| !p.starts_with('!')) {
                    let pattern = if by == "require.context()" && !pattern.contains('*') {
                        format!("{}/**", pattern.trim_end_matches('/'))
                    } else {
                        pattern.clone()
                    };
                    self.push(offset, &pattern, Vec::new(), kind, How::Pattern);
                }
            }
            _ => self.unknown(offset, by),
        }
    }

    /// Whether the argument of `new Worker()` or `fork()` is a path beside this file; else it is one beside the program.
    fn start(&mut self, offset: u32, argument: Option<&Expression<'_>>) {
        let Some(argument) = argument else { return };
        // `new URL()` is seen by itself.
        if matches!(argument.get_inner_expression(), Expression::NewExpression(_)) {
            return;
        }
        let kind = if self.tries > 0 { ImportKind::Optional } else { ImportKind::Dynamic };
        for given in given(argument) {
            if let Given::Exactly { text, beside } = given
                && RUN.iter().any(|e| text.ends_with(e))
            {
                let relative = text.starts_with('.') || text.starts_with('/');
                let path = if relative { text } else { format!("./{text}") };
                self.push(offset, &path, Vec::new(), kind, if beside { How::Path } else { How::Start });
            }
        }
    }
}

impl<'a> Visit<'a> for Reader<'_> {
    fn visit_import_declaration(&mut self, import: &ImportDeclaration<'a>) {
        let mut names = Vec::new();
        // Whether a name is left when types are gone; Flow's `import type` goes in the same way.
        let mut left = false;
        for specifier in import.specifiers.iter().flatten() {
            let (name, is_type) = match specifier {
                ImportDeclarationSpecifier::ImportSpecifier(s) => {
                    (s.imported.name().to_string(), s.import_kind == ImportOrExportKind::Type)
                }
                ImportDeclarationSpecifier::ImportDefaultSpecifier(_) => ("default".to_string(), false),
                ImportDeclarationSpecifier::ImportNamespaceSpecifier(_) => ("*".to_string(), false),
            };
            names.push(name);
            left |= !is_type && self.is_kept(specifier.local().name.as_str());
        }
        let stays = import.specifiers.is_none()
            || left
            || match self.values {
                Some(_) => self.options.verbatim || self.options.keep_statements,
                None => true,
            };
        let kind = if stays && import.import_kind != ImportOrExportKind::Type {
            ImportKind::Runtime
        } else {
            ImportKind::TypeOnly
        };
        self.push(import.span.start, import.source.value.as_str(), names, kind, How::Import);
    }

    fn visit_export_from_declaration(&mut self, export: &ExportFromDeclaration<'a>) {
        let names = export.specifiers.iter().map(|s| s.local.name().to_string()).collect();
        let left = export.specifiers.iter().any(|s| s.export_kind != ImportOrExportKind::Type);
        let stays = left || self.values.is_none() || self.options.verbatim || self.options.keep_statements;
        let kind = if stays && export.export_kind != ImportOrExportKind::Type {
            ImportKind::Runtime
        } else {
            ImportKind::TypeOnly
        };
        self.push(export.span.start, export.source.value.as_str(), names, kind, How::Import);
    }

    fn visit_export_all_declaration(&mut self, export: &ExportAllDeclaration<'a>) {
        let only_types = export.export_kind == ImportOrExportKind::Type;
        let kind = if only_types { ImportKind::TypeOnly } else { ImportKind::Runtime };
        self.push(export.span.start, export.source.value.as_str(), vec!["*".to_string()], kind, How::Import);
    }

    fn visit_ts_import_equals_declaration(&mut self, import: &TSImportEqualsDeclaration<'a>) {
        if let TSModuleReference::ExternalModuleReference(reference) = &import.module_reference {
            let stays = self.is_kept(import.id.name.as_str()) || self.options.verbatim || self.options.keep_statements;
            let only_types = import.import_kind == ImportOrExportKind::Type || !stays;
            let kind = if only_types { ImportKind::TypeOnly } else { ImportKind::Runtime };
            self.push(import.span.start, reference.expression.value.as_str(), Vec::new(), kind, How::Require);
        }
    }

    // `import("x")` in the place of a type.
    fn visit_ts_import_type(&mut self, import: &TSImportType<'a>) {
        self.push(import.span.start, import.source.value.as_str(), Vec::new(), ImportKind::TypeOnly, How::Import);
        walk::walk_ts_import_type(self, import);
    }

    fn visit_import_expression(&mut self, import: &ImportExpression<'a>) {
        self.load(import.span.start, "import()", Some(&import.source), ImportKind::Dynamic, How::Import);
        walk::walk_import_expression(self, import);
    }

    fn visit_new_expression(&mut self, new: &NewExpression<'a>) {
        if let Some(path) = own_url(new).filter(|path| RUN.iter().any(|e| path.ends_with(e))) {
            let kind = if self.tries > 0 { ImportKind::Optional } else { ImportKind::Dynamic };
            let path = if path.starts_with("../") { path } else { format!("./{path}") };
            self.push(new.span.start, &path, Vec::new(), kind, How::Path);
        }
        let name = match new.callee.get_inner_expression() {
            Expression::Identifier(name) => name.name.as_str(),
            Expression::StaticMemberExpression(member) => member.property.name.as_str(),
            _ => "",
        };
        if name == "Worker" {
            self.start(new.span.start, new.arguments.first().and_then(Argument::as_expression));
        }
        walk::walk_new_expression(self, new);
    }

    fn visit_call_expression(&mut self, call: &CallExpression<'a>) {
        let offset = call.span.start;
        let argument = call.arguments.first().and_then(Argument::as_expression);
        let callee = call.callee.get_inner_expression();
        let mut caught = false;
        if let Some(how) = self.scopes.require(callee) {
            self.load(offset, "require()", argument, ImportKind::Runtime, how);
        } else if let Expression::StaticMemberExpression(member) = callee {
            let object = member.object.get_inner_expression();
            match (member.property.name.as_str(), object) {
                ("resolve", Expression::ImportMeta(_)) => {
                    self.load(offset, "import.meta.resolve()", argument, ImportKind::Dynamic, How::Import);
                }
                ("glob" | "globEager", Expression::ImportMeta(_)) => self.glob(offset, "import.meta.glob()", call),
                ("resolve", object) => {
                    if let Some(how) = self.scopes.require(object) {
                        self.load(offset, "require.resolve()", argument, ImportKind::Dynamic, how);
                    }
                }
                ("context", object) if self.scopes.require(object) == Some(How::Require) => {
                    self.glob(offset, "require.context()", call);
                }
                // `import("x").catch(…)` has another way.
                ("catch", Expression::ImportExpression(_)) => caught = true,
                _ => {}
            }
        }
        if self.scopes.is_fork(callee) {
            self.start(offset, argument);
        }
        self.tries += usize::from(caught);
        walk::walk_call_expression(self, call);
        self.tries -= usize::from(caught);
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

    fn visit_ts_external_module_declaration(&mut self, declaration: &TSExternalModuleDeclaration<'a>) {
        self.ambient += 1;
        walk::walk_ts_external_module_declaration(self, declaration);
        self.ambient -= 1;
    }

    fn visit_ts_global_declaration(&mut self, declaration: &TSGlobalDeclaration<'a>) {
        self.ambient += 1;
        walk::walk_ts_global_declaration(self, declaration);
        self.ambient -= 1;
    }

    fn visit_ts_namespace_declaration(&mut self, declaration: &TSNamespaceDeclaration<'a>) {
        let ambient = usize::from(declaration.declare);
        self.ambient += ambient;
        walk::walk_ts_namespace_declaration(self, declaration);
        self.ambient -= ambient;
    }
}

impl Reader<'_> {
    /// Whether an import's name is left: outside TypeScript all are.
    fn is_kept(&self, local: &str) -> bool {
        self.values.is_none_or(|values| self.options.keep_names || values.contains(local))
    }
}
