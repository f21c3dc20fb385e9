//! A question to ourselves before an order: would the CA's question arrive here?
//!
//! A local mistake costs no order that way. Silence is no proof, because many routers do not lead a
//! machine's own packets back to it; then the CA decides.

use super::failure::Failure;
use super::proof::Prover;
use super::self_ask::{Heard, SelfAsk};
use crate::certs::CertName;
use crate::certs::settings::{ChallengeKind, ChallengePorts};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Time for ourselves to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Addresses of a name that are asked.
const ADDRESSES_MAX: usize = 8;

/// Asks ourselves as the CA would; an error says why the CA would be refused.
pub async fn check(
    prover: &Prover,
    ports: ChallengePorts,
    name: &CertName,
    kind: ChallengeKind,
) -> Result<(), Failure> {
    let (port, ask) = match kind {
        ChallengeKind::Http01 => (ports.http, SelfAsk::http(&prover.answers, name, ports.http)),
        ChallengeKind::TlsAlpn01 => (ports.tls, SelfAsk::tls(&prover.answers, name, ports.tls)?),
        // The record is looked at before the CA is told.
        ChallengeKind::Dns01 => return Ok(()),
    };
    let asked = async {
        let addresses = match name {
            CertName::Ip(address) => vec![*address],
            CertName::Dns(host) | CertName::Wildcard(host) => {
                let found = prover.resolver.addresses(host).await;
                found.map_err(|why| format!("{why}; point it to this machine"))?
            }
        };
        let addresses = addresses.into_iter().take(ADDRESSES_MAX);
        each(addresses, port, &ask).await
    };
    let heard = asked.await;
    ask.end();
    heard.map_err(|why| Failure::new(format!("{}: {why}; no order is placed", kind.label())))
}

/// Asks every address. One of ours is enough: a CA tries IPv4 when IPv6 refuses, and an old record next
/// to the right one is common.
async fn each(
    addresses: impl Iterator<Item = IpAddr>,
    port: u16,
    ask: &SelfAsk,
) -> Result<(), String> {
    let mut refused = None;
    let mut is_silent = false;
    for address in addresses {
        let address = SocketAddr::new(address, port);
        let asked = async {
            match TcpStream::connect(address).await {
                Ok(stream) => ask.ask(stream).await,
                Err(error) if has_no_route(&error) => Heard::Nothing,
                Err(error) => Heard::Other(error.to_string()),
            }
        };
        match timeout(ANSWER_WITHIN, asked)
            .await
            .unwrap_or(Heard::Nothing)
        {
            Heard::Ours => return Ok(()),
            Heard::Nothing => is_silent = true,
            Heard::Other(why) => {
                refused.get_or_insert(format!("{address}: {why}"));
            }
        }
    }
    match refused {
        Some(why) if !is_silent => Err(why),
        _ => Ok(()),
    }
}

/// This machine cannot reach it, and the CA perhaps can: no IPv6 here, or a firewall's rule.
fn has_no_route(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{HostUnreachable, NetworkUnreachable, TimedOut};
    [HostUnreachable, NetworkUnreachable, TimedOut].contains(&error.kind())
}
