//! The access log: one line for each finished request.

mod line;
mod plugin;

pub use plugin::AccessLog;
