//! How fast, and at what cost, what is held could be sold: by the touch, and by what is traded a day.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use tapewatch_schemas::events::{MarketData, Measure, Unknown};
use tapewatch_schemas::{Amount, Time};

use super::around::Around;
use super::day::DayParameters;
use super::feeds::FeedId;
use super::marks::SymbolId;
use super::measure::{Bounded, LIQUIDITY};
use super::money::Money;
use super::portfolio::{Portfolio, worst};
use super::publish::ratio;
use crate::kernels::{Quote, days_to_liquidate, share_taken};

/// How liquidity is looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LiquidityParameters {
    /// The share of what is traded that one's own sales may be: more than 0, at most 1.
    pub participation: f64,
    /// The most days of volume that are averaged; the oldest leaves.
    pub days: usize,
    /// Fewer days than this are `warming_up`.
    pub minimum: usize,
}

/// What is known of every symbol's touch and volume; nothing where liquidity is not looked at.
#[derive(Debug)]
pub(super) struct Liquidity {
    parameters: Option<LiquidityParameters>,
    /// By symbol's place.
    symbols: Vec<Liquid>,
}

/// One symbol.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Liquid {
    touch: Sides,
    /// The feed of the mark in force.
    marked: FeedId,
    /// When the day ends that `today` is of; none before the first record.
    ends: Option<Time>,
    /// True if that day was followed from its beginning.
    whole: bool,
    /// What was traded in it, units; none while no record said anything of it.
    today: Option<Money>,
    /// The same of the whole days before it in which a record came, oldest first.
    days: VecDeque<Option<Money>>,
    /// Their sum, and in how many of them anything was said.
    #[serde(skip)]
    traded: (Money, usize),
}

/// The touch of the latest record that said anything of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sides {
    bid: Option<Amount>,
    ask: Option<Amount>,
    bid_size: Option<Amount>,
    ask_size: Option<Amount>,
    /// By which feed it came. One that comes by another than the mark's is not known to be as young as the mark.
    feed: FeedId,
}

/// How a record came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Came {
    /// Its price is the mark in force now.
    pub(super) is_mark: bool,
    /// It is older than the mark in force.
    pub(super) is_late: bool,
    /// Its feed had read as far before.
    pub(super) again: bool,
}

/// What would have to be sold of a symbol.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sale {
    pub(super) symbol: SymbolId,
    /// In the units that sizes and volumes are in; short ones negative.
    pub(super) quantity: f64,
    /// In money.
    pub(super) value: f64,
}

impl Liquidity {
    /// Of symbols of which nothing is known.
    pub(super) fn new(parameters: Option<LiquidityParameters>) -> Self {
        Self { parameters, symbols: Vec::new() }
    }

    /// Takes a record of a symbol that has its place, from a feed; true if that changes what is known of what could be sold.
    /// What was traded counts on the day it comes, on time or late, and once: of a record that comes again by its feed it does
    /// not.
    pub(super) fn take(
        &mut self,
        symbol: SymbolId,
        data: &MarketData,
        (feed, came): (FeedId, Came),
        clock: Time,
        day: &DayParameters,
    ) -> bool {
        let Some(parameters) = self.parameters else { return false };
        let at = symbol as usize;
        if at >= self.symbols.len() {
            self.symbols.resize_with(at + 1, Liquid::default);
        }
        let liquid = &mut self.symbols[at];
        let MarketData { bid, ask, bid_size, ask_size, .. } = *data;
        let before = (liquid.touch, liquid.marked);
        if came.is_mark {
            liquid.marked = feed;
        }
        // A trade alone says nothing of the touch.
        let said = [bid, ask, bid_size, ask_size].iter().any(Option::is_some);
        if said && !came.is_late {
            liquid.touch = Sides { bid, ask, bid_size, ask_size, feed };
        }
        let volume = data.volume.filter(|_| !came.again);
        let rolled = liquid.trade(volume, clock, day, parameters.days);
        rolled || before != (liquid.touch, liquid.marked)
    }

    /// The value of one of its measures, and the symbol that decides it, if one does.
    pub(super) fn figure(
        &self,
        measure: Bounded,
        held: impl Iterator<Item = Sale>,
    ) -> (Result<f64, Unknown>, Option<SymbolId>) {
        let Some(parameters) = self.parameters else { return (Err(Unknown::Missing), None) };
        let value = match measure {
            Bounded::RelativeSpread => self.mean(held, |liquid, _| Ok(liquid.quote()?.relative_spread())),
            Bounded::BeyondTouch => self.mean(held, |liquid, one| liquid.beyond_touch(one.quantity)),
            Bounded::LiquidationCost => {
                let mut cost = 0.0;
                let of = |liquid: &Liquid, one: &Sale| {
                    liquid.quote()?.cost_of(one.value).map_err(|_| Unknown::Missing)
                };
                self.each(held, of, |_, figure| cost += figure).map(|()| cost)
            }
            Bounded::DaysToLiquidate => {
                let mut slowest = (0.0, None);
                let of = |liquid: &Liquid, one: &Sale| liquid.days(one.quantity, parameters);
                let known = self.each(held, of, |one, figure| {
                    if figure > slowest.0 {
                        slowest = (figure, Some(one.symbol));
                    }
                });
                return (known.map(|()| slowest.0), known.ok().and(slowest.1));
            }
            _ => Err(Unknown::Missing),
        };
        (value, None)
    }

    /// All of its measures, as they are published; none where liquidity is not looked at.
    pub(super) fn measures(
        &self,
        unknown: Option<Unknown>,
        held: impl Iterator<Item = Sale> + Clone,
    ) -> Vec<Measure> {
        let value = |measure| unknown.map_or_else(|| self.figure(measure, held.clone()).0, Err);
        let named = |measure: Bounded| ratio(&measure.to_string(), value(measure));
        if self.parameters.is_none() { Vec::new() } else { LIQUIDITY.map(named).into() }
    }

    /// The mean of a figure over what is held, each weighted by the size of its value; 0 of nothing.
    fn mean(
        &self,
        held: impl Iterator<Item = Sale>,
        figure: impl Fn(&Liquid, &Sale) -> Result<f64, Unknown>,
    ) -> Result<f64, Unknown> {
        let (mut sum, mut weights, mut any) = (0.0, 0.0, false);
        self.each(held, figure, |one, figure| {
            any = true;
            let weight = libm::fabs(one.value);
            sum += weight * figure;
            weights += weight;
        })?;
        match (any, weights > 0.0) {
            (false, _) => Ok(0.0),
            (true, true) => Ok(sum / weights),
            // Of what is worth nothing there is no share.
            (true, false) => Err(Unknown::Missing),
        }
    }

    /// Takes a figure of all that is held, which is known if each one's is.
    fn each(
        &self,
        held: impl Iterator<Item = Sale>,
        figure: impl Fn(&Liquid, &Sale) -> Result<f64, Unknown>,
        mut take: impl FnMut(&Sale, f64),
    ) -> Result<(), Unknown> {
        let mut unknown = None;
        // What one portfolio is long and another short need not be sold.
        for one in held.filter(|one| one.quantity != 0.0 || one.value != 0.0) {
            let liquid = self.symbols.get(one.symbol as usize).ok_or(Unknown::Missing);
            // Units of several multipliers that cancel by number and not by value.
            let liquid =
                liquid.and_then(|it| if one.quantity == 0.0 { Err(Unknown::Missing) } else { Ok(it) });
            match liquid.and_then(|liquid| figure(liquid, &one)) {
                Ok(figure) => take(&one, figure),
                Err(reason) => unknown = worst(unknown, Some(reason)),
            }
        }
        unknown.map_or(Ok(()), Err)
    }

    /// What is saved.
    pub(super) fn save(&self) -> &Vec<Liquid> {
        &self.symbols
    }

    /// Goes on from what was saved, under parameters and a day that may be others.
    pub(super) fn restored(
        parameters: Option<LiquidityParameters>,
        day: &DayParameters,
        saved: Vec<Liquid>,
    ) -> Self {
        let symbols = parameters.map(|parameters| {
            saved.into_iter().map(|liquid| liquid.restored(day, parameters.days)).collect()
        });
        Self { parameters, symbols: symbols.unwrap_or_default() }
    }
}

impl Liquid {
    /// So much was traded, as far as the record says. Less than nothing says nothing. True if a whole day is over.
    fn trade(&mut self, volume: Option<Amount>, clock: Time, day: &DayParameters, most: usize) -> bool {
        let mut rolled = false;
        if self.ends.is_none_or(|ends| ends <= clock) {
            // The first day was begun somewhere in the middle.
            if std::mem::replace(&mut self.whole, self.ends.is_some()) {
                self.days.push_back(self.today);
                self.traded = added(self.traded, self.today);
                self.trim(most);
                rolled = true;
            }
            (self.ends, self.today) = (Some(day.next(clock)), None);
        }
        if let Some(volume) = volume.filter(|volume| !volume.is_negative()) {
            *self.today.get_or_insert_default() += Money::of(volume);
        }
        rolled
    }

    fn trim(&mut self, most: usize) {
        while self.days.len() > most {
            if let Some(oldest) = self.days.pop_front().flatten() {
                self.traded = (self.traded.0 - oldest, self.traded.1 - 1);
            }
        }
    }

    fn restored(mut self, day: &DayParameters, most: usize) -> Self {
        let same_day = self.ends.is_none_or(|ends| day.ends(ends) == ends);
        if !same_day {
            // What is traded from noon to noon is no volume of a day that begins at midnight.
            return Self { touch: self.touch, marked: self.marked, ..Self::default() };
        }
        self.traded = self.days.iter().copied().fold((Money::ZERO, 0), added);
        self.trim(most);
        self
    }

    /// The touch, if it is known to be as young as the mark is.
    fn touch(&self) -> Result<Sides, Unknown> {
        if self.touch.feed == self.marked { Ok(self.touch) } else { Err(Unknown::Missing) }
    }

    fn quote(&self) -> Result<Quote, Unknown> {
        let touch = self.touch()?;
        let (bid, ask) = touch.bid.zip(touch.ask).ok_or(Unknown::Missing)?;
        Quote::new(bid.to_f64(), ask.to_f64()).map_err(|_| Unknown::Missing)
    }

    /// The share of a position that the side it would be closed against does not take.
    fn beyond_touch(&self, quantity: f64) -> Result<f64, Unknown> {
        let touch = self.touch()?;
        let size = if quantity < 0.0 { touch.ask_size } else { touch.bid_size };
        let size = size.filter(|size| !size.is_negative()).ok_or(Unknown::Missing)?;
        Ok(1.0 - share_taken(quantity, size.to_f64()))
    }

    fn days(&self, quantity: f64, parameters: LiquidityParameters) -> Result<f64, Unknown> {
        let (sum, stated) = self.traded;
        if self.days.len() < parameters.minimum.max(1) {
            return Err(Unknown::WarmingUp);
        }
        if stated == 0 {
            return Err(Unknown::Missing);
        }
        let average = sum.to_f64() / self.days.len() as f64;
        // Of what is not traded, or as good as not, no share can be sold: more than every bound.
        Ok(days_to_liquidate(quantity, average, parameters.participation).unwrap_or(f64::MAX))
    }
}

fn added((sum, stated): (Money, usize), day: Option<Money>) -> (Money, usize) {
    day.map_or((sum, stated), |traded| (sum + traded, stated + 1))
}

impl Portfolio {
    /// The value of a measure of liquidity, and the symbol that decides it.
    pub(super) fn liquidity(
        &self,
        measure: Bounded,
        around: &Around<'_>,
    ) -> (Result<f64, Unknown>, Option<SymbolId>) {
        match self.exposure_unknown() {
            Some(reason) => (Err(reason), None),
            None => around.liquidity.figure(measure, self.sales()),
        }
    }

    /// What is held, by symbol's place.
    pub(super) fn sales(&self) -> impl Iterator<Item = Sale> + Clone {
        self.holdings.iter().map(|holding| Sale {
            symbol: holding.symbol,
            quantity: holding.line.quantity.to_f64(),
            value: holding.value.unwrap_or_default().to_f64(),
        })
    }
}
