//! The list: certificates, until when they are valid, and the next order with its reason.

use crate::admin::view::{CertificateJson, CertificatesJson};
use crate::cli::arguments::Running;
use crate::cli::output::{FAILED, fail, print, print_json};
use crate::cli::table::{coarse, lines};
use std::fmt::Write;
use std::process::ExitCode;

/// Path of the API.
pub const PATH: &str = "/api/v1/certificates";

pub fn run(running: &Running) -> ExitCode {
    let client = match running.client() {
        Ok(client) => client,
        Err(code) => return code,
    };
    match client.get::<CertificatesJson>(PATH) {
        Ok(all) if running.output.json => print_json(&all),
        Ok(all) => print(table(&all)),
        Err(error) => fail(FAILED, error),
    }
}

fn table(all: &CertificatesJson) -> String {
    if all.certificates.is_empty() {
        return "no certificates; `tls: { email: you@example.com }` orders them for the hosts of all \
                routes\n"
            .to_owned();
    }
    let head = ["NAME", "STATE", "FROM", "ENDS IN", "NEXT ORDER"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(all.certificates.iter().map(row));
    let mut lines = lines(&rows).into_iter();
    let mut out = format!("{}\n", lines.next().unwrap_or_default());
    for (line, certificate) in lines.zip(&all.certificates) {
        let _ = writeln!(out, "{line}");
        if let Some(error) = &certificate.last_error {
            let _ = writeln!(out, "    {error}");
        }
    }
    out
}

fn row(certificate: &CertificateJson) -> [String; 5] {
    let state = match (certificate.ordering, certificate.state.as_str()) {
        (true, "held") => "renewing",
        (true, _) => "ordering",
        (false, state) => state,
    };
    let ends = certificate.expires_in.map(|left| match left {
        ..=0 => format!("ended {} ago", coarse(-left as f64)),
        left => coarse(left as f64),
    });
    let next = match (&certificate.next_try, &certificate.because) {
        _ if certificate.ordering => "under way".to_owned(),
        (Some(at), Some(because)) => format!("{at}, {because}"),
        _ => String::new(),
    };
    [
        certificate.names.join(" "),
        state.to_owned(),
        certificate.origin.clone(),
        ends.unwrap_or_default(),
        next,
    ]
}

/// Lines for `tidegate status`: a count, and every name with a problem.
pub fn summary(all: &CertificatesJson) -> String {
    let certificates = &all.certificates;
    if certificates.is_empty() {
        return String::new();
    }
    let count = |state: &str| {
        let with = certificates.iter().filter(|one| one.state == state);
        with.count()
    };
    let states = ["held", "missing", "expired"];
    let states = states.map(|state| (count(state), state));
    let states: Vec<String> = states
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, state)| format!("{count} {state}"))
        .collect();
    let mut out = format!("\ncertificates  {}\n", states.join(", "));
    for one in certificates {
        let name = one.names.first().map_or("", String::as_str);
        match (&one.last_error, &one.next_try) {
            (Some(error), Some(next)) => {
                let _ = writeln!(out, "  {name}: {error}; next order at {next}");
            }
            (Some(error), None) => {
                let _ = writeln!(out, "  {name}: {error}");
            }
            (None, _) if one.ordering && one.state != "held" => {
                let _ = writeln!(out, "  {name}: being ordered from {}", one.origin);
            }
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(name: &str, state: &str) -> CertificateJson {
        let json = serde_json::json!({
            "names": [name], "state": state, "source": "acme", "origin": "letsencrypt",
            "issuer": null, "serial": null, "not_before": null, "not_after": null,
            "expires_in": null, "ordering": false, "on_demand": false, "next_try": null,
            "because": null, "last_error": null,
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_table_has_a_line_a_name_and_its_error_below() {
        let mut held = certificate("a.example.com", "held");
        held.expires_in = Some(80 * 24 * 3600);
        held.next_try = Some("2027-02-01T00:00:00Z".to_owned());
        held.because = Some("at two thirds of its lifetime".to_owned());
        let mut missing = certificate("b.example.com", "missing");
        missing.last_error = Some("http-01: refused".to_owned());
        let all = CertificatesJson {
            certificates: vec![held, missing],
        };
        assert_eq!(
            table(&all),
            "  NAME           STATE    FROM         ENDS IN  NEXT ORDER\n  \
             a.example.com  held     letsencrypt  80d      2027-02-01T00:00:00Z, at two thirds of its lifetime\n  \
             b.example.com  missing  letsencrypt\n    \
             http-01: refused\n"
        );
        assert_eq!(
            summary(&all),
            "\ncertificates  1 held, 1 missing\n  b.example.com: http-01: refused\n"
        );
        assert_eq!(summary(&CertificatesJson::default()), "");
    }
}
