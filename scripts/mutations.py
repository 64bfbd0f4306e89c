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
    ("supersets are looked for among the wrong holders", "src/solve/instance.rs", "part.ones().min_by_key(|&i| self.by_item[i].len())", "part.ones().max_by_key(|&i| i)"),
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
    ("the model may fork from a smaller parent", "src/solve/model.rs", "let mut terms = vec![(parent as usize, 1.0), forks[1]];", "let mut terms = vec![(parent as usize, 1.0)];"),
    ("plans that lack what is required count", "src/solve/mod.rs", "state.missing == 0 && limits.keeps(state)", "limits.keeps(state)"),
    ("a contradiction names all demands", "src/solve/contradictions.rs", "from_first.into_iter().chain(from_second).collect()", "rest.to_vec()"),
    ("verify takes any floor for met", "src/solve/verify/demands.rs", "least < share - 1e-6", "least < -1.0"),
    ("verify takes any package", "src/solve/verify/demands.rs", "h.ids.iter().any(|id| is_package(package, id))", "h.ids.is_empty()"),
    ("old images get any parent", "src/solve/stable.rs", "kept.insert(i, parent);", ""),
]
TESTS = ["--lib", "--test", "solver_properties", "--test", "solver_rules", "--test", "solver_stable", "--test", "solver_wishes", "--test", "demands"]


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
