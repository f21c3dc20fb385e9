//! The clients' side.

pub mod connection;
