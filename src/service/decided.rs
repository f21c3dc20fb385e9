//! What a service's scaler decided, and why: the last of it, for `tidegate explain`.

use super::time::Moment;
use std::collections::VecDeque;
use std::sync::Arc;

/// How many are kept of each service.
pub const KEPT_MAX: usize = 1000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    pub at: Moment,
    pub from: u32,
    pub to: u32,
    /// What the load asked for by itself, within no bounds.
    pub proposal: u32,
    /// What decided, in a word or two.
    pub bound: &'static str,
    /// The inputs and the formula.
    pub because: String,
    /// When the answer could change without a new request.
    pub wake: Option<Moment>,
}

/// The decisions that differ from the one before in their count or in what decided. A clone is
/// another hold on the same ones.
#[derive(Clone, Debug, Default)]
pub struct Decisions(Arc<VecDeque<Arc<Decided>>>);

impl Decisions {
    pub fn note(&mut self, decided: Decided) {
        let is_news = |last: &Arc<Decided>| {
            last.to != decided.to || last.bound != decided.bound || decided.from != decided.to
        };
        if !self.0.back().is_none_or(is_news) {
            return;
        }
        let kept = Arc::make_mut(&mut self.0);
        if kept.len() == KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(Arc::new(decided));
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
            wake: None,
        }
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
