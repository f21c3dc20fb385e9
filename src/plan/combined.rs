//! Several policies for one service, as in Kubernetes' HorizontalPodAutoscaler: the largest wins.

use super::scaler::{Decision, NO_DATA, Needs, PolicyVote, Scaler};
use super::window::Window;
use crate::service::time::Moment;
use std::sync::Arc;
use std::time::Duration;

/// Asks each policy and takes the largest count.
///
/// One that lacks its data asks for what there is ([`Decision::unknown`]). So the others may
/// still scale up, and nothing is scaled down on the word of those that happen to know: HPA's
/// rule (`computeReplicasForMetrics` in `pkg/controller/podautoscaler/horizontal.go`).
pub struct Combined(Vec<(Arc<str>, Arc<dyn Scaler>)>);

impl Combined {
    /// The policies and their names, in the user's order.
    pub fn new(policies: Vec<(Arc<str>, Arc<dyn Scaler>)>) -> Combined {
        Combined(policies)
    }

    fn scalers(&self) -> impl Iterator<Item = &Arc<dyn Scaler>> {
        self.0.iter().map(|(_, scaler)| scaler)
    }
}

impl Scaler for Combined {
    /// Leaves out requests that any policy leaves out, so that each is counted once.
    fn counts(&self, path: &str) -> bool {
        self.scalers().all(|scaler| scaler.counts(path))
    }

    fn needs(&self) -> Needs {
        let needs = self.scalers().map(|scaler| scaler.needs());
        needs.fold(Needs::default(), Needs::and)
    }

    fn decide(&self, window: &Window, current: u32, now: Moment) -> Decision {
        let decided = self.0.iter().map(|(name, scaler)| {
            let decision = scaler.decide(window, current, now);
            (Arc::clone(name), decision)
        });
        let decided: Vec<(Arc<str>, Decision)> = decided.collect();
        // Of two that end at the same count, the one that knows, and whose load asks for more;
        // then the first.
        let size = |it: &Decision| (it.replicas, it.bound != NO_DATA, it.proposal);
        let Some((won, most)) = decided
            .iter()
            .rev()
            .max_by_key(|(_, decision)| size(decision))
        else {
            return Decision::unknown(current, "there is no policy".to_owned());
        };
        let others = decided.iter().filter(|(name, _)| name != won);
        let others: Vec<String> = others.map(|(name, it)| in_short(name, it)).collect();
        let because = match others.is_empty() {
            true => format!("{won}: {}", most.because),
            false => format!(
                "{won} wins: {} (the others: {})",
                most.because,
                others.join("; ")
            ),
        };
        let asked = decided.iter().map(|(name, decision)| PolicyVote {
            policy: Arc::clone(name),
            replicas: decision.replicas,
            proposal: decision.proposal,
            won: name == won,
            bound: decision.bound,
            because: decision.because.clone(),
        });
        Decision {
            replicas: most.replicas,
            proposal: decided.iter().map(|(_, it)| it.proposal).max().unwrap_or(0),
            bound: most.bound,
            because,
            asked: asked.collect(),
            wake: decided.iter().filter_map(|(_, it)| it.wake).min(),
        }
    }

    fn history(&self) -> Duration {
        let histories = self.scalers().map(|scaler| scaler.history());
        histories.max().unwrap_or_default()
    }
}

/// The request of a policy, and the count after its own rules.
fn in_short(name: &str, decision: &Decision) -> String {
    if decision.bound == NO_DATA {
        return format!("{name} does not know, {} stay", decision.replicas);
    }
    match (decision.proposal, decision.replicas) {
        (0, 0) => format!("{name} none"),
        (asked, held) if asked != held => format!("{name} {asked}, held at {held}"),
        (asked, _) => format!("{name} {asked}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks for so many; `None`: has no data.
    struct Fixed(Option<u32>, Option<Moment>);

    impl Scaler for Fixed {
        fn counts(&self, path: &str) -> bool {
            !(self.1.is_some() && path == "/left-out")
        }

        fn decide(&self, _: &Window, current: u32, _: Moment) -> Decision {
            let decision = match self.0 {
                Some(replicas) => Decision::new(replicas, "load", format!("{replicas} are needed")),
                None => Decision::unknown(current, "nothing was measured".to_owned()),
            };
            decision.wake(self.1)
        }

        fn history(&self) -> Duration {
            Duration::from_secs(u64::from(self.0.unwrap_or(1)))
        }
    }

    fn combined(policies: &[(&str, Option<u32>)]) -> Combined {
        let policy = |(name, asks): &(&str, Option<u32>)| {
            let scaler: Arc<dyn Scaler> = Arc::new(Fixed(*asks, None));
            (Arc::from(*name), scaler)
        };
        Combined::new(policies.iter().map(policy).collect())
    }

    fn decide(policies: &[(&str, Option<u32>)], current: u32) -> Decision {
        combined(policies).decide(&Window::default(), current, Moment::default())
    }

    #[test]
    fn the_largest_wins_and_each_number_is_told() {
        let decision = decide(&[("cpu", Some(3)), ("rps", Some(5)), ("floor", Some(2))], 3);
        assert_eq!((decision.replicas, decision.proposal), (5, 5));
        assert_eq!(
            decision.because,
            "rps wins: 5 are needed (the others: cpu 3; floor 2)"
        );
        let asked = decision.asked.iter();
        let asked: Vec<(&str, u32, bool)> = asked
            .map(|it| (it.policy.as_ref(), it.replicas, it.won))
            .collect();
        let expected = [("cpu", 3, false), ("rps", 5, true), ("floor", 2, false)];
        assert_eq!(asked, expected);
    }

    #[test]
    fn one_without_data_holds_the_count_and_lets_others_raise_it() {
        for (others, current, replicas, winner) in [
            (Some(2), 4, 4, "cpu"),
            (Some(6), 4, 6, "rps"),
            (Some(4), 4, 4, "rps"),
            (None, 4, 4, "cpu"),
        ] {
            let decision = decide(&[("cpu", None), ("rps", others)], current);
            assert_eq!(decision.replicas, replicas, "{others:?}");
            let won = decision.asked.iter().find(|it| it.won);
            assert_eq!(won.map(|it| it.policy.as_ref()), Some(winner), "{others:?}");
            // A count that may be needed, for all that is known, counts as asked for.
            assert_eq!(decision.proposal, replicas);
        }
    }

    #[test]
    fn it_looks_as_far_back_and_as_soon_again_as_the_most_demanding_one() {
        let at = |seconds| Some(Moment::from_secs(seconds));
        let policies: Vec<(Arc<str>, Arc<dyn Scaler>)> = vec![
            (Arc::from("a"), Arc::new(Fixed(Some(9), at(20)))),
            (Arc::from("b"), Arc::new(Fixed(Some(4), at(7)))),
            (Arc::from("c"), Arc::new(Fixed(Some(4), None))),
        ];
        let combined = Combined::new(policies);
        assert_eq!(combined.history(), Duration::from_secs(9));
        let decision = combined.decide(&Window::default(), 1, Moment::default());
        assert_eq!(decision.wake, at(7));
        assert!(combined.counts("/") && !combined.counts("/left-out"));
    }
}
