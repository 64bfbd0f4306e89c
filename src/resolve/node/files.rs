//! From a path without extension to the file that is loaded.

use crate::discover::{Tree, paths};

/// What is added to a path, for importers in JavaScript: Node's own order, then what only compilers know.
const FROM_SCRIPT: &[&str] =
    &[".js", ".json", ".node", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".mts", ".cts", ".vue", ".svelte"];
/// For importers in TypeScript: sources before what a build left beside them.
const FROM_TYPESCRIPT: &[&str] =
    &[".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs", ".json", ".node", ".vue", ".svelte"];

/// What TypeScript writes for a file that it compiles: `./x.js` is `x.ts` before.
const COMPILED: &[(&str, &[&str])] =
    &[(".js", &[".ts", ".tsx"]), (".jsx", &[".tsx"]), (".mjs", &[".mts"]), (".cjs", &[".cts"])];

/// Folders that builds write to.
const BUILT: &[&str] = &["dist", "build", "out", "lib", "esm", "cjs"];

pub(super) fn is_typescript(file: &str) -> bool {
    matches!(paths::extension(file), "ts" | "tsx" | "mts" | "cts")
}

/// The file of a path, as written or in the source that it is compiled from.
pub(super) fn exact(tree: &Tree, path: &str) -> Option<String> {
    if tree.contains(path) {
        return Some(path.to_string());
    }
    COMPILED.iter().find_map(|(compiled, sources)| {
        let stem = path.strip_suffix(compiled)?;
        sources.iter().map(|s| format!("{stem}{s}")).find(|file| tree.contains(file))
    })
}

/// The same, with each usual extension.
pub(super) fn with_extension(tree: &Tree, path: &str, from: &str) -> Option<String> {
    let order = if is_typescript(from) { FROM_TYPESCRIPT } else { FROM_SCRIPT };
    exact(tree, path).or_else(|| order.iter().map(|e| format!("{path}{e}")).find(|file| tree.contains(file)))
}

/// `index` with each usual extension.
pub(super) fn index(tree: &Tree, dir: &str, from: &str) -> Option<String> {
    with_extension(tree, &paths::join(dir, "index")?, from).filter(|file| paths::stem(file) == "index")
}

/// The source of a file that a build of the package in `folder` writes: `dist/x.js` is `src/x.ts` or `x.ts` before.
pub(super) fn source_of(tree: &Tree, folder: &str, path: &str) -> Option<String> {
    let inner = paths::relative_to(path, folder)?;
    let mut rest = inner;
    // `dist/esm/x.js` too.
    while let Some((first, deeper)) = rest.split_once('/') {
        if !BUILT.contains(&first) {
            break;
        }
        rest = deeper;
        for base in ["src/", ""] {
            let at = paths::join(folder, &format!("{base}{rest}"))?;
            let stem = at.strip_suffix(&format!(".{}", paths::extension(&at))).unwrap_or(&at);
            let found = [".ts", ".tsx", ".mts", ".cts"].iter().map(|e| format!("{stem}{e}"));
            if let Some(file) = found.into_iter().find(|file| tree.contains(file)).or_else(|| exact(tree, &at)) {
                return Some(file);
            }
        }
    }
    None
}

/// Whether a path matches a pattern, in which `*` stands for what has no `/`, `**` for anything (and `**/` for nothing
/// too), `?` for one character and `{a,b}` for either.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    alternatives(pattern).iter().any(|pattern| matches_plain(pattern.as_bytes(), path.as_bytes()))
}

/// Braces, innermost first; bounded, since each pair doubles.
fn alternatives(pattern: &str) -> Vec<String> {
    let mut open = vec![pattern.to_string()];
    let mut done = Vec::new();
    while let Some(pattern) = open.pop() {
        let close = pattern.find('}');
        let start = close.and_then(|close| pattern[..close].rfind('{'));
        match (start, close) {
            (Some(start), Some(close)) if done.len() + open.len() < 64 => {
                for part in pattern[start + 1..close].split(',') {
                    open.push(format!("{}{part}{}", &pattern[..start], &pattern[close + 1..]));
                }
            }
            _ => done.push(pattern),
        }
    }
    done
}

/// One row of states a character: time grows with pattern times path, whatever the stars.
fn matches_plain(pattern: &[u8], path: &[u8]) -> bool {
    let step = |states: &mut Vec<bool>| {
        // A star may stand for nothing.
        for at in 0..pattern.len() {
            if states[at] && pattern[at] == b'*' {
                states[at + 1] = true;
                if pattern[at..].starts_with(b"**/") {
                    states[at + 3] = true;
                }
            }
        }
    };
    let mut states = vec![false; pattern.len() + 1];
    states[0] = true;
    step(&mut states);
    for &byte in path {
        let mut next = vec![false; pattern.len() + 1];
        for at in (0..pattern.len()).filter(|at| states[*at]) {
            match pattern[at] {
                b'*' => {
                    let deep = pattern.get(at + 1) == Some(&b'*') || (at > 0 && pattern[at - 1] == b'*');
                    next[at] |= deep || byte != b'/';
                }
                b'?' => next[at + 1] |= byte != b'/',
                expected => next[at + 1] |= expected == byte,
            }
        }
        states = next;
        step(&mut states);
    }
    states[pattern.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_bundlers_do() {
        for (pattern, path, expected) in [
            ("a/*.js", "a/b.js", true),
            ("a/*.js", "a/b/c.js", false),
            ("a/**.js", "a/b/c.js", true),
            ("a/**/*.js", "a/c.js", true),
            ("a/**/*.js", "a/b/d/c.js", true),
            ("a/**", "a/b", true),
            ("a/x-*.js", "a/x-y.js", true),
            ("a/x-*.js", "a/y.js", false),
            ("a/{b,c}.ts", "a/c.ts", true),
            ("a/{b,c}.ts", "a/d.ts", false),
            ("a/?.ts", "a/d.ts", true),
            ("a", "ab", false),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
        assert!(!matches(&"*a".repeat(200), &"a".repeat(199)));
        assert!(!matches(&"{a,b}".repeat(40), "x"));
    }

    #[test]
    fn sources_of_builds_are_found() {
        let tree = Tree::in_memory(&[("p/src/a.ts", b""), ("p/b.tsx", b""), ("p/src/deep/c.ts", b"")]);
        for (path, expected) in [
            ("p/dist/a.js", Some("p/src/a.ts")),
            ("p/dist/esm/a.mjs", Some("p/src/a.ts")),
            ("p/lib/deep/c.js", Some("p/src/deep/c.ts")),
            ("p/build/b.js", Some("p/b.tsx")),
            ("p/dist/gone.js", None),
            ("p/other/a.js", None),
        ] {
            assert_eq!(source_of(&tree, "p", path).as_deref(), expected, "{path}");
        }
    }
}
