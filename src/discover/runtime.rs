//! Runtime names of providers, and the Python and Node versions that warmset plans for.

use crate::model::{Diagnostic, Language, Place, Severity, codes};

/// Python minor versions planned for, as `3.N`.
pub const PYTHON_MINORS: std::ops::RangeInclusive<u32> = 6..=14;
/// Node major versions planned for.
pub const NODE_MAJORS: std::ops::RangeInclusive<u32> = 12..=24;

/// What a runtime name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runtime {
    /// Language and version: `3.12` for Python, `20` for Node.
    Version(Language, String),
    /// The language without a version that tells platforms apart: `python3`, `nodejs:default`.
    Language(Language),
    /// Another language, an operating system only, or a version that does not exist.
    Unknown,
}

/// Reads `python3.12`, `python312`, `python:3.9`, `python|3.9`, `nodejs20.x`, `nodejs20`, `nodejs:20`, `node|18` …
pub fn parse(text: &str) -> Runtime {
    let text = text.trim().to_ascii_lowercase();
    let (language, rest) = if let Some(rest) = text.strip_prefix("python") {
        (Language::Python, rest)
    } else if let Some(rest) = ["nodejs", "node.js", "node"].iter().find_map(|name| text.strip_prefix(name)) {
        (Language::Node, rest)
    } else {
        return Runtime::Unknown;
    };
    let rest = rest.strip_prefix([':', '|', '-', '@', ' ']).unwrap_or(rest);
    let rest = rest.strip_prefix('v').unwrap_or(rest);
    // `-ai` and the like are flavours of the same interpreter (OpenWhisk images).
    let rest = rest.split(['-', '_']).next().unwrap_or(rest);
    if matches!(rest, "" | "default" | "latest" | "lts") || (language == Language::Python && rest == "3") {
        return Runtime::Language(language);
    }
    version(language, rest).map_or(Runtime::Unknown, |v| Runtime::Version(language, v))
}

/// What to say of a runtime that [`parse`] does not know: a fleet may well hold functions in other languages.
pub fn not_planned_for(text: &str, place: Place) -> Diagnostic {
    let reason = format!("runtime `{text}` is not one that warmset plans for");
    let mut diagnostic = Diagnostic::new(codes::RUNTIME_UNKNOWN, place, reason);
    if is_other_language(text) {
        diagnostic.severity = Severity::Note;
    } else if is_retired(text) {
        // The declaration is in order; only its age keeps the function out of a plan.
        diagnostic.severity = Severity::Warning;
        diagnostic = diagnostic.next("move the function to a version that its provider still runs, or remove it");
    }
    diagnostic
}

/// Whether a runtime name is a version of Python or Node.js from before those that warmset plans for.
fn is_retired(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    let Some((at, _)) = text.char_indices().find(|(_, c)| c.is_ascii_digit()) else { return false };
    let (family, version) = text.split_at(at);
    let first: String = version.chars().take_while(char::is_ascii_digit).collect();
    match family.trim_end_matches([':', '|', '-', '@', ' ', 'v']) {
        "python" => matches!(first.as_str(), "2" | "26" | "27"),
        "node" | "nodejs" | "node.js" => first.parse().is_ok_and(|n: u32| n < *NODE_MAJORS.start()),
        _ => false,
    }
}

/// Whether a runtime name is one of a language that warmset does not plan for, rather than a slip of the pen.
pub fn is_other_language(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    let (family, rest) = text.split_at(text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len()));
    // OpenWhisk's `php:7.3`, Digital Ocean's `go:default`.
    let rest = rest.strip_prefix([':', '|', '-', '@']).map_or(rest, |rest| if rest == "default" { "" } else { rest });
    let is_version = rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    is_version
        && matches!(
            family,
            "java"
                | "go"
                | "golang"
                | "dotnet"
                | "dotnetcore"
                | "ruby"
                | "php"
                | "provided"
                | "rust"
                | "swift"
                | "binary"
                | "docker"
        )
}

/// A version as the platform spells it, when it is one that is planned for: `3.11.4`, `311` and `3.11` give `3.11`;
/// `20.x`, `v20.1.0` and `20` give `20`.
pub fn version(language: Language, text: &str) -> Option<String> {
    let text = text.trim().trim_start_matches('v');
    let mut parts = text.split('.');
    let first = parts.next()?;
    let rest_is_version =
        parts.clone().all(|p| matches!(p, "x" | "*") || (!p.is_empty() && p.bytes().all(|b| b.is_ascii_digit())));
    if !rest_is_version || first.is_empty() || !first.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    match language {
        Language::Python => {
            let minor = match parts.next() {
                Some(minor) if first == "3" => minor,
                // Google and Azure leave the dot out: `python39`, `python312`.
                None => first.strip_prefix('3').filter(|m| !m.is_empty())?,
                Some(_) => return None,
            };
            let minor: u32 = minor.parse().ok().filter(|m| PYTHON_MINORS.contains(m))?;
            Some(format!("3.{minor}"))
        }
        Language::Node => {
            let major: u32 = first.parse().ok().filter(|m| NODE_MAJORS.contains(m))?;
            Some(major.to_string())
        }
    }
}

/// The language of a source file, by its extension.
pub fn language_of(path: &str) -> Option<Language> {
    match super::paths::extension(path) {
        "py" => Some(Language::Python),
        "js" | "mjs" | "cjs" | "jsx" | "ts" | "mts" | "cts" | "tsx" => Some(Language::Node),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retired_version_is_no_slip() {
        let severity = |text: &str| not_planned_for(text, Place::file("x")).severity;
        for text in ["python2.7", "python27", "nodejs8", "nodejs:6", "nodejs10.x", "Nodejs8.9"] {
            assert_eq!(severity(text), Severity::Warning, "{text}");
        }
        for text in ["nodejs99", "pyton3.9", "NODEJS_VERSION", "python3.99", "python"] {
            assert_eq!(severity(text), Severity::Error, "{text}");
        }
        for text in ["java21", "php:7.3", "go:default", "swift:5.4"] {
            assert_eq!(severity(text), Severity::Note, "{text}");
        }
    }

    #[test]
    fn runtime_names_of_the_providers() {
        let py = |v: &str| Runtime::Version(Language::Python, v.into());
        let node = |v: &str| Runtime::Version(Language::Node, v.into());
        for (text, expected) in [
            ("python3.12", py("3.12")),
            ("python312", py("3.12")),
            ("python39", py("3.9")),
            ("python:3.7", py("3.7")),
            ("Python3.9", py("3.9")),
            ("python-3.11.4", py("3.11")),
            ("python:3.11-ai", py("3.11")),
            ("nodejs18.x", node("18")),
            ("nodejs20", node("20")),
            ("nodejs:20", node("20")),
            ("node|18", node("18")),
            ("nodejs12.13", node("12")),
            ("Node.js14.18", node("14")),
            ("python3", Runtime::Language(Language::Python)),
            ("nodejs:default", Runtime::Language(Language::Node)),
            ("nodejs", Runtime::Language(Language::Node)),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn other_languages_are_told_from_slips() {
        for text in ["java25", "provided.al2023", "go1.x", "dotnet8", "dotnetcore2.1", "Php7", "ruby3.2"] {
            assert!(is_other_language(text), "{text}");
        }
        for text in ["python3.99", "nodejs8.10", "JAVA_VERSION", "gopher", "", "javascript"] {
            assert!(!is_other_language(text), "{text}");
        }
    }

    #[test]
    fn other_languages_and_versions_that_do_not_exist_are_unknown() {
        for text in [
            "java17",
            "ruby3.2",
            "go1.x",
            "dotnet8",
            "provided.al2023",
            "python3.99",
            "python2.7",
            "python4.1",
            "nodejs8.10",
            "nodejs99.x",
            "nodejs4.3-edge",
            "pythonista",
            "",
        ] {
            assert_eq!(parse(text), Runtime::Unknown, "{text}");
        }
    }
}
