use super::backend::{LAST_RESORT, in_words};
use super::http::{Asked, default_host};
use super::tcp::TcpProbe;
use crate::plugin::prelude::*;
use pingora::ErrorType;
use std::sync::atomic::{AtomicBool, Ordering};

/// Silence after a request that shows another protocol, before the first HTTP answer.
const SILENCE: Duration = Duration::from_millis(500);

/// A replica is healthy when `GET path` is answered with any status below 500.
///
/// Programs that do not speak HTTP are healthy when they accept a connection. The first answer of
/// HTTP from any replica of the service ends this concession: from then on silence, a closed
/// connection and garbage are failures.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// Path and query of the request.
    #[serde(default = "default_path")]
    path: String,
    /// The `Host` header.
    #[serde(default = "default_host")]
    host: String,
}

fn default_path() -> String {
    "/".into()
}

impl Plugin for Answers {
    const NAME: &'static str = "answers";

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        let is_well = |status| status < 500;
        let upstream = hooks.upstream();
        hooks.probe(AnswersProbe {
            first: Asked::new(&self.path, &self.host, SILENCE, upstream, is_well)?,
            later: Asked::new(&self.path, &self.host, LAST_RESORT, upstream, is_well)?,
            // A declared protocol leaves nothing to find out.
            speaks_http: AtomicBool::new(*upstream != Upstream::default()),
        });
        Ok(())
    }
}

struct AnswersProbe {
    /// The check until a replica has answered HTTP.
    first: Asked,
    later: Asked,
    speaks_http: AtomicBool,
}

#[async_trait]
impl Probe for AnswersProbe {
    async fn check(&self, address: SocketAddr) -> Result<(), String> {
        if self.speaks_http.load(Ordering::Relaxed) {
            let checked = self.later.check(address).await;
            return checked.map_err(|error| self.later.in_words(&error));
        }
        let Err(error) = self.first.check(address).await else {
            self.speaks_http.store(true, Ordering::Relaxed);
            return Ok(());
        };
        match error.etype() {
            ErrorType::HTTPStatus(_) => {
                self.speaks_http.store(true, Ordering::Relaxed);
                Err(self.first.in_words(&error))
            }
            ErrorType::ConnectRefused
            | ErrorType::ConnectNoRoute
            | ErrorType::ConnectTimedout
            | ErrorType::ConnectError => Err(in_words(&error)),
            // Another protocol's greeting, or its silence until the client speaks that protocol.
            ErrorType::InvalidHTTPHeader | ErrorType::H1Error | ErrorType::ReadTimedout => Ok(()),
            // Closed after the HTTP request; Docker's proxy closes before it.
            _ => TcpProbe.check(address).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A program's behaviour on a connection once it has read something.
    #[derive(Clone, Copy, Debug)]
    enum Program {
        Says(&'static str),
        Closes,
        IsSilent,
        /// Docker's proxy, for a container without a listener.
        ClosesAtOnce,
    }
    use Program::*;

    const FOUND: Program = Says("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    const ELSEWHERE: Program = Says("HTTP/1.1 302 Found\r\nlocation: /login\r\n\r\n");
    const UNKNOWN: Program = Says("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    const BROKEN: Program = Says("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n");
    const GREETING: Program = Says("SSH-2.0-OpenSSH_9.2\r\n\r\n");

    /// Checks programs of one service, one after the other, and returns the last result.
    async fn checked(programs: &[Program]) -> Result<(), String> {
        let probe = testing::install::<Answers>("").unwrap().probe.unwrap();
        let mut verdict = Ok(());
        for program in programs {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = tokio::spawn(serve(listener, *program));
            let timeout = tokio::time::timeout(4 * SILENCE, probe.check(address));
            verdict = timeout.await.unwrap_or(Err("no answer".to_owned()));
            server.abort();
        }
        verdict
    }

    async fn serve(listener: TcpListener, program: Program) {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            if matches!(program, ClosesAtOnce) {
                continue;
            }
            tokio::spawn(async move {
                let length = client.read(&mut [0; 4096]).await.unwrap_or(0);
                match program {
                    _ if length == 0 => {}
                    Says(text) => client.write_all(text.as_bytes()).await.unwrap(),
                    IsSilent => std::future::pending().await,
                    Closes | ClosesAtOnce => {}
                }
            });
        }
    }

    #[tokio::test]
    async fn any_answer_below_500_is_healthy_and_a_connection_is_enough_where_there_is_no_http() {
        let sick = |why: &str| Err(why.to_owned());
        for (programs, verdict) in [
            (&[FOUND][..], Ok(())),
            (&[ELSEWHERE], Ok(())),
            (&[UNKNOWN], Ok(())),
            (&[BROKEN], sick("answered 500 to GET /")),
            // Another protocol.
            (&[GREETING], Ok(())),
            (&[IsSilent], Ok(())),
            (&[Closes], Ok(())),
            (
                &[ClosesAtOnce],
                sick("accepted a connection and closed it at once"),
            ),
            // HTTP was seen, so the same is a failure.
            (&[FOUND, IsSilent], sick("no answer")),
            (&[BROKEN, IsSilent], sick("no answer")),
            (
                &[UNKNOWN, Closes],
                sick("closed the connection without an answer"),
            ),
            (&[FOUND, GREETING], sick("the answer is not HTTP")),
            (&[FOUND, BROKEN, FOUND], Ok(())),
        ] {
            assert_eq!(checked(programs).await, verdict, "{programs:?}");
        }
    }

    #[tokio::test]
    async fn a_closed_port_is_not_healthy() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let probe = testing::install::<Answers>("").unwrap().probe.unwrap();
        let refused = Err("connection refused".to_owned());
        assert_eq!(probe.check(address).await, refused);
    }
}
