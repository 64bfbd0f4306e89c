//! Terraform's language, as far as a reader of declarations needs it: blocks with the lines of their attributes, and
//! expressions worked out where literals, variables' defaults and locals decide them.
//!
//! Read by `hcl-edit`, which refuses what is nested deeper than 64 levels; the JSON syntax becomes the same blocks.
//! What only a run of Terraform tells (attributes of resources, data sources) is [`Value::Of`] or [`Value::Unknown`].
//! <https://developer.hashicorp.com/terraform/language/syntax/configuration>

use std::cell::Cell;
use std::collections::BTreeMap;

use hcl_edit::Span;
use hcl_edit::expr::{BinaryOperator, Expression, ForExpr, ObjectKey, TraversalOperator, UnaryOperator};
use hcl_edit::structure::{Body, Structure};
use hcl_edit::template::{Element, Template};

use crate::discover::doc::{self, DocError, Node};
use crate::discover::paths;
use crate::model::Lines;

/// Elements that lists and loops may come to.
const MAX_ELEMENTS: usize = 10_000;
/// Longest text that a template may make, bytes.
const MAX_TEXT: usize = 65_536;
/// Locals refer to locals a few levels deep; a circle ends here.
const MAX_DEEP: usize = 100;

/// What an attribute is given.
#[derive(Debug, Clone)]
pub enum Given {
    /// An expression.
    Expr(Expression),
    /// A list or mapping of the JSON syntax.
    List(Vec<Given>),
    /// A mapping of the JSON syntax.
    Map(Vec<(String, Given)>),
}

/// An attribute.
#[derive(Debug, Clone)]
pub struct Attribute {
    /// What it is given.
    pub given: Given,
    /// Line of its name.
    pub line: u32,
}

/// A block, or a whole file.
#[derive(Debug, Clone, Default)]
pub struct Block {
    /// `resource`; empty for a file.
    pub kind: String,
    /// `aws_lambda_function`, `api`.
    pub labels: Vec<String>,
    /// File that holds it, relative to the fleet.
    pub file: String,
    /// Line of its first word.
    pub line: u32,
    /// By name.
    pub attributes: BTreeMap<String, Attribute>,
    /// In the order of the file.
    pub blocks: Vec<Block>,
}

impl Block {
    /// Inner blocks of a kind.
    pub fn inner<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Block> {
        self.blocks.iter().filter(move |block| block.kind == kind)
    }
}

/// Reads a file in Terraform's own syntax.
///
/// # Errors
/// On a syntax error, and where it is nested too deeply.
pub fn parse(file: &str, text: &str) -> Result<Block, DocError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let body = hcl_edit::parser::parse_body(text).map_err(|error| {
        let line = u32::try_from(error.location().line()).unwrap_or(u32::MAX);
        let reason = error.message().trim().trim_end_matches('.').replace('\n', ", ");
        DocError { line, reason: format!("not valid HCL: {reason}") }
    })?;
    let mut block = Block { file: file.to_string(), line: 1, ..Block::default() };
    fill(&mut block, &body, &Lines::new(text));
    Ok(block)
}

fn fill(block: &mut Block, body: &Body, lines: &Lines) {
    let line = |span: Option<std::ops::Range<usize>>| span.map_or(0, |span| lines.of(span.start));
    for structure in body {
        match structure {
            Structure::Attribute(attribute) => {
                let given = Given::Expr(attribute.value.clone());
                let line = line(attribute.key.span());
                block.attributes.insert(attribute.key.to_string(), Attribute { given, line });
            }
            Structure::Block(inner) => {
                let labels = inner.labels.iter().map(|label| label.as_str().to_string()).collect();
                let line = line(inner.ident.span());
                let kind = inner.ident.to_string();
                let mut made = Block { kind, labels, file: block.file.clone(), line, ..Block::default() };
                fill(&mut made, &inner.body, lines);
                block.blocks.push(made);
            }
        }
    }
}

/// Reads a file in the JSON syntax.
///
/// # Errors
/// As [`parse`].
pub fn parse_json(file: &str, text: &str) -> Result<Block, DocError> {
    let root = doc::parse(text)?;
    let mut block = Block { file: file.to_string(), line: 1, ..Block::default() };
    for entry in root.entries() {
        let depth = match entry.key.as_str() {
            "resource" | "data" => 2,
            "module" | "variable" | "output" | "provider" => 1,
            "locals" => 0,
            _ => continue,
        };
        json_blocks(&mut block.blocks, file, &entry.key, &mut Vec::new(), entry.line, &entry.value, depth);
    }
    Ok(block)
}

fn json_blocks(
    out: &mut Vec<Block>,
    file: &str,
    kind: &str,
    labels: &mut Vec<String>,
    line: u32,
    node: &Node,
    depth: usize,
) {
    for item in node.items() {
        json_blocks(out, file, kind, labels, item.line, item, depth);
    }
    if !node.is_map() {
        return;
    }
    if depth > 0 {
        for entry in node.entries() {
            labels.push(entry.key.clone());
            json_blocks(out, file, kind, labels, entry.line, &entry.value, depth - 1);
            labels.pop();
        }
        return;
    }
    let mut block = Block { kind: kind.into(), labels: labels.clone(), file: file.into(), line, ..Block::default() };
    for entry in node.entries() {
        // Whether a mapping is an inner block or an attribute only a schema tells: it can be asked for as both.
        if matches!(entry.key.as_str(), "environment" | "source" | "build_config" | "storage_source") {
            json_blocks(&mut block.blocks, file, &entry.key, &mut Vec::new(), entry.line, &entry.value, 0);
        }
        block.attributes.insert(entry.key.clone(), Attribute { given: json_given(&entry.value), line: entry.line });
    }
    out.push(block);
}

fn json_given(node: &Node) -> Given {
    match &node.value {
        doc::Value::Null => Given::Expr(Expression::null()),
        doc::Value::Text(text) if text.contains("${") || text.contains("%{") => {
            match hcl_edit::parser::parse_template(text) {
                Ok(template) => Given::Expr(Expression::HeredocTemplate(Box::new(
                    hcl_edit::template::HeredocTemplate::new(hcl_edit::Ident::new("JSON"), template),
                ))),
                Err(_) => Given::Expr(Expression::from(text.as_str())),
            }
        }
        doc::Value::Text(text) => Given::Expr(Expression::from(text.as_str())),
        doc::Value::List(items) => Given::List(items.iter().map(json_given).collect()),
        doc::Value::Map(entries) => Given::Map(entries.iter().map(|e| (e.key.clone(), json_given(&e.value))).collect()),
    }
}

/// What an expression comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// A text or a number.
    Text(String),
    /// A list, a tuple, a set.
    List(Vec<Value>),
    /// A map or an object.
    Map(BTreeMap<String, Value>),
    /// Contents of a file, by its path.
    File(String),
    /// An attribute of a resource, a data source or a module.
    Of {
        /// `aws_s3_object.code`, `data.archive_file.x`, `module.y`.
        what: String,
        /// Its instance, where one is named.
        key: Option<String>,
        /// `output_path`.
        attribute: String,
    },
    /// Only a run tells, and why.
    Unknown(String),
}

impl Value {
    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        if let Value::Text(text) = self { Some(text) } else { None }
    }

    /// What it is, for a diagnostic.
    pub fn why(&self) -> String {
        match self {
            Value::Unknown(why) => why.clone(),
            Value::Of { what, attribute, .. } => format!("{what}.{attribute}"),
            Value::File(path) => format!("the contents of {path}"),
            Value::Null => "null".into(),
            Value::Text(_) | Value::Bool(_) => "a text".into(),
            Value::List(items) => items.iter().find(|item| !item.is_known()).map_or("a list".into(), |item| item.why()),
            Value::Map(map) => map.values().find(|item| !item.is_known()).map_or("a mapping".into(), Value::why),
        }
    }

    fn truth(&self) -> Option<bool> {
        match self {
            Value::Bool(flag) => Some(*flag),
            Value::Text(text) if text == "true" => Some(true),
            Value::Text(text) if text == "false" => Some(false),
            _ => None,
        }
    }

    fn is_known(&self) -> bool {
        match self {
            Value::Unknown(_) | Value::Of { .. } | Value::File(_) => false,
            Value::List(items) => items.iter().all(Value::is_known),
            Value::Map(map) => map.values().all(Value::is_known),
            _ => true,
        }
    }

    /// Elements with their keys, as `for_each` and `for` go through them.
    pub fn pairs(&self) -> Option<Vec<(Value, Value)>> {
        match self {
            Value::List(items) => {
                Some(items.iter().enumerate().map(|(at, v)| (Value::Text(at.to_string()), v.clone())).collect())
            }
            Value::Map(map) => Some(map.iter().map(|(k, v)| (Value::Text(k.clone()), v.clone())).collect()),
            _ => None,
        }
    }
}

/// Names that an expression can refer to.
#[derive(Debug, Clone)]
pub struct Scope<'a> {
    /// Values of variables: arguments of a module, or defaults.
    pub variables: &'a BTreeMap<String, Value>,
    /// Locals, worked out when asked for.
    pub locals: &'a BTreeMap<String, &'a Given>,
    /// `path.module` as seen from the root module.
    pub module: &'a str,
    /// `each`, `count` and the names of `for` expressions.
    pub bound: Vec<(String, Value)>,
    /// Expressions still worked out before giving up.
    pub steps: &'a Cell<usize>,
}

fn unknown(why: impl Into<String>) -> Value {
    Value::Unknown(why.into())
}

impl Scope<'_> {
    /// The same with more names.
    pub fn with(&self, names: impl IntoIterator<Item = (String, Value)>) -> Self {
        let mut scope = self.clone();
        scope.bound.extend(names);
        scope
    }

    /// What an attribute is given.
    pub fn given(&self, given: &Given) -> Value {
        self.of_given(given, MAX_DEEP)
    }

    fn of_given(&self, given: &Given, deep: usize) -> Value {
        let Some(inner) = deep.checked_sub(1) else { return unknown("expressions that go round in a circle") };
        match given {
            Given::Expr(expr) => self.eval(expr, deep),
            Given::List(items) => Value::List(items.iter().map(|item| self.of_given(item, inner)).collect()),
            Given::Map(entries) => {
                Value::Map(entries.iter().map(|(key, item)| (key.clone(), self.of_given(item, inner))).collect())
            }
        }
    }

    fn eval(&self, expr: &Expression, deep: usize) -> Value {
        let (Some(deep), Some(steps)) = (deep.checked_sub(1), self.steps.get().checked_sub(1)) else {
            return unknown("expressions that go round in a circle, or are very long");
        };
        self.steps.set(steps);
        match expr {
            Expression::Null(_) => Value::Null,
            Expression::Bool(flag) => Value::Bool(*flag.value()),
            Expression::Number(number) => Value::Text(number.value().to_string()),
            Expression::String(text) => Value::Text(text.value().clone()),
            Expression::StringTemplate(template) => self.elements(template.iter(), deep),
            Expression::HeredocTemplate(heredoc) => self.heredoc(&heredoc.template, deep),
            Expression::Array(items) => Value::List(items.iter().map(|item| self.eval(item, deep)).collect()),
            Expression::Object(object) => {
                let mut map = BTreeMap::new();
                for (key, value) in object {
                    let key = match key {
                        ObjectKey::Ident(name) => name.to_string(),
                        ObjectKey::Expression(Expression::Variable(name)) => name.to_string(),
                        ObjectKey::Expression(expr) => match self.eval(expr, deep) {
                            Value::Text(key) => key,
                            other => return unknown(other.why()),
                        },
                    };
                    map.insert(key, self.eval(value.expr(), deep));
                }
                Value::Map(map)
            }
            Expression::Parenthesis(inner) => self.eval(inner.inner(), deep),
            Expression::Variable(name) => self.name(name.as_str()),
            Expression::Conditional(choice) => match self.eval(&choice.cond_expr, deep).truth() {
                Some(true) => self.eval(&choice.true_expr, deep),
                Some(false) => self.eval(&choice.false_expr, deep),
                None => {
                    let (yes, no) = (self.eval(&choice.true_expr, deep), self.eval(&choice.false_expr, deep));
                    if yes == no { yes } else { unknown("a condition that only a run decides") }
                }
            },
            Expression::FuncCall(call) => {
                let mut arguments: Vec<Value> = call.args.iter().map(|arg| self.eval(arg, deep)).collect();
                if call.args.expand_final()
                    && let Some(Value::List(last)) = arguments.last().cloned()
                {
                    arguments.pop();
                    arguments.extend(last);
                }
                function(call.name.name.as_str(), &arguments)
            }
            Expression::Traversal(traversal) => self.traversal(&traversal.expr, &traversal.operators, deep),
            Expression::UnaryOp(op) => {
                let value = self.eval(&op.expr, deep);
                match op.operator.value() {
                    UnaryOperator::Not => value.truth().map_or_else(|| unknown(value.why()), |flag| Value::Bool(!flag)),
                    UnaryOperator::Neg => {
                        value.text().map_or_else(|| unknown(value.why()), |n| Value::Text(format!("-{n}")))
                    }
                }
            }
            Expression::BinaryOp(op) => {
                let (left, right) = (self.eval(&op.lhs_expr, deep), self.eval(&op.rhs_expr, deep));
                binary(*op.operator.value(), &left, &right)
            }
            Expression::ForExpr(each) => self.each(each, deep),
        }
    }

    fn name(&self, name: &str) -> Value {
        let bound = self.bound.iter().rev().find(|(bound, _)| bound == name);
        bound.map_or_else(|| unknown(name), |(_, value)| value.clone())
    }

    /// Literal parts and interpolations put together; a lone interpolation keeps its kind.
    fn elements<'e>(&self, elements: impl Iterator<Item = &'e Element>, deep: usize) -> Value {
        let elements: Vec<&Element> = elements.collect();
        if let [Element::Interpolation(only)] = elements[..] {
            return self.eval(&only.expr, deep);
        }
        let mut out = String::new();
        for element in elements {
            match element {
                Element::Literal(text) => out.push_str(text.value()),
                Element::Interpolation(inner) => match self.eval(&inner.expr, deep) {
                    Value::Text(text) => out.push_str(&text),
                    Value::Bool(flag) => out.push_str(&flag.to_string()),
                    other => return unknown(other.why()),
                },
                Element::Directive(_) => return unknown("a directive in a text"),
            }
            if out.len() > MAX_TEXT {
                return unknown("a very long text");
            }
        }
        Value::Text(out)
    }

    fn heredoc(&self, template: &Template, deep: usize) -> Value {
        self.elements(template.iter(), deep)
    }

    fn each(&self, each: &ForExpr, deep: usize) -> Value {
        let collection = self.eval(&each.intro.collection_expr, deep);
        let Some(pairs) = collection.pairs() else { return unknown(collection.why()) };
        let (mut list, mut map) = (Vec::new(), BTreeMap::new());
        for (key, value) in pairs {
            let mut names = vec![(each.intro.value_var.to_string(), value)];
            names.extend(each.intro.key_var.as_ref().map(|name| (name.to_string(), key)));
            let scope = self.with(names);
            if let Some(condition) = &each.cond {
                match scope.eval(&condition.expr, deep).truth() {
                    Some(true) => {}
                    Some(false) => continue,
                    None => return unknown("a condition that only a run decides"),
                }
            }
            let value = scope.eval(&each.value_expr, deep);
            match &each.key_expr {
                None => list.push(value),
                Some(key) => match scope.eval(key, deep) {
                    Value::Text(key) => {
                        map.insert(key, value);
                    }
                    other => return unknown(other.why()),
                },
            }
            if list.len() + map.len() > MAX_ELEMENTS {
                return unknown("a very long list");
            }
        }
        if each.key_expr.is_some() { Value::Map(map) } else { Value::List(list) }
    }

    fn traversal(
        &self,
        root: &Expression,
        operators: &[hcl_edit::repr::Decorated<TraversalOperator>],
        deep: usize,
    ) -> Value {
        let mut operators = operators.iter().map(|op| op.value());
        let name = root.as_variable().map(|name| name.as_str());
        let mut value = match name {
            Some("var") => match operators.next() {
                Some(TraversalOperator::GetAttr(name)) => {
                    let value = self.variables.get(name.as_str()).cloned();
                    value.unwrap_or_else(|| unknown(format!("variable {}, which has no default", name.as_str())))
                }
                _ => return unknown("var"),
            },
            Some("local") => match operators.next() {
                Some(TraversalOperator::GetAttr(name)) => match self.locals.get(name.as_str()) {
                    // A local does not see the names around the place where it is used.
                    Some(given) => Scope { bound: Vec::new(), ..self.clone() }.of_given(given, deep),
                    None => return unknown(format!("local.{}", name.as_str())),
                },
                _ => return unknown("local"),
            },
            Some("path") => match operators.next() {
                Some(TraversalOperator::GetAttr(name)) if name.as_str() == "module" => Value::Text(self.module.into()),
                Some(TraversalOperator::GetAttr(name)) if matches!(name.as_str(), "root" | "cwd") => {
                    Value::Text(".".into())
                }
                _ => return unknown("path"),
            },
            Some("terraform" | "self") => return unknown(format!("{}.…", name.unwrap_or_default())),
            Some(name) if !self.bound.iter().any(|(bound, _)| bound == name) => {
                return self.attribute_of(name, operators, deep);
            }
            _ => self.eval(root, deep),
        };
        for operator in operators {
            value = match (operator, value) {
                (_, Value::Unknown(why)) => return unknown(why),
                (TraversalOperator::GetAttr(name), Value::Map(map)) => map
                    .get(name.as_str())
                    .cloned()
                    .unwrap_or_else(|| unknown(format!("{}, which is not there", name.as_str()))),
                (TraversalOperator::Index(index), value) => index_of(&value, &self.eval(index, deep)),
                (TraversalOperator::LegacyIndex(index), value) => {
                    index_of(&value, &Value::Text(index.value().to_string()))
                }
                (_, value) => return unknown(value.why()),
            };
        }
        value
    }

    /// `data.archive_file.x["k"].output_path` and the like.
    fn attribute_of<'o>(
        &self,
        first: &str,
        operators: impl Iterator<Item = &'o TraversalOperator>,
        deep: usize,
    ) -> Value {
        let wanted = match first {
            "data" => 3,
            "module" => 2,
            _ => 2,
        };
        let mut names = vec![first.to_string()];
        let (mut key, mut attribute) = (None, Vec::new());
        for operator in operators {
            match operator {
                TraversalOperator::GetAttr(name) if names.len() < wanted => names.push(name.to_string()),
                TraversalOperator::GetAttr(name) => attribute.push(name.to_string()),
                TraversalOperator::Index(index) if attribute.is_empty() => {
                    key = self.eval(index, deep).text().map(str::to_string);
                }
                TraversalOperator::LegacyIndex(index) if attribute.is_empty() => key = Some(index.value().to_string()),
                _ => {}
            }
        }
        Value::Of { what: names.join("."), key, attribute: attribute.join(".") }
    }
}

fn index_of(value: &Value, index: &Value) -> Value {
    let found = match (value, index) {
        (Value::List(items), Value::Text(at)) => at.parse::<usize>().ok().and_then(|at| items.get(at)),
        (Value::Map(map), Value::Text(key)) => map.get(key),
        _ => None,
    };
    found.cloned().unwrap_or_else(|| unknown(index.why()))
}

fn binary(operator: BinaryOperator, left: &Value, right: &Value) -> Value {
    let number = |value: &Value| value.text().and_then(|text| text.parse::<f64>().ok());
    let compare = |holds: fn(f64, f64) -> bool| match (number(left), number(right)) {
        (Some(a), Some(b)) => Value::Bool(holds(a, b)),
        _ => unknown("a comparison that only a run decides"),
    };
    match operator {
        BinaryOperator::Eq | BinaryOperator::NotEq if left.is_known() && right.is_known() => {
            Value::Bool((left == right) == (operator == BinaryOperator::Eq))
        }
        BinaryOperator::And | BinaryOperator::Or => {
            let decides = operator == BinaryOperator::Or;
            match (left.truth(), right.truth()) {
                (Some(a), _) if a == decides => Value::Bool(decides),
                (_, Some(b)) if b == decides => Value::Bool(decides),
                (Some(_), Some(_)) => Value::Bool(!decides),
                _ => unknown("a condition that only a run decides"),
            }
        }
        BinaryOperator::Less => compare(|a, b| a < b),
        BinaryOperator::LessEq => compare(|a, b| a <= b),
        BinaryOperator::Greater => compare(|a, b| a > b),
        BinaryOperator::GreaterEq => compare(|a, b| a >= b),
        _ => unknown("arithmetic that only a run does"),
    }
}

/// Terraform's functions that occur in paths, names and lists of functions.
fn function(name: &str, arguments: &[Value]) -> Value {
    let text = |at: usize| arguments.get(at).and_then(Value::text);
    let first_unknown = || {
        let why = arguments.iter().find(|a| !a.is_known()).map(Value::why);
        unknown(why.unwrap_or_else(|| format!("{name}()")))
    };
    let done: Option<Value> = (|| {
        Some(match (name, arguments) {
            (
                "abspath" | "pathexpand" | "tostring" | "trimspace" | "nonsensitive" | "sensitive",
                [Value::Text(text)],
            ) => Value::Text(text.trim().to_string()),
            ("file" | "templatefile" | "base64encode" | "filebase64", [Value::Text(path), ..])
                if name != "base64encode" =>
            {
                Value::File(path.clone())
            }
            ("base64encode", [file @ Value::File(_)]) => file.clone(),
            ("tobool" | "tonumber" | "tolist" | "tomap" | "try" | "toset" | "one", [first, ..]) => {
                match (name, first) {
                    ("toset", Value::List(items)) => {
                        // A set goes through its own values, and those are its keys.
                        let pairs = items.iter().filter_map(|v| Some((v.text()?.to_string(), v.clone())));
                        if items.iter().all(|v| v.text().is_some()) {
                            Value::Map(pairs.collect())
                        } else {
                            return None;
                        }
                    }
                    ("one", Value::List(items)) => items.first().cloned().unwrap_or(Value::Null),
                    ("try", _) => arguments.iter().find(|a| a.is_known()).unwrap_or(first).clone(),
                    _ => first.clone(),
                }
            }
            ("basename", [Value::Text(path)]) => Value::Text(paths::file_name(path.trim_end_matches('/')).to_string()),
            ("dirname", [Value::Text(path)]) => Value::Text(paths::parent(path.trim_end_matches('/')).to_string()),
            ("lower", [Value::Text(text)]) => Value::Text(text.to_lowercase()),
            ("upper", [Value::Text(text)]) => Value::Text(text.to_uppercase()),
            ("replace", [Value::Text(text), Value::Text(from), Value::Text(to)]) if !from.starts_with('/') => {
                if from.is_empty() {
                    return None;
                }
                Value::Text(text.replace(from.as_str(), to))
            }
            ("trimsuffix", [Value::Text(text), Value::Text(end)]) => {
                Value::Text(text.strip_suffix(end.as_str()).unwrap_or(text).to_string())
            }
            ("trimprefix", [Value::Text(text), Value::Text(start)]) => {
                Value::Text(text.strip_prefix(start.as_str()).unwrap_or(text).to_string())
            }
            ("format", [Value::Text(pattern), rest @ ..]) => {
                let mut parts = pattern.split("%s");
                let mut out = parts.next().unwrap_or_default().to_string();
                let mut rest = rest.iter();
                for part in parts {
                    out.push_str(rest.next()?.text()?);
                    out.push_str(part);
                }
                if out.contains('%') {
                    return None;
                }
                Value::Text(out)
            }
            ("join", [Value::Text(separator), lists @ ..]) => {
                let mut parts = Vec::new();
                for list in lists {
                    let Value::List(items) = list else { return None };
                    for item in items {
                        parts.push(item.text()?);
                    }
                }
                Value::Text(parts.join(separator))
            }
            ("split", [Value::Text(separator), Value::Text(text)]) if !separator.is_empty() => {
                Value::List(text.split(separator.as_str()).map(|part| Value::Text(part.into())).collect())
            }
            ("concat" | "setunion", lists) => {
                let mut out = Vec::new();
                for list in lists {
                    match list {
                        Value::List(items) => out.extend(items.iter().cloned()),
                        Value::Map(map) if name == "setunion" => out.extend(map.values().cloned()),
                        _ => return None,
                    }
                }
                if out.len() > MAX_ELEMENTS {
                    return None;
                }
                Value::List(out)
            }
            ("merge", maps) => {
                let mut out = BTreeMap::new();
                for map in maps {
                    match map {
                        Value::Map(map) => out.extend(map.clone()),
                        Value::Null => {}
                        _ => return None,
                    }
                }
                Value::Map(out)
            }
            ("keys", [Value::Map(map)]) => Value::List(map.keys().map(|key| Value::Text(key.clone())).collect()),
            ("values", [Value::Map(map)]) => Value::List(map.values().cloned().collect()),
            ("length", [Value::List(items)]) => Value::Text(items.len().to_string()),
            ("length", [Value::Map(map)]) => Value::Text(map.len().to_string()),
            ("lookup", [Value::Map(map), Value::Text(key), rest @ ..]) => map.get(key).or(rest.first())?.clone(),
            ("element", [Value::List(items), Value::Text(at)]) => {
                let at: usize = at.parse().ok()?;
                items.get(at.checked_rem(items.len())?)?.clone()
            }
            ("coalesce", values) => {
                let first = values.iter().find(|v| !matches!(v, Value::Null) && v.text() != Some(""))?;
                first.clone()
            }
            ("compact" | "distinct" | "flatten" | "sort", [list @ Value::List(_)]) if list.is_known() => {
                let mut out = Vec::new();
                flatten(list, name == "flatten", &mut out);
                match name {
                    "compact" => out.retain(|v| !matches!(v, Value::Null) && v.text() != Some("")),
                    "sort" => out.sort_by(|a, b| a.text().cmp(&b.text())),
                    "distinct" => {
                        let mut kept: Vec<Value> = Vec::new();
                        out.into_iter().take(1_000).for_each(|v| {
                            if !kept.contains(&v) {
                                kept.push(v)
                            }
                        });
                        out = kept;
                    }
                    _ => {}
                }
                if out.len() > MAX_ELEMENTS {
                    return None;
                }
                Value::List(out)
            }
            ("contains", [Value::List(items), value]) if value.is_known() => Value::Bool(items.contains(value)),
            ("endswith", _) => Value::Bool(text(0)?.ends_with(text(1)?)),
            ("startswith", _) => Value::Bool(text(0)?.starts_with(text(1)?)),
            _ => return None,
        })
    })();
    done.unwrap_or_else(first_unknown)
}

fn flatten(value: &Value, deep: bool, out: &mut Vec<Value>) {
    let Value::List(items) = value else { return };
    for item in items {
        if deep && matches!(item, Value::List(_)) { flatten(item, deep, out) } else { out.push(item.clone()) }
    }
}

#[cfg(test)]
mod tests;
