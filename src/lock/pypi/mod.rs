//! Locks and manifests of Python projects.

pub mod pep508;
pub mod poetry;
pub mod pyproject;
mod requirement_lines;
pub mod requirements;
pub mod toml_doc;
pub mod uv;
