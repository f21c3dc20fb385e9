//! Other people's policies with their defaults, to compare with. They run nowhere else.

mod hpa;
mod knative;

pub use hpa::Hpa;
pub use knative::Knative;

use crate::plan::window::Window;
use crate::service::time::Moment;
use std::time::Duration;

/// The mean of a quantity over the samples of the last `over`, without the first, which the
/// time before it ended with.
fn mean(
    window: &Window,
    now: Moment,
    over: Duration,
    quantity: impl Fn(&crate::plan::window::Sample) -> f64,
) -> Option<f64> {
    let after = now - over;
    let (mut sum, mut count) = (0.0, 0u32);
    for sample in window.since(after).filter(|sample| sample.at > after) {
        sum += quantity(sample);
        count += 1;
    }
    (count > 0).then(|| sum / f64::from(count))
}
