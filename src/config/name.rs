//! Names of services, made from other names.

use crate::service::spec::NAME_BYTES_MAX;

/// Valid name closest to `text`; `None` if it has no letter or digit.
pub fn name_from(text: &str) -> Option<String> {
    let name: String = text
        .chars()
        .map(|c| match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() => c,
            _ => '-',
        })
        .skip_while(|c| *c == '-')
        .take(NAME_BYTES_MAX)
        .collect();
    Some(name.trim_end_matches('-').to_owned()).filter(|name| !name.is_empty())
}

/// Service name for an image: the last part of its name, without tag and digest.
pub fn name_of(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or_default();
    let name = last.split([':', '@']).next().unwrap_or_default();
    name_from(name).unwrap_or_else(|| "service".to_owned())
}
