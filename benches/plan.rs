//! How long planning the train half of a split takes. The folder is `../shared/bench/reqbench`, or `$WARMSET_REQBENCH`;
//! without it the benchmark is skipped.

#[path = "../examples/support/reqbench.rs"]
mod reqbench;

use std::path::PathBuf;

use criterion::{Criterion, criterion_group, criterion_main};
use warmset::graph::classes::classes;
use warmset::solve::{self, Exact, Limits, Options, bound, greedy, local_search};

fn plan(criterion: &mut Criterion) {
    let dir = std::env::var_os("WARMSET_REQBENCH").map_or_else(|| "../shared/bench/reqbench".into(), PathBuf::from);
    let Ok((data, splits)) = reqbench::read(&dir) else {
        eprintln!("plan: skipped, no ReqBench data in {}", dir.display());
        return;
    };
    let Ok((inventory, costs)) = reqbench::fleet(&data, &splits, "d0", "train") else {
        eprintln!("plan: skipped, splits.json has no d0");
        return;
    };
    let prices = reqbench::prices(&costs);
    let Some(language) = costs.languages.values().next().copied() else { return };
    let build = || {
        let classes = classes(&inventory);
        solve::problem(&inventory, &classes, &|id, _| prices.get(id).copied(), &|_| language).0
    };
    let problem = build();
    let options = Options { budget_mb: 1044.4, exact: Exact::Never, ..Options::default() };
    let limits = Limits::memory(options.budget_mb);
    let instance = solve::instance(&problem, options.max_candidates);
    eprintln!(
        "reqbench d0 train: {} classes, {} candidates, {} parent pairs",
        problem.class_weight.len(),
        instance.candidates.len(),
        instance.parent_pairs()
    );

    let mut group = criterion.benchmark_group("reqbench-d0");
    group.sample_size(10);
    group.bench_function("problem", |b| b.iter(build));
    group.bench_function("candidates", |b| b.iter(|| solve::instance(&problem, options.max_candidates)));
    group.bench_function("greedy", |b| b.iter(|| greedy::greedy(&instance, &limits).state.objective()));
    group.bench_function("local-search", |b| {
        b.iter(|| {
            let mut search = greedy::greedy(&instance, &limits);
            local_search::local_search(&mut search, &limits);
            search.state.objective()
        });
    });
    let mut search = greedy::greedy(&instance, &limits);
    local_search::local_search(&mut search, &limits);
    group.bench_function("bound", |b| b.iter(|| bound::lagrangian(&instance, &limits, &search.state).value));
    group.bench_function("plan", |b| b.iter(|| solve::plan(&problem, &options, &|_| ()).objective));
    group.finish();
}

criterion_group!(benches, plan);
criterion_main!(benches);
