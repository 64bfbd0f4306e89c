//! Locks and manifests of Python projects.

pub mod conda;
pub mod pdm;
pub mod pep508;
pub mod pipfile;
pub mod pipfile_lock;
pub mod poetry;
pub mod pylock;
pub mod pyproject;
mod requirement_edges;
mod requirement_lines;
pub mod requirements;
pub mod setup_cfg;
pub mod setup_py;
mod setuptools;
#[cfg(test)]
mod tests;
pub mod toml_doc;
pub mod uv;
pub mod wheel;
