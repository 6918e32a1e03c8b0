//! What a scope is worth: the equity of its portfolios, valued anew, and how that moved.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tapewatch_schemas::PortfolioId;
use tapewatch_schemas::events::Unknown;

use super::books::Standing;
use super::scope::ScopeState;
use crate::kernels::Drawdown;
use crate::risk::day::{Day, loss_share};
use crate::risk::limits::leverage;
use crate::risk::measure::Bounded;
use crate::risk::money::Money;
use crate::risk::portfolio::worst;

/// The equity of a scope's portfolios beside what they hold, and what was made of the whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Equity {
    /// Why what rests on the accounts is unknown.
    pub(super) unknown: Option<Unknown>,
    /// What came in and went out: deposits less withdrawals, and the equity of portfolios that came and went.
    flows: Money,
    /// The same, since equity was last known.
    pending: Money,
    /// Portfolios that came since.
    joining: BTreeSet<PortfolioId>,
    pub(super) drawdown: Drawdown,
    pub(super) day: Day,
    /// Of the portfolios, without what they hold.
    #[serde(skip)]
    pub(super) beside: Money,
}

impl Equity {
    /// Nothing of how it moved before is of what it is from here on.
    pub(super) fn begin_anew(&mut self) {
        *self = Self { unknown: self.unknown, beside: self.beside, ..Self::default() };
    }
}

impl ScopeState {
    /// Equity, at the marks. Meaningless where [`ScopeState::equity_unknown`] has a reason.
    pub(super) fn equity(&self) -> Money {
        self.equity.beside + self.sums.net
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
        (before, now): (Option<Standing>, Option<Standing>),
        had: Option<Money>,
    ) {
        let beside = |standing: Option<Standing>| standing.map_or(Money::ZERO, |one| one.beside);
        self.equity.beside += beside(now) - beside(before);
        match (before, now) {
            (Some(before), Some(now)) => {
                if !self.equity.joining.contains(portfolio) {
                    self.equity.pending += now.flows - before.flows;
                }
            }
            (None, Some(_)) => {
                self.equity.joining.insert(portfolio.clone());
            }
            (Some(_), None) if self.equity.joining.remove(portfolio) => {}
            // What nobody knows counts as lost: rather that than to forget what was lost before.
            (Some(_), None) => self.equity.pending -= had.unwrap_or_default(),
            (None, None) => {}
        }
    }

    /// Follows the equity, if it is known; true if a new day would say something else. `worth` is what a portfolio is.
    pub(super) fn follow_equity(&mut self, worth: impl Fn(&PortfolioId) -> Option<Money>) -> bool {
        if self.equity_unknown().is_none() {
            let equity = self.equity();
            let joined: Money = std::mem::take(&mut self.equity.joining).iter().filter_map(worth).sum();
            let flow = std::mem::take(&mut self.equity.pending) + joined;
            if flow != Money::ZERO {
                self.equity.flows += flow;
                self.equity.drawdown.flow((equity - flow).to_f64(), equity.to_f64());
            }
            self.equity.drawdown.push(equity.to_f64());
            self.equity.day.follow(equity - self.equity.flows);
        }
        self.day_moved()
    }

    /// True if a new day would say something else.
    pub(super) fn day_moved(&self) -> bool {
        self.equity.day.moved(Money::ZERO, 0)
    }

    /// Profit and loss of the day so far.
    pub(super) fn daily_profit(&self) -> Result<Money, Unknown> {
        match self.equity_unknown() {
            Some(reason) => Err(reason),
            None => self.equity.day.profit(self.equity() - self.equity.flows).ok_or(Unknown::Missing),
        }
    }

    /// A measure that rests on equity; none if it is no such measure.
    pub(super) fn of_equity(&self, measure: Bounded) -> Option<Result<f64, Unknown>> {
        let known = |value: f64| self.equity_unknown().map_or(Ok(value), Err);
        Some(match measure {
            Bounded::Leverage => known(leverage(self.sums.gross, self.equity())),
            Bounded::Drawdown => known(self.equity.drawdown.current()),
            Bounded::MaxDrawdown => known(self.equity.drawdown.largest()),
            Bounded::DailyLoss => self.daily_profit().map(|profit| (-profit).max(Money::ZERO).to_f64()),
            Bounded::DailyLossShare => self.daily_profit().map(|profit| loss_share(profit, self.equity())),
            _ => return None,
        })
    }
}
