//! Sizes of heads.

/// How much of a head is taken.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The request line and the header lines.
    pub header_bytes: u64,
    /// Header lines.
    pub headers: usize,
    pub target_bytes: usize,
}
