//! Blocks and attributes with their lines, of both syntaxes.

use std::collections::BTreeMap;

use hcl_edit::Span;
use hcl_edit::expr::Expression;
use hcl_edit::structure::{Body, Structure};

use crate::discover::doc::{self, DocError, Node};
use crate::model::Lines;

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
