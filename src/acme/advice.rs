//! Renewal information of the CA (ARI, RFC 9773): when it wants a certificate renewed.

use super::account::account;
use super::due::Window;
use super::failure::words;
use super::order::Orderer;
use crate::certs::Held;
use crate::certs::settings::Ca;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use instant_acme::{CertificateIdentifier, Error};
use std::time::{Duration, SystemTime};
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A revocation shows within this time.
const AGAIN_MAX: Duration = Duration::from_secs(6 * 60 * 60);
const AGAIN_MIN: Duration = Duration::from_secs(60);
/// Interval at which a CA without this is asked whether it has it now.
const AGAIN_WITHOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// An answer of the CA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advice {
    pub window: Option<Window>,
    pub ask_again: SystemTime,
}

/// Asks the CA for its advice about `held`. A CA that fails is asked again, and the last window
/// stays.
pub async fn ask(orderer: &Orderer, ca: &Ca, held: &Held, known: Option<Window>) -> Advice {
    let asked = async {
        let id = identifier(held).ok_or("the certificate names no issuer's key".to_owned())?;
        let account = account(&orderer.store, &orderer.http, ca, &orderer.settings).await;
        let account = account.map_err(|failure| failure.why)?;
        match account.renewal_info(&id).await {
            Ok((info, again)) => {
                let window = Window {
                    start: info.suggested_window.start.into(),
                    end: info.suggested_window.end.into(),
                };
                Ok((Some(window), again.clamp(AGAIN_MIN, AGAIN_MAX)))
            }
            Err(Error::Unsupported(_)) => Ok((None, AGAIN_WITHOUT)),
            Err(error) => Err(words(&error)),
        }
    };
    let (window, again) = asked.await.unwrap_or_else(|why: String| {
        log::debug!("{ca} gives no renewal information: {why}");
        (known, AGAIN_MAX)
    });
    Advice {
        window,
        ask_again: SystemTime::now() + again,
    }
}

/// Name of a certificate at its CA.
pub fn identifier(held: &Held) -> Option<CertificateIdentifier<'static>> {
    let leaf = held.key.cert.first()?;
    let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
    let mut extensions = leaf.iter_extensions();
    let authority = extensions.find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(authority) => authority.key_identifier.clone(),
        _ => None,
    })?;
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    Some(CertificateIdentifier {
        authority_key_identifier: encode(authority.0).into(),
        serial: encode(leaf.raw_serial()).into(),
    })
}
