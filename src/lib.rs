//! Tidegate: an edge load balancer that runs its own backends.
//!
//! Start at `src/README.md` for the architecture and at [`plugin`] to extend it.

#![forbid(unsafe_code)]

pub mod admin;
pub mod cli;
pub mod config;
pub mod control;
pub mod engine;
pub mod plan;
pub mod plugin;
#[path = "../plugins/mod.rs"]
pub mod plugins;
pub mod proxy;
pub mod service;
