//! A monitor that loses a tick: what was due at the instant is not done.

use std::sync::Arc;

use tapewatch_consumers::core::MonitorFactory;
use tapewatch_monitors::{Monitor, Output, Refusal, Seen, SourceChange, SourceSkip, StateError};
use tapewatch_schemas::events::Occasion;
use tapewatch_schemas::{Event, Time};

struct Deaf {
    inner: Box<dyn Monitor>,
    left: u32,
}

/// The factory's monitors, each of which loses its `nth` tick with levels.
pub fn losing(factory: &MonitorFactory, nth: u32) -> MonitorFactory {
    let factory = Arc::clone(factory);
    Arc::new(move |start, partition| Box::new(Deaf { inner: factory(start, partition), left: nth }))
}

impl Monitor for Deaf {
    fn observe(&mut self, seen: &Seen<'_>, out: &mut Vec<Output>) -> Result<(), Refusal> {
        self.inner.observe(seen, out)
    }

    fn source(&mut self, change: &SourceChange, out: &mut Vec<Output>) {
        self.inner.source(change, out);
    }

    fn skipped(&mut self, skip: &SourceSkip, out: &mut Vec<Output>) {
        self.inner.skipped(skip, out);
    }

    fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        let before = out.len();
        self.inner.tick(now, out);
        let level = |output: &Output| matches!(&output.event, Event::RiskMetrics(metrics) if metrics.occasion == Occasion::Interval);
        if out[before..].iter().any(level) && self.left > 0 {
            self.left -= 1;
            if self.left == 0 {
                out.truncate(before);
            }
        }
    }

    fn next_deadline(&self) -> Option<Time> {
        self.inner.next_deadline()
    }

    fn save(&self) -> Vec<u8> {
        self.inner.save()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), StateError> {
        self.inner.restore(state)
    }
}
