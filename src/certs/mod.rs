//! Certificates: the nouns that handshakes, orders, the configuration and the admin API share.
//!
//! ```text
//! files of the user --> CertificateWriter --.
//!                                            +--> Table --> Certificates (handshakes, status)
//! orders, local CA  --> CertificateWriter --'
//! ```
//!
//! This room imports no other. A handshake reads the table without waiting, except for a name
//! whose first certificate is on its way (`awaited`).

pub mod awaited;
pub mod challenges;
pub mod crypto;
pub mod dns_providers;
pub mod held;
pub mod held_error;
pub mod name;
pub mod report;
pub mod settings;
pub mod table;

pub use awaited::{Awaited, OnDemandName};
pub use challenges::{AnsweredChallenge, Challenges};
pub use held::{CertificateSource, Held};
pub use held_error::HeldError;
pub use name::CertName;
pub use report::{NameReport, ReportWriter, Reports, reports};
pub use settings::TlsSettings;
pub use table::{CertificateWriter, Certificates, Table, certificates};
