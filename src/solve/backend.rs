//! Solves a [`Model`] through good_lp: by HiGHS with the `highs` feature, by microlp without. The only file that names
//! a solver library.

use std::time::Duration;

use good_lp::{Expression, ProblemVariables, SolverModel, Variable, constraint, variable};

use super::model::{Model, Relation};

/// How the exact model is solved in this build.
#[cfg(feature = "highs")]
pub const METHOD: &str = "milp (highs)";
/// How the exact model is solved in this build.
#[cfg(not(feature = "highs"))]
pub const METHOD: &str = "milp (microlp)";

/// Relative gap at which a model counts as solved.
pub const GAP: f64 = 1e-7;

/// What came of solving a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Value of each column, when a feasible solution is known. Binary columns are to be read at `> 0.5`.
    pub values: Option<Vec<f64>>,
    /// No solution of the model is better, when the solver proves that.
    pub bound: Option<f64>,
}

fn build(model: &Model) -> (ProblemVariables, Vec<Variable>, Expression) {
    let mut variables = ProblemVariables::new();
    let mut objective = Expression::with_capacity(model.columns.len());
    let mut names = Vec::with_capacity(model.columns.len());
    for column in &model.columns {
        let definition = variable().min(0.0).max(1.0).initial(column.start);
        let name = variables.add(if column.binary { definition.integer() } else { definition });
        if column.gain != 0.0 {
            objective.add_mul(column.gain, name);
        }
        names.push(name);
    }
    (variables, names, objective)
}

fn add_rows(solver: &mut impl SolverModel, model: &Model, names: &[Variable]) {
    for row in &model.rows {
        let mut sum = Expression::with_capacity(row.terms.len());
        for &(column, coefficient) in &row.terms {
            sum.add_mul(coefficient, names[column]);
        }
        solver.add_constraint(match row.relation {
            Relation::AtMost => constraint::leq(sum, row.right),
            Relation::Equal => constraint::eq(sum, row.right),
        });
    }
}

/// How long a solver may search. Without limits it goes on until it has a proof.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Effort {
    /// Wall-clock time: the answer then depends on the machine.
    pub time: Option<Duration>,
    /// Branch-and-bound nodes: the answer is the same everywhere.
    pub nodes: Option<u32>,
}

/// Solves by microlp. good_lp hides its node limit and its bound, so the problem beneath is solved directly.
#[cfg(not(feature = "highs"))]
pub fn solve(model: &Model, effort: Effort) -> Answer {
    let nothing = Answer { values: None, bound: None };
    let (variables, names, objective) = build(model);
    let mut problem = variables.maximise(objective).using(good_lp::microlp);
    add_rows(&mut problem, model, &names);
    let mut options = microlp::SolveOptions::default();
    options.time_limit = effort.time;
    options.node_limit = effort.nodes.map(u64::from);
    let Ok(outcome) = problem.as_inner().solve_with(options) else { return nothing };
    let Some(solution) = outcome.solution() else { return nothing };
    let values: Vec<f64> = solution.iter().map(|(_, value)| value).collect();
    if values.len() != model.columns.len() {
        return nothing;
    }
    let bound = solution.stats().best_bound.filter(|bound| bound.is_finite());
    Answer { values: Some(values), bound }
}

/// Solves by HiGHS. good_lp hides the dual bound, so the model beneath it is solved directly.
#[cfg(feature = "highs")]
pub fn solve(model: &Model, effort: Effort) -> Answer {
    use highs::HighsSolutionStatus;

    let (variables, names, objective) = build(model);
    let mut problem = variables.maximise(objective).using(good_lp::highs);
    add_rows(&mut problem, model, &names);
    let nothing = Answer { values: None, bound: None };
    let Ok(mut inner) = problem.try_into_inner() else { return nothing };
    inner.make_quiet();
    let set = inner.try_set_option("mip_rel_gap", GAP).is_ok()
        && inner.try_set_option("random_seed", 1).is_ok()
        && inner.try_set_option("threads", 2).is_ok()
        && effort.time.is_none_or(|limit| inner.try_set_option("time_limit", limit.as_secs_f64()).is_ok())
        && effort.nodes.is_none_or(|nodes| {
            inner.try_set_option("mip_max_nodes", i32::try_from(nodes).unwrap_or(i32::MAX)).is_ok()
        });
    if !set {
        return nothing;
    }
    let start: Vec<f64> = model.columns.iter().map(|column| column.start).collect();
    // Without the start the answer is the same, only later.
    let _ = inner.try_set_solution(Some(&start), None, None, None);
    let Ok(solved) = inner.try_solve() else { return nothing };
    let feasible = solved.primal_solution_status() == HighsSolutionStatus::Feasible;
    Answer {
        values: feasible.then(|| solved.get_solution().columns().to_vec()),
        bound: solved.double_info_value(c"mip_dual_bound").ok().filter(|bound| bound.is_finite()),
    }
}
