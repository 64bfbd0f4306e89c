//! `warmset formats`: what each reader says of itself, as one table.

use crate::emit::json;
use crate::model::support::{Area, Extent, Support};
use crate::{discover, lock, source};

use super::Outcome;
use super::args::{FormatsCommand, TableFormat};
use super::load::Failure;
use super::table::Table;
use super::talk::{BOLD, DIM, GREEN, Talk, YELLOW, paint};

/// Prints what is read.
pub fn run(command: &FormatsCommand, talk: Talk) -> Result<Outcome, Failure> {
    let rows = rows();
    talk.result(&match command.format {
        TableFormat::Text => text(&rows),
        TableFormat::Json => json::text(&rows),
        TableFormat::Markdown => markdown(&rows),
    })?;
    Ok(Outcome::Clean)
}

/// The rows of every layer by area, each area in the order in which its layer states them.
fn rows() -> Vec<Support> {
    let mut rows: Vec<Support> =
        [discover::support(), lock::support(), source::support()].into_iter().flatten().collect();
    rows.sort_by_key(|row| row.area);
    rows
}

fn heading(area: Area) -> &'static str {
    match area {
        Area::Declaration => "functions",
        Area::Lock => "locks",
        Area::Manifest => "manifests",
        Area::Source => "sources",
    }
}

fn extent(extent: Extent) -> &'static str {
    match extent {
        Extent::Full => "yes",
        Extent::Partly => "partly",
        Extent::Named => "no, but named",
    }
}

fn text(rows: &[Support]) -> String {
    let mut out = String::new();
    for group in rows.chunk_by(|a, b| a.area == b.area) {
        let mut table = Table::new(&[heading(group[0].area), "read", "files"]);
        for row in group {
            let style = match row.extent {
                Extent::Full => GREEN,
                Extent::Partly => YELLOW,
                Extent::Named => DIM,
            };
            table.row(vec![paint(BOLD, row.what), paint(style, extent(row.extent)), row.files.to_string()]);
            if !row.note.is_empty() {
                table.note(paint(DIM, row.note.replace('`', "")));
            }
        }
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&table.render());
    }
    out
}

/// File names as code; words around them as they are.
fn patterns(files: &str) -> String {
    let word = |word: &str| {
        let name = word.trim_end_matches([',', ';']);
        let is_name = name.contains(['.', '*', '/']) && name != "…";
        if is_name { format!("`{name}`{}", &word[name.len()..]) } else { word.to_string() }
    };
    files.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn markdown(rows: &[Support]) -> String {
    let mut out = String::new();
    let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
    for group in rows.chunk_by(|a, b| a.area == b.area) {
        let name = heading(group[0].area);
        out.push_str(&format!("| {name} | files | read | |\n|---|---|---|---|\n"));
        for row in group {
            let fields = [row.what, &patterns(row.files), extent(row.extent), row.note].map(cell);
            out.push_str(&format!("| {} |\n", fields.join(" | ")));
        }
        out.push('\n');
    }
    out.pop();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_area_has_rows_and_no_row_is_stated_twice() {
        let rows = rows();
        for area in [Area::Declaration, Area::Lock, Area::Manifest, Area::Source] {
            assert!(rows.iter().any(|row| row.area == area), "{area:?}");
        }
        let mut names: Vec<_> = rows.iter().map(|row| (row.area, row.what)).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), rows.len());
        for row in &rows {
            // What is read in part or not at all has to say what is not.
            assert!(row.extent != Extent::Partly || !row.note.is_empty(), "{}", row.what);
            assert!(!row.files.is_empty() && !row.note.ends_with('.'), "{}", row.what);
        }
    }

    #[test]
    fn a_table_in_markdown_has_as_many_cells_in_each_row() {
        let row = Support { what: "a|b", files: "x.y, other", ..crate::source::python::SUPPORT[0] };
        let text = markdown(&[row]);
        assert!(text.contains("| a\\|b | `x.y`, other |"), "{text}");
        assert!(text.lines().all(|line| line.replace("\\|", "").matches('|').count() == 5), "{text}");
    }
}
