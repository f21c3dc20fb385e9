//! Everything that a plugin needs.

pub use super::{
    Answer, Background, Broken, Exchange, Filter, Hooks, Observer, Origin, Plugin, PluginError,
    Probe, Record, Registry, Request, Response, Trace, Transform, Verdict, bytes, duration,
    testing,
};
pub use crate::log_writer;
pub use crate::plan::scaler::{Decision, Needs, Scaler};
pub use crate::plan::window::{Sample, Window};
pub use crate::service::event::{Barrier, Event};
pub use crate::service::latency::Histogram;
pub use crate::service::replica::{Ailment, Phase, ReplicaId, ReplicaView};
pub use crate::service::snapshot::{ServiceView, Snapshot};
pub use crate::service::spec::{Protocol, ServiceName, Slot, Upstream, tls_failure};
pub use crate::service::store::Reader;
pub use crate::service::time::{Human, Moment};
pub use crate::service::usage::Used;
pub use async_trait::async_trait;
pub use bytes::{Bytes, BytesMut};
pub use http::{HeaderName, HeaderValue, Uri};
pub use pingora::http::{Method, RequestHeader, ResponseHeader, StatusCode};
pub use prometheus;
pub use serde::Deserialize;
pub use std::net::SocketAddr;
pub use std::time::Duration;
