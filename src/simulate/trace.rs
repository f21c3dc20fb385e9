//! A trace of traffic, recorded or invented: requests in each step of time.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::fmt;
use std::time::Duration;

/// Limit of a trace, a year of seconds.
pub(super) const ROWS_MAX: usize = 366 * 24 * 60 * 60;

/// Length of the steps in which a trace is counted before it is scaled up, at least.
pub const COUNTED_OVER: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Begin of the trace, since 1970 in UTC; zero: unknown.
    pub start: Duration,
    pub step: Duration,
    /// Requests in each step.
    pub requests: Vec<f64>,
}

#[derive(Debug, PartialEq)]
pub struct TraceError {
    /// From 1; 0 when it is about the whole.
    pub line: usize,
    pub problem: String,
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, " {}", self.problem),
            line => write!(f, "{line}: {}", self.problem),
        }
    }
}

impl Trace {
    /// Reads lines that begin with `#`, one of which says `step=1s`, perhaps one that names the
    /// column, and a number in each of the rest.
    pub fn parse(text: &str) -> Result<Trace, TraceError> {
        let mut step: Option<Duration> = None;
        let mut start = Duration::ZERO;
        let mut requests = Vec::new();
        let mut named = false;
        for (index, line) in text.lines().map(str::trim).enumerate() {
            let wrong = |problem| TraceError {
                line: index + 1,
                problem,
            };
            if let Some(header) = line.strip_prefix('#') {
                let given = |key| {
                    let mut words = header.split_whitespace();
                    words.find_map(|it| it.strip_prefix(key))
                };
                if let Some(given) = given("start=") {
                    start = moment(given).ok_or_else(|| {
                        wrong(format!(
                            "start={given}: expected a time, as in start=1995-07-01T00:00:00-04:00"
                        ))
                    })?;
                }
                if let Some(given) = given("step=") {
                    step = Some(seconds(given).ok_or_else(|| {
                        wrong(format!(
                            "step={given}: expected seconds from 1, as in step=60s"
                        ))
                    })?);
                }
                continue;
            }
            match line.parse::<f64>() {
                Ok(count) if count.is_finite() && count >= 0.0 => requests.push(count),
                Err(_) if requests.is_empty() && !named && !line.is_empty() => named = true,
                Err(_) if line.is_empty() => {}
                _ => return Err(wrong(format!("{line:?} is not a count of requests"))),
            }
            if requests.len() > ROWS_MAX {
                return Err(wrong(format!("more than {ROWS_MAX} steps")));
            }
        }
        let whole = |problem: &str| TraceError {
            line: 0,
            problem: problem.to_owned(),
        };
        if requests.is_empty() {
            return Err(whole(
                "holds no counts: an access log of Tidegate's in JSON is expected, or one number a line",
            ));
        }
        let step = step.ok_or_else(|| {
            whole("does not say how long a step is: begin with a line such as `# step=1s`")
        })?;
        Ok(Trace {
            start,
            step,
            requests,
        })
    }

    /// The part that begins at `from` and lasts for `length`; `None` when nothing is there.
    pub fn part(&self, from: Duration, length: Option<Duration>) -> Option<Trace> {
        let steps = |time: Duration| (time.as_secs_f64() / self.step.as_secs_f64()) as usize;
        let begin = steps(from).min(self.requests.len());
        let left = self.requests.len() - begin;
        let take = length.map_or(left, |length| steps(length).max(1).min(left));
        (take > 0).then(|| Trace {
            start: match self.start {
                Duration::ZERO => Duration::ZERO,
                start => start + self.step * begin as u32,
            },
            step: self.step,
            requests: self.requests[begin..begin + take].to_vec(),
        })
    }

    /// Requests per second on average.
    pub fn mean_rate(&self) -> f64 {
        self.requests.iter().sum::<f64>() / self.length().as_secs_f64()
    }

    pub fn length(&self) -> Duration {
        self.step * self.requests.len() as u32
    }

    /// Requests per second in each second. Between the middles of longer steps the rate changes
    /// evenly, because traffic does not jump where a log begins a new line.
    pub fn rates(&self) -> Vec<f64> {
        let step = self.step.as_secs_f64();
        let rate = |index: usize| self.requests[index] / step;
        let last = self.requests.len() - 1;
        let at = |second: u64| {
            let place = (second as f64 + 0.5) / step;
            if step <= 1.0 {
                return rate((place as usize).min(last));
            }
            let place = (place - 0.5).clamp(0.0, last as f64);
            let (before, share) = (place as usize, place.fract());
            rate(before) * (1.0 - share) + rate((before + 1).min(last)) * share
        };
        (0..self.length().as_secs()).map(at).collect()
    }

    /// The curve with this many requests per second on average.
    ///
    /// One that is scaled up is first counted in steps of [`COUNTED_OVER`]: counts of few requests
    /// are mostly chance, and ten times the traffic has not ten times as much of it.
    pub fn scaled_to(&self, mean_rate: f64) -> Trace {
        let before = self.mean_rate();
        if before <= 0.0 {
            return self.clone();
        }
        let factor = mean_rate / before;
        let together = (COUNTED_OVER.as_secs_f64() / self.step.as_secs_f64()) as usize;
        let mut trace = match factor > 1.0 && self.requests.len() > together && together > 1 {
            true => self.coarser(together),
            false => self.clone(),
        };
        trace.requests.iter_mut().for_each(|count| *count *= factor);
        trace
    }

    /// Steps that are this many times as long; what fills no whole one at the end is left out.
    fn coarser(&self, together: usize) -> Trace {
        let steps = self.requests.chunks_exact(together);
        Trace {
            start: self.start,
            step: self.step * together as u32,
            requests: steps.map(|counts| counts.iter().sum()).collect(),
        }
    }
}

/// A time with its distance from UTC; without one it is taken for UTC.
fn moment(text: &str) -> Option<Duration> {
    let with_offset = text.parse::<Timestamp>().ok();
    let utc = || {
        let civil = text.parse::<DateTime>().ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    let seconds = with_offset.or_else(utc)?.as_second();
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

fn seconds(text: &str) -> Option<Duration> {
    let number = text.strip_suffix('s').unwrap_or(text).parse::<f64>().ok()?;
    let fits = (1.0..=86_400.0).contains(&number);
    fits.then(|| Duration::from_secs_f64(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_read_with_its_step() {
        let text = "# start=1995-07-01T00:00:00 step=60s\n# a web server\nrequests\n42\n61\n\n";
        let trace = Trace::parse(text).unwrap();
        assert_eq!(
            (trace.step, trace.requests),
            (Duration::from_secs(60), vec![42.0, 61.0])
        );
    }

    #[test]
    fn a_trace_says_when_it_begins_and_so_does_a_part_of_it() {
        for (given, start) in [
            ("1995-07-01T00:00:00-04:00", 804_571_200),
            ("1995-07-01T00:00:00", 804_556_800),
        ] {
            let trace = Trace::parse(&format!("# start={given} step=60s\n1\n2\n3\n")).unwrap();
            assert_eq!(trace.start, Duration::from_secs(start), "{given}");
            let part = trace.part(Duration::from_secs(60), None).unwrap();
            assert_eq!(part.start, Duration::from_secs(start + 60));
        }
        let silent = Trace::parse("# step=60s\n1\n2\n").unwrap();
        let part = silent.part(Duration::from_secs(60), None).unwrap();
        assert_eq!((silent.start, part.start), (Duration::ZERO, Duration::ZERO));
    }

    #[test]
    fn bad_traces_are_explained_with_their_line() {
        for (text, line, problem) in [
            ("", 0, "holds no counts"),
            ("# step=1s\n", 0, "holds no counts"),
            ("1\n2\n", 0, "# step=1s"),
            ("# step=1s\nrequests\nmore\n", 3, "\"more\" is not a count"),
            ("# step=1s\n1\n-2\n", 3, "\"-2\" is not a count"),
            ("# step=soon\n1\n", 1, "expected seconds"),
            ("# step=0s\n1\n", 1, "expected seconds"),
        ] {
            let error = Trace::parse(text).unwrap_err();
            assert_eq!(error.line, line, "{text:?}");
            assert!(error.problem.contains(problem), "{text:?}: {error}");
        }
    }

    #[test]
    fn scaling_keeps_the_curve_and_not_the_noise_of_small_counts() {
        let requests: Vec<f64> = (0..600).map(|second| f64::from(second % 2 * 2)).collect();
        let step = Duration::from_secs(1);
        let trace = Trace {
            start: Duration::ZERO,
            step,
            requests,
        };
        let scaled = trace.scaled_to(50.0);
        assert!(scaled.rates().iter().all(|rate| (rate - 50.0).abs() < 0.1));
        assert_eq!(trace.scaled_to(0.5).requests[1], 1.0);
    }

    #[test]
    fn between_the_middles_of_steps_the_rate_changes_evenly_and_seconds_stand_as_they_are() {
        let step = Duration::from_secs(4);
        let requests = vec![4.0, 12.0];
        let rates = Trace {
            start: Duration::ZERO,
            step,
            requests,
        }
        .rates();
        assert_eq!(rates, [1.0, 1.0, 1.25, 1.75, 2.25, 2.75, 3.0, 3.0]);
        let step = Duration::from_secs(1);
        let requests = vec![1.0, 7.0];
        assert_eq!(
            Trace {
                start: Duration::ZERO,
                step,
                requests
            }
            .rates(),
            [1.0, 7.0]
        );
    }

    #[test]
    fn a_part_is_taken_by_time() {
        let step = Duration::from_secs(60);
        let requests = vec![1.0, 2.0, 3.0, 4.0];
        let trace = Trace {
            start: Duration::ZERO,
            step,
            requests,
        };
        let part = |from, length: Option<u64>| {
            let part = trace.part(Duration::from_secs(from), length.map(Duration::from_secs));
            part.map(|part| part.requests)
        };
        assert_eq!(part(60, Some(120)), Some(vec![2.0, 3.0]));
        assert_eq!(part(120, None), Some(vec![3.0, 4.0]));
        assert_eq!(part(0, Some(10)), Some(vec![1.0]));
        assert_eq!(part(240, None), None);
    }
}
