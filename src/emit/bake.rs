//! `docker-bake.hcl`: every image as a target, so that one `docker buildx bake` builds the plan and each parent once.
//!
//! A child's `contexts` maps the very reference that its Dockerfile's `FROM` resolves to onto the parent's target:
//! BuildKit looks named contexts up by that reference, so no image is pulled for it.

use std::collections::BTreeMap;

use super::view::{LAYOUT, View, reference};
use crate::model::Platform;

/// Writes the bake file.
pub fn bake(name: &str, views: &[View<'_>], bases: &BTreeMap<Platform, String>) -> String {
    let mut out = String::from(
        "# Made by warmset: all images of the plan, parents first.\n\
         #   docker buildx bake                                        builds them all\n\
         #   docker buildx bake --set '*.secrets=id=pip_conf,src=FILE' gives index settings as a secret (npmrc, ca likewise)\n\
         \n\
         # Prefix of the tags: a registry and a path, with a slash at the end; empty for the local store.\n\
         variable \"REGISTRY\" {\n  default = \"\"\n}\n\n",
    );
    out.push_str(&format!("variable \"TAG\" {{\n  default = {}\n}}\n", string(LAYOUT)));
    let platforms: Vec<&Platform> = bases.keys().filter(|p| views.iter().any(|v| &v.image.platform == *p)).collect();
    for platform in platforms {
        out.push_str(&format!(
            "\n# Base of {platform}: name:tag, or name:tag@sha256:digest to pin it.\nvariable {} {{\n  default = {}\n}}\n",
            string(&variable(platform)),
            string(&bases[platform])
        ));
    }
    let targets: Vec<String> = views.iter().map(|v| format!("    {},\n", string(&v.image.id))).collect();
    let targets = if targets.is_empty() { "[]".to_string() } else { format!("[\n{}  ]", targets.concat()) };
    out.push_str(&format!("\ngroup \"default\" {{\n  targets = {targets}\n}}\n"));
    for view in views {
        out.push_str(&target(name, view));
    }
    out
}

fn target(name: &str, view: &View<'_>) -> String {
    let image = view.image;
    let mut out = format!("\ntarget {} {{\n", string(&image.id));
    out.push_str(&format!("  context    = {}\n  dockerfile = \"Dockerfile\"\n", string(&view.folder())));
    if let Some(parent) = view.parent {
        let (from, to) = (string(&reference(&parent.id)), string(&format!("target:{}", parent.id)));
        out.push_str(&format!("  contexts = {{\n    {from} = {to}\n  }}\n"));
    }
    out.push_str(&format!("  args = {{\n    BASE_IMAGE = {}\n  }}\n", variable(&image.platform)));
    let arch = if image.platform.arch == "aarch64" { "arm64" } else { "amd64" };
    out.push_str(&format!("  platforms = [\"linux/{arch}\"]\n"));
    out.push_str(&format!("  tags      = [\"${{REGISTRY}}warmset/{}:${{TAG}}\"]\n", image.id));
    out.push_str(&format!("  labels = {{\n    \"warmset.plan\" = {}\n  }}\n}}\n", string(name)));
    out
}

/// Name of the variable that holds a platform's base image.
pub fn variable(platform: &Platform) -> String {
    let name: String = platform
        .to_string()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
        .collect();
    format!("BASE_{name}")
}

/// An HCL string in which nothing is a template.
fn string(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    let mut rest = value.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            // `$${` and `%%{` are a literal `${` and `%{`.
            '$' | '%' if rest.peek() == Some(&'{') => out.extend([c, c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::samples;
    use crate::emit::view::views;

    #[test]
    fn strings_hold_no_template_and_no_end() {
        assert_eq!(string("a\"b\\c"), r#""a\"b\\c""#);
        assert_eq!(string("${x} %{y} $z 50%"), r#""$${x} %%{y} $z 50%""#);
        assert_eq!(string("l\nm\u{1}"), r#""l\nm\u0001""#);
    }

    #[test]
    fn a_child_takes_its_parent_from_the_parents_target() {
        let plan = samples::plan();
        let (views, _) = views(&plan);
        let bases = views.iter().map(|v| (v.image.platform.clone(), "base:1".to_string())).collect();
        let text = bake("fleet", &views, &bases);
        assert!(text.contains("\"warmset/py311-numpy-1a2b:1\" = \"target:py311-numpy-1a2b\""));
        assert_eq!(text.matches("contexts = {").count(), 1);
        assert!(text.contains("platforms = [\"linux/arm64\"]"));
        let (parent, child) =
            (text.find("target \"py311-numpy-1a2b\""), text.find("target \"py311-numpy-pandas-3f9a\""));
        assert!(parent < child);
        assert_eq!(text.matches("BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC\n").count(), 2);
        assert_eq!(text.matches("variable \"BASE_").count(), 3);
    }

    #[test]
    fn a_plan_without_images_is_still_a_file_that_builds_nothing() {
        let text = bake("x", &[], &BTreeMap::new());
        assert!(text.contains("targets = []"));
        assert!(!text.contains("target \""));
    }
}
