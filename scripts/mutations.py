#!/usr/bin/env python3
"""Breaks the solver in one place after the other and says which tests notice.

    scripts/mutations.py [NAME...]          all mutations, or those whose name holds one of the words

Works in a copy of the last commit; compiled files go to $CARGO_TARGET_DIR/mutations. Prints a Markdown table.
Exit 1 when a mutation survives, 2 when one no longer applies.
"""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

# name, file, text (must occur exactly once), replacement
MUTATIONS = [
    ("budget is not kept by the greedy", "src/solve/greedy.rs", "memory_mb <= self.budget_mb * (1.0 + 1e-12) + 1e-9", "memory_mb <= self.budget_mb * 1.5"),
    ("number of images is not kept", "src/solve/greedy.rs", "while self.state.images < limits.max_images {", "while self.state.images <= limits.max_images {"),
    ("images to build are not counted", "src/solve/state.rs", "self.built += usize::from(c.is_new);", ""),
    ("a gain counts what is served already", "src/solve/state.rs", "self.instance.weights[d] * (s.value - self.best[d]).max(0.0)", "self.instance.weights[d] * s.value"),
    ("a new parent gives nothing back", "src/solve/state.rs", "c.overhead + c.resident - self.resident(self.best_parent(i)) - given_back", "c.overhead + c.resident - self.resident(self.best_parent(i))"),
    ("a parent's memory is not shared", "src/solve/instance.rs", "c.overhead + (c.resident - parent.map_or(0.0, |p| self.candidates[p].resident)).max(0.0)", "c.overhead + c.resident"),
    ("the greedy ignores the best single image", "src/solve/greedy.rs", "if start + gain <= best.state.objective() {", "if start + gain <= f64::INFINITY {"),
    ("an image that is required may be dropped", "src/solve/local_search.rs", "&& !search.state.is_needed(i) {", "{"),
    ("idle parents are dropped whatever they give", "src/solve/local_search.rs", "search.state.freed(i) >= 0.0", "search.state.freed(i) >= -1e9"),
    ("what shares anything counts as a part", "src/solve/subsets.rs", "self.items[k].iter().all(|&i| whole.contains(i as usize))", "self.items[k].iter().any(|&i| whole.contains(i as usize))"),
    ("cores keep what cannot be loaded", "src/solve/problem.rs", "if lost.is_empty() {", "if true {"),
    ("swap costs nothing", "src/solve/problem.rs", "self.load_ms(set) - self.swap_ms(set)", "self.load_ms(set)"),
    ("the loss allowed is ignored", "src/solve/stable.rs", "best.objective() * (1.0 - stable.loss)", "best.objective()"),
    ("packages that are excluded are preloaded", "src/solve/problem.rs", "facts.usable.contains_key(id) && !(rules.excluded)(id)", "facts.usable.contains_key(id)"),
    ("packages of unknown size are preloaded where disk is limited", "src/solve/problem.rs", "usable.retain(|id| known(id));", ""),
    ("images may be of any size", "src/solve/instance.rs", "sets.retain(|set| group.allows(set));", ""),
    ("pools share groups", "src/solve/problem.rs", "by_domain.entry((&classes[c].trust_domain, pool))", "by_domain.entry((&classes[c].trust_domain, 0))"),
    ("a floor is half of what is asked for", "src/solve/wishes.rs", "share * self.problem.class_load_ms[class]", "0.5 * share * self.problem.class_load_ms[class]"),
    ("floors do not reach the exact model", "src/solve/model.rs", "for required in &instance.required {", "for required in instance.required.iter().take(0) {"),
    ("disk does not reach the exact model", "src/solve/model.rs", "model.row(disk, Relation::AtMost, limits.disk_mb);", ""),
    ("plans that lack what is required count", "src/solve/mod.rs", "state.missing == 0 && limits.keeps(state)", "limits.keeps(state)"),
    ("a contradiction names demands that do not matter", "src/solve/contradictions.rs", "self.is_impossible(&rest).then_some(rest)", "None"),
    ("idle images leave whatever that takes of disk", "src/solve/local_search.rs", "disk.is_some_and(|disk| search.state.disk() > disk)", "disk.is_some_and(|_| false)"),
    ("L has no room for rounding", "src/solve/bound/relaxation.rs", "sum + ROUNDING * turnover", "sum + 0.0 * ROUNDING * turnover"),
    ("fixing forgets that a parent may take a required image's place", "src/solve/bound/relaxation.rs", "(at.worth[j] - most[j]).min(0.0)", "at.worth[j].min(0.0 * most[j])"),
    ("verify takes any floor for met", "src/solve/verify/demands.rs", "least < share - 1e-6", "least < -1.0"),
    ("verify takes any package", "src/solve/verify/demands.rs", "h.ids.iter().any(|id| is_package(package, id))", "h.ids.is_empty()"),
    ("old images get any parent", "src/solve/stable.rs", "kept.insert(i, parent);", ""),
    ("what is barred may be found loaded", "src/solve/superset.rs", "if !self.set.is_disjoint(&wide.barred) || !self.doubled", "if !self.doubled"),
    ("two versions in an image may be found by others", "src/solve/superset.rs", " || !self.doubled.is_subset(&wide.closure) {", " {"),
    ("memory that is not needed costs nothing", "src/solve/superset.rs", "Some(load - self.swap_ms - group.language.waste_ms(waste))", "Some(load - self.swap_ms + 0.0 * waste)"),
    ("a start is credited with what it does not load", "src/solve/superset.rs", "self.set.intersection(&wide.closure).map(|i| group.items[i].price.load_ms)", "self.set.ones().map(|i| group.items[i].price.load_ms)"),
    ("open closures see what they did not ask for", "src/solve/superset.rs", "wide.barred.insert_range(..);", ""),
    ("modules that a function looks for are not hidden", "src/solve/superset.rs", "wide.barred.extend(modules.found(import, ecosystem).iter().filter_map(|id| index.get(id).copied()));", "let _ = (ecosystem, import);"),
    ("verification overlooks names in another version", "src/solve/usable.rs", "alone && !facts.names.contains_key(id.name.as_str()) && !facts.hidden.contains(id)", "alone && !facts.hidden.contains(id)"),
    ("verification overlooks open closures", "src/solve/usable.rs", "(facts.complete && unneeded.iter()", "(unneeded.iter()"),
    ("a plan for less is not carried to more", "src/solve/sweep.rs", "if more.solution.objective >= less.solution.objective {", "if true {"),
    ("a bound for more is not carried to less", "src/solve/sweep.rs", "if more.solution.bound < less.solution.bound {", "if false {"),
    ("path rows give credit with the wrong sign", "src/solve/bound/relaxation.rs", "out.credit[i as usize] += m)", "out.credit[i as usize] -= m)"),
    ("path rows charge no service", "src/solve/bound/relaxation.rs", "out.charge[e as usize] += m)", "out.charge[e as usize] += 0.0 * m)"),
    ("path rows charge no inner fork", "src/solve/bound/relaxation.rs", "out.inner[a as usize] += m)", "out.inner[a as usize] += 0.0 * m)"),
    ("forks save nothing in L", "src/solve/bound/relaxation.rs", "                    profit += saved;", "                    profit += 0.0 * saved;"),
    ("the budgets are left out of L", "src/solve/bound/relaxation.rs", "map(|(b, p)| b.cap * p).sum::<f64>();", "map(|(b, p)| 0.0 * b.cap * p).sum::<f64>();"),
    ("disk is charged twice in L", "src/solve/bound/relaxation.rs", "used: disk.clone(), shared: disk, worth", "used: disk.iter().map(|d| d * 2.0).collect(), shared: disk, worth"),
    ("required images are not forced in L", "src/solve/bound/relaxation.rs", "out.held[best as usize] = true;\n                out.penalties", "out.penalties"),
    ("fixing forgets what is required", "src/solve/bound/relaxation.rs", "worth - lower).min(0.0) + relief + slack < known", "worth - lower).min(0.0) + slack < known"),
    ("fixing lowers the price of forking too far", "src/solve/bound/relaxation.rs", "(p.d[i] - lowest[i]).max(0.0)", "p.d[i]"),
    ("fixing forces what is worth nothing", "src/solve/bound/relaxation.rs", "at.value - worth.max(0.0) + slack < known", "at.value - worth.abs() + slack < known"),
    ("the subgradient forgets forks", "src/solve/bound/relaxation.rs", "*g += forks * b.shared[i] - b.used[i];", "*g -= b.used[i];"),
    ("cuts take the wrong side", "src/solve/bound/paths.rs", "zip(&within).filter(|(_, within)| **within)", "zip(&within).filter(|(_, within)| !**within)"),
    ("the exact model's memory row is dropped", "src/solve/model.rs", "model.row(memory, Relation::AtMost, limits.budget_mb);", ""),
    ("the exact model's path rows have the wrong sign", "src/solve/model.rs", "row.images.iter().map(|&i| (i as usize, -1.0)).collect();", "row.images.iter().map(|&i| (i as usize, 1.0)).collect();"),
    ("the exact model serves without an image", "src/solve/model.rs", "model.row(vec![(y, 1.0), (i, -1.0)], Relation::AtMost, 0.0);", ""),
    ("the budget is left out of the bound for large fleets", "src/solve/decomposed.rs", "sum + price * limits.budget_mb", "sum + 0.0 * price * limits.budget_mb"),
    ("large fleets' images cost nothing but their packages", "src/solve/decomposed.rs", "*profit = -t[i] - nu - kappa", "*profit = -t[i] - 2.0 * nu - 2.0 * kappa"),
    ("a group takes more than its share", "src/solve/division.rs", "budget_mb: now.memory(),", "budget_mb: 2.0 * now.memory() + limits.budget_mb,"),
    ("memory moves between groups at a loss", "src/solve/division.rs", "gain > lost * (1.0 + 1e-9)", "gain > 0.0 * lost"),
    ("what each group has is not verified", "src/solve/verify.rs", "if plan.groups.is_empty() {", "if true {"),
    ("branching forgets one side", "src/solve/tree/mod.rs", "        [none, some]\n", "        [some.clone(), some]\n"),
]
TESTS = ["--lib", "--test", "solver_properties", "--test", "solver_rules", "--test", "solver_stable", "--test", "solver_wishes", "--test", "demands", "--test", "solver_superset", "--test", "solver_sweep", "--test", "solver_prior", "--test", "solver_division"]


def main():
    words = sys.argv[1:]
    root = Path(__file__).resolve().parent.parent
    target = Path(os.environ.get("CARGO_TARGET_DIR", root / "target")) / "mutations"
    chosen = [m for m in MUTATIONS if not words or any(w in m[0] for w in words)]
    survived = stale = False
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "warmset"
        git = lambda *args: subprocess.run(["git", "-C", str(root), *args], check=True, capture_output=True)
        git("worktree", "add", "--detach", str(copy), "HEAD")
        try:
            print("| mutation | file | tests that fail |\n|---|---|---|", flush=True)
            for name, file, old, new in chosen:
                path = copy / file
                text = path.read_text()
                if text.count(old) != 1:
                    print(f"| {name} | {file} | DOES NOT APPLY: found {text.count(old)} times |", flush=True)
                    stale = True
                    continue
                path.write_text(text.replace(old, new))
                failed = run(copy, target)
                path.write_text(text)
                survived |= not failed
                print(f"| {name} | {file} | {', '.join(failed) or 'SURVIVED'} |", flush=True)
        finally:
            git("worktree", "remove", "--force", str(copy))
    sys.exit(2 if stale else 1 if survived else 0)


def run(copy, target):
    """Names of the tests that fail, or what the compiler says."""
    env = dict(os.environ, CARGO_TARGET_DIR=str(target), PROPTEST_CASES="200")
    done = subprocess.run(
        ["cargo", "test", "--quiet", "--no-fail-fast", *TESTS],
        cwd=copy, env=env, capture_output=True, text=True, timeout=1800)
    names = sorted(set(re.findall(r"^test (\S+) \.\.\. FAILED|^---- (\S+) stdout ----", done.stdout, re.M)))
    names = sorted({a or b for a, b in names})
    if not names and done.returncode:
        names = ["does not compile: " + (re.findall(r"^error.*", done.stderr, re.M) or ["unknown"])[0]]
    return names


if __name__ == "__main__":
    main()
