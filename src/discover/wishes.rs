//! The `[plan]` tables of `warmset.toml`, or of a file given to `warmset plan --demands`: what people ask of a plan.
//! `docs/budgets.md` documents them.

use super::doc::{self, Entry, Node, Value};
use super::paths;
use crate::model::units::parse_megabytes;
use crate::model::wishes::{Pool, PoolOf, REST, Wish, Wished, Wishes};
use crate::model::{Diagnostic, Ecosystem, PackageId, Place, codes};

const PLAN_KEYS: [&str; 12] = [
    "memory",
    "images",
    "disk",
    "max_image",
    "hosts",
    "exclude",
    "alone",
    "cold",
    "trust_domains",
    "pool",
    "floor",
    "pin",
];
const POOL_KEYS: [&str; 10] =
    ["name", "memory", "images", "disk", "max_image", "hosts", "platforms", "trust_domains", "functions", "reason"];
const FLOOR_KEYS: [&str; 3] = ["functions", "share", "reason"];
const PIN_KEYS: [&str; 7] = ["packages", "platform", "trust_domain", "pool", "image", "plan", "reason"];

/// Reads the `[plan]` tables of a whole file. Everything in it that could not be read has a diagnostic.
pub fn read(file: &str, text: &str) -> (Wishes, Vec<Diagnostic>) {
    match doc::parse_toml(text) {
        Ok(root) => match root.get("plan") {
            Some(node) => table(file, node),
            None => (Wishes::default(), Vec::new()),
        },
        Err(error) => {
            let place = Place::at(file, error.line);
            (Wishes::default(), vec![Diagnostic::new(codes::CONFIG_INVALID, place, error.reason)])
        }
    }
}

/// Reads the value of `plan`.
pub(super) fn table(file: &str, node: &Node) -> (Wishes, Vec<Diagnostic>) {
    let mut reader = Reader { file, wishes: Wishes::default(), diagnostics: Vec::new() };
    reader.plan(node);
    (reader.wishes, reader.diagnostics)
}

/// Reads `80%`, `80 %` or `0.8`.
pub fn share(text: &str) -> Option<f64> {
    let value = match text.trim().strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().ok()? / 100.0,
        None => text.trim().parse().ok()?,
    };
    (value > 0.0 && value <= 1.0).then_some(value)
}

/// Reads packages with versions and at most one pattern of a platform, between blanks or commas.
///
/// # Errors
/// On what is neither, and without any package; in lower case, without a full stop.
pub fn pinned(text: &str) -> Result<(Vec<PackageId>, Option<String>), String> {
    let mut packages = Vec::new();
    let mut platform = None;
    for word in text.split(|c: char| c == ',' || c.is_whitespace()).filter(|w| !w.is_empty()) {
        if let Some(id) = package(word) {
            packages.push(id);
        } else if platform.is_none() && ["python", "node"].iter().any(|l| word.starts_with(l)) {
            platform = Some(word.to_string());
        } else {
            return Err(format!("`{word}` is no package with a version (numpy==1.26.4, express@4.19.2)"));
        }
    }
    packages.sort();
    packages.dedup();
    if packages.is_empty() { Err(format!("`{text}` names no package")) } else { Ok((packages, platform)) }
}

fn package(text: &str) -> Option<PackageId> {
    text.parse()
        .ok()
        .or_else(|| PackageId::from_spec(Ecosystem::Pypi, text).ok())
        .or_else(|| PackageId::from_spec(Ecosystem::Npm, text).ok())
}

struct Reader<'a> {
    file: &'a str,
    wishes: Wishes,
    diagnostics: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn place(&self, line: u32) -> Place {
        Place::at(self.file, line)
    }

    fn invalid(&mut self, line: u32, reason: impl Into<String>) {
        let diagnostic = Diagnostic::new(codes::CONFIG_INVALID, self.place(line), reason);
        self.diagnostics.push(diagnostic.next("correct it: docs/budgets.md lists what can be asked of a plan"));
    }

    fn unknown(&mut self, node: &Node, known: &[&str], section: &str) {
        for entry in node.entries().iter().filter(|e| !known.contains(&e.key.as_str())) {
            self.invalid(
                entry.line,
                format!("unknown key `{}` in {section}; known are {}", entry.key, known.join(", ")),
            );
        }
    }

    fn push(&mut self, wish: Wish, pool: Option<&str>, line: u32) {
        let place = self.place(line);
        self.wishes.list.push(Wished { wish, pool: pool.map(str::to_string), place });
    }

    fn plan(&mut self, node: &Node) {
        if !node.is_map() {
            self.invalid(node.line, "`plan` is a table: write [plan]");
            return;
        }
        self.unknown(node, &PLAN_KEYS, "plan");
        self.limits(node, None);
        self.wishes.hosts = self.hosts(node);
        if let Some(entry) = node.entry("exclude") {
            for (text, line) in self.texts(entry) {
                self.push(Wish::Exclude { package: text }, None, line);
            }
        }
        if let Some(entry) = node.entry("alone") {
            for (text, line) in self.texts(entry) {
                self.push(Wish::Alone { functions: vec![text] }, None, line);
            }
        }
        if let Some(entry) = node.entry("cold") {
            for (text, line) in self.texts(entry) {
                self.push(Wish::Cold { functions: vec![text] }, None, line);
            }
        }
        if let Some(entry) = node.entry("trust_domains") {
            if !entry.value.is_map() {
                self.invalid(entry.line, "`trust_domains` is a table of domains, each with patterns of functions");
            }
            for domain in entry.value.entries() {
                let functions: Vec<String> = self.texts(domain).into_iter().map(|(text, _)| text).collect();
                if !functions.is_empty() {
                    self.push(Wish::TrustDomain { domain: domain.key.clone(), functions }, None, domain.line);
                }
            }
        }
        for node in self.tables(node, "pool") {
            self.pool(&node);
        }
        for node in self.tables(node, "floor") {
            self.floor(&node);
        }
        for node in self.tables(node, "pin") {
            self.pin(&node);
        }
    }

    /// The tables of `[[plan.KEY]]`.
    fn tables(&mut self, node: &Node, key: &str) -> Vec<Node> {
        let Some(entry) = node.entry(key) else { return Vec::new() };
        let tables = entry.value.items();
        if !matches!(entry.value.value, Value::List(_)) || tables.iter().any(|t| !t.is_map()) {
            self.invalid(entry.line, format!("`{key}` is a list of tables: write [[plan.{key}]]"));
            return Vec::new();
        }
        tables.to_vec()
    }

    /// A text or a list of texts, with their lines.
    fn texts(&mut self, entry: &Entry) -> Vec<(String, u32)> {
        let one = std::slice::from_ref(&entry.value);
        let list = if matches!(entry.value.value, Value::List(_)) { entry.value.items() } else { one };
        let mut out = Vec::new();
        for node in list {
            match node.text().map(str::trim).filter(|t| !t.is_empty()) {
                Some(text) => out.push((text.to_string(), node.line)),
                None => self.invalid(node.line, format!("`{}` holds texts in quotes", entry.key)),
            }
        }
        out
    }

    fn patterns(&mut self, node: &Node, key: &str) -> Vec<String> {
        match node.entry(key) {
            Some(entry) => self.texts(entry).into_iter().map(|(text, _)| text).collect(),
            None => Vec::new(),
        }
    }

    fn text(&mut self, node: &Node, key: &str) -> Option<String> {
        let entry = node.entry(key)?;
        let text = entry.value.text().map(str::trim).filter(|t| !t.is_empty()).map(str::to_string);
        if text.is_none() {
            self.invalid(entry.line, format!("`{key}` is a text in quotes"));
        }
        text
    }

    fn number(&mut self, node: &Node, key: &str) -> Option<(usize, u32)> {
        let entry = node.entry(key)?;
        match entry.value.text().and_then(|t| t.parse::<usize>().ok()).filter(|n| *n > 0) {
            Some(number) => Some((number, entry.line)),
            None => {
                self.invalid(entry.line, format!("`{key}` is a whole number above 0"));
                None
            }
        }
    }

    fn hosts(&mut self, node: &Node) -> Option<u32> {
        let (hosts, line) = self.number(node, "hosts")?;
        let fits = u32::try_from(hosts).ok();
        if fits.is_none() {
            self.invalid(line, "`hosts` is more than there can be");
        }
        fits
    }

    fn size(&mut self, node: &Node, key: &str) -> Option<(f64, u32)> {
        let entry = node.entry(key)?;
        match entry.value.text().map(parse_megabytes) {
            Some(Ok(mb)) => Some((mb, entry.line)),
            _ => {
                self.invalid(
                    entry.line,
                    format!("`{key}` is a size: for example \"256MiB\", \"1.5GB\" or a number of MB"),
                );
                None
            }
        }
    }

    fn limits(&mut self, node: &Node, pool: Option<&str>) {
        if let Some((mb, line)) = self.size(node, "memory") {
            self.push(Wish::Memory { mb }, pool, line);
        }
        if let Some((most, line)) = self.number(node, "images") {
            self.push(Wish::Images { most }, pool, line);
        }
        if let Some((mb, line)) = self.size(node, "disk") {
            self.push(Wish::Disk { mb }, pool, line);
        }
        if let Some((mb, line)) = self.size(node, "max_image") {
            self.push(Wish::MaxImage { mb }, pool, line);
        }
    }

    fn pool(&mut self, node: &Node) {
        self.unknown(node, &POOL_KEYS, "pool");
        let Some(name) = self.text(node, "name") else {
            if node.entry("name").is_none() {
                self.invalid(node.line, "a pool needs a name");
            }
            return;
        };
        if name == REST {
            self.invalid(
                node.line,
                format!("`{REST}` is the pool of all functions that no other takes: its limits stand in [plan]"),
            );
            return;
        }
        if self.wishes.pools.iter().any(|p| p.of.name == name) {
            self.invalid(node.line, format!("pool `{name}` is there already"));
            return;
        }
        if node.entry("memory").is_none() {
            self.invalid(node.line, format!("pool `{name}` needs `memory`: what its images may take on one host"));
        }
        self.limits(node, Some(&name));
        let of = PoolOf {
            platforms: self.patterns(node, "platforms"),
            trust_domains: self.patterns(node, "trust_domains"),
            functions: self.patterns(node, "functions"),
            hosts: self.hosts(node),
            name,
        };
        let place = self.place(node.line);
        self.wishes.pools.push(Pool { of, place });
    }

    fn floor(&mut self, node: &Node) {
        self.unknown(node, &FLOOR_KEYS, "floor");
        let functions = self.patterns(node, "functions");
        if functions.is_empty() && node.entry("functions").is_none() {
            self.invalid(node.line, "a floor needs `functions`: names, ids or patterns of them");
        }
        let Some(entry) = node.entry("share") else {
            self.invalid(node.line, "a floor needs a `share` of the load time: for example \"80%\" or 0.8");
            return;
        };
        match entry.value.text().and_then(share) {
            Some(share) if !functions.is_empty() => self.push(Wish::Floor { functions, share }, None, node.line),
            Some(_) => {}
            None => self.invalid(entry.line, "`share` is a part of the load time, above 0: for example \"80%\" or 0.8"),
        }
    }

    fn pin(&mut self, node: &Node) {
        self.unknown(node, &PIN_KEYS, "pin");
        let (image, plan) = (self.text(node, "image"), self.text(node, "plan"));
        let mut packages = Vec::new();
        if let Some(entry) = node.entry("packages") {
            for (text, line) in self.texts(entry) {
                match package(&text) {
                    Some(id) => packages.push(id),
                    None => self.invalid(
                        line,
                        format!("`{text}` is no package with a version (numpy==1.26.4, express@4.19.2)"),
                    ),
                }
            }
            packages.sort();
            packages.dedup();
        }
        let by_image = image.is_some() && plan.is_some();
        if by_image != packages.is_empty() || image.is_some() != plan.is_some() {
            self.invalid(node.line, "a pin needs either `packages`, or `plan` and `image` of that plan");
            return;
        }
        let plan = match plan {
            // As all paths of the file, relative to it.
            Some(plan) if !plan.starts_with('/') => {
                let dir = paths::parent(self.file);
                Some(if dir == "." { plan } else { format!("{dir}/{plan}") })
            }
            other => other,
        };
        let wish = Wish::Pin {
            packages,
            platform: self.text(node, "platform"),
            trust_domain: self.text(node, "trust_domain"),
            image,
            plan,
        };
        let pool = self.text(node, "pool");
        self.push(wish, pool.as_deref(), node.line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_demand_is_read_with_its_line() {
        let text = "[plan]\nmemory = '1GB'\nimages = 20\ndisk = '10GB'\nmax_image = 300\nhosts = 3\nexclude = [\n  'torch',\n  'npm:left-pad@1.3.0',\n]\nalone = 'vault-*'\ncold = ['legacy']\n\
            [plan.trust_domains]\nhr = ['hr-*', 'pay']\n\
            [[plan.pool]]\nname = 'payments'\nmemory = '256MB'\nhosts = 12\nplatforms = ['python3.12']\nfunctions = 'payments-*'\n\
            [[plan.floor]]\nfunctions = ['payments-api']\nshare = '80 %'\n\
            [[plan.pin]]\npackages = ['numpy==1.26.4']\nplatform = 'python3.11'\npool = 'payments'\n\
            [[plan.pin]]\nplan = 'plans/fleet'\nimage = 'py311-numpy-3f9a'\n";
        let (wishes, diagnostics) = read("ops/warmset.toml", text);
        assert_eq!(diagnostics, []);
        let said: Vec<String> = wishes.list.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "memory 1000 MB (ops/warmset.toml:2)",
                "images 20 (ops/warmset.toml:3)",
                "disk 10000 MB (ops/warmset.toml:4)",
                "max_image 300 MB (ops/warmset.toml:5)",
                "exclude torch (ops/warmset.toml:8)",
                "exclude npm:left-pad@1.3.0 (ops/warmset.toml:9)",
                "alone vault-* (ops/warmset.toml:11)",
                "cold legacy (ops/warmset.toml:12)",
                "trust domain hr = hr-*, pay (ops/warmset.toml:14)",
                "memory 256 MB of pool payments (ops/warmset.toml:17)",
                "floor payments-api = 80 % (ops/warmset.toml:21)",
                "pin numpy==1.26.4 of pool payments (ops/warmset.toml:24)",
                "pin py311-numpy-3f9a (ops/warmset.toml:28)",
            ]
        );
        assert_eq!((wishes.hosts, wishes.pools.len(), wishes.pools[0].of.hosts), (Some(3), 1, Some(12)));
        let Wish::Pin { plan, .. } = &wishes.list[12].wish else { panic!() };
        assert_eq!(plan.as_deref(), Some("ops/plans/fleet"));
    }

    #[test]
    fn slips_are_named_with_their_lines() {
        let text = "[plan]\nmemmory = 1\nimages = 0\ndisk = 'much'\nalone = [3.5, '']\n\
            [[plan.pool]]\nmemory = 1\n[[plan.pool]]\nname = 'default'\n[[plan.pool]]\nname = 'p'\n\
            [[plan.floor]]\nfunctions = 'f'\nshare = 80\n[[plan.floor]]\nshare = 0.5\n\
            [[plan.pin]]\npackages = ['numpy']\n[[plan.pin]]\nimage = 'x'\n";
        let (wishes, diagnostics) = read("warmset.toml", text);
        let places: Vec<u32> = diagnostics.iter().map(|d| d.place.line).collect();
        // Numbers are texts in these trees, as everywhere: `3.5` is a pattern that fits no function.
        assert_eq!(places, [2, 3, 4, 5, 6, 8, 10, 14, 15, 18, 17, 19], "{diagnostics:#?}");
        assert_eq!(wishes.list.len(), 1);
        assert_eq!(read("x.toml", "[plan").1.len(), 1);
        assert_eq!(read("x.toml", "plan = 1\n").1[0].place.line, 1);
        assert_eq!(read("x.toml", "[scan]\n").0, Wishes::default());
    }

    #[test]
    fn shares_and_pins_of_the_command_line() {
        assert_eq!((share("80%"), share("0.5"), share("100 %")), (Some(0.8), Some(0.5), Some(1.0)));
        assert!(["80", "0", "-1%", "x", "", "NaN", "101%"].iter().all(|t| share(t).is_none()));
        let (packages, platform) = pinned("python3.11-* pandas==2.2.0,numpy==1.26.4").unwrap();
        assert_eq!(packages, [PackageId::pypi("numpy", "1.26.4"), PackageId::pypi("pandas", "2.2.0")]);
        assert_eq!(platform.as_deref(), Some("python3.11-*"));
        assert_eq!(pinned("@a/b@1.0.0").unwrap().0, [PackageId::npm("@a/b", "1.0.0")]);
        assert!(pinned("numpy").is_err() && pinned("python3.11").is_err() && pinned("").is_err());
    }
}
