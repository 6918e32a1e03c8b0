//! What is due at instants: freshness to be looked at again, levels, terms of limits.

use tapewatch_schemas::events::Occasion;

use super::{FirmMonitor, publish};
use crate::monitor::Output;
use crate::risk::Sampling;
use crate::risk::around::next_boundary;
use crate::risk::correlation::Correlated;
use crate::risk::history::fresh_prices;
use crate::risk::money::Money;
use crate::risk::terms::earlier;

impl FirmMonitor {
    /// A scope has something new to say at the next level.
    pub(super) fn level_is_due(&mut self, place: usize) {
        self.scopes[place].level_due = true;
        let interval = self.parameters.publish_interval;
        self.level_due.get_or_insert_with(|| next_boundary(self.clock, interval));
    }

    /// A scope has a mark or another book since its last sample.
    pub(super) fn sample_is_due(&mut self, place: usize) {
        if let Sampling::Every(interval) = self.parameters.window.sampling {
            self.scopes[place].sample_due = true;
            self.sample_due.get_or_insert_with(|| next_boundary(self.clock, interval));
        }
    }

    /// Does all that is due at the clock. Afterwards every deadline is later.
    pub(super) fn run_due(&mut self, out: &mut Vec<Output>) {
        // Before anything is looked at again, which would otherwise be known for a moment.
        let mut extended = self.history.take_expired(self.clock);
        if extended {
            self.history_changed();
            (0..self.scopes.len()).for_each(|place| self.level_is_due(place));
        }
        while let Some((at, place)) = self.checks.first().copied().filter(|(at, _)| *at <= self.clock) {
            self.settle(place as usize, true, out);
            debug_assert!(self.checks.first() != Some(&(at, place)), "a check moves the next one out");
        }
        // Before the samples, so that what is forecast at an instant knows the returns up to it.
        if let Some(instant) = self.history.take_due(self.clock) {
            let bound = self.parameters.marks;
            self.history.push(instant, fresh_prices(&self.marks, &self.feeds, self.clock, bound));
            if self.stress.pass(instant, &self.history) {
                (0..self.scopes.len()).for_each(|place| self.level_is_due(place));
            }
            self.history_changed();
            extended = true;
        }
        let sampling = self.sample_due.take_if(|at| *at <= self.clock).is_some();
        for place in 0..self.scopes.len() {
            let sampled = sampling && std::mem::take(&mut self.scopes[place].sample_due);
            if sampled {
                self.sample(place);
            }
            if sampled || extended {
                self.settle(place, false, out);
            }
        }
        // Last, so that a level says what all of the above made of it, and of the marks now.
        if self.level_due.is_some_and(|at| at <= self.clock) {
            for place in 0..self.scopes.len() {
                if self.scopes[place].level_due {
                    self.scopes[place].revalue_due = true;
                    self.settle(place, false, out);
                }
            }
            self.level_due = None;
            for place in 0..self.scopes.len() {
                let (scope, around) = self.with(place);
                if std::mem::take(&mut scope.level_due) {
                    out.push(publish::risk_metrics(scope, &around, Occasion::Interval));
                }
            }
        }
        // After the level, which is of the day that ends here.
        if self.day_due.take_if(|at| *at <= self.clock).is_some() {
            for place in 0..self.scopes.len() {
                if self.scopes[place].day_moved() {
                    self.scopes[place].equity.day.roll(Money::ZERO, 0);
                    self.level_is_due(place);
                    self.settle(place, false, out);
                }
            }
        }
        self.renew_terms(out);
    }

    /// What was made of the history is to be made anew.
    pub(super) fn history_changed(&mut self) {
        for scope in &mut self.scopes {
            scope.revalue_due = true;
            scope.correlated = Correlated::default();
        }
    }

    /// Schedules and overrides of limits begin and end. After all else: what is due at the same instant is of the time
    /// that ends here.
    fn renew_terms(&mut self, out: &mut Vec<Output>) {
        if self.terms_due.take_if(|at| *at <= self.clock).is_none() {
            return;
        }
        for place in 0..self.scopes.len() {
            let scope = &mut self.scopes[place];
            if scope.limits.until().is_some_and(|at| at <= self.clock) {
                let limit = |at: usize| &self.parameters.limits[at].limit;
                scope.limits.renew(limit, scope.scope.as_str(), self.clock);
                self.level_is_due(place);
                // Bounds that time alone may be over can be others, too.
                self.settle(place, true, out);
            }
            self.terms_due = earlier(self.terms_due, self.scopes[place].limits.until());
        }
    }
}
