//! Ports of a Compose service, and which of them may speak HTTP.

use crate::cli::init::yaml::{items, text_of};
use serde_yaml::{Mapping, Value};

pub struct Ports {
    pub inside: Vec<u16>,
    /// Published ports, as they are written.
    pub published: Vec<String>,
    pub udp: Vec<String>,
}

pub fn ports(keys: &Mapping) -> Ports {
    let mut ports = Ports {
        inside: Vec::new(),
        published: Vec::new(),
        udp: Vec::new(),
    };
    for port in items(keys, "ports").chain(items(keys, "expose")) {
        let (target, out, protocol) = match port {
            Value::Mapping(long) => (
                long.get("target").map(text_of).unwrap_or_default(),
                long.get("published").map(text_of),
                long.get("protocol").map(text_of),
            ),
            short => {
                let short = text_of(short);
                let (short, protocol) = match short.split_once('/') {
                    Some((port, protocol)) => (port, Some(protocol.to_owned())),
                    None => (short.as_str(), None),
                };
                match short.rsplit_once(':') {
                    Some((out, target)) => (target.to_owned(), Some(out.to_owned()), protocol),
                    None => (short.to_owned(), None, protocol),
                }
            }
        };
        if protocol.as_deref() == Some("udp") {
            ports.udp.push(target);
            continue;
        }
        // Of a range, the first.
        let target = target.split('-').next().unwrap_or_default();
        ports.inside.extend(target.parse::<u16>());
        ports.published.extend(out);
    }
    ports.inside.dedup();
    ports
}

/// Whether a published port, as in `443` or `0.0.0.0:443`, is the one of HTTPS.
pub fn is_https(published: &str) -> bool {
    published.rsplit(':').next() == Some("443")
}

/// Protocol of a default port that is not HTTP.
pub fn protocol(port: u16) -> Option<&'static str> {
    Some(match port {
        22 => "SSH",
        25 | 465 | 587 => "SMTP",
        53 => "DNS",
        110 | 995 => "POP3",
        143 | 993 => "IMAP",
        389 | 636 => "LDAP",
        443 | 8443 => "HTTPS",
        1433 => "SQL Server's protocol",
        1521 => "Oracle's protocol",
        1883 | 8883 => "MQTT",
        2181 => "ZooKeeper's protocol",
        3306 | 33060 => "MySQL's protocol",
        4222 => "NATS",
        5432 => "PostgreSQL's protocol",
        5671 | 5672 => "AMQP",
        6379 => "Redis's protocol",
        7687 => "Bolt",
        9042 => "Cassandra's protocol",
        9092 => "Kafka's protocol",
        11211 => "memcached's protocol",
        27017 => "MongoDB's protocol",
        _ => return None,
    })
}
