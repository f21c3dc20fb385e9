//! HAProxy with the same limits, in its words; its metrics are counted always, and shown here.

use super::setup::{CONNECTIONS_MAX, Place, Setup};
use std::fmt::Write;

/// `no strict-limits`: it wants two files for each connection that it might have, and starts with
/// fewer.
const BEFORE: &str = "\
global
    nbthread 1
    no strict-limits
";
const DEFAULTS: &str = "\
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout check 1s
    timeout queue 10s
    timeout http-request 10s
    timeout http-keep-alive 60s
    option redispatch 1
    retries 3
    retry-on conn-failure empty-response response-timeout
    http-reuse safe
";
const FRONTEND: &str = "\
    option forwardfor
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    default_backend web
";

pub fn command(setup: &Setup, place: &Place) -> Result<(String, Vec<String>), String> {
    let mut text = format!("{BEFORE}    maxconn {CONNECTIONS_MAX}\n");
    if setup.logs_requests {
        text += "    log stdout format raw local0\n";
    }
    text += DEFAULTS;
    if setup.logs_requests {
        text += "    log global\n    option httplog\n";
    }
    let secure = match &setup.certificate {
        None => String::new(),
        Some(_) => format!(
            "    bind {} ssl crt {} alpn h2,http/1.1\n",
            place.secure,
            place.folder.join("both.pem").display()
        ),
    };
    let _ = write!(
        text,
        "frontend admin\n    bind {}\n    http-request use-service prometheus-exporter if {{ path /metrics }}\n\
         frontend edge\n    bind {}\n    bind {} proto h2\n{secure}    maxconn {CONNECTIONS_MAX}\n{FRONTEND}\
         backend web\n    balance roundrobin\n    option httpchk GET {}\n    http-check expect status 200\n    \
         http-request disable-l7-retry if METH_POST\n    \
         default-server check inter 1s fall 1 rise 1\n",
        place.admin, place.address, place.streams, setup.health,
    );
    for (number, replica) in setup.replicas.iter().enumerate() {
        let _ = writeln!(text, "    server web{number} {replica}");
    }
    let file = place.write("haproxy.cfg", text)?.display().to_string();
    let arguments = ["-db", "-f", &file].map(str::to_owned).to_vec();
    Ok(("haproxy".to_owned(), arguments))
}
