//! The decisions about a request, free of how its bytes travel: who asks, which service, what is
//! refused, which replica, whether to try again, what is learnt and recorded.

pub mod blame;
pub mod caller;
pub mod context;
pub mod decide;
pub mod failure;
pub mod forwarded;
pub mod hold;
pub mod outlier;
pub mod retry;
