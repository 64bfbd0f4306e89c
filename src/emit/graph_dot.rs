//! The co-occurrence graph for Graphviz (DOT language).

use std::fmt::Write;

use crate::graph::cooccurrence::Graph;

/// One cluster a community; line width by Jaccard.
pub fn dot(graph: &Graph) -> String {
    let mut out = String::from(
        "graph warmset {\n  layout=fdp; overlap=prism; splines=true;\n  node [shape=box, style=rounded, fontname=\"Helvetica\", fontsize=10];\n",
    );
    for (at, community) in graph.communities.iter().enumerate() {
        let _ = writeln!(out, "  subgraph cluster_{at} {{\n    label={};", quoted(&community.name));
        for node in graph.packages.iter().filter(|n| n.community == at) {
            let label = format!("{}\n{} functions", node.id.spec(), node.functions);
            let _ = writeln!(out, "    {} [label={}];", quoted(&node.id.to_string()), quoted(&label));
        }
        out.push_str("  }\n");
    }
    for pair in &graph.pairs {
        let _ = writeln!(
            out,
            "  {} -- {} [weight={}, penwidth={:.2}, tooltip={}];",
            quoted(&pair.a.to_string()),
            quoted(&pair.b.to_string()),
            pair.functions,
            0.3 + 2.7 * pair.jaccard,
            quoted(&format!("{} functions, Jaccard {}, saves {} ms", pair.functions, pair.jaccard, pair.saves_ms)),
        );
    }
    out.push_str("}\n");
    out
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
