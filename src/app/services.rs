//! The control loop and the admin API as services of Pingora's server.

use super::doors::{self, Doors};
use crate::admin::{self, Admin, Door};
use crate::control::Control;
use async_trait::async_trait;
use axum::Extension;
use axum::extract::ConnectInfo;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Mutex;
use tokio::sync::watch;

pub struct ControlService(pub Mutex<Option<Control>>);

#[async_trait]
impl BackgroundService for ControlService {
    async fn start(&self, _shutdown: ShutdownWatch) {
        let control = self.0.lock().ok().and_then(|mut control| control.take());
        if let Some(control) = control {
            // The control loop runs to the very end: replicas fail while requests are finished, too.
            let (_never, over) = watch::channel(false);
            control.run(over).await;
        }
    }
}

pub struct AdminService {
    pub admin: Admin,
    pub listeners: Mutex<Option<AdminListeners>>,
    pub doors: watch::Receiver<Doors>,
}

pub struct AdminListeners {
    /// `None`: only the socket is served.
    pub tcp: Option<TcpListener>,
    pub socket: UnixListener,
}

#[async_trait]
impl BackgroundService for AdminService {
    async fn start(&self, _shutdown: ShutdownWatch) {
        let listeners = self.listeners.lock().ok();
        let Some(AdminListeners { tcp, socket }) = listeners.and_then(|mut them| them.take())
        else {
            return;
        };
        let tcp = async {
            let Some(listener) = tcp else {
                return Ok(());
            };
            let mut doors = self.doors.clone();
            doors::are(&mut doors, Doors::Open).await;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let router = admin::router(self.admin.clone(), Door::Tcp);
            let router = |address| router.clone().layer(Extension(ConnectInfo(address)));
            admin::serve(listener, router, doors::are(&mut doors, Doors::HandedOver)).await;
            std::io::Result::Ok(())
        };
        // Clients do not find it before it is renamed into place, nor once a successor's replaced it.
        let unix = async {
            let listener = tokio::net::UnixListener::from_std(socket)?;
            let router = admin::router(self.admin.clone(), Door::Socket);
            // Before the first snapshot it would show no services.
            let mut reader = self.admin.reader.clone();
            while reader.load().services.is_empty() && reader.changed().await.is_ok() {}
            admin::serve(listener, |_| router.clone(), std::future::pending()).await;
            std::io::Result::Ok(())
        };
        let (reader, history) = (self.admin.reader.clone(), self.admin.history.clone());
        let live = self.admin.live.clone().run(reader, history);
        let (tcp, unix, ()) = tokio::join!(tcp, unix, live);
        for error in [tcp.err(), unix.err()].into_iter().flatten() {
            log::error!("the admin listener ended: {error}");
        }
    }
}
