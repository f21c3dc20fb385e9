//! What the user wants of a service, checked: the program may rely on every value here.

use super::bounds::Bounds;
use super::forward::Forward;
use super::health::HealthTiming;
use super::image::Pull;
use super::manual::ManualDeploy;
use super::name::{ServiceName, SpecHash};
use super::route::RouteSpec;
use super::sleep::SleepTerms;
use super::template::Template;
use super::update::Update;
use super::version::Version;
use std::net::SocketAddr;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    pub name: ServiceName,
    pub source: Source,
    /// Empty: every request that no other service claims.
    pub routes: Vec<RouteSpec>,
    pub health: HealthTiming,
    pub bounds: Bounds,
    /// `None`: it never sleeps.
    pub sleep: Option<SleepTerms>,
    /// How many replicas run ahead of what its policy wants.
    pub spare: u32,
    pub stop_grace_period: Duration,
    /// How replicas of an old template are replaced.
    pub update: Update,
    /// Whether a deploy asks the registry what a tag stands for now.
    pub pull: Pull,
    /// The name of the template in use, when it is not its content's own; see [`Version`].
    pub alias: Option<SpecHash>,
    /// The template that the configuration asks for, while another one is in use: deployed by
    /// hand, or gone back to.
    pub declared: Option<SpecHash>,
    /// `None`: the template's image is the file's.
    pub manual: Option<ManualDeploy>,
    /// How many replicas were wanted when one is made from this, for who has to know it later.
    pub wanted: Option<u32>,
    pub forward: Forward,
}

impl Spec {
    /// The template in use, and its name.
    pub fn version(&self) -> Option<Version> {
        let template = self.template()?.clone();
        Some(Version {
            hash: self.alias.clone().unwrap_or_else(|| template.hash()),
            template,
            manual: self.manual.clone(),
        })
    }

    /// The name of what the configuration asks for, whatever is in use.
    pub fn declared(&self) -> Option<SpecHash> {
        let declared = self.declared.clone();
        declared.or_else(|| self.template().map(Template::hash))
    }

    /// The container template, when Tidegate runs this service's replicas.
    pub fn template(&self) -> Option<&Template> {
        match &self.source {
            Source::Container(template) => Some(template),
            Source::Addresses(_) => None,
        }
    }
}

/// Where replicas come from.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each service, and most are containers"
)]
pub enum Source {
    /// Tidegate starts and stops containers.
    Container(Template),
    /// Somebody else runs them.
    Addresses(Vec<SocketAddr>),
}
