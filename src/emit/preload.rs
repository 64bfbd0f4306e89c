//! `preload.json`: the modules that a warm host loads, in order, and the warm hosts themselves.

use serde::Serialize;

use super::view::View;
use crate::model::Language;
use crate::model::manifest::Warmup;

/// Value of the `schema` field.
pub const SCHEMA: &str = "warmset.preload/1";

/// What a warm host reads.
#[derive(Debug, Serialize)]
pub struct Preload<'a> {
    schema: &'static str,
    image: &'a str,
    language: Language,
    modules: &'a [String],
    warmup: &'a [Warmup],
}

/// The preload list of an image.
pub fn preload<'a>(view: &View<'a>) -> Preload<'a> {
    Preload {
        schema: SCHEMA,
        image: &view.image.id,
        language: view.image.platform.language,
        modules: &view.image.preload,
        warmup: &view.image.warmup,
    }
}

/// File name and text of a language's warm host.
pub fn host(language: Language) -> (&'static str, &'static str) {
    match language {
        Language::Python => ("host.py", include_str!("host/host.py")),
        Language::Node => ("host.mjs", include_str!("host/host.mjs")),
    }
}

/// Folder inside the image where the host and its preload list stand. Node's is the folder that holds `node_modules`,
/// as its `import` searches upwards from the file; Python's is not on the module path.
pub fn host_folder(language: Language) -> &'static str {
    match language {
        Language::Python => "/opt/warmset",
        Language::Node => "/opt/warm",
    }
}

/// Where a runtime mounts a function's code inside the image. For Node it lies below [`host_folder`], so that both
/// `require` and `import` of the function's code find the image's packages (`NODE_PATH` serves `require` only); one
/// folder deeper, so that packages of the function's own can stand in between.
pub fn function_folder(language: Language) -> &'static str {
    match language {
        Language::Python => "/opt/function",
        Language::Node => "/opt/warm/function/code",
    }
}

/// Socket of the warm host inside the image.
pub const SOCKET: &str = "/run/warmset/host.sock";

/// Environment of the warm host, as the Dockerfile sets it and the manifest repeats it; in the order of the Dockerfile.
pub fn environment(language: Language) -> &'static [(&'static str, &'static str)] {
    match language {
        Language::Python => &[
            ("HOME", "/tmp"),
            ("PYTHONDONTWRITEBYTECODE", "1"),
            ("PYTHONPATH", "/opt/warm"),
            ("PYTHONUNBUFFERED", "1"),
            ("WARMSET_SOCKET", SOCKET),
        ],
        Language::Node => &[("HOME", "/tmp"), ("NODE_ENV", "production"), ("WARMSET_SOCKET", SOCKET)],
    }
}
