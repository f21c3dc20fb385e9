//! The last decisions of a service's scaler with their reasons, for `tidegate explain`.

use super::time::Moment;
use std::collections::VecDeque;
use std::sync::Arc;

/// Decisions that are kept of each service.
pub const KEPT_MAX: usize = 1000;

/// A decision on the number of replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    pub at: Moment,
    pub from: u32,
    pub to: u32,
    /// The number that the load asks for, before any bound.
    pub proposal: u32,
    /// The bound that decided, in a word or two.
    pub bound: &'static str,
    /// The inputs and the formula.
    pub because: String,
    /// The answers of several policies; empty for a single one.
    pub asked: Vec<PolicyVote>,
    /// Time at which the answer can change without a new request.
    pub wake: Option<Moment>,
}

/// The answer of one of several policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyVote {
    pub policy: Arc<str>,
    pub replicas: u32,
    /// The number that the load asks for, before any bound.
    pub proposal: u32,
    /// Whether this policy decided.
    pub won: bool,
    pub bound: &'static str,
    pub because: String,
}

impl Decided {
    /// The policy that decided, where there are several.
    pub fn winner(&self) -> Option<&str> {
        let won = self.asked.iter().find(|asked| asked.won);
        won.map(|asked| asked.policy.as_ref())
    }

    fn is_news_after(&self, last: &Decided) -> bool {
        let differs = last.to != self.to || last.bound != self.bound;
        differs || last.winner() != self.winner() || self.from != self.to
    }
}

/// Decisions that differ from the one before in the count or in what bound it. A clone shares
/// them.
#[derive(Clone, Debug, Default)]
pub struct Decisions(Arc<VecDeque<Arc<Decided>>>);

impl Decisions {
    /// Keeps and returns the decision if it differs from the last one.
    pub fn note(&mut self, decided: Decided) -> Option<Arc<Decided>> {
        let is_news = |last: &Arc<Decided>| decided.is_news_after(last);
        if !self.0.back().is_none_or(is_news) {
            return None;
        }
        let decided = Arc::new(decided);
        let kept = Arc::make_mut(&mut self.0);
        if kept.len() == KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(Arc::clone(&decided));
        Some(decided)
    }

    /// The newest first.
    pub fn newest(&self) -> impl Iterator<Item = &Decided> {
        self.0.iter().rev().map(Arc::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(second: u64, from: u32, to: u32, bound: &'static str) -> Decided {
        Decided {
            at: Moment::from_secs(second),
            from,
            to,
            proposal: to,
            bound,
            because: String::new(),
            asked: Vec::new(),
            wake: None,
        }
    }

    #[test]
    fn another_policy_that_wins_is_news() {
        let asked = |policy: &str, won| PolicyVote {
            policy: Arc::from(policy),
            replicas: 2,
            proposal: 2,
            won,
            bound: "load",
            because: String::new(),
        };
        let mut decisions = Decisions::default();
        let mut note = |second, first: bool| {
            let decided = Decided {
                asked: vec![asked("cpu", first), asked("rps", !first)],
                ..decided(second, 2, 2, "load")
            };
            decisions.note(decided).is_some()
        };
        let news = [note(1, true), note(2, true), note(3, false)];
        assert_eq!(news, [true, false, true]);
        let newest = decisions.newest().next().and_then(Decided::winner);
        assert_eq!(newest, Some("rps"));
    }

    #[test]
    fn only_what_is_news_is_kept() {
        let mut decisions = Decisions::default();
        for (second, from, to, bound) in [
            (1, 1, 1, "load"),
            (2, 1, 1, "load"),
            (3, 1, 3, "burst"),
            (4, 3, 3, "burst"),
            (5, 3, 3, "stabilization"),
            (6, 3, 2, "load"),
            (7, 2, 3, "burst"),
        ] {
            decisions.note(decided(second, from, to, bound));
        }
        let kept: Vec<u64> = decisions.newest().map(|it| it.at.0.as_secs()).collect();
        assert_eq!(kept, [7, 6, 5, 3, 1]);
    }

    #[test]
    fn no_more_than_the_limit_are_kept() {
        let mut decisions = Decisions::default();
        for second in 0..2 * KEPT_MAX as u64 {
            let to = second as u32 % 2;
            decisions.note(decided(second, 1 - to, to, "load"));
        }
        assert_eq!(decisions.newest().count(), KEPT_MAX);
        let newest = decisions.newest().next().map(|it| it.at);
        assert_eq!(newest, Some(Moment::from_secs(2 * KEPT_MAX as u64 - 1)));
    }
}
