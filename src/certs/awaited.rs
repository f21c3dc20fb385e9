//! Names whose first certificate is on its way, so that a hello for one can wait for it.

use super::name::CertName;
use super::table::Certificates;
use arc_swap::ArcSwap;
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Longest wait of a hello for a certificate; clients give up not much later.
pub const HELLO_WAIT_MAX: Duration = Duration::from_secs(10);
/// Questions for names on demand that wait for an answer; further hellos are refused at once.
const ON_DEMAND_QUESTIONS_MAX: usize = 64;

/// Names that are being ordered, and the way to have others ordered on demand.
#[derive(Clone, Debug)]
pub struct Awaited {
    names: Arc<ArcSwap<HashSet<CertName>>>,
    on_demand: mpsc::Sender<OnDemandName>,
}

/// A name that a client asked for and nobody has a certificate for.
#[derive(Debug)]
pub struct OnDemandName {
    pub name: CertName,
    pub client: IpAddr,
    /// Takes whether a certificate is on its way or there. Dropped, it means no.
    pub answer: oneshot::Sender<bool>,
}

impl Awaited {
    /// Nothing awaited yet, and the receiver of questions for names on demand. While nobody
    /// receives, hellos for unknown names are refused.
    pub fn new() -> (Awaited, mpsc::Receiver<OnDemandName>) {
        let (on_demand, questions) = mpsc::channel(ON_DEMAND_QUESTIONS_MAX);
        let names = Arc::default();
        (Awaited { names, on_demand }, questions)
    }

    /// Replaces the names that are being ordered.
    pub fn publish(&self, names: HashSet<CertName>) {
        self.names.store(Arc::new(names));
    }

    /// Whether a certificate that covers `name` is being ordered.
    pub fn expects(&self, name: &CertName) -> bool {
        let names = self.names.load();
        names.contains(name) || names.iter().any(|awaited| awaited.covers(name))
    }

    /// Waits until `certificates` has one for `name`, if one is on its way or `client` may have it
    /// on demand; at most [`HELLO_WAIT_MAX`]. Returns whether there is one now.
    pub async fn arrival(
        &self,
        name: &CertName,
        client: IpAddr,
        certificates: &Certificates,
    ) -> bool {
        let waited = timeout(HELLO_WAIT_MAX, self.wait(name, client, certificates));
        waited.await.unwrap_or(false)
    }

    async fn wait(&self, name: &CertName, client: IpAddr, certificates: &Certificates) -> bool {
        let mut certificates = certificates.clone();
        let mut is_allowed = None;
        loop {
            if certificates.load().find(name).is_some() {
                return true;
            }
            if !self.expects(name) {
                let allowed = match is_allowed {
                    Some(allowed) => allowed,
                    None => self.ask(name.clone(), client).await,
                };
                is_allowed = Some(allowed);
                // A certificate may have come while the question was under way.
                if !allowed {
                    return certificates.load().find(name).is_some();
                }
                if certificates.load().find(name).is_some() {
                    return true;
                }
            }
            if certificates.changed().await.is_err() {
                return false;
            }
        }
    }

    async fn ask(&self, name: CertName, client: IpAddr) -> bool {
        let (answer, answered) = oneshot::channel();
        let question = OnDemandName {
            name,
            client,
            answer,
        };
        self.on_demand.try_send(question).is_ok() && answered.await.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::super::held::tests::held;
    use super::super::table::certificates;
    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn name() -> CertName {
        "a.test".parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_hello_waits_for_the_certificate_that_is_being_ordered() {
        let (awaited, _questions) = Awaited::new();
        let (_files, mut orders, reader) = certificates();
        awaited.publish(HashSet::from(["*.test".parse().unwrap()]));
        let (name, arrival) = (name(), async {
            tokio::time::sleep(Duration::from_secs(9)).await;
            orders.publish(vec![held(&["b.test"])]);
            orders.publish(vec![held(&["a.test"])]);
        });
        let waiting = awaited.arrival(&name, CLIENT, &reader);
        assert!(tokio::join!(waiting, arrival).0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hello_waits_for_ten_seconds_and_no_longer() {
        let (awaited, _questions) = Awaited::new();
        let (_files, _orders, reader) = certificates();
        awaited.publish(HashSet::from([name()]));
        let began = tokio::time::Instant::now();
        assert!(!awaited.arrival(&name(), CLIENT, &reader).await);
        assert_eq!(began.elapsed(), HELLO_WAIT_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_name_is_asked_for_on_demand() {
        let (awaited, mut questions) = Awaited::new();
        let (_files, mut orders, reader) = certificates();
        let keeper = async {
            let question = questions.recv().await.unwrap();
            assert_eq!((question.name, question.client), (name(), CLIENT));
            question.answer.send(true).unwrap();
            orders.publish(vec![held(&["a.test"])]);
            drop(questions.recv().await.unwrap());
        };
        let (name, other) = (name(), "b.test".parse().unwrap());
        let hellos = async {
            let first = awaited.arrival(&name, CLIENT, &reader).await;
            (first, awaited.arrival(&other, CLIENT, &reader).await)
        };
        assert_eq!(tokio::join!(hellos, keeper).0, (true, false));
        drop(questions);
        let began = tokio::time::Instant::now();
        assert!(!awaited.arrival(&other, CLIENT, &reader).await);
        assert_eq!(began.elapsed(), Duration::ZERO, "with no keeper, at once");
    }
}
