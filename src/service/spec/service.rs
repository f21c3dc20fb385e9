//! The specification of a service.

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

/// A service as it is configured. Every value was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    pub name: ServiceName,
    pub source: Source,
    /// Claims of the service; empty: every request that no other service claims.
    pub routes: Vec<RouteSpec>,
    pub health: HealthTiming,
    pub bounds: Bounds,
    /// `None`: the service never sleeps.
    pub sleep: Option<SleepTerms>,
    /// Number of replicas beyond those that the policy wants.
    pub spare: u32,
    pub stop_grace_period: Duration,
    /// How replicas of an old template are replaced.
    pub update: Update,
    /// When the image is pulled.
    pub pull: Pull,
    /// Name of the template in use, when that is not its hash; see [`Version`].
    pub alias: Option<SpecHash>,
    /// Template of the configuration, while another one is in use: deployed by hand, or gone back
    /// to.
    pub declared: Option<SpecHash>,
    /// `None`: the template's image is the file's.
    pub manual: Option<ManualDeploy>,
    /// Desired count when a container is created from this; stored in a label, so that a restart can
    /// tell surge replicas apart.
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

    /// Name of the template of the configuration, whatever is in use.
    pub fn declared(&self) -> Option<SpecHash> {
        let declared = self.declared.clone();
        declared.or_else(|| self.template().map(Template::hash))
    }

    /// The container template; `None` for fixed addresses.
    pub fn template(&self) -> Option<&Template> {
        match &self.source {
            Source::Container(template) => Some(template),
            Source::Addresses(_) => None,
        }
    }

    /// Sets the first host port of a container service.
    pub fn set_first_port(&mut self, first_port: u16) {
        if let Source::Container(template) = &mut self.source {
            template.first_port = first_port;
        }
    }
}

/// The origin of a service's replicas.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each service, and most are containers"
)]
pub enum Source {
    /// Containers that Tidegate starts and stops.
    Container(Template),
    /// Servers that somebody else runs.
    Addresses(Vec<SocketAddr>),
}
