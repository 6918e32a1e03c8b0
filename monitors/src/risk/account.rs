//! Taking account records: money as the trading system states it, and what was paid in and out.

use tapewatch_schemas::events::Account;
use tapewatch_schemas::{Currency, Time};

use super::changes::Changes;
use super::correlation::Correlated;
use super::day::Day;
use super::money::Money;
use super::portfolio::AccountState;
use super::revalued::Revalued;
use super::{RiskMonitor, overflow};
use crate::monitor::{Output, Refusal, Seen};

impl RiskMonitor {
    pub(super) fn on_account(
        &mut self,
        record: &Account,
        seen: &Seen<'_>,
        clock: Time,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let flows = record.deposits.checked_sub(record.withdrawals).map_err(overflow("deposits"))?;
        let known_feed = self.feed(&record.source, seen)?;
        let known = self.portfolio(&record.portfolio)?;

        // Nothing is refused from here on.
        self.clock = clock;
        let feed = self.read(known_feed, &record.source, record.sequence, seen);
        let place = self.portfolio_or_new(known, &record.portfolio);
        let portfolio = &self.portfolios[place as usize];
        if portfolio.account.as_ref().is_some_and(|a| a.event_time > record.event_time) {
            // Late: a newer record is in force.
            return Ok(());
        }
        let (equity, flows) = (Money::of(record.equity), Money::of(flows));
        let same_currency = portfolio.currency.as_ref() == Some(&record.currency);
        if !same_currency {
            self.redenominate(place, &record.currency);
        }
        let portfolio = &mut self.portfolios[place as usize];
        if let Some(before) = &portfolio.account {
            if !same_currency {
                // Figures in two currencies make no series.
                portfolio.drawdown.flow(0.0, 0.0);
            } else if before.flows != flows {
                let flow = flows - before.flows;
                portfolio.drawdown.flow((equity - flow).to_f64(), equity.to_f64());
            }
        }
        for holding in &mut portfolio.holdings {
            let unpriced = holding.value.is_none();
            holding.anchored = if unpriced { Money::of(holding.line.quantity) } else { Money::ZERO };
        }
        if portfolio.settles.is_none_or(|settles| settles < clock) {
            portfolio.settles = Some(record.event_time);
        }
        portfolio.account = Some(AccountState {
            feed,
            event_time: record.event_time,
            cash: Money::of(record.cash),
            equity,
            flows,
            anchor: portfolio.profit(),
            spent: portfolio.spent_after(record.event_time),
        });
        self.touched(place);
        self.settle(place, true, out);
        Ok(())
    }

    /// A portfolio goes on in another currency than its book has been in, if it has been in any. Figures in two
    /// currencies make no series.
    fn redenominate(&mut self, place: u32, into: &Currency) {
        let portfolio = &mut self.portfolios[place as usize];
        let Some(from) = portfolio.currency.replace(into.clone()) else {
            return self.follow_all_rates(place);
        };
        let rate = self.rate_at(&from, into, self.clock);
        let portfolio = &mut self.portfolios[place as usize];
        portfolio.redenominate(rate);
        portfolio.said = None;
        portfolio.day = Day::begun(portfolio.realised, portfolio.realised_unknown);
        portfolio.changes = Changes::new(&self.parameters.window);
        portfolio.revalued = Revalued::default();
        portfolio.correlated = Correlated::default();
        self.follow_all_rates(place);
        for value in self.worth_now(place) {
            self.portfolios[place as usize].revalue(value.at, value.value, Time::MIN);
        }
    }
}
