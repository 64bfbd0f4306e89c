//! Writes a generated fleet: `cargo run --release --example gen_fleet -- DIR FUNCTIONS [SEED] [--alone] [--flaws]`, for example
//! `… -- fleet 10000 7 --alone --flaws`. Prints the folder of each function, one a line, as `warmset scan DIR --stdin`
//! takes them. `--alone`: each folder holds all that is said of its function; `--flaws`: some files are broken, some
//! functions have no lock.

#[path = "support/fleet.rs"]
mod fleet;

use std::error::Error;
use std::io::Write;
use std::path::Path;

use fleet::{Shape, write_fleet};

fn main() -> Result<(), Box<dyn Error>> {
    let (flags, values): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|a| a.starts_with("--"));
    if let Some(flag) = flags.iter().find(|f| !["--alone", "--flaws"].contains(&f.as_str())) {
        return Err(format!("{flag} is none of --alone, --flaws").into());
    }
    let flag = |name: &str| flags.iter().any(|f| f == name);
    let (dir, functions, seed) = match &values[..] {
        [dir, functions] => (dir, functions.parse()?, 7),
        [dir, functions, seed] => (dir, functions.parse()?, seed.parse()?),
        _ => return Err("usage: gen_fleet DIR FUNCTIONS [SEED] [--alone] [--flaws]".into()),
    };
    let shape = Shape { functions, seed, alone: flag("--alone"), only: None, flaws: flag("--flaws") };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for folder in write_fleet(Path::new(dir), shape)? {
        writeln!(out, "{folder}")?;
    }
    Ok(())
}
