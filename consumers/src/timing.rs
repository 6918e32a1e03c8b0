//! What a worker knows of time besides its inputs. It decides when things are written, never what.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tapewatch_schemas::{Time, time::micros_of};

/// The time of a worker's process.
pub trait Timing: Send + Sync {
    /// The wall time. It may jump.
    fn wall(&self) -> Time;

    /// Time since some instant. It never goes back.
    fn elapsed(&self) -> Duration;

    /// Waits so long.
    fn sleep(&self, span: Duration);
}

/// The machine's time.
#[derive(Debug)]
pub struct Machine {
    began: Instant,
}

impl Machine {
    /// From now on.
    pub fn new() -> Self {
        Self { began: Instant::now() }
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Timing for Machine {
    fn wall(&self) -> Time {
        wall()
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn sleep(&self, span: Duration) {
        std::thread::sleep(span);
    }
}

/// The machine's wall time.
pub fn wall() -> Time {
    let span = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(micros_of(span))
}
