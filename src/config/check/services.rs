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
