//! What the firm monitor is told: scopes and who is in them, limits, freshness bounds, bounds on its state.

use std::collections::BTreeMap;
use std::time::Duration;

use smol_str::SmolStr;
use tapewatch_schemas::{Currency, PortfolioId, Scope, Symbol};

use crate::risk::{
    DayParameters, HistoryParameters, LimitParameters, LiquidityParameters, Pair, Scenario, TailModel,
    WindowParameters,
};

/// Everything that the firm monitor can be told.
#[derive(Clone, Debug, PartialEq)]
pub struct FirmParameters {
    /// How often levels are published, on boundaries counted from the epoch.
    pub publish_interval: Duration,
    /// How many net positions are named with their value in each level, the largest first.
    pub positions: usize,
    /// The currency of every figure; what is in another is converted.
    pub currency: Currency,
    /// The pairs of currencies by which it is, each way; symbols once, and a pair once.
    pub rates: Vec<Pair>,
    /// What is rolled up, in the order in which it is published.
    pub scopes: Vec<ScopeParameters>,
    /// The limits, checked on every scope they apply to, in this order.
    pub limits: Vec<ScopeLimit>,
    /// Value at risk and expected shortfall, and what is counted as a change of a scope's profit and loss.
    pub window: WindowParameters,
    /// The returns of symbols that both are of.
    pub history: HistoryParameters,
    /// When a day of profit and loss begins.
    pub day: DayParameters,
    /// How far back the trailing drawdown reaches.
    pub drawdown_window: Duration,
    /// What would be lost if prices moved at once; in the order in which it is published.
    pub stress: Vec<Scenario>,
    /// The window over which risk looks at orders; none if it does not.
    pub conduct: Option<Duration>,
    /// How liquidity is looked at; none if it is not.
    pub liquidity: Option<LiquidityParameters>,
    /// The sectors of symbols. If there are any, the others are in the sector `none`.
    pub sectors: BTreeMap<Symbol, SmolStr>,
    /// How old a mark may be.
    pub marks: Duration,
    /// How old a portfolio's book may be: the clock less the later of the book's event time and that of the last
    /// heartbeat of the risk task that writes it, all of whose records were read.
    pub books: Duration,
    /// How much state there may be.
    pub bounds: FirmBounds,
}

/// A scope above the portfolio.
#[derive(Clone, Debug, PartialEq)]
pub struct ScopeParameters {
    /// Its name: `strategy:ID`, `desk:ID` or `firm:ID`.
    pub scope: Scope,
    /// The portfolios in it; all that have a book if empty.
    pub portfolios: Vec<PortfolioId>,
}

/// A limit on scopes.
#[derive(Clone, Debug, PartialEq)]
pub struct ScopeLimit {
    /// The scopes it is on; all if empty.
    pub scopes: Vec<Scope>,
    /// What it bounds, and what it calls for. Of its measures those that a scope has; its portfolios play no part.
    pub limit: LimitParameters,
}

impl FirmParameters {
    /// The limits, without the scopes that they are on.
    pub(super) fn bounds(&self) -> impl Iterator<Item = &LimitParameters> {
        self.limits.iter().map(|one| &one.limit)
    }

    /// True if a limit is on the time that equity is under water.
    pub(super) fn bounds_water(&self) -> bool {
        self.bounds().any(LimitParameters::is_on_water)
    }
}

impl ScopeLimit {
    /// True if it is on this scope.
    pub(super) fn is_on(&self, scope: &Scope) -> bool {
        self.scopes.is_empty() || self.scopes.contains(scope)
    }
}

/// How much state the monitor may hold. A record that would need more is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirmBounds {
    /// Portfolios with a book.
    pub portfolios: usize,
    /// Symbols with marks or in books.
    pub symbols: usize,
    /// Symbols in one book.
    pub holdings: usize,
    /// Feeds: pairs of a source and a topic's partition.
    pub feeds: usize,
}

impl Default for FirmParameters {
    fn default() -> Self {
        Self {
            publish_interval: Duration::from_secs(60),
            positions: 0,
            currency: Currency::from("USD"),
            rates: Vec::new(),
            scopes: Vec::new(),
            limits: Vec::new(),
            window: WindowParameters { models: vec![TailModel::Revalued], ..WindowParameters::default() },
            history: HistoryParameters::default(),
            day: DayParameters::default(),
            drawdown_window: Duration::from_secs(30 * 24 * 3600),
            stress: Vec::new(),
            conduct: None,
            liquidity: None,
            sectors: BTreeMap::new(),
            marks: Duration::from_secs(20 * 60),
            books: Duration::from_secs(60),
            bounds: FirmBounds::default(),
        }
    }
}

impl Default for FirmBounds {
    fn default() -> Self {
        Self { portfolios: 100_000, symbols: 20_000, holdings: 2_000, feeds: 4_096 }
    }
}
