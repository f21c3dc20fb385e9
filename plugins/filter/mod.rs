//! Filters: see each request before it is sent on, and each answer before it goes down.

pub mod replica_header;
pub mod request_id;
