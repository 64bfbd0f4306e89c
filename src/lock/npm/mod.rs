//! Locks and manifests of Node projects.

pub mod npm_json;
pub mod npm_layout;
pub mod npm_range;
pub mod package_json;
pub mod package_lock;
pub mod pnpm;
