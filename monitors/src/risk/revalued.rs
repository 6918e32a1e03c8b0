//! Value at risk and expected shortfall of what is held now, revalued over the return history.

use serde::{Deserialize, Serialize};
use tapewatch_schemas::events::Unknown;

use super::RiskMonitor;
use super::changes::tail_by;
use super::correlation::Correlated;
use super::horizon::Tails;
use super::measure::{Confidence, TailModel};
use super::parameters::WindowParameters;
use super::portfolio::Portfolio;
use crate::kernels::{Horizon, Swings, TailRisk};
use crate::monitor::Output;

/// A portfolio's figures of what is held now, over the return history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Revalued {
    /// True if what is held, or the history, changed since they were made.
    pub(super) due: bool,
    pub(super) tails: Tails,
    /// The values that the tails are of, in the order of what is held; empty if nobody asks what they contribute.
    pub(super) values: Vec<f64>,
    /// How it swings; of use to scenarios alone.
    pub(super) swings: Result<Swings, Unknown>,
}

impl Default for Revalued {
    fn default() -> Self {
        let swings = Err(Unknown::WarmingUp);
        Self { due: true, tails: Tails::default(), values: Vec::new(), swings }
    }
}

impl Revalued {
    /// Other figures are wanted than when it was saved: those that are not are forgotten, and all are made anew.
    pub(super) fn wanted(&mut self, tails: bool, swings: bool) {
        self.due = true;
        if !tails {
            self.tails = Tails::default();
        }
        if !swings {
            self.swings = Err(Unknown::WarmingUp);
        }
    }

    /// Other horizons are wanted than when it was saved: their places are others'.
    pub(super) fn wanted_over_others(&mut self) {
        self.due = true;
        self.tails = Tails::default();
    }
}

impl Portfolio {
    /// Value at risk and expected shortfall over so many steps at a level by a model, losses positive.
    pub(super) fn tail(
        &self,
        model: TailModel,
        level: Confidence,
        over: Horizon,
        window: &WindowParameters,
    ) -> Result<TailRisk, Unknown> {
        let changes = (&self.changes, self.profit_by(window.basis));
        let revalued = (&self.revalued.tails, self.exposure_unknown());
        tail_by((model, level, over), changes, revalued, window)
    }
}

impl RiskMonitor {
    /// The figures of what is held, revalued, that the configuration wants: tails, and how it swings.
    pub(super) fn wants_revalued(&self) -> (bool, bool) {
        (self.parameters.window.revalued().next().is_some(), self.stress.needs_swings())
    }

    /// Revalues what a portfolio holds, at its marks now, if it is due, and what is held and its value are known. What
    /// is not known yet stays due.
    pub(super) fn revalue(&mut self, place: u32) {
        let (tails, swings) = self.wants_revalued();
        let window = &self.parameters.window;
        let portfolio = &mut self.portfolios[place as usize];
        if !portfolio.revalued.due || !(tails || swings) || portfolio.exposure_unknown().is_some() {
            return;
        }
        portfolio.revalued.due = false;
        let swings = if swings {
            portfolio.swings(&self.history, &self.rates, &mut self.pnl)
        } else {
            portfolio.revalued.swings
        };
        let mut changed = swings != portfolio.revalued.swings;
        if tails {
            let held = portfolio.held(&self.rates);
            let tails = self.history.tails(held, window, &mut self.pnl);
            changed |= tails != portfolio.revalued.tails;
            let mut remembered = std::mem::take(&mut portfolio.revalued.values);
            remembered.clear();
            if window.contributions().is_some() {
                remembered.extend(portfolio.values().map(|(_, value)| value.to_f64()));
            }
            portfolio.revalued.values = remembered;
            portfolio.revalued.tails = tails;
        }
        portfolio.revalued.swings = swings;
        if changed {
            self.level_is_due(place);
        }
    }

    /// Revalues who has a level to publish, at the marks now: a limit on it is never looked at less often than levels are
    /// published.
    pub(super) fn revalue_for_levels(&mut self, out: &mut Vec<Output>) {
        if self.wants_revalued() == (false, false) {
            return;
        }
        for place in 0..self.portfolios.len() as u32 {
            let portfolio = &mut self.portfolios[place as usize];
            if portfolio.level_due {
                portfolio.revalued.due = true;
                self.settle(place, false, out);
            }
        }
    }

    /// Revalues a portfolio for a sample, and keeps what that forecasts for the next one; nothing if the sample is not
    /// known.
    pub(super) fn forecast(&mut self, place: u32) {
        self.portfolios[place as usize].revalued.due = true;
        self.revalue(place);
        let portfolio = &mut self.portfolios[place as usize];
        let known = !portfolio.revalued.due;
        portfolio.changes.forecast(known.then_some(&portfolio.revalued.tails), &self.parameters.window);
    }

    /// An instant of the history, if it is due; true if it was. All that rests on it is due to be looked at.
    pub(super) fn extend_history(&mut self) -> bool {
        let Some(instant) = self.history.take_due(self.clock) else { return false };
        let bound = self.parameters.freshness.marks;
        let prices = super::history::fresh_prices(&self.marks, &self.feeds, self.clock, bound);
        self.history.push(instant, prices);
        self.history_changed();
        if self.stress.pass(instant, &self.history) {
            (0..self.portfolios.len() as u32).for_each(|place| self.level_is_due(place));
        }
        true
    }

    /// What was made of the history is to be made anew.
    pub(super) fn history_changed(&mut self) {
        for portfolio in &mut self.portfolios {
            portfolio.revalued.due = true;
            portfolio.correlated = Correlated::default();
        }
    }

    /// A mark was taken: the next boundary is an instant of the history. The first one begins it.
    pub(super) fn follow_history(&mut self) {
        let most = self.parameters.bounds.symbols;
        if self.history.follow(&self.parameters.history, self.clock, &mut self.marks, most) {
            self.history_changed();
        }
    }
}
