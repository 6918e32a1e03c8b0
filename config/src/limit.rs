//! `[[risk.limits]]`: one bound on one measure.

use rust_decimal::Decimal;
use serde::Serialize;

use crate::error::nearest;
use crate::section::Section;

/// Measures that a limit can bound, beside `var_NN` and `es_NN` of the levels in `risk.var.levels`.
const MEASURES: [&str; 7] =
    ["gross_exposure", "net_exposure", "leverage", "concentration", "drawdown", "max_drawdown", POSITION];

/// The one measure that there is for each symbol.
const POSITION: &str = "position";

/// A bound on a measure: over `soft` it warns, over `hard` it is breached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// Its name, in alerts and metrics.
    pub name: String,
    /// What it bounds: `gross_exposure`, `net_exposure` (without its sign), `leverage`, `concentration`,
    /// `drawdown`, `max_drawdown`, `position` (of each symbol, without its sign), `var_95`, `es_99`, …
    pub measure: String,
    /// Warn over this: money in `risk.currency`, shares and ratios as fractions.
    pub soft: Option<Decimal>,
    /// Breached over this, in the same unit.
    pub hard: Option<Decimal>,
    /// How far back under a bound the measure must come before the limit stands better again, as a share of
    /// the bound: 0 at once, below 1.
    pub hysteresis: Decimal,
    /// The scopes it is on: an id, or a beginning and `*`.
    pub scope: String,
    /// The symbols it is on, in the same way; only with `position`.
    pub symbol: String,
}

impl Limit {
    pub(crate) fn read(section: &mut Section<'_>, levels: &[Decimal]) -> Self {
        let bound = |bound: &Decimal| *bound >= Decimal::ZERO;
        let expected = "a number of at least 0";
        let limit = Self {
            name: section.get_if("name", |name: &String| is_name(name), NAME),
            measure: section.get("measure"),
            soft: section.optional_if("soft", bound, expected),
            hard: section.optional_if("hard", bound, expected),
            hysteresis: section
                .optional_if(
                    "hysteresis",
                    |h| *h >= Decimal::ZERO && *h < Decimal::ONE,
                    "a share from 0 to below 1",
                )
                .unwrap_or_default(),
            scope: pattern(section, "scope"),
            symbol: pattern(section, "symbol"),
        };
        limit.check_measure(section, levels);
        if limit.soft.is_none() && limit.hard.is_none() {
            section.fail("hard", "it bounds nothing", "soft, hard or both");
        }
        if let (Some(soft), Some(hard)) = (limit.soft, limit.hard)
            && soft > hard
        {
            section.fail(
                "soft",
                &format!("{soft} is over hard, which is {hard}"),
                "soft at most as high as hard",
            );
        }
        limit
    }

    fn check_measure(&self, section: &Section<'_>, levels: &[Decimal]) {
        if self.measure.is_empty() {
            return;
        }
        let windowed = levels.iter().flat_map(|level| [measure_at("var", *level), measure_at("es", *level)]);
        let known: Vec<String> = MEASURES.iter().map(|name| (*name).to_owned()).chain(windowed).collect();
        if !known.contains(&self.measure) {
            let near = nearest(&self.measure, known.iter().map(String::as_str));
            let expected =
                near.map_or_else(|| format!("one of {}", known.join(", ")), |near| format!("\"{near}\""));
            section.fail("measure", &format!("there is no measure {:?}", self.measure), &expected);
        }
        if self.symbol != "*" && self.measure != POSITION {
            section.fail(
                "symbol",
                &format!("{} is not kept per symbol", self.measure),
                "it only with measure = \"position\"",
            );
        }
    }
}

/// The name of a measure at a confidence level: `var_95` at 0.95, `es_99_5` at 0.995.
pub(crate) fn measure_at(kind: &str, level: Decimal) -> String {
    let percent = (level * Decimal::ONE_HUNDRED).normalize();
    format!("{kind}_{}", percent.to_string().replace('.', "_"))
}

pub(crate) const NAME: &str = "a name of small letters, digits, `_` and `-`, at most 100";

pub(crate) fn is_name(name: &str) -> bool {
    (1..=100).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'))
}

/// A pattern; everything if there is none.
pub(crate) fn pattern(section: &mut Section<'_>, key: &'static str) -> String {
    let fits = |pattern: &String| {
        let fixed = pattern.strip_suffix('*').unwrap_or(pattern);
        !pattern.is_empty() && !fixed.contains('*')
    };
    section
        .optional_if(key, fits, "a name, or a beginning and `*`, such as \"desk:*\"")
        .unwrap_or_else(|| "*".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_name_their_measures() {
        assert_eq!(measure_at("var", Decimal::new(95, 2)), "var_95");
        assert_eq!(measure_at("es", Decimal::new(995, 3)), "es_99_5");
        assert_eq!(measure_at("es", Decimal::new(90, 2)), "es_90");
    }
}
