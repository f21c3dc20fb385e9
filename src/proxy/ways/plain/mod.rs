//! The plain way: a request goes from the client's connection to the replica's and back with
//! nothing in between.

pub mod answerer;
pub mod asker;
pub mod client;
pub mod exchange;
mod http1;
pub mod outgoing;
pub mod patience;
pub mod replica;
mod replica_h2;
mod replica_web;
mod request;
pub mod sending;
pub mod serve;
pub mod upload;
