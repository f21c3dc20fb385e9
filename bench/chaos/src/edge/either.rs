//! Either of the two edges.

use super::eye::Eye;
use super::haproxy::Haproxy;
use super::tidegate::Tidegate;
use crate::load::Target;
use std::path::Path;

/// The edge under test.
pub enum Edge {
    Tidegate(Tidegate),
    Haproxy(Haproxy),
}

impl Edge {
    /// Where the client's requests go.
    pub fn target(&self) -> Result<Target, String> {
        match self {
            Edge::Tidegate(edge) => edge.target(),
            Edge::Haproxy(edge) => Ok(Target {
                address: edge.address,
                tls: None,
            }),
        }
    }

    pub fn eye(&self) -> Eye {
        match self {
            Edge::Tidegate(edge) => edge.eye(),
            Edge::Haproxy(edge) => edge.eye(),
        }
    }

    /// TERM, or what an edge calls it: it leaves when it has finished what is in flight.
    pub async fn leave(&mut self) -> Result<(), String> {
        match self {
            Edge::Tidegate(edge) => edge.leave().await,
            Edge::Haproxy(edge) => edge.leave().await,
        }
    }

    pub async fn kill(&mut self) -> Result<(), String> {
        match self {
            Edge::Tidegate(edge) => edge.kill().await,
            Edge::Haproxy(edge) => edge.kill().await,
        }
    }

    pub fn spawn(&mut self) -> Result<(), String> {
        match self {
            Edge::Tidegate(edge) => edge.spawn(),
            Edge::Haproxy(edge) => edge.spawn(),
        }
    }

    pub fn log(&self) -> String {
        match self {
            Edge::Tidegate(edge) => edge.log(),
            Edge::Haproxy(edge) => edge.log(),
        }
    }

    pub fn keep_logs(&self, folder: &Path) -> std::io::Result<()> {
        match self {
            Edge::Tidegate(edge) => edge.keep_logs(folder),
            Edge::Haproxy(edge) => edge.keep_logs(folder),
        }
    }
}
