//! The reference for users, `conf/README.md`, read as data.

use super::parts::SERVICE;
use std::collections::BTreeMap;

const REFERENCE: &str = include_str!("../../../conf/README.md");

/// A row of the reference.
pub struct Row {
    pub value: String,
    pub default: String,
    pub what: String,
}

/// Rows of the reference by key path, as in `services.scale.min`.
pub fn reference() -> BTreeMap<String, Row> {
    let mut found = BTreeMap::new();
    let mut prefix = None;
    for line in REFERENCE.lines() {
        if let Some(heading) = line
            .trim_start_matches('#')
            .strip_prefix(' ')
            .filter(|_| line.starts_with("##"))
        {
            let heading = heading.trim_matches('`');
            let inside = SERVICE.keys().any(|key| key == heading) && line.starts_with("###");
            prefix = match heading {
                "At the top" => Some(String::new()),
                "tls" => Some("tls.".to_owned()),
                "A service" => Some("services.".to_owned()),
                part if inside => Some(format!("services.{part}.")),
                _ => None,
            };
            continue;
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let (Some(prefix), [_, keys, value, default, what, _]) = (&prefix, cells.as_slice()) else {
            continue;
        };
        for key in keys.split('`').skip(1).step_by(2) {
            let entry = Row {
                value: (*value).to_owned(),
                default: (*default).to_owned(),
                what: (*what).to_owned(),
            };
            found.insert(format!("{prefix}{key}"), entry);
        }
    }
    found
}

impl Row {
    pub fn described(&self) -> String {
        let default = match self.default.as_str() {
            "" => String::new(),
            default => format!("\n\nDefault: {default}"),
        };
        format!("{}\n\n{}{default}", self.what, self.value)
    }
}
