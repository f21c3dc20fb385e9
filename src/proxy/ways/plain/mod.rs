//! The plain way: a request goes from the client's connection to the replica's and back with
//! nothing in between.

mod answerer;
mod asker;
pub mod client;
mod exchange;
mod http1;
mod patience;
mod replica;
mod request;
mod upload;
