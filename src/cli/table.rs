//! Tables for terminals: left-aligned text, right-aligned numbers, two spaces between.

use std::collections::BTreeMap;

/// Rows of cells under a heading.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<bool>,
    /// Lines below rows, by the number of the row.
    notes: BTreeMap<usize, String>,
}

impl Table {
    /// Column headings; those that start with `>` head a column of numbers.
    pub fn new(headings: &[&str]) -> Self {
        Self {
            rows: vec![headings.iter().map(|h| h.trim_start_matches('>').to_string()).collect()],
            notes: BTreeMap::new(),
            right: headings.iter().map(|h| h.starts_with('>')).collect(),
        }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Adds a line below the last row, over all columns.
    pub fn note(&mut self, text: String) {
        self.notes.insert(self.rows.len() - 1, text);
    }

    /// The table as text, indented by two.
    pub fn render(&self) -> String {
        let columns = self.right.len();
        let width: Vec<usize> = (0..columns)
            .map(|c| self.rows.iter().filter_map(|r| r.get(c)).map(|t| visible(t)).max().unwrap_or(0))
            .collect();
        let mut out = String::new();
        for (at, row) in self.rows.iter().enumerate() {
            let mut line = String::from(" ");
            for (c, cell) in row.iter().enumerate().take(columns) {
                let pad = " ".repeat(width[c].saturating_sub(visible(cell)));
                line.push(' ');
                line.push_str(&if self.right[c] { format!("{pad}{cell} ") } else { format!("{cell}{pad} ") });
            }
            out.push_str(line.trim_end());
            out.push('\n');
            if let Some(note) = self.notes.get(&at) {
                out.push_str(&format!("    {note}\n"));
            }
        }
        out
    }
}

/// Characters that show; styles do not.
fn visible(text: &str) -> usize {
    let mut shown = 0;
    let mut escape = false;
    for c in text.chars() {
        match (escape, c) {
            (true, 'm') => escape = false,
            (true, _) => {}
            (false, '\u{1b}') => escape = true,
            (false, _) => shown += 1,
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_line_up_on_the_right_and_styles_take_no_room() {
        let mut table = Table::new(&["name", ">ms"]);
        table.row(vec!["\u{1b}[1ma\u{1b}[0m".into(), "7".into()]);
        table.row(vec!["longer".into(), "1234".into()]);
        assert_eq!(table.render(), "  name      ms\n  \u{1b}[1ma\u{1b}[0m          7\n  longer  1234\n");
    }
}
