//! stub
use std::collections::BTreeSet;
use crate::discover::{Defaults, Discovery};
use crate::discover::tree::Tree;
pub fn assemblies(_tree: &Tree) -> BTreeSet<String> { BTreeSet::new() }
pub fn find(_tree: &Tree, _defaults: &Defaults, _found: &mut Discovery) {}
