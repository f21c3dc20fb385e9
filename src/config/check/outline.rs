//! A service in outline: the part that is compared with other services.

use crate::service::spec::{RouteSpec, ServiceName};

/// The claims of a service, as far as they could be read, whatever else is wrong with it.
pub struct Outline {
    pub name: ServiceName,
    pub routes: Option<Vec<RouteSpec>>,
    /// The first host port, and how many.
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
