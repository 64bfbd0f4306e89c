//! JavaScript and TypeScript, by oxc's parser.

use std::cell::Cell;
use std::collections::BTreeMap;

use oxc_allocator::Allocator;
use oxc_ast::ast::{
    ArrayExpressionElement, AssignmentTarget, BindingPattern, CallExpression, Declaration,
    ExportDefaultDeclarationKind, Expression, ImportDeclarationSpecifier, ObjectPropertyKind, Statement,
    VariableDeclaration,
};
use oxc_parser::{ParseOptions, Parser};
use oxc_span::{GetSpan, SourceType, Span};

use super::{
    CODE, Call, Entry, FOLDER, FUNCTION, IMPORT, Import, MAX_HOPS, MAX_VALUES, Module, Node, Unreadable, Value,
};
use super::{guarded, node, tagged};
use crate::discover::paths;
use crate::model::Lines;
use crate::model::nesting::Syntax;

/// Reads a JavaScript or TypeScript file; its name says which.
///
/// # Errors
/// When no grammar that the name allows accepts it, or it is nested too deeply.
pub(crate) fn javascript(file: &str, text: &str) -> Result<Module, Unreadable> {
    guarded(text, Syntax::JavaScript, || {
        let lines = Lines::new(text);
        let grammars = match paths::extension(file) {
            "ts" | "mts" | "cts" => vec![SourceType::ts(), SourceType::tsx()],
            "tsx" => vec![SourceType::tsx()],
            _ => vec![SourceType::unambiguous().with_jsx(true), SourceType::tsx()],
        };
        let mut error = None;
        for grammar in grammars {
            let allocator = Allocator::default();
            let options = ParseOptions { allow_return_outside_function: true, ..ParseOptions::default() };
            let parsed = Parser::new(&allocator, text, grammar).with_options(options).parse();
            if !parsed.panicked && parsed.diagnostics.is_empty() {
                return Ok(read(text, &lines, &parsed.program.body));
            }
            let line = parsed
                .diagnostics
                .iter()
                .next()
                .and_then(|e| e.labels.first())
                .map_or(0, |label| lines.of(label.offset() as usize));
            error.get_or_insert((line, "not valid JavaScript or TypeScript".to_string()));
        }
        Err(error.unwrap_or_default())
    })
}

/// A name bound at the top level.
#[derive(Clone, Copy)]
enum Bound<'b, 'a> {
    Value(&'b Expression<'a>),
    Function,
}

struct Reader<'b, 'a> {
    text: &'b str,
    lines: &'b Lines,
    bound: BTreeMap<&'b str, Bound<'b, 'a>>,
    module: Module,
    left: Cell<usize>,
}

fn read(text: &str, lines: &Lines, body: &[Statement<'_>]) -> Module {
    let mut reader =
        Reader { text, lines, bound: BTreeMap::new(), module: Module::default(), left: Cell::new(MAX_VALUES) };
    for statement in body {
        reader.bind(statement);
    }
    for statement in body {
        reader.statement(statement);
    }
    reader.module
}

impl<'b, 'a> Reader<'b, 'a> {
    fn line(&self, span: Span) -> u32 {
        self.lines.of(span.start as usize)
    }

    fn source(&self, span: Span) -> &'b str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or("")
    }

    fn import(&mut self, local: &str, module: &str, name: &str) {
        self.module.imports.push(Import { local: local.into(), module: module.into(), name: name.into() });
    }

    /// First pass: what names stand for.
    fn bind(&mut self, statement: &'b Statement<'a>) {
        match statement {
            Statement::ImportDeclaration(import) => {
                let module = import.source.value.as_str();
                for specifier in import.specifiers.iter().flatten() {
                    match specifier {
                        ImportDeclarationSpecifier::ImportSpecifier(s) => {
                            let name = s.imported.name().to_string();
                            self.import(s.local.name.as_str(), module, &name);
                        }
                        ImportDeclarationSpecifier::ImportDefaultSpecifier(s) => {
                            self.import(s.local.name.as_str(), module, "default");
                        }
                        ImportDeclarationSpecifier::ImportNamespaceSpecifier(s) => {
                            self.import(s.local.name.as_str(), module, "*");
                        }
                    }
                }
            }
            Statement::VariableDeclaration(declaration) => self.bind_variables(declaration),
            Statement::FunctionDeclaration(function) => {
                if let Some(id) = &function.id {
                    self.bound.insert(id.name.as_str(), Bound::Function);
                }
            }
            Statement::ExportDeclaration(export) => match &export.declaration {
                Declaration::VariableDeclaration(declaration) => self.bind_variables(declaration),
                Declaration::FunctionDeclaration(function) => {
                    if let Some(id) = &function.id {
                        self.bound.insert(id.name.as_str(), Bound::Function);
                    }
                }
                _ => {}
            },
            _ => {}
        }
    }

    fn bind_variables(&mut self, declaration: &'b VariableDeclaration<'a>) {
        for declarator in &declaration.declarations {
            let Some(init) = &declarator.init else { continue };
            let required = required(init);
            match (&declarator.id, required) {
                (BindingPattern::BindingIdentifier(id), Some((module, name))) => {
                    self.import(id.name.as_str(), &module, &name);
                }
                (BindingPattern::ObjectPattern(pattern), Some((module, _))) => {
                    for property in &pattern.properties {
                        let (Some(name), Some(local)) =
                            (property.key.static_name(), property.value.get_identifier_name())
                        else {
                            continue;
                        };
                        let (local, name) = (local.to_string(), name.to_string());
                        self.import(&local, &module, &name);
                    }
                }
                (BindingPattern::BindingIdentifier(id), None) => {
                    self.bound.insert(id.name.as_str(), Bound::Value(init));
                }
                _ => {}
            }
        }
    }

    /// Second pass: exports and calls.
    fn statement(&mut self, statement: &'b Statement<'a>) {
        match statement {
            Statement::ExportDefaultDeclaration(export) => {
                let line = self.line(export.span);
                let value = match &export.declaration {
                    ExportDefaultDeclarationKind::FunctionDeclaration(_)
                    | ExportDefaultDeclarationKind::ClassDeclaration(_) => tagged(line, FUNCTION, ""),
                    other => other.as_expression().map_or_else(|| tagged(line, CODE, ""), |e| self.value(e, MAX_HOPS)),
                };
                self.export("default", line, value);
            }
            Statement::TSExportAssignment(export) => {
                let line = self.line(export.span);
                let value = self.value(&export.expression, MAX_HOPS);
                self.export("default", line, value);
            }
            Statement::ExportDeclaration(export) => {
                let line = self.line(export.span);
                match &export.declaration {
                    Declaration::VariableDeclaration(declaration) => {
                        for declarator in &declaration.declarations {
                            let Some(name) = declarator.id.get_identifier_name() else { continue };
                            let name = name.to_string();
                            let value = match &declarator.init {
                                Some(init) => self.value(init, MAX_HOPS),
                                None => node(line, Value::Null),
                            };
                            self.export(&name, line, value);
                        }
                        self.made(declaration);
                    }
                    Declaration::FunctionDeclaration(function) => {
                        if let Some(id) = &function.id {
                            let name = id.name.to_string();
                            self.export(&name, line, tagged(line, FUNCTION, ""));
                        }
                    }
                    Declaration::ClassDeclaration(class) => {
                        if let Some(id) = &class.id {
                            let name = id.name.to_string();
                            self.export(&name, line, tagged(line, FUNCTION, ""));
                        }
                    }
                    _ => {}
                }
            }
            Statement::ExportNamedDeclaration(export) => {
                for specifier in &export.specifiers {
                    let line = self.line(specifier.span);
                    let local = specifier.local.name().to_string();
                    let value = self.name(&local, line, MAX_HOPS);
                    let exported = specifier.exported.name().to_string();
                    self.export(&exported, line, value);
                }
            }
            Statement::ExportFromDeclaration(export) => {
                for specifier in &export.specifiers {
                    let line = self.line(specifier.span);
                    let (exported, name) = (specifier.exported.name().to_string(), specifier.local.name().to_string());
                    // A name that no code of this file can write stands for the other module's.
                    let local = format!("{exported} from {}", export.source.value);
                    self.import(&local, export.source.value.as_str(), &name);
                    self.export(&exported, line, tagged(line, IMPORT, &local));
                }
            }
            Statement::VariableDeclaration(declaration) => self.made(declaration),
            Statement::ExpressionStatement(statement) => {
                match statement.expression.get_inner_expression() {
                    Expression::AssignmentExpression(assignment) => {
                        if let Some(name) = exported_name(&assignment.left) {
                            let line = self.line(assignment.span);
                            let value = self.value(&assignment.right, MAX_HOPS);
                            self.export(&name, line, value);
                        }
                    }
                    Expression::CallExpression(call) => {
                        let call = self.call(call);
                        self.module.calls.extend(call);
                    }
                    Expression::AwaitExpression(awaited) => {
                        if let Expression::CallExpression(call) = awaited.argument.get_inner_expression() {
                            let call = self.call(call);
                            self.module.calls.extend(call);
                        }
                    }
                    _ => {}
                };
            }
            _ => {}
        }
    }

    fn export(&mut self, key: &str, line: u32, value: Node) {
        self.module.exports.push(Entry { key: key.to_string(), line, value });
    }

    fn made(&mut self, declaration: &'b VariableDeclaration<'a>) {
        for declarator in &declaration.declarations {
            let (Some(name), Some(init)) = (declarator.id.get_identifier_name(), &declarator.init) else { continue };
            if let Expression::CallExpression(call) = init.get_inner_expression()
                && let Some(call) = self.call(call)
            {
                self.module.made.push((name.to_string(), call));
            }
        }
    }

    fn call(&self, call: &'b CallExpression<'a>) -> Option<Call> {
        let arguments = call.arguments.iter();
        Some(Call {
            path: member_path(&call.callee)?,
            line: self.line(call.span),
            arguments: arguments
                .map(|a| {
                    a.as_expression().map_or_else(|| tagged(self.line(a.span()), CODE, ""), |e| self.value(e, MAX_HOPS))
                })
                .collect(),
            keywords: Vec::new(),
        })
    }

    fn name(&self, name: &str, line: u32, hops: usize) -> Node {
        match self.bound.get(name) {
            Some(Bound::Value(value)) if hops > 0 => {
                let mut value = self.value(value, hops - 1);
                // A function is what matters here, whatever its constant says; for values the place of use is no better.
                if value.tag.is_some() {
                    value.line = line;
                }
                value
            }
            Some(Bound::Function) => tagged(line, FUNCTION, name),
            _ if self.module.imports.iter().any(|i| i.local == name) => tagged(line, IMPORT, name),
            _ => tagged(line, CODE, name),
        }
    }

    /// What an expression comes to.
    fn value(&self, expression: &'b Expression<'a>, hops: usize) -> Node {
        let expression = expression.get_inner_expression();
        let line = self.line(expression.span());
        let unknown = || tagged(line, CODE, self.source(expression.span()));
        let Some(left) = self.left.get().checked_sub(1) else { return unknown() };
        self.left.set(left);
        match expression {
            Expression::StringLiteral(text) => node(line, Value::Text(text.value.to_string())),
            Expression::NumericLiteral(number) => {
                let text = number.raw.as_ref().map_or_else(|| number.value.to_string(), ToString::to_string);
                node(line, Value::Text(text))
            }
            Expression::BooleanLiteral(flag) => node(line, Value::Text(flag.value.to_string())),
            Expression::NullLiteral(_) => node(line, Value::Null),
            Expression::TemplateLiteral(template) => {
                let mut out = String::new();
                for (at, quasi) in template.quasis.iter().enumerate() {
                    out.push_str(quasi.value.cooked.as_ref().map_or("", |c| c.as_str()));
                    let Some(inner) = template.expressions.get(at) else { continue };
                    match self.value(inner, hops).text() {
                        Some(text) => out.push_str(text),
                        None => return unknown(),
                    }
                }
                node(line, Value::Text(out))
            }
            Expression::BinaryExpression(sum) if sum.operator.as_str() == "+" => {
                let (a, b) = (self.value(&sum.left, hops), self.value(&sum.right, hops));
                match (a.text(), b.text()) {
                    (Some(a), Some(b)) => node(line, Value::Text(format!("{a}{b}"))),
                    _ => unknown(),
                }
            }
            Expression::ArrayExpression(array) => {
                let mut items = Vec::new();
                for element in &array.elements {
                    match element {
                        ArrayExpressionElement::SpreadElement(spread) => match self.value(&spread.argument, hops).value
                        {
                            Value::List(inner) => items.extend(inner),
                            _ => items.push(tagged(self.line(spread.span), CODE, self.source(spread.span))),
                        },
                        ArrayExpressionElement::Elision(_) => {}
                        other => items.extend(other.as_expression().map(|e| self.value(e, hops))),
                    }
                }
                node(line, Value::List(items))
            }
            Expression::ObjectExpression(object) => {
                let mut entries = Vec::new();
                for property in &object.properties {
                    match property {
                        ObjectPropertyKind::SpreadProperty(spread) => match self.value(&spread.argument, hops) {
                            Node { value: Value::Map(inner), .. } => entries.extend(inner),
                            other => {
                                entries.push(Entry { key: "...".into(), line: self.line(spread.span), value: other })
                            }
                        },
                        ObjectPropertyKind::ObjectProperty(property) => {
                            let Some(key) = property.key.static_name().filter(|_| {
                                !property.computed
                                    || matches!(property.key.as_expression(), Some(Expression::StringLiteral(_)))
                            }) else {
                                continue;
                            };
                            let line = self.line(property.span);
                            entries.push(Entry {
                                key: key.to_string(),
                                line,
                                value: self.value(&property.value, hops),
                            });
                        }
                    }
                }
                node(line, Value::Map(entries))
            }
            Expression::Identifier(name) if name.name == "undefined" => node(line, Value::Null),
            Expression::Identifier(name) => self.name(name.name.as_str(), line, hops),
            Expression::StaticMemberExpression(member) => {
                let object = self.value(&member.object, hops);
                object.get(member.property.name.as_str()).cloned().unwrap_or_else(unknown)
            }
            Expression::ArrowFunctionExpression(_)
            | Expression::FunctionExpression(_)
            | Expression::ClassExpression(_) => tagged(line, FUNCTION, ""),
            Expression::CallExpression(call) => {
                let folder = matches!(&call.callee, Expression::Identifier(name) if name.name == "handlerPath")
                    && matches!(call.arguments.first().and_then(|a| a.as_expression()),
                        Some(Expression::Identifier(name)) if name.name == "__dirname");
                if folder { node(line, Value::Text(FOLDER.into())) } else { unknown() }
            }
            _ => unknown(),
        }
    }
}

/// `require('x')` and `require('x').y` as module and name.
fn required(expression: &Expression<'_>) -> Option<(String, String)> {
    match expression.get_inner_expression() {
        Expression::CallExpression(call) => {
            let is_require = matches!(&call.callee, Expression::Identifier(name) if name.name == "require");
            match call.arguments.first().filter(|_| is_require)?.as_expression()? {
                Expression::StringLiteral(text) => Some((text.value.to_string(), "*".into())),
                _ => None,
            }
        }
        Expression::StaticMemberExpression(member) => {
            let (module, _) = required(&member.object).filter(|(_, name)| name == "*")?;
            Some((module, member.property.name.to_string()))
        }
        _ => None,
    }
}

/// `a.b.c` for a chain of names.
fn member_path(expression: &Expression<'_>) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut at = expression.get_inner_expression();
    loop {
        match at {
            Expression::Identifier(name) => parts.push(name.name.to_string()),
            Expression::StaticMemberExpression(member) => {
                parts.push(member.property.name.to_string());
                at = member.object.get_inner_expression();
                continue;
            }
            _ => return None,
        }
        parts.reverse();
        return Some(parts.join("."));
    }
}

/// `module.exports` as `default`; `exports.x` and `module.exports.x` as `x`.
fn exported_name(target: &AssignmentTarget<'_>) -> Option<String> {
    let AssignmentTarget::StaticMemberExpression(member) = target else { return None };
    let object = member_path(&member.object)?;
    let name = member.property.name.as_str();
    match object.as_str() {
        "module" if name == "exports" => Some("default".into()),
        "exports" | "module.exports" => Some(name.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_are_what_their_literals_and_constants_come_to() {
        let text = "import { x as y } from './x';\nconst stage = 'dev';\nconst common = { runtime: 'nodejs20.x', stage };\nexport default {\n  ...common,\n  name: `svc-${stage}`,\n  list: ['a' + 'b', ...[1, 2]],\n  env: process.env.HOME,\n  y,\n  run() {},\n} satisfies Config;\nexport const config = { runtime: 'edge' } as const;\nexport async function GET() {}\n";
        let module = javascript("a.ts", text).unwrap();
        let root = module.export("default").unwrap();
        assert_eq!(root.get("runtime").unwrap().text(), Some("nodejs20.x"));
        assert_eq!(root.get("stage").unwrap().text(), Some("dev"));
        assert_eq!(root.get("name").unwrap().text(), Some("svc-dev"));
        let list: Vec<_> = root.get("list").unwrap().items().iter().map(|n| n.text().unwrap()).collect();
        assert_eq!(list, ["ab", "1", "2"]);
        assert_eq!(
            root.entry("env").map(|e| (e.line, e.value.tag.as_deref(), e.value.text())),
            Some((8, Some(CODE), None))
        );
        assert_eq!(root.get("y").unwrap().tag.as_deref(), Some(IMPORT));
        assert_eq!(root.get("run").unwrap().tag.as_deref(), Some(FUNCTION));
        assert_eq!(module.export("config").unwrap().get("runtime").unwrap().text(), Some("edge"));
        assert_eq!(module.export("GET").unwrap().tag.as_deref(), Some(FUNCTION));
        assert_eq!(module.imports, [Import { local: "y".into(), module: "./x".into(), name: "x".into() }]);
    }

    #[test]
    fn calls_and_common_js_exports_are_seen() {
        let text = "const functions = require('@google-cloud/functions-framework');\nconst { app: a } = require('@azure/functions');\nfunctions.http('hello', (req, res) => {});\na.http('cart', { methods: ['GET'], handler: run });\nexports.one = async () => {};\nmodule.exports.two = run;\nfunction run() {}\n";
        let module = javascript("a.js", text).unwrap();
        let calls: Vec<_> =
            module.calls.iter().map(|c| (c.path.as_str(), c.line, c.arguments[0].text().unwrap())).collect();
        assert_eq!(calls, [("functions.http", 3, "hello"), ("a.http", 4, "cart")]);
        assert_eq!(module.name_in("functions.http", "@google-cloud/functions-framework").as_deref(), Some("http"));
        assert_eq!(module.name_in("a.http", "@azure/functions").as_deref(), Some("app.http"));
        assert_eq!(module.name_in("a.http", "other"), None);
        let exports: Vec<_> =
            module.exports.iter().map(|e| (e.key.as_str(), e.line, e.value.tag.as_deref().unwrap())).collect();
        assert_eq!(exports, [("one", 5, FUNCTION), ("two", 6, FUNCTION)]);
    }

    #[test]
    fn values_that_refer_to_themselves_or_multiply_end() {
        let mut text = String::from("const a0 = ['x','x','x','x','x','x','x','x','x','x'];\n");
        for i in 1..12 {
            let refs = vec![format!("a{}", i - 1); 10].join(",");
            text.push_str(&format!("const a{i} = [{refs}];\n"));
        }
        text.push_str("const me = { me };\nmodule.exports = { a11, me };\n");
        assert!(javascript("a.js", &text).unwrap().export("default").is_some());
        assert!(javascript("a.js", &"[".repeat(100_000)).is_err());
        assert!(javascript("a.js", &format!("x = {}1", "!".repeat(100_000))).is_err());
        assert_eq!(javascript("a.js", "const = ;").unwrap_err().0, 1);
    }
}
