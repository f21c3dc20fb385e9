//! From an image's own metadata to a configuration.

use super::defaults::{FIRST_PORT, MAX, MORE, ONE_COPY, PORT};
use super::draft::{Draft, DraftService, list, quoted};
use super::health;
use crate::app::{self, ImageFacts};
use crate::config;

/// Draft for an image, which is pulled when it is not here.
pub fn draft(image: &str) -> Result<Draft, String> {
    config::check_image(image)?;
    let facts = app::image_facts(image).map_err(|error| error.to_string())?;
    Ok(about_image(image, &facts))
}

/// Draft for an image with these facts.
pub fn about_image(image: &str, facts: &ImageFacts) -> Draft {
    let mut service = DraftService::named(config::name_of(image));
    service.set("image", quoted(image), "");
    let port = facts.ports.first().copied().unwrap_or(PORT);
    let why = match facts.ports.as_slice() {
        [] => "assumed: the port that the program listens on inside the container",
        [_] => "exposed by the image",
        _ => "the lowest that the image exposes",
    };
    service.set("port", port.to_string(), why);
    service.set(
        "first_port",
        FIRST_PORT.to_string(),
        "replicas use 127.0.0.1, from this port upward",
    );
    let data = |(index, folder): (usize, &String)| {
        let number = if index == 0 {
            String::new()
        } else {
            index.to_string()
        };
        format!("{}-data{number}:{folder}", service.name)
    };
    let volumes: Vec<String> = facts.volumes.iter().enumerate().map(data).collect();
    if !volumes.is_empty() {
        service.set("volumes", list(&volumes), "every replica shares them");
    }
    let known = health::Known {
        path: None,
        test: facts.healthcheck.clone(),
        interval: facts.interval.map(health::duration),
        timeout: facts.timeout.map(health::duration),
        retries: facts.retries.filter(|it| *it > 0).map(|it| it.to_string()),
        start_period: facts.start_period.map(health::duration),
    };
    let (healthcheck, remark) = health::translate(&known, port);
    if let Some(healthcheck) = healthcheck {
        service.insert("healthcheck", healthcheck, "");
    }
    service.remarks.extend(remark);
    let (max, why) = match volumes.as_slice() {
        [] => (MAX, MORE),
        _ => (1, ONE_COPY),
    };
    let scale = format!("{{ min: 1, max: {max} }}");
    service.set("scale", scale, why);
    Draft {
        services: vec![service],
        ..Draft::default()
    }
}
