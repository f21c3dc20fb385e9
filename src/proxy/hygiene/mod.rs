//! The form of requests and answers, as pure functions over their heads.
//!
//! Where two readings are possible, a request is refused; what has one reading and two spellings
//! is brought into the common one, so that routes, filters and replicas see the same. A request
//! that needs nothing of it costs no allocation.

mod chunk;
mod connection;
mod framing;
mod headers;
mod host;
mod limits;
mod line;
mod method;
mod refusal;
mod request;
mod response;
mod target;

pub use chunk::size as chunk_size;
pub use connection::ends as ends_connection;
pub use host::is_host;
pub use limits::Limits;
pub use line::settle as request_line;
pub use refusal::Refusal;
pub use request::{Way, clean as request};
pub use response::{clean as response, length as answer_length};
pub use target::Slashes;

#[cfg(test)]
mod tests;
