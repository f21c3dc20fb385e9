//! The engine that runs replicas as containers of a Docker daemon.
//!
//! The engine has no memory: the labels of a container say what it is, and only containers with this
//! instance's labels are listed, stopped or removed. The daemon may be away when Tidegate starts, and
//! may go and come back; each call reports that by itself.

mod create;
mod daemon;
mod engine;
mod error;
mod event;
mod host;
mod identity;
mod image;
mod image_labels;
mod inspect;
mod json;
mod known_images;
mod labels;
mod last_logs;
mod list;
mod listed;
mod lock;
mod logs;
mod pause;
mod progress;
mod pull;
mod pulls;
mod recent_events;
mod registry;
mod stop;
mod turns;
mod usage;
mod version;

#[cfg(test)]
mod scripted;
mod settings;

pub use daemon::IdentityCheck;
pub use engine::Docker;
pub use host::Host;
pub use inspect::ImageFacts;
pub use labels::{KEY_BYTES, Seal};
pub use logs::LogLine;
