//! The request target, so that a route and a program behind it see the same path.
//!
//! Spellings of one path become one: `%61` is `a` (RFC 3986 §6.2.2.2) and `//` is `/`. Spellings
//! that could lead elsewhere once decoded are refused: `.` and `..` segments, backslashes, control
//! characters, bytes beyond ASCII, and escaped slashes unless the route keeps them.

use super::Refusal;
use http::Method;

const TARGET: Refusal = Refusal::Malformed("an impossible request target");
const DOTS: Refusal = Refusal::Malformed("`.` or `..` in the path");
const ESCAPE: Refusal = Refusal::Malformed("an escape that hides a separator, or is none");

#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// As good a path as any.
    AsItIs(Slashes),
    /// `*`: the server itself.
    Server,
    Rewritten {
        target: Vec<u8>,
        /// The authority that the target named beside a path.
        authority: Option<Vec<u8>>,
        slashes: Slashes,
    },
}

/// Whether a path has `%2F`, which some programs take for a slash and others for a part of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slashes {
    Plain,
    Encoded,
}

/// A fragment is for the client alone, and the parser takes it off without a word.
pub fn line(raw: &[u8]) -> Result<(), Refusal> {
    let raw = raw.trim_ascii_start();
    let line = &raw[..memchr::memchr(b'\n', raw).unwrap_or(raw.len())];
    match memchr::memchr(b'#', line) {
        Some(_) => Err(TARGET),
        None => Ok(()),
    }
}

pub fn read(method: &Method, raw: &[u8], bytes_max: usize) -> Result<Read, Refusal> {
    if raw.len() > bytes_max {
        return Err(Refusal::TargetTooLong);
    }
    match raw {
        [b'/', ..] => Ok(match normalised(raw)? {
            (None, slashes) => Read::AsItIs(slashes),
            (Some(target), slashes) => Read::Rewritten {
                target,
                authority: None,
                slashes,
            },
        }),
        b"*" if method == Method::OPTIONS => Ok(Read::Server),
        _ => absolute(raw),
    }
}

/// `http://example.com/path`, as clients write it to a proxy.
fn absolute(raw: &[u8]) -> Result<Read, Refusal> {
    let schemes: [&[u8]; 2] = [b"http://", b"https://"];
    let rest = schemes.iter().find_map(|scheme| {
        let (start, rest) = raw.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    let rest = rest.ok_or(TARGET)?;
    let end = rest.iter().position(|byte| b"/?#".contains(byte));
    let (authority, target) = rest.split_at(end.unwrap_or(rest.len()));
    let target = match target {
        [b'/', ..] => target.to_vec(),
        _ => [b"/", target].concat(),
    };
    let (changed, slashes) = normalised(&target)?;
    Ok(Read::Rewritten {
        target: changed.unwrap_or(target),
        authority: Some(authority.to_vec()),
        slashes,
    })
}

/// `None` when it is in its common form already.
fn normalised(target: &[u8]) -> Result<(Option<Vec<u8>>, Slashes), Refusal> {
    let question = memchr::memchr(b'?', target);
    let (path, query) = target.split_at(question.unwrap_or(target.len()));
    let (path_changes, slashes) = inspect_path(path)?;
    let query_changes = inspect_query(query)?;
    if !path_changes && !query_changes {
        return match has_dot_segments(path, slashes) {
            true => Err(DOTS),
            false => Ok((None, slashes)),
        };
    }
    let mut changed = Vec::with_capacity(target.len() + 16);
    rewrite_path(path, &mut changed);
    if has_dot_segments(&changed, slashes) {
        return Err(DOTS);
    }
    for byte in query {
        match byte {
            0x80.. => escape(*byte, &mut changed),
            byte => changed.push(*byte),
        }
    }
    Ok((Some(changed), slashes))
}

/// Whether it is to be spelled anew, and which slashes it has.
fn inspect_path(path: &[u8]) -> Result<(bool, Slashes), Refusal> {
    let (mut changes, mut slashes) = (false, Slashes::Plain);
    let mut before = 0;
    for (at, byte) in path.iter().enumerate() {
        match byte {
            b'%' => match escaped(path, at).ok_or(ESCAPE)? {
                b'\\' | 0..0x20 | 0x7f => return Err(ESCAPE),
                b'/' => slashes = Slashes::Encoded,
                byte => changes |= is_unreserved(byte),
            },
            b'\\' | b'#' | 0..=0x20 | 0x7f.. => return Err(TARGET),
            b'/' => changes |= before == b'/',
            _ => {}
        }
        before = *byte;
    }
    Ok((changes, slashes))
}

fn inspect_query(query: &[u8]) -> Result<bool, Refusal> {
    let mut changes = false;
    for byte in query {
        match byte {
            b'#' | 0..=0x20 | 0x7f => return Err(TARGET),
            0x80.. => changes = true,
            _ => {}
        }
    }
    Ok(changes)
}

fn rewrite_path(path: &[u8], to: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(byte) = path.get(at) {
        at += 1;
        match (byte, escaped(path, at - 1)) {
            (b'%', Some(byte)) if is_unreserved(byte) => {
                to.push(byte);
                at += 2;
            }
            (b'/', _) if to.last() == Some(&b'/') => {}
            _ => to.push(*byte),
        }
    }
}

pub fn escape(byte: u8, to: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    to.extend([
        b'%',
        HEX[usize::from(byte >> 4)],
        HEX[usize::from(byte & 15)],
    ]);
}

/// The byte that the escape at `at` stands for.
fn escaped(path: &[u8], at: usize) -> Option<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let (high, low) = (path.get(at + 1)?, path.get(at + 2)?);
    Some((digit(high)? * 16 + digit(low)?) as u8)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Some programs cut a segment at its `;` before they look at it.
fn has_dot_segments(path: &[u8], slashes: Slashes) -> bool {
    if slashes == Slashes::Encoded {
        return has_dot_segments(&with_slashes(path), Slashes::Plain);
    }
    path.split(|byte| *byte == b'/').any(|segment| {
        let end = segment.iter().position(|byte| *byte == b';');
        let name = &segment[..end.unwrap_or(segment.len())];
        matches!(name, b"." | b"..")
    })
}

/// As a program reads it that decodes before it splits.
fn with_slashes(path: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(path.len());
    let mut at = 0;
    while let Some(byte) = path.get(at) {
        let is_slash = *byte == b'%' && escaped(path, at) == Some(b'/');
        plain.push(if is_slash { b'/' } else { *byte });
        at += if is_slash { 3 } else { 1 };
    }
    plain
}
