//! The relaxed problem in flat arrays: L and its subgradient at given prices, and what they exclude.

use super::super::greedy::Limits;
use super::super::instance::Instance;
use super::super::state::State;
use super::SLACK;
use super::rows::Rows;

/// Room for the rounding errors of sums, relative to the sizes of what is added up.
const ROUNDING: f64 = 1e-12;

/// Prices, or a direction in their space.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::solve) struct Prices {
    /// Of serving each demand.
    pub u: Vec<f64>,
    /// Of forking each image.
    pub d: Vec<f64>,
    /// Of each row of [`Rows`].
    pub m: Vec<f64>,
    /// Of each budget.
    pub b: Vec<f64>,
}

impl Prices {
    pub fn zip(&mut self, other: &Prices, f: impl Fn(f64, f64) -> f64) {
        let parts =
            [(&mut self.u, &other.u), (&mut self.d, &other.d), (&mut self.m, &other.m), (&mut self.b, &other.b)];
        for (mine, theirs) in parts {
            mine.iter_mut().zip(theirs).for_each(|(a, b)| *a = f(*a, *b));
        }
    }

    pub fn dot(&self, other: &Prices) -> f64 {
        let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        sum(&self.u, &other.u) + sum(&self.d, &other.d) + sum(&self.m, &other.m) + sum(&self.b, &other.b)
    }
}

/// For each image a list of what it concerns, one after the other in memory.
#[derive(Debug, Clone)]
pub(in crate::solve) struct Lists<T> {
    ends: Vec<usize>,
    pub entries: Vec<T>,
}

impl<T> Lists<T> {
    pub fn new(lists: impl Iterator<Item = Vec<T>>) -> Self {
        let mut all = Self { ends: vec![0], entries: Vec::new() };
        for list in lists {
            all.entries.extend(list);
            all.ends.push(all.entries.len());
        }
        all
    }

    pub fn range(&self, i: usize) -> std::ops::Range<usize> {
        self.ends[i]..self.ends[i + 1]
    }

    pub fn of(&self, i: usize) -> &[T] {
        &self.entries[self.range(i)]
    }
}

/// Something of which there is only so much: `Σ_i use_i x_i − Σ_ik shared_i z_ik ≤ cap`.
#[derive(Debug, Clone)]
struct Budget {
    cap: f64,
    /// What an image takes by itself.
    used: Vec<f64>,
    /// What a child saves that is forked from it.
    shared: Vec<f64>,
    /// About what one unit is worth, ms.
    worth: f64,
}

/// The plans that are still looked at.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::solve) struct Part {
    /// Images that they may hold.
    pub open: Vec<bool>,
    /// Images that all of them hold.
    pub forced: Vec<bool>,
    /// Sets of images of which all of them hold at least one.
    pub required: Vec<Vec<u32>>,
}

/// L at some prices, and the solution of the relaxed problem there.
#[derive(Debug, Clone)]
pub(in crate::solve) struct Evaluation {
    pub value: f64,
    /// Which images are opened.
    pub held: Vec<bool>,
    /// What opening each image is worth; 0 for those that are not open.
    pub worth: Vec<f64>,
    /// Which services are taken, by entry of [`Relaxation::service`].
    pub served: Vec<bool>,
    /// Which children are forked, by entry of [`Relaxation::children`].
    pub forked: Vec<bool>,
    /// What opening an image of a required set costs that would not be worth it: the set and a worth below 0. The sets
    /// are disjoint.
    pub penalties: Vec<(usize, f64)>,
    pub gradient: Prices,
    /// Prices of the rows, added up for images, services and children.
    credit: Vec<f64>,
    charge: Vec<f64>,
    inner: Vec<f64>,
}

/// The relaxation in flat arrays.
#[derive(Debug, Clone)]
pub(in crate::solve) struct Relaxation {
    /// For each image: demands and `w_f v_fi`.
    pub service: Lists<(u32, f64)>,
    /// For each image: children.
    pub children: Lists<u32>,
    pub rows: Rows,
    budgets: Vec<Budget>,
    demands: usize,
}

impl Relaxation {
    pub fn new(instance: &Instance, limits: &Limits, known: &State) -> Self {
        let n = instance.candidates.len();
        let each = |f: &dyn Fn(usize) -> f64| -> Vec<f64> { (0..n).map(f).collect() };
        let objective = known.objective().max(1e-6);
        let per = |cap: f64| objective / cap.max(1e-6);
        // What the least worthy of the known images saves for each MB.
        let margin = known
            .members()
            .map(|i| known.loss(i) / known.freed(i).max(1e-6))
            .filter(|r| *r > 0.0)
            .min_by(f64::total_cmp)
            .unwrap_or(per(limits.budget_mb));
        let mut budgets = vec![Budget {
            cap: limits.budget_mb,
            used: each(&|i| instance.added_mb(i, None)),
            shared: each(&|i| instance.candidates[i].resident),
            worth: margin.min(per(limits.budget_mb)).max(1e-9),
        }];
        if limits.disk_mb.is_finite() {
            let disk = each(&|i| instance.candidates[i].disk);
            let worth = per(limits.disk_mb);
            budgets.push(Budget { cap: limits.disk_mb, used: disk.clone(), shared: disk, worth });
        }
        // The same budgets whatever is left of the candidates: prices go from one relaxation to the next.
        if limits.max_images < usize::MAX {
            let cap = limits.max_images.min(n) as f64;
            budgets.push(Budget { cap, used: vec![1.0; n], shared: vec![0.0; n], worth: per(cap.max(1.0)) });
        }
        if limits.max_new < usize::MAX {
            let cap = limits.max_new.min(n) as f64;
            let new = each(&|i| f64::from(u8::from(instance.candidates[i].is_new)));
            budgets.push(Budget { cap, used: new, shared: vec![0.0; n], worth: per(cap.max(1.0)) });
        }
        Self {
            service: Lists::new(instance.candidates.iter().map(|c| {
                c.services.iter().map(|s| (s.demand, instance.gain(s))).filter(|&(_, gain)| gain > 0.0).collect()
            })),
            children: Lists::new(instance.candidates.iter().map(|c| c.children.clone())),
            rows: Rows::default(),
            budgets,
            demands: instance.weights.len(),
        }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.budgets[0].used.len()
    }

    /// Terms that one evaluation adds up.
    pub fn terms(&self) -> usize {
        1 + self.len() + self.demands + self.service.entries.len() + self.children.entries.len() + self.rows.terms()
    }

    /// All plans.
    pub fn whole(&self, instance: &Instance, limits: &Limits) -> Part {
        Part {
            // Whatever it is forked from, an image and its ancestors hold its packages at least once.
            open: self.budgets[0].used.iter().map(|&mb| limits.max_images > 0 && limits.fits(mb)).collect(),
            forced: vec![false; self.len()],
            required: instance.required.iter().map(|r| r.any_of.clone()).collect(),
        }
    }

    pub fn blank(&self) -> Evaluation {
        let n = self.len();
        Evaluation {
            value: f64::INFINITY,
            held: vec![false; n],
            worth: vec![0.0; n],
            served: vec![false; self.service.entries.len()],
            forked: vec![false; self.children.entries.len()],
            penalties: Vec::new(),
            gradient: self.nothing(),
            credit: vec![0.0; n],
            charge: vec![0.0; self.service.entries.len()],
            inner: vec![0.0; self.children.entries.len()],
        }
    }

    /// Prices of 0.
    pub fn nothing(&self) -> Prices {
        Prices {
            u: vec![0.0; self.demands],
            d: vec![0.0; self.len()],
            m: vec![0.0; self.rows.len()],
            b: vec![0.0; self.budgets.len()],
        }
    }

    /// The size that each price may have: steps are taken in these units.
    pub fn scale(&self) -> Prices {
        let mut scale = self.nothing();
        for i in 0..self.len() {
            for &(f, gain) in self.service.of(i) {
                scale.u[f as usize] = scale.u[f as usize].max(gain);
            }
            let shared = self.shared(i, |b| b.worth);
            for &k in self.children.of(i) {
                scale.d[k as usize] = scale.d[k as usize].max(shared);
            }
        }
        for (r, m) in scale.m.iter_mut().enumerate() {
            let nodes = self.rows.nodes(r);
            *m = nodes.iter().map(|&i| self.shared(i as usize, |b| b.worth)).fold(0.0, f64::max);
        }
        scale.b = self.budgets.iter().map(|b| b.worth).collect();
        scale
    }

    fn shared(&self, i: usize, price: impl Fn(&Budget) -> f64) -> f64 {
        self.budgets.iter().map(|b| price(b) * b.shared[i]).sum()
    }

    /// Takes from the prices what can only be too much in this part: prices of demands above the most that an open image
    /// gains for them, and of images that are not open.
    pub fn trim(&self, part: &Part, prices: &mut Prices) {
        let mut most = vec![0.0f64; self.demands];
        for i in (0..self.len()).filter(|&i| part.open[i]) {
            for &(f, gain) in self.service.of(i) {
                most[f as usize] = most[f as usize].max(gain);
            }
        }
        prices.u.iter_mut().zip(&most).for_each(|(u, most)| *u = u.min(*most));
        prices.d.iter_mut().zip(&part.open).filter(|(_, open)| !**open).for_each(|(d, _)| *d = 0.0);
    }

    /// L at the prices, with the solution and a subgradient.
    pub fn evaluate(&self, part: &Part, p: &Prices, out: &mut Evaluation) {
        out.served.fill(false);
        out.forked.fill(false);
        self.add_up_rows(&p.m, out);
        let mut sum = p.u.iter().sum::<f64>() + self.budgets.iter().zip(&p.b).map(|(b, p)| b.cap * p).sum::<f64>();
        // What was added up, whatever its sign: prices that cancel out may grow until only rounding errors are left.
        let mut turnover = sum;
        for i in 0..self.len() {
            out.worth[i] = 0.0;
            out.held[i] = false;
            if !part.open[i] {
                continue;
            }
            let (mut cost, mut shared) = (0.0, 0.0);
            for (budget, price) in self.budgets.iter().zip(&p.b) {
                cost += price * budget.used[i];
                shared += price * budget.shared[i];
            }
            let mut profit = p.d[i] + out.credit[i] - cost;
            let range = self.service.range(i);
            for (&(f, gain), charge) in self.service.entries[range.clone()].iter().zip(&out.charge[range]) {
                profit += (gain - p.u[f as usize] - charge).max(0.0);
            }
            let range = self.children.range(i);
            for (&k, inner) in self.children.entries[range.clone()].iter().zip(&out.inner[range]) {
                let saved = shared - inner - p.d[k as usize];
                if saved > 0.0 && part.open[k as usize] {
                    profit += saved;
                }
            }
            out.worth[i] = profit;
            out.held[i] = profit > 0.0 || part.forced[i];
        }
        self.require(part, out);
        let gradient = &mut out.gradient;
        gradient.u.fill(1.0);
        gradient.d.fill(0.0);
        gradient.b.iter_mut().zip(&self.budgets).for_each(|(g, b)| *g = b.cap);
        for i in (0..self.len()).filter(|&i| out.held[i]) {
            sum += out.worth[i];
            let cost: f64 = self.budgets.iter().zip(&p.b).map(|(b, p)| p * b.used[i]).sum();
            turnover += out.worth[i].abs() + cost + p.d[i] + out.credit[i];
            gradient.d[i] += 1.0;
            for e in self.service.range(i) {
                let (f, gain) = self.service.entries[e];
                if gain - p.u[f as usize] - out.charge[e] > 0.0 {
                    out.served[e] = true;
                    gradient.u[f as usize] -= 1.0;
                }
            }
            let shared: f64 = self.budgets.iter().zip(&p.b).map(|(b, p)| p * b.shared[i]).sum();
            let mut forks = 0.0;
            for a in self.children.range(i) {
                let k = self.children.entries[a] as usize;
                if part.open[k] && shared - out.inner[a] - p.d[k] > 0.0 {
                    out.forked[a] = true;
                    gradient.d[k] -= 1.0;
                    forks += 1.0;
                }
            }
            for (g, b) in gradient.b.iter_mut().zip(&self.budgets) {
                *g += forks * b.shared[i] - b.used[i];
            }
        }
        for (r, g) in gradient.m.iter_mut().enumerate() {
            *g = self.rows.slack(r, &out.held, &out.forked, &out.served);
        }
        out.value = sum + ROUNDING * turnover;
    }

    fn add_up_rows(&self, m: &[f64], out: &mut Evaluation) {
        if self.rows.len() == 0 {
            return;
        }
        out.credit.fill(0.0);
        out.charge.fill(0.0);
        out.inner.fill(0.0);
        for (r, &m) in m.iter().enumerate().filter(|&(_, &m)| m > 0.0) {
            self.rows.nodes(r).iter().for_each(|&i| out.credit[i as usize] += m);
            self.rows.services(r).iter().for_each(|&e| out.charge[e as usize] += m);
            self.rows.arcs(r).iter().for_each(|&a| out.inner[a as usize] += m);
        }
    }

    /// Opens the best image of each required set that holds none, for a disjoint choice of such sets: the dearest first.
    /// Images that are in several sets make the rest too hard to weigh, and leaving a set out only weakens the bound.
    fn require(&self, part: &Part, out: &mut Evaluation) {
        out.penalties.clear();
        let mut due: Vec<(f64, usize, u32)> = Vec::new();
        for (r, set) in part.required.iter().enumerate() {
            let open = set.iter().copied().filter(|&i| part.open[i as usize]);
            let best = open.max_by(|&a, &b| out.worth[a as usize].total_cmp(&out.worth[b as usize]).then(b.cmp(&a)));
            if let Some(best) = best.filter(|_| !set.iter().any(|&i| out.held[i as usize])) {
                due.push((out.worth[best as usize], r, best));
            }
        }
        due.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut seen: Vec<u32> = Vec::new();
        for (worth, r, best) in due {
            let set = &part.required[r];
            if !set.iter().any(|i| seen.contains(i)) {
                seen.extend(set);
                out.held[best as usize] = true;
                out.penalties.push((r, worth));
            }
        }
    }

    /// Fixes what an evaluation proves of the plans of this part that are better than `known`. Says whether anything was.
    ///
    /// With image i opened L is at most `L + min(0, worth_i) − Σ penalties of the required sets that i is of`, with i
    /// closed at most `L − max(0, worth_i)`. The price d_i of an image that is not opened may be lower than it is without
    /// any change of L, down to where it pays for a parent to have it forked; that much lower is what opening it is worth.
    pub fn fix(&self, part: &mut Part, p: &Prices, at: &Evaluation, known: f64) -> bool {
        let slack = SLACK * at.value.abs();
        // A worth up to which an image may rise before L does: that of the image opened in its place where a set is required.
        let mut most = vec![0.0f64; self.len()];
        for &(r, worth) in &at.penalties {
            part.required[r].iter().for_each(|&i| most[i as usize] = worth);
        }
        let mut lowest = vec![0.0f64; self.len()];
        for j in (0..self.len()).filter(|&j| part.open[j]) {
            let shared: f64 = self.budgets.iter().zip(&p.b).map(|(b, p)| p * b.shared[j]).sum();
            for a in self.children.range(j) {
                let k = self.children.entries[a] as usize;
                let saved = shared - at.inner[a];
                // A parent that is not held begins to be worth opening a little later.
                let idle = if at.held[j] { 0.0 } else { (at.worth[j] - most[j]).min(0.0) - (saved - p.d[k]).max(0.0) };
                lowest[k] = lowest[k].max(saved + idle);
            }
        }
        let mut relief: Vec<(u32, f64)> = Vec::new();
        for &(r, worth) in &at.penalties {
            relief.extend(part.required[r].iter().map(|&i| (i, -worth)));
        }
        relief.sort_by_key(|&(i, _)| i);
        let mut fixed = false;
        for (i, &worth) in at.worth.iter().enumerate() {
            if !part.open[i] || part.forced[i] {
                continue;
            }
            let relief = relief.binary_search_by_key(&(i as u32), |&(i, _)| i).map_or(0.0, |k| relief[k].1);
            let lower = if at.held[i] { 0.0 } else { (p.d[i] - lowest[i]).max(0.0) };
            if at.value + (worth - lower).min(0.0) + relief + slack < known {
                part.open[i] = false;
                fixed = true;
            } else if at.value - worth.max(0.0) + slack < known {
                part.forced[i] = true;
                fixed = true;
            }
        }
        fixed
    }

    /// The prices of `other`, whose images `old` are those of this relaxation, and whose rows `rows`.
    pub fn translate(&self, prices: &Prices, old: &[usize], rows: &[usize]) -> Prices {
        Prices {
            u: prices.u.clone(),
            d: old.iter().map(|&i| prices.d[i]).collect(),
            m: rows.iter().map(|&r| prices.m[r]).collect(),
            b: (0..self.budgets.len()).map(|b| prices.b.get(b).copied().unwrap_or(0.0)).collect(),
        }
    }
}
