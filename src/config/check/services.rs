//! The services of the file.

use super::outline::Outline;
use super::plugins::Installer;
use super::service::{CheckedService, service};
use crate::config::checked::ServiceConfig;
use crate::config::report::At;
use crate::config::shape::what;
use crate::config::variables::VariableSources;
use crate::service::spec::ServiceName;
use serde_yaml::{Mapping, Value};

const SERVICES_MAX: usize = 1000;

/// Reports services that stand at the top, and takes them out; returns whether there are any.
pub fn stray_services(at: &At<'_>, keys: &mut Mapping) -> bool {
    let is_service = |value: &Value| {
        ["image", "addresses", "build"]
            .iter()
            .any(|key| value.get(key).is_some())
    };
    let strays = keys.iter().filter(|(_, value)| is_service(value));
    let strays: Vec<String> = strays
        .filter_map(|(key, _)| key.as_str().map(str::to_owned))
        .filter(|key| key != "services")
        .collect();
    for name in &strays {
        keys.shift_remove(name.as_str());
        at.error_on(
            &[name],
            format!("unknown key `{name}`"),
            format!("move the service under `services`, as in `services: {{ {name}: {{ … }} }}`"),
        );
    }
    !strays.is_empty()
}

/// The mapping of services; `None` after a problem.
pub fn services_of(at: &At<'_>, typed: Option<Value>) -> Option<Mapping> {
    let hint = match typed {
        None => return Some(Mapping::new()),
        Some(Value::Mapping(services)) => return Some(services),
        Some(Value::Sequence(ref items)) => {
            let first = items.first();
            let name = first.and_then(|item| item.as_str().or_else(|| item.get("name")?.as_str()));
            let name = name.unwrap_or("web");
            format!("names are keys: `services: {{ {name}: {{ image: … }} }}`")
        }
        Some(_) => "as in `services: { web: { image: web } }`".to_owned(),
    };
    let found = typed.as_ref().map(what).unwrap_or_default();
    at.error_hint(format!("expected a mapping, found {found}"), hint);
    None
}

pub fn services(
    at: &At<'_>,
    typed: Mapping,
    sources: &VariableSources,
    installer: &Installer<'_>,
) -> (Option<Vec<ServiceConfig>>, Vec<Outline>) {
    if typed.is_empty() {
        at.error_hint(
            "there is no service to run",
            "write one, as in `services: { web: { image: web } }`, \
             or type `tidegate run --image IMAGE --port 80`",
        );
    }
    if typed.len() > SERVICES_MAX {
        at.error(format!("more than {SERVICES_MAX} services"));
        return (None, Vec::new());
    }
    let checked = typed.into_iter().map(|(name, value)| {
        let name = ServiceName::new(name.as_str().unwrap_or_default());
        let at = at.key(name.as_str());
        let typed = match value {
            Value::Mapping(mapping) => mapping,
            // `web:` with nothing behind it is a service that lacks everything.
            Value::Null => Mapping::new(),
            other => {
                at.error_hint(
                    format!("expected a mapping, found {}", what(&other)),
                    "as in `web: { image: web }`",
                );
                return (None, Outline::unknown(name));
            }
        };
        let CheckedService { service, outline } = service(&at, &name, typed, sources, installer);
        (service, outline)
    });
    let (services, outlines): (Vec<_>, Vec<_>) = checked.unzip();
    (services.into_iter().collect(), outlines)
}
