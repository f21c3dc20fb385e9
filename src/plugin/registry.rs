//! The list of plugins that a build knows.

use super::Hooks;
use serde::de::DeserializeOwned;
use std::fmt;

/// A plugin: a configuration struct that becomes the running thing.
pub trait Plugin: DeserializeOwned + Send + 'static {
    /// The name in the configuration.
    const NAME: &'static str;

    /// Installed with its defaults, before the user's list, when the user does not list it.
    const ALWAYS: bool = false;

    /// May stand in a list several times, as in two redirects.
    const REPEATS: bool = false;

    /// Puts the parts of the plugin into `hooks`. Does no I/O.
    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError>;
}

/// Why a plugin cannot be installed with the values it was given.
#[derive(Debug)]
pub struct PluginError(pub String);

impl PluginError {
    pub fn new(message: impl Into<String>) -> Self {
        PluginError(message.into())
    }
}

impl fmt::Display for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PluginError {}

type Install = fn(serde_yaml::Value, &mut Hooks) -> Result<(), InstallError>;

#[derive(Clone, Copy)]
struct Entry {
    name: &'static str,
    always: bool,
    repeats: bool,
    install: Install,
}

/// The plugins of a build, in the order they were added.
#[derive(Clone, Default)]
pub struct Registry(Vec<Entry>);

#[derive(Debug)]
pub enum InstallError {
    Unknown,
    /// The values do not fit the struct: `path` within them, and what was expected.
    Values {
        path: String,
        message: String,
    },
    Plugin(PluginError),
}

impl Registry {
    pub fn new() -> Self {
        Registry::default()
    }

    /// Adds `P`; the last plugin of a name wins.
    pub fn with<P: Plugin>(mut self) -> Self {
        self.0.retain(|entry| entry.name != P::NAME);
        self.0.push(Entry {
            name: P::NAME,
            always: P::ALWAYS,
            repeats: P::REPEATS,
            install: install::<P>,
        });
        self
    }

    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|entry| entry.name)
    }

    /// The plugins that are there even when nobody lists them.
    pub fn always(&self) -> impl Iterator<Item = &'static str> {
        self.0
            .iter()
            .filter(|entry| entry.always)
            .map(|entry| entry.name)
    }

    /// Whether the plugin `name` may stand in a list several times.
    pub fn repeats(&self, name: &str) -> bool {
        let mut entries = self.0.iter();
        entries.any(|entry| entry.name == name && entry.repeats)
    }

    pub fn install(
        &self,
        name: &str,
        values: serde_yaml::Value,
        hooks: &mut Hooks,
    ) -> Result<(), InstallError> {
        let entry = self.0.iter().find(|entry| entry.name == name);
        let entry = entry.ok_or(InstallError::Unknown)?;
        (entry.install)(values, hooks)
    }
}

fn install<P: Plugin>(values: serde_yaml::Value, hooks: &mut Hooks) -> Result<(), InstallError> {
    // A plugin that is listed without keys has its defaults.
    let values = match values {
        serde_yaml::Value::Null => serde_yaml::Value::Mapping(serde_yaml::Mapping::new()),
        values => values,
    };
    let plugin: P =
        serde_path_to_error::deserialize(values).map_err(|error| InstallError::Values {
            path: error.path().to_string(),
            message: error.inner().to_string(),
        })?;
    plugin.install(hooks).map_err(InstallError::Plugin)
}
