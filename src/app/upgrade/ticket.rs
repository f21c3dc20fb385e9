//! Keys of session tickets as they travel in a message.

use crate::proxy::tls::TicketSecret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A key of session tickets. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedTicketKey {
    name: String,
    secret: String,
    born: u64,
}

impl fmt::Debug for HandedTicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandedTicketKey(…)")
    }
}

impl From<TicketSecret> for HandedTicketKey {
    fn from(key: TicketSecret) -> HandedTicketKey {
        HandedTicketKey {
            name: STANDARD.encode(key.name),
            secret: STANDARD.encode(key.secret),
            born: key.born,
        }
    }
}

impl HandedTicketKey {
    /// `None`: not a key of this version.
    pub fn key(&self) -> Option<TicketSecret> {
        Some(TicketSecret {
            name: STANDARD.decode(&self.name).ok()?.try_into().ok()?,
            secret: STANDARD.decode(&self.secret).ok()?.try_into().ok()?,
            born: self.born,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::tls::TicketKeys;

    #[test]
    fn a_key_arrives_as_it_was_and_is_shown_nowhere() {
        let [secret] = &TicketKeys::new(Vec::new()).secrets()[..] else {
            panic!("a new process has one");
        };
        let handed = HandedTicketKey::from(secret.clone());
        let line = serde_json::to_string(&handed).unwrap();
        let arrived: HandedTicketKey = serde_json::from_str(&line).unwrap();
        assert_eq!(arrived.key().as_ref(), Some(secret));
        assert_eq!(format!("{arrived:?}"), "HandedTicketKey(…)");
    }
}
