//! What is in the box. Nothing registers itself from afar: this list is all there is.

use crate::plugin::Registry;

pub fn standard() -> Registry {
    Registry::new()
}
