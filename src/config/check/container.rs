//! The template of a service's containers.

use super::command::command_line;
use super::env_file::env_file;
use super::environment::environment;
use super::image::image_name;
use super::secrets::secrets;
use super::value::{self, ValueError, port, text};
use super::volumes::{networks, volumes};
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::config::shape::Shape;
use crate::config::variables::VariableSources;
use crate::service::spec::{ContainerSettings, Template};
use serde::Deserialize;
use serde_yaml::{Mapping, Value};
use std::collections::btree_map::Entry;

const PORT: u16 = 80;
/// Docker's lower limit.
const MEMORY_BYTES_MIN: u64 = 6 << 20;
const MEMORY_BYTES_MAX: u64 = 1 << 50;
/// Docker's lower limit, a hundredth of a core.
const CPUS_MIN: f64 = 0.01;
const CPUS_MAX: f64 = 1024.0;

/// The keys of a service that only containers have.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerKeys {
    pub image: Option<Scalar>,
    pub pull: Option<Scalar>,
    pub port: Option<Scalar>,
    pub first_port: Option<Scalar>,
    /// Text or a list.
    pub command: Option<Value>,
    /// Text or a list.
    pub entrypoint: Option<Value>,
    /// A mapping or a list of `KEY=VALUE`.
    pub environment: Option<Value>,
    /// A file of variables, or a list of them.
    pub env_file: Option<Value>,
    /// Variables, and the files that hold their values.
    pub secrets: Option<Mapping>,
    pub volumes: Option<Vec<Value>>,
    pub networks: Option<Value>,
    pub user: Option<Scalar>,
    pub cpus: Option<Scalar>,
    pub memory: Option<Scalar>,
}

impl Shape for ContainerKeys {}

/// First host port; the inner `None`: to be chosen.
pub fn first_port(at: &At<'_>, keys: &ContainerKeys) -> Option<Option<u16>> {
    at.read("first_port", keys.first_port.as_ref(), None, |typed| {
        port(typed).map(Some)
    })
}

/// The template; `None` after a problem.
pub fn template(
    at: &At<'_>,
    keys: &mut ContainerKeys,
    first_port: Option<Option<u16>>,
    settings: ContainerSettings,
    sources: &VariableSources,
) -> Option<Template> {
    let image = at.optional("image", keys.image.as_ref(), image_name);
    let port_inside = at.read("port", keys.port.as_ref(), PORT, port_inside);
    let command = command_line(&at.key("command"), keys.command.take());
    let entrypoint = command_line(&at.key("entrypoint"), keys.entrypoint.take());
    let mut environment = environment(&at.key("environment"), keys.environment.take(), sources);
    let mut secrets = secrets(&at.key("secrets"), keys.secrets.take(), &mut environment);
    for (name, value) in env_file(&at.key("env_file"), keys.env_file.take(), sources) {
        // Passwords are in such files, too, so their values are in no label either.
        if let Entry::Vacant(free) = environment.entry(name) {
            secrets.insert(free.key().clone());
            free.insert(value);
        }
    }
    let volumes = volumes(&at.key("volumes"), keys.volumes.take());
    let networks = networks(&at.key("networks"), keys.networks.take());
    let user = at.optional("user", keys.user.as_ref(), user);
    let nano_cpus = at.optional("cpus", keys.cpus.as_ref(), nano_cpus);
    let memory = value::size(MEMORY_BYTES_MIN..=MEMORY_BYTES_MAX);
    let memory = at.optional("memory", keys.memory.as_ref(), memory);
    Some(Template {
        image: image?,
        image_id: None,
        port: port_inside?,
        // Chosen when the ports of all services are known.
        first_port: first_port?.unwrap_or_default(),
        command,
        entrypoint,
        environment: environment.into(),
        secrets,
        volumes,
        networks,
        user,
        nano_cpus,
        memory_bytes: memory.map(|bytes| bytes as i64),
        settings,
    })
}

/// The port inside the container; Compose's pair of ports has it behind the colon.
fn port_inside(typed: &Scalar) -> Result<u16, ValueError> {
    port(typed).map_err(|error| {
        let typed = typed.to_string();
        let inside = typed.rsplit(':').next().unwrap_or_default();
        let inside = inside.split('/').next().unwrap_or_default();
        match inside.parse::<u16>() {
            Ok(inside) if typed.contains([':', '/']) => ValueError::hint(
                error.message,
                format!(
                    "write the port inside the container alone: `port: {inside}`; clients connect \
                     to `listen`"
                ),
            ),
            _ => error,
        }
    })
}

fn user(typed: &Scalar) -> Result<String, ValueError> {
    let user = text(typed)?;
    if user.contains(char::is_whitespace) || user.split(':').count() > 2 {
        return Err(ValueError::hint(
            format!("expected a user, found `{user}`"),
            "as in `app`, `1000` or `1000:1000`",
        ));
    }
    Ok(user)
}

fn nano_cpus(typed: &Scalar) -> Result<i64, ValueError> {
    let cpus = typed.to_string().trim().parse::<f64>().ok();
    match cpus.filter(|cpus| (CPUS_MIN..=CPUS_MAX).contains(cpus)) {
        Some(cpus) => Ok((cpus * 1e9).round() as i64),
        None => Err(ValueError::hint(
            format!("expected a number of cores from {CPUS_MIN} to {CPUS_MAX}, found `{typed}`"),
            "`0.5` is half a core",
        )),
    }
}
