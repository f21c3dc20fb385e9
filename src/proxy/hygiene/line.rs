//! The request line as it came: Pingora's parser repairs one that it cannot read, and what was
//! repaired cannot be told from what was sent.

use super::{Refusal, host};

const LINE: Refusal = Refusal::Malformed("an impossible request line");
const TARGET: Refusal = Refusal::Malformed("an impossible request target");
const AUTHORITY: Refusal = Refusal::Malformed("an impossible authority");

/// Where an absolute form's scheme leads when it names no port.
const SCHEMES: [(&[u8], &[u8]); 2] = [(b"http://", b":80"), (b"https://", b":443")];

/// Checks the first line of `raw`, a whole head. Returns the head anew when the line has one
/// reading and the parser would not find it:
///
/// - characters that browsers escape and other programs send as they are;
/// - a later HTTP/1, which is to be read as 1.1 (RFC 9110 §2.5);
/// - an authority that is spelled unlike the `Host` and is the same.
pub fn settle(raw: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
    // Empty lines before a request are skipped by every parser.
    let begin = raw.iter().take_while(|byte| b"\r\n".contains(byte)).count();
    let end = begin + memchr::memchr(b'\n', &raw[begin..]).ok_or(LINE)?;
    let line = &raw[begin..end];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next())
    else {
        return Err(LINE);
    };
    let version = match version {
        b"HTTP/1.0" | b"HTTP/1.1" => version,
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9'] => b"HTTP/1.1",
        _ => return Err(LINE),
    };
    let (authority, rest) = split_authority(target)?;
    let before = target.len() - rest.len() - authority.map_or(0, <[u8]>::len);
    let authority = authority.map(|typed| {
        let same = host_line(&raw[end..]).filter(|host| is_same(target, typed, host));
        same.unwrap_or(typed)
    });
    let mut settled = raw[..begin].to_vec();
    settled.extend_from_slice(method);
    settled.push(b' ');
    settled.extend_from_slice(&target[..before]);
    settled.extend_from_slice(authority.unwrap_or_default());
    escape(rest, &mut settled)?;
    settled.push(b' ');
    settled.extend_from_slice(version);
    let is_settled = settled[begin..] == *line;
    settled.extend_from_slice(&raw[begin + line.len()..]);
    Ok((!is_settled).then_some(settled))
}

/// The authority of an absolute form, and what follows; all of any other target.
fn split_authority(target: &[u8]) -> Result<(Option<&[u8]>, &[u8]), Refusal> {
    let Some((scheme, _)) = scheme_of(target) else {
        return Ok((None, target));
    };
    let rest = &target[scheme.len()..];
    let end = rest.iter().position(|byte| b"/?".contains(byte));
    let (authority, rest) = rest.split_at(end.unwrap_or(rest.len()));
    host::check(authority).map_err(|_| AUTHORITY)?;
    Ok((Some(authority), rest))
}

fn scheme_of(target: &[u8]) -> Option<(&'static [u8], &'static [u8])> {
    SCHEMES.into_iter().find(|(scheme, _)| {
        let start = target.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

/// The one `Host` among the lines of a head.
fn host_line(lines: &[u8]) -> Option<&[u8]> {
    let mut hosts = lines.split(|byte| *byte == b'\n').filter_map(|line| {
        let (name, value) = line.split_at_checked("host:".len())?;
        name.eq_ignore_ascii_case(b"host:")
            .then_some(value.trim_ascii())
    });
    hosts.next().filter(|_| hosts.next().is_none())
}

/// Whether both name the same place: names have no case, and a scheme has a port.
fn is_same(target: &[u8], authority: &[u8], host: &[u8]) -> bool {
    let port = scheme_of(target).map_or(&b""[..], |(_, port)| port);
    let bare = |authority: &'_ [u8]| authority.strip_suffix(port).unwrap_or(authority).len();
    authority[..bare(authority)].eq_ignore_ascii_case(&host[..bare(host)])
}

/// Escapes what no URI may hold and everybody sends (RFC 3986 appendix A). A path beyond ASCII is
/// judged with the rest of the path, where the parser can read it.
fn escape(rest: &[u8], to: &mut Vec<u8>) -> Result<(), Refusal> {
    let question = memchr::memchr(b'?', rest).unwrap_or(rest.len());
    let (path, query) = rest.split_at(question);
    if std::str::from_utf8(path).is_err() {
        return Err(TARGET);
    }
    for byte in path {
        match byte {
            0..=0x20 | 0x7f => return Err(TARGET),
            b'<' | b'>' | b'`' => super::target::escape(*byte, to),
            byte => to.push(*byte),
        }
    }
    for byte in query {
        match byte {
            0..=0x20 | 0x7f => return Err(TARGET),
            b'"' | b'<' | b'>' | 0x80.. => super::target::escape(*byte, to),
            byte => to.push(*byte),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(line: &str) -> Result<Option<String>, Refusal> {
        let head = format!("{line}\r\nHost: a.test\r\n\r\n");
        let settled = settle(head.as_bytes())?;
        Ok(settled.map(|head| {
            let head = String::from_utf8(head).unwrap();
            let (line, rest) = head.split_once("\r\n").unwrap();
            assert_eq!(rest, "Host: a.test\r\n\r\n");
            line.to_owned()
        }))
    }

    #[test]
    fn a_line_with_one_reading_is_left_alone_or_written_so_that_every_parser_finds_it() {
        for line in [
            "GET / HTTP/1.1",
            "GET /a%20b?c=\"d HTTP/1.0",
            "OPTIONS * HTTP/1.1",
            "GET /\u{e4} HTTP/1.1",
            "GET /{\"a\"}|^ HTTP/1.1",
            "GET http://a.test/x HTTP/1.1",
            "GET http://b.test/x HTTP/1.1",
            "GET ftp://A.TEST/x HTTP/1.1",
        ] {
            let left = settled(line);
            match line.contains("?c=\"") {
                true => assert_eq!(left, Ok(Some("GET /a%20b?c=%22d HTTP/1.0".to_owned()))),
                false => assert_eq!(left, Ok(None), "{line}"),
            }
        }
        for (line, becomes) in [
            (
                "GET /<a>`?\"<b>` HTTP/1.1",
                "GET /%3Ca%3E%60?%22%3Cb%3E` HTTP/1.1",
            ),
            ("GET /?\u{e4} HTTP/1.1", "GET /?%C3%A4 HTTP/1.1"),
            ("GET / HTTP/1.2", "GET / HTTP/1.1"),
            ("GET /<> HTTP/1.9", "GET /%3C%3E HTTP/1.1"),
            (
                "GET http://A.TEST/x HTTP/1.1",
                "GET http://a.test/x HTTP/1.1",
            ),
            (
                "GET http://a.test:80/x HTTP/1.1",
                "GET http://a.test/x HTTP/1.1",
            ),
            (
                "GET HTTPS://a.Test:443 HTTP/1.1",
                "GET HTTPS://a.test HTTP/1.1",
            ),
            (
                "GET http://A.test?<b> HTTP/1.1",
                "GET http://a.test?%3Cb%3E HTTP/1.1",
            ),
        ] {
            assert_eq!(settled(line), Ok(Some(becomes.to_owned())), "{line}");
        }
        for line in [
            "GET http://a.test:443/ HTTP/1.1",
            "GET https://a.test:80/ HTTP/1.1",
        ] {
            assert_eq!(settled(line), Ok(None), "another place: {line}");
        }
        let before = settle(b"\r\nGET /<> HTTP/1.1\r\n\r\n").unwrap().unwrap();
        assert_eq!(before, b"\r\nGET /%3C%3E HTTP/1.1\r\n\r\n");
        let spelled = b"GET http://a.test/ HTTP/1.1\r\nHOST:A.test:80\r\n\r\n";
        let settled = settle(spelled).unwrap().unwrap();
        assert!(settled.starts_with(b"GET http://A.test:80/ HTTP/1.1\r\nHOST:A"));
    }

    #[test]
    fn a_line_that_a_parser_would_have_to_repair_is_refused() {
        for line in [
            "GET /pa th HTTP/1.1",
            "GET  / HTTP/1.1",
            "GET / HTTP/1.1 ",
            "GET /?a\u{1}b HTTP/1.1",
            "GET /?a\tb HTTP/1.1",
            "GET /\u{7f} HTTP/1.1",
            "GET /",
            "GET / HTTP/2.0",
            "GET / HTTP/1.10",
            "GET / http/1.1",
            "GET http://a b/ HTTP/1.1",
            "GET http://a<b>/ HTTP/1.1",
            "GET http://user@a.test/ HTTP/1.1",
            "\u{16}\u{3}\u{1}",
            "",
        ] {
            assert!(settled(line).is_err(), "{line:?}");
        }
        assert!(settle(b"GET /\xff HTTP/1.1\r\n\r\n").is_err());
        assert!(settle(b"GET / HTTP/1.1").is_err());
        assert_eq!(
            settle(b"GET /?\xff HTTP/1.1\r\n\r\n").unwrap().unwrap(),
            b"GET /?%FF HTTP/1.1\r\n\r\n"
        );
    }
}
