//! What the edge answers itself, instead of a service.

pub mod own;
pub mod waiting;
