//! One portfolio: its book, its account, what is unknown about them, and the sums kept over them.

use serde::{Deserialize, Serialize};
use tapewatch_schemas::events::Unknown;
use tapewatch_schemas::{Amount, Currency, PortfolioId, Time};

use super::changes::Changes;
use super::conduct::Conduct;
use super::correlation::Correlated;
use super::day::Day;
use super::depth::Depth;
use super::executions::{Execution, Executions};
use super::feeds::FeedId;
use super::line::Line;
use super::lots::{Costing, Lots, Position};
use super::marks::SymbolId;
use super::money::Money;
use super::parameters::{Basis, RiskParameters};
use super::rates::Rate;
use super::revalued::Revalued;
use super::terms::Limits;

/// One symbol held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Holding {
    pub(super) symbol: SymbolId,
    pub(super) line: Line,
    /// None if costs are averaged.
    pub(super) lots: Option<Box<Lots>>,
    pub(super) multiplier: Amount,
    /// What it is priced in. Its cost is in the portfolio's.
    pub(super) currency: Currency,
    /// Quantity × mark × multiplier, in the portfolio's currency; none until the symbol has a mark, and its currency a
    /// rate.
    pub(super) value: Option<Money>,
    /// How many units of it the account record in force knew of when it had no value: that of them then belongs to what
    /// the account already knew.
    pub(super) anchored: Money,
}

impl Holding {
    /// What is held, to be worked on.
    pub(super) fn position(&self) -> Position {
        Position { line: self.line, lots: self.lots.clone() }
    }
}

/// The account record in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct AccountState {
    pub(super) feed: FeedId,
    pub(super) event_time: Time,
    pub(super) cash: Money,
    pub(super) equity: Money,
    /// Deposits less withdrawals so far.
    pub(super) flows: Money,
    /// Profit and loss of the book, at our marks, that the record's equity contains.
    pub(super) anchor: Money,
    /// What fills since the record cost, fees included.
    pub(super) spent: Money,
}

/// Why what rests on each kind of input is unknown; none if it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unknowns {
    pub(super) book: Option<Unknown>,
    pub(super) marks: Option<Unknown>,
    pub(super) account: Option<Unknown>,
}

/// What a whole book says beside its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Said {
    /// Why the lines are not known to be the book.
    pub(super) book: Option<Unknown>,
    /// Why what rests on the account is unknown.
    pub(super) account: Option<Unknown>,
    /// Equity less the value of the lines, and deposits less withdrawals.
    pub(super) standing: Option<(Money, Money)>,
}

/// The sums over the holdings. Exact, so adding and taking away is as good as summing anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) gross: Money,
    pub(super) net: Money,
    pub(super) cost: Money,
}

/// One portfolio.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Portfolio {
    pub(super) id: PortfolioId,
    /// The task's clock at its first record.
    pub(super) first_record: Time,
    /// The account's currency; before its first record that of the book.
    pub(super) currency: Option<Currency>,
    pub(super) opened: bool,
    /// The event time of the record that opened the book; none if it was open from the start.
    pub(super) opened_at: Option<Time>,
    /// By symbol's place.
    pub(super) holdings: Vec<Holding>,
    pub(super) realised: Money,
    /// How often what is gained began to be counted anew.
    pub(super) series: i64,
    /// How many fills since the opening closed something of unknown cost.
    pub(super) realised_unknown: u64,
    pub(super) fees: Money,
    /// When a fee was last paid in a currency without a rate.
    pub(super) foreign_fee: Option<Time>,
    /// When a fill was last paid in a currency without a rate.
    pub(super) unrated: Option<Time>,
    /// Executions that came again.
    pub(super) duplicates: u64,
    pub(super) executions: Executions,
    /// What the last whole book says beside its lines; none before the first one.
    pub(super) said: Option<Said>,
    /// The event time of the latest fill since the last whole book.
    pub(super) filled: Option<Time>,
    /// The feed and event time of the latest execution report.
    pub(super) executed: Option<(FeedId, Time)>,
    pub(super) account: Option<AccountState>,
    /// Until then marks come, in time, that an account record knows of; what it says is told after it. Records that come
    /// meanwhile do not move it: a source whose clock is ahead would never be told of.
    pub(super) settles: Option<Time>,
    pub(super) drawdown: Depth,
    /// Of its profit and loss.
    pub(super) changes: Changes,
    pub(super) revalued: Revalued,
    #[serde(skip)]
    pub(super) correlated: Correlated,
    pub(super) day: Day,
    /// Its orders, where they are looked at.
    pub(super) conduct: Option<Conduct>,
    pub(super) limits: Limits,
    pub(super) unknowns: Unknowns,
    /// No input that is current now is stale before this. A lower bound: what comes meanwhile moves the
    /// true instant out, and it is looked up again when this one is reached.
    pub(super) check_at: Option<Time>,
    /// Something has changed since the last level, the last sample, the last whole book.
    pub(super) level_due: bool,
    pub(super) sample_due: bool,
    pub(super) book_due: bool,
    #[serde(skip)]
    pub(super) sums: Sums,
}

/// What one record does to one position.
#[derive(Clone, Debug)]
pub(super) struct Booking {
    pub(super) symbol: SymbolId,
    pub(super) line: Line,
    pub(super) lots: Option<Box<Lots>>,
    pub(super) value: Option<Money>,
    pub(super) multiplier: Amount,
    pub(super) currency: Currency,
    pub(super) realised: Money,
    /// By how many the fills that realised something unknown are more.
    pub(super) unknown: i32,
    pub(super) fee: Money,
    /// What it cost: price × quantity × multiplier, negative for a sale.
    pub(super) spent: Money,
    pub(super) event_time: Time,
}

impl Portfolio {
    /// A portfolio whose first record came at `clock`.
    pub(super) fn new(
        id: PortfolioId,
        clock: Time,
        opened: bool,
        parameters: &RiskParameters,
        limits: Limits,
    ) -> Self {
        Self {
            id,
            first_record: clock,
            currency: None,
            opened,
            opened_at: None,
            holdings: Vec::new(),
            realised: Money::ZERO,
            series: 0,
            realised_unknown: 0,
            fees: Money::ZERO,
            foreign_fee: None,
            unrated: None,
            duplicates: 0,
            executions: Executions::default(),
            said: None,
            filled: None,
            executed: None,
            account: None,
            settles: None,
            drawdown: Depth::new(parameters.drawdown_window),
            changes: Changes::new(&parameters.window),
            revalued: Revalued::default(),
            correlated: Correlated::default(),
            day: Day::default(),
            conduct: None,
            limits,
            unknowns: Unknowns::default(),
            check_at: None,
            level_due: false,
            sample_due: false,
            book_due: false,
            sums: Sums::default(),
        }
    }

    /// The place of a symbol among the holdings.
    pub(super) fn find(&self, symbol: SymbolId) -> Result<usize, usize> {
        self.holdings.binary_search_by_key(&symbol, |h| h.symbol)
    }

    /// The holding of a symbol, if it is held.
    pub(super) fn holding(&self, symbol: SymbolId) -> Option<&Holding> {
        self.find(symbol).ok().map(|at| &self.holdings[at])
    }

    /// Realised and unrealised profit and loss less fees, at our marks, since the book was opened.
    pub(super) fn profit(&self) -> Money {
        self.sums.net - self.sums.cost + self.realised - self.fees
    }

    /// Equity: the account record's, and the profit and loss since. Meaningless where
    /// [`Portfolio::equity_unknown`] has a reason.
    pub(super) fn equity(&self) -> Money {
        self.account.as_ref().map_or(Money::ZERO, |a| a.equity + self.profit() - a.anchor)
    }

    /// Cash: the account record's, less what fills cost since.
    pub(super) fn cash(&self) -> Money {
        self.account.as_ref().map_or(Money::ZERO, |a| a.cash - a.spent)
    }

    /// Equity as if nothing had ever been paid in or out.
    pub(super) fn equity_without_flows(&self) -> Money {
        self.account.as_ref().map_or(Money::ZERO, |a| self.equity() - a.flows)
    }

    /// Profit and loss as changes of it are taken, for samples and by the day; or why it is unknown.
    pub(super) fn profit_by(&self, basis: Basis) -> Result<Money, Unknown> {
        match basis {
            Basis::Equity => self.equity_unknown().map_or_else(|| Ok(self.equity_without_flows()), Err),
            Basis::Book => self.exposure_unknown().map_or_else(|| Ok(self.profit()), Err),
        }
    }

    /// Why exposures are unknown.
    pub(super) fn exposure_unknown(&self) -> Option<Unknown> {
        worst(self.unknowns.book, self.unknowns.marks)
    }

    /// Why cash is unknown.
    pub(super) fn cash_unknown(&self) -> Option<Unknown> {
        worst(self.unknowns.book, worst(self.unknowns.account, self.paid_unknown()))
    }

    /// Why equity, and what rests on it, is unknown.
    pub(super) fn equity_unknown(&self) -> Option<Unknown> {
        worst(self.exposure_unknown(), worst(self.unknowns.account, self.paid_unknown()))
    }

    /// What was realised so far.
    pub(super) fn realised_profit(&self) -> Result<Money, Unknown> {
        self.unknowns.book.or(self.unknown_realised()).map_or(Ok(self.realised), Err)
    }

    /// What is open gained so far.
    pub(super) fn unrealised_profit(&self) -> Result<Money, Unknown> {
        let unknown = self.exposure_unknown().or(self.unknown_cost());
        unknown.map_or(Ok(self.sums.net - self.sums.cost), Err)
    }

    /// Fees so far.
    pub(super) fn fees_paid(&self) -> Result<Money, Unknown> {
        self.unknowns.book.or(self.unknown_fees()).map_or(Ok(self.fees), Err)
    }

    /// Why it is not known what was realised, beside what makes the book unknown.
    pub(super) fn unknown_realised(&self) -> Option<Unknown> {
        (self.realised_unknown > 0).then_some(Unknown::NoOpening)
    }

    /// The same of what is open cost.
    pub(super) fn unknown_cost(&self) -> Option<Unknown> {
        let all_known = self.holdings.iter().all(|holding| holding.line.cost_known);
        (!all_known).then_some(Unknown::NoOpening)
    }

    /// The same of fees.
    pub(super) fn unknown_fees(&self) -> Option<Unknown> {
        self.foreign_fee.map(|_| Unknown::NoRate)
    }

    /// Why it is not known what was paid since the account record.
    fn paid_unknown(&self) -> Option<Unknown> {
        match (&self.account, self.foreign_fee.max(self.unrated)) {
            (Some(account), Some(paid)) if paid > account.event_time => Some(Unknown::NoRate),
            _ => None,
        }
    }

    /// What a whole book says beside its lines, if these things are unknown; `settling` while marks may still come, in
    /// time, that the account record knows of.
    pub(super) fn says(&self, unknowns: Unknowns, settling: bool) -> Said {
        // A position that the account knew before it had a mark, or a rate, is in its equity, and not yet in what is held.
        let unpriced = unknowns.marks.filter(|_| self.holdings.iter().any(|holding| holding.value.is_none()));
        let unpriced = unpriced.map(|why| if why == Unknown::NoRate { why } else { Unknown::Missing });
        let first = settling && self.said.is_none_or(|said| said.account == Some(Unknown::Missing));
        let unsettled = first.then_some(Unknown::Missing);
        let account = worst(worst(unknowns.account, self.paid_unknown()), worst(unpriced, unsettled));
        let standing = self.account.as_ref().map(|account| (self.equity() - self.sums.net, account.flows));
        Said { book: unknowns.book, account, standing }
    }

    /// True if anything it rests on is unknown.
    pub(super) fn unwell(&self) -> bool {
        self.unknowns != Unknowns::default()
    }

    /// Puts a position and what it did to the money in its place; true if the symbol is held afterwards.
    pub(super) fn book(&mut self, booking: Booking) -> bool {
        let before = self.profit();
        self.realised += booking.realised;
        self.realised_unknown = self.realised_unknown.saturating_add_signed(booking.unknown.into());
        self.fees += booking.fee;
        let holds = !booking.line.quantity.is_zero();
        let spent = booking.spent + booking.fee;
        let event_time = booking.event_time;
        let covered = self.account.as_ref().is_some_and(|account| event_time <= account.event_time);
        self.put(booking, covered);
        let change = self.profit() - before;
        if let Some(account) = &mut self.account {
            // What happened by the time of the account record is in it already.
            if event_time <= account.event_time {
                account.anchor += change;
            } else {
                account.spent += spent;
            }
        }
        holds
    }

    /// `covered` says that the account record in force knows of it.
    fn put(&mut self, booking: Booking, covered: bool) {
        self.revalued.due = true;
        let Booking { symbol, line, lots, value, multiplier, currency, event_time, .. } = booking;
        let at = self.find(symbol);
        let before = at.map_or((Money::ZERO, Money::ZERO), |at| {
            let held = &self.holdings[at];
            (held.anchored, Money::of(held.line.quantity))
        });
        let change = Money::of(line.quantity) - before.1;
        let anchored = match value {
            Some(_) => Money::ZERO,
            None if covered => before.0 + change,
            None => before.0,
        };
        if let Ok(at) = at {
            let old = &self.holdings[at];
            let value = old.value.unwrap_or_default();
            self.sums.gross -= value.abs();
            self.sums.net -= value;
            self.sums.cost -= old.line.cost;
        }
        if line.quantity.is_zero() {
            if let Ok(at) = at {
                self.correlated = Correlated::default();
                self.holdings.remove(at);
            }
            if anchored != Money::ZERO {
                // Nobody knows what it was worth to the account.
                self.unrated = self.unrated.max(Some(self.not_before_account(event_time)));
            }
            return;
        }
        let held = value.unwrap_or_default();
        self.sums.gross += held.abs();
        self.sums.net += held;
        self.sums.cost += line.cost;
        let holding = Holding { symbol, line, lots, multiplier, currency, value, anchored };
        match at {
            Ok(at) => self.holdings[at] = holding,
            Err(at) => {
                self.correlated = Correlated::default();
                self.holdings.insert(at, holding);
            }
        }
    }

    /// A new mark gives a holding a new value, or none.
    pub(super) fn revalue(&mut self, at: usize, value: Option<Money>, event_time: Time) {
        let holding = &mut self.holdings[at];
        let before = std::mem::replace(&mut holding.value, value);
        let (old, new) = (before.unwrap_or_default(), value.unwrap_or_default());
        self.sums.gross += new.abs() - old.abs();
        self.sums.net += new - old;
        let Some(account) = &mut self.account else { return };
        match (before, value) {
            (Some(_), Some(_)) if event_time <= account.event_time => account.anchor += new - old,
            (None, Some(_)) => {
                let anchored = std::mem::take(&mut holding.anchored);
                account.anchor += new.part(anchored, holding.line.quantity);
            }
            _ => {}
        }
    }

    /// The time of something that no account record so far knows of.
    pub(super) fn not_before_account(&self, event_time: Time) -> Time {
        let account = self.account.as_ref().map_or(Time::MIN, |account| account.event_time);
        event_time.max(Time(account.0.saturating_add(1)))
    }

    /// The change from before to what is next known is none, for itself and for whoever adds portfolios up.
    pub(super) fn interrupt_series(&mut self) {
        self.series += 1;
        self.changes.interrupt();
    }

    /// What the book's profit is next has not come from what it was: the change is none. Equity goes by the account.
    pub(super) fn break_series(&mut self, basis: Basis) {
        self.interrupt_series();
        if basis == Basis::Book {
            self.day = Day::begun(self.realised, self.realised_unknown);
        }
    }

    /// Goes on in another currency. What cannot be converted is of unknown cost; values are to be made anew.
    pub(super) fn redenominate(&mut self, rate: Rate) {
        for holding in &mut self.holdings {
            let mut position = Position { line: holding.line, lots: holding.lots.take() };
            position.redenominate(rate);
            (holding.line, holding.lots) = (position.line, position.lots);
            holding.value = None;
        }
        let into = |money: Money| rate.of(money).ok().filter(|_| rate.is_known() || money == Money::ZERO);
        // What is not remembered any more was realised, too.
        let remembered: Money = self.executions.iter().map(|execution| execution.realised).sum();
        let older = into(self.realised - remembered).is_none();
        self.realised_unknown += u64::from(older) + self.executions.redenominate(rate);
        self.realised = into(self.realised).unwrap_or_default();
        self.fees = into(self.fees).unwrap_or_else(|| {
            self.foreign_fee = self.foreign_fee.max(Some(Time::MIN));
            Money::ZERO
        });
        if !rate.is_known() {
            // What they cost since is not known in this currency.
            self.unrated =
                self.unrated.max(self.executions.iter().map(|execution| execution.event_time).max());
        }
        self.sum_anew();
    }

    /// Goes on under another costing.
    pub(super) fn adapt(&mut self, costing: Costing) {
        for holding in &mut self.holdings {
            let mut position = Position { line: holding.line, lots: holding.lots.take() };
            position.adapt(costing);
            holding.lots = position.lots;
        }
        self.executions.forget_turns();
    }

    /// Sums the holdings anew, after they were put back from a saved state or replaced.
    pub(super) fn sum_anew(&mut self) {
        let values = || self.holdings.iter().filter_map(|h| h.value);
        self.sums = Sums {
            gross: values().map(Money::abs).sum(),
            net: values().sum(),
            cost: self.holdings.iter().map(|h| h.line.cost).sum(),
        };
    }

    /// What fills after `event_time` cost, fees included, as far as they are remembered.
    pub(super) fn spent_after(&self, event_time: Time) -> Money {
        let later = |e: &&Execution| e.event_time > event_time;
        self.executions.iter().rev().take_while(later).filter(|e| e.counts()).map(|e| e.value + e.fee).sum()
    }
}

/// The reason that weighs more, if there is any.
pub(super) fn worst(a: Option<Unknown>, b: Option<Unknown>) -> Option<Unknown> {
    let weight = |reason: &Unknown| match reason {
        Unknown::SourceDown => 5,
        Unknown::NoOpening => 4,
        Unknown::Missing => 3,
        Unknown::NoRate => 2,
        Unknown::Stale => 1,
        Unknown::WarmingUp => 0,
    };
    a.into_iter().chain(b).max_by_key(weight)
}
