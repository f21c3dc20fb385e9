//! Balancing: which replica gets a request.

mod claim;
mod hash;
mod least_request;
mod round_robin;

pub use claim::{Ask, await_place, claim, claim_again};
pub use hash::key;
