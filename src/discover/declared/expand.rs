//! What a template becomes before its resources are read: `Fn::ForEach` loops over lists that the template decides, and
//! `AWS::Include` of files of the fleet.
//!
//! Included text stands on the line of its include; an include that lies elsewhere is named where it could hold
//! resources. <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-foreach.html>

use std::collections::BTreeSet;

use crate::discover::doc::{self, Entry, Node, Value};
use crate::discover::paths;
use crate::discover::tree::Tree;
use crate::discover::values::Scope;
use crate::model::{Diagnostic, Place, codes};

/// Nodes that loops and includes may come to.
const MAX_NODES: usize = 100_000;
/// Includes inside includes, loops inside loops.
const MAX_DEEP: usize = 8;

/// Whether a template uses any of this.
pub fn is_needed(text: &str) -> bool {
    text.contains("Fn::ForEach::") || text.contains("AWS::Include")
}

/// The template with loops written out and local includes put in.
pub fn expand(tree: &Tree, path: &str, scope: &Scope<'_>, diagnostics: &mut Vec<Diagnostic>) -> Node {
    let mut expander = Expander { tree, path, scope, left: MAX_NODES, diagnostics };
    let root = expander.node(scope.template, MAX_DEEP, 0);
    if expander.left == 0 {
        let reason = "its loops and includes come to more than warmset reads; what is beyond is left out";
        diagnostics.push(Diagnostic::new(codes::TEMPLATE_UNRESOLVED, Place::at(path, root.line), reason));
    }
    root
}

struct Expander<'a> {
    tree: &'a Tree,
    path: &'a str,
    scope: &'a Scope<'a>,
    left: usize,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Expander<'_> {
    /// `level` counts from the top: resources are entries of a mapping at level 1.
    fn node(&mut self, node: &Node, deep: usize, level: usize) -> Node {
        self.left = self.left.saturating_sub(1);
        let value = match &node.value {
            Value::Map(entries) => Value::Map(self.entries(entries, deep, level)),
            Value::List(items) => {
                let mut out = Vec::new();
                for item in items {
                    if self.left == 0 {
                        break;
                    }
                    out.push(self.node(item, deep, level + 1));
                }
                Value::List(out)
            }
            other => other.clone(),
        };
        Node { line: node.line, tag: node.tag.clone(), value }
    }

    fn entries(&mut self, entries: &[Entry], deep: usize, level: usize) -> Vec<Entry> {
        let mut out = Vec::new();
        for entry in entries {
            if self.left == 0 {
                break;
            }
            if entry.key.starts_with("Fn::ForEach::") {
                out.extend(self.each(entry, deep, level));
            } else if let Some(location) = (entry.key == "Fn::Transform").then(|| location(&entry.value)).flatten() {
                out.extend(self.include(location, entry.line, deep, level));
            } else {
                let value = self.node(&entry.value, deep, level + 1);
                out.push(Entry { key: entry.key.clone(), line: entry.line, value });
            }
        }
        out
    }

    /// `Fn::ForEach::Name: [Identifier, [values], {key: value}]`.
    fn each(&mut self, entry: &Entry, deep: usize, level: usize) -> Vec<Entry> {
        let [identifier, collection, body] = entry.value.items() else { return Vec::new() };
        let (Some(identifier), Some(deep)) = (identifier.text(), deep.checked_sub(1)) else { return Vec::new() };
        let values = match self.scope.texts(collection) {
            Ok(values) => values,
            Err(unknown) => {
                let reason = format!("the loop {} runs over {}", entry.key, unknown.why);
                let place = Place::at(self.path, unknown.line);
                self.diagnostics.push(Diagnostic::new(codes::TEMPLATE_UNRESOLVED, place, reason));
                return Vec::new();
            }
        };
        let mut out: Vec<Entry> = Vec::new();
        let mut keys = BTreeSet::new();
        for value in values {
            if self.left == 0 {
                break;
            }
            let filled = self.fill(body, identifier, &value);
            // A loop that makes one key twice is refused when it is deployed.
            let made = self.entries(filled.entries(), deep, level);
            out.extend(made.into_iter().filter(|entry| keys.insert(entry.key.clone())));
        }
        out
    }

    /// A copy of a loop's body with its identifier replaced.
    fn fill(&mut self, node: &Node, identifier: &str, value: &str) -> Node {
        self.left = self.left.saturating_sub(1);
        let text = |text: &str| {
            // `&{Id}` leaves out what a logical id may not hold.
            let bare: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
            text.replace(&format!("${{{identifier}}}"), value).replace(&format!("&{{{identifier}}}"), &bare)
        };
        let is_ref = node.tag.as_deref() == Some("Ref") && node.value == Value::Text(identifier.to_string());
        let is_long_ref =
            matches!(node.entries(), [only] if only.key == "Ref" && only.value.text() == Some(identifier));
        if is_ref || is_long_ref {
            return Node { line: node.line, tag: None, value: Value::Text(value.to_string()) };
        }
        let filled = match &node.value {
            Value::Text(own) => Value::Text(text(own)),
            Value::List(items) => Value::List(items.iter().map(|item| self.fill(item, identifier, value)).collect()),
            Value::Map(entries) => Value::Map(
                entries
                    .iter()
                    .map(|e| Entry { key: text(&e.key), line: e.line, value: self.fill(&e.value, identifier, value) })
                    .collect(),
            ),
            Value::Null => Value::Null,
        };
        Node { line: node.line, tag: node.tag.clone(), value: filled }
    }

    fn include(&mut self, location: &Node, line: u32, deep: usize, level: usize) -> Vec<Entry> {
        let text = self.scope.literal(location);
        let local = text.as_ref().ok().filter(|text| !text.contains("://"));
        let path = local.and_then(|text| paths::join(paths::parent(self.path), text));
        let path = path.filter(|path| self.tree.contains(path));
        let mut report = |code, reason: String| {
            // Inside a resource it is an API's definition, most of the time; that holds no functions.
            if level <= 1 {
                self.diagnostics.push(Diagnostic::new(code, Place::at(self.path, line), reason));
            }
        };
        let Some((path, deep)) = path.zip(deep.checked_sub(1)) else {
            match (local, &text) {
                (Some(text), _) => report(codes::INCLUDE_MISSING, format!("the included file `{text}` does not exist")),
                (None, Ok(text)) => {
                    report(
                        codes::TEMPLATE_UNRESOLVED,
                        format!("resources are included from `{text}`, which is elsewhere"),
                    );
                }
                (None, Err(unknown)) => {
                    report(codes::TEMPLATE_UNRESOLVED, format!("resources are included from {}", unknown.why));
                }
            }
            return Vec::new();
        };
        match self.tree.text(&path).map(|text| doc::parse(&text)) {
            Ok(Ok(mut included)) => {
                self.left = self.left.saturating_sub(move_to(&mut included, line));
                self.entries(included.entries(), deep, level)
            }
            Ok(Err(error)) => {
                let place = Place::at(path, error.line);
                self.diagnostics.push(Diagnostic::new(codes::TEMPLATE_INVALID, place, error.reason));
                Vec::new()
            }
            Err(diagnostic) => {
                self.diagnostics.push(diagnostic);
                Vec::new()
            }
        }
    }
}

/// The file that an `AWS::Include` names.
fn location(node: &Node) -> Option<&Node> {
    (node.get("Name")?.text() == Some("AWS::Include")).then(|| node.at(&["Parameters", "Location"])).flatten()
}

/// Puts every part of a node on one line; returns how many there are.
fn move_to(node: &mut Node, line: u32) -> usize {
    node.line = line;
    1 + match &mut node.value {
        Value::List(items) => items.iter_mut().map(|item| move_to(item, line)).sum(),
        Value::Map(entries) => entries
            .iter_mut()
            .map(|entry| {
                entry.line = line;
                move_to(&mut entry.value, line)
            })
            .sum(),
        _ => 0,
    }
}
