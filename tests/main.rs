//! Tests from the outside, in one crate so that they link once.

mod engine_docker;
mod support;
