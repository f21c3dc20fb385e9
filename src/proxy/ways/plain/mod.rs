//! The plain way: a request goes from the client's connection to the replica's and back with
//! nothing in between.

mod answerer;
pub mod asker;
pub mod client;
mod exchange;
mod http1;
mod patience;
mod replica;
mod request;
mod serve;
mod upload;
