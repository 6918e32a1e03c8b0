//! How far a replay is.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// On a terminal: how far it is, and about how long it will take.
pub(super) struct Progress {
    on: bool,
    what: &'static str,
    of: &'static str,
    begun: Instant,
    told: Instant,
    last: u64,
}

impl Progress {
    pub(super) fn new(what: &'static str, of: &'static str, on: bool) -> Self {
        let now = Instant::now();
        Self { on: on && io::stderr().is_terminal(), what, of, begun: now, told: now, last: 0 }
    }

    pub(super) fn tell(&mut self, done: u64, total: u64) {
        if !self.on || self.told.elapsed() < Duration::from_millis(200) {
            return;
        }
        self.told = Instant::now();
        // Fewer than before: another count has begun, and the estimate with it.
        if done < self.last {
            self.begun = self.told;
        }
        self.last = done;
        let rest =
            self.begun.elapsed().as_secs_f64() * (total.saturating_sub(done)) as f64 / done.max(1) as f64;
        // It is a courtesy: that it cannot be written changes nothing.
        let _ = write!(
            io::stderr(),
            "\r\x1b[K{}: {done} of {total} {}, about {rest:.0} s more",
            self.what,
            self.of
        );
    }

    pub(super) fn clear(&self) {
        if self.on {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
