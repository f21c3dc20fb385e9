//! The plain way: a request goes from the client's connection to the replica's and back with
//! nothing in between.

pub mod client;
pub mod exchange;
mod replica;
