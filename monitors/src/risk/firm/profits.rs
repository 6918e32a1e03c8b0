//! What the books of a scope's portfolios gained and lost: realised and unrealised profit, and fees.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{AddAssign, SubAssign};

use serde::{Deserialize, Serialize};
use tapewatch_schemas::events::{Holdings, Measure, Unknown};
use tapewatch_schemas::{Amount, Currency, PortfolioId};

use super::scope::ScopeState;
use crate::risk::marks::{Marks, SymbolId};
use crate::risk::money::Money;
use crate::risk::parameters::Basis;
use crate::risk::portfolio::worst;
use crate::risk::publish::result;
use crate::risk::rates::Rates;

/// What a portfolio's book gained and lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Profit {
    /// Of the amounts.
    pub(super) currency: Currency,
    /// Amounts of another are not to be compared with these.
    series: i64,
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
            series: profit.series,
            amounts: Amounts { realised: of(profit.realised), cost: of(profit.cost), fees: of(profit.fees) },
            unknown: Reasons {
                realised: profit.realised_unknown,
                cost: profit.cost_unknown,
                fees: profit.fees_unknown,
                silent: None,
            },
        })
    }

    /// True if it goes on from there.
    pub(super) fn follows(&self, before: &Self) -> bool {
        (&self.currency, self.series) == (&before.currency, before.series)
    }
}

/// Realised profit, what is open cost, and fees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Amounts {
    realised: Money,
    cost: Money,
    fees: Money,
}

impl Amounts {
    /// What was gained beside what is held.
    pub(super) fn beside(self) -> Money {
        self.realised - self.cost - self.fees
    }
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
    /// Of what a book says nothing at all.
    silent: Option<Unknown>,
}

impl Reasons {
    /// Those of a portfolio that said nothing of it.
    pub(super) const MISSING: Self = {
        let missing = Some(Unknown::Missing);
        Self { realised: missing, cost: missing, fees: missing, silent: missing }
    };

    /// The weightier of each.
    pub(super) fn worst(self, other: Self) -> Self {
        Self {
            realised: worst(self.realised, other.realised),
            cost: worst(self.cost, other.cost),
            fees: worst(self.fees, other.fees),
            silent: worst(self.silent, other.silent),
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
    /// What portfolios took with them since profit was last known, less than nothing,
    gone: Money,
    /// and those that came since, or began to count anew.
    joining: BTreeSet<PortfolioId>,
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

    /// Nothing of how it moved before is of what it is from here on.
    pub(super) fn begin_anew(&mut self) {
        (self.gone, self.joining) = (Money::ZERO, BTreeSet::new());
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
    /// A portfolio's book says something else of what it gained and lost than before; `had` is what it had gained, none if
    /// that is not known.
    ///
    /// What one gained before it came is no profit of the scope, and what one takes with it no loss; both are seen to when
    /// profit is next known. What began to be counted anew is no change from what was before.
    pub(super) fn take_profit(
        &mut self,
        portfolio: &PortfolioId,
        (before, now): (Option<&Profit>, Option<&Profit>),
        had: Option<Money>,
        basis: Basis,
    ) {
        self.profits.replace(before, now);
        let follows = before.zip(now).is_some_and(|(before, now)| now.follows(before));
        if follows {
            return;
        }
        if before.zip(now).is_some_and(|(before, now)| before.series != now.series) {
            self.changes.interrupt();
        }
        if basis == Basis::Book {
            if before.is_some() && !self.profits.joining.remove(portfolio) {
                self.profits.gone -= had.unwrap_or_default();
            }
            if now.is_some() {
                self.profits.joining.insert(portfolio.clone());
            }
        }
    }

    /// Follows profit and loss as it is counted by the day; `gained` is what a portfolio gained so far.
    pub(super) fn follow_profit(&mut self, gained: impl Fn(&PortfolioId) -> Option<Money>, basis: Basis) {
        let Ok(profit) = self.profit_by(basis) else { return };
        let joined: Money = std::mem::take(&mut self.profits.joining).iter().filter_map(gained).sum();
        let brought = std::mem::take(&mut self.profits.gone) + joined;
        if brought != Money::ZERO {
            self.changes.shift(brought);
            self.equity.day.shift(brought);
        }
        self.equity.day.follow(profit);
    }

    /// True if an account or a book is in a currency that is converted over this symbol.
    pub(super) fn is_converted_over(&self, symbol: SymbolId, own: &Currency, rates: &Rates) -> bool {
        let mut currencies = self.equity.currencies().chain(self.profits.currencies());
        currencies.any(|currency| rates.goes_over(currency, own, symbol))
    }

    /// Values what accounts add, and what books gained and lost, at the rates.
    pub(super) fn value_abroad(&mut self, own: &Currency, rates: &Rates, marks: &Marks) {
        self.equity.value(own, rates, marks);
        self.profits.value(own, rates, marks);
    }

    /// What was realised so far.
    pub(super) fn realised_profit(&self) -> Result<Money, Unknown> {
        self.of_books(self.profits.unknown.realised).map_or(Ok(self.profits.in_all.realised), Err)
    }

    /// What is open gained so far.
    pub(super) fn unrealised_profit(&self) -> Result<Money, Unknown> {
        let unknown = worst(self.of_books(self.profits.unknown.cost), self.marks_unknown);
        unknown.map_or(Ok(self.sums.net - self.profits.in_all.cost), Err)
    }

    /// Fees so far.
    pub(super) fn fees_paid(&self) -> Result<Money, Unknown> {
        self.of_books(self.profits.unknown.fees).map_or(Ok(self.profits.in_all.fees), Err)
    }

    /// Why something that books say, and that is unknown by this reason if any, is unknown.
    fn of_books(&self, reason: Option<Unknown>) -> Option<Unknown> {
        worst(self.books_unknown, worst(reason, self.profits.rates_unknown))
    }

    /// Realised profit, unrealised profit, and fees.
    pub(super) fn profit_measures(&self) -> [Measure; 3] {
        [
            result("realised_pnl", self.realised_profit()),
            result("unrealised_pnl", self.unrealised_profit()),
            result("fees", self.fees_paid()),
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
                let Profits { unknown, rates_unknown, in_all, .. } = &self.profits;
                let reason = worst(self.unknown(), worst(*rates_unknown, unknown.silent));
                reason.map_or_else(|| Ok(self.sums.net + in_all.beside()), Err)
            }
        }
    }
}
