//! A picture of the price curve: what share of the load time is saved for how much memory.
//!
//! Memory is on a logarithmic axis, as budgets grow by equal factors; the knee is one of the linear curve and is therefore
//! only marked here, not to be seen as a bend. Everything is computed from the curve with fixed decimals.

use std::fmt::Write;

use super::xml::escape;
use crate::model::curve::{Curve, Point};
use crate::model::plan::{Aim, Share};

const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 512.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 90.0;
const BOTTOM: f64 = 62.0;

const STYLE: &str =
    "  text { font-family: system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #20262e; font-size: 12px; }
  .paper { fill: #ffffff; }
  .title { font-size: 19px; font-weight: 600; }
  .note { fill: #5d6670; }
  .grid { stroke: #dfe3e8; stroke-width: 1; }
  .axis { stroke: #8c96a3; stroke-width: 1; }
  .area { fill: #4a7fc9; fill-opacity: 0.12; }
  .plan { fill: none; stroke: #2f6bbd; stroke-width: 2.4; stroke-linejoin: round; }
  .bound { fill: none; stroke: #8c96a3; stroke-width: 1.4; stroke-dasharray: 5 4; }
  .aim { fill: none; stroke: #8a6bd1; stroke-width: 1.4; }
  .dot { fill: #2f6bbd; stroke: #ffffff; stroke-width: 1.4; }
  .knee { stroke: #c2571a; stroke-width: 1.6; }
  .kneedot { fill: #d9722e; stroke: #ffffff; stroke-width: 1.4; }
  .kneetext, .marktext { font-weight: 600; paint-order: stroke; stroke: #ffffff; stroke-width: 4px; stroke-opacity: 0.85; }
  .kneetext { fill: #a84a14; }
  .mark { stroke: #2f8a62; stroke-width: 1.4; stroke-dasharray: 3 3; }
  .marktext { fill: #23734f; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6e9ed; }
    .paper { fill: #14181d; }
    .note { fill: #9aa4af; }
    .grid { stroke: #2a3038; }
    .axis { stroke: #6a747f; }
    .area { fill-opacity: 0.2; }
    .plan { stroke: #74a6ea; }
    .dot { fill: #74a6ea; stroke: #14181d; }
    .kneedot { stroke: #14181d; }
    .kneetext, .marktext { stroke: #14181d; }
    .kneetext { fill: #f0a06a; }
    .marktext { fill: #62c79b; }
    .mark { stroke: #62c79b; }
  }
";

/// Where things stand on the paper.
struct Scale {
    low: f64,
    high: f64,
    most: f64,
}

impl Scale {
    fn x(&self, mb: f64) -> f64 {
        let share = if self.high > self.low { (mb / self.low).ln() / (self.high / self.low).ln() } else { 0.5 };
        LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, share: f64) -> f64 {
        HEIGHT - BOTTOM - (share / self.most).clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
    }
}

/// The picture as one SVG document without scripts, fonts or links.
pub fn svg(curve: &Curve) -> String {
    let share = |ms: f64| if curve.total_ms > 0.0 { ms / curve.total_ms } else { 0.0 };
    let points: Vec<&Point> = curve.points.iter().filter(|p| p.budget_mb > 0.0 && p.budget_mb.is_finite()).collect();
    let most = points.iter().map(|p| share(p.bound).max(p.saved_share)).fold(0.0, f64::max);
    // What is planned for: with the aim `expected` not quite what the known functions save.
    let planned = |p: &Point| share(p.objective);
    let step = [0.01, 0.02, 0.05, 0.1].into_iter().find(|s| most <= s * 8.0).unwrap_or(0.2);
    let scale = Scale {
        low: points.first().map_or(1.0, |p| p.budget_mb),
        high: points.last().map_or(1.0, |p| p.budget_mb),
        most: ((most / step).ceil() * step).max(step),
    };
    let mut out = String::new();
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {HEIGHT:.0}\" width=\"{WIDTH:.0}\" height=\"{HEIGHT:.0}\" \
         role=\"img\" aria-labelledby=\"title desc\">\n<title id=\"title\">What memory for warm images saves</title>\n\
         <desc id=\"desc\">{}</desc>\n<style>\n{STYLE}</style>\n<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n",
        escape(&described(curve))
    );
    text(&mut out, "title", LEFT, 32.0, "start", "Share of the load time that warm images save, by memory");
    let [first, second] = notes(curve);
    text(&mut out, "note", LEFT, 50.0, "start", &first);
    text(&mut out, "note", LEFT, 66.0, "start", &second);
    axes(&mut out, &scale, step);
    let path = |y: &dyn Fn(&Point) -> f64| -> String {
        let of = |(k, p): (usize, &&Point)| {
            format!("{}{:.1} {:.1}", if k == 0 { "M" } else { " L" }, scale.x(p.budget_mb), y(p))
        };
        points.iter().enumerate().map(of).collect()
    };
    if let (Some(first), Some(last)) = (points.first(), points.last()) {
        let line = path(&|p| scale.y(p.saved_share));
        let bottom = scale.y(0.0);
        let _ = writeln!(
            out,
            "<path class=\"area\" d=\"{line} L{:.1} {bottom:.1} L{:.1} {bottom:.1} Z\"/>",
            scale.x(last.budget_mb),
            scale.x(first.budget_mb)
        );
        let _ = writeln!(out, "<path class=\"bound\" d=\"{}\"/>", path(&|p| scale.y(share(p.bound))));
        let _ = writeln!(out, "<path class=\"plan\" d=\"{line}\"/>");
        if curve.aim == Aim::Expected {
            let _ = writeln!(out, "<path class=\"aim\" d=\"{}\"/>", path(&|p| scale.y(planned(p))));
        }
    }
    let knee = curve.knee_point();
    for (k, p) in curve.points.iter().enumerate() {
        let (x, y) = (scale.x(p.budget_mb), scale.y(p.saved_share));
        let (class, radius) = if Some(k) == knee { ("kneedot", 6.0) } else { ("dot", 3.6) };
        let _ = writeln!(
            out,
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"><title>{}: {} saved, at most {}, {} images</title></circle>",
            size(p.budget_mb),
            percent(p.saved_share),
            percent(share(p.bound)),
            p.images
        );
    }
    if let Some(p) = knee.map(|k| &curve.points[k]) {
        upright(
            &mut out,
            &scale,
            p,
            "knee",
            &format!("knee: {} for {}", percent(p.saved_share), size(p.budget_mb)),
            24.0,
        );
    }
    let marked = curve.marked_mb.and_then(|mb| curve.points.iter().find(|p| p.budget_mb == mb));
    if let Some(p) = marked {
        let said = format!("asked for: {} for {}", percent(p.saved_share), size(p.budget_mb));
        upright(&mut out, &scale, p, "mark", &said, 44.0);
    }
    out.push_str("</svg>\n");
    out
}

/// A line from a point down to the axis, with what it is.
fn upright(out: &mut String, scale: &Scale, p: &Point, class: &str, said: &str, above: f64) {
    let (x, y, bottom) = (scale.x(p.budget_mb), scale.y(p.saved_share), scale.y(0.0));
    let _ =
        writeln!(out, "<line class=\"{class}\" x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\"/>", y + 6.0);
    // Above the axis, on the side where there is room.
    let (at, anchor) = if x > WIDTH / 2.0 { (x - 8.0, "end") } else { (x + 8.0, "start") };
    text(out, &format!("{class}text"), at, bottom - above + 12.0, anchor, said);
}

fn axes(out: &mut String, scale: &Scale, step: f64) {
    let rows = (scale.most / step).round() as usize;
    for row in 0..=rows {
        let share = row as f64 * step;
        let y = scale.y(share);
        let class = if row == 0 { "axis" } else { "grid" };
        let _ = writeln!(
            out,
            "<line class=\"{class}\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\"/>",
            WIDTH - RIGHT
        );
        text(out, "note", LEFT - 8.0, y + 4.0, "end", &format!("{:.0} %", share * 100.0));
    }
    let bottom = scale.y(0.0);
    let mut last = f64::NEG_INFINITY;
    for mb in ticks(scale.low, scale.high) {
        let x = scale.x(mb);
        if x - last < 46.0 {
            continue;
        }
        last = x;
        let _ = writeln!(
            out,
            "<line class=\"axis\" x1=\"{x:.1}\" y1=\"{bottom:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\"/>",
            bottom + 5.0
        );
        text(out, "note", x, bottom + 20.0, "middle", &size(mb));
    }
    text(
        out,
        "note",
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 16.0,
        "middle",
        "memory for all images together (logarithmic)",
    );
}

/// 1, 2 and 5 times the powers of ten between two amounts; the two themselves where there are fewer than two.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let mut all = Vec::new();
    let mut power = 0.1;
    while power <= high && all.len() < 64 {
        all.extend([1.0, 2.0, 5.0].map(|m| m * power).into_iter().filter(|mb| (low..=high).contains(mb)));
        power *= 10.0;
    }
    if all.len() < 2 { vec![low, high] } else { all }
}

/// What was planned, and what the lines are.
fn notes(curve: &Curve) -> [String; 2] {
    let rule = match curve.share {
        Share::Subset => "subset rule",
        Share::Superset => "superset rule",
    };
    let most = curve.max_images.map_or(String::new(), |n| format!(", at most {n} images"));
    let lines = match curve.aim {
        Aim::Known => "line: best plans found",
        Aim::Expected => {
            "line: what known functions are saved; thin: what is planned for, with functions that are expected"
        }
    };
    [
        format!("{} functions, {rule}{most}", curve.size.functions),
        format!("{lines}; dashes: no plan of the {} candidates saves more", curve.size.candidates),
    ]
}

fn described(curve: &Curve) -> String {
    let ends = match (curve.points.first(), curve.points.last()) {
        (Some(a), Some(b)) => format!(
            "From {} for {} to {} for {}.",
            percent(a.saved_share),
            size(a.budget_mb),
            percent(b.saved_share),
            size(b.budget_mb)
        ),
        _ => String::new(),
    };
    let knee = curve
        .knee
        .as_ref()
        .map_or(String::new(), |k| format!(" The knee is at {}: {}.", size(k.budget_mb), percent(k.saved_share)));
    ends + &knee
}

fn text(out: &mut String, class: &str, x: f64, y: f64, anchor: &str, said: &str) {
    let _ = writeln!(
        out,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
        escape(said)
    );
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// `0.5 MB`, `64 MB`, `1.5 GB`.
fn size(mb: f64) -> String {
    let short = |value: f64| {
        let text = format!("{value:.1}");
        text.strip_suffix(".0").map(str::to_string).unwrap_or(text)
    };
    if mb >= 1000.0 { format!("{} GB", short(mb / 1000.0)) } else { format!("{} MB", short(mb)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::curve::{Knee, SCHEMA};
    use crate::model::plan::{Size, Status};

    pub fn curve() -> Curve {
        let point = |budget_mb: f64, saved: f64| Point {
            budget_mb,
            memory_mb: budget_mb,
            images: 1,
            served: 2,
            objective: saved,
            saved_share: saved / 1000.0,
            bound: saved + 20.0,
            gap: 20.0 / (saved + 20.0),
            status: Status::Feasible,
            marginal_ms_per_mb: 1.0,
        };
        Curve {
            schema: SCHEMA.into(),
            generator: "test".into(),
            share: Share::Subset,
            aim: Aim::Known,
            max_images: None,
            weights: "uniform".into(),
            total_ms: 1000.0,
            bound_covers: String::new(),
            size: Size { functions: 7, candidates: 9, ..Size::default() },
            points: vec![point(10.0, 100.0), point(100.0, 600.0), point(1000.0, 700.0)],
            knee: Some(Knee { budget_mb: 100.0, memory_mb: 100.0, saved_share: 0.6, method: String::new() }),
            marked_mb: None,
        }
    }

    #[test]
    fn points_stand_where_their_figures_put_them() {
        let svg = svg(&curve());
        // Of 820 px for two powers of ten, 100 MB is in the middle: 70 + 410. The axis ends at 80 %, 0.6 of which is 3/4
        // of 360 px above 450.
        assert!(svg.contains("class=\"kneedot\" cx=\"480.0\" cy=\"180.0\""), "{svg}");
        assert!(svg.contains("cx=\"70.0\" cy=\"405.0\"") && svg.contains("cx=\"890.0\" cy=\"135.0\""), "{svg}");
        assert!(svg.contains("knee: 60.0 % for 100 MB") && !svg.contains("asked for"));
        assert!(svg.contains(">1 GB<") && svg.contains(">80 %<"));
    }

    #[test]
    fn a_curve_of_one_point_or_none_is_drawn() {
        let mut one = curve();
        one.points.truncate(1);
        one.knee = None;
        one.marked_mb = Some(10.0);
        assert!(svg(&one).contains("asked for: 10.0 % for 10 MB"));
        one.points.clear();
        for text in [svg(&one), svg(&curve())] {
            assert!(!text.contains("NaN") && !text.contains("inf") && text.ends_with("</svg>\n"), "{text}");
        }
    }
}
