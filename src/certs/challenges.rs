//! Answers to the challenges of certificate authorities, while orders are under way.

use arc_swap::ArcSwap;
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::sync::Arc;

/// Path below which HTTP-01 looks for its answers.
pub const HTTP_01_PATH: &str = "/.well-known/acme-challenge/";
/// Protocol by which TLS-ALPN-01 asks for its certificate (RFC 8737).
pub const ACME_TLS_ALPN: &[u8] = b"acme-tls/1";

/// The answers: tasks that order add and remove theirs, and the proxy reads them without waiting.
#[derive(Clone, Debug, Default)]
pub struct Challenges {
    shared: Arc<ArcSwap<Answers>>,
}

#[derive(Clone, Debug, Default)]
struct Answers {
    /// HTTP-01: key authorizations by token.
    http: Given<Arc<str>>,
    /// TLS-ALPN-01: certificates by name in lower case.
    tls: Given<Arc<CertifiedKey>>,
    last_id: u64,
}

/// The same answer may be given twice: by an order, and by a process that looks after it when the
/// order is handed over. Each has an id, and the last one counts.
type Given<T> = HashMap<String, Vec<(u64, T)>>;

/// An answer that is given until this is dropped.
#[derive(Debug)]
#[must_use = "the answer is removed when this is dropped"]
pub struct AnsweredChallenge {
    challenges: Challenges,
    key: AnswerKey,
    id: u64,
}

#[derive(Clone, Debug)]
enum AnswerKey {
    Http(String),
    Tls(String),
}

impl Challenges {
    /// Answers HTTP-01 for `token` with `key_authorization`.
    pub fn answer_http(&self, token: &str, key_authorization: &str) -> AnsweredChallenge {
        let value: Arc<str> = key_authorization.into();
        let id = self.change(|answers| {
            answers.last_id += 1;
            let given = answers.http.entry(token.to_owned()).or_default();
            given.push((answers.last_id, Arc::clone(&value)));
        });
        self.answered(AnswerKey::Http(token.to_owned()), id)
    }

    /// Answers TLS-ALPN-01 for the server name `name` with `certificate`. For an IP address the
    /// server name is its name below `in-addr.arpa` or `ip6.arpa`.
    pub fn answer_tls(&self, name: &str, certificate: Arc<CertifiedKey>) -> AnsweredChallenge {
        let name = name.to_ascii_lowercase();
        let id = self.change(|answers| {
            answers.last_id += 1;
            let given = answers.tls.entry(name.clone()).or_default();
            given.push((answers.last_id, Arc::clone(&certificate)));
        });
        self.answered(AnswerKey::Tls(name), id)
    }

    /// Key authorization for the token of an HTTP-01 request.
    pub fn http(&self, token: &str) -> Option<Arc<str>> {
        last(&self.shared.load().http, token)
    }

    /// Certificate for the server name, in lower case, of a TLS-ALPN-01 hello.
    pub fn tls(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        last(&self.shared.load().tls, name)
    }

    /// Returns the last id after the change.
    fn change(&self, change: impl Fn(&mut Answers)) -> u64 {
        let mut id = 0;
        self.shared.rcu(|answers| {
            let mut answers = Answers::clone(answers);
            change(&mut answers);
            id = answers.last_id;
            answers
        });
        id
    }

    fn answered(&self, key: AnswerKey, id: u64) -> AnsweredChallenge {
        AnsweredChallenge {
            challenges: self.clone(),
            key,
            id,
        }
    }
}

fn last<T: Clone>(given: &Given<T>, key: &str) -> Option<T> {
    let (_, value) = given.get(key)?.last()?;
    Some(value.clone())
}

fn remove<T>(given: &mut Given<T>, key: &str, id: u64) {
    if let Some(values) = given.get_mut(key) {
        values.retain(|(given, _)| *given != id);
        if values.is_empty() {
            given.remove(key);
        }
    }
}

impl Drop for AnsweredChallenge {
    fn drop(&mut self) {
        let id = self.id;
        self.challenges.change(|answers| match &self.key {
            AnswerKey::Http(token) => remove(&mut answers.http, token, id),
            AnswerKey::Tls(name) => remove(&mut answers.tls, name, id),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::held::tests::held;
    use super::*;

    #[test]
    fn an_answer_is_there_while_its_order_is_under_way() {
        let challenges = Challenges::default();
        let first = challenges.answer_http("token", "token.thumbprint");
        let key = Arc::clone(&held(&["a.test"]).key);
        let second = challenges.answer_tls("A.test", key);
        assert_eq!(
            challenges.http("token").as_deref(),
            Some("token.thumbprint")
        );
        assert!(challenges.tls("a.test").is_some());
        drop(first);
        assert!(challenges.http("token").is_none());
        assert!(challenges.tls("a.test").is_some());
        drop(second);
        assert!(challenges.tls("a.test").is_none());
    }

    #[test]
    fn an_answer_that_two_give_is_there_until_both_have_gone() {
        let challenges = Challenges::default();
        let order = challenges.answer_http("token", "token.thumbprint");
        let mirror = challenges.answer_http("token", "token.thumbprint");
        drop(order);
        assert!(challenges.http("token").is_some());
        let next = challenges.answer_http("token", "token.thumbprint");
        drop(mirror);
        assert!(challenges.http("token").is_some());
        drop(next);
        assert!(challenges.http("token").is_none());
    }
}
