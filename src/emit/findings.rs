//! Findings for other programs: SARIF 2.1.0 and GitHub workflow commands.
//!
//! Formats: OASIS "Static Analysis Results Interchange Format (SARIF) Version 2.1.0"; GitHub "Workflow commands for
//! GitHub Actions".

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::model::{Diagnostic, Severity, codes};

/// A SARIF log with one run. Places without a line get line 1, as the format counts from there.
pub fn sarif(diagnostics: &[Diagnostic]) -> Value {
    let used: BTreeSet<&str> = diagnostics.iter().map(|d| d.code.as_str()).collect();
    let rules: Vec<Value> = codes::ALL
        .iter()
        .filter(|code| used.contains(code.id))
        .map(|code| {
            json!({
                "id": code.id,
                "shortDescription": {"text": code.meaning},
                "help": {"text": code.next_step},
                "defaultConfiguration": {"level": level(code.severity)},
            })
        })
        .collect();
    let results: Vec<Value> = diagnostics
        .iter()
        .map(|d| {
            let mut result = json!({
                "ruleId": d.code,
                "level": level(d.severity),
                "message": {"text": format!("{}; next: {}", d.reason, d.next_step)},
            });
            if !d.place.file.is_empty() {
                result["locations"] = json!([{
                    "physicalLocation": {
                        "artifactLocation": {"uri": uri(&d.place.file)},
                        "region": {"startLine": d.place.line.max(1)},
                    },
                }]);
            }
            // Code scanning matches results over runs by this: the line may move.
            result["partialFingerprints"] =
                json!({"warmset/v1": format!("{}|{}|{}", d.code, d.place.file, d.function.as_deref().unwrap_or(""))});
            result
        })
        .collect();
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "warmset",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "results": results,
        }],
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// A relative path as a URI reference (RFC 3986): everything but unreserved characters and `/` is escaped.
fn uri(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// One workflow command a line: `::warning file=…,line=…,title=…::…`.
pub fn github(diagnostics: &[Diagnostic]) -> String {
    let mut out = String::new();
    for d in diagnostics {
        let command = match d.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let mut properties = Vec::new();
        if !d.place.file.is_empty() {
            properties.push(format!("file={}", property(&d.place.file)));
        }
        if d.place.line > 0 {
            properties.push(format!("line={}", d.place.line));
        }
        properties.push(format!("title={}", property(&d.code)));
        out.push_str(&format!(
            "::{command} {}::{}\n",
            properties.join(","),
            data(&format!("{}; next: {}", d.reason, d.next_step))
        ));
    }
    out
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Place;

    fn finding() -> Diagnostic {
        let finding = Diagnostic::new(codes::IMAGE_LOST, Place::at("a b/c,d:e.py", 3), "").for_function("f");
        // As an inventory of another tool may say it.
        Diagnostic { reason: "50 % lost\nindeed".into(), ..finding }
    }

    #[test]
    fn github_commands_are_escaped() {
        assert_eq!(
            github(&[finding()]),
            "::warning file=a b/c%2Cd%3Ae.py,line=3,title=image-lost::50 %25 lost%0Aindeed; next: plan again\n"
        );
    }

    #[test]
    fn sarif_names_the_rule_and_an_escaped_place() {
        let log = sarif(&[finding(), Diagnostic::new(codes::FUNCTION_REMOVED, Place::file("plan.json"), "gone")]);
        let run = &log["runs"][0];
        assert_eq!(run["results"][0]["ruleId"], "image-lost");
        let location = &run["results"][0]["locations"][0]["physicalLocation"];
        assert_eq!(location["artifactLocation"]["uri"], "a%20b/c%2Cd%3Ae.py");
        assert_eq!(location["region"]["startLine"], 3);
        assert_eq!(run["results"][1]["locations"][0]["physicalLocation"]["region"]["startLine"], 1);
        assert_eq!(run["tool"]["driver"]["rules"].as_array().map(Vec::len), Some(2));
    }
}
