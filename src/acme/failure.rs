//! Failures of orders, in words that say what to do.

use super::http::{HttpError, deepest};
use instant_acme::{Error, Problem};
use std::fmt;
use std::time::SystemTime;

/// Difference of clocks that breaks things.
const CLOCK_TOLERANCE_SECS: u64 = 10 * 60;

/// A failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub why: String,
    /// Time before which the CA wants no order.
    pub not_before: Option<SystemTime>,
    /// Whether the order goes on at the CA and is taken up again by the next attempt.
    pub goes_on: bool,
}

impl Failure {
    pub fn new(why: impl Into<String>) -> Failure {
        Failure {
            why: why.into(),
            not_before: None,
            goes_on: false,
        }
    }

    /// A failure of this machine's state folder.
    pub fn disk(what: &str, error: &std::io::Error) -> Failure {
        Failure::new(format!(
            "{what} cannot be written to the state folder: {error}; no order is placed until it can"
        ))
    }

    /// A failure of a step at the CA.
    pub fn step(what: &str, error: &Error) -> Failure {
        Failure::new(format!("{what}: {}", words(error)))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// The type of the CA's problem, without its prefix, as in `rateLimited`.
pub fn kind(error: &Error) -> Option<&str> {
    match error {
        Error::Api(problem) => {
            let kind = problem.r#type.as_deref()?;
            Some(kind.rsplit(':').next().unwrap_or(kind))
        }
        _ => None,
    }
}

/// An error as one sentence.
pub fn words(error: &Error) -> String {
    match error {
        Error::Api(problem) => of_problem(problem),
        Error::Json(_) => {
            "the answer is not one of an ACME server; is the URL that of its directory?".to_owned()
        }
        Error::Timeout(_) => "the CA has not decided yet".to_owned(),
        Error::Other(inner) => match inner.downcast_ref::<HttpError>() {
            Some(known) => known.to_string(),
            None => deepest(inner.as_ref()),
        },
        other => other.to_string(),
    }
}

/// The CA's own words, and a hint for those that users meet.
pub fn of_problem(problem: &Problem) -> String {
    let kind = problem.r#type.as_deref().unwrap_or_default();
    let kind = kind.rsplit(':').next().unwrap_or(kind);
    let mut said = match &problem.detail {
        Some(detail) => detail.trim_end_matches('.').to_owned(),
        None => "the CA gives no reason".to_owned(),
    };
    for sub in &problem.subproblems {
        if let Some(detail) = &sub.detail {
            said.push_str("; ");
            said.push_str(detail.trim_end_matches('.'));
        }
    }
    let hint = match kind {
        "externalAccountRequired" => "; set `tls.eab` to the key that the CA gave you",
        "caa" => "; a CAA record of the domain names another CA",
        "rejectedIdentifier" => "; this CA does not issue for this name",
        "invalidContact" => "; correct `tls.email`",
        "rateLimited" => "; the certificates that are held are served meanwhile",
        _ => "",
    };
    match kind {
        "" => format!("{said}{hint}"),
        kind => format!("{said} ({kind}){hint}"),
    }
}

/// A warning for clocks that differ by so much that certificates seem too old or too new.
pub fn of_clock(clock: Option<(std::time::Duration, bool)>) -> Option<String> {
    let (difference, is_ahead) = clock?;
    if difference.as_secs() < CLOCK_TOLERANCE_SECS {
        return None;
    }
    let way = if is_ahead { "ahead of" } else { "behind" };
    let minutes = difference.as_secs() / 60;
    Some(format!(
        "this machine's clock is {minutes} minutes {way} the CA's; set the clock"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_problem_of_the_ca_is_one_sentence_with_a_hint() {
        let problem: Problem = serde_json::from_str(
            r#"{"type": "urn:ietf:params:acme:error:externalAccountRequired",
                "detail": "No binding.", "status": 403}"#,
        )
        .unwrap();
        let error = Error::Api(problem);
        assert_eq!(kind(&error), Some("externalAccountRequired"));
        assert_eq!(
            words(&error),
            "No binding (externalAccountRequired); set `tls.eab` to the key that the CA gave you"
        );
    }

    #[test]
    fn a_clock_that_is_wrong_by_minutes_is_said() {
        let clock = |seconds, ahead| of_clock(Some((Duration::from_secs(seconds), ahead)));
        assert_eq!(clock(300, true), None);
        let said = clock(7_200, false).unwrap();
        assert!(said.starts_with("this machine's clock is 120 minutes behind"));
        assert_eq!(of_clock(None), None);
    }
}
