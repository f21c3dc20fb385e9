//! A request in the form that goes to a replica: text for HTTP/1, a head and a body for HTTP/2.

use super::sending::Request;
use crate::proxy::http1::fields::{HOP_BY_HOP, has_token};
use crate::proxy::http1::head::{self, Spelling};
use crate::proxy::request::context::Context;
use crate::proxy::request::grpc::Dialect;
use crate::proxy::request::grpc_web::Decoder;
use crate::proxy::request::retry;
use crate::service::replica::idle_pool::Use;
use crate::service::spec::{Protocol, Upstream};
use bytes::{BufMut, Bytes, BytesMut};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Uri, Version, header, request};
use pingora::http::RequestHeader;
use pingora::{Error, ErrorType, Result};

/// Most requests' heads fit.
const REQUEST_BYTES: usize = 1 << 10;

/// A request, without the body that is still with the client.
pub enum Outgoing {
    Text(Request),
    Frames(Box<Frames>),
}

pub struct Frames {
    pub head: http::Request<()>,
    pub body: Bytes,
    pub used: Use,
    /// The client speaks gRPC-web, which replicas need not know.
    pub web: Option<Dialect>,
}

impl Outgoing {
    /// The request as a replica gets it, whose body begins with `body`.
    pub fn of(
        head: &mut RequestHeader,
        spelling: &Spelling,
        ctx: &Context,
        body: BytesMut,
    ) -> Result<Outgoing> {
        let upstream = ctx.route.as_ref().map(|route| &route.forward.upstream);
        let used = retry::used_for(head);
        match upstream {
            Some(upstream) if upstream.protocol == Protocol::H2 => {
                let web = Dialect::of(&head.headers).filter(|form| *form != Dialect::Native);
                let body = match web {
                    Some(Dialect::WebText) => decoded(&body)?,
                    _ => body.freeze(),
                };
                let mut frames = Frames {
                    head: frames(head, upstream, ctx)?,
                    body,
                    used,
                    web,
                };
                if let Some(dialect) = web {
                    in_grpc(frames.head.headers_mut(), dialect);
                }
                Ok(Outgoing::Frames(Box::new(frames)))
            }
            _ => Ok(Outgoing::Text(Request {
                head: text(head, spelling, ctx),
                body,
                used,
            })),
        }
    }
}

/// The head of HTTP/1.
fn text(head: &mut RequestHeader, spelling: &Spelling, ctx: &Context) -> BytesMut {
    drop_hop_by_hop(head);
    let mut bytes = BytesMut::with_capacity(REQUEST_BYTES);
    head::put_request(&mut bytes, head, spelling);
    for (name, value) in ctx.forwarded.missing_in(head) {
        head::put_header(&mut bytes, name.as_str().as_bytes(), value.as_bytes());
    }
    bytes.put_slice(b"\r\n");
    bytes
}

/// The head of HTTP/2.
fn frames(
    head: &mut RequestHeader,
    upstream: &Upstream,
    ctx: &Context,
) -> Result<http::Request<()>> {
    let takes_trailers = has_token(&head.headers, header::TE, "trailers");
    drop_hop_by_hop(head);
    let mut parts: request::Parts = head.clone().into();
    parts.headers.remove(header::TRANSFER_ENCODING);
    let host = parts.headers.remove(header::HOST);
    for (name, value) in ctx.forwarded.missing_in(head) {
        parts.headers.insert(name, value.clone());
    }
    if takes_trailers {
        // Servers of gRPC refuse a client that does not say so.
        parts
            .headers
            .insert(header::TE, HeaderValue::from_static("trailers"));
    }
    let impossible = |_| Error::new_down(ErrorType::InvalidHTTPHeader);
    let authority = match &host {
        Some(host) => Authority::try_from(host.as_bytes()).map_err(impossible)?,
        None => Authority::from_static("localhost"),
    };
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(match upstream.tls {
        Some(_) => Scheme::HTTPS,
        None => Scheme::HTTP,
    });
    uri.authority = Some(authority);
    uri.path_and_query = Some(
        match head.method == http::Method::OPTIONS && head.raw_path() == b"*" {
            true => PathAndQuery::from_static("*"),
            false => PathAndQuery::try_from(head.raw_path()).map_err(impossible)?,
        },
    );
    parts.uri = Uri::from_parts(uri).map_err(|_| Error::new_down(ErrorType::InvalidHTTPHeader))?;
    parts.version = Version::HTTP_2;
    Ok(http::Request::from_parts(parts, ()))
}

/// All of a body in base64.
fn decoded(body: &[u8]) -> Result<Bytes> {
    let mut decoder = Decoder::default();
    let decoded = decoder.piece(body).ok().filter(|_| decoder.is_whole());
    decoded.ok_or_else(|| {
        let what = "a body of gRPC-web that is not base64";
        Error::explain(ErrorType::InvalidHTTPHeader, what).into_down()
    })
}

/// Headers of gRPC-web, as a client of gRPC would have sent them.
fn in_grpc(headers: &mut HeaderMap, dialect: Dialect) {
    if let Some(content_type) = headers.get_mut(header::CONTENT_TYPE) {
        *content_type = dialect.translated(content_type, Dialect::Native);
    }
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    if dialect == Dialect::WebText {
        // The length was that of the text.
        headers.remove(header::CONTENT_LENGTH);
    }
}

fn drop_hop_by_hop(head: &mut RequestHeader) {
    let is_hop_by_hop = |name: &HeaderName| HOP_BY_HOP.contains(&name.as_str());
    if head.headers.keys().any(is_hop_by_hop) {
        let names = HOP_BY_HOP.into_iter();
        for name in names.filter(|name| *name != header::TRANSFER_ENCODING.as_str()) {
            head.remove_header(name);
        }
    }
}
