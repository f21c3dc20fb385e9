//! `tidegate check`

use super::{BAD_CONFIGURATION, ConfigFile, fail, print};
use crate::config::{self, Env, Flags, Overrides};
use crate::plugin::Registry;
use crate::service::store;
use std::process::ExitCode;

pub fn run(file: ConfigFile, registry: &Registry) -> ExitCode {
    let text = match file.find() {
        Ok(text) => text,
        Err(code) => return code,
    };
    let (_writer, reader) = store::store();
    let overrides = Overrides::new(Flags::default(), Env::process());
    match config::load(&text, &overrides, registry, reader, None) {
        Ok(config) => {
            let count = config.services.len();
            let services = if count == 1 { "service" } else { "services" };
            print(format_args!("{}: right, {count} {services}\n", text.name))
        }
        Err(problems) => fail(BAD_CONFIGURATION, problems),
    }
}
