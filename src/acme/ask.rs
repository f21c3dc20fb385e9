//! The question to `ask`: may this name have a certificate on demand?

use super::http::Http;
use crate::certs::CertName;
use ::http::Request;
use http_body_util::Full;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::timeout;

/// Below the wait of the client's hello.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Asks with the name and the client as `domain` and `client` of the query; any 2xx allows. An error
/// says why nothing was heard.
pub async fn ask(http: &Http, url: &str, name: &CertName, client: IpAddr) -> Result<bool, String> {
    let joint = if url.contains('?') { '&' } else { '?' };
    // Names and addresses have no character that a query would change.
    let target = format!("{url}{joint}domain={name}&client={client}");
    let request = Request::get(&target)
        .body(Full::default())
        .map_err(|error| format!("`tls.on_demand.ask` {url}: {error}"))?;
    match timeout(ANSWER_WITHIN, http.send(request)).await {
        Ok(Ok(answer)) => Ok(answer.status().is_success()),
        Ok(Err(error)) => Err(format!("`tls.on_demand.ask` does not answer: {error}")),
        Err(_) => Err(format!(
            "`tls.on_demand.ask` did not answer within {ANSWER_WITHIN:?}"
        )),
    }
}
