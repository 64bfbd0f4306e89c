//! First pass: which functions are Node's `require`.

use std::collections::{BTreeMap, BTreeSet};

use oxc_ast::AstKind;
use oxc_ast::ast::{
    Argument, BindingPattern, Expression, ImportDeclaration, ImportDeclarationSpecifier, Program, VariableDeclarator,
};
use oxc_ast_visit::{Visit, walk};
use oxc_span::GetSpan;

/// First pass: which names are `require` functions here. Names are taken for the whole file, not by scope.
#[derive(Default)]
pub(super) struct Scopes {
    /// Names that `createRequire` was given.
    pub(super) requires: BTreeSet<String>,
    /// Ranges, by offset, in which a parameter, variable or function of the name `require` hides Node's.
    pub(super) own: Vec<(u32, u32)>,
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
