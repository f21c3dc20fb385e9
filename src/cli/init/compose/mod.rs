//! From a Compose file to a configuration. Keys that cannot be translated become comments.

mod container;
mod deploy;
mod environment;
mod file;
mod keys;
mod left;
mod mounts;
mod ports;
mod project;
mod variables;

pub use file::draft;
pub use variables::lookup;
