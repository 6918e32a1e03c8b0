//! What a scope is worth: the equity of its portfolios, valued anew, and how that moved.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tapewatch_schemas::events::Unknown;
use tapewatch_schemas::{Currency, PortfolioId, Time};

use super::books::Standing;
use super::scope::ScopeState;
use crate::risk::day::{Day, loss_share};
use crate::risk::depth::Depth;
use crate::risk::limits::leverage;
use crate::risk::marks::Marks;
use crate::risk::measure::Bounded;
use crate::risk::money::Money;
use crate::risk::parameters::Basis;
use crate::risk::portfolio::worst;
use crate::risk::rates::Rates;

/// The equity of a scope's portfolios beside what they hold, and what was made of the whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Equity {
    /// Why what rests on the accounts is unknown.
    pub(super) unknown: Option<Unknown>,
    /// What came in and went out: deposits less withdrawals, and the equity of portfolios that came and went.
    flows: Money,
    /// The same, since equity was last known, by currency.
    pending: BTreeMap<Currency, Money>,
    /// Portfolios that came since.
    joining: BTreeSet<PortfolioId>,
    pub(super) drawdown: Depth,
    pub(super) day: Day,
    /// Of the portfolios, without what they hold, by the currencies of their accounts.
    #[serde(skip)]
    beside: BTreeMap<Currency, Money>,
    /// The same in all, at the rates; nothing of what has none.
    #[serde(skip)]
    beside_in_all: Money,
}

impl Equity {
    /// Of which nothing is known yet; drawdowns trail over a window.
    pub(super) fn new(window: Duration) -> Self {
        Self {
            unknown: None,
            flows: Money::ZERO,
            pending: BTreeMap::new(),
            joining: BTreeSet::new(),
            drawdown: Depth::new(window),
            day: Day::default(),
            beside: BTreeMap::new(),
            beside_in_all: Money::ZERO,
        }
    }

    /// Nothing of how it moved before is of what it is from here on.
    pub(super) fn begin_anew(&mut self, window: Duration) {
        let beside = std::mem::take(&mut self.beside);
        let Self { unknown, beside_in_all, .. } = *self;
        *self = Self { unknown, beside, beside_in_all, ..Self::new(window) };
    }

    /// What a portfolio's account adds comes, and what it added before goes.
    pub(super) fn replace(&mut self, before: Option<&Standing>, now: Option<&Standing>) {
        if let Some(before) = before {
            *self.beside.entry(before.currency.clone()).or_default() -= before.beside;
        }
        if let Some(now) = now {
            *self.beside.entry(now.currency.clone()).or_default() += now.beside;
        }
        self.beside.retain(|_, money| *money != Money::ZERO);
    }

    /// Deposits less withdrawals, and the equity of portfolios that came and went.
    pub(super) fn flows(&self) -> Money {
        self.flows
    }

    /// The currencies of the portfolios' accounts.
    pub(super) fn currencies(&self) -> impl Iterator<Item = &Currency> {
        self.beside.keys()
    }

    /// Values what accounts add at the rates.
    pub(super) fn value(&mut self, own: &Currency, rates: &Rates, marks: &Marks) {
        let worth = |(currency, money): (&Currency, &Money)| rates.money(*money, currency, own, marks);
        self.beside_in_all = self.beside.iter().filter_map(worth).sum();
    }
}

impl ScopeState {
    /// Equity, at the marks. Meaningless where [`ScopeState::equity_unknown`] has a reason.
    pub(super) fn equity(&self) -> Money {
        self.equity.beside_in_all + self.sums.net
    }

    /// Why equity, and what rests on it, is unknown.
    pub(super) fn equity_unknown(&self) -> Option<Unknown> {
        worst(self.unknown(), self.equity.unknown)
    }

    /// A portfolio's account says something else; `had` is what it was worth before, none if that is not known.
    ///
    /// What one portfolio has when it comes is no profit of the scope, and what one takes with it no loss. Both are seen to
    /// when equity is next known, since nobody knows before what a share of it is.
    pub(super) fn take_standing(
        &mut self,
        portfolio: &PortfolioId,
        (before, now): (Option<&Standing>, Option<&Standing>),
        had: Option<Money>,
        own: &Currency,
    ) {
        self.equity.replace(before, now);
        if let (Some(before), Some(now)) = (before, now)
            && before.currency == now.currency
        {
            if !self.equity.joining.contains(portfolio) && now.flows != before.flows {
                *self.equity.pending.entry(now.currency.clone()).or_default() += now.flows - before.flows;
            }
            return;
        }
        // What nobody knows counts as lost: rather that than to forget what was lost before.
        if before.is_some() && !self.equity.joining.remove(portfolio) {
            *self.equity.pending.entry(own.clone()).or_default() -= had.unwrap_or_default();
        }
        // An account in another currency than before is another one: what was paid into it is not comparable.
        if now.is_some() {
            self.equity.joining.insert(portfolio.clone());
        }
    }

    /// Follows the equity, if it is known. `worth` is what a portfolio is.
    pub(super) fn follow_equity(
        &mut self,
        worth: impl Fn(&PortfolioId) -> Option<Money>,
        into_own: impl Fn(&Currency, Money) -> Option<Money>,
        clock: Time,
    ) {
        if self.equity_unknown().is_none() {
            let equity = self.equity();
            let joined: Money = std::mem::take(&mut self.equity.joining).iter().filter_map(worth).sum();
            let mut paid = Money::ZERO;
            // What cannot be converted waits.
            self.equity.pending.retain(|currency, money| match into_own(currency, *money) {
                Some(money) => {
                    paid += money;
                    false
                }
                None => true,
            });
            let flow = paid + joined;
            if flow != Money::ZERO {
                self.equity.flows += flow;
                self.equity.drawdown.flow((equity - flow).to_f64(), equity.to_f64());
            }
            self.equity.drawdown.push(equity.to_f64(), clock);
        }
    }

    /// True if a new day would say something else.
    pub(super) fn day_moved(&self) -> bool {
        self.equity.day.moved(Money::ZERO, 0)
    }

    /// Profit and loss of the day so far.
    pub(super) fn daily_profit(&self, basis: Basis) -> Result<Money, Unknown> {
        self.equity.day.profit(self.profit_by(basis)?).ok_or(Unknown::Missing)
    }

    /// A measure that rests on equity, or on what is counted as profit by the day; none if it is no such measure.
    pub(super) fn of_equity(
        &self,
        measure: Bounded,
        basis: Basis,
        clock: Time,
    ) -> Option<Result<f64, Unknown>> {
        fn unless<T>(unknown: Option<Unknown>, value: T) -> Result<T, Unknown> {
            unknown.map_or(Ok(value), Err)
        }
        let known = |value: f64| unless(self.equity_unknown(), value);
        Some(match measure {
            Bounded::Leverage => known(leverage(self.sums.gross, self.equity())),
            Bounded::Drawdown => known(self.equity.drawdown.current()),
            Bounded::MaxDrawdown => known(self.equity.drawdown.largest()),
            Bounded::TrailingDrawdown => known(self.equity.drawdown.trailing(clock)),
            Bounded::UnderWater => known(self.equity.drawdown.under_water(clock)),
            Bounded::DailyLoss => self.daily_profit(basis).map(|profit| (-profit).max(Money::ZERO).to_f64()),
            Bounded::DailyLossShare => {
                let equity = unless(self.equity_unknown(), self.equity());
                equity.and_then(|equity| Ok(loss_share(self.daily_profit(basis)?, equity)))
            }
            _ => return None,
        })
    }
}
