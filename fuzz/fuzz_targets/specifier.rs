//! Requirements, markers, ranges, ids and file names of both ecosystems. Two lines: a range or requirement, and a version.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use warmset::discover::paths;
use warmset::lock::npm::npm_range;
use warmset::lock::pypi::{pep508, wheel};
use warmset::model::{Ecosystem, Language, PackageId, Platform, normalise_pypi};

fuzz_target!(|input: &str| -> Corpus {
    let Some((text, version)) = input.split_once('\n') else { return Corpus::Reject };
    if let Ok(specifier) = pep508::parse(text) {
        assert_eq!(normalise_pypi(&specifier.name), specifier.name);
        if let Some(exact) = specifier.exact.as_ref().filter(|_| specifier.source.is_none()) {
            assert_eq!(pep508::satisfies(&specifier.text, exact), Some(true), "{text} is exactly {exact}");
        }
    }
    let _ = pep508::marker(text);
    let _ = pep508::exact(text);
    let _ = pep508::python_marker(text);
    let _ = pep508::archive(text);
    let _ = pep508::url_kind(text);
    let _ = pep508::satisfies(text, version);
    let _ = npm_range::satisfies(text, version);
    if let Some((name, range)) = npm_range::alias(text) {
        assert!(!name.is_empty() && text.contains(range));
    }
    if let Some(exact) = npm_range::exact(text) {
        // The library that judges ranges takes no numbers of sixteen digits for versions; then nothing is known.
        assert_ne!(npm_range::satisfies(text, &exact), Some(false), "{text} is exactly {exact}");
    }
    assert_eq!(npm_range::compare(text, version), npm_range::compare(version, text).reverse());
    if let Ok(platform) = text.parse::<Platform>() {
        assert_eq!(platform.to_string().parse::<Platform>().as_ref(), Ok(&platform));
    }
    for ecosystem in [Ecosystem::Pypi, Ecosystem::Npm] {
        if let Ok(id) = PackageId::from_spec(ecosystem, text) {
            assert_eq!(id.to_string().parse::<PackageId>().as_ref(), Ok(&id));
        }
    }
    let name = normalise_pypi(text);
    assert_eq!(normalise_pypi(&name), name);
    let file = wheel::file_name(text);
    if let Some(tags) = wheel::tags(file) {
        let platform = Platform::linux(Language::Python, "3.12");
        let _ = wheel::fits(tags, &platform);
        let _ = wheel::lack(&wheel::only_wheels([file]), &platform);
    }
    if let Some(path) = paths::join(".", text).and_then(|dir| paths::join(&dir, version)) {
        assert!(!path.starts_with('/') && !path.split('/').any(|part| part == ".."), "{path}");
    }
    Corpus::Keep
});
