//! Orders from the admin API.

use super::keeper::Keeper;
use crate::admin::{Order, view};
use crate::config;
use crate::control::{Deployed, Images};

impl Keeper {
    /// Carries out an order. A deploy takes long, so it goes on in a task of its own.
    pub async fn obey(&mut self, order: Order) {
        let handle = self.handle.clone();
        match order {
            Order::Reload {
                image_from_file,
                reply,
            } => {
                let images = match image_from_file {
                    true => Images::FromFile,
                    false => Images::Keep,
                };
                let _ = reply.send(self.reload(images).await);
            }
            Order::Deploy {
                service,
                image,
                reply,
            } => {
                if let Some(Err(why)) = image.as_deref().map(config::check_image) {
                    return drop(reply.send(Err(why)));
                }
                tokio::spawn(async move {
                    let deployed = handle.deploy(service, image).await;
                    let _ = reply.send(deployed.map(|deployed| match deployed {
                        Deployed::Begun(version) => view::DeployResult {
                            version,
                            begun: true,
                        },
                        Deployed::Runs(version) => view::DeployResult {
                            version,
                            begun: false,
                        },
                    }));
                });
            }
            Order::Scale {
                service,
                replicas,
                reply,
            } => {
                let scaled = handle.scale(service, replicas).await;
                let _ = reply.send(scaled.map(|desired| view::ScaleResult {
                    desired,
                    by_hand: replicas,
                }));
            }
            Order::Drain {
                service,
                slot,
                reply,
            } => {
                let drained = handle.drain(service, slot).await;
                let _ = reply.send(drained.map(|id| view::DrainResult {
                    id: id.0.to_string(),
                }));
            }
        }
    }
}
