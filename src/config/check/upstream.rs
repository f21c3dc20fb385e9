//! Protocol and TLS between Tidegate and replicas.

use super::upstream_tls::upstream_tls;
use super::value::one_of;
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::service::spec::{Protocol, Upstream};
use serde_yaml::Value;

/// Protocol and TLS; `None` after a problem.
pub fn upstream(at: &At<'_>, protocol: Option<&Scalar>, tls: Option<Value>) -> Option<Upstream> {
    let known = [("http1", Protocol::Http1), ("h2", Protocol::H2)];
    let protocol = at.read("protocol", protocol, Protocol::Http1, one_of(&known));
    let tls = upstream_tls(&at.key("upstream_tls"), tls, protocol.unwrap_or_default());
    Some(Upstream {
        protocol: protocol?,
        tls: tls?,
    })
}
