//! `tidegate status`: what is running, and why it is as it is.

use super::{FAILED, Running, fail, print, print_json};
use crate::admin::view::{Overview, Rollout, Service};
use crate::service::replica::ReplicaId;
use crate::service::time::Human;
use clap::Args;
use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Args)]
pub struct Status {
    #[command(flatten)]
    running: Running,
}

impl Status {
    pub fn run(self) -> ExitCode {
        let client = match self.running.client() {
            Ok(client) => client,
            Err(code) => return code,
        };
        match client.get::<Overview>("/api/v1/services") {
            Ok(overview) if self.running.output.json => print_json(&overview),
            Ok(overview) => print(table(&overview)),
            Err(error) => fail(FAILED, error),
        }
    }
}

fn table(overview: &Overview) -> String {
    let mut out = String::new();
    if !overview.engine_up {
        out.push_str("the container engine does not answer; this is what was known last\n\n");
    }
    for (index, service) in overview.services.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        write_service(&mut out, service);
    }
    if overview.services.is_empty() {
        out.push_str("no services\n");
    }
    out
}

fn write_service(out: &mut String, service: &Service) {
    let Service {
        name,
        ready,
        desired,
        requests,
        ..
    } = service;
    let _ = writeln!(
        out,
        "{name}  {ready} of {desired} ready  {requests} requests"
    );
    if let Some(rollout) = service.rollout.as_ref().filter(|it| it.stage != "done") {
        let Rollout {
            stage,
            to,
            others,
            why,
            ..
        } = rollout;
        let why = why.as_ref().map_or(String::new(), |why| format!(": {why}"));
        let _ = writeln!(out, "  {stage}, to {to}, {others} to be replaced{why}");
    }
    for reason in &service.because {
        let _ = writeln!(out, "  {reason}");
    }
    let rows = service.replicas.iter().map(|replica| {
        [
            replica.slot.to_string(),
            ReplicaId::new(&replica.id).short().to_owned(),
            replica.state.clone(),
            Human(Duration::from_secs(replica.since_seconds as u64)).to_string(),
            replica.in_flight.to_string(),
            replica.requests.to_string(),
            replica.because.clone().unwrap_or_default(),
        ]
    });
    let head = [
        "SLOT",
        "ID",
        "STATE",
        "SINCE",
        "IN FLIGHT",
        "REQUESTS",
        "BECAUSE",
    ];
    let mut table = vec![head.map(str::to_owned)];
    table.extend(rows);
    if table.len() > 1 {
        write_table(out, &table);
    }
}

/// Columns as wide as their widest cell, the last one as it comes.
pub fn write_table<const N: usize>(out: &mut String, rows: &[[String; N]]) {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in rows {
        let mut line = String::from(" ");
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, " {cell:<width$} ");
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::view::Replica;

    #[test]
    fn the_table_shows_each_replica_with_its_reason() {
        let replica = |slot, state: &str, because: Option<&str>| Replica {
            slot,
            id: "0123456789abcdef".to_owned(),
            state: state.to_owned(),
            since_seconds: 75.2,
            address: None,
            in_flight: 2,
            requests: 40,
            because: because.map(str::to_owned),
        };
        let overview = Overview {
            engine_up: true,
            services: vec![Service {
                name: "acts".to_owned(),
                min: 1,
                max: 10,
                desired: 2,
                ready: 1,
                requests: 80,
                requests_counted: 70,
                because: vec!["2 replicas are wanted".to_owned()],
                image: Some("acts:latest".to_owned()),
                rollout: None,
                replicas: vec![
                    replica(8000, "ready", None),
                    replica(8001, "sick", Some("exited with code 137")),
                ],
            }],
        };
        let expected = "\
acts  1 of 2 ready  80 requests
  2 replicas are wanted
  SLOT  ID            STATE  SINCE  IN FLIGHT  REQUESTS  BECAUSE
  8000  0123456789ab  ready  75s    2          40
  8001  0123456789ab  sick   75s    2          40        exited with code 137
";
        assert_eq!(table(&overview), expected);
    }
}
