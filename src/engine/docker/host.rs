//! Address of the Docker daemon: `DOCKER_HOST` and its companions.

use crate::engine::{EngineError, ErrorKind};
use bollard::API_DEFAULT_VERSION;
use std::fmt;
use std::path::PathBuf;

const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
const PLAIN_PORT: u16 = 2375;
const TLS_PORT: u16 = 2376;

/// Timeout of the client, which must exceed the timeout of every call.
const CLIENT_TIMEOUT_SECS: u64 = 24 * 60 * 60;

const READ_HOST: &str = "read DOCKER_HOST";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    Unix(PathBuf),
    /// `host:port`, unencrypted.
    Tcp(String),
    /// `host:port`, and the folder with `ca.pem`, `cert.pem` and `key.pem`.
    Tls(String, PathBuf),
}

impl Host {
    pub fn from_env() -> Result<Host, EngineError> {
        Host::from_vars(|name| std::env::var(name).ok())
    }

    /// Reads the variables as the Docker command line does, except that certificates are always verified.
    fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Host, EngineError> {
        let var = |name: &str| var(name).filter(|value| !value.is_empty());
        let Some(host) = var("DOCKER_HOST") else {
            return Ok(Host::Unix(DEFAULT_SOCKET.into()));
        };
        let (scheme, rest) = host.split_once("://").unwrap_or(("", &host));
        let certs = var("DOCKER_CERT_PATH");
        let tls = certs.is_some() || var("DOCKER_TLS_VERIFY").is_some();
        let certs = || {
            let home = || PathBuf::from(var("HOME").unwrap_or_default()).join(".docker");
            certs.map(PathBuf::from).unwrap_or_else(home)
        };
        match scheme {
            "unix" if !rest.is_empty() => Ok(Host::Unix(rest.into())),
            "https" => Ok(Host::Tls(authority(&host, rest, TLS_PORT)?, certs())),
            "tcp" if tls => Ok(Host::Tls(authority(&host, rest, TLS_PORT)?, certs())),
            "tcp" | "http" => Ok(Host::Tcp(authority(&host, rest, PLAIN_PORT)?)),
            "ssh" => Err(unusable(
                &host,
                "ssh is not supported; forward the socket (`ssh -L /tmp/docker.sock:/var/run/docker.sock HOST`) and use unix:///tmp/docker.sock",
            )),
            _ => Err(unusable(
                &host,
                "expected unix:///path/to/docker.sock or tcp://host:port",
            )),
        }
    }

    /// A client that has not connected yet.
    pub(super) fn client(&self) -> Result<bollard::Docker, bollard::errors::Error> {
        match self {
            Host::Unix(path) => bollard::Docker::connect_with_unix(
                &path.to_string_lossy(),
                CLIENT_TIMEOUT_SECS,
                API_DEFAULT_VERSION,
            ),
            Host::Tcp(authority) => bollard::Docker::connect_with_http(
                authority,
                CLIENT_TIMEOUT_SECS,
                API_DEFAULT_VERSION,
            ),
            Host::Tls(authority, certs) => bollard::Docker::connect_with_ssl(
                authority,
                &certs.join("key.pem"),
                &certs.join("cert.pem"),
                &certs.join("ca.pem"),
                CLIENT_TIMEOUT_SECS,
                API_DEFAULT_VERSION,
            ),
        }
    }

    /// One spelling for each address.
    pub(super) fn place(&self) -> String {
        match self {
            Host::Unix(path) => {
                let real = std::fs::canonicalize(path);
                format!("unix://{}", real.as_deref().unwrap_or(path).display())
            }
            Host::Tcp(authority) | Host::Tls(authority, _) => {
                format!("tcp://{}", authority.to_ascii_lowercase())
            }
        }
    }

    /// Checks what needs no connection. A missing socket is no error, because it may come.
    pub(super) fn check(&self) -> Result<(), EngineError> {
        let Host::Tls(_, certs) = self else {
            return Ok(());
        };
        for file in ["ca.pem", "cert.pem", "key.pem"] {
            let path = certs.join(file);
            std::fs::File::open(&path).map_err(|error| EngineError {
                kind: ErrorKind::Failed,
                op: "read DOCKER_CERT_PATH",
                message: format!("{}: {error}", path.display()),
            })?;
        }
        self.client().map(drop).map_err(|error| EngineError {
            kind: ErrorKind::Failed,
            op: "read DOCKER_CERT_PATH",
            message: error.to_string(),
        })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Unix(path) => write!(f, "{}", path.display()),
            Host::Tcp(authority) => write!(f, "tcp://{authority}"),
            Host::Tls(authority, _) => write!(f, "https://{authority}"),
        }
    }
}

/// `host:port` of what follows the scheme.
fn authority(whole: &str, rest: &str, default_port: u16) -> Result<String, EngineError> {
    let authority = rest
        .trim_end_matches('/')
        .parse::<http::uri::Authority>()
        .map_err(|error| unusable(whole, &error.to_string()))?;
    if authority.host().is_empty() || authority.as_str().contains('@') {
        return Err(unusable(whole, "expected tcp://host:port"));
    }
    Ok(match authority.port() {
        Some(_) => authority.to_string(),
        None => format!("{authority}:{default_port}"),
    })
}

fn unusable(host: &str, why: &str) -> EngineError {
    EngineError {
        kind: ErrorKind::Failed,
        op: READ_HOST,
        message: format!("`{host}` cannot be used: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(vars: &[(&str, &str)]) -> Result<Host, String> {
        Host::from_vars(|name| {
            let found = vars.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.to_string())
        })
        .map_err(|error| error.to_string())
    }

    #[test]
    fn the_host_is_read_as_the_docker_command_reads_it() {
        let tcp = |address: &str| Ok(Host::Tcp(address.into()));
        let tls = |address: &str, certs: &str| Ok(Host::Tls(address.into(), certs.into()));
        let unix = |path: &str| Ok(Host::Unix(path.into()));

        assert_eq!(host(&[]), unix(DEFAULT_SOCKET));
        assert_eq!(host(&[("DOCKER_HOST", "")]), unix(DEFAULT_SOCKET));
        assert_eq!(
            host(&[("DOCKER_HOST", "unix:///tmp/d.sock")]),
            unix("/tmp/d.sock")
        );
        assert_eq!(
            host(&[("DOCKER_HOST", "tcp://10.0.0.1:2380")]),
            tcp("10.0.0.1:2380")
        );
        assert_eq!(host(&[("DOCKER_HOST", "tcp://box/")]), tcp("box:2375"));
        assert_eq!(host(&[("DOCKER_HOST", "http://[::1]:99")]), tcp("[::1]:99"));
        let vars = [("DOCKER_HOST", "tcp://box"), ("DOCKER_CERT_PATH", "/certs")];
        assert_eq!(host(&vars), tls("box:2376", "/certs"));
        let vars = [
            ("DOCKER_HOST", "tcp://box:1"),
            ("DOCKER_TLS_VERIFY", "1"),
            ("HOME", "/me"),
        ];
        assert_eq!(host(&vars), tls("box:1", "/me/.docker"));
    }

    #[test]
    fn a_place_is_the_same_however_it_is_spelled() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("docker.sock");
        std::fs::write(&socket, "").unwrap();
        let link = folder.path().join("link.sock");
        std::os::unix::fs::symlink(&socket, &link).unwrap();
        assert_eq!(Host::Unix(link).place(), Host::Unix(socket).place());
        let tcp = Host::Tcp("Box:2376".into());
        let tls = Host::Tls("box:2376".into(), "/certs".into());
        assert_eq!(tcp.place(), tls.place());
        let gone = Host::Unix("/nowhere/docker.sock".into());
        assert_eq!(gone.place(), "unix:///nowhere/docker.sock");
    }

    #[test]
    fn a_host_that_cannot_be_used_says_what_was_expected() {
        for (bad, hint) in [
            ("docker.sock", "expected unix://"),
            ("unix://", "expected unix://"),
            ("tcp://", "DOCKER_HOST"),
            ("tcp://a b", "DOCKER_HOST"),
            ("ssh://me@box", "forward the socket"),
        ] {
            let error = host(&[("DOCKER_HOST", bad)]).unwrap_err();
            assert!(error.contains(hint) && error.contains(bad), "{error}");
        }
    }
}
