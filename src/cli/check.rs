//! `tidegate check`

use super::arguments::{ConfigFile, OutputForm};
use super::output::{BAD_CONFIGURATION, complain, print, print_json, refuse};
use crate::config::{self, Config, Env, Flags, Overrides, Problems};
use crate::plugin::Registry;
use crate::service::store;
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

#[derive(Args)]
pub struct Check {
    /// The configuration, as with `-c`
    #[arg(value_name = "FILE", conflicts_with = "config")]
    path: Option<PathBuf>,
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    output: OutputForm,
}

#[derive(Serialize)]
struct Checked<'a> {
    /// Empty when there are problems.
    services: Vec<&'a str>,
    /// Variables that the file refers to, and the origins of their values.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    variables: &'a [config::UsedVariable],
    problems: Vec<&'a config::Problem>,
}

impl Check {
    pub fn run(self, registry: &Registry) -> ExitCode {
        let (name, result) = match config::find(self.path.or(self.file.config), &Env::process()) {
            Ok(text) => {
                let (_writer, reader) = store::store();
                let overrides = Overrides::new(Flags::default(), Env::process());
                let result = config::load(&text, &overrides, registry, reader, None);
                (text.name, result)
            }
            Err(problems) => (String::new(), Err(problems)),
        };
        match result {
            result if self.output.json => json(&result),
            Ok(config) => {
                let count = config.services.len();
                let services = if count == 1 { "service" } else { "services" };
                let held = config.tls.iter().flat_map(|tls| &tls.held);
                for warning in held.filter_map(|held| held.warning(SystemTime::now())) {
                    complain(format_args!("warning: {warning}"));
                }
                let variables = config.variables.iter();
                let variables = variables.map(|it| format!("  {}: {}\n", it.name, it.from));
                let variables: String = variables.collect();
                print(format_args!(
                    "{name}: right, {count} {services}\n{variables}"
                ))
            }
            Err(problems) => refuse(&problems),
        }
    }
}

fn json(result: &Result<Config, Problems>) -> ExitCode {
    let services = result.iter().flat_map(|config| &config.services);
    let problems = result.as_ref().err().into_iter().flat_map(Problems::iter);
    let printed = print_json(&Checked {
        services: services.map(|service| service.spec.name.as_str()).collect(),
        variables: result.as_ref().map_or(&[], |config| &config.variables),
        problems: problems.collect(),
    });
    match result {
        Err(_) if printed == ExitCode::SUCCESS => ExitCode::from(BAD_CONFIGURATION),
        _ => printed,
    }
}
