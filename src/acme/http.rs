//! A small HTTP client for CAs and for `ask`: one connection a request, with limits on everything.
//!
//! Orders are rare, so nothing is pooled. The client notes what `instant-acme` does not pass on: for how
//! long a CA wants to be left alone, and what time it has.

use crate::certs::crypto;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Time for one address to accept a connection; the next one is tried after that.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Time for a whole request.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// A chain of certificates has some kilobytes.
const ANSWER_MAX_BYTES: usize = 1 << 20;
/// Pause where a CA gives renewal information without saying when to ask again.
const RENEWAL_INFO_AGAIN: HeaderValue = HeaderValue::from_static("21600");

/// Sends requests. Clones share what was noted.
#[derive(Clone)]
pub struct Http {
    tls: Arc<ClientConfig>,
    notes: Arc<Mutex<Notes>>,
}

/// Facts of the last answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Notes {
    /// Time before which the CA wants no more requests.
    pub not_before: Option<SystemTime>,
    /// Difference of the CA's clock and ours, and whether ours is ahead.
    pub clock: Option<(Duration, bool)>,
}

/// Failures of a request, in words that say what to do.
#[derive(Debug)]
pub enum HttpError {
    Url(String),
    Resolve { host: String, why: String },
    Connect { host: String, why: String },
    Tls { host: String, why: String },
    TimedOut { host: String },
    Broken { host: String, why: String },
    Roots(String),
}

impl Http {
    /// A client that trusts the system's roots, and the one in `ca_root`. Reads files.
    pub fn new(ca_root: Option<&Path>) -> Result<Http, HttpError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = ca_root {
            let wrong =
                |why: String| HttpError::Roots(format!("`tls.ca_root` {}: {why}", path.display()));
            let found = CertificateDer::pem_file_iter(path);
            let found = found.map_err(|error| wrong(format!("cannot be read: {error:?}")))?;
            let found: Vec<_> = found.filter_map(Result::ok).collect();
            if roots.add_parsable_certificates(found).0 == 0 {
                return Err(wrong("has no certificate in PEM".to_owned()));
            }
        }
        let builder = ClientConfig::builder_with_provider(crypto::provider());
        let builder = builder
            .with_safe_default_protocol_versions()
            .map_err(|error| HttpError::Roots(error.to_string()))?;
        let mut tls = builder.with_root_certificates(roots).with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Http {
            tls: Arc::new(tls),
            notes: Arc::default(),
        })
    }

    /// A client with notes of its own.
    pub fn with_own_notes(&self) -> Http {
        Http {
            tls: Arc::clone(&self.tls),
            notes: Arc::default(),
        }
    }

    pub fn notes(&self) -> Notes {
        self.notes.lock().map(|notes| *notes).unwrap_or_default()
    }

    /// The whole answer to a request for an absolute `http` or `https` URL.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, HttpError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let answered = timeout(ANSWER_WITHIN, self.connect_and_send(request)).await;
        let answer = answered.unwrap_or(Err(HttpError::TimedOut { host }))?;
        if let Ok(mut notes) = self.notes.lock() {
            notes.learn(answer.status(), answer.headers(), SystemTime::now());
        }
        Ok(answer)
    }

    async fn connect_and_send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, HttpError> {
        let url = request.uri().clone();
        let wrong = || HttpError::Url(url.to_string());
        let host = url.host().ok_or_else(wrong)?.to_owned();
        let (is_tls, port) = match url.scheme_str() {
            Some("https") => (true, 443),
            Some("http") => (false, 80),
            _ => return Err(wrong()),
        };
        let authority = url.authority().ok_or_else(wrong)?.as_str();
        let field = HeaderValue::from_str(authority).map_err(|_| wrong())?;
        request.headers_mut().insert(header::HOST, field);
        *request.uri_mut() = path_of(&url).ok_or_else(wrong)?;
        let stream = connect(&host, url.port_u16().unwrap_or(port)).await?;
        let broken = |why| HttpError::Broken {
            host: host.clone(),
            why,
        };
        if !is_tls {
            return exchange(stream, request).await.map_err(broken);
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| wrong())?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let secured = connector.connect(name, stream).await;
        let secured = secured.map_err(|error| HttpError::Tls {
            host: host.clone(),
            why: error.to_string(),
        })?;
        exchange(secured, request).await.map_err(broken)
    }
}

impl HttpClient for Http {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let client = self.clone();
        Box::pin(async move {
            let other = |error: HttpError| instant_acme::Error::Other(Box::new(error));
            let (head, body) = request.into_parts();
            let body = match body.collect().await {
                Ok(body) => body.to_bytes(),
                Err(never) => match never {},
            };
            let is_get = head.method == http::Method::GET;
            let answer = client
                .send(Request::from_parts(head, Full::new(body)))
                .await;
            let mut answer = answer.map_err(other)?;
            // Only renewal information is asked for by GET, after the directory; without this field
            // the whole answer counts as an error.
            if is_get && answer.status().is_success() {
                let fields = answer.headers_mut().entry(header::RETRY_AFTER);
                fields.or_insert(RENEWAL_INFO_AGAIN);
            }
            Ok(BytesResponse::from(answer.map(Full::new)))
        })
    }
}

impl Notes {
    fn learn(&mut self, status: StatusCode, fields: &HeaderMap, now: SystemTime) {
        let text = |name| {
            fields
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok())
        };
        if let Some(theirs) = text(header::DATE).and_then(date) {
            self.clock = Some(match now.duration_since(theirs) {
                Ok(ahead) => (ahead, true),
                Err(behind) => (behind.duration(), false),
            });
        }
        let is_busy = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ];
        if is_busy.contains(&status)
            && let Some(after) = text(header::RETRY_AFTER)
        {
            let seconds = after.trim().parse().ok();
            let by_seconds = seconds.map(|seconds: u32| now + Duration::from_secs(seconds.into()));
            self.not_before = by_seconds.or_else(|| date(after));
        }
    }
}

/// Time of an HTTP date, as in `Sun, 06 Nov 1994 08:49:37 GMT`.
fn date(text: &str) -> Option<SystemTime> {
    let parsed = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim());
    parsed.ok().map(SystemTime::from)
}

fn path_of(url: &Uri) -> Option<Uri> {
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    path.parse().ok()
}

async fn connect(host: &str, port: u16) -> Result<TcpStream, HttpError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let found = tokio::net::lookup_host((bare, port)).await;
    let found = found.map_err(|error| HttpError::Resolve {
        host: host.to_owned(),
        why: error.to_string(),
    })?;
    let mut last = "it has no address".to_owned();
    for address in found {
        match timeout(CONNECT_WITHIN, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = format!("{address}: {error}"),
            Err(_) => last = format!("{address}: no answer within {CONNECT_WITHIN:?}"),
        }
    }
    Err(HttpError::Connect {
        host: host.to_owned(),
        why: last,
    })
}

/// One request on a fresh connection; errors are words without the host.
pub async fn exchange<S>(
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let shaken = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|error| deepest(&error))?;
    let asked = async {
        let answer = sender.send_request(request).await;
        let (head, body) = answer.map_err(|error| deepest(&error))?.into_parts();
        let body = Limited::new(body, ANSWER_MAX_BYTES).collect().await;
        let body = body.map_err(|error| error.to_string())?;
        Ok(Response::from_parts(head, body.to_bytes()))
    };
    // The connection is driven here, so it ends with the request.
    let mut asked = std::pin::pin!(asked);
    tokio::select! {
        biased;
        answer = &mut asked => answer,
        ended = connection => match ended {
            Ok(()) => asked.await,
            Err(error) => Err(deepest(&error)),
        },
    }
}

/// The innermost cause, which says most.
pub fn deepest(error: &(dyn Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    deepest.to_string()
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HttpError::Url(url) => write!(f, "`{url}` is no http or https URL"),
            HttpError::Resolve { host, why } => write!(f, "{host} cannot be resolved: {why}"),
            HttpError::Connect { host, why } => write!(f, "{host} cannot be reached: {why}"),
            HttpError::Tls { host, why } if is_about_time(why) => write!(
                f,
                "{host} shows a certificate that is not valid at this machine's time; set the clock \
                 ({why})"
            ),
            HttpError::Tls { host, why } if why.contains("UnknownIssuer") => write!(
                f,
                "{host} is not trusted: no root of this machine issued its certificate; for a CA of \
                 your own, set `tls.ca_root`"
            ),
            HttpError::Tls { host, why } => write!(f, "no TLS with {host}: {why}"),
            HttpError::TimedOut { host } => {
                write!(f, "{host} did not answer within {ANSWER_WITHIN:?}")
            }
            HttpError::Broken { host, why } => write!(f, "the answer of {host} broke off: {why}"),
            HttpError::Roots(why) => f.write_str(why),
        }
    }
}

fn is_about_time(why: &str) -> bool {
    let why = why.to_ascii_lowercase();
    why.contains("expired") || why.contains("not valid yet") || why.contains("notvalidyet")
}

impl Error for HttpError {}

impl From<HttpError> for io::Error {
    fn from(error: HttpError) -> io::Error {
        io::Error::other(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn a_busy_ca_and_its_clock_are_noted() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777 + 90);
        let mut notes = Notes::default();
        let mut fields = HeaderMap::new();
        let date = HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT");
        fields.insert(header::DATE, date);
        fields.insert(header::RETRY_AFTER, HeaderValue::from_static("120"));
        notes.learn(StatusCode::OK, &fields, now);
        assert_eq!(notes.clock, Some((Duration::from_secs(90), true)));
        assert_eq!(notes.not_before, None);
        notes.learn(StatusCode::TOO_MANY_REQUESTS, &fields, now);
        assert_eq!(notes.not_before, Some(now + Duration::from_secs(120)));
    }
}
