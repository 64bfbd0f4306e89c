//! What kept repetitions were charged to.

use serde::Deserialize;
use serde_json::Value;

use super::fleet::{Ready, Subject};
use super::samples::Samples;
use crate::cost::attribution::{self, Asks, Charge, Charges, Node, NodeTrace, Whole};
use crate::model::Language;

#[derive(Deserialize)]
struct PythonTrace {
    nodes: Vec<Node>,
    #[serde(default)]
    then: Vec<Node>,
    #[serde(default)]
    first: usize,
}

/// Reads what is kept of the subjects of one call.
#[derive(Clone, Copy)]
pub struct Readings<'a> {
    pub ready: &'a Ready,
    pub samples: &'a Samples,
}

impl Readings<'_> {
    /// What a repetition of a subject's loads was charged to.
    pub fn traced(&self, at: usize, number: usize) -> Option<Charges> {
        let subject = &self.ready.subjects[at];
        self.charges(subject, &self.samples.get(&subject.key, "trace", number)?.answer, false)
    }

    /// The same of packages that only their own names load.
    pub fn direct(&self, at: usize, mode: &str, number: usize) -> Option<Charges> {
        let subject = &self.ready.subjects[at];
        self.charges(subject, &self.samples.get(&subject.key, mode, number)?.answer, true)
    }

    fn charges(&self, subject: &Subject, answer: &Value, then: bool) -> Option<Charges> {
        let view = &self.ready.views[subject.view];
        let owner = |name: &str| view.owner(name);
        match subject.platform.language {
            Language::Python => {
                let trace = PythonTrace::deserialize(answer).ok()?;
                let asks = self.samples.get(&subject.key, "first", 0);
                let asks = asks.and_then(|sample| Asks::deserialize(&sample.answer).ok()).unwrap_or_default();
                let (nodes, from) = if then { (&trace.then, trace.first) } else { (&trace.nodes, 0) };
                Some(attribution::python(nodes, from, &asks, &owner))
            }
            Language::Node => {
                let part = if then { answer.get("then")? } else { answer };
                Some(attribution::node(&NodeTrace::deserialize(part).ok()?, &owner))
            }
        }
    }

    /// What a repetition took without a tracer.
    pub fn whole(&self, at: usize, number: usize) -> Option<Charge> {
        let subject = &self.ready.subjects[at];
        let answer = self.samples.get(&subject.key, "whole", number)?.answer;
        Some(Whole::deserialize(&answer).ok()?.into())
    }
}
