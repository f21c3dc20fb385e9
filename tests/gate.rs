//! The claim against the drain, in every order that the memory model allows.
//!
//! Compiles the very file that the program uses, with loom's atomics in place of the standard
//! library's.

mod sync {
    pub use loom::sync::atomic::{AtomicU64, Ordering};
}

#[expect(dead_code, reason = "the model needs only a part of the gate")]
#[path = "../src/service/gate.rs"]
mod under_loom;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use under_loom::Gate;

#[test]
fn nobody_is_inside_a_gate_that_was_seen_closed_and_empty() {
    loom::model(|| {
        let gate = Arc::new(Gate::open());
        let stopped = Arc::new(AtomicBool::new(false));
        let claimer = {
            let (gate, stopped) = (Arc::clone(&gate), Arc::clone(&stopped));
            loom::thread::spawn(move || {
                if gate.enter() {
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
        assert!(gate.enter());
        let rung = Arc::new(AtomicBool::new(false));
        let leaver = {
            let (gate, rung) = (Arc::clone(&gate), Arc::clone(&rung));
            loom::thread::spawn(move || {
                if gate.leave() {
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
