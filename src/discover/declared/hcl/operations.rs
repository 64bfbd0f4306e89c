//! Operators and functions on values.

use std::collections::BTreeMap;

use hcl_edit::expr::BinaryOperator;

use super::value::{MAX_ELEMENTS, Value, unknown};
use crate::discover::paths;

/// An element of a list by its place, of a map by its key.
pub(super) fn index_of(value: &Value, index: &Value) -> Value {
    let found = match (value, index) {
        (Value::List(items), Value::Text(at)) => at.parse::<usize>().ok().and_then(|at| items.get(at)),
        (Value::Map(map), Value::Text(key)) => map.get(key),
        _ => None,
    };
    found.cloned().unwrap_or_else(|| unknown(index.why()))
}

/// What an operator with two sides makes of them.
pub(super) fn binary(operator: BinaryOperator, left: &Value, right: &Value) -> Value {
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
pub(super) fn function(name: &str, arguments: &[Value]) -> Value {
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
