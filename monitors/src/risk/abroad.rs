//! What is priced in another currency than its portfolio's: what it is worth there, and who holds it.

use tapewatch_schemas::amount::AmountError;
use tapewatch_schemas::events::Unknown;
use tapewatch_schemas::{Amount, Currency, Time};

use super::RiskMonitor;
use super::around::Earliest;
use super::marks::SymbolId;
use super::money::Money;
use super::portfolio::worst;
use super::rates::{Quoted, Rate};
use super::revalued::Revalued;

/// A holding's value now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Worth {
    pub(super) portfolio: u32,
    /// Its place among the portfolio's holdings.
    pub(super) at: usize,
    /// None without a mark, or a rate.
    pub(super) value: Option<Money>,
}

impl RiskMonitor {
    /// What a position priced in one currency is worth in another, at the mark and the rate now; none without them.
    ///
    /// # Errors
    /// It does not fit an amount.
    pub(super) fn worth(
        &self,
        symbol: SymbolId,
        quantity: Amount,
        multiplier: Amount,
        (priced, own): (&Currency, &Currency),
    ) -> Result<Option<Money>, AmountError> {
        let Some(mark) = self.marks.mark(symbol).filter(|mark| mark.currency == *priced) else {
            return Ok(None);
        };
        self.worth_at(mark.price, quantity, multiplier, (priced, own))
    }

    /// The same at a price.
    ///
    /// # Errors
    /// It does not fit an amount.
    pub(super) fn worth_at(
        &self,
        price: Amount,
        quantity: Amount,
        multiplier: Amount,
        (priced, own): (&Currency, &Currency),
    ) -> Result<Option<Money>, AmountError> {
        let rate = self.rates.rate(priced, own, &self.marks);
        if !rate.is_known() {
            return Ok(None);
        }
        Quoted { price, rate }.value(quantity, multiplier).map(Some)
    }

    /// The rate at which something is paid at `clock`: none that is stale, or whose source is down.
    pub(super) fn rate_at(&self, from: &Currency, to: &Currency, clock: Time) -> Rate {
        if from == to {
            return Rate::Own;
        }
        let (bound, mut earliest) = (self.parameters.freshness.marks, Earliest { clock, at: None });
        let unknown = self.rates.unknown((from, to), &self.marks, &self.feeds, bound, &mut earliest);
        if unknown.is_none() { self.rates.rate(from, to, &self.marks) } else { Rate::Unknown }
    }

    /// What a holding is worth now.
    fn holding_now(&self, portfolio: u32, at: usize) -> Result<Worth, AmountError> {
        let of = &self.portfolios[portfolio as usize];
        let holding = &of.holdings[at];
        let own = of.currency.as_ref().unwrap_or(&holding.currency);
        let (symbol, quantity) = (holding.symbol, holding.line.quantity);
        let value = self.worth(symbol, quantity, holding.multiplier, (&holding.currency, own))?;
        Ok(Worth { portfolio, at, value })
    }

    /// What all that a portfolio holds is worth now; nothing where it does not fit.
    pub(super) fn worth_now(&self, portfolio: u32) -> Vec<Worth> {
        let all = 0..self.portfolios[portfolio as usize].holdings.len();
        let of = |at| self.holding_now(portfolio, at).unwrap_or(Worth { portfolio, at, value: None });
        all.map(of).collect()
    }

    /// What all that is held of a pair's symbol, or converted by it, is worth now: by portfolio.
    ///
    /// # Errors
    /// Something does not fit an amount.
    pub(super) fn worth_by(&self, pair: SymbolId) -> Result<Vec<Worth>, AmountError> {
        let mut places: Vec<u32> =
            self.abroad.iter().chain(&self.marks.entry(pair).holders).copied().collect();
        places.sort_unstable();
        places.dedup();
        let mut all = Vec::new();
        for place in places {
            let portfolio = &self.portfolios[place as usize];
            for (at, holding) in portfolio.holdings.iter().enumerate() {
                let own = portfolio.currency.as_ref().unwrap_or(&holding.currency);
                if holding.symbol == pair || self.rates.goes_over(&holding.currency, own, pair) {
                    all.push(self.holding_now(place, at)?);
                }
            }
        }
        Ok(all)
    }

    /// A portfolio may hold something that is priced in this currency.
    pub(super) fn follow_rates(&mut self, place: u32, priced: &Currency) {
        if self.portfolios[place as usize].currency.as_ref().is_some_and(|own| own != priced) {
            self.abroad.insert(place);
        }
    }

    /// A portfolio may hold other things than before, or is in another currency.
    pub(super) fn follow_all_rates(&mut self, place: u32) {
        let portfolio = &self.portfolios[place as usize];
        let own = portfolio.currency.as_ref();
        if portfolio.holdings.iter().any(|holding| own.is_some_and(|own| *own != holding.currency)) {
            self.abroad.insert(place);
        } else {
            self.abroad.remove(&place);
        }
    }

    /// Other rates are known than when the state was saved: what is converted is valued anew, and looked at before
    /// anything else happens. A change of that kind is neither profit nor loss.
    pub(super) fn convert_anew(&mut self) {
        for place in self.abroad.clone() {
            for worth in self.worth_now(place) {
                self.portfolios[place as usize].revalue(worth.at, worth.value, Time::MIN);
            }
            let portfolio = &mut self.portfolios[place as usize];
            portfolio.break_series(self.parameters.window.basis);
            portfolio.revalued = Revalued::default();
            portfolio.unknowns.marks = worst(portfolio.unknowns.marks, Some(Unknown::NoRate));
            let before = portfolio.check_at.replace(self.clock);
            before.map(|at| self.checks.remove(&(at, place)));
            self.checks.insert((self.clock, place));
            self.unwell.insert(place);
            self.level_is_due(place);
        }
    }
}
