//! Questions to DNS resolvers: those of the configuration, or the system's.

use super::message::{self, Answer, Kind};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// Time for one resolver to answer once.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Questions to each resolver.
const TRIES: usize = 2;
const MESSAGE_MAX_BYTES: usize = 4096;
/// Resolvers of the system that are asked.
const RESOLVERS_MAX: usize = 3;
const NO_SUCH_NAME: u8 = 3;

/// Resolvers to ask. Without any in the configuration, addresses are looked up as every program of
/// this machine does, `/etc/hosts` included.
#[derive(Clone, Debug, Default)]
pub struct Resolver {
    /// Empty: the system's.
    pub servers: Vec<SocketAddr>,
}

impl Resolver {
    /// Addresses of `host`; an error says why there are none.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        let none = || format!("{host} has no address in DNS");
        if self.servers.is_empty() {
            let found = tokio::net::lookup_host((host, 0)).await;
            let found = found.map_err(|error| format!("{host} cannot be resolved: {error}"))?;
            // One for each type of socket.
            let found: BTreeSet<IpAddr> = found.map(|address| address.ip()).collect();
            return match found.is_empty() {
                true => Err(none()),
                false => Ok(found.into_iter().collect()),
            };
        }
        let (four, six) = tokio::join!(self.ask(host, Kind::A), self.ask(host, Kind::Aaaa));
        let mut found = Vec::new();
        let mut failed = None;
        for answer in [four, six] {
            match answer {
                Ok(answer) => found.extend(answer.addresses),
                Err(why) => failed = Some(why),
            }
        }
        match (found.is_empty(), failed) {
            (false, _) => Ok(found),
            (true, Some(why)) => Err(why),
            (true, None) => Err(none()),
        }
    }

    /// Texts at `name`.
    pub async fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        Ok(self.ask(name, Kind::Txt).await?.texts)
    }

    /// The zone in which `name` lies.
    pub async fn zone(&self, name: &str) -> Result<String, String> {
        let mut candidate = name;
        loop {
            let answer = self.ask(candidate, Kind::Soa).await?;
            let above = |zone: &&String| {
                !zone.is_empty() && (**zone == name || name.ends_with(&format!(".{zone}")))
            };
            if let Some(zone) = answer.zones.iter().find(above) {
                return Ok(zone.clone());
            }
            candidate = match candidate.split_once('.') {
                Some((_, rest)) if rest.contains('.') => rest,
                _ => {
                    return Err(format!(
                        "no zone is found for {name} in DNS; name it in `tls.dns.zone`"
                    ));
                }
            };
        }
    }

    /// The first usable answer of any resolver.
    async fn ask(&self, name: &str, kind: Kind) -> Result<Answer, String> {
        let servers = match self.servers.is_empty() {
            true => system().await,
            false => self.servers.clone(),
        };
        let mut last = format!("{name} cannot be resolved: there is no DNS resolver");
        for server in servers {
            for _ in 0..TRIES {
                match ask_one(server, name, kind).await {
                    Ok(answer) if answer.code == 0 || answer.code == NO_SUCH_NAME => {
                        return Ok(answer);
                    }
                    Ok(answer) => {
                        let code = answer.code;
                        last = format!("{name}: the resolver {server} answers with error {code}");
                        break;
                    }
                    Err(why) => last = format!("{name}: the resolver {server} {why}"),
                }
            }
        }
        Err(last)
    }
}

async fn ask_one(server: SocketAddr, name: &str, kind: Kind) -> Result<Answer, String> {
    let own: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    // A port and an id that nobody can guess.
    let id = uuid::Uuid::new_v4().as_u128() as u16;
    let question = message::question(id, name, kind).ok_or("cannot be asked for this name")?;
    let asked = async {
        let socket = UdpSocket::bind(own).await?;
        socket.connect(server).await?;
        socket.send(&question).await?;
        let mut bytes = [0; MESSAGE_MAX_BYTES];
        loop {
            let count = socket.recv(&mut bytes).await?;
            if let Some(answer) = message::answer(id, &bytes[..count]) {
                return Ok::<_, std::io::Error>(answer);
            }
        }
    };
    match timeout(ANSWER_WITHIN, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(format!("cannot be asked: {error}")),
        Err(_) => Err(format!("did not answer within {ANSWER_WITHIN:?}")),
    }
}

/// Resolvers of the system.
async fn system() -> Vec<SocketAddr> {
    let text = tokio::fs::read_to_string("/etc/resolv.conf").await;
    listed(&text.unwrap_or_default())
}

fn listed(text: &str) -> Vec<SocketAddr> {
    let lines = text.lines();
    let names = lines.filter_map(|line| line.trim().strip_prefix("nameserver"));
    let addresses = names.filter_map(|name| name.trim().parse::<IpAddr>().ok());
    addresses
        .map(|address| SocketAddr::new(address, 53))
        .take(RESOLVERS_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_resolvers_are_read() {
        let text = "# a\nsearch x\nnameserver 10.0.0.1\n nameserver ::1\nnameserver nonsense\n";
        assert_eq!(
            listed(text),
            [
                "10.0.0.1:53".parse().unwrap(),
                "[::1]:53".parse::<SocketAddr>().unwrap()
            ]
        );
    }
}
