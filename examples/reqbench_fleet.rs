//! Writes one part of a split of a folder of the ReqBench form as `inventory.json` and `costs.json`, for `warmset plan`.
//!
//! `cargo run --release --example reqbench_fleet -- DIR SPLIT PART OUT`, for example `… -- reqbench d0 train fleet`.

#[path = "support/reqbench.rs"]
mod reqbench;

use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dir, split, part, out] = &args[..] else { return Err("usage: reqbench_fleet DIR SPLIT PART OUT".into()) };
    let (data, splits) = reqbench::read(&PathBuf::from(dir))?;
    let (inventory, costs) = reqbench::fleet(&data, &splits, split, part)?;
    let out = PathBuf::from(out);
    std::fs::create_dir_all(&out)?;
    std::fs::write(out.join("inventory.json"), serde_json::to_string_pretty(&inventory)? + "\n")?;
    std::fs::write(out.join("costs.json"), serde_json::to_string_pretty(&costs)? + "\n")?;
    println!("{} classes and {} packages", inventory.functions.len(), inventory.packages.len());
    let priced = reqbench::prices(&costs);
    println!("{} packages with a load time of 0", priced.values().filter(|p| p.load_ms == 0.0).count());
    Ok(())
}
