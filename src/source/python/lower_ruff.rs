//! From ruff_python_parser's tree to the [intermediate form](super::ir).

use ruff_python_ast::visitor::{self, Visitor};
use ruff_python_ast::{
    self as ast, BoolOp, CmpOp, ExceptHandler, Expr, FStringPart, InterpolatedStringElement, Number, Operator, Stmt,
    UnaryOp,
};
use ruff_text_size::Ranged;

use super::ir::{Alias, Argument, Node, Test, Value};

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

fn value(expression: &Expr) -> Value {
    if let Some(text) = text(expression) {
        return Value::Text(text);
    }
    if let Expr::NumberLiteral(literal) = expression
        && let Number::Int(number) = &literal.value
    {
        return number.as_u8().map_or(Value::Unknown, |n| Value::Number(n.into()));
    }
    path(expression).map_or(Value::Unknown, Value::Path)
}

fn test(expression: &Expr) -> Test {
    match expression {
        Expr::UnaryOp(unary) if unary.op == UnaryOp::Not => Test::Not(Box::new(test(&unary.operand))),
        Expr::BoolOp(joined) => {
            let parts = joined.values.iter().map(test).collect();
            if joined.op == BoolOp::And { Test::And(parts) } else { Test::Or(parts) }
        }
        Expr::Compare(comparison) => {
            let [CmpOp::Eq] = comparison.ops[..] else { return Test::Other };
            let [right] = &comparison.comparators[..] else { return Test::Other };
            super::main_guard(&value(&comparison.left), &value(right))
        }
        Expr::BooleanLiteral(literal) if !literal.value => Test::Never,
        Expr::NumberLiteral(literal) => match &literal.value {
            Number::Int(number) if number.as_u8() == Some(0) => Test::Never,
            _ => Test::Other,
        },
        _ => path(expression).map_or(Test::Other, Test::Path),
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
                if let [Expr::Name(name)] = &s.targets[..] {
                    self.out.extend(path(&s.value).map(|value| Node::Bind { name: name.id.to_string(), value }));
                }
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
                if let (Expr::Name(name), Some(value)) = (&*e.target, path(&e.value)) {
                    self.out.push(Node::Bind { name: name.id.to_string(), value });
                }
            }
            _ => visitor::walk_expr(self, expression),
        }
    }
}
