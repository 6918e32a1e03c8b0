//! Saving and putting back the whole state, as canonical bytes.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tapewatch_schemas::events::Unknown;
use tapewatch_schemas::{Currency, PortfolioId, Scope, Time};

use super::books::Books;
use super::scope::{ScopeState, limits_of};
use super::{FirmMonitor, FirmParameters};
use crate::kernels::Horizon;
use crate::monitor::StateError;
use crate::risk::changes::{self, Changes};
use crate::risk::day::Day;
use crate::risk::feeds::{Feeds, SavedFeeds};
use crate::risk::history::History;
use crate::risk::horizon::Tails;
use crate::risk::liquidity::{Liquid, Liquidity};
use crate::risk::marks::{Entry, Marks};
use crate::risk::measure::Bounded;
use crate::risk::parameters::Basis;
use crate::risk::rates::{Pair, Rates};
use crate::risk::state::RevaluationTerms;
use crate::risk::stress::SavedPassage;
use crate::risk::terms::{BoundsOf, changed, earlier};

/// The format of the saved state.
const FORMAT: u16 = 16;

/// All that is saved. Sequences in the order of first appearance and sorted maps only, so that equal states give equal
/// bytes; what can be worked out again is not saved.
#[derive(Serialize, Deserialize)]
struct Saved<B, M, H, L, S> {
    format: u16,
    clock: Time,
    terms: Terms,
    changes: changes::Terms,
    bounds: Vec<BoundsOf>,
    scenarios: String,
    feeds: SavedFeeds,
    marks: M,
    books: B,
    history: H,
    stress: Vec<SavedPassage>,
    liquidity: L,
    scopes: S,
    level_due: Option<Time>,
    sample_due: Option<Time>,
    day_due: Option<Time>,
    ticked: Option<Time>,
}

/// What figures are of, and when they are unknown.
#[derive(PartialEq, Serialize, Deserialize)]
struct Terms {
    revaluation: RevaluationTerms,
    horizons: Vec<Horizon>,
    scopes: Vec<(Scope, Vec<PortfolioId>)>,
    currency: Currency,
    rates: Vec<Pair>,
    marks: Duration,
    books: Duration,
    conduct: Option<Duration>,
}

impl Terms {
    fn of(parameters: &FirmParameters) -> Self {
        let FirmParameters { history, window, scopes, currency, rates, marks, books, conduct, .. } =
            parameters;
        Self {
            revaluation: RevaluationTerms::of(history, window, window.revalued()),
            horizons: window.horizons.clone(),
            scopes: scopes.iter().map(|one| (one.scope.clone(), one.portfolios.clone())).collect(),
            currency: currency.clone(),
            rates: rates.clone(),
            marks: *marks,
            books: *books,
            conduct: *conduct,
        }
    }
}

impl FirmMonitor {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let saved = Saved {
            format: FORMAT,
            clock: self.clock,
            terms: Terms::of(&self.parameters),
            changes: changes::Terms::of(&self.parameters.window),
            bounds: self
                .parameters
                .bounds()
                .map(|one| BoundsOf::new(one, |of| self.definition(of)))
                .collect(),
            scenarios: self.scenarios(),
            feeds: self.feeds.save(),
            marks: self.marks.save(),
            books: &self.books,
            history: &self.history,
            stress: self.stress.save(),
            liquidity: self.liquidity.save(),
            scopes: &self.scopes,
            level_due: self.level_due,
            sample_due: self.sample_due,
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
        let saved: Saved<Books, Vec<Entry>, History, Vec<Liquid>, Vec<ScopeState>> =
            postcard::from_bytes(state).map_err(unreadable)?;
        let mut back = Self::new(self.parameters.clone());
        back.clock = saved.clock;
        back.feeds = Feeds::restore(saved.feeds);
        back.marks = Marks::restore(saved.marks);
        back.rates = Rates::new(&back.parameters.rates, &mut back.marks);
        back.history = saved.history.restored(&back.parameters.history, &back.parameters.window.horizons);
        back.stress.restore(saved.stress);
        back.liquidity =
            Liquidity::restored(back.parameters.liquidity, &back.parameters.day, saved.liquidity);
        back.level_due = saved.level_due;
        // The configuration may have another day than the one the state was saved under.
        back.day_due = saved.day_due.map(|due| self.parameters.day.still(due, saved.clock));
        back.ticked = saved.ticked;
        let now = Terms::of(&self.parameters);
        let same = saved.terms == now;
        let window = &self.parameters.window;
        let changes = changes::Terms::of(window);
        back.sample_due = changes.sample_due(&saved.changes, saved.sample_due, saved.clock);
        let rebound = changed(self.parameters.bounds(), &saved.bounds, |of| self.definition(of));
        // The configuration may have other scopes than the one the state was saved under.
        for (place, parameters) in self.parameters.scopes.iter().enumerate() {
            let fresh = ScopeState::new(&parameters.scope, &self.parameters, saved.clock);
            let known = saved.scopes.iter().find(|scope| scope.scope == parameters.scope);
            let mut scope = known.cloned().unwrap_or(fresh);
            if !same && saved.clock != Time::MIN {
                // What was known under other terms is looked at before anything else happens.
                (scope.tails, scope.swings) = (Tails::default(), Err(Unknown::WarmingUp));
                scope.revalue_due = true;
                (scope.books_unknown, scope.check_at) = (Some(Unknown::Missing), Some(saved.clock));
            }
            if saved.scenarios != self.scenarios() {
                (scope.swings, scope.revalue_due) = (Err(Unknown::WarmingUp), true);
            }
            // Equity of others, or in another currency, is no series with this one's.
            let members = |terms: &Terms| terms.scopes.iter().find(|one| one.0 == scope.scope).cloned();
            if members(&saved.terms) != members(&now) || saved.terms.currency != now.currency {
                scope.equity.begin_anew(self.parameters.drawdown_window);
                scope.changes = Changes::new(window);
                scope.profits.begin_anew();
            }
            scope.changes.begin_anew(&saved.changes, &changes);
            if saved.changes != changes && saved.clock != Time::MIN {
                scope.check_at = Some(saved.clock);
            }
            if saved.changes.other_basis(&changes) {
                scope.equity.day = Day::default();
                scope.profits.begin_anew();
            }
            if saved.terms.revaluation != now.revaluation {
                scope.changes.revalued_anew();
            }
            if saved.terms.rates != now.rates {
                scope.changes.interrupt();
                if window.basis == Basis::Book {
                    scope.equity.day = Day::default();
                }
            }
            scope.changes.restored(window, self.parameters.history.interval);
            scope.equity.drawdown.restored(self.parameters.drawdown_window);
            let limit = |at: usize| &self.parameters.limits[at].limit;
            let fresh = limits_of(&scope.scope, &self.parameters, saved.clock);
            scope.limits.restored(fresh, limit, scope.scope.as_str(), &rebound);
            if saved.clock != Time::MIN {
                back.terms_due = earlier(back.terms_due, scope.limits.until());
            }
            scope.check_at.map(|at| back.checks.insert((at, place as u32)));
            back.scopes[place] = scope;
        }
        back.put_books(saved.books)?;
        *self = back;
        Ok(())
    }

    /// What stress is of, and whether how scopes swing is wanted.
    fn scenarios(&self) -> String {
        format!("{:?}", self.parameters.stress)
    }

    /// What a measure is of, where its name does not say it.
    fn definition(&self, measure: Bounded) -> String {
        let FirmParameters { drawdown_window, liquidity, day, window, history, .. } = &self.parameters;
        match measure {
            Bounded::Stress(_) | Bounded::StressWorst => self.scenarios(),
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

    fn put_books(&mut self, books: Books) -> Result<(), StateError> {
        for (portfolio, book) in books {
            if book.lines.iter().any(|line| line.symbol as usize >= self.marks.len()) {
                return Err(StateError(format!("portfolio {portfolio} holds a symbol that is not there")));
            }
            let held = self.held_with(&portfolio, &book.lines).map_err(|why| StateError(why.to_string()))?;
            for (place, held) in held {
                let holds = self.scopes[place].put(held);
                self.marks.set_holder(held.symbol, place as u32, holds);
            }
            for place in (0..self.scopes.len()).filter(|place| self.parameters.scopes[*place].has(&portfolio))
            {
                self.scopes[place].equity.replace(None, book.standing.as_ref());
                self.scopes[place].profits.replace(None, book.profit.as_ref());
            }
            self.books.insert(portfolio, book);
        }
        self.value_accounts();
        Ok(())
    }
}

fn unreadable(error: postcard::Error) -> StateError {
    StateError(error.to_string())
}
