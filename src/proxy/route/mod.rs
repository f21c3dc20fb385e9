//! From a request to its route: the service, and the terms on which it is served.
//!
//! The most specific claim wins, in the order of the Gateway API:
//!
//! ```text
//! 1. host        an exact name, then the longest wildcard, then any host
//! 2. path        exact, then the longest prefix of whole segments
//! 3. conditions  the more of them, the better
//! 4. the order in the file
//! ```
//!
//! A claim that does not fit passes the request on to the next one, so one catch-all service can
//! stand behind all others.

mod claim;
mod host;
mod path;
mod table;
mod terms;
mod when;

pub use claim::{Claim, PathClaim};
pub use host::name as host_name;
pub use table::Routes;
pub use terms::Route;
pub use when::{Condition, When};
