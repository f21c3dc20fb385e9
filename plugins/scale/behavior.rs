//! Limits on the speed of scaling, with the keys of Kubernetes' HorizontalPodAutoscaler.

use crate::plugin::prelude::*;

/// Limits for one direction.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Behavior {
    pub scale_up: Rules,
    pub scale_down: Rules,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Period whose lowest number (up) or highest number (down) applies.
    #[serde(deserialize_with = "some_duration")]
    pub stabilization_window: Option<Duration>,
    /// Largest changes within a period; without any, changes are unlimited.
    pub policies: Vec<Policy>,
    /// Choice among several policies: the largest change, the smallest, or none at all.
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

/// Default period without demand before a replica stops.
const DOWN_AFTER: Duration = Duration::from_secs(75);

/// Kubernetes' maxima: half an hour for `period`, an hour for stabilization.
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

    /// Age of the samples that it needs.
    pub fn history(&self) -> Duration {
        let rules = [&self.scale_up, &self.scale_down];
        let periods = rules.iter().flat_map(|it| &it.policies).map(|it| it.period);
        let windows = rules.iter().filter_map(|it| it.stabilization_window);
        periods.chain(windows).fold(DOWN_AFTER, Duration::max)
    }

    /// Applies the limits to a proposal: no replica stops too early, and the number changes no
    /// faster than the policies allow.
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
            held.because += &format!("; {limited} is the limit of `behavior` for now");
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
    /// The number that the policies allow instead of `wanted`, with `before(period)` replicas a
    /// period ago; `None` when they allow `wanted`.
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
            // Upwards by at least one, so that a small number is not stuck.
            match up {
                true => ((base + change).ceil() as u32).max(current),
                false => ((base - change).max(0.0).ceil() as u32).min(current),
            }
        });
        // The largest change is the highest number upwards and the lowest downwards.
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
