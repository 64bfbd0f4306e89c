//! Locks and manifests of Node projects.

pub mod bun;
pub mod npm_json;
pub mod npm_layout;
pub mod npm_range;
mod npm_yaml;
pub mod overrides;
pub mod package_json;
pub mod package_lock;
pub mod pnpm;
pub mod workspaces;
pub mod yarn;
mod yarn_berry;
mod yarn_project;
mod yarn_v1;
