//! What people ask of a plan: limits, floors, pins, exclusions, pools. In texts for people they are called demands.
//!
//! Everything here is matched by name, so that a plan can be held against its demands without knowing how it was made.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::diagnostic::Place;
use super::inventory::Function;
use super::name::{Ecosystem, PackageId, normalise_pypi};
use super::platform::Platform;

/// Name of the pool of all functions that no other pool takes.
pub const REST: &str = "default";
/// Between a trust domain and the function that shares with nobody in it.
const ALONE: &str = ":alone:";

/// One thing that is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Wish {
    /// Memory that the images may take together on one host.
    Memory {
        /// MB.
        mb: f64,
    },
    /// Most images.
    Images {
        /// At least 1.
        most: usize,
    },
    /// Disk that the packages of all images may take together on one host; a child lies on its parent's layers.
    Disk {
        /// MB.
        mb: f64,
    },
    /// Most resident memory of one image, the warm host and what it shares with its parent included.
    MaxImage {
        /// MB.
        mb: f64,
    },
    /// Each of the functions must be saved at least this share of its load time (as far as that is known) on each start.
    Floor {
        /// Patterns of function ids.
        functions: Vec<String>,
        /// From 0 to 1.
        share: f64,
    },
    /// An image that must be there, whatever it saves.
    Pin {
        /// What it holds; sorted.
        packages: Vec<PackageId>,
        /// Pattern of its platform.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        platform: Option<String>,
        /// Pattern of its trust domain.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trust_domain: Option<String>,
        /// The image of another plan that it was taken from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image: Option<String>,
        /// The file or folder of that plan.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plan: Option<String>,
    },
    /// A package that no image may hold.
    Exclude {
        /// `numpy`, `numpy==1.26.4`, `left-pad@1.3.0`, or one of these after `pypi:` or `npm:`; `*` and `?` as in patterns.
        package: String,
    },
    /// Functions that share an image with no other function; they may have one of their own.
    Alone {
        /// Patterns of function ids.
        functions: Vec<String>,
    },
    /// Functions that no image may serve.
    Cold {
        /// Patterns of function ids.
        functions: Vec<String>,
    },
    /// Functions whose trust domain is another than their declaration says.
    TrustDomain {
        /// The domain.
        domain: String,
        /// Patterns of function ids.
        functions: Vec<String>,
    },
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wish::Memory { mb } => write!(f, "memory {} MB", short(*mb)),
            Wish::Images { most } => write!(f, "images {most}"),
            Wish::Disk { mb } => write!(f, "disk {} MB", short(*mb)),
            Wish::MaxImage { mb } => write!(f, "max_image {} MB", short(*mb)),
            Wish::Floor { functions, share } => {
                write!(f, "floor {} = {} %", functions.join(", "), short(share * 100.0))
            }
            Wish::Pin { image: Some(image), .. } => write!(f, "pin {image}"),
            Wish::Pin { packages, .. } => {
                write!(f, "pin {}", packages.iter().map(PackageId::spec).collect::<Vec<_>>().join(" "))
            }
            Wish::Exclude { package } => write!(f, "exclude {package}"),
            Wish::Alone { functions } => write!(f, "alone {}", functions.join(", ")),
            Wish::Cold { functions } => write!(f, "cold {}", functions.join(", ")),
            Wish::TrustDomain { domain, functions } => write!(f, "trust domain {domain} = {}", functions.join(", ")),
        }
    }
}

/// At most three decimals, and none that say nothing.
fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// A wish, who it is for, and where it was said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Wished {
    /// What is asked for.
    #[serde(flatten)]
    pub wish: Wish,
    /// The pool whose limit or image it is. Absent: a limit of the whole host, or an image of whichever pool fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// File and line, or the option of the command line as a file.
    #[serde(flatten)]
    pub place: Place,
}

impl fmt::Display for Wished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.pool {
            Some(pool) => write!(f, "{} of pool {pool} ({})", self.wish, self.place),
            None => write!(f, "{} ({})", self.wish, self.place),
        }
    }
}

/// A part of the fleet with limits of its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PoolOf {
    /// Unique.
    pub name: String,
    /// Patterns of platforms; empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    /// Patterns of trust domains; empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trust_domains: Vec<String>,
    /// Patterns of function ids; empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<String>,
    /// Hosts that keep the same images: for people and tools; every limit and figure is that of one host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<u32>,
}

impl PoolOf {
    /// Whether a function belongs to it, unless an earlier pool takes it: one pattern of each list must fit.
    pub fn holds(&self, function: &Function) -> bool {
        let any = |patterns: &[String], fits: &dyn Fn(&str) -> bool| {
            patterns.is_empty() || patterns.iter().any(|pattern| fits(pattern))
        };
        any(&self.platforms, &|p| function.platform.as_ref().is_some_and(|of| is_platform(p, of)))
            && any(&self.trust_domains, &|p| matches(p, shared_domain(&function.trust_domain)))
            && any(&self.functions, &|p| is_function(p, &function.id))
    }
}

/// A pool and where it was said.
#[derive(Debug, Clone, PartialEq)]
pub struct Pool {
    /// Who belongs to it.
    pub of: PoolOf,
    /// Where it was said.
    pub place: Place,
}

/// Everything that is asked of a plan.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wishes {
    /// In the order in which functions are given to them.
    pub pools: Vec<Pool>,
    /// In the order in which they were said.
    pub list: Vec<Wished>,
    /// Hosts that keep the same images, of the functions that no pool takes.
    pub hosts: Option<u32>,
}

impl Wishes {
    /// One more.
    pub fn add(&mut self, wish: Wish, place: Place) {
        self.list.push(Wished { wish, pool: None, place });
    }

    /// Adds those of another place. Of two limits for the same, the one that is here already counts.
    ///
    /// # Errors
    /// The two places of a pool that is there twice.
    pub fn join(&mut self, other: Wishes) -> Result<(), (Place, Place)> {
        for pool in other.pools {
            if let Some(twin) = self.pools.iter().find(|p| p.of.name == pool.of.name) {
                return Err((twin.place.clone(), pool.place));
            }
            self.pools.push(pool);
        }
        for wished in other.list {
            let same = |w: &Wished| {
                w.pool == wished.pool && std::mem::discriminant(&w.wish) == std::mem::discriminant(&wished.wish)
            };
            if !wished.wish.is_limit() || !self.list.iter().any(same) {
                self.list.push(wished);
            }
        }
        self.hosts = self.hosts.or(other.hosts);
        Ok(())
    }

    /// The limit of a kind for a pool, or for the whole host.
    pub fn limit(&self, pool: Option<&str>, is: impl Fn(&Wish) -> bool) -> Option<(usize, &Wished)> {
        self.list.iter().enumerate().find(|(_, w)| w.pool.as_deref() == pool && is(&w.wish))
    }
}

impl Wish {
    /// Whether there can be only one of its kind for a pool.
    pub fn is_limit(&self) -> bool {
        matches!(self, Wish::Memory { .. } | Wish::Images { .. } | Wish::Disk { .. } | Wish::MaxImage { .. })
    }

    /// Whether it says something of this function by its id.
    pub fn names(&self, function: &str) -> bool {
        match self {
            Wish::Floor { functions, .. }
            | Wish::Alone { functions }
            | Wish::Cold { functions }
            | Wish::TrustDomain { functions, .. } => functions.iter().any(|pattern| is_function(pattern, function)),
            _ => false,
        }
    }

    /// Whether it keeps a package out of all images.
    pub fn excludes(&self, package: &PackageId) -> bool {
        matches!(self, Wish::Exclude { package: pattern } if is_package(pattern, package))
    }
}

/// Gives functions the trust domains that are asked for, the first that names them, and then a domain of its own to each
/// that shares with nobody. Doing it again changes nothing.
pub fn settle<'a>(functions: &mut [Function], wishes: impl Iterator<Item = &'a Wish> + Clone) {
    for function in functions {
        let named = |w: &&Wish| w.names(&function.id);
        if let Some(Wish::TrustDomain { domain, .. }) =
            wishes.clone().filter(named).find(|w| matches!(w, Wish::TrustDomain { .. }))
        {
            function.trust_domain.clone_from(domain);
        }
        if wishes.clone().filter(named).any(|w| matches!(w, Wish::Alone { .. })) {
            function.trust_domain = format!("{}{ALONE}{}", shared_domain(&function.trust_domain), function.id);
        }
    }
}

/// The trust domain that a function would have if it were not alone.
pub fn shared_domain(domain: &str) -> &str {
    domain.find(ALONE).map_or(domain, |at| &domain[..at])
}

/// Whether a pattern names a function: all of its id, or, for a pattern without `/`, what follows the last `/` of it.
pub fn is_function(pattern: &str, id: &str) -> bool {
    matches(pattern, id)
        || (!pattern.contains('/') && id.rsplit_once('/').is_some_and(|(_, name)| matches(pattern, name)))
}

/// Whether a pattern names a platform: all of it, or its language and version.
pub fn is_platform(pattern: &str, platform: &Platform) -> bool {
    matches(pattern, &platform.to_string()) || matches(pattern, &format!("{}{}", platform.language, platform.version))
}

/// Whether a pattern names a package: by name in either ecosystem, or by name and version.
pub fn is_package(pattern: &str, package: &PackageId) -> bool {
    let pattern = match pattern.split_once(':') {
        Some(("pypi", rest)) if package.ecosystem == Ecosystem::Pypi => rest,
        Some(("npm", rest)) if package.ecosystem == Ecosystem::Npm => rest,
        Some(("pypi" | "npm", _)) => return false,
        _ => pattern,
    };
    match package.ecosystem {
        Ecosystem::Pypi => match pattern.split_once("==") {
            Some((name, version)) => {
                matches(&normalise_pypi(name), &package.name) && matches(version.trim(), &package.version)
            }
            None => matches(&normalise_pypi(pattern), &package.name),
        },
        Ecosystem::Npm => matches(pattern, &package.name) || matches(pattern, &package.spec()),
    }
}

/// Whether a text is what a pattern describes: `*` stands for any characters, `?` for one. Case counts.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // The last `*`, and where in the text what follows it was last tried.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match &mut star {
                Some((at, tried)) => {
                    *tried += 1;
                    (p, t) = (*at + 1, *tried);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Language;

    #[test]
    fn patterns_fit_whole_texts() {
        for (pattern, text, fits) in [
            ("payments-*", "payments-api", true),
            ("payments-*", "payments-", true),
            ("payments", "payments-api", false),
            ("*api", "payments-api", true),
            ("p?y*-a*i", "payments-api", true),
            ("p?y*-a*x", "payments-api", false),
            ("*", "", true),
            ("?", "", false),
            ("a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
            ("ü*", "über", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn functions_platforms_and_packages_are_named_as_people_name_them() {
        assert!(
            is_function("api", "shop/api") && is_function("shop/*", "shop/api") && !is_function("shop", "shop/api")
        );
        let platform = Platform::linux(Language::Python, "3.12");
        assert!(is_platform("python3.12", &platform) && is_platform("python3.*-x86_64-glibc", &platform));
        assert!(!is_platform("python3.1", &platform));
        let (pil, sdk) = (PackageId::pypi("Pillow", "10.3.0"), PackageId::npm("@aws-sdk/client-s3", "3.1.0"));
        assert!(is_package("pillow", &pil) && is_package("PILLOW==10.*", &pil) && is_package("pypi:pillow", &pil));
        assert!(!is_package("npm:pillow", &pil) && !is_package("pillow==9.0.0", &pil));
        assert!(is_package("@aws-sdk/*", &sdk) && is_package("@aws-sdk/client-s3@3.1.0", &sdk));
        assert!(!is_package("@aws-sdk/client-s3@3.1.1", &sdk) && !is_package("pypi:@aws-sdk/client-s3", &sdk));
    }

    #[test]
    fn domains_are_settled_once() {
        let mut functions = vec![Function::new("hr/pay"), Function::new("hr/vault"), Function::new("web")];
        let wishes = [
            Wish::Alone { functions: vec!["vault".into()] },
            Wish::TrustDomain { domain: "hr".into(), functions: vec!["hr/*".into()] },
            Wish::TrustDomain { domain: "late".into(), functions: vec!["*".into()] },
        ];
        for _ in 0..2 {
            settle(&mut functions, wishes.iter());
            let domains: Vec<&str> = functions.iter().map(|f| f.trust_domain.as_str()).collect();
            assert_eq!(domains, ["hr", "hr:alone:hr/vault", "late"]);
        }
        let pool = PoolOf { trust_domains: vec!["hr".into()], ..PoolOf::default() };
        assert!(pool.holds(&functions[1]) && !pool.holds(&functions[2]));
    }

    #[test]
    fn of_two_limits_the_first_counts_and_pools_are_there_once() {
        let at = |line| Place::at("warmset.toml", line);
        let mut wishes = Wishes::default();
        wishes.add(Wish::Memory { mb: 1.0 }, Place::file("--budget"));
        let mut other = Wishes::default();
        other.add(Wish::Memory { mb: 2.0 }, at(2));
        other.add(Wish::Exclude { package: "a".into() }, at(3));
        other.pools.push(Pool { of: PoolOf { name: "x".into(), ..PoolOf::default() }, place: at(4) });
        assert_eq!(wishes.join(other.clone()), Ok(()));
        let texts: Vec<String> = wishes.list.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["memory 1 MB (--budget)", "exclude a (warmset.toml:3)"]);
        assert_eq!(wishes.join(other), Err((at(4), at(4))));
    }
}
