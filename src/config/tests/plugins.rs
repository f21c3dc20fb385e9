//! Lists of plugins, health checks and scaling policies.

use super::stubs::{self, Counts, Redirect};
use super::{check, env, good, reload, text, web};
use crate::config::{Config, Flags, Overrides, Plugged, load};
use crate::plugin::prelude::{Moment, Window};
use crate::service::store::store;
use std::sync::Arc;

fn names(plugins: &[Arc<Plugged>]) -> Vec<&str> {
    plugins
        .iter()
        .map(|plugged| plugged.name.as_str())
        .collect()
}

#[test]
fn what_is_always_there_comes_first_unless_it_is_listed() {
    let config = good(&web("plugins: [clock]"));
    assert_eq!(names(&config.plugins), ["request-id"]);
    assert_eq!(names(&config.services[0].plugins), ["clock"]);
    assert_eq!(config.background.len(), 1);
    let all: Vec<&str> = config
        .plugged()
        .map(|plugged| plugged.name.as_str())
        .collect();
    assert_eq!(all, ["request-id", "clock", "answers", "requests"]);
    let config = good(&format!(
        "plugins: [limit: {{requests: 5}}, request-id: {{header: x-id}}, access-log:]\n{}",
        web("")
    ));
    assert_eq!(
        names(&config.plugins),
        ["limit", "request-id", "access-log"]
    );
}

#[test]
fn entries_of_the_list_are_checked() {
    check(
        &format!(
            "plugins:
- acces-log
- nonsense
- limit
- limit: {{requests: 1}}
- clock: 5
- {{a: {{}}, b: {{}}}}
- 7
- http
- access-log: {{format: jsn, colour: red}}
{}",
            web("")
        ),
        "
        edge.yaml:2: plugins[0]: unknown plugin `acces-log`
          hint: did you mean `access-log`?
        edge.yaml:3: plugins[1]: unknown plugin `nonsense`
          hint: the plugins of this build: `http`, `tcp`, `requests`, `request-id`, `limit`, `access-log`, `clock`, `busy`, `answers`
        edge.yaml:4: plugins[2].limit: `requests` is missing
        edge.yaml:5: plugins[3]: `limit` is listed twice
          hint: keep one of the two, with the values of both
        edge.yaml:6: plugins[4].clock: expected a mapping, found `5`
        edge.yaml:7: plugins[5]: expected the name of a plugin, found a mapping of 2 keys
          hint: write `- name`, or `- name: { key: value }`
        edge.yaml:8: plugins[6]: expected the name of a plugin, found `7`
          hint: write `- name`, or `- name: { key: value }`
        edge.yaml:9: plugins[7]: `http` does nothing in this list
          hint: name it in its place: `healthcheck: { type: http }`
        edge.yaml:10: plugins[8].access-log.format: expected one of `json`, `text`, found `jsn`
          hint: did you mean `json`?
        edge.yaml:10: plugins[8].access-log: unknown key `colour`
          hint: the keys here are `format`
        ",
    );
    check(
        &web("plugins: [request-id]"),
        "
        edge.yaml:4: services.web.plugins[0]: `request-id` runs for every service already
          hint: list it under the top-level `plugins` to change its values
        ",
    );
    check(
        &web("plugins: clock"),
        "
        edge.yaml:4: services.web.plugins: expected a list, found `clock`
        ",
    );
}

#[test]
fn values_of_plugins_are_checked_at_their_own_lines() {
    check(
        &web("
healthcheck:
  path: [a]
  intervall: 2s
scale:
  requests_per_replica: many
  exclude: /up
  exlude: []
plugins:
- limit:
    requests: -1
    burst: 5
- limit: {}"),
        "
        edge.yaml:5: services.web.healthcheck.path: expected a string, found a list
        edge.yaml:6: services.web.healthcheck: unknown key `intervall`
          hint: did you mean `interval`?
        edge.yaml:8: services.web.scale.requests_per_replica: expected a whole number from 1, found `many`
        edge.yaml:9: services.web.scale.exclude: expected a list, found `/up`
        edge.yaml:10: services.web.scale: unknown key `exlude`
          hint: did you mean `exclude`?
        edge.yaml:13: services.web.plugins[0].limit.requests: expected a whole number, found `-1`
        edge.yaml:14: services.web.plugins[0].limit: unknown key `burst`
          hint: the keys here are `requests`
        edge.yaml:15: services.web.plugins[1]: `limit` is listed twice
          hint: keep one of the two, with the values of both
        ",
    );
    check(
        &web("healthcheck: {path: /a b}"),
        "edge.yaml:4: services.web.healthcheck: `/a b` is not a path",
    );
    check(
        &web("scale: {requests_per_replica: 0}"),
        "edge.yaml:4: services.web.scale.requests_per_replica: expected a whole number from 1, found `0`",
    );
    check(
        &web("scale: {exclude: [/a, [b], 7]}"),
        "
        edge.yaml:4: services.web.scale.exclude[1]: expected a string, found a list
        ",
    );
}

#[test]
fn a_health_check_is_one_and_a_policy_too() {
    check(
        &web("healthcheck: {type: htp}\nscale: {policy: random}"),
        "
        edge.yaml:4: services.web.healthcheck.type: `htp` is not a health check
          hint: did you mean `http`?
        edge.yaml:5: services.web.scale.policy: `random` is not a scaling policy
          hint: the scaling policies of this build: `requests`, `busy`
        ",
    );
    check(
        &web("healthcheck: {type: requests}\nscale: {policy: http}"),
        "
        edge.yaml:4: services.web.healthcheck.type: `requests` is not a health check
          hint: the health checks of this build: `http`, `tcp`, `answers`
        edge.yaml:5: services.web.scale.policy: `http` is not a scaling policy
          hint: the scaling policies of this build: `requests`, `busy`
        ",
    );
    check(
        &web("healthcheck: {type: [http]}\nscale: {policy: ''}"),
        "
        edge.yaml:4: services.web.healthcheck.type: expected a single value, found a list
        edge.yaml:5: services.web.scale.policy: is empty
        ",
    );
    check(
        &web("healthcheck: tcp"),
        "
        edge.yaml:4: services.web.healthcheck: expected a mapping, found `tcp`
          hint: as in `{ type: tcp }`
        ",
    );
}

#[test]
fn a_reload_keeps_the_plugins_that_did_not_change() {
    let yaml = format!(
        "plugins: [limit: {{requests: 5}}, clock]\n{}",
        web("plugins: [access-log]")
    );
    let old = good(&yaml);
    assert_eq!(old.background.len(), 1);
    let new = reload(&yaml.replace("5", "6"), Some(&old)).unwrap();
    let kept = |name: &str| {
        let find = |config: &Config| {
            config
                .plugged()
                .find(|plugged| plugged.name == name)
                .cloned()
                .unwrap()
        };
        Arc::ptr_eq(&find(&old), &find(&new))
    };
    assert!(!kept("limit"));
    for name in ["request-id", "clock", "access-log", "answers", "requests"] {
        assert!(kept(name), "{name}");
    }
    assert!(
        new.background.is_empty(),
        "the task of `clock` runs already"
    );
}

#[test]
fn a_plugin_whose_values_change_keeps_its_state_in_its_place() {
    let yaml = |top: u32, own: u32| {
        let own = web(&format!("plugins: [limit: {{requests: {own}}}]"));
        format!("plugins: [limit: {{requests: {top}}}]\n{own}")
    };
    let old = good(&yaml(1, 2));
    let new = reload(&yaml(3, 1), Some(&old)).unwrap();
    let states = |config: &Config| {
        let limits = config.plugged().filter(|plugged| plugged.name == "limit");
        let states = limits.map(|limit| limit.states.get::<Arc<Counts>>().cloned().unwrap());
        states.collect::<Vec<_>>()
    };
    let (old, new) = (states(&old), states(&new));
    assert!(Arc::ptr_eq(&old[0], &new[0]) && Arc::ptr_eq(&old[1], &new[1]));
    assert!(!Arc::ptr_eq(&old[0], &old[1]));
}

#[test]
fn a_plugin_that_repeats_may_be_listed_several_times() {
    let load = |yaml: &str, previous| {
        let registry = stubs::registry().with::<Redirect>();
        let overrides = Overrides::new(Flags::default(), env());
        load(&text(yaml), &overrides, &registry, store().1, previous).unwrap()
    };
    let yaml = web("plugins: [redirect: {to: /a}, clock, redirect: {to: /b}]");
    let old = load(&yaml, None);
    let plugins = &old.services[0].plugins;
    assert_eq!(names(plugins), ["redirect", "clock", "redirect"]);
    // One is as it was; of the other nobody knows which it was.
    let new = load(&yaml.replace("/a", "/c"), Some(&old));
    let state = |plugged: &Plugged| plugged.states.get::<Arc<Counts>>().cloned().unwrap();
    let now = &new.services[0].plugins;
    assert!(Arc::ptr_eq(&plugins[2], &now[2]));
    for before in [&plugins[0], &plugins[2]] {
        assert!(!Arc::ptr_eq(&state(before), &state(&now[0])));
    }
}

#[test]
fn a_plugin_that_moves_to_another_service_is_another() {
    let yaml = |a: &str, b: &str| {
        format!(
            "services:
  a: {{addresses: [1.1.1.1:1], routes: [path: /a], plugins: [{a}]}}
  b: {{addresses: [1.1.1.1:1], routes: [path: /b], plugins: [{b}]}}
"
        )
    };
    let old = good(&yaml("clock", ""));
    let new = reload(&yaml("", "clock"), Some(&old)).unwrap();
    assert!(!Arc::ptr_eq(
        &old.services[0].plugins[0],
        &new.services[1].plugins[0]
    ));
    assert_eq!(new.background.len(), 1);
}

#[test]
fn several_policies_are_listed_with_their_keys_below_their_names() {
    let config = good(&web(
        "scale: {max: 9, policies: [{requests: {requests_per_replica: 7}}, busy]}",
    ));
    let service = &config.services[0];
    let plugged = service.scaler_plugins.iter();
    let names: Vec<&str> = plugged.map(|plugged| plugged.name.as_str()).collect();
    assert_eq!(names, ["requests", "busy"]);
    let decision = service.scaler.as_ref().expect("they are combined").decide(
        &Window::default(),
        1,
        Moment::default(),
    );
    assert_eq!(decision.asked.len(), 2);

    let kept = reload(
        &web("scale: {policies: [busy, {requests: {requests_per_replica: 8}}]}"),
        Some(&config),
    );
    let kept = kept.expect("good");
    let plugins = &kept.services[0].scaler_plugins;
    assert!(Arc::ptr_eq(&plugins[0], &service.scaler_plugins[1]));
    assert!(!Arc::ptr_eq(&plugins[1], &service.scaler_plugins[0]));
}

#[test]
fn a_list_of_policies_says_what_is_wrong_with_each() {
    check(
        &web("
scale:
  policies:
  - requests: {requests_per_replica: many}
  - http
  - requets
  - {a: 1, b: 2}
  - busy
  - busy: {}
  exclude: [/up]"),
        "
        edge.yaml:6: services.web.scale.policies[0].requests.requests_per_replica: expected a whole number from 1, found `many`
        edge.yaml:7: services.web.scale.policies[1]: `http` is not a scaling policy
          hint: the scaling policies of this build: `requests`, `busy`
        edge.yaml:8: services.web.scale.policies[2]: `requets` is not a scaling policy
          hint: did you mean `requests`?
        edge.yaml:9: services.web.scale.policies[3]: expected the name of a plugin, found a mapping of 2 keys
          hint: write `- name`, or `- name: { key: value }`
        edge.yaml:11: services.web.scale.policies[5]: `busy` is listed twice
          hint: keep one of the two, with the values of both
        edge.yaml:12: services.web.scale.exclude: belongs to one policy, and there are several
          hint: write it below one of them, as in `- concurrency: { exclude: … }`
        ",
    );
    check(
        &web("scale: {policy: requests, policies: [requests]}"),
        "
        edge.yaml:4: services.web.scale: `policy` and `policies` exclude each other
          hint: move `policy` into the list
        ",
    );
    check(
        &web("scale: {policies: []}"),
        "
        edge.yaml:4: services.web.scale.policies: is empty
          hint: name at least one, or leave the key out
        ",
    );
    check(
        &web("scale: {policies: requests}"),
        "edge.yaml:4: services.web.scale.policies: expected a list, found `requests`",
    );
}
