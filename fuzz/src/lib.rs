//! What the targets share: inputs that name files, and what must hold of everything that warmset says.

use warmset::discover::Tree;
use warmset::emit::json;
use warmset::model::{Diagnostic, Inventory, read};

/// First line and rest.
pub fn head(input: &[u8]) -> Option<(&str, &[u8])> {
    let end = input.iter().take(80).position(|b| *b == b'\n')?;
    Some((std::str::from_utf8(&input[..end]).ok()?, &input[end + 1..]))
}

/// Most lines that a text can have for any parser: YAML ends them at carriage returns, JavaScript at U+2028 and U+2029,
/// YAML 1.1 at U+0085 too. UTF-16 has fewer of them than bytes of that value.
pub fn lines(bytes: &[u8]) -> u32 {
    let mut lines = 1;
    for (at, byte) in bytes.iter().enumerate() {
        let wide = || matches!(bytes.get(at..), Some([0xE2, 0x80, 0xA8 | 0xA9, ..] | [0xC2, 0x85, ..]));
        lines += u32::from(matches!(byte, b'\n' | b'\r' | 0x0c | 0x0b) || wide());
    }
    lines
}

/// Files as a tree; `None` where no file system could hold them.
pub fn tree<'a>(files: &[(&'a str, &'a [u8])]) -> Option<Tree> {
    for (at, (path, _)) in files.iter().enumerate() {
        let plain = path.split('/').all(|p| !p.is_empty() && p != "." && p != ".." && !p.contains(['\0', '\\']));
        let clash = files[..at].iter().any(|(other, _)| other == path || is_below(other, path) || is_below(path, other));
        if !plain || clash {
            return None;
        }
    }
    Some(Tree::in_memory(files))
}

/// Whether one path would have to be a file and a folder at once.
fn is_below(file: &str, path: &str) -> bool {
    path.strip_prefix(file).is_some_and(|rest| rest.starts_with('/'))
}

/// A file among others that give it something to point to: in place of the one of its name, or beside them.
pub fn framed<'a>(frame: &[(&'a str, &'a [u8])], file: &'a str, bytes: &'a [u8]) -> Option<Tree> {
    let mut files: Vec<_> = frame.iter().copied().filter(|(path, _)| *path != file).collect();
    files.push((file, bytes));
    tree(&files)
}

/// What must hold of every diagnostic about a file of so many lines: it is short, it says what to do, and it points into the file.
pub fn check_diagnostics(diagnostics: &[Diagnostic], file: &str, lines: u32) {
    for d in diagnostics {
        assert!(!d.reason.is_empty() && !d.next_step.is_empty(), "{d:?}");
        assert!(d.reason.len() < 2_000, "{} bytes: {:.200}", d.reason.len(), d.reason);
        assert!(!d.reason.contains('\n'), "{d:?}");
        assert!(d.place.file != file || d.place.line <= lines, "{d:?} of {lines}");
    }
}

/// What must hold of every inventory.
pub fn check_inventory(inventory: &Inventory) {
    assert!(inventory.functions.windows(2).all(|f| f[0].id < f[1].id), "functions are not sorted by unique ids");
    assert!(inventory.packages.windows(2).all(|p| p[0].id < p[1].id), "packages are not sorted by unique ids");
    assert!(inventory.diagnostics.is_sorted());
    read::inventory("i", &json::text(inventory)).expect("it was written by warmset");
    for function in &inventory.functions {
        assert!(function.closure.is_sorted());
        for id in &function.closure {
            let known = inventory.packages.binary_search_by(|p| p.id.cmp(id)).is_ok();
            assert!(known, "{id} of {} is no package", function.id);
        }
    }
}
