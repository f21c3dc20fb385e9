//! Figures of several rounds.

use std::fmt;

/// One figure of an edge, and what HAProxy's was in the same round.
#[derive(Clone, Default)]
pub struct Figure {
    values: Vec<f64>,
    ratios: Vec<f64>,
}

impl Figure {
    pub fn push(&mut self, value: f64, peer: Option<f64>) {
        self.values.push(value);
        self.ratios
            .extend(peer.filter(|peer| *peer > 0.0).map(|peer| value / peer));
    }

    pub fn median(&self) -> Option<f64> {
        median(&self.values)
    }

    pub fn ratio(&self) -> Option<f64> {
        median(&self.ratios)
    }
}

/// As in `13.4 (0.71, 0.70-0.74)`: the median, the median of the ratios, their least and largest.
impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(value) = self.median() else {
            return f.write_str("-");
        };
        f.write_str(&short(value))?;
        let Some(ratio) = self.ratio() else {
            return Ok(());
        };
        let [least, largest] = [f64::min, f64::max].map(|which| {
            let first = self.ratios.first().copied().unwrap_or_default();
            self.ratios.iter().copied().fold(first, which)
        });
        match self.ratios.len() {
            1 => write!(f, " ({ratio:.2})"),
            _ => write!(f, " ({ratio:.2}, {least:.2}-{largest:.2})"),
        }
    }
}

/// Three digits, as long as they say something.
pub fn short(value: f64) -> String {
    match value {
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len().checked_sub(1)? / 2;
    match values.len() % 2 {
        0 => Some((values[middle] + values[middle + 1]) / 2.0),
        _ => Some(values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_tells_the_median_and_how_far_the_ratios_lie_apart() {
        let mut figure = Figure::default();
        assert_eq!(figure.to_string(), "-");
        figure.push(20.0, Some(10.0));
        assert_eq!(figure.to_string(), "20.0 (2.00)");
        figure.push(30.0, Some(10.0));
        figure.push(1000.0, Some(100.0));
        assert_eq!(figure.to_string(), "30.0 (3.00, 2.00-10.00)");
    }

    #[test]
    fn a_figure_without_a_peer_has_no_ratio() {
        let mut figure = Figure::default();
        figure.push(5.0, None);
        figure.push(7.0, None);
        assert_eq!(figure.to_string(), "6.00");
    }
}
