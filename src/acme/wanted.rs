//! Names that get certificates, and from whom.

use crate::certs::CertName;
use crate::certs::settings::{AcmeSettings, Ca};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The configuration, as far as the keeper of certificates is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub settings: Arc<AcmeSettings>,
    /// Hosts of all routes.
    pub routes: Vec<CertName>,
    /// Whether a route matches every host.
    pub has_catch_all: bool,
    /// Names for which the user has files.
    pub files: Vec<CertName>,
}

/// Source of a name's certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// The CA in the state folder.
    Local,
    /// CAs of the configuration.
    Acme,
}

impl Wanted {
    /// Every name with its source. A name below a wildcard that is wanted as well, or that the user has
    /// a file for, needs no certificate of its own.
    pub fn names(&self) -> BTreeMap<CertName, Authority> {
        let settings = &self.settings;
        let of_routes = self.routes.iter();
        // Addresses of routes are hosts that clients typed, and no names to order for.
        let of_routes = of_routes.filter(|name| match name {
            CertName::Ip(_) => name.is_private(),
            _ => name.is_private() || settings.for_routes,
        });
        let all: Vec<&CertName> = of_routes.chain(&settings.hosts).collect();
        let is_covered = |name: &CertName| {
            let by_file = self.files.iter().any(|file| file.covers(name));
            by_file || all.iter().any(|other| *other != name && other.covers(name))
        };
        all.iter()
            .filter(|name| !is_covered(name))
            .map(|name| ((*name).clone(), self.authority(name)))
            .collect()
    }

    pub fn authority(&self, name: &CertName) -> Authority {
        // Only the CA of this machine is trusted to certify what everybody may call their own.
        let public = self.settings.ca.iter().any(|ca| ca.directory().is_some());
        match name.is_private() && !self.has_private_ca() || !public {
            true => Authority::Local,
            false => Authority::Acme,
        }
    }

    /// A CA of one's own certifies private names as well.
    fn has_private_ca(&self) -> bool {
        let settings = &self.settings;
        settings.ca_root.is_some() && settings.ca.iter().any(|ca| matches!(ca, Ca::Directory(_)))
    }

    /// Whether a client may have a certificate for `name` on demand, once `ask` agrees: a route must
    /// lead somewhere without naming it.
    pub fn may_ask_for(&self, name: &CertName) -> bool {
        let by_route = self.has_catch_all
            || self
                .routes
                .iter()
                .any(|route| route.is_wildcard() && route.covers(name));
        self.settings.on_demand.is_some() && by_route && matches!(name, CertName::Dns(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::testing::settings;
    use crate::certs::settings::OnDemandSettings;

    fn names(all: &[&str]) -> Vec<CertName> {
        all.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn wanted(routes: &[&str]) -> Wanted {
        Wanted {
            settings: Arc::new(settings()),
            routes: names(routes),
            has_catch_all: false,
            files: Vec::new(),
        }
    }

    fn change(wanted: &mut Wanted, change: impl FnOnce(&mut AcmeSettings)) {
        change(Arc::make_mut(&mut wanted.settings));
    }

    fn check(wanted: &Wanted, expected: &[(&str, Authority)]) {
        let expected = expected.iter();
        let expected = expected.map(|(name, source)| (name.parse().unwrap(), *source));
        assert_eq!(wanted.names(), expected.collect::<BTreeMap<_, _>>());
    }

    #[test]
    fn routes_and_hosts_are_wanted_and_private_names_come_from_here() {
        let mut wanted = wanted(&["a.example.com", "nas.local", "192.0.2.1", "a.example.com"]);
        change(&mut wanted, |settings| {
            settings.hosts = names(&["*.example.org", "203.0.113.9"]);
        });
        check(
            &wanted,
            &[
                ("a.example.com", Authority::Acme),
                ("nas.local", Authority::Local),
                ("*.example.org", Authority::Acme),
                ("203.0.113.9", Authority::Acme),
            ],
        );
        change(&mut wanted, |settings| settings.for_routes = false);
        check(
            &wanted,
            &[
                ("nas.local", Authority::Local),
                ("*.example.org", Authority::Acme),
                ("203.0.113.9", Authority::Acme),
            ],
        );
        change(&mut wanted, |settings| settings.ca = vec![Ca::Local]);
        let sources: Vec<Authority> = wanted.names().into_values().collect();
        assert_eq!(sources, [Authority::Local; 3]);
    }

    #[test]
    fn a_name_that_another_certificate_covers_needs_none() {
        let mut wanted = wanted(&["a.example.com", "b.example.org", "example.com", "x.a.test"]);
        change(&mut wanted, |settings| {
            settings.hosts = names(&["*.example.com"]);
        });
        wanted.files = names(&["b.example.org", "*.a.test"]);
        check(
            &wanted,
            &[
                ("*.example.com", Authority::Acme),
                ("example.com", Authority::Acme),
            ],
        );
    }

    #[test]
    fn a_ca_of_ones_own_certifies_private_names() {
        let mut wanted = wanted(&["git.internal"]);
        check(&wanted, &[("git.internal", Authority::Local)]);
        change(&mut wanted, |settings| {
            settings.ca_root = Some("/etc/ca.pem".into());
        });
        check(&wanted, &[("git.internal", Authority::Acme)]);
    }

    #[test]
    fn on_demand_takes_a_route_that_does_not_name_its_hosts() {
        let mut wanted = wanted(&["*.example.com", "b.example.org"]);
        let may = |wanted: &Wanted, name: &str| wanted.may_ask_for(&name.parse().unwrap());
        assert!(!may(&wanted, "a.example.com"));
        change(&mut wanted, |settings| {
            settings.on_demand = Some(OnDemandSettings {
                ask: "http://127.0.0.1:1/".to_owned(),
            });
        });
        assert!(may(&wanted, "a.example.com"));
        assert!(!may(&wanted, "a.b.example.com"));
        assert!(!may(&wanted, "c.example.org"));
        wanted.has_catch_all = true;
        assert!(may(&wanted, "c.example.org"));
        assert!(!may(&wanted, "203.0.113.9"));
    }
}
