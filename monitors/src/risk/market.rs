//! Taking market data: a new mark, and new values for those who hold the symbol or what is converted by it.

use tapewatch_schemas::events::MarketData;
use tapewatch_schemas::{Amount, Time};

use super::abroad::Worth;
use super::feeds::FeedId;
use super::liquidity::Came;
use super::marks::{Mark, SymbolId, price_of};
use super::{RiskMonitor, overflow};
use crate::monitor::{Output, Refusal, Seen};

impl RiskMonitor {
    pub(super) fn on_market_data(
        &mut self,
        data: &MarketData,
        seen: &Seen<'_>,
        clock: Time,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let price = price_of(data, self.half).map_err(overflow("bid"))?;
        let symbol = self.marks.find(&data.symbol);
        let mark = symbol.and_then(|s| self.marks.mark(s));
        // Most marks come by the feed that the last one came by: no look-up.
        let known = match mark {
            Some(mark) if self.feeds.is(mark.feed, &data.source, seen.topic, seen.partition) => {
                Some(mark.feed)
            }
            _ => self.feed(&data.source, seen)?,
        };
        let late = mark.is_some_and(|mark| mark.event_time > data.event_time);
        let Some(price) = price.filter(|_| !late) else {
            self.clock = clock;
            let came = Came { is_mark: false, is_late: late, again: self.again(known, data) };
            let feed = self.read(known, &data.source, data.sequence, seen);
            let day = &self.parameters.day;
            if let Some(symbol) = symbol
                && self.liquidity.take(symbol, data, (feed, came), clock, day)
            {
                for place in self.marks.entry(symbol).holders.clone() {
                    self.level_is_due(place);
                    self.settle(place, false, out);
                }
            }
            return Ok(());
        };
        let came = Came { is_mark: true, is_late: false, again: self.again(known, data) };
        let same_currency = mark.is_some_and(|mark| mark.currency == data.currency);
        // Another source's heartbeats may not reach as far as those of the one before.
        let same_feed = mark.is_some_and(|mark| Some(mark.feed) == known);

        let mut values = std::mem::take(&mut self.values);
        values.clear();
        let converts = symbol.is_some_and(|symbol| self.rates.has(symbol));
        match symbol {
            Some(symbol) if converts => self.worth_after(symbol, data, price, &mut values)?,
            Some(symbol) => self.worth_at_mark(symbol, data, price, &mut values)?,
            None => self.room_for_symbols(1)?,
        }

        // Nothing is refused from here on.
        self.clock = clock;
        let feed = self.read(known, &data.source, data.sequence, seen);
        let symbol = symbol.unwrap_or_else(|| self.marks.add(&data.symbol));
        let entry = self.marks.entry_mut(symbol);
        match &mut entry.mark {
            Some(mark) if same_currency => {
                (mark.price, mark.event_time, mark.feed) = (price, data.event_time, feed);
            }
            mark => {
                let (currency, event_time) = (data.currency.clone(), data.event_time);
                *mark = Some(Mark { price, currency, event_time, feed });
            }
        }
        self.liquidity.take(symbol, data, (feed, came), clock, &self.parameters.day);
        self.follow_history();
        for (nth, worth) in values.iter().enumerate() {
            let place = worth.portfolio;
            let portfolio = &mut self.portfolios[place as usize];
            portfolio.revalue(worth.at, worth.value, data.event_time);
            if values.get(nth + 1).is_none_or(|next| next.portfolio != place) {
                self.touched(place);
                let unpriced = worth.value.is_none();
                self.settle(place, !same_currency || !same_feed || converts || unpriced, out);
            }
        }
        self.values = values;
        Ok(())
    }

    /// True if a feed had read as far as this record before.
    fn again(&self, feed: Option<FeedId>, data: &MarketData) -> bool {
        feed.is_some_and(|feed| self.feeds.has_read(feed, data.sequence))
    }

    /// What the holders of a symbol have of it at a new price.
    fn worth_at_mark(
        &self,
        symbol: SymbolId,
        data: &MarketData,
        price: Amount,
        values: &mut Vec<Worth>,
    ) -> Result<(), Refusal> {
        for place in &self.marks.entry(symbol).holders {
            let portfolio = &self.portfolios[*place as usize];
            let at = portfolio.find(symbol).expect("a holder holds the symbol");
            let holding = &portfolio.holdings[at];
            let own = portfolio.currency.as_ref().unwrap_or(&holding.currency);
            let value = if holding.currency == data.currency {
                let (quantity, multiplier) = (holding.line.quantity, holding.multiplier);
                let way = (&holding.currency, own);
                self.worth_at(price, quantity, multiplier, way).map_err(overflow("last"))?
            } else {
                None
            };
            values.push(Worth { portfolio: *place, at, value });
        }
        Ok(())
    }

    /// What everybody has at a new rate: as it will be, with the mark as it is if anything does not fit.
    fn worth_after(
        &mut self,
        symbol: SymbolId,
        data: &MarketData,
        price: Amount,
        values: &mut Vec<Worth>,
    ) -> Result<(), Refusal> {
        let (currency, event_time) = (data.currency.clone(), data.event_time);
        // By which feed it comes makes no difference to what anything is worth.
        let mark = Mark { price, currency, event_time, feed: 0 };
        let before = self.marks.entry_mut(symbol).mark.replace(mark);
        let worth = self.worth_by(symbol);
        self.marks.entry_mut(symbol).mark = before;
        *values = worth.map_err(overflow("last"))?;
        Ok(())
    }
}
