//! The steps that make a change in a lock, by its package manager.

use std::collections::BTreeSet;

use crate::lock::installed;
use crate::lock::npm::npm_range;
use crate::model::advice::{Change, Move};
use crate::model::inventory::Requirement;
use crate::model::{Ecosystem, PackageId};

use super::fleet::Fleet;
use super::moves::UnitShift;

/// What a person changes for the functions of one lock, `name` first.
pub fn change<'a>(fleet: &Fleet<'a>, shift: &UnitShift<'a>, name: &str) -> Change {
    let unit = &fleet.units[shift.unit];
    let versions = |ids: &BTreeSet<&PackageId>| -> Vec<String> { ids.iter().map(|id| id.version.clone()).collect() };
    let declared = |package: &str| -> Vec<Requirement> {
        let all = shift.functions.iter().flat_map(|s| fleet.declared(s.function, package));
        all.cloned().collect::<BTreeSet<_>>().into_iter().collect()
    };
    let beside = |package: &str, change: &super::moves::Change| -> Vec<String> {
        let after = shift.functions.iter().flat_map(|s| &s.closure).filter(|id| id.name == package);
        let stay: BTreeSet<&PackageId> = after.filter(|id| !change.to.contains(*id)).copied().collect();
        versions(&stay)
    };
    let mut moves: Vec<Move> = shift
        .changes(fleet)
        .iter()
        .map(|(package, change)| Move {
            package: (*package).to_string(),
            from: versions(&change.from),
            to: versions(&change.to),
            beside: beside(package, change),
            direction: change.direction(),
            declared: declared(package),
        })
        .collect();
    moves.sort_by(|a, b| (a.package != name).cmp(&(b.package != name)).then_with(|| a.package.cmp(&b.package)));
    let mut functions: Vec<String> = shift.functions.iter().map(|s| fleet.function(s.function).id.clone()).collect();
    functions.sort();
    let ecosystem = shift.functions.iter().flat_map(|s| s.closure.first()).map(|id| id.ecosystem).next();
    let chosen = |m: &&Move| m.declared.is_empty() && m.to.iter().all(|to| follows(fleet, shift, &m.package, to));
    let wished: Vec<Move> = moves.iter().filter(|m| !chosen(m)).cloned().collect();
    let steps = steps(&unit.lock, &unit.kind, ecosystem.unwrap_or(Ecosystem::Pypi), &wished);
    Change { lock: unit.lock.clone(), kind: unit.kind.clone(), functions, moves, steps }
}

/// Whether an npm version need not be asked for: all that require it allow no other.
fn follows(fleet: &Fleet, shift: &UnitShift, name: &str, version: &str) -> bool {
    let id = PackageId::npm(name, version);
    let mut required = false;
    for function in &shift.functions {
        let Some(platform) = &fleet.function(function.function).platform else { return false };
        for requirer in &function.closure {
            let Some(package) = fleet.package(requirer) else { return false };
            let known = package.requires_for(platform).iter().any(|set| set.contains(&id));
            let new = function.sets.iter().any(|(of, set)| of == requirer && set.contains(&id));
            if known || new {
                required = true;
                let exact = |range: &String| npm_range::exact(range).is_some_and(|only| only == version);
                if !package.ranges.get(name).is_some_and(|ranges| ranges.iter().all(exact)) {
                    return false;
                }
            }
        }
    }
    required
}

/// Steps in the lock's folder. uv and pip-compile choose a version for what only others require; npm's package managers
/// need an override for that, which stays: they move back without it.
fn steps(lock: &str, kind: &str, ecosystem: Ecosystem, moves: &[Move]) -> Vec<String> {
    let file = lock.rsplit('/').next().unwrap_or(lock);
    let set: Vec<(&Move, &String)> = moves.iter().filter_map(|m| Some((m, m.to.last()?))).collect();
    let pins = |before: &str| -> String {
        let pin = |(m, to): &(&Move, &String)| format!("{before}{}{}{to}", m.package, ecosystem.separator());
        set.iter().map(pin).collect::<Vec<_>>().join(" ")
    };
    match kind {
        "uv" => vec![format!("uv lock {}", pins("--upgrade-package "))],
        "requirements" => {
            let declared = moves.iter().flat_map(|m| &m.declared);
            let input = declared.map(|r| r.place.file.as_str()).find(|file| *file != lock);
            let input = input.and_then(|file| file.rsplit('/').next());
            match input {
                Some(input) => vec![format!("uv pip compile {input} -o {file} {}", pins("--upgrade-package "))],
                None => vec![format!("make {file} again with {}", pins(""))],
            }
        }
        "poetry" => vec![
            format!("poetry add --lock {}", pins("")),
            "write the declared ranges back into pyproject.toml, and take out what was not declared".into(),
            "poetry lock".into(),
        ],
        "pdm" => vec![
            format!("write into [tool.pdm.resolution.overrides] of pyproject.toml: {}", pins("")),
            "pdm lock --update-reuse".into(),
        ],
        "pipfile" => vec![format!("write into Pipfile: {}", pins("")), "pipenv lock".into()],
        "package-lock" => node(&set, "overrides", "npm install --package-lock-only", "npm install --package-lock-only"),
        "pnpm" => node(&set, "pnpm.overrides", "pnpm update --lockfile-only", "pnpm install --lockfile-only"),
        "yarn" => node(&set, "resolutions", "yarn upgrade", "yarn install"),
        "bun" => node(&set, "overrides", "bun add", "bun install"),
        installed::KIND => vec![format!("install into {lock}: {}", pins(""))],
        "pins" => vec![format!("write into {lock}: {}", pins(""))],
        "resolved" => vec![format!("write where it is declared: {}", pins("")), "warmset lock".into()],
        _ => vec![format!("make {file} again with {}", pins(""))],
    }
}

/// What is declared is installed at its version, and the rest is overridden.
fn node(set: &[(&Move, &String)], field: &str, install: &str, again: &str) -> Vec<String> {
    let (direct, indirect): (Vec<_>, Vec<_>) = set.iter().copied().partition(|(m, _)| !m.declared.is_empty());
    // An override would hold for the versions that stay, too.
    let (several, forced): (Vec<_>, Vec<_>) = indirect.into_iter().partition(|(m, _)| !m.beside.is_empty());
    let mut out = Vec::new();
    if !forced.is_empty() {
        let all: Vec<String> = forced.iter().map(|(m, to)| format!("\"{}\": \"{to}\"", m.package)).collect();
        out.push(format!("write into package.json: \"{field}\": {{{}}}", all.join(", ")));
    }
    for (m, to) in several {
        let stays = m.beside.join(", ");
        out.push(format!(
            "write into package.json: \"{field}\" of {} to {to} for what does not need {stays}",
            m.package
        ));
    }
    let list: Vec<String> = direct.iter().map(|(m, to)| format!("{}@{to}", m.package)).collect();
    out.push(if list.is_empty() { again.to_string() } else { format!("{install} {}", list.join(" ")) });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Place;

    fn moved(package: &str, to: &str, declared: Option<&str>, beside: &[&str]) -> Move {
        let place =
            |file| Requirement { name: package.into(), text: package.into(), place: Place::at(file, 3), package: None };
        Move {
            package: package.into(),
            from: vec!["1.0.0".into()],
            to: vec![to.into()],
            beside: beside.iter().map(|v| v.to_string()).collect(),
            direction: None,
            declared: declared.into_iter().map(place).collect(),
        }
    }

    /// The commands of uv and npm were run as they stand here, in a folder of their own: each gives the lock that it says.
    #[test]
    fn every_package_manager_is_told_in_its_own_words() {
        let python = [moved("pandas", "2.2.3", Some("f/requirements.in"), &[]), moved("six", "1.17.0", None, &[])];
        let steps_of = |kind| steps("f/requirements.txt", kind, Ecosystem::Pypi, &python).join("; ");
        assert_eq!(steps_of("uv"), "uv lock --upgrade-package pandas==2.2.3 --upgrade-package six==1.17.0");
        assert_eq!(
            steps_of("requirements"),
            "uv pip compile requirements.in -o requirements.txt --upgrade-package pandas==2.2.3 --upgrade-package six==1.17.0"
        );
        assert!(steps_of("poetry").starts_with("poetry add --lock pandas==2.2.3 six==1.17.0; "));
        let node = [
            moved("@s/express", "4.19.2", Some("f/package-lock.json"), &[]),
            moved("qs", "6.11.0", None, &[]),
            moved("debug", "4.3.6", None, &["2.6.9"]),
        ];
        assert_eq!(
            steps("f/package-lock.json", "package-lock", Ecosystem::Npm, &node),
            [
                "write into package.json: \"overrides\": {\"qs\": \"6.11.0\"}",
                "write into package.json: \"overrides\" of debug to 4.3.6 for what does not need 2.6.9",
                "npm install --package-lock-only @s/express@4.19.2",
            ]
        );
        assert_eq!(
            steps("pnpm-lock.yaml", "pnpm", Ecosystem::Npm, &node[1..2]),
            ["write into package.json: \"pnpm.overrides\": {\"qs\": \"6.11.0\"}", "pnpm install --lockfile-only"]
        );
    }
}
