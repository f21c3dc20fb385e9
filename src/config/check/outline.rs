//! The outline of a service, for comparisons with others.

use crate::service::spec::{RouteSpec, ServiceName};

/// The claims of a service, as far as they could be read, whatever else is wrong with it.
pub struct Outline {
    pub name: ServiceName,
    pub routes: Option<Vec<RouteSpec>>,
    /// First host port, and the number of ports.
    pub ports: Option<(u16, u32)>,
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
