//! From a fleet and what is asked of its plan to the problem that is solved: pools, exclusions, requirements.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::greedy::Limits;
use super::problem::{Floor, Group, Pin, Price, Problem, Rules, Set, problem_under};
use super::{superset, trim};
use crate::graph::classes::{Class, classes, sum_weights};
use crate::model::costs::LanguageCosts;
use crate::model::inventory::{Inventory, State};
use crate::model::plan::Share;
use crate::model::platform::Language;
use crate::model::wishes::{self, PoolOf, REST, Wish, Wished, Wishes};
use crate::model::{Diagnostic, PackageId, Place, Platform, codes};

/// What a fleet costs: the price of a package on a platform.
pub type PriceOf<'a> = &'a dyn Fn(&PackageId, &Platform) -> Option<Price>;
/// What a language's warm host costs.
pub type LanguageOf<'a> = &'a dyn Fn(Language) -> LanguageCosts;

/// A pool with its limits as they count.
#[derive(Debug, Clone, PartialEq)]
pub struct Pool {
    /// Who belongs to it. That of all functions that no other takes is the last one, and is called [`REST`].
    pub of: PoolOf,
    /// MB in memory on one host.
    pub memory_mb: f64,
    /// The wishes that this comes from.
    pub memory_from: Vec<usize>,
    /// Most images, and the wishes that this comes from.
    pub images: Option<(usize, Vec<usize>)>,
    /// MB on disk, and the wishes that this comes from.
    pub disk: Option<(f64, Vec<usize>)>,
    /// MB of one image, and the wish that this comes from.
    pub max_image: Option<(f64, usize)>,
}

impl Pool {
    /// Whether it is that of all functions that no other takes.
    pub fn is_rest(&self) -> bool {
        self.of.name == REST
    }

    /// What a choice of images must keep to.
    pub fn limits(&self) -> Limits {
        Limits {
            max_images: self.images.as_ref().map_or(usize::MAX, |(most, _)| *most),
            disk_mb: self.disk.as_ref().map_or(f64::INFINITY, |(mb, _)| *mb),
            ..Limits::memory(self.memory_mb)
        }
    }
}

/// Something that cannot be, whatever the limits are.
#[derive(Debug, Clone, PartialEq)]
pub struct Impossible {
    /// Index of the wish.
    pub wish: usize,
    /// Why, to follow the wish's own words.
    pub reason: String,
}

/// A fleet with everything that is asked of its plan.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// The fleet with the trust domains that are asked for; its own where none are.
    pub inventory: Cow<'a, Inventory>,
    /// Which functions an image may serve.
    pub share: Share,
    /// Its classes, each in one pool.
    pub classes: Vec<Class>,
    /// What is to be solved.
    pub problem: Problem,
    /// The pools; the groups of [`Problem`] name them by number.
    pub pools: Vec<Pool>,
    /// What had to be left out or is not as it seems to be meant.
    pub diagnostics: Vec<Diagnostic>,
    /// Requirements that nothing can meet.
    pub impossible: Vec<Impossible>,
    /// For each floor that is a requirement: the wish, and the first function that it is for.
    pub floors: Vec<(usize, String)>,
}

fn contradiction(place: Place, reason: String) -> Diagnostic {
    Diagnostic::new(codes::DEMANDS_CONTRADICT, place, reason)
}

/// The pools with their limits: what no pool has of the host's memory, images and disk is left for all other functions.
///
/// # Errors
/// When the pools have more than the host, or it is not said what a pool may have.
pub fn pools(list: &Wishes) -> Result<Vec<Pool>, Vec<Diagnostic>> {
    type Amount<'a> = &'a dyn Fn(&Wish) -> Option<f64>;
    let memory: Amount = &|w| if let Wish::Memory { mb } = w { Some(*mb) } else { None };
    let images: Amount = &|w| if let Wish::Images { most } = w { Some(*most as f64) } else { None };
    let disk: Amount = &|w| if let Wish::Disk { mb } = w { Some(*mb) } else { None };
    let max_image: Amount = &|w| if let Wish::MaxImage { mb } = w { Some(*mb) } else { None };
    let mut wrong = Vec::new();
    for wished in list.list.iter().filter(|w| w.wish.is_limit() || matches!(w.wish, Wish::Pin { .. })) {
        if let Some(pool) = wished.pool.as_deref().filter(|p| *p != REST && list.pools.iter().all(|q| q.of.name != *p))
        {
            wrong.push(contradiction(
                wished.place.clone(),
                format!("{wished} is for a pool `{pool}`, which there is not"),
            ));
        }
    }
    let of = |pool: Option<&str>, amount: Amount| {
        list.limit(pool, |w| amount(w).is_some()).and_then(|(i, w)| amount(&w.wish).map(|value| (value, i)))
    };
    // What the pools have, and what that leaves of the whole.
    type Shares = (Vec<Option<(f64, usize)>>, Option<(f64, Vec<usize>)>);
    let mut share = |amount: Amount, what: &str, needed: bool| -> Shares {
        let own: Vec<Option<(f64, usize)>> = list.pools.iter().map(|p| of(Some(&p.of.name), amount)).collect();
        let whole = of(None, amount);
        for (pool, _) in list.pools.iter().zip(&own).filter(|(_, own)| own.is_none()) {
            if let Some((_, i)) = whole {
                let whole = &list.list[i];
                wrong.push(contradiction(
                    pool.place.clone(),
                    format!(
                        "{whole} is for the whole host: pool {} must say in `{what}` how much of it it has",
                        pool.of.name
                    ),
                ));
            } else if needed {
                wrong.push(contradiction(
                    pool.place.clone(),
                    format!("pool {} does not say its `{what}`", pool.of.name),
                ));
            }
        }
        let left = whole.map(|(value, i)| {
            let taken: f64 = own.iter().flatten().map(|(value, _)| value).sum();
            let from: Vec<usize> = std::iter::once(i).chain(own.iter().flatten().map(|(_, i)| *i)).collect();
            if taken > value * (1.0 + 1e-12) {
                let parts: Vec<String> = from[1..].iter().map(|&i| list.list[i].to_string()).collect();
                let reason = format!("{} add up to more than {}", parts.join(" and "), list.list[i]);
                wrong.push(contradiction(list.list[i].place.clone(), reason));
            }
            ((value - taken).max(0.0), from)
        });
        (own, left)
    };
    let (memory_own, memory_left) = share(memory, "memory", true);
    let (images_own, images_left) = share(images, "images", false);
    let (disk_own, disk_left) = share(disk, "disk", false);
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let whole_max = of(None, max_image);
    let count = |(value, i): (f64, usize)| (value as usize, vec![i]);
    let mut out: Vec<Pool> = list
        .pools
        .iter()
        .enumerate()
        .map(|(k, pool)| Pool {
            of: pool.of.clone(),
            memory_mb: memory_own[k].map_or(0.0, |(mb, _)| mb),
            memory_from: memory_own[k].iter().map(|(_, i)| *i).collect(),
            images: images_own[k].map(count),
            disk: disk_own[k].map(|(mb, i)| (mb, vec![i])),
            max_image: of(Some(&pool.of.name), max_image).or(whole_max),
        })
        .collect();
    let (memory_mb, memory_from) = memory_left.unwrap_or_default();
    out.push(Pool {
        of: PoolOf { name: REST.into(), hosts: list.hosts, ..PoolOf::default() },
        memory_mb,
        memory_from,
        images: images_left.map(|(left, from)| (left as usize, from)),
        disk: disk_left,
        max_image: whole_max,
    });
    Ok(out)
}

/// Applies those wishes that are `active` to a fleet.
///
/// `share` is the rule that it is planned under.
pub fn asked<'a>(
    inventory: &'a Inventory,
    list: &Wishes,
    pools: &[Pool],
    share: Share,
    active: &dyn Fn(usize) -> bool,
    price: PriceOf,
    language: LanguageOf,
) -> Asked<'a> {
    let said: Vec<(usize, &Wished)> = list.list.iter().enumerate().filter(|(i, _)| active(*i)).collect();
    let mut inventory = Cow::Borrowed(inventory);
    if said.iter().any(|(_, w)| matches!(w.wish, Wish::Alone { .. } | Wish::TrustDomain { .. })) {
        wishes::settle(&mut inventory.to_mut().functions, said.iter().map(|(_, w)| &w.wish));
    }

    let rest = pools.len().saturating_sub(1);
    let cold = |id: &str| said.iter().find(|(_, w)| matches!(w.wish, Wish::Cold { .. }) && w.wish.names(id));
    let pool_of: Vec<Option<usize>> = inventory
        .functions
        .iter()
        .map(|f| {
            let pool = pools[..rest].iter().position(|p| p.of.holds(f)).unwrap_or(rest);
            cold(&f.id).is_none().then_some(pool)
        })
        .collect();
    let (classes, class_pool) = split(classes(&inventory), &inventory, &pool_of);

    let max_image = |pool: &Pool| pool.max_image.filter(|(_, i)| active(*i)).map_or(f64::INFINITY, |(mb, _)| mb);
    let rules = Rules {
        pool: &|class| class_pool[class],
        name: &|pool| pools.get(pool).filter(|p| !p.is_rest()).map(|p| p.of.name.clone()),
        max_image_mb: &|pool| pools.get(pool).map_or(f64::INFINITY, max_image),
        needs_disk: &|pool| {
            pools.get(pool).and_then(|p| p.disk.as_ref()).is_some_and(|(_, from)| from.iter().any(|i| active(*i)))
        },
        excluded: &|id| said.iter().any(|(_, w)| w.wish.excludes(id)),
    };
    let (mut problem, mut diagnostics) = problem_under(&inventory, &classes, price, language, &rules);
    diagnostics.extend(unmatched(&inventory, &said));
    if share == Share::Superset {
        superset::widen(&mut problem, &inventory, &classes);
    }
    let mut asked = Asked {
        share,
        inventory,
        classes,
        problem,
        pools: pools.to_vec(),
        diagnostics,
        impossible: Vec::new(),
        floors: Vec::new(),
    };
    for &(i, wished) in &said {
        match &wished.wish {
            Wish::Floor { share, .. } => asked.floor(i, wished, *share, &said, &pool_of, price),
            Wish::Pin { packages, platform, trust_domain, .. } => {
                let wants = Wanted { packages, platform: platform.as_deref(), domain: trust_domain.as_deref() };
                match asked.pinned(&wants, wished.pool.as_deref(), &said, price) {
                    Ok((group, set)) => asked.problem.groups[group].pins.push(Pin { set, wish: i }),
                    Err(reason) => asked.impossible.push(Impossible { wish: i, reason }),
                }
            }
            _ => {}
        }
    }
    asked
}

/// Classes of functions of one pool each, and that pool.
fn split(classes: Vec<Class>, inventory: &Inventory, pool_of: &[Option<usize>]) -> (Vec<Class>, Vec<Option<usize>>) {
    let mut out = (Vec::new(), Vec::new());
    for class in classes {
        let mut parts: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
        class.functions.iter().for_each(|&f| parts.entry(pool_of[f]).or_default().push(f));
        for (pool, functions) in parts {
            out.0.push(Class {
                complete: functions.iter().all(|&f| inventory.functions[f].state == State::Locked),
                weight: sum_weights(functions.iter().map(|&f| inventory.functions[f].weight)),
                functions,
                ..class.clone()
            });
            out.1.push(pool);
        }
    }
    out
}

/// Wishes that name nothing of the fleet.
fn unmatched(inventory: &Inventory, said: &[(usize, &Wished)]) -> Vec<Diagnostic> {
    let functions = |patterns: &[String]| -> Vec<String> {
        patterns
            .iter()
            .filter(|p| !inventory.functions.iter().any(|f| wishes::is_function(p, &f.id)))
            .map(|p| format!("no function is called `{p}`"))
            .collect()
    };
    let mut out = Vec::new();
    for (_, wished) in said {
        let reasons = match &wished.wish {
            Wish::Floor { functions: f, .. }
            | Wish::Alone { functions: f }
            | Wish::Cold { functions: f }
            | Wish::TrustDomain { functions: f, .. } => functions(f),
            Wish::Exclude { package } => {
                let held =
                    inventory.functions.iter().flat_map(|f| &f.closure).any(|id| wishes::is_package(package, id));
                if held { Vec::new() } else { vec![format!("no function loads `{package}`")] }
            }
            _ => Vec::new(),
        };
        out.extend(reasons.into_iter().map(|reason| {
            let reason = format!("{}: {reason}", wished.wish);
            Diagnostic::new(codes::DEMAND_UNMATCHED, wished.place.clone(), reason)
        }));
    }
    out
}

/// What a pin asks for.
struct Wanted<'a> {
    packages: &'a [PackageId],
    platform: Option<&'a str>,
    domain: Option<&'a str>,
}

impl Asked<'_> {
    /// Makes a floor a requirement of each class that it is for.
    fn floor(
        &mut self,
        wish: usize,
        wished: &Wished,
        share: f64,
        said: &[(usize, &Wished)],
        pool_of: &[Option<usize>],
        price: PriceOf,
    ) {
        let mut class_of = vec![None; self.inventory.functions.len()];
        for (c, class) in self.classes.iter().enumerate() {
            class.functions.iter().for_each(|&f| class_of[f] = Some(c));
        }
        let mut asked: BTreeMap<usize, &str> = BTreeMap::new();
        for (f, function) in self.inventory.functions.iter().enumerate().filter(|(_, f)| wished.wish.names(&f.id)) {
            let id = &function.id;
            let mut cannot = |reason: String| self.impossible.push(Impossible { wish, reason });
            let Some(class) = class_of[f] else {
                cannot(format!("the platform of {id} is not known"));
                continue;
            };
            if self.problem.class_load_ms[class] > 0.0 && pool_of[f].is_none() {
                let cold = said.iter().find(|(_, w)| matches!(w.wish, Wish::Cold { .. }) && w.wish.names(id));
                cannot(format!("{id} starts cold: {}", cold.map_or_else(String::new, |(_, w)| w.to_string())));
            } else if self.problem.class_load_ms[class] > 0.0 {
                asked.entry(class).or_insert(id);
            } else if self.problem.class_unpriced[class] > 0 {
                cannot(format!("nothing is known of the cost of what {id} loads"));
            } else if !function.unresolved.is_empty() || function.state == State::Unresolved {
                cannot(format!("no package of {id} has a known version; `warmset lock` would resolve it"));
            }
        }
        for (class, id) in asked {
            let least_ms = share * self.problem.class_load_ms[class];
            let found = self.problem.groups.iter().enumerate().find_map(|(g, group)| {
                group.demands.iter().position(|d| d.classes.binary_search(&class).is_ok()).map(|d| (g, d))
            });
            let most = found.map_or(0.0, |(g, d)| {
                let group = &self.problem.groups[g];
                group.value_ms(&trim::trim(group, &group.demands[d].core)).max(0.0)
            });
            // Under the superset rule the image may hold what the function cannot be loaded without.
            if most < least_ms - 1e-9 && (self.share == Share::Subset || found.is_none()) {
                let reason = self.unreachable(id, class, found, least_ms, most, said, price);
                self.impossible.push(Impossible { wish, reason });
            } else if let Some((g, d)) = found {
                self.problem.groups[g].floors.push(Floor { demand: d, least_ms, wish });
                self.floors.push((wish, id.to_string()));
            }
        }
    }

    /// Why no image of any size can save a class so much.
    #[allow(clippy::too_many_arguments, reason = "all that the sentence says")]
    fn unreachable(
        &self,
        id: &str,
        class: usize,
        found: Option<(usize, usize)>,
        least_ms: f64,
        most: f64,
        said: &[(usize, &Wished)],
        price: PriceOf,
    ) -> String {
        let class_of = &self.classes[class];
        let mut left: Vec<(f64, &PackageId)> = class_of
            .closure
            .iter()
            .filter(|id| {
                found.is_none_or(|(g, d)| {
                    let group = &self.problem.groups[g];
                    !group.demands[d].core.ones().any(|i| group.items[i].id == **id)
                })
            })
            .filter_map(|id| price(id, &class_of.platform).map(|p| (p.load_ms, id)))
            .filter(|(ms, _)| *ms > 0.0)
            .collect();
        left.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
        let why = |id: &PackageId| match said.iter().find(|(_, w)| w.wish.excludes(id)) {
            Some((_, w)) => format!(" forbidden by {w}"),
            None => String::new(),
        };
        let names: Vec<String> =
            left.iter().take(3).map(|(ms, id)| format!("{} ({ms:.1} ms{})", id.spec(), why(id))).collect();
        let names = if left.is_empty() {
            "; the swap costs the rest".to_string()
        } else {
            format!("; not preloaded: {}{}", names.join(", "), if left.len() > 3 { " …" } else { "" })
        };
        format!(
            "{id} loads {:.1} ms, of which {least_ms:.1} ms are asked for and no image can save more than {most:.1} ms{names}",
            self.problem.class_load_ms[class]
        )
    }

    /// The group and set of a pin, or why it cannot be kept.
    fn pinned(
        &self,
        wants: &Wanted,
        pool: Option<&str>,
        said: &[(usize, &Wished)],
        price: PriceOf,
    ) -> Result<(usize, Set), String> {
        if let Some(pair) =
            wants.packages.windows(2).find(|p| p[0].name == p[1].name && p[0].ecosystem == p[1].ecosystem)
            && pair[0].ecosystem == Language::Python.ecosystem()
        {
            return Err(format!("it holds two versions of {}", pair[0].name));
        }
        if let Some((id, w)) =
            wants.packages.iter().find_map(|id| said.iter().find(|(_, w)| w.wish.excludes(id)).map(|(_, w)| (id, w)))
        {
            return Err(format!("it holds {}, which {w} forbids", id.spec()));
        }
        let mut reasons: Vec<String> = Vec::new();
        let mut found: Vec<(usize, Set)> = Vec::new();
        for (g, group) in self.problem.groups.iter().enumerate() {
            let wanted = wants.packages.iter().all(|id| id.ecosystem == group.platform.language.ecosystem())
                && wants.platform.is_none_or(|p| wishes::is_platform(p, &group.platform))
                && wants.domain.is_none_or(|d| wishes::matches(d, &group.trust_domain))
                && pool.is_none_or(|p| p == group.pool_name.as_deref().unwrap_or(REST));
            if wanted {
                match self.pin_in(group, wants, price) {
                    Ok(set) => found.push((g, set)),
                    Err(reason) => reasons.push(reason),
                }
            }
        }
        match found.len() {
            1 => Ok(found.swap_remove(0)),
            0 => {
                reasons.sort();
                reasons.dedup();
                Err(reasons.into_iter().next().unwrap_or_else(|| {
                    "no function that is planned has the platform, trust domain and pool that it is for".into()
                }))
            }
            _ => {
                let places: Vec<String> = found.iter().take(4).map(|(g, _)| who(&self.problem.groups[*g])).collect();
                Err(format!("it could be for {}: say its platform, trust_domain or pool", places.join(" or ")))
            }
        }
    }

    /// The set of a pin in a group.
    fn pin_in(&self, group: &Group, wants: &Wanted, price: PriceOf) -> Result<Set, String> {
        let mut set = Set::with_capacity(group.items.len());
        for id in wants.packages {
            match group.items.binary_search_by(|item| item.id.cmp(id)) {
                Ok(i) => set.insert(i),
                Err(_) => return Err(self.why_not(group, id, price)),
            }
        }
        if set != group.core(&set) {
            for i in set.ones() {
                let item = &group.items[i];
                if !item.requires.iter().any(|r| r.is_subset(&set)) {
                    let lacks = item.requires.iter().min_by_key(|r| r.difference(&set).count()).map_or_else(
                        || "something that cannot be preloaded".into(),
                        |r| {
                            let names: Vec<String> =
                                r.difference(&set).take(5).map(|k| group.items[k].id.spec()).collect();
                            names.join(" and ")
                        },
                    );
                    return Err(format!("it lacks {lacks}, which {} requires", item.id.spec()));
                }
            }
        }
        Ok(set)
    }

    /// Why a package cannot be in an image of a group.
    fn why_not(&self, group: &Group, id: &PackageId, price: PriceOf) -> String {
        let spec = id.spec();
        let here = self.classes.iter().any(|c| {
            c.platform == group.platform && c.trust_domain == group.trust_domain && c.closure.binary_search(id).is_ok()
        });
        let package = self.inventory.packages.iter().find(|p| p.id == *id);
        if !here {
            let others: Vec<String> = self
                .inventory
                .functions
                .iter()
                .flat_map(|f| &f.closure)
                .filter(|p| p.ecosystem == id.ecosystem && p.name == id.name && *p != id)
                .map(|p| p.version.clone())
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .take(4)
                .collect();
            let known = if others.is_empty() {
                String::new()
            } else {
                format!("; the fleet knows {} of it", others.join(", "))
            };
            return format!("no function of {} loads {spec}{known}", who(group));
        }
        if price(id, &group.platform).is_none() {
            return format!("nothing is known of the cost of {spec}");
        }
        if package.is_some_and(|p| !p.is_from_registry()) {
            return format!("{spec} comes from no registry");
        }
        format!(
            "{spec} cannot be preloaded: its requirements or its size on disk are not known, or it is there in two versions"
        )
    }
}

/// A group in words.
fn who(group: &Group) -> String {
    let pool = group.pool_name.as_ref().map_or_else(String::new, |p| format!(", pool {p}"));
    format!("{} ({}{pool})", group.platform, group.trust_domain)
}
