//! What several test modules share.

pub mod docker;
pub mod http;
pub mod image;
pub mod registry;
