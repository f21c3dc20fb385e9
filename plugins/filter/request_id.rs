use crate::plugin::prelude::*;
use uuid::Uuid;

/// Gives every request an id, for the service, the answer and the access log.
///
/// A client's own id is replaced, because it may be of any form, or another request's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestId {
    /// The header that carries the id.
    #[serde(default = "default_header")]
    header: String,
}

fn default_header() -> String {
    "x-request-id".into()
}

impl Plugin for RequestId {
    const NAME: &'static str = "request-id";
    const ALWAYS: bool = true;

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        let header = HeaderName::from_bytes(self.header.as_bytes()).map_err(|_| {
            let message = format!("`header`: {:?} is not the name of a header", self.header);
            PluginError::new(message)
        })?;
        hooks.filter(Stamp(header));
        Ok(())
    }
}

struct Stamp(HeaderName);

impl Filter for Stamp {
    fn sees_all(&self) -> bool {
        true
    }

    fn request(&self, request: &mut Request<'_>) -> Verdict {
        let id = new_id();
        let inserted = request.head.insert_header(self.0.clone(), id.clone());
        debug_assert!(inserted.is_ok(), "both were checked");
        request.exchange.id = Some(id);
        Verdict::Continue
    }

    fn response(&self, response: &mut Response<'_>) {
        if let Some(id) = &response.exchange.id {
            let inserted = response.head.insert_header(self.0.clone(), id.clone());
            debug_assert!(inserted.is_ok(), "both were checked");
        }
    }
}

fn new_id() -> HeaderValue {
    let mut buffer = Uuid::encode_buffer();
    let text = Uuid::new_v4().hyphenated().encode_lower(&mut buffer);
    HeaderValue::from_str(text).expect("a UUID is plain ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a request with a client's own id through the filter and returns what was made of it.
    fn pass(yaml: &str) -> (RequestHeader, ResponseHeader, Exchange) {
        let filter = testing::install::<RequestId>(yaml)
            .unwrap()
            .filters
            .remove(0);
        let mut head = RequestHeader::build("GET", b"/", None).unwrap();
        head.insert_header("X-Request-ID", "spoofed").unwrap();
        let mut exchange = testing::exchange();
        filter.request(&mut Request {
            head: &mut head,
            exchange: &mut exchange,
        });
        let answer = ResponseHeader::build(200, None).unwrap();
        let answer = testing::answered(&*filter, &mut exchange, answer);
        (head, answer, exchange)
    }

    #[test]
    fn one_new_id_goes_up_and_down_and_into_the_log() {
        let (head, answer, exchange) = pass("");
        let id = exchange.id.expect("an id was given");
        assert_eq!(id.len(), 36);
        let sent: Vec<_> = head.headers.get_all("x-request-id").iter().collect();
        assert_eq!(sent, [&id]);
        assert_eq!(answer.headers.get("x-request-id"), Some(&id));
        assert_ne!(pass("").2.id, Some(id), "no two requests share an id");
    }

    #[test]
    fn the_header_may_be_named() {
        let (head, answer, exchange) = pass("header: X-Trace");
        assert_eq!(head.headers.get("x-trace"), exchange.id.as_ref());
        assert_eq!(answer.headers.get("x-trace"), exchange.id.as_ref());
        assert_eq!(answer.headers.get("x-request-id"), None);
    }

    #[test]
    fn a_name_that_is_no_header_is_refused() {
        let error = testing::install::<RequestId>("header: a b")
            .err()
            .expect("refused");
        assert_eq!(error, "`header`: \"a b\" is not the name of a header");
    }
}
