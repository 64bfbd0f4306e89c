//! Rows of [`super::paths`] as a relaxation holds them.

use std::collections::BTreeSet;

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathRow {
    /// f.
    pub demand: u32,
    /// S, ascending.
    pub images: Vec<u32>,
}

/// Rows, and where their terms are in a relaxation.
#[derive(Debug, Clone, Default)]
pub(in crate::solve) struct Rows {
    pub all: Vec<PathRow>,
    /// For each row the entries of S in the relaxation's services, and the forks within S in its children.
    services: Vec<Vec<u32>>,
    arcs: Vec<Vec<u32>>,
    known: BTreeSet<PathRow>,
    terms: usize,
}

impl PathRow {
    /// The row of an instance with only some of the images, `old` being their indices here.
    pub fn restrict(&self, old: &[usize]) -> Self {
        let images = self.images.iter().filter_map(|&i| old.binary_search(&(i as usize)).ok());
        Self { demand: self.demand, images: images.map(|k| k as u32).collect() }
    }
}

impl Rows {
    /// Whether a row is new; it then belongs to the rows, and [`Rows::push`] follows.
    pub fn is_new(&mut self, row: &PathRow) -> bool {
        !row.images.is_empty() && self.known.insert(row.clone())
    }

    /// Adds a new row and where its terms are.
    pub fn push(&mut self, row: PathRow, services: Vec<u32>, arcs: Vec<u32>) {
        self.terms += services.len() + arcs.len() + row.images.len();
        self.services.push(services);
        self.arcs.push(arcs);
        self.all.push(row);
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn terms(&self) -> usize {
        self.terms
    }

    pub fn nodes(&self, r: usize) -> &[u32] {
        &self.all[r].images
    }

    pub fn services(&self, r: usize) -> &[u32] {
        &self.services[r]
    }

    pub fn arcs(&self, r: usize) -> &[u32] {
        &self.arcs[r]
    }

    /// Right side less left side of a row in a whole solution.
    pub fn slack(&self, r: usize, held: &[bool], forked: &[bool], served: &[bool]) -> f64 {
        let count = |list: &[u32], of: &[bool]| list.iter().filter(|&&k| of[k as usize]).count() as f64;
        count(&self.all[r].images, held) - count(&self.arcs[r], forked) - count(&self.services[r], served)
    }
}
