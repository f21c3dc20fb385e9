//! WebSockets: the handshake, and then bytes both ways until both sides are done.

pub mod handshake;
pub mod head;
pub mod pipe;
