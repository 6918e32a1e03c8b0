//! Saving and putting back the whole state, as canonical bytes.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tapewatch_schemas::Time;

use super::around::next_boundary;
use super::changes::Terms;
use super::conduct::Conduct;
use super::day::Day;
use super::feeds::{Feeds, SavedFeeds};
use super::history::History;
use super::limits::limits_of;
use super::liquidity::{Liquid, Liquidity};
use super::lots::Costing;
use super::marks::{Entry, Marks};
use super::measure::{Bounded, Confidence, TailModel};
use super::parameters::{Freshness, HistoryParameters, RiskParameters, WindowParameters};
use super::portfolio::Portfolio;
use super::rates::{Pair, Rates};
use super::revalued::Revalued;
use super::stress::SavedPassage;
use super::terms::{BoundsOf, changed, earlier};
use super::window::WindowLength;
use super::{RiskMonitor, TaskContext};
use crate::kernels::{Horizon, ShortfallConvention};
use crate::monitor::StateError;

/// The format of the saved state.
const FORMAT: u16 = 24;

/// All that is saved. Sequences in the order of first appearance and sorted sets only, so that equal
/// states give equal bytes; what can be worked out again is not saved.
#[derive(Serialize, Deserialize)]
struct Saved<P, M, H, L> {
    format: u16,
    opened_from_zero: bool,
    open_from: Time,
    clock: Time,
    costing: Costing,
    rates: Vec<Pair>,
    freshness: Freshness,
    terms: Terms,
    revaluation: RevaluationTerms,
    /// Whether tails and swings of what is held are wanted.
    wanted: (bool, bool),
    horizons: Vec<Horizon>,
    bounds: Vec<BoundsOf>,
    feeds: SavedFeeds,
    marks: M,
    history: H,
    stress: Vec<SavedPassage>,
    liquidity: L,
    portfolios: P,
    level_due: Option<Time>,
    sample_due: Option<Time>,
    book_due: Option<Time>,
    day_due: Option<Time>,
    ticked: Option<Time>,
}

/// What revaluations are over, and what is made of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct RevaluationTerms {
    interval: Duration,
    freshness: Duration,
    window: WindowLength,
    minimum: usize,
    symbols: usize,
    reference: Option<[u8; 32]>,
    /// Each with the weight of the past in it.
    models: Vec<(TailModel, f64)>,
    levels: Vec<Confidence>,
    shortfall: ShortfallConvention,
}

impl RevaluationTerms {
    /// Of these models.
    pub(super) fn of(
        history: &HistoryParameters,
        of: &WindowParameters,
        models: impl Iterator<Item = TailModel>,
    ) -> Self {
        let HistoryParameters { interval, freshness, window, minimum, symbols, ref reference } = *history;
        let reference = reference.as_ref().map(|prices| prices.hash());
        let models = models.map(|model| (model, of.weight(model))).collect();
        let (levels, shortfall) = (of.levels.clone(), of.shortfall);
        Self { interval, freshness, window, minimum, symbols, reference, models, levels, shortfall }
    }
}

impl RiskMonitor {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let saved = Saved {
            format: FORMAT,
            opened_from_zero: self.task.opened_from_zero,
            open_from: self.open_from,
            clock: self.clock,
            costing: self.costing(),
            rates: self.parameters.rates.clone(),
            freshness: self.parameters.freshness,
            terms: Terms::of(&self.parameters.window),
            revaluation: revaluation_terms(&self.parameters),
            wanted: self.wants_revalued(),
            horizons: self.parameters.window.horizons.clone(),
            bounds: {
                let of = |limit| BoundsOf::new(limit, |measure| definition(&self.parameters, measure));
                self.parameters.limits.iter().map(of).collect()
            },
            feeds: self.feeds.save(),
            marks: self.marks.save(),
            history: &self.history,
            stress: self.stress.save(),
            liquidity: self.liquidity.save(),
            portfolios: &self.portfolios,
            level_due: self.level_due,
            sample_due: self.sample_due,
            book_due: self.book_due,
            day_due: self.day_due,
            ticked: self.ticked,
        };
        postcard::to_allocvec(&saved).expect("the state holds nothing that postcard cannot write")
    }

    pub(super) fn put_back(&mut self, state: &[u8]) -> Result<(), StateError> {
        let (format, _) = postcard::take_from_bytes::<u16>(state).map_err(unreadable)?;
        if format != FORMAT {
            return Err(StateError(format!("it is of format {format}, this code reads {FORMAT}")));
        }
        let saved: Saved<Vec<Portfolio>, Vec<Entry>, History, Vec<Liquid>> =
            postcard::from_bytes(state).map_err(unreadable)?;
        let task = TaskContext { opened_from_zero: saved.opened_from_zero, ..self.task };
        let mut back = Self::new(self.parameters.clone(), task);
        back.clock = saved.clock;
        back.open_from = saved.open_from;
        back.feeds = Feeds::restore(saved.feeds);
        back.marks = Marks::restore(saved.marks);
        back.rates = Rates::new(&back.parameters.rates, &mut back.marks);
        back.history = saved.history.restored(&back.parameters.history, back.parameters.compounded());
        back.stress.restore(saved.stress);
        back.liquidity =
            Liquidity::restored(back.parameters.liquidity, &back.parameters.day, saved.liquidity);
        (back.level_due, back.book_due) = (saved.level_due, saved.book_due);
        // The configuration may have another day than the one the state was saved under.
        back.day_due = saved.day_due.map(|due| back.parameters.day.still(due, back.clock));
        back.ticked = saved.ticked;
        let terms = Terms::of(&back.parameters.window);
        back.sample_due = terms.sample_due(&saved.terms, saved.sample_due, back.clock);
        let revaluation = revaluation_terms(&back.parameters);
        let definition = |measure| definition(&back.parameters, measure);
        let rebound = changed(back.parameters.limits.iter(), &saved.bounds, definition);
        let (tails, swings) = back.wants_revalued();
        let adapt = (saved.costing != back.costing()).then(|| back.costing());
        for (place, mut portfolio) in (0_u32..).zip(saved.portfolios) {
            adapt.inspect(|costing| portfolio.adapt(*costing));
            portfolio.begin_anew(&saved.terms, &terms);
            if saved.revaluation != revaluation {
                portfolio.revalue_anew();
            } else if saved.wanted != (tails, swings) {
                portfolio.revalued.wanted(tails, swings);
            }
            let other_horizons = saved.horizons != back.parameters.window.horizons;
            if other_horizons {
                portfolio.revalued.wanted_over_others();
            }
            let others = other_horizons
                || saved.freshness != back.parameters.freshness
                || (&saved.terms, &saved.revaluation) != (&terms, &revaluation);
            if others && back.clock != Time::MIN {
                // Looked at before anything else happens.
                portfolio.check_at = Some(back.clock);
            }
            back.put_limits(&mut portfolio, &rebound);
            back.put_portfolio(place, portfolio)?;
        }
        if saved.rates != back.parameters.rates {
            back.convert_anew();
        }
        *self = back;
        Ok(())
    }

    /// Gives a portfolio the configuration's limits, which may bound something else than when it was saved.
    fn put_limits(&mut self, portfolio: &mut Portfolio, rebound: &[bool]) {
        let fresh = limits_of(&self.parameters, &portfolio.id, self.clock);
        let limit = |at: usize| &self.parameters.limits[at];
        portfolio.limits.restored(fresh, limit, portfolio.id.as_str(), rebound);
        self.terms_due = earlier(self.terms_due, portfolio.limits.until());
    }

    fn put_portfolio(&mut self, place: u32, mut portfolio: Portfolio) -> Result<(), StateError> {
        for holding in &portfolio.holdings {
            if holding.symbol as usize >= self.marks.len() {
                return Err(StateError(format!(
                    "portfolio {} holds a symbol that is not there",
                    portfolio.id
                )));
            }
            self.marks.set_holder(holding.symbol, place, true);
        }
        let RiskParameters { window, history, .. } = &self.parameters;
        portfolio.changes.restored(window, history.interval);
        portfolio.conduct =
            self.parameters.conduct.as_ref().map(|parameters| match portfolio.conduct.take() {
                Some(conduct) => conduct.restored(self.clock, parameters),
                None => Conduct::begun_at(self.clock, parameters),
            });
        if portfolio.conduct.as_ref().is_some_and(|conduct| !conduct.was_told()) && self.clock != Time::MIN {
            // Whoever adds portfolios up is told what is known from now on.
            portfolio.level_due = true;
            let interval = self.parameters.publish_interval;
            self.level_due.get_or_insert_with(|| next_boundary(self.clock, interval));
        }
        portfolio.drawdown.restored(self.parameters.drawdown_window);
        portfolio.sum_anew();
        portfolio.check_at.map(|at| self.checks.insert((at, place)));
        if portfolio.unwell() {
            self.unwell.insert(place);
        }
        self.by_id.insert(portfolio.id.clone(), place);
        self.portfolios.push(portfolio);
        self.follow_all_rates(place);
        Ok(())
    }
}

impl Portfolio {
    /// What was taken under other terms is not compared with what is taken under these.
    fn begin_anew(&mut self, saved: &Terms, now: &Terms) {
        self.changes.begin_anew(saved, now);
        if saved.other_basis(now) {
            self.day = Day::begun(self.realised, self.realised_unknown);
        }
    }

    /// The same of revaluations.
    fn revalue_anew(&mut self) {
        self.revalued = Revalued::default();
        self.changes.revalued_anew();
    }
}

fn revaluation_terms(parameters: &RiskParameters) -> RevaluationTerms {
    let RiskParameters { history, window, .. } = parameters;
    RevaluationTerms::of(history, window, window.revalued())
}

/// What a measure is of, where its name does not say it.
fn definition(parameters: &RiskParameters, measure: Bounded) -> String {
    let RiskParameters { stress, drawdown_window, liquidity, day, window, history, .. } = parameters;
    match measure {
        Bounded::Stress(_) | Bounded::StressWorst => format!("{stress:?}"),
        Bounded::TrailingDrawdown => format!("{drawdown_window:?}"),
        Bounded::DaysToLiquidate => format!("{liquidity:?} {day:?}"),
        Bounded::ValueAtRisk(model, ..)
        | Bounded::ExpectedShortfall(model, ..)
        | Bounded::Light(model, _)
            if !model.of_changes() =>
        {
            format!("{:?}", RevaluationTerms::of(history, window, std::iter::once(model)))
        }
        _ => window.definition(measure),
    }
}

fn unreadable(error: postcard::Error) -> StateError {
    StateError(error.to_string())
}
