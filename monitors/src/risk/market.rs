//! Taking market data: a new mark, and new values for those who hold the symbol.

use tapewatch_schemas::Time;
use tapewatch_schemas::events::MarketData;

use super::marks::{Mark, price_of};
use super::money::Money;
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
            self.read(known, &data.source, data.sequence, seen);
            return Ok(());
        };
        let same_currency = mark.is_some_and(|mark| mark.currency == data.currency);
        // Another source's heartbeats may not reach as far as those of the one before.
        let same_feed = mark.is_some_and(|mark| Some(mark.feed) == known);

        let mut values = std::mem::take(&mut self.values);
        values.clear();
        if let Some(symbol) = symbol {
            for place in &self.marks.entry(symbol).holders {
                let portfolio = &self.portfolios[*place as usize];
                let holding = portfolio.holding(symbol).expect("a holder holds the symbol");
                values.push(
                    Money::value(holding.line.quantity, price, holding.multiplier)
                        .map_err(overflow("last"))?,
                );
            }
        } else {
            self.room_for_symbols(1)?;
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
        self.follow_history();
        for (nth, value) in values.iter().enumerate() {
            let place = self.marks.entry(symbol).holders[nth];
            let portfolio = &mut self.portfolios[place as usize];
            let at = portfolio.find(symbol).expect("a holder holds the symbol");
            portfolio.revalue(at, *value, data.event_time);
            self.touched(place);
            self.settle(place, !same_currency || !same_feed, out);
        }
        self.values = values;
        Ok(())
    }
}
