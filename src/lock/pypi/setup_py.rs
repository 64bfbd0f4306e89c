//! setup.py, read without running it.
//!
//! Supported: `install_requires`, `extras_require`, `tests_require`, `python_requires` and `name` as far as they are
//! literals, or lines of a file at a literal path ([`crate::source::python::setup`] says how far that goes).
//! What only running would tell is a diagnostic at its line; the requirements that are known stay, and the manifest is
//! `partial`, so that nobody takes them for all.

use super::setuptools;
use crate::lock::{Manifest, Scope};
use crate::model::{Area, Diagnostic, Extent, Place, Support, codes, normalise_pypi};
use crate::source::python::setup::{self, Literal};

/// What is read of it.
pub const SUPPORT: Support = Support {
    area: Area::Manifest,
    what: "setup.py",
    files: "setup.py",
    extent: Extent::Partly,
    note: "never run: literals, constants, files read line by line at a literal path; the rest is a diagnostic",
};

/// Reads a setup.py; `include` is asked for the files that it reads.
pub fn read(file: &str, text: &str, include: &mut dyn FnMut(&str) -> Result<String, Diagnostic>) -> Manifest {
    let mut out = Manifest { kind: "setup-py", file: file.into(), ..Manifest::default() };
    let setup = match setup::read(text) {
        Ok(Some(setup)) => setup,
        Ok(None) => return out,
        Err((line, reason)) => {
            let reason = reason.trim_end_matches('.').to_string();
            out.diagnostics.push(Diagnostic::new(codes::MANIFEST_INVALID, Place::at(file, line), lower_first(&reason)));
            return out;
        }
    };
    let text_of = |key: &str| match setup.keywords.get(key) {
        Some(Literal::Text(text, _)) => Some(text.clone()),
        _ => None,
    };
    out.name = text_of("name").map(|n| normalise_pypi(&n));
    out.runtime = text_of("python_requires");
    if let Some((line, why)) = &setup.unknown {
        unknown(&mut out, *line, why);
    }
    for (key, scope) in [("install_requires", Scope::Production), ("tests_require", Scope::Dev)] {
        if let Some(value) = setup.keywords.get(key) {
            add(&mut out, value, &scope, setup.line, include);
        }
    }
    match setup.keywords.get("extras_require") {
        Some(Literal::Map(extras)) => {
            for (extra, value) in extras {
                // `name:marker` and `:marker` are setuptools' older way to write markers.
                match extra.split_once(':') {
                    Some((extra, marker)) => marked(&mut out, extra, marker, value, setup.line, include),
                    None => add(&mut out, value, &Scope::Extra(normalise_pypi(extra)), setup.line, include),
                }
            }
        }
        Some(Literal::Unknown(line, why)) => note(&mut out, *line, why),
        _ => {}
    }
    out.requires.sort_by_key(|r| r.line);
    out
}

/// Requirements under a marker.
fn marked(
    out: &mut Manifest,
    extra: &str,
    marker: &str,
    value: &Literal,
    line: u32,
    include: &mut dyn FnMut(&str) -> Result<String, Diagnostic>,
) {
    let scope = if extra.is_empty() { Scope::Production } else { Scope::Extra(normalise_pypi(extra)) };
    let from = out.requires.len();
    add(out, value, &scope, line, include);
    match super::pep508::marker(marker) {
        Ok(marker) => {
            for requirement in &mut out.requires[from..] {
                requirement.marker = super::pep508::and(requirement.marker.take(), Some(marker.clone()));
            }
        }
        Err(reason) => {
            out.requires.truncate(from);
            let place = Place::at(&out.file, line);
            out.diagnostics.push(Diagnostic::new(codes::REQUIREMENT_INVALID, place, reason));
        }
    }
}

fn add(
    out: &mut Manifest,
    value: &Literal,
    scope: &Scope,
    line: u32,
    include: &mut dyn FnMut(&str) -> Result<String, Diagnostic>,
) {
    match value {
        // One string may hold several, a line each.
        Literal::Text(text, line) => {
            for (line, text) in (*line..).zip(text.split('\n')) {
                let text = text.trim();
                if !text.is_empty() && !text.starts_with('#') {
                    setuptools::requirement(out, text, line, scope);
                }
            }
        }
        Literal::List(parts) => {
            for part in parts {
                add(out, part, scope, line, include);
            }
        }
        // Whoever reads a requirements file by hand skips what is no requirement, or follows `-r` as pip does.
        Literal::File { path, line, .. } => setuptools::from_requirements(out, path, *line, scope, include),
        Literal::Unknown(line, why) if *scope == Scope::Production => unknown(out, *line, why),
        Literal::Unknown(line, why) => note(out, *line, why),
        Literal::Map(_) | Literal::Path(_) => unknown(out, line, "it is no list of requirements"),
    }
}

/// A production requirement that only running would tell.
fn unknown(out: &mut Manifest, line: u32, why: &str) {
    out.partial = true;
    let reason = format!("only running it would tell all that it requires: {why}");
    let step = "write the requirements as literals, or add a requirements file or a lock";
    let place = Place::at(&out.file, line);
    out.diagnostics.push(Diagnostic::new(codes::REQUIREMENT_INVALID, place, reason).next(step));
}

/// The same for what production does not install.
fn note(out: &mut Manifest, line: u32, why: &str) {
    let reason = format!("only running it would tell all of an extra: {why}");
    let place = Place::at(&out.file, line);
    out.diagnostics.push(Diagnostic::new(codes::REQUIREMENT_UNSUPPORTED, place, reason).next("write it as literals"));
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::result_large_err)]
mod tests {
    use super::*;

    fn shown(text: &str) -> (Vec<String>, Vec<(String, u32)>, bool) {
        let manifest = read("fn/setup.py", text, &mut |path| match path {
            "fn/requirements.txt" => Ok("idna==3.4\n# note\n-i https://registry.example\nsix>=1\n".into()),
            path => Err(Diagnostic::new(codes::FILE_UNREADABLE, Place::file(path), "no such file")),
        });
        let scope = |s: &Scope| if *s == Scope::Production { String::new() } else { format!(" {s:?}") };
        let marker = |some: bool| if some { " ;" } else { "" };
        let of = |r: &crate::lock::ManifestRequirement| {
            format!("{}:{}{}{}{}", r.line, r.name, r.text, marker(r.marker.is_some()), scope(&r.scope))
        };
        (
            manifest.requires.iter().map(of).collect(),
            manifest.diagnostics.iter().map(|d| (d.code.clone(), d.place.line)).collect(),
            manifest.partial,
        )
    }

    /// What it requires is all that requirements.txt holds.
    fn whole(text: &str) {
        let (requires, said, partial) = shown(text);
        let names: Vec<&str> = requires.iter().filter_map(|r| Some(r.split_once(':')?.1)).collect();
        assert_eq!((names, said, partial), (vec!["idna==3.4", "six>=1"], vec![], false), "{text}");
    }

    #[test]
    fn literals_constants_and_sums() {
        let (requires, said, partial) = shown(
            r#"from setuptools import setup
BASE = ['a==1', 'b>=2']
BASE += ['c']
BASE.append('d')
BASE.extend(('e',))
extras = {'x': ['f'], 'y': BASE + ['g']}
extras['all'] = extras['x']
extras[':python_version < "3"'] = ['h']
if __name__ == '__main__':
    setup(name='My_App', install_requires=BASE, extras_require=extras, python_requires='>=3.8')
"#,
        );
        assert_eq!((said, partial), (vec![], false));
        let base: Vec<_> = requires.iter().filter(|r| !r.contains("Extra") && !r.contains(';')).collect();
        assert_eq!(base, ["2:a==1", "2:b>=2", "3:c", "4:d", "5:e"]);
        for extra in ["6:f Extra(\"all\")", "6:g Extra(\"y\")", "8:h ;"] {
            assert!(requires.contains(&extra.to_string()), "{extra}: {requires:?}");
        }
    }

    #[test]
    fn keywords_from_a_dict_and_one_string_of_lines() {
        let (requires, said, _) = shown(
            "import setuptools\nargs = dict(install_requires='''\na==1\n# no\nb\n''')\nsetuptools.setup(**args)\n",
        );
        assert_eq!((requires, said), (vec!["3:a==1".to_string(), "5:b".to_string()], vec![]));
    }

    #[test]
    fn files_at_a_literal_path() {
        for expression in [
            "open('requirements.txt').read().splitlines()",
            "open('requirements.txt').readlines()",
            "[l.strip() for l in open('requirements.txt') if l.strip() and not l.startswith('#')]",
            r"open(os.path.join(os.path.dirname(__file__), 'requirements.txt')).read().strip().split('\n')",
            "(Path(__file__).parent / 'requirements.txt').read_text().splitlines()",
            "list(filter(None, map(str.strip, io.open('requirements.txt', encoding='utf-8'))))",
            "[str(r.req) for r in parse_requirements('requirements.txt', session=False)]",
        ] {
            whole(&format!("from x import *\nimport io, os\nsetup(install_requires={expression})\n"));
        }
        whole(
            "import os\nHERE = os.path.abspath(os.path.dirname(__file__))\ndef read(*parts):\n    with open(os.path.join(HERE, *parts)) as f:\n        return f.read()\nsetup(install_requires=read('requirements.txt').splitlines())\n",
        );
        whole(
            "def load(name='requirements.txt'):\n    out = []\n    for line in open(name):\n        if line:\n            out.append(line.strip())\n    return out\nsetup(install_requires=load())\n",
        );
        whole(
            "with open('requirements.txt') as f:\n    required = f.read().splitlines()\ndef main():\n    setup(install_requires=required)\nmain()\n",
        );
        let (requires, said, _) = shown("setup(install_requires=open('gone.txt').readlines())\n");
        assert_eq!((requires, said), (vec![], vec![("include-missing".to_string(), 1)]));
    }

    #[test]
    fn what_would_have_to_run_is_told_and_the_rest_kept() {
        for (text, kept, line) in [
            ("setup(install_requires=get())\n", vec![], 1),
            ("r = ['a']\nif x:\n    r.append('b')\nsetup(install_requires=r)\n", vec!["1:a"], 3),
            ("r = ['a', 'b%s' % v]\nsetup(install_requires=r)\n", vec!["1:a"], 1),
            ("setup(**read_config())\n", vec![], 1),
            ("r = [x for x in ['a'] if x in y]\nsetup(install_requires=r)\n", vec![], 1),
            // It drops what is a requirement, unlike a test for comments.
            (
                "r = [l for l in open('requirements.txt') if not l.startswith('idna')]\nsetup(install_requires=r)\n",
                vec![],
                1,
            ),
            ("def f(x):\n    return f(x)\nsetup(install_requires=f(1))\n", vec![], 2),
            ("r = ['a']\nfor i in range(9):\n    r = r + r\nsetup(install_requires=r)\n", vec!["1:a"], 3),
        ] {
            let kept: Vec<String> = kept.iter().map(|k| (*k).to_string()).collect();
            let want = (kept, vec![("requirement-invalid".to_string(), line)], true);
            assert_eq!(shown(text), want, "{text}");
        }
    }

    #[test]
    fn files_that_do_not_parse_and_files_without_a_call() {
        assert_eq!(shown("print 'x'\n").1, [("manifest-invalid".to_string(), 1)]);
        assert_eq!(shown("x = 1\n"), (vec![], vec![], false));
        assert_eq!(shown("setup()\n"), (vec![], vec![], false));
        assert_eq!(shown(&format!("setup(install_requires={})\n", "[".repeat(100_000))).1.len(), 1);
        let doubling: String = (0..60).map(|_| "x = x + x\n").collect();
        assert!(shown(&format!("x = ['a']\n{doubling}setup(install_requires=x)\n")).2);
        let calls: String = (0..40).map(|i| format!("def f{}(): return f{i}() + f{i}()\n", i + 1)).collect();
        assert!(shown(&format!("def f0(): return ['a']\n{calls}setup(install_requires=f40())\n")).2);
    }
}
