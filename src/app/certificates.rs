//! Certificates in the running process: what handshakes and the admin API read, and the task behind it.

use crate::acme::{CertificateHandle, Connections, Keeper, Orders, Wanted, handle};
use crate::certs::settings::AcmeSettings;
use crate::certs::{
    Awaited, CertName, CertificateWriter, Certificates, Challenges, Reports, certificates, reports,
};
use crate::config::Config;
use crate::control::Sink;
use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use std::sync::{Arc, Mutex};

/// Readers of certificates. They outlive reloads.
#[derive(Clone)]
pub struct CertificateReaders {
    pub table: Certificates,
    pub challenges: Challenges,
    pub awaited: Awaited,
    pub reports: Reports,
}

/// Everything about certificates, made once.
pub struct CertificateParts {
    pub readers: CertificateReaders,
    /// Writer of the user's own files.
    pub files: CertificateWriter,
    pub handle: CertificateHandle,
    pub service: CertificateService,
}

/// The keeper of certificates, as a service of Pingora's server.
pub struct CertificateService(Mutex<Option<(Keeper, Orders)>>);

#[async_trait]
impl BackgroundService for CertificateService {
    async fn start(&self, _shutdown: ShutdownWatch) {
        let kept = self.0.lock().ok().and_then(|mut kept| kept.take());
        if let Some((keeper, orders)) = kept {
            keeper.run(orders).await;
        }
    }
}

/// Loads what is in the state folder. Nothing is ordered before this process takes control.
pub fn certificate_parts(config: &Config, sink: Sink) -> CertificateParts {
    let (files, writer, table) = certificates();
    let (awaited, questions) = Awaited::new();
    let (report_writer, reports) = reports();
    let challenges = Challenges::default();
    let wanted = wanted_of(config);
    let (handle, orders) = handle(wanted.clone());
    let connections = Connections {
        writer,
        challenges: challenges.clone(),
        awaited: awaited.clone(),
        questions,
        reports: report_writer,
        tell: sink,
    };
    let keeper = Keeper::new(&config.state_dir, wanted, connections);
    CertificateParts {
        readers: CertificateReaders {
            table,
            challenges,
            awaited,
            reports,
        },
        files,
        handle,
        service: CertificateService(Mutex::new(Some((keeper, orders)))),
    }
}

/// Names that get certificates.
pub fn wanted_of(config: &Config) -> Wanted {
    let specs = config.services.iter().map(|service| &service.spec);
    let hosts = specs
        .clone()
        .flat_map(|spec| spec.routes.iter().map(|route| route.host.as_deref()));
    let has_catch_all = specs.clone().any(|spec| spec.routes.is_empty())
        || hosts.clone().any(|host| host.is_none());
    let names = hosts.flatten().filter_map(|host| host.parse().ok());
    let names: Vec<CertName> = names.collect();
    let Some(tls) = &config.tls else {
        return Wanted {
            settings: Arc::new(AcmeSettings::nothing()),
            routes: Vec::new(),
            has_catch_all: false,
            files: Vec::new(),
        };
    };
    let files = tls.held.iter().flat_map(|held| held.names.iter().cloned());
    Wanted {
        settings: Arc::new(tls.settings.acme.clone()),
        routes: names,
        has_catch_all,
        files: files.collect(),
    }
}
