//! Python, by Ruff's parser.

use std::cell::Cell;
use std::collections::BTreeMap;

use ruff_python_ast::{Expr, FStringPart, InterpolatedStringElement, Mod, Number, Operator, Stmt};
use ruff_python_parser::{Mode, ParseOptions, parse_unchecked};
use ruff_text_size::Ranged;

use super::{
    CODE, Call, Entry, FUNCTION, Function, IMPORT, Import, MAX_HOPS, MAX_VALUES, Module, Node, Unreadable, Value,
};
use super::{guarded, node, tagged};
use crate::model::Lines;
use crate::model::nesting::Syntax;

/// Reads a Python file; where its syntax is broken, what the parser made of the rest.
///
/// # Errors
/// When it is nested too deeply.
pub(crate) fn python(text: &str) -> Result<Module, Unreadable> {
    guarded(text, Syntax::Python, || {
        let parsed = parse_unchecked(text, ParseOptions::from(Mode::Module));
        let Mod::Module(module) = parsed.syntax() else { return Ok(Module::default()) };
        let lines = Lines::new(text);
        let mut reader = Reader {
            text,
            lines: &lines,
            bound: BTreeMap::new(),
            module: Module::default(),
            left: Cell::new(MAX_VALUES),
        };
        for statement in &module.body {
            reader.bind(statement);
        }
        for statement in &module.body {
            reader.statement(statement);
        }
        Ok(reader.module)
    })
}

struct Reader<'b> {
    text: &'b str,
    lines: &'b Lines,
    bound: BTreeMap<&'b str, &'b Expr>,
    module: Module,
    left: Cell<usize>,
}

/// `a.b.c` for a chain of names.
fn dotted(expression: &Expr) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    let mut at = expression;
    loop {
        match at {
            Expr::Attribute(attribute) => {
                parts.push(attribute.attr.as_str());
                at = &attribute.value;
            }
            Expr::Name(name) => {
                parts.push(name.id.as_str());
                parts.reverse();
                return Some(parts.join("."));
            }
            _ => return None,
        }
    }
}

impl<'b> Reader<'b> {
    fn line(&self, at: &impl Ranged) -> u32 {
        self.lines.of(u32::from(at.start()) as usize)
    }

    fn bind(&mut self, statement: &'b Stmt) {
        match statement {
            Stmt::Import(import) => {
                for alias in &import.names {
                    let module = alias.name.to_string();
                    // `import a.b` binds `a`.
                    let local = alias
                        .asname
                        .as_ref()
                        .map_or_else(|| module.split('.').next().unwrap_or_default().to_string(), ToString::to_string);
                    let module = if alias.asname.is_some() { module } else { local.clone() };
                    self.module.imports.push(Import { local, module, name: "*".into() });
                }
            }
            Stmt::ImportFrom(import) => {
                let dots = ".".repeat(import.level as usize);
                let module = format!("{dots}{}", import.module.as_ref().map(ToString::to_string).unwrap_or_default());
                for alias in &import.names {
                    let name = alias.name.to_string();
                    let local = alias.asname.as_ref().map_or_else(|| name.clone(), ToString::to_string);
                    self.module.imports.push(Import { local, module: module.clone(), name });
                }
            }
            Stmt::Assign(assign) => {
                if let [Expr::Name(name)] = &assign.targets[..] {
                    self.bound.insert(name.id.as_str(), &assign.value);
                }
            }
            _ => {}
        }
    }

    fn statement(&mut self, statement: &'b Stmt) {
        match statement {
            Stmt::FunctionDef(function) => {
                let decorators = function.decorator_list.iter().filter_map(|d| self.call(&d.expression)).collect();
                let line = self.line(&function.name);
                self.module.functions.push(Function { name: function.name.to_string(), line, decorators });
            }
            Stmt::Expr(expression) => {
                if let Expr::Call(_) = &*expression.value {
                    let call = self.call(&expression.value);
                    self.module.calls.extend(call);
                }
            }
            Stmt::Assign(assign) => {
                if let ([Expr::Name(name)], Expr::Call(_)) = (&assign.targets[..], &*assign.value)
                    && let Some(call) = self.call(&assign.value)
                {
                    self.module.made.push((name.id.to_string(), call));
                }
            }
            _ => {}
        }
    }

    /// A call, or a bare name as one without arguments.
    fn call(&self, expression: &'b Expr) -> Option<Call> {
        let line = self.line(expression);
        let Expr::Call(call) = expression else {
            return Some(Call { path: dotted(expression)?, line, arguments: Vec::new(), keywords: Vec::new() });
        };
        let keywords = call.arguments.keywords.iter().filter_map(|k| {
            let key = k.arg.as_ref()?.to_string();
            Some(Entry { key, line: self.line(k), value: self.value(&k.value, MAX_HOPS) })
        });
        Some(Call {
            path: dotted(&call.func)?,
            line,
            arguments: call.arguments.args.iter().map(|a| self.value(a, MAX_HOPS)).collect(),
            keywords: keywords.collect(),
        })
    }

    fn value(&self, expression: &'b Expr, hops: usize) -> Node {
        let line = self.line(expression);
        let range = expression.range();
        let unknown = || tagged(line, CODE, self.text.get(range.start().into()..range.end().into()).unwrap_or(""));
        let Some(left) = self.left.get().checked_sub(1) else { return unknown() };
        self.left.set(left);
        let list = |items: &'b [Expr]| Value::List(items.iter().map(|e| self.value(e, hops)).collect());
        match expression {
            Expr::StringLiteral(literal) => node(line, Value::Text(literal.value.to_str().to_string())),
            Expr::NumberLiteral(literal) => match &literal.value {
                Number::Int(number) => node(line, Value::Text(number.to_string())),
                Number::Float(number) => node(line, Value::Text(number.to_string())),
                Number::Complex { .. } => unknown(),
            },
            Expr::BooleanLiteral(flag) => node(line, Value::Text(flag.value.to_string())),
            Expr::NoneLiteral(_) => node(line, Value::Null),
            Expr::List(items) => node(line, list(&items.elts)),
            Expr::Tuple(items) => node(line, list(&items.elts)),
            Expr::Dict(dict) => {
                let mut entries = Vec::new();
                for item in &dict.items {
                    let Some(key) = &item.key else { continue };
                    if let Some(name) = self.value(key, hops).text() {
                        let value = self.value(&item.value, hops);
                        entries.push(Entry { key: name.to_string(), line: self.line(key), value });
                    }
                }
                node(line, Value::Map(entries))
            }
            Expr::BinOp(sum) if sum.op == Operator::Add => {
                let (a, b) = (self.value(&sum.left, hops), self.value(&sum.right, hops));
                match (a.text(), b.text()) {
                    (Some(a), Some(b)) => node(line, Value::Text(format!("{a}{b}"))),
                    _ => unknown(),
                }
            }
            Expr::FString(string) => {
                let mut out = String::new();
                for part in &string.value {
                    let FStringPart::FString(part) = part else {
                        if let FStringPart::Literal(literal) = part {
                            out.push_str(literal);
                        }
                        continue;
                    };
                    for element in &part.elements {
                        match element {
                            InterpolatedStringElement::Literal(literal) => out.push_str(&literal.value),
                            InterpolatedStringElement::Interpolation(inner) => {
                                match self.value(&inner.expression, hops).text() {
                                    Some(text) => out.push_str(text),
                                    None => return unknown(),
                                }
                            }
                        }
                    }
                }
                node(line, Value::Text(out))
            }
            Expr::Name(name) => match self.bound.get(name.id.as_str()) {
                Some(bound) if hops > 0 => self.value(bound, hops - 1),
                _ if self.module.import(name.id.as_str()).is_some() => tagged(line, IMPORT, name.id.as_str()),
                _ => tagged(line, CODE, name.id.as_str()),
            },
            Expr::Lambda(_) => tagged(line, FUNCTION, ""),
            _ => unknown(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decorators_calls_and_names_are_seen_with_their_lines() {
        let text = "import azure.functions as func\nfrom .bp import bp as other\nNAME = 'cart'\napp = func.FunctionApp(auth=1)\n\n@app.function_name(NAME)\n@app.route(route=f'{NAME}/items', methods=['GET'])\nasync def run(req):\n    pass\n\napp.register_functions(other)\n\n@plain\ndef helper(): pass\n";
        let module = python(text).unwrap();
        let run = &module.functions[0];
        assert_eq!((run.name.as_str(), run.line), ("run", 8));
        assert_eq!(run.decorators[0].path, "app.function_name");
        assert_eq!(run.decorators[0].arguments[0].text(), Some("cart"));
        let route = &run.decorators[1];
        assert_eq!((route.path.as_str(), route.keywords[0].value.text()), ("app.route", Some("cart/items")));
        assert_eq!(route.keywords[1].value.items().len(), 1);
        assert_eq!(module.functions[1].decorators[0].path, "plain");
        assert_eq!(module.calls[0].path, "app.register_functions");
        assert_eq!(module.calls[0].arguments[0].tag.as_deref(), Some(IMPORT));
        assert_eq!((module.made[0].0.as_str(), module.made[0].1.path.as_str()), ("app", "func.FunctionApp"));
        assert_eq!(module.import("other").map(|i| (i.module.as_str(), i.name.as_str())), Some((".bp", "bp")));
        assert_eq!(module.name_in("func.Blueprint", "azure.functions").as_deref(), Some("Blueprint"));
    }

    #[test]
    fn hostile_files_end() {
        assert!(python(&"(".repeat(100_000)).is_err());
        assert!(python(&format!("x = {}1", "-".repeat(100_000))).is_err());
        let mut text = String::from("a0 = 'x'\n");
        for i in 1..40 {
            text.push_str(&format!("a{i} = [a{0}, a{0}, a{0}, a{0}, a{0}, a{0}, a{0}, a{0}]\n", i - 1));
        }
        text.push_str("f(a39)\n");
        assert_eq!(python(&text).unwrap().calls.len(), 1);
        assert!(python("def f(:\n").is_ok());
    }
}
