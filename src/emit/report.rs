//! `report.html`: one file for a person: what was found, chosen and saved, and why. No script, no network, no dates.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::view::View;
use super::xml::escape;
use crate::model::plan::{Aim, Share, Status, WhyUnserved};
use crate::model::{Diagnostic, Inventory, PackageId, Plan, State};

const STYLE: &str = include_str!("report.css");

/// Rows of a table, and names in a folded list: a browser must be able to open the report of any fleet.
const ROWS: usize = 2_000;
const NAMES: usize = 200;

/// What is said of the rows that are left out.
fn left_out(all: usize, what: &str, file: &str) -> String {
    match all.saturating_sub(ROWS) {
        0 => String::new(),
        more => format!(
            "<p><small>The first {ROWS} of {all} {what}; the other {more} are in <code>{file}</code>.</small></p>\n"
        ),
    }
}

/// A number with thousands separated by a thin space, and one decimal below 100.
fn number(value: f64) -> String {
    if !value.is_finite() {
        return "unknown".to_string();
    }
    if value.abs() < 99.95 {
        let short = format!("{value:.1}");
        return short.strip_suffix(".0").unwrap_or(&short).to_string();
    }
    let whole = format!("{value:.0}");
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole.as_str()), |d| ("-", d));
    let mut out = String::from(sign);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.1} %", share * 100.0) } else { "unknown".to_string() }
}

/// A bar of `value` out of `whole`; the figure stands beside it in text, so the bar is hidden from screen readers.
fn bar(value: f64, whole: f64, class: &str) -> String {
    let share = if whole > 0.0 && value.is_finite() { (value / whole).clamp(0.0, 1.0) } else { 0.0 };
    format!(
        "<span class=\"bar\" aria-hidden=\"true\"><i class=\"{class}\" style=\"width:{:.2}%\"></i></span>",
        share * 100.0
    )
}

/// Writes the report.
pub fn report(
    name: &str,
    plan: &Plan,
    inventory: &Inventory,
    views: &[View<'_>],
    diagnostics: &[&Diagnostic],
) -> String {
    let mut out = String::new();
    let title = escape(name);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>warmset plan {title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>Warm images for {title}</h1>\n<p>{}</p>\n</header>\n<main>\n",
        summary_sentence(plan, inventory)
    );
    figures(&mut out, plan, inventory);
    memory(&mut out, plan, views);
    images(&mut out, plan, views);
    asked(&mut out, plan);
    functions(&mut out, plan, inventory);
    sources(&mut out, plan);
    findings(&mut out, diagnostics);
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn summary_sentence(plan: &Plan, inventory: &Inventory) -> String {
    let images = plan.images.len();
    let (plural, verb) = if images == 1 { ("", "s") } else { ("s", "") };
    format!(
        "{images} image{plural} serve{verb} {} of {} functions and save{verb} {} of all load time at cold starts, \
         in {} of {} MB.{}",
        plan.assignments.len(),
        inventory.functions.len(),
        percent(plan.saved_share),
        number(plan.memory_mb),
        number(plan.budget_mb),
        match plan.share {
            Share::Subset => String::new(),
            Share::Superset => format!(
                " Images may hold what a function does not load (superset rule): {} functions see packages that they did not ask for.",
                plan.assignments.iter().filter(|a| a.unneeded > 0).count()
            ),
        }
    )
}

/// `2 locked, 1 pinned`, in the order of the keys.
fn counted<K: Ord>(of: impl Iterator<Item = K>, name: impl Fn(&K) -> String) -> String {
    let mut counts: BTreeMap<K, usize> = BTreeMap::new();
    for key in of {
        *counts.entry(key).or_default() += 1;
    }
    counts.iter().map(|(key, n)| format!("{n} {}", name(key))).collect::<Vec<_>>().join(", ")
}

fn figures(out: &mut String, plan: &Plan, inventory: &Inventory) {
    let functions = &inventory.functions;
    let states = counted(functions.iter().map(|f| f.state), |s| state(*s).to_string());
    let platforms = counted(functions.iter().map(|f| f.platform.as_ref()), |p| {
        p.map_or_else(|| "of unknown platform".to_string(), |p| format!("{} {}", p.language, p.version))
    });
    let proof = match plan.status {
        Status::Optimal => "optimal".to_string(),
        Status::Feasible => format!("gap {}", percent(plan.gap)),
        Status::Empty => "nothing to share".to_string(),
    };
    let mut rows = vec![
        ("Functions", functions.len().to_string(), format!("{states}; {platforms}")),
        (
            "Load time saved",
            percent(plan.saved_share),
            format!(
                "{} of {} ms in the planning period; weights: {}",
                number(plan.known_ms()),
                number(plan.total_ms),
                plan.weights
            ),
        ),
        (
            "Memory",
            format!("{} MB", number(plan.memory_mb)),
            format!(
                "of {} MB, in {} image{}",
                number(plan.budget_mb),
                plan.images.len(),
                if plan.images.len() == 1 { "" } else { "s" }
            ),
        ),
        (
            "Proof",
            proof,
            format!(
                "saves {}{} ms; nothing saves more than {} ms. Plan by {}, bound by {}",
                if plan.aim == Aim::Expected { "expected functions " } else { "" },
                number(plan.objective),
                number(plan.bound),
                plan.method.plan,
                plan.method.bound
            ),
        ),
    ];
    if let Some(expected) = &plan.expected {
        rows.push((
            "Planned for",
            "functions that will come".to_string(),
            format!(
                "{} of the weight lies on {} closures that no function has yet, parts of known ones; what is saved above \
                 is of the functions that there are",
                percent(expected.weight_share),
                expected.closures
            ),
        ));
    }
    if let Some(changes) = &plan.changes {
        rows.push((
            "Images to build",
            (changes.built.len() + changes.reparented.len()).to_string(),
            format!(
                "{} of the plan before stay as they were, {} leave; saves {} less than the best plan found",
                changes.kept,
                changes.removed.len(),
                percent(changes.loss)
            ),
        ));
    }
    out.push_str(
        "<section aria-labelledby=\"h-figures\">\n<h2 id=\"h-figures\">In figures</h2>\n<dl class=\"cards\">\n",
    );
    for (term, value, note) in rows {
        let _ = writeln!(
            out,
            "<div><dt>{term}</dt><dd><strong>{}</strong><br><small>{}</small></dd></div>",
            escape(&value),
            escape(&note)
        );
    }
    let _ = writeln!(
        out,
        "</dl>\n<p><small>The bound is relative to {} ({} classes of functions, {} candidate images).</small></p>\n</section>",
        escape(&plan.bound_covers),
        plan.size.classes,
        plan.size.candidates
    );
}

/// Pools, and how each demand is met.
fn asked(out: &mut String, plan: &Plan) {
    let table = |out: &mut String, id: &str, title: &str, head: &[&str], rows: &[Vec<String>]| {
        let _ = write!(
            out,
            "<section aria-labelledby=\"h-{id}\">\n<h2 id=\"h-{id}\">{title}</h2>\n<div class=\"scroll\" role=\"region\" \
             aria-labelledby=\"h-{id}\" tabindex=\"0\">\n<table>\n<thead><tr>"
        );
        for name in head {
            let _ = write!(out, "<th scope=\"col\">{name}</th>");
        }
        out.push_str("</tr></thead>\n<tbody>\n");
        for row in rows {
            let (first, rest) = row.split_first().map_or((String::new(), &[][..]), |(f, r)| (f.clone(), r));
            let _ = write!(out, "<tr><th scope=\"row\">{}</th>", escape(&first));
            for (cell, name) in rest.iter().zip(&head[1..]) {
                let _ = write!(out, "<td data-l=\"{name}\">{}</td>", escape(cell));
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</tbody>\n</table>\n</div>\n</section>\n");
    };
    if !plan.pools.is_empty() {
        let rows: Vec<Vec<String>> = plan
            .pools
            .iter()
            .map(|pool| {
                let hosts = pool.of.hosts.map_or_else(|| "not said".to_string(), |n| n.to_string());
                let memory = format!("{} of {}", number(pool.memory_mb), number(pool.budget_mb));
                let (saved, gap) = (number(pool.objective), percent(pool.gap));
                vec![pool.of.name.clone(), hosts, pool.images.to_string(), memory, saved, gap]
            })
            .collect();
        table(out, "pools", "Pools", &["Pool", "Hosts", "Images", "Memory on each, MB", "Saves, ms", "Gap"], &rows);
    }
    if !plan.demands.is_empty() {
        let rows: Vec<Vec<String>> = plan
            .demands
            .iter()
            .map(|demand| {
                let amount = |value: Option<f64>| match (value, demand.unit.as_str()) {
                    (None, _) => String::new(),
                    (Some(share), "share") => percent(share),
                    (Some(value), unit) => format!("{} {unit}", number(value)),
                };
                let of = demand.of.clone().unwrap_or_default();
                let said = demand.wished.pool.as_ref().map_or_else(String::new, |pool| format!(" of pool {pool}"));
                let met = if demand.met { "yes" } else { "no" };
                let place = demand.wished.place.to_string();
                let text = format!("{}{said}", demand.text);
                vec![text, place, met.to_string(), amount(demand.has), amount(demand.limit), of]
            })
            .collect();
        table(out, "demands", "Demands", &["Demand", "Said in", "Met", "Reached", "Limit", "By"], &rows);
    }
}

/// One bar of the budget, a segment an image.
fn memory(out: &mut String, plan: &Plan, views: &[View<'_>]) {
    let _ = write!(
        out,
        "<section aria-labelledby=\"h-memory\">\n<h2 id=\"h-memory\">Memory</h2>\n<p>{} of {} MB: what each image adds to its parent, \
         left to right in the order of the table.</p>\n<div class=\"stack\" aria-hidden=\"true\">",
        number(plan.memory_mb),
        number(plan.budget_mb)
    );
    for (at, view) in views.iter().enumerate().take(ROWS) {
        let share = if plan.budget_mb > 0.0 { (view.image.added_mb / plan.budget_mb).clamp(0.0, 1.0) } else { 0.0 };
        let _ = write!(
            out,
            "<i class=\"c{}\" style=\"width:{:.2}%\" title=\"{}: {} MB\"></i>",
            at % 6,
            share * 100.0,
            escape(&view.image.id),
            number(view.image.added_mb)
        );
    }
    out.push_str("</div>\n</section>\n");
}

fn images(out: &mut String, plan: &Plan, views: &[View<'_>]) {
    out.push_str("<section aria-labelledby=\"h-images\">\n<h2 id=\"h-images\">Images</h2>\n");
    if views.is_empty() {
        out.push_str("<p>None was chosen.</p>\n</section>\n");
        return;
    }
    let mut served: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for assignment in &plan.assignments {
        served.entry(&assignment.image).or_default().push(&assignment.function);
    }
    let most = views.iter().map(|v| v.image.saved_ms).fold(0.0, f64::max);
    let largest = views.iter().map(|v| v.image.added_mb).fold(0.0, f64::max);
    out.push_str(
        "<div class=\"scroll\" role=\"region\" aria-labelledby=\"h-images\" tabindex=\"0\">\n<table>\n<thead><tr><th scope=\"col\">Image</th>\
         <th scope=\"col\">Packages</th><th scope=\"col\">Serves</th><th scope=\"col\" class=\"n\">Saves, ms</th>\
         <th scope=\"col\" class=\"n\">Adds, MB</th><th scope=\"col\" class=\"n\">Load, ms</th><th scope=\"col\" class=\"n\">Swap, ms</th></tr></thead>\n<tbody>\n",
    );
    for (at, view) in views.iter().enumerate().take(ROWS) {
        let image = view.image;
        let _ = write!(
            out,
            "<tr id=\"{}\"><th scope=\"row\"><i class=\"chip c{}\" aria-hidden=\"true\"></i><code>{0}</code><br><small>{}{}</small></th><td data-l=\"Packages\">{}</td><td data-l=\"Serves\">{}</td>",
            escape(&image.id),
            at % 6,
            escape(&image.platform.to_string()),
            view.parent.map_or(String::new(), |p| format!("<br>on <a href=\"#{0}\">{0}</a>", escape(&p.id))),
            package_list(view),
            name_list(served.get(image.id.as_str()).map_or(&[][..], Vec::as_slice)),
        );
        let _ = writeln!(
            out,
            "<td class=\"n\" data-l=\"Saves, ms\">{}{}</td><td class=\"n\" data-l=\"Adds, MB\">{}{}</td>\
             <td class=\"n\" data-l=\"Load, ms\">{}</td><td class=\"n\" data-l=\"Swap, ms\">{}</td></tr>",
            number(image.saved_ms),
            bar(image.saved_ms, most, "save"),
            number(image.added_mb),
            bar(image.added_mb, largest, "cost"),
            number(image.load_ms),
            number(image.swap_ms),
        );
    }
    let _ = write!(out, "</tbody>\n</table>\n</div>\n{}</section>\n", left_out(views.len(), "images", "plan.json"));
}

/// What the image adds is in bold; what it has from its parent is not.
fn package_list(view: &View<'_>) -> String {
    let items: Vec<String> = view
        .packages
        .iter()
        .map(|package: &PackageId| {
            let text = escape(&package.spec());
            if view.parent.is_some() && view.added.contains(package) { format!("<b>{text}</b>") } else { text }
        })
        .collect();
    folded(&items, items.len(), "packages")
}

fn name_list(names: &[&str]) -> String {
    let items: Vec<String> = names.iter().take(NAMES).map(|n| escape(n)).collect();
    folded(&items, names.len(), "functions")
}

/// A list that is folded away when it is long; `details` needs no script.
fn folded(items: &[String], all: usize, what: &str) -> String {
    if all <= 6 {
        return items.join(", ");
    }
    let more = if all > items.len() { format!(" and {} more", all - items.len()) } else { String::new() };
    format!("<details><summary>{all} {what}</summary>{}{more}</details>", items.join(", "))
}

fn functions(out: &mut String, plan: &Plan, inventory: &Inventory) {
    out.push_str(
        "<section aria-labelledby=\"h-functions\">\n<h2 id=\"h-functions\">Functions</h2>\n\
         <p><small>Saves and Loads are for one cold start: what the image spares it, and what it still loads itself.</small></p>\n\
         <div class=\"scroll\" role=\"region\" aria-labelledby=\"h-functions\" tabindex=\"0\">\n<table>\n<thead><tr><th scope=\"col\">Function</th>\
         <th scope=\"col\">Platform</th><th scope=\"col\">State</th><th scope=\"col\">Image</th><th scope=\"col\" class=\"n\">Weight</th>\
         <th scope=\"col\" class=\"n\">Saves, ms</th><th scope=\"col\" class=\"n\">Loads, ms</th></tr></thead>\n<tbody>\n",
    );
    let assigned: BTreeMap<&str, _> = plan.assignments.iter().map(|a| (a.function.as_str(), a)).collect();
    let unserved: BTreeMap<&str, _> = plan.unserved.iter().map(|u| (u.function.as_str(), u)).collect();
    let mut listed: Vec<_> = inventory.functions.iter().collect();
    listed.sort_by(|a, b| a.id.cmp(&b.id));
    for function in listed.into_iter().take(ROWS) {
        let (image, weight, saved, rest) =
            match (assigned.get(function.id.as_str()), unserved.get(function.id.as_str())) {
                (Some(a), _) => {
                    let next = a.next_best.as_ref().map_or(String::new(), |n| {
                        format!("<br><small>next best {}: {} ms</small>", escape(&n.image), number(n.saved_ms))
                    });
                    let more = match a.unneeded {
                        0 => String::new(),
                        1 => {
                            format!("<br><small>1 package that it does not load, {} MB</small>", number(a.unneeded_mb))
                        }
                        n => format!(
                            "<br><small>{n} packages that it does not load, {} MB</small>",
                            number(a.unneeded_mb)
                        ),
                    };
                    let link = format!("<a href=\"#{0}\">{0}</a>{more}{next}", escape(&a.image));
                    (link, number(a.weight), number(a.saved_ms), number(a.remaining_ms))
                }
                (None, Some(u)) => {
                    (format!("cold: {}", why(u.why)), number(u.weight), "0".to_string(), number(u.load_ms))
                }
                (None, None) => ("not in the plan".to_string(), String::new(), String::new(), String::new()),
            };
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}{}</th><td data-l=\"Platform\" class=\"k\">{}</td>\
             <td data-l=\"State\"><span class=\"state {3}\">{3}</span></td><td data-l=\"Image\">{image}</td>\
             <td class=\"n\" data-l=\"Weight\">{weight}</td><td class=\"n\" data-l=\"Saves, ms\">{saved}</td>\
             <td class=\"n\" data-l=\"Loads, ms\">{rest}</td></tr>",
            escape(&function.id),
            if function.path == function.id {
                String::new()
            } else {
                format!("<br><small>{}</small>", escape(&function.path))
            },
            function.platform.as_ref().map_or("unknown".to_string(), |p| {
                let whole = p.to_string();
                let (version, system) = whole.split_once('-').unwrap_or((&whole, ""));
                format!("{}<br><small>{}</small>", escape(version), escape(system))
            }),
            state(function.state),
        );
    }
    let more = left_out(inventory.functions.len(), "functions", "plan.json");
    let _ = write!(out, "</tbody>\n</table>\n</div>\n{more}</section>\n");
}

fn state(state: State) -> &'static str {
    match state {
        State::Locked => "locked",
        State::Pinned => "pinned",
        State::Partial => "partial",
        State::Unresolved => "unresolved",
    }
}

fn why(why: WhyUnserved) -> &'static str {
    match why {
        WhyUnserved::NothingToShare => "nothing worth a swap",
        WhyUnserved::Unresolved => "no version is known",
        WhyUnserved::UnknownPlatform => "platform unknown",
        WhyUnserved::NotWorthIt => "not worth its memory",
        WhyUnserved::TooLarge => "too large for the budget",
        WhyUnserved::UnknownCost => "no cost is known",
        WhyUnserved::Asked => "asked to start cold",
        WhyUnserved::Excluded => "its packages are excluded",
    }
}

fn sources(out: &mut String, plan: &Plan) {
    if plan.value_by_source.is_empty() {
        return;
    }
    out.push_str(
        "<section aria-labelledby=\"h-costs\">\n<h2 id=\"h-costs\">Where the costs come from</h2>\n<table class=\"small\">\n\
         <thead><tr><th scope=\"col\">Source</th><th scope=\"col\" class=\"n\">Share of the value</th></tr></thead>\n<tbody>\n",
    );
    for (source, share) in &plan.value_by_source {
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{source}</th><td class=\"n\" data-l=\"Share\">{}{}</td></tr>",
            percent(*share),
            bar(*share, 1.0, "save")
        );
    }
    out.push_str("</tbody>\n</table>\n</section>\n");
}

fn findings(out: &mut String, diagnostics: &[&Diagnostic]) {
    out.push_str("<section aria-labelledby=\"h-findings\">\n<h2 id=\"h-findings\">Diagnostics</h2>\n");
    if diagnostics.is_empty() {
        out.push_str("<p>None.</p>\n</section>\n");
        return;
    }
    out.push_str(
        "<div class=\"scroll\" role=\"region\" aria-labelledby=\"h-findings\" tabindex=\"0\">\n<table>\n<thead><tr><th scope=\"col\">Place</th>\
         <th scope=\"col\">What</th><th scope=\"col\">Next step</th></tr></thead>\n<tbody>\n",
    );
    for diagnostic in diagnostics.iter().take(ROWS) {
        let function =
            diagnostic.function.as_deref().map_or(String::new(), |f| format!("<br><small>{}</small>", escape(f)));
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\"><code>{}</code>{function}</th><td data-l=\"What\"><span class=\"{1}\">{1}</span> <code>{2}</code><br>{3}</td><td data-l=\"Next step\">{4}</td></tr>",
            escape(&place(diagnostic)),
            diagnostic.severity,
            escape(&diagnostic.code),
            escape(&diagnostic.reason),
            escape(&diagnostic.next_step),
        );
    }
    let more = left_out(diagnostics.len(), "diagnostics", "inventory.json");
    let _ = write!(out, "</tbody>\n</table>\n</div>\n{more}</section>\n");
}

/// Where, or that it concerns no single place.
fn place(diagnostic: &Diagnostic) -> String {
    if diagnostic.place.file.is_empty() { "the fleet".to_string() } else { diagnostic.place.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::samples;
    use crate::emit::view::views;

    fn made() -> String {
        let (plan, inventory) = (samples::plan(), samples::inventory());
        let (views, _) = views(&plan);
        report("fleet <1>", &plan, &inventory, &views, &plan.diagnostics.iter().collect::<Vec<_>>())
    }

    #[test]
    fn names_from_the_fleet_cannot_become_markup() {
        let html = made();
        assert!(!html.contains("<b>&\"bold\""));
        assert!(html.contains("page &lt;b&gt;&amp;&quot;bold&quot;"));
        assert!(html.contains("<title>warmset plan fleet &lt;1&gt;</title>"));
    }

    #[test]
    fn it_needs_no_network_and_no_script() {
        let html = made().to_lowercase();
        for word in ["http:", "https:", "//", "<script", "<link", "@import", "url(", "<img", "<iframe", "javascript:"] {
            assert!(!html.contains(word), "{word}");
        }
    }

    #[test]
    fn every_element_is_closed_and_every_inner_link_has_its_target() {
        let html = made();
        let mut open: Vec<&str> = Vec::new();
        for piece in html.split('<').skip(1) {
            let tag = piece.split(['>', ' ']).next().unwrap();
            match tag.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name)),
                None if matches!(tag, "!doctype" | "meta" | "br") => {}
                None => open.push(tag),
            }
        }
        assert!(open.is_empty(), "{open:?}");
        let mut links = 0;
        for piece in html.split("href=\"#").skip(1) {
            let id = piece.split('"').next().unwrap();
            assert!(html.contains(&format!("id=\"{id}\"")), "{id}");
            links += 1;
        }
        assert!(links >= 7);
    }

    #[test]
    fn every_function_and_image_is_listed_and_equal_input_gives_equal_bytes() {
        let html = made();
        for text in [
            "matmul",
            "webhook",
            "cold: no version is known",
            "py311-numpy-pandas-3f9a",
            "flask&gt;=2 has no known version",
        ] {
            assert!(html.contains(text), "{text}");
        }
        assert_eq!(html, made());
    }

    #[test]
    fn numbers_are_short_and_grouped() {
        for (value, text) in [
            (0.0, "0"),
            (7.25, "7.2"),
            (99.94, "99.9"),
            (99.96, "100"),
            (1234567.0, "1\u{202f}234\u{202f}567"),
            (-1500.0, "-1\u{202f}500"),
            (f64::NAN, "unknown"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
