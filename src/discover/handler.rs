//! From a handler as declared to the file that holds it.

use super::paths;
use super::tree::Tree;
use crate::model::Language;

/// Source extensions in the order in which they are looked for: what people write before what a build leaves.
const NODE_EXTENSIONS: [&str; 8] = ["ts", "mts", "cts", "tsx", "js", "mjs", "cjs", "jsx"];
/// Folders that a TypeScript build writes to; the source lies beside them, in `src` or at the top.
const BUILD_FOLDERS: [&str; 6] = ["dist", "build", "out", "lib", ".build", "bin"];

/// Whether builds write to a folder of this name.
pub fn is_build_folder(name: &str) -> bool {
    BUILD_FOLDERS.contains(&name)
}

/// `app.lambda_handler` → (`app`, `lambda_handler`); `functions/cart/handler.main` → (`functions/cart/handler`, `main`).
pub fn split(handler: &str) -> (&str, &str) {
    let name_at = handler.rfind('/').map_or(0, |at| at + 1);
    let (_, name) = handler.split_at(name_at);
    match name.rfind('.') {
        Some(dot) if dot > 0 => (&handler[..name_at + dot], &name[dot + 1..]),
        _ => (handler, ""),
    }
}

/// The file of a handler below the code folder `root`, relative to the fleet.
///
/// Python: `pkg.mod.handler` is `pkg/mod.py` or `pkg/mod/__init__.py`, and `/` is accepted for the first dots, as Lambda
/// does. Node: the extension is tried; for a path inside a build folder also the source that it is built from.
pub fn locate(tree: &Tree, root: &str, handler: &str, language: Option<Language>) -> Option<String> {
    let (module, _) = split(handler.trim());
    let module = module.trim_start_matches("./");
    if module.is_empty() {
        return None;
    }
    let mut found = None;
    if language != Some(Language::Node) {
        let path = module.replace('.', "/");
        found = [format!("{path}.py"), format!("{path}/__init__.py")]
            .iter()
            .find_map(|rel| paths::join(root, rel).filter(|file| tree.contains(file)));
    }
    if found.is_none() && language != Some(Language::Python) {
        found = locate_node(tree, root, module);
    }
    found.map(|file| tree.real(&file).into_owned())
}

fn locate_node(tree: &Tree, root: &str, module: &str) -> Option<String> {
    let exists = |module: &str| {
        NODE_EXTENSIONS.iter().find_map(|ext| {
            [format!("{module}.{ext}"), format!("{module}/index.{ext}")]
                .iter()
                .find_map(|rel| paths::join(root, rel).filter(|file| tree.contains(file)))
        })
    };
    exists(module).or_else(|| {
        let (first, rest) = module.split_once('/')?;
        let rest = BUILD_FOLDERS.contains(&first).then_some(rest)?;
        exists(rest).or_else(|| exists(&format!("src/{rest}")))
    })
}

/// The entry point of a Google function: `main.py`, or what `package.json` calls `main`, or `index.js`/`function.js`.
pub fn google_entry(tree: &Tree, root: &str, language: Language) -> Option<String> {
    let file = |rel: &str| paths::join(root, rel).filter(|file| tree.contains(file));
    match language {
        Language::Python => file("main.py"),
        Language::Node => {
            let main = file("package.json")
                .and_then(|manifest| tree.text(&manifest).ok())
                .and_then(|text| super::doc::parse(&text).ok())
                .and_then(|node| node.get("main").and_then(|m| m.text().map(str::to_string)));
            main.and_then(|main| {
                file(&main).or_else(|| locate_node(tree, root, main.trim_end_matches(".js").trim_start_matches("./")))
            })
            .or_else(|| locate_node(tree, root, "index"))
            .or_else(|| locate_node(tree, root, "function"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_dot_of_the_last_component_ends_the_module() {
        assert_eq!(split("app.lambda_handler"), ("app", "lambda_handler"));
        assert_eq!(split("functions/cart/handler.main"), ("functions/cart/handler", "main"));
        assert_eq!(split("a.b/c"), ("a.b/c", ""));
        assert_eq!(split("src/handlers.v1.get"), ("src/handlers.v1", "get"));
        assert_eq!(split("handler"), ("handler", ""));
    }

    #[test]
    fn handlers_are_found_where_the_provider_would_look() {
        let tree = Tree::in_memory(&[
            ("f/app.py", b""),
            ("f/pkg/__init__.py", b""),
            ("f/pkg/api.py", b""),
            ("n/index.mjs", b""),
            ("n/src/cart.ts", b""),
            ("n/top.ts", b""),
            ("n/app.js", b""),
        ]);
        let python = |h: &str| locate(&tree, "f", h, Some(Language::Python));
        let node = |h: &str| locate(&tree, "n", h, Some(Language::Node));
        assert_eq!(python("app.handler").as_deref(), Some("f/app.py"));
        assert_eq!(python("pkg.api.handler").as_deref(), Some("f/pkg/api.py"));
        assert_eq!(python("pkg/api.handler").as_deref(), Some("f/pkg/api.py"));
        assert_eq!(python("pkg.handler").as_deref(), Some("f/pkg/__init__.py"));
        assert_eq!(python("gone.handler"), None);
        assert_eq!(node("index.handler").as_deref(), Some("n/index.mjs"));
        assert_eq!(node("./app.handler").as_deref(), Some("n/app.js"));
        assert_eq!(node("dist/cart.handler").as_deref(), Some("n/src/cart.ts"));
        assert_eq!(node("dist/top.handler").as_deref(), Some("n/top.ts"));
        assert_eq!(locate(&tree, ".", "n/app.handler", None).as_deref(), Some("n/app.js"));
        assert_eq!(locate(&tree, ".", "../app.handler", None), None);
    }
}
