//! Where a function's handler and its example event lie in its code folder.

use std::fs;
use std::path::{Path, PathBuf};

use crate::model::Language;

/// An event larger than this is no example.
const LARGEST_EVENT: u64 = 4 << 20;

/// A handler, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handler<'a> {
    /// A dotted module (Python), or a file without its ending (Node).
    module: &'a str,
    /// Attribute or export.
    pub attribute: &'a str,
    language: Language,
}

impl<'a> Handler<'a> {
    /// `module.attribute` or `file.export`; `None` for anything else, and for what leads out of the code folder.
    pub fn of(handler: &'a str, language: Language) -> Option<Self> {
        let (module, attribute) = match language {
            Language::Python => handler.rsplit_once('.')?,
            Language::Node => {
                let at = handler.rfind('/').map_or(0, |at| at + 1);
                let dot = at + handler[at..].find('.').filter(|dot| *dot > 0)?;
                (&handler[..dot], &handler[dot + 1..])
            }
        };
        let handler = Self { module, attribute, language };
        let stem = handler.stem();
        let leaves = stem.starts_with('/') || stem.split('/').any(|part| part == "..");
        (!leaves && !module.is_empty() && !attribute.is_empty()).then_some(handler)
    }

    /// The handler's file without its ending, relative to the code folder.
    pub fn stem(&self) -> String {
        match self.language {
            Language::Python => self.module.replace('.', "/"),
            Language::Node => self.module.to_string(),
        }
    }

    /// The event beside it in a code folder: `NAME.event.json` for a handler's file of that name, `event.json`, or the
    /// first of `events`; then the same two in the code folder itself.
    pub fn event(&self, folder: &Path) -> Option<PathBuf> {
        let stem = self.stem();
        let name = stem.rsplit('/').next().unwrap_or(&stem);
        let beside = folder.join(&stem).parent().map(Path::to_path_buf).unwrap_or_default();
        let mut candidates = vec![beside.join(format!("{name}.event.json"))];
        for place in [beside.as_path(), folder] {
            candidates.push(place.join("event.json"));
            let mut several: Vec<PathBuf> =
                fs::read_dir(place.join("events")).into_iter().flatten().flatten().map(|e| e.path()).collect();
            several.retain(|path| path.extension().is_some_and(|e| e == "json"));
            several.sort();
            candidates.extend(several.into_iter().next());
        }
        let small = |path: &PathBuf| path.metadata().is_ok_and(|meta| meta.is_file() && meta.len() <= LARGEST_EVENT);
        candidates.into_iter().find(small)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_nearest_to_the_handler_counts() {
        let dir = tempfile::tempdir().unwrap();
        let write = |file: &str| {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "{}").unwrap();
        };
        let event = |handler: &str, path: &str, language| {
            let found = Handler::of(handler, language)?.event(&dir.path().join(path))?;
            Some(found.strip_prefix(dir.path()).unwrap().to_str().unwrap().to_string())
        };
        write("shop/events/b.json");
        write("shop/events/a.json");
        assert_eq!(event("src/pay.handler", "shop", Language::Node).as_deref(), Some("shop/events/a.json"));
        write("shop/event.json");
        assert_eq!(event("src/pay.handler", "shop", Language::Node).as_deref(), Some("shop/event.json"));
        write("shop/src/event.json");
        assert_eq!(event("src.pay.handler", "shop", Language::Python).as_deref(), Some("shop/src/event.json"));
        write("shop/src/pay.event.json");
        assert_eq!(event("src/pay.handler", "shop", Language::Node).as_deref(), Some("shop/src/pay.event.json"));
        // A runtime may write a Python handler with slashes.
        assert_eq!(event("src/pay.handler", "shop", Language::Python).as_deref(), Some("shop/src/pay.event.json"));
        assert_eq!(event("../pay.handler", "shop", Language::Node), None);
        assert_eq!(event("handler", "shop", Language::Python), None);
    }

    #[test]
    fn a_handler_is_taken_apart_as_its_language_does() {
        let parts = |text, language| Handler::of(text, language).map(|h| (h.stem(), h.attribute.to_string()));
        let some = |stem: &str, attribute: &str| Some((stem.to_string(), attribute.to_string()));
        assert_eq!(parts("a.b.run", Language::Python), some("a/b", "run"));
        assert_eq!(parts("src.d/pay.api.run", Language::Node), some("src.d/pay", "api.run"));
        for (text, language) in [
            ("run", Language::Python),
            ("/etc/x.run", Language::Node),
            (".run", Language::Node),
            ("a/.x", Language::Node),
        ] {
            assert_eq!(parts(text, language), None, "{text}");
        }
    }
}
