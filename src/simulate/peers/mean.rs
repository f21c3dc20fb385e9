//! Means over a window.

use crate::plan::window::{Sample, Window};
use crate::service::time::Moment;
use std::time::Duration;

/// The mean of a quantity over the samples of the last `over`, without the first, which the
/// time before it ended with.
pub fn mean(
    window: &Window,
    now: Moment,
    over: Duration,
    quantity: impl Fn(&Sample) -> f64,
) -> Option<f64> {
    let after = now - over;
    let (mut sum, mut count) = (0.0, 0u32);
    for sample in window.since(after).filter(|sample| sample.at > after) {
        sum += quantity(sample);
        count += 1;
    }
    (count > 0).then(|| sum / f64::from(count))
}
