//! The admin listener.

use super::host::host_of;
use super::value::address;
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::config::shape::{Shape, what};
use serde::Deserialize;
use serde_yaml::Value;
use std::net::SocketAddr;

const ADMIN: &str = "127.0.0.1:9180";

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminKeys {
    pub listen: Option<Scalar>,
    pub hosts: Option<Vec<Scalar>>,
}

impl Shape for AdminKeys {}

/// Address and names of the listener; the outer `None` stands for a problem, the inner one for
/// `off`.
pub fn admin(at: &At<'_>, typed: Option<Value>) -> Option<(Option<SocketAddr>, Vec<String>)> {
    let default = || Some(Scalar::Text(ADMIN.to_owned()));
    let off = Some((None, Vec::new()));
    let mut typed_hosts = Vec::new();
    let listen = match typed {
        None => default(),
        Some(Value::String(text)) if text == "off" => return off,
        Some(Value::Bool(false)) => return off,
        Some(value @ Value::Mapping(_)) => {
            let admin = at.shape::<AdminKeys>(value);
            typed_hosts = admin.hosts.unwrap_or_default();
            admin.listen.or_else(default)
        }
        Some(other) => {
            at.error_hint(
                format!("expected a mapping, found {}", what(&other)),
                format!("write `{{ listen: \"{ADMIN}\" }}` or `off`"),
            );
            return None;
        }
    };
    if matches!(&listen, Some(Scalar::Text(text)) if text == "off") {
        return off;
    }
    let in_hosts = at.key("hosts");
    let hosts: Vec<Option<String>> = typed_hosts
        .iter()
        .enumerate()
        .map(|(index, host)| in_hosts.index(index).accept(host_of(host)))
        .collect();
    let listen = at.optional("listen", listen.as_ref(), address)?;
    Some((Some(listen), hosts.into_iter().collect::<Option<_>>()?))
}
