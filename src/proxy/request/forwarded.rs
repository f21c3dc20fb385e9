//! Forwarding headers: reliable facts about the client and its connection.

use crate::proxy::hygiene;
use crate::service::network::{Network, any_contains};
use http::header::{HOST, HeaderName};
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue};
use pingora::http::RequestHeader;
use std::net::{IpAddr, SocketAddr};

/// Headers with claims about a client. The first four count when a trusted proxy sets them; the
/// others may come from anybody before that proxy.
const CLAIMS: [&str; 7] = [
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-server",
    "forwarded",
    "x-real-ip",
];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
static NAMES: [HeaderName; 4] = [
    FORWARDED_FOR,
    FORWARDED_PROTO,
    FORWARDED_HOST,
    FORWARDED_PORT,
];
const HTTP: HeaderValue = HeaderValue::from_static("http");
const HTTPS: HeaderValue = HeaderValue::from_static("https");

/// The client's address: `peer`'s or, behind trusted proxies, the nearest one in
/// `X-Forwarded-For` that is not trusted itself.
pub fn client(head: &RequestHeader, peer: Option<IpAddr>, trusted: &[Network]) -> Option<IpAddr> {
    let mut client = peer?;
    let lines = head.headers.get_all(FORWARDED_FOR).iter().rev();
    for link in lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(',')) {
        if !any_contains(trusted, client) {
            break;
        }
        let Some(link) = address(link.trim()) else {
            break;
        };
        client = link;
    }
    Some(client.to_canonical())
}

/// Headers about a client that its request is sent on with; the values of [`NAMES`].
#[derive(Default)]
pub struct Forwarded([Option<HeaderValue>; 4]);

impl Forwarded {
    /// Removes the client's claims about itself, and returns what we know; behind a trusted
    /// proxy, after what that one knows.
    pub fn take(
        head: &mut RequestHeader,
        peer: Option<&Peer>,
        scheme: &Scheme,
        trusted: &[Network],
    ) -> Forwarded {
        let told = match peer.is_some_and(|peer| any_contains(trusted, peer.address)) {
            true => Told::by(&head.headers),
            false => Told::default(),
        };
        // Most claim nothing.
        if head.headers.keys().any(is_claim) {
            for claim in CLAIMS {
                head.remove_header(claim);
            }
        }
        let chain = peer.map(|peer| match told.links {
            Some(links) => {
                let text = format!("{links}, {}", peer.address.to_canonical());
                HeaderValue::from_str(&text).expect("it was one before, and an address is")
            }
            None => peer.text.clone(),
        });
        let host = told.host.or_else(|| head.headers.get(HOST).cloned());
        let proto = told
            .proto
            .unwrap_or_else(|| match *scheme == Scheme::HTTPS {
                true => HTTPS,
                false => HTTP,
            });
        Forwarded([chain, Some(proto), host, told.port])
    }

    /// Adds the headers that no filter has set.
    pub fn complete(&self, head: &mut RequestHeader) {
        let is_set = head.headers.keys().any(is_claim);
        for (name, value) in NAMES.iter().zip(&self.0) {
            if let Some(value) = value
                && !(is_set && head.headers.contains_key(name))
            {
                let _ = head.insert_header(name.clone(), value.clone());
            }
        }
    }

    /// The headers that no filter has set.
    pub fn missing_in(
        &self,
        head: &RequestHeader,
    ) -> impl Iterator<Item = (&'static HeaderName, &HeaderValue)> {
        // Most filters set none.
        let has_some = head.headers.keys().any(is_claim);
        let all = NAMES.iter().zip(&self.0);
        let all = all.filter_map(|(name, value)| Some((name, value.as_ref()?)));
        all.filter(move |(name, _)| !has_some || !head.headers.contains_key(*name))
    }
}

fn is_claim(name: &HeaderName) -> bool {
    let name = name.as_str();
    (name.starts_with("x-") || name.starts_with('f')) && CLAIMS.contains(&name)
}

/// The other end of a connection, as an address and as the value of a header.
#[derive(Clone, Debug)]
pub struct Peer {
    pub address: IpAddr,
    text: HeaderValue,
}

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Peer {
        let text = HeaderValue::from_str(&address.to_canonical().to_string());
        Peer {
            address,
            text: text.expect("an address is plain ASCII"),
        }
    }
}

/// The valid claims of a trusted proxy.
#[derive(Default)]
struct Told {
    links: Option<String>,
    proto: Option<HeaderValue>,
    host: Option<HeaderValue>,
    port: Option<HeaderValue>,
}

impl Told {
    fn by(headers: &HeaderMap) -> Told {
        let links = headers.get_all(FORWARDED_FOR).iter();
        let links: Vec<&str> = links.filter_map(|line| line.to_str().ok()).collect();
        let proto = headers.get(FORWARDED_PROTO).and_then(|proto| {
            match proto.as_bytes().to_ascii_lowercase().as_slice() {
                b"http" => Some(HTTP),
                b"https" => Some(HTTPS),
                _ => None,
            }
        });
        let is_host = |host: &&HeaderValue| hygiene::is_host(host.as_bytes());
        let is_port = |port: &&HeaderValue| {
            let port = port.to_str().ok().and_then(|port| port.parse::<u16>().ok());
            port.is_some_and(|port| port > 0)
        };
        Told {
            links: (!links.is_empty()).then(|| links.join(", ")),
            proto,
            host: headers.get(FORWARDED_HOST).filter(is_host).cloned(),
            port: headers.get(FORWARDED_PORT).filter(is_port).cloned(),
        }
    }
}

/// An address as it may stand in `X-Forwarded-For`: with a port, or brackets, or neither.
fn address(text: &str) -> Option<IpAddr> {
    let inner = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let whole = inner.unwrap_or(text).parse().ok();
    whole.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_forwarded(head: &mut RequestHeader, peer: Option<&Peer>, trusted: &[Network]) {
        Forwarded::take(head, peer, &Scheme::HTTP, trusted).complete(head);
    }

    fn all(head: &RequestHeader, name: &str) -> Vec<String> {
        let values = head.headers.get_all(name).iter();
        values
            .map(|value| value.to_str().unwrap().to_owned())
            .collect()
    }

    fn head(lines: &[(&'static str, &str)]) -> RequestHeader {
        let mut head = RequestHeader::build("GET", b"/", None).unwrap();
        head.insert_header("host", "example.com").unwrap();
        for (name, value) in lines {
            head.append_header(*name, *value).unwrap();
        }
        head
    }

    fn trusted() -> Vec<Network> {
        vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]
    }

    #[test]
    fn what_a_client_claims_is_replaced_by_what_we_know() {
        let claims = CLAIMS.map(|name| (name, "6.6.6.6"));
        let mut head = head(&[&claims[..], &[("x-forwarded-for", "7.7.7.7")]].concat());
        let peer: Option<IpAddr> = Some("::ffff:192.0.2.9".parse().unwrap());
        assert_eq!(
            client(&head, peer, &trusted()),
            Some("192.0.2.9".parse().unwrap())
        );
        set_forwarded(&mut head, peer.map(Peer::from).as_ref(), &trusted());
        assert_eq!(all(&head, "x-forwarded-for"), ["192.0.2.9"]);
        assert_eq!(all(&head, "x-forwarded-proto"), ["http"]);
        assert_eq!(all(&head, "x-forwarded-host"), ["example.com"]);
        for gone in ["forwarded", "x-real-ip", "x-forwarded-port"] {
            assert!(all(&head, gone).is_empty(), "{gone}");
        }
    }

    #[test]
    fn what_a_trusted_proxy_says_counts_and_ours_is_added() {
        let mut head = head(&[
            ("x-forwarded-for", "6.6.6.6, 203.0.113.5"),
            ("x-forwarded-for", "10.0.0.3"),
            ("x-forwarded-proto", "HTTPS"),
            ("x-forwarded-host", "shop.example.com:444"),
            ("x-forwarded-port", "444"),
            ("forwarded", "for=6.6.6.6"),
            ("x-real-ip", "6.6.6.6"),
        ]);
        let peer: Option<IpAddr> = Some("10.0.0.2".parse().unwrap());
        set_forwarded(&mut head, peer.map(Peer::from).as_ref(), &trusted());
        let chain = "6.6.6.6, 203.0.113.5, 10.0.0.3, 10.0.0.2";
        assert_eq!(all(&head, "x-forwarded-for"), [chain]);
        assert_eq!(all(&head, "x-forwarded-proto"), ["https"]);
        assert_eq!(all(&head, "x-forwarded-host"), ["shop.example.com:444"]);
        assert_eq!(all(&head, "x-forwarded-port"), ["444"]);
        assert!(all(&head, "forwarded").is_empty() && all(&head, "x-real-ip").is_empty());
    }

    #[test]
    fn nonsense_from_a_trusted_proxy_is_replaced_too() {
        let mut head = head(&[
            ("x-forwarded-proto", "javascript"),
            ("x-forwarded-host", "a b"),
            ("x-forwarded-port", "0"),
        ]);
        let peer = Peer::from("10.0.0.2".parse::<IpAddr>().unwrap());
        set_forwarded(&mut head, Some(&peer), &trusted());
        assert_eq!(all(&head, "x-forwarded-for"), ["10.0.0.2"]);
        assert_eq!(all(&head, "x-forwarded-proto"), ["http"]);
        assert_eq!(all(&head, "x-forwarded-host"), ["example.com"]);
        assert!(all(&head, "x-forwarded-port").is_empty());
    }

    #[test]
    fn a_header_that_a_filter_sets_stays() {
        let mut head = head(&[("x-forwarded-proto", "gopher"), ("x-forwarded-port", "1")]);
        let peer = Peer::from("192.0.2.9".parse::<IpAddr>().unwrap());
        let forwarded = Forwarded::take(&mut head, Some(&peer), &Scheme::HTTP, &trusted());
        head.insert_header("x-forwarded-proto", "https").unwrap();
        let missing: Vec<_> = forwarded.missing_in(&head).collect();
        let (address, host) = (
            &"192.0.2.9".parse().unwrap(),
            &"example.com".parse().unwrap(),
        );
        assert_eq!(
            missing,
            [(&FORWARDED_FOR, address), (&FORWARDED_HOST, host)]
        );
        forwarded.complete(&mut head);
        assert_eq!(all(&head, "x-forwarded-proto"), ["https"]);
        assert_eq!(all(&head, "x-forwarded-for"), ["192.0.2.9"]);
        assert!(all(&head, "x-forwarded-port").is_empty());
    }

    #[test]
    fn the_scheme_is_the_connections_unless_a_trusted_proxy_knows_better() {
        for (peer, claim, expected) in [
            ("192.0.2.9", "http", "https"),
            ("10.0.0.2", "http", "http"),
            ("10.0.0.2", "gopher", "https"),
        ] {
            let mut head = head(&[("x-forwarded-proto", claim)]);
            let peer = Peer::from(peer.parse::<IpAddr>().unwrap());
            let forwarded = Forwarded::take(&mut head, Some(&peer), &Scheme::HTTPS, &trusted());
            forwarded.complete(&mut head);
            assert_eq!(all(&head, "x-forwarded-proto"), [expected]);
        }
    }

    #[test]
    fn the_client_is_the_nearest_that_is_not_trusted() {
        for (peer, lines, expected) in [
            ("192.0.2.1", &["6.6.6.6"][..], "192.0.2.1"),
            ("10.0.0.2", &[], "10.0.0.2"),
            ("10.0.0.2", &["203.0.113.5"], "203.0.113.5"),
            ("10.0.0.2", &["6.6.6.6, 203.0.113.5"], "203.0.113.5"),
            (
                "10.0.0.2",
                &["6.6.6.6", "203.0.113.5,10.0.0.3"],
                "203.0.113.5",
            ),
            ("10.0.0.2", &["6.6.6.6, unknown, 10.0.0.3"], "10.0.0.3"),
            ("10.0.0.2", &["203.0.113.5:4711"], "203.0.113.5"),
            ("10.0.0.2", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.2", &["[2001:db8::1]"], "2001:db8::1"),
            ("fd00::2", &["2001:db8::1"], "2001:db8::1"),
            ("::ffff:10.0.0.2", &["203.0.113.5"], "203.0.113.5"),
            ("10.0.0.2", &["10.0.0.4, 10.0.0.3"], "10.0.0.4"),
        ] {
            let lines: Vec<_> = lines
                .iter()
                .map(|line| ("x-forwarded-for", *line))
                .collect();
            let found = client(&head(&lines), Some(peer.parse().unwrap()), &trusted());
            assert_eq!(found, Some(expected.parse().unwrap()), "{peer} {lines:?}");
        }
    }
}
