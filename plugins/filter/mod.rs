//! The built-in filters.

pub mod replica_header;
pub mod request_id;
