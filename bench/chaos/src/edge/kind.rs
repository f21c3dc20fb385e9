//! Kinds of edge.

use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Tidegate,
    Haproxy,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Tidegate => "tidegate",
            Kind::Haproxy => "haproxy",
        }
    }
}
