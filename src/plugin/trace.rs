//! Which trace a request belongs to, as in W3C Trace Context.

/// Set by a filter; what follows the request may tell it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trace {
    pub id: [u8; 16],
    /// The span of this request, the parent of the replica's.
    pub span: [u8; 8],
    /// The caller's span; `None`: the trace begins here.
    pub parent: Option<[u8; 8]>,
    /// Whether it is recorded.
    pub sampled: bool,
}
