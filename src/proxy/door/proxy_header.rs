//! The PROXY protocol, versions 1 and 2: whom a proxy in front has connected for.
//! (<https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt>)

use std::io::{Error, ErrorKind, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::{AsyncRead, AsyncReadExt};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// With the line's end; the longest that version 1 knows.
const LINE_BYTES_MAX: usize = 107;
/// Addresses and what proxies add: certificates' names, ids.
const REST_BYTES_MAX: usize = 4 << 10;

/// Reads the header and nothing behind it. `None`: the proxy speaks for itself, or does not know.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<SocketAddr>> {
    let mut head = [0; 16];
    stream.read_exact(&mut head[..1]).await?;
    if head[0] == b'P' {
        return line(stream).await;
    }
    stream.read_exact(&mut head[1..]).await?;
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    if head[..12] != SIGNATURE || length > REST_BYTES_MAX {
        return Err(nonsense());
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await?;
    binary(head[12], head[13], &rest).ok_or_else(nonsense)
}

/// Rest of the line behind its first letter, byte by byte: bytes after it are the client's.
async fn line(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<SocketAddr>> {
    let mut line = vec![b'P'];
    while !line.ends_with(b"\r\n") {
        if line.len() == LINE_BYTES_MAX {
            return Err(nonsense());
        }
        line.push(stream.read_u8().await?);
    }
    text(&line).ok_or_else(nonsense)
}

fn nonsense() -> Error {
    Error::new(ErrorKind::InvalidData, "no PROXY header")
}

/// The outer `None` is nonsense, the inner one somebody unknown.
fn text(line: &[u8]) -> Option<Option<SocketAddr>> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix("\r\n")?;
    let words: Vec<&str> = line.split(' ').collect();
    let is_v4 = match words[..] {
        ["PROXY", "UNKNOWN", ..] => return Some(None),
        ["PROXY", "TCP4", ..] => true,
        ["PROXY", "TCP6", ..] => false,
        _ => return None,
    };
    let [_, _, source, destination, source_port, destination_port] = words[..] else {
        return None;
    };
    let address = |text: &str| {
        let address: IpAddr = text.parse().ok()?;
        (address.is_ipv4() == is_v4).then_some(address)
    };
    let port = |text: &str| {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| is_number)
    };
    address(destination)?;
    port(destination_port)?;
    Some(Some(SocketAddr::new(address(source)?, port(source_port)?)))
}

fn binary(version_and_command: u8, family: u8, rest: &[u8]) -> Option<Option<SocketAddr>> {
    match version_and_command {
        0x20 => return Some(None), // a health check of the proxy's own
        0x21 => {}
        _ => return None,
    }
    let port = |at: usize| Some(u16::from_be_bytes(*rest.get(at..)?.first_chunk()?));
    match family {
        0x11 => {
            let address: [u8; 4] = *rest.first_chunk()?;
            let address = IpAddr::V4(Ipv4Addr::from(address));
            port(10)?;
            Some(Some(SocketAddr::new(address, port(8)?)))
        }
        0x21 => {
            let address: [u8; 16] = *rest.first_chunk()?;
            let address = IpAddr::V6(Ipv6Addr::from(address));
            port(34)?;
            Some(Some(SocketAddr::new(address, port(32)?)))
        }
        0x00 => Some(None),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Client that `bytes` name, and the bytes left behind the header.
    fn run(bytes: &[u8]) -> (std::result::Result<Option<String>, ()>, Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let mut rest = bytes;
        let found = runtime.block_on(read(&mut rest));
        let found = found.map(|found| found.map(|address| address.to_string()));
        (found.map_err(|_| ()), rest.to_vec())
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = (rest.len() as u16).to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest, b"GET /"].concat()
    }

    #[test]
    fn both_versions_name_the_client_and_leave_what_follows() {
        let v4 = [203, 0, 113, 5, 10, 0, 0, 1, 0x12, 0x67, 0, 80];
        let with_more = [&v4[..], &[0x04, 0, 1, 0xff]].concat();
        let v6 = [&Ipv6Addr::LOCALHOST.octets()[..], &[0; 16], &[0, 9, 0, 80]].concat();
        for (bytes, expected) in [
            (
                b"PROXY TCP4 203.0.113.5 10.0.0.1 4711 80\r\nGET /".to_vec(),
                Some("203.0.113.5:4711"),
            ),
            (
                b"PROXY TCP6 2001:db8::1 ::1 1 80\r\nGET /".to_vec(),
                Some("[2001:db8::1]:1"),
            ),
            (b"PROXY UNKNOWN\r\nGET /".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\nGET /".to_vec(), None),
            (v2(0x21, 0x11, &v4), Some("203.0.113.5:4711")),
            (v2(0x21, 0x11, &with_more), Some("203.0.113.5:4711")),
            (v2(0x21, 0x21, &v6), Some("[::1]:9")),
            (v2(0x20, 0x00, b""), None),
            (v2(0x20, 0x11, &v4), None),
            (v2(0x21, 0x00, b""), None),
        ] {
            let (found, rest) = run(&bytes);
            assert_eq!(found, Ok(expected.map(str::to_owned)), "{bytes:?}");
            assert_eq!(rest, b"GET /", "{bytes:?}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LINE_BYTES_MAX));
        for bytes in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"PROXY TCP4 203.0.113.5 10.0.0.1 4711\r\n",
            b"PROXY TCP4 203.0.113.5 10.0.0.1 4711 80 \r\n",
            b"PROXY TCP4 2001:db8::1 ::1 1 80\r\n",
            b"PROXY TCP4 203.0.113.5 10.0.0.1 +1 80\r\n",
            b"PROXY TCP4 203.0.113.5 10.0.0.1 65536 80\r\n",
            b"PROXY UDP4 203.0.113.5 10.0.0.1 1 80\r\n",
            b"PROXY  TCP4 203.0.113.5 10.0.0.1 1 80\r\n",
            b"PROXY TCP4 203.0.113.5 10.0.0.1 4711 80\n",
            b"proxy tcp4 203.0.113.5 10.0.0.1 4711 80\r\n",
            b"",
            long.as_bytes(),
            &v2(0x11, 0x11, &[0; 12]),
            &v2(0x22, 0x11, &[0; 12]),
            &v2(0x21, 0x11, &[0; 11]),
            &v2(0x21, 0x21, &[0; 35]),
            &v2(0x21, 0x31, &[0; 216]),
            &v2(0x21, 0x11, &vec![0; REST_BYTES_MAX + 1]),
            &SIGNATURE,
        ] {
            assert_eq!(run(bytes).0, Err(()), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..64), kind in 0..3) {
            let bytes = match kind {
                0 => bytes,
                1 => [b"PROXY ", &bytes[..]].concat(),
                _ => [&SIGNATURE[..], &bytes].concat(),
            };
            let _ = run(&bytes);
        }
    }
}
