//! Says which distribution an import comes from, by the tables that are shipped.
//!
//! ```text
//! printf 'yaml\tpyyaml,requests\ncv2\n' | cargo run --release --example import_names
//! ```
//!
//! A line of input is a module and, after a tab, the distributions that are declared (by commas). With the second field the answer
//! is restricted to them; without it, it is what the import usually means. A line of output is the module, `one`,
//! `ambiguous`, `several` or `none`, and the distributions. `scripts/judge_import_names.py` compares it with installed metadata.

use std::collections::BTreeSet;
use std::io::{BufRead, BufWriter, Write};

use warmset::resolve::names::{Match, distributions_for, usual_distributions};

fn main() -> std::io::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (module, declared) =
            line.split_once('\t').map_or((line.as_str(), None), |(module, declared)| (module, Some(declared)));
        let (kind, names) = match declared {
            Some(declared) => {
                let declared: BTreeSet<String> = declared.split(',').map(str::to_string).collect();
                match distributions_for(module, &[], &declared, &declared) {
                    Match::One(name) => ("one", vec![name]),
                    Match::Several(parts) => ("several", parts.into_iter().map(|(name, _)| name).collect()),
                    Match::Ambiguous(names) => ("ambiguous", names),
                    Match::None => ("none", Vec::new()),
                }
            }
            None => {
                let names = usual_distributions(module, &[]);
                (["none", "one", "ambiguous"][names.len().min(2)], names)
            }
        };
        writeln!(out, "{module}\t{kind}\t{}", names.join(","))?;
    }
    out.flush()
}
