//! TLS: from a client's first byte to a stream that speaks HTTP.
//!
//! ```text
//! first byte --> hello --> certificate and policy --> handshake --> Secured, TlsFacts
//!  sniffed       hello      policies, certs::Table     half_open
//! ```
//!
//! The hello is read before anything is chosen, so one listener serves every host, each with its
//! certificate and its policy for clients' certificates, and answers challenges of authorities.
//! The certificate is looked up per handshake: a renewal rebuilds nothing.

mod clients;
mod counts;
mod facts;
mod half_open;
mod hello;
mod policies;
mod policy_id;
mod secured;
mod tickets;

pub use clients::{ClientCertificate, FINGERPRINT, SUBJECT};
pub use counts::{HandshakeCounts, HandshakeResult};
pub use facts::{Protocol, TlsFacts, TlsVersion};
pub use hello::{Ends, Handshakes, Unfinished};
pub use policies::{TlsPolicies, TlsShared};
pub use policy_id::PolicyId;
pub use secured::Secured;
pub use tickets::{TicketKeys, TicketSecret};
