//! Figures of a run, in the words of `tidegate simulate`.

use crate::client::Sent;
use crate::edge::Seen;
use serde::Serialize;
use std::time::Duration;

/// A request that waits longer is a violation, as in the simulation.
const PATIENCE: Duration = Duration::from_millis(500);

#[derive(Serialize)]
pub struct Figures {
    pub policy: String,
    pub requests: usize,
    pub failed: usize,
    /// The share that waited too long or failed.
    pub violations: f64,
    pub wait_p50_ms: f64,
    pub wait_p99_ms: f64,
    pub replica_seconds: f64,
    /// As a multiple of the oracle's.
    pub cost: f64,
    pub starts: f64,
    /// The mean, from the decision until ready.
    pub start_seconds: f64,
    pub peak: u32,
    /// How late the client itself was, at most.
    pub late_max_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
}

/// Consequences of a step of the load.
#[derive(Serialize)]
pub struct Step {
    pub need: u32,
    /// Until one more was ready.
    pub first_ready_seconds: Option<f64>,
    /// Until as many were ready as the load fills.
    pub enough_ready_seconds: Option<f64>,
}

pub fn figures(
    policy: &str,
    sent: &Sent,
    seen: &[Seen],
    starts: (f64, f64),
    oracle: f64,
) -> Figures {
    let mut waits: Vec<f64> = sent.answers.iter().map(|it| millis(it.waited)).collect();
    waits.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let index = (share * waits.len() as f64) as usize;
        waits
            .get(index.min(waits.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0.0)
    };
    let failed = sent.answers.iter().filter(|it| it.failed.is_some()).count();
    let wrong = sent
        .answers
        .iter()
        .filter(|it| it.failed.is_some() || it.waited > PATIENCE);
    let replica_seconds = seen
        .windows(2)
        .map(|pair| f64::from(pair[0].there) * (pair[1].at - pair[0].at).as_secs_f64());
    let replica_seconds: f64 = replica_seconds.sum();
    Figures {
        policy: policy.to_owned(),
        requests: sent.answers.len(),
        failed,
        violations: wrong.count() as f64 / sent.answers.len().max(1) as f64,
        wait_p50_ms: at(0.5),
        wait_p99_ms: at(0.99),
        replica_seconds,
        cost: replica_seconds / oracle,
        starts: starts.0,
        start_seconds: starts.1 / starts.0.max(1.0),
        peak: seen.iter().map(|seen| seen.there).max().unwrap_or(0),
        late_max_ms: millis(sent.late_max),
        step: None,
    }
}

pub fn step(seen: &[Seen], at: Duration, need: u32) -> Step {
    let before = seen.iter().rev().find(|seen| seen.at <= at);
    let before = before.map_or(0, |seen| seen.ready);
    let since = |enough: u32| {
        let mut after = seen.iter().filter(|seen| seen.at > at);
        let first = after.find(|seen| seen.ready >= enough)?;
        Some((first.at - at).as_secs_f64())
    };
    Step {
        need,
        first_ready_seconds: since(before + 1),
        enough_ready_seconds: since(need),
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Answered;

    fn seen(at: u64, ready: u32, there: u32) -> Seen {
        Seen {
            at: Duration::from_secs(at),
            ready,
            there,
        }
    }

    #[test]
    fn figures_count_waits_failures_and_every_container() {
        let answered = |waited, failed: Option<&str>| Answered {
            due: Duration::ZERO,
            waited: Duration::from_millis(waited),
            failed: failed.map(str::to_owned),
        };
        let sent = Sent {
            answers: vec![
                answered(1, None),
                answered(2, None),
                answered(501, None),
                answered(3, Some("reset")),
            ],
            late_max: Duration::from_millis(4),
        };
        let looks = [seen(0, 1, 1), seen(10, 1, 3), seen(20, 3, 3)];
        let figures = figures("p", &sent, &looks, (2.0, 5.0), 20.0);
        assert_eq!((figures.failed, figures.violations), (1, 0.5));
        assert_eq!((figures.replica_seconds, figures.cost), (40.0, 2.0));
        assert_eq!((figures.start_seconds, figures.peak), (2.5, 3));
    }

    #[test]
    fn a_step_is_over_when_enough_are_ready() {
        let looks = [
            seen(9, 2, 2),
            seen(11, 2, 6),
            seen(13, 3, 6),
            seen(14, 6, 6),
        ];
        let step = step(&looks, Duration::from_secs(10), 5);
        assert_eq!(step.first_ready_seconds, Some(3.0));
        assert_eq!(step.enough_ready_seconds, Some(4.0));
    }
}
