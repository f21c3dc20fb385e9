//! `tidegate schema`

use super::output::print_json;
use crate::config;
use crate::plugin::Registry;
use std::process::ExitCode;

pub fn run(registry: &Registry) -> ExitCode {
    print_json(&config::schema(registry.names()))
}
