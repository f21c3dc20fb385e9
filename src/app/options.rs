//! Options of `tidegate run` beyond the configuration.

use super::upgrade::handover::TakeOver;
use crate::config::Overrides;
use std::path::PathBuf;

/// Options of the process.
pub struct Options {
    pub overrides: Overrides,
    /// The file that a reload reads again; `None`: the built-in defaults.
    pub file: Option<PathBuf>,
    /// Removes every container when leaving.
    pub remove: bool,
    /// Takes over from the running process, if there is one.
    pub upgrade: Option<TakeOver>,
}
