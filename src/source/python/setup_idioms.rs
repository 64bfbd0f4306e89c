//! Expressions that a `setup.py` uses to read a requirements file by hand, and that change nothing about what it requires.

use ruff_python_ast::{CmpOp, Expr, Stmt};

/// `__name__ == "__main__"`
pub(super) fn is_main(test: &Expr) -> bool {
    let Expr::Compare(compare) = test else { return false };
    let is_name = |e: &Expr| matches!(e, Expr::Name(n) if n.id.as_str() == "__name__");
    let is_text = |e: &Expr| matches!(e, Expr::StringLiteral(t) if t.value.to_str() == "__main__");
    let right = compare.comparators.first();
    matches!(*compare.ops, [CmpOp::Eq])
        && right.is_some_and(|right| {
            (is_name(&compare.left) && is_text(right)) || (is_text(&compare.left) && is_name(right))
        })
}

/// The name itself, `name.strip()`, `str(name)`, `str(name.req)`, `name.requirement`.
pub(super) fn is_same(element: &Expr, name: &str) -> bool {
    match element {
        Expr::Name(n) => n.id.as_str() == name,
        Expr::Call(call) => match &*call.func {
            Expr::Attribute(method) => {
                matches!(method.attr.as_str(), "strip" | "rstrip" | "lstrip" | "decode") && is_same(&method.value, name)
            }
            Expr::Name(function) => {
                function.id.as_str() == "str" && matches!(&*call.arguments.args, [one] if is_same(one, name))
            }
            _ => false,
        },
        Expr::Attribute(attribute) => {
            matches!(attribute.attr.as_str(), "req" | "requirement") && is_same(&attribute.value, name)
        }
        _ => false,
    }
}

/// A test that drops blank lines, comments, options and URLs only.
pub(super) fn drops_noise(test: &Expr, name: &str) -> bool {
    match test {
        Expr::UnaryOp(not) => drops_noise(&not.operand, name),
        Expr::BoolOp(all) => all.values.iter().all(|test| drops_noise(test, name)),
        Expr::Call(call) => match &*call.func {
            Expr::Attribute(method) if method.attr.as_str() == "startswith" => {
                is_same(&method.value, name) && call.arguments.args.iter().all(is_noise)
            }
            _ => is_same(test, name),
        },
        Expr::Compare(compare) => {
            // `"#" not in line`, `line != ""`, `line[0] != "#"`
            let parts = std::iter::once(&*compare.left).chain(&compare.comparators);
            parts.into_iter().all(|part| {
                is_noise(part)
                    || is_same(part, name)
                    || matches!(part, Expr::Subscript(first) if is_same(&first.value, name))
            })
        }
        test => is_same(test, name),
    }
}

fn is_noise(value: &Expr) -> bool {
    match value {
        Expr::StringLiteral(text) => {
            let text = text.value.to_str().trim_start();
            text.is_empty() || text.starts_with(['#', '-']) || text.starts_with("git") || text.starts_with("http")
        }
        Expr::Tuple(tuple) => tuple.elts.iter().all(is_noise),
        _ => false,
    }
}

/// `str`, `str.strip`, and lambdas that do the same.
pub(super) fn is_plain(function: &Expr) -> bool {
    match function {
        Expr::Name(name) => name.id.as_str() == "str",
        Expr::Attribute(method) => {
            matches!(method.attr.as_str(), "strip" | "rstrip")
                && matches!(&*method.value, Expr::Name(n) if n.id.as_str() == "str")
        }
        Expr::Lambda(lambda) => {
            let parameter = lambda.parameters.as_ref().and_then(|p| p.args.first());
            parameter.is_some_and(|p| is_same(&lambda.body, p.parameter.name.as_str()))
        }
        _ => false,
    }
}

/// Names that a loop's body appends to, at any depth of conditions.
pub(super) fn appended_to(body: &[Stmt], out: &mut Vec<String>) {
    for statement in body {
        match statement {
            Stmt::Expr(expression) => {
                if let Expr::Call(call) = &*expression.value
                    && let Expr::Attribute(method) = &*call.func
                    && method.attr.as_str() == "append"
                    && let Expr::Name(list) = &*method.value
                {
                    out.push(list.id.to_string());
                }
            }
            Stmt::If(branch) => {
                appended_to(&branch.body, out);
                for clause in &branch.elif_else_clauses {
                    appended_to(&clause.body, out);
                }
            }
            _ => {}
        }
    }
    out.sort();
    out.dedup();
}
