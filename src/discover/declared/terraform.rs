//! stub
use crate::discover::{Defaults, Discovery};
use crate::discover::tree::Tree;
pub fn find(_tree: &Tree, _defaults: &Defaults, _found: &mut Discovery) {}
