//! HTTP/1.1 as bytes: heads and the framing of bodies.

pub mod body;
pub mod fields;
pub mod head;
