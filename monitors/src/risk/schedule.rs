//! What is due at instants: freshness to be looked at again, samples, whole books, levels, terms of limits.

use tapewatch_schemas::Time;
use tapewatch_schemas::events::Occasion;

use super::RiskMonitor;
use super::around::next_boundary;
use super::parameters::{RiskParameters, Sampling};
use super::publish;
use super::terms::earlier;
use crate::monitor::Output;

impl RiskMonitor {
    /// A portfolio has something new to say at the next level.
    pub(super) fn level_is_due(&mut self, place: u32) {
        self.portfolios[place as usize].level_due = true;
        let interval = self.parameters.publish_interval;
        self.level_due.get_or_insert_with(|| next_boundary(self.clock, interval));
    }

    /// A portfolio has a mark, a fill or an account record since its last sample and its last whole book.
    pub(super) fn touched(&mut self, place: u32) {
        self.level_is_due(place);
        let portfolio = &mut self.portfolios[place as usize];
        portfolio.book_due = true;
        let interval = self.parameters.holdings_interval;
        self.book_due.get_or_insert_with(|| next_boundary(self.clock, interval));
        if let Sampling::Every(interval) = self.parameters.window.sampling {
            portfolio.sample_due = true;
            self.sample_due.get_or_insert_with(|| next_boundary(self.clock, interval));
        }
    }

    /// Does all that is due at the clock. Afterwards every deadline is later.
    pub(super) fn run_due(&mut self, out: &mut Vec<Output>) {
        // Before anything is looked at again, which would otherwise be known for a moment.
        let expired = self.history.take_expired(self.clock);
        if expired {
            self.history_changed();
            (0..self.portfolios.len() as u32).for_each(|place| self.level_is_due(place));
        }
        while let Some((at, place)) = self.checks.first().copied().filter(|(at, _)| *at <= self.clock) {
            self.settle(place, true, out);
            debug_assert!(self.checks.first() != Some(&(at, place)), "a check moves the next one out");
        }
        // Before the samples, so that what is forecast at an instant knows the returns up to it.
        let extended = self.extend_history() || expired;
        let sampling = take_due(&mut self.sample_due, self.clock);
        let looked_at = if extended || sampling { self.portfolios.len() as u32 } else { 0 };
        for place in 0..looked_at {
            let portfolio = &mut self.portfolios[place as usize];
            let sampled = sampling && std::mem::take(&mut portfolio.sample_due);
            if sampled {
                self.sample(place);
            }
            if sampled || extended {
                self.settle(place, false, out);
            }
        }
        if take_due(&mut self.book_due, self.clock) {
            for place in 0..self.portfolios.len() as u32 {
                let (portfolio, around) = self.with(place);
                if std::mem::take(&mut portfolio.book_due) {
                    out.push(publish::holdings(portfolio, &around));
                }
            }
        }
        if self.level_due.is_some_and(|at| at <= self.clock) {
            self.revalue_for_levels(out);
            self.roll_conduct(out);
        }
        // Last, so that a level says what all of the above made of it. What the above made due is due
        // here too, so the next level waits for the next change.
        if self.level_due.is_some_and(|at| at <= self.clock) {
            self.level_due = None;
            for place in 0..self.portfolios.len() as u32 {
                let (portfolio, around) = self.with(place);
                if std::mem::take(&mut portfolio.level_due) {
                    out.push(publish::risk_metrics(portfolio, &around, Occasion::Interval));
                    if around.parameters.holdings_at_change && portfolio.has_news_of_orders(&around) {
                        out.push(publish::holdings(portfolio, &around));
                    }
                    self.conduct_goes_on(place);
                }
            }
        }
        // After the level, which is of the day that ends here.
        if take_due(&mut self.day_due, self.clock) {
            for place in 0..self.portfolios.len() as u32 {
                let portfolio = &mut self.portfolios[place as usize];
                let (realised, unknown) = (portfolio.realised, portfolio.realised_unknown);
                if portfolio.day.moved(realised, unknown) {
                    portfolio.day.roll(realised, unknown);
                    self.level_is_due(place);
                    self.settle(place, false, out);
                }
            }
        }
        self.renew_terms(out);
    }

    /// Schedules and overrides of limits begin and end. After all else: what is due at the same instant is of the time
    /// that ends here, and a limit on a day's loss that begins with the day begins with none.
    fn renew_terms(&mut self, out: &mut Vec<Output>) {
        if !take_due(&mut self.terms_due, self.clock) {
            return;
        }
        for place in 0..self.portfolios.len() as u32 {
            let portfolio = &mut self.portfolios[place as usize];
            if portfolio.limits.until().is_some_and(|at| at <= self.clock) {
                let limit = |at: usize| &self.parameters.limits[at];
                portfolio.limits.renew(limit, portfolio.id.as_str(), self.clock);
                self.level_is_due(place);
                // Bounds that time alone may be over can be others, too.
                self.settle(place, true, out);
            }
            self.terms_due = earlier(self.terms_due, self.portfolios[place as usize].limits.until());
        }
    }

    /// A portfolio's profit and loss may have moved: if it did, the next day begins with something else.
    pub(super) fn follow_day(&mut self, place: u32) {
        let portfolio = &mut self.portfolios[place as usize];
        if let Ok(profit) = portfolio.profit_by(self.parameters.window.basis) {
            portfolio.day.follow(profit);
        }
        if self.day_due.is_none() && portfolio.day.moved(portfolio.realised, portfolio.realised_unknown) {
            self.day_due = Some(self.parameters.day.due(self.clock, self.ticked));
        }
    }

    /// Takes a sample of a portfolio's profit and loss.
    pub(super) fn sample(&mut self, place: u32) {
        let RiskParameters { window, history, .. } = &self.parameters;
        let portfolio = &mut self.portfolios[place as usize];
        let now = portfolio.profit_by(window.basis).ok();
        portfolio.changes.sample(self.clock, now, window, history.interval);
        self.level_is_due(place);
        self.forecast(place);
    }
}

fn take_due(due: &mut Option<Time>, clock: Time) -> bool {
    due.take_if(|at| *at <= clock).is_some()
}
