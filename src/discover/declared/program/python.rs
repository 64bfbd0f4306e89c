//! Python, read by Ruff's parser.

use ruff_python_ast::visitor::{self, Visitor};
use ruff_python_ast::{self as ast, Expr as Py, FStringPart, InterpolatedStringElement, Number, Operator, Stmt};
use ruff_python_parser::{Mode, ParseOptions, parse_unchecked};
use ruff_text_size::Ranged;

use super::{Call, Expr, Program, may_construct};
use crate::model::Lines;

pub(super) fn read(text: &str) -> Option<Program> {
    let parsed = parse_unchecked(text, ParseOptions::from(Mode::Module));
    let ast::Mod::Module(module) = parsed.syntax() else { return None };
    let mut reader = Reader { lines: Lines::new(text), program: Program::default(), opened: Vec::new() };
    reader.visit_body(&module.body);
    Some(reader.program)
}

struct Reader {
    lines: Lines,
    program: Program,
    /// Names that `with` gives what it opens, inside the block that is being read.
    opened: Vec<(String, Expr)>,
}

/// `aws_cdk.aws_lambda` is `aws_lambda`; other modules keep their names.
fn module_name(module: &str) -> String {
    match module.strip_prefix("aws_cdk") {
        Some("") => String::new(),
        Some(rest) if rest.starts_with('.') => rest.trim_start_matches('.').to_string(),
        _ => module.to_string(),
    }
}

fn within(module: &str, name: &str) -> String {
    if module.is_empty() { name.to_string() } else { format!("{module}.{name}") }
}

impl Reader {
    fn call(&self, call: &ast::ExprCall) -> Call {
        let named = call.arguments.keywords.iter().map(|keyword| {
            let name = keyword.arg.as_ref().map_or("...", |name| name.as_str());
            (name.to_string(), self.expr(&keyword.value))
        });
        Call {
            callee: self.expr(&call.func),
            arguments: call.arguments.args.iter().map(|argument| self.expr(argument)).collect(),
            named: named.collect(),
            line: self.lines.of(u32::from(call.start()) as usize),
        }
    }

    fn expr(&self, expression: &Py) -> Expr {
        match expression {
            Py::StringLiteral(text) => Expr::Text(text.value.to_str().to_string()),
            Py::NumberLiteral(literal) => match &literal.value {
                Number::Int(number) => Expr::Text(number.to_string()),
                _ => Expr::Other,
            },
            Py::BooleanLiteral(flag) => Expr::Text(flag.value.to_string()),
            Py::FString(string) => {
                let mut parts = Vec::new();
                for part in &string.value {
                    match part {
                        FStringPart::Literal(literal) => parts.push(Expr::Text(literal.to_string())),
                        FStringPart::FString(inner) => {
                            parts.extend(inner.elements.iter().map(|element| match element {
                                InterpolatedStringElement::Literal(literal) => Expr::Text(literal.value.to_string()),
                                InterpolatedStringElement::Interpolation(inner) => self.expr(&inner.expression),
                            }));
                        }
                    }
                }
                Expr::Concat(parts)
            }
            Py::BinOp(op) => match op.op {
                Operator::Add => Expr::Concat(vec![self.expr(&op.left), self.expr(&op.right)]),
                Operator::Div => Expr::Slash(Box::new(self.expr(&op.left)), Box::new(self.expr(&op.right))),
                _ => Expr::Other,
            },
            Py::List(list) => Expr::List(list.elts.iter().map(|item| self.expr(item)).collect()),
            Py::Tuple(list) => Expr::List(list.elts.iter().map(|item| self.expr(item)).collect()),
            Py::Dict(dict) => {
                let entries = dict.items.iter().map(|item| {
                    let key = match item.key.as_ref().map(|key| self.expr(key)) {
                        None => "...".to_string(),
                        Some(Expr::Text(key)) => key,
                        Some(_) => "?".to_string(),
                    };
                    (key, self.expr(&item.value))
                });
                Expr::Map(entries.collect())
            }
            Py::Name(name) => match self.opened.iter().rev().find(|(opened, _)| *opened == name.id.as_str()) {
                Some((_, file)) => file.clone(),
                None => Expr::Name(name.id.to_string()),
            },
            Py::Attribute(attribute) => match self.expr(&attribute.value) {
                Expr::Name(base) => Expr::Name(format!("{base}.{}", attribute.attr)),
                base => Expr::Attribute(Box::new(base), attribute.attr.to_string()),
            },
            Py::Call(call) => Expr::Call(Box::new(self.call(call))),
            _ => Expr::Other,
        }
    }

    fn assign(&mut self, target: &Py, value: &Py) {
        if let Expr::Name(name) = self.expr(target) {
            let value = self.expr(value);
            self.program.bind(name, value);
        }
    }
}

impl<'a> Visitor<'a> for Reader {
    fn visit_stmt(&mut self, statement: &'a Stmt) {
        match statement {
            Stmt::Import(import) => {
                for alias in &import.names {
                    let module = alias.name.as_str();
                    match &alias.asname {
                        Some(name) => self.program.imports.insert(name.to_string(), module_name(module)),
                        // Binds the first word; what follows it is written out where it is used.
                        None => {
                            let first = module.split('.').next().unwrap_or(module);
                            self.program.imports.insert(first.to_string(), module_name(first))
                        }
                    };
                }
            }
            Stmt::ImportFrom(import) if import.level == 0 => {
                let module = module_name(import.module.as_ref().map_or("", |module| module.as_str()));
                for alias in &import.names {
                    let local = alias.asname.as_ref().unwrap_or(&alias.name).to_string();
                    self.program.imports.insert(local, within(&module, alias.name.as_str()));
                }
            }
            Stmt::Assign(assign) => {
                for target in &assign.targets {
                    self.assign(target, &assign.value);
                }
            }
            Stmt::AnnAssign(assign) => {
                if let Some(value) = &assign.value {
                    self.assign(&assign.target, value);
                }
            }
            // What a loop goes through has a value in each round.
            Stmt::For(each) => {
                if let Expr::Name(name) = self.expr(&each.target) {
                    self.program.bind(name, Expr::Other);
                }
            }
            _ => {}
        }
        let before = self.opened.len();
        if let Stmt::With(with) = statement {
            for item in &with.items {
                if let Some(Py::Name(name)) = item.optional_vars.as_deref() {
                    let file = self.expr(&item.context_expr);
                    self.opened.push((name.id.to_string(), file));
                }
            }
        }
        visitor::walk_stmt(self, statement);
        self.opened.truncate(before);
    }

    fn visit_expr(&mut self, expression: &'a Py) {
        if let Py::Call(call) = expression
            && may_construct(&self.expr(&call.func))
        {
            let call = self.call(call);
            self.program.calls.push(call);
        }
        visitor::walk_expr(self, expression);
    }
}
