//! The forms of a `Host`: a name or an address, and perhaps a port.

use super::Refusal;
use std::net::Ipv6Addr;

const IMPOSSIBLE: Refusal = Refusal::Malformed("an impossible Host");
/// The longest name that DNS knows, in its usual spelling.
const NAME_BYTES_MAX: usize = 253;

pub fn check(host: &[u8]) -> Result<(), Refusal> {
    let Ok(host) = std::str::from_utf8(host) else {
        return Err(IMPOSSIBLE);
    };
    let port = match host.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or(IMPOSSIBLE)?;
            if address.parse::<Ipv6Addr>().is_err() {
                return Err(IMPOSSIBLE);
            }
            port
        }
        None => {
            let (name, port) = host.split_at(host.find(':').unwrap_or(host.len()));
            if !is_name(name) {
                return Err(IMPOSSIBLE);
            }
            port
        }
    };
    match port.is_empty() || port.strip_prefix(':').is_some_and(is_port) {
        true => Ok(()),
        false => Err(IMPOSSIBLE),
    }
}

pub fn is_host(text: &[u8]) -> bool {
    check(text).is_ok()
}

/// A name or an IPv4 address. Underscores are not for host names and are used in some all the
/// same.
fn is_name(name: &str) -> bool {
    let labels = name.strip_suffix('.').unwrap_or(name);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    name.len() <= NAME_BYTES_MAX
        && labels
            .split('.')
            .all(|label| !label.is_empty() && label.bytes().all(is_plain))
}

fn is_port(port: &str) -> bool {
    let is_short = (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    is_short && port.parse::<u16>().is_ok_and(|port| port > 0)
}
