//! Lives of Tidegate: it begins, and is killed.

use super::faults::NAMES;
use super::state::{Life, Stage};
use crate::simulation::book::{STARTS_MAX, Shared};
use crate::simulation::client::Client;
use std::sync::Arc;
use tidegate::control::Control;
use tidegate::service::event::Event;
use tidegate::service::store::{self, Reader};
use tokio::sync::watch;
use tokio::time::sleep;

impl Stage {
    pub async fn begin(&mut self) {
        if self.services.is_empty() {
            for name in NAMES {
                if self.below(4) > 0 || name == "a" {
                    let mut service = self.any_service();
                    if self.is_witness(name) {
                        service.sleep = None;
                        service.min = service.min.max(1);
                    }
                    self.note(&format!("{name}: {service:?}"));
                    self.services.insert(name, service);
                }
            }
        }
        self.book.lock().new_life();
        let life = self.book.lock().life;
        let (writer, reader) = store::store();
        let (over, is_over) = watch::channel(false);
        let client = Client {
            engine: self.engine.clone(),
            book: self.book.clone(),
            life,
            over: is_over.clone(),
        };
        let book = self.book.clone();
        let sink = Arc::new(move |event: &Event| book.lock().event(life, event));
        let (control, handle) = Control::new(Arc::new(client), writer, sink, STARTS_MAX);
        let control = control.generations_above((1 << 50) + u64::from(life) * 1_000_000);
        let looking = look(reader.clone(), self.book.clone(), life);
        let tasks = [tokio::spawn(control.run(is_over)), tokio::spawn(looking)];
        self.life = Some(Life {
            handle,
            reader,
            over,
            tasks,
        });
        self.configure().await;
        self.book.lock().reloaded = false;
    }

    /// kill -9, and a new one.
    pub async fn restart(&mut self) {
        let life = self.life.take().expect("alive");
        for task in life.tasks {
            task.abort();
            let _ = task.await;
        }
        life.over.send_replace(true);
        self.held.clear();
        self.served.clear();
        // The configuration may have changed meanwhile.
        let pause = self.book.lock().rng.delay(5_000);
        sleep(pause).await;
        self.begin().await;
    }
}

async fn look(mut reader: Reader, book: Shared, life: u32) {
    while reader.changed().await.is_ok() {
        let snapshot = Arc::clone(&reader.load());
        book.lock().published(life, &snapshot);
    }
}
