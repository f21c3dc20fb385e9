//! Docker's answers, read leniently.
//!
//! bollard parses each answer whole and strictly. One unknown word, as in Podman's container state
//! `stopped`, loses it a list of a hundred containers. Answers are therefore read as JSON over
//! bollard's own connection, and only fields that are used here have to make sense.

use super::daemon::{Daemon, LOOK_TIMEOUT};
use super::error::{CallFailure, failed};
use super::version;
use bollard::errors::Error;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use memchr::memchr;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use std::fmt::Write;

/// Limit of an answer; a container takes 2 to 4 KiB of a list.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Limit of a line; an event carries all labels of its container.
const LINE_BYTES_MAX: usize = 4 << 20;

/// Names of images have slashes, colons and perhaps an `@`; Docker reads them as they are.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/')
    .remove(b':')
    .remove(b'@');

/// Path and query of a request, as in `/containers/json?all=true`.
pub fn target(path: &[&str], query: &[(&str, &str)]) -> String {
    let escaped = |text| utf8_percent_encode(text, ESCAPED);
    let mut target = String::new();
    for part in path {
        let _ = write!(target, "/{}", escaped(part));
    }
    for (index, (key, value)) in query.iter().enumerate() {
        let sign = if index == 0 { '?' } else { '&' };
        let _ = write!(target, "{sign}{key}={}", escaped(value));
    }
    target
}

impl Daemon {
    /// A resource of Docker's, as in `/containers/ID/json`.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        client: &bollard::Docker,
        op: &'static str,
        target: String,
    ) -> Result<T, CallFailure> {
        let answer = self.ask(op, LOOK_TIMEOUT, answer(client, target)).await?;
        parsed(op, &answer)
    }

    /// Whether a resource exists.
    pub(super) async fn has(
        &self,
        client: &bollard::Docker,
        op: &'static str,
        target: String,
    ) -> Result<bool, CallFailure> {
        match self.ask(op, LOOK_TIMEOUT, answer(client, target)).await {
            Err(failure) if failure.is(404) => Ok(false),
            other => other.map(|_| true),
        }
    }
}

pub fn parsed<T: DeserializeOwned>(op: &'static str, answer: &[u8]) -> Result<T, CallFailure> {
    serde_json::from_slice(answer).map_err(|error| {
        let message = format!("Docker's answer cannot be read: {error}");
        failed(op, message).into()
    })
}

/// The whole body of an answer.
pub async fn answer(client: &bollard::Docker, target: String) -> Result<Vec<u8>, Error> {
    let mut pieces = pieces(client, target);
    let mut answer = Vec::new();
    while let Some(piece) = pieces.next().await {
        answer.extend_from_slice(&piece?);
        if answer.len() > ANSWER_BYTES_MAX {
            let error = format!("the answer is longer than {} MiB", ANSWER_BYTES_MAX >> 20);
            return Err(Error::DockerStreamError { error });
        }
    }
    Ok(answer)
}

/// The lines of a streamed answer.
pub fn lines(
    client: &bollard::Docker,
    target: String,
) -> BoxStream<'static, Result<BytesMut, Error>> {
    split(pieces(client, target)).boxed()
}

/// bollard offers the raw bytes of exactly one call, and lets its address be changed.
fn pieces(
    client: &bollard::Docker,
    target: String,
) -> impl Stream<Item = Result<Bytes, Error>> + Send + Unpin + use<> {
    let version = client.client_version();
    let client = client.clone().with_request_modifier(move |mut request| {
        if let Some(uri) = version::address(request.uri(), version, &target) {
            *request.uri_mut() = uri;
        }
        request
    });
    Box::pin(client.export_container("-"))
}

fn split<E>(
    pieces: impl Stream<Item = Result<Bytes, E>> + Unpin,
) -> impl Stream<Item = Result<BytesMut, E>> {
    let begun = (pieces, BytesMut::new(), false);
    stream::unfold(begun, |(mut pieces, mut text, mut skips)| async move {
        loop {
            if let Some(end) = memchr(b'\n', &text) {
                let line = text.split_to(end + 1);
                if std::mem::take(&mut skips) || line.trim_ascii().is_empty() {
                    continue;
                }
                return Some((Ok(line), (pieces, text, skips)));
            }
            if text.len() > LINE_BYTES_MAX {
                text.clear();
                skips = true;
            }
            match pieces.next().await? {
                Ok(piece) => text.extend_from_slice(&piece),
                Err(error) => return Some((Err(error), (pieces, text, skips))),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[test]
    fn names_and_filters_become_an_address() {
        let query = [("all", "true"), ("filters", r#"{"label":["a=b c"]}"#)];
        assert_eq!(
            target(&["containers", "json"], &query),
            "/containers/json?all=true&filters=%7B%22label%22:%5B%22a%3Db%20c%22%5D%7D"
        );
        assert_eq!(
            target(&["images", "box:5000/team/acts:1", "json"], &[]),
            "/images/box:5000/team/acts:1/json"
        );
        assert_eq!(
            target(&["images", "a b?#", "json"], &[]),
            "/images/a%20b%3F%23/json"
        );
    }

    async fn lines_of(pieces: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let pieces = pieces
            .into_iter()
            .map(|piece| Ok::<_, Infallible>(Bytes::from(piece)));
        let lines = split(stream::iter(pieces)).map(|line| line.unwrap().to_vec());
        lines.collect().await
    }

    #[tokio::test]
    async fn lines_do_not_depend_on_how_they_were_cut() {
        let pieces = ["{\"a\"", ":1}\n{", "}\n\n", "{}\r\n", "no end"];
        let lines = lines_of(pieces.map(|piece| piece.into()).to_vec()).await;
        assert_eq!(lines, [&b"{\"a\":1}\n"[..], b"{}\n", b"{}\r\n"]);
    }

    #[tokio::test]
    async fn an_endless_line_is_skipped() {
        let long = vec![b'x'; LINE_BYTES_MAX];
        let lines = lines_of(vec![long.clone(), long, b"x\n{}\n".to_vec()]).await;
        assert_eq!(lines, [b"{}\n"]);
    }
}
