//! From a Compose file to a configuration. Keys that cannot be translated become comments.

mod container;
mod deploy;
mod dns;
mod environment;
mod file;
mod https;
mod keys;
mod labels;
mod left;
mod mounts;
mod ports;
mod project;
mod resolver;
mod variables;

pub use file::draft;
pub use variables::lookup;
