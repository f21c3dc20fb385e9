use super::*;
use crate::log_writer::Output;
use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

struct Word(String);

impl Line for Word {
    fn bytes(&self) -> usize {
        self.0.len()
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.0.bytes().chain([b'\n']));
    }

    fn report_dropped(count: u64, out: &mut Vec<u8>) {
        out.extend(format!("dropped {count}\n").into_bytes());
    }

    fn report_failure(_: &str, _: &io::Error) {}
}

/// A reader that takes a batch for each permit, and says when one is waiting.
struct Stalling {
    blocked: Sender<()>,
    permits: Receiver<io::Result<()>>,
    taken: Arc<Mutex<Vec<u8>>>,
}

impl Write for Stalling {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.blocked.send(());
        self.permits.recv().unwrap_or(Ok(()))?;
        self.taken.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Stalled {
    queue: Queue<Word>,
    dropped: IntCounter,
    blocked: Receiver<()>,
    permit: Sender<io::Result<()>>,
    taken: Arc<Mutex<Vec<u8>>>,
}

impl Stalled {
    fn new() -> Stalled {
        let dropped = IntCounter::new("dropped", "Dropped.").unwrap();
        let (queue, waiting) = Queue::new(dropped.clone());
        let ((blocks, blocked), (permit, permits)) = (channel(), channel());
        let taken = Arc::new(Mutex::new(Vec::new()));
        let to = Box::new(Stalling {
            blocked: blocks,
            permits,
            taken: Arc::clone(&taken),
        });
        let output = Output::Stream { name: "it", to };
        let writer = Writer::new(output, Duration::ZERO, dropped.clone());
        queue.start("test", writer, waiting).unwrap();
        Stalled {
            queue,
            dropped,
            blocked,
            permit,
            taken,
        }
    }

    fn push(&self, word: &str) {
        self.queue.push(Word(word.to_owned()));
    }

    /// Lets the reader take everything from now on; returns what it got.
    fn resume(self) -> String {
        drop(self.permit);
        drop(self.queue);
        String::from_utf8(self.taken.lock().unwrap().clone()).unwrap()
    }
}

#[test]
fn a_reader_that_stalls_holds_nobody_up_and_hears_later_how_much_was_dropped() {
    let stalled = Stalled::new();
    stalled.push("first");
    stalled.blocked.recv().unwrap();
    for _ in 0..QUEUE_LINES_MAX {
        stalled.push("waits");
    }
    for _ in 0..7 {
        stalled.push("dropped");
    }
    assert_eq!(stalled.dropped.get(), 7);
    let text = stalled.resume();
    assert!(text.starts_with("first\nwaits\n"), "{text}");
    assert!(text.ends_with("waits\ndropped 7\n"), "{text}");
    assert_eq!(text.lines().count(), 1 + QUEUE_LINES_MAX + 1);
}

#[test]
fn lines_that_wait_take_a_bounded_part_of_the_memory_and_give_it_back() {
    let stalled = Stalled::new();
    stalled.push("first");
    stalled.blocked.recv().unwrap();
    let large = "x".repeat(QUEUE_BYTES_MAX / 4 + 1);
    for _ in 0..4 {
        stalled.push(&large);
    }
    stalled.push("small");
    assert_eq!(stalled.dropped.get(), 1);
    let waiting = Arc::clone(&stalled.queue.waiting_bytes);
    let text = stalled.resume();
    assert!(text.ends_with("small\ndropped 1\n"));
    assert_eq!(waiting.load(Ordering::Relaxed), 0);
}

#[test]
fn leaving_waits_for_a_reader_that_stalls_and_not_for_ever() {
    let stalled = Stalled::new();
    stalled.push("first");
    stalled.blocked.recv().unwrap();
    let began = Instant::now();
    stalled.queue.flush();
    assert!(began.elapsed() >= FLUSH_MAX);
    assert_eq!(stalled.resume(), "first\n");
}

#[test]
fn lines_that_the_reader_refuses_are_counted_and_reported_once_it_takes_them() {
    let stalled = Stalled::new();
    let refused = || Err(io::ErrorKind::BrokenPipe.into());
    for _ in 0..3 {
        stalled.permit.send(refused()).unwrap();
        stalled.push("refused");
        stalled.queue.flush();
    }
    assert_eq!(stalled.dropped.get(), 3);
    stalled.push("taken");
    assert_eq!(stalled.resume(), "taken\ndropped 3\n");
}
