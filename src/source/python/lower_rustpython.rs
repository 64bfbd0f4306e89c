//! From rustpython-parser's tree to the [intermediate form](super::ir).
//!
//! The crate's own visitor leaves out match cases, with-items and arguments, so the walk is written out here.

use rustpython_parser::ast::{self, Constant, ExceptHandler, Expr, Operator, Pattern, Ranged, Stmt, TypeParam};

use super::ir::{Alias, Argument, Comparison, Node, Test, Value};

/// Lowers a module. Without `calls`, expressions are not looked into: nothing in the file can import by a call.
pub(super) fn lower(body: &[Stmt], calls: bool) -> Vec<Node> {
    let lower = Lower { calls };
    let mut out = Vec::new();
    lower.block(body, &mut out);
    out
}

#[derive(Clone, Copy)]
struct Lower {
    calls: bool,
}

fn start(node: &impl Ranged) -> u32 {
    node.start().into()
}

fn aliases(names: &[ast::Alias]) -> Vec<Alias> {
    let alias =
        |a: &ast::Alias| Alias { name: a.name.to_string(), bound_as: a.asname.as_ref().map(ToString::to_string) };
    names.iter().map(alias).collect()
}

/// `a.b.c`, when an expression is nothing more.
fn path(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Name(name) => Some(name.id.to_string()),
        Expr::Attribute(attribute) => Some(format!("{}.{}", path(&attribute.value)?, attribute.attr)),
        _ => None,
    }
}

/// A string that can be told without running.
fn text(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Constant(constant) => match &constant.value {
            Constant::Str(text) => Some(text.clone()),
            _ => None,
        },
        Expr::BinOp(sum) if sum.op == Operator::Add => Some(text(&sum.left)? + &text(&sum.right)?),
        Expr::JoinedStr(joined) => joined.values.iter().map(text).collect(),
        _ => None,
    }
}

fn value(expression: &Expr) -> Value {
    if let Some(text) = text(expression) {
        return Value::Text(text);
    }
    if let Some(path) = path(expression) {
        return Value::Path(path);
    }
    let number = |expression: &Expr| match expression {
        Expr::Constant(constant) => match &constant.value {
            Constant::Int(number) => u8::try_from(number).ok().map(u32::from),
            _ => None,
        },
        _ => None,
    };
    let boxed = |expression: &Expr| Box::new(value(expression));
    match expression {
        Expr::Constant(_) => number(expression).map_or(Value::Unknown, Value::Number),
        Expr::JoinedStr(joined) => {
            let part = |part: &Expr| match part {
                Expr::FormattedValue(inner) if inner.format_spec.is_none() => value(&inner.value),
                Expr::FormattedValue(_) => Value::Unknown,
                other => value(other),
            };
            Value::Joined(joined.values.iter().map(part).collect())
        }
        Expr::BinOp(e) if e.op == Operator::Add => Value::Joined(vec![value(&e.left), value(&e.right)]),
        Expr::BinOp(e) if e.op == Operator::Div => Value::Slash(boxed(&e.left), boxed(&e.right)),
        Expr::List(e) => Value::List(e.elts.iter().map(value).collect()),
        Expr::Tuple(e) => Value::List(e.elts.iter().map(value).collect()),
        Expr::Set(e) => Value::List(e.elts.iter().map(value).collect()),
        Expr::Attribute(e) => Value::Attribute(boxed(&e.value), e.attr.to_string()),
        Expr::Call(e) => Value::Call(boxed(&e.func), e.args.iter().map(value).collect()),
        Expr::Subscript(e) => match &*e.slice {
            Expr::Slice(slice) if slice.lower.is_none() && slice.step.is_none() => value(&e.value),
            index => number(index).map_or(Value::Unknown, |n| Value::Index(boxed(&e.value), n)),
        },
        _ => Value::Unknown,
    }
}

fn test(expression: &Expr) -> Test {
    match expression {
        Expr::UnaryOp(unary) if unary.op == ast::UnaryOp::Not => Test::Not(Box::new(test(&unary.operand))),
        Expr::BoolOp(joined) => {
            let parts = joined.values.iter().map(test).collect();
            if joined.op == ast::BoolOp::And { Test::And(parts) } else { Test::Or(parts) }
        }
        Expr::Compare(comparison) => {
            let ([op], [right]) = (&comparison.ops[..], &comparison.comparators[..]) else { return Test::Other };
            let op = match op {
                ast::CmpOp::Eq => Comparison::Equal,
                ast::CmpOp::NotEq => Comparison::NotEqual,
                ast::CmpOp::Lt => Comparison::Less,
                ast::CmpOp::LtE => Comparison::LessEqual,
                ast::CmpOp::Gt => Comparison::Greater,
                ast::CmpOp::GtE => Comparison::GreaterEqual,
                _ => return Test::Other,
            };
            Test::Compare(value(&comparison.left), op, value(right))
        }
        Expr::Constant(constant) => match &constant.value {
            Constant::Bool(false) => Test::Never,
            Constant::Int(number) if u32::try_from(number) == Ok(0) => Test::Never,
            _ => Test::Other,
        },
        Expr::Name(_) | Expr::Attribute(_) | Expr::Call(_) => Test::Value(value(expression)),
        _ => Test::Other,
    }
}

/// The dotted names in what a handler catches: one, or a tuple of them.
fn caught(expression: &Expr) -> Vec<String> {
    match expression {
        Expr::Tuple(tuple) => tuple.elts.iter().filter_map(path).collect(),
        _ => path(expression).into_iter().collect(),
    }
}

impl Lower {
    fn block(self, body: &[Stmt], out: &mut Vec<Node>) {
        for statement in body {
            self.statement(statement, out);
        }
    }

    fn nested(self, body: &[Stmt]) -> Vec<Node> {
        let mut out = Vec::new();
        self.block(body, &mut out);
        out
    }

    fn statement(self, statement: &Stmt, out: &mut Vec<Node>) {
        match statement {
            Stmt::Import(s) => out.push(Node::Import { offset: start(s), names: aliases(&s.names) }),
            Stmt::ImportFrom(s) => out.push(Node::From {
                offset: start(s),
                level: s.level.map_or(0, |level| level.to_u32()),
                module: s.module.as_ref().map(ToString::to_string).unwrap_or_default(),
                names: aliases(&s.names),
            }),
            Stmt::FunctionDef(s) => {
                self.function(&s.decorator_list, &s.type_params, &s.args, s.returns.as_deref(), &s.body, out);
            }
            Stmt::AsyncFunctionDef(s) => {
                self.function(&s.decorator_list, &s.type_params, &s.args, s.returns.as_deref(), &s.body, out);
            }
            Stmt::ClassDef(s) => {
                self.all(&s.decorator_list, out);
                self.type_params(&s.type_params, out);
                self.all(&s.bases, out);
                s.keywords.iter().for_each(|k| self.expression(&k.value, out));
                self.block(&s.body, out);
            }
            Stmt::If(s) => {
                self.expression(&s.test, out);
                out.push(Node::If { test: test(&s.test), body: self.nested(&s.body), orelse: self.nested(&s.orelse) });
            }
            Stmt::Try(s) => self.attempt(&s.body, &s.handlers, &s.orelse, &s.finalbody, out),
            Stmt::TryStar(s) => self.attempt(&s.body, &s.handlers, &s.orelse, &s.finalbody, out),
            Stmt::With(s) => self.with(&s.items, &s.body, out),
            Stmt::AsyncWith(s) => self.with(&s.items, &s.body, out),
            Stmt::For(s) => self.each(&s.iter, &s.target, &s.body, &s.orelse, out),
            Stmt::AsyncFor(s) => self.each(&s.iter, &s.target, &s.body, &s.orelse, out),
            Stmt::While(s) => {
                self.expression(&s.test, out);
                self.block(&s.body, out);
                self.block(&s.orelse, out);
            }
            Stmt::Match(s) => {
                self.expression(&s.subject, out);
                for case in &s.cases {
                    self.pattern(&case.pattern, out);
                    self.maybe(case.guard.as_deref(), out);
                    self.block(&case.body, out);
                }
            }
            Stmt::Assign(s) => {
                self.expression(&s.value, out);
                self.all(&s.targets, out);
                if let [target] = &s.targets[..] {
                    self.bind(target, || value(&s.value), out);
                }
            }
            Stmt::AnnAssign(s) => {
                self.maybe(s.value.as_deref(), out);
                self.expression(&s.annotation, out);
                self.expression(&s.target, out);
                if let Some(given) = &s.value {
                    self.bind(&s.target, || value(given), out);
                }
            }
            Stmt::AugAssign(s) => {
                self.expression(&s.value, out);
                self.expression(&s.target, out);
                self.bind(&s.target, || Value::Unknown, out);
            }
            Stmt::TypeAlias(s) => {
                self.type_params(&s.type_params, out);
                self.expression(&s.value, out);
            }
            Stmt::Return(s) => self.maybe(s.value.as_deref(), out),
            Stmt::Delete(s) => self.all(&s.targets, out),
            Stmt::Raise(s) => {
                self.maybe(s.exc.as_deref(), out);
                self.maybe(s.cause.as_deref(), out);
            }
            Stmt::Assert(s) => {
                self.expression(&s.test, out);
                self.maybe(s.msg.as_deref(), out);
            }
            Stmt::Expr(s) => self.expression(&s.value, out),
            Stmt::Global(_) | Stmt::Nonlocal(_) | Stmt::Pass(_) | Stmt::Break(_) | Stmt::Continue(_) => {}
        }
    }

    fn function(
        self,
        decorators: &[Expr],
        type_params: &[TypeParam],
        arguments: &ast::Arguments,
        returns: Option<&Expr>,
        body: &[Stmt],
        out: &mut Vec<Node>,
    ) {
        self.all(decorators, out);
        self.type_params(type_params, out);
        self.arguments(arguments, out);
        self.maybe(returns, out);
        out.push(Node::Later(self.nested(body)));
    }

    fn attempt(
        self,
        body: &[Stmt],
        handlers: &[ExceptHandler],
        orelse: &[Stmt],
        finalbody: &[Stmt],
        out: &mut Vec<Node>,
    ) {
        let mut names = Vec::new();
        let mut handled = Vec::new();
        for ExceptHandler::ExceptHandler(handler) in handlers {
            match handler.type_.as_deref() {
                None => names.push(String::new()),
                Some(kind) => {
                    names.extend(caught(kind));
                    self.expression(kind, &mut handled);
                }
            }
            self.block(&handler.body, &mut handled);
        }
        let mut rest = self.nested(orelse);
        self.block(finalbody, &mut rest);
        out.push(Node::Try { caught: names, body: self.nested(body), handlers: handled, rest });
    }

    fn with(self, items: &[ast::WithItem], body: &[Stmt], out: &mut Vec<Node>) {
        let mut managers = Vec::new();
        for item in items {
            self.expression(&item.context_expr, out);
            self.maybe(item.optional_vars.as_deref(), out);
            if let Expr::Call(call) = &item.context_expr
                && let Some(manager) = path(&call.func)
            {
                managers.push((manager, call.args.iter().filter_map(path).collect()));
            }
        }
        out.push(Node::With { managers, body: self.nested(body) });
    }

    fn each(self, iter: &Expr, target: &Expr, body: &[Stmt], orelse: &[Stmt], out: &mut Vec<Node>) {
        self.expression(iter, out);
        self.expression(target, out);
        self.bind(target, || Value::OneOf(Box::new(value(iter))), out);
        self.block(body, out);
        self.block(orelse, out);
    }

    /// What a name is given. Where nothing can import by a call, only other names for something matter.
    fn bind(self, target: &Expr, given: impl FnOnce() -> Value, out: &mut Vec<Node>) {
        if let Expr::Name(name) = target {
            let value = given();
            if self.calls || matches!(value, Value::Path(_)) {
                out.push(Node::Bind { name: name.id.to_string(), value });
            }
        }
    }

    fn type_params(self, params: &[TypeParam], out: &mut Vec<Node>) {
        for param in params {
            if let TypeParam::TypeVar(variable) = param {
                self.maybe(variable.bound.as_deref(), out);
            }
        }
    }

    fn arguments(self, arguments: &ast::Arguments, out: &mut Vec<Node>) {
        for argument in arguments.posonlyargs.iter().chain(&arguments.args).chain(&arguments.kwonlyargs) {
            self.maybe(argument.default.as_deref(), out);
            self.maybe(argument.def.annotation.as_deref(), out);
        }
        for argument in arguments.vararg.iter().chain(&arguments.kwarg) {
            self.maybe(argument.annotation.as_deref(), out);
        }
    }

    fn pattern(self, pattern: &Pattern, out: &mut Vec<Node>) {
        match pattern {
            Pattern::MatchValue(p) => self.expression(&p.value, out),
            Pattern::MatchSequence(p) => p.patterns.iter().for_each(|p| self.pattern(p, out)),
            Pattern::MatchMapping(p) => {
                self.all(&p.keys, out);
                p.patterns.iter().for_each(|p| self.pattern(p, out));
            }
            Pattern::MatchClass(p) => {
                self.expression(&p.cls, out);
                p.patterns.iter().chain(&p.kwd_patterns).for_each(|p| self.pattern(p, out));
            }
            Pattern::MatchAs(p) => p.pattern.iter().for_each(|p| self.pattern(p, out)),
            Pattern::MatchOr(p) => p.patterns.iter().for_each(|p| self.pattern(p, out)),
            Pattern::MatchSingleton(_) | Pattern::MatchStar(_) => {}
        }
    }

    fn all(self, expressions: &[Expr], out: &mut Vec<Node>) {
        expressions.iter().for_each(|e| self.expression(e, out));
    }

    fn maybe(self, expression: Option<&Expr>, out: &mut Vec<Node>) {
        expression.into_iter().for_each(|e| self.expression(e, out));
    }

    fn generators(self, generators: &[ast::Comprehension], out: &mut Vec<Node>) {
        for generator in generators {
            self.expression(&generator.iter, out);
            self.expression(&generator.target, out);
            self.all(&generator.ifs, out);
        }
    }

    fn expression(self, expression: &Expr, out: &mut Vec<Node>) {
        if !self.calls {
            return;
        }
        match expression {
            Expr::Call(e) => {
                self.expression(&e.func, out);
                self.all(&e.args, out);
                e.keywords.iter().for_each(|k| self.expression(&k.value, out));
                if let Some(callee) = path(&e.func) {
                    let positional = e.args.iter().map(|a| Argument { keyword: None, value: value(a) });
                    // `**options` has no name, and may hold anything.
                    let by_name = e.keywords.iter().map(|k| Argument {
                        keyword: Some(k.arg.as_ref().map(ToString::to_string).unwrap_or_default()),
                        value: value(&k.value),
                    });
                    let arguments = positional.chain(by_name).collect();
                    out.push(Node::Call { offset: start(e), callee, arguments });
                }
            }
            Expr::Lambda(e) => {
                self.arguments(&e.args, out);
                let mut body = Vec::new();
                self.expression(&e.body, &mut body);
                out.push(Node::Later(body));
            }
            Expr::BoolOp(e) => self.all(&e.values, out),
            Expr::NamedExpr(e) => {
                self.expression(&e.value, out);
                self.bind(&e.target, || value(&e.value), out);
            }
            Expr::BinOp(e) => {
                self.expression(&e.left, out);
                self.expression(&e.right, out);
            }
            Expr::UnaryOp(e) => self.expression(&e.operand, out),
            Expr::IfExp(e) => {
                self.expression(&e.test, out);
                self.expression(&e.body, out);
                self.expression(&e.orelse, out);
            }
            Expr::Dict(e) => {
                e.keys.iter().flatten().for_each(|k| self.expression(k, out));
                self.all(&e.values, out);
            }
            Expr::Set(e) => self.all(&e.elts, out),
            Expr::List(e) => self.all(&e.elts, out),
            Expr::Tuple(e) => self.all(&e.elts, out),
            Expr::ListComp(e) => {
                self.generators(&e.generators, out);
                self.expression(&e.elt, out);
            }
            Expr::SetComp(e) => {
                self.generators(&e.generators, out);
                self.expression(&e.elt, out);
            }
            Expr::GeneratorExp(e) => {
                self.generators(&e.generators, out);
                self.expression(&e.elt, out);
            }
            Expr::DictComp(e) => {
                self.generators(&e.generators, out);
                self.expression(&e.key, out);
                self.expression(&e.value, out);
            }
            Expr::Await(e) => self.expression(&e.value, out),
            Expr::Yield(e) => self.maybe(e.value.as_deref(), out),
            Expr::YieldFrom(e) => self.expression(&e.value, out),
            Expr::Compare(e) => {
                self.expression(&e.left, out);
                self.all(&e.comparators, out);
            }
            Expr::FormattedValue(e) => {
                self.expression(&e.value, out);
                self.maybe(e.format_spec.as_deref(), out);
            }
            Expr::JoinedStr(e) => self.all(&e.values, out),
            Expr::Attribute(e) => self.expression(&e.value, out),
            Expr::Subscript(e) => {
                self.expression(&e.value, out);
                self.expression(&e.slice, out);
            }
            Expr::Starred(e) => self.expression(&e.value, out),
            Expr::Slice(e) => {
                self.maybe(e.lower.as_deref(), out);
                self.maybe(e.upper.as_deref(), out);
                self.maybe(e.step.as_deref(), out);
            }
            Expr::Constant(_) | Expr::Name(_) => {}
        }
    }
}
