//! From the name that code imports to the package that provides it.
//!
//! Python's import names and distribution names are not related by rule: `PIL` comes from `pillow`. A name alone is often
//! ambiguous among all that is published, so candidates are only what a function declares or locks.

mod table;

use std::collections::BTreeSet;

use crate::model::normalise_pypi;
use table::Popular;

/// Which distributions provide an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// Exactly one does.
    One(String),
    /// The names of one `from … import` come from several, as in `from google.cloud import storage, bigquery`: each
    /// with the names that it provides.
    Several(Vec<(String, Vec<String>)>),
    /// More than one may, the likeliest first.
    Ambiguous(Vec<String>),
    /// None of the candidates does.
    None,
}

/// Distributions that provide `module`, with `names` imported from it, among `candidates` (normalised names of all that
/// the function declares or locks); those `declared` directly are preferred.
///
/// The longest dotted prefix that is known wins: in the [tables](table), or as a distribution of that name. Where no prefix is
/// known, distributions that the tables do not know either are matched by form: `python-NAME`, `pyNAME`, or the only candidate
/// that begins with `NAME-`. Type stubs provide nothing at run time.
pub fn distributions_for(
    module: &str,
    names: &[String],
    candidates: &BTreeSet<String>,
    declared: &BTreeSet<String>,
) -> Match {
    let finder = Finder { candidates, declared };
    let plain = finder.find(module);
    // `from a import b` is about a submodule only where `a` is a namespace that several distributions share: where
    // `a` itself is one of the candidates, `b` is something in it.
    if names.is_empty() || names.iter().any(|name| name == "*") || finder.is_candidate(top_level(module)) {
        return plain;
    }
    let mut by_distribution: Vec<(String, Vec<String>)> = Vec::new();
    for name in names {
        let Some(found) = finder.known(&format!("{module}.{name}")) else { return plain };
        let Match::One(distribution) = found else { return found };
        match by_distribution.iter_mut().find(|(known, _)| *known == distribution) {
            Some((_, taken)) => taken.push(name.clone()),
            None => by_distribution.push((distribution, vec![name.clone()])),
        }
    }
    match by_distribution.pop() {
        Some((distribution, _)) if by_distribution.is_empty() => Match::One(distribution),
        Some(last) => {
            by_distribution.push(last);
            Match::Several(by_distribution)
        }
        None => plain,
    }
}

fn top_level(module: &str) -> &str {
    module.split('.').next().unwrap_or(module)
}

fn is_stub(distribution: &str) -> bool {
    distribution.starts_with("types-") || distribution.ends_with("-stubs")
}

/// A name without separators and case, as `google.cloud.secretmanager` and `google-cloud-secret-manager` have in common.
fn squashed(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '.' | '-' | '_')).flat_map(char::to_lowercase).collect()
}

/// `google.cloud.pubsub_v1` is `google.cloud.pubsub`: generated clients have a version behind their name.
fn without_version(module: &str) -> &str {
    match module.rsplit_once("_v") {
        Some((stem, version)) if version.starts_with(|c: char| c.is_ascii_digit()) && !version.contains('.') => stem,
        _ => module,
    }
}

/// What distributions of a namespace are called that hold this part of it, without separators.
fn names_of_part(module: &str) -> [String; 3] {
    let plain = squashed(module);
    [squashed(without_version(module)), format!("apache{plain}"), plain]
}

struct Finder<'a> {
    candidates: &'a BTreeSet<String>,
    declared: &'a BTreeSet<String>,
}

impl<'a> Finder<'a> {
    fn all(&self) -> impl Iterator<Item = &'a String> {
        self.candidates.union(self.declared).filter(|name| !is_stub(name))
    }

    fn is_candidate(&self, name: &str) -> bool {
        let name = normalise_pypi(name);
        !is_stub(&name) && (self.candidates.contains(&name) || self.declared.contains(&name))
    }

    /// By what is known of the module or of what encloses it, the longest prefix first.
    fn known(&self, module: &str) -> Option<Match> {
        let top = top_level(module);
        let popular = table::popular(top);
        let namespace = popular == Some(Popular::Namespace);
        let mut prefix = module;
        // A part of a namespace whose distribution is known, and not here.
        let mut elsewhere = false;
        loop {
            let is_part = prefix.len() > top.len();
            let listed = table::by_hand().distributions.get(prefix);
            let by_hand = listed.into_iter().flatten().map(ToString::to_string);
            let usual = match &popular {
                Some(Popular::From(names) | Popular::Contested(names)) if !is_part => &names[..],
                _ => &[],
            };
            let mut found: Vec<String> = Vec::new();
            for name in by_hand.chain(usual.iter().cloned()).chain([normalise_pypi(prefix)]) {
                if self.is_candidate(&name) && !found.contains(&name) {
                    found.push(name);
                }
            }
            if namespace && is_part && found.is_empty() {
                let parts = names_of_part(prefix);
                found.extend(self.all().filter(|name| parts.contains(&squashed(name))).cloned());
                elsewhere |= found.is_empty() && (listed.is_some() || table::popular_part(prefix, &parts).is_some());
            }
            if let Some(found) = self.choose(found) {
                return Some(found);
            }
            match prefix.rsplit_once('.') {
                Some((shorter, _)) => prefix = shorter,
                None => break,
            }
        }
        if elsewhere {
            return Some(Match::None);
        }
        let rare = self.choose(self.all().filter(|name| table::is_rare_pair(top, name)).cloned().collect())?;
        // Several parts of a namespace say nothing about which of them it is.
        (!namespace || matches!(rare, Match::One(_))).then_some(rare)
    }

    fn find(&self, module: &str) -> Match {
        if module.is_empty() {
            return Match::None;
        }
        if let Some(found) = self.known(module) {
            return found;
        }
        let top = top_level(module);
        let namespace = table::popular(top) == Some(Popular::Namespace);
        // What the tables know of has no other modules than they say.
        let unheard = |name: &&String| namespace || !table::is_popular(name);
        let normal = normalise_pypi(top);
        let usual = [format!("python-{normal}"), format!("py{normal}"), format!("py-{normal}")];
        let by_form = self.all().filter(|name| usual.contains(name)).filter(unheard).cloned().collect();
        if let Some(found) = self.choose(by_form) {
            return found;
        }
        let mut prefix = module;
        loop {
            let start = format!("{}-", normalise_pypi(prefix));
            let found: Vec<String> =
                self.all().filter(|name| name.starts_with(&start)).filter(unheard).cloned().collect();
            // Several plug-ins of one family say nothing about which of them it is.
            if let Some(Match::One(name)) = self.choose(found) {
                return Match::One(name);
            }
            match prefix.rsplit_once('.') {
                Some((shorter, _)) => prefix = shorter,
                None => return Match::None,
            }
        }
    }

    /// What is declared directly comes before what came along with it.
    fn choose(&self, found: Vec<String>) -> Option<Match> {
        let direct: Vec<String> = found.iter().filter(|name| self.declared.contains(*name)).cloned().collect();
        let mut best = if direct.is_empty() { found } else { direct };
        match best.len() {
            0 => None,
            1 => best.pop().map(Match::One),
            _ => Some(Match::Ambiguous(best)),
        }
    }
}

/// Distributions that an import usually means, whatever a function declares: the likeliest first, none for what only rare
/// ones provide. For advice, never for a closure.
pub fn usual_distributions(module: &str, names: &[String]) -> Vec<String> {
    // The first name decides, as each may come from another part of a namespace.
    let part = names.first().filter(|name| *name != "*").map(|name| format!("{module}.{name}"));
    let mut prefix = part.as_deref().unwrap_or(module);
    let top = top_level(module);
    let popular = table::popular(top);
    loop {
        let mut found: Vec<String> =
            table::by_hand().distributions.get(prefix).into_iter().flatten().map(ToString::to_string).collect();
        if prefix.len() > top.len() {
            if popular == Some(Popular::Namespace) {
                let part = table::popular_part(prefix, &names_of_part(prefix)).map(str::to_string);
                found.extend(part.filter(|name| !found.contains(name)));
            }
        } else if let Some(Popular::From(usual)) = &popular {
            found.extend(usual.iter().filter(|name| !found.contains(name)).cloned().collect::<Vec<_>>());
        }
        if !found.is_empty() {
            return found;
        }
        match prefix.rsplit_once('.') {
            Some((shorter, _)) => prefix = shorter,
            None => return Vec::new(),
        }
    }
}

/// The modules of a distribution whose modules have other names than itself; `None` where the tables have nothing.
pub fn modules_for(distribution: &str) -> Option<Vec<&'static str>> {
    let name = normalise_pypi(distribution);
    table::by_hand().modules.get(name.as_str()).cloned().or_else(|| table::public_modules(&name))
}

/// What a JS specifier refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Specifier {
    /// `./x`, `../x`, `.`, `..`
    Relative,
    /// `/x`, `C:\x`
    Absolute,
    /// `fs`, `node:fs`
    Builtin,
    /// `#x`: the `imports` of the nearest package.json.
    SubpathImport,
    /// `https:…`, `data:…`, `file:…`
    Url,
    /// A package by name.
    Package {
        /// `express`, `@aws-sdk/client-s3`
        name: String,
        /// What follows the name, without the slash; empty for the package itself.
        subpath: String,
    },
    /// Nothing that Node would look up: empty, or a scope without a name.
    Invalid,
}

/// Reads a JS specifier as Node does (ECMAScript module resolution, `PACKAGE_RESOLVE`).
pub fn package_of_specifier(specifier: &str) -> Specifier {
    if specifier == "." || specifier == ".." || specifier.starts_with("./") || specifier.starts_with("../") {
        return Specifier::Relative;
    }
    if specifier.starts_with('/') || specifier.starts_with('\\') {
        return Specifier::Absolute;
    }
    if specifier.starts_with('#') {
        return Specifier::SubpathImport;
    }
    if super::stdlib::is_node_builtin(specifier) {
        return Specifier::Builtin;
    }
    if let Some((scheme, _)) = specifier.split_once(':')
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b))
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
    {
        // One letter is a drive.
        return if scheme.len() == 1 { Specifier::Absolute } else { Specifier::Url };
    }
    // Bundlers' loaders and queries (`raw-loader!./x`, `./x?raw`) are no part of a name.
    let specifier = specifier.split(['?', '!']).next().unwrap_or_default();
    let mut parts = specifier.splitn(if specifier.starts_with('@') { 3 } else { 2 }, '/');
    let mut name = parts.next().unwrap_or_default().to_string();
    if name.starts_with('@') {
        match parts.next() {
            Some(rest) if name.len() > 1 && !rest.is_empty() => name = format!("{name}/{rest}"),
            _ => return Specifier::Invalid,
        }
    }
    if name.is_empty() || name.starts_with('.') || name.contains(['\\', '%']) || name.contains(char::is_whitespace) {
        return Specifier::Invalid;
    }
    Specifier::Package { name, subpath: parts.next().unwrap_or_default().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &str) -> BTreeSet<String> {
        names.split_whitespace().map(str::to_string).collect()
    }

    /// `from module import names` (or `import module`) among what is declared and, after `|`, only locked.
    fn of(import: &str, have: &str) -> String {
        let (module, names) = import.split_once(' ').unwrap_or((import, ""));
        let names: Vec<String> = names.split_whitespace().map(str::to_string).collect();
        let (declared, locked) = have.split_once('|').unwrap_or((have, ""));
        let (declared, locked) = (set(declared), set(locked));
        let all = declared.union(&locked).cloned().collect();
        match distributions_for(module, &names, &all, &declared) {
            Match::One(name) => name,
            Match::Several(parts) => {
                let part = |(name, taken): (String, Vec<String>)| format!("{name}[{}]", taken.join(","));
                parts.into_iter().map(part).collect::<Vec<_>>().join(" + ")
            }
            Match::Ambiguous(names) => names.join(" or "),
            Match::None => "-".to_string(),
        }
    }

    #[test]
    fn imports_find_their_distributions() {
        for (import, have, expected) in [
            ("numpy", "numpy", "numpy"),
            ("PIL", "pillow", "pillow"),
            ("PIL.Image", "pillow", "pillow"),
            ("cv2", "opencv-python-headless", "opencv-python-headless"),
            ("yaml", "pyyaml", "pyyaml"),
            ("sklearn.linear_model", "scikit-learn", "scikit-learn"),
            ("attr", "attrs", "attrs"),
            ("attrs", "attrs", "attrs"),
            ("dateutil.parser", "boto3 | python-dateutil", "python-dateutil"),
            ("jwt", "pyjwt", "pyjwt"),
            ("bs4", "beautifulsoup4", "beautifulsoup4"),
            ("flask_cors", "flask flask-cors", "flask-cors"),
            ("ruamel.yaml", "ruamel-yaml", "ruamel-yaml"),
            ("google.cloud.storage", "google-cloud-storage google-cloud-bigquery", "google-cloud-storage"),
            ("google.cloud.storage.blob", "google-cloud-storage", "google-cloud-storage"),
            ("google.cloud storage", "google-cloud-storage google-cloud-bigquery", "google-cloud-storage"),
            (
                "google.cloud storage bigquery",
                "google-cloud-storage google-cloud-bigquery",
                "google-cloud-storage[storage] + google-cloud-bigquery[bigquery]",
            ),
            ("google.protobuf", "google-cloud-storage | protobuf", "protobuf"),
            ("azure.storage.blob BlobServiceClient", "azure-storage-blob azure-identity", "azure-storage-blob"),
            // Not `requests-mock`: the name is something in `requests`.
            ("requests mock", "requests requests-mock", "requests"),
            // Nothing declared or locked.
            ("PIL", "numpy", "-"),
            ("numpy", "", "-"),
            // Stubs are for the type checker.
            ("yaml", "types-pyyaml", "-"),
            ("pandas", "pandas-stubs", "-"),
            // By form of name.
            ("barcodes", "python-barcodes", "python-barcodes"),
            ("tables", "pytables", "pytables"),
            ("widget", "widget-core", "widget-core"),
            ("widget", "widget-core widget-extra", "-"),
            // Of two that are locked the declared one; of two declared neither.
            ("cv2", "opencv-python | opencv-python-headless", "opencv-python"),
            ("cv2", "opencv-python opencv-python-headless", "opencv-python-headless or opencv-python"),
            ("widget", "widget-core | widget-extra", "widget-core"),
        ] {
            assert_eq!(of(import, have), expected, "{import} among {have}");
        }
    }

    #[test]
    fn distributions_tell_their_modules() {
        for (distribution, modules) in [
            ("Pillow", &["PIL"][..]),
            ("PyYAML", &["yaml"]),
            ("opencv-python-headless", &["cv2"]),
            ("attrs", &["attr", "attrs"]),
            ("scikit-learn", &["sklearn"]),
        ] {
            assert_eq!(modules_for(distribution).as_deref(), Some(modules));
        }
        assert_eq!(modules_for("numpy"), None);
    }

    #[test]
    fn parts_of_namespaces_that_are_elsewhere_are_not_taken_for_what_is_here() {
        for (import, have, expected) in [
            ("google.cloud.storage", "google-auth", "-"),
            ("google.cloud.secretmanager_v1", "google-cloud-secret-manager", "google-cloud-secret-manager"),
            ("google.cloud.documentai_v1beta3", "google-cloud-documentai", "google-cloud-documentai"),
            ("opentelemetry.sdk.trace", "opentelemetry-api", "-"),
            ("opentelemetry trace", "opentelemetry-api opentelemetry-sdk", "opentelemetry-api"),
            ("azure.ai.formrecognizer", "azure-ai-formrecognizer azure-core", "azure-ai-formrecognizer"),
            ("airflow.providers.amazon.aws", "apache-airflow-providers-amazon", "apache-airflow-providers-amazon"),
            // Version 2 of the CDK is one distribution, of version 1 each service is one.
            ("aws_cdk.aws_s3", "aws-cdk-lib", "aws-cdk-lib"),
            ("aws_cdk.aws_s3", "aws-cdk-aws-s3 aws-cdk-core", "aws-cdk-aws-s3"),
            // Known to have other modules.
            ("flask", "flask-cors", "-"),
            // Known by its fingerprint only.
            ("docx", "bayoo-docx", "bayoo-docx"),
        ] {
            assert_eq!(of(import, have), expected, "{import} among {have}");
        }
    }

    #[test]
    fn what_an_import_usually_means() {
        for (import, expected) in [
            ("yaml", "pyyaml"),
            ("PIL.Image", "pillow pillow-simd"),
            ("shared.models", ""),
            ("google.cloud storage", "google-cloud-storage"),
            ("google.cloud.pubsub_v1", "google-cloud-pubsub"),
            ("azure.storage.blob", "azure-storage-blob"),
            ("serial", "pyserial serial"),
            ("utils", ""),
            ("tests.unit", ""),
            ("no_such_module", ""),
        ] {
            let (module, names) = import.split_once(' ').unwrap_or((import, ""));
            let names: Vec<String> = names.split_whitespace().map(str::to_string).collect();
            assert_eq!(usual_distributions(module, &names).join(" "), expected, "{import}");
        }
    }

    /// The truth is what distributions install (`scripts/judge_import_names.py`): at least 95 in 100 of the answers are right,
    /// among everything that is listed and without any restriction.
    #[test]
    fn installed_distributions_are_named() {
        let truth: Vec<(&str, &str)> = include_str!("data/judged-names.tsv")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split_once('\t').unwrap())
            .collect();
        assert!(truth.len() > 300);
        let all: BTreeSet<String> = truth.iter().map(|(_, name)| (*name).to_string()).collect();
        let shared = |module: &str, name: &str| truth.contains(&(module, name));
        let (mut wrong, mut unknown) = (Vec::new(), Vec::new());
        for &(module, name) in &truth {
            match distributions_for(module, &[], &all, &all) {
                Match::One(found) if shared(module, &found) => {}
                Match::Ambiguous(found) if found.iter().any(|f| f == name) => {}
                other => wrong.push((module, name, other)),
            }
            if !usual_distributions(module, &[]).first().is_some_and(|first| shared(module, first)) {
                unknown.push((module, name));
            }
        }
        assert!(wrong.len() * 20 <= truth.len(), "{wrong:?}");
        assert!(unknown.len() * 20 <= truth.len(), "{unknown:?}");
    }

    #[test]
    fn specifiers_are_read_as_node_does() {
        let package = |name: &str, subpath: &str| Specifier::Package { name: name.into(), subpath: subpath.into() };
        for (specifier, expected) in [
            ("express", package("express", "")),
            ("lodash/fp", package("lodash", "fp")),
            ("@aws-sdk/client-s3", package("@aws-sdk/client-s3", "")),
            ("@scope/name/sub/x.js", package("@scope/name", "sub/x.js")),
            ("./a", Specifier::Relative),
            ("..", Specifier::Relative),
            ("/opt/nodejs/x", Specifier::Absolute),
            ("C:\\x", Specifier::Absolute),
            ("fs", Specifier::Builtin),
            ("node:test", Specifier::Builtin),
            ("#lib/x", Specifier::SubpathImport),
            ("https://deno.example/x.ts", Specifier::Url),
            ("data:text/javascript,1", Specifier::Url),
            ("buffer/", package("buffer", "")),
            ("@scope", Specifier::Invalid),
            ("@/components", Specifier::Invalid),
            ("", Specifier::Invalid),
            (".hidden", Specifier::Invalid),
        ] {
            assert_eq!(package_of_specifier(specifier), expected, "{specifier}");
        }
    }
}
