//! Sizes as people write them. `MB` is 10^6 bytes everywhere in warmset; `MiB` is 2^20.

/// The text is not an amount of memory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an amount of memory: expected a positive number with a unit, for example 256MiB, 1.5GB or 512M")]
pub struct ParseSizeError(String);

/// Reads `256MiB`, `441.3MB`, `2GiB`, `512M` (= MB) or a plain number (= MB) into MB.
///
/// Zero, negative, infinite and missing numbers are errors: a budget of nothing is a mistake, not a plan.
pub fn parse_megabytes(text: &str) -> Result<f64, ParseSizeError> {
    let err = || ParseSizeError(text.to_string());
    let trimmed = text.trim();
    let split = trimmed.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(split);
    let number: f64 = number.parse().map_err(|_| err())?;
    let bytes = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "m" | "mb" => 1e6,
        "b" => 1.0,
        "k" | "kb" => 1e3,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return Err(err()),
    };
    let mb = number * bytes / 1e6;
    if mb.is_finite() && mb > 0.0 { Ok(mb) } else { Err(err()) }
}

/// Rounds to `digits` decimals, so that artefacts do not carry the noise of summation order.
pub fn round(value: f64, digits: u32) -> f64 {
    let scale = 10f64.powi(digits as i32);
    let rounded = (value * scale).round() / scale;
    // A negative zero would print as `-0.0`.
    if rounded == 0.0 { 0.0 } else { rounded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_decimal_unless_binary_is_written() {
        assert_eq!(parse_megabytes("441.3MB").unwrap(), 441.3);
        assert_eq!(parse_megabytes("512").unwrap(), 512.0);
        assert_eq!(parse_megabytes("2 GB").unwrap(), 2000.0);
        assert_eq!(parse_megabytes("256MiB").unwrap(), 268.435456);
    }

    #[test]
    fn nothing_negative_and_nonsense_are_refused() {
        for text in ["0", "0MiB", "-5MB", "lots", "", "1e400GB", "12 parsecs", "NaN", "inf", "1.2.3MB", "MB"] {
            assert!(parse_megabytes(text).is_err(), "{text}");
        }
    }
}
