//! From ruff_python_parser's tree to the [intermediate form](super::ir).

use ruff_python_ast::visitor::{self, Visitor};
use ruff_python_ast::{
    self as ast, BoolOp, CmpOp, ExceptHandler, Expr, FStringPart, InterpolatedStringElement, Number, Operator, Stmt,
    UnaryOp,
};
use ruff_text_size::Ranged;

use super::ir::{Alias, Argument, Comparison, Node, Test, Value};

/// Lowers a module. Without `calls`, expressions are not looked into: nothing in the file can import by a call.
pub(super) fn lower(body: &[Stmt], calls: bool) -> Vec<Node> {
    let mut lower = Lower { calls, out: Vec::new() };
    lower.visit_body(body);
    lower.out
}

struct Lower {
    calls: bool,
    out: Vec<Node>,
}

fn start(node: &impl Ranged) -> u32 {
    node.start().into()
}

fn aliases(names: &[ast::Alias]) -> Vec<Alias> {
    let alias =
        |a: &ast::Alias| Alias { name: a.name.to_string(), bound_as: a.asname.as_ref().map(ToString::to_string) };
    // A recovered tree can hold names that are not there.
    names.iter().filter(|a| !a.name.is_empty()).map(alias).collect()
}

fn path(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Name(name) => Some(name.id.to_string()),
        Expr::Attribute(attribute) => Some(format!("{}.{}", path(&attribute.value)?, attribute.attr)),
        _ => None,
    }
}

fn text(expression: &Expr) -> Option<String> {
    match expression {
        Expr::StringLiteral(literal) => Some(literal.value.to_str().to_string()),
        Expr::BinOp(sum) if sum.op == Operator::Add => Some(text(&sum.left)? + &text(&sum.right)?),
        Expr::FString(string) => {
            let mut out = String::new();
            for part in &string.value {
                match part {
                    FStringPart::Literal(literal) => out.push_str(literal),
                    FStringPart::FString(part) => {
                        for element in &part.elements {
                            match element {
                                InterpolatedStringElement::Literal(literal) => out.push_str(&literal.value),
                                InterpolatedStringElement::Interpolation(_) => return None,
                            }
                        }
                    }
                }
            }
            Some(out)
        }
        _ => None,
    }
}

/// The parts of an f-string; those with a conversion or a format are not known.
fn parts(string: &ast::FStringValue) -> Vec<Value> {
    let mut out = Vec::new();
    for part in string {
        match part {
            FStringPart::Literal(literal) => out.push(Value::Text(literal.to_string())),
            FStringPart::FString(part) => out.extend(part.elements.iter().map(|element| match element {
                InterpolatedStringElement::Literal(literal) => Value::Text(literal.value.to_string()),
                InterpolatedStringElement::Interpolation(inner) if inner.format_spec.is_none() => {
                    value(&inner.expression)
                }
                InterpolatedStringElement::Interpolation(_) => Value::Unknown,
            })),
        }
    }
    out
}

fn value(expression: &Expr) -> Value {
    if let Some(text) = text(expression) {
        return Value::Text(text);
    }
    if let Some(path) = path(expression) {
        return Value::Path(path);
    }
    let number = |expression: &Expr| match expression {
        Expr::NumberLiteral(literal) => match &literal.value {
            Number::Int(number) => number.as_u8().map(u32::from),
            _ => None,
        },
        _ => None,
    };
    let boxed = |expression: &Expr| Box::new(value(expression));
    match expression {
        Expr::NumberLiteral(_) => number(expression).map_or(Value::Unknown, Value::Number),
        Expr::FString(string) => Value::Joined(parts(&string.value)),
        Expr::BinOp(e) if e.op == Operator::Add => Value::Joined(vec![value(&e.left), value(&e.right)]),
        Expr::BinOp(e) if e.op == Operator::Div => Value::Slash(boxed(&e.left), boxed(&e.right)),
        Expr::List(e) => Value::List(e.elts.iter().map(value).collect()),
        Expr::Tuple(e) => Value::List(e.elts.iter().map(value).collect()),
        Expr::Set(e) => Value::List(e.elts.iter().map(value).collect()),
        Expr::Attribute(e) => Value::Attribute(boxed(&e.value), e.attr.to_string()),
        Expr::Call(e) => Value::Call(boxed(&e.func), e.arguments.args.iter().map(value).collect()),
        Expr::Subscript(e) => match &*e.slice {
            // `sys.version_info[:2]` compares as the whole does.
            Expr::Slice(slice) if slice.lower.is_none() && slice.step.is_none() => value(&e.value),
            index => number(index).map_or(Value::Unknown, |n| Value::Index(boxed(&e.value), n)),
        },
        _ => Value::Unknown,
    }
}

fn test(expression: &Expr) -> Test {
    match expression {
        Expr::UnaryOp(unary) if unary.op == UnaryOp::Not => Test::Not(Box::new(test(&unary.operand))),
        Expr::BoolOp(joined) => {
            let parts = joined.values.iter().map(test).collect();
            if joined.op == BoolOp::And { Test::And(parts) } else { Test::Or(parts) }
        }
        Expr::Compare(comparison) => {
            let ([op], [right]) = (&comparison.ops[..], &comparison.comparators[..]) else { return Test::Other };
            let op = match op {
                CmpOp::Eq => Comparison::Equal,
                CmpOp::NotEq => Comparison::NotEqual,
                CmpOp::Lt => Comparison::Less,
                CmpOp::LtE => Comparison::LessEqual,
                CmpOp::Gt => Comparison::Greater,
                CmpOp::GtE => Comparison::GreaterEqual,
                _ => return Test::Other,
            };
            Test::Compare(value(&comparison.left), op, value(right))
        }
        Expr::BooleanLiteral(literal) if !literal.value => Test::Never,
        Expr::NumberLiteral(literal) => match &literal.value {
            Number::Int(number) if number.as_u8() == Some(0) => Test::Never,
            _ => Test::Other,
        },
        Expr::Name(_) | Expr::Attribute(_) | Expr::Call(_) => Test::Value(value(expression)),
        _ => Test::Other,
    }
}

fn caught(expression: &Expr) -> Vec<String> {
    match expression {
        Expr::Tuple(tuple) => tuple.elts.iter().filter_map(path).collect(),
        _ => path(expression).into_iter().collect(),
    }
}

impl Lower {
    /// What `visit` adds, by itself.
    fn nested(&mut self, visit: impl FnOnce(&mut Self)) -> Vec<Node> {
        let outer = std::mem::take(&mut self.out);
        visit(self);
        std::mem::replace(&mut self.out, outer)
    }

    /// What a name is given. Where nothing can import by a call, only other names for something matter.
    fn bind(&mut self, target: &Expr, given: impl FnOnce() -> Value) {
        if let Expr::Name(name) = target {
            let value = given();
            if self.calls || matches!(value, Value::Path(_)) {
                self.out.push(Node::Bind { name: name.id.to_string(), value });
            }
        }
    }

    /// The `elif` and `else` clauses, the first first.
    fn clauses(&mut self, clauses: &[ast::ElifElseClause]) -> Vec<Node> {
        // Built from the last to the first, so that a long chain does not recurse.
        let mut orelse = Vec::new();
        for clause in clauses.iter().rev() {
            let body = self.nested(|lower| lower.visit_body(&clause.body));
            orelse = match &clause.test {
                None => body,
                Some(expression) => {
                    let mut nodes = self.nested(|lower| lower.visit_expr(expression));
                    nodes.push(Node::If { test: test(expression), body, orelse });
                    nodes
                }
            };
        }
        orelse
    }
}

impl<'a> Visitor<'a> for Lower {
    fn visit_stmt(&mut self, statement: &'a Stmt) {
        match statement {
            Stmt::Import(s) => {
                let import = Node::Import { offset: start(s), names: aliases(&s.names) };
                self.out.push(if s.is_lazy { Node::Later(vec![import]) } else { import });
            }
            Stmt::ImportFrom(s) => {
                let module = s.module.as_ref().map(ToString::to_string).unwrap_or_default();
                if module.is_empty() && s.level == 0 {
                    return;
                }
                let import = Node::From { offset: start(s), level: s.level, module, names: aliases(&s.names) };
                self.out.push(if s.is_lazy { Node::Later(vec![import]) } else { import });
            }
            Stmt::FunctionDef(s) => {
                s.decorator_list.iter().for_each(|d| self.visit_decorator(d));
                s.type_params.iter().for_each(|p| self.visit_type_params(p));
                self.visit_parameters(&s.parameters);
                s.returns.iter().for_each(|e| self.visit_annotation(e));
                let body = self.nested(|lower| lower.visit_body(&s.body));
                self.out.push(Node::Later(body));
            }
            Stmt::If(s) => {
                self.visit_expr(&s.test);
                let body = self.nested(|lower| lower.visit_body(&s.body));
                let orelse = self.clauses(&s.elif_else_clauses);
                self.out.push(Node::If { test: test(&s.test), body, orelse });
            }
            Stmt::Try(s) => {
                let body = self.nested(|lower| lower.visit_body(&s.body));
                let mut names = Vec::new();
                for ExceptHandler::ExceptHandler(handler) in &s.handlers {
                    match handler.type_.as_deref() {
                        None => names.push(String::new()),
                        Some(kind) => names.extend(caught(kind)),
                    }
                }
                let handlers = self.nested(|lower| s.handlers.iter().for_each(|h| lower.visit_except_handler(h)));
                let rest = self.nested(|lower| {
                    lower.visit_body(&s.orelse);
                    lower.visit_body(&s.finalbody);
                });
                self.out.push(Node::Try { caught: names, body, handlers, rest });
            }
            Stmt::With(s) => {
                s.items.iter().for_each(|item| self.visit_with_item(item));
                let managers = s.items.iter().filter_map(|item| match &item.context_expr {
                    Expr::Call(call) => {
                        Some((path(&call.func)?, call.arguments.args.iter().filter_map(path).collect()))
                    }
                    _ => None,
                });
                let managers = managers.collect();
                let body = self.nested(|lower| lower.visit_body(&s.body));
                self.out.push(Node::With { managers, body });
            }
            Stmt::Assign(s) => {
                visitor::walk_stmt(self, statement);
                if let [target] = &s.targets[..] {
                    self.bind(target, || value(&s.value));
                }
            }
            Stmt::AnnAssign(s) => {
                visitor::walk_stmt(self, statement);
                if let Some(given) = &s.value {
                    self.bind(&s.target, || value(given));
                }
            }
            Stmt::AugAssign(s) => {
                visitor::walk_stmt(self, statement);
                self.bind(&s.target, || Value::Unknown);
            }
            Stmt::For(s) => {
                self.visit_expr(&s.iter);
                self.visit_expr(&s.target);
                self.bind(&s.target, || Value::OneOf(Box::new(value(&s.iter))));
                self.visit_body(&s.body);
                self.visit_body(&s.orelse);
            }
            _ => visitor::walk_stmt(self, statement),
        }
    }

    fn visit_expr(&mut self, expression: &'a Expr) {
        if !self.calls {
            return;
        }
        match expression {
            Expr::Lambda(e) => {
                e.parameters.iter().for_each(|p| self.visit_parameters(p));
                let body = self.nested(|lower| lower.visit_expr(&e.body));
                self.out.push(Node::Later(body));
            }
            Expr::Call(e) => {
                visitor::walk_expr(self, expression);
                if let Some(callee) = path(&e.func) {
                    let positional = e.arguments.args.iter().map(|a| Argument { keyword: None, value: value(a) });
                    let by_name = e.arguments.keywords.iter().map(|k| Argument {
                        keyword: Some(k.arg.as_ref().map(ToString::to_string).unwrap_or_default()),
                        value: value(&k.value),
                    });
                    let arguments = positional.chain(by_name).collect();
                    self.out.push(Node::Call { offset: start(e), callee, arguments });
                }
            }
            Expr::Named(e) => {
                visitor::walk_expr(self, expression);
                self.bind(&e.target, || value(&e.value));
            }
            _ => visitor::walk_expr(self, expression),
        }
    }
}
