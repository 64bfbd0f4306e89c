//! What a CloudFormation template says once its intrinsic functions are worked out, as far as the template decides them
//! and the parameters that a parent stack gives it.
//!
//! Resolved: `Ref` of parameters, `Sub`, `Join`, `Select`, `Split`, `FindInMap`, `If` with conditions that parameters
//! decide (`Equals`, `And`, `Or`, `Not`, `Condition`). A parameter that is not given has its default; what has none is
//! unknown, and so is what is made of it.
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html>

use std::collections::BTreeMap;

use super::doc::{Node, Value};

/// A value that is only known at deployment: the line, and what it depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// Line from 1.
    pub line: u32,
    /// For example `!GetAtt` or `parameter Stage, which has no default`.
    pub why: String,
}

/// Parameters as a parent stack gives them: their text, or what it depends on.
pub type Given = BTreeMap<String, Result<String, String>>;

/// Intrinsic functions nest a few levels in practice.
const MAX_NESTING: usize = 12;
/// Longest text that substitution may make, bytes.
const MAX_TEXT: usize = 65_536;
/// Intrinsic functions worked out for one value.
const MAX_STEPS: usize = 4_096;

/// A template, and the parameters that it is deployed with.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The whole template.
    pub template: &'a Node,
    /// What a parent gives; what is not in it has its default.
    pub given: &'a Given,
}

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

/// The resource or parameter that a value is a plain reference to; `!GetAtt Layer.Arn` and `!Sub '${Layer}'` are too.
pub fn referred(node: &Node) -> Option<&str> {
    match intrinsic(node)? {
        ("Ref", _, name) => name,
        ("GetAtt", _, Some(path)) => path.split('.').next(),
        ("GetAtt", argument, None) => argument.items().first()?.text(),
        ("Sub", _, Some(text)) => {
            let name = text.strip_prefix("${")?.strip_suffix('}')?;
            name.chars().all(char::is_alphanumeric).then_some(name)
        }
        _ => None,
    }
}

/// What `!Sub` is given, unfilled, to show to people.
pub fn sketch(node: &Node) -> Option<String> {
    match intrinsic(node)? {
        ("Sub", _, Some(text)) => Some(text.to_string()),
        ("Sub", argument, None) => argument.items().first()?.text().map(str::to_string),
        _ => None,
    }
}

impl<'a> Scope<'a> {
    /// The literal text of a value in the template.
    ///
    /// # Errors
    /// When only a deployment tells: parameters without default, attributes, conditions, imports.
    pub fn literal(&self, node: &Node) -> Result<String, Unknown> {
        let mut steps = MAX_STEPS;
        self.resolve(node, MAX_NESTING, &mut steps)
    }

    /// The node that stands where `!If` chooses one; `None` for `AWS::NoValue`. A choice that only a deployment makes
    /// is left as it is.
    pub fn pick<'n>(&self, node: &'n Node) -> Option<&'n Node> {
        let mut node = node;
        for _ in 0..MAX_NESTING {
            match intrinsic(node) {
                Some(("Ref", _, Some("AWS::NoValue"))) => return None,
                Some(("If", argument, _)) => {
                    let [condition, yes, no] = argument.items() else { break };
                    match condition.text().and_then(|name| self.condition(name)) {
                        Some(true) => node = yes,
                        Some(false) => node = no,
                        None => break,
                    }
                }
                _ => break,
            }
        }
        Some(node)
    }

    /// Elements of a list, choices inside it made.
    pub fn items<'n>(&self, node: &'n Node) -> Vec<&'n Node> {
        let Some(list) = self.pick(node) else { return Vec::new() };
        list.items().iter().filter_map(|item| self.pick(item)).collect()
    }

    /// Whether a condition holds, where the template and its parameters decide that.
    pub fn condition(&self, name: &str) -> Option<bool> {
        let mut steps = MAX_STEPS;
        self.holds(self.template.get("Conditions")?.get(name)?, MAX_NESTING, &mut steps)
    }

    fn holds(&self, node: &Node, depth: usize, steps: &mut usize) -> Option<bool> {
        *steps = steps.checked_sub(1)?;
        let depth = depth.checked_sub(1)?;
        let (name, argument, text) = intrinsic(node)?;
        match name {
            "Condition" => self.holds(self.template.get("Conditions")?.get(text?)?, depth, steps),
            "Equals" => {
                let [a, b] = argument.items() else { return None };
                Some(self.resolve(a, depth, steps).ok()? == self.resolve(b, depth, steps).ok()?)
            }
            "Not" => self.holds(argument.items().first()?, depth, steps).map(|held| !held),
            "And" | "Or" => {
                let decides = name == "Or";
                let held: Vec<_> = argument.items().iter().map(|item| self.holds(item, depth, steps)).collect();
                if held.contains(&Some(decides)) {
                    Some(decides)
                } else {
                    held.iter().all(Option::is_some).then_some(!decides)
                }
            }
            _ => None,
        }
    }

    fn resolve(&self, node: &Node, depth: usize, steps: &mut usize) -> Result<String, Unknown> {
        let unknown = |why: String| Unknown { line: node.line, why };
        if depth == 0 || *steps == 0 {
            return Err(unknown("intrinsic functions nested very deeply".into()));
        }
        *steps -= 1;
        if let Some(text) = node.text() {
            return Ok(text.to_string());
        }
        let Some((name, argument, text)) = intrinsic(node) else {
            return Err(unknown("a value that is not text".into()));
        };
        let items = argument.items();
        let value = match (name, text, items) {
            ("Ref", Some(parameter), _) => self.reference(parameter).map_err(unknown)?,
            ("Sub", Some(text), _) => self.substitute(text, None, depth, steps).map_err(unknown)?,
            ("Sub", None, [text, map]) => {
                let text = text.text().ok_or_else(|| unknown("!Sub without a text".into()))?;
                self.substitute(text, Some(map), depth, steps).map_err(unknown)?
            }
            ("Join", _, [separator, list]) => {
                let separator = separator.text().unwrap_or_default();
                self.list(list, depth - 1, steps)?.join(separator)
            }
            ("Select", _, [index, list]) => {
                let index: usize = self
                    .resolve(index, depth - 1, steps)?
                    .parse()
                    .map_err(|_| unknown("!Select without a number".into()))?;
                let items = self.list(list, depth - 1, steps)?;
                items.get(index).cloned().ok_or_else(|| unknown("!Select of an element that is not there".into()))?
            }
            ("FindInMap", _, [map, first, second, ..]) => {
                let mut keys = Vec::new();
                for key in [map, first, second] {
                    keys.push(self.resolve(key, depth - 1, steps)?);
                }
                let mappings = self.template.get("Mappings");
                let found = mappings.and_then(|m| m.at(&[keys[0].as_str(), keys[1].as_str(), keys[2].as_str()]));
                let found = found.ok_or_else(|| unknown(format!("mapping {} has no such entry", keys[0])))?;
                self.resolve(found, depth - 1, steps)?
            }
            ("If", _, [condition, yes, no]) => match condition.text().and_then(|name| self.condition(name)) {
                Some(true) => self.resolve(yes, depth - 1, steps)?,
                Some(false) => self.resolve(no, depth - 1, steps)?,
                // Both branches alike: the condition does not matter.
                None => match (self.resolve(yes, depth - 1, steps), self.resolve(no, depth - 1, steps)) {
                    (Ok(a), Ok(b)) if a == b => a,
                    _ => return Err(unknown(format!("condition {}", condition.text().unwrap_or("?")))),
                },
            },
            _ => return Err(unknown(format!("!{name}"))),
        };
        if value.len() > MAX_TEXT { Err(unknown("a very long value".into())) } else { Ok(value) }
    }

    /// A list that is written out, split from a text, or a parameter with commas.
    fn list(&self, node: &Node, depth: usize, steps: &mut usize) -> Result<Vec<String>, Unknown> {
        if matches!(node.value, Value::List(_)) && node.tag.is_none() {
            return node.items().iter().map(|item| self.resolve(item, depth, steps)).collect();
        }
        let unknown = |why: &str| Unknown { line: node.line, why: why.into() };
        match intrinsic(node) {
            Some(("Split", argument, _)) => {
                let [separator, text] = argument.items() else { return Err(unknown("!Split without a text")) };
                let separator = separator.text().filter(|s| !s.is_empty());
                let separator = separator.ok_or_else(|| unknown("!Split without a separator"))?;
                let depth = depth.checked_sub(1).ok_or_else(|| unknown("intrinsic functions nested very deeply"))?;
                Ok(self.resolve(text, depth, steps)?.split(separator).map(str::to_string).collect())
            }
            Some(("Ref", _, Some(name))) => {
                let text = self.reference(name).map_err(|why| Unknown { line: node.line, why })?;
                Ok(text.split(',').map(|item| item.trim().to_string()).collect())
            }
            _ => Err(unknown("a list that is not written out")),
        }
    }

    /// Texts of a list, for `Fn::ForEach`.
    ///
    /// # Errors
    /// As [`Scope::literal`].
    pub fn texts(&self, node: &Node) -> Result<Vec<String>, Unknown> {
        let mut steps = MAX_STEPS;
        self.list(node, MAX_NESTING, &mut steps)
    }

    fn reference(&self, name: &str) -> Result<String, String> {
        match name {
            // The same in every deployment that this tool plans for.
            "AWS::Partition" => return Ok("aws".into()),
            "AWS::URLSuffix" => return Ok("amazonaws.com".into()),
            _ => {}
        }
        let Some(parameter) = self.template.get("Parameters").and_then(|p| p.get(name)) else {
            return Err(format!("!Ref {name}"));
        };
        if let Some(given) = self.given.get(name) {
            return given.clone();
        }
        let default = parameter.get("Default").and_then(Node::text);
        default.map(str::to_string).ok_or_else(|| format!("parameter {name}, which has no default"))
    }

    fn substitute(&self, text: &str, map: Option<&Node>, depth: usize, steps: &mut usize) -> Result<String, String> {
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
                out.push_str(&self.resolve(own, depth - 1, steps).map_err(|unknown| unknown.why)?);
            } else {
                out.push_str(&self.reference(name.trim())?);
            }
            if out.len() > MAX_TEXT {
                return Err("a very long value".into());
            }
        }
        out.push_str(rest);
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::super::doc;
    use super::*;

    const HEAD: &str = "\
Parameters: {P: {Default: src}, N: {Type: String}, G: {Default: a}, L: {Type: CommaDelimitedList, Default: 'x, y'}}
Mappings: {M: {a: {b: python3.9}}}
Conditions:
  Src: !Equals [!Ref P, src]
  Other: !Not [!Condition Src]
  Both: !And [!Condition Src, !Equals [a, a]]
  Late: !Equals [!Ref N, src]
  Either: !Or [!Condition Late, !Condition Src]
  Ring: !Condition Ring
";

    fn value(text: &str) -> Result<String, String> {
        let template = doc::parse(&format!("{HEAD}V: {text}\n")).unwrap();
        let given = Given::from([("G".to_string(), Ok("given".to_string()))]);
        let scope = Scope { template: &template, given: &given };
        scope.literal(template.get("V").unwrap()).map_err(|unknown| unknown.why)
    }

    #[test]
    fn what_the_template_decides_is_resolved() {
        for (text, expected) in [
            ("./plain", "./plain"),
            ("!Ref P", "src"),
            ("{Ref: P}", "src"),
            ("!Ref G", "given"),
            ("!Sub '${P}/x/${!lit}'", "src/x/${lit}"),
            ("{'Fn::Sub': ['${A}-${P}', {A: !Ref P}]}", "src-src"),
            ("!Join ['/', [a, !Ref P]]", "a/src"),
            ("!Join ['', !Split ['-', 'a-b']]", "ab"),
            ("!Select [1, !Ref L]", "y"),
            ("!Select [0, [!Ref P, b]]", "src"),
            ("!FindInMap [M, a, b]", "python3.9"),
            ("!If [C, x, x]", "x"),
            ("!If [Src, x, y]", "x"),
            ("!If [Other, x, y]", "y"),
            ("!If [Both, x, y]", "x"),
            ("!If [Either, x, y]", "x"),
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
            ("!If [Late, x, y]", "condition Late"),
            ("!If [Ring, x, y]", "condition Ring"),
            ("!FindInMap [M, a, z]", "mapping M has no such entry"),
            ("!Select [9, [a]]", "!Select of an element that is not there"),
            ("{a: 1, b: 2}", "a value that is not text"),
        ] {
            assert_eq!(value(text), Err(why.to_string()), "{text}");
        }
    }

    #[test]
    fn choices_are_made_in_lists_and_no_value_is_none() {
        let text = format!("{HEAD}V: [!If [Src, a, b], !If [Other, c, !Ref AWS::NoValue], !If [Late, d, e]]\n");
        let template = doc::parse(&text).unwrap();
        let given = Given::new();
        let scope = Scope { template: &template, given: &given };
        let items = scope.items(template.get("V").unwrap());
        assert_eq!(items.iter().map(|n| n.text()).collect::<Vec<_>>(), [Some("a"), None]);
    }

    #[test]
    fn layers_are_referred_to_in_several_ways() {
        for text in ["!Ref Libs", "!GetAtt Libs.Arn", "{'Fn::GetAtt': [Libs, Arn]}", "!Sub '${Libs}'"] {
            let node = doc::parse(&format!("V: {text}\n")).unwrap();
            assert_eq!(referred(node.get("V").unwrap()), Some("Libs"), "{text}");
        }
    }
}
