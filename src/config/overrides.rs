//! Flags and environment variables that override the file.

use super::check::health::HealthKeys;
use super::env::Env;
use super::keys::keys_of;
use super::name::name_of;
use super::origins::join;
use super::report::ProblemReport;
use super::suggestion::quoted;
use super::yaml::Tree;
use serde_yaml::{Mapping, Value};
use std::net::SocketAddr;

/// Flags of the command line that override the configuration.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    pub listen: Option<Vec<SocketAddr>>,
    pub image: Option<String>,
    pub port: Option<u16>,
    /// A path to request, or `tcp`.
    pub healthcheck: Option<String>,
    pub min: Option<u32>,
    pub max: Option<u32>,
}

/// Overrides of the file: flags first, then the environment.
#[derive(Clone, Debug)]
pub struct Overrides {
    flags: Flags,
    pub(super) env: Env,
}

/// Type of the health check that has a path.
const HTTP: &str = "http";

/// Type of the health check without one.
const TCP: &str = "tcp";

/// Name of a flag or variable, and its value.
type Given<T> = (&'static str, T);

impl Overrides {
    pub fn new(flags: Flags, env: Env) -> Self {
        Overrides { flags, env }
    }

    /// Writes the overrides over `tree`; returns those that fit nowhere.
    pub(super) fn apply(&self, tree: &mut Tree) -> Vec<Misplaced> {
        let Value::Mapping(root) = &mut tree.value else {
            return Vec::new();
        };
        let mut set = |path: &str, origin, value| {
            tree.places.give(path, origin);
            root.insert(path.into(), value);
        };
        if let Some((origin, addresses)) = self.listen() {
            let addresses = addresses.into_iter().map(Value::String).collect();
            set("listen", origin, Value::Sequence(addresses));
        }
        for (key, variable) in [
            ("instance", "TIDEGATE_INSTANCE"),
            ("state_dir", "TIDEGATE_STATE_DIR"),
        ] {
            if let Some((origin, value)) = self.variable(variable) {
                set(key, origin, Value::String(value));
            }
        }
        match self.variable("TIDEGATE_ADMIN_LISTEN") {
            Some((origin, off)) if off == "off" => set("admin", origin, Value::String(off)),
            Some((origin, address)) => {
                let admin = [("listen".into(), Value::String(address))];
                set("admin", origin, Value::Mapping(admin.into_iter().collect()));
            }
            None => {}
        }
        self.apply_to_service(tree)
    }

    fn apply_to_service(&self, tree: &mut Tree) -> Vec<Misplaced> {
        let flags = &self.flags;
        let given = [
            ("image", self.one("--image", &flags.image, "TIDEGATE_IMAGE")),
            ("port", self.one("--port", &flags.port, "TIDEGATE_PORT")),
            (
                "healthcheck",
                self.one("--healthcheck", &flags.healthcheck, "TIDEGATE_HEALTHCHECK"),
            ),
            ("min", self.one("--min", &flags.min, "TIDEGATE_MIN")),
            ("max", self.one("--max", &flags.max, "TIDEGATE_MAX")),
        ];
        let given: Vec<(&str, Given<String>)> = given
            .into_iter()
            .filter_map(|(key, given)| Some((key, given?)))
            .collect();
        let Value::Mapping(root) = &mut tree.value else {
            return Vec::new();
        };
        let services = root.entry("services".into()).or_insert(Value::Null);
        if services.is_null() {
            *services = Value::Mapping(Mapping::new());
        }
        let Value::Mapping(services) = services else {
            return Vec::new();
        };
        let image = given.iter().find(|(key, _)| *key == "image");
        if services.is_empty() {
            let Some((_, (origin, image))) = image else {
                return Vec::new();
            };
            let name = name_of(image);
            tree.places.give(&join("services", &name), origin);
            services.insert(name.into(), default_service());
        }
        let is_container = |service: &Value| service.get("addresses").is_none();
        let mut containers: Vec<(&str, &mut Value)> = services
            .iter_mut()
            .filter(|(_, service)| is_container(service))
            .filter_map(|(name, service)| Some((name.as_str()?, service)))
            .collect();
        let [(name, service)] = containers.as_mut_slice() else {
            let names: Vec<&str> = containers.iter().map(|(name, _)| *name).collect();
            let message = match names.as_slice() {
                [] => "there is no container service that it could be for".to_owned(),
                several => format!("it could be for any of {}", quoted(several.iter().copied())),
            };
            let misplaced = |(_, (origin, _)): (&str, Given<String>)| Misplaced {
                origin,
                message: message.clone(),
            };
            return given.into_iter().map(misplaced).collect();
        };
        let path = join("services", name);
        for (key, (origin, value)) in given {
            let (target, path) = match key {
                "min" | "max" => (entry(service, "scale"), join(&path, "scale")),
                "healthcheck" => (entry(service, key), join(&path, key)),
                _ => (Some(&mut **service), path.clone()),
            };
            // Anything but a mapping is reported when it is read.
            let Some(target) = target.and_then(mapping) else {
                continue;
            };
            let key = match key {
                "healthcheck" => {
                    // Problems are reported for the health check as a whole.
                    tree.places.give(&path, origin);
                    let kind = if value == TCP { TCP } else { HTTP };
                    if target
                        .get("type")
                        .map_or(HTTP, |it| it.as_str().unwrap_or(""))
                        != kind
                    {
                        // The rest is of another check.
                        let own = keys_of::<HealthKeys>();
                        let stays =
                            |key: &Value| key.as_str().is_some_and(|key| own.contains(&key));
                        target.retain(|key, _| stays(key));
                    }
                    target.insert("type".into(), kind.into());
                    if kind == TCP {
                        continue;
                    }
                    "path"
                }
                key => key,
            };
            target.insert(key.into(), Value::String(value));
            tree.places.give(&join(&path, key), origin);
        }
        Vec::new()
    }

    fn listen(&self) -> Option<Given<Vec<String>>> {
        if let Some(addresses) = &self.flags.listen {
            let addresses = addresses.iter().map(SocketAddr::to_string);
            return Some(("--listen", addresses.collect()));
        }
        let (origin, listed) = self.variable("TIDEGATE_LISTEN")?;
        let addresses = listed.split(',').map(listen_address);
        Some((origin, addresses.collect()))
    }

    fn one(
        &self,
        flag: &'static str,
        value: &Option<impl ToString>,
        variable: &'static str,
    ) -> Option<Given<String>> {
        let flag = value.as_ref().map(|value| (flag, value.to_string()));
        flag.or_else(|| self.variable(variable))
    }

    fn variable(&self, name: &'static str) -> Option<Given<String>> {
        Some((name, self.env.get(name)?))
    }
}

/// An address to listen on as flags and variables give it: a port alone is one of every interface.
pub fn listen_address(typed: &str) -> String {
    let typed = typed.trim();
    let port = typed.strip_prefix(':').unwrap_or(typed);
    match port.parse::<u16>() {
        Ok(port) => format!("0.0.0.0:{port}"),
        Err(_) => typed.to_owned(),
    }
}

/// An override that fits no service, or more than one.
pub(super) struct Misplaced {
    origin: &'static str,
    message: String,
}

impl Misplaced {
    pub fn report(self, report: &ProblemReport) {
        report.given(
            self.origin,
            self.message,
            "leave it out, and write it into the file",
        );
    }
}

/// A service that only the command line names. The path of its health check and its policy come
/// from the specification that Tidegate descends from; images without the path answer 404, which
/// passes.
fn default_service() -> Value {
    let health = [
        ("type".into(), "answers".into()),
        ("path".into(), "/api/v1/_health".into()),
    ];
    let scale = [("policy".into(), "requests".into())];
    let keys = [
        ("healthcheck", Value::Mapping(health.into_iter().collect())),
        ("scale", Value::Mapping(scale.into_iter().collect())),
    ];
    let keys = keys.into_iter().map(|(key, value)| (key.into(), value));
    Value::Mapping(keys.collect())
}

fn entry<'v>(value: &'v mut Value, key: &str) -> Option<&'v mut Value> {
    Some(mapping(value)?.entry(key.into()).or_insert(Value::Null))
}

/// The mapping in `value`, made if there is nothing; `None` if there is something else.
fn mapping(value: &mut Value) -> Option<&mut Mapping> {
    if value.is_null() {
        *value = Value::Mapping(Mapping::new());
    }
    value.as_mapping_mut()
}
