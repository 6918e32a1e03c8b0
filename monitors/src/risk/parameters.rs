//! What the risk monitor is told: windows, freshness bounds, limits, instruments, bounds on its state.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use smol_str::SmolStr;
use tapewatch_schemas::{Amount, Currency, PortfolioId, Symbol};

use crate::kernels::ShortfallConvention;

/// Everything that the risk monitor can be told.
#[derive(Clone, Debug, PartialEq)]
pub struct RiskParameters {
    /// How often levels are published, on boundaries counted from the epoch.
    pub publish_interval: Duration,
    /// How often the whole book is published although it has not changed.
    pub holdings_interval: Duration,
    /// True if the whole book is published at each change too, false if only at the interval's boundaries.
    pub holdings_at_change: bool,
    /// The currency stated while neither an account nor a fill has named the portfolio's own.
    pub default_currency: Currency,
    /// Value at risk and expected shortfall.
    pub window: WindowParameters,
    /// How old an input may be.
    pub freshness: Freshness,
    /// The limits, checked on every portfolio they apply to, in this order.
    pub limits: Vec<LimitParameters>,
    /// What differs from a multiplier of one; symbols that are not named have that.
    pub instruments: BTreeMap<Symbol, Instrument>,
    /// How much state there may be.
    pub bounds: Bounds,
}

/// The window that value at risk and expected shortfall are taken from.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowParameters {
    /// When a change of profit and loss enters the window.
    pub sampling: Sampling,
    /// What changes are taken of.
    pub basis: Basis,
    /// The most samples kept; the oldest leaves.
    pub samples: usize,
    /// Fewer samples than this are `warming_up`.
    pub minimum: usize,
    /// The confidence levels.
    pub levels: Vec<Confidence>,
    /// How the tail is taken of the window, each once.
    pub models: Vec<TailModel>,
    /// Which expected shortfall [`TailModel::Historical`] publishes.
    pub shortfall: ShortfallConvention,
    /// The weight of the past in [`TailModel::Ewma`] and [`TailModel::Filtered`]: above 0 and below 1.
    pub lambda: f64,
}

/// How value at risk and expected shortfall are taken of the window of n changes. Each is a function of the
/// window alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TailModel {
    /// The type 7 quantile of the changes, and the mean beyond it. A change more costs O(log n).
    Historical,
    /// A normal distribution with the window's mean and deviation (n − 1). O(n).
    Gaussian,
    /// The normal quantile moved by the window's skewness and kurtosis, the shortfall never milder than the value at
    /// risk. O(n).
    CornishFisher,
    /// A normal distribution of mean zero with the exponentially weighted deviation, begun with the square of the
    /// window's first change that is not zero. O(n).
    Ewma,
    /// Filtered historical simulation: the changes, each divided by the deviation that [`TailModel::Ewma`] had
    /// forecast for it, times the one for the next. O(n log n).
    Filtered,
}

impl TailModel {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Historical, Self::Gaussian, Self::CornishFisher, Self::Ewma, Self::Filtered];

    /// What ends the names of its measures: `var_95_gaussian`. Nothing for the historical one: `var_95`.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Historical => "",
            Self::Gaussian => "_gaussian",
            Self::CornishFisher => "_cornish_fisher",
            Self::Ewma => "_ewma",
            Self::Filtered => "_filtered",
        }
    }
}

/// When a change of profit and loss enters the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// At each boundary of the interval (counted from the epoch) since whose predecessor the portfolio had
    /// a mark, a fill or an account record. A quiet interval is no observation of zero.
    Every(Duration),
    /// At each fill.
    EachFill,
}

/// What the changes in the window are taken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Equity less deposits and plus withdrawals: needs an account.
    Equity,
    /// Realised and unrealised profit and loss less fees, of the book alone.
    Book,
}

/// A confidence level in basis points: 9500 is 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Confidence(pub u16);

impl Confidence {
    /// The probability of the tail: 0.05 at 95 %.
    pub fn tail(self) -> f64 {
        f64::from(10_000_u16.saturating_sub(self.0)) / 10_000.0
    }
}

impl fmt::Display for Confidence {
    /// `95`, `97_5`, `99_75`: as it ends a measure's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 100, self.0 % 100);
        match part {
            0 => write!(f, "{whole}"),
            _ if part % 10 == 0 => write!(f, "{whole}_{}", part / 10),
            _ => write!(f, "{whole}_{part:02}"),
        }
    }
}

/// How old an input may be before what rests on it is unknown (`stale`). An age is the clock less the
/// later of the input's event time and that of its source's last heartbeat all of whose records were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// The mark of a symbol held.
    pub marks: Duration,
    /// The execution reports of a portfolio that has had any.
    pub executions: Duration,
    /// The account record.
    pub accounts: Duration,
}

/// A measure that a limit can bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bounded {
    /// Sum of the absolute values of the positions, account currency.
    GrossExposure,
    /// Absolute value of the sum of the positions' values, account currency.
    NetExposure,
    /// The largest absolute value of one symbol's position, account currency.
    Position,
    /// Gross exposure over equity.
    Leverage,
    /// The largest share of one symbol in the gross exposure, 0 to 1.
    LargestShare,
    /// The share of the five largest symbols, 0 to 1.
    Top5Share,
    /// Herfindahl's index of the shares, 0 to 1.
    Herfindahl,
    /// Loss from the highest flow-adjusted equity, 0 to 1.
    Drawdown,
    /// The largest drawdown so far, 0 to 1.
    MaxDrawdown,
    /// Value at risk, account currency, a loss positive.
    ValueAtRisk(TailModel, Confidence),
    /// Expected shortfall, account currency, a loss positive.
    ExpectedShortfall(TailModel, Confidence),
}

impl fmt::Display for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GrossExposure => f.write_str("gross_exposure"),
            Self::NetExposure => f.write_str("net_exposure"),
            Self::Position => f.write_str("position"),
            Self::Leverage => f.write_str("leverage"),
            Self::LargestShare => f.write_str("largest_share"),
            Self::Top5Share => f.write_str("top5_share"),
            Self::Herfindahl => f.write_str("herfindahl"),
            Self::Drawdown => f.write_str("drawdown"),
            Self::MaxDrawdown => f.write_str("max_drawdown"),
            Self::ValueAtRisk(model, level) => write!(f, "var_{level}{}", model.suffix()),
            Self::ExpectedShortfall(model, level) => write!(f, "es_{level}{}", model.suffix()),
        }
    }
}

impl FromStr for Bounded {
    type Err = String;

    /// Reads the name that [`fmt::Display`] writes.
    fn from_str(name: &str) -> Result<Self, String> {
        const PLAIN: [Bounded; 9] = [
            Bounded::GrossExposure,
            Bounded::NetExposure,
            Bounded::Position,
            Bounded::Leverage,
            Bounded::LargestShare,
            Bounded::Top5Share,
            Bounded::Herfindahl,
            Bounded::Drawdown,
            Bounded::MaxDrawdown,
        ];
        if let Some(found) = PLAIN.into_iter().find(|m| m.to_string() == name) {
            return Ok(found);
        }
        let level = |text: &str| {
            let mut named = TailModel::ALL.into_iter().skip(1);
            let (model, text) = named
                .find_map(|model| Some((model, text.strip_suffix(model.suffix())?)))
                .unwrap_or((TailModel::Historical, text));
            let (whole, part) = text.split_once('_').unwrap_or((text, "0"));
            let basis_points = whole.parse::<u16>().ok()?.checked_mul(100)?
                + part.parse::<u16>().ok()? * if part.len() == 1 { 10 } else { 1 };
            let level = Confidence(basis_points);
            (part.len() <= 2 && (1..10_000).contains(&basis_points)).then_some((model, level))
        };
        let found = match name.split_once('_') {
            Some(("var", text)) => level(text).map(|(model, level)| Self::ValueAtRisk(model, level)),
            Some(("es", text)) => level(text).map(|(model, level)| Self::ExpectedShortfall(model, level)),
            _ => None,
        };
        found.ok_or_else(|| {
            format!(
                "`{name}` is not a measure that a limit can bound: expected gross_exposure, net_exposure, \
                 position, leverage, largest_share, top5_share, herfindahl, drawdown, max_drawdown, var_95, \
                 es_99 or another level, or of another model: var_99_filtered"
            )
        })
    }
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
    /// A bound that was crossed is left only below bound × (1 − hysteresis); 0 to 1.
    pub hysteresis: f64,
    /// The portfolios it applies to; all if empty.
    pub portfolios: Vec<PortfolioId>,
    /// For [`Bounded::Position`]: the symbols it applies to; all if empty.
    pub symbols: Vec<Symbol>,
}

impl LimitParameters {
    /// A limit on every portfolio, without hysteresis.
    pub fn new(name: &str, measure: Bounded, soft: Option<f64>, hard: Option<f64>) -> Self {
        Self {
            name: SmolStr::new(name),
            measure,
            soft,
            hard,
            hysteresis: 0.0,
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
}

impl Default for RiskParameters {
    fn default() -> Self {
        Self {
            publish_interval: Duration::from_secs(60),
            holdings_interval: Duration::from_secs(24 * 3600),
            holdings_at_change: true,
            default_currency: Currency::from("USD"),
            window: WindowParameters::default(),
            freshness: Freshness::default(),
            limits: default_limits(),
            instruments: BTreeMap::new(),
            bounds: Bounds::default(),
        }
    }
}

impl Default for WindowParameters {
    fn default() -> Self {
        Self {
            sampling: Sampling::Every(Duration::from_secs(15 * 60)),
            basis: Basis::Equity,
            samples: 500,
            minimum: 100,
            levels: vec![Confidence(9500), Confidence(9900)],
            models: vec![TailModel::Historical],
            shortfall: ShortfallConvention::AcerbiTasche,
            lambda: 0.94,
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
        Self { portfolios: 10_000, symbols: 20_000, holdings: 2_000, feeds: 4_096, executions: 256 }
    }
}

/// The limits that apply where the configuration states none.
pub fn default_limits() -> Vec<LimitParameters> {
    let limit = |name: &str, measure, soft, hard| LimitParameters {
        hysteresis: 0.02,
        ..LimitParameters::new(name, measure, soft, Some(hard))
    };
    let historical = |level| Bounded::ValueAtRisk(TailModel::Historical, Confidence(level));
    vec![
        limit("var_95", historical(9500), None, 200_000.0),
        limit("var_99", historical(9900), None, 300_000.0),
        limit("position", Bounded::Position, None, 100_000.0),
        limit("leverage", Bounded::Leverage, None, 3.0),
        limit("drawdown", Bounded::Drawdown, Some(0.15), 0.20),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measure_is_read_as_it_is_written() {
        const NAMES: [&str; 9] = [
            "gross_exposure",
            "position",
            "drawdown",
            "var_95",
            "es_99",
            "var_97_5",
            "es_99_75",
            "var_97_5_cornish_fisher",
            "es_99_ewma",
        ];
        for name in NAMES {
            let measure: Bounded = name.parse().unwrap();
            assert_eq!(measure.to_string(), name);
        }
        let level = Confidence(9750);
        assert_eq!("var_97_5".parse(), Ok(Bounded::ValueAtRisk(TailModel::Historical, level)));
        assert_eq!("es_97_5_filtered".parse(), Ok(Bounded::ExpectedShortfall(TailModel::Filtered, level)));
    }

    #[test]
    fn other_names_are_refused() {
        for name in [
            "",
            "var",
            "var_",
            "var_100",
            "var_0",
            "es_99_123",
            "var_x",
            "var_9999999",
            "var_95_",
            "var_95_normal",
            "equity",
        ] {
            assert!(name.parse::<Bounded>().is_err(), "{name}");
        }
    }

    #[test]
    fn the_tail_of_a_level_is_the_nearest_double() {
        assert_eq!(Confidence(9500).tail(), 0.05);
        assert_eq!(Confidence(9900).tail(), 0.01);
        assert_eq!(Confidence(9750).tail(), 0.025);
    }
}
