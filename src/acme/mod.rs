//! Certificates from authorities: ordered, kept and renewed by one task.
//!
//! `keeper` is the loop, `due` decides when, `order` speaks with a CA, `store` has the files. The room
//! knows the nouns of `certs`, and neither proxy nor configuration.

mod account;
mod advice;
mod answers;
mod ask;
mod attempt;
mod attempts;
mod brakes;
mod dns;
mod due;
mod entry;
mod failure;
mod folder;
mod gate;
mod handle;
mod http;
mod import;
mod keeper;
mod local;
mod on_demand;
mod order;
mod proof;
mod renewal;
mod self_ask;
mod self_check;
mod store;
mod tasks;
#[cfg(test)]
mod testing;
mod wanted;

pub use handle::{CertificateHandle, Orders, handle};
pub use import::{Foreign, Import, NotTaken, TakenOver, Unreadable, read_source, take_over};
pub use keeper::{Connections, Keeper, Tell};
pub use local::root_pem;
pub use store::Store;
pub use wanted::Wanted;
