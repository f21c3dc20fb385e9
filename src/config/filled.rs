//! A value of the file whose variables were filled in, and messages about it that show no value of
//! a variable, because any may be a secret.

use super::interpolate::{FillError, fill};
use super::variables::{VariableOrigin, VariableSources};
use std::cell::RefCell;

/// Shortest text that is looked for within others; shorter ones are in every message.
const PART_MIN: usize = 4;

/// A value as it was written, and the variables in it.
#[derive(Debug)]
pub struct Filling {
    written: String,
    used: Vec<UsedHere>,
}

#[derive(Debug)]
struct UsedHere {
    name: String,
    /// In lower case, as messages may show it.
    value: String,
    from: VariableOrigin,
}

/// Fills in the variables of `written`. Without any there is no [`Filling`].
pub fn filled(
    written: &str,
    sources: &VariableSources,
) -> Result<(String, Option<Filling>), FillError> {
    let used = RefCell::new(Vec::new());
    let text = fill(written, &|name| {
        let (value, from) = sources.find(name);
        used.borrow_mut().push(UsedHere {
            name: name.to_owned(),
            value: value.as_deref().unwrap_or_default().to_lowercase(),
            from,
        });
        value
    })?;
    let used = used.into_inner();
    let filling = (!used.is_empty()).then(|| Filling {
        written: written.to_owned(),
        used,
    });
    Ok((text, filling))
}

impl Filling {
    /// The message with the text as it was written in place of the values.
    pub fn cover(&self, message: &str) -> String {
        let parts = message.split('`').enumerate().map(|(index, part)| {
            let part_shown = part.to_lowercase();
            let is_quoted = index % 2 == 1;
            let tells = |used: &UsedHere| {
                let value = used.value.as_str();
                let within =
                    |inner: &str, outer: &str| inner.len() >= PART_MIN && outer.contains(inner);
                !value.is_empty()
                    && (within(value, &part_shown)
                        || is_quoted && (part_shown == value || within(&part_shown, value)))
            };
            match self.used.iter().any(tells) {
                true if is_quoted => self.written.clone(),
                true => "…".to_owned(),
                false => part.to_owned(),
            }
        });
        parts.collect::<Vec<_>>().join("`")
    }

    /// Origins of the variables, as in "`PORT` comes from .env:3".
    pub fn origins(&self) -> String {
        let mut origins: Vec<String> = Vec::new();
        for UsedHere { name, from, .. } in &self.used {
            let origin = match from {
                VariableOrigin::NotSet => format!("`{name}` is not set"),
                from => format!("`{name}` comes from {from}"),
            };
            if !origins.contains(&origin) {
                origins.push(origin);
            }
        }
        origins.join(", ")
    }
}
