//! A trace as rows under named columns, and whose rows they are.

use std::collections::BTreeMap;

use csv::StringRecord;

use crate::model::{Diagnostic, Place, codes};

/// A CSV file in memory.
pub struct Sheet<'a> {
    file: &'a str,
    headers: StringRecord,
    /// The rows below the headers.
    pub rows: Vec<StringRecord>,
}

impl<'a> Sheet<'a> {
    /// Reads all of it.
    pub fn read(file: &'a str, bytes: &[u8]) -> Result<Self, Diagnostic> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
        let headers = reader.headers().map_err(|e| invalid(file, 1, e.to_string()))?.clone();
        let rows = reader
            .records()
            .map(|record| record.map_err(|e| invalid(file, e.position().map_or(0, csv::Position::line), e.to_string())))
            .collect::<Result<_, _>>()?;
        Ok(Self { file, headers, rows })
    }

    /// Where a column stands; columns may come in any order.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.headers.iter().position(|h| h.trim_start_matches('\u{feff}').eq_ignore_ascii_case(name))
    }

    /// A count or a number of seconds.
    pub fn number(&self, row: &StringRecord, at: usize) -> Result<f64, Diagnostic> {
        let text = row.get(at).unwrap_or("");
        match text.parse::<f64>() {
            Ok(v) if v.is_finite() && v >= 0.0 => Ok(v),
            _ => Err(self.invalid(row, format!("`{text}` is not a count or a time"))),
        }
    }

    /// What is wrong with a row.
    pub fn invalid(&self, row: &StringRecord, reason: String) -> Diagnostic {
        invalid(self.file, row.position().map_or(0, csv::Position::line), reason)
    }

    /// No format has these columns.
    pub fn unknown(&self) -> Diagnostic {
        let found: Vec<&str> = self.headers.iter().take(6).collect();
        invalid(self.file, 1, format!("the columns are {}; no known format has these", found.join(", ")))
    }
}

fn invalid(file: &str, line: u64, reason: String) -> Diagnostic {
    Diagnostic::new(codes::TRACE_INVALID, Place::at(file, u32::try_from(line).unwrap_or(u32::MAX)), reason)
}

/// The text of a cell.
pub fn text(row: &StringRecord, at: usize) -> String {
    row.get(at).unwrap_or("").to_string()
}

/// Functions by the names that a trace may give them: the id, or its last part where that is unique.
pub struct Names<'a>(BTreeMap<&'a str, Vec<usize>>);

impl<'a> Names<'a> {
    /// Of ids in a fixed order.
    pub fn new(ids: impl IntoIterator<Item = &'a str>) -> Self {
        let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, id) in ids.into_iter().enumerate() {
            by_name.entry(id).or_default().push(at);
            if let Some((_, last)) = id.rsplit_once('/') {
                by_name.entry(last).or_default().push(at);
            }
        }
        Self(by_name)
    }

    /// The function that a name means, by its place.
    pub fn get(&self, name: &str) -> Option<usize> {
        match self.0.get(name).map(Vec::as_slice) {
            Some(&[at]) => Some(at),
            _ => None,
        }
    }
}

/// Says which names came to nothing.
pub fn report(file: &str, names: &[&str], what: &str) -> Option<Diagnostic> {
    if names.is_empty() {
        return None;
    }
    let first: Vec<&str> = names.iter().take(5).copied().collect();
    let more = if names.len() > 5 { " …" } else { "" };
    let reason = format!("{} {what}: {}{more}", names.len(), first.join(", "));
    Some(Diagnostic::new(codes::TRACE_UNMATCHED, Place::file(file), reason))
}
