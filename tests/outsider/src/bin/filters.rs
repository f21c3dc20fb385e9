//! A Tidegate with filters that do all that filters may: wait, read bodies, rewrite targets, own
//! headers, transform answers and give others instead, each by the path of the request.

#![forbid(unsafe_code)]

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tidegate::plugin::prelude::*;
use tokio::time::sleep;

static OWNED: [HeaderName; 1] = [HeaderName::from_static("remote-user")];
/// Decisions that were dropped before they were made.
static DROPPED: AtomicU32 = AtomicU32::new(0);

fn answer(status: StatusCode, body: impl Into<Bytes>) -> Verdict {
    Verdict::Answer(Answer {
        status,
        headers: Vec::new(),
        body: body.into(),
    })
}

/// Decides who may pass.
#[derive(Deserialize)]
struct Gate {}

impl Plugin for Gate {
    const NAME: &'static str = "gate";

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        hooks.filter(self);
        Ok(())
    }
}

#[async_trait]
impl Filter for Gate {
    fn owns(&self) -> &[HeaderName] {
        &OWNED
    }

    fn request(&self, request: &mut Request<'_>) -> Verdict {
        match request.head.uri.path() {
            "/old" => request.rewrite(Uri::from_static("/new?from=old")),
            "/dropped" => {
                let count = DROPPED.load(Ordering::Relaxed);
                return answer(StatusCode::OK, count.to_string());
            }
            "/upper/denied" => return answer(StatusCode::FORBIDDEN, "denied"),
            "/body" => return Verdict::Body(16),
            path if path.starts_with("/wait") => return Verdict::Wait,
            _ => {}
        }
        Verdict::Continue
    }

    async fn decide(&self, request: &mut Request<'_>) -> Verdict {
        match request.head.uri.query() {
            Some("hang") => {
                let _undecided = Undecided;
                pending::<()>().await;
            }
            Some("deny") => return answer(StatusCode::FORBIDDEN, "denied"),
            _ => sleep(Duration::from_millis(20)).await,
        }
        request.exchange.user = Some(Arc::from("alice"));
        let inserted = request.head.insert_header("remote-user", "alice");
        inserted.expect("it is a header");
        Verdict::Continue
    }

    fn body(&self, request: &mut Request<'_>, body: &[u8]) -> Verdict {
        if body == b"evil" {
            return answer(StatusCode::FORBIDDEN, "denied");
        }
        let inserted = request.head.insert_header("x-read", body.len());
        inserted.expect("it is a header");
        Verdict::Continue
    }
}

struct Undecided;

impl Drop for Undecided {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

/// Makes bodies upper case, with a mark at the end.
#[derive(Deserialize)]
struct Upper {}

impl Plugin for Upper {
    const NAME: &'static str = "upper";

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        hooks.filter(self);
        Ok(())
    }
}

impl Filter for Upper {
    fn response(&self, response: &mut Response<'_>) {
        if response.request.uri.path().starts_with("/upper") && response.transform(Shout) {
            let _ = response.head.insert_header("x-upper", "yes");
        }
    }
}

struct Shout;

impl Transform for Shout {
    fn piece(&mut self, piece: &[u8], is_last: bool, out: &mut BytesMut) -> Result<(), Broken> {
        out.extend(piece.iter().map(u8::to_ascii_uppercase));
        if is_last {
            out.extend_from_slice(b"!");
        }
        Ok(())
    }
}

/// Answers instead of replicas that fail.
#[derive(Deserialize)]
struct Pages {}

impl Plugin for Pages {
    const NAME: &'static str = "pages";

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        hooks.filter(self);
        Ok(())
    }
}

impl Filter for Pages {
    fn response(&self, response: &mut Response<'_>) {
        let is_failure = response.head.status.is_server_error();
        let is_unwanted = response.request.uri.path() == "/socket/unwanted";
        if response.origin == Origin::Replica && (is_failure || is_unwanted) {
            response.answer_instead(Answer {
                status: StatusCode::BAD_GATEWAY,
                headers: Vec::new(),
                body: Bytes::from_static(b"sorry"),
            });
        }
    }
}

fn main() -> std::process::ExitCode {
    let plugins = tidegate::plugins::standard();
    tidegate::main(plugins.with::<Gate>().with::<Upper>().with::<Pages>())
}
