use super::backend::in_words;
use super::dial::{Http2, connect, head, not_http2};
use crate::plugin::prelude::*;
use bytes::{Buf, BufMut};
use http::{HeaderMap, Request};

const PATH: &str = "/grpc.health.v1.Health/Check";
/// A message's prefix: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;
/// An answer is a status of two bytes and a prefix.
const ANSWER_BYTES_MAX: usize = 4 << 10;
const SERVICE_BYTES_MAX: usize = 1000;

/// A replica is healthy when its `grpc.health.v1.Health` says `SERVING`.
///
/// The check speaks HTTP/2, in the clear or above TLS as requests do.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grpc {
    /// Service of the health protocol; empty: the server as a whole.
    #[serde(default)]
    service: String,
    /// The authority of the request.
    #[serde(default = "super::http::default_host")]
    host: String,
}

impl Plugin for Grpc {
    const NAME: &'static str = "grpc";

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        if self.service.len() > SERVICE_BYTES_MAX {
            return Err(PluginError::new("`service` is longer than 1000 bytes"));
        }
        let upstream = hooks.upstream().clone();
        let head = request(&upstream, &self.host);
        let head = head.map_err(|_| PluginError::new("`host` is not a host name"))?;
        hooks.probe(GrpcProbe {
            upstream,
            head,
            message: message(&self.service),
            service: self.service,
        });
        Ok(())
    }
}

fn request(upstream: &Upstream, host: &str) -> http::Result<Request<()>> {
    let mut head = head(upstream, Method::POST, host, PATH)?;
    let headers = head.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    headers.insert("te", HeaderValue::from_static("trailers"));
    Ok(head)
}

/// A `HealthCheckRequest`: field 1 is the service.
fn message(service: &str) -> Bytes {
    let mut request = BytesMut::new();
    if !service.is_empty() {
        request.put_u8(1 << 3 | 2);
        put_varint(&mut request, service.len());
        request.put_slice(service.as_bytes());
    }
    let mut message = BytesMut::new();
    message.put_u8(0);
    message.put_u32(request.len() as u32);
    message.unsplit(request);
    message.freeze()
}

fn put_varint(out: &mut BytesMut, mut value: usize) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

struct GrpcProbe {
    upstream: Upstream,
    head: Request<()>,
    message: Bytes,
    service: String,
}

#[async_trait]
impl Probe for GrpcProbe {
    async fn check(&self, address: SocketAddr) -> Result<(), String> {
        let asked = self.ask(address).await;
        let answer = asked.map_err(|error| in_words(&error))?;
        self.judge(&answer)
    }
}

struct HealthAnswer {
    status: StatusCode,
    grpc_status: Option<u32>,
    body: Vec<u8>,
}

impl GrpcProbe {
    async fn ask(&self, address: SocketAddr) -> pingora::Result<HealthAnswer> {
        let stream = connect(&self.upstream, address).await?;
        let connection = Http2::begin(stream).await?;
        let mut requests = connection.requests.clone();
        let sent = requests.send_request(self.head.clone(), false);
        let (answer, mut body) = sent.map_err(not_http2)?;
        body.send_data(self.message.clone(), true)
            .map_err(not_http2)?;
        let (head, mut body) = answer.await.map_err(not_http2)?.into_parts();
        let mut whole = Vec::new();
        while let Some(piece) = body.data().await {
            let piece = piece.map_err(not_http2)?;
            if whole.len() + piece.len() > ANSWER_BYTES_MAX {
                break;
            }
            let _ = body.flow_control().release_capacity(piece.len());
            whole.extend_from_slice(&piece);
        }
        let trailers = body.trailers().await.map_err(not_http2)?;
        let status = trailers.as_ref().and_then(grpc_status);
        Ok(HealthAnswer {
            status: head.status,
            grpc_status: status.or_else(|| grpc_status(&head.headers)),
            body: whole,
        })
    }

    fn judge(&self, answer: &HealthAnswer) -> Result<(), String> {
        if answer.status != StatusCode::OK {
            return Err(format!("answered {} to {PATH}", answer.status.as_u16()));
        }
        let service = match self.service.as_str() {
            "" => "the server".to_owned(),
            service => format!("`{service}`"),
        };
        match answer.grpc_status {
            Some(0) => {}
            Some(5) => {
                return Err(format!(
                    "its health service does not know {service}; `healthcheck.service` names one"
                ));
            }
            Some(12) => {
                return Err(
                    "has no `grpc.health.v1.Health`; `healthcheck: { type: tcp }` asks for less"
                        .to_owned(),
                );
            }
            Some(status) => return Err(format!("answered grpc-status {status} to {PATH}")),
            None => return Err("the answer is not gRPC".to_owned()),
        }
        match serving(&answer.body) {
            Some(1) => Ok(()),
            Some(0) => Err(format!("says UNKNOWN of {service}")),
            Some(2) => Err(format!("says NOT_SERVING of {service}")),
            Some(3) => Err(format!("says SERVICE_UNKNOWN of {service}")),
            _ => Err("the answer is not one of `grpc.health.v1`".to_owned()),
        }
    }
}

fn grpc_status(headers: &HeaderMap) -> Option<u32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// The status in a `HealthCheckResponse`, which is field 1; left out, it is 0.
fn serving(mut body: &[u8]) -> Option<u64> {
    if body.len() < PREFIX_BYTES || body.get_u8() != 0 {
        return None;
    }
    let length = body.get_u32() as usize;
    let mut message = body.get(..length)?;
    let mut status = 0;
    while message.has_remaining() {
        let tag = varint(&mut message)?;
        match (tag >> 3, tag & 7) {
            (1, 0) => status = varint(&mut message)?,
            (_, 0) => drop(varint(&mut message)?),
            (_, 2) => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            _ => return None,
        }
    }
    Some(status)
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use h2::server;
    use http::Response;
    use tokio::net::TcpListener;

    /// A health service's answer to one check: headers, message, trailers.
    #[derive(Clone, Copy)]
    struct Says {
        status: u16,
        message: &'static [u8],
        grpc_status: &'static str,
    }

    const SERVING: Says = Says {
        status: 200,
        message: &[0, 0, 0, 0, 2, 8, 1],
        grpc_status: "0",
    };

    /// Checks a server that answers so; returns the result, and the message that it was asked.
    async fn check(yaml: &str, says: Says) -> (Result<(), String>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut connection = server::handshake(stream).await.unwrap();
            let (request, mut respond) = connection.accept().await.unwrap().unwrap();
            assert_eq!(request.uri().path(), PATH);
            assert_eq!(request.headers()["te"], "trailers");
            let served = tokio::spawn(async move { while connection.accept().await.is_some() {} });
            let mut body = request.into_body();
            let asked = body.data().await.unwrap().unwrap();
            let answer = Response::builder().status(says.status).body(()).unwrap();
            let mut sent = respond.send_response(answer, false).unwrap();
            sent.send_data(Bytes::from_static(says.message), false)
                .unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", says.grpc_status.parse().unwrap());
            sent.send_trailers(trailers).unwrap();
            let _ = served.await;
            asked.to_vec()
        });
        let probe = testing::install::<Grpc>(yaml).unwrap().probe.unwrap();
        let verdict = probe.check(address).await;
        (verdict, server.await.unwrap())
    }

    #[tokio::test]
    async fn a_replica_that_says_serving_is_healthy_and_any_other_says_why() {
        let not_serving = &[0, 0, 0, 0, 2, 8, 2];
        for (says, expected) in [
            (SERVING, Ok(())),
            (
                Says {
                    message: not_serving,
                    ..SERVING
                },
                Err("NOT_SERVING of `a.B`"),
            ),
            (
                Says {
                    message: &[0, 0, 0, 0, 0],
                    ..SERVING
                },
                Err("UNKNOWN"),
            ),
            (
                Says {
                    grpc_status: "5",
                    ..SERVING
                },
                Err("does not know `a.B`"),
            ),
            (
                Says {
                    grpc_status: "12",
                    ..SERVING
                },
                Err("has no `grpc.health.v1.Health`"),
            ),
            (
                Says {
                    status: 404,
                    ..SERVING
                },
                Err("answered 404"),
            ),
            (
                Says {
                    message: b"hello",
                    ..SERVING
                },
                Err("not one of"),
            ),
        ] {
            let (verdict, asked) = check("service: a.B", says).await;
            assert_eq!(asked, b"\0\0\0\0\x05\x0a\x03a.B");
            match (verdict, expected) {
                (Ok(()), Ok(())) => {}
                (Err(found), Err(part)) => assert!(found.contains(part), "{found}"),
                (found, _) => panic!("{found:?}, expected {expected:?}"),
            }
        }
    }

    #[tokio::test]
    async fn the_server_as_a_whole_is_asked_for_with_an_empty_message() {
        let (verdict, asked) = check("", SERVING).await;
        assert_eq!((verdict, &asked[..]), (Ok(()), &[0; 5][..]));
    }

    #[tokio::test]
    async fn a_closed_port_and_another_protocol_are_not_healthy() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let probe = testing::install::<Grpc>("").unwrap().probe.unwrap();
        let server = tokio::spawn(async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
            while stream
                .read(&mut [0; 1024])
                .await
                .is_ok_and(|count| count > 0)
            {
                let _ = stream.write_all(answer).await;
            }
        });
        let verdict = probe.check(address).await;
        assert_eq!(verdict, Err("the answer is not HTTP/2".to_owned()));
        server.await.unwrap();
        let verdict = probe.check(address).await;
        assert_eq!(verdict, Err("connection refused".to_owned()));
    }

    proptest::proptest! {
        #[test]
        fn no_answer_makes_it_panic(body in proptest::collection::vec(0u8.., 0..40)) {
            let _ = serving(&body);
        }
    }
}
