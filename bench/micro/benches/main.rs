//! `make micro`: what single steps of a request, and of the control loop, take.

#![forbid(unsafe_code)]

mod claim;
mod control;
mod filters;
mod hygiene;
mod metrics;
mod plan;
mod publish;
mod request;
mod route;
mod stage;

use criterion::Criterion;
use std::time::Duration;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    request::measure();
    hygiene::measure(&mut criterion);
    route::measure(&mut criterion);
    filters::measure(&mut criterion);
    claim::measure(&mut criterion);
    metrics::measure(&mut criterion);
    publish::measure(&mut criterion);
    plan::measure(&mut criterion);
    criterion.final_summary();
    if std::env::args().len() < 3 || std::env::args().any(|argument| argument == "control") {
        control::measure();
    }
}
