//! Orders that keys give.

use super::input::PictureInput;
use super::state::Act;
use crate::admin::view;
use crate::cli::client::{Client, ClientError};
use std::sync::mpsc::{Receiver, Sender};
use std::thread;

/// Carries out orders beside the picture. None waits for another, because a deploy may have to pull
/// an image first.
pub fn obey(client: Client, ordered: Receiver<Act>, sender: Sender<PictureInput>) {
    thread::spawn(move || {
        for act in ordered {
            let (client, sender) = (client.clone(), sender.clone());
            thread::spawn(move || {
                let answer = carry_out(&client, &act).map_err(|error| error.to_string());
                let _ = sender.send(PictureInput::Answered(answer));
            });
        }
    });
}

fn carry_out(client: &Client, act: &Act) -> Result<String, ClientError> {
    let path = |service: &str, what: &str| format!("/api/v1/services/{service}/{what}");
    match act {
        Act::Quit => Ok(String::new()),
        Act::Scale { service, replicas } => {
            let order = view::ScaleRequest {
                replicas: *replicas,
            };
            let scaled: view::ScaleResult = client.order(&path(service, "scale"), &order)?;
            Ok(match scaled.by_hand {
                Some(count) => {
                    format!("{service}: {count} replicas by hand; a lets the policy decide")
                }
                None => format!("{service}: the policy decides again"),
            })
        }
        Act::Drain { service, slot } => {
            let order = view::DrainRequest { slot: *slot };
            client.order::<view::DrainResult>(&path(service, "drain"), &order)?;
            Ok(format!("{service}: {slot} is being replaced"))
        }
        Act::Deploy { service, image } => {
            let order = view::DeployRequest {
                image: image.clone(),
            };
            let deployed: view::DeployResult = client.order(&path(service, "deploy"), &order)?;
            Ok(match deployed.begun {
                true => format!("{service}: rolling out {}", deployed.version),
                false => format!("{service}: every replica runs {} already", deployed.version),
            })
        }
    }
}
