//! `warmset graph`.

use crate::cost::{self, Prices};
use crate::emit::{graph_dot, graph_graphml, graph_svg, json};
use crate::graph::bundles::Bundle;
use crate::graph::classes::classes;
use crate::graph::cooccurrence::{self, Graph};
use crate::model::PackageId;

use super::Outcome;
use super::args::{GraphCommand, GraphFormat};
use super::load::{self, Failure};
use super::table::Table;
use super::talk::{BOLD, Talk, paint};
use super::write;

/// Rows of each table for people.
const ROWS: usize = 15;

/// Shows which packages occur together.
pub fn run(command: &GraphCommand, talk: Talk) -> Result<Outcome, Failure> {
    let inventory = load::inventory(&command.input, &command.options, talk)?;
    let user = load::costs(command.costs.as_ref())?;
    let (costs, unpriced) = cost::resolve(&inventory, user.as_ref(), None);
    let prices = Prices::new(&costs);
    let price = |id: &_, platform: &_| prices.get(id, platform).map(|p| (p.load_ms, p.resident_mb));
    // Pictures and tables are for eyes; the others are for programs and hold everything.
    let top = match command.format {
        GraphFormat::Text | GraphFormat::Dot | GraphFormat::Svg => command.top,
        _ => usize::MAX,
    };
    let graph = cooccurrence::graph(&classes(&inventory), &price, command.min_functions, top);
    let text = match command.format {
        GraphFormat::Text => text(&graph),
        GraphFormat::Json => json::text(&graph),
        GraphFormat::Dot => graph_dot::dot(&graph),
        GraphFormat::Graphml => graph_graphml::graphml(&graph),
        GraphFormat::Svg => graph_svg::svg(&graph),
    };
    match &command.out {
        Some(out) => write::file(out, text.as_bytes())?,
        None => talk.result(&text)?,
    }
    let mut diagnostics = inventory.diagnostics;
    diagnostics.extend(unpriced);
    diagnostics.sort();
    talk.diagnostics(&diagnostics);
    Ok(Outcome::of(&diagnostics))
}

/// The package that stands for a bundle, and how many more there are.
fn name(bundle: &Bundle) -> String {
    let first = bundle.packages.first().map(PackageId::spec).unwrap_or_default();
    if bundle.packages.len() > 1 { format!("{first} +{}", bundle.packages.len() - 1) } else { first }
}

fn text(graph: &Graph) -> String {
    let mut out = format!(
        "{} packages in {} bundles, {} pairs, {} classes, {} communities\n",
        graph.packages.len(),
        graph.bundles.len(),
        graph.pairs.len(),
        graph.classes.len(),
        graph.communities.len()
    );
    let mut section = |title: &str, table: Table| {
        out.push_str(&format!("\n{}\n{}", paint(BOLD, title), table.render()));
    };
    let mut pairs = Table::new(&["packages", "", ">functions", ">jaccard", ">saves ms", ">saves MB"]);
    for link in graph.links.iter().take(ROWS) {
        pairs.row(vec![
            name(&graph.bundles[link.a]),
            name(&graph.bundles[link.b]),
            link.functions.to_string(),
            format!("{:.2}", link.jaccard),
            format!("{:.1}", link.saves_ms),
            format!("{:.1}", link.saves_mb),
        ]);
    }
    section("would save most if shared (+N: and N packages that the same functions load)", pairs);
    let mut communities = Table::new(&["community", ">packages", ">functions"]);
    for community in graph.communities.iter().take(ROWS) {
        communities.row(vec![community.name.clone(), community.packages.to_string(), community.functions.to_string()]);
    }
    section("communities", communities);
    let mut classes = Table::new(&["class", "platform", ">functions", ">weight", ">packages", ">load ms"]);
    for class in graph.classes.iter().take(ROWS) {
        classes.row(vec![
            class.digest.clone(),
            class.platform.to_string(),
            class.functions.to_string(),
            format!("{:.1}", class.weight),
            class.packages.to_string(),
            format!("{:.1}", class.load_ms),
        ]);
    }
    section("classes", classes);
    out
}
