//! The co-occurrence graph for Graphviz (DOT language).

use std::fmt::Write;

use crate::graph::bundles::Bundle;
use crate::graph::cooccurrence::Graph;

/// One node a bundle, one cluster a community; line width by Jaccard. All packages and all their pairs are in the
/// JSON and GraphML forms: drawn, they would only be ink.
pub fn dot(graph: &Graph) -> String {
    let mut out = String::from(
        "graph warmset {\n  layout=fdp; overlap=false; splines=true; outputorder=edgesfirst;\n  \
         node [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=\"Helvetica\", fontsize=10];\n  \
         edge [color=\"#8c96a3\"];\n",
    );
    for (at, community) in graph.communities.iter().enumerate() {
        let _ = writeln!(out, "  subgraph cluster_{at} {{\n    label={};", quoted(&community.name));
        for bundle in graph.bundles.iter().filter(|b| b.community == at) {
            let ids: Vec<String> = bundle.packages.iter().map(ToString::to_string).collect();
            let _ = writeln!(
                out,
                "    {} [label={}, tooltip={}];",
                quoted(&name(bundle)),
                quoted(&label(bundle)),
                quoted(&ids.join("\n"))
            );
        }
        out.push_str("  }\n");
    }
    for link in &graph.links {
        let _ = writeln!(
            out,
            "  {} -- {} [weight={}, penwidth={:.2}, tooltip={}];",
            quoted(&name(&graph.bundles[link.a])),
            quoted(&name(&graph.bundles[link.b])),
            link.functions,
            0.3 + 2.7 * link.jaccard,
            quoted(&format!("{} functions, Jaccard {}, saves {} ms", link.functions, link.jaccard, link.saves_ms)),
        );
    }
    out.push_str("}\n");
    out
}

/// The package that stands for a bundle is in no other bundle.
fn name(bundle: &Bundle) -> String {
    bundle.packages.first().map(ToString::to_string).unwrap_or_default()
}

fn label(bundle: &Bundle) -> String {
    let first = bundle.packages.first().map(|id| id.spec()).unwrap_or_default();
    let more = match bundle.packages.len() {
        0 | 1 => String::new(),
        n => format!(" +{}", n - 1),
    };
    format!("{first}{more}\n{} function{}", bundle.functions, if bundle.functions == 1 { "" } else { "s" })
}

/// A quoted id: only `"` and `\` need escaping; a line feed becomes the escape that Graphviz centres on.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn ids_are_escaped() {
        assert_eq!(quoted("a\"b\\c\nd"), r#""a\"b\\c\nd""#);
    }
}
