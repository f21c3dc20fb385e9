//! `tidegate reload`

use super::arguments::Running;
use super::client::ClientError;
use super::output::{self, BAD_CONFIGURATION, FAILED, fail, print, print_json};
use crate::admin::view::{self, ReloadResult};
use clap::Args;
use hyper::StatusCode;
use std::process::ExitCode;

#[derive(Args)]
pub struct Reload {
    /// Return to the file's images where another one was deployed by hand
    #[arg(long)]
    image_from_file: bool,
    #[command(flatten)]
    running: Running,
}

impl Reload {
    pub fn run(self) -> ExitCode {
        let client = match self.running.client() {
            Ok(client) => client,
            Err(code) => return code,
        };
        let order = view::ReloadRequest {
            image_from_file: self.image_from_file,
        };
        match client.post::<ReloadResult>("/api/v1/reload", &order) {
            Ok(reloaded) if self.running.output.json => print_json(&reloaded),
            Ok(reloaded) => print(format_args!("reloaded: {}\n", reloaded.changed)),
            Err(ClientError::Refused(StatusCode::UNPROCESSABLE_ENTITY, why)) => {
                output::complain(format_args!(
                    "{why}\nnot reloaded: the old configuration stays"
                ));
                ExitCode::from(BAD_CONFIGURATION)
            }
            Err(error) => fail(FAILED, error),
        }
    }
}
