//! Names of services, made from what others call them.

use crate::service::spec::NAME_BYTES_MAX;

/// The name closest to `text`, if there is anything to make one of.
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

/// The last part of an image's name, without tag and digest.
pub fn name_of(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or_default();
    let name = last.split([':', '@']).next().unwrap_or_default();
    name_from(name).unwrap_or_else(|| "service".to_owned())
}
