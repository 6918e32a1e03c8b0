//! Whether a halt is kept: what a portfolio trades although its restriction does not allow it.
//!
//! Risk publishes the whole book of a portfolio at each change, and says when its latest fill happened. What happened
//! before the halt was acknowledged, or its time to be acknowledged was over, was on its way, and is allowed. After
//! that a halt allows no fill, and reduce-only none that makes a position larger than it was since, or turns it. Fills
//! that are undone or corrected, and what positions say, are no trades: they are allowed, and move what may be held.
//!
//! Where a trade cannot be compared with what was held before it, that it was allowed is not known, and said so.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use tapewatch_schemas::catalogue::HOLDINGS;
use tapewatch_schemas::events::{Cause, ControlAction, Holdings, TradingLevel, Unknown};
use tapewatch_schemas::{Amount, Symbol, Time};

use super::AlertingMonitor;
use super::condition::Finding;
use super::latch::Latch;
use super::parameters::{ACKNOWLEDGED_WITHIN, Condition, Rule};
use super::trades::is_portfolio;
use crate::monitor::Output;

/// Lines of all books that a task keeps. At the bound the book of a portfolio without a restriction is not kept, and
/// then what it trades under a later one cannot be compared.
const MOST_LINES: usize = 1_000_000;
/// Symbols of a scope that a rule tells of one by one; of more it tells in one alert.
pub(super) const MOST_SYMBOLS: usize = 100;

/// A portfolio's book, as it was last published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Book {
    event_time: Time,
    /// If not, the lines are changes since the first record.
    opened: bool,
    pub(super) lines: BTreeMap<Symbol, Amount>,
}

impl Book {
    fn of(holdings: &Holdings) -> Self {
        let lines = holdings.holdings.iter().map(|line| (line.symbol.clone(), line.quantity));
        Self { event_time: holdings.event_time, opened: holdings.opened, lines: lines.collect() }
    }

    fn quantity(&self, symbol: &Symbol) -> Amount {
        self.lines.get(symbol).copied().unwrap_or_default()
    }

    /// What is held of each symbol that is not held as before: before, now.
    fn changes<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = (&'a Symbol, Amount, Amount)> {
        let gone = before.lines.keys().filter(|symbol| !self.lines.contains_key(*symbol));
        let all = gone.chain(self.lines.keys());
        all.map(|symbol| (symbol, before.quantity(symbol), self.quantity(symbol)))
            .filter(|(_, was, is)| was != is)
    }
}

/// From when on a restriction is expected to be kept, and what may be held under it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Guard {
    /// Fills after this may only reduce.
    reduce_only: Option<Time>,
    /// There may be no fill after this.
    halt: Option<Time>,
    /// The most that may be held of each symbol, negative if short, while only reducing is allowed: what is reduced
    /// may not be bought back.
    bounds: BTreeMap<Symbol, Amount>,
    /// In a scope above the portfolio the latest trade that was told of: its figures say it again.
    pub(super) told: Option<Time>,
}

/// A trade that is not allowed, or not known to be.
pub(super) struct Broken {
    level: TradingLevel,
    /// In a scope above the portfolio the portfolio; none if it cannot be told.
    symbol: Option<Symbol>,
    value: Option<Amount>,
    allowed: Option<Amount>,
    unknown: Option<Unknown>,
    what: String,
}

impl Broken {
    /// One of a portfolio in the scope.
    pub(super) fn of_portfolio(level: TradingLevel, portfolio: &str, what: String) -> Self {
        let symbol = Some(Symbol::from(portfolio));
        Self { level, symbol, value: None, allowed: None, unknown: None, what }
    }

    pub(super) fn untold(level: TradingLevel, unknown: Unknown, what: &str) -> Self {
        let what = what.to_owned();
        Self { level, symbol: None, value: None, allowed: None, unknown: Some(unknown), what }
    }
}

/// True if this is no more than that, and on the same side.
fn within(quantity: Amount, bound: Amount) -> bool {
    let same_side = quantity.is_negative() == bound.is_negative();
    quantity.is_zero() || (same_side && quantity.abs() <= bound.abs())
}

impl Guard {
    /// What a fill that happened then is under.
    pub(super) fn level_at(&self, time: Time) -> TradingLevel {
        let after = |from: Option<Time>| from.is_some_and(|from| time > from);
        if after(self.halt) {
            TradingLevel::Halt
        } else if after(self.reduce_only) {
            TradingLevel::ReduceOnly
        } else {
            TradingLevel::Normal
        }
    }

    /// Follows a book, and finds what its fills broke.
    fn look(&mut self, before: Option<&Book>, now: &Book, filled_at: Option<Time>) -> Vec<Broken> {
        let level = filled_at.map_or(TradingLevel::Normal, |at| self.level_at(at));
        let traded = level > TradingLevel::Normal;
        let Some(before) = before else {
            self.bounds.clone_from(&now.lines);
            let what = "it traded, and nobody can tell what: its book before that is not known";
            return traded.then(|| Broken::untold(level, Unknown::Missing, what)).into_iter().collect();
        };
        if now.event_time < before.event_time {
            let what = "it traded, and nobody can tell what: its book came behind a later one";
            return traded.then(|| Broken::untold(level, Unknown::Missing, what)).into_iter().collect();
        }
        if before.opened != now.opened {
            self.bounds.clone_from(&now.lines);
            let level = if now.opened { level } else { self.level_at(now.event_time) };
            let what = "nobody can tell what it traded: what it holds was not known in between";
            let untold =
                (level > TradingLevel::Normal).then(|| Broken::untold(level, Unknown::NoOpening, what));
            return untold.into_iter().collect();
        }
        let changes = now.changes(before);
        let mut broken: Vec<Broken> = match level {
            TradingLevel::Normal => {
                changes.for_each(|(symbol, was, is)| self.allow(symbol, was, is));
                return Vec::new();
            }
            TradingLevel::ReduceOnly => {
                changes.filter_map(|(symbol, was, is)| self.reduce(symbol, was, is, now.opened)).collect()
            }
            TradingLevel::Halt => changes.map(|(symbol, was, is)| halted(symbol, was, is)).collect(),
        };
        if level == TradingLevel::Halt && broken.is_empty() {
            let what = "it traded, and holds what it held before";
            broken.push(Broken { unknown: None, ..Broken::untold(level, Unknown::Missing, what) });
        }
        broken
    }

    fn bound(&self, symbol: &Symbol) -> Amount {
        self.bounds.get(symbol).copied().unwrap_or_default()
    }

    fn bind(&mut self, symbol: &Symbol, bound: Amount) {
        if bound.is_zero() {
            self.bounds.remove(symbol);
        } else {
            self.bounds.insert(symbol.clone(), bound);
        }
    }

    /// Takes a change that is allowed. While the restriction is kept, what is held is what may be; where it was
    /// broken, what a fill that is undone leaves over the bound is over it still.
    fn allow(&mut self, symbol: &Symbol, was: Amount, is: Amount) {
        let bound = self.bound(symbol);
        if was == bound || within(is, bound) {
            self.bind(symbol, is);
        }
    }

    /// Takes a fill that may only have reduced.
    fn reduce(&mut self, symbol: &Symbol, was: Amount, is: Amount, opened: bool) -> Option<Broken> {
        let bound = self.bound(symbol);
        let level = TradingLevel::ReduceOnly;
        let value = Some(is);
        let symbol = symbol.clone();
        if !opened {
            let what = format!(
                "{symbol} was traded from {was} to {is} beside what it was opened with, which is not known: nobody can \
                 tell whether that reduced it"
            );
            let unknown = Some(Unknown::NoOpening);
            return Some(Broken { level, symbol: Some(symbol), value, allowed: None, unknown, what });
        }
        if within(is, bound) {
            self.bind(&symbol, is);
            return None;
        }
        if is.is_negative() != bound.is_negative() {
            self.bind(&symbol, Amount::default());
        }
        if within(is, was) {
            return None;
        }
        let what =
            format!("{symbol} was traded all the same, from {was} to {is}: no more than {bound} may be held");
        Some(Broken { level, symbol: Some(symbol), value, allowed: Some(bound), unknown: None, what })
    }
}

fn halted(symbol: &Symbol, was: Amount, is: Amount) -> Broken {
    Broken {
        level: TradingLevel::Halt,
        symbol: Some(symbol.clone()),
        value: Some(is),
        allowed: Some(was),
        unknown: None,
        what: format!("{symbol} was traded all the same, from {was} to {is}"),
    }
}

impl AlertingMonitor {
    /// What is expected of a portfolio's trades after its level moved. `asked` is when the request that moved it was
    /// made, by the clock of whoever made it, which an acknowledgement shares with the fills.
    pub(super) fn guard(
        &self,
        scope: &str,
        latch: &mut Latch,
        action: ControlAction,
        previous: TradingLevel,
        asked: Time,
    ) {
        let held = || self.books.get(scope).map(|book| book.lines.clone()).unwrap_or_default();
        match action {
            ControlAction::Refused => {}
            // Who acknowledges a halt of a scope need not be who trades for all in it.
            ControlAction::Acknowledged if !is_portfolio(scope) => {}
            ControlAction::Acknowledged => {
                let answered = asked.max(latch.since);
                if let Some(from) = latch.guard.from(latch.level) {
                    *from = (*from).min(answered);
                }
            }
            ControlAction::Lowered if latch.level == TradingLevel::Normal => latch.guard = Guard::default(),
            ControlAction::Lowered => {
                // What a halt still allowed to be on its way is no break of less, unless less was kept to already.
                let on_its_way = latch.guard.halt.map_or(latch.since, |until| until.max(latch.since));
                let from = latch.guard.reduce_only.map_or(on_its_way, |from| from.min(on_its_way));
                let told = latch.guard.told;
                latch.guard = Guard { reduce_only: Some(from), halt: None, bounds: held(), told };
            }
            ControlAction::Raised => {
                if previous == TradingLevel::Normal {
                    latch.guard.bounds = held();
                }
                let until = latch.since + self.acknowledged_within(scope, latch.level);
                match latch.level {
                    TradingLevel::Halt => latch.guard.halt = Some(until),
                    _ => latch.guard.reduce_only = Some(until),
                }
            }
        }
    }

    /// How long a halt may go unacknowledged before the first rule says so.
    fn acknowledged_within(&self, scope: &str, level: TradingLevel) -> std::time::Duration {
        let rules = self.parameters.rules.iter().filter(|rule| rule.scope.matches(scope));
        let missed = rules.filter(|rule| {
            matches!(rule.condition, Condition::Halt { at_least, unacknowledged: true } if at_least <= level)
        });
        missed.map(|rule| rule.hold).min().unwrap_or(ACKNOWLEDGED_WITHIN)
    }

    /// Takes a portfolio's book.
    pub(super) fn heed_book(&mut self, holdings: &Holdings, cause: &Cause, out: &mut Vec<Output>) {
        let scope = holdings.portfolio.as_str();
        let book = Book::of(holdings);
        let before = self.books.remove(scope);
        self.lines -= before.as_ref().map_or(0, |book| book.lines.len());
        let mut findings = Vec::new();
        let mut restricted = false;
        if let Some(mut latch) = self.latches.remove(scope) {
            restricted = latch.level > TradingLevel::Normal;
            if restricted {
                let broken = latch.guard.look(before.as_ref(), &book, holdings.filled_at);
                findings = self.in_trades(scope, &latch, &broken, book.event_time);
            }
            self.tell(&latch, findings, cause, out);
            self.latches.insert(scope.into(), latch);
        }
        let newest = before.filter(|before| before.event_time > book.event_time).unwrap_or(book);
        if restricted || self.lines + newest.lines.len() <= MOST_LINES {
            self.lines += newest.lines.len();
            self.books.insert(scope.into(), newest);
        }
    }

    /// Books were missed: of portfolios under a restriction nobody can tell whether it was kept meanwhile.
    pub(super) fn lose_books(&mut self, cause: &Cause, out: &mut Vec<Output>) {
        self.lines = 0;
        for scope in std::mem::take(&mut self.books).into_keys() {
            let Some(latch) = self.latches.remove(&scope) else { continue };
            let level = latch.guard.level_at(self.clock);
            if level > TradingLevel::Normal {
                let what = "nobody can tell what it traded: books of it were missed";
                let broken = [Broken::untold(level, Unknown::SourceDown, what)];
                let findings = self.in_trades(&scope, &latch, &broken, self.clock);
                self.tell(&latch, findings, cause, out);
            }
            self.latches.insert(scope, latch);
        }
    }

    /// What rules on containment find in trades.
    pub(super) fn in_trades(
        &self,
        scope: &str,
        latch: &Latch,
        broken: &[Broken],
        event_time: Time,
    ) -> Vec<Finding> {
        let mut findings: Vec<Finding> = Vec::new();
        for rule in self.on_containment(scope) {
            let Condition::Containment { at_least } = rule.condition else { continue };
            let mut told = self.told(rule, scope).count();
            for broken in broken.iter().filter(|broken| broken.level >= at_least) {
                let label = broken.symbol.as_ref().map(Symbol::as_str);
                let mut finding = Finding::of_trade(rule, scope, label, event_time, self.clock);
                if !self.conditions.contains_key(&finding.fingerprint) {
                    told += 1;
                    if told > MOST_SYMBOLS {
                        finding = Finding::of_trade(rule, scope, None, event_time, self.clock);
                    }
                }
                finding.value = broken.value.map(Amount::to_f64);
                finding.threshold = broken.allowed.map(Amount::to_f64);
                finding.unknown = broken.unknown;
                finding.detail = latch.text(scope) + "; " + &broken.what + &latch.named();
                findings.push(finding);
            }
        }
        findings
    }

    pub(super) fn tell(
        &mut self,
        latch: &Latch,
        findings: Vec<Finding>,
        cause: &Cause,
        out: &mut Vec<Output>,
    ) {
        for finding in findings {
            let known = self.conditions.get(&finding.fingerprint);
            if known.is_some_and(|track| track.since < latch.since) {
                // Of another halt: it is told anew of this one.
                self.forget(&finding, cause, out);
            }
            self.take(finding, cause, out);
        }
    }

    /// A person has left a restriction: what broke it is done with.
    pub(super) fn forgive(&mut self, scope: &str, latch: &Latch, cause: &Cause, out: &mut Vec<Output>) {
        let mut ended = Vec::new();
        for rule in self.on_containment(scope) {
            for label in self.told(rule, scope) {
                let mut finding = Finding::of_trade(rule, scope, label, self.clock, self.clock);
                finding.holds = Some(false);
                finding.detail = latch.text(scope);
                ended.push(finding);
            }
        }
        for finding in ended {
            self.take(finding, cause, out);
        }
    }

    pub(super) fn on_containment(&self, scope: &str) -> impl Iterator<Item = &Rule> {
        let rules = self.parameters.rules.iter().filter(move |rule| rule.scope.matches(scope));
        rules.filter(|rule| matches!(rule.condition, Condition::Containment { .. }))
    }

    /// The symbols that a rule tells of in a scope, none for what is not of one symbol.
    fn told(&self, rule: &Rule, scope: &str) -> impl Iterator<Item = Option<&str>> {
        let first = Finding::of_trade(rule, scope, None, self.clock, self.clock).fingerprint;
        let all = self.conditions.range(first.clone()..).take_while(move |(f, _)| f.starts_with(&first));
        all.map(|(_, track)| track.label.as_deref())
    }

    /// The lines of all books.
    pub(super) fn count_lines(books: &BTreeMap<SmolStr, Book>) -> usize {
        books.values().map(|book| book.lines.len()).sum()
    }
}

impl Guard {
    fn from(&mut self, level: TradingLevel) -> Option<&mut Time> {
        match level {
            TradingLevel::Normal => None,
            TradingLevel::ReduceOnly => self.reduce_only.as_mut(),
            TradingLevel::Halt => self.halt.as_mut(),
        }
    }
}

impl Finding {
    pub(super) fn of_trade(
        rule: &Rule,
        scope: &str,
        symbol: Option<&str>,
        event_time: Time,
        clock: Time,
    ) -> Self {
        let mut finding = Self::new(rule, scope, symbol, event_time, clock);
        finding.holds = Some(true);
        HOLDINGS.clone_into(&mut finding.subject);
        finding
    }
}
