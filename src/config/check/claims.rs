//! Conflicts between claims on requests.

use super::outline::Outline;
use crate::config::report::At;
use crate::service::spec::{RouteSpec, ServiceName};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Reports claims that two services make, and claims that one makes twice.
pub fn conflicts(at: &At<'_>, services: &[Outline]) {
    let everything = RouteSpec {
        host: None,
        path: "/".to_owned(),
        keeps_encoded_slashes: false,
    };
    let mut owners: HashMap<(Option<&str>, &str), (&ServiceName, bool)> = HashMap::new();
    for Outline { name, routes, .. } in services {
        let Some(routes) = routes else {
            continue;
        };
        let service = at.key(name.as_str());
        let is_open = routes.is_empty();
        let claims = if is_open {
            std::slice::from_ref(&everything)
        } else {
            routes
        };
        for (index, claim) in claims.iter().enumerate() {
            let (owner, owner_is_open) = match owners.entry((claim.host.as_deref(), &claim.path)) {
                Entry::Vacant(free) => {
                    free.insert((name, is_open));
                    continue;
                }
                Entry::Occupied(taken) => *taken.get(),
            };
            if is_open && owner_is_open {
                service.error_hint(
                    format!("neither this nor `{owner}` has `routes`: both claim every request"),
                    "give at least one of them `routes`, as in `routes: [{ path: /api }]`",
                );
            } else if is_open {
                service.error_hint(
                    format!("has no `routes`, and `{owner}` claims every request already"),
                    "give it `routes`, as in `routes: [{ path: /api }]`",
                );
            } else {
                let at = service.key("routes").index(index);
                let who = match owner == name {
                    true => "this service".to_owned(),
                    false => format!("`{owner}`"),
                };
                at.error_hint(
                    format!("`{claim}` is claimed by {who} already"),
                    "give one of the two another `host` or `path`",
                );
            }
        }
    }
}
