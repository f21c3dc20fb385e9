//! A Tidegate with a plugin of somebody else's: all that a stranger has to write.

#![forbid(unsafe_code)]

use tidegate::plugin::prelude::*;

/// Tells clients which country this edge stands in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Geo {
    country: String,
}

impl Plugin for Geo {
    const NAME: &'static str = "geo";

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        hooks.filter(self);
        Ok(())
    }
}

impl Filter for Geo {
    fn response(&self, response: &mut Response<'_>) {
        let _ = response.head.insert_header("x-country", &self.country);
    }
}

fn main() -> std::process::ExitCode {
    tidegate::main(tidegate::plugins::standard().with::<Geo>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_is_needed() {
        let error = testing::install::<Geo>("{}").err().unwrap();
        assert!(error.contains("missing field `country`"), "{error}");
    }
}
