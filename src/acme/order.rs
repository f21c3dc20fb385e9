//! One order at a CA, from its place in the queue to the certificate.
//!
//! ```text
//! account -> [order] -> authorizations -> [challenge ready] -> finalize -> certificate
//!               |              each step is noted, so an order that was interrupted goes on
//!               '-- taken up again by its URL ----------------------^
//! ```

use super::account::{account, note_rejection};
use super::failure::{Failure, kind, of_clock, of_problem, words};
use super::http::Http;
use super::proof::{Proof, Prover};
use super::store::{Pending, Store};
use crate::certs::CertName;
use crate::certs::settings::{AcmeSettings, Ca, ChallengeKind};
use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeStatus, ChallengeType, Error,
    Identifier, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Time for the CA to look at a challenge; it asks from several places in the world.
const DECIDED_WITHIN: Duration = Duration::from_secs(120);
/// Time for the CA to sign.
const SIGNED_WITHIN: Duration = Duration::from_secs(180);
const LOOK_AGAIN: Duration = Duration::from_millis(250);
const LOOK_AGAIN_FACTOR: f32 = 1.5;
/// Orders older than this have expired at every CA.
const PENDING_MAX: Duration = Duration::from_secs(6 * 24 * 60 * 60);

/// Tools that order certificates.
#[derive(Clone)]
pub struct Orderer {
    pub store: Store,
    pub http: Http,
    pub prover: Prover,
    pub settings: Arc<AcmeSettings>,
}

/// One certificate to get.
pub struct Errand {
    pub name: CertName,
    pub ca: Ca,
    pub kind: ChallengeKind,
    /// The certificate that is to be replaced, where the CA wants to know.
    pub replaces: Option<CertificateIdentifier<'static>>,
}

impl Orderer {
    /// Gets a certificate: key and chain as PEM.
    pub async fn obtain(&self, errand: &Errand) -> Result<String, Failure> {
        let obtained = self.try_to_obtain(errand).await;
        obtained.map_err(|mut failure| {
            let notes = self.http.notes();
            failure.not_before = notes.not_before.filter(|at| *at > SystemTime::now());
            if let Some(clock) = of_clock(notes.clock) {
                failure.why = format!("{}; {clock}", failure.why);
            }
            failure
        })
    }

    async fn try_to_obtain(&self, errand: &Errand) -> Result<String, Failure> {
        let ca = &errand.ca;
        let account = account(&self.store, &self.http, ca, &self.settings).await?;
        if let Some((order, pending)) = self.interrupted(errand, &account).await? {
            log::info!("{}: going on with an order at {ca}", errand.name);
            return self.finish(errand, order, pending).await;
        }
        let profile = self.profile(ca, &account)?;
        let key = KeyPair::generate();
        let key = key.map_err(|error| Failure::new(format!("no key can be made: {error}")))?;
        let mut pending = Pending {
            ca: ca.label().to_owned(),
            url: None,
            key: key.serialize_pem(),
            kind: errand.kind.label().to_owned(),
            since: seconds(SystemTime::now()),
        };
        // Before the order, so that a full disk costs none.
        self.note(errand, &pending)?;
        let order = match self.place(errand, &account, profile).await {
            Ok(order) => order,
            Err(error) => {
                self.store.forget_pending(&errand.name);
                note_rejection(&self.store, ca, &error);
                return Err(Failure::step(&format!("{ca} takes no order"), &error));
            }
        };
        pending.url = Some(order.url().to_owned());
        self.note(errand, &pending)?;
        self.finish(errand, order, pending).await
    }

    /// The order that was under way when a process ended.
    async fn interrupted(
        &self,
        errand: &Errand,
        account: &Account,
    ) -> Result<Option<(Order, Pending)>, Failure> {
        let Some(pending) = self.store.pending(&errand.name) else {
            return Ok(None);
        };
        let since = UNIX_EPOCH + Duration::from_secs(pending.since.min(1 << 40));
        let is_old = SystemTime::now().duration_since(since).unwrap_or_default() > PENDING_MAX;
        let url = pending
            .url
            .clone()
            .filter(|_| pending.ca == errand.ca.label() && !is_old);
        let Some(url) = url else {
            self.store.forget_pending(&errand.name);
            return Ok(None);
        };
        match account.order(url).await {
            Ok(mut order) => {
                if order.state().status == OrderStatus::Invalid {
                    self.store.forget_pending(&errand.name);
                    return Ok(None);
                }
                Ok(Some((order, pending)))
            }
            Err(Error::Api(problem)) => {
                let why = of_problem(&problem);
                log::warn!(
                    "{}: the order that was under way is lost: {why}",
                    errand.name
                );
                self.store.forget_pending(&errand.name);
                Ok(None)
            }
            Err(error) => {
                let what = format!("{} does not answer", errand.ca);
                Err(goes_on(Failure::step(&what, &error)))
            }
        }
    }

    /// The profile of the configuration, if the CA has it.
    fn profile(&self, ca: &Ca, account: &Account) -> Result<Option<&str>, Failure> {
        let Some(wanted) = self.settings.profile.as_deref() else {
            return Ok(None);
        };
        let mut known: Vec<&str> = account.profiles().map(|profile| profile.name).collect();
        if known.contains(&wanted) {
            return Ok(Some(wanted));
        }
        known.sort_unstable();
        let known = match known.as_slice() {
            [] => "it has no profiles; leave `tls.profile` out".to_owned(),
            known => format!("it has {}", known.join(", ")),
        };
        Err(Failure::new(format!(
            "{ca} has no profile `{wanted}`: {known}"
        )))
    }

    async fn place(
        &self,
        errand: &Errand,
        account: &Account,
        profile: Option<&str>,
    ) -> Result<Order, Error> {
        let identifiers = [match &errand.name {
            CertName::Ip(address) => Identifier::Ip(*address),
            name => Identifier::Dns(name.to_string()),
        }];
        let new = || {
            let new = NewOrder::new(&identifiers);
            match profile {
                Some(profile) => new.profile(profile),
                None => new,
            }
        };
        if let Some(replaces) = &errand.replaces {
            match account.new_order(&new().replaces(replaces.clone())).await {
                Ok(order) => return Ok(order),
                // Some CAs take the order and do not name what it replaces, others have lost track of
                // the old certificate: both are no reason to stay without a new one.
                Err(error) => log::info!(
                    "{}: ordering without naming the certificate that is replaced: {}",
                    errand.name,
                    words(&error)
                ),
            }
        }
        account.new_order(&new()).await
    }

    async fn finish(
        &self,
        errand: &Errand,
        mut order: Order,
        pending: Pending,
    ) -> Result<String, Failure> {
        let mut proofs = Vec::new();
        let finished = self.steps(errand, &mut order, &pending, &mut proofs).await;
        for proof in proofs {
            proof.withdraw().await;
        }
        match &finished {
            Err(failure) if failure.goes_on => {}
            _ => self.store.forget_pending(&errand.name),
        }
        let chain = finished?;
        Ok(format!("{}{chain}", pending.key))
    }

    /// The steps that are left of an order; returns the chain.
    async fn steps(
        &self,
        errand: &Errand,
        order: &mut Order,
        pending: &Pending,
        proofs: &mut Vec<Proof>,
    ) -> Result<String, Failure> {
        let ca = &errand.ca;
        if order.state().status == OrderStatus::Pending {
            self.prove(errand, order, pending, proofs).await?;
            match order.poll_ready(&patience(DECIDED_WITHIN)).await {
                Ok(OrderStatus::Ready) => {}
                Ok(_) => return Err(refusal(ca, order).await),
                Err(Error::Timeout(_)) => {
                    return Err(goes_on(Failure::new(format!("{ca} has not decided yet"))));
                }
                Err(Error::Api(_)) => return Err(refusal(ca, order).await),
                Err(error) => {
                    return Err(goes_on(Failure::step(&format!("{ca} broke off"), &error)));
                }
            }
        }
        if order.state().status == OrderStatus::Ready {
            let request = request(&errand.name, &pending.key)?;
            if let Err(error) = order.finalize_csr(&request).await {
                let failure = Failure::step(&format!("{ca} does not sign"), &error);
                return Err(match kind(&error) {
                    Some(_) => failure,
                    None => goes_on(failure),
                });
            }
        }
        match order.poll_certificate(&patience(SIGNED_WITHIN)).await {
            Ok(chain) => Ok(chain),
            Err(error @ Error::Api(_)) => {
                Err(Failure::step(&format!("{ca} does not sign"), &error))
            }
            Err(error) => Err(goes_on(Failure::step(
                &format!("{ca} has not sent the certificate"),
                &error,
            ))),
        }
    }

    /// Answers the challenges that the CA still wants answered.
    async fn prove(
        &self,
        errand: &Errand,
        order: &mut Order,
        pending: &Pending,
        proofs: &mut Vec<Proof>,
    ) -> Result<(), Failure> {
        let ca = &errand.ca;
        let broke = |error: &Error| goes_on(Failure::step(&format!("{ca} broke off"), error));
        // An order that goes on keeps its kind: only one challenge of each may be answered.
        let mut kinds = ChallengeKind::ALL.iter();
        let noted = kinds.find(|kind| kind.label() == pending.kind);
        let kind = *noted.unwrap_or(&errand.kind);
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(|error| broke(&error))?;
            match authorization.status {
                AuthorizationStatus::Pending => {}
                AuthorizationStatus::Valid => continue,
                other => {
                    let other = format!("{other:?}").to_lowercase();
                    return Err(Failure::new(format!("{ca}: the authorization is {other}")));
                }
            }
            let offered: Vec<String> = authorization
                .challenges
                .iter()
                .map(|challenge| label(&challenge.r#type).to_owned())
                .collect();
            let Some(mut challenge) = authorization.challenge(challenge_type(kind)) else {
                return Err(Failure::new(format!(
                    "{ca} does not offer {} for {}; it offers {}",
                    kind.label(),
                    errand.name,
                    offered.join(", ")
                )));
            };
            let authorization = challenge.key_authorization();
            let proof = self.prover.prove(
                &errand.name,
                kind,
                &challenge.token,
                &authorization,
                &self.settings,
            );
            proofs.push(proof.await?);
            if challenge.status == ChallengeStatus::Pending {
                let ready = challenge.set_ready().await;
                ready.map_err(|error| broke(&error))?;
            }
        }
        Ok(())
    }

    fn note(&self, errand: &Errand, pending: &Pending) -> Result<(), Failure> {
        let noted = self.store.note_pending(&errand.name, pending);
        noted.map_err(|error| Failure::disk("the order", &error))
    }
}

fn goes_on(failure: Failure) -> Failure {
    Failure {
        goes_on: true,
        ..failure
    }
}

/// Reason for which the CA does not believe us.
async fn refusal(ca: &Ca, order: &mut Order) -> Failure {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else {
            continue;
        };
        let mut challenges = state.challenges.iter();
        let failed = challenges.find_map(|challenge| Some((challenge, challenge.error.as_ref()?)));
        if let Some((challenge, problem)) = failed {
            let kind = label(&challenge.r#type);
            let why = of_problem(problem);
            return Failure::new(format!("{ca} refuses after {kind}: {why}"));
        }
    }
    match &order.state().error {
        Some(problem) => Failure::new(format!("{ca} refuses: {}", of_problem(problem))),
        None => Failure::new(format!("{ca} refuses without a reason")),
    }
}

/// A signing request for `name`, in DER.
fn request(name: &CertName, key: &str) -> Result<Vec<u8>, Failure> {
    let explain =
        |error: rcgen::Error| Failure::new(format!("no signing request can be made: {error}"));
    let key = KeyPair::from_pem(key).map_err(explain)?;
    let mut params = CertificateParams::new(vec![name.to_string()]).map_err(explain)?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key).map_err(explain)?;
    Ok(request.der().to_vec())
}

fn patience(within: Duration) -> RetryPolicy {
    let policy = RetryPolicy::new().initial_delay(LOOK_AGAIN);
    policy.backoff(LOOK_AGAIN_FACTOR).timeout(within)
}

fn challenge_type(kind: ChallengeKind) -> ChallengeType {
    match kind {
        ChallengeKind::TlsAlpn01 => ChallengeType::TlsAlpn01,
        ChallengeKind::Http01 => ChallengeType::Http01,
        ChallengeKind::Dns01 => ChallengeType::Dns01,
    }
}

fn label(kind: &ChallengeType) -> &str {
    match kind {
        ChallengeType::TlsAlpn01 => ChallengeKind::TlsAlpn01.label(),
        ChallengeType::Http01 => ChallengeKind::Http01.label(),
        ChallengeType::Dns01 => ChallengeKind::Dns01.label(),
        ChallengeType::Unknown(other) => other,
        _ => "another kind",
    }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
