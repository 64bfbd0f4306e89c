//! Writes a generated fleet for the planner, `OUT/inventory.json` and `OUT/costs.json`:
//!
//! ```text
//! cargo run --release --example gen_plan_fleet -- OUT FUNCTIONS [SEED] [--single]
//! warmset plan OUT/inventory.json --costs OUT/costs.json --budget 8GB
//! ```
//!
//! `--single`: one platform and trust domain. The same arguments give the same bytes.

#[path = "support/planning_fleet.rs"]
mod planning_fleet;

use std::error::Error;
use std::io::Write;
use std::path::Path;

use planning_fleet::{Shape, generate};
use serde::Serialize;

fn main() -> Result<(), Box<dyn Error>> {
    let (flags, values): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|a| a.starts_with("--"));
    if let Some(flag) = flags.iter().find(|f| *f != "--single") {
        return Err(format!("{flag} is not --single").into());
    }
    let (out, functions, seed) = match &values[..] {
        [out, functions] => (out, functions.parse()?, 7),
        [out, functions, seed] => (out, functions.parse()?, seed.parse()?),
        _ => return Err("usage: gen_plan_fleet OUT FUNCTIONS [SEED] [--single]".into()),
    };
    let fleet = generate(Shape { functions, seed, single: !flags.is_empty() });
    let out = Path::new(out);
    std::fs::create_dir_all(out)?;
    write(&out.join("inventory.json"), &fleet.inventory())?;
    write(&out.join("costs.json"), &fleet.costs())
}

fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), Box<dyn Error>> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    serde_json::to_writer(&mut file, value)?;
    file.write_all(b"\n")?;
    Ok(file.flush()?)
}
