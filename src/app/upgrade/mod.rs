//! An upgrade: a new process takes over the listening sockets, the locks and the containers of the
//! running one.
//!
//! ```text
//! new: hello -> holdings -> get ready -> ready -> yours -> accept -> serving -> alone
//! old: serve ------------------------------------> let go -> finish its requests -> exit
//! ```
//!
//! `src/README.md` has the whole conversation.

pub mod handover;
pub mod holdings;
pub mod new;
pub mod old;
pub mod predecessor;
pub mod successor;
pub mod ticket;
