//! The names of the measures that a limit can bound, and what they are of.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::scenario::{ScenarioName, WORST};
use crate::kernels::Horizon;

/// A confidence level in basis points: 9500 is 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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

/// How value at risk and expected shortfall are taken: of the window of n changes alone, or, those that are revalued, of what
/// is held now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    /// The changes, each with the weight of its age: the first at which the shares of the worst reach the tail, and the
    /// mean of these. O(n log n).
    AgeWeighted,
    /// Not of the window of changes: of what is held now, revalued over the return history of the symbols. The type 7
    /// quantile, and the mean beyond it. O(n) a symbol held.
    Revalued,
    /// As [`TailModel::Gaussian`], of what [`TailModel::Revalued`] is of.
    RevaluedGaussian,
    /// As [`TailModel::CornishFisher`], of the same.
    RevaluedCornishFisher,
    /// As [`TailModel::Ewma`], of the same.
    RevaluedEwma,
    /// As [`TailModel::Filtered`], of the same.
    RevaluedFiltered,
    /// As [`TailModel::AgeWeighted`], of the same.
    RevaluedAgeWeighted,
}

/// What a model makes of a series of profits and losses, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Historical,
    Gaussian,
    CornishFisher,
    Ewma,
    Filtered,
    AgeWeighted,
}

impl Shape {
    /// True if figures over several steps are of stretches of so many, which overlap; others are scaled up from one step.
    pub(super) const fn of_stretches(self) -> bool {
        matches!(self, Self::Historical | Self::AgeWeighted)
    }
}

impl TailModel {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Historical,
        Self::Gaussian,
        Self::CornishFisher,
        Self::Ewma,
        Self::Filtered,
        Self::AgeWeighted,
        Self::Revalued,
        Self::RevaluedGaussian,
        Self::RevaluedCornishFisher,
        Self::RevaluedEwma,
        Self::RevaluedFiltered,
        Self::RevaluedAgeWeighted,
    ];

    /// True if it is of the window of changes of profit and loss, false if of what is held now.
    pub const fn of_changes(self) -> bool {
        matches!(
            self,
            Self::Historical
                | Self::Gaussian
                | Self::CornishFisher
                | Self::Ewma
                | Self::Filtered
                | Self::AgeWeighted
        )
    }

    /// What it makes of either.
    pub(super) const fn shape(self) -> Shape {
        match self {
            Self::Historical | Self::Revalued => Shape::Historical,
            Self::Gaussian | Self::RevaluedGaussian => Shape::Gaussian,
            Self::CornishFisher | Self::RevaluedCornishFisher => Shape::CornishFisher,
            Self::Ewma | Self::RevaluedEwma => Shape::Ewma,
            Self::Filtered | Self::RevaluedFiltered => Shape::Filtered,
            Self::AgeWeighted | Self::RevaluedAgeWeighted => Shape::AgeWeighted,
        }
    }

    /// What ends the names of its measures: `var_95_gaussian`. Nothing for the historical one: `var_95`.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Historical => "",
            Self::Gaussian => "_gaussian",
            Self::CornishFisher => "_cornish_fisher",
            Self::Ewma => "_ewma",
            Self::Filtered => "_filtered",
            Self::AgeWeighted => "_age_weighted",
            Self::Revalued => "_revalued",
            Self::RevaluedGaussian => "_revalued_gaussian",
            Self::RevaluedCornishFisher => "_revalued_cornish_fisher",
            Self::RevaluedEwma => "_revalued_ewma",
            Self::RevaluedFiltered => "_revalued_filtered",
            Self::RevaluedAgeWeighted => "_revalued_age_weighted",
        }
    }
}

/// Those of how orders are sent.
pub(super) const CONDUCT: [Bounded; 7] = [
    Bounded::MessageRate,
    Bounded::PeakMessageRate,
    Bounded::OrderToTrade,
    Bounded::RejectedShare,
    Bounded::DuplicateOrders,
    Bounded::SelfCrossings,
    Bounded::PriceAway,
];

/// Those of how fast, and at what cost, what is held could be sold.
pub(super) const LIQUIDITY: [Bounded; 4] =
    [Bounded::RelativeSpread, Bounded::BeyondTouch, Bounded::DaysToLiquidate, Bounded::LiquidationCost];

/// A measure that a limit can bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bounded {
    /// Sum of the absolute values of the positions, account currency.
    GrossExposure,
    /// Sum of the absolute values of each symbol's position, account currency: in a portfolio the same as
    /// [`Bounded::GrossExposure`], in a scope above it after its portfolios' longs and shorts have cancelled.
    NettedExposure,
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
    /// The largest sum of the absolute values of one sector's positions, account currency.
    SectorGross,
    /// The largest absolute value of the sum of one sector's positions, account currency.
    SectorNet,
    /// The largest share of one sector in the gross exposure, 0 to 1.
    SectorShare,
    /// The largest sum of the absolute values of the positions priced in one currency, account currency.
    CurrencyGross,
    /// The largest absolute value of the sum of the positions priced in one currency, account currency.
    CurrencyNet,
    /// The largest share of one currency in the gross exposure, 0 to 1.
    CurrencyShare,
    /// Pearson's correlation of the two symbols held for which it is furthest from 0, without its sign: 0 to 1.
    MaxCorrelation,
    /// The same with exponential weights, around a mean of zero.
    MaxCorrelationEwma,
    /// The mean of the correlations of all pairs held, with their signs: −1 to 1.
    AverageCorrelation,
    /// The same with exponential weights, around a mean of zero.
    AverageCorrelationEwma,
    /// Loss from the highest flow-adjusted equity, 0 to 1.
    Drawdown,
    /// The largest drawdown so far, 0 to 1.
    MaxDrawdown,
    /// The largest drawdown within the trailing window, 0 to 1.
    TrailingDrawdown,
    /// Seconds since equity fell below its peak.
    UnderWater,
    /// Loss since the day began, account currency, 0 or more.
    DailyLoss,
    /// Loss since the day began, of the equity it began with: 0 or more.
    DailyLossShare,
    /// What was realised so far, if it is a loss, account currency, 0 or more.
    RealisedLoss,
    /// What is open lost so far, account currency, 0 or more.
    UnrealisedLoss,
    /// Fees paid so far, account currency.
    Fees,
    /// Orders accepted, rejected, replaced and cancelled, a second, over the window of conduct.
    MessageRate,
    /// The same, in the busiest sixtieth of the window.
    PeakMessageRate,
    /// The same for each fill, less one: 0 or more.
    OrderToTrade,
    /// Orders rejected, of those sent, 0 to 1.
    RejectedShare,
    /// Orders sent with the terms of another that was sent just before or after.
    DuplicateOrders,
    /// Orders that could be filled against another of the same portfolio.
    SelfCrossings,
    /// How far a limit price was from the mark, as a share of it; the furthest.
    PriceAway,
    /// The spread over the middle of bid and ask, of what is held, weighted by its size: 0 to 2.
    RelativeSpread,
    /// The share of what is held that the touch does not take, weighted by its size: 0 to 1.
    BeyondTouch,
    /// Days until the slowest position is sold, at a share of the volume.
    DaysToLiquidate,
    /// What selling at the touch costs against the middle of bid and ask, account currency.
    LiquidationCost,
    /// Value at risk over so many steps, account currency, a loss positive.
    ValueAtRisk(TailModel, Confidence, Horizon),
    /// Expected shortfall over so many steps, account currency, a loss positive.
    ExpectedShortfall(TailModel, Confidence, Horizon),
    /// The Basel zone of the backtest of value at risk: 0 green, 1 yellow, 2 red.
    Light(TailModel, Confidence),
    /// Loss in a stress scenario, account currency; negative is a gain.
    Stress(ScenarioName),
    /// The largest of the losses in all scenarios.
    StressWorst,
}

impl Bounded {
    /// True if it is of the sector in which it is largest.
    pub(super) const fn is_of_a_sector(self) -> bool {
        matches!(self, Self::SectorGross | Self::SectorNet | Self::SectorShare)
    }

    /// True if it is of the currency in which it is largest.
    pub(super) const fn is_of_a_currency(self) -> bool {
        matches!(self, Self::CurrencyGross | Self::CurrencyNet | Self::CurrencyShare)
    }

    /// True if it is of liquidity.
    pub(super) const fn is_of_liquidity(self) -> bool {
        matches!(
            self,
            Self::RelativeSpread | Self::BeyondTouch | Self::DaysToLiquidate | Self::LiquidationCost
        )
    }
}

impl fmt::Display for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GrossExposure => f.write_str("gross_exposure"),
            Self::NettedExposure => f.write_str("netted_exposure"),
            Self::NetExposure => f.write_str("net_exposure"),
            Self::Position => f.write_str("position"),
            Self::Leverage => f.write_str("leverage"),
            Self::LargestShare => f.write_str("largest_share"),
            Self::Top5Share => f.write_str("top5_share"),
            Self::Herfindahl => f.write_str("herfindahl"),
            Self::SectorGross => f.write_str("sector_gross"),
            Self::SectorNet => f.write_str("sector_net"),
            Self::SectorShare => f.write_str("sector_share"),
            Self::CurrencyGross => f.write_str("currency_gross"),
            Self::CurrencyNet => f.write_str("currency_net"),
            Self::CurrencyShare => f.write_str("currency_share"),
            Self::MaxCorrelation => f.write_str("max_correlation"),
            Self::MaxCorrelationEwma => f.write_str("max_correlation_ewma"),
            Self::AverageCorrelation => f.write_str("average_correlation"),
            Self::AverageCorrelationEwma => f.write_str("average_correlation_ewma"),
            Self::Drawdown => f.write_str("drawdown"),
            Self::MaxDrawdown => f.write_str("max_drawdown"),
            Self::TrailingDrawdown => f.write_str("trailing_drawdown"),
            Self::UnderWater => f.write_str("under_water"),
            Self::DailyLoss => f.write_str("daily_loss"),
            Self::DailyLossShare => f.write_str("daily_loss_share"),
            Self::RealisedLoss => f.write_str("realised_loss"),
            Self::UnrealisedLoss => f.write_str("unrealised_loss"),
            Self::Fees => f.write_str("fees"),
            Self::MessageRate => f.write_str("message_rate"),
            Self::PeakMessageRate => f.write_str("peak_message_rate"),
            Self::OrderToTrade => f.write_str("order_to_trade"),
            Self::RejectedShare => f.write_str("rejected_share"),
            Self::DuplicateOrders => f.write_str("duplicate_orders"),
            Self::SelfCrossings => f.write_str("self_crossings"),
            Self::PriceAway => f.write_str("price_away"),
            Self::RelativeSpread => f.write_str("relative_spread"),
            Self::BeyondTouch => f.write_str("beyond_touch"),
            Self::DaysToLiquidate => f.write_str("days_to_liquidate"),
            Self::LiquidationCost => f.write_str("liquidation_cost"),
            Self::ValueAtRisk(model, level, over) => write_tail(f, "var", *model, *level, *over),
            Self::ExpectedShortfall(model, level, over) => write_tail(f, "es", *model, *level, *over),
            Self::Light(model, level) => write!(f, "var_{level}{}_light", model.suffix()),
            Self::Stress(name) => write!(f, "stress_{name}"),
            Self::StressWorst => write!(f, "stress_{WORST}"),
        }
    }
}

/// `var_95`, `es_97_5_gaussian`; over more than one step `var_95_h10`, `es_97_5_gaussian_h10`.
fn write_tail(
    f: &mut fmt::Formatter<'_>,
    kind: &str,
    model: TailModel,
    level: Confidence,
    over: Horizon,
) -> fmt::Result {
    write!(f, "{kind}_{level}{}", model.suffix())?;
    if over == Horizon::ONE { Ok(()) } else { write!(f, "_h{over}") }
}

/// Cuts off the horizon that ends a name; one step if none does.
fn horizon_of(name: &str) -> Option<(&str, Horizon)> {
    let Some((name, steps)) = name.rsplit_once("_h").filter(|(_, steps)| steps.parse::<u64>().is_ok()) else {
        return Some((name, Horizon::ONE));
    };
    let horizon = Horizon::new(steps.parse().ok()?)?;
    (horizon != Horizon::ONE && horizon.to_string() == steps).then_some((name, horizon))
}

impl FromStr for Bounded {
    type Err = String;

    /// Reads the name that [`fmt::Display`] writes.
    fn from_str(name: &str) -> Result<Self, String> {
        const PLAIN: [Bounded; 27] = [
            Bounded::GrossExposure,
            Bounded::NettedExposure,
            Bounded::NetExposure,
            Bounded::Position,
            Bounded::Leverage,
            Bounded::LargestShare,
            Bounded::Top5Share,
            Bounded::Herfindahl,
            Bounded::SectorGross,
            Bounded::SectorNet,
            Bounded::SectorShare,
            Bounded::CurrencyGross,
            Bounded::CurrencyNet,
            Bounded::CurrencyShare,
            Bounded::MaxCorrelation,
            Bounded::MaxCorrelationEwma,
            Bounded::AverageCorrelation,
            Bounded::AverageCorrelationEwma,
            Bounded::Drawdown,
            Bounded::MaxDrawdown,
            Bounded::TrailingDrawdown,
            Bounded::UnderWater,
            Bounded::DailyLoss,
            Bounded::DailyLossShare,
            Bounded::RealisedLoss,
            Bounded::UnrealisedLoss,
            Bounded::Fees,
        ];
        if let Some(found) = PLAIN.into_iter().chain(CONDUCT).chain(LIQUIDITY).find(|m| m.to_string() == name)
        {
            return Ok(found);
        }
        let level = |text: &str| {
            // The longer endings come later, and end with shorter ones.
            let mut named = TailModel::ALL.into_iter().skip(1).rev();
            let (model, text) = named
                .find_map(|model| Some((model, text.strip_suffix(model.suffix())?)))
                .unwrap_or((TailModel::Historical, text));
            let (whole, part) = text.split_once('_').unwrap_or((text, "0"));
            let basis_points = whole.parse::<u16>().ok()?.checked_mul(100)?
                + part.parse::<u16>().ok()? * if part.len() == 1 { 10 } else { 1 };
            let level = Confidence(basis_points);
            (part.len() <= 2 && (1..10_000).contains(&basis_points)).then_some((model, level))
        };
        let tail = |text| {
            let (text, over) = horizon_of(text)?;
            level(text).map(|(model, level)| (model, level, over))
        };
        let found = match name.split_once('_') {
            Some(("var", text)) => match text.strip_suffix("_light") {
                Some(text) => level(text).map(|(model, level)| Self::Light(model, level)),
                None => tail(text).map(|(model, level, over)| Self::ValueAtRisk(model, level, over)),
            },
            Some(("es", text)) => {
                tail(text).map(|(model, level, over)| Self::ExpectedShortfall(model, level, over))
            }
            Some(("stress", WORST)) => Some(Self::StressWorst),
            Some(("stress", scenario)) => scenario.parse().ok().map(Self::Stress),
            _ => None,
        };
        found.ok_or_else(|| {
            format!(
                "`{name}` is not a measure that a limit can bound: expected gross_exposure, netted_exposure, \
                 net_exposure, \
                 position, leverage, largest_share, top5_share, herfindahl, sector_gross, sector_net, sector_share, currency_gross, currency_net, currency_share, max_correlation, max_correlation_ewma, average_correlation, average_correlation_ewma, drawdown, max_drawdown, trailing_drawdown, under_water, \
                 daily_loss, \
                 daily_loss_share, realised_loss, unrealised_loss, fees, message_rate, peak_message_rate, order_to_trade, rejected_share, \
                 duplicate_orders, self_crossings, price_away, relative_spread, beyond_touch, days_to_liquidate, \
                 liquidation_cost, var_95, \
                 es_99 or another level, or of another model: var_99_filtered, or over more steps than one: \
                 var_99_h10, or the zone of its backtest: \
                 var_99_light, or the loss in a scenario: stress_crash, stress_worst"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measure_is_read_as_it_is_written() {
        const NAMES: [&str; 33] = [
            "var_95_revalued_cornish_fisher_h10",
            "var_97_5_revalued_gaussian_light",
            "average_correlation",
            "realised_loss",
            "unrealised_loss",
            "fees",
            "var_99_h10",
            "es_97_5_gaussian_h10",
            "var_99_75_revalued_h250",
            "max_correlation_ewma",
            "days_to_liquidate",
            "liquidation_cost",
            "trailing_drawdown",
            "under_water",
            "sector_share",
            "stress_crash_2020-03",
            "stress_worst",
            "var_95_revalued",
            "var_95_revalued_light",
            "var_99_light",
            "var_97_5_ewma_light",
            "gross_exposure",
            "position",
            "drawdown",
            "daily_loss",
            "daily_loss_share",
            "var_95",
            "es_99",
            "var_97_5",
            "es_99_75",
            "var_97_5_cornish_fisher",
            "es_99_age_weighted",
            "es_99_ewma",
        ];
        for name in NAMES {
            let measure: Bounded = name.parse().unwrap();
            assert_eq!(measure.to_string(), name);
        }
        let level = Confidence(9750);
        let one = Horizon::ONE;
        assert_eq!("var_97_5".parse(), Ok(Bounded::ValueAtRisk(TailModel::Historical, level, one)));
        let filtered = Bounded::ExpectedShortfall(TailModel::Filtered, level, one);
        assert_eq!("es_97_5_filtered".parse(), Ok(filtered));
        let ten = Horizon::new(10).unwrap();
        assert_eq!("var_97_5_h10".parse(), Ok(Bounded::ValueAtRisk(TailModel::Historical, level, ten)));
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
            "var_95_gaussian_revalued",
            "var_light",
            "es_95_light",
            "var_95_h",
            "var_95_h0",
            "var_95_h1",
            "var_95_h02",
            "var_95_h251",
            "var_95_h70000",
            "var_95_h10_gaussian",
            "var_95_h10_light",
            "stress_",
            "stress_Crash",
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
