//! The seam that a stranger writes against.
//!
//! A plugin is a configuration struct with an [`install`](Plugin::install): its fields are the
//! keys a user may write, its doc comments their reference. Installing does no I/O, so that
//! `tidegate check` can stop there; what must run goes to [`Hooks::background`].
//!
//! ```
//! use tidegate::plugin::prelude::*;
//!
//! /// Marks each answer with the place it came from.
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Geo { country: String }
//!
//! impl Plugin for Geo {
//!     const NAME: &'static str = "geo";
//!     fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
//!         hooks.filter(self);
//!         Ok(())
//!     }
//! }
//!
//! impl Filter for Geo {
//!     fn response(&self, response: &mut Response<'_>) {
//!         let _ = response.head.insert_header("x-country", &self.country);
//!     }
//! }
//! ```

mod filter;
mod hooks;
mod observer;
mod registry;
pub mod testing;
mod trace;
mod values;

pub use crate::plan::combined::Combined;
pub use crate::plan::scaler::Scaler;
pub use filter::{Answer, Exchange, Filter, Request, Response, Verdict};
pub use hooks::{Background, Hooks, Installed};
pub use observer::{Observer, Record};
pub use registry::{InstallError, Plugin, PluginError, Registry};
pub use trace::Trace;
pub use values::{bytes, duration};

use async_trait::async_trait;
use std::net::SocketAddr;

/// A health check: asks one replica once.
#[async_trait]
pub trait Probe: Send + Sync {
    /// `Err` says in a few words what was wrong, as in "answered 500". The caller bounds the time.
    async fn check(&self, address: SocketAddr) -> Result<(), String>;
}

/// Everything that a plugin needs.
pub mod prelude {
    pub use super::{
        Answer, Background, Exchange, Filter, Hooks, Observer, Plugin, PluginError, Probe, Record,
        Registry, Request, Response, Trace, Verdict, bytes, duration, testing,
    };
    pub use crate::log_writer;
    pub use crate::plan::scaler::{Decision, Needs, Scaler};
    pub use crate::plan::window::{Sample, Window};
    pub use crate::service::event::{Barrier, Event};
    pub use crate::service::latency::Histogram;
    pub use crate::service::replica::{Ailment, Phase, ReplicaId, ReplicaView};
    pub use crate::service::snapshot::{ServiceView, Snapshot};
    pub use crate::service::spec::{ServiceName, Slot};
    pub use crate::service::store::Reader;
    pub use crate::service::time::{Human, Moment};
    pub use crate::service::usage::Used;
    pub use async_trait::async_trait;
    pub use bytes::Bytes;
    pub use http::{HeaderName, HeaderValue};
    pub use pingora::http::{Method, RequestHeader, ResponseHeader, StatusCode};
    pub use prometheus;
    pub use serde::Deserialize;
    pub use std::net::SocketAddr;
    pub use std::time::Duration;
}
