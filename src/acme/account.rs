//! The account at a CA: made once, kept with its key.

use super::failure::{Failure, kind};
use super::http::Http;
use super::store::Store;
use crate::certs::settings::{AcmeSettings, Ca, ExternalAccount};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
use instant_acme::{Account, ExternalAccountKey, NewAccount};

/// The account in the state folder, or a new one.
pub async fn account(
    store: &Store,
    http: &Http,
    ca: &Ca,
    settings: &AcmeSettings,
) -> Result<Account, Failure> {
    let Some(directory) = ca.directory() else {
        return Err(Failure::new("the local CA has no accounts"));
    };
    let file = file_name(ca);
    let known = store.account(&file).map_err(|error| {
        Failure::new(format!(
            "the account at {ca} cannot be read: {error}; no order is placed until it can"
        ))
    })?;
    let builder = Account::builder_with_http(Box::new(http.clone()));
    if let Some(known) = known {
        let account = builder.from_credentials(known).await;
        return account.map_err(|error| Failure::step(&format!("{ca} does not answer"), &error));
    }
    let email = settings
        .email
        .as_ref()
        .map(|email| format!("mailto:{email}"));
    let contact: Vec<&str> = email.iter().map(String::as_str).collect();
    let new = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let binding = settings.eab.as_ref().map(binding).transpose()?;
    let made = builder.create(&new, directory.to_owned(), binding.as_ref());
    let (account, credentials) = made
        .await
        .map_err(|error| Failure::step(&format!("{ca} gives no account"), &error))?;
    store
        .keep_account(&file, &credentials)
        .map_err(|error| Failure::disk("the new account", &error))?;
    log::info!("made an account at {ca}: {}", account.id());
    Ok(account)
}

/// Sets the account aside if the CA does not know it any more, so that the next attempt makes a new
/// one.
pub fn note_rejection(store: &Store, ca: &Ca, error: &instant_acme::Error) {
    if let Some("accountDoesNotExist" | "unauthorized") = kind(error) {
        store.drop_account(&file_name(ca), "the CA does not know this account any more");
    }
}

fn binding(eab: &ExternalAccount) -> Result<ExternalAccountKey, Failure> {
    let path = eab.hmac_key_file.display();
    let wrong = |why: String| Failure::new(format!("`tls.eab.hmac_key_file` {path} {why}"));
    let text = std::fs::read_to_string(&eab.hmac_key_file)
        .map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let text = text.trim();
    let key = BASE64_URL_SAFE_NO_PAD
        .decode(text)
        .or_else(|_| BASE64_URL_SAFE.decode(text))
        .or_else(|_| BASE64_STANDARD.decode(text))
        .map_err(|_| wrong("holds no base64; copy the HMAC key as the CA shows it".to_owned()))?;
    Ok(ExternalAccountKey::new(eab.key_id.clone(), &key))
}

/// Name of the account's file: the CA's name, or its URL in characters that suit files.
pub fn file_name(ca: &Ca) -> String {
    let label = ca.label();
    let bare = label.split_once("://").map_or(label, |(_, rest)| rest);
    bare.chars()
        .map(|one| match one {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' => one,
            _ => '_',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ca_has_a_file_of_its_own() {
        let url = Ca::Directory("https://ca.internal:9000/acme/acme/directory".to_owned());
        assert_eq!(file_name(&url), "ca.internal_9000_acme_acme_directory");
        assert_eq!(file_name(&Ca::LetsEncrypt), "letsencrypt");
    }

    #[test]
    fn the_key_of_a_binding_is_read_in_every_base64() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let eab = ExternalAccount {
            key_id: "kid-1".to_owned(),
            hmac_key_file: path.clone(),
        };
        assert!(binding(&eab).is_err());
        for text in ["zWNDZM6e-_", "zWNDZM6eQGHW\n", "zWNDZM6e+w=="] {
            std::fs::write(&path, text).unwrap();
            let key = binding(&eab);
            assert_eq!(key.is_ok(), text != "zWNDZM6e-_", "{text}");
        }
    }
}
