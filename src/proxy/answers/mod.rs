//! Answers of the edge itself, instead of a service.

pub mod own;
pub mod waiting;
