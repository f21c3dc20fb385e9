//! From a Compose file to a configuration. What cannot be translated is said as a comment.

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
