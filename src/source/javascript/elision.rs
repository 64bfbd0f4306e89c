//! Which imports TypeScript drops: those whose names occur in types alone.

use std::collections::BTreeSet;

use oxc_ast::ast::{
    ExportNamedDeclaration, IdentifierReference, ImportOrExportKind, ModuleExportName, Program, TSType,
};
use oxc_ast_visit::{Visit, walk};

/// Names that occur as values, for telling which imports TypeScript drops.
pub(super) fn values_of(program: &Program<'_>) -> BTreeSet<String> {
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
