//! TLS in the running process: what outlives reloads, the user's own files, and metrics.

pub mod metrics;
pub mod own_files;
pub mod parts;
