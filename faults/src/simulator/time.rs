//! Time that passes when it is told to, with wall clocks that can be set.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tapewatch_consumers::timing::Timing;
use tapewatch_eventlog::Clock;
use tapewatch_schemas::{Time, time::micros_of};

/// When simulations begin: an instant like any other.
const EPOCH: Time = Time(1_790_000_000_000_000);

/// The time of a simulated world.
#[derive(Debug, Default)]
pub(super) struct Clockwork {
    /// Microseconds since the beginning. Never goes back.
    steady: AtomicI64,
    /// By how much every wall clock is off, microseconds.
    set: AtomicI64,
    /// The latest that any wall clock has shown.
    latest: AtomicI64,
}

impl Clockwork {
    /// Lets time pass.
    pub(super) fn pass(&self, span: Duration) {
        self.steady.fetch_add(micros_of(span), Ordering::Relaxed);
    }

    /// Since the beginning.
    pub(super) fn elapsed(&self) -> Duration {
        Duration::from_micros(self.steady.load(Ordering::Relaxed) as u64)
    }

    /// The wall time, where no host's clock is off.
    pub(super) fn wall(&self) -> Time {
        self.shown(0)
    }

    fn shown(&self, off: i64) -> Time {
        let now = EPOCH.0 + self.steady.load(Ordering::Relaxed) + self.set.load(Ordering::Relaxed) + off;
        self.latest.fetch_max(now, Ordering::Relaxed);
        Time(now)
    }

    /// Sets every wall clock, forward or back.
    pub(super) fn set_all(&self, by: i64) {
        self.set.fetch_add(by, Ordering::Relaxed);
    }

    /// How far behind the latest time that any clock has shown it is now.
    pub(super) fn behind(&self) -> Duration {
        Duration::from_micros((self.latest.load(Ordering::Relaxed) - self.wall().0).max(0) as u64)
    }

    /// A clock for a log.
    pub(super) fn log_clock(self: &Arc<Self>) -> Clock {
        let clockwork = Arc::clone(self);
        Clock::new(move || clockwork.wall())
    }
}

/// The time of one process: its wall clock may be off.
#[derive(Debug)]
pub(super) struct Host {
    clockwork: Arc<Clockwork>,
    off: AtomicI64,
}

impl Host {
    /// A host whose clock is right.
    pub(super) fn new(clockwork: &Arc<Clockwork>) -> Self {
        Self { clockwork: Arc::clone(clockwork), off: AtomicI64::new(0) }
    }

    /// Sets its wall clock: so many microseconds off.
    pub(super) fn set_off(&self, by: i64) {
        self.off.store(by, Ordering::Relaxed);
    }
}

impl Timing for Host {
    fn wall(&self) -> Time {
        self.clockwork.shown(self.off.load(Ordering::Relaxed))
    }

    fn elapsed(&self) -> Duration {
        self.clockwork.elapsed()
    }

    fn sleep(&self, span: Duration) {
        self.clockwork.pass(span);
    }
}
