//! What the readers of declarations share: from what one says to a [`Site`].

use std::collections::BTreeMap;

use crate::discover::doc::{self, Node};
use crate::discover::runtime::{self, Runtime};
use crate::discover::tree::Tree;
use crate::discover::{Defaults, Discovery, Site, paths, platform_from_folder};
use crate::model::inventory::PlatformSource;
use crate::model::{Diagnostic, Language, Place, Severity, codes};

/// The fleet, as a reader sees it.
#[derive(Clone, Copy)]
pub(super) struct Fleet<'a> {
    pub tree: &'a Tree,
    pub defaults: &'a Defaults,
}

/// What a declaration says of the runtime.
#[derive(Debug, Clone)]
pub(super) enum Says {
    /// A runtime's name, and where.
    Runtime(String, Place),
    /// The language only: the version comes from the folder.
    Language(Language),
    /// The file of the handler tells the language.
    Nothing,
}

impl Says {
    /// A runtime's name where there is one, else the language where that is known.
    pub fn of(runtime: Option<(String, Place)>, language: Option<Language>) -> Says {
        match (runtime, language) {
            (Some((text, place)), _) => Says::Runtime(text, place),
            (None, Some(language)) => Says::Language(language),
            (None, None) => Says::Nothing,
        }
    }
}

/// Folder of the declaring file, `/`, name.
pub(super) fn id(dir: &str, name: &str) -> String {
    if dir == "." { name.to_string() } else { format!("{dir}/{name}") }
}

impl Fleet<'_> {
    /// Adds a function. Its platform is worked out here; a handler whose file the reader did not find is reported.
    pub fn add(self, mut site: Site, says: Says, found: &mut Discovery) {
        let mut diagnostics = Vec::new();
        let language = match &says {
            Says::Runtime(text, place) => {
                site.runtime = Some(text.clone());
                match runtime::parse(text) {
                    Runtime::Version(language, version) => {
                        site.platform = Some(self.defaults.platform(language, &version));
                        site.platform_source = Some(PlatformSource::Declared);
                        None
                    }
                    Runtime::Language(language) => Some(language),
                    Runtime::Unknown => {
                        diagnostics.push(runtime::not_planned_for(text, place.clone()));
                        found.diagnostics.extend(diagnostics.into_iter().map(|d| d.for_function(&site.id)));
                        found.sites.push(site);
                        return;
                    }
                }
            }
            Says::Language(language) => Some(*language),
            Says::Nothing => {
                let language = site.handler_file.as_deref().and_then(runtime::language_of);
                if language.is_none() {
                    let reason = "nothing says which runtime the function uses";
                    diagnostics.push(Diagnostic::new(codes::RUNTIME_UNKNOWN, site.declared_at.clone(), reason));
                }
                language
            }
        };
        if let Some(language) = language {
            platform_from_folder(self.tree, self.defaults, language, &mut site, &mut diagnostics);
        }
        if site.handler_file.is_none()
            && let Some(handler) = &site.handler
        {
            let reason = format!("handler `{handler}` is not in `{}`; all of that folder is read", site.root);
            let mut diagnostic = Diagnostic::new(codes::TEMPLATE_POINTS_NOWHERE, site.declared_at.clone(), reason);
            diagnostic.severity = Severity::Warning;
            diagnostics.push(diagnostic);
        }
        found.diagnostics.extend(diagnostics.into_iter().map(|d| d.for_function(&site.id)));
        found.sites.push(site);
    }

    /// Adds a function that runs on something that is no Python and no Node.js: named, not planned for.
    pub fn add_unplanned(self, site: Site, runs_on: &str, found: &mut Discovery) {
        let reason = format!("it runs on {runs_on}, which warmset does not plan for");
        let mut diagnostic =
            Diagnostic::new(codes::RUNTIME_UNKNOWN, site.declared_at.clone(), reason).for_function(&site.id);
        diagnostic.severity = Severity::Note;
        found.diagnostics.push(diagnostic);
        found.sites.push(site);
    }

    /// A YAML or JSON file that is known to be a declaration by its name; what is wrong with it is reported.
    pub fn document(self, path: &str, found: &mut Discovery) -> Option<Node> {
        match self.tree.text(path).map(|text| doc::parse(&text)) {
            Ok(Ok(node)) => Some(node),
            Ok(Err(error)) => {
                let place = Place::at(path, error.line);
                found.diagnostics.push(Diagnostic::new(codes::TEMPLATE_INVALID, place, error.reason));
                None
            }
            Err(diagnostic) => {
                found.diagnostics.push(diagnostic);
                None
            }
        }
    }

    /// The same for a file that may be something else: what cannot be read is passed over.
    pub fn quiet_document(self, path: &str) -> Option<Node> {
        doc::parse(&self.tree.text(path).ok()?).ok()
    }

    /// Whether a file exists in a folder; its path.
    pub fn file(self, dir: &str, rel: &str) -> Option<String> {
        paths::join(dir, rel).filter(|path| self.tree.contains(path))
    }

    /// The nearest folder from `dir` up to `top` that holds a manifest of the language, else `top`.
    pub fn package_root(self, dir: &str, top: &str, language: Language) -> String {
        let manifests: &[&str] = match language {
            Language::Python => &["requirements.txt", "pyproject.toml", "Pipfile"],
            Language::Node => &["package.json"],
        };
        paths::ancestors(dir)
            .take_while(|d| paths::is_within(d, top))
            .find(|d| manifests.iter().any(|name| self.file(d, name).is_some()))
            .unwrap_or(top)
            .to_string()
    }
}

/// Where a value says that a folder or file is not there.
pub(super) fn points_nowhere(place: Place, what: &str, path: &str) -> Diagnostic {
    Diagnostic::new(codes::TEMPLATE_POINTS_NOWHERE, place, format!("{what} `{path}` does not exist"))
}

/// Literal scalars of a mapping, or of a list of `{name, value}`.
pub(super) fn variables(node: Option<&Node>) -> BTreeMap<String, String> {
    let Some(node) = node else { return BTreeMap::new() };
    let map = node.entries().iter().filter_map(|e| Some((e.key.clone(), e.value.text()?.to_string())));
    let list = node
        .items()
        .iter()
        .filter_map(|item| Some((item.get("name")?.text()?.to_string(), item.get("value")?.text()?.to_string())));
    map.chain(list).collect()
}

/// Whether a path matches a pattern of `*` (within one folder), `**` and `?`, with `{a,b}` alternatives.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    alternatives(pattern.trim_start_matches("./"))
        .iter()
        .any(|p| matches_parts(&p.split('/').collect::<Vec<_>>(), &path.split('/').collect::<Vec<_>>()))
}

/// `a/{b,c}.js` as `a/b.js` and `a/c.js`; at most 64 of them.
fn alternatives(pattern: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut open = vec![pattern.to_string()];
    while let Some(next) = open.pop() {
        let inner = next.find('{').and_then(|from| Some((from, from + next[from..].find('}')?)));
        match inner {
            Some((from, to)) if done.len() + open.len() < 64 => {
                for part in next[from + 1..to].split(',') {
                    open.push(format!("{}{part}{}", &next[..from], &next[to + 1..]));
                }
            }
            _ => done.push(next),
        }
    }
    done
}

fn matches_parts(pattern: &[&str], path: &[&str]) -> bool {
    // Which prefixes of the path the pattern so far can match: no backtracking, so no blow-up.
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    for part in pattern {
        let mut next = vec![false; path.len() + 1];
        for at in 0..=path.len() {
            if *part == "**" {
                next[at] = reached[at] || (at > 0 && next[at - 1]);
            } else if at > 0 && reached[at - 1] {
                next[at] = matches_name(part, path[at - 1]);
            }
        }
        reached = next;
    }
    reached[path.len()]
}

fn matches_name(pattern: &str, name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for c in pattern.chars() {
        let mut next = vec![false; name.len() + 1];
        for at in 0..=name.len() {
            next[at] = match c {
                '*' => reached[at] || (at > 0 && next[at - 1]),
                '?' => at > 0 && reached[at - 1],
                c => at > 0 && reached[at - 1] && name[at - 1] == c,
            };
        }
        reached = next;
    }
    reached[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_within_a_folder_or_below() {
        for (pattern, path, expected) in [
            ("api/*.js", "api/a.js", true),
            ("api/*.js", "api/b/a.js", false),
            ("api/**/*.js", "api/b/c/a.js", true),
            ("api/**/*.js", "api/a.js", true),
            ("src/{index.js,functions/*.js}", "src/functions/a.js", true),
            ("src/{index.js,functions/*.js}", "src/index.js", true),
            ("src/{index.js,functions/*.js}", "src/other.js", false),
            ("**", "a/b", true),
            ("*.p?", "x.py", true),
            ("./api/x.ts", "api/x.ts", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
        // Patterns that make a backtracking matcher take forever.
        assert!(!matches(&"*a".repeat(200), &"a".repeat(150)));
        assert!(!matches(&format!("{}x", "**/".repeat(200)), &format!("{}b", "a/".repeat(60))));
        assert!(alternatives(&"{a,b}".repeat(40)).len() <= 200);
    }
}
