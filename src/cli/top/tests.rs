use super::state::{Curves, Question};
use super::{
    draw,
    state::{Act, Key, Top},
};
use crate::admin::view::{
    Auto, EventJson, LastFailure, ReplicaCount, ReplicaJson, ServiceJson, StateJson,
};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

fn service(name: &str, ready: u32, desired: u32) -> ServiceJson {
    let replica = |slot, state: &str| ReplicaJson {
        slot,
        id: format!("id-{slot}"),
        state: state.to_owned(),
        age_seconds: Some(75.0),
        in_flight: 1,
        requests_per_second: 12.5,
        ..ReplicaJson::default()
    };
    let mut replicas: Vec<ReplicaJson> = (0..ready as u16)
        .map(|at| replica(8000 + at, "ready"))
        .collect();
    replicas.extend((ready..desired).map(|at| ReplicaJson {
        restarts: 2,
        last_failure: Some(LastFailure {
            time: String::new(),
            why: "exited with code 137".to_owned(),
        }),
        ..replica(8000 + at as u16, "starting")
    }));
    ServiceJson {
        name: name.to_owned(),
        ready,
        desired,
        max: 10,
        requests_per_second: 25.0,
        p50_seconds: Some(0.012),
        p99_seconds: Some(0.08),
        error_rate: Some(0.015),
        in_flight: 3,
        because: vec!["3 replicas are wanted".to_owned()],
        replicas,
        ..ServiceJson::default()
    }
}

fn told(text: &str) -> EventJson {
    let told = serde_json::json!({
        "id": 1, "time": "2026-11-25T01:17:18.042Z", "what": "sick", "level": "warn", "text": text,
    });
    serde_json::from_value(told).unwrap()
}

fn top() -> Top {
    let mut top = Top::default();
    top.show(StateJson {
        full: true,
        time: "2026-11-25T01:17:18.042Z".to_owned(),
        engine_up: true,
        services: vec![service("shop", 2, 3), service("web", 1, 1)],
        removed: Vec::new(),
    });
    top
}

fn picture(top: &mut Top, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw::draw(frame, top)).unwrap();
    let buffer = terminal.backend().buffer();
    let lines = buffer.content.chunks(usize::from(width)).map(|row| {
        let row: String = row.iter().map(|cell| cell.symbol()).collect();
        row.trim_end().to_owned() + "\n"
    });
    lines.collect()
}

#[test]
fn control_characters_of_containers_are_not_drawn() {
    let mut top = top();
    top.note(told("shop: \x1b[2J\x1b]0;title\x07\u{9b}1m gone"));
    let mut sick = service("shop\x1b[2J", 1, 2);
    sick.because = vec!["\x1b[8mhidden".to_owned()];
    sick.replicas[0].because = Some("\x1b[31mred".to_owned());
    top.show(StateJson {
        full: true,
        services: vec![sick],
        ..StateJson::default()
    });
    let picture = picture(&mut top, 100, 30);
    assert!(picture.contains("gone"), "{picture}");
    let control = picture.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(control, None, "{picture}");
}

#[test]
fn services_replicas_and_what_happened_are_on_one_page() {
    let mut top = top();
    top.note(told("shop: id-8002 on 8002 is sick: exited with code 137"));
    for _ in 0..30 {
        top.point();
    }
    let shown = picture(&mut top, 100, 30);
    for part in [
        "SERVICE",
        "shop",
        "2/3",
        "25.0",
        "12ms",
        "80ms",
        "1.5%",
        "8002",
        "starting",
        "exited with code 137",
        "01:17:18Z  shop: id-8002 on 8002 is sick",
        "req/s 25.0",
        "shop: 3 replicas are wanted",
        "? help",
    ] {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
    // A curve that does not move is drawn, too.
    assert!(shown.contains('█'), "{shown}");
}

#[test]
fn it_fits_a_small_terminal_and_bears_a_tiny_one() {
    let mut top = top();
    let shown = picture(&mut top, 80, 24);
    assert!(shown.lines().all(|line| line.chars().count() <= 80));
    assert!(
        shown.contains("8001") && shown.contains("RESTARTS"),
        "{shown}"
    );
    for (width, height) in [(20, 5), (1, 1), (300, 100)] {
        picture(&mut top, width, height);
    }
    let mut empty = Top::default();
    picture(&mut empty, 80, 24);
}

#[test]
fn changes_are_taken_over_and_what_left_is_gone() {
    let mut top = top();
    top.press(Key::Down);
    assert_eq!(top.service().unwrap().name, "web");
    top.point();
    top.show(StateJson {
        full: false,
        engine_up: true,
        services: vec![service("shop", 3, 3)],
        removed: vec!["web".to_owned()],
        ..StateJson::default()
    });
    assert_eq!(top.service().unwrap().name, "shop");
    assert_eq!(top.service().unwrap().ready, 3);
    assert!(!top.curves.contains_key("web"));
    assert!(matches!(top.curves.get("shop"), Some(Curves { .. })));
}

#[test]
fn what_is_old_is_shown_as_old() {
    let mut top = top();
    top.lost("no Tidegate answers at /x\n  hint: start it".to_owned());
    let shown = picture(&mut top, 100, 24);
    assert!(
        shown.contains("old, from 2026-11-25T01:17:18.042Z: no Tidegate answers"),
        "{shown}"
    );
    // And nothing is drawn on as if it were known.
    top.point();
    assert!(top.curves.is_empty());
    top.show(StateJson::default());
    assert!(!picture(&mut top, 100, 24).contains("old, from"));
}

#[test]
fn keys_act_after_a_question_and_only_with_a_yes() {
    let mut top = top();
    assert_eq!(top.press(Key::Char('+')), None);
    assert!(picture(&mut top, 100, 24).contains("hold 4 replicas of shop?"));
    assert_eq!(top.press(Key::Escape), None);
    assert!(top.ask.is_none());
    top.press(Key::Char('-'));
    let act = top.press(Key::Enter);
    let scaled = |replicas| Act::Scale {
        service: "shop".to_owned(),
        replicas,
    };
    assert_eq!(act, Some(scaled(ReplicaCount::Fixed(2))));
    assert_eq!(
        top.press(Key::Char('a')),
        Some(scaled(ReplicaCount::Auto(Auto::Auto)))
    );

    top.press(Key::Right);
    top.press(Key::Char('d'));
    let act = top.press(Key::Char('y'));
    let service = "shop".to_owned();
    assert_eq!(
        act,
        Some(Act::Drain {
            service,
            slot: 8001
        })
    );

    top.press(Key::Char('i'));
    for c in "web:22".chars() {
        assert_eq!(top.press(Key::Char(c)), None);
    }
    top.press(Key::Back);
    assert!(matches!(&top.ask, Some(Question::Image { typed, .. }) if typed == "web:2"));
    assert!(picture(&mut top, 100, 24).contains("web:2_"));
    let act = top.press(Key::Enter);
    let (service, image) = ("shop".to_owned(), Some("web:2".to_owned()));
    assert_eq!(act, Some(Act::Deploy { service, image }));

    top.answered(Err("`shop` may have 1 to 10 replicas".to_owned()));
    assert!(picture(&mut top, 100, 24).contains("`shop` may have 1 to 10 replicas"));
    top.press(Key::Char('?'));
    assert!(picture(&mut top, 100, 24).contains("replace the replica that is marked"));
    top.press(Key::Escape);
    assert_eq!(top.press(Key::Char('q')), Some(Act::Quit));
}

#[test]
fn ages_grow_though_nothing_else_is_told() {
    let mut top = top();
    assert_eq!(top.older("web"), 0.0);
    top.show(StateJson {
        full: false,
        time: "2026-11-25T01:19:18.042Z".to_owned(),
        engine_up: true,
        services: vec![service("shop", 2, 3)],
        removed: Vec::new(),
    });
    assert_eq!((top.older("web"), top.older("shop")), (120.0, 0.0));
}

#[test]
fn what_is_told_again_after_a_break_is_shown_once() {
    let mut top = top();
    for _ in 0..2 {
        top.note(told("shop: id-8002 on 8002 is sick"));
    }
    assert_eq!(top.events.len(), 1);
}
