//! WebSockets: the handshake, and then bytes both ways until both sides are done.

pub mod handshake;
mod head;
mod pipe;
