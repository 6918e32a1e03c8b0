//! What the risk monitor is told: windows, freshness bounds, limits, instruments, bounds on its state.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use tapewatch_schemas::events::TradingLevel;
use tapewatch_schemas::{Amount, Currency, PortfolioId, Symbol};

use super::calendar::Schedule;
use super::conduct::ConductParameters;
use super::contributing::Wanted;
use super::day::DayParameters;
use super::liquidity::LiquidityParameters;
use super::lots::Costing;
use super::measure::{Bounded, Confidence, Shape, TailModel};
use super::rates::Pair;
use super::reference::ReferencePrices;
use super::scenario::Scenario;
use super::terms::Override;
use super::window::WindowLength;
use crate::kernels::{Horizon, ShortfallConvention};

/// Everything that the risk monitor can be told.
#[derive(Clone, Debug, PartialEq)]
pub struct RiskParameters {
    /// How often levels are published, on boundaries counted from the epoch.
    pub publish_interval: Duration,
    /// How often the whole book is published although it has not changed.
    pub holdings_interval: Duration,
    /// True if the whole book is published at each change too, false if only at the interval's boundaries.
    pub holdings_at_change: bool,
    /// How many positions are named with their value in each level, the largest first.
    pub positions: usize,
    /// The currency stated while neither an account nor a fill has named the portfolio's own.
    pub default_currency: Currency,
    /// What a fill that closes is against.
    pub pnl_method: PnlMethod,
    /// When a day of profit and loss begins.
    pub day: DayParameters,
    /// How far back the trailing drawdown reaches.
    pub drawdown_window: Duration,
    /// Value at risk and expected shortfall.
    pub window: WindowParameters,
    /// The returns of symbols that [`TailModel::Revalued`] is of.
    pub history: HistoryParameters,
    /// How orders are looked at; none if they are not.
    pub conduct: Option<ConductParameters>,
    /// How liquidity is looked at; none if it is not.
    pub liquidity: Option<LiquidityParameters>,
    /// What would be lost if prices moved at once; in the order in which it is published.
    pub stress: Vec<Scenario>,
    /// How old an input may be.
    pub freshness: Freshness,
    /// The limits, checked on every portfolio they apply to, in this order.
    pub limits: Vec<LimitParameters>,
    /// The pairs of currencies by which money is converted, each way; symbols once, and a pair once.
    pub rates: Vec<Pair>,
    /// What differs from a multiplier of one; symbols that are not named have that.
    pub instruments: BTreeMap<Symbol, Instrument>,
    /// The sectors of symbols. If there are any, the others are in the sector `none`.
    pub sectors: BTreeMap<Symbol, SmolStr>,
    /// How much state there may be.
    pub bounds: Bounds,
}

/// What of a position a fill that closes some of it is against: how profit and loss is split into realised and
/// unrealised. Their sum is the same by each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PnlMethod {
    /// All of it in equal shares.
    #[default]
    AverageCost,
    /// What was opened first.
    Fifo,
    /// What was opened last.
    Lifo,
}

impl RiskParameters {
    /// Over what returns are compounded: further than one step for revaluation alone.
    pub(super) fn compounded(&self) -> &[Horizon] {
        if self.window.revalued().next().is_some() { &self.window.horizons } else { &[] }
    }

    /// True if a limit is on the time that equity is under water.
    pub(super) fn bounds_water(&self) -> bool {
        self.limits.iter().any(LimitParameters::is_on_water)
    }

    /// By which order lots are closed, and how many of them a position may have.
    pub(super) fn costing(&self) -> Costing {
        Costing { method: self.pnl_method, lots: self.bounds.lots }
    }
}

/// The window that value at risk and expected shortfall are taken from.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowParameters {
    /// When a change of profit and loss enters the window.
    pub sampling: Sampling,
    /// What changes are taken of.
    pub basis: Basis,
    /// Which changes are kept.
    pub length: WindowLength,
    /// Fewer samples than this are `warming_up`.
    pub minimum: usize,
    /// The confidence levels.
    pub levels: Vec<Confidence>,
    /// Over how many steps, each once; the first is one step, which is what backtests are of.
    pub horizons: Vec<Horizon>,
    /// How the tail is taken of the window, each once.
    pub models: Vec<TailModel>,
    /// Which expected shortfall [`TailModel::Historical`] publishes.
    pub shortfall: ShortfallConvention,
    /// The weight of the past in [`TailModel::Ewma`] and [`TailModel::Filtered`], and in exponentially weighted
    /// correlations: above 0 and below 1.
    pub lambda: f64,
    /// The weight of a change in [`TailModel::AgeWeighted`], of that of the next one: above 0 and below 1.
    pub age_lambda: f64,
    /// How many positions are named at most with what they contribute to the figures of [`TailModel::Revalued`]; 0 for
    /// none.
    pub contributions: usize,
    /// How many forecasts, each with the change that followed it, a backtest is over; 0 for no backtests.
    pub backtest: usize,
}

impl WindowParameters {
    /// How many changes it holds at most.
    pub(super) fn most(&self) -> usize {
        self.length.most_by(self.sampling)
    }

    /// The models of what is held now, in their order.
    pub(super) fn revalued(&self) -> impl Iterator<Item = TailModel> {
        self.models.iter().copied().filter(|model| !model.of_changes())
    }

    /// How much the past weighs in a model; 1 where it weighs as much as the present.
    pub(super) fn weight(&self, model: TailModel) -> f64 {
        match model.shape() {
            Shape::Ewma | Shape::Filtered => self.lambda,
            Shape::AgeWeighted => self.age_lambda,
            Shape::Historical | Shape::Gaussian | Shape::CornishFisher => 1.0,
        }
    }

    /// True if the forecasts of a model are held against what came after them: a revaluation forecasts over the interval
    /// of the history, so changes must be over the same.
    pub(super) fn tries(&self, model: TailModel, interval: Duration) -> bool {
        let same = self.sampling == Sampling::Every(interval);
        self.backtest > 0 && (model.of_changes() || same)
    }

    /// What a measure is of, where its name does not say it.
    pub(super) fn definition(&self, measure: Bounded) -> String {
        let Self { basis, sampling, length, minimum, shortfall, lambda, .. } = self;
        match measure {
            Bounded::MaxCorrelationEwma | Bounded::AverageCorrelationEwma => lambda.to_string(),
            Bounded::DailyLoss | Bounded::DailyLossShare => format!("{basis:?}"),
            Bounded::ValueAtRisk(model, ..)
            | Bounded::ExpectedShortfall(model, ..)
            | Bounded::Light(model, _)
                if model.of_changes() =>
            {
                let weight = self.weight(model);
                format!("{basis:?} {sampling:?} {length:?} {minimum} {shortfall:?} {weight}")
            }
            _ => String::new(),
        }
    }

    /// What is to be said of contributions, if anything is.
    pub(super) fn contributions(&self) -> Option<Wanted> {
        let revalued = self.models.contains(&TailModel::Revalued);
        Wanted::of(&self.levels, self.shortfall, self.contributions).filter(|_| revalued)
    }
}

/// When a change of profit and loss enters the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sampling {
    /// At each boundary of the interval (counted from the epoch) since whose predecessor the portfolio had
    /// a mark, a fill or an account record. A quiet interval is no observation of zero.
    Every(Duration),
    /// At each fill.
    EachFill,
}

/// What the changes in the window are taken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Basis {
    /// Equity less deposits and plus withdrawals: needs an account.
    Equity,
    /// Realised and unrealised profit and loss less fees, of the book alone.
    Book,
}

/// The return history of symbols: a window of simple returns of the marks, the same instants for all.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryParameters {
    /// The instants are its boundaries, counted from the epoch.
    pub interval: Duration,
    /// With the latest instant older than this, by the clock, what rests on them is unknown (`stale`).
    pub freshness: Duration,
    /// Which returns of a symbol are kept.
    pub window: WindowLength,
    /// Fewer instants at which all that is held has a return are `warming_up`.
    pub minimum: usize,
    /// The most symbols; those that appear later have no history.
    pub symbols: usize,
    /// What it begins with.
    pub reference: Option<Arc<ReferencePrices>>,
}

/// How old an input may be before what rests on it is unknown (`stale`). An age is the clock less the
/// later of the input's event time and that of its source's last heartbeat all of whose records were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freshness {
    /// The mark of a symbol held.
    pub marks: Duration,
    /// The execution reports of a portfolio that has had any.
    pub executions: Duration,
    /// The account record.
    pub accounts: Duration,
}

/// One limit: a measure may not be over its bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitParameters {
    /// Its name in the configuration; unique.
    pub name: SmolStr,
    /// What it bounds.
    pub measure: Bounded,
    /// A value over it warns.
    pub soft: Option<f64>,
    /// A value over it is a breach.
    pub hard: Option<f64>,
    /// What trading should be allowed to do while it warns.
    pub on_soft: TradingLevel,
    /// What trading should be allowed to do while it is breached; at most what it should while it warns.
    pub on_hard: TradingLevel,
    /// A bound that was crossed is left only below bound × (1 − hysteresis); 0 to 1.
    pub hysteresis: f64,
    /// True if what is bounded is the measure's share of the equity: only of sums of money.
    pub of_equity: bool,
    /// When it is in force; always if none.
    pub schedule: Option<Schedule>,
    /// Other bounds for a while.
    pub overrides: Vec<Override>,
    /// The portfolios it applies to; all if empty.
    pub portfolios: Vec<PortfolioId>,
    /// For [`Bounded::Position`]: the symbols it applies to; all if empty.
    pub symbols: Vec<Symbol>,
}

impl LimitParameters {
    /// True if it is on the time that equity is under water.
    pub(super) fn is_on_water(&self) -> bool {
        self.measure == Bounded::UnderWater
    }

    /// A limit on every portfolio, without hysteresis, that calls for nothing.
    pub fn new(name: &str, measure: Bounded, soft: Option<f64>, hard: Option<f64>) -> Self {
        Self {
            name: SmolStr::new(name),
            measure,
            soft,
            hard,
            on_soft: TradingLevel::Normal,
            on_hard: TradingLevel::Normal,
            hysteresis: 0.0,
            of_equity: false,
            schedule: None,
            overrides: Vec::new(),
            portfolios: Vec::new(),
            symbols: Vec::new(),
        }
    }
}

/// Reference data of a symbol.
#[derive(Clone, Debug, PartialEq)]
pub struct Instrument {
    /// Units of the underlying per unit held.
    pub multiplier: Amount,
}

/// How much state the monitor may hold. A record that would need more is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Portfolios of one task.
    pub portfolios: usize,
    /// Symbols with marks or holdings.
    pub symbols: usize,
    /// Symbols held by one portfolio.
    pub holdings: usize,
    /// Feeds: pairs of a source and a topic's partition.
    pub feeds: usize,
    /// Latest executions remembered per portfolio: a repeat of one is recognised, a bust or a correction of
    /// one can be undone exactly. The oldest is forgotten.
    pub executions: usize,
    /// Lots of one position, unless costs are averaged. Where there is one more, the two that would be closed last
    /// become one: profit and loss in all stays exact, what these two realise is averaged between them.
    pub lots: usize,
}

impl Default for RiskParameters {
    fn default() -> Self {
        Self {
            publish_interval: Duration::from_secs(60),
            holdings_interval: Duration::from_secs(24 * 3600),
            holdings_at_change: true,
            positions: 0,
            default_currency: Currency::from("USD"),
            pnl_method: PnlMethod::AverageCost,
            day: DayParameters::default(),
            drawdown_window: Duration::from_secs(30 * 24 * 3600),
            window: WindowParameters::default(),
            history: HistoryParameters::default(),
            conduct: None,
            liquidity: None,
            stress: Vec::new(),
            freshness: Freshness::default(),
            limits: default_limits(),
            rates: Vec::new(),
            instruments: BTreeMap::new(),
            sectors: BTreeMap::new(),
            bounds: Bounds::default(),
        }
    }
}

impl Default for WindowParameters {
    fn default() -> Self {
        Self {
            sampling: Sampling::Every(Duration::from_secs(15 * 60)),
            basis: Basis::Equity,
            length: WindowLength::Observations(500),
            minimum: 100,
            levels: vec![Confidence(9500), Confidence(9900)],
            horizons: vec![Horizon::ONE],
            models: vec![TailModel::Historical],
            shortfall: ShortfallConvention::AcerbiTasche,
            lambda: 0.94,
            age_lambda: 0.99,
            contributions: 0,
            backtest: 250,
        }
    }
}

impl Default for HistoryParameters {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(15 * 60),
            freshness: Duration::from_secs(7 * 24 * 3600),
            window: WindowLength::Observations(500),
            minimum: 100,
            symbols: 2_000,
            reference: None,
        }
    }
}

impl Default for Freshness {
    fn default() -> Self {
        Self {
            marks: Duration::from_secs(20 * 60),
            executions: Duration::from_secs(3600),
            accounts: Duration::from_secs(3600),
        }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            portfolios: 10_000,
            symbols: 20_000,
            holdings: 2_000,
            feeds: 4_096,
            executions: 256,
            lots: 256,
        }
    }
}

/// Limits on changes by samples of 15 minutes, as the demo has them. The configuration's own are on what is held now.
pub fn default_limits() -> Vec<LimitParameters> {
    let limit = |name: &str, measure, soft, hard| LimitParameters {
        hysteresis: 0.02,
        ..LimitParameters::new(name, measure, soft, Some(hard))
    };
    let historical = |level| Bounded::ValueAtRisk(TailModel::Historical, Confidence(level), Horizon::ONE);
    vec![
        limit("var_95", historical(9500), None, 200_000.0),
        limit("var_99", historical(9900), None, 300_000.0),
        LimitParameters::new(
            "var_99_light",
            Bounded::Light(TailModel::Historical, Confidence(9900)),
            Some(0.0),
            Some(1.0),
        ),
        limit("position", Bounded::Position, None, 100_000.0),
        limit("leverage", Bounded::Leverage, None, 3.0),
        LimitParameters {
            hysteresis: 0.02,
            ..LimitParameters::new("correlation", Bounded::MaxCorrelation, Some(0.8), None)
        },
        LimitParameters {
            on_soft: TradingLevel::ReduceOnly,
            on_hard: TradingLevel::Halt,
            ..limit("drawdown", Bounded::Drawdown, Some(0.15), 0.20)
        },
    ]
}
