//! The ways that a request's bytes travel: plain HTTP/1.1 and HTTP/2 on our own code, everything
//! else through Pingora, and WebSockets as tunnels. All decide by the functions in `request/`.

pub mod h2;
pub mod pingora;
pub mod plain;
mod preface;
pub mod session;
pub mod tunnel;
