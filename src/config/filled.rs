//! A value of the file whose variables were filled in, and messages about it that show no value of
//! a variable, because any may be a secret.

use super::interpolate::{FillError, fill};
use super::variables::{VariableOrigin, VariableSources};
use std::cell::RefCell;
use std::fmt;

/// Shortest text that is looked for within others; shorter ones are in every message.
const PART_MIN: usize = 4;

/// A value as it was written, and the variables in it.
pub struct Filling {
    written: String,
    used: Vec<UsedHere>,
}

struct UsedHere {
    name: String,
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
            value: value.clone().unwrap_or_default(),
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

impl fmt::Debug for Filling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written.fmt(f)
    }
}

impl Filling {
    /// The message with the text as it was written in place of the values.
    pub fn cover(&self, message: &str) -> String {
        let parts = message.split('`').enumerate().map(|(index, part)| {
            match (index % 2 == 1, self.tells(part)) {
                (true, true) => self.written.clone(),
                (true, false) => part.to_owned(),
                (false, _) => self.without_values(part),
            }
        });
        parts.collect::<Vec<_>>().join("`")
    }

    /// Whether a quoted part of a message has a value in it, or a piece of one.
    fn tells(&self, part: &str) -> bool {
        // Hints have examples such as `host: NAME`, of which only a word is of the value.
        let part = part.to_lowercase();
        let words = || part.split_whitespace().chain([part.as_str()]);
        let within = |inner: &str, outer: &str| inner.len() >= PART_MIN && outer.contains(inner);
        self.used.iter().any(|used| {
            // Hosts and sizes are shown in lower case.
            let value = used.value.to_lowercase();
            let tells = |word: &str| word == value || within(&value, word) || within(word, &value);
            !value.is_empty() && words().any(tells)
        })
    }

    fn without_values(&self, part: &str) -> String {
        let values = self.used.iter().map(|used| used.value.as_str());
        let values = values.filter(|value| value.len() >= PART_MIN);
        values.fold(part.to_owned(), |part, value| part.replace(value, "…"))
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
