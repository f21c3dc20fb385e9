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
    http: HashMap<String, Arc<str>>,
    /// TLS-ALPN-01: certificates by name in lower case.
    tls: HashMap<String, Arc<CertifiedKey>>,
}

/// An answer that is given until this is dropped.
#[derive(Debug)]
#[must_use = "the answer is removed when this is dropped"]
pub struct AnsweredChallenge {
    challenges: Challenges,
    key: AnswerKey,
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
        self.change(|answers| {
            answers.http.insert(token.to_owned(), Arc::clone(&value));
        });
        self.answered(AnswerKey::Http(token.to_owned()))
    }

    /// Answers TLS-ALPN-01 for the server name `name` with `certificate`. For an IP address the
    /// server name is its name below `in-addr.arpa` or `ip6.arpa`.
    pub fn answer_tls(&self, name: &str, certificate: Arc<CertifiedKey>) -> AnsweredChallenge {
        let name = name.to_ascii_lowercase();
        self.change(|answers| {
            answers.tls.insert(name.clone(), Arc::clone(&certificate));
        });
        self.answered(AnswerKey::Tls(name))
    }

    /// Key authorization for the token of an HTTP-01 request.
    pub fn http(&self, token: &str) -> Option<Arc<str>> {
        self.shared.load().http.get(token).cloned()
    }

    /// Certificate for the server name, in lower case, of a TLS-ALPN-01 hello.
    pub fn tls(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.shared.load().tls.get(name).cloned()
    }

    fn change(&self, change: impl Fn(&mut Answers)) {
        self.shared.rcu(|answers| {
            let mut answers = Answers::clone(answers);
            change(&mut answers);
            answers
        });
    }

    fn answered(&self, key: AnswerKey) -> AnsweredChallenge {
        AnsweredChallenge {
            challenges: self.clone(),
            key,
        }
    }
}

impl Drop for AnsweredChallenge {
    fn drop(&mut self) {
        let key = &self.key;
        self.challenges.change(|answers| match key {
            AnswerKey::Http(token) => drop(answers.http.remove(token)),
            AnswerKey::Tls(name) => drop(answers.tls.remove(name)),
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
}
