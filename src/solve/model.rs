//! The exact model as plain rows and columns, in terms that no solver library knows of.

use super::greedy::Limits;
use super::instance::Instance;
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

/// Builds the model; `start` is the plan to start from.
///
/// Only the x are declared binary: once they are fixed, the best y and z are 0 or 1 by themselves.
pub fn model(instance: &Instance, limits: &Limits, start: &State) -> Model {
    let mut model = Model::default();
    let n = instance.candidates.len();

    // x_i ∈ {0, 1}: image i is kept.
    for i in 0..n {
        model.column(0.0, true, start.chosen[i]);
    }

    let mut memory = Vec::new();
    for (i, candidate) in instance.candidates.iter().enumerate() {
        // z_ji ∈ [0, 1]: image i is forked from image j ⊂ i; j = 0 is the bare host.
        let parents = std::iter::once(None).chain(candidate.parents.iter().map(|&j| Some(j as usize)));
        let mut forks = vec![(i, -1.0)];
        for parent in parents {
            let is_start = start.chosen[i] && start.parent(i) == parent;
            let z = model.column(0.0, false, is_start);
            forks.push((z, 1.0));
            memory.push((z, instance.added_mb(i, parent)));
            // z_ji ≤ x_j
            if let Some(j) = parent {
                model.row(vec![(z, 1.0), (j, -1.0)], Relation::AtMost, 0.0);
            }
        }
        // Σ_j z_ji = x_i
        model.row(forks, Relation::Equal, 0.0);
    }

    for (f, servers) in instance.servers.iter().enumerate() {
        let mut served = Vec::new();
        let mut first = true;
        for server in servers {
            let (i, value) = (server.candidate as usize, server.value);
            // y_fi ∈ [0, 1]: demand f is served by image i, which saves w_f v_i.
            let is_start = first && start.chosen[i];
            first &= !is_start;
            let y = model.column(instance.weights[f] * value, false, is_start);
            served.push((y, 1.0));
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

    // Σ_i x_i ≤ N
    if limits.max_images < n {
        model.row((0..n).map(|i| (i, 1.0)).collect(), Relation::AtMost, limits.max_images as f64);
    }
    model
}
