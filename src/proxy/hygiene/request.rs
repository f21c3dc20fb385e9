//! A request's head, brought into its one form.

use super::target::Slashes;
use super::{Limits, Refusal, connection, framing, headers, host, method, target};
use http::{Version, header};
use pingora::http::RequestHeader;

/// Where a clean request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    ToAService(Slashes),
    /// Asks for this hop's abilities.
    AnsweredHere,
}

/// Brings a request's head into the one form that the rest relies on.
///
/// `raw` is the head as it came, where there is such a thing: some of what makes it ambiguous
/// does not survive parsing.
pub fn clean(head: &mut RequestHeader, raw: &[u8], limits: &Limits) -> Result<Way, Refusal> {
    framing::lines(raw)?;
    target::line(raw)?;
    headers::fit(head, limits)?;
    method::check(&head.method)?;
    framing::check(head, raw)?;
    let slashes = match target::read(&head.method, head.raw_path(), limits.target_bytes)? {
        target::Read::AsItIs(slashes) => Some(slashes),
        target::Read::Server => None,
        target::Read::Rewritten {
            target,
            authority,
            slashes,
        } => {
            if let Some(authority) = authority
                && !head.headers.contains_key(header::HOST)
            {
                let host = head.insert_header(header::HOST, authority);
                host.map_err(|_| Refusal::Malformed("an impossible authority"))?;
            }
            let set = head.set_raw_path(&target);
            set.map_err(|_| Refusal::Malformed("an impossible request target"))?;
            Some(slashes)
        }
    };
    match head.headers.get(header::HOST) {
        Some(value) => host::check(value.as_bytes())?,
        None if head.version != Version::HTTP_10 => {
            return Err(Refusal::Malformed("no Host"));
        }
        None => {}
    }
    connection::settle(head)?;
    headers::drop_impostors(head);
    let is_last_hop = method::count_forwards(head)?;
    Ok(match slashes {
        Some(slashes) if !is_last_hop => Way::ToAService(slashes),
        _ => Way::AnsweredHere,
    })
}
