//! Writes a tape's inputs to the log while a scenario goes on, and the rest of it when that is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tapewatch_eventlog::{Log, OutRecord, Publisher};
use tapewatch_schemas::catalogue::HEARTBEATS;

use super::PATIENCE;

/// A thread that publishes slices of a tape, each acknowledged before the next.
pub(crate) struct Feeder {
    thread: Option<JoinHandle<()>>,
    hurry: Arc<AtomicBool>,
    /// No more of the tape is wanted.
    over: Arc<AtomicBool>,
}

impl Feeder {
    /// Begins: a slice every so often, and the less there is left the slower, so that the tape lasts: n slices for about
    /// n ln n times `every`. The last slice waits for the end.
    pub(crate) fn start(log: &Arc<dyn Log>, tape: Vec<Vec<OutRecord>>, every: Duration) -> Self {
        let hurry = Arc::new(AtomicBool::new(false));
        let over = Arc::new(AtomicBool::new(false));
        let (asked, ended) = (Arc::clone(&hurry), Arc::clone(&over));
        let mut publisher = log.publisher().unwrap();
        let thread = thread::spawn(move || {
            let all = tape.len() as u32;
            let mut slices = (0..all).rev().zip(tape);
            for (left, slice) in slices.by_ref() {
                publish(&mut *publisher, slice);
                let begun = Instant::now();
                let is_due = || left > 1 && begun.elapsed() > every * all / left;
                while left > 0 && !is_due() && !asked.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(2));
                }
                if asked.load(Ordering::SeqCst) {
                    break;
                }
            }
            if !ended.load(Ordering::SeqCst) {
                publish(&mut *publisher, slices.flat_map(|(_, slice)| slice).collect());
            }
        });
        Self { thread: Some(thread), hurry, over }
    }

    /// The rest of the tape at once.
    pub(crate) fn finish(mut self) {
        self.hurry.store(true, Ordering::SeqCst);
        self.thread.take().expect("taken here alone").join().expect("it has not failed");
    }
}

impl Drop for Feeder {
    /// The rest of the tape stays unplayed.
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        self.hurry.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // A panic there was reported where it happened.
            let _ = thread.join();
        }
    }
}

/// Publishes records, those first that heartbeats make promises about, and waits until all are acknowledged.
pub(crate) fn publish(publisher: &mut dyn Publisher, records: Vec<OutRecord>) {
    let (beats, others): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|record| record.target.topic.as_str() == HEARTBEATS);
    for records in [others, beats] {
        for record in records {
            publisher.send(record).expect("the queue has room for a tape");
        }
        publisher.flush(PATIENCE).expect("the brokers take it");
    }
}
