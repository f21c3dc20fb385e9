//! The file as a whole: its services, what stays with Compose, and keys at the top.

use super::container::translated;
use super::https::https;
use super::left::{NotTranslated, leave};
use super::project::Project;
use super::variables::fill;
use crate::cli::init::defaults::{FIRST_PORT, PORTS_EACH};
use crate::cli::init::draft::{Draft, DraftService};
use crate::cli::init::yaml::{names_of, text_of};
use crate::config;
use serde_yaml::{Mapping, Value};
use std::path::Path;

/// Draft of the file's services. `folder` is the one that the file is in, `email` the contact for
/// certificate authorities.
pub fn draft(
    text: &str,
    folder: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    email: Option<&str>,
) -> Result<Draft, String> {
    let mut file: Value = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    file.apply_merge().map_err(|error| error.to_string())?;
    let mut draft = Draft::default();
    let missing = fill(&mut file, env);
    if !missing.is_empty() {
        draft.foot.push(format!(
            "variables that are not set, and are empty here: {}",
            missing.join(", ")
        ));
    }
    let Some(services) = file.get("services").and_then(Value::as_mapping) else {
        return Err("`services:` is missing; is this a Compose file?".to_owned());
    };
    let project = Project::of(&file, folder, env);
    let mut has_catch_all = false;
    let mut left = Vec::new();
    for (name, service) in services {
        let name = text_of(name);
        let Some(keys) = service.as_mapping() else {
            continue;
        };
        let at = FIRST_PORT.saturating_add(PORTS_EACH.saturating_mul(draft.services.len() as u16));
        match translated(&name, keys, &project, at) {
            Ok(mut service) => {
                if !service.has("routes") {
                    if has_catch_all {
                        let host = format!("[{{ host: {}.localhost }}]", service.name);
                        service.set(
                            "routes",
                            host,
                            "required; only one service can do without routes",
                        );
                    }
                    has_catch_all = true;
                }
                draft.services.push(service);
            }
            Err(NotTranslated::ToCompose(why)) => left.push((name, why)),
            Err(NotTranslated::Out(why)) => draft.foot.push(format!("`{name}` is left out: {why}")),
        }
    }
    let is_catch_all = |it: &&mut DraftService| !it.has("routes");
    if draft.services.len() > 1
        && let Some(service) = draft.services.iter_mut().find(is_catch_all)
    {
        service.remarks.push(
            "without `routes`, this service gets every request that no other service claims"
                .to_owned(),
        );
    }
    https(services, email, &mut draft);
    built(services, &mut draft);
    mention_names(services, &mut draft);
    leave(&left, &project, &mut draft);
    for key in file
        .as_mapping()
        .into_iter()
        .flat_map(Mapping::keys)
        .map(text_of)
    {
        let is_silent =
            ["services", "version", "name", "volumes", "networks"].contains(&key.as_str());
        if !is_silent && !key.starts_with("x-") {
            draft
                .foot
                .push(format!("not translated: `{key}` at the top"));
        }
    }
    if draft.services.is_empty() {
        let mut why = "none of its services can be translated".to_owned();
        for (name, reason) in left {
            why.push_str(&format!("\n  `{name}`: {reason}"));
        }
        return Err(why);
    }
    Ok(draft)
}

/// Keys in `services` of one that was translated.
fn keys_of<'a>(services: &'a Mapping, service: &DraftService) -> Option<(String, &'a Mapping)> {
    services.iter().find_map(|(name, keys)| {
        let name = text_of(name);
        let is_it = config::name_of(&name) == service.name;
        keys.as_mapping().filter(|_| is_it).map(|keys| (name, keys))
    })
}

/// Notes the images that Compose has to build first.
fn built(services: &Mapping, draft: &mut Draft) {
    let keys = draft.services.iter().filter_map(|it| keys_of(services, it));
    let built = keys.filter(|(_, keys)| keys.get("build").is_some());
    let built: Vec<String> = built.map(|(name, _)| name).collect();
    if !built.is_empty() {
        draft.foot.push(format!(
            "build these images before the first start, and before each `tidegate deploy`: docker \
             compose build {}",
            built.join(" ")
        ));
    }
}

/// Notes names by which services reach each other, and which lead nowhere now.
fn mention_names(services: &Mapping, draft: &mut Draft) {
    let translated: Vec<String> = draft.services.iter().map(|it| it.name.clone()).collect();
    for service in &mut draft.services {
        let keys = keys_of(services, service);
        let needs = keys.and_then(|(_, keys)| keys.get("depends_on"));
        for name in needs.map(names_of).unwrap_or_default() {
            if translated.contains(&config::name_of(&name)) {
                service.remarks.push(format!(
                    "`{name}` is no host name any more, because its containers change: reach it \
                     through Tidegate, as clients do"
                ));
            }
        }
    }
}
