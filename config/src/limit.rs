//! `[[risk.limits]]`: one bound on one measure.

use serde::Serialize;

use crate::conduct;
use crate::error::nearest;
use crate::liquidity;
use crate::schedule::When;
use crate::section::Section;
use crate::value::choice;

choice! {
    /// What a limit calls for while it is over a bound.
    Action {
        /// That people are told.
        #[default]
        Alert = "alert",
        /// That positions may only become smaller.
        ReduceOnly = "reduce_only",
        /// That nothing is traded.
        Halt = "halt",
    }
}

choice! {
    /// What a limit's measure is a share of.
    Of {
        /// The equity of the portfolio, or of the scope.
        #[default]
        Equity = "equity",
    }
}

/// Measures that a limit can bound, beside `var_NN` and `es_NN` of the levels and models in `risk.var`, and `stress_NAME`
/// of the scenarios in `risk.stress`.
const MEASURES: [&str; 20] = [
    "gross_exposure",
    "net_exposure",
    POSITION,
    "leverage",
    "largest_share",
    "top5_share",
    "herfindahl",
    "max_correlation",
    "max_correlation_ewma",
    "average_correlation",
    "average_correlation_ewma",
    "drawdown",
    "max_drawdown",
    "trailing_drawdown",
    "under_water",
    "daily_loss",
    "daily_loss_share",
    "realised_loss",
    "unrealised_loss",
    "fees",
];

/// Those of what is above the portfolio.
pub(crate) const SCOPE_MEASURES: [&str; 21] = [
    "gross_exposure",
    "netted_exposure",
    "net_exposure",
    POSITION,
    "largest_share",
    "top5_share",
    "herfindahl",
    "max_correlation",
    "max_correlation_ewma",
    "average_correlation",
    "average_correlation_ewma",
    "leverage",
    "drawdown",
    "max_drawdown",
    "trailing_drawdown",
    "under_water",
    "daily_loss",
    "daily_loss_share",
    "realised_loss",
    "unrealised_loss",
    "fees",
];

/// How the names of the lights of backtests end.
pub(crate) const LIGHT: &str = "_light";

/// The one measure that there is for each symbol.
const POSITION: &str = "position";

/// A bound on a measure: over `soft` it warns, over `hard` it is breached.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Limit {
    /// Its name, in alerts and metrics.
    pub name: String,
    /// What it bounds: `gross_exposure`, `net_exposure`, `position` (each symbol's, without its sign),
    /// `leverage`, `largest_share`, `top5_share`, `herfindahl`, `max_correlation`, `max_correlation_ewma`, `average_correlation`, `average_correlation_ewma`, `drawdown`, `max_drawdown`,
    /// `trailing_drawdown`, `under_water` (seconds), `daily_loss`, `daily_loss_share`, `realised_loss`, `unrealised_loss`, `fees`, those of `risk.conduct` and
    /// `risk.liquidity`, `var_95`, `es_99`, …, `stress_crash`, …
    pub measure: String,
    /// Warn over this: money in the portfolio's currency, shares and ratios as fractions.
    pub soft: Option<f64>,
    /// Breached over this, in the same unit.
    pub hard: Option<f64>,
    /// What trading should be allowed to do while it warns.
    pub on_soft: Action,
    /// What trading should be allowed to do while it is breached. Alerting holds what was called for until a person
    /// ends it.
    pub on_hard: Action,
    /// How far back under a bound the measure must come before the limit stands better again, as a share of
    /// the bound: 0 at once, below 1.
    pub hysteresis: f64,
    /// The portfolios it is on; all if empty.
    pub portfolios: Vec<String>,
    /// The symbols it is on, only with `position`; all if empty.
    pub symbols: Vec<String>,
    /// What is bounded is the measure as a share of this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<Of>,
    /// When it is in force; always if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
}

impl Limit {
    /// One on portfolios; `named` are the names of the measures of `risk.var` and `risk.stress`, `schedules` those of
    /// `risk.schedules`.
    pub(crate) fn read(section: &mut Section<'_>, named: &[String], schedules: &[&str]) -> Self {
        let id = |id: &String| !id.is_empty() && !id.contains(':');
        let portfolios = section.values("portfolios", id, "a portfolio's id");
        let looked_at = conduct::MEASURES.into_iter().chain(liquidity::MEASURES);
        let known: Vec<&str> =
            MEASURES.into_iter().chain(looked_at).chain(named.iter().map(String::as_str)).collect();
        Self { portfolios, ..Self::read_of_any(section, &known, schedules) }
    }

    /// One on what has these measures.
    pub(crate) fn read_of_any(section: &mut Section<'_>, measures: &[&str], schedules: &[&str]) -> Self {
        let bound = |bound: &f64| *bound >= 0.0;
        let expected = "a number of at least 0";
        let limit = Self {
            name: section.get_if("name", |name: &String| is_name(name), NAME),
            measure: section.get("measure"),
            soft: section.optional_if("soft", bound, expected),
            hard: section.optional_if("hard", bound, expected),
            on_soft: section.optional("on_soft").unwrap_or_default(),
            on_hard: section.optional("on_hard").unwrap_or_default(),
            hysteresis: section
                .optional_if("hysteresis", |h| (0.0..1.0).contains(h), "a share from 0 to below 1")
                .unwrap_or_default(),
            portfolios: Vec::new(),
            symbols: section.values("symbols", |s: &String| !s.is_empty(), "a symbol"),
            of: section.optional("of"),
            when: When::read(section, schedules),
        };
        limit.check_measure(section, measures);
        for (name, action, bound) in
            [("on_soft", limit.on_soft, limit.soft), ("on_hard", limit.on_hard, limit.hard)]
        {
            if action != Action::Alert && bound.is_none() {
                let bound = name.trim_start_matches("on_");
                section.fail(
                    name,
                    &format!("the limit has no {bound} bound"),
                    &format!("a bound as {bound}"),
                );
            }
        }
        if limit.hard.is_some() && limit.on_soft > limit.on_hard {
            let problem = format!("{} is more than on_hard, which is {}", limit.on_soft, limit.on_hard);
            section.fail("on_soft", &problem, "at most what on_hard is");
        }
        if limit.soft.is_none() && limit.hard.is_none() {
            section.fail("hard", "it bounds nothing", "soft, hard or both");
        }
        if let (Some(soft), Some(hard)) = (limit.soft, limit.hard)
            && soft > hard
        {
            let problem = format!("{soft} is over hard, which is {hard}");
            section.fail("soft", &problem, "soft at most as high as hard");
        }
        limit
    }

    fn check_measure(&self, section: &Section<'_>, known: &[&str]) {
        if self.measure.is_empty() {
            return;
        }
        if !known.contains(&self.measure.as_str()) {
            let near = nearest(&self.measure, known.iter().copied());
            let expected =
                near.map_or_else(|| format!("one of {}", known.join(", ")), |near| format!("\"{near}\""));
            section.fail("measure", &format!("there is no measure {:?}", self.measure), &expected);
        }
        if self.of.is_some() && known.contains(&self.measure.as_str()) && !is_money(&self.measure) {
            let problem = format!("{} is no sum of money", self.measure);
            section.fail("of", &problem, "a measure in money, such as gross_exposure, or no `of`");
        }
        if !self.symbols.is_empty() && self.measure != POSITION {
            let problem = format!("{} is not kept per symbol", self.measure);
            section.fail("symbols", &problem, "symbols only with measure = \"position\"");
        }
    }
}

/// True if a measure is the light of a backtest.
pub(crate) fn is_light(measure: &str) -> bool {
    measure.starts_with("var_") && measure.ends_with(LIGHT)
}

/// True if a measure is a sum of money.
fn is_money(measure: &str) -> bool {
    let lost = ["var_", "es_", "stress_"].iter().any(|kind| measure.starts_with(kind));
    const PLAIN: [&str; 13] = [
        "gross_exposure",
        "netted_exposure",
        "net_exposure",
        POSITION,
        "daily_loss",
        "realised_loss",
        "unrealised_loss",
        "fees",
        "sector_gross",
        "sector_net",
        "currency_gross",
        "currency_net",
        "liquidation_cost",
    ];
    PLAIN.contains(&measure) || lost && !is_light(measure)
}

/// The name of a measure at a confidence level in basis points: `var_95` at 9500, `es_99_5` at 9950.
pub(crate) fn measure_at(kind: &str, level: u16) -> String {
    let (whole, part) = (level / 100, level % 100);
    match part {
        0 => format!("{kind}_{whole}"),
        _ if part % 10 == 0 => format!("{kind}_{whole}_{}", part / 10),
        _ => format!("{kind}_{whole}_{part:02}"),
    }
}

pub(crate) const NAME: &str = "a name of small letters, digits, `_` and `-`, at most 100";

pub(crate) fn is_name(name: &str) -> bool {
    (1..=100).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_name_their_measures() {
        assert_eq!(measure_at("var", 9500), "var_95");
        assert_eq!(measure_at("es", 9950), "es_99_5");
        assert_eq!(measure_at("es", 9975), "es_99_75");
        assert_eq!(measure_at("es", 9905), "es_99_05");
    }
}
