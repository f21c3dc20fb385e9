//! Installation of plugins; a reload keeps those that did not change.

use super::value::text;
use crate::config::checked::Config;
use crate::config::plugged::Plugged;
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::config::shape::{Misfit, what};
use crate::config::suggestion::{did_you_mean, quoted};
use crate::plugin::{Background, Hooks, InstallError, Installed, Registry};
use crate::service::spec::{ServiceName, Upstream};
use crate::service::store::Reader;
use http::Extensions;
use serde_yaml::{Mapping, Value};
use std::cell::RefCell;
use std::sync::Arc;

pub struct Installer<'a> {
    pub registry: &'a Registry,
    pub reader: Reader,
    pub previous: Option<&'a Config>,
    /// Tasks of newly installed plugins.
    pub background: RefCell<Vec<(Arc<Plugged>, Background)>>,
}

/// Use of a plugin. Use, name and values identify a plugin across a reload.
#[derive(Clone, Copy)]
pub enum Scope<'a> {
    Everything,
    Service(&'a ServiceName),
    Probe(&'a ServiceName, &'a Upstream),
    Scaler(&'a ServiceName),
}

impl Scope<'_> {
    fn upstream(self) -> Upstream {
        match self {
            Scope::Probe(_, upstream) => upstream.clone(),
            _ => Upstream::default(),
        }
    }
}

impl Installer<'_> {
    /// Plugins for every service, those that are always installed first.
    pub fn global(&self, at: &At<'_>, typed: Option<Vec<Value>>) -> Vec<Arc<Plugged>> {
        let entries = entries(self.registry, at, typed);
        let is_listed = |name: &str| entries.iter().any(|entry| entry.name == name);
        let unlisted = self.registry.always().filter(|name| !is_listed(name));
        let unlisted: Vec<ListedPlugin<'_>> = unlisted
            .map(|name| ListedPlugin {
                at: at.clone(),
                name: name.to_owned(),
                values: Mapping::new(),
            })
            .collect();
        unlisted
            .into_iter()
            .chain(entries)
            .filter_map(|entry| self.listed(entry, Scope::Everything))
            .collect()
    }

    /// Plugins of one service.
    pub fn of_service(
        &self,
        at: &At<'_>,
        typed: Option<Vec<Value>>,
        service: &ServiceName,
    ) -> Vec<Arc<Plugged>> {
        let is_always = |name: &str| self.registry.always().any(|always| always == name);
        entries(self.registry, at, typed)
            .into_iter()
            .filter(|entry| {
                if is_always(&entry.name) {
                    entry.at.error_hint(
                        format!("`{}` runs for every service already", entry.name),
                        "list it under the top-level `plugins` to change its values",
                    );
                }
                !is_always(&entry.name)
            })
            .filter_map(|entry| self.listed(entry, Scope::Service(service)))
            .collect()
    }

    fn listed(&self, entry: ListedPlugin<'_>, scope: Scope<'_>) -> Option<Arc<Plugged>> {
        let ListedPlugin { at, name, values } = entry;
        let inner = at.key(&name);
        let plugged = self.plug(&at, &inner, &name, values, scope, &[])?;
        let is_idle = plugged.filters.is_empty()
            && plugged.observers.is_empty()
            && plugged.metrics.is_empty()
            && (plugged.probe.is_some() || plugged.scaler.is_some());
        if is_idle {
            let place = match plugged.probe {
                Some(_) => format!("healthcheck: {{ type: {name} }}"),
                None => format!("scale: {{ policy: {name} }}"),
            };
            at.error_hint(
                format!("`{name}` does nothing in this list"),
                format!("name it in its place: `{place}`"),
            );
        }
        Some(plugged)
    }

    /// Plugin that a service's health check or scaling names, with the keys that are not the core's.
    pub fn named(
        &self,
        at: &At<'_>,
        typed: Option<&Scalar>,
        default: &str,
        values: Mapping,
        scope: Scope<'_>,
        core: &[&str],
    ) -> Option<Arc<Plugged>> {
        let key = match scope {
            Scope::Scaler(_) => "policy",
            _ => "type",
        };
        let name = at.read(key, typed, default.to_owned(), text)?;
        self.fitting(&at.key(key), at, &name, values, scope, core)
    }

    /// Several scaling policies; `None` after a problem with one.
    pub fn scalers(
        &self,
        at: &At<'_>,
        typed: Vec<Value>,
        service: &ServiceName,
    ) -> Option<Vec<Arc<Plugged>>> {
        let count = typed.len();
        let entries = entries(self.registry, at, Some(typed));
        let plugged = entries.into_iter().filter_map(|entry| {
            let ListedPlugin { at, name, values } = entry;
            self.fitting(
                &at,
                &at.key(&name),
                &name,
                values,
                Scope::Scaler(service),
                &[],
            )
        });
        let plugged: Vec<Arc<Plugged>> = plugged.collect();
        (count > 0 && plugged.len() == count).then_some(plugged)
    }

    /// Plugin `name`, if it is of the kind that `scope` needs. `named` is the place of its name, `at`
    /// that of its values.
    fn fitting(
        &self,
        named: &At<'_>,
        at: &At<'_>,
        name: &str,
        values: Mapping,
        scope: Scope<'_>,
        core: &[&str],
    ) -> Option<Arc<Plugged>> {
        let (kind, list) = match scope {
            Scope::Scaler(_) => ("a scaling policy", "scaling policies"),
            _ => ("a health check", "health checks"),
        };
        let offers = |installed: &Installed| match scope {
            Scope::Scaler(_) => installed.scaler.is_some(),
            _ => installed.probe.is_some(),
        };
        if self.registry.names().any(|known| known == name) {
            let plugged = self.plug(named, at, name, values, scope, core)?;
            let is_fit = match scope {
                Scope::Scaler(_) => plugged.scaler.is_some(),
                _ => plugged.probe.is_some(),
            };
            if is_fit {
                return Some(plugged);
            }
        }
        let fitting: Vec<&str> = self
            .registry
            .names()
            .filter(|known| {
                let mut hooks = Hooks::new(self.reader.clone());
                let values = Value::Mapping(Mapping::new());
                let installed = self.registry.install(known, values, &mut hooks);
                installed.is_ok() && offers(&hooks.finish())
            })
            .collect();
        let hint = match did_you_mean(name, fitting.iter().copied()) {
            Some(hint) => hint,
            None if fitting.is_empty() => format!("this build has no {list}"),
            None => format!("the {list} of this build: {}", quoted(fitting)),
        };
        named.error_hint(format!("`{name}` is not {kind}"), hint);
        None
    }

    /// Plugin `name`, kept from before or installed. `named` is the place of its name, `at` that of
    /// its values.
    fn plug(
        &self,
        named: &At<'_>,
        at: &At<'_>,
        name: &str,
        values: Mapping,
        scope: Scope<'_>,
        core: &[&str],
    ) -> Option<Arc<Plugged>> {
        let values = Value::Mapping(values);
        if let Some(kept) = self.unchanged(name, &values, scope) {
            return Some(kept);
        }
        if self.registry.names().all(|known| known != name) {
            let hint = did_you_mean(name, self.registry.names()).unwrap_or_else(|| {
                format!(
                    "the plugins of this build: {}",
                    quoted(self.registry.names())
                )
            });
            named.error_hint(format!("unknown plugin `{name}`"), hint);
            return None;
        }
        let installed = at.fit(
            values.clone(),
            core,
            |_| None,
            |values| {
                let states = self.states_before(name, scope);
                let mut hooks = Hooks::new(self.reader.clone())
                    .after(states)
                    .of_replicas(scope.upstream());
                match self.registry.install(name, values.clone(), &mut hooks) {
                    Ok(()) => Ok(Ok(hooks.finish())),
                    Err(InstallError::Values { path, message }) => Err(Misfit { path, message }),
                    Err(InstallError::Plugin(error)) => Ok(Err(error.to_string())),
                    Err(InstallError::Unknown) => Ok(Err(format!("unknown plugin `{name}`"))),
                }
            },
        )?;
        let installed = match installed {
            Ok(installed) => installed,
            Err(message) => {
                at.error(message);
                return None;
            }
        };
        let plugged = Arc::new(Plugged {
            name: name.to_owned(),
            values,
            upstream: scope.upstream(),
            filters: installed.filters,
            observers: installed.observers,
            probe: installed.probe,
            scaler: installed.scaler,
            metrics: installed.metrics,
            states: installed.states,
        });
        let tasks = installed.background.into_iter();
        self.background
            .borrow_mut()
            .extend(tasks.map(|task| (Arc::clone(&plugged), task)));
        Some(plugged)
    }

    fn unchanged(&self, name: &str, values: &Value, scope: Scope<'_>) -> Option<Arc<Plugged>> {
        let upstream = scope.upstream();
        let mut previous = self.previous_in(scope).iter();
        previous
            .find(|plugged| {
                plugged.name == name && plugged.values == *values && plugged.upstream == upstream
            })
            .cloned()
    }

    /// States of the plugin that was in this place before; none for plugins that may be repeated,
    /// because they cannot be told apart once their values change.
    fn states_before(&self, name: &str, scope: Scope<'_>) -> Extensions {
        let mut previous = self.previous_in(scope).iter();
        let plugged = previous.find(|plugged| plugged.name == name);
        let plugged = plugged.filter(|_| !self.registry.repeats(name));
        plugged.map_or_else(Extensions::new, |plugged| plugged.states.clone())
    }

    fn previous_in(&self, scope: Scope<'_>) -> &[Arc<Plugged>] {
        let Some(previous) = self.previous else {
            return &[];
        };
        let of = |service: &ServiceName| {
            let mut services = previous.services.iter();
            services.find(|previous| previous.spec.name == *service)
        };
        match scope {
            Scope::Everything => &previous.plugins,
            Scope::Service(service) => of(service).map_or(&[], |it| &it.plugins),
            Scope::Probe(service, _) => {
                of(service).map_or(&[], |it| std::slice::from_ref(&it.probe_plugin))
            }
            Scope::Scaler(service) => of(service).map_or(&[], |it| &it.scaler_plugins),
        }
    }
}

struct ListedPlugin<'a> {
    at: At<'a>,
    name: String,
    values: Mapping,
}

fn entries<'a>(
    registry: &Registry,
    at: &At<'a>,
    typed: Option<Vec<Value>>,
) -> Vec<ListedPlugin<'a>> {
    let mut entries: Vec<ListedPlugin<'a>> = Vec::new();
    for (index, value) in typed.unwrap_or_default().into_iter().enumerate() {
        let at = at.index(index);
        let Some((name, values)) = entry(&at, value) else {
            continue;
        };
        let is_there = entries.iter().any(|entry| entry.name == name);
        if is_there && !registry.repeats(&name) {
            at.error_hint(
                format!("`{name}` is listed twice"),
                "keep one of the two, with the values of both",
            );
            continue;
        }
        entries.push(ListedPlugin { at, name, values });
    }
    entries
}

fn entry(at: &At<'_>, value: Value) -> Option<(String, Mapping)> {
    let mapping = match value {
        Value::String(name) => return Some((name, Mapping::new())),
        Value::Mapping(mapping) if mapping.len() == 1 => mapping,
        other => {
            let found = match &other {
                Value::Mapping(mapping) => format!("a mapping of {} keys", mapping.len()),
                other => what(other),
            };
            at.error_hint(
                format!("expected the name of a plugin, found {found}"),
                "write `- name`, or `- name: { key: value }`",
            );
            return None;
        }
    };
    let (name, values) = mapping.into_iter().next()?;
    let name = name.as_str()?.to_owned();
    match values {
        Value::Null => Some((name, Mapping::new())),
        Value::Mapping(values) => Some((name, values)),
        other => {
            at.key(&name)
                .error(format!("expected a mapping, found {}", what(&other)));
            None
        }
    }
}
