//! `tidegate certs`: certificates of the running process, and those of other programs.

mod command;
mod import;
mod list;

pub use command::Certs;
pub use list::{PATH, summary};
