//! Package names and ids.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where a package is published; it fixes how names are normalised and how an id is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ecosystem {
    /// The Python Package Index.
    Pypi,
    /// The npm registry.
    Npm,
}

impl Ecosystem {
    /// `==` for PyPI, `@` for npm.
    pub fn separator(self) -> &'static str {
        match self {
            Ecosystem::Pypi => "==",
            Ecosystem::Npm => "@",
        }
    }
}

impl fmt::Display for Ecosystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ecosystem::Pypi => "pypi",
            Ecosystem::Npm => "npm",
        })
    }
}

/// Normalises a distribution name as PEP 503 says: lower case, runs of `-`, `_`, `.` become one `-`.
pub fn normalise_pypi(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut gap = false;
    for c in name.trim_matches(|c: char| c.is_whitespace() || matches!(c, '-' | '_' | '.')).chars() {
        if matches!(c, '-' | '_' | '.') {
            gap = true;
        } else {
            if gap {
                out.push('-');
            }
            gap = false;
            out.extend(c.to_lowercase());
        }
    }
    out
}

/// Ecosystem, normalised name and exact version: `pypi:numpy==1.26.4`, `npm:@aws-sdk/client-s3@3.600.0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageId {
    /// Where it is published.
    pub ecosystem: Ecosystem,
    /// Normalised name (PEP 503 for PyPI, verbatim for npm).
    pub name: String,
    /// Exact version as the lock writes it.
    pub version: String,
}

impl PackageId {
    /// A PyPI package; the name is normalised.
    pub fn pypi(name: &str, version: &str) -> Self {
        Self { ecosystem: Ecosystem::Pypi, name: normalise_pypi(name), version: version.into() }
    }

    /// An npm package.
    pub fn npm(name: &str, version: &str) -> Self {
        Self { ecosystem: Ecosystem::Npm, name: name.into(), version: version.into() }
    }

    /// `name==version` or `name@version`: how plans and manifests write it inside one ecosystem.
    pub fn spec(&self) -> String {
        format!("{}{}{}", self.name, self.ecosystem.separator(), self.version)
    }

    /// Reads `name==version` or `name@version` of a known ecosystem.
    pub fn from_spec(ecosystem: Ecosystem, spec: &str) -> Result<Self, ParsePackageIdError> {
        let err = || ParsePackageIdError(spec.to_string());
        let at = match ecosystem {
            Ecosystem::Pypi => spec.find("==").ok_or_else(err)?,
            // A scope's own `@` is the first character.
            Ecosystem::Npm => {
                spec.char_indices().skip(1).filter(|&(_, c)| c == '@').map(|(i, _)| i).next().ok_or_else(err)?
            }
        };
        let (name, version) = (&spec[..at], &spec[at + ecosystem.separator().len()..]);
        if name.is_empty() || version.is_empty() || version.chars().any(char::is_whitespace) {
            return Err(err());
        }
        let id = match ecosystem {
            Ecosystem::Pypi => Self::pypi(name, version),
            Ecosystem::Npm => Self::npm(name, version),
        };
        // `a-=-==1` would be read as another one when it is written again.
        let ambiguous = ecosystem == Ecosystem::Pypi && id.name.contains('=');
        if id.name.is_empty() || ambiguous { Err(err()) } else { Ok(id) }
    }

    /// Whether its text means it: an artefact that holds another one could not be read again.
    pub fn is_sound(&self) -> bool {
        Self::from_spec(self.ecosystem, &self.spec()).is_ok_and(|id| id == *self)
    }
}

impl fmt::Display for PackageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}{}{}", self.ecosystem, self.name, self.ecosystem.separator(), self.version)
    }
}

/// The text is not a package id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a package id: expected pypi:NAME==VERSION or npm:NAME@VERSION")]
pub struct ParsePackageIdError(String);

impl FromStr for PackageId {
    type Err = ParsePackageIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (ecosystem, spec) = match text.split_once(':') {
            Some(("pypi", spec)) => (Ecosystem::Pypi, spec),
            Some(("npm", spec)) => (Ecosystem::Npm, spec),
            _ => return Err(ParsePackageIdError(text.to_string())),
        };
        Self::from_spec(ecosystem, spec).map_err(|_| ParsePackageIdError(text.to_string()))
    }
}

impl Serialize for PackageId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PackageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for PackageId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PackageId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "ecosystem, normalised name, exact version",
            "pattern": "^(pypi:[^=\\s]+==\\S+|npm:(@[^@/\\s]+/)?[^@\\s]+@\\S+)$",
            "examples": ["pypi:numpy==1.26.4", "npm:@aws-sdk/client-s3@3.600.0"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised_as_pep_503_says() {
        for (raw, want) in [
            ("Flask_SQLAlchemy", "flask-sqlalchemy"),
            ("zope..interface", "zope-interface"),
            ("ruamel.yaml", "ruamel-yaml"),
            ("a-_.b", "a-b"),
        ] {
            assert_eq!(normalise_pypi(raw), want);
        }
    }

    #[test]
    fn ids_survive_writing_and_reading() {
        for text in
            ["pypi:numpy==1.26.4", "npm:express@4.19.2", "npm:@aws-sdk/client-s3@3.600.0", "pypi:torch==2.1.0+cpu"]
        {
            assert_eq!(text.parse::<PackageId>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn text_that_is_no_id_is_refused() {
        for text in [
            "numpy==1.26.4",
            "pypi:numpy",
            "pypi:==1",
            "npm:express@",
            "npm:@scope/x",
            "cargo:serde@1",
            "",
            "npm:é",
            "pypi:-==1",
        ] {
            assert!(text.parse::<PackageId>().is_err(), "{text}");
        }
    }
}
