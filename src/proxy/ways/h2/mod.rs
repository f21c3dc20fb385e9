//! HTTP/2 of clients: each stream is a request of its own, and takes part in the same exchange as
//! one that came by HTTP/1.

mod bell;
mod calm;
pub mod connection;
mod head;
mod request;
mod stream;
mod websocket;
