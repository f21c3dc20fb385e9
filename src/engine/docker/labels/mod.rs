//! Labels: what a container is, written on it and read back.
//!
//! `names` has the names, `write` and `read` are the two directions, `seal` proves that this
//! Tidegate wrote the labels, and `vouch` judges how far labels can be relied on.

mod addresses;
mod names;
mod read;
mod seal;
mod state;
mod vouch;
mod write;

pub use names::{Labels, filter, is_ours, only_ours, owned};
pub use read::observed;
pub use seal::{KEY_BYTES, Seal};
pub use vouch::{Found, vouched, without_our_labels};
pub use write::{of_replica, sealed};
