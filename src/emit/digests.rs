//! Digests of built images in a `swap-manifest.json`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// What a build found out of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// `sha256:…`, as the builder's store knows the image.
    pub digest: String,
    /// Reference with the digest that the registry knows it by, where it was pushed.
    pub pushed: Option<String>,
}

/// The manifest with the digests of these images, and otherwise as it was, fields that this version does not know
/// included. An image's earlier `pushed` stays only with the same digest.
///
/// # Errors
/// When the text is no manifest.
pub fn stamped(text: &str, stamps: &BTreeMap<String, Stamp>) -> Result<String, String> {
    let mut manifest: Value = serde_json::from_str(text).map_err(|e| format!("not valid JSON: {e}"))?;
    let images = manifest.get_mut("images").and_then(Value::as_array_mut).ok_or("it has no images")?;
    for image in images {
        let Some(fields) = image.as_object_mut() else { continue };
        let Some(stamp) = fields.get("id").and_then(Value::as_str).and_then(|id| stamps.get(id)) else { continue };
        let same = fields.get("digest").and_then(Value::as_str) == Some(&stamp.digest);
        let before = fields.shift_remove("pushed").filter(|_| same);
        fields.shift_remove("digest");
        let pushed = stamp.pushed.clone().map(Value::String).or(before);
        let mut new = Map::new();
        for (key, value) in std::mem::take(fields) {
            let after = key == "reference";
            new.insert(key, value);
            if after {
                new.insert("digest".into(), Value::String(stamp.digest.clone()));
                new.extend(pushed.clone().map(|pushed| ("pushed".to_string(), pushed)));
            }
        }
        *fields = new;
    }
    Ok(super::json::text(&manifest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(digest: &str, pushed: Option<&str>) -> Stamp {
        Stamp { digest: digest.into(), pushed: pushed.map(str::to_string) }
    }

    #[test]
    fn only_the_digests_change() {
        let text = "{\n  \"schema\": \"warmset.swap-manifest/1\",\n  \"later\": 1.50,\n  \"images\": [\n    {\n      \"id\": \"a\",\n      \"reference\": \"warmset/a:1\",\n      \"x\": 0.1,\n      \"y\": 1,\n      \"z\": []\n    },\n    {\n      \"id\": \"b\",\n      \"reference\": \"warmset/b:1\"\n    }\n  ]\n}\n";
        let first = stamped(text, &[("a".to_string(), stamp("sha256:1", Some("r/a@sha256:9")))].into()).unwrap();
        let value: Value = serde_json::from_str(&first).unwrap();
        assert_eq!(value["images"][0]["digest"], "sha256:1");
        assert_eq!(value["images"][0]["pushed"], "r/a@sha256:9");
        assert_eq!((&value["later"], &value["images"][0]["x"]), (&1.5.into(), &0.1.into()));
        assert_eq!(value["images"][1].get("digest"), None);
        assert!(first.contains("\"reference\": \"warmset/a:1\",\n      \"digest\""), "{first}");

        // The same digest built again was pushed before; another one was not.
        let again = stamped(&first, &[("a".to_string(), stamp("sha256:1", None))].into()).unwrap();
        assert_eq!(again, first);
        let other = stamped(&first, &[("a".to_string(), stamp("sha256:2", None))].into()).unwrap();
        assert!(!other.contains("pushed"));
        assert!(stamped("[]", &BTreeMap::new()).is_err());
    }

    #[test]
    fn the_golden_manifest_keeps_every_other_byte() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("plans/fleet/swap-manifest.json");
        let text = std::fs::read_to_string(file).unwrap();
        assert_eq!(stamped(&text, &BTreeMap::new()).unwrap(), text);
    }
}
