//! Traefik's `acme.json`: resolvers, each with its account and its certificates in base64.

use super::foreign::{Foreign, IssuedBy, Unreadable};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

/// Certificates in the text of a file that is shown as `file`.
pub fn read(file: &str, text: &[u8]) -> Result<Vec<Result<Foreign, Unreadable>>, String> {
    // Traefik begins with an empty file.
    if text.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    let json: Value = serde_json::from_slice(text)
        .map_err(|error| format!("{file} is no acme.json of Traefik: {error}"))?;
    let not_one = || format!("{file} is no acme.json of Traefik: it has no certificate resolvers");
    let resolvers = json.as_object().ok_or_else(not_one)?;
    // Before version 2 there was one resolver, without a name.
    if key(&json, "certificates").is_some() {
        return Ok(of_resolver(file, &json));
    }
    let is_resolver = |it: &Value| key(it, "certificates").or(key(it, "account")).is_some();
    let resolvers: Map<String, Value> = resolvers.clone();
    if !resolvers.values().any(is_resolver) && !resolvers.is_empty() {
        return Err(not_one());
    }
    let found = resolvers.iter().flat_map(|(name, resolver)| {
        let file = format!("{file}, resolver {name}");
        of_resolver(&file, resolver)
    });
    Ok(found.collect())
}

fn of_resolver(place: &str, resolver: &Value) -> Vec<Result<Foreign, Unreadable>> {
    let account = key(resolver, "account").and_then(|account| key(account, "registration"));
    let url = account.and_then(|account| key(account, "uri")?.as_str());
    let issued_by = match url {
        Some(url) => IssuedBy::Url(url.to_owned()),
        None => IssuedBy::Unknown,
    };
    let certificates = key(resolver, "certificates").and_then(Value::as_array);
    let certificates = certificates.into_iter().flatten().enumerate();
    let read = certificates.map(|(index, certificate)| {
        let main = key(certificate, "domain").and_then(|domain| key(domain, "main")?.as_str());
        let place = match main {
            Some(main) if !main.is_empty() => format!("{place}, {main}"),
            _ => format!("{place}, certificate {}", index + 1),
        };
        match (text(certificate, "certificate"), text(certificate, "key")) {
            (Ok(chain), Ok(key)) => Ok(Foreign {
                place,
                chain,
                key,
                issued_by: issued_by.clone(),
            }),
            (Err(why), _) | (_, Err(why)) => Err(Unreadable { place, why }),
        }
    });
    read.collect()
}

/// Text in base64 under a key.
fn text(certificate: &Value, name: &str) -> Result<Vec<u8>, String> {
    let Some(text) = key(certificate, name).and_then(Value::as_str) else {
        return Err(format!("`{name}` is missing"));
    };
    let decoded = BASE64_STANDARD.decode(text.trim());
    decoded.map_err(|error| format!("`{name}` is no base64: {error}"))
}

/// A value, however the key is written: versions of Traefik differ in that.
fn key<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let mut keys = value.as_object()?.iter();
    let found = keys.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    Some(found.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn certificate(main: &str, chain: &[u8], key: &[u8]) -> Value {
        json!({
            "domain": { "main": main, "sans": ["x.example.com"] },
            "certificate": BASE64_STANDARD.encode(chain),
            "key": BASE64_STANDARD.encode(key),
            "Store": "default",
        })
    }

    fn read_json(json: &Value) -> Result<Vec<Result<Foreign, Unreadable>>, String> {
        read("acme.json", json.to_string().as_bytes())
    }

    #[test]
    fn certificates_of_all_resolvers_are_found_and_the_broken_ones_named() {
        let uri = "https://acme-v02.api.letsencrypt.org/acme/acct/1";
        let file = json!({
            "le": {
                "Account": { "Email": "me@example.com", "Registration": { "uri": uri } },
                "Certificates": [
                    certificate("a.example.com", b"chain", b"key"),
                    { "domain": { "main": "b.example.com" }, "certificate": "§", "key": "" },
                    { "certificate": "" },
                ],
            },
            "unused": { "Account": null, "Certificates": null },
        });
        let found = read_json(&file).unwrap();
        let expected = Foreign {
            place: "acme.json, resolver le, a.example.com".to_owned(),
            chain: b"chain".to_vec(),
            key: b"key".to_vec(),
            issued_by: IssuedBy::Url(uri.to_owned()),
        };
        assert_eq!(found[0], Ok(expected));
        let broken = found[1].as_ref().unwrap_err();
        assert_eq!(broken.place, "acme.json, resolver le, b.example.com");
        assert!(broken.why.starts_with("`certificate` is no base64"));
        let broken = found[2].as_ref().unwrap_err();
        assert_eq!(broken.place, "acme.json, resolver le, certificate 3");
        assert_eq!(broken.why, "`key` is missing");
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn the_file_of_version_1_and_one_without_certificates_are_read() {
        let first = json!({ "Account": {}, "Certificates": [{
            "Domain": { "Main": "a.example.com", "SANs": null },
            "Certificate": BASE64_STANDARD.encode("chain"),
            "Key": BASE64_STANDARD.encode("key"),
        }] });
        assert_eq!(read_json(&first).unwrap().len(), 1);
        assert_eq!(read("acme.json", b"\n").unwrap(), []);
        assert_eq!(read("acme.json", b"{}").unwrap(), []);
        for text in ["[]", "{\"a\": 1}", "{\"a\": {\"b\": 1}}", "{", "7"] {
            let why = read("acme.json", text.as_bytes()).unwrap_err();
            assert!(why.starts_with("acme.json is no acme.json"), "{why}");
        }
    }

    proptest! {
        #![proptest_config(crate::cases(300))]

        #[test]
        fn each_entry_is_found_or_named(broken in prop::collection::vec(any::<bool>(), 0..12)) {
            let entries = broken.iter().enumerate().map(|(index, broken)| match broken {
                true => json!({ "domain": { "main": index.to_string() }, "key": 1 }),
                false => certificate(&index.to_string(), &[index as u8], b"key"),
            });
            let entries: Vec<Value> = entries.collect();
            let found = read_json(&json!({ "le": { "Certificates": entries } })).unwrap();
            let lost: Vec<bool> = found.iter().map(Result::is_err).collect();
            prop_assert_eq!(lost, broken);
        }

        #[test]
        fn a_file_that_is_cut_off_is_refused(cut in 1..200_usize) {
            let file = json!({ "le": { "Certificates": [certificate("a", &[7; 60], b"key")] } });
            let text = file.to_string();
            let cut = cut.min(text.len() - 1);
            prop_assert!(read("acme.json", &text.as_bytes()[..cut]).is_err());
        }

        #[test]
        fn any_text_is_answered(text in "\\PC{0,80}") {
            let _ = read("acme.json", text.as_bytes());
        }
    }
}
