//! The outline of a service, for comparisons with others.

use crate::service::spec::{RouteSpec, ServiceName};

/// The claims of a service, as far as they could be read, whatever else is wrong with it.
pub struct Outline {
    pub name: ServiceName,
    pub routes: Option<Vec<RouteSpec>>,
    pub ports: Option<Ports>,
}

/// Host ports of a service.
#[derive(Clone, Copy)]
pub struct Ports {
    /// `None`: to be chosen.
    pub first: Option<u16>,
    pub count: u32,
}

impl Outline {
    pub fn unknown(name: ServiceName) -> Self {
        Outline {
            name,
            routes: None,
            ports: None,
        }
    }
}
