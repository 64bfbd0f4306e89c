//! Versions of artefacts.

use serde_json::Value;

use super::codes;
use super::diagnostic::{Diagnostic, Place};

/// Checks the `schema` field of an artefact against the one that this build writes (`warmset.plan/1`).
///
/// The same kind with a higher number is [`codes::SCHEMA_NEWER`]; anything else is [`codes::ARTEFACT_INVALID`].
pub fn check_schema(file: &str, artefact: &Value, expected: &str) -> Result<(), Diagnostic> {
    let invalid = |reason: String| Err(Diagnostic::new(codes::ARTEFACT_INVALID, Place::file(file), reason));
    let Some(found) = artefact.get("schema").and_then(Value::as_str) else {
        return invalid(format!("it has no `schema` field; expected \"{expected}\""));
    };
    if found == expected {
        return Ok(());
    }
    let split = |s: &str| s.rsplit_once('/').and_then(|(k, v)| Some((k.to_string(), v.parse::<u32>().ok()?)));
    match (split(found), split(expected)) {
        (Some((kind, version)), Some((want_kind, want))) if kind == want_kind && version > want => {
            Err(Diagnostic::new(
                codes::SCHEMA_NEWER,
                Place::file(file),
                format!("its schema is \"{found}\"; this warmset reads up to \"{expected}\""),
            ))
        }
        _ => invalid(format!("its schema is \"{found}\"; expected \"{expected}\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn newer_and_foreign_schemas_are_told_apart() {
        let code = |v: Value| check_schema("f", &v, "warmset.plan/1").err().map(|d| d.code);
        assert_eq!(code(json!({"schema": "warmset.plan/1"})), None);
        assert_eq!(code(json!({"schema": "warmset.plan/2"})).as_deref(), Some("schema-newer"));
        assert_eq!(code(json!({"schema": "warmset.costs/1"})).as_deref(), Some("artefact-invalid"));
        assert_eq!(code(json!({"schema": "warmset.costs/2"})).as_deref(), Some("artefact-invalid"));
        assert_eq!(code(json!({})).as_deref(), Some("artefact-invalid"));
        assert_eq!(code(json!([])).as_deref(), Some("artefact-invalid"));
    }
}
