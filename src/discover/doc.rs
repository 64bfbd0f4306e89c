//! YAML and JSON as one kind of tree that knows its lines, with bounds on depth, size and alias expansion.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

use crate::model::Lines;

/// Deepest nesting read; real templates stay below 30.
const MAX_DEPTH: usize = 128;
/// Most nodes built, copies made by aliases included: a template of a few lines can expand to billions.
const MAX_NODES: usize = 500_000;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Line from 1.
    pub line: u32,
    /// Application tag without its `!`: `Sub` for `!Sub`.
    pub tag: Option<String>,
    /// What it holds.
    pub value: Value,
}

/// What a node holds. Numbers and booleans stay text: templates use them as such.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Empty, `~` or `null`.
    Null,
    /// Any scalar.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file; keys that are not scalars are left out.
    Map(Vec<Entry>),
}

/// One key of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Line of the key.
    pub line: u32,
    /// The value.
    pub value: Node,
}

/// Why a document could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocError {
    /// Line from 1.
    pub line: u32,
    /// In lower case, without a full stop.
    pub reason: String,
}

impl Node {
    /// The entry under a key; keys that a merge (`<<`) brings in count last, and of equal keys the last one does.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entry_below(key, 8)
    }

    fn entry_below(&self, key: &str, merges: usize) -> Option<&Entry> {
        let Value::Map(entries) = &self.value else { return None };
        if let Some(found) = entries.iter().rev().find(|e| e.key == key) {
            return Some(found);
        }
        let merged = entries.iter().find(|e| e.key == "<<").filter(|_| merges > 0)?;
        match &merged.value.value {
            Value::List(list) => list.iter().find_map(|node| node.entry_below(key, merges - 1)),
            _ => merged.value.entry_below(key, merges - 1),
        }
    }

    /// The value under a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|e| &e.value)
    }

    /// The value under a path of keys.
    pub fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The scalar, unless it carries a tag of its own.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) if self.tag.is_none() => Some(text),
            _ => None,
        }
    }

    /// Elements of a sequence.
    pub fn items(&self) -> &[Node] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    /// Entries of a mapping, without what merges bring in.
    pub fn entries(&self) -> &[Entry] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    /// Whether it is a mapping.
    pub fn is_map(&self) -> bool {
        matches!(self.value, Value::Map(_))
    }

    fn count(&self) -> usize {
        // Depth is bounded where nodes are built, so this recursion is too.
        1 + match &self.value {
            Value::List(items) => items.iter().map(Node::count).sum(),
            Value::Map(entries) => entries.iter().map(|e| 1 + e.value.count()).sum(),
            _ => 0,
        }
    }

    fn depth(&self) -> usize {
        1 + match &self.value {
            Value::List(items) => items.iter().map(Node::depth).max().unwrap_or(0),
            Value::Map(entries) => entries.iter().map(|e| e.value.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }
}

/// Reads JSON (comments and trailing commas tolerated) or the first YAML document that is not empty.
///
/// # Errors
/// On a syntax error, and where depth or size go beyond the bounds.
pub fn parse(text: &str) -> Result<Node, DocError> {
    // JSON is YAML almost always, but not where it is indented with tabs.
    if text.trim_start().starts_with('{') {
        match parse_json(text) {
            Ok(node) => return Ok(node),
            // `{{ … }}` opens a template of another kind; a flow mapping with bare words is YAML and no JSON.
            Err(json) => return parse_yaml(text).map_err(|_| json),
        }
    }
    parse_yaml(text).or_else(|error| parse_yaml(&indent_flow(text)).map_err(|_| error))
}

/// YAML 1.2 wants what stands inside a flow collection, its closing bracket included, indented deeper than the block
/// around it; the parsers that deployment tools use do not, and real templates rely on that. Inside a flow collection
/// indentation means nothing, so moving its lines to the right changes no value (in block scalars, at most their
/// spaces) and no line number.
fn indent_flow(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    // Open brackets; `false` for one inside a plain scalar, such as that of `${AWS::Region}`, which ends with its line.
    let mut open: Vec<bool> = Vec::new();
    for line in text.split_inclusive('\n') {
        if !open.is_empty() || line.trim_start_matches(' ').starts_with([']', '}']) {
            out.push_str("                                        ");
        }
        out.push_str(line);
        let mut quote = None;
        let mut before = ' ';
        for c in line.chars() {
            match (quote, c) {
                (Some(q), c) if c == q && before != '\\' => quote = None,
                (Some(_), _) => {}
                (None, '#') if before.is_whitespace() => break,
                (None, '"' | '\'') if before.is_whitespace() || "[{,:".contains(before) => quote = Some(c),
                (None, '[' | '{') => open.push(before.is_whitespace() || "[{,:".contains(before)),
                (None, ']' | '}') => {
                    open.pop();
                }
                _ => {}
            }
            before = c;
        }
        while open.last() == Some(&false) {
            open.pop();
        }
    }
    out
}

struct Frame {
    node: Node,
    anchor: usize,
    /// Key read, value not yet; `None` inside stands for a key that is not a scalar.
    key: Option<(Option<String>, u32)>,
}

/// Every document of a YAML file that is not empty, in order.
///
/// # Errors
/// As [`parse`].
pub fn parse_all(text: &str) -> Result<Vec<Node>, DocError> {
    documents(text, usize::MAX)
}

fn parse_yaml(text: &str) -> Result<Node, DocError> {
    let last = clamp(text.lines().count()).max(1);
    let first = documents(text, 1)?.into_iter().next();
    Ok(first.unwrap_or(Node { line: last, tag: None, value: Value::Null }))
}

/// The first documents of a YAML file that are not empty.
fn documents(text: &str, wanted: usize) -> Result<Vec<Node>, DocError> {
    let mut done_documents: Vec<Node> = Vec::new();
    let mut stack: Vec<Frame> = Vec::new();
    let mut anchors: BTreeMap<usize, (Node, usize, usize)> = BTreeMap::new();
    let mut nodes = 0usize;
    // What ends with an unfinished last line is placed on the one after it.
    let last = text.matches(['\n', '\r']).count() + 1;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| DocError {
            line: clamp(error.marker().line().min(last)),
            reason: format!("not valid YAML: {}", error.info().to_lowercase().trim_end_matches('.')),
        })?;
        let line = clamp(span.start.line().min(last)).max(1);
        let too_much = |what: &str| DocError { line, reason: format!("{what}, more than warmset reads") };
        nodes += 1;
        if nodes > MAX_NODES {
            return Err(too_much("it expands to a very large document"));
        }
        let done = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = local_tag(tag.as_deref());
                let plain = style == ScalarStyle::Plain && tag.is_none();
                let value = if plain && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL") {
                    Value::Null
                } else {
                    Value::Text(text.into_owned())
                };
                Some((Node { line, tag, value }, anchor))
            }
            Event::SequenceStart(anchor, tag) => {
                let node = Node { line, tag: local_tag(tag.as_deref()), value: Value::List(Vec::new()) };
                stack.push(Frame { node, anchor, key: None });
                None
            }
            Event::MappingStart(anchor, tag) => {
                let node = Node { line, tag: local_tag(tag.as_deref()), value: Value::Map(Vec::new()) };
                stack.push(Frame { node, anchor, key: None });
                None
            }
            Event::SequenceEnd | Event::MappingEnd => stack.pop().map(|frame| (frame.node, frame.anchor)),
            Event::Alias(anchor) => {
                let Some((node, count, depth)) = anchors.get(&anchor) else {
                    return Err(DocError { line, reason: "an alias refers to something that contains it".into() });
                };
                nodes += count;
                if nodes > MAX_NODES || stack.len() + depth > MAX_DEPTH {
                    return Err(too_much("its aliases expand to a very large document"));
                }
                Some((node.clone(), 0))
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                None
            }
        };
        if stack.len() > MAX_DEPTH {
            return Err(too_much("it is nested deeply"));
        }
        let Some((node, anchor)) = done else { continue };
        if anchor != 0 {
            let (count, depth) = (node.count(), node.depth());
            anchors.insert(anchor, (node.clone(), count, depth));
        }
        match stack.last_mut() {
            None if node.value != Value::Null => {
                done_documents.push(node);
                if done_documents.len() >= wanted {
                    return Ok(done_documents);
                }
            }
            None => {}
            Some(frame) => attach(frame, node),
        }
    }
    Ok(done_documents)
}

/// Reads TOML into the same kind of tree.
///
/// # Errors
/// On a syntax error, and where it is nested deeply.
pub fn parse_toml(text: &str) -> Result<Node, DocError> {
    use toml::de::{DeTable, DeValue};
    fn table(value: &DeTable<'_>, line: u32, lines: &Lines, depth: usize) -> Result<Node, DocError> {
        let entries = value.iter().map(|(key, value)| {
            let at = lines.of(key.span().start);
            let value = node(value.get_ref(), lines.of(value.span().start), lines, depth + 1)?;
            Ok(Entry { key: key.get_ref().to_string(), line: at, value })
        });
        let mut entries = entries.collect::<Result<Vec<_>, DocError>>()?;
        entries.sort_by_key(|e| e.line);
        Ok(Node { line, tag: None, value: Value::Map(entries) })
    }
    fn node(value: &DeValue<'_>, line: u32, lines: &Lines, depth: usize) -> Result<Node, DocError> {
        if depth > MAX_DEPTH {
            return Err(DocError { line, reason: "it is nested deeply, more than warmset reads".into() });
        }
        let value = match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => Value::Text(number.as_str().to_string()),
            DeValue::Float(number) => Value::Text(number.as_str().to_string()),
            DeValue::Boolean(flag) => Value::Text(flag.to_string()),
            DeValue::Datetime(time) => Value::Text(time.to_string()),
            DeValue::Array(items) => {
                let items = items.iter().map(|i| node(i.get_ref(), lines.of(i.span().start), lines, depth + 1));
                Value::List(items.collect::<Result<_, _>>()?)
            }
            DeValue::Table(inner) => return table(inner, line, lines, depth),
        };
        Ok(Node { line, tag: None, value })
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = Lines::new(text);
    match DeTable::parse(text) {
        Ok(root) => table(root.get_ref(), 1, &lines, 0),
        Err(error) => Err(DocError {
            line: error.span().map_or(0, |span| lines.of(span.start)),
            reason: format!(
                "not valid TOML: {}",
                lower_first(error.message().lines().next().unwrap_or("syntax error"))
            ),
        }),
    }
}

fn attach(frame: &mut Frame, node: Node) {
    match &mut frame.node.value {
        Value::List(items) => items.push(node),
        Value::Map(entries) => match frame.key.take() {
            None => {
                let key = match node.value {
                    Value::Text(text) => Some(text),
                    Value::Null => Some(String::new()),
                    _ => None,
                };
                frame.key = Some((key, node.line));
            }
            Some((Some(key), line)) => entries.push(Entry { key, line, value: node }),
            Some((None, _)) => {}
        },
        _ => {}
    }
}

fn local_tag(tag: Option<&saphyr_parser::Tag>) -> Option<String> {
    tag.filter(|t| t.handle == "!" && !t.suffix.is_empty()).map(|t| t.suffix.clone())
}

fn clamp(line: usize) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}

fn parse_json(text: &str) -> Result<Node, DocError> {
    use jsonc_parser::{ParseOptions, parse_to_ast};
    let lines = Lines::new(text);
    let options = ParseOptions {
        allow_missing_commas: false,
        allow_loose_object_property_names: false,
        ..ParseOptions::default()
    };
    let parsed = parse_to_ast(text, &jsonc_parser::CollectOptions::default(), &options).map_err(|error| DocError {
        line: lines.of(error.range().start),
        reason: format!("not valid JSON: {}", lower_first(&error.kind().to_string())),
    })?;
    let Some(value) = parsed.value else {
        return Ok(Node { line: 1, tag: None, value: Value::Null });
    };
    let mut nodes = 0;
    from_json(&value, &lines, 0, &mut nodes)
}

fn from_json(
    value: &jsonc_parser::ast::Value<'_>,
    lines: &Lines,
    depth: usize,
    nodes: &mut usize,
) -> Result<Node, DocError> {
    use jsonc_parser::ast::Value as Json;
    use jsonc_parser::common::Ranged;
    let line = lines.of(value.range().start);
    *nodes += 1;
    if depth > MAX_DEPTH || *nodes > MAX_NODES {
        return Err(DocError { line, reason: "it is nested deeply or very large, more than warmset reads".into() });
    }
    let value = match value {
        Json::NullKeyword(_) => Value::Null,
        Json::StringLit(text) => Value::Text(text.value.to_string()),
        Json::NumberLit(number) => Value::Text(number.value.to_string()),
        Json::BooleanLit(flag) => Value::Text(flag.value.to_string()),
        Json::Array(array) => {
            Value::List(array.elements.iter().map(|e| from_json(e, lines, depth + 1, nodes)).collect::<Result<_, _>>()?)
        }
        Json::Object(object) => Value::Map(
            object
                .properties
                .iter()
                .map(|property| {
                    let value = from_json(&property.value, lines, depth + 1, nodes)?;
                    let line = lines.of(property.range.start);
                    Ok(Entry { key: property.name.as_str().to_string(), line, value })
                })
                .collect::<Result<_, DocError>>()?,
        ),
    };
    Ok(Node { line, tag: None, value })
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_tags_and_merges_are_kept() {
        let node =
            parse("base: &b\n  Runtime: python3.12\nfn:\n  <<: *b\n  Code: !Sub '${X}/y'\n  Env: [1, ~]\n").unwrap();
        let function = node.get("fn").unwrap();
        assert_eq!(function.get("Runtime").unwrap().text(), Some("python3.12"));
        let code = function.entry("Code").unwrap();
        assert_eq!((code.line, code.value.tag.as_deref()), (5, Some("Sub")));
        assert_eq!(function.get("Env").unwrap().items()[1].value, Value::Null);
        assert_eq!(code.value.text(), None, "a tagged scalar is no literal");
    }

    #[test]
    fn an_unfinished_last_line_is_the_last_line() {
        assert_eq!(parse("{\"a\":").unwrap_err().line, 1);
        assert_eq!(parse("a: [1\nb: 2").unwrap_err().line, 2);
        // A key without a value, up to the very end.
        assert_eq!(parse("? ''\u{7f}''").map_or(1, |node| node.entries()[0].value.line), 1);
        assert_eq!(parse("? a").unwrap().entry("a").unwrap().value.line, 1);
    }

    #[test]
    fn json_may_be_indented_with_tabs_and_knows_its_lines() {
        let node = parse("{\n\t\"Resources\": {\n\t\t\"F\": {\"Type\": \"T\", \"N\": 3}\n\t}\n}\n").unwrap();
        let entry = node.get("Resources").unwrap().entry("F").unwrap();
        assert_eq!(entry.line, 3);
        assert_eq!(entry.value.get("N").unwrap().text(), Some("3"));
        assert_eq!(parse("{\n\"a\": 1,,\n}").unwrap_err().line, 2);
    }

    #[test]
    fn a_bomb_of_aliases_and_deep_nesting_are_refused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..12 {
            let refs = vec![format!("*a{}", i - 1); 10].join(", ");
            bomb.push_str(&format!("a{i}: &a{i} [{refs}]\n"));
        }
        assert!(parse(&bomb).unwrap_err().reason.contains("aliases"));
        assert!(parse(&"- ".repeat(100_000)).is_err());
        assert!(parse(&"[".repeat(100_000)).is_err());
        assert!(parse(&format!("{}1{}", "{\"a\":".repeat(5000), "}".repeat(5000))).is_err());
        assert!(parse("a: &a [*a]").is_err());
    }

    #[test]
    fn closing_brackets_may_stand_where_deployment_tools_let_them() {
        let node = parse("a:\n  b: [\n    x\n  ]\nc:\n  d: {\n    e: f\n}\ng: h\n").unwrap();
        assert_eq!(node.at(&["a", "b"]).unwrap().items().len(), 1);
        let last = node.entry("g").unwrap();
        assert_eq!((last.line, last.value.text()), (9, Some("h")));
    }

    #[test]
    fn what_stands_in_brackets_need_not_be_indented() {
        let text =
            "a:\n  Resource: [\n  !Sub \"arn:${X}\",\n  !Sub 'y-z', # ]\n  'its [',\n  ]\n  After: ${A}\nb: {c: d}\n";
        let root = parse(text).unwrap();
        assert_eq!(root.at(&["a", "Resource"]).unwrap().items().len(), 3);
        assert_eq!(root.at(&["a", "After"]).and_then(Node::text), Some("${A}"));
        assert_eq!(root.at(&["b", "c"]).and_then(Node::text), Some("d"));
    }

    #[test]
    fn the_first_document_that_says_something_counts() {
        assert_eq!(parse("---\n---\nb: 2\n---\nc: 3\n").unwrap().get("b").unwrap().text(), Some("2"));
        assert_eq!(parse("# nothing\n").unwrap().value, Value::Null);
        assert_eq!(parse("a: [1\nb: 2\n").unwrap_err().line, 2);
    }
}
