//! Forwarding headers: what the client says of itself is replaced by what we know.

use http::HeaderValue;
use http::header::HeaderName;
use pingora::http::RequestHeader;
use std::net::IpAddr;

/// A client's own word on who it is and how it came here. Nobody vouches for it.
const CLAIMS: [&str; 7] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-real-ip",
];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const HTTP: HeaderValue = HeaderValue::from_static("http");

pub fn set_forwarded(upstream: &mut RequestHeader, client: Option<IpAddr>) {
    for claim in CLAIMS {
        upstream.remove_header(claim);
    }
    if let Some(client) = client {
        let text = client.to_canonical().to_string();
        let value = HeaderValue::from_str(&text).expect("an address is ASCII");
        let _ = upstream.insert_header(FORWARDED_FOR, value);
    }
    let _ = upstream.insert_header(FORWARDED_PROTO, HTTP);
    if let Some(host) = upstream.headers.get(http::header::HOST).cloned() {
        let _ = upstream.insert_header(FORWARDED_HOST, host);
    }
}

/// The bytes that a request's header lines take, as they would be written.
pub fn size(head: &RequestHeader) -> u64 {
    let lines = head.headers.iter();
    let lines = lines.map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    let target = head.raw_path().len();
    (lines.sum::<usize>() + target) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_own_forwarding_headers_are_replaced() {
        let mut head = RequestHeader::build("GET", b"/", None).unwrap();
        for name in CLAIMS {
            head.append_header(name, "6.6.6.6").unwrap();
        }
        head.append_header("x-forwarded-for", "7.7.7.7").unwrap();
        head.insert_header("host", "example.com").unwrap();
        set_forwarded(&mut head, Some("::ffff:10.0.0.9".parse().unwrap()));
        let all = |name: &str| -> Vec<_> {
            let values = head.headers.get_all(name).iter();
            values
                .map(|value| value.to_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(all("x-forwarded-for"), ["10.0.0.9"]);
        assert_eq!(all("x-forwarded-proto"), ["http"]);
        assert_eq!(all("x-forwarded-host"), ["example.com"]);
        assert!(all("forwarded").is_empty() && all("x-real-ip").is_empty());
    }
}
