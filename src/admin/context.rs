//! The context of the admin API.

use super::failures::Failures;
use super::history::History;
use super::live::Live;
use super::order::Order;
use super::streams::Streams;
use crate::certs::{Certificates, Reports};
use crate::service::store::Reader;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// Everything that the admin API reads and orders.
#[derive(Clone)]
pub struct Admin {
    pub reader: Reader,
    pub certificates: Certificates,
    /// Standing of names that get certificates by themselves.
    pub reports: Reports,
    pub metrics: Metrics,
    pub orders: mpsc::Sender<Order>,
    /// True once the process is leaving.
    pub leaving: watch::Receiver<bool>,
    pub token: Arc<str>,
    /// Host names that browsers may use, beside addresses and names of one label.
    pub hosts: Arc<[String]>,
    /// Wrong tokens by address.
    pub failures: Failures,
    pub history: History,
    pub live: Live,
    /// Places for streams.
    pub streams: Streams,
}

/// Gathers the text of every installed plugin's metrics.
pub type Metrics = Arc<dyn Fn() -> Vec<prometheus::proto::MetricFamily> + Send + Sync>;
