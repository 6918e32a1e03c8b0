//! What the books of a scope's portfolios gained and lost: realised and unrealised profit, and fees.

use std::collections::BTreeMap;
use std::ops::{AddAssign, SubAssign};

use serde::{Deserialize, Serialize};
use tapewatch_schemas::events::{Holdings, Measure, Unknown};
use tapewatch_schemas::{Amount, Currency};

use super::scope::ScopeState;
use crate::risk::day::Day;
use crate::risk::marks::Marks;
use crate::risk::money::Money;
use crate::risk::parameters::Basis;
use crate::risk::portfolio::worst;
use crate::risk::publish::money;
use crate::risk::rates::Rates;

/// What a portfolio's book gained and lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Profit {
    /// Of the amounts.
    pub(super) currency: Currency,
    pub(super) amounts: Amounts,
    pub(super) unknown: Reasons,
}

impl Profit {
    /// As a book says it.
    pub(super) fn of(holdings: &Holdings) -> Option<Self> {
        let profit = holdings.profit.as_ref()?;
        let of = |amount: Amount| Money::of(amount);
        Some(Self {
            currency: holdings.currency.clone(),
            amounts: Amounts { realised: of(profit.realised), cost: of(profit.cost), fees: of(profit.fees) },
            unknown: Reasons {
                realised: profit.realised_unknown,
                cost: profit.cost_unknown,
                fees: profit.fees_unknown,
            },
        })
    }
}

/// Realised profit, what is open cost, and fees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Amounts {
    realised: Money,
    cost: Money,
    fees: Money,
}

impl AddAssign for Amounts {
    fn add_assign(&mut self, other: Self) {
        self.realised += other.realised;
        self.cost += other.cost;
        self.fees += other.fees;
    }
}

impl SubAssign for Amounts {
    fn sub_assign(&mut self, other: Self) {
        self.realised -= other.realised;
        self.cost -= other.cost;
        self.fees -= other.fees;
    }
}

/// Why each of them is unknown; none if it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reasons {
    realised: Option<Unknown>,
    cost: Option<Unknown>,
    fees: Option<Unknown>,
}

impl Reasons {
    /// Those of a portfolio that said nothing of it.
    pub(super) const MISSING: Self =
        Self { realised: Some(Unknown::Missing), cost: Some(Unknown::Missing), fees: Some(Unknown::Missing) };

    /// The weightier of each.
    pub(super) fn worst(self, other: Self) -> Self {
        Self {
            realised: worst(self.realised, other.realised),
            cost: worst(self.cost, other.cost),
            fees: worst(self.fees, other.fees),
        }
    }
}

/// The sums over a scope's portfolios.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Profits {
    /// By what the books say.
    pub(super) unknown: Reasons,
    /// By the rates of the currencies that the books are in.
    pub(super) rates_unknown: Option<Unknown>,
    /// By currency.
    #[serde(skip)]
    amounts: BTreeMap<Currency, Amounts>,
    /// In all, at the rates; nothing of what has none.
    #[serde(skip)]
    in_all: Amounts,
}

impl Profits {
    /// What a portfolio's book says comes, and what it said before goes.
    pub(super) fn replace(&mut self, before: Option<&Profit>, now: Option<&Profit>) {
        if let Some(before) = before {
            *self.amounts.entry(before.currency.clone()).or_default() -= before.amounts;
        }
        if let Some(now) = now {
            *self.amounts.entry(now.currency.clone()).or_default() += now.amounts;
        }
        self.amounts.retain(|_, amounts| *amounts != Amounts::default());
    }

    /// The currencies of the portfolios' books.
    pub(super) fn currencies(&self) -> impl Iterator<Item = &Currency> {
        self.amounts.keys()
    }

    /// Values the sums at the rates.
    pub(super) fn value(&mut self, own: &Currency, rates: &Rates, marks: &Marks) {
        self.in_all = Amounts::default();
        for (currency, amounts) in &self.amounts {
            let into = |money: Money| rates.money(money, currency, own, marks);
            let Amounts { realised, cost, fees } = *amounts;
            if let (Some(realised), Some(cost), Some(fees)) = (into(realised), into(cost), into(fees)) {
                self.in_all += Amounts { realised, cost, fees };
            }
        }
    }
}

impl ScopeState {
    /// A portfolio's book says something else of what it gained and lost than before.
    pub(super) fn take_profit(&mut self, (before, now): (Option<&Profit>, Option<&Profit>), basis: Basis) {
        let same = before.map(|before| &before.currency) == now.map(|now| &now.currency);
        if basis == Basis::Book && !same {
            // What it gained before it came is no change, nor is what goes with it.
            self.changes.interrupt();
            self.equity.day = Day::default();
        }
        self.profits.replace(before, now);
    }

    /// True if any account or book is in another currency.
    pub(super) fn is_abroad(&self, own: &Currency) -> bool {
        self.equity.currencies().chain(self.profits.currencies()).any(|currency| currency != own)
    }

    /// Values what accounts add, and what books gained and lost, at the rates.
    pub(super) fn value_abroad(&mut self, own: &Currency, rates: &Rates, marks: &Marks) {
        self.equity.value(own, rates, marks);
        self.profits.value(own, rates, marks);
    }

    /// Realised profit, unrealised profit, and fees.
    pub(super) fn profit_measures(&self) -> [Measure; 3] {
        let Profits { unknown, rates_unknown, in_all, .. } = &self.profits;
        let of_books = |reason| worst(self.books_unknown, worst(reason, *rates_unknown));
        let unrealised = worst(of_books(unknown.cost), self.marks_unknown);
        [
            money("realised_pnl", of_books(unknown.realised), in_all.realised),
            money("unrealised_pnl", unrealised, self.sums.net - in_all.cost),
            money("fees", of_books(unknown.fees), in_all.fees),
        ]
    }

    /// Profit and loss as changes of it are taken, for samples and by the day; or why it is unknown.
    ///
    /// What is not known of costs makes no difference to changes, as in a portfolio; a book that says nothing of them does.
    pub(super) fn profit_by(&self, basis: Basis) -> Result<Money, Unknown> {
        match basis {
            Basis::Equity => {
                self.equity_unknown().map_or_else(|| Ok(self.equity() - self.equity.flows()), Err)
            }
            Basis::Book => {
                let said = |reason: Option<Unknown>| reason.filter(|reason| *reason == Unknown::Missing);
                let reason = worst(self.unknown(), self.profits.rates_unknown);
                let reason = worst(reason, said(self.profits.unknown.realised));
                let Amounts { realised, cost, fees } = self.profits.in_all;
                reason.map_or_else(|| Ok(self.sums.net - cost + realised - fees), Err)
            }
        }
    }
}
