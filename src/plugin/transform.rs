//! Transforms: change the body of an answer while it passes.

use bytes::BytesMut;
use std::fmt;

/// A transform sees the pieces of one body, in order.
pub trait Transform: Send + Sync {
    /// Takes a piece and adds what goes down to `out`, which may be nothing yet. Only the last
    /// piece may be empty.
    fn piece(&mut self, piece: &[u8], is_last: bool, out: &mut BytesMut) -> Result<(), Broken>;
}

/// Why a body cannot be transformed. Its answer is cut off.
#[derive(Debug)]
pub struct Broken(pub String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}
