//! What a loading call is given, as far as it is known before running.
//!
//! Strings, templates, sums of them, `path.join(__dirname, …)` and `new URL("…", import.meta.url)` come to text; what
//! is left open between text becomes `*` of a pattern, as bundlers do it.

use oxc_ast::ast::{Argument, CallExpression, Expression, NewExpression, TemplateLiteral};

/// What the argument of a loading call comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// A specifier. `beside` says that it was built from the file's own folder.
    Exactly { text: String, beside: bool },
    /// Files of the function's own: relative, `*` for what has no `/`, `**` for anything.
    Pattern(String),
    /// Only running would tell.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// The folder of the file.
    Here,
    Any,
}

/// Both branches of a conditional expression, else one answer.
pub(super) fn given(expression: &Expression<'_>) -> Vec<Given> {
    let mut all = Vec::new();
    branches(expression, 8, &mut all);
    all
}

fn branches(expression: &Expression<'_>, depth: usize, all: &mut Vec<Given>) {
    match expression.get_inner_expression() {
        Expression::ConditionalExpression(choice) if depth > 0 => {
            branches(&choice.consequent, depth - 1, all);
            branches(&choice.alternate, depth - 1, all);
        }
        plain => {
            let mut parts = Vec::new();
            collect(plain, &mut parts);
            all.push(joined(parts));
        }
    }
}

/// A text that is known exactly.
pub(super) fn literal(expression: &Expression<'_>) -> Option<String> {
    match given(expression).pop() {
        Some(Given::Exactly { text, beside: false }) => Some(text),
        _ => None,
    }
}

fn collect(expression: &Expression<'_>, parts: &mut Vec<Part>) {
    match expression.get_inner_expression() {
        Expression::StringLiteral(text) => parts.push(Part::Text(text.value.to_string())),
        Expression::TemplateLiteral(template) => collect_template(template, parts),
        Expression::BinaryExpression(sum) if sum.operator.as_str() == "+" => {
            collect(&sum.left, parts);
            collect(&sum.right, parts);
        }
        Expression::Identifier(name) if name.name == "__dirname" => parts.push(Part::Here),
        Expression::StaticMemberExpression(member) => match (member.property.name.as_str(), &member.object) {
            ("dirname", Expression::ImportMeta(_)) => parts.push(Part::Here),
            ("href" | "pathname", object) => collect(object, parts),
            _ => parts.push(Part::Any),
        },
        Expression::CallExpression(call) => collect_call(call, parts),
        Expression::NewExpression(new) => match own_url(new) {
            Some(text) => parts.extend([Part::Here, Part::Text(format!("/{text}"))]),
            None => parts.push(Part::Any),
        },
        _ => parts.push(Part::Any),
    }
}

fn collect_template(template: &TemplateLiteral<'_>, parts: &mut Vec<Part>) {
    let mut open = template.expressions.iter();
    for quasi in &template.quasis {
        match &quasi.value.cooked {
            // Nothing stands before `${__dirname}`.
            Some(text) if text.is_empty() => {}
            Some(text) => parts.push(Part::Text(text.to_string())),
            None => parts.push(Part::Any),
        }
        if let Some(expression) = open.next() {
            collect(expression, parts);
        }
    }
}

/// `path.join(__dirname, "a", name)`, `fileURLToPath(new URL(…))`, `x.toString()`.
fn collect_call(call: &CallExpression<'_>, parts: &mut Vec<Part>) {
    let name = match call.callee.get_inner_expression() {
        Expression::Identifier(name) => name.name.as_str(),
        Expression::StaticMemberExpression(member) => member.property.name.as_str(),
        _ => "",
    };
    match name {
        "join" | "resolve" => {
            for (at, argument) in call.arguments.iter().enumerate() {
                if at > 0 {
                    parts.push(Part::Text("/".to_string()));
                }
                match argument.as_expression() {
                    Some(expression) => collect(expression, parts),
                    None => parts.push(Part::Any),
                }
            }
        }
        "fileURLToPath" if call.arguments.len() == 1 => match call.arguments[0].as_expression() {
            Some(expression) => collect(expression, parts),
            None => parts.push(Part::Any),
        },
        _ => parts.push(Part::Any),
    }
}

/// The text of `new URL("…", import.meta.url)`, relative to the file.
pub(super) fn own_url(new: &NewExpression<'_>) -> Option<String> {
    let is_url = matches!(new.callee.get_inner_expression(), Expression::Identifier(name) if name.name == "URL");
    let [first, second] = &new.arguments[..] else { return None };
    let here = match second.as_expression().map(Expression::get_inner_expression) {
        Some(Expression::StaticMemberExpression(member)) => {
            member.property.name == "url" && matches!(member.object, Expression::ImportMeta(_))
        }
        _ => false,
    };
    if !is_url || !here {
        return None;
    }
    let Argument::StringLiteral(text) = first else { return None };
    let text = text.value.as_str();
    let relative = !text.starts_with('/') && !text.contains(':') && !text.is_empty();
    relative.then(|| text.trim_start_matches("./").to_string())
}

fn joined(parts: Vec<Part>) -> Given {
    let beside = parts.first() == Some(&Part::Here);
    let mut text = if beside { ".".to_string() } else { String::new() };
    let mut open = false;
    for part in parts.into_iter().skip(usize::from(beside)) {
        match part {
            Part::Text(more) => text.push_str(&more),
            // A second `__dirname` makes no path.
            Part::Here => return Given::Unknown,
            Part::Any => {
                // What fills a whole component may name a file in a folder of it.
                let stars = if text.ends_with('/') { "**" } else { "*" };
                if !text.ends_with('*') {
                    text.push_str(stars);
                }
                open = true;
            }
        }
    }
    if beside {
        while text.contains("//") {
            text = text.replace("//", "/");
        }
    }
    match open {
        false => Given::Exactly { text, beside },
        true if text.starts_with("./") || text.starts_with("../") => Given::Pattern(text),
        true => Given::Unknown,
    }
}
