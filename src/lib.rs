//! Tidegate: an edge load balancer that runs its own backends.
//!
//! Start at `src/README.md` for the architecture and at [`plugin`] to extend it.

#![forbid(unsafe_code)]

pub mod acme;
pub mod admin;
mod app;
pub mod certs;
mod cli;
pub mod config;
pub mod control;
pub mod engine;
pub mod labels;
pub mod log_writer;
pub mod plan;
pub mod plugin;
#[path = "../plugins/mod.rs"]
pub mod plugins;
pub mod proxy;
pub mod service;
pub mod simulate;

/// Runs the command line with the plugins of `registry`: all that a `main` has to do.
pub fn main(registry: plugin::Registry) -> std::process::ExitCode {
    main_with(registry, std::env::args_os())
}

/// Runs the command line `arguments`, of which the first is the program's name.
pub fn main_with(
    registry: plugin::Registry,
    arguments: impl IntoIterator<Item = std::ffi::OsString>,
) -> std::process::ExitCode {
    certs::crypto::install();
    cli::main(registry, arguments)
}

/// How hard a property is tried: `default`, or as `FUZZ_CASES` says.
#[cfg(test)]
fn cases(default: u32) -> proptest::test_runner::Config {
    let wanted = std::env::var("FUZZ_CASES").ok();
    let wanted = wanted.and_then(|wanted| wanted.parse().ok());
    proptest::test_runner::Config::with_cases(wanted.unwrap_or(default))
}
