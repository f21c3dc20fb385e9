//! Micro benchmarks of Tidegate, in `benches/`.

#![forbid(unsafe_code)]
