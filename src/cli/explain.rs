//! `tidegate explain`: scaling decisions of a service, with their reasons.

use super::arguments::Running;
use super::output::{FAILED, fail, print, print_json};
use super::table::write_table;
use crate::admin::view::{DecisionsJson, Overview};
use crate::service::time::Human;
use clap::Args;
use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Args)]
pub struct Explain {
    /// The service [default: all of them]
    #[arg(value_name = "SERVICE")]
    service: Option<String>,
    /// Number of decisions to show, the newest first; at most 1000 are kept
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    last: usize,
    #[command(flatten)]
    running: Running,
}

impl Explain {
    pub fn run(self) -> ExitCode {
        let client = match self.running.client() {
            Ok(client) => client,
            Err(code) => return code,
        };
        let names = match &self.service {
            Some(name) => Ok(vec![name.clone()]),
            None => client.get("/api/v1/services").map(|overview: Overview| {
                let services = overview.services.into_iter();
                services.map(|service| service.name).collect()
            }),
        };
        let explained = names.and_then(|names: Vec<String>| {
            let of = |name: &String| client.get(&format!("/api/v1/services/{name}/decisions"));
            names
                .iter()
                .map(of)
                .collect::<Result<Vec<DecisionsJson>, _>>()
        });
        let mut explained = match explained {
            Ok(explained) => explained,
            Err(error) => return fail(FAILED, error),
        };
        for service in &mut explained {
            service.decisions.truncate(self.last);
        }
        match self.running.output.json {
            true => print_json(&explained),
            false => print(text(&explained)),
        }
    }
}

fn text(explained: &[DecisionsJson]) -> String {
    let mut out = String::new();
    for (index, service) in explained.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let DecisionsJson {
            service: name,
            desired,
            min,
            max,
            ..
        } = service;
        let _ = writeln!(out, "{name}  {desired} wanted, from {min} to {max}");
        if service.decisions.is_empty() {
            out.push_str("  nothing was decided yet\n");
            continue;
        }
        let head = ["AGO", "WANTED", "BOUND BY", "BECAUSE"];
        let mut table = vec![head.map(str::to_owned)];
        table.extend(service.decisions.iter().map(|decision| {
            let wanted = match decision.from == decision.to {
                true => decision.to.to_string(),
                false => format!("{} -> {}", decision.from, decision.to),
            };
            let next = decision.next_in_seconds.map_or(String::new(), |left| {
                let left = Human(Duration::from_secs(left as u64));
                format!("; looks again in {left}")
            });
            [
                Human(Duration::from_secs(decision.ago_seconds as u64)).to_string(),
                wanted,
                match decision.asked.iter().find(|asked| asked.won) {
                    Some(won) => format!("{}: {}", won.policy, decision.bound),
                    None => decision.bound.clone(),
                },
                format!("{}{next}", decision.because),
            ]
        }));
        write_table(&mut out, &table);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::view::{DecisionJson, PolicyJson};

    #[test]
    fn each_decision_is_shown_with_what_bound_it_and_why() {
        let decision = |ago, from, to, bound: &str, next| DecisionJson {
            ago_seconds: ago,
            from,
            to,
            proposal: to,
            bound: bound.to_owned(),
            because: format!("{to} are needed"),
            asked: match bound {
                "load" => Vec::new(),
                _ => vec![PolicyJson {
                    policy: "rps".to_owned(),
                    replicas: to,
                    proposal: to,
                    won: true,
                    bound: bound.to_owned(),
                    because: String::new(),
                }],
            },
            next_in_seconds: next,
        };
        let explained = DecisionsJson {
            service: "web".to_owned(),
            desired: 3,
            min: 1,
            max: 10,
            decisions: vec![
                decision(2.4, 2, 3, "burst", Some(7.9)),
                decision(75.0, 2, 2, "load", None),
            ],
        };
        let expected = "\
web  3 wanted, from 1 to 10
  AGO  WANTED  BOUND BY    BECAUSE
  2s   2 -> 3  rps: burst  3 are needed; looks again in 7s
  75s  2       load        2 are needed
";
        assert_eq!(text(&[explained]), expected);
    }
}
