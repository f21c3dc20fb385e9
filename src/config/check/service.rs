//! One service: its source, its claims, its timing and its bounds.

use super::addresses::fixed;
use super::concurrency::as_target;
use super::container::{ContainerKeys, first_port, template};
use super::foreign_keys;
use super::forward::{self, ForwardKeys};
use super::health::{health, health_keys};
use super::image::pull;
use super::outline::{Outline, Ports};
use super::plugins::Installer;
use super::route::routes;
use super::scale::{self, Scaling, implied_policy, scaler};
use super::settings::{SettingsKeys, settings};
use super::update::update;
use super::value::{self, mapping, maybe_zero_duration};
use crate::config::checked::ServiceConfig;
use crate::config::keys::keys_of;
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::config::shape::Shape;
use crate::config::variables::VariableSources;
use crate::service::spec::{Bounds, ServiceName, Source, Spec};
use serde::Deserialize;
use serde_yaml::{Mapping, Value};
use std::sync::Arc;
use std::time::Duration;

/// A service after its check.
pub struct CheckedService {
    /// `None` after a problem.
    pub service: Option<ServiceConfig>,
    /// Outline for comparisons, whatever else is wrong with the service.
    pub outline: Outline,
}

/// The keys of a service beside those of its container and of its requests.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceKeys {
    pub addresses: Option<Vec<Value>>,
    pub routes: Option<Vec<Value>>,
    /// Keys of a health check, and of its plugin.
    pub healthcheck: Option<Value>,
    /// Keys of the scaling, and of its policy.
    pub scale: Option<Value>,
    pub stop_grace_period: Option<Scalar>,
    pub update_config: Option<Value>,
    pub plugins: Option<Vec<Value>>,
}

impl Shape for ServiceKeys {
    fn elsewhere(key: &str) -> Option<&'static str> {
        foreign_keys::hint(key)
    }
}

pub fn service(
    at: &At<'_>,
    name: &ServiceName,
    mut typed: Mapping,
    sources: &VariableSources,
    installer: &Installer<'_>,
) -> CheckedService {
    at.accept(value::name(name.as_str(), "a service"));
    typed.retain(|key, _| !value::is_extension(key));
    // A value that does not fit is missing from the shape, and was reported already.
    let is_given = |key: &str| typed.get(key).is_some_and(|value| !value.is_null());
    let is_fixed = is_given("addresses");
    let has_image = is_given("image");
    let has_routes = is_given("routes");
    let for_containers = [
        keys_of::<ContainerKeys>(),
        keys_of::<SettingsKeys>(),
        FOR_CONTAINERS,
    ]
    .concat();
    let given = for_containers.into_iter().filter(|key| is_given(key));
    let given: Vec<&str> = given.collect();
    let mut container: ContainerKeys = at.part(&mut typed);
    let settings_keys: SettingsKeys = at.part(&mut typed);
    let forward: ForwardKeys = at.part(&mut typed);
    let known = [
        keys_of::<ContainerKeys>(),
        keys_of::<SettingsKeys>(),
        keys_of::<ForwardKeys>(),
    ]
    .concat();
    let mut keys: ServiceKeys = at.shape_beside(Value::Mapping(typed), &known);

    let routes = match keys.routes.take() {
        None if has_routes => None,
        typed => routes(&at.key("routes"), typed.unwrap_or_default()),
    };
    let default = if is_fixed { "tcp" } else { "answers" };
    let in_health = at.key("healthcheck");
    let typed = health_keys(&in_health, keys.healthcheck.take());
    let forward = forward::forward(at, forward);
    let upstream = forward.as_ref().map(|forward| forward.upstream.clone());
    let upstream = upstream.unwrap_or_default();
    let health =
        typed.and_then(|typed| health(&in_health, name, typed, default, &upstream, installer));
    let plugins = installer.of_service(&at.key("plugins"), keys.plugins.take(), name);
    let grace = at.read(
        "stop_grace_period",
        keys.stop_grace_period.as_ref(),
        Duration::from_secs(10),
        maybe_zero_duration,
    );

    let update = update(at, keys.update_config.take());
    let pull = pull(at, container.pull.as_ref());

    let (source, scaling, ports);
    if is_fixed {
        only_for_containers(at, &given);
        let addresses = keys.addresses.take();
        let addresses = addresses.map(|typed| fixed(&at.key("addresses"), typed));
        let count = addresses.as_ref().map_or(0, Vec::len) as u32;
        let bounds = Bounds {
            min: count,
            max: count,
        };
        source = addresses.map(Source::Addresses);
        let scale = Scaling {
            bounds,
            sleep: None,
            spare: 0,
        };
        scaling = Some((scale, Vec::new()));
        ports = None;
    } else {
        if !has_image {
            at.error_hint(
                "needs an `image` or `addresses`",
                "`image` for containers that Tidegate runs, `addresses` for servers that run already",
            );
        }
        let first_port = first_port(at, &container);
        let settings = settings(at, settings_keys);
        source = template(at, &mut container, first_port, settings, sources).map(Source::Container);
        let in_scale = at.key("scale");
        let scale = mapping(&in_scale, keys.scale.take(), "{ min: 1, max: 4 }");
        let limit = forward.as_ref().and_then(|it| it.container_concurrency);
        let scale = scale.map(|mut typed| {
            let implied = implied_policy(&typed, installer.registry);
            as_target(&in_scale, &mut typed, limit, implied);
            scale::scale(&in_scale, name, typed, installer)
        });
        let (scale, plugged) = scale.unwrap_or((None, None));
        let count = scale.as_ref().map(|scale| scale.bounds.max);
        ports = first_port
            .zip(count)
            .map(|(first, count)| Ports { first, count });
        scaling = scale.zip(plugged);
    }

    let outline = Outline {
        name: name.clone(),
        routes: routes.clone(),
        ports,
    };
    let build = || {
        let (scaling, scaler_plugins) = scaling?;
        let (health, probe_plugin) = health?;
        let spec = Spec {
            name: name.clone(),
            source: source?,
            routes: routes?,
            health,
            bounds: scaling.bounds,
            sleep: scaling.sleep,
            spare: scaling.spare,
            stop_grace_period: grace?,
            update: update?,
            pull: pull?,
            alias: None,
            declared: None,
            manual: None,
            wanted: None,
            forward: forward?,
        };
        Some(ServiceConfig {
            spec: Arc::new(spec),
            probe: probe_plugin.probe.clone()?,
            probe_plugin,
            scaler: scaler(&scaler_plugins),
            scaler_plugins,
            plugins,
        })
    };
    CheckedService {
        service: build(),
        outline,
    }
}

/// The keys for containers alone, beside those of the container itself.
const FOR_CONTAINERS: &[&str] = &["scale", "update_config"];

fn only_for_containers(at: &At<'_>, given: &[&str]) {
    for key in given {
        at.key(key).error_hint(
            "is for containers, and this service has fixed `addresses`",
            format!("remove `{key}` or `addresses`"),
        );
    }
}
