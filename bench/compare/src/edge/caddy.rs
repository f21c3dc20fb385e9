//! Caddy. `GOMAXPROCS=1` is what keeps it to one thread that runs its code.

use super::setup::{POOL_MAX, Place, Setup};

pub fn command(setup: &Setup, place: &Place) -> Result<(String, Vec<String>), String> {
    let replicas: Vec<String> = setup.replicas.iter().map(ToString::to_string).collect();
    let log = match setup.logs_requests {
        true => format!(
            "log {{\noutput file {} {{\nroll_disabled\n}}\n}}\n",
            place.access_log().display()
        ),
        false => String::new(),
    };
    let proxy = format!(
        "reverse_proxy {} {{\n\
         lb_policy round_robin\nlb_retries 3\n\
         health_uri {}\nhealth_interval 1s\nhealth_timeout 1s\n\
         transport http {{\ndial_timeout 5s\nkeepalive_idle_conns_per_host {POOL_MAX}\n}}\n\
         }}\n",
        replicas.join(" "),
        setup.health,
    );
    let secure = match &setup.certificate {
        None => String::new(),
        Some(_) => format!(
            "https://:{} {{\nbind {}\ntls {folder}/edge.pem {folder}/edge.key\n{proxy}}}\n",
            place.secure.port(),
            place.secure.ip(),
            folder = place.folder.display(),
        ),
    };
    let text = format!(
        "{{\nadmin {}\nauto_https off\nservers {{\nmetrics\nprotocols h1 h2 h2c\n}}\n}}\n\
         http://:{} {{\nbind {}\n{log}{proxy}}}\n{secure}",
        place.admin,
        place.address.port(),
        place.address.ip(),
    );
    let file = place.write("Caddyfile", text)?.display().to_string();
    let arguments = ["run", "--adapter", "caddyfile", "--config", &file];
    Ok(("caddy".to_owned(), arguments.map(str::to_owned).to_vec()))
}
