//! Values of options, as people write them.

use crate::cost::AssumedCost;
use crate::model::units::parse_megabytes;
use crate::solve::sweep::Budgets;

pub(super) fn budgets(text: &str) -> Result<Budgets, String> {
    let help = |part: &str, e: String| {
        format!("`{part}` in `{text}`: {e}; expected auto, a range 64MiB..4GiB, or budgets 256MiB,1GiB")
    };
    let size = |part: &str| budget(part).map_err(|e| help(part, e));
    if text == "auto" {
        return Ok(Budgets::Auto);
    }
    if let Some((low, high)) = text.split_once("..") {
        let (low, high) = (size(low)?, size(high)?);
        return if low < high { Ok(Budgets::Range(low, high)) } else { Err(help(text, "it does not grow".into())) };
    }
    let list: Vec<f64> = text.split(',').map(size).collect::<Result<_, _>>()?;
    if list.len() <= MOST_BUDGETS { Ok(Budgets::List(list)) } else { Err(format!("more than {MOST_BUDGETS} budgets")) }
}

/// Budgets of one curve: each is a plan by itself.
const MOST_BUDGETS: usize = 1_000;
/// Fewest repetitions of which quartiles say anything.
const LEAST_REPETITIONS: usize = 5;

pub(super) fn milliseconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(v) if v.is_finite() && (0.0..1e9).contains(&v) => Ok(v),
        _ => Err(format!("`{text}` is not a number of milliseconds")),
    }
}

pub(super) fn budget(text: &str) -> Result<f64, String> {
    parse_megabytes(text).map_err(|e| e.to_string())
}

pub(super) fn positive(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(v) if v > 0 => Ok(v),
        _ => Err(format!("`{text}` is not a whole number above 0")),
    }
}

pub(super) fn repetitions(text: &str) -> Result<usize, String> {
    let least = LEAST_REPETITIONS;
    match text.parse::<usize>() {
        Ok(v) if (least..=1_000).contains(&v) => Ok(v),
        _ => Err(format!("`{text}` is not a number of repetitions: at least {least}")),
    }
}

pub(super) fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(v) if v.is_finite() && v > 0.0 && v < 1e12 => Ok(v),
        _ => Err(format!("`{text}` is not a positive number of seconds")),
    }
}

pub(super) fn duration(text: &str) -> Result<f64, String> {
    let (number, unit) = match text.trim().strip_suffix('m') {
        Some(minutes) => (minutes, 60.0),
        None => (text.trim().trim_end_matches('s'), 1.0),
    };
    // A day is longer than any resolution takes.
    seconds(number)
        .map(|n| n * unit)
        .ok()
        .filter(|s| *s <= 86_400.0)
        .ok_or_else(|| format!("`{text}` is not a time: expected for example 90s or 2m"))
}

pub(super) fn day(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split('-').collect();
    let number = |part: &str, length: usize| (part.len() == length).then(|| part.parse::<u32>().ok()).flatten();
    match parts[..] {
        [y, m, d]
            if number(y, 4).is_some()
                && matches!(number(m, 2), Some(1..=12))
                && matches!(number(d, 2), Some(1..=31)) =>
        {
            Ok(text.to_string())
        }
        _ => Err(format!("`{text}` is not a day: expected for example 2026-01-31")),
    }
}

pub(super) fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(v) if (0.0..=1.0).contains(&v) => Ok(v),
        _ => Err(format!("`{text}` is not a share between 0 and 1")),
    }
}

pub(super) fn percent(text: &str) -> Result<f64, String> {
    let (number, unit) = match text.trim().strip_suffix('%') {
        Some(number) => (number.trim(), 100.0),
        None => (text.trim(), 1.0),
    };
    match number.parse::<f64>() {
        Ok(v) if (0.0..=unit).contains(&v) => Ok(v / unit),
        _ => Err(format!("`{text}` is not a share: expected 1% or 0.01")),
    }
}

pub(super) fn assumed_cost(text: &str) -> Result<AssumedCost, String> {
    let err = || format!("`{text}` is not a cost: expected milliseconds and size, for example 5ms,2MB");
    let (ms, mb) = text.split_once(',').ok_or_else(err)?;
    let load_ms: f64 = ms.trim().trim_end_matches("ms").trim().parse().map_err(|_| err())?;
    let resident_mb = parse_megabytes(mb).map_err(|_| err())?;
    if load_ms.is_finite() && load_ms >= 0.0 { Ok(AssumedCost { load_ms, resident_mb }) } else { Err(err()) }
}

pub(super) fn python_version(text: &str) -> Result<String, String> {
    platform_version("python", text)
        .ok_or_else(|| format!("`{text}` is not a Python version: expected for example 3.12"))
}

pub(super) fn node_version(text: &str) -> Result<String, String> {
    platform_version("node", text)
        .ok_or_else(|| format!("`{text}` is not a Node.js major version: expected for example 22"))
}

/// The version, if it makes a platform.
fn platform_version(language: &str, text: &str) -> Option<String> {
    let platform: crate::model::Platform = format!("{language}{text}-linux-x86_64-glibc").parse().ok()?;
    Some(platform.version)
}

pub(super) fn floor(text: &str) -> Result<(String, f64), String> {
    let parts = text.rsplit_once('=').map(|(function, share)| (function.trim(), crate::discover::wishes::share(share)));
    match parts {
        Some((function, Some(share))) if !function.is_empty() => Ok((function.to_string(), share)),
        _ => Err(format!("`{text}` is not a floor: expected for example payments-api=80%")),
    }
}

/// A registry and a path, with a slash at the end.
pub(super) fn registry(text: &str) -> Result<String, String> {
    let bare = text.strip_suffix('/').unwrap_or(text);
    let sound = |part: &str| {
        !part.is_empty()
            && part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:".contains(&b))
    };
    let mut parts = bare.split('/');
    // Only the host may have capitals, and a port.
    let sound = parts.next().is_some_and(sound)
        && parts.all(|part| sound(part) && !part.contains(|c: char| c == ':' || c.is_ascii_uppercase()));
    if sound {
        Ok(format!("{bare}/"))
    } else {
        Err(format!("`{text}` is no registry: expected for example registry.example/team"))
    }
}

/// A tag, as the OCI distribution specification writes it.
pub(super) fn tag(text: &str) -> Result<String, String> {
    let sound = |(at, b): (usize, u8)| b.is_ascii_alphanumeric() || b == b'_' || (at > 0 && b".-".contains(&b));
    if !text.is_empty() && text.len() <= 128 && text.bytes().enumerate().all(sound) {
        Ok(text.to_string())
    } else {
        Err(format!("`{text}` is no tag: letters, digits, `_`, and inside `.` and `-`"))
    }
}

pub(super) fn base(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((platform, reference))
            if !platform.is_empty()
                && !reference.is_empty()
                && !reference.starts_with('-')
                && !reference.contains(|c: char| c.is_whitespace() || c.is_control()) =>
        {
            Ok((platform.to_string(), reference.to_string()))
        }
        _ => Err(format!("`{text}` is no base: expected for example python3.11=registry.example/python:3.11")),
    }
}

/// As docker, podman and buildah write it; only files.
pub(super) fn secret(text: &str) -> Result<(String, std::path::PathBuf), String> {
    let help = |what: &str| format!("`{text}` {what}: expected for example id=pip_conf,src=pip.conf");
    let (mut id, mut src) = (None, None);
    for field in text.split(',') {
        match field.split_once('=') {
            Some(("id", value)) if !value.is_empty() => id = Some(value.to_string()),
            Some(("src" | "source", value)) if !value.is_empty() => src = Some(value),
            Some(("type", "file")) => {}
            // The builders split at commas too, so that such a name could not be handed on.
            _ => return Err(help("is no secret")),
        }
    }
    match (id, src) {
        (Some(id), Some(src)) if !src.contains(['"', '\n']) => Ok((id, src.into())),
        (Some(_), Some(_)) => Err(help("names a file that builders cannot be told")),
        _ => Err(help("lacks id or src")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_of_a_sweep_are_read() {
        assert_eq!(budgets("auto"), Ok(Budgets::Auto));
        assert_eq!(budgets("64MB..4GB"), Ok(Budgets::Range(64.0, 4000.0)));
        assert_eq!(budgets("1GB,500MB"), Ok(Budgets::List(vec![1000.0, 500.0])));
        for text in ["", "fleet", "4GB..64MB", "64MB..64MB", "..1GB", "1GB..", "1GB,,2GB", "0MB..1GB"] {
            assert!(budgets(text).is_err(), "{text}");
        }
    }

    #[test]
    fn costs_are_read_with_their_units() {
        assert_eq!(assumed_cost("5ms,2MB").unwrap(), AssumedCost { load_ms: 5.0, resident_mb: 2.0 });
        for text in ["5ms", "5,", "x,2MB", "-5ms,2MB", "5ms,0MB"] {
            assert!(assumed_cost(text).is_err(), "{text}");
        }
    }

    #[test]
    fn floors_are_read_from_their_last_equals_sign() {
        assert_eq!(floor("a=b=80%"), Ok(("a=b".to_string(), 0.8)));
        assert_eq!(floor("payments-* = 0.5"), Ok(("payments-*".to_string(), 0.5)));
        assert!(["x", "=80%", "x=", "x=80", "x=0%"].iter().all(|t| floor(t).is_err()));
    }

    #[test]
    fn registries_tags_bases_and_secrets_are_read() {
        assert_eq!(registry("registry.example:5000/team"), Ok("registry.example:5000/team/".into()));
        assert_eq!(registry("registry.example/"), Ok("registry.example/".into()));
        for text in ["", "/", "-x", "https://registry.example", "a//b", "a/B", "a/b:1", "a b"] {
            assert!(registry(text).is_err(), "{text}");
        }
        assert_eq!(tag("1.2-rc_3"), Ok("1.2-rc_3".into()));
        assert!(["", "-x", ".x", "a/b", "a:b", &"x".repeat(129)].iter().all(|t| tag(t).is_err()));
        assert_eq!(base("python3.11=r/p:1@sha256:ab"), Ok(("python3.11".into(), "r/p:1@sha256:ab".into())));
        assert!(["python3.11", "=r", "p=", "p=--x", "p=a b"].iter().all(|t| base(t).is_err()));
        let npmrc = Ok(("npmrc".to_string(), "a b/.npmrc".into()));
        assert_eq!(secret("id=npmrc,src=a b/.npmrc"), npmrc);
        assert_eq!(secret("type=file,source=a b/.npmrc,id=npmrc"), npmrc);
        for text in ["", "npmrc", "id=x", "src=x", "id=,src=x", "id=x,src=", "id=x,src=a,b", "id=x,env=TOKEN"] {
            assert!(secret(text).is_err(), "{text}");
        }
    }
}
