//! From the bytes of a Python file to its text, as PEP 263 says.

use std::borrow::Cow;

/// Why bytes are no text that Python would read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Undecodable {
    /// NUL bytes: no source at all. Line of the first.
    Binary(u32),
    /// Bytes that the encoding does not have, or an encoding that is not read. Line (0: all of it) and reason.
    Encoding(u32, String),
}

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Decodes a source by its byte order mark, its coding cookie (first two lines), or as UTF-8.
///
/// Encodings of one byte a character that extend ASCII are read as Latin-1: letters outside ASCII, in strings and
/// comments, may come out as other letters, but statements and module names do not change.
pub(super) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Undecodable> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        let reason = "the file is in UTF-16, which Python does not run".to_string();
        return Err(Undecodable::Encoding(0, reason));
    }
    if let Some(at) = memchr::memchr(0, bytes) {
        return Err(Undecodable::Binary(line_of(bytes, at)));
    }
    let (marked, bytes) = bytes.strip_prefix(BOM).map_or((false, bytes), |rest| (true, rest));
    let cookie = cookie(bytes);
    let name = cookie.as_ref().map_or("utf-8", |(_, name)| name.as_str());
    let line = cookie.as_ref().map_or(0, |(line, _)| *line);
    match family(name) {
        Family::Utf8 => utf8(bytes),
        _ if marked => {
            Err(Undecodable::Encoding(line, format!("the byte order mark says UTF-8 and the coding cookie {name}")))
        }
        Family::Ascii => match bytes.iter().position(|&b| b >= 0x80) {
            None => utf8(bytes),
            Some(at) => {
                Err(Undecodable::Encoding(line_of(bytes, at), format!("byte 0x{:02x} is not ASCII", bytes[at])))
            }
        },
        Family::OneByte => Ok(bytes.iter().map(|&b| char::from(b)).collect::<String>().into()),
        // Most files that declare one of these hold ASCII only.
        Family::Other => match std::str::from_utf8(bytes) {
            Ok(text) if text.is_ascii() && family_extends_ascii(name) => Ok(text.into()),
            _ => Err(Undecodable::Encoding(line, format!("{name} is not an encoding that warmset reads"))),
        },
    }
}

fn utf8(bytes: &[u8]) -> Result<Cow<'_, str>, Undecodable> {
    std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|e| {
        let at = e.valid_up_to();
        let byte = bytes.get(at).copied().unwrap_or_default();
        Undecodable::Encoding(line_of(bytes, at), format!("byte 0x{byte:02x} is not valid UTF-8"))
    })
}

fn line_of(bytes: &[u8], at: usize) -> u32 {
    u32::try_from(bytes[..at].iter().filter(|&&b| b == b'\n').count() + 1).unwrap_or(u32::MAX)
}

enum Family {
    Utf8,
    Ascii,
    OneByte,
    Other,
}

/// Normalised as Python's codec look-up does, then by the aliases that its documentation lists.
fn family(name: &str) -> Family {
    let name = name.to_ascii_lowercase().replace('_', "-");
    match name.as_str() {
        "utf-8" | "utf8" | "u8" | "utf-8-sig" | "utf8-sig" | "utf8mb4" | "cp65001" => Family::Utf8,
        // Emacs writes the line ends behind the name.
        _ if name.starts_with("utf-8-") => Family::Utf8,
        "ascii" | "us-ascii" | "646" => Family::Ascii,
        "latin-1" | "latin1" | "latin" | "l1" | "8859" | "cp819" | "koi8-r" | "koi8-u" | "mac-roman" | "macroman" => {
            Family::OneByte
        }
        _ if ["iso-8859-", "iso8859-", "latin-1-", "cp125", "windows-125", "cp85", "cp86", "cp437"]
            .iter()
            .any(|prefix| name.starts_with(prefix)) =>
        {
            Family::OneByte
        }
        _ => Family::Other,
    }
}

/// Multi-byte encodings in which bytes below 0x80 are ASCII as long as no byte is above.
fn family_extends_ascii(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["gb", "big5", "euc", "shift", "sjis", "cp9", "johab", "tis", "cp"].iter().any(|prefix| name.starts_with(prefix))
}

/// Line and name of the coding cookie: `^[ \t\f]*#.*?coding[:=][ \t]*([-_.a-zA-Z0-9]+)` in the first line, or in the
/// second when the first is blank or a comment.
fn cookie(bytes: &[u8]) -> Option<(u32, String)> {
    for (number, line) in bytes.split(|&b| b == b'\n').take(2).enumerate() {
        let text = line.trim_ascii_start();
        let Some(comment) = text.strip_prefix(b"#") else {
            if text.is_empty() {
                continue;
            }
            return None;
        };
        for at in 0..comment.len() {
            let Some(rest) = comment[at..].strip_prefix(b"coding") else { continue };
            let Some((b':' | b'=', rest)) = rest.split_first() else { continue };
            let rest = rest.trim_ascii_start();
            let end =
                rest.iter().position(|b| !(b.is_ascii_alphanumeric() || b"-_.".contains(b))).unwrap_or(rest.len());
            if end > 0 {
                let name = rest[..end].iter().map(|&b| char::from(b)).collect();
                return Some((u32::try_from(number + 1).unwrap_or(1), name));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mark_and_cookie_say_the_encoding() {
        for (bytes, text) in [
            (&b"x = '\xc3\xa9'"[..], "x = '\u{e9}'"),
            (b"\xef\xbb\xbfx = 1", "x = 1"),
            (b"# -*- coding: latin-1 -*-\nx = '\xe9'", "# -*- coding: latin-1 -*-\nx = '\u{e9}'"),
            (
                b"#!/usr/bin/python\n# vim: set fileencoding=iso-8859-15 :\n'\xa4'",
                "#!/usr/bin/python\n# vim: set fileencoding=iso-8859-15 :\n'\u{a4}'",
            ),
            (b"# coding: UTF_8\n'\xc3\xa9'", "# coding: UTF_8\n'\u{e9}'"),
            (b"# coding: gbk\nx = 1", "# coding: gbk\nx = 1"),
        ] {
            assert_eq!(decode(bytes).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_python_would_refuse_is_refused() {
        let place = |bytes: &[u8]| match decode(bytes) {
            Err(Undecodable::Encoding(line, _)) => line,
            other => panic!("{other:?}"),
        };
        assert_eq!(place(b"\xff\xfei\0m\0"), 0);
        assert_eq!(place(b"import os\nx = '\xe9'"), 2);
        assert_eq!(place(b"# coding: ascii\nx = '\xe9'"), 2);
        assert_eq!(place(b"\xef\xbb\xbf# coding: latin-1\n"), 1);
        assert_eq!(place(b"# coding: klingon\n"), 1);
        // A cookie in the third line, or behind code, is a comment like any other.
        assert_eq!(place(b"\n\n# coding: latin-1\n'\xe9'"), 4);
        assert_eq!(place(b"x = 1\n# coding: latin-1\n'\xe9'"), 3);
        assert_eq!(decode(b"import os\0"), Err(Undecodable::Binary(1)));
    }
}
