//! Problems of a configuration, as users see them.

use serde::Serialize;
use std::fmt;

/// A problem of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// File, flag or environment variable of the value.
    pub origin: String,
    /// Line, from 1; `None` without a file.
    pub line: Option<usize>,
    /// Column, from 1; only for text that is not YAML.
    pub column: Option<usize>,
    /// Key path; empty for the whole file.
    pub path: String,
    pub message: String,
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// All problems of a configuration, in the order of its lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problems(pub(super) Vec<Problem>);

impl Problems {
    /// A problem with `origin` as a whole, as in "cannot be read".
    pub(super) fn whole(origin: String, message: String, hint: Option<String>) -> Self {
        Problems(vec![Problem {
            origin,
            line: None,
            column: None,
            path: String::new(),
            message,
            hint,
        }])
    }

    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{problem}")?;
        }
        match self.0.len() {
            1 => write!(f, "1 problem"),
            count => write!(f, "{count} problems"),
        }
    }
}

impl std::error::Error for Problems {}
