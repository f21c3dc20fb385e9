//! Orders to the running process.

use super::view;
use tokio::sync::oneshot;

/// An order, with a channel for its result.
pub enum Order {
    Reload {
        /// Also returns to the file's images where others were deployed by hand.
        image_from_file: bool,
        reply: Reply<String>,
    },
    Deploy {
        service: String,
        /// `None`: the configured one.
        image: Option<String>,
        reply: Reply<view::DeployResult>,
    },
    Scale {
        service: String,
        /// `None`: as its policy decides.
        replicas: Option<u32>,
        reply: Reply<view::ScaleResult>,
    },
    Drain {
        service: String,
        slot: u16,
        reply: Reply<view::DrainResult>,
    },
}

/// Channel for the result of an order, or for the reason why it was refused.
pub type Reply<T> = oneshot::Sender<Result<T, String>>;
