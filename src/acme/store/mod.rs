//! Files below `STATE/tls`: one certificate a file, written atomically, for our user alone.
//!
//! ```text
//! accounts/<ca>.json        account and its key
//! held/<name>/<n>.pem       key and chain; the highest number counts
//! held/<name>/state.json    attempts, the CA's window, the next try
//! held/<name>/order.json    the order under way, with the key that is being certified
//! challenges/http/<token>   answers that any process with this folder can give
//! challenges/alpn/<name>
//! orders.json               orders of the last day, for the brakes
//! local-ca.pem              root of the local CA, with its key
//! ```

mod accounts;
mod challenges;
mod file;
mod folder;
mod held;
mod order;
mod state;

pub use challenges::Posted;
pub use folder::Store;
pub use order::Pending;
pub use state::NameState;
