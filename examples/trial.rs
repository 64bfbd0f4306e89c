#[path = "support/reqbench.rs"]
mod reqbench;
use std::time::Instant;
use std::collections::BTreeMap;
use warmset::graph::classes::classes;
use warmset::solve::*;
fn main() {
    let dir = std::path::PathBuf::from(std::env::args().nth(1).unwrap());
    let (data, splits) = reqbench::read(&dir).unwrap();
    let rows: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(dir.join("forklift_v3.json")).unwrap()).unwrap();
    let only = std::env::args().nth(2);
    for split in splits.keys() {
        if only.as_ref().is_some_and(|o| o != split) { continue }
        let Ok((inv, costs)) = reqbench::fleet(&data, &splits, split, "train") else { continue };
        let t = Instant::now();
        let cl = classes(&inv);
        let prices: BTreeMap<_, _> = costs.entries.iter().map(|c| (c.package.clone(), Price { load_ms: c.load_ms, resident_mb: c.resident_mb, source: c.source })).collect();
        let lang = costs.languages.values().next().copied().unwrap();
        let (p, diags) = problem(&inv, &cl, &|id, _| prices.get(id).copied(), &|_| lang);
        let a = t.elapsed();
        for d in diags { println!("{} {}", d.code, d.reason); }
        let inst = instance(&p, 5000);
        println!("{split}: classes {} demands {} candidates {} pairs {} service {} complete {} problem {:?} instance {:?}", cl.len(), inst.weights.len(), inst.candidates.len(), inst.parent_pairs(), inst.service_pairs(), inst.complete, a, t.elapsed() - a);
        let total = p.total_ms();
        for row in rows[split].as_array().unwrap() {
            let budget = row["budget_mb"].as_f64().unwrap();
            let limits = Limits { budget_mb: budget, max_images: usize::MAX };
            let t = Instant::now();
            let mut s = greedy::greedy(&inst, &limits);
            let tg = t.elapsed();
            let og = s.state.objective();
            let t = Instant::now();
            local_search::local_search(&mut s, &limits);
            let tl = t.elapsed();
            let ol = s.state.objective();
            let t = Instant::now();
            let b = bound::lagrangian(&inst, &limits, &s.state);
            println!("  {budget:7.1}: forklift {:.4} greedy {:.5} {:?}  local {:.5} {:?} images {} mem {:.1}  bound {:.5} gap {:.3}% steps {} open {} {:?}", row["train_saved"].as_f64().unwrap(), og/total, tg, ol/total, tl, s.state.images, s.state.memory(), b.value/total, 100.0*(b.value-ol)/b.value, b.steps, b.open.iter().filter(|x| **x).count(), t.elapsed());
        }
    }
}
