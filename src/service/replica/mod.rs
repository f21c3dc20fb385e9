//! One running copy of a service: its identity, its phase, and the parts that requests touch.
//!
//! ```text
//! lease --enters--> gate                     how many are inside; closed by a drain
//!   |
//!   '--sends on--> connections --+-- dials     turns to open new ones
//!                                |-- idle_pool those without a request
//!                                '-- multiplexed  those for many requests at once
//! doubt, outlier, fault                      what requests learn of the replica
//! ```

mod ailment;
mod connection_task;
pub mod connections;
pub mod dials;
pub mod doubt;
pub mod fault;
pub mod gate;
mod id;
pub mod idle_pool;
pub mod lease;
mod live;
pub mod multiplexed;
mod observed;
pub mod outlier;
mod phase;
pub mod stream;
mod sync;
mod view;

pub use ailment::Ailment;
pub use id::ReplicaId;
pub use live::{Replica, WHOLE_SHARE};
pub use observed::{Made, Observed, RunState, Vouched};
pub use phase::Phase;
pub use view::ReplicaView;
