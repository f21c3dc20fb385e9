//! Tidegate: an edge load balancer that runs its own backends.
//!
//! Start at `src/README.md` for the architecture and at [`plugin`] to extend it.

#![forbid(unsafe_code)]

pub mod admin;
mod app;
mod cli;
pub mod config;
pub mod control;
pub mod engine;
pub mod plan;
pub mod plugin;
#[path = "../plugins/mod.rs"]
pub mod plugins;
pub mod proxy;
pub mod service;
pub mod simulate;

/// Runs the command line with the plugins of `registry`: all that a `main` has to do.
pub fn main(registry: plugin::Registry) -> std::process::ExitCode {
    cli::main(registry)
}
