//! `tidegate version`

use super::arguments::OutputForm;
use super::output::{print, print_json};
use crate::admin::view::VersionJson;
use std::process::ExitCode;

pub fn run(output: &OutputForm) -> ExitCode {
    let version = env!("CARGO_PKG_VERSION");
    if output.json {
        print_json(&VersionJson::default())
    } else {
        print(format_args!("tidegate {version}\n"))
    }
}
