//! Host names.

use super::value::ValueError;
use crate::config::scalar::Scalar;

pub fn host_of(typed: &Scalar) -> Result<String, ValueError> {
    let typed = typed.to_string();
    let message = format!("expected a host name, found `{typed}`");
    let host = typed.to_ascii_lowercase();
    let (scheme, rest) = host.split_once("://").unwrap_or(("", &host));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (name, port) = authority.split_once(':').unwrap_or((authority, ""));
    let hint = match (scheme, port, path) {
        ("", "", "") if !rest.contains(['/', ':']) => None,
        (_, "", "") if !scheme.is_empty() => Some(format!("leave the scheme out: `{name}`")),
        ("", _, "") if rest.contains(':') => Some(format!("leave the port out: `{name}`")),
        (_, _, "") if !scheme.is_empty() => Some(format!("leave scheme and port out: `{name}`")),
        _ => Some(format!("write `host: {name}` and `path: /{path}`")),
    };
    if let Some(hint) = hint {
        return Err(ValueError::hint(message, hint));
    }
    if host == "*" {
        let hint = "leave `host` out to claim every host";
        return Err(ValueError::hint(message, hint));
    }
    // A trailing dot names the root, which is where every host name ends.
    let host = host.strip_suffix('.').unwrap_or(&host);
    let is_label = |label: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !label.is_empty() && label.len() <= 63 && label.bytes().all(is_plain)
    };
    let labels = host.strip_prefix("*.").unwrap_or(host);
    if labels.contains('*') {
        let hint = "`*` stands for the first labels only, as in `*.example.com`";
        return Err(ValueError::hint(message, hint));
    }
    if host.len() > 253 || !labels.split('.').all(is_label) {
        return Err(ValueError::new(message));
    }
    Ok(host.to_owned())
}
