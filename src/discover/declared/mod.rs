//! Functions that a file declares: one reader a kind of declaration.

mod appengine;
mod assembly;
mod azure;
pub mod cdk;
mod common;
mod container;
mod documents;
mod expand;
mod firebase;
mod fission;
mod func_yaml;
mod google;
mod hcl;
pub mod lambda;
mod netlify;
mod nuclio;
mod openfaas;
mod openwhisk;
mod program;
pub mod serverless;
mod serverless_code;
pub mod template;
pub mod terraform;
mod vercel;
pub(super) mod warmset;

use super::tree::Tree;
use super::{Defaults, Discovery};
use crate::model::Support;

/// Finds what one kind of file declares.
pub type Reader = fn(&Tree, &Defaults, &mut Discovery);

/// All readers, in the order in which they count where several declare the same function: what deploys code to one
/// place first, what only builds an image last. A `warmset.toml` counts before all of them.
pub const READERS: &[Reader] = &[
    template::find,
    cdk::find,
    terraform::find,
    serverless::find,
    azure::find,
    google::find,
    documents::find,
    firebase::find,
    appengine::find,
    vercel::find,
    netlify::find,
    container::find,
];

/// What each reader reads.
pub fn support() -> Vec<Support> {
    let mut rows = vec![
        warmset::SUPPORT,
        template::SUPPORT,
        cdk::SUPPORT,
        terraform::SUPPORT,
        serverless::SUPPORT,
        azure::SUPPORT,
        google::SUPPORT,
        openfaas::SUPPORT,
    ];
    rows.extend(func_yaml::SUPPORT);
    rows.extend(openwhisk::SUPPORT);
    rows.extend([
        fission::SUPPORT,
        nuclio::SUPPORT,
        vercel::SUPPORT,
        netlify::SUPPORT,
        firebase::SUPPORT,
        appengine::SUPPORT,
        container::SUPPORT,
    ]);
    rows
}

#[cfg(test)]
mod tests {
    use super::super::{Site, discover};
    use super::*;

    pub(super) fn sites(files: &[(&str, &str)]) -> Vec<Site> {
        let files: Vec<(&str, &[u8])> = files.iter().map(|(p, t)| (*p, t.as_bytes())).collect();
        discover(&Tree::in_memory(&files), &Defaults::default()).sites
    }

    /// Sites as `id kind root platform file handler`, and diagnostics as `place code`; that a version is assumed is left
    /// out where nothing else is said.
    pub(super) fn run(files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
        let files: Vec<(&str, &[u8])> = files.iter().map(|(p, t)| (*p, t.as_bytes())).collect();
        let found = discover(&Tree::in_memory(&files), &Defaults::default());
        let one = |s: &Site| {
            let platform = s.platform.as_ref().map_or("?".into(), |p| format!("{}{}", p.language, p.version));
            let text = |t: &Option<String>| t.clone().unwrap_or_else(|| "-".into());
            format!("{} {} {} {platform} {} {}", s.id, s.declared_as, s.root, text(&s.handler_file), text(&s.handler))
        };
        let said = |assumed: bool| {
            let wanted = found.diagnostics.iter().filter(|d| assumed || d.code != "platform-defaulted");
            wanted.map(|d| format!("{} {}", d.place, d.code)).collect::<Vec<_>>()
        };
        (found.sites.iter().map(one).collect(), said(false))
    }

    #[test]
    fn every_row_of_support_is_named_once() {
        let rows = support();
        let mut names: Vec<&str> = rows.iter().map(|r| r.what).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), rows.len());
        assert!(
            rows.iter().all(|r| !r.files.is_empty() && (r.extent == crate::model::Extent::Full || !r.note.is_empty()))
        );
    }
}
