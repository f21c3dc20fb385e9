//! Services that are not translated.

use super::project::Project;
use crate::cli::init::draft::{Draft, list};

/// Reason why a service is not translated.
pub enum NotTranslated {
    ToCompose(String),
    /// The service is not started by anything.
    Out(String),
}

impl From<&str> for NotTranslated {
    fn from(why: &str) -> NotTranslated {
        NotTranslated::ToCompose(why.to_owned())
    }
}

/// Notes what stays with Compose, and gives the others its network so that they find it.
pub fn leave(left: &[(String, String)], project: &Project<'_>, draft: &mut Draft) {
    if left.is_empty() {
        return;
    }
    for service in &mut draft.services {
        if !service.has("networks") {
            let networks = list(&[project.network("default")]);
            service.set("networks", networks, "the network of Compose's services");
        }
    }
    for (name, why) in left {
        let line = format!("`{name}` is left to Compose: {why}");
        draft.foot.push(line);
    }
    let names: Vec<&str> = left.iter().map(|(name, _)| name.as_str()).collect();
    draft.foot.push(format!(
        "start Compose's services before Tidegate, because Compose must create its \
         networks itself: docker compose up -d {}",
        names.join(" ")
    ));
}
