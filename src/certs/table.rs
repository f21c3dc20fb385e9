//! The certificates that handshakes choose from, and the store of them.
//!
//! Two tasks publish: one the user's own files, one what was ordered. Each replaces its own part;
//! readers see both as one table, and never wait.

use super::held::Held;
use super::name::CertName;
use arc_swap::{ArcSwap, Guard};
use rustls::SignatureScheme;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// An immutable set of certificates. Where several cover a name, an exact one beats a wildcard, the
/// user's own files beat orders, and earlier ones beat later ones.
#[derive(Debug, Default)]
pub struct Table {
    exact: HashMap<Box<str>, Vec<Arc<Held>>>,
    /// By the name behind `*.`.
    wildcards: HashMap<Box<str>, Vec<Arc<Held>>>,
    addresses: HashMap<IpAddr, Vec<Arc<Held>>>,
    parts: [Vec<Arc<Held>>; 2],
}

/// A store without certificates: the writer of the user's own files, the writer of orders, and the
/// reader.
pub fn certificates() -> (CertificateWriter, CertificateWriter, Certificates) {
    let shared = Arc::new(ArcSwap::from_pointee(Table::default()));
    let (published, watch) = watch::channel(());
    let writer = |part| CertificateWriter {
        part,
        shared: Arc::clone(&shared),
        published: published.clone(),
    };
    let (files, orders) = (writer(FILES), writer(ORDERS));
    (files, orders, Certificates { shared, watch })
}

const FILES: usize = 0;
const ORDERS: usize = 1;

/// The only writer of its part of the table.
#[derive(Debug)]
pub struct CertificateWriter {
    part: usize,
    shared: Arc<ArcSwap<Table>>,
    published: watch::Sender<()>,
}

impl CertificateWriter {
    /// Replaces this writer's certificates, and wakes those that wait for a change.
    pub fn publish(&mut self, held: Vec<Arc<Held>>) {
        self.shared.rcu(|table| {
            let mut parts = table.parts.clone();
            parts[self.part].clone_from(&held);
            Table::new(parts)
        });
        self.published.send_replace(());
    }
}

/// A reader of the table.
#[derive(Clone, Debug)]
pub struct Certificates {
    shared: Arc<ArcSwap<Table>>,
    watch: watch::Receiver<()>,
}

impl Certificates {
    /// The latest table.
    pub fn load(&self) -> Guard<Arc<Table>> {
        self.shared.load()
    }

    /// Resolves at the first publication after the last one seen. Fails once both writers are gone.
    pub async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        self.watch.changed().await
    }
}

impl Table {
    fn new(parts: [Vec<Arc<Held>>; 2]) -> Table {
        let mut table = Table::default();
        for held in parts.iter().flatten() {
            for name in &held.names {
                let list = match name {
                    CertName::Dns(name) => table.exact.entry(name.as_str().into()).or_default(),
                    CertName::Wildcard(parent) => {
                        table.wildcards.entry(parent.as_str().into()).or_default()
                    }
                    CertName::Ip(address) => table.addresses.entry(*address).or_default(),
                };
                list.push(Arc::clone(held));
            }
        }
        table.parts = parts;
        table
    }

    /// Certificates for `name`, the best one first. `name` is in lower case, without a final dot.
    pub fn for_name(&self, name: &str) -> &[Arc<Held>] {
        let exact = self.exact.get(name);
        let wildcard = || self.wildcards.get(name.split_once('.')?.1);
        exact.or_else(wildcard).map_or(&[], Vec::as_slice)
    }

    /// Certificates for an address, the best one first.
    pub fn for_address(&self, address: IpAddr) -> &[Arc<Held>] {
        let list = self.addresses.get(&address.to_canonical());
        list.map_or(&[], Vec::as_slice)
    }

    /// Certificate for `name`.
    pub fn find(&self, name: &CertName) -> Option<&Arc<Held>> {
        match name {
            CertName::Dns(name) => self.for_name(name).first(),
            CertName::Wildcard(parent) => self.wildcards.get(parent.as_str())?.first(),
            CertName::Ip(address) => self.for_address(*address).first(),
        }
    }

    /// First certificate of all, for clients that name none.
    pub fn first(&self) -> Option<&Arc<Held>> {
        self.all().next()
    }

    /// Every certificate: the user's own files in the order of the configuration, then orders.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Held>> {
        self.parts.iter().flatten()
    }
}

/// The best one of `list` whose signatures a client that accepts `schemes` can check; the first one
/// when there is none, so that the handshake says why it fails.
pub fn suitable<'a>(list: &'a [Arc<Held>], schemes: &[SignatureScheme]) -> Option<&'a Arc<Held>> {
    let suitable = list.iter().find(|held| held.suits(schemes));
    suitable.or_else(|| list.first())
}

#[cfg(test)]
mod tests {
    use super::super::held::tests::held;
    use super::*;

    fn found(table: &Table, name: &str) -> Option<[u8; 32]> {
        let name = name.parse().unwrap();
        table.find(&name).map(|held| held.fingerprint)
    }

    #[test]
    fn the_nearest_name_wins_and_then_the_users_own_file() {
        let (mut files, mut orders, reader) = certificates();
        let (wide, own) = (held(&["*.example.com"]), held(&["a.example.com"]));
        let (ordered, ip) = (held(&["a.example.com", "b.example.com"]), held(&["::1"]));
        orders.publish(vec![Arc::clone(&ordered), Arc::clone(&ip)]);
        files.publish(vec![Arc::clone(&wide), Arc::clone(&own)]);
        let table = reader.load();
        for (name, expected) in [
            ("a.example.com", Some(&own)),
            ("b.example.com", Some(&ordered)),
            ("c.example.com", Some(&wide)),
            ("*.example.com", Some(&wide)),
            ("a.b.example.com", None),
            ("example.com", None),
            ("::1", Some(&ip)),
            ("127.0.0.1", None),
        ] {
            let expected = expected.map(|held| held.fingerprint);
            assert_eq!(found(&table, name), expected, "{name}");
        }
        assert_eq!(table.first().unwrap().fingerprint, wide.fingerprint);
        assert_eq!(table.all().count(), 4);
    }

    #[test]
    fn each_writer_replaces_its_own_part() {
        let (mut files, mut orders, reader) = certificates();
        files.publish(vec![held(&["a.test"])]);
        orders.publish(vec![held(&["b.test"])]);
        files.publish(vec![held(&["c.test"])]);
        let table = reader.load();
        let there = |name| found(&table, name).is_some();
        assert_eq!(
            ["a.test", "b.test", "c.test"].map(there),
            [false, true, true]
        );
    }

    #[tokio::test]
    async fn a_publication_wakes_readers() {
        let (mut files, orders, mut reader) = certificates();
        files.publish(Vec::new());
        reader.changed().await.unwrap();
        drop((files, orders));
        assert!(reader.changed().await.is_err());
    }
}
