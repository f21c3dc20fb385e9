//! The built-in plugins.

pub mod filter;
pub mod health;
pub mod observe;
pub mod scale;
mod standard;

pub use standard::standard;
