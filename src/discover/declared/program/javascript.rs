//! JavaScript and TypeScript, read by oxc's parser.

use oxc_allocator::Allocator;
use oxc_ast::ast::{
    Argument, ArrayExpressionElement, AssignmentExpression, AssignmentTarget, BinaryOperator, BindingPattern,
    Expression, ImportDeclaration, ImportDeclarationSpecifier, NewExpression, ObjectExpression, ObjectPropertyKind,
    TSImportEqualsDeclaration, TSModuleReference, VariableDeclarator,
};
use oxc_ast_visit::{Visit, walk};
use oxc_parser::{ParseOptions, Parser};
use oxc_span::SourceType;

use super::{Call, Expr, Program, may_construct};
use crate::discover::paths;
use crate::model::Lines;

pub(super) fn read(file: &str, text: &str) -> Option<Program> {
    let grammar = match paths::extension(file) {
        "ts" | "mts" | "cts" => SourceType::ts(),
        "tsx" => SourceType::tsx(),
        _ => SourceType::unambiguous().with_jsx(true),
    };
    let allocator = Allocator::default();
    let options = ParseOptions { allow_return_outside_function: true, ..ParseOptions::default() };
    let parsed = Parser::new(&allocator, text, grammar).with_options(options).parse();
    if parsed.panicked {
        return None;
    }
    let mut reader = Reader { lines: Lines::new(text), program: Program::default() };
    reader.visit_program(&parsed.program);
    Some(reader.program)
}

struct Reader {
    lines: Lines,
    program: Program,
}

/// `aws-cdk-lib/aws-lambda` and `@aws-cdk/aws-lambda` are `aws_lambda`, as Python calls it; other modules keep their
/// names.
fn module_name(specifier: &str) -> String {
    match specifier.strip_prefix("aws-cdk-lib").or_else(|| specifier.strip_prefix("@aws-cdk/")) {
        Some(rest) => rest.trim_start_matches('/').replace('-', "_").replace('/', "."),
        None => specifier.to_string(),
    }
}

fn within(module: &str, name: &str) -> String {
    if module.is_empty() { name.to_string() } else { format!("{module}.{name}") }
}

impl Reader {
    fn call(&self, callee: &Expression<'_>, arguments: &[Argument<'_>], start: u32) -> Call {
        let arguments = arguments.iter().map(|argument| match argument {
            Argument::SpreadElement(_) => Expr::Other,
            other => other.as_expression().map_or(Expr::Other, |e| self.expr(e)),
        });
        Call {
            callee: self.expr(callee),
            arguments: arguments.collect(),
            named: Vec::new(),
            line: self.lines.of(start as usize),
        }
    }

    fn expr(&self, expression: &Expression<'_>) -> Expr {
        match expression.get_inner_expression() {
            Expression::StringLiteral(text) => Expr::Text(text.value.to_string()),
            Expression::NumericLiteral(number) => Expr::Text(number.value.to_string()),
            Expression::BooleanLiteral(flag) => Expr::Text(flag.value.to_string()),
            Expression::TemplateLiteral(template) => {
                let mut parts = Vec::new();
                for (at, quasi) in template.quasis.iter().enumerate() {
                    let text = quasi.value.cooked.as_ref().unwrap_or(&quasi.value.raw);
                    parts.push(Expr::Text(text.to_string()));
                    parts.extend(template.expressions.get(at).map(|e| self.expr(e)));
                }
                Expr::Concat(parts)
            }
            Expression::BinaryExpression(sum) if sum.operator == BinaryOperator::Addition => {
                Expr::Concat(vec![self.expr(&sum.left), self.expr(&sum.right)])
            }
            Expression::ArrayExpression(list) => Expr::List(
                list.elements
                    .iter()
                    .map(|element| match element {
                        ArrayExpressionElement::SpreadElement(_) | ArrayExpressionElement::Elision(_) => Expr::Other,
                        other => other.as_expression().map_or(Expr::Other, |e| self.expr(e)),
                    })
                    .collect(),
            ),
            Expression::ObjectExpression(object) => self.object(object),
            Expression::Identifier(name) => Expr::Name(name.name.to_string()),
            Expression::ThisExpression(_) => Expr::Name("this".into()),
            Expression::ImportMeta(_) => Expr::Name("import.meta".into()),
            Expression::StaticMemberExpression(member) => match self.expr(&member.object) {
                Expr::Name(base) => Expr::Name(format!("{base}.{}", member.property.name)),
                base => Expr::Attribute(Box::new(base), member.property.name.to_string()),
            },
            Expression::NewExpression(new) => {
                Expr::Call(Box::new(self.call(&new.callee, &new.arguments, new.span.start)))
            }
            Expression::CallExpression(call) => {
                Expr::Call(Box::new(self.call(&call.callee, &call.arguments, call.span.start)))
            }
            _ => Expr::Other,
        }
    }

    fn object(&self, object: &ObjectExpression<'_>) -> Expr {
        let entries = object.properties.iter().map(|property| match property {
            ObjectPropertyKind::SpreadProperty(spread) => ("...".to_string(), self.expr(&spread.argument)),
            ObjectPropertyKind::ObjectProperty(property) => {
                let key = property.key.static_name().map(|name| name.to_string());
                (key.unwrap_or_else(|| "?".into()), self.expr(&property.value))
            }
        });
        Expr::Map(entries.collect())
    }

    fn import(&mut self, local: &str, name: String) {
        self.program.imports.insert(local.to_string(), name);
    }
}

fn required<'a>(expression: &'a Expression<'_>) -> Option<&'a str> {
    let Expression::CallExpression(call) = expression.get_inner_expression() else { return None };
    let Expression::Identifier(callee) = &call.callee else { return None };
    match &call.arguments[..] {
        [Argument::StringLiteral(specifier)] if callee.name == "require" => Some(specifier.value.as_str()),
        _ => None,
    }
}

impl<'a> Visit<'a> for Reader {
    fn visit_import_declaration(&mut self, import: &ImportDeclaration<'a>) {
        let module = module_name(import.source.value.as_str());
        for specifier in import.specifiers.iter().flatten() {
            match specifier {
                ImportDeclarationSpecifier::ImportSpecifier(s) => {
                    self.import(s.local.name.as_str(), within(&module, s.imported.name().as_str()));
                }
                ImportDeclarationSpecifier::ImportDefaultSpecifier(s) => {
                    self.import(s.local.name.as_str(), module.clone());
                }
                ImportDeclarationSpecifier::ImportNamespaceSpecifier(s) => {
                    self.import(s.local.name.as_str(), module.clone());
                }
            }
        }
    }

    fn visit_ts_import_equals_declaration(&mut self, import: &TSImportEqualsDeclaration<'a>) {
        if let TSModuleReference::ExternalModuleReference(module) = &import.module_reference {
            self.import(import.id.name.as_str(), module_name(module.expression.value.as_str()));
        }
    }

    fn visit_variable_declarator(&mut self, variable: &VariableDeclarator<'a>) {
        if let Some(init) = &variable.init {
            match (&variable.id, required(init)) {
                (BindingPattern::BindingIdentifier(name), Some(module)) => {
                    self.import(name.name.as_str(), module_name(module));
                }
                (BindingPattern::ObjectPattern(pattern), Some(module)) => {
                    let module = module_name(module);
                    for property in &pattern.properties {
                        if let (Some(key), BindingPattern::BindingIdentifier(name)) =
                            (property.key.static_name(), &property.value)
                        {
                            self.import(name.name.as_str(), within(&module, &key));
                        }
                    }
                }
                (BindingPattern::BindingIdentifier(name), None) => {
                    let value = self.expr(init);
                    self.program.bind(name.name.to_string(), value);
                }
                _ => {}
            }
        }
        walk::walk_variable_declarator(self, variable);
    }

    fn visit_assignment_expression(&mut self, assignment: &AssignmentExpression<'a>) {
        let name = match &assignment.left {
            AssignmentTarget::AssignmentTargetIdentifier(name) => Some(name.name.to_string()),
            AssignmentTarget::StaticMemberExpression(member)
                if matches!(member.object, Expression::ThisExpression(_)) =>
            {
                Some(format!("this.{}", member.property.name))
            }
            _ => None,
        };
        if let Some(name) = name {
            let value = self.expr(&assignment.right);
            self.program.bind(name, value);
        }
        walk::walk_assignment_expression(self, assignment);
    }

    fn visit_new_expression(&mut self, new: &NewExpression<'a>) {
        if may_construct(&self.expr(&new.callee)) {
            let call = self.call(&new.callee, &new.arguments, new.span.start);
            self.program.calls.push(call);
        }
        walk::walk_new_expression(self, new);
    }
}
