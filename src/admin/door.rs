//! Doors by which requests come in.

/// Listener of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Tcp,
    /// The unix socket: every user that may open it may write.
    Socket,
}
