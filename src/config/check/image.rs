//! Names of images, and their pulls.

use super::value::{ValueError, one_of, text};
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::service::spec::Pull;

/// Checks the name of an image. Fails with a message that has a hint.
pub fn check_image(image: &str) -> Result<(), String> {
    let typed = Scalar::Text(image.to_owned());
    match image_name(&typed) {
        Ok(_) => Ok(()),
        Err(fault) => Err(match fault.hint {
            Some(hint) => format!("{}\n  hint: {hint}", fault.message),
            None => fault.message,
        }),
    }
}

pub fn image_name(typed: &Scalar) -> Result<String, ValueError> {
    let image = text(typed)?;
    let message = format!("expected an image, found `{image}`");
    if image.contains("://") {
        let hint = "leave the scheme out, as in `registry.example.com/team/web:1.2`";
        return Err(ValueError::hint(message, hint));
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    let has_gap = image.split('/').any(str::is_empty);
    if !image.chars().all(is_plain) || has_gap || image.ends_with([':', '@']) {
        let hint = "as in `web`, `web:1.2` or `registry.example.com/team/web:1.2`";
        return Err(ValueError::hint(message, hint));
    }
    let (registry, name) = image.rsplit_once('/').unwrap_or(("", &image));
    let name = name.split([':', '@']).next().unwrap_or_default();
    if name.contains(|c: char| c.is_ascii_uppercase()) {
        let slash = if registry.is_empty() { "" } else { "/" };
        let rest = &image[registry.len() + slash.len() + name.len()..];
        let hint = format!(
            "names of images are lower case: `{registry}{slash}{}{rest}`",
            name.to_ascii_lowercase()
        );
        return Err(ValueError::hint(message, hint));
    }
    Ok(image)
}

pub fn pull(at: &At<'_>, typed: Option<&Scalar>) -> Option<Pull> {
    let known = one_of(&[("always", Pull::Always), ("missing", Pull::Missing)]);
    at.read("pull", typed, Pull::Missing, known)
}
