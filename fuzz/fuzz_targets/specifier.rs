//! Requirements, markers and ranges of both ecosystems. Two lines: a range or requirement, and a version.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use warmset::lock::npm::npm_range;
use warmset::lock::pypi::pep508;
use warmset::model::{Ecosystem, PackageId, Platform, normalise_pypi};

fuzz_target!(|input: &str| -> Corpus {
    let Some((text, version)) = input.split_once('\n') else { return Corpus::Reject };
    let _ = pep508::parse(text);
    let _ = pep508::marker(text);
    let _ = pep508::exact(text);
    let _ = pep508::python_marker(text);
    let _ = pep508::archive(text);
    let _ = pep508::url_kind(text);
    let _ = pep508::satisfies(text, version);
    let _ = npm_range::satisfies(text, version);
    let _ = npm_range::alias(text);
    if let Some(exact) = npm_range::exact(text) {
        assert_eq!(npm_range::satisfies(text, &exact), Some(true), "{text} is exactly {exact}");
    }
    assert_eq!(npm_range::compare(text, version), npm_range::compare(version, text).reverse());
    let _ = text.parse::<Platform>();
    for ecosystem in [Ecosystem::Pypi, Ecosystem::Npm] {
        let _ = PackageId::from_spec(ecosystem, text);
    }
    let name = normalise_pypi(text);
    assert_eq!(normalise_pypi(&name), name);
    Corpus::Keep
});
