//! Values of CloudFormation templates: literals, and intrinsic functions as far as the template itself decides them.

use super::doc::{Node, Value};

/// A value that is only known at deployment: the line, and what it depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// Line from 1.
    pub line: u32,
    /// For example `!GetAtt` or `parameter Stage, which has no default`.
    pub why: String,
}

/// Intrinsic functions nest a few levels in practice.
const MAX_NESTING: usize = 12;
/// Longest text that substitution may make, bytes.
const MAX_TEXT: usize = 65_536;

/// `!Sub x`, `{"Fn::Sub": x}` and `{"Ref": x}` as (`Sub`, argument, argument's scalar).
fn intrinsic(node: &Node) -> Option<(&str, &Node, Option<&str>)> {
    if let Some(tag) = &node.tag {
        let text = if let Value::Text(text) = &node.value { Some(text.as_str()) } else { None };
        return Some((tag, node, text));
    }
    match node.entries() {
        [only] => {
            let name = only
                .key
                .strip_prefix("Fn::")
                .or_else(|| matches!(only.key.as_str(), "Ref" | "Condition").then_some(only.key.as_str()))?;
            Some((name, &only.value, only.value.text()))
        }
        _ => None,
    }
}

/// The resource or parameter that a value is a plain reference to.
pub fn referred(node: &Node) -> Option<&str> {
    match intrinsic(node)? {
        ("Ref", _, name) => name,
        _ => None,
    }
}

/// What `!Sub` is given, unfilled, to show to people.
pub fn sketch(node: &Node) -> Option<String> {
    match intrinsic(node)? {
        ("Sub", _, Some(text)) => Some(text.to_string()),
        _ => None,
    }
}

/// The literal text of a value in a template.
///
/// # Errors
/// When only a deployment tells: parameters without default, attributes, conditions, imports.
pub fn literal(template: &Node, node: &Node) -> Result<String, Unknown> {
    resolve(template, node, MAX_NESTING)
}

fn resolve(template: &Node, node: &Node, depth: usize) -> Result<String, Unknown> {
    let unknown = |why: String| Unknown { line: node.line, why };
    if depth == 0 {
        return Err(unknown("intrinsic functions nested very deeply".into()));
    }
    if let Some(text) = node.text() {
        return Ok(text.to_string());
    }
    let Some((name, argument, text)) = intrinsic(node) else {
        return Err(unknown("a value that is not text".into()));
    };
    let items = argument.items();
    let value = match (name, text, items) {
        ("Ref", Some(parameter), _) => reference(template, parameter).map_err(unknown)?,
        ("Sub", Some(text), _) => substitute(template, text, None, depth).map_err(unknown)?,
        ("Sub", None, [text, map]) => {
            let text = text.text().ok_or_else(|| unknown("!Sub without a text".into()))?;
            substitute(template, text, Some(map), depth).map_err(unknown)?
        }
        ("Join", _, [separator, list]) => {
            let separator = separator.text().unwrap_or_default();
            let parts: Result<Vec<String>, _> =
                list.items().iter().map(|item| resolve(template, item, depth - 1)).collect();
            if !matches!(list.value, Value::List(_)) || list.tag.is_some() {
                return Err(unknown("!Join of a list that is not written out".into()));
            }
            parts?.join(separator)
        }
        ("FindInMap", _, [map, first, second]) => {
            let mut keys = Vec::new();
            for key in [map, first, second] {
                keys.push(resolve(template, key, depth - 1)?);
            }
            let found =
                template.get("Mappings").and_then(|m| m.at(&[keys[0].as_str(), keys[1].as_str(), keys[2].as_str()]));
            resolve(
                template,
                found.ok_or_else(|| unknown(format!("mapping {} has no such entry", keys[0])))?,
                depth - 1,
            )?
        }
        ("If", _, [condition, yes, no]) => {
            // Both branches alike: the condition does not matter.
            match (resolve(template, yes, depth - 1), resolve(template, no, depth - 1)) {
                (Ok(a), Ok(b)) if a == b => a,
                _ => return Err(unknown(format!("condition {}", condition.text().unwrap_or("?")))),
            }
        }
        _ => return Err(unknown(format!("!{name}"))),
    };
    if value.len() > MAX_TEXT { Err(unknown("a very long value".into())) } else { Ok(value) }
}

fn reference(template: &Node, name: &str) -> Result<String, String> {
    match name {
        // The same in every deployment that this tool plans for.
        "AWS::Partition" => return Ok("aws".into()),
        "AWS::URLSuffix" => return Ok("amazonaws.com".into()),
        _ => {}
    }
    let Some(parameter) = template.get("Parameters").and_then(|p| p.get(name)) else {
        return Err(format!("!Ref {name}"));
    };
    let default = parameter.get("Default").and_then(Node::text);
    default.map(str::to_string).ok_or_else(|| format!("parameter {name}, which has no default"))
}

fn substitute(template: &Node, text: &str, map: Option<&Node>, depth: usize) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let Some((name, tail)) = after.split_once('}') else {
            out.push_str("${");
            rest = after;
            continue;
        };
        rest = tail;
        if let Some(escaped) = name.strip_prefix('!') {
            out.push_str("${");
            out.push_str(escaped);
            out.push('}');
        } else if let Some(own) = map.and_then(|m| m.get(name.trim())) {
            out.push_str(&resolve(template, own, depth - 1).map_err(|unknown| unknown.why)?);
        } else {
            out.push_str(&reference(template, name.trim())?);
        }
        if out.len() > MAX_TEXT {
            return Err("a very long value".into());
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::doc;
    use super::*;

    fn value(text: &str) -> Result<String, String> {
        let parameters = "Parameters: {P: {Default: src}, N: {Type: String}}\nMappings: {M: {a: {b: python3.9}}}\n";
        let template = doc::parse(&format!("{parameters}V: {text}\n")).unwrap();
        literal(&template, template.get("V").unwrap()).map_err(|unknown| unknown.why)
    }

    #[test]
    fn what_the_template_decides_is_resolved() {
        for (text, expected) in [
            ("./plain", "./plain"),
            ("!Ref P", "src"),
            ("{Ref: P}", "src"),
            ("!Sub '${P}/x/${!lit}'", "src/x/${lit}"),
            ("{'Fn::Sub': ['${A}-${P}', {A: !Ref P}]}", "src-src"),
            ("!Join ['/', [a, !Ref P]]", "a/src"),
            ("!FindInMap [M, a, b]", "python3.9"),
            ("!If [C, x, x]", "x"),
        ] {
            assert_eq!(value(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_only_a_deployment_tells_is_named() {
        for (text, why) in [
            ("!Ref N", "parameter N, which has no default"),
            ("!Ref Bucket", "!Ref Bucket"),
            ("!GetAtt A.B", "!GetAtt"),
            ("{'Fn::ImportValue': x}", "!ImportValue"),
            ("!Sub '${AWS::Region}'", "!Ref AWS::Region"),
            ("!If [C, x, y]", "condition C"),
            ("!FindInMap [M, a, z]", "mapping M has no such entry"),
            ("{a: 1, b: 2}", "a value that is not text"),
        ] {
            assert_eq!(value(text), Err(why.to_string()), "{text}");
        }
    }
}
