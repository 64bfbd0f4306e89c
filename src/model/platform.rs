//! What must match before two functions can share a process.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::name::Ecosystem;

/// A language whose functions are planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// CPython.
    Python,
    /// Node.js.
    Node,
}

impl Language {
    /// Where its packages are published.
    pub fn ecosystem(self) -> Ecosystem {
        match self {
            Language::Python => Ecosystem::Pypi,
            Language::Node => Ecosystem::Npm,
        }
    }

    /// Whether a live image can be forked from another and share its memory. Node's threads do not survive a fork: each
    /// of its processes loads all of its own.
    pub fn forks(self) -> bool {
        self == Language::Python
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Language::Python => "python",
            Language::Node => "node",
        })
    }
}

/// Language, runtime version, operating system, architecture and libc, written `python3.11-linux-x86_64-glibc`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// The language.
    pub language: Language,
    /// `3.11` for Python, `20` for Node.
    pub version: String,
    /// `linux`; other values are carried but no function runs there.
    pub os: String,
    /// `x86_64` or `aarch64`.
    pub arch: String,
    /// `glibc` or `musl`.
    pub libc: String,
}

impl Platform {
    /// Linux on x86-64 with glibc.
    pub fn linux(language: Language, version: &str) -> Self {
        Self { language, version: version.into(), os: "linux".into(), arch: "x86_64".into(), libc: "glibc".into() }
    }

    /// `(major, minor)`; minor is 0 where only a major is given.
    pub fn version_pair(&self) -> (u32, u32) {
        let mut parts = self.version.split('.').map(|p| p.parse().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
    }

    /// A short prefix for image ids: `py311`, `node20`.
    pub fn short(&self) -> String {
        let digits: String = self.version.chars().filter(char::is_ascii_digit).collect();
        match self.language {
            Language::Python => format!("py{digits}"),
            Language::Node => format!("node{digits}"),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}-{}-{}-{}", self.language, self.version, self.os, self.arch, self.libc)
    }
}

/// The text is not a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a platform: expected for example python3.11-linux-x86_64-glibc or node20-linux-aarch64-musl")]
pub struct ParsePlatformError(String);

impl FromStr for Platform {
    type Err = ParsePlatformError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let err = || ParsePlatformError(text.to_string());
        let parts: Vec<&str> = text.split('-').collect();
        let [runtime, os, arch, libc] = parts[..] else { return Err(err()) };
        let (language, version) = if let Some(v) = runtime.strip_prefix("python") {
            (Language::Python, v)
        } else if let Some(v) = runtime.strip_prefix("node") {
            (Language::Node, v)
        } else {
            return Err(err());
        };
        let numeric = |p: &str| !p.is_empty() && p.len() <= 4 && p.bytes().all(|b| b.is_ascii_digit());
        let count = version.split('.').count();
        let wanted = if language == Language::Python { 2 } else { 1 };
        if count != wanted
            || !version.split('.').all(numeric)
            || !matches!(os, "linux" | "darwin" | "windows")
            || !matches!(arch, "x86_64" | "aarch64")
            || !matches!(libc, "glibc" | "musl" | "none")
        {
            return Err(err());
        }
        Ok(Self { language, version: version.into(), os: os.into(), arch: arch.into(), libc: libc.into() })
    }
}

impl Serialize for Platform {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Platform {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Platform {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Platform".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "language and runtime version, operating system, architecture, libc",
            "pattern": "^(python[0-9]+\\.[0-9]+|node[0-9]+)-(linux|darwin|windows)-(x86_64|aarch64)-(glibc|musl|none)$",
            "examples": ["python3.11-linux-x86_64-glibc", "node20-linux-aarch64-musl"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_survive_writing_and_reading() {
        for text in ["python3.11-linux-x86_64-glibc", "node20-linux-aarch64-musl"] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn text_that_is_no_platform_is_refused() {
        for text in [
            "python-linux-x86_64-glibc",
            "python3-linux-x86_64-glibc",
            "ruby3.2-linux-x86_64-glibc",
            "node20",
            "node20-linux-sparc-glibc",
            "node20.1-linux-x86_64-glibc",
        ] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn short_names_hold_no_punctuation() {
        assert_eq!(Platform::linux(Language::Python, "3.11").short(), "py311");
        assert_eq!(Platform::linux(Language::Node, "20").short(), "node20");
    }
}
