//! Scalers: how many replicas a service wants.

pub mod requests;
