//! `GET /api/v1/events`: what happened lately as a list, or as it happens, with the state beside
//! it if that is wanted.

use super::context::Admin;
use super::door::Door;
use super::live::Board;
use super::problem::{no_service, problem};
use super::streams::STREAMS_MAX;
use super::view;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event as Message, Sse};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures_util::stream;
use serde::{Deserialize, Deserializer};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

/// Messages that wait for a reader: one, so that who is slow gets the newest picture next and not
/// those before it.
const WAITING_MAX: usize = 1;
/// A reader that takes nothing for so long is left.
const PATIENCE: Duration = Duration::from_secs(30);
/// Somebody who follows hears something this often, if only that nothing happened.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(5);
/// Clients of a stream that ended come back after this.
const RETRY_AFTER: Duration = Duration::from_secs(1);

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    /// Only events of this service.
    service: Option<String>,
    /// Only later events.
    after: Option<u64>,
    /// No more than the newest of these.
    last: Option<usize>,
    /// Goes on as it happens.
    #[serde(default, deserialize_with = "flag")]
    follow: bool,
    /// With the state, at the beginning and when it changes.
    #[serde(default, deserialize_with = "flag")]
    state: bool,
}

/// `?follow` is as good as `?follow=true`.
fn flag<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    match String::deserialize(value)?.as_str() {
        "" | "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        other => Err(serde::de::Error::custom(format!(
            "`{other}` is neither true nor false"
        ))),
    }
}

pub async fn events(
    State(admin): State<Admin>,
    Extension(door): Extension<Door>,
    headers: HeaderMap,
    asked: Result<Query<EventsQuery>, QueryRejection>,
) -> Response {
    let mut asked = match asked {
        Ok(Query(asked)) => asked,
        Err(rejection) => return problem(rejection.status(), rejection.body_text()),
    };
    if let Some(name) = &asked.service
        && admin.reader.load().service(name).is_none()
    {
        return no_service(&admin.reader.load(), name);
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if asked.follow || text("accept").is_some_and(accepts_stream) {
        // The last event that the client received outranks the one it asked for at first.
        if let Some(id) = text("last-event-id") {
            let Ok(id) = id.trim().parse() else {
                let what = format!("`Last-Event-ID: {id}` is not the id of an event, a number");
                return problem(StatusCode::BAD_REQUEST, what);
            };
            (asked.after, asked.last) = (Some(id), None);
        }
        return follow(admin, door, asked);
    }
    let after = asked.after.unwrap_or_default();
    let part = admin.history.after(after, asked.service.as_deref());
    let from = newest(part.events.len(), asked.last);
    Json(view::EventsJson {
        events: part.events[from..]
            .iter()
            .map(|told| view::EventJson::clone(told))
            .collect(),
        missed: part.missed,
    })
    .into_response()
}

fn accepts_stream(accept: &str) -> bool {
    let mut kinds = accept
        .split(',')
        .map(|kind| kind.split(';').next().unwrap_or_default());
    kinds.any(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
}

/// Where the newest `last` of `len` begin.
fn newest(len: usize, last: Option<usize>) -> usize {
    last.map_or(0, |last| len.saturating_sub(last))
}

fn follow(admin: Admin, door: Door, asked: EventsQuery) -> Response {
    let Some(place) = admin.streams.take(door) else {
        let what =
            format!("{STREAMS_MAX} streams are open already; close one, or ask for the list");
        let problem = problem(StatusCode::SERVICE_UNAVAILABLE, what);
        return ([(header::RETRY_AFTER, "5")], problem).into_response();
    };
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    tokio::spawn(async move {
        let _place = place;
        let mut leaving = admin.leaving.clone();
        let stream = Stream {
            asked,
            sender: sender.clone(),
            shown: BTreeMap::new(),
            engine_up: None,
            last_word: Instant::now(),
        };
        tokio::select! {
            // The successor has the next ones.
            _ = leaving.wait_for(|leaving| *leaving) => {}
            () = sender.closed() => {}
            Err(ReaderLeft) = stream.run(&admin) => {}
        }
    });
    let messages = stream::unfold(receiver, async |mut receiver| {
        let message: Message = receiver.recv().await?;
        Some((Ok::<_, Infallible>(message), receiver))
    });
    Sse::new(messages).into_response()
}

/// The reader takes nothing any more.
struct ReaderLeft;

struct Stream {
    asked: EventsQuery,
    sender: mpsc::Sender<Message>,
    /// The version of each service that the reader has.
    shown: BTreeMap<String, u64>,
    engine_up: Option<bool>,
    last_word: Instant,
}

impl Stream {
    async fn run(mut self, admin: &Admin) -> Result<Infallible, ReaderLeft> {
        self.send(Message::default().retry(RETRY_AFTER)).await?;
        let mut news = admin.history.watch();
        let mut board = self
            .asked
            .state
            .then(|| admin.live.watch(&admin.reader, &admin.history));
        if let Some(board) = &mut board {
            let board = Arc::clone(&board.borrow_and_update());
            self.show(&board, false).await?;
        }
        loop {
            self.send_new(admin, &mut news).await?;
            let silent_until = self.last_word + HEARTBEAT_EVERY;
            tokio::select! {
                heard = news.changed() => heard.map_err(|_| ReaderLeft)?,
                board = changed(&mut board) => self.show(&board, false).await?,
                () = sleep_until(silent_until) => match &board {
                    Some(board) => {
                        let board = Arc::clone(&board.borrow());
                        self.show(&board, true).await?;
                    }
                    None => self.send(Message::default().comment("nothing new")).await?,
                },
            }
        }
    }

    /// Sends the events since the last time.
    async fn send_new(
        &mut self,
        admin: &Admin,
        news: &mut watch::Receiver<u64>,
    ) -> Result<(), ReaderLeft> {
        news.borrow_and_update();
        let after = self.asked.after.unwrap_or_default();
        let part = admin.history.after(after, self.asked.service.as_deref());
        if part.missed {
            let what = "{\"error\":\"events came in between that are not kept any more\"}";
            self.send(Message::default().event("missed").data(what))
                .await?;
        }
        let from = newest(part.events.len(), self.asked.last.take());
        for told in &part.events[from..] {
            let message = Message::default()
                .id(told.id.to_string())
                .json_data(&**told);
            self.send(message.map_err(|_| ReaderLeft)?).await?;
        }
        self.asked.after = Some(part.newest);
        Ok(())
    }

    /// Sends the state where the reader lacks it, or a sign of life.
    async fn show(&mut self, board: &Board, always: bool) -> Result<(), ReaderLeft> {
        let only = self.asked.service.as_deref();
        let wanted = |name: &&String| only.is_none_or(|only| only == name.as_str());
        let first = self.engine_up.is_none();
        let services: Vec<&str> = board
            .services
            .iter()
            .filter(|(name, card)| wanted(name) && self.shown.get(*name) != Some(&card.version))
            .map(|(_, card)| &*card.json)
            .collect();
        let there: BTreeSet<&String> = board.services.keys().filter(wanted).collect();
        let removed: Vec<&String> = self
            .shown
            .keys()
            .filter(|name| !there.contains(name))
            .collect();
        let same_engine = self.engine_up == Some(board.engine_up);
        if services.is_empty() && removed.is_empty() && same_engine && !always {
            return Ok(());
        }
        let now = humantime::format_rfc3339_millis(SystemTime::now());
        let data = format!(
            "{{\"full\":{first},\"time\":\"{now}\",\"engine_up\":{},\"services\":[{}],\
             \"removed\":{}}}",
            board.engine_up,
            services.join(","),
            serde_json::to_string(&removed).map_err(|_| ReaderLeft)?,
        );
        self.engine_up = Some(board.engine_up);
        self.shown = board
            .services
            .iter()
            .filter(|(name, _)| wanted(name))
            .map(|(name, card)| (name.clone(), card.version))
            .collect();
        self.send(Message::default().event("state").data(data))
            .await
    }

    async fn send(&mut self, message: Message) -> Result<(), ReaderLeft> {
        self.last_word = Instant::now();
        let sent = timeout(PATIENCE, self.sender.send(message)).await;
        sent.map_err(|_| ReaderLeft)?.map_err(|_| ReaderLeft)
    }
}

/// The next picture; never, when none is wanted.
async fn changed(board: &mut Option<watch::Receiver<Arc<Board>>>) -> Arc<Board> {
    if let Some(board) = board
        && board.changed().await.is_ok()
    {
        return Arc::clone(&board.borrow_and_update());
    }
    std::future::pending().await
}
