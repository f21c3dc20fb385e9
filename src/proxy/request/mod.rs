//! The decisions about a request, free of how its bytes travel: who asks, which service, what is
//! refused, which replica, whether to try again, what is learnt and recorded.

pub mod answered;
pub mod arrival;
pub mod blame;
pub mod caller;
pub mod claim;
pub mod context;
pub mod failure;
pub mod filters;
pub mod forwarded;
pub mod grpc;
pub mod grpc_web;
pub mod hold;
pub mod in_flight;
pub mod judge;
pub mod keep;
pub mod outlier;
pub mod report;
pub mod retry;
mod secure;
pub mod serve;
pub mod transforms;
