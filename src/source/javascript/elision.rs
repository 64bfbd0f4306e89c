//! Which imports TypeScript drops: those whose names occur in types alone.
//!
//! One file at a time, as `isolatedModules`, `transpileModule` and every bundler do it: what another file exports under
//! a name is not looked up. Names are taken for the whole file: a parameter that is called like an import keeps it.

use std::collections::BTreeSet;

use oxc_ast::ast::{
    Class, Declaration, ExportDeclaration, ExportNamedDeclaration, FormalParameters, IdentifierReference,
    ImportOrExportKind, JSXOpeningElement, JSXOpeningFragment, MethodDefinition, ModuleExportName, Program,
    TSClassImplements, TSEnumDeclaration, TSExternalModuleDeclaration, TSGlobalDeclaration, TSImportEqualsDeclaration,
    TSInterfaceDeclaration, TSModuleReference, TSNamespaceDeclaration, TSType, TSTypeAliasDeclaration,
    TSTypeAnnotation, TSTypeName, TSTypeParameterInstantiation, VariableDeclaration,
};
use oxc_ast_visit::{Visit, walk};

use super::compile::Compile;

/// What a file uses as values.
#[derive(Debug, Default)]
pub(super) struct Values {
    names: BTreeSet<String>,
    /// `import x = a.b`: the first name, and that on which it rests.
    aliases: Vec<(String, String)>,
    /// Decorated types are values too.
    metadata: bool,
    /// Where the first JSX element is.
    pub(super) jsx: Option<u32>,
}

impl Values {
    /// Walks a file.
    pub(super) fn of(program: &Program<'_>, options: &Compile) -> Values {
        let mut values = Values { metadata: options.decorator_metadata, ..Values::default() };
        values.visit_program(program);
        if let (Some(_), Some(name)) = (values.jsx, options.jsx_name()) {
            values.names.insert(name.to_string());
        }
        // Each alias may rest on the one before it.
        let aliases = std::mem::take(&mut values.aliases);
        for (name, on) in aliases.into_iter().rev() {
            if values.names.contains(&name) {
                values.names.insert(on);
            }
        }
        values
    }

    /// Whether a name is used as a value.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    fn insert(&mut self, name: &str) {
        if !self.names.contains(name) {
            self.names.insert(name.to_string());
        }
    }

    /// The class that the runtime is told about.
    fn insert_type(&mut self, annotation: Option<&TSTypeAnnotation<'_>>) {
        let Some(annotation) = annotation else { return };
        let mut types = vec![&annotation.type_annotation];
        while let Some(of) = types.pop() {
            match of {
                TSType::TSTypeReference(reference) => {
                    if let Some(name) = root(&reference.type_name) {
                        self.insert(name);
                    }
                }
                // `A | null` is `A`; of two classes nothing is told.
                TSType::TSUnionType(union) => {
                    let nothing = |of: &&TSType<'_>| {
                        !matches!(
                            of,
                            TSType::TSNullKeyword(_) | TSType::TSUndefinedKeyword(_) | TSType::TSNeverKeyword(_)
                        )
                    };
                    let told: Vec<&TSType<'_>> = union.types.iter().filter(nothing).collect();
                    if told.len() == 1 {
                        types.extend(told);
                    }
                }
                TSType::TSParenthesizedType(inner) => types.push(&inner.type_annotation),
                _ => {}
            }
        }
    }

    fn insert_parameters(&mut self, parameters: &FormalParameters<'_>) {
        for parameter in &parameters.items {
            self.insert_type(parameter.type_annotation.as_deref());
        }
    }

    fn insert_signature(&mut self, method: &MethodDefinition<'_>) {
        self.insert_parameters(&method.value.params);
        self.insert_type(method.value.return_type.as_deref());
    }

    /// What `design:type`, `design:paramtypes` and `design:returntype` name.
    fn insert_metadata(&mut self, class: &Class<'_>) {
        use oxc_ast::ast::ClassElement;
        for element in &class.body.body {
            match element {
                ClassElement::MethodDefinition(method) => {
                    let decorated_parameters = method.value.params.items.iter().any(|p| !p.decorators.is_empty());
                    let constructor = method.kind.is_constructor();
                    if (constructor && (!class.decorators.is_empty() || decorated_parameters))
                        || (!constructor && (!method.decorators.is_empty() || decorated_parameters))
                    {
                        self.insert_signature(method);
                    }
                }
                ClassElement::PropertyDefinition(property) if !property.decorators.is_empty() => {
                    self.insert_type(property.type_annotation.as_deref());
                }
                ClassElement::AccessorProperty(property) if !property.decorators.is_empty() => {
                    self.insert_type(property.type_annotation.as_deref());
                }
                _ => {}
            }
        }
    }
}

/// The first name of `A.B.C`.
fn root<'n>(name: &'n TSTypeName<'_>) -> Option<&'n str> {
    let mut name = name;
    loop {
        match name {
            TSTypeName::IdentifierReference(first) => return Some(first.name.as_str()),
            TSTypeName::QualifiedName(longer) => name = &longer.left,
            TSTypeName::ThisExpression(_) => return None,
        }
    }
}

impl<'a> Visit<'a> for Values {
    fn visit_identifier_reference(&mut self, name: &IdentifierReference<'a>) {
        self.insert(name.name.as_str());
    }

    fn visit_jsx_opening_element(&mut self, element: &JSXOpeningElement<'a>) {
        self.jsx.get_or_insert(element.span.start);
        walk::walk_jsx_opening_element(self, element);
    }

    fn visit_jsx_opening_fragment(&mut self, fragment: &JSXOpeningFragment) {
        self.jsx.get_or_insert(fragment.span.start);
    }

    fn visit_class(&mut self, class: &Class<'a>) {
        if class.declare {
            return;
        }
        if self.metadata {
            self.insert_metadata(class);
        }
        walk::walk_class(self, class);
    }

    fn visit_export_declaration(&mut self, export: &ExportDeclaration<'a>) {
        // `export import a = require("a")` uses `a` by exporting it.
        if let Declaration::TSImportEqualsDeclaration(import) = &export.declaration {
            self.insert(import.id.name.as_str());
        }
        walk::walk_export_declaration(self, export);
    }

    fn visit_export_named_declaration(&mut self, export: &ExportNamedDeclaration<'a>) {
        for specifier in &export.specifiers {
            let is_type =
                export.export_kind == ImportOrExportKind::Type || specifier.export_kind == ImportOrExportKind::Type;
            if !is_type && let ModuleExportName::IdentifierReference(name) = &specifier.local {
                self.insert(name.name.as_str());
            }
        }
    }

    fn visit_ts_import_equals_declaration(&mut self, import: &TSImportEqualsDeclaration<'a>) {
        let on = match &import.module_reference {
            TSModuleReference::IdentifierReference(name) => Some(name.name.as_str()),
            TSModuleReference::QualifiedName(name) => root(&name.left),
            TSModuleReference::ExternalModuleReference(_) => None,
        };
        if let Some(on) = on {
            self.aliases.push((import.id.name.to_string(), on.to_string()));
        }
    }

    // What is left out of the output.
    fn visit_ts_type(&mut self, _: &TSType<'a>) {}
    fn visit_ts_type_parameter_instantiation(&mut self, _: &TSTypeParameterInstantiation<'a>) {}
    fn visit_ts_interface_declaration(&mut self, _: &TSInterfaceDeclaration<'a>) {}
    fn visit_ts_type_alias_declaration(&mut self, _: &TSTypeAliasDeclaration<'a>) {}
    fn visit_ts_class_implements(&mut self, _: &TSClassImplements<'a>) {}
    fn visit_ts_external_module_declaration(&mut self, _: &TSExternalModuleDeclaration<'a>) {}
    fn visit_ts_global_declaration(&mut self, _: &TSGlobalDeclaration<'a>) {}
    fn visit_variable_declaration(&mut self, declaration: &VariableDeclaration<'a>) {
        if !declaration.declare {
            walk::walk_variable_declaration(self, declaration);
        }
    }
    fn visit_ts_enum_declaration(&mut self, declaration: &TSEnumDeclaration<'a>) {
        if !declaration.declare {
            walk::walk_ts_enum_declaration(self, declaration);
        }
    }
    fn visit_ts_namespace_declaration(&mut self, declaration: &TSNamespaceDeclaration<'a>) {
        if !declaration.declare {
            walk::walk_ts_namespace_declaration(self, declaration);
        }
    }
}
