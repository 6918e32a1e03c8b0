//! What is seen of a log besides its alerts: what feeds say, books, and where limits stood.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;
use tapewatch_schemas::events::{Holdings, LimitStatus, RequestKind, RiskMetrics, Unknown};
use tapewatch_schemas::{Event, PortfolioId, Scope, Symbol, Time};

use super::market::Market;

/// What a log's own records say, kept as they come: a judge asks it, and needs no worker's word.
///
/// Of what does not change only the first record is kept.
#[derive(Clone, Debug, Default)]
pub struct Witness {
    /// The portfolios of each scope above the portfolio; all if empty.
    scopes: BTreeMap<Scope, BTreeSet<PortfolioId>>,
    /// When something was said of a symbol or a portfolio, by feed and partition, in order.
    said: BTreeMap<(Feed, i32), BTreeMap<SmolStr, Vec<Time>>>,
    /// What each portfolio held, and from when on, in order.
    books: BTreeMap<PortfolioId, Vec<(Time, BTreeSet<Symbol>)>>,
    /// Halts that somebody acknowledged: of which scope, and when.
    acknowledged: Vec<(Scope, Time)>,
    /// By scope and name.
    limits: BTreeMap<(Scope, String), Track>,
    pub(super) market: Market,
}

/// An input that limits rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feed {
    /// `market.data.v1`, by symbol.
    Marks,
    /// `accounts.v1`, by portfolio.
    Accounts,
}

/// Where a limit of a scope stood.
#[derive(Clone, Debug)]
pub(super) struct Track {
    pub(super) measure: String,
    /// True if what is bounded is a share of the equity.
    pub(super) of_equity: bool,
    /// In order of time.
    pub(super) stands: Vec<Stand>,
}

/// Where it stood from an instant on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stand {
    pub(super) at: Time,
    pub(super) status: LimitStatus,
    pub(super) unknown: Option<Unknown>,
}

/// How long something was held in a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    Never,
    Partly,
    Throughout,
}

impl Witness {
    /// Of a log with these scopes above the portfolio: the portfolios of each, all if it names none.
    pub fn of(scopes: impl IntoIterator<Item = (Scope, BTreeSet<PortfolioId>)>) -> Self {
        Self { scopes: scopes.into_iter().collect(), ..Self::default() }
    }

    /// A limit with this name, of scopes above the portfolio or of portfolios, has this hysteresis.
    pub fn with_hysteresis(mut self, above: bool, limit: &str, share: f64) -> Self {
        self.market.set_hysteresis(above, limit, share);
        self
    }

    /// Of every limit that comes to stand so an alert must say so at once.
    pub fn telling(mut self, status: LimitStatus) -> Self {
        self.market.tells(status);
        self
    }

    /// Takes a record of a partition. Those of one key come in their order.
    pub fn see(&mut self, partition: i32, event: &Event) {
        match event {
            Event::MarketData(mark) => self.hear((Feed::Marks, partition), &mark.symbol.0, mark.event_time),
            Event::Account(account) => {
                self.hear((Feed::Accounts, partition), &account.portfolio.0, account.event_time);
            }
            Event::Holdings(book) => self.book(book),
            Event::RiskMetrics(metrics) => self.figures(metrics),
            Event::ControlRequest(asked) if asked.request == RequestKind::Acknowledge => {
                self.acknowledged.push((asked.scope.clone(), asked.event_time));
            }
            _ => {}
        }
    }

    /// Halts that somebody acknowledged: of which scope, and when.
    pub(super) fn acknowledged(&self) -> &[(Scope, Time)] {
        &self.acknowledged
    }

    fn hear(&mut self, from: (Feed, i32), of: &SmolStr, at: Time) {
        self.said.entry(from).or_default().entry(of.clone()).or_default().push(at);
    }

    fn book(&mut self, book: &Holdings) {
        let held: BTreeSet<Symbol> = book.holdings.iter().map(|line| line.symbol.clone()).collect();
        let books = self.books.entry(book.portfolio.clone()).or_default();
        if books.last().is_none_or(|(_, before)| *before != held) {
            books.push((book.event_time, held));
        }
    }

    fn figures(&mut self, metrics: &RiskMetrics) {
        self.market.take(metrics);
        for limit in &metrics.limits {
            let stand = Stand { at: metrics.event_time, status: limit.status, unknown: limit.unknown };
            let of = (metrics.scope.clone(), limit.limit.clone());
            let (measure, of_equity) = (limit.measure.clone(), limit.of_equity);
            let new = || Track { measure, of_equity, stands: Vec::new() };
            let stands = &mut self.limits.entry(of).or_insert_with(new).stands;
            let same = |before: &Stand| (before.status, before.unknown) == (stand.status, stand.unknown);
            if !stands.last().is_some_and(same) {
                stands.push(stand);
            }
        }
    }

    /// Every limit of every scope.
    pub(super) fn limits(&self) -> impl Iterator<Item = (&Scope, &str, &Track)> {
        self.limits.iter().map(|((scope, limit), track)| (scope, limit.as_str(), track))
    }

    /// The symbols or portfolios of a feed's partition, and when something was said of each last before an instant.
    pub(super) fn last(&self, from: (Feed, i32), before: Time) -> BTreeMap<&str, Time> {
        let all = self.said.get(&from).into_iter().flatten();
        let last = |times: &[Time]| times.iter().rev().find(|time| **time < before).copied();
        all.filter_map(|(of, times)| Some((of.as_str(), last(times)?))).collect()
    }

    /// The portfolios that a scope is of.
    pub(super) fn portfolios<'a>(&'a self, scope: &'a Scope) -> Vec<&'a PortfolioId> {
        let named = self.scopes.get(scope);
        let is_of = |portfolio: &&PortfolioId| match named {
            Some(named) => named.is_empty() || named.contains(*portfolio),
            None => portfolio.as_str() == scope.as_str(),
        };
        self.books.keys().filter(is_of).collect()
    }

    /// Whether a portfolio held a symbol from an instant to another.
    pub(super) fn held(&self, portfolio: &PortfolioId, symbol: &str, from: Time, to: Time) -> Held {
        let books = self.books.get(portfolio).map_or(&[][..], Vec::as_slice);
        let begins = books.partition_point(|(at, _)| *at <= from);
        let ends = books.partition_point(|(at, _)| *at <= to);
        let holds: Vec<bool> =
            books[begins.saturating_sub(1)..ends].iter().map(|(_, held)| held.contains(symbol)).collect();
        if !holds.contains(&true) {
            Held::Never
        } else if begins > 0 && !holds.contains(&false) {
            Held::Throughout
        } else {
            Held::Partly
        }
    }
}

impl Track {
    /// Where it stood at an instant.
    pub(super) fn at(&self, time: Time) -> Option<Stand> {
        self.stands[..self.stands.partition_point(|stand| stand.at <= time)].last().copied()
    }

    /// Where it came to stand after an instant.
    pub(super) fn after(&self, time: Time) -> impl Iterator<Item = Stand> {
        self.stands[self.stands.partition_point(|stand| stand.at <= time)..].iter().copied()
    }
}

impl Stand {
    /// True if it is said where it stands, in force.
    pub(super) fn is_known(self) -> bool {
        !matches!(self.status, LimitStatus::Unknown | LimitStatus::NotInForce)
    }
}
