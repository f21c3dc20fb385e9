//! Acts: people post acts with a photo under categories.
//!
//! The service Tidegate's examples and tests run. Several processes serve one database file, and
//! each can be told to misbehave in the ways a load balancer has to survive (README.md lists them).
#![forbid(unsafe_code)]

mod act;
mod api;
mod app;
mod body;
mod drill;
mod etag;
mod failure;
mod gate;
mod leave;
mod page;
mod photos;
mod query;
mod schema;
mod store;
mod switches;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::net::TcpListener;

use app::App;
use leave::Leave;
use store::Store;
use switches::Switches;

fn main() -> ExitCode {
    let outcome = tokio::runtime::Runtime::new()
        .map_err(Into::into)
        .and_then(|runtime| {
            let outcome = runtime.block_on(run());
            // A thread that waits for the database must not keep a process that was asked to leave.
            runtime.shutdown_background();
            outcome
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("acts: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    // First of all: PID 1 has no default action for SIGTERM; a container ignores it until here.
    let leave = Leave::on_signal()?;
    let switches = Switches::from(|name| std::env::var(name).ok())?;
    switches.arm_exit();

    let (listener, app) = tokio::select! {
        started = start(switches) => started?,
        () = leave.asked() => return Ok(()),
    };
    let serving = axum::serve(listener, api::router(app)).with_graceful_shutdown(leave.asked());
    tokio::select! {
        served = serving => Ok(served?),
        () = leave.overdue() => Ok(()),
    }
}

async fn start(switches: Switches) -> Result<(TcpListener, Arc<App>), Box<dyn Error>> {
    tokio::time::sleep(switches.start_delay).await;
    let store = Store::open(&switches.data).await?;
    let listener = TcpListener::bind(switches.listen)
        .await
        .map_err(|error| format!("listening on {}: {error}", switches.listen))?;
    // Not println!, which panics when nobody reads.
    let address = listener.local_addr()?;
    let _ = writeln!(std::io::stdout(), "acts: listening on {address}");
    let app = Arc::new(App::new(store, switches));
    tokio::spawn(sweep(app.clone()));
    Ok((listener, app))
}

async fn sweep(app: Arc<App>) {
    match app.store.sweep().await {
        Ok(0) => {}
        Ok(count) => eprintln!("acts: removed {count} photos that no act has"),
        Err(why) => eprintln!("acts: sweeping: {why:?}"),
    }
}
