//! The admin listener: metrics, health and the state of every service, all from one snapshot.
//!
//! Reading never changes anything. Writing needs the token, or the unix socket, whose file mode
//! is the permission.

mod bounded;
mod context;
mod dashboard;
mod door;
mod event_json;
mod events;
mod failures;
mod guard;
mod history;
mod live;
pub mod metrics;
mod numbers;
mod openapi;
mod order;
mod problem;
mod reading;
mod router;
mod series;
mod serve;
mod streams;
pub mod view;
mod write;

pub use context::{Admin, Metrics};
pub use door::Door;
pub use failures::Failures;
pub use history::History;
pub use live::Live;
pub use order::{Order, Reply};
pub use router::router;
pub use serve::serve;
pub use streams::Streams;
