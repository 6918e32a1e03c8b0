//! How far and for how long equity is below what it was.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tapewatch_schemas::Time;
use tapewatch_schemas::time::micros_of;

use super::around::Earliest;
use super::parameters::LimitParameters;
use crate::kernels::{Drawdown, TrailingDrawdown};

/// Drawdown of equity, current, largest and over a trailing window, and since when it is below its peak. Deposits and
/// withdrawals are taken out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Depth {
    running: Drawdown,
    trailing: TrailingDrawdown,
    /// When equity fell below its peak; none while it is at it.
    fell: Option<Time>,
}

impl Depth {
    /// Of an equity of which nothing is known yet, trailing over a window.
    pub(super) fn new(window: Duration) -> Self {
        let trailing = TrailingDrawdown::new(micros_of(window));
        Self { running: Drawdown::default(), trailing, fell: None }
    }

    /// Goes on under another configuration: with another window, what is over the trailing one begins anew, from the
    /// highest equity so far, so that it is rather too large than too small.
    pub(super) fn restored(&mut self, window: Duration) {
        let window = micros_of(window);
        if !self.trailing.is_over(window) {
            self.trailing = TrailingDrawdown::after(window, self.running.peak());
        }
    }

    /// Equity is so much from now on.
    pub(super) fn push(&mut self, equity: f64, clock: Time) {
        self.running.push(equity);
        self.trailing.push(equity, clock.micros());
        let below = self.running.current() > 0.0;
        self.fell = below.then(|| self.fell.unwrap_or(clock));
    }

    /// Money came in or went out.
    pub(super) fn flow(&mut self, before: f64, after: f64) {
        self.running.flow(before, after);
        self.trailing.flow(before, after);
    }

    /// The loss from the peak as a share of it.
    pub(super) fn current(&self) -> f64 {
        self.running.current()
    }

    /// The largest so far.
    pub(super) fn largest(&self) -> f64 {
        self.running.largest()
    }

    /// The largest within the window that ends at `clock`.
    pub(super) fn trailing(&self, clock: Time) -> f64 {
        self.trailing.largest(clock.micros())
    }

    /// Time alone may take what is under water over the bounds on it.
    pub(super) fn await_water<'a>(
        &self,
        limits: impl Iterator<Item = &'a LimitParameters>,
        earliest: &mut Earliest,
    ) {
        for limit in limits.filter(|limit| limit.is_on_water()) {
            let own = [limit.soft, limit.hard];
            let others = limit.overrides.iter().flat_map(|one| [one.soft, one.hard]);
            for bound in own.into_iter().chain(others).flatten() {
                let over = self.under_water_over(bound).filter(|at| *at > earliest.clock);
                over.into_iter().for_each(|at| earliest.look_at(at));
            }
        }
    }

    /// The first instant at which it will have been under water for more than so many seconds; none while it is not.
    fn under_water_over(&self, seconds: f64) -> Option<Time> {
        // Centuries are no bound that anybody waits for.
        let mut micros = (seconds * 1e6).min(1e16) as i64;
        // As the figure is rounded: a bound of 4.1 is not over yet where it is 4.1.
        while micros as f64 / 1e6 <= seconds && micros < 10_000_000_000_000_000 {
            micros += 1;
        }
        self.fell.map(|fell| Time(fell.0.saturating_add(micros)))
    }

    /// When equity fell below its peak.
    pub(super) fn fell(&self) -> Option<Time> {
        self.fell
    }

    /// Seconds since equity fell below its peak; 0 at the peak.
    pub(super) fn under_water(&self, clock: Time) -> f64 {
        self.fell.map_or(0.0, |fell| clock.since(fell) as f64 / 1e6)
    }
}
