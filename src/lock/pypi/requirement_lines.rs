//! The text of requirements files as pip takes it apart before it looks at a requirement: logical lines, options, locations.

use super::pep508;

/// A line after continuations are joined and its comment is cut off.
pub(super) struct Logical {
    /// Where it starts, from 1.
    pub line: u32,
    /// Without comment and surrounding blanks.
    pub content: String,
    pub comment: Option<String>,
    /// Whether it starts with a blank: notes of generators do.
    pub indented: bool,
}

/// The lines of a requirements file as pip joins and cuts them, empty ones included.
pub(super) fn logical_lines(text: &str) -> Vec<Logical> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut out = Vec::new();
    let mut joined: Option<(u32, String)> = None;
    for (number, line) in (1u32..).zip(text.lines()) {
        let is_comment = line.trim_start().starts_with('#');
        if line.ends_with('\\') && !is_comment {
            let (_, joined) = joined.get_or_insert_with(|| (number, String::new()));
            joined.push_str(line.trim_matches('\\'));
            continue;
        }
        match joined.take() {
            // The blank keeps the comment one when it follows a continued line directly.
            Some((start, before)) => {
                out.push(logical(start, &format!("{before}{}{line}", if is_comment { " " } else { "" })))
            }
            None => out.push(logical(number, line)),
        }
    }
    out.extend(joined.map(|(start, before)| logical(start, &before)));
    out
}

fn logical(line: u32, text: &str) -> Logical {
    let bytes = text.as_bytes();
    let starts = |&(at, c): &(usize, char)| c == '#' && (at == 0 || bytes[at - 1].is_ascii_whitespace());
    let (content, comment) = match text.char_indices().find(starts) {
        Some((at, _)) => (&text[..at], Some(text[at + 1..].trim().to_string())),
        None => (text, None),
    };
    Logical { line, content: content.trim().to_string(), comment, indented: text.starts_with([' ', '\t']) }
}

/// The flag and value of an option line: `-rfile`, `-r file`, `--requirement=file`.
pub(super) fn option(content: &str) -> (&str, String) {
    let unquote = |v: &str| v.trim().trim_matches(['"', '\'']).to_string();
    if content.starts_with("--") {
        let end = content.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(content.len());
        return (&content[..end], unquote(content[end..].trim_start_matches('=')));
    }
    let end = content.char_indices().nth(2).map_or(content.len(), |(at, _)| at);
    (&content[..end], unquote(&content[end..]))
}

/// Options of a requirement start at the first word with a leading dash.
pub(super) fn split_options(content: &str) -> (&str, &str) {
    let mut blank = false;
    for (at, c) in content.char_indices() {
        if c == '-' && blank {
            return (content[..at].trim(), &content[at..]);
        }
        blank = c.is_whitespace();
    }
    (content.trim(), "")
}

/// Whether pip takes it as a URL or path: not `name @ URL`, and not a version specifier.
pub(super) fn is_location(text: &str) -> bool {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(text.len());
    let rest = text[end..].trim_start();
    let rest = rest.strip_prefix('[').and_then(|r| r.split_once(']')).map_or(rest, |(_, after)| after.trim_start());
    if end > 0 && rest.starts_with('@') {
        return false;
    }
    let head = text.split(';').next().unwrap_or(text).trim();
    let scheme = head.split_once(':').is_some_and(|(scheme, after)| {
        let known = scheme == "file" || ["git+", "hg+", "svn+", "bzr+"].iter().any(|vcs| scheme.starts_with(vcs));
        known || after.starts_with("//") && scheme.bytes().all(|b| b.is_ascii_alphanumeric())
    });
    scheme
        || head.starts_with(['.', '/', '~'])
        || head.contains(['/', '\\'])
        || (pep508::archive(head).is_some() && !head.contains('='))
}

/// The first `${VARIABLE}`: pip knows only names in capitals.
pub(super) fn variable(text: &str) -> Option<&str> {
    let start = text.find("${")?;
    let len = text[start..].find('}')?;
    let name = &text[start + 2..start + len];
    let valid = !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    valid.then(|| &text[start..=start + len])
}

/// A URL without user and password.
pub(super) fn redact(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_string() };
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..authority].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_in_every_spelling() {
        for text in ["-rbase.txt", "-r base.txt", "-r 'base.txt'"] {
            assert_eq!(option(text), ("-r", "base.txt".to_string()), "{text}");
        }
        for text in ["--requirement=base.txt", "--requirement base.txt", "--requirement  \"base.txt\""] {
            assert_eq!(option(text), ("--requirement", "base.txt".to_string()), "{text}");
        }
        assert_eq!(option("-"), ("-", String::new()));
        assert_eq!(split_options("a-b==1 ; x < '2' --hash=y -C z"), ("a-b==1 ; x < '2'", "--hash=y -C z"));
    }

    #[test]
    fn locations_are_told_from_specifiers() {
        for text in [
            "./x",
            "../x[a]",
            "/x",
            "x/y",
            "git+ssh://git@host/x",
            "https://host/x",
            "file:x",
            "numpy-1.9.2-py3-none-any.whl",
            "C:\\x",
        ] {
            assert!(is_location(text), "{text}");
        }
        for text in
            ["x", "x==1", "x @ https://host/x", "x[a] @ file:x", "x ; sys_platform == 'a/b'", "a.zip==1", "x>=1,<2"]
        {
            assert!(!is_location(text), "{text}");
        }
    }

    #[test]
    fn passwords_are_cut_out_of_the_authority_only() {
        assert_eq!(redact("git+https://u:p@h/x@v1"), "git+https://h/x@v1");
        assert_eq!(redact("https://h/x@v1"), "https://h/x@v1");
        assert_eq!(redact("../x@y"), "../x@y");
    }

    #[test]
    fn variables_are_capitals_in_braces() {
        assert_eq!(variable("a==${V_1}"), Some("${V_1}"));
        assert_eq!((variable("a==${v}"), variable("a==$V"), variable("${"), variable("${}")), (None, None, None, None));
    }
}
