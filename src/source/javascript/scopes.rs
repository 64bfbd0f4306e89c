//! First pass: which functions load modules. Names are taken for the whole file, not by scope; only `require` itself,
//! which people shadow (AMD, bundles), is followed by function.

use std::collections::BTreeMap;

use oxc_ast::AstKind;
use oxc_ast::ast::{
    Argument, AssignmentExpression, AssignmentTarget, BindingPattern, Expression, ImportDeclaration,
    ImportDeclarationSpecifier, Program, VariableDeclaration, VariableDeclarator,
};
use oxc_ast_visit::{Visit, walk};
use oxc_span::GetSpan;

use crate::source::How;

/// What was found.
#[derive(Default)]
pub(super) struct Scopes {
    /// Names that stand for a `require`: aliases of Node's, and what `createRequire` was given.
    pub(super) requires: BTreeMap<String, How>,
    /// Ranges, by offset, in which a parameter, variable or function of the name `require` hides Node's.
    pub(super) own: Vec<(u32, u32)>,
    /// Local names of functions that load, and of the modules that have them.
    bound: BTreeMap<String, Bound>,
    /// Enclosing functions and the program.
    enclosing: Vec<(u32, u32)>,
}

/// What a name of the file is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    /// `import m from "module"`
    ModuleModule,
    /// `import { createRequire } from "module"`
    Maker,
    /// `import cp from "child_process"`
    ChildModule,
    /// `import { fork } from "child_process"`
    Fork,
}

impl Bound {
    fn of(specifier: &str, name: Option<&str>) -> Option<Bound> {
        match (specifier.trim_start_matches("node:"), name) {
            ("module", None) => Some(Bound::ModuleModule),
            ("module", Some("createRequire")) => Some(Bound::Maker),
            ("child_process", None) => Some(Bound::ChildModule),
            ("child_process", Some("fork")) => Some(Bound::Fork),
            // `import { default as m }`, `import { Module }`
            ("module", Some("default" | "Module")) => Some(Bound::ModuleModule),
            ("child_process", Some("default")) => Some(Bound::ChildModule),
            _ => None,
        }
    }
}

/// The specifier of `require("x")` or `await import("x")`.
fn loaded<'e>(expression: &'e Expression<'_>) -> Option<&'e str> {
    match expression.get_inner_expression() {
        Expression::CallExpression(call) => match (call.callee.get_inner_expression(), &call.arguments[..]) {
            (Expression::Identifier(name), [Argument::StringLiteral(text)]) if name.name == "require" => {
                Some(text.value.as_str())
            }
            _ => None,
        },
        Expression::AwaitExpression(wait) => match wait.argument.get_inner_expression() {
            Expression::ImportExpression(import) => match &import.source {
                Expression::StringLiteral(text) => Some(text.value.as_str()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

impl Scopes {
    fn hide(&mut self) {
        self.own.extend(self.enclosing.last().copied());
    }

    fn bind(&mut self, local: &str, specifier: &str, name: Option<&str>) {
        if let Some(bound) = Bound::of(specifier, name) {
            self.bound.insert(local.to_string(), bound);
        }
    }

    /// Whether an expression is the function `name` of `module`: bound to a name, or taken from the module.
    fn is(&self, expression: &Expression<'_>, name: &str, function: Bound, module: Bound) -> bool {
        match expression.get_inner_expression() {
            Expression::Identifier(local) => self.bound.get(local.name.as_str()) == Some(&function),
            Expression::StaticMemberExpression(member) if member.property.name == name => match &member.object {
                Expression::Identifier(local) => self.bound.get(local.name.as_str()) == Some(&module),
                object => loaded(object).and_then(|specifier| Bound::of(specifier, None)) == Some(module),
            },
            _ => false,
        }
    }

    fn is_maker(&self, expression: &Expression<'_>) -> bool {
        self.is(expression, "createRequire", Bound::Maker, Bound::ModuleModule)
    }

    /// Whether it is `fork` of `child_process`.
    pub(super) fn is_fork(&self, expression: &Expression<'_>) -> bool {
        self.is(expression, "fork", Bound::Fork, Bound::ChildModule)
    }

    /// Which `require` an expression is, if any.
    pub(super) fn require(&self, expression: &Expression<'_>) -> Option<How> {
        match expression.get_inner_expression() {
            Expression::Identifier(name) => match name.name.as_str() {
                // Webpack's name for Node's own.
                "__non_webpack_require__" => Some(How::Require),
                local if self.requires.contains_key(local) => self.requires.get(local).copied(),
                "require" => {
                    let hidden = self.own.iter().any(|(from, to)| (*from..*to).contains(&name.span.start));
                    (!hidden).then_some(How::Require)
                }
                _ => None,
            },
            Expression::StaticMemberExpression(member) if member.property.name == "require" => {
                match member.object.get_inner_expression() {
                    Expression::Identifier(name) => (name.name == "module").then_some(How::Require),
                    // `process.mainModule.require`, `require.main.require`: looked up from where the program began.
                    Expression::StaticMemberExpression(main) => {
                        let of = |object: &str, property: &str| {
                            main.property.name == property
                                && matches!(&main.object, Expression::Identifier(name) if name.name == object)
                        };
                        (of("process", "mainModule") || of("require", "main")).then_some(How::Start)
                    }
                    _ => None,
                }
            }
            // `createRequire(import.meta.url)("x")`
            Expression::CallExpression(call) => self.is_maker(&call.callee).then_some(How::Created),
            // `(0, require)("x")`
            Expression::SequenceExpression(sequence) => self.require(sequence.expressions.last()?),
            _ => None,
        }
    }

    fn declares_require(pattern: &BindingPattern<'_>) -> bool {
        pattern.get_binding_identifiers().iter().any(|name| name.name == "require")
    }
}

impl<'a> Visit<'a> for Scopes {
    fn visit_program(&mut self, program: &Program<'a>) {
        self.enclosing.push((program.span.start, program.span.end));
        walk::walk_program(self, program);
        self.enclosing.pop();
    }

    fn visit_import_declaration(&mut self, import: &ImportDeclaration<'a>) {
        for specifier in import.specifiers.iter().flatten() {
            let (local, name) = match specifier {
                ImportDeclarationSpecifier::ImportSpecifier(s) => (&s.local, Some(s.imported.name())),
                ImportDeclarationSpecifier::ImportDefaultSpecifier(s) => (&s.local, None),
                ImportDeclarationSpecifier::ImportNamespaceSpecifier(s) => (&s.local, None),
            };
            if local.name == "require" {
                self.hide();
            }
            self.bind(local.name.as_str(), import.source.value.as_str(), name.as_deref());
        }
    }

    fn visit_variable_declaration(&mut self, declaration: &VariableDeclaration<'a>) {
        // `declare const require: any` tells the compiler of Node's own.
        if !declaration.declare {
            walk::walk_variable_declaration(self, declaration);
        }
    }

    fn visit_variable_declarator(&mut self, variable: &VariableDeclarator<'a>) {
        if let Some(init) = &variable.init {
            if let Some(specifier) = loaded(init) {
                match &variable.id {
                    BindingPattern::BindingIdentifier(name) => self.bind(name.name.as_str(), specifier, None),
                    BindingPattern::ObjectPattern(pattern) => {
                        for property in &pattern.properties {
                            if let (Some(key), BindingPattern::BindingIdentifier(local)) =
                                (property.key.static_name(), &property.value)
                            {
                                self.bind(local.name.as_str(), specifier, Some(&key));
                            }
                        }
                    }
                    _ => {}
                }
            } else if let (BindingPattern::BindingIdentifier(name), Some(how)) = (&variable.id, self.require(init)) {
                // It may be called `require` itself: that hides nothing.
                self.requires.insert(name.name.to_string(), how);
                walk::walk_variable_declarator(self, variable);
                return;
            }
        }
        // `const require = …` in a function hides it there; `var nodeRequire = require` hides nothing.
        if Self::declares_require(&variable.id) {
            self.hide();
        }
        walk::walk_variable_declarator(self, variable);
    }

    fn visit_assignment_expression(&mut self, assignment: &AssignmentExpression<'a>) {
        if let (AssignmentTarget::AssignmentTargetIdentifier(name), Some(how @ How::Created)) =
            (&assignment.left, self.require(&assignment.right))
        {
            self.requires.insert(name.name.to_string(), how);
        }
        walk::walk_assignment_expression(self, assignment);
    }

    // The walk of a function names a type of a crate that is no dependency here; these hooks do as well.
    fn enter_node(&mut self, kind: AstKind<'a>) {
        let parameters = match kind {
            AstKind::Function(function) => {
                if !function.declare && function.id.as_ref().is_some_and(|name| name.name == "require") {
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
