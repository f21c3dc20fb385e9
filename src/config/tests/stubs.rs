//! Small plugins of every kind.

use crate::plugin::Registry;
use crate::plugin::prelude::*;
use std::num::NonZeroU32;

pub fn registry() -> Registry {
    Registry::new()
        .with::<Http>()
        .with::<Tcp>()
        .with::<Requests>()
        .with::<RequestId>()
        .with::<Limit>()
        .with::<AccessLog>()
        .with::<Clock>()
        .with::<Busy>()
        .with::<Answers>()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Http {
    #[serde(default)]
    path: String,
}

impl Plugin for Http {
    const NAME: &'static str = "http";

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        if self.path.contains(' ') {
            return Err(PluginError::new(format!("`{}` is not a path", self.path)));
        }
        hooks.probe(Always);
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answers {
    #[serde(default, rename = "path")]
    _path: String,
}

impl Plugin for Answers {
    const NAME: &'static str = "answers";

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        hooks.probe(Always);
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tcp {}

impl Plugin for Tcp {
    const NAME: &'static str = "tcp";

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        hooks.probe(Always);
        Ok(())
    }
}

struct Always;

#[async_trait]
impl Probe for Always {
    async fn check(&self, _: SocketAddr) -> Result<(), String> {
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Requests {
    requests_per_replica: Option<NonZeroU32>,
    #[serde(default)]
    exclude: Vec<String>,
}

impl Plugin for Requests {
    const NAME: &'static str = "requests";

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        hooks.scaler(self);
        Ok(())
    }
}

impl Scaler for Requests {
    fn counts(&self, path: &str) -> bool {
        !self.exclude.iter().any(|excluded| excluded == path)
    }

    fn decide(&self, _: &Window, _: u32, _: Moment) -> Decision {
        let replicas = self.requests_per_replica.map_or(1, NonZeroU32::get);
        Decision::new(replicas, "stub", String::new())
    }

    fn history(&self) -> Duration {
        Duration::ZERO
    }
}

/// Another scaling policy, so that there can be several.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Busy {}

impl Plugin for Busy {
    const NAME: &'static str = "busy";

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        hooks.scaler(self);
        Ok(())
    }
}

impl Scaler for Busy {
    fn decide(&self, _: &Window, current: u32, _: Moment) -> Decision {
        Decision::new(current, "stub", String::new())
    }

    fn history(&self) -> Duration {
        Duration::ZERO
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestId {
    #[serde(default)]
    #[expect(dead_code, reason = "only its shape matters here")]
    header: String,
}

impl Plugin for RequestId {
    const NAME: &'static str = "request-id";
    const ALWAYS: bool = true;

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        hooks.filter(self);
        Ok(())
    }
}

impl Filter for RequestId {}

/// Has a key that must be given, and a state.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    #[expect(dead_code, reason = "only its shape matters here")]
    requests: u32,
}

impl Plugin for Limit {
    const NAME: &'static str = "limit";

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        hooks.state(Counts::default);
        hooks.filter(self);
        Ok(())
    }
}

impl Filter for Limit {}

#[derive(Default)]
pub struct Counts;

/// May be listed several times.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    #[serde(rename = "to")]
    _to: String,
}

impl Plugin for Redirect {
    const NAME: &'static str = "redirect";
    const REPEATS: bool = true;

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        hooks.filter(self);
        hooks.state(Counts::default);
        Ok(())
    }
}

impl Filter for Redirect {}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Json,
    Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccessLog {
    #[serde(default)]
    #[expect(dead_code, reason = "only its shape matters here")]
    format: Option<Format>,
}

impl Plugin for AccessLog {
    const NAME: &'static str = "access-log";

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        hooks.observer(self);
        Ok(())
    }
}

impl Observer for AccessLog {}

/// Has a task.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clock {}

impl Plugin for Clock {
    const NAME: &'static str = "clock";

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        hooks.background(std::future::pending());
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concurrency {
    #[serde(rename = "target")]
    _target: Option<NonZeroU32>,
}

impl Plugin for Concurrency {
    const NAME: &'static str = "concurrency";

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        hooks.scaler(Requests {
            requests_per_replica: None,
            exclude: Vec::new(),
        });
        Ok(())
    }
}
