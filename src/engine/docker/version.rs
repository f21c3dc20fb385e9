//! The version of the API.
//!
//! bollard negotiates a version but, as of 0.21.1, leaves it out of its requests, so that each daemon
//! answers in its newest. Here every request carries the negotiated version.

use bollard::{BollardRequest, ClientVersion, Docker};
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, HeaderValue};

/// The client with its negotiated version in every request.
pub fn pinned(client: Docker) -> Docker {
    let version = client.client_version();
    client.with_request_modifier(move |mut request: BollardRequest| {
        if let Some(uri) = versioned(request.uri(), version) {
            *request.uri_mut() = uri;
        }
        mend_login(request.headers_mut());
        request
    })
}

/// `None`: the address has a version already, or is no path.
fn versioned(uri: &Uri, version: ClientVersion) -> Option<Uri> {
    let asked = uri.path_and_query()?;
    if asked.path().starts_with("/v1.") {
        return None;
    }
    address(uri, version, asked.as_str())
}

/// `target` at the daemon of `uri`; none when it is no path with a query.
pub fn address(uri: &Uri, version: ClientVersion, target: &str) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(format!("/v{version}{target}")).ok()?);
    Uri::from_parts(parts).ok()
}

/// Docker reads this header in base64's alphabet for URLs and bollard writes it in the other
/// one; they differ for some passwords with `>`, `?` or `~`.
fn mend_login(headers: &mut HeaderMap) {
    let Some(login) = headers.get_mut("x-registry-auth") else {
        return;
    };
    let text = login.to_str().unwrap_or_default();
    if let Ok(mut mended) = HeaderValue::try_from(text.replace('+', "-").replace('/', "_")) {
        mended.set_sensitive(true);
        *login = mended;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_says_its_version_once() {
        let version = ClientVersion {
            major_version: 1,
            minor_version: 41,
        };
        let versioned = |uri: &str| {
            let uri = versioned(&uri.parse().unwrap(), version);
            uri.map(|uri| uri.to_string())
        };
        let uri = versioned("unix://2f746d70/containers/json?all=true&filters=%7B%7D");
        let expected = "unix://2f746d70/v1.41/containers/json?all=true&filters=%7B%7D";
        assert_eq!(uri.as_deref(), Some(expected));
        let uri = versioned("http://box:2375/_ping");
        assert_eq!(uri.as_deref(), Some("http://box:2375/v1.41/_ping"));
        assert_eq!(versioned("http://box:2375/v1.41/_ping"), None);
    }

    #[test]
    fn a_login_is_in_the_alphabet_that_docker_reads() {
        let mut headers = HeaderMap::new();
        mend_login(&mut headers);
        headers.insert("x-registry-auth", HeaderValue::from_static("a+b/c="));
        mend_login(&mut headers);
        assert_eq!(headers["x-registry-auth"], "a-b_c=");
    }
}
