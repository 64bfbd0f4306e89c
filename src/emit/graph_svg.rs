//! A picture of the co-occurrence graph: bundles of packages on a circle, communities as arcs, what occurs together as
//! curves.
//!
//! A circle keeps every label readable whatever the data. Curves run by way of the middle of their communities, so that
//! those which join the same two lie together ("Hierarchical Edge Bundles", Holten 2006). Everything is computed from
//! sorted data with fixed decimals.

use std::collections::{BTreeMap, BTreeSet};
use std::f64::consts::{PI, TAU};
use std::fmt::Write;

use super::xml::escape;
use crate::graph::bundles::{Bundle, Link};
use crate::graph::cooccurrence::Graph;

/// Hues that stay apart for most people on white and on black; communities beyond them start again.
const HUES: [&str; 11] = [
    "#4a7fc9", "#d9722e", "#2f9e6e", "#c94f68", "#8a6bd1", "#b0892a", "#2b9db3", "#b0629f", "#6f9a33", "#a06b4a",
    "#6a86a8",
];
/// Bundles that occur with no other, and curves between communities.
const GREY: &str = "#8c96a3";
/// Room between labels on the circle, px.
const LABEL_PITCH: f64 = 17.0;
/// Width of a character of a label, px, with some to spare.
const CHARACTER: f64 = 6.6;
/// Room left free between two communities, in labels.
const GAP: f64 = 1.2;
/// Curves kept for each bundle, the strongest first: more would only be ink.
const CURVES_PER_NODE: usize = 7;
const SMALLEST_RADIUS: f64 = 270.0;
const NAME: usize = 34;
const VERSION: usize = 14;
const LEGEND: f64 = 440.0;
const LEGEND_ROWS: usize = 16;
const LEGEND_LINKS: usize = 8;

struct Placed<'a> {
    bundle: &'a Bundle,
    angle: f64,
    size: f64,
}

struct Picture<'a> {
    graph: &'a Graph,
    /// By index of the bundle.
    placed: BTreeMap<usize, Placed<'a>>,
    /// Communities in the order in which they stand on the circle.
    order: Vec<usize>,
    /// Communities that are one bundle without any other.
    alone: BTreeSet<usize>,
    step: f64,
    radius: f64,
    cx: f64,
    cy: f64,
}

/// The picture as one SVG document without scripts, fonts or links.
pub fn svg(graph: &Graph) -> String {
    let picture = place(graph);
    let (width, height) = (2.0 * picture.cx + LEGEND, (2.0 * picture.cy).max(legend_height(&picture)));
    let mut out = String::new();
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" \
         role=\"img\" aria-labelledby=\"title desc\">\n<title id=\"title\">Packages that are loaded together</title>\n\
         <desc id=\"desc\">{} packages in {} bundles and {} communities; curves join what the same functions load</desc>\n\
         <style>\n{STYLE}</style>\n<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n",
        graph.packages.len(),
        graph.bundles.len(),
        graph.communities.len(),
    );
    picture.curves(&mut out);
    picture.arcs(&mut out);
    picture.nodes(&mut out);
    picture.legend(&mut out);
    out.push_str("</svg>\n");
    out
}

const STYLE: &str =
    "  text { font-family: system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #20262e; }
  .paper { fill: #ffffff; }
  .label { font-size: 12px; }
  .more { font-weight: 600; }
  .version, .figure { fill: #69727d; font-size: 11px; }
  .curve { fill: none; stroke-linecap: round; }
  .dot { stroke: #ffffff; stroke-width: 1.2; }
  .title { font-size: 19px; font-weight: 600; }
  .head { font-size: 14px; font-weight: 600; }
  .row { font-size: 12.5px; }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #14181d; }
    .dot { stroke: #14181d; }
    text { fill: #e6e9ed; }
    .version, .figure { fill: #98a2ad; }
  }
";

/// Lays the bundles out: communities that have much in common beside each other, in each the widest used bundle first.
fn place(graph: &Graph) -> Picture<'_> {
    let mut inside: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, bundle) in graph.bundles.iter().enumerate() {
        inside.entry(bundle.community).or_default().push(at);
    }
    let linked: BTreeSet<usize> = graph.links.iter().flat_map(|l| [l.a, l.b]).collect();
    let alone: BTreeSet<usize> =
        inside.iter().filter(|(_, b)| b.len() == 1 && !linked.contains(&b[0])).map(|(c, _)| *c).collect();
    let order = neighbours(graph, &inside, &alone);

    let gaps = order.windows(2).filter(|w| !(alone.contains(&w[0]) && alone.contains(&w[1]))).count() + 1;
    let slots = graph.bundles.len() as f64 + GAP * gaps as f64;
    let radius = (slots * LABEL_PITCH / TAU).max(SMALLEST_RADIUS);
    let most = graph.bundles.iter().map(Bundle::value).fold(0.0, f64::max);
    let (mut placed, mut at) = (BTreeMap::new(), 0.0);
    for (i, community) in order.iter().enumerate() {
        if i > 0 && !(alone.contains(community) && alone.contains(&order[i - 1])) {
            at += GAP;
        }
        for &b in &inside[community] {
            let bundle = &graph.bundles[b];
            let size = 2.6 + if most > 0.0 { 9.0 * (bundle.value() / most).sqrt() } else { 0.0 };
            placed.insert(b, Placed { bundle, angle: TAU * at / slots - PI / 2.0, size });
            at += 1.0;
        }
    }
    // As far as the labels reach, so that little paper stays empty.
    let reach = |of: fn(f64) -> f64| {
        let far = placed.values().map(|p| {
            let length = radius + p.size + 10.0 + CHARACTER * label(p.bundle).0.chars().count() as f64;
            of(p.angle).abs() * length
        });
        far.fold(radius, f64::max) + 24.0
    };
    let (cx, cy) = (reach(f64::cos), reach(f64::sin));
    Picture { graph, placed, order, alone, step: TAU / slots, radius, cx, cy }
}

/// Communities so that each follows the one that it has most in common with; the lonely last.
fn neighbours(graph: &Graph, inside: &BTreeMap<usize, Vec<usize>>, alone: &BTreeSet<usize>) -> Vec<usize> {
    let mut common: BTreeMap<(usize, usize), f64> = BTreeMap::new();
    for link in &graph.links {
        let (a, b) = (graph.bundles[link.a].community, graph.bundles[link.b].community);
        if a != b {
            *common.entry((a.min(b), a.max(b))).or_default() += link.jaccard;
        }
    }
    let mut left: Vec<usize> = inside.keys().copied().filter(|c| !alone.contains(c)).collect();
    let mut order: Vec<usize> = Vec::with_capacity(inside.len());
    while !left.is_empty() {
        let with_last =
            |c: usize| order.last().and_then(|&l| common.get(&(l.min(c), l.max(c)))).copied().unwrap_or(0.0);
        let best =
            (1..left.len()).fold(0, |best, at| if with_last(left[at]) > with_last(left[best]) { at } else { best });
        order.push(left.remove(best));
    }
    order.extend(alone);
    order
}

/// For each bundle its strongest links, by Jaccard and then by what they save; the faintest first, so that the
/// strongest lie on top.
fn strongest(graph: &Graph) -> Vec<&Link> {
    let mut links: Vec<&Link> = graph.links.iter().collect();
    links.sort_by(|x, y| {
        y.jaccard.total_cmp(&x.jaccard).then(y.saves_ms.total_cmp(&x.saves_ms)).then((x.a, x.b).cmp(&(y.a, y.b)))
    });
    let mut kept = vec![0_usize; graph.bundles.len()];
    links.retain(|link| {
        let keep = kept[link.a] < CURVES_PER_NODE || kept[link.b] < CURVES_PER_NODE;
        if keep {
            kept[link.a] += 1;
            kept[link.b] += 1;
        }
        keep
    });
    links.reverse();
    links
}

impl Picture<'_> {
    fn hue(&self, community: usize) -> &'static str {
        if self.alone.contains(&community) {
            return GREY;
        }
        let coloured = (0..community).filter(|c| !self.alone.contains(c)).count();
        HUES[coloured % HUES.len()]
    }

    fn point(&self, angle: f64, radius: f64) -> (f64, f64) {
        (self.cx + radius * angle.cos(), self.cy + radius * angle.sin())
    }

    /// The angle in the middle of a community.
    fn middle(&self, community: usize) -> f64 {
        let angles: Vec<f64> =
            self.placed.values().filter(|p| p.bundle.community == community).map(|p| p.angle).collect();
        angles.iter().sum::<f64>() / angles.len().max(1) as f64
    }

    fn curves(&self, out: &mut String) {
        let middle: BTreeMap<usize, f64> = self.order.iter().map(|&c| (c, self.middle(c))).collect();
        let mut within = String::new();
        let mut across = String::new();
        for link in strongest(self.graph) {
            let (Some(a), Some(b)) = (self.placed.get(&link.a), self.placed.get(&link.b)) else { continue };
            let (x1, y1) = self.point(a.angle, self.radius);
            let (x2, y2) = self.point(b.angle, self.radius);
            let (ca, cb) = (a.bundle.community, b.bundle.community);
            let told = format!(
                "<title>{} + {}: {} functions, Jaccard {:.2}</title>",
                escape(&label(a.bundle).0),
                escape(&label(b.bundle).0),
                link.functions,
                link.jaccard
            );
            if ca == cb {
                let apart = (a.angle - b.angle).abs();
                let (qx, qy) =
                    self.point((a.angle + b.angle) / 2.0, self.radius * (0.86 - 0.8 * (apart / PI).min(1.0)));
                let _ = writeln!(
                    within,
                    "<path class=\"curve\" d=\"M{x1:.1} {y1:.1}Q{qx:.1} {qy:.1} {x2:.1} {y2:.1}\" stroke=\"{}\" \
                     stroke-width=\"{:.2}\" stroke-opacity=\"{:.2}\">{told}</path>",
                    self.hue(ca),
                    0.8 + 2.2 * link.jaccard,
                    0.25 + 0.5 * link.jaccard,
                );
            } else {
                let (ax, ay) = self.point(middle[&ca], self.radius * 0.5);
                let (bx, by) = self.point(middle[&cb], self.radius * 0.5);
                let _ = writeln!(
                    across,
                    "<path class=\"curve\" d=\"M{x1:.1} {y1:.1}C{ax:.1} {ay:.1} {bx:.1} {by:.1} {x2:.1} {y2:.1}\" \
                     stroke=\"{GREY}\" stroke-width=\"{:.2}\" stroke-opacity=\"{:.2}\">{told}</path>",
                    0.7 + 1.6 * link.jaccard,
                    0.14 + 0.4 * link.jaccard,
                );
            }
        }
        let _ = write!(out, "<g>\n{across}</g>\n<g>\n{within}</g>\n");
    }

    /// A band along each community.
    fn arcs(&self, out: &mut String) {
        for &community in &self.order {
            let angles = || self.placed.values().filter(|p| p.bundle.community == community).map(|p| p.angle);
            let from = angles().fold(f64::INFINITY, f64::min) - self.step * 0.45;
            let to = angles().fold(f64::NEG_INFINITY, f64::max) + self.step * 0.45;
            let ((x1, y1), (x2, y2)) = (self.point(from, self.radius), self.point(to, self.radius));
            let _ = writeln!(
                out,
                "<path d=\"M{x1:.1} {y1:.1}A{r:.1} {r:.1} 0 {} 1 {x2:.1} {y2:.1}\" fill=\"none\" stroke=\"{}\" \
                 stroke-width=\"5\" stroke-opacity=\"0.35\"/>",
                i32::from(to - from > PI),
                self.hue(community),
                r = self.radius,
            );
        }
    }

    fn nodes(&self, out: &mut String) {
        for p in self.placed.values() {
            let (x, y) = self.point(p.angle, self.radius);
            let degrees = p.angle.to_degrees();
            // Labels on the left half are turned, so that none stands on its head.
            let flip = (90.0..270.0).contains(&degrees.rem_euclid(360.0));
            let shift = p.size.max(4.0) + 6.0;
            let (turn, shift, anchor) = if flip { (degrees + 180.0, -shift, "end") } else { (degrees, shift, "start") };
            let (_, name, version, more) = label(p.bundle);
            let more = if more.is_empty() { more } else { format!(" <tspan class=\"more\">{more}</tspan>") };
            let _ = writeln!(
                out,
                "<g><title>{}</title><circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{:.1}\" fill=\"{}\"/>\
                 <text class=\"label\" transform=\"translate({x:.1} {y:.1}) rotate({turn:.2}) translate({shift:.1} 4)\" \
                 text-anchor=\"{anchor}\">{} <tspan class=\"version\">{}</tspan>{more}</text></g>",
                escape(&told(p.bundle)),
                p.size,
                self.hue(p.bundle.community),
                escape(&name),
                escape(&version),
            );
        }
    }

    fn legend(&self, out: &mut String) {
        let left = 2.0 * self.cx;
        let mut y = 56.0;
        let text = |out: &mut String, class: &str, x: f64, y: f64, text: &str| {
            let _ = writeln!(out, "<text class=\"{class}\" x=\"{x:.0}\" y=\"{y:.0}\">{}</text>", escape(text));
        };
        let dot = |out: &mut String, x: f64, y: f64, r: f64, hue: &str| {
            let _ = writeln!(out, "<circle cx=\"{x:.0}\" cy=\"{y:.0}\" r=\"{r}\" fill=\"{hue}\"/>");
        };
        text(out, "title", left, y, "Packages that are loaded together");
        for line in [
            format!(
                "{} packages, {} bundles, {} functions",
                self.graph.packages.len(),
                self.graph.bundles.len(),
                self.graph.classes.iter().map(|c| c.functions).sum::<usize>()
            ),
            "“+N”: and N packages more that exactly the same functions load".into(),
            "a dot’s area is the time that all functions spend loading it".into(),
            "a curve is as strong as the share of functions that load both".into(),
        ] {
            y += 18.0;
            text(out, "figure", left, y, &line);
        }
        y += 34.0;
        text(out, "head", left, y, "Communities");
        let rows: Vec<usize> = self.order.iter().copied().filter(|c| !self.alone.contains(c)).collect();
        for &at in rows.iter().take(LEGEND_ROWS) {
            let Some(community) = self.graph.communities.get(at) else { continue };
            y += 23.0;
            dot(out, left + 6.0, y - 4.0, 6.0, self.hue(at));
            text(out, "row", left + 20.0, y, &shorten(&community.name, 56));
            y += 15.0;
            let figures = format!(
                "{}, loaded by {}",
                count(community.packages, "package"),
                count(community.functions, "function")
            );
            text(out, "figure", left + 20.0, y, &figures);
        }
        if rows.len() > LEGEND_ROWS {
            y += 20.0;
            text(out, "figure", left + 20.0, y, &format!("and {} more", rows.len() - LEGEND_ROWS));
        }
        if !self.alone.is_empty() {
            y += 23.0;
            dot(out, left + 6.0, y - 4.0, 6.0, GREY);
            text(
                out,
                "row",
                left + 20.0,
                y,
                &format!("{} that no function loads with another", count(self.alone.len(), "bundle")),
            );
        }
        y += 36.0;
        text(out, "head", left, y, "Would save most if shared");
        for link in self.graph.links.iter().take(LEGEND_LINKS) {
            let (a, b) = (&self.graph.bundles[link.a], &self.graph.bundles[link.b]);
            y += 23.0;
            dot(out, left + 3.0, y - 4.0, 3.5, self.hue(a.community));
            dot(out, left + 11.0, y - 4.0, 3.5, self.hue(b.community));
            let name = |bundle: &Bundle| {
                let (_, name, _, more) = label(bundle);
                if more.is_empty() { name } else { format!("{name} {more}") }
            };
            text(out, "row", left + 20.0, y, &shorten(&format!("{} and {}", name(a), name(b)), 56));
            y += 15.0;
            let figures = format!(
                "{}, Jaccard {:.2}, {:.0} ms, {:.0} MB",
                count(link.functions, "function"),
                link.jaccard,
                link.saves_ms,
                link.saves_mb
            );
            text(out, "figure", left + 20.0, y, &figures);
        }
    }
}

/// Room that the legend takes; its lines are counted as [`Picture::legend`] writes them.
fn legend_height(picture: &Picture<'_>) -> f64 {
    let communities = picture.order.len() - picture.alone.len();
    let rows = communities.min(LEGEND_ROWS) + picture.graph.links.len().min(LEGEND_LINKS);
    56.0 + 4.0 * 18.0 + 34.0 + 38.0 * rows as f64 + 20.0 + 23.0 + 36.0 + 40.0
}

/// The whole label, and its parts: name, version, how many more.
fn label(bundle: &Bundle) -> (String, String, String, String) {
    let (name, version) = bundle
        .packages
        .first()
        .map_or_else(Default::default, |id| (shorten(&id.name, NAME), shorten(&id.version, VERSION)));
    let more = if bundle.packages.len() > 1 { format!("+{}", bundle.packages.len() - 1) } else { String::new() };
    (format!("{name} {version} {more}").trim_end().to_string(), name, version, more)
}

/// What stands in a bundle, for those who point at it.
fn told(bundle: &Bundle) -> String {
    let mut names: Vec<String> = bundle.packages.iter().take(12).map(|id| id.spec()).collect();
    if bundle.packages.len() > 12 {
        names.push(format!("and {} more", bundle.packages.len() - 12));
    }
    format!(
        "{}; {:.1} ms, {:.1} MB\n{}",
        count(bundle.functions, "function"),
        bundle.load_ms,
        bundle.resident_mb,
        names.join("\n")
    )
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_string();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::classes::Class;
    use crate::graph::cooccurrence::graph;
    use crate::model::{Language, PackageId, Platform};

    fn fleet(closures: &[&[&str]]) -> Graph {
        let classes: Vec<Class> = closures
            .iter()
            .map(|names| Class {
                digest: names.join("+"),
                platform: Platform::linux(Language::Python, "3.11"),
                trust_domain: "default".into(),
                closure: names.iter().map(|n| PackageId::pypi(n, "1<2")).collect(),
                complete: true,
                functions: vec![0],
                weight: 1.0,
            })
            .collect();
        graph(&classes, &|_, _| Some((1.0, 1.0)), 1, 200)
    }

    #[test]
    fn long_names_are_cut_at_characters() {
        assert_eq!(shorten("äöüß", 4), "äöüß");
        assert_eq!(shorten("äöüßx", 4), "äöü…");
    }

    #[test]
    fn every_bundle_stands_once_at_its_own_angle_and_the_lonely_last() {
        let graph = fleet(&[&["a", "b"], &["b", "c"], &["lonely"], &["x", "y"], &["y", "z"]]);
        let picture = place(&graph);
        let mut angles: Vec<f64> = picture.placed.values().map(|p| p.angle).collect();
        angles.sort_by(f64::total_cmp);
        assert_eq!(angles.len(), 7);
        assert!(angles.windows(2).all(|w| w[1] - w[0] >= picture.step * 0.999));
        assert!(angles[6] - angles[0] < TAU);
        let last = picture.order.last().unwrap();
        assert!(picture.alone.contains(last) && picture.alone.len() == 1);
        assert_eq!(picture.hue(*last), GREY);
    }

    #[test]
    fn an_empty_graph_is_still_a_picture_and_markup_is_escaped() {
        assert!(svg(&fleet(&[])).ends_with("</svg>\n"));
        let text = svg(&fleet(&[&["a", "b"], &["b"]]));
        assert!(text.contains("1&lt;2") && !text.contains("1<2"));
        assert!(!text.contains("NaN") && !text.contains("inf"));
    }
}
