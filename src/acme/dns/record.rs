//! The TXT record of DNS-01: written, waited for, and removed.

use super::resolver::Resolver;
use crate::acme::failure::Failure;
use crate::certs::CertName;
use crate::certs::settings::DnsSettings;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Time for a record to be seen. Providers copy their zones at intervals of minutes.
const SEEN_WITHIN: Duration = Duration::from_secs(5 * 60);
const LOOK_AGAIN: Duration = Duration::from_secs(2);
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(20);
/// Time for the provider to take a record.
const WRITTEN_WITHIN: Duration = Duration::from_secs(60);

/// A record that is there until it is withdrawn.
pub struct Published {
    name: String,
    #[cfg(feature = "dns")]
    record: super::provider::Written,
}

/// Writes the record for `name`, and waits until the resolvers see it.
pub async fn publish(
    settings: &DnsSettings,
    resolver: &Resolver,
    name: &CertName,
    value: &str,
) -> Result<Published, Failure> {
    let base = match name {
        CertName::Dns(name) | CertName::Wildcard(name) => name,
        CertName::Ip(address) => {
            let why = format!("{address} is an address, and dns-01 is for names");
            return Err(Failure::new(why));
        }
    };
    let at = format!("_acme-challenge.{base}");
    let published = write(settings, resolver, &at, value).await?;
    if let Err(why) = seen(resolver, &at, value).await {
        published.withdraw().await;
        return Err(Failure::new(why));
    }
    Ok(published)
}

#[cfg(feature = "dns")]
async fn write(
    settings: &DnsSettings,
    resolver: &Resolver,
    at: &str,
    value: &str,
) -> Result<Published, Failure> {
    let zone = match settings.keys.get("zone") {
        Some(zone) => zone.trim_end_matches('.').to_ascii_lowercase(),
        None => resolver.zone(at).await.map_err(Failure::new)?,
    };
    let written = super::provider::write(settings, &zone, at, value);
    let provider = &settings.provider;
    match tokio::time::timeout(WRITTEN_WITHIN, written).await {
        Ok(Ok(record)) => Ok(Published {
            name: at.to_owned(),
            record,
        }),
        Ok(Err(why)) => Err(Failure::new(format!(
            "{provider} does not take the record {at} in the zone {zone}: {why}"
        ))),
        Err(_) => Err(Failure::new(format!(
            "{provider} did not take the record {at} within {WRITTEN_WITHIN:?}"
        ))),
    }
}

#[cfg(not(feature = "dns"))]
async fn write(_: &DnsSettings, _: &Resolver, _: &str, _: &str) -> Result<Published, Failure> {
    Err(Failure::new(
        "this build cannot do dns-01: it was made without the feature `dns`",
    ))
}

/// Waits until `value` is among the texts at `at`.
async fn seen(resolver: &Resolver, at: &str, value: &str) -> Result<(), String> {
    let deadline = Instant::now() + SEEN_WITHIN;
    let mut pause = LOOK_AGAIN;
    loop {
        let last = match resolver.texts(at).await {
            Ok(texts) if texts.iter().any(|text| text == value) => return Ok(()),
            Ok(texts) => format!("{} other texts are there", texts.len()),
            Err(why) => why,
        };
        if Instant::now() + pause > deadline {
            return Err(format!(
                "the record {at} was written and is not seen after {SEEN_WITHIN:?} ({last}); is \
                 `tls.dns.zone` the zone that the internet asks?"
            ));
        }
        sleep(pause).await;
        pause = (pause * 2).min(LOOK_AGAIN_MAX);
    }
}

impl Published {
    /// Removes the record; records that stay would fill the answer.
    pub async fn withdraw(self) {
        #[cfg(feature = "dns")]
        {
            let removed = tokio::time::timeout(WRITTEN_WITHIN, self.record.remove()).await;
            let why = match removed {
                Ok(Ok(())) => return,
                Ok(Err(why)) => why,
                Err(_) => "the provider did not answer".to_owned(),
            };
            let name = &self.name;
            log::warn!("the record {name} stays in DNS; remove it by hand: {why}");
        }
        #[cfg(not(feature = "dns"))]
        let _ = self.name;
    }
}
