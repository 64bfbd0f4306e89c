//! The co-occurrence graph as GraphML (graphml.graphdrawing.org).

use std::fmt::Write;

use super::xml::escape;
use crate::graph::cooccurrence::Graph;

/// Nodes and edges with all their figures as typed attributes.
pub fn graphml(graph: &Graph) -> String {
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\">\n",
    );
    for (target, name, kind) in [
        ("node", "name", "string"),
        ("node", "version", "string"),
        ("node", "functions", "int"),
        ("node", "weight", "double"),
        ("node", "load_ms", "double"),
        ("node", "resident_mb", "double"),
        ("node", "community", "int"),
        ("edge", "together", "int"),
        ("edge", "jaccard", "double"),
        ("edge", "saves_ms", "double"),
        ("edge", "saves_mb", "double"),
    ] {
        let _ = writeln!(out, "  <key id=\"{name}\" for=\"{target}\" attr.name=\"{name}\" attr.type=\"{kind}\"/>");
    }
    out.push_str("  <graph id=\"warmset\" edgedefault=\"undirected\">\n");
    let data = |key: &str, value: &str| format!("<data key=\"{key}\">{}</data>", escape(value));
    for node in &graph.packages {
        let _ = write!(
            out,
            "    <node id=\"{}\">{}{}{}{}",
            escape(&node.id.to_string()),
            data("name", &node.id.name),
            data("version", &node.id.version),
            data("functions", &node.functions.to_string()),
            data("weight", &node.weight.to_string()),
        );
        for (key, value) in [("load_ms", node.load_ms), ("resident_mb", node.resident_mb)] {
            if let Some(value) = value {
                out.push_str(&data(key, &value.to_string()));
            }
        }
        let _ = writeln!(out, "{}</node>", data("community", &node.community.to_string()));
    }
    for pair in &graph.pairs {
        let _ = writeln!(
            out,
            "    <edge source=\"{}\" target=\"{}\">{}{}{}{}</edge>",
            escape(&pair.a.to_string()),
            escape(&pair.b.to_string()),
            data("together", &pair.functions.to_string()),
            data("jaccard", &pair.jaccard.to_string()),
            data("saves_ms", &pair.saves_ms.to_string()),
            data("saves_mb", &pair.saves_mb.to_string()),
        );
    }
    out.push_str("  </graph>\n</graphml>\n");
    out
}
