//! Expressions worked out where literals, variables' defaults and locals decide them.

use std::cell::Cell;
use std::collections::BTreeMap;

use hcl_edit::expr::{Expression, ForExpr, ObjectKey, TraversalOperator, UnaryOperator};
use hcl_edit::template::{Element, Template};

use super::blocks::Given;
use super::operations::{binary, function, index_of};
use super::value::{MAX_ELEMENTS, Value, unknown};

/// Longest text that a template may make, bytes.
const MAX_TEXT: usize = 65_536;
/// Locals refer to locals a few levels deep; a circle ends here.
const MAX_DEEP: usize = 100;

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
