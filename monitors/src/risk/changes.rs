//! The changes of profit and loss of a portfolio, or of a scope above it; what models make of them, and whether they were
//! right.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tapewatch_schemas::Time;
use tapewatch_schemas::events::Unknown;

use super::around::next_boundary;
use super::backtest::{Backtest, Verdict, fresh, number};
use super::horizon::Tails;
use super::measure::{Confidence, TailModel};
use super::money::Money;
use super::parameters::{Basis, Sampling, WindowParameters};
use super::tails::take_tails;
use super::window::WindowLength;
use crate::kernels::{Horizon, ShortfallConvention, SortedWindow, TailRisk};

/// A series of changes, each from one sample of profit and loss to the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Changes {
    window: SortedWindow,
    /// When they were taken, oldest first. A window that is a count needs none, and has none.
    taken: VecDeque<Time>,
    /// What the next sample is the change from.
    sampled: Option<Money>,
    /// Per model and level; none before the first change.
    backtests: Vec<Backtest>,
    /// What models of what is held said of one step at the last sample, per model and level: what the next one is held
    /// against. Empty if nothing was known.
    revalued: Vec<Option<TailRisk>>,
    /// Value at risk and expected shortfall per model of the window, horizon and level, losses positive; none where the
    /// window has no such figure.
    #[serde(skip)]
    tails: Vec<Option<TailRisk>>,
}

/// Value at risk and expected shortfall by any model, losses positive: of changes while `profit` is known, of what is held,
/// revalued, while that is.
pub(super) fn tail_by(
    (model, level, over): (TailModel, Confidence, Horizon),
    (changes, profit): (&Changes, Result<Money, Unknown>),
    (revalued, unknown): (&Tails, Option<Unknown>),
    window: &WindowParameters,
) -> Result<TailRisk, Unknown> {
    if model.of_changes() {
        profit?;
        return changes.tail(model, level, over, window).ok_or(Unknown::WarmingUp);
    }
    unknown.map_or_else(|| revalued.of(model, level, over, window), Err)
}

/// What changes are taken of, and what is made of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Terms {
    basis: Basis,
    sampling: Sampling,
    length: WindowLength,
    minimum: usize,
    shortfall: ShortfallConvention,
    lambda: f64,
    age_lambda: f64,
}

impl Terms {
    pub(super) fn of(window: &WindowParameters) -> Self {
        let WindowParameters { basis, sampling, length, minimum, shortfall, lambda, age_lambda, .. } =
            *window;
        Self { basis, sampling, length, minimum, shortfall, lambda, age_lambda }
    }

    /// When the next sample is due, that was due at `due` under other terms.
    pub(super) fn sample_due(&self, before: &Self, due: Option<Time>, clock: Time) -> Option<Time> {
        match self.sampling {
            _ if self.sampling == before.sampling => due,
            Sampling::Every(interval) => due.map(|_| next_boundary(clock, interval)),
            Sampling::EachFill => None,
        }
    }

    /// True if changes are taken of something else.
    pub(super) fn other_basis(&self, other: &Self) -> bool {
        self.basis != other.basis
    }
}

impl Changes {
    /// None so far.
    pub(super) fn new(parameters: &WindowParameters) -> Self {
        Self {
            window: SortedWindow::new(parameters.most()),
            taken: VecDeque::new(),
            sampled: None,
            backtests: Vec::new(),
            revalued: Vec::new(),
            tails: Vec::new(),
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.window.len()
    }

    /// A sample of profit and loss at an instant.
    ///
    /// While it is unknown there is none, and the next known one only begins a new series: a change over
    /// an unknown stretch is not a change over an interval. `interval` is that of the return history.
    pub(super) fn sample(
        &mut self,
        at: Time,
        now: Option<Money>,
        parameters: &WindowParameters,
        interval: Duration,
    ) {
        if let (Some(now), Some(before)) = (now, self.sampled) {
            let change = (now - before).to_f64();
            self.backtest(change, parameters, interval);
            self.leave(at, parameters);
            if let WindowLength::Span(_) = parameters.length {
                self.taken.push_back(at);
            }
            self.window.push(change);
            let excess = self.taken.len().saturating_sub(self.window.len());
            self.taken.drain(..excess);
            take_tails(&mut self.tails, &mut self.window, parameters);
        }
        self.sampled = now;
    }

    /// What is no longer in a stretch of time leaves.
    fn leave(&mut self, now: Time, parameters: &WindowParameters) {
        let Some(left) = parameters.length.left_by(now) else { return };
        while self.taken.front().is_some_and(|taken| *taken <= left) {
            self.taken.pop_front();
            self.window.drop_oldest();
        }
    }

    /// What models of what is held say at this sample, unless nothing is known of it.
    pub(super) fn forecast(&mut self, revalued: Option<&Tails>, parameters: &WindowParameters) {
        self.revalued.clear();
        if let Some(tails) = revalued.filter(|_| self.sampled.is_some()) {
            let said = |model| {
                parameters
                    .levels
                    .iter()
                    .map(move |level| tails.of(model, *level, Horizon::ONE, parameters).ok())
            };
            self.revalued.extend(parameters.revalued().flat_map(said));
        }
    }

    /// What came from elsewhere, or went, is no change.
    pub(super) fn shift(&mut self, by: Money) {
        self.sampled = self.sampled.map(|sampled| sampled + by);
    }

    /// The next sample is no change from what was.
    pub(super) fn interrupt(&mut self) {
        self.sampled = None;
    }

    /// Value at risk and expected shortfall by a model of the window, losses positive.
    fn tail(
        &self,
        model: TailModel,
        level: Confidence,
        over: Horizon,
        parameters: &WindowParameters,
    ) -> Option<TailRisk> {
        let row = parameters.models.iter().filter(|m| m.of_changes()).position(|m| *m == model)?;
        let over = parameters.horizons.iter().position(|h| *h == over)?;
        let column = parameters.levels.iter().position(|l| *l == level)?;
        *self.tails.get((row * parameters.horizons.len() + over) * parameters.levels.len() + column)?
    }

    /// What was forecast before this change is compared with it. To be called before the forecasts are made anew.
    fn backtest(&mut self, change: f64, parameters: &WindowParameters, interval: Duration) {
        if parameters.backtest == 0 {
            return;
        }
        if self.backtests.is_empty() {
            self.backtests = fresh(parameters, interval);
        }
        let mut backtests = std::mem::take(&mut self.backtests);
        for backtest in &mut backtests {
            let forecast = if backtest.model.of_changes() {
                self.tail(backtest.model, backtest.level, Horizon::ONE, parameters)
            } else {
                let row = parameters.revalued().position(|model| model == backtest.model);
                let column = parameters.levels.iter().position(|level| *level == backtest.level);
                let place = row.zip(column).map(|(row, column)| row * parameters.levels.len() + column);
                place.and_then(|place| self.revalued.get(place).copied()?)
            };
            // Of a window in which nothing moved nothing was forecast: the first loss after it says nothing of a model.
            if let Some(forecast) = forecast.filter(|forecast| forecast.var != 0.0 || forecast.es != 0.0) {
                backtest.observe(change, forecast, parameters.backtest);
            }
        }
        self.backtests = backtests;
    }

    /// What the backtest of a model at a level says.
    ///
    /// # Errors
    /// That too few forecasts were followed by a change, or that there is no such backtest.
    pub(super) fn verdict(
        &mut self,
        model: TailModel,
        level: Confidence,
        parameters: &WindowParameters,
    ) -> Result<Verdict, Unknown> {
        let at = self.tried(model, level, parameters)?;
        self.backtests[at].verdict().ok_or(Unknown::WarmingUp)
    }

    /// The zone alone: 0 green, 1 yellow, 2 red.
    ///
    /// # Errors
    /// Those of [`Changes::verdict`].
    pub(super) fn light(
        &self,
        model: TailModel,
        level: Confidence,
        parameters: &WindowParameters,
    ) -> Result<f64, Unknown> {
        let at = self.tried(model, level, parameters)?;
        self.backtests[at].zone().map(number).ok_or(Unknown::WarmingUp)
    }

    fn tried(
        &self,
        model: TailModel,
        level: Confidence,
        parameters: &WindowParameters,
    ) -> Result<usize, Unknown> {
        let tried = |one: &Backtest| one.is_of(model, level) && one.says(parameters.backtest);
        self.backtests.iter().position(tried).ok_or(Unknown::WarmingUp)
    }

    /// After it was put back, having been taken under other terms: what was taken under them is not compared with what is
    /// taken under these.
    pub(super) fn begin_anew(&mut self, before: &Terms, now: &Terms) {
        if before == now {
            return;
        }
        self.backtests.clear();
        if (before.basis, before.sampling) != (now.basis, now.sampling) {
            // A change from equity to the book's profit is no change of either, and one of an hour none of a day.
            self.sampled = None;
            self.window = SortedWindow::new(now.length.most_by(now.sampling));
            self.taken.clear();
        }
    }

    /// After it was put back, having been taken while revaluations were of something else.
    pub(super) fn revalued_anew(&mut self) {
        self.revalued.clear();
        self.backtests.retain(|backtest| backtest.model.of_changes());
    }

    /// After it was put back: the configuration may have another size of window, or other models, levels or lengths of
    /// backtests than the one it was saved under.
    pub(super) fn restored(&mut self, parameters: &WindowParameters, interval: Duration) {
        let most = parameters.most();
        match parameters.length {
            WindowLength::Observations(_) => self.taken.clear(),
            // When the changes of a count were taken is not known: of none it can be said that it is in a stretch.
            WindowLength::Span(_) if self.taken.len() != self.window.len() => {
                self.window = SortedWindow::new(most);
            }
            WindowLength::Span(_) => {
                if let Some(latest) = self.taken.back().copied() {
                    self.leave(latest, parameters);
                }
            }
        }
        self.window = SortedWindow::from_values(most, self.window.arrived());
        let excess = self.taken.len().saturating_sub(self.window.len());
        self.taken.drain(..excess);
        take_tails(&mut self.tails, &mut self.window, parameters);
        let mut saved = std::mem::take(&mut self.backtests);
        if saved.is_empty() || parameters.backtest == 0 {
            return;
        }
        self.backtests = fresh(parameters, interval);
        for backtest in &mut self.backtests {
            if let Some(at) = saved.iter().position(|one| one.is_of(backtest.model, backtest.level)) {
                *backtest = saved.swap_remove(at).restored(parameters.backtest);
            }
        }
    }
}
