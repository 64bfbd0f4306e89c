//! The exact model as plain rows and columns, in terms that no solver library knows of.

use std::collections::BTreeMap;

use super::bound::PathRow;
use super::greedy::Limits;
use super::instance::{Candidate, Instance};
use super::state::State;

/// A variable between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Column {
    /// What one unit of it adds to the objective, ms.
    pub gain: f64,
    /// Whether it is 0 or 1 and nothing between.
    pub binary: bool,
    /// Its value in the plan to start from.
    pub start: f64,
}

/// How a row's sum relates to its right side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `≤`
    AtMost,
    /// `=`
    Equal,
}

/// Σ coefficient × column `relation` right.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Column and coefficient.
    pub terms: Vec<(usize, f64)>,
    /// `≤` or `=`.
    pub relation: Relation,
    /// Right side.
    pub right: f64,
}

/// Maximise Σ gain × column under the rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Model {
    /// All columns; the first ones are x_i, in the order of the instance's candidates.
    pub columns: Vec<Column>,
    /// All rows.
    pub rows: Vec<Row>,
}

impl Model {
    fn column(&mut self, gain: f64, binary: bool, start: bool) -> usize {
        self.columns.push(Column { gain, binary, start: f64::from(u8::from(start)) });
        self.columns.len() - 1
    }

    fn row(&mut self, terms: Vec<(usize, f64)>, relation: Relation, right: f64) {
        self.rows.push(Row { terms, relation, right });
    }
}

/// Number of columns that [`model`] would make, without making them.
pub fn columns(instance: &Instance) -> usize {
    2 * instance.candidates.len() + instance.parent_pairs() + instance.service_pairs()
}

/// Builds the model; `start` is the plan to start from. `rows` (see [`super::bound`]) change nothing for whole solutions:
/// with them the linear relaxation is tight.
///
/// Only the x are declared binary: once they are fixed, the best y and z are 0 or 1 by themselves.
pub fn model(instance: &Instance, limits: &Limits, rows: &[PathRow], start: &State) -> Model {
    let mut model = Model::default();
    let n = instance.candidates.len();

    // x_i ∈ {0, 1}: image i is kept.
    for i in 0..n {
        model.column(0.0, true, start.chosen[i]);
    }

    let (mut memory, mut disk) = (Vec::new(), Vec::new());
    let disk_limited = limits.disk_mb.is_finite();
    let mut forks: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for (i, candidate) in instance.candidates.iter().enumerate() {
        // z_ji ∈ [0, 1]: image i is forked from image j ⊂ i; j = 0 is the bare host.
        let parents = std::iter::once(None).chain(candidate.parents.iter().map(|&j| Some(j as usize)));
        let mut all = vec![(i, -1.0)];
        for parent in parents {
            let is_start = start.chosen[i] && start.parent(i) == parent;
            let z = model.column(0.0, false, is_start);
            all.push((z, 1.0));
            memory.push((z, instance.added_mb(i, parent)));
            if disk_limited {
                disk.push((z, instance.added_disk_mb(i, parent)));
            }
            // z_ji ≤ x_j
            if let Some(j) = parent {
                model.row(vec![(z, 1.0), (j, -1.0)], Relation::AtMost, 0.0);
                forks.insert((j, i), z);
            }
        }
        // Σ_j z_ji = x_i
        if disk_limited {
            forked_from_largest(&mut model, &all, candidate);
        }
        model.row(all, Relation::Equal, 0.0);
    }

    let mut services: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for (f, servers) in instance.servers.iter().enumerate() {
        let mut served = Vec::new();
        let mut first = true;
        for server in servers {
            let (i, value) = (server.candidate as usize, server.value);
            // y_fi ∈ [0, 1]: demand f is served by image i, which saves w_f v_fi.
            let is_start = first && start.chosen[i];
            first &= !is_start;
            let y = model.column(instance.weights[f] * value, false, is_start);
            served.push((y, 1.0));
            services.insert((f, i), y);
            // y_fi ≤ x_i
            model.row(vec![(y, 1.0), (i, -1.0)], Relation::AtMost, 0.0);
        }
        // Σ_i y_fi ≤ 1
        if !served.is_empty() {
            model.row(served, Relation::AtMost, 1.0);
        }
    }

    // Σ_ji (overhead + resident(i \ j)) z_ji ≤ B
    model.row(memory, Relation::AtMost, limits.budget_mb);

    // Σ_ji disk(i \ j) z_ji ≤ D
    if limits.disk_mb.is_finite() {
        model.row(disk, Relation::AtMost, limits.disk_mb);
    }

    // Σ_i x_i ≤ N
    if limits.max_images < n {
        model.row((0..n).map(|i| (i, 1.0)).collect(), Relation::AtMost, limits.max_images as f64);
    }

    // Σ_{i new} x_i ≤ M
    let new: Vec<(usize, f64)> = (0..n).filter(|&i| instance.candidates[i].is_new).map(|i| (i, 1.0)).collect();
    if limits.max_new < new.len() {
        model.row(new, Relation::AtMost, limits.max_new as f64);
    }

    // Σ_{i ∈ R} x_i ≥ 1 for each set R of which a plan must hold one
    for required in &instance.required {
        model.row(required.any_of.iter().map(|&i| (i as usize, -1.0)).collect(), Relation::AtMost, -1.0);
    }

    // Σ_{i ∈ S} y_fi − Σ_{i ∈ S} x_i + Σ_{i, j ∈ S} z_ji ≤ 0
    for row in rows {
        let f = row.demand as usize;
        let mut terms: Vec<(usize, f64)> = row.images.iter().map(|&i| (i as usize, -1.0)).collect();
        for &i in &row.images {
            terms.extend(services.get(&(f, i as usize)).map(|&y| (y, 1.0)));
            terms.extend(row.images.iter().filter_map(|&j| forks.get(&(j as usize, i as usize))).map(|&z| (z, 1.0)));
        }
        model.row(terms, Relation::AtMost, 0.0);
    }
    model
}

/// Memory decides which image another is forked from. Where disk is limited too, a plan must not state another parent:
/// with p_1, p_2, … the possible parents of i, those that hold most memory first, `x_{p_k} + Σ_{l > k} z_{p_l i} + z_{0 i} ≤ 1`.
///
/// `forks` are `(i, −1)`, `(z_{0 i}, 1)`, `(z_{p_1 i}, 1)`, ….
pub(super) fn forked_from_largest(model: &mut Model, forks: &[(usize, f64)], candidate: &Candidate) {
    for (k, &parent) in candidate.parents.iter().enumerate() {
        let mut terms = vec![(parent as usize, 1.0), forks[1]];
        terms.extend(&forks[k + 3..]);
        model.row(terms, Relation::AtMost, 1.0);
    }
}
