//! The command: follows the stream, draws, and reads keys.

use super::draw;
use super::input::PictureInput;
use super::orders::obey;
use super::state::{Act, Key, Top};
use crate::admin::view;
use crate::cli::arguments::Running;
use crate::cli::client::{self, Client, ClientError};
use crate::cli::output::{FAILED, fail};
use crate::cli::stream::{StreamMessage, Streamed};
use clap::Args;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// Interval of drawing, and the longest delay of a key.
const DRAW_EVERY: Duration = Duration::from_millis(100);
/// Silence of the server after which the picture may be stale; it sends something every 5 s.
const SILENT_FOR: Duration = Duration::from_secs(9);
/// Interval between points of the curves.
const POINT_EVERY: Duration = Duration::from_secs(1);

#[derive(Args)]
pub struct TopArgs {
    #[command(flatten)]
    running: Running,
}

impl TopArgs {
    pub fn run(self) -> ExitCode {
        if self.running.output.json || !std::io::stdout().is_terminal() {
            let why = "`top` draws on a terminal\n  hint: `tidegate status --json` and `tidegate \
                       events --follow --json` are for programs";
            return fail(2, why);
        }
        let client = match self.running.client() {
            Ok(client) => client,
            Err(code) => return code,
        };
        // Before the screen is taken, so that an error is printed as text.
        if let Err(error) = client.get::<view::Overview>("/api/v1/services") {
            return fail(FAILED, error);
        }
        let (sender, inputs) = channel();
        let (orders, ordered) = channel();
        follow(client.clone(), sender.clone());
        obey(client, ordered, sender);
        // The terminal is restored at the end, at a signal and, by a hook, at a panic.
        let mut terminal = ratatui::init();
        give_back_at_signals();
        let ended = watch(&mut terminal, &inputs, &orders);
        ratatui::restore();
        match ended {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(FAILED, error),
        }
    }
}

fn watch(
    terminal: &mut DefaultTerminal,
    inputs: &Receiver<PictureInput>,
    orders: &Sender<Act>,
) -> std::io::Result<()> {
    let mut top = Top::default();
    let mut point_at = Instant::now() + POINT_EVERY;
    let mut heard = Instant::now();
    loop {
        while let Ok(input) = inputs.try_recv() {
            match input {
                PictureInput::State(state) => {
                    heard = Instant::now();
                    top.show(*state);
                }
                PictureInput::EventJson(told) => top.note(*told),
                PictureInput::Missed => top.events.clear(),
                PictureInput::Answered(answer) => top.answered(answer),
                PictureInput::Lost(why) => top.lost(why),
            }
        }
        if top.lost.is_none() && heard.elapsed() > SILENT_FOR {
            top.lost(format!("no data for {} s", SILENT_FOR.as_secs()));
        }
        if Instant::now() >= point_at {
            top.point();
            point_at += POINT_EVERY;
        }
        terminal.draw(|frame| draw::draw(frame, &mut top))?;
        if !event::poll(DRAW_EVERY)? {
            continue;
        }
        let Event::Key(key) = event::read()? else {
            continue;
        };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        let key = match key.code {
            KeyCode::Char('c') if is_control => return Ok(()),
            // Backspace, on many terminals.
            KeyCode::Char('h') if is_control => Key::Back,
            KeyCode::Char(_)
                if key
                    .modifiers
                    .intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) =>
            {
                continue;
            }
            KeyCode::Char(c) => Key::Char(c),
            KeyCode::Enter => Key::Enter,
            KeyCode::Esc => Key::Escape,
            KeyCode::Backspace => Key::Back,
            KeyCode::Up => Key::Up,
            KeyCode::Down => Key::Down,
            KeyCode::Left => Key::Left,
            KeyCode::Right => Key::Right,
            KeyCode::Tab => Key::Down,
            _ => continue,
        };
        match top.press(key) {
            Some(Act::Quit) => return Ok(()),
            Some(act) => {
                top.said = Some(("sent; waiting for the answer".to_owned(), true));
                drop(orders.send(act));
            }
            None => {}
        }
    }
}

fn follow(client: Client, sender: Sender<PictureInput>) {
    thread::spawn(move || {
        loop {
            let followed =
                client.follow(
                    "/api/v1/events?follow&state&last=200",
                    |message| match understood(message).map(|input| sender.send(input)) {
                        Some(Err(_)) => Streamed::Enough,
                        _ => Streamed::More,
                    },
                );
            let why = match followed {
                Ok(()) => return,
                Err(error) => error.to_string(),
            };
            if sender.send(PictureInput::Lost(why)).is_err() {
                return;
            }
            thread::sleep(Duration::from_secs(1));
        }
    });
}

fn understood(message: &StreamMessage) -> Option<PictureInput> {
    match message.name.as_str() {
        "state" => Some(PictureInput::State(
            serde_json::from_str(&message.data).ok()?,
        )),
        "missed" => Some(PictureInput::Missed),
        "" => Some(PictureInput::EventJson(
            serde_json::from_str(&message.data).ok()?,
        )),
        _ => None,
    }
}

/// Restores the terminal when a signal ends the command.
fn give_back_at_signals() {
    thread::spawn(|| {
        let code = client::block_on(async {
            let told = |error: std::io::Error| ClientError::Broken(error.to_string());
            let mut term = signal(SignalKind::terminate()).map_err(told)?;
            let mut hangup = signal(SignalKind::hangup()).map_err(told)?;
            Ok(tokio::select! {
                _ = term.recv() => 143,
                _ = hangup.recv() => 129,
            })
        });
        if let Ok(code) = code {
            ratatui::restore();
            std::process::exit(code);
        }
    });
}
