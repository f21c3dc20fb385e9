//! Carries the table's HTTP/1 text as HTTP/2 to the edge, and answers back as text, so that the
//! same rows go that way.

use super::wire::{Message, Wire};
use crate::support::h2::{Begun, Client};
use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use std::fmt::Write;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};

/// Headers that HTTP/2 says otherwise, or not at all.
const OF_HTTP1: [&str; 2] = ["host", "transfer-encoding"];
/// Headers of a request that only HTTP/1 can say.
const ONLY_HTTP1: [&str; 6] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "upgrade",
];

/// Text of a row that has the same meaning as HTTP/2.
pub fn carries(text: &str) -> Option<String> {
    if !text.contains(" HTTP/") {
        // A part of a body.
        return Some(text.to_owned());
    }
    let (head, _) = text.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let [method, target, "HTTP/1.1"] = lines.next()?.split(' ').collect::<Vec<_>>()[..] else {
        return None;
    };
    let is_plain = |text: &str| text.bytes().all(|byte| (b' '..0x7f).contains(&byte));
    if method == "CONNECT" || !target.starts_with(['/', '*']) || !is_plain(target) {
        return None;
    }
    let mut hosts = 0;
    let mut framing = 0;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let name = name.to_ascii_lowercase();
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if !name.bytes().all(is_token) || !is_plain(value) || ONLY_HTTP1.contains(&&*name) {
            return None;
        }
        let value = value.trim();
        match &*name {
            "host" => hosts += 1,
            "content-length" => {
                framing += 1;
                value.parse::<u64>().ok()?;
            }
            "transfer-encoding" if value != "chunked" => return None,
            "transfer-encoding" => framing += 1,
            _ => {}
        }
    }
    (hosts == 1 && framing <= 1).then(|| text.to_owned())
}

/// Carries connections to `edge` for as long as the test runs.
pub async fn to(edge: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(carry(stream, edge));
        }
    });
    address
}

async fn carry(stream: TcpStream, edge: SocketAddr) {
    let client = Client::connect(edge).await;
    let _ = stream.set_nodelay(true);
    let (read, mut write) = stream.into_split();
    let mut wire = Wire::new(read);
    while let Some(head) = wire.head().await {
        let Begun { mut answer, body } = client.begin(request(&head), !has_body(&head)).await;
        let to_head = head.line.starts_with("HEAD ");
        let mut body = body;
        let up = async {
            if upload(&mut wire, &head, &mut body).await {
                wire.until_end().await;
            }
        };
        let down = async {
            loop {
                match poll_fn(|cx| poll_next(&mut answer, cx)).await {
                    Next::Hint(hint) => {
                        let _ = write.write_all(text(&hint, false).as_bytes()).await;
                    }
                    Next::Answer(answer) => return download(answer, &mut write, to_head).await,
                }
            }
        };
        let is_whole = {
            let (mut up, mut down) = (pin!(up), pin!(down));
            tokio::select! {
                is_whole = &mut down => is_whole,
                () = &mut up => false,
            }
        };
        if !is_whole {
            body.send_reset(Reason::CANCEL);
            return;
        }
    }
}

enum Next {
    Hint(Response<()>),
    Answer(Result<Response<RecvStream>, h2::Error>),
}

fn poll_next(answer: &mut ResponseFuture, cx: &mut Context<'_>) -> Poll<Next> {
    if let Poll::Ready(Some(Ok(hint))) = answer.poll_informational(cx) {
        return Poll::Ready(Next::Hint(hint));
    }
    Pin::new(answer).poll(cx).map(Next::Answer)
}

fn has_body(head: &Message) -> bool {
    let length = head.header("content-length");
    head.header("transfer-encoding").is_some() || length.is_some_and(|length| length != "0")
}

fn request(head: &Message) -> http::request::Builder {
    let mut words = head.line.split(' ');
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let host = head.header("host").unwrap_or("");
    // The client of h2 takes the path of a URI, which for `*` has none.
    let uri = match target {
        "*" => "*".to_owned(),
        _ => format!("http://{host}{target}"),
    };
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in &head.headers {
        if !OF_HTTP1.contains(&&**name) || target == "*" && name == "host" {
            request = request.header(name, value);
        }
    }
    request
}

/// Sends a body as it comes; false: the client left before its end.
async fn upload<S: tokio::io::AsyncRead + Unpin>(
    wire: &mut Wire<S>,
    head: &Message,
    body: &mut SendStream<Bytes>,
) -> bool {
    if !has_body(head) {
        return true;
    }
    if head.header("transfer-encoding").is_none() {
        let length = head.header("content-length").and_then(|it| it.parse().ok());
        let mut left: usize = length.unwrap_or(0);
        while left > 0 {
            let Some(piece) = wire.piece(left).await else {
                return false;
            };
            left -= piece.len();
            if body.send_data(piece.into(), left == 0).is_err() {
                return true;
            }
        }
        return true;
    }
    loop {
        let size = match wire.line().await {
            Some(line) => usize::from_str_radix(line.split(';').next().unwrap_or(""), 16),
            None => return false,
        };
        let mut left = match size {
            Ok(0) | Err(_) => break,
            Ok(size) => size,
        };
        while left > 0 {
            let Some(piece) = wire.piece(left).await else {
                return false;
            };
            left -= piece.len();
            if body.send_data(piece.into(), false).is_err() {
                return true;
            }
        }
        if wire.line().await.is_none() {
            return false;
        }
    }
    let Some(trailers) = wire.lines().await else {
        return false;
    };
    let mut fields = HeaderMap::new();
    for (name, value) in trailers {
        if let (Ok(name), Ok(value)) = (
            http::HeaderName::try_from(name),
            http::HeaderValue::try_from(value),
        ) {
            fields.append(name, value);
        }
    }
    let _ = match fields.is_empty() {
        true => body.send_data(Bytes::new(), true),
        false => body.send_trailers(fields),
    };
    true
}

/// A head as text.
fn text(head: &Response<()>, is_chunked: bool) -> String {
    let mut text = format!("HTTP/1.1 {}\r\n", head.status());
    for (name, value) in head.headers() {
        let _ = write!(
            text,
            "{name}: {}\r\n",
            String::from_utf8_lossy(value.as_bytes())
        );
    }
    if is_chunked {
        text += "transfer-encoding: chunked\r\n";
    }
    if !head.status().is_informational() {
        text += "connection: keep-alive\r\n";
    }
    text + "\r\n"
}

/// Writes an answer; false: it broke off.
async fn download(
    answer: Result<Response<RecvStream>, h2::Error>,
    write: &mut OwnedWriteHalf,
    to_head: bool,
) -> bool {
    let Ok(answer) = answer else {
        return false;
    };
    let (parts, mut body) = answer.into_parts();
    let head = Response::from_parts(parts, ());
    let is_bodiless = to_head || matches!(head.status().as_u16(), 204 | 304);
    let is_chunked = !is_bodiless && !head.headers().contains_key("content-length");
    let _ = write.write_all(text(&head, is_chunked).as_bytes()).await;
    while let Some(piece) = body.data().await {
        let Ok(piece) = piece else {
            return false;
        };
        let _ = body.flow_control().release_capacity(piece.len());
        if piece.is_empty() {
            continue;
        }
        let piece = match is_chunked {
            true => [format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n"].concat(),
            false => piece.to_vec(),
        };
        let _ = write.write_all(&piece).await;
    }
    let Ok(trailers) = body.trailers().await else {
        return false;
    };
    if is_chunked {
        let mut end = "0\r\n".to_owned();
        for (name, value) in &trailers.unwrap_or_default() {
            let _ = write!(
                end,
                "{name}: {}\r\n",
                String::from_utf8_lossy(value.as_bytes())
            );
        }
        let _ = write.write_all((end + "\r\n").as_bytes()).await;
    }
    true
}
