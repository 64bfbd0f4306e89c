//! Second pass: the imports.

use std::collections::BTreeSet;

use oxc_ast::AstKind;
use oxc_ast::ast::{
    Argument, CallExpression, ExportAllDeclaration, ExportFromDeclaration, Expression, ImportDeclaration,
    ImportDeclarationSpecifier, ImportExpression, ImportOrExportKind, PropertyDefinition, TSImportEqualsDeclaration,
    TSModuleReference, TryStatement,
};
use oxc_ast_visit::{Visit, walk};

use crate::model::{Diagnostic, ImportKind, Lines, Place, codes};
use crate::source::RawImport;

/// Second pass: the imports.
pub(super) struct Reader<'s> {
    pub(super) file: &'s str,
    pub(super) lines: &'s Lines,
    pub(super) requires: &'s BTreeSet<String>,
    pub(super) own: &'s [(u32, u32)],
    /// Names used as values; only for TypeScript.
    pub(super) values: Option<BTreeSet<String>>,
    pub(super) functions: usize,
    pub(super) tries: usize,
    pub(super) found: Vec<(u32, RawImport)>,
    pub(super) diagnostics: Vec<Diagnostic>,
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
