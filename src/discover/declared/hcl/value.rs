//! What expressions come to.

use std::collections::BTreeMap;

/// Elements that lists and loops may come to.
pub(super) const MAX_ELEMENTS: usize = 10_000;

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

    /// As a condition.
    pub(super) fn truth(&self) -> Option<bool> {
        match self {
            Value::Bool(flag) => Some(*flag),
            Value::Text(text) if text == "true" => Some(true),
            Value::Text(text) if text == "false" => Some(false),
            _ => None,
        }
    }

    /// Whether the files decide all of it.
    pub(super) fn is_known(&self) -> bool {
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

/// What only a run tells, and why.
pub(super) fn unknown(why: impl Into<String>) -> Value {
    Value::Unknown(why.into())
}
