//! A dry run, for `tidegate plan`.

use super::start_error::{StartError, system};
use super::{engines, key};
use crate::app::parts::managed_of;
use crate::config::Config;
use crate::control::{self, Forecast, Images};
use std::time::{SystemTime, UNIX_EPOCH};

/// Actions that `run` would take first with this configuration.
pub fn forecast(config: &Config, images: Images) -> Result<Vec<Forecast>, StartError> {
    let engine = engines::connect_to_look(&config.instance, key::look(&config.state_dir))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| system(&error))?;
    let services = managed_of(config);
    let clock = SystemTime::now().duration_since(UNIX_EPOCH);
    let forecast = control::forecast(&engine, &services, images, clock.unwrap_or_default());
    runtime.block_on(forecast).map_err(|error| system(&error))
}
