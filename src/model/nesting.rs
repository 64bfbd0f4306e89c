//! How deep a file is nested, before a recursive parser is let loose on it.
//!
//! Every level of a syntax tree costs at least one token, and a comma or the end of a statement closes what stands
//! before it. So the longest run of tokens without such an end, plus what its brackets hold, bounds the depth of the
//! tree: `a+a+a…` and `!!!!a` are as deep as `((((a`. Parsers, walks and destructors recurse by level; the bound
//! says how much stack that may take, and a file that asks for more than [`MAX_DEPTH`] is refused.

/// The deepest tree, in tokens, that is parsed. Sources written by people stay below a few hundred.
const MAX_DEPTH: usize = 20_000;

/// What a level may take of the stack: the most that any of the parsers was seen to take in a build without
/// optimisation, doubled.
const STACK_PER_LEVEL: usize = 24 * 1024;

/// A depth for which the smallest stack that callers have (2 MB, worker threads) is enough.
const SHALLOW: usize = 48;

/// What scanning a file's text tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Nesting {
    /// Upper bound of the depth of the syntax tree.
    pub(crate) depth: usize,
    /// Most brackets open at once.
    pub(crate) brackets: usize,
}

/// How the two languages differ, as far as nesting goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Syntax {
    Python,
    JavaScript,
}

/// Runs `work` where the stack is large enough for a tree of this depth; `None` when no stack is.
pub(crate) fn with_stack<T: Send>(nesting: Nesting, work: impl FnOnce() -> T + Send) -> Option<T> {
    if nesting.depth > MAX_DEPTH {
        return None;
    }
    if nesting.depth <= SHALLOW {
        return Some(work());
    }
    // Pages that the parser does not touch are never backed by memory.
    let size = nesting.depth * STACK_PER_LEVEL + 2 * 1024 * 1024;
    std::thread::scope(|scope| {
        let worker = std::thread::Builder::new().stack_size(size).spawn_scoped(scope, work).ok()?;
        match worker.join() {
            Ok(value) => Some(value),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// One open bracket, or the file itself.
#[derive(Default)]
struct Level {
    /// Tokens since the last comma or end of a statement.
    tokens: usize,
    /// Tokens that a comma does not end: `lambda a, b: lambda c, d: …`.
    sticky: usize,
    /// Deepest bracket since then.
    inner: usize,
    /// Deepest of what was ended.
    ended: usize,
}

impl Level {
    fn depth(&self) -> usize {
        self.ended.max(self.tokens + self.sticky + self.inner)
    }

    fn comma(&mut self) {
        self.ended = self.depth();
        self.tokens = 0;
        self.inner = 0;
    }

    fn end(&mut self) {
        self.comma();
        self.sticky = 0;
    }
}

/// Words after which JavaScript goes on with what a line break or a `}` seemed to end.
const CONTINUES: &[&[u8]] =
    &[b"else", b"in", b"instanceof", b"of", b"as", b"satisfies", b"extends", b"implements", b"from"];

/// Words that begin a new statement when they follow a `}`.
const BEGINS: &[&[u8]] = &[
    b"function",
    b"class",
    b"var",
    b"let",
    b"const",
    b"import",
    b"export",
    b"return",
    b"if",
    b"for",
    b"switch",
    b"try",
    b"throw",
    b"async",
];

/// Words after which a `/` begins a regular expression.
const BEFORE_REGEX: &[&[u8]] =
    &[b"return", b"typeof", b"case", b"in", b"of", b"do", b"else", b"void", b"delete", b"throw", b"new"];

/// What a byte is, looked up: the text of every source goes through here.
const WORD: u8 = 1;
const OPENS: u8 = 2;
const CLOSES: u8 = 4;
const ANGLE: u8 = 8;
const KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        kinds[at] = match byte {
            b'(' | b'[' | b'{' => OPENS,
            b')' | b']' | b'}' => CLOSES,
            b'<' => ANGLE,
            b'_' | b'$' | 0x80.. => WORD,
            _ if byte.is_ascii_alphanumeric() => WORD,
            _ => 0,
        };
        at += 1;
    }
    kinds
};

fn is_word(byte: u8) -> bool {
    KINDS[usize::from(byte)] == WORD
}

/// Bounds the depth of a file's syntax tree. Strings, comments and regular expressions count as one token.
pub(crate) fn scan(text: &str, syntax: Syntax) -> Nesting {
    let bytes = text.as_bytes();
    let mut stack: Vec<Level> = vec![Level::default()];
    let mut nesting = Nesting::default();
    // Brackets whether in strings or not: a net under the scan, which can mistake the text of JSX for a string.
    let (mut crude, mut crude_max, mut angles) = (0usize, 0usize, 0usize);
    for &byte in bytes {
        match KINDS[usize::from(byte)] {
            0 | WORD => {}
            OPENS => {
                crude += 1;
                crude_max = crude_max.max(crude);
            }
            CLOSES => crude = crude.saturating_sub(1),
            _ => angles += 1,
        }
    }
    let mut at = 0;
    // The last significant byte, the word that ended with it, and whether a line ended since.
    let (mut previous, mut word, mut fresh_line): (u8, &[u8], bool) = (b';', b"", true);
    // Where `${` of a template literal opened: the `}` at that level goes on with the template.
    let mut templates: Vec<usize> = Vec::new();
    let mut elif = 0;
    while let Some(&byte) = bytes.get(at) {
        let begun = at;
        match byte {
            b'\n' | b'\r' => {
                if syntax == Syntax::Python && stack.len() == 1 && bytes.get(at.wrapping_sub(1)) != Some(&b'\\') {
                    last(&mut stack).end();
                }
                fresh_line = true;
                at += 1;
                continue;
            }
            b' ' | b'\t' | 0x0c => {
                at += 1;
                continue;
            }
            b'#' if syntax == Syntax::Python || (at == 0 && bytes.get(1) == Some(&b'!')) => {
                at = line_end(bytes, at);
                continue;
            }
            b'/' if syntax == Syntax::JavaScript && bytes.get(at + 1) == Some(&b'/') => {
                at = line_end(bytes, at);
                continue;
            }
            b'/' if syntax == Syntax::JavaScript && bytes.get(at + 1) == Some(&b'*') => {
                at = text[at + 2..].find("*/").map_or(bytes.len(), |end| at + 2 + end + 2);
                continue;
            }
            b'/' if syntax == Syntax::JavaScript && regex_may_follow(previous, word) => {
                at = regex_end(bytes, at);
                last(&mut stack).tokens += 1;
            }
            b'\'' | b'"' => {
                at = string_end(bytes, at, syntax);
                last(&mut stack).tokens += 1;
            }
            b'`' if syntax == Syntax::JavaScript => {
                last(&mut stack).tokens += 1;
                at = template(bytes, at + 1, &mut stack, &mut templates);
            }
            b'(' | b'[' | b'{' => {
                stack.push(Level::default());
                nesting.brackets = nesting.brackets.max(stack.len() - 1);
                at += 1;
            }
            b')' | b']' | b'}' => {
                close(&mut stack);
                at += 1;
                if byte == b'}' && templates.last() == Some(&stack.len()) {
                    templates.pop();
                    at = template(bytes, at, &mut stack, &mut templates);
                }
            }
            b',' => {
                last(&mut stack).comma();
                at += 1;
            }
            b';' => {
                last(&mut stack).end();
                at += 1;
            }
            _ if is_word(byte) => {
                while bytes.get(at).is_some_and(|&b| is_word(b)) {
                    at += 1;
                }
                let this = &bytes[begun..at];
                let level = last(&mut stack);
                if syntax == Syntax::Python {
                    match this {
                        b"lambda" => level.sticky += 1,
                        // One parser nests each `elif` in the one before.
                        b"elif" => elif += 1,
                        _ => {}
                    }
                } else {
                    let after_value = is_word(previous) || matches!(previous, b')' | b']' | b'}' | b'"' | b'\'' | b'`');
                    let new_line =
                        fresh_line && after_value && !CONTINUES.contains(&this) && !CONTINUES.contains(&word);
                    if new_line || (previous == b'}' && BEGINS.contains(&this)) {
                        level.end();
                    }
                }
                level.tokens += 1;
                (previous, word, fresh_line) = (bytes[at - 1], this, false);
                continue;
            }
            _ => {
                last(&mut stack).tokens += 1;
                at += 1;
            }
        }
        (previous, word, fresh_line) = (bytes[at.min(bytes.len()) - 1], b"", false);
    }
    while stack.len() > 1 {
        close(&mut stack);
    }
    let net = if syntax == Syntax::JavaScript { crude_max.max(angles) } else { crude_max };
    nesting.depth = (last(&mut stack).depth() + elif).max(net.min(MAX_DEPTH));
    nesting
}

/// The innermost level; there is always one.
fn last(stack: &mut Vec<Level>) -> &mut Level {
    if stack.is_empty() {
        stack.push(Level::default());
    }
    let at = stack.len() - 1;
    &mut stack[at]
}

fn close(stack: &mut Vec<Level>) {
    if stack.len() > 1
        && let Some(level) = stack.pop()
    {
        let depth = level.depth() + 1;
        let outer = last(stack);
        outer.inner = outer.inner.max(depth);
        outer.tokens += 1;
    }
}

fn line_end(bytes: &[u8], from: usize) -> usize {
    memchr::memchr2(b'\n', b'\r', &bytes[from..]).map_or(bytes.len(), |end| from + end)
}

/// The end of a quoted string; without three quotes it ends with its line at the latest.
fn string_end(bytes: &[u8], from: usize, syntax: Syntax) -> usize {
    let quote = bytes[from];
    let triple = syntax == Syntax::Python && bytes.get(from + 1) == Some(&quote) && bytes.get(from + 2) == Some(&quote);
    let mut at = from + if triple { 3 } else { 1 };
    if triple {
        while let Some(next) = bytes.get(at..).and_then(|rest| memchr::memchr2(quote, b'\\', rest)) {
            at += next;
            match bytes[at] {
                b'\\' => at += 2,
                _ if bytes[at..].starts_with(&[quote; 3]) => return at + 3,
                _ => at += 1,
            }
        }
        return bytes.len();
    }
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'\n' | b'\r' => return at,
            _ if byte == quote => return at + 1,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

fn regex_may_follow(previous: u8, word: &[u8]) -> bool {
    if is_word(previous) {
        BEFORE_REGEX.contains(&word)
    } else {
        !matches!(previous, b')' | b']' | b'}' | b'"' | b'\'' | b'`' | b'<')
    }
}

fn regex_end(bytes: &[u8], from: usize) -> usize {
    let (mut at, mut class) = (from + 1, false);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'[' => class = true,
            b']' => class = false,
            b'/' if !class => return at + 1,
            // No regular expression: go on behind the slash.
            b'\n' | b'\r' => return from + 1,
            _ => {}
        }
        at += 1;
    }
    from + 1
}

/// Skips the text of a template literal; at `${` it opens a level and returns to the scan.
fn template(bytes: &[u8], from: usize, stack: &mut Vec<Level>, templates: &mut Vec<usize>) -> usize {
    let mut at = from;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'`' => return at + 1,
            b'$' if bytes.get(at + 1) == Some(&b'{') => {
                templates.push(stack.len());
                stack.push(Level::default());
                return at + 2;
            }
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// Most levels of indentation open at once, counting every line.
pub(crate) fn deepest_indent(text: &str) -> usize {
    let mut open: Vec<usize> = Vec::new();
    let mut deepest = 0;
    let (bytes, mut start) = (text.as_bytes(), 0);
    while let Some(line) = bytes.get(start..).filter(|rest| !rest.is_empty()) {
        let width = line.iter().position(|&b| !matches!(b, b' ' | b'\t' | 0x0c)).unwrap_or(line.len());
        let end = memchr::memchr(b'\n', &line[width..]).map_or(line.len(), |end| width + end);
        start += end + 1;
        if matches!(&line[width..end], b"" | b"\r") {
            continue;
        }
        while open.last().is_some_and(|&outer| outer >= width) {
            open.pop();
        }
        if width > 0 {
            open.push(width);
        }
        deepest = deepest.max(open.len());
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn python(text: &str) -> Nesting {
        scan(text, Syntax::Python)
    }

    fn javascript(text: &str) -> Nesting {
        scan(text, Syntax::JavaScript)
    }

    #[test]
    fn brackets_count_outside_strings_and_comments_only() {
        assert_eq!(python("f(a[b{c}])").brackets, 3);
        assert_eq!(python("x = '((((' # ((((\ny = '''\n((('\n'''").brackets, 0);
        assert_eq!(javascript("f(/[(/]/, '((', `((${g(1)}((`) // ((").brackets, 3);
        assert_eq!(javascript("a = b / c; d = (e / f)").brackets, 1);
    }

    #[test]
    fn chains_are_as_deep_as_brackets_and_lists_are_not() {
        assert!(python(&format!("x = {}1", "1+".repeat(500))).depth >= 500);
        assert!(javascript(&format!("x = {}1", "!".repeat(500))).depth >= 500);
        assert!(javascript(&"if (a) {} else ".repeat(300)).depth >= 300);
        assert!(python(&format!("x = [{}]", "1, ".repeat(5000))).depth < 20);
        assert!(python(&"x = f(1)\n".repeat(5000)).depth < 20);
        assert!(javascript(&"const x = f(1)\n".repeat(5000)).depth < 20);
        assert!(javascript(&"function f(a){return a}".repeat(5000)).depth < 20);
        assert!(python(&format!("x = {}1", "lambda a, b: ".repeat(500))).depth >= 500);
    }

    #[test]
    fn what_is_too_deep_is_not_tried() {
        assert_eq!(with_stack(Nesting { depth: 10, brackets: 0 }, || 1), Some(1));
        assert_eq!(with_stack(Nesting { depth: 5_000, brackets: 0 }, || 2), Some(2));
        assert_eq!(with_stack(Nesting { depth: MAX_DEPTH + 1, brackets: 0 }, || 3), None);
    }
}
