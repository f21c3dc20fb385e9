//! What the tools in `bench/` have in common.

#![forbid(unsafe_code)]

pub mod marks;
pub mod peers;
pub mod process;
