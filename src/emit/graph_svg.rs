//! A picture of the co-occurrence graph: packages on a circle, communities as arcs, what occurs together as curves.
//!
//! A circle keeps every label readable whatever the data; curves are pulled towards the centre, less so inside a
//! community, so that communities show as shapes. Everything is computed from sorted data with fixed decimals.

use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::fmt::Write;

use super::xml::escape;
use crate::graph::cooccurrence::{Graph, Node, Pair};

/// Twelve hues that stay apart for most people, also in greyscale; communities beyond them share the last.
const HUES: [&str; 12] = [
    "#3b6fb6", "#d9722e", "#2f9e6e", "#c2435a", "#7b5cb8", "#b0892a", "#2b9db3", "#a0568f", "#5f8f2f", "#8a5a3c",
    "#4f6d8f", "#808080",
];
/// Room between labels on the circle, px.
const LABEL_PITCH: f64 = 14.0;
/// Room left free between two communities, in labels.
const GAP: f64 = 1.6;
/// Curves kept for each package, the strongest first: more would only be ink.
const CURVES_PER_NODE: usize = 6;
/// Room for labels outside the circle, px.
const MARGIN: f64 = 250.0;
const LEGEND: f64 = 430.0;

struct Placed<'a> {
    node: &'a Node,
    angle: f64,
}

/// The picture as one SVG document without scripts, fonts or links.
pub fn svg(graph: &Graph) -> String {
    let placed = place(graph);
    let slots = graph.packages.len() as f64 + GAP * used_communities(graph) as f64;
    let radius = (slots * LABEL_PITCH / TAU).max(140.0);
    let side = 2.0 * (radius + MARGIN);
    let (cx, cy) = (side / 2.0, side / 2.0);
    let height = side.max(120.0 + 46.0 * graph.communities.len().min(24) as f64 + 400.0);
    let mut out = String::new();
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0} {height:.0}\" width=\"{:.0}\" height=\"{height:.0}\" \
         role=\"img\" aria-labelledby=\"title desc\">\n<title id=\"title\">Packages that are loaded together</title>\n\
         <desc id=\"desc\">{} packages in {} communities; curves join packages that the same functions load</desc>\n\
         <style>\n{STYLE}</style>\n<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n",
        side + LEGEND,
        side + LEGEND,
        graph.packages.len(),
        graph.communities.len(),
    );
    curves(&mut out, graph, &placed, cx, cy, radius);
    arcs(&mut out, &placed, cx, cy, radius);
    nodes(&mut out, &placed, cx, cy, radius);
    legend(&mut out, graph, side);
    out.push_str("</svg>\n");
    out
}

const STYLE: &str =
    "  text { font-family: system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #20262e; }
  .paper { fill: #ffffff; }
  .label { font-size: 11px; }
  .version, .figure { fill: #69727d; font-size: 10px; }
  .curve { fill: none; }
  .head { font-size: 15px; font-weight: 600; }
  .row { font-size: 12px; }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #14181d; }
    text { fill: #e6e9ed; }
    .version, .figure { fill: #98a2ad; }
  }
";

fn used_communities(graph: &Graph) -> usize {
    graph.communities.len().max(1)
}

fn hue(community: usize) -> &'static str {
    HUES[community.min(HUES.len() - 1)]
}

/// Communities one after the other, in each the most widely used package first.
fn place(graph: &Graph) -> Vec<Placed<'_>> {
    let mut order: Vec<&Node> = graph.packages.iter().collect();
    order.sort_by(|a, b| {
        a.community.cmp(&b.community).then(b.functions.cmp(&a.functions)).then_with(|| a.id.cmp(&b.id))
    });
    let slots = order.len() as f64 + GAP * used_communities(graph) as f64;
    let mut at = 0.0;
    let mut last = None;
    let mut placed = Vec::with_capacity(order.len());
    for node in order {
        if last.is_some_and(|c| c != node.community) {
            at += GAP;
        }
        last = Some(node.community);
        placed.push(Placed { node, angle: TAU * at / slots - TAU / 4.0 });
        at += 1.0;
    }
    placed
}

/// For each package its strongest pairs, by Jaccard and then by what they save.
fn strongest(graph: &Graph) -> Vec<&Pair> {
    let mut by_strength: Vec<&Pair> = graph.pairs.iter().collect();
    by_strength.sort_by(|x, y| {
        y.jaccard
            .total_cmp(&x.jaccard)
            .then(y.saves_ms.total_cmp(&x.saves_ms))
            .then_with(|| (&x.a, &x.b).cmp(&(&y.a, &y.b)))
    });
    let mut kept: BTreeMap<&crate::model::PackageId, usize> = BTreeMap::new();
    by_strength.retain(|pair| {
        let (a, b) = (kept.get(&pair.a).copied().unwrap_or(0), kept.get(&pair.b).copied().unwrap_or(0));
        let keep = a < CURVES_PER_NODE || b < CURVES_PER_NODE;
        if keep {
            *kept.entry(&pair.a).or_default() += 1;
            *kept.entry(&pair.b).or_default() += 1;
        }
        keep
    });
    // The faintest first, so that the strongest lie on top.
    by_strength.reverse();
    by_strength
}

fn curves(out: &mut String, graph: &Graph, placed: &[Placed<'_>], cx: f64, cy: f64, radius: f64) {
    let at: BTreeMap<_, _> = placed.iter().map(|p| (&p.node.id, p)).collect();
    let inner = radius - 10.0;
    out.push_str("<g>\n");
    for pair in strongest(graph) {
        let (Some(a), Some(b)) = (at.get(&pair.a), at.get(&pair.b)) else { continue };
        let same = a.node.community == b.node.community;
        let (x1, y1) = (cx + inner * a.angle.cos(), cy + inner * a.angle.sin());
        let (x2, y2) = (cx + inner * b.angle.cos(), cy + inner * b.angle.sin());
        // The middle of the chord, pulled to the centre: gently for neighbours, strongly across.
        let mut apart = (a.angle - b.angle).abs();
        if apart > TAU / 2.0 {
            apart = TAU - apart;
        }
        let pull = if same { 0.35 + 0.5 * apart / (TAU / 2.0) } else { 0.8 };
        let (mx, my) = ((x1 + x2) / 2.0, (y1 + y2) / 2.0);
        let (qx, qy) = (mx + (cx - mx) * pull, my + (cy - my) * pull);
        let colour = if same { hue(a.node.community) } else { "#8c96a3" };
        let _ = writeln!(
            out,
            "<path class=\"curve\" d=\"M{x1:.1} {y1:.1}Q{qx:.1} {qy:.1} {x2:.1} {y2:.1}\" stroke=\"{colour}\" \
             stroke-width=\"{:.2}\" stroke-opacity=\"{:.2}\"/>",
            0.5 + 1.5 * pair.jaccard,
            if same { 0.15 + 0.45 * pair.jaccard } else { 0.10 + 0.40 * pair.jaccard },
        );
    }
    out.push_str("</g>\n");
}

/// A band along each community.
fn arcs(out: &mut String, placed: &[Placed<'_>], cx: f64, cy: f64, radius: f64) {
    let step = if placed.len() > 1 { placed[1].angle - placed[0].angle } else { 0.05 };
    let mut at = 0;
    while at < placed.len() {
        let community = placed[at].node.community;
        let end = placed[at..].iter().take_while(|p| p.node.community == community).count() + at - 1;
        let (from, to) = (placed[at].angle - step * 0.4, placed[end].angle + step * 0.4);
        let point = |angle: f64| (cx + radius * angle.cos(), cy + radius * angle.sin());
        let ((x1, y1), (x2, y2)) = (point(from), point(to));
        let large = i32::from(to - from > TAU / 2.0);
        let _ = writeln!(
            out,
            "<path d=\"M{x1:.1} {y1:.1}A{radius:.1} {radius:.1} 0 {large} 1 {x2:.1} {y2:.1}\" fill=\"none\" stroke=\"{}\" \
             stroke-width=\"3\" stroke-opacity=\"0.35\"/>",
            hue(community),
        );
        at = end + 1;
    }
}

fn nodes(out: &mut String, placed: &[Placed<'_>], cx: f64, cy: f64, radius: f64) {
    let heaviest = placed.iter().map(|p| value(p.node)).fold(0.0, f64::max);
    for p in placed {
        let (x, y) = (cx + radius * p.angle.cos(), cy + radius * p.angle.sin());
        let size = 2.2 + if heaviest > 0.0 { 6.0 * (value(p.node) / heaviest).sqrt() } else { 0.0 };
        let degrees = p.angle.to_degrees();
        // Labels on the left half are turned, so that none stands on its head.
        let flip = (90.0..270.0).contains(&degrees.rem_euclid(360.0));
        let (turn, shift, anchor) = if flip { (degrees + 180.0, -13.0, "end") } else { (degrees, 13.0, "start") };
        let cost = p.node.load_ms.map_or_else(|| "load time unknown".to_string(), |ms| format!("{ms:.1} ms to load"));
        let _ = writeln!(
            out,
            "<g><title>{}: {} functions, {cost}</title><circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{size:.1}\" fill=\"{}\"/>\
             <text class=\"label\" transform=\"translate({x:.1} {y:.1}) rotate({turn:.2}) translate({shift} 3.7)\" \
             text-anchor=\"{anchor}\">{} <tspan class=\"version\">{}</tspan></text></g>",
            escape(&p.node.id.to_string()),
            p.node.functions,
            hue(p.node.community),
            escape(&shorten(&p.node.id.name, 30)),
            escape(&shorten(&p.node.id.version, 12)),
        );
    }
}

/// Milliseconds that all functions together spend loading it.
fn value(node: &Node) -> f64 {
    node.load_ms.unwrap_or(0.0) * node.weight
}

fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_string();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

fn legend(out: &mut String, graph: &Graph, left: f64) {
    let mut y = 60.0;
    let mut line = |out: &mut String, class: &str, x: f64, text: &str, step: f64| {
        let _ = writeln!(out, "<text class=\"{class}\" x=\"{x:.0}\" y=\"{y:.0}\">{}</text>", escape(text));
        y += step;
        y
    };
    line(out, "head", left, "Communities", 24.0);
    let mut row_y = 84.0;
    for (at, community) in graph.communities.iter().enumerate().take(24) {
        let _ =
            writeln!(out, "<circle cx=\"{:.0}\" cy=\"{:.0}\" r=\"5\" fill=\"{}\"/>", left + 6.0, row_y - 4.0, hue(at));
        line(out, "row", left + 20.0, &shorten(&community.name, 58), 16.0);
        row_y = line(
            out,
            "figure",
            left + 20.0,
            &format!("{} packages, loaded by {} functions", community.packages, community.functions),
            24.0,
        );
    }
    if graph.communities.len() > 24 {
        line(out, "figure", left + 20.0, &format!("and {} more", graph.communities.len() - 24), 24.0);
    }
    line(out, "head", left, "Pairs that would save most", 22.0);
    for pair in graph.pairs.iter().take(10) {
        line(out, "row", left + 20.0, &shorten(&format!("{} + {}", pair.a.name, pair.b.name), 58), 15.0);
        line(
            out,
            "figure",
            left + 20.0,
            &format!(
                "{} functions, Jaccard {:.2}, {:.0} ms, {:.0} MB",
                pair.functions, pair.jaccard, pair.saves_ms, pair.saves_mb
            ),
            19.0,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_at_characters() {
        assert_eq!(shorten("äöüß", 4), "äöüß");
        assert_eq!(shorten("äöüßx", 4), "äöü…");
    }
}
