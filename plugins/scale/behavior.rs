//! How fast the count may follow the load, in the words of Kubernetes' HorizontalPodAutoscaler.

use crate::plugin::prelude::*;

/// What holds the count up, or back.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Behavior {
    pub scale_up: Rules,
    pub scale_down: Rules,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Up: the lowest count asked for in this time. Down: the highest.
    #[serde(deserialize_with = "some_duration")]
    pub stabilization_window: Option<Duration>,
    /// How much may change within a period; none: as much as is asked for.
    pub policies: Vec<Policy>,
    /// Of several policies, the one that allows the most, the least, or no change at all.
    pub select_policy: Select,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    pub r#type: Unit,
    pub value: u32,
    #[serde(deserialize_with = "duration")]
    pub period: Duration,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    Replicas,
    Percent,
}

#[derive(Deserialize, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Select {
    #[default]
    Max,
    Min,
    Disabled,
}

/// A replica leaves when it was not asked for in this time, unless said otherwise.
const DOWN_AFTER: Duration = Duration::from_secs(75);

/// As in Kubernetes, `period` is half an hour at most, and stabilization an hour.
const PERIOD_MAX: Duration = Duration::from_secs(30 * 60);
const STABILIZATION_MAX: Duration = Duration::from_secs(60 * 60);

fn some_duration<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    duration(from).map(Some)
}

impl Behavior {
    pub fn check(&self) -> Result<(), String> {
        for (key, rules) in [
            ("scale_up", &self.scale_up),
            ("scale_down", &self.scale_down),
        ] {
            if rules
                .stabilization_window
                .is_some_and(|it| it > STABILIZATION_MAX)
            {
                return Err(format!(
                    "`behavior.{key}.stabilization_window` must be at most 1h"
                ));
            }
            for policy in &rules.policies {
                if policy.value == 0 || policy.period.is_zero() || policy.period > PERIOD_MAX {
                    return Err(format!(
                        "`behavior.{key}.policies`: `value` must be at least 1 and `period` from \
                         1s to 30m"
                    ));
                }
            }
        }
        Ok(())
    }

    /// How far back it looks.
    pub fn history(&self) -> Duration {
        let rules = [&self.scale_up, &self.scale_down];
        let periods = rules.iter().flat_map(|it| &it.policies).map(|it| it.period);
        let windows = rules.iter().filter_map(|it| it.stabilization_window);
        periods.chain(windows).fold(DOWN_AFTER, Duration::max)
    }

    /// What becomes of a proposal: nothing leaves too early, and nothing changes faster than the
    /// policies allow.
    pub fn hold(&self, proposed: Decision, window: &Window, current: u32, now: Moment) -> Decision {
        let mut held = match proposed.proposal < current {
            true => self.hold_up(proposed, window, current, now),
            false => self.hold_back(proposed, window, current, now),
        };
        let rules = match held.replicas > current {
            true => &self.scale_up,
            false => &self.scale_down,
        };
        let before = |period: Duration| {
            let sample = window.at(now - period).or_else(|| window.latest());
            sample.map_or(current, |sample| sample.ready + sample.starting)
        };
        if let Some(limited) = rules.limit(held.replicas, current, before) {
            held.replicas = limited;
            held.bound = "behavior";
            held.because += &format!("; {limited} is what `behavior` allows for now");
        }
        held
    }

    fn hold_up(&self, mut held: Decision, window: &Window, current: u32, now: Moment) -> Decision {
        let back = self.scale_down.stabilization_window.unwrap_or(DOWN_AFTER);
        let watched = window.unbroken_since().map(|since| now.since(since));
        let highest = window.highest_proposal(now - back).unwrap_or_default();
        let back = Human(back);
        if window.latest().is_some_and(|latest| latest.rolling) {
            held.replicas = current;
            held.bound = "rollout";
            held.because += &format!("; {current} stay while replicas are being replaced");
        } else if watched.is_none_or(|watched| watched < back.0) {
            held.replicas = current;
            held.bound = "watching";
            held.because += &format!("; {current} stay until {back} were watched without a gap");
        } else if highest > held.proposal {
            let stay = highest.min(current);
            held.replicas = stay;
            held.bound = "stabilization";
            held.because += &format!("; {stay} stay, asked for in the last {back}");
        }
        held
    }

    fn hold_back(
        &self,
        mut held: Decision,
        window: &Window,
        current: u32,
        now: Moment,
    ) -> Decision {
        let Some(back) = self.scale_up.stabilization_window else {
            return held;
        };
        let lowest = window.lowest_proposal(now - back).unwrap_or(u32::MAX);
        if lowest < held.proposal {
            let until = lowest.max(current);
            held.replicas = until;
            held.bound = "stabilization";
            held.because += &format!("; {until} until more was asked for {} long", Human(back));
        }
        held
    }
}

impl Rules {
    /// What the policies make of `wanted`, where there were `before(period)` replicas a period
    /// ago; `None` when they allow it as it is.
    pub fn limit(
        &self,
        wanted: u32,
        current: u32,
        before: impl Fn(Duration) -> u32,
    ) -> Option<u32> {
        let up = wanted > current;
        if wanted == current {
            return None;
        }
        if self.select_policy == Select::Disabled {
            return Some(current);
        }
        let reach = self.policies.iter().map(|policy| {
            let base = f64::from(before(policy.period));
            let change = match policy.r#type {
                Unit::Replicas => f64::from(policy.value),
                Unit::Percent => base * f64::from(policy.value) / 100.0,
            };
            // Upwards by at least one, so that a small count is not stuck.
            match up {
                true => ((base + change).ceil() as u32).max(current),
                false => ((base - change).max(0.0).ceil() as u32).min(current),
            }
        });
        // The most change is the highest count on the way up and the lowest on the way down.
        let highest = up == (self.select_policy == Select::Max);
        let reach = if highest { reach.max() } else { reach.min() }?;
        let held = if up {
            wanted.min(reach)
        } else {
            wanted.max(reach)
        };
        (held != wanted).then_some(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(yaml: &str) -> Rules {
        serde_yaml::from_str(yaml).expect("rules")
    }

    #[test]
    fn policies_limit_what_changes_within_a_period() {
        let both = "[{ type: replicas, value: 4, period: 15s }, \
                    { type: percent, value: 100, period: 15s }]";
        for (policies, select, wanted, current, before, limited) in [
            (both, "max", 50, 2, 2, Some(6)),
            (both, "max", 50, 10, 10, Some(20)),
            (both, "min", 50, 10, 10, Some(14)),
            (both, "max", 5, 2, 2, None),
            (both, "disabled", 5, 2, 2, Some(2)),
            (both, "max", 2, 2, 2, None),
            // Some of what this period allows was used up.
            (both, "max", 50, 18, 10, Some(20)),
            (both, "max", 50, 20, 10, Some(20)),
            (
                "[{ type: percent, value: 10, period: 60s }]",
                "max",
                1,
                20,
                20,
                Some(18),
            ),
            (
                "[{ type: replicas, value: 1, period: 60s }]",
                "max",
                1,
                19,
                20,
                Some(19),
            ),
            ("[]", "max", 1, 20, 20, None),
        ] {
            let rules = rules(&format!(
                "{{ policies: {policies}, select_policy: {select} }}"
            ));
            let got = rules.limit(wanted, current, |_| before);
            assert_eq!(got, limited, "{policies} {select} {current} -> {wanted}");
        }
    }

    #[test]
    fn bad_values_are_explained() {
        for (yaml, problem) in [
            ("scale_down: { stabilization_window: 2h }", "at most 1h"),
            (
                "scale_up: { policies: [{ type: percent, value: 0, period: 15s }] }",
                "`behavior.scale_up.policies`: `value` must be at least 1",
            ),
            (
                "scale_up: { policies: [{ type: replicas, value: 4, period: 2h }] }",
                "from 1s to 30m",
            ),
        ] {
            let behavior: Behavior = serde_yaml::from_str(yaml).expect(yaml);
            assert!(behavior.check().unwrap_err().contains(problem), "{yaml}");
        }
    }
}
