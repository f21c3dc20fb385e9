//! The claim against the drain, in every order that the memory model allows.
//!
//! Compiles the very file that the program uses, with loom's atomics in place of the standard
//! library's.

mod sync {
    pub use loom::sync::atomic::{AtomicU64, Ordering};
}

#[expect(dead_code, reason = "the model needs only a part of the gate")]
#[path = "../src/service/replica/gate.rs"]
mod under_loom;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use under_loom::{Gate, UNLIMITED, Vacancy};

#[test]
fn nobody_is_inside_a_gate_that_was_seen_closed_and_empty() {
    loom::model(|| {
        let gate = Arc::new(Gate::open());
        let stopped = Arc::new(AtomicBool::new(false));
        let claimer = {
            let (gate, stopped) = (Arc::clone(&gate), Arc::clone(&stopped));
            loom::thread::spawn(move || {
                if gate.enter(UNLIMITED) {
                    assert!(!stopped.load(Ordering::SeqCst), "sent to a stopped replica");
                    gate.leave();
                }
            })
        };
        if gate.close() == 0 {
            stopped.store(true, Ordering::SeqCst);
        }
        claimer.join().unwrap();
    });
}

#[test]
fn whoever_drains_learns_that_the_last_one_left() {
    loom::model(|| {
        let gate = Arc::new(Gate::open());
        assert!(gate.enter(UNLIMITED));
        let rung = Arc::new(AtomicBool::new(false));
        let leaver = {
            let (gate, rung) = (Arc::clone(&gate), Arc::clone(&rung));
            loom::thread::spawn(move || {
                if gate.leave().emptied {
                    rung.store(true, Ordering::SeqCst);
                }
            })
        };
        let left = gate.close();
        leaver.join().unwrap();
        assert!(
            left == 0 || rung.load(Ordering::SeqCst),
            "the drain would wait for ever"
        );
    });
}

#[test]
fn a_place_is_taken_or_its_freeing_is_announced() {
    loom::model(|| {
        let gate = Arc::new(Gate::open());
        assert!(gate.enter(1));
        let announced = Arc::new(AtomicBool::new(false));
        let leaver = {
            let (gate, announced) = (Arc::clone(&gate), Arc::clone(&announced));
            loom::thread::spawn(move || {
                if gate.leave().is_awaited {
                    announced.store(true, Ordering::SeqCst);
                }
            })
        };
        let waits = !gate.enter(1) && gate.await_place(1) == Vacancy::Awaited;
        leaver.join().unwrap();
        assert!(
            !waits || announced.load(Ordering::SeqCst),
            "whoever waits would wait for ever"
        );
    });
}

#[test]
fn the_last_place_is_given_once() {
    loom::model(|| {
        let gate = Arc::new(Gate::open());
        assert!(gate.enter(2));
        let rival = {
            let gate = Arc::clone(&gate);
            loom::thread::spawn(move || gate.enter(2))
        };
        let mine = gate.enter(2);
        let theirs = rival.join().unwrap();
        assert!(mine != theirs, "one of them got it");
        assert_eq!(gate.inside(), 2);
    });
}

#[test]
fn who_asks_again_is_told_again() {
    loom::model(|| {
        let gate = Arc::new(Gate::open());
        assert!(gate.enter(2) && gate.enter(2));
        assert_eq!(gate.await_place(2), Vacancy::Awaited);
        let told = Arc::new(loom::sync::atomic::AtomicUsize::new(0));
        let leavers = [(); 2].map(|()| {
            let (gate, told) = (Arc::clone(&gate), Arc::clone(&told));
            loom::thread::spawn(move || {
                if gate.leave().is_awaited {
                    told.fetch_add(1, Ordering::SeqCst);
                }
            })
        });
        for leaver in leavers {
            leaver.join().unwrap();
        }
        assert!(told.load(Ordering::SeqCst) >= 1);
        assert_eq!(gate.await_place(2), Vacancy::Free);
    });
}
