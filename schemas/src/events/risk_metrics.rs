use serde::{Deserialize, Serialize};

use super::{Provenance, TradingLevel};
use crate::names::{Currency, Scope};
use crate::{Amount, RecordId, Time};

/// The risk of one scope. Key: scope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RiskMetrics {
    /// Where it came from.
    pub provenance: Provenance,
    /// Its id.
    pub id: RecordId,
    /// The writer's clock at the step that made it.
    pub event_time: Time,
    /// What it is about.
    pub scope: Scope,
    /// Why it was published.
    pub occasion: Occasion,
    /// The currency of every sum of money here.
    pub currency: Currency,
    /// Every measure, in a fixed order: money in the currency, shares and ratios as fractions.
    pub measures: Vec<Measure>,
    /// Every limit on the scope, in the configuration's order.
    pub limits: Vec<LimitState>,
}

/// Why risk figures were published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// An interval has passed.
    Interval,
    /// A limit changed its state.
    Transition,
}

/// One measure: a value, or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// `gross_exposure`, `var_95`, … (docs list them).
    pub name: String,
    /// The value as a double; none if unknown.
    pub value: Option<f64>,
    /// The value as an exact decimal, for sums of money.
    pub amount: Option<Amount>,
    /// Why it is unknown; none if it is known.
    pub unknown: Option<Unknown>,
    /// The two symbols that it is of, by name, for the largest correlation; none for what is of all that is held.
    #[serde(default)]
    pub symbols: Vec<String>,
}

/// Why a figure is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// An input is older than its freshness bound.
    Stale,
    /// An input never came.
    Missing,
    /// Not enough observations yet.
    WarmingUp,
    /// The book's opening is not known.
    NoOpening,
    /// A conversion rate is missing.
    NoRate,
    /// The breaker of a source is open.
    SourceDown,
}

impl Unknown {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Missing => "missing",
            Self::WarmingUp => "warming_up",
            Self::NoOpening => "no_opening",
            Self::NoRate => "no_rate",
            Self::SourceDown => "source_down",
        }
    }
}

/// How hard a limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitLevel {
    /// Crossing it warns.
    Soft,
    /// Crossing it is a breach.
    Hard,
}

/// Where a limit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitStatus {
    /// Within both bounds.
    Ok,
    /// Over the soft bound.
    Warning,
    /// Over the hard bound.
    Breached,
    /// Cannot be said; the reason is given. Never fine.
    Unknown,
    /// Its schedule leaves it out now, and nothing is checked.
    NotInForce,
}

/// One limit on a scope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitState {
    /// The limit's name in the configuration.
    pub limit: String,
    /// The measure it bounds.
    pub measure: String,
    /// Where it stands.
    pub status: LimitStatus,
    /// The status before, if this record is its transition.
    pub previous: Option<LimitStatus>,
    /// When it came to stand so.
    pub since: Time,
    /// What is bounded: the measure's value, or its share of the equity; none if unknown or not in force.
    pub value: Option<f64>,
    /// The soft bound that applies now, in the value's unit.
    pub soft: Option<f64>,
    /// The hard bound that applies now, in the value's unit.
    pub hard: Option<f64>,
    /// Value over hard bound (over the soft one if there is no hard one).
    pub utilisation: Option<f64>,
    /// Why it is unknown; none unless it is.
    pub unknown: Option<Unknown>,
    /// The symbol that decides it, for limits per symbol; the sector, for limits of sectors.
    pub symbol: Option<String>,
    /// What trading in the scope should be allowed to do, as far as this limit goes: [`TradingLevel::Normal`] while
    /// it is unknown, when what it called for before stands, and while it is not in force.
    #[serde(default)]
    pub calls_for: TradingLevel,
    /// True if value and bounds are shares of the equity.
    #[serde(default)]
    pub of_equity: bool,
    /// Who put other bounds in the place of its own for a while; none if its own apply.
    #[serde(default)]
    pub overridden: Option<LimitOverride>,
    /// The two symbols that decide it, by name, for limits on the largest correlation; none for others.
    #[serde(default)]
    pub symbols: Vec<String>,
}

/// A temporary override of a limit's bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitOverride {
    /// Who answers for it.
    pub who: String,
    /// The reason given.
    pub why: String,
    /// When it ends by itself.
    pub until: Time,
}
