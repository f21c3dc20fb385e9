//! The parts of the file, and the keys in each.

use crate::config::check::acme::{AcmeKeys, ChallengePortKeys, EabKeys, OnDemandKeys};
use crate::config::check::admin::AdminKeys;
use crate::config::check::certificates::CertificateKeys;
use crate::config::check::client_auth::ClientAuthKeys;
use crate::config::check::container::ContainerKeys;
use crate::config::check::file::FileKeys;
use crate::config::check::forward::ForwardKeys;
use crate::config::check::health::HealthKeys;
use crate::config::check::hold::HoldKeys;
use crate::config::check::hsts::HstsKeys;
use crate::config::check::limits::LimitsKeys;
use crate::config::check::outlier::OutlierKeys;
use crate::config::check::retries::RetriesKeys;
use crate::config::check::route::RouteKeys;
use crate::config::check::scale::ScaleKeys;
use crate::config::check::service::ServiceKeys;
use crate::config::check::settings::SettingsKeys;
use crate::config::check::timeouts::TimeoutsKeys;
use crate::config::check::tls::TlsKeys;
use crate::config::check::update::UpdateKeys;
use crate::config::check::upstream_tls::UpstreamTlsKeys;
use crate::config::keys::keys_of;

/// A part of the file, with the parts in it.
pub struct FilePart {
    /// Keys of each struct that is read from it.
    shapes: &'static [fn() -> &'static [&'static str]],
    inside: &'static [(&'static str, Inside)],
    /// Whether other keys are allowed, because they belong to a plugin.
    pub is_open: bool,
    /// Whether keys that begin with `x-` are allowed.
    pub has_extensions: bool,
}

impl FilePart {
    pub fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.shapes.iter().flat_map(|keys| keys().iter().copied())
    }

    /// The part behind `key`.
    pub fn inside(&self, key: &str) -> Option<&'static Inside> {
        let found = self.inside.iter().find(|(name, _)| *name == key);
        found.map(|(_, inside)| inside)
    }
}

pub enum Inside {
    One(&'static FilePart),
    OneOrList(&'static FilePart),
    OrOff(&'static FilePart),
    OrTrue(&'static FilePart),
    List(&'static FilePart),
    Named(&'static FilePart),
    Plugins,
}

const fn part(shapes: &'static [fn() -> &'static [&'static str]]) -> FilePart {
    FilePart {
        shapes,
        inside: &[],
        is_open: false,
        has_extensions: false,
    }
}

pub const FILE: &FilePart = &FilePart {
    has_extensions: true,
    inside: &[
        ("tls", Inside::One(TLS)),
        ("admin", Inside::OrOff(&part(&[keys_of::<AdminKeys>]))),
        ("timeouts", Inside::One(&part(&[keys_of::<TimeoutsKeys>]))),
        ("limits", Inside::One(&part(&[keys_of::<LimitsKeys>]))),
        ("services", Inside::Named(SERVICE)),
        ("plugins", Inside::Plugins),
    ],
    ..part(&[keys_of::<FileKeys>])
};

const TLS: &FilePart = &FilePart {
    inside: &[
        (
            "certificates",
            Inside::List(&part(&[keys_of::<CertificateKeys>])),
        ),
        (
            "client_auth",
            Inside::OneOrList(&part(&[keys_of::<ClientAuthKeys>])),
        ),
        ("hsts", Inside::OrOff(&part(&[keys_of::<HstsKeys>]))),
        ("eab", Inside::One(&part(&[keys_of::<EabKeys>]))),
        ("on_demand", Inside::One(&part(&[keys_of::<OnDemandKeys>]))),
        (
            "challenge_ports",
            Inside::One(&part(&[keys_of::<ChallengePortKeys>])),
        ),
    ],
    ..part(&[keys_of::<TlsKeys>, keys_of::<AcmeKeys>])
};

pub const SERVICE: &FilePart = &FilePart {
    has_extensions: true,
    inside: &[
        ("routes", Inside::List(&part(&[keys_of::<RouteKeys>]))),
        ("healthcheck", Inside::One(HEALTH)),
        ("scale", Inside::One(SCALE)),
        (
            "update_config",
            Inside::One(&part(&[keys_of::<UpdateKeys>])),
        ),
        (
            "upstream_tls",
            Inside::OrTrue(&part(&[keys_of::<UpstreamTlsKeys>])),
        ),
        ("hold", Inside::One(&part(&[keys_of::<HoldKeys>]))),
        ("retries", Inside::One(&part(&[keys_of::<RetriesKeys>]))),
        (
            "outlier_detection",
            Inside::OrOff(&part(&[keys_of::<OutlierKeys>])),
        ),
        ("plugins", Inside::Plugins),
    ],
    ..part(&[
        keys_of::<ContainerKeys>,
        keys_of::<SettingsKeys>,
        keys_of::<ForwardKeys>,
        keys_of::<ServiceKeys>,
    ])
};

const HEALTH: &FilePart = &FilePart {
    is_open: true,
    ..part(&[keys_of::<HealthKeys>])
};

const SCALE: &FilePart = &FilePart {
    inside: &[("policies", Inside::Plugins)],
    is_open: true,
    ..part(&[keys_of::<ScaleKeys>])
};
