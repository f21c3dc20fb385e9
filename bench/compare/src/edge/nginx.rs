//! nginx: its free edition has no health checks of its own, and learns of failures by failing.

use super::setup::{CONNECTIONS_MAX, POOL_MAX, Place, Setup};

pub fn command(setup: &Setup, place: &Place) -> Result<(String, Vec<String>), String> {
    let folder = place.folder.display();
    let servers: Vec<String> = setup
        .replicas
        .iter()
        .map(|to| format!("server {to} max_fails=1 fail_timeout=1s;"))
        .collect();
    let log = match setup.logs_requests {
        true => place.access_log().display().to_string(),
        false => "off".to_owned(),
    };
    let secure = match &setup.certificate {
        None => String::new(),
        Some(_) => format!(
            "listen {} ssl http2;\nssl_certificate {folder}/edge.pem;\n\
             ssl_certificate_key {folder}/edge.key;\nssl_protocols TLSv1.2 TLSv1.3;\n",
            place.secure
        ),
    };
    // One process, so that what it uses is easily told.
    let text = format!(
        "daemon off;\nmaster_process off;\nworker_processes 1;\n\
         pid {folder}/nginx.pid;\nerror_log stderr error;\n\
         events {{ worker_connections {}; }}\n\
         http {{\n\
         client_body_temp_path {folder}/body;\nproxy_temp_path {folder}/proxy;\n\
         fastcgi_temp_path {folder}/fastcgi;\nuwsgi_temp_path {folder}/uwsgi;\n\
         scgi_temp_path {folder}/scgi;\n\
         access_log {log};\n\
         keepalive_timeout 60s;\nkeepalive_requests 1000000000;\nclient_max_body_size 100m;\n\
         client_body_buffer_size 64k;\n\
         upstream web {{\n{}\nkeepalive {POOL_MAX};\nkeepalive_requests 1000000000;\n}}\n\
         server {{ listen {}; location / {{ stub_status; }} }}\n\
         server {{\nlisten {};\nlisten {} http2;\n{secure}location / {{\n\
         proxy_pass http://web;\nproxy_http_version 1.1;\nproxy_set_header Connection \"\";\n\
         proxy_set_header Host $host;\n\
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
         proxy_set_header X-Forwarded-Proto $scheme;\n\
         proxy_set_header X-Forwarded-Host $host;\n\
         proxy_connect_timeout 5s;\nproxy_next_upstream error timeout;\n\
         }}\n}}\n}}\n",
        CONNECTIONS_MAX + POOL_MAX,
        servers.join("\n"),
        place.admin,
        place.address,
        place.streams,
    );
    let file = place.write("nginx.conf", text)?.display().to_string();
    let arguments = ["-c", &file, "-p", &folder.to_string(), "-e", "stderr"];
    Ok(("nginx".to_owned(), arguments.map(str::to_owned).to_vec()))
}
