//! The picture of `top`.

use super::state::{Curves, Question, Top};
use crate::admin::view::{ReplicaJson, ServiceJson};
use crate::cli::table::{coarse, latency};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Clear, Paragraph, Row, Sparkline, Table, TableState};
use std::collections::VecDeque;

const HELP: &[(&str, &str)] = &[
    ("up, down", "another service"),
    ("left, right", "another replica"),
    ("+, -", "one replica more or fewer, held until a"),
    ("a", "as many as the policy decides"),
    ("d", "replace the replica that is marked"),
    ("i", "deploy another image"),
    ("q", "quit"),
];

/// Lines of services before they scroll.
const SERVICES_MAX: u16 = 10;
const EVENTS_MIN: u16 = 5;
const CURVES: u16 = 5;

pub fn draw(frame: &mut Frame, top: &mut Top) {
    let services = (top.services.len() as u16).min(SERVICES_MAX) + 2;
    let [head, list, curves, replicas, events, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(services),
        Constraint::Length(CURVES),
        Constraint::Min(4),
        Constraint::Min(EVENTS_MIN),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    draw_head(frame, head, top);
    draw_services(frame, list, top);
    if let Some(service) = top.service() {
        draw_curves(frame, curves, service, top.curves.get(&service.name));
        draw_replicas(frame, replicas, service, top);
    }
    draw_events(frame, events, top);
    draw_foot(frame, foot, top);
    if top.help {
        draw_help(frame);
    }
}

fn draw_head(frame: &mut Frame, area: Rect, top: &Top) {
    let (text, style) = match (&top.lost, top.engine_up) {
        (Some(why), _) => (
            format!("old, from {}: {}", top.time, first_line(why)),
            Style::new().fg(Color::Black).bg(Color::Yellow),
        ),
        (None, false) if !top.services.is_empty() => (
            "the container engine does not answer; traffic continues".to_owned(),
            Style::new().fg(Color::Black).bg(Color::Yellow),
        ),
        _ => (top.time.clone(), Style::new().add_modifier(Modifier::DIM)),
    };
    let line = Line::from(vec![
        Span::styled("tidegate  ", Style::new().add_modifier(Modifier::BOLD)),
        Span::styled(text, style),
    ]);
    frame.render_widget(line, area);
}

fn draw_services(frame: &mut Frame, area: Rect, top: &Top) {
    let header = [
        "SERVICE",
        "READY",
        "REQ/S",
        "P50",
        "P99",
        "ERRORS",
        "IN FLIGHT",
        "HELD",
    ];
    let dash = || "-".to_owned();
    let rows = top.services.values().map(|service| {
        let by_hand = if service.by_hand.is_some() {
            " by hand"
        } else {
            ""
        };
        Row::new([
            service.name.clone(),
            format!("{}/{}{by_hand}", service.ready, service.desired),
            format!("{:.1}", service.requests_per_second),
            service.p50_seconds.map_or_else(dash, latency),
            service.p99_seconds.map_or_else(dash, latency),
            service
                .error_rate
                .map_or_else(dash, |rate| format!("{:.1}%", rate * 100.0)),
            service.in_flight.to_string(),
            service.held.to_string(),
        ])
        .style(style_of(service))
    });
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(14),
        Constraint::Length(9),
        Constraint::Length(7),
        Constraint::Length(7),
        Constraint::Length(7),
        Constraint::Length(9),
        Constraint::Length(6),
    ];
    let table = Table::new(rows, widths)
        .header(Row::new(header).style(Style::new().add_modifier(Modifier::DIM)))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut at = TableState::new().with_selected(Some(top.at));
    frame.render_stateful_widget(table, area, &mut at);
}

fn style_of(service: &ServiceJson) -> Style {
    match service.ready {
        0 if service.desired > 0 => Style::new().fg(Color::Red),
        ready if ready < service.desired => Style::new().fg(Color::Yellow),
        _ => Style::new(),
    }
}

fn draw_curves(frame: &mut Frame, area: Rect, service: &ServiceJson, curves: Option<&Curves>) {
    let none = Curves::default();
    let curves = curves.unwrap_or(&none);
    let millis = |value: u64| latency(value as f64 / 1_000.0);
    let shown: [(&str, &VecDeque<u64>, String, Color); 5] = [
        (
            "req/s",
            &curves.requests,
            format!("{:.1}", service.requests_per_second),
            Color::Cyan,
        ),
        (
            "in flight",
            &curves.in_flight,
            service.in_flight.to_string(),
            Color::Blue,
        ),
        (
            "ready",
            &curves.ready,
            service.ready.to_string(),
            Color::Green,
        ),
        (
            "p99",
            &curves.p99,
            millis(last(&curves.p99)),
            Color::Magenta,
        ),
        (
            "errors",
            &curves.errors,
            format!("{:.1}%", last(&curves.errors) as f64 / 10.0),
            Color::Red,
        ),
    ];
    let areas = Layout::horizontal([Constraint::Fill(1); 5]).split(area);
    for ((name, points, now, colour), area) in shown.into_iter().zip(areas.iter()) {
        let block = Block::new()
            .borders(Borders::TOP)
            .title(format!(" {name} {now} "));
        let width = usize::from(area.width);
        let skipped = points.len().saturating_sub(width);
        let points: Vec<u64> = points.iter().skip(skipped).copied().collect();
        let curve = Sparkline::default()
            .block(block)
            .data(points)
            .style(Style::new().fg(colour));
        frame.render_widget(curve, *area);
    }
}

fn last(points: &VecDeque<u64>) -> u64 {
    points.back().copied().unwrap_or_default()
}

fn draw_replicas(frame: &mut Frame, area: Rect, service: &ServiceJson, top: &Top) {
    let older = top.older(&service.name);
    let rows = service.replicas.iter().map(|replica| row(replica, older));
    let widths = [
        Constraint::Length(6),
        Constraint::Length(9),
        Constraint::Length(6),
        Constraint::Length(9),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Fill(1),
    ];
    let header = [
        "SLOT",
        "STATE",
        "AGE",
        "IN FLIGHT",
        "REQ/S",
        "RESTARTS",
        "WHY",
    ];
    let title = match service.because.first() {
        Some(why) => format!(" {}: {why} ", service.name),
        None => format!(" {} ", service.name),
    };
    let table = Table::new(rows, widths)
        .header(Row::new(header).style(Style::new().add_modifier(Modifier::DIM)))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
        .block(Block::new().borders(Borders::TOP).title(title));
    let mut state = TableState::new().with_selected(Some(top.replica));
    frame.render_stateful_widget(table, area, &mut state);
}

fn row(replica: &ReplicaJson, older: f64) -> Row<'static> {
    let colour = match replica.state.as_str() {
        "ready" => Color::Green,
        "starting" => Color::Cyan,
        "draining" | "stopping" => Color::Yellow,
        "sick" => Color::Red,
        _ => Color::Gray,
    };
    let failed = replica
        .last_failure
        .as_ref()
        .map(|failure| format!("the one before: {}", failure.why));
    let why = replica.because.clone().or(failed).unwrap_or_default();
    let age = replica.age_seconds.unwrap_or(replica.since_seconds);
    Row::new([
        Cell::new(replica.slot.to_string()),
        Cell::new(replica.state.clone()).style(Style::new().fg(colour)),
        Cell::new(coarse(age + older)),
        Cell::new(replica.in_flight.to_string()),
        Cell::new(format!("{:.1}", replica.requests_per_second)),
        Cell::new(replica.restarts.to_string()),
        Cell::new(why),
    ])
}

fn draw_events(frame: &mut Frame, area: Rect, top: &Top) {
    let room = usize::from(area.height.saturating_sub(1));
    let skipped = top.events.len().saturating_sub(room);
    let lines: Vec<Line> = top
        .events
        .iter()
        .skip(skipped)
        .map(|told| {
            let clock = told.time.get(11..19).unwrap_or(&told.time).to_owned();
            let style = match told.level.as_str() {
                "warn" => Style::new().fg(Color::Yellow),
                _ => Style::new(),
            };
            Line::from(vec![
                Span::styled(
                    format!("{clock}Z  "),
                    Style::new().add_modifier(Modifier::DIM),
                ),
                Span::styled(first_line(&told.text).to_owned(), style),
            ])
        })
        .collect();
    let block = Block::new().borders(Borders::TOP).title(" events ");
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn draw_foot(frame: &mut Frame, area: Rect, top: &Top) {
    let strong = Style::new().add_modifier(Modifier::REVERSED);
    let line = match (&top.ask, &top.said) {
        (Some(Question::Sure { what, .. }), _) => {
            Line::styled(format!("{what}  Enter: yes  Esc: no"), strong)
        }
        (Some(Question::Image { service, typed }), _) => Line::styled(
            format!(
                "image for {service} (none: the configured one): {typed}_  Enter: deploy  Esc: no"
            ),
            strong,
        ),
        (None, Some((said, true))) => Line::styled(first_line(said), Style::new().fg(Color::Green)),
        (None, Some((said, false))) => Line::styled(first_line(said), Style::new().fg(Color::Red)),
        (None, None) => Line::styled(
            "? help  + - scale  a auto  d replace  i image  q quit",
            Style::new().add_modifier(Modifier::DIM),
        ),
    };
    frame.render_widget(line, area);
}

fn draw_help(frame: &mut Frame) {
    let lines: Vec<Line> = HELP
        .iter()
        .map(|(key, what)| Line::from(format!(" {key:<12} {what}")))
        .collect();
    let (width, height) = (58, HELP.len() as u16 + 2);
    let area = frame
        .area()
        .centered(Constraint::Length(width), Constraint::Length(height));
    frame.render_widget(Clear, area);
    let block = Block::bordered().title(" keys ");
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
