//! Errors that keep the process from starting.

use crate::config::Problems;
use std::fmt;

/// Reason why the process cannot start.
#[derive(Debug)]
pub enum StartError {
    Config(Problems),
    System(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Config(problems) => problems.fmt(f),
            StartError::System(message) => f.write_str(message),
        }
    }
}

/// A failure outside of Tidegate as a reason not to start.
pub fn system(error: &dyn fmt::Display) -> StartError {
    StartError::System(error.to_string())
}
