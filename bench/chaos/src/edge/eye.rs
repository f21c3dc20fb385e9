//! The view that an edge has of its replicas.

use super::replica::Replica;
use super::{admin, statistics};
use crate::happened::Strength;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// A strength that does not last this long was a failure that nobody had noticed yet: longer than
/// a health check's interval and timeout together.
const SETTLED_AFTER: Duration = Duration::from_millis(2200);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOK_WITHIN: Duration = Duration::from_millis(500);

/// A source of the view, which outlives the edge.
#[derive(Clone)]
pub enum Eye {
    /// Tidegate's admin API.
    Admin(SocketAddr),
    /// HAProxy's statistics socket, and its servers by name.
    Statistics {
        socket: PathBuf,
        servers: BTreeMap<String, (String, u16)>,
    },
}

impl Eye {
    /// Nothing when the edge does not answer.
    pub async fn look(&self) -> Option<Vec<Replica>> {
        let look = async {
            match self {
                Eye::Admin(admin) => admin::look(*admin).await,
                Eye::Statistics { socket, servers } => statistics::look(socket, servers).await,
            }
        };
        timeout(LOOK_WITHIN, look).await.ok()?
    }

    /// Watches while `happening` goes on, and until everything is as it should be and stays so,
    /// for which there is `patience`. Begins with the first moment: the edge may be faster than
    /// the command.
    pub async fn through<T>(
        &self,
        patience: Duration,
        is_full: impl Fn(&[Replica]) -> bool,
        happening: impl Future<Output = Result<T, String>>,
    ) -> Result<(Strength, T), String> {
        let from = Instant::now();
        let mut happening = pin!(happening);
        let mut happened = None;
        let mut since = None;
        let mut broke = false;
        loop {
            let seen = if happened.is_some() {
                self.look().await
            } else {
                let mut look = pin!(self.look());
                tokio::select! {
                    seen = &mut look => seen,
                    result = &mut happening => {
                        happened = Some((result?, Instant::now()));
                        look.await
                    }
                }
            };
            let now = Instant::now();
            if seen.is_some_and(|replicas| is_full(&replicas)) {
                since.get_or_insert(now);
            } else {
                since = None;
                broke = true;
            }
            if let Some((_, end)) = &happened {
                let strength = match since {
                    Some(_) if !broke => Some(Strength::Untouched),
                    Some(since) => Some(Strength::After(since - from)),
                    None if now - *end >= patience => Some(Strength::Never),
                    None => None,
                };
                let lasts = since.is_none_or(|since| now - since >= SETTLED_AFTER);
                if let Some(strength) = strength.filter(|_| lasts)
                    && let Some((result, _)) = happened
                {
                    return Ok((strength, result));
                }
            }
            match &happened {
                Some(_) => sleep(LOOK_EVERY).await,
                None => tokio::select! {
                    () = sleep(LOOK_EVERY) => {}
                    result = &mut happening => happened = Some((result?, Instant::now())),
                },
            }
        }
    }

    /// Waits until everything is as it should be and stays so.
    pub async fn full(
        &self,
        patience: Duration,
        is_full: impl Fn(&[Replica]) -> bool,
    ) -> Result<Strength, String> {
        let nothing = std::future::ready(Ok(()));
        Ok(self.through(patience, is_full, nothing).await?.0)
    }
}
