//! The text of a file's bytes.

use crate::model::{Diagnostic, Place, codes};

/// The text of a file's bytes, as [`Tree::text`] reads it.
///
/// # Errors
/// As [`Tree::text`].
pub fn decode(file: &str, bytes: Vec<u8>) -> Result<String, Diagnostic> {
    plain_text(bytes).map_err(|(code, line, reason)| Diagnostic::new(code, Place::at(file, line), reason))
}

pub(super) fn plain_text(mut bytes: Vec<u8>) -> Result<String, (crate::model::Code, u32, String)> {
    let wide = match bytes.get(..2) {
        Some([0xFF, 0xFE]) => Some(u16::from_le_bytes as fn([u8; 2]) -> u16),
        Some([0xFE, 0xFF]) => Some(u16::from_be_bytes as fn([u8; 2]) -> u16),
        _ => None,
    };
    if let Some(unit) = wide {
        let units = bytes[2..].chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        let text: Result<String, _> = char::decode_utf16(units).collect();
        let even = bytes.len().is_multiple_of(2);
        return match text {
            Ok(text) if even => match text.find('\0') {
                Some(at) => Err(binary(text.as_bytes(), at)),
                None => Ok(text),
            },
            _ => Err((codes::FILE_ENCODING, 0, "it starts as UTF-16 but is not valid UTF-16".into())),
        };
    }
    if bytes.starts_with(&[0xEF, 0xBB, 0xBF]) {
        bytes.drain(..3);
    }
    if let Some(at) = bytes.iter().position(|&b| b == 0) {
        return Err(binary(&bytes, at));
    }
    if std::str::from_utf8(&bytes).is_err() && says_one_byte(&bytes) {
        return Ok(bytes.iter().map(|&b| char::from(b)).collect());
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let bad = error.as_bytes().get(at).copied().unwrap_or_default();
        (codes::FILE_ENCODING, line_of(error.as_bytes(), at), format!("byte 0x{bad:02x} is not valid UTF-8"))
    })
}

pub(super) fn binary(bytes: &[u8], at: usize) -> (crate::model::Code, u32, String) {
    (codes::FILE_BINARY, line_of(bytes, at), "it holds a NUL byte, so it is not text".into())
}

/// Whether one of the first two lines is a coding cookie (PEP 263, which pip honours in requirements files) for an encoding
/// of one byte a character that extends ASCII. Letters outside ASCII may come out as others; names and versions have none.
pub(super) fn says_one_byte(bytes: &[u8]) -> bool {
    bytes.split(|&b| b == b'\n').take(2).filter(|line| line.trim_ascii_start().starts_with(b"#")).any(|line| {
        let line = String::from_utf8_lossy(line).to_ascii_lowercase().replace('_', "-");
        let Some((_, after)) = line.split_once("coding") else { return false };
        let Some(name) = after.strip_prefix([':', '=']).map(str::trim_start) else { return false };
        ["latin", "iso-8859", "iso8859", "l1", "cp125", "windows-125", "cp437", "cp850"]
            .iter()
            .any(|n| name.starts_with(n))
    })
}

pub(super) fn line_of(bytes: &[u8], at: usize) -> u32 {
    let before = bytes.get(..at).unwrap_or(bytes);
    u32::try_from(before.iter().filter(|&&b| b == b'\n').count() + 1).unwrap_or(u32::MAX)
}
