//! setup.cfg: what setuptools' declarative configuration asks for.
//!
//! ```text
//! file    = *( section / key / continuation / comment / blank )
//! section = "[" name "]"          key = name ( "=" / ":" ) value      continuation = blank value
//! comment = *blank ( "#" / ";" ) *any
//! ```
//! Supported: `[metadata] name`; `[options]` install_requires, tests_require, python_requires; `[options.extras_require]`;
//! `file:` directives, whose content holds requirements, comments and, as setuptools allows, nothing else.
//! Unsupported, with a diagnostic: `%(name)s` interpolation.

use super::{pep508, setuptools};
use crate::lock::{Manifest, Scope};
use crate::model::{Area, Diagnostic, Extent, Place, Support, codes, normalise_pypi};

/// What is read of it.
pub const SUPPORT: Support = Support {
    area: Area::Manifest,
    what: "setup.cfg",
    files: "setup.cfg",
    extent: Extent::Full,
    note: "install_requires, extras_require, file: directives",
};

/// One key: its value's lines, each with its place.
struct Key<'t> {
    section: &'t str,
    name: String,
    lines: Vec<(u32, &'t str)>,
}

/// Reads a setup.cfg; `include` is asked for the files of `file:` directives.
pub fn read(file: &str, text: &str, include: &mut dyn FnMut(&str) -> Result<String, Diagnostic>) -> Manifest {
    let mut out = Manifest { kind: "setup-cfg", file: file.into(), ..Manifest::default() };
    for key in keys(text, &mut out) {
        let first = || key.lines.iter().map(|(_, text)| *text).find(|t| !t.is_empty());
        let scope = match (key.section, key.name.as_str()) {
            ("metadata", "name") => {
                out.name = first().map(normalise_pypi);
                continue;
            }
            ("options", "python_requires") => {
                out.runtime = first().map(str::to_string);
                continue;
            }
            ("options", "install_requires") => Scope::Production,
            ("options", "tests_require") => Scope::Dev,
            ("options.extras_require", extra) => Scope::Extra(normalise_pypi(extra)),
            _ => continue,
        };
        let line = key.lines.first().map_or(0, |(line, _)| *line);
        if key.lines.iter().any(|(_, text)| text.contains("%(")) {
            let reason = format!("{} is put together from other values, which warmset does not do", key.name);
            let step = "write the requirements out";
            let place = Place::at(&out.file, line);
            out.diagnostics.push(Diagnostic::new(codes::REQUIREMENT_INVALID, place, reason).next(step));
        }
        if let Some(files) = first().and_then(|t| t.strip_prefix("file:")) {
            let rest = key.lines.iter().map(|(_, t)| *t).filter(|t| !t.is_empty()).skip(1);
            let files: Vec<String> =
                files.split(',').chain(rest.flat_map(|t| t.split(','))).map(|f| f.trim().to_string()).collect();
            for path in files.iter().filter(|f| !f.is_empty()) {
                setuptools::from_file(&mut out, path, line, &scope, include);
            }
            continue;
        }
        // On one line they are parted by semicolons, which also start markers: as setuptools does.
        let several = key.lines.len() > 1;
        for (line, text) in key.lines {
            let parts: Vec<&str> = if several { vec![text] } else { text.split(';').collect() };
            for part in parts.into_iter().map(str::trim).filter(|p| !p.is_empty() && !p.contains("%(")) {
                setuptools::requirement(&mut out, part, line, &scope);
            }
        }
    }
    out.requires.sort_by_key(|r| r.line);
    out
}

/// The keys of an INI file as Python's configparser reads them.
fn keys<'t>(text: &'t str, out: &mut Manifest) -> Vec<Key<'t>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut keys: Vec<Key> = Vec::new();
    let mut section = "";
    // Indentation of the key that the lines below may continue.
    let mut open: Option<usize> = None;
    for (number, line) in (1u32..).zip(text.lines()) {
        let content = line.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        if let (Some(of), Some(key)) = (open, keys.last_mut())
            && indent > of
        {
            key.lines.push((number, content));
            continue;
        }
        if let Some(name) = content.strip_prefix('[').and_then(|c| c.split_once(']')) {
            (section, open) = (name.0.trim(), None);
            continue;
        }
        match content.find(['=', ':']) {
            Some(at) if at > 0 && !section.is_empty() => {
                let name = content[..at].trim().replace('-', "_").to_ascii_lowercase();
                let name = if section == "options.extras_require" { content[..at].trim().to_string() } else { name };
                keys.push(Key { section, name, lines: vec![(number, content[at + 1..].trim())] });
                open = Some(indent);
            }
            // configparser gives up here; what stands above and below is still what the author meant.
            _ => {
                let reason = format!("`{}` is neither a section nor a key", pep508::shorten(content));
                out.diagnostics.push(Diagnostic::new(codes::MANIFEST_INVALID, Place::at(&out.file, number), reason));
            }
        }
    }
    keys
}

#[cfg(test)]
#[allow(clippy::result_large_err)]
mod tests {
    use super::*;

    fn shown(manifest: &Manifest) -> Vec<String> {
        let scope = |s: &Scope| if *s == Scope::Production { String::new() } else { format!(" {s:?}") };
        manifest.requires.iter().map(|r| format!("{}:{}{}{}", r.line, r.name, r.text, scope(&r.scope))).collect()
    }

    const TEXT: &str = "[metadata]\nname = My_App\n\n[options]\npython_requires = >=3.8\ninstall_requires =\n    Requests[socks] >=2.31 ; python_version < '3.12'\n    # a comment\n    six==1.16.0\n\n    bad requirement\npackages = find:\ntests-require = pytest; mock\n\n[options.extras_require]\nWeb_UI =\n  flask\nall: file: a.txt, sub/b.txt\n[flake8]\ninstall_requires = no\n";

    /// setuptools' own `read_configuration` gives the same names for these lists and files; `tests_require` is what its
    /// older releases read, and it refuses the file for the two bad lines that are told here.
    #[test]
    fn lists_extras_and_files() {
        let manifest = read("fn/setup.cfg", TEXT, &mut |path| match path {
            "fn/a.txt" => Ok("tqdm>=4 # note\n\n# x\n-r c.txt\n".into()),
            "fn/sub/b.txt" => Ok("idna==3.4\n".into()),
            _ => panic!("{path}"),
        });
        assert_eq!(
            shown(&manifest),
            [
                "7:requests>=2.31",
                "9:six==1.16.0",
                "13:pytest Dev",
                "13:mock Dev",
                "17:flask Extra(\"web-ui\")",
                "18:tqdm>=4 Extra(\"all\")",
                "18:idna==3.4 Extra(\"all\")",
            ]
        );
        assert_eq!((manifest.name.as_deref(), manifest.runtime.as_deref()), (Some("my-app"), Some(">=3.8")));
        let said: Vec<_> = manifest.diagnostics.iter().map(|d| (d.code.as_str(), d.place.to_string())).collect();
        assert_eq!(
            said,
            [("requirement-invalid", "fn/setup.cfg:11".to_string()), ("requirement-invalid", "fn/a.txt:4".into())]
        );
    }

    #[test]
    fn what_is_no_ini_is_told() {
        let manifest = read("setup.cfg", "x\n[options]\ninstall_requires = %(all)s\n", &mut |_| unreachable!());
        let said: Vec<_> = manifest.diagnostics.iter().map(|d| (d.code.as_str(), d.place.line)).collect();
        assert_eq!(said, [("manifest-invalid", 1), ("requirement-invalid", 3)]);
        let gone = read("setup.cfg", "[options]\ninstall_requires = file: gone.txt\n", &mut |p| {
            Err(Diagnostic::new(codes::FILE_UNREADABLE, Place::file(p), "no such file"))
        });
        assert_eq!((gone.diagnostics[0].code.as_str(), gone.diagnostics[0].place.line), ("include-missing", 2));
    }
}
