//! Conditions of a claim beyond host and path.

use crate::service::network::{Network, any_contains};
use http::{HeaderName, HeaderValue, Method};
use percent_encoding::percent_decode_str;
use pingora::http::RequestHeader;
use std::net::IpAddr;

/// Conditions that must all hold.
#[derive(Clone, Default)]
pub struct When(Box<[Condition]>);

#[derive(Clone)]
pub enum Condition {
    /// One of these methods.
    Method(Vec<Method>),
    /// A line of this name with this value.
    Header(HeaderName, HeaderValue),
    /// The first parameter of this name has this value, both without percent-encoding.
    Query(String, String),
    /// A client in one of these networks.
    Client(Vec<Network>),
}

impl When {
    pub fn new(conditions: Vec<Condition>) -> When {
        When(conditions.into())
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn holds(&self, head: &RequestHeader, client: Option<IpAddr>) -> bool {
        let mut conditions = self.0.iter();
        conditions.all(|condition| condition.holds(head, client))
    }
}

impl Condition {
    fn holds(&self, head: &RequestHeader, client: Option<IpAddr>) -> bool {
        match self {
            Condition::Method(methods) => methods.contains(&head.method),
            Condition::Header(name, value) => {
                head.headers.get_all(name).iter().any(|line| line == value)
            }
            Condition::Query(name, value) => parameter(head.uri.query().unwrap_or_default(), name)
                .is_some_and(|found| is(found, value)),
            Condition::Client(networks) => {
                client.is_some_and(|client| any_contains(networks, client))
            }
        }
    }
}

/// The value of the first parameter `name`, as it is encoded.
fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let mut parameters = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let (_, value) = parameters.find(|(found, _)| is(found, name))?;
    Some(value)
}

fn is(encoded: &str, text: &str) -> bool {
    percent_decode_str(encoded).eq(text.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(conditions: &[Condition], target: &str, client: &str) -> bool {
        let mut head = RequestHeader::build("GET", target.as_bytes(), None).unwrap();
        head.append_header("x-beta", "0").unwrap();
        head.append_header("x-beta", "1").unwrap();
        When::new(conditions.to_vec()).holds(&head, client.parse().ok())
    }

    #[test]
    fn all_conditions_must_hold() {
        let header = |value| {
            Condition::Header(
                HeaderName::from_static("x-beta"),
                HeaderValue::from_static(value),
            )
        };
        let query = Condition::Query("v".to_owned(), "2 ".to_owned());
        let client = Condition::Client(vec!["10.0.0.0/8".parse().unwrap()]);
        let method = Condition::Method(vec![Method::HEAD, Method::GET]);
        let all = [method, header("1"), query, client];
        assert!(holds(&[], "/", ""));
        assert!(holds(&all, "/?a&v=2%20&v=3", "10.1.2.3"));
        for (conditions, target, client) in [
            (&all[..], "/?v=2%20", "11.1.2.3"),
            (&all, "/?v=2%20", ""),
            (&all, "/?v=3&v=2%20", "10.1.2.3"),
            (&all, "/?v", "10.1.2.3"),
            (&all, "/", "10.1.2.3"),
            (&[header("2")], "/", ""),
            (&[Condition::Method(vec![Method::POST])], "/", ""),
        ] {
            assert!(!holds(conditions, target, client), "{target} {client}");
        }
    }
}
