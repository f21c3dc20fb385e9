//! The standing of every name that gets certificates by itself, for those who look.

use super::held::Held;
use super::name::CertName;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::time::SystemTime;

/// Standing of one name.
#[derive(Clone, Debug)]
pub struct NameReport {
    pub name: CertName,
    /// The certificate that is served.
    pub held: Option<Arc<Held>>,
    /// Authority that is asked next.
    pub ca: String,
    pub is_ordering: bool,
    /// Whether clients asked for the name, and no route names it.
    pub is_on_demand: bool,
    /// Time of the next try; `None`: this process does not order.
    pub next_try: Option<SystemTime>,
    /// Reason of the next try.
    pub because: String,
    pub last_error: Option<String>,
}

/// The reports and their one writer.
pub fn reports() -> (ReportWriter, Reports) {
    let shared = Arc::new(ArcSwap::from_pointee(Vec::new()));
    (ReportWriter(Arc::clone(&shared)), Reports(shared))
}

/// The only writer.
#[derive(Debug)]
pub struct ReportWriter(Arc<ArcSwap<Vec<NameReport>>>);

/// A reader of the latest reports.
#[derive(Clone, Debug, Default)]
pub struct Reports(Arc<ArcSwap<Vec<NameReport>>>);

impl ReportWriter {
    /// Replaces the reports, which are in the order of their names.
    pub fn publish(&mut self, reports: Vec<NameReport>) {
        self.0.store(Arc::new(reports));
    }
}

impl Reports {
    pub fn load(&self) -> Arc<Vec<NameReport>> {
        self.0.load_full()
    }
}
