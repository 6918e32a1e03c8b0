//! Stress: what is held now would lose if prices moved at once as a scenario says. A book is linear in its prices, so
//! the loss is the sum of value × move, with its sign turned; and what it may lose then if the market is another, too.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use tapewatch_schemas::events::{Measure, Unknown};
use tapewatch_schemas::{Amount, Symbol, Time};

use super::around::Around;
use super::history::{History, Stake};
use super::marks::{Marks, SymbolId};
use super::measure::Bounded;
use super::money::Money;
use super::parameters::HistoryParameters;
use super::past::{Passage, Past};
use super::portfolio::{Portfolio, worst};
use super::publish::{money, ratio};
use super::rates::Rates;
use super::scenario::{Moves, Range, Scenario, ScenarioName, Shock, ShockedMarket};
use crate::kernels::Swings;

/// The scenarios, and every symbol's move in each of them.
#[derive(Clone, Debug)]
pub(super) struct Stress {
    scenarios: Vec<Stressed>,
    interval: Duration,
    /// How many symbols have their moves.
    placed: usize,
}

#[derive(Clone, Debug)]
struct Stressed {
    name: ScenarioName,
    moving: Moving,
    market: Option<ShockedMarket>,
}

/// What is held, as scenarios need it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stressable<I> {
    /// By symbol's place.
    pub(super) held: I,
    /// How it swings.
    pub(super) swings: Result<Swings, Unknown>,
}

/// How symbols move in one scenario.
#[derive(Clone, Debug)]
enum Moving {
    /// By so many millionths, by symbol's place.
    Shocks { shocks: Vec<Shock>, millionths: Vec<i64> },
    /// As they did.
    Past(Past),
}

/// What is lost; a gain is negative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Loss {
    /// By shocks: exact, each position's rounded half-even to 12 places.
    Exact(Money),
    /// By returns, which are doubles.
    Near(f64),
}

impl Loss {
    /// A double that is a number; one beyond what a double holds is no figure (`missing`).
    fn near(loss: f64) -> Result<Self, Unknown> {
        if loss.is_finite() { Ok(Self::Near(loss)) } else { Err(Unknown::Missing) }
    }

    fn value(self) -> f64 {
        match self {
            Self::Exact(loss) => loss.to_f64(),
            Self::Near(loss) => loss,
        }
    }
}

/// What is saved of one scenario of the past.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SavedPassage {
    name: SmolStr,
    range: Range,
    interval: Duration,
    passage: Passage,
}

impl Stress {
    /// Of scenarios, of which those of the past are over the instants of a history.
    pub(super) fn new(scenarios: &[Scenario], history: &HistoryParameters) -> Self {
        let moving = |one: &Scenario| match &one.moves {
            Moves::Shocks(shocks) => Moving::Shocks { shocks: shocks.clone(), millionths: Vec::new() },
            Moves::Past(range) => Moving::Past(Past::new(*range, history)),
        };
        let stressed = |one: &Scenario| Stressed { name: one.name, moving: moving(one), market: one.market };
        let scenarios = scenarios.iter().map(stressed).collect();
        Self { scenarios, interval: history.interval, placed: 0 }
    }

    /// Looks up how the symbols move that were added since the last time.
    ///
    /// A rate moves in a scenario only if it is named: all that are left are what can be held.
    pub(super) fn place(&mut self, marks: &Marks, rates: &Rates) {
        while self.placed < marks.len() {
            let converts = rates.has(self.placed as SymbolId);
            let symbol = &marks.entry(self.placed as SymbolId).symbol;
            for one in &mut self.scenarios {
                match &mut one.moving {
                    Moving::Shocks { shocks, millionths } => {
                        let named = |shock: &&Shock| !shock.symbols.is_empty() || !converts;
                        let shock = shocks.iter().filter(named).find(|shock| shock.is_on(symbol));
                        millionths.push(shock.map_or(0, |shock| shock.millionths));
                    }
                    Moving::Past(past) => past.place(symbol),
                }
            }
            self.placed += 1;
        }
    }

    /// The history has one instant more; true if a scenario of the past is over with it.
    pub(super) fn pass(&mut self, instant: Time, history: &History) -> bool {
        let mut over = false;
        for one in &mut self.scenarios {
            if let Moving::Past(past) = &mut one.moving {
                over |= past.pass(instant, history.latest());
            }
        }
        over
    }

    /// True if how a book swings makes a difference to any scenario.
    pub(super) fn needs_swings(&self) -> bool {
        self.scenarios.iter().any(|one| one.market.is_some())
    }

    /// The loss that a limit bounds.
    pub(super) fn bounded<'h, I>(&self, measure: Bounded, book: &Stressable<I>) -> Result<f64, Unknown>
    where
        I: Iterator<Item = Stake<'h>> + Clone,
    {
        let loss = match measure {
            Bounded::Stress(name) => {
                let of_name = self.scenarios.iter().find(|one| one.name == name);
                of_name.map_or(Err(Unknown::Missing), |one| one.loss(book))
            }
            _ => worst_of(self.scenarios.iter().map(|one| one.loss(book))),
        };
        loss.map(Loss::value)
    }

    /// The losses in all scenarios and the worst of them, as they are published; nothing without scenarios.
    pub(super) fn measures<'h, I>(&self, unknown: Option<Unknown>, book: &Stressable<I>) -> Vec<Measure>
    where
        I: Iterator<Item = Stake<'h>> + Clone,
    {
        let loss = |one: &Stressed| unknown.map_or_else(|| one.loss(book), Err);
        let losses: Vec<_> =
            self.scenarios.iter().map(|one| (Bounded::Stress(one.name), loss(one))).collect();
        let all = losses.iter().map(|(_, loss)| *loss);
        let worst = (!losses.is_empty()).then(|| (Bounded::StressWorst, worst_of(all)));
        let measure = |(measure, loss): &(Bounded, Result<Loss, Unknown>)| match loss {
            Ok(Loss::Exact(loss)) => money(&measure.to_string(), None, *loss),
            Ok(Loss::Near(loss)) => ratio(&measure.to_string(), Ok(*loss)),
            Err(unknown) => ratio(&measure.to_string(), Err(*unknown)),
        };
        losses.iter().chain(&worst).map(measure).collect()
    }

    /// What is saved: what was seen of the past. All else is of the parameters.
    pub(super) fn save(&self) -> Vec<SavedPassage> {
        let saved = |one: &Stressed| match &one.moving {
            Moving::Shocks { .. } => None,
            Moving::Past(past) => Some(SavedPassage {
                name: SmolStr::new(one.name.as_str()),
                range: past.range,
                interval: self.interval,
                passage: past.passage.clone(),
            }),
        };
        self.scenarios.iter().filter_map(saved).collect()
    }

    /// Puts back what was seen of those scenarios that are still the same.
    pub(super) fn restore(&mut self, saved: Vec<SavedPassage>) {
        for saved in saved.into_iter().filter(|saved| saved.interval == self.interval) {
            for one in &mut self.scenarios {
                if let Moving::Past(past) = &mut one.moving
                    && (one.name.as_str(), past.range) == (saved.name.as_str(), saved.range)
                {
                    past.passage = saved.passage.clone();
                }
            }
        }
    }
}

impl Stressed {
    /// What would be lost.
    fn loss<'h, I>(&self, book: &Stressable<I>) -> Result<Loss, Unknown>
    where
        I: Iterator<Item = Stake<'h>> + Clone,
    {
        let moved = self.moving.loss(book.held.clone());
        let Some(market) = self.market else { return moved };
        match (moved, book.swings) {
            (Ok(moved), Ok(swings)) => Loss::near(moved.value() + market.loss(swings)),
            (moved, swings) => Err(worst(moved.err(), swings.err()).unwrap_or(Unknown::Missing)),
        }
    }
}

impl Moving {
    fn loss<'h>(&self, held: impl Iterator<Item = Stake<'h>>) -> Result<Loss, Unknown> {
        match self {
            Moving::Shocks { millionths, .. } => {
                let moved: Result<Money, Unknown> = held.map(|one| shocked(one, millionths)).sum();
                moved.map(|moved| Loss::Exact(-moved))
            }
            Moving::Past(past) => {
                let (mut moved, mut unknown) = (0.0, None);
                for Stake { symbol, value, route } in held {
                    let own = past.of(symbol);
                    let r = route.iter().fold(own, |r, leg| {
                        let rate = Some(1.0 + past.of(leg.symbol)?).filter(|rate| *rate > 0.0);
                        let rate = rate.ok_or(Unknown::Missing)?;
                        Ok(if leg.inverse { (1.0 + r?) / rate } else { (1.0 + r?) * rate } - 1.0)
                    });
                    match r {
                        Ok(r) => moved += value.to_f64() * r,
                        Err(reason) => unknown = worst(unknown, Some(reason)),
                    }
                }
                // Taken from zero, so that a loss of nothing is no negative zero.
                unknown.map_or_else(|| Loss::near(0.0 - moved), Err)
            }
        }
    }
}

/// What values of symbols, in one currency, would lose in a scenario of shocks, a loss positive; `swings` is how they swing
/// together, of use where the scenario's market is another.
///
/// # Errors
/// The scenario is one of the past, of which values alone say nothing, or the loss is beyond what a double holds.
pub fn stressed_loss(scenario: &Scenario, held: &[(Symbol, Amount)], swings: Swings) -> Result<f64, Unknown> {
    let (mut marks, rates) = (Marks::default(), Rates::default());
    let place = |(symbol, value): &(Symbol, Amount)| {
        let symbol = marks.find(symbol).unwrap_or_else(|| marks.add(symbol));
        Stake { symbol, value: Money::of(*value), route: &[] }
    };
    let held: Vec<Stake<'_>> = held.iter().map(place).collect();
    let mut stress = Stress::new(std::slice::from_ref(scenario), &HistoryParameters::default());
    stress.place(&marks, &rates);
    let book = Stressable { held: held.into_iter(), swings: Ok(swings) };
    stress.bounded(Bounded::Stress(scenario.name), &book)
}

/// By how much a position moves in money: at its new price, and that at the new rates.
fn shocked(held: Stake<'_>, millionths: &[i64]) -> Result<Money, Unknown> {
    let moved = held.value.millionths(millionths[held.symbol as usize]);
    if held.route.is_empty() {
        return Ok(moved);
    }
    let mut worth = (held.value + moved).fitting().map_err(|_| Unknown::Missing)?;
    for leg in held.route {
        let parts = millionths[leg.symbol as usize];
        let moved = if leg.inverse {
            // At a rate of nothing the other currency is worth more than any number.
            worth.over_millionths(parts).ok_or(Unknown::Missing)?
        } else {
            worth + worth.millionths(parts)
        };
        worth = moved.fitting().map_err(|_| Unknown::Missing)?;
    }
    Ok(worth - held.value)
}

/// The most that is lost in any scenario, known if all are.
fn worst_of(losses: impl Iterator<Item = Result<Loss, Unknown>>) -> Result<Loss, Unknown> {
    let (mut largest, mut unknown) = (None::<Loss>, None);
    for loss in losses {
        match loss {
            Ok(loss) if largest.is_none_or(|most| loss.value() > most.value()) => largest = Some(loss),
            Ok(_) => {}
            Err(reason) => unknown = worst(unknown, Some(reason)),
        }
    }
    unknown.map_or_else(|| largest.ok_or(Unknown::Missing), Err)
}

impl Portfolio {
    /// The loss that a limit bounds.
    pub(super) fn stressed(&self, measure: Bounded, around: &Around<'_>) -> Result<f64, Unknown> {
        self.exposure_unknown().map_or(Ok(()), Err)?;
        around.stress.bounded(measure, &self.stressable(around.rates))
    }

    /// What is held, as scenarios need it.
    pub(super) fn stressable<'a>(
        &'a self,
        rates: &'a Rates,
    ) -> Stressable<impl Iterator<Item = Stake<'a>> + Clone> {
        Stressable { held: self.held(rates), swings: self.revalued.swings }
    }

    /// What is held, and how it is converted. Nothing of what has no mark or no rate.
    pub(super) fn held<'a>(&'a self, rates: &'a Rates) -> impl Iterator<Item = Stake<'a>> + Clone {
        self.holdings.iter().map(|holding| {
            let own = self.currency.as_ref().unwrap_or(&holding.currency);
            let route = rates.route(&holding.currency, own).unwrap_or_default();
            Stake { symbol: holding.symbol, value: holding.value.unwrap_or_default(), route }
        })
    }

    /// What is held, in money, by symbol's place. Nothing of what has no mark.
    pub(super) fn values(&self) -> impl Iterator<Item = (SymbolId, Money)> + Clone {
        self.holdings.iter().map(|holding| (holding.symbol, holding.value.unwrap_or_default()))
    }
}
