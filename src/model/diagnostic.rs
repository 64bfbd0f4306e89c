//! Everything warmset has to say about an input that is not as it should be.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::codes::Code;
use super::severity::Severity;

/// A file relative to the scanned root (`/`-separated) and a line in it, counted from 1; 0 means the whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// Relative path.
    pub file: String,
    /// Line from 1, or 0 for the whole file.
    #[serde(default)]
    pub line: u32,
}

impl Place {
    /// A line of a file.
    pub fn at(file: impl Into<String>, line: u32) -> Self {
        Self { file: file.into(), line }
    }

    /// A whole file.
    pub fn file(file: impl Into<String>) -> Self {
        Self::at(file, 0)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 { f.write_str(&self.file) } else { write!(f, "{}:{}", self.file, self.line) }
    }
}

/// One thing that is not as it should be: a stable code, a place, a reason and a next step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Diagnostic {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// Stable kebab-case code, listed in [`super::codes`].
    pub code: String,
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong here, in lower case, without a full stop.
    pub reason: String,
    /// What to do about it.
    pub next_step: String,
    /// The function concerned, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
}

/// Longest reason in bytes: it may quote a file, which may be one long line.
const MAX_REASON: usize = 1_000;

/// A text that quotes a file, as one line that cannot move a terminal's cursor or turn its direction of writing.
pub fn plain(text: String) -> String {
    let moves = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.len() <= MAX_REASON && !text.contains(moves) {
        return text;
    }
    let mut out: String = text.chars().map(|c| if moves(c) { ' ' } else { c }).collect();
    if out.len() > MAX_REASON {
        out.truncate(out.floor_char_boundary(MAX_REASON));
        out.push('…');
    }
    out
}

impl Diagnostic {
    /// A diagnostic with the severity and next step that its code usually has.
    pub fn new(code: Code, place: Place, reason: impl Into<String>) -> Self {
        Self {
            place,
            code: code.id.to_string(),
            severity: code.severity,
            reason: plain(reason.into()),
            next_step: code.next_step.to_string(),
            function: None,
        }
    }

    /// Names the function concerned.
    pub fn for_function(mut self, id: impl Into<String>) -> Self {
        self.function = Some(id.into());
        self
    }

    /// Replaces the usual next step by one that fits this place better.
    pub fn next(mut self, step: impl Into<String>) -> Self {
        self.next_step = step.into();
        self
    }

    /// Whether it makes the exit status 1.
    pub fn is_finding(&self) -> bool {
        self.severity != Severity::Note
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reason_quotes_stays_on_its_line_and_is_bounded() {
        let said = |reason: &str| Diagnostic::new(super::super::codes::TRACE_INVALID, Place::default(), reason).reason;
        assert_eq!(said("`a\nb\u{1b}[2J\u{202e}c`"), "`a b [2J c`");
        assert_eq!(said("`naïve — ✓`"), "`naïve — ✓`");
        let long = said(&"é".repeat(MAX_REASON));
        assert!(long.len() <= MAX_REASON + 3 && long.ends_with("é…"), "{}", long.len());
    }
}
