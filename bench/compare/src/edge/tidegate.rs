//! Tidegate with its defaults: metrics, ids, forwarding headers, retries, ejection, leases.

use super::setup::{CONNECTIONS_MAX, Place, Setup};

pub fn command(setup: &Setup, place: &Place) -> Result<(String, Vec<String>), String> {
    let file = write(setup, place)?;
    let arguments = ["run", "-c", &file].map(str::to_owned).to_vec();
    Ok((setup.tidegate.display().to_string(), arguments))
}

/// The configuration file's name.
pub fn write(setup: &Setup, place: &Place) -> Result<String, String> {
    let folder = place.folder.display();
    let services = setup.services.clone().unwrap_or_else(|| one(setup));
    let mut text = format!(
        "listen: [\"{}\"]\n\
         admin: {{ listen: \"{}\" }}\n\
         state_dir: {folder}\n\
         threads: 1\n\
         limits: {{ connections: {CONNECTIONS_MAX}, connections_per_address: {CONNECTIONS_MAX} }}\n\
         services:\n{services}",
        place.address, place.admin,
    );
    if setup.certificate.is_some() {
        text += &format!(
            "tls:\n  listen: [\"{}\"]\n  redirect: false\n  \
             certificates: [{{ cert: edge.pem, key: edge.key }}]\n",
            place.secure
        );
    }
    if setup.logs_requests {
        text += &format!(
            "plugins:\n  - access-log: {{ path: {} }}\n",
            place.access_log().display()
        );
    }
    Ok(place.write("tidegate.yaml", text)?.display().to_string())
}

fn one(setup: &Setup) -> String {
    let addresses: Vec<String> = setup
        .replicas
        .iter()
        .map(|to| format!("\"{to}\""))
        .collect();
    format!(
        "  web:\n    addresses: [{}]\n    healthcheck: {{ type: http, path: {} }}\n",
        addresses.join(", "),
        setup.health,
    )
}
