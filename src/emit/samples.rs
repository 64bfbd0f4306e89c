//! A small plan and inventory for tests: a parent and a child in Python, the same in Node, and an image on another
//! platform in which one package has no hash.

use crate::model::{Inventory, Plan};

pub fn plan() -> Plan {
    serde_json::from_str(include_str!("../../tests/emit_data/plan.json")).expect("the sample is a plan")
}

pub fn inventory() -> Inventory {
    serde_json::from_str(include_str!("../../tests/emit_data/inventory.json")).expect("the sample is an inventory")
}
