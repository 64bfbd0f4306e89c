//! Which imports TypeScript drops: those whose names occur in types alone.
//!
//! One file at a time, as `isolatedModules`, `transpileModule` and every bundler do it: what another file exports under
//! a name is not looked up.

use std::collections::BTreeMap;

use oxc_ast::AstKind;
use oxc_ast::ast::{
    BindingIdentifier, Class, Declaration, ExportNamedDeclaration, FormalParameters, IdentifierReference,
    ImportDeclaration, ImportOrExportKind, JSXOpeningElement, JSXOpeningFragment, MethodDefinition, ModuleExportName,
    Program, PropertyDefinition, Statement, TSClassImplements, TSEnumDeclaration, TSExternalModuleDeclaration,
    TSGlobalDeclaration, TSImportEqualsDeclaration, TSInterfaceDeclaration, TSModuleReference, TSNamespaceDeclaration,
    TSType, TSTypeAliasDeclaration, TSTypeAnnotation, TSTypeName, TSTypeParameter, TSTypeParameterInstantiation,
    VariableDeclaration,
};
use oxc_ast_visit::{Visit, walk};
use oxc_span::{GetSpan, Span};

use super::compile::Compile;

/// What a file uses as values, among the names that it imports.
#[derive(Debug, Default)]
pub(super) struct Values {
    names: BTreeMap<String, Seen>,
    /// `import x = a.b`: the first name, and that on which it rests.
    aliases: Vec<(String, String)>,
    /// Decorated types are values too.
    metadata: bool,
    /// Where the first JSX element is.
    pub(super) jsx: Option<u32>,
    /// Scopes around the place of the walk, without that of the file, and whether `var` belongs to them.
    scopes: Vec<(Span, bool)>,
    /// Whether the declaration around the place is a `var`.
    in_var: bool,
}

/// Where one name occurs.
#[derive(Debug, Default)]
struct Seen {
    used: bool,
    /// Offsets of references.
    references: Vec<u32>,
    /// Scopes that declare the name for themselves.
    hidden: Vec<(u32, u32)>,
}

impl Seen {
    /// Whether a reference lies outside every scope that hides the name.
    fn settle(&mut self) {
        self.hidden.sort_unstable();
        // Scopes lie in one another or apart: of those that overlap the first is the largest.
        self.hidden.dedup_by(|later, first| later.1 <= first.1);
        let hidden = |at: u32| {
            let next = self.hidden.partition_point(|(from, _)| *from <= at);
            next.checked_sub(1).and_then(|last| self.hidden.get(last)).is_some_and(|(_, to)| at < *to)
        };
        self.used |= self.references.iter().any(|&at| !hidden(at));
    }
}

impl Values {
    /// Walks a file.
    pub(super) fn of(program: &Program<'_>, options: &Compile) -> Values {
        let mut values = Values { metadata: options.decorator_metadata, ..Values::default() };
        for statement in &program.body {
            match statement {
                Statement::ImportDeclaration(import) => {
                    let locals = import.specifiers.iter().flatten().map(|s| s.local().name.to_string());
                    values.names.extend(locals.map(|name| (name, Seen::default())));
                }
                Statement::TSImportEqualsDeclaration(import) => {
                    values.names.insert(import.id.name.to_string(), Seen::default());
                }
                Statement::ExportDeclaration(export) => {
                    if let Declaration::TSImportEqualsDeclaration(import) = &export.declaration {
                        // `export import a = require("a")` uses `a` by exporting it.
                        values.names.insert(import.id.name.to_string(), Seen { used: true, ..Seen::default() });
                    }
                }
                _ => {}
            }
        }
        values.visit_program(program);
        values.names.values_mut().for_each(Seen::settle);
        if let (Some(_), Some(name)) = (values.jsx, options.jsx_name()) {
            values.insert(name);
        }
        // Each alias may rest on the one before it.
        let aliases = std::mem::take(&mut values.aliases);
        for (name, on) in aliases.into_iter().rev() {
            if values.contains(&name) {
                values.insert(&on);
            }
        }
        values
    }

    /// Whether an imported name is used as a value.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.names.get(name).is_some_and(|seen| seen.used)
    }

    fn insert(&mut self, name: &str) {
        if let Some(seen) = self.names.get_mut(name) {
            seen.used = true;
        }
    }

    /// A scope declares a name; the file's own declarations hide nothing.
    fn hide(&mut self, name: &str, scope: Option<Span>) {
        if let (Some(seen), Some(scope)) = (self.names.get_mut(name), scope) {
            seen.hidden.push((scope.start, scope.end));
        }
    }

    fn innermost(&self) -> Option<Span> {
        self.scopes.last().map(|(span, _)| *span)
    }

    /// The class that the runtime is told about.
    fn insert_type(&mut self, annotation: Option<&TSTypeAnnotation<'_>>) {
        if let Some(annotation) = annotation {
            self.insert_class(&annotation.type_annotation);
        }
    }

    fn insert_class(&mut self, of: &TSType<'_>) {
        let mut types = vec![of];
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
        // Of the rest, the class of its elements.
        match parameters.rest.as_ref().and_then(|r| r.type_annotation.as_ref()).map(|a| &a.type_annotation) {
            Some(TSType::TSArrayType(array)) => self.insert_class(&array.element_type),
            Some(TSType::TSTypeReference(reference)) => {
                for argument in reference.type_arguments.iter().flat_map(|arguments| &arguments.params) {
                    self.insert_class(argument);
                }
            }
            _ => {}
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
                    // The decorators of a class are about its constructor.
                    let constructor = method.kind.is_constructor();
                    let decorators = if constructor { &class.decorators } else { &method.decorators };
                    if decorated_parameters || !decorators.is_empty() {
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

/// Whether a node is a scope, and if so whether `var` belongs to it.
fn scope(kind: AstKind<'_>) -> Option<bool> {
    match kind {
        AstKind::Function(_) | AstKind::ArrowFunctionExpression(_) | AstKind::StaticBlock(_) => Some(true),
        AstKind::TSNamespaceDeclaration(_) => Some(true),
        AstKind::BlockStatement(_)
        | AstKind::ForStatement(_)
        | AstKind::ForInStatement(_)
        | AstKind::ForOfStatement(_)
        | AstKind::SwitchStatement(_)
        | AstKind::CatchClause(_) => Some(false),
        _ => None,
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
        if let Some(seen) = self.names.get_mut(name.name.as_str()) {
            seen.references.push(name.span.start);
        }
    }

    fn visit_binding_identifier(&mut self, name: &BindingIdentifier<'a>) {
        if self.names.contains_key(name.name.as_str()) {
            let functions = || self.scopes.iter().rev().find(|(_, function)| *function).map(|(span, _)| *span);
            let scope = if self.in_var { functions() } else { self.innermost() };
            self.hide(name.name.as_str(), scope);
        }
    }

    // The walk of a function names a type of a crate that is no dependency here; these hooks do as well.
    fn enter_node(&mut self, kind: AstKind<'a>) {
        if let AstKind::Function(function) = kind
            && let (true, Some(name)) = (function.is_declaration(), &function.id)
        {
            self.hide(name.name.as_str(), self.innermost());
        }
        if let Some(function) = scope(kind) {
            self.scopes.push((kind.span(), function));
        }
    }

    fn leave_node(&mut self, kind: AstKind<'a>) {
        if scope(kind).is_some() {
            self.scopes.pop();
        }
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
        // The name of a class expression is its own; that of a declaration belongs to what is around.
        let own = class.is_expression();
        if own {
            self.scopes.push((class.span, false));
        }
        walk::walk_class(self, class);
        if own {
            self.scopes.pop();
        }
    }

    fn visit_property_definition(&mut self, property: &PropertyDefinition<'a>) {
        // `declare x: T` leaves nothing.
        if !property.declare {
            walk::walk_property_definition(self, property);
        }
    }

    fn visit_import_declaration(&mut self, _: &ImportDeclaration<'a>) {}

    fn visit_variable_declaration(&mut self, declaration: &VariableDeclaration<'a>) {
        if !declaration.declare {
            let outer = std::mem::replace(&mut self.in_var, declaration.kind.is_var());
            walk::walk_variable_declaration(self, declaration);
            self.in_var = outer;
        }
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
    fn visit_ts_type_parameter(&mut self, _: &TSTypeParameter<'a>) {}
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
