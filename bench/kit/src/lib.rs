//! Common parts of the tools in `bench/`.

#![forbid(unsafe_code)]

pub mod marks;
pub mod peers;
pub mod process;
